# SPDX-License-Identifier: MIT
# Every setting of a job on the command line: it is in the help, and what changes pixels comes back
# through the recipe and --like. The rows come from the library ($SETTINGS --list).

"$SETTINGS" --list >rows
[ "$(wc -l <rows)" -gt 10 ] || die "the list of settings is short"
works generate --help
cp "$OUT" help
n=0
while IFS='	' read -r option value key pixels sampler; do
    n=$((n + 1))
    grep -Eq "^  (-., )?$option( |\$)" help || die "$option is not in ldm generate --help"
    [ "$pixels" = pixels ] || continue
    given=$option
    [ "$value" = - ] || given="$option $value"
    [ "$key" = sampler ] || given="--sampler $sampler $given"
    steps="--steps 2"
    [ "$key" != steps ] || steps=
    # shellcheck disable=SC2086 # several words
    works generate $TINY $steps $given -o "$n.png" --quiet
    works generate --ckpt "$CKPT" --like "$n.png" -o again.png --quiet
    same "$n.png" again.png # the pixels and the recipe, byte by byte
done <rows
