# SPDX-License-Identifier: MIT
# Targets that ldm does not know: ldm check and ldm generate name the one that was meant, ldm doctor
# changes it, and nothing that ldm generate refuses is called healthy.
MODELS=$SRC/tests/data/models

# $1, a target of the YAML, misspelt as $2.
misspelt()
{
    sed "s/$1\$/$2/" "$CONFIG" >typo.yaml
    differ typo.yaml "$CONFIG"
    fails 1 "is [a-zA-Z.]*$2 [(]did you mean [a-zA-Z._]*$1\?[)]; of .* ldm knows" generate $TINY --config typo.yaml -o x.png
    ldm check --ckpt "$CKPT" --config typo.yaml
    tr -s '\n ' '  ' <"$OUT" >flat
    file_has flat "$2 [(]did you mean [a-zA-Z._]*$1\?[)]"
    ldm doctor --ckpt "$CKPT" --config typo.yaml --quick --write-config cured.yaml --overwrite
    [ "$CODE" -eq 3 ] || die "$2: expected exit code 3"
    stdout_has "WRONG .*$2 [(]typo.yaml:[0-9]+[)], must be [a-zA-Z._]*$1"
    stdout_lacks undecided
    same cured.yaml "$CONFIG"
}
misspelt LatentDiffusion LatentDifusion
misspelt UNetModel UnetModel
misspelt VQModelInterface VQModelInterfce
misspelt __is_unconditional__ __is_unconditonal__
sed "s/FrozenCLIPEmbedder/FrozenClipEmbedder/" "$MODELS/clip.yaml" >typo.yaml
ldm doctor --ckpt "$MODELS/clip.ckpt" --config typo.yaml --quick --write-config cured.yaml --overwrite
[ "$CODE" -eq 3 ] || die "expected exit code 3"
same cured.yaml "$MODELS/clip.yaml"

# No target at all, and one of somebody's own.
sed '/UNetModel/d' "$CONFIG" >none.yaml
ldm doctor --ckpt "$CKPT" --config none.yaml --quick --write-config cured.yaml --overwrite
[ "$CODE" -eq 3 ] || die "expected exit code 3"
works check --ckpt "$CKPT" --config cured.yaml
sed 's/ldm.modules.*UNetModel$/somebodys.own.Network/' "$CONFIG" >own.yaml
ldm doctor --ckpt "$CKPT" --config own.yaml --quick
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stdout_has 'ldm knows no somebodys.own.Network; the tensors are those of [a-zA-Z.]*UNetModel'

# What no tensor contradicts and a run refuses all the same; by its path, not by a place in a file
# that nobody has.
ldm doctor $TINY --set model.params.parameterization=velocity --quick
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stdout_has 'ldm does not run it: model.params.parameterization: is velocity'
ldm doctor $TINY --set model.params.parameterization=velocity
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stdout_lacks '[a-z]:[0-9]+:[0-9]+'

# A text encoder that the file does not have, of another width than the published one, is a mismatch.
ldm check --ckpt "$MODELS/clip.ckpt" --config "$MODELS/openclip.yaml"
[ "$CODE" -eq 3 ] || die "expected exit code 3"
stdout_has '^  DOES NOT FIT'
stderr_empty
fails 3 'tensors that a run reads do not fit' generate --ckpt "$MODELS/clip.ckpt" --config "$MODELS/openclip.yaml" -o x.png

# What a run refuses is named with its cause, as ldm check names it.
MODELS=$SRC/tests/data/models
ldm doctor --ckpt "$MODELS/class.ckpt" --config "$MODELS/class.yaml" --quick --set model.params.unet_config.params.num_heads=5
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stdout_has 'Cause: num_heads 5 does not divide the 32 channels of the checkpoint.s attention; set num_heads to'
