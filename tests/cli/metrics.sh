# ldm metrics: the study's figures.

works generate $TINY --steps 2 -n 2 -o two --quiet
works metrics two/00000.png two/00001.png
stdout_has '^two/00000.png: 64 x 64$'
stdout_has '^two/00001.png: 64 x 64$'
stdout_has 'brightness +0\.[0-9]{3}'
stdout_has 'contrast +[0-9]\.[0-9]{3}'
stdout_has 'R 0\.[0-9]{3}  G 0\.[0-9]{3}  B 0\.[0-9]{3}'
stdout_has 'colour coherence'
stderr_empty
works metrics --json two/00000.png
[ "$(head -n 1 "$OUT")" = '[' ] || die "not a JSON array"
stdout_has '"brightness": 0\.[0-9]+'
stdout_has '"skin_like": (true|false)'
stdout_has '"colour_grade": "(excellent|fair|poor)"'

# One that cannot be read does not stop the others, but shows in the exit code.
ldm metrics nothing.png two/00000.png
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stdout_has '^two/00000.png: 64 x 64$'
stderr_has 'nothing.png.*No such file'
ldm metrics nothing.png --json
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stdout_has '"error": ".*nothing.png'

fails 1 "is a folder" metrics .
fails 1 "config.yaml" metrics "$CONFIG"
: >empty.png
fails 1 "empty.png" metrics empty.png
head -c 500 two/00000.png >cut.png
fails 1 "cut.png" metrics cut.png
