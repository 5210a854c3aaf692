# SPDX-License-Identifier: MIT
# Models that ldm knows in part: check and inspect report what can be read, all reasons at once.

# The small model, its class or a part of it replaced by what no version of ldm knows.
printf 'model: {target: ldm.models.diffusion.ddpm.LatentDepth2ImageDiffusion}\n' >depth.yaml
printf 'model: {params: {first_stage_config: {target: somebodys.own.Stage}}}\n' >stage.yaml
printf 'model: {params: {cond_stage_config: {target: somebodys.own.Encoder}}}\n' >cond.yaml

works check $TINY --config depth.yaml
stdout_has '^Model +Stable Diffusion 2, depth to picture$'
stdout_has '^  model +refused +ldm.models.diffusion.ddpm.LatentDepth2ImageDiffusion +depth.yaml:1$'
stdout_has '^  UNet +known'
stdout_has '^  model.diffusion_model +FOUND +([0-9]+) of \1 '
stdout_has '^Why this version of ldm cannot run it$'
stdout_has '^  FITS, BUT CANNOT RUN HERE$'
stderr_empty

works check $TINY --config depth.yaml --config stage.yaml --config cond.yaml
stdout_has 'first_stage_model +not compared'
stdout_has 'somebodys.own.Stage;'
stdout_has 'somebodys.own.Encoder;'
stdout_has '^  FITS AS FAR AS IT IS KNOWN, BUT CANNOT RUN HERE$'
works check $TINY --config depth.yaml --json
stdout_has '"runs": false'
stdout_has '"headline": "FITS, BUT CANNOT RUN HERE"'

# What is known must still fit.
ldm check $TINY --config depth.yaml --set model.params.unet_config.params.model_channels=64
[ "$CODE" -eq 3 ] || die "expected exit code 3"
stdout_has '^  DOES NOT FIT$'
stdout_has 'input_blocks00weight  has shape \[32, .*, expected \[64, '
stdout_has 'the configuration says 64 .config.yaml:[0-9]+.|model_channels=32'

# generate: one line, all reasons, what it is and where more is said.
fails 1 '^depth.yaml:1:.*LatentDepth2ImageDiffusion.*; also .*somebodys.own.Stage; this is Stable Diffusion 2, depth to picture; .ldm check. reports' \
    generate $TINY --config depth.yaml --config stage.yaml -o f.png

# inspect lists a configuration whatever it is of.
cat "$CONFIG" >whole.yaml
sed -i 's/ldm.models.autoencoder.VQModelInterface/somebodys.own.Stage/' whole.yaml
works inspect whole.yaml
stdout_has '^whole.yaml: a model, which this version of ldm cannot run$'
stdout_has '^  first stage +refused +somebodys.own.Stage'
stdout_has '^  unet_config.params.model_channels +32 +line [0-9]+$'
works inspect whole.yaml --json
stdout_has '"runs": false'
works inspect depth.yaml
stdout_has 'LatentDepth2ImageDiffusion'

# A --set that nothing reads is an error here, too, with the path that was meant.
fails 2 'set scale_factor: the model has no such parameter; did you mean model.params.scale_factor\?' \
    check $TINY --set scale_factor=0.18215
fails 2 'set nonsense: the model has no such parameter' check $TINY --set nonsense=1
