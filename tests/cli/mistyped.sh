# SPDX-License-Identifier: MIT
# A mistyped key or class in a YAML: the message points to it and says what was meant, in check, generate and doctor.
MODELS=$SRC/tests/data/models

# mistype SED MESSAGE: the YAML with a slip is refused by check and generate, with the line and what was meant.
mistype()
{
    sed "$1" "$MODELS/class.yaml" >slip.yaml
    differ slip.yaml "$MODELS/class.yaml"
    ldm check --ckpt "$MODELS/class.ckpt" --config slip.yaml
    [ "$CODE" -eq 1 ] || die "expected exit code 1"
    stderr_has "^(ldm check: )?slip.yaml:$2"
    fails 1 "slip.yaml:$2" generate --ckpt "$MODELS/class.ckpt" --config slip.yaml --class 1 -o no.png
}
meant() # SED LINE PATH NAME
{
    mistype "$1" "$2:[0-9]+: $3: is no parameter of the original's, and $4 is missing: did you mean that\\?"
}

UNET=model.params.unet_config.params
FIRST=model.params.first_stage_config.params
meant 's/num_heads: 1/num_head: 1/' 22 $UNET.num_head num_heads
meant 's/attention_resolutions:/attention_resolution:/' 19 $UNET.attention_resolution attention_resolutions
meant 's/model_channels:/model_chanels:/' 18 $UNET.model_chanels model_channels
meant 's/unet_config:/unet_confg:/' 12 model.params.unet_confg unet_config
meant 's/embed_dim: 3/embed_dm: 3/' 30 $FIRST.embed_dm embed_dim
meant 's/z_channels/z_chanels/' 32 $FIRST.ddconfig.z_chanels z_channels
meant 's/^      params:/      parms:/' 14 model.params.unet_config.parms params
meant 's/^  params:/  parms:/' 4 model.parms params
meant 's/^  target:/  taget:/' 3 model.taget target
meant 's/^model:/modle:/' 2 modle model
# What is spelled otherwise is not guessed at, nor a known key taken for a slip.
mistype 's/num_heads: 1/anything: 1/' '14:7: model.params.unet_config.params: neither num_heads nor num_head_channels is set'
mistype 's/ ch: 32,//' '32:[0-9]+: model.params.first_stage_config.params.ddconfig: ch is missing; the original demands it'

# null is said to be null.
mistype 's/timesteps: 1000/timesteps: null/' '7:16: model.params.timesteps: is null, expected 1 to 100000'
mistype 's/in_channels: 3$/in_channels: null/' '16:22: model.params.unet_config.params.in_channels: is null, expected 1 to 32768'

# A class: in the verdict and in what is to be typed next, which then works.
class() # SED PATH NAME
{
    sed "$1" "$MODELS/class.yaml" >slip.yaml
    works check --ckpt "$MODELS/class.ckpt" --config slip.yaml
    tr -s ' \n' ' ' <"$OUT" >said
    file_has said "Verdict .*$2.target is spelled like $3: did you mean that\\? Next: run again with --set $2.target=$3 \$"
    works check --ckpt "$MODELS/class.ckpt" --config slip.yaml --set "$2.target=$3"
    stdout_has '^  FITS$'
}
class 's/LatentDiffusion/LatentDifusion/' model ldm.models.diffusion.ddpm.LatentDiffusion
class 's/UNetModel/UNetModl/' model.params.unet_config ldm.modules.diffusionmodules.openaimodel.UNetModel
class 's/VQModelInterface/VQModelInterfac/' model.params.first_stage_config ldm.models.autoencoder.VQModelInterface
class 's/ClassEmbedder/ClassEmbeder/' model.params.cond_stage_config ldm.modules.encoders.modules.ClassEmbedder
