# SPDX-License-Identifier: MIT
# ldm check on the checkpoint of one model with the YAML of another, of every two models: the file is
# never called incomplete, a cause is always known, and every --set that is proposed makes the whole fit.
MODELS=$SRC/tests/data/models
NAMES=$(cd "$MODELS" && echo *.ckpt | sed 's/\.ckpt//g')

# The report as one line.
said()
{
    ldm check "$@"
    tr -s ' \n' ' ' <"$OUT" >said
}

for ckpt in $NAMES; do
    for yaml in $NAMES; do
        [ "$ckpt" != "$yaml" ] || continue
        said --ckpt "$MODELS/$ckpt.ckpt" --config "$MODELS/$yaml.yaml"
        file_lacks said 'incomplete'
        file_lacks said 'no known cause'
        file_lacks said 'DAMAGED'
        file_lacks said 'cure: --set'
        [ "$CODE" -eq 3 ] || file_has said 'this configuration describes .* it belongs to another model'
    done
done

# The conditioner's tensor alone is missing; and it is one too many, which a run does not mind.
said --ckpt "$MODELS/superres.ckpt" --config "$MODELS/semantic.yaml"
file_has said "no tensor of the configuration's conditioner .*SpatialRescaler.*: either the configuration belongs to another"
file_has said 'Next: use the YAML that was published with this checkpoint, or let .ldm doctor'
works check --ckpt "$MODELS/semantic.ckpt" --config "$MODELS/superres.yaml"
stdout_has '^  FITS, 1 warning$'
# A whole model, and a YAML of a first stage.
said --ckpt "$MODELS/labels.ckpt" --config "$MODELS/kl.yaml"
file_has said 'this configuration describes a first stage alone, and the file holds a UNet and no first stage cure: use the YAML'

# Stable Diffusion 1 and 2: the published YAMLs on files of the other kind.
said --ckpt "$MODELS/clip.ckpt" --config "$SRC/configs/v2-inference.yaml"
file_has said 'is a text model with CLIP, as Stable Diffusion 1, and this .* with OpenCLIP, as Stable Diffusion 2: it belongs to another model \(context_dim 64, not 1024\)'
said --ckpt "$MODELS/openclip.ckpt" --config "$SRC/configs/v1-inference.yaml"
file_has said 'is a text model with OpenCLIP, as Stable Diffusion 2, and this .* with CLIP, as Stable Diffusion 1: it belongs'
said --ckpt "$MODELS/clip.ckpt" --config "$MODELS/sd_inpaint.yaml"
file_has said "and this configuration describes an inpainting model with CLIP, as Stable Diffusion 1's: it belongs to another model \(in_channels 4, not 9\)"

# Settings that only the conditioner's tensors show, and heads that cannot divide.
CLASS="--ckpt $MODELS/class.ckpt --config $MODELS/class.yaml"
UNET=model.params.unet_config.params
said $CLASS --set model.params.cond_stage_config.params.n_classes=10
file_has said 'tensors show n_classes 6, the configuration says 10 \(--set\) cure: --set model.params.cond_stage_config.params.n_classes=6 '
said $CLASS --set $UNET.num_heads=5
file_has said 'Causes num_heads 5 \(--set\) does not divide the 32 channels of the checkpoint.s attention'
# One of two differences is proposed with the other, and both make it fit.
works check $CLASS --set $UNET.num_heads=4
said $CLASS --set $UNET.in_channels=4 --set $UNET.out_channels=4
file_has said 'Next: run again with --set [^ ]*in_channels=3 --set [^ ]*out_channels=3'
