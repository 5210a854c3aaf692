# SPDX-License-Identifier: MIT
# ldm doctor --quick on a file with the shapes of a published model (the layout model's levels, with fewer blocks): what no
# tensor shows and is another's than the published one's is undecided, with both values and the cure.
: "${MAKE_CKPT:?names the program that makes checkpoints}"
sed -e 's/model_channels: 32/model_channels: 128/; s/channel_mult: \[1\]/channel_mult: [1, 2, 3, 4]/' \
    -e 's/attention_resolutions: \[1\]/attention_resolutions: [8]/; s/num_heads: 1/num_head_channels: 32/' \
    -e 's/ch_mult: \[1, 1\]/ch_mult: [1, 1, 1]/; s/legacy: false/legacy: true/' \
    "$SRC/tests/data/models/layout.yaml" >layout.yaml
"$MAKE_CKPT" layout.yaml 1 layout.safetensors || die "no checkpoint"
MODEL='--ckpt layout.safetensors --quick'
UNET=model.params.unet_config.params

works doctor $MODEL --config layout.yaml
stdout_has '^HEALTHY as far as'
ldm doctor $MODEL --config layout.yaml --set model.params.scale_factor=0.5 --set $UNET.num_head_channels=64 \
    --set model.params.parameterization=v --write-config out.yaml
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stdout_has '^  undecided scale_factor: 0.5 \(--set\)$'
stdout_has 'layout2img-openimages256 as published, whose shapes these are, has scale_factor 1.0; .* --set model.params.scale_factor=1.0$'
stdout_has '^  undecided unet_config.params.num_head_channels: 64 \(--set\)$'
stdout_has 'has num_head_channels 32; .* --set model.params.unet_config.params.num_head_channels=32$'
stdout_has '^  undecided parameterization: v \(--set\)$'
stdout_has '^UNDECIDED'
file_has out.yaml '^# .ldm doctor. could not tell: scale_factor, parameterization, num_head_channels$'

# The published setting may be the other of the two.
ldm doctor $MODEL --config layout.yaml --set $UNET.num_head_channels=-1 --set $UNET.num_heads=8
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stdout_has '^  undecided unet_config.params.num_heads: 8 \(--set\)$'
ldm doctor $MODEL --config none --set $UNET.num_head_channels=16
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stdout_has '^  undecided unet_config.params.num_head_channels: 16 \(--set\)$'
stdout_lacks '^  ok +unet_config.params.num_head_channels'
rm layout.safetensors
