# SPDX-License-Identifier: MIT
# ldm generate --dry-run: what a run would take, and nothing else; runs that cannot fit are refused.

works generate $TINY --steps 4 -n 6 -o six --dry-run --quiet
stdout_has '^memory +[0-9.]+ MB weights, [0-9.]+ MB activations$'
stdout_has "[0-9.]+ MB together, of [0-9]+ MB \(this machine's\)"
stdout_has '^arithmetic +[0-9.]+ GFLOP a step and picture, [0-9.]+ GFLOP to decode one,$'
stdout_has 'GFLOP in all \(4 steps, 6 pictures\)'
stdout_has '^time +about [0-9.e-]+ s$'
stderr_empty
[ -z "$(ls -A)" ] || die "something was written: $(ls -A)"

works generate $TINY --steps 4 -n 6 -o six --grid --save-latent z.npy --max-memory 1G --dry-run --json --quiet
stdout_has '"dry_run": true'
stdout_has '"(weights|activations)_bytes": [1-9]'
# 6 pictures of 64 x 64 pixels for the sheet, and their latents of 3,16,16
stdout_has "\"results_bytes\": $((6 * (64 * 64 * 3 + 3 * 16 * 16 * 4))),"
stdout_has '"limit_bytes": 1073741824,'
stdout_has '"limit_given": true'
stdout_has '"estimated_seconds": [0-9.e-]+'
[ -z "$(ls -A)" ] || die "something was written: $(ls -A)"

# The figures are those of the run itself.
total=$(sed -n 's/.*"total_bytes": \([0-9]*\).*/\1/p' "$OUT")
works generate $TINY --steps 4 -n 6 -o six --json --quiet
stdout_has "\"memory_bytes\": $((total - 6 * (64 * 64 * 3 + 3 * 16 * 16 * 4))),"
rm -r six

# What is there already costs nothing (and is left alone).
works generate $TINY --steps 4 -n 3 -o six --quiet
: >six/00004.png.part-abcdef
works generate $TINY --steps 4 -n 6 -o six --resume --dry-run --quiet
stdout_has '^kept +3 of 6 pictures are there already'
stdout_has 'GFLOP in all \(4 steps, 3 pictures\)'
[ -e six/00004.png.part-abcdef ] || die "a dry run removed a file"
rm -r six

# Too much, whether dry or not: refused before any work.
for dry in --dry-run --quiet; do
    fails 1 'needs .* and --max-memory is 1\.05 MB' generate $TINY --max-memory 1M -o f.png $dry
    fails 1 'needs .* and --max-memory is .*smaller batch' generate $TINY --max-memory 30M -n 200 \
        --batch 200 -o many --quiet $dry
    fails 1 '^ldm generate: --max-memory: 100000 pictures kept .* make fewer' generate $TINY \
        --max-memory 100M -n 100000 --npz -o many --quiet $dry
    # 1024 pictures of 16 Mpixel at once: more than any machine that runs tests has
    fails 1 "needs .* and this machine has [0-9.]+ [GT]B; " generate $TINY \
        --shape 3,4096,4096 -n 1024 --batch 1024 -o many --quiet $dry
done

# The estimate is measured with the model's own parts: a run of many steps takes what it says, within a
# factor that a busy machine's noise leaves room for, in one of three tries, and ten times the pictures
# take ten times as long.
close=no
for try in 1 2 3; do
    works generate $TINY --steps 100 -n 8 -o many/ --dry-run --json --quiet --overwrite
    said=$(sed -n 's/.*"estimated_seconds": \([0-9.e-]*\).*/\1/p' "$OUT")
    works generate $TINY --steps 100 -n 8 -o many/ --json --quiet --overwrite
    took=$(sed -n 's/.*"seconds": \([0-9.e-]*\).*/\1/p' "$OUT" | head -1)
    echo "$said $took" | awk '{exit !($1 > $2 / 5 && $1 < $2 * 5)}' || continue
    close=yes
    break
done
[ $close = yes ] || die "estimated $said s, took $took s"
works generate $TINY --steps 1000 -n 2000 -o many/ --dry-run --quiet
stdout_has '^time +about ([0-9]+ min [0-9]+ s|[0-9]+ h [0-9]+ min)$'

# Guidance costs a second evaluation in the steps that it covers, and in no others.
per_eps()
{
    works generate --model portrait --prompt hat --steps 4 --dry-run --json --quiet "$@"
    sed -n 's/^ *"per_eps": \([0-9.e]*\),$/\1/p' "$OUT"
}
once=$(per_eps --scale 1) half=$(per_eps --scale 3 --scale-to 0.5) twice=$(per_eps --scale 3 --scale-to 1)
awk -v a="$once" -v b="$half" -v c="$twice" 'function is(x, y) { return x > 0.99999 * y && x < 1.00001 * y }
    BEGIN { exit !(a > 0 && is(c, 2 * a) && is(b, 1.5 * a)) }' ||
    die "per evaluation: $once unguided, $half half of it guided, $twice guided"
