# SPDX-License-Identifier: MIT
# What `ldm check` warns about settings that no tensor's shape shows, `ldm generate` says, too; the shipped
# model triggers none of it. FITS is kept for files that fit and of which pictures can be made.

# --set of a setting that no shape shows
works generate --ckpt "$CKPT" --config "$CONFIG" --steps 2 -o a.png \
    --set model.params.unet_config.params.num_head_channels=16
stderr_has 'warning: .*num_head_channels=16 \(--set\) shows in no tensor'
works check --ckpt "$CKPT" --config "$CONFIG" --set model.params.unet_config.params.num_head_channels=16
stdout_has 'FITS, 1 warning'

# a scale factor that the codebook contradicts, on the shipped model, which is silent as it comes
works generate --model demo --steps 2 -o b.png
stderr_lacks 'warning'
works generate --steps 2 --prompt 'a man' -o b2.png
stderr_lacks 'warning'
works generate --model demo --steps 2 -o c.png --set model.params.scale_factor=1.0
stderr_has "warning: scale_factor 1 .* is implausible: the codebook's entries"
works check
stdout_lacks 'warning'

# A mistyped key: the original would not take it. What its classes take and ignore is none.
sed 's/^  params:$/&\n    scale_facter: 0.5/' "$CONFIG" >typed.yaml
works check --ckpt "$CKPT" --config typed.yaml
stdout_has '^  FITS, 1 warning$'
stdout_has 'But model.params.scale_facter is no'
stdout_has 'did you mean scale_factor[?]'
stdout_has '^  warning +typed.yaml:[0-9]+: model.params.scale_facter is no parameter'
works check --ckpt "$CKPT" --config typed.yaml --json
stdout_has '"headline": "FITS, 1 warning"'
works generate --ckpt "$CKPT" --config typed.yaml --steps 1 -o typed.png
stderr_has 'warning: typed.yaml:[0-9]+: model.params.scale_facter is no parameter of the model and is ignored; did you mean scale_factor[?]$'
sed 's/^  params:$/&\n    scale_facter: 0.5\n    my_own: 3/' "$CONFIG" >typed2.yaml
works check --ckpt "$CKPT" --config typed2.yaml
stdout_has '^  FITS, 2 warnings$'
stdout_has 'and 1 more'
sed 's/^\( *\)z_channels:/\1other_programs: 3\n&/' "$CONFIG" >ignored.yaml
works check --ckpt "$CKPT" --config ignored.yaml
stdout_has 'ddconfig.other_programs: unknown'
stdout_has '^  FITS$'
works generate --ckpt "$CKPT" --config ignored.yaml --steps 1 -o typed.png
stderr_lacks 'warning'
stderr_has 'note: ignored.yaml:[0-9]+: model.*other_programs is no parameter'

# a model that fits and of which ldm makes no pictures
printf 'model:\n  params:\n    unet_config:\n      params:\n        in_channels: 7\n' >seven.yaml
CODE=0
"$LDM" check --ckpt "$CKPT" --config "$CONFIG" --config seven.yaml >"$OUT" 2>"$ERR" || CODE=$?
[ $CODE -eq 3 ] || die "another number of channels does not fit: exit code 3, not $CODE"
stdout_has 'DOES NOT FIT'
