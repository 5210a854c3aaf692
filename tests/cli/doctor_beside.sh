# SPDX-License-Identifier: MIT
# YAML files beside a checkpoint that are other models': ldm doctor, which needs none, leaves them, and
# the commands that take one say how to go without.
MODELS=$SRC/tests/data/models
HEADS=model.params.unet_config.params.num_head_channels=16

# Several: the doctor takes none, generate wants to be told.
mkdir two one
cp "$CKPT" two/model.ckpt
cp "$MODELS/clip.yaml" "$MODELS/class.yaml" two
ldm doctor --ckpt two/model.ckpt --quick
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stderr_has 'note: .*2 YAML files lie beside two/model.ckpt: class.yaml, clip.yaml; none is taken'
stdout_has 'no configuration was given: it is made from the tensors'
stdout_lacks WRONG
fails 2 'class.yaml, clip.yaml; name one with --config FILE, or none with --config none' \
    generate --ckpt two/model.ckpt -o x.png
works generate --ckpt two/model.ckpt --config none --set $HEADS --shape 3,8,8 --steps 2 -o none.png
stderr_has 'no configuration was given: it is made from the tensors'
works generate $TINY --shape 3,8,8 --steps 2 -o given.png
same_pixels none.png given.png

# One that does not belong to it.
cp "$CKPT" one/model.ckpt
cp "$MODELS/clip.yaml" one
ldm doctor --ckpt one/model.ckpt --quick
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stderr_has 'note: one/clip.yaml lies beside the checkpoint and is another model.s: it is not taken'
stdout_has 'no configuration was given'
stdout_lacks WRONG
ldm doctor --ckpt one/model.ckpt --quick --config one/clip.yaml
[ "$CODE" -eq 3 ] || die "expected exit code 3"
fails 3 'one/clip.yaml lies beside the checkpoint, and may be another model.s: .*--config none does without' \
    generate --ckpt one/model.ckpt --quiet -o x.png
works generate --ckpt one/model.ckpt --config none --set $HEADS --shape 3,8,8 --steps 2 -o again.png
same_pixels again.png given.png
printf 'services: {web: {image: x}}\n' >one/clip.yaml
ldm doctor --ckpt one/model.ckpt --quick
stderr_has 'one/clip.yaml lies beside the checkpoint and is another model.s'

# One of another name that belongs to it is taken, right or with a mistake; and the checkpoint's own
# name in any case.
cp "$CONFIG" one/clip.yaml
works doctor --ckpt one/model.ckpt --quick
stderr_has 'note: the YAML file one/clip.yaml is taken as --config'
sed 's/num_res_blocks: 1 *$/num_res_blocks: 3/' "$CONFIG" >one/clip.yaml
ldm doctor --ckpt one/model.ckpt --quick
[ "$CODE" -eq 3 ] || die "expected exit code 3"
stdout_has 'num_res_blocks: 3 [(]clip.yaml:[0-9]+[)], must be 1'
rm one/clip.yaml
cp "$MODELS/clip.yaml" one/model.yaml
ldm doctor --ckpt one/model.ckpt --quick
[ "$CODE" -eq 3 ] || die "expected exit code 3"
ldm doctor --ckpt one/model.ckpt --quick --config none
stdout_has '^  ldm doctor --ckpt one/model.ckpt --config none --write-config NEW.yaml$'
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stdout_lacks WRONG
# So is the checkpoint's whole name, as ldm convert may write it: it is judged, not left.
rm one/model.yaml
cp "$MODELS/clip.yaml" one/model.ckpt.yaml
ldm doctor --ckpt one/model.ckpt --quick
[ "$CODE" -eq 3 ] || die "expected exit code 3"
stderr_lacks "is another model's"
