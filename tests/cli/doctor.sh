# SPDX-License-Identifier: MIT
# ldm doctor, by names, shapes and buffers: contradictions with their places and cures, the corrected
# YAML, and a checkpoint without a YAML.

mkdir alone
cp "$CKPT" alone/model.ckpt
ldm doctor --ckpt alone/model.ckpt --quick --write-config made.yaml
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stdout_has 'UNDECIDED: something could not be told'
stdout_has 'undecided .*num_head_channels'
stdout_has 'undecided image_size'
stderr_has 'is written to made.yaml'
# What is undecided says so in the YAML, and at its head; a second examination puts no second comment.
file_has made.yaml '^# `ldm doctor` could not tell: .*image_size'
file_has made.yaml '^    image_size: [0-9]+  # undecided: assumed: no tensor shows'
file_has made.yaml '^        num_head_channels: [0-9]+  # undecided: '
cp made.yaml once.yaml
ldm doctor $TINY --set model.params.parameterization=velocity --quick --write-config twice.yaml
file_has twice.yaml '^# `ldm doctor` could not tell: configuration$'
ldm doctor --ckpt "$CKPT" --config twice.yaml --quick --write-config thrice.yaml
same twice.yaml thrice.yaml
works doctor --ckpt "$CKPT" --config made.yaml --quick --write-config again.yaml
sed 1d made.yaml >rest.yaml
same again.yaml rest.yaml
works check --ckpt alone/model.ckpt --config made.yaml

# generate without a YAML refuses to guess, says what it assumed, and makes the picture that the YAML
# makes.
HEADS=model.params.unet_config.params.num_head_channels=16
fails 2 'a guess would be num_head_channels' generate --ckpt alone/model.ckpt --shape 3,8,8 --steps 2 -o made.png
works generate --ckpt alone/model.ckpt --set $HEADS --shape 3,8,8 --steps 2 -o made.png
stderr_has 'no configuration was given: it is made from the tensors.*; nothing shows the size of the pictures that it was trained on: ([0-9]+) x \1 are assumed'
works generate --ckpt alone/model.ckpt --set $HEADS --set model.params.unet_config.params.image_size=8 \
    --steps 2 -o sized.png
stderr_lacks 'nothing shows the size'
works generate $TINY --shape 3,8,8 --steps 2 -o given.png
same_pixels made.png given.png
fails 2 'no configuration given for alone/model.ckpt' check --ckpt alone/model.ckpt

# Every contradiction with its line; the cures make it fit; comments and order stay.
sed -e 's/num_res_blocks: 1 *$/num_res_blocks: 3 # of mine/' -e 's/linear_end: .*/linear_end: 0.02 # a guess/' \
    "$CONFIG" >wrong.yaml
differ wrong.yaml "$CONFIG"
ldm doctor --ckpt "$CKPT" --config wrong.yaml --quick --write-config right.yaml
[ "$CODE" -eq 3 ] || die "expected exit code 3"
stdout_has 'linear_end: 0.02 [(]wrong.yaml:[0-9]+[)], must be'
stdout_has 'num_res_blocks: 3 [(]wrong.yaml:[0-9]+[)], must be 1'
file_has right.yaml 'num_res_blocks: 1 # of mine'
file_has right.yaml '# a guess'
works check --ckpt "$CKPT" --config right.yaml
works doctor --ckpt "$CKPT" --config right.yaml --quick
stdout_has HEALTHY

ldm doctor --ckpt "$CKPT" --config wrong.yaml --quick --json
[ "$CODE" -eq 3 ] || die "expected exit code 3"
stdout_has '"verdict": "change"'
stdout_has '"model.params.linear_end=0.0'
stdout_has '"sure": 1'

# Nothing that it could examine.
printf 'x' >text.ckpt
fails 1 '' doctor --ckpt text.ckpt --config "$CONFIG"
fails 1 'no such file|No such file' doctor --ckpt nothing.ckpt --config "$CONFIG"
ldm doctor --ckpt text.ckpt --config "$CONFIG" --json
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stdout_has '"error": "'
mkdir empty
fails 2 'holds no .png, .jpg or .jpeg' doctor $TINY --images empty

# A network that has learned nothing: no setting is concluded from it.
ldm doctor $TINY --json
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stdout_has '"verdict": "untrained"'
stdout_has '"cures": \[]'
fails 2 'belong together' doctor $TINY --fix
fails 2 'belong together' doctor $TINY -- generate
ldm doctor $TINY --quick --threads 1 --quiet
stderr_empty
