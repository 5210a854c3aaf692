# SPDX-License-Identifier: MIT
# ldm serve: what it says as it starts, and where it cannot.
[ -x "${LDM%/*}/ldm-server" ] || { echo "skipped: ldm serve (this build has no ldm-server)"; exit 0; }

# Its help fits a terminal, and loses none of its words on the way.
works serve --help
stderr_empty
awk 'length > 80 { print; bad = 1 } END { exit bad }' "$OUT" || die "a line is wider than 80 columns"
tr -s ' \n' ' ' <"$OUT" >words
file_has words '--isa NAME instructions to compute with; default: the best that the CPU has\. Machines of different kinds'
file_has words '--models DIR offer every checkpoint in this folder, each with the YAML beside it --vocab'

# An option that nothing is written nearly like.
fails 2 "unknown option '--foo' [(]see" serve --foo

# What is loaded comes first, the address when it can be used.
CODE=0
timeout --foreground --preserve-status -s INT 2 "$LDM" serve $TINY --port 0 >"$OUT" 2>"$ERR" </dev/null || CODE=$?
[ "$CODE" -eq 0 ] || die "expected that it serves"
stderr_has "^ldm-server: loading the model 'model'; until it is open, /health at http://127\.0\.0\.1:[0-9]+/ answers 503$"
[ "$(wc -l <"$ERR")" -eq 1 ] || die "one line on stderr"
stdout_has '^listening on http://127\.0\.0\.1:[0-9]+/$'
[ "$(wc -l <"$OUT")" -eq 1 ] || die "one line on stdout"

# A folder of pictures belongs to one server; the other is told how to have its own.
"$LDM" serve $TINY --port 0 --out shared_out >first.out 2>/dev/null </dev/null &
FIRST=$!
for i in $(seq 100); do grep -q listening first.out && break; sleep 0.1; done
COMMAND='a second server in the same folder'
CODE=0
"$LDM" serve $TINY --port 0 --out shared_out >"$OUT" 2>"$ERR" </dev/null || CODE=$?
kill "$FIRST"
wait "$FIRST" || true
[ "$CODE" -eq 2 ] || die "expected exit code 2"
stderr_has '^ldm-server: shared_out: another server keeps its pictures there; .*--out DIR'

# A model that cannot be loaded: the reason is the last line, and nobody was told to come.
fails_to_load() { # CODE REASON CKPT CONFIG
    COMMAND="serve --ckpt $3 --config $4"
    CODE=0
    "$LDM" serve --ckpt "$3" --config "$4" --port 0 >"$OUT" 2>"$ERR" </dev/null || CODE=$?
    [ "$CODE" -eq "$1" ] || die "expected exit code $1"
    stdout_is ''
    [ "$(wc -l <"$ERR")" -eq 2 ] || die "two lines on stderr"
    head -1 "$ERR" | grep -q "^ldm-server: loading the model '" || die "what is loaded comes first"
    tail -1 "$ERR" | grep -q "^ldm-server: $2" || die "the reason comes last"
}
head -c 4096 /dev/zero >zeros.ckpt
sed 's/model_channels: [0-9]*/model_channels: 96/' "$CONFIG" >other.yaml
fails_to_load 1 'zeros.ckpt: ' zeros.ckpt "$CONFIG"
fails_to_load 1 'cannot open none.ckpt: ' none.ckpt "$CONFIG"
fails_to_load 3 '.*model.ckpt: .*model_channels' "$CKPT" other.yaml
