# SPDX-License-Identifier: MIT
# ldm inspect: what is in a file.

works inspect "$CKPT"
stdout_has 'torch'
stdout_has '415'
stderr_empty
works inspect "$CKPT" --keys --all
stdout_has 'model.diffusion_model.input_blocks.0.0.weight'
stdout_has 'model_ema.diffusion_modelout2bias'
works inspect "$CKPT" --json
[ "$(head -c 1 "$OUT")" = '{' ] || die "not a JSON object"
stdout_has '_rebuild_tensor_v2'
works inspect "$CONFIG"
stdout_has 'LatentDiffusion'
works inspect "$CONFIG" --shapes
stdout_has '[0-9]'
works inspect "$CONFIG" --shapes --json
[ "$(head -c 1 "$OUT")" = '{' ] || die "not a JSON object"

# Without a tensor there is nothing to list.
printf '\002\000\000\000\000\000\000\000{}' >none.safetensors
works inspect none.safetensors --keys
stdout_is ''
stderr_empty
works inspect none.safetensors --keys --json
stdout_is '[]'

fails 1 "nothing.*No such file" inspect nothing
mkdir empty whole
fails 2 "empty is a folder without a checkpoint" inspect empty
cp "$CKPT" whole/model.ckpt
works inspect whole --keys
stderr_has 'note: this is about whole/model.ckpt'
rm -r empty whole
mkfifo pipe
fails 1 "pipe is a pipe, expected a regular file" inspect pipe # and not waited for
fails 1 "/dev/null is a device, expected a regular file" generate --ckpt /dev/null --config "$CONFIG"
: >empty
fails 1 "empty" inspect empty
head -c 4096 /dev/zero >zeros
fails 1 "zeros" inspect zeros
printf '# A page\n\nof *words*: [\n' >page.md
for f in empty page.md; do
    fails 1 "$f: byte 0: .*, expected a PyTorch checkpoint .*, safetensors, a YAML file or a picture that ldm made" inspect $f
done
head -c 700000 "$CKPT" >cut.ckpt
fails 1 "cut.ckpt" inspect cut.ckpt

# A picture of ours says what made it, and how to make it again.
works generate $TINY --steps 2 --seed 77 -o made.png --quiet
works inspect made.png
stdout_has '^made\.png: a picture that ldm made, from$'
stdout_has '^  seed +77$'
stdout_has '^  checkpoint\.name +model\.ckpt$'
stdout_has '^  config +YAML of [0-9]+ bytes; --all shows it$'
stdout_has '^The same again: ldm generate --like made\.png$'
works generate $TINY --steps 1 --eta 0.3 -o third.png --quiet # numbers as they were typed
works inspect third.png
stdout_has '^  eta +0\.3$'
grep -aq '"eta": 0\.3,' third.png || die "the recipe has other digits than 0.3"
works inspect made.png --all
stdout_has '^ +model_channels: '
works inspect made.png --json
stdout_has '^  "seed": 77,$'
works generate --ckpt "$CKPT" --like made.png -o made.jpg --quiet
works inspect made.jpg
stdout_has '^  seed +77$'
# What a stranger wrote reaches no terminal as it is, and a damaged recipe is called one.
LC_ALL=C sed 's/"precision": "f32",/"p": "\\u001b[2J",  /' made.jpg >odd.jpg
works inspect odd.jpg
stdout_has '^  p +\?\[2J$'
stdout_lacks "$(printf '\033')"
LC_ALL=C sed 's/"precision": /"precision"! /' made.jpg >odd.jpg
fails 1 'odd.jpg: the recipe is damaged: line [0-9]+' inspect odd.jpg
ldm inspect odd.jpg --json
[ "$CODE" -eq 1 ] || die "exit code 1"
stdout_has '"error": ".*the recipe is damaged'
fails 1 'holds no recipe' inspect "$SRC/models/demo/samples.png"

# A text encoder's size is its checkpoint's: a YAML alone is taken at its word, and the difference from the published
# encoder is named.
works inspect "$SRC/tests/data/models/clip.yaml"
stdout_has '/clip.yaml: a latent diffusion model$'
stdout_has 'text +12 layers of width 64, .*another size than CLIP ViT-L/14'
# What is wrong is named, and what can be read is shown.
sed 's/context_dim: 64/context_dim: 77/' "$SRC/tests/data/models/clip.yaml" >wrong.yaml
ldm inspect wrong.yaml
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stdout_has '^wrong.yaml: Stable Diffusion v1, whose configuration is wrong$'
stdout_has '^  UNet +known '
stdout_has 'context_dim: is 77, and the conditioner'
stdout_has '^  scale_factor +0.18215 +line 12$'
stderr_has '^wrong.yaml:26:22: .*context_dim: is 77, and the conditioner .* gives contexts of 768 values$'
ldm inspect wrong.yaml --json
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stdout_has '"wrong.yaml:26:22: .*context_dim: is 77'
fails 1 'context_dim: is 77' inspect wrong.yaml --shapes
