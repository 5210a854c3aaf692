# SPDX-License-Identifier: MIT
# ldm bench: the figures are there.

works bench $TINY --rounds 2 --json
for k in ready_s load_s eps_s eps_min_s first_eps_s decode_s encode_s peak_rss_bytes threads isa cpu \
    precision; do
    stdout_has "\"$k\": "
done
stdout_lacks '"(layers|generation|cache|machine|shapes)"'
works bench $TINY --rounds 1 --threads 1 --batch 2
stdout_has '^eps evaluation .*batch 2'
stdout_has '^encode +[0-9.]+ s$'
stdout_lacks 'Whole pictures'
works bench $TINY --rounds 1 --layers
stdout_has 'conv'
fails 1 "nothing.ckpt.*No such file" bench --ckpt nothing.ckpt --config "$CONFIG"

# Whole pictures; the cache beside them, with its error.
works bench $TINY --rounds 1 --steps 2
stdout_has '^Whole pictures: 2 steps, eta 0, 1 seed from 42'
stdout_lacks 'cache'
works bench $TINY --rounds 1 --steps 8 --cache 4 --seeds 3 --eta 0.5
stdout_has '^Whole pictures: 8 steps, eta 0.5, 3 seeds from 42'
stdout_has '^The same with --cache 4: 2 steps evaluate the whole network$'
stdout_has '^  step faster by +[0-9.]+x  \([0-9.]+x? to [0-9.]+\)$'
stdout_has '^  latent, relative L2 +0\.[0-9]+  \(0\.[0-9]+ to 0\.[0-9]+\)$'
stdout_has '^  picture, PSNR +[0-9.]+ dB  \('
stdout_lacks 'relative L2 +0\.0000 '
works bench $TINY --rounds 1 --steps 4 --cache 2 --json
for k in generation cache every whole_steps latent_relative_l2 picture_psnr_db step_speedup \
    picture_speedup; do
    stdout_has "\"$k\": "
done
stdout_has '"pictures": 4'
# One step is a whole evaluation: no error at all, and that is what it says.
works bench $TINY --rounds 1 --steps 1 --cache 2 --seeds 1
stdout_has 'latent, relative L2 +0\.0000$'
stdout_has 'picture, PSNR +inf dB$'
works bench $TINY --rounds 1 --steps 1 --cache 2 --seeds 1 --json
stdout_has '"median": null'
# The section of a config is the default.
printf 'ldm:\n  sampling: {steps: 3, timesteps: leading}\n' >three.yaml
works bench $TINY --config three.yaml --rounds 1 --cache 2 --seeds 1
stdout_has '^Whole pictures: 3 steps'
rm three.yaml

# The kernels alone, without a model.
printf '# a comment\n3 32 3 1 0 16 16 2\n32 64 1 1 0 8 8 1\n32 32 3 2 0 9 7 1\n16 16 3 1 1 4 4 3\n' >s.txt
works bench --shapes s.txt --rounds 1
[ "$(grep -c ' direct \| winograd' "$OUT")" -eq 4 ] || die "expected four shapes"
stdout_has '^   16    16  3  1  x2       4x4     3 '
stdout_has '^all with their counts: [0-9.]+ ms, 0.0 GFLOP'
works bench --shapes s.txt --rounds 1 --precision exact --batch 2 --json
stdout_has '"algorithm": "direct"'
stdout_has '"precision": "exact"'
stdout_lacks 'winograd|eps_s'
works inspect --shapes "$CONFIG"
cp "$OUT" all.txt
works bench --shapes all.txt --rounds 1 --threads 1
for bad in '3 32 3 1 0 16 16' '3 32 5 1 0 16 16 1' '3 32 3 1 0 16 16 1 7' '0 32 3 1 0 16 16 1' \
    'x' '3 32 3 3 0 16 16 1' '3 32 3 1 2 16 16 1' '3 99999 3 1 0 16 16 1' '3 3 3 1 0 0 16 1'; do
    printf '# shapes\n%s\n' "$bad" >bad.txt
    fails 1 "bad.txt:2: \"$bad\" is no shape, expected eight numbers" bench --shapes bad.txt
done
: >bad.txt
fails 1 'bad.txt holds no shapes' bench --shapes bad.txt
fails 1 'none.txt.*No such file' bench --shapes none.txt
fails 2 '--shapes times kernels without a model: leave out --steps' bench --shapes s.txt --steps 2
fails 2 '--shapes times kernels without a model: leave out --eta' bench --shapes s.txt --eta 0

# The roofline.
works bench $TINY --rounds 1 --plot roof.svg
stdout_has '^multiply-adds at most [1-9][0-9]* GFLOP/s, reading from memory [0-9.]+ GB/s$'
stdout_lacks 'module$'
grep -q '^<svg xmlns' roof.svg || die "no SVG"
grep -q 'prefers-color-scheme:dark' roof.svg || die "light only"
[ "$(grep -c '^<circle' roof.svg)" -gt 20 ] || die "too few points"
tail -n 1 roof.svg | grep -q '^</svg>$' || die "cut off"
file_lacks roof.svg 'nan|inf[^o]' # a point that is nowhere
if command -v xmllint >/dev/null; then
    xmllint --noout roof.svg || die "not XML"
else
    skipped "roof.svg as XML (no xmllint)"
fi
works bench --shapes s.txt --rounds 1 --plot roof.svg --json
stdout_has '"peak_gflops": '
stdout_has '"bandwidth_gbs": '
grep -q 'all shapes:' roof.svg || die "not the shapes"
works bench $TINY --rounds 1 --plot roof.svg --json
stdout_has '"layers": '
[ ! -e roof.svg.tmp ] || die "a temporary file was left"
fails 2 "--plot: 'roof.png' does not end in .svg" bench $TINY --plot roof.png
fails 2 "--plot: 'roof' does not end in .svg" bench $TINY --plot roof
: >file
fails 1 "--plot: 'file' is a file, and a folder is needed there" bench $TINY --plot file/roof.svg
rm file
mkdir d.svg
fails 2 "--plot: 'd.svg' is a folder" bench $TINY --plot d.svg
fails 2 '--seeds is about whole pictures' bench $TINY --seeds 2
fails 2 '--eta is about whole pictures' bench $TINY --eta 0
fails 2 "--cache: '1' is not a whole number from 2" bench $TINY --cache 1

# What everybody wants to know stands last.
works bench $TINY --rounds 2
tail -n 1 "$OUT" | grep -Eq '^a 64 x 64 picture of 50 steps takes about [0-9.e-]+ s$' || die "the last line is another"
works bench $TINY --rounds 2 --json
stdout_has '"picture_50_s": [0-9.]+'
# Guidance evaluates twice in the steps that have it, by the model's own settings: 30 % of the shipped one's.
scale=$(shipped_scale)
works bench --rounds 2
tail -n 1 "$OUT" | grep -Eq " of 50 steps takes about [0-9.e-]+ s, with guidance $scale over 30 % of the steps\$" ||
    die "guidance is not said"
works bench --rounds 2 --json
awk -F'[:,]' '/"eps_s"/ { e = $2 } /"decode_s"/ { d = $2 } /"picture_50_s"/ { p = $2 }
    END { w = 65 * e + d; exit !(p > 0.999 * w && p < 1.001 * w) }' "$OUT" || die "50 steps, 15 of them guided"
works bench --rounds 1 --steps 4 --scale 5 --scale-to 1
tail -n 1 "$OUT" | grep -Eq ' of 4 steps takes [0-9.e-]+ s, with guidance 5$' || die "guidance in all steps"
works bench --model demo --rounds 1
tail -n 1 "$OUT" | grep -Eq ' takes about [0-9.e-]+ s$' || die "no guidance where there is none"
