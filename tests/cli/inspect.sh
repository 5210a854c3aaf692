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
fails 1 "pipe is not a regular file" inspect pipe # and not waited for
: >empty
fails 1 "empty" inspect empty
head -c 4096 /dev/zero >zeros
fails 1 "zeros" inspect zeros
head -c 700000 "$CKPT" >cut.ckpt
fails 1 "cut.ckpt" inspect cut.ckpt
