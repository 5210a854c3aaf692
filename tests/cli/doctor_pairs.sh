# SPDX-License-Identifier: MIT
# ldm doctor on the checkpoint of one model with the YAML of another, of every two kinds of models: the
# YAML that it writes is one that ldm check calls fitting, and so is the wrong one with the cures as
# --set, in the order in which they are printed.
MODELS=$SRC/tests/data/models
KINDS='bert class clip inpaint layout openclip sd_inpaint semantic superres upscale'

# The cures of said.json as arguments; none holds a line break.
with_cures()
{
    sed -n '/"cures": \[/,/^  \]/s/^ *"\(.*\)",\{0,1\}$/\1/p' said.json >cures
    set --
    while IFS= read -r cure; do
        set -- "$@" --set "$cure"
    done <cures
    works check --ckpt "$MODELS/$ckpt.ckpt" --config "$MODELS/$yaml.yaml" "$@"
}

for ckpt in $KINDS; do
    for yaml in $KINDS labels; do
        [ $ckpt != $yaml ] || continue
        ldm doctor --ckpt "$MODELS/$ckpt.ckpt" --config "$MODELS/$yaml.yaml" --quick --json --write-config cured.yaml \
            --overwrite
        [ "$CODE" -eq 3 ] || [ "$CODE" -eq 0 ] || die "$ckpt with $yaml.yaml: expected exit code 3"
        cp "$ROOM/said/stdout" said.json
        works check --ckpt "$MODELS/$ckpt.ckpt" --config cured.yaml
        stdout_has '^  FITS'
        stdout_lacks 'CANNOT RUN HERE'
        with_cures
        stdout_has '^  FITS'
    done
done

# Of a part of another class the old parameters are gone, and the rest of the YAML is as it was.
works doctor --ckpt "$MODELS/clip.ckpt" --config "$MODELS/clip.yaml" --quick
ldm doctor --ckpt "$MODELS/clip.ckpt" --config "$MODELS/openclip.yaml" --quick --write-config cured.yaml --overwrite
stdout_has "--set 'model.params.cond_stage_config=' --set 'model.params.cond_stage_config=\{target: [a-zA-Z.]*FrozenCLIPEmbedder\}'"
file_lacks cured.yaml penultimate
file_has cured.yaml '^# Text as Stable Diffusion 2 has it'
