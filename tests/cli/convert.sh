# SPDX-License-Identifier: MIT
# ldm convert: one safetensors file, its YAML beside it, the same pictures.

works convert $TINY -o out.safetensors
stdout_has 'eps of both is equal bit by bit'
works generate $TINY --steps 2 --shape 3,8,8 -o a.png
works generate --ckpt out.safetensors --steps 2 --shape 3,8,8 -o b.png
stderr_has 'the YAML file out.yaml is taken'
same_pixels a.png b.png
file_has out.yaml 'use_ema: false'
works check --ckpt out.safetensors --config out.yaml
works inspect out.safetensors
cp out.safetensors first
works convert $TINY -o out.safetensors --overwrite
same out.safetensors first

works convert $TINY --raw -o raw.safetensors
stdout_has 'raw weights'
works generate $TINY --no-ema --steps 2 --shape 3,8,8 -o a.png --overwrite
works generate --ckpt raw.safetensors --config raw.yaml --steps 2 --shape 3,8,8 -o b.png --overwrite
same_pixels a.png b.png
works convert $TINY --bf16 -o bf16.safetensors
stdout_has 'for the types changed'

# Of float64 numbers, which are rounded twice.
"$MAKE_CKPT" "$CONFIG" 1 wide.safetensors f64 || die "no checkpoint of float64"
works convert wide.safetensors "$CONFIG" -o narrow.safetensors
stdout_has 'eps of both is equal bit by bit'
works convert wide.safetensors "$CONFIG" --half -o half.safetensors
stdout_has 'for the types changed'

# A first stage in a file of its own takes the place of the checkpoint's.
works generate --ckpt "$CKPT" --first-stage raw.safetensors --config "$CONFIG" --no-ema --steps 2 --shape 3,8,8 -o b.png --overwrite
same_pixels a.png b.png

fails 2 '-o is missing' convert $TINY
fails 2 "-o: 'bare' has no ending, .* name it bare.safetensors, or say --to diffusers" convert $TINY -o bare
fails 2 "-o: '/dev/null' is a device" convert $TINY -o /dev/null
fails 2 'exclude each other' convert $TINY --half --bf16 -o x.safetensors
fails 1 'No such file' convert --ckpt nothing.ckpt --config "$CONFIG" -o x.safetensors

# Folders that are missing are made, as for pictures.
works convert $TINY -o new/folder/x.safetensors
[ -s new/folder/x.safetensors ] || die "not written"

works convert $TINY -o quiet.safetensors --quiet
stderr_empty

# The natural name beside the source: its YAML, which was read, stays. What is to be said of the new file
# lies under a name of its own, which is found first, where it differs.
mkdir m && cp "$CKPT" m/face.ckpt && cp "$CONFIG" m/face.yaml
cp m/face.yaml before
works convert m/face.ckpt -o m/face.safetensors
stdout_has '^m/face.safetensors.yaml$'
same m/face.yaml before
file_has m/face.safetensors.yaml 'use_ema: false'
works generate --ckpt m/face.safetensors --steps 2 --shape 3,8,8 -o b.png --overwrite
stderr_has 'the YAML file m/face.safetensors.yaml is taken as --config'
works generate --ckpt m/face.ckpt --steps 2 --shape 3,8,8 -o a.png --overwrite
stderr_has 'the YAML file m/face.yaml is taken as --config'
same_pixels a.png b.png
rm m/face.safetensors
fails 1 'm/face.safetensors.yaml is there already; --overwrite' convert m/face.ckpt -o m/face.safetensors --quiet
works convert m/face.ckpt -o m/face.safetensors --overwrite
# A YAML that says the same is enough.
mkdir e && cp m/face.safetensors e/face.ckpt && cp m/face.safetensors.yaml e/face.yaml
echo '# mine' >>e/face.yaml
works convert e/face.ckpt -o e/face.safetensors
stdout_has '^e/face.yaml stays as it is: it says the same$'
file_has e/face.yaml '# mine'
[ ! -e e/face.safetensors.yaml ] || die "a second YAML"
# Nor may a new one take the place of the config.yaml beside a checkpoint of the same name.
mkdir c && cp "$CKPT" c/model.ckpt && cp "$CONFIG" c/config.yaml
works convert c/model.ckpt -o c/model.safetensors
stdout_has '^c/model.safetensors.yaml$'
[ ! -e c/model.yaml ] || die "model.ckpt would be read with it"

# A folder is what --to diffusers writes.
fails 2 "-o: 'convd/' is a folder, .*: name it convd/model.safetensors, or say --to diffusers" convert $TINY -o convd/
fails 2 "-o: 'm' is a folder, .*: name it m/model.safetensors, or say --to diffusers" convert $TINY -o m

# Values that are no numbers are converted, and said once. put FILE TENSOR VALUE SIZE BYTES: over one value
# of the SIZE bytes each; BYTES as printf has them.
put()
{
    length=$(od -An -t u8 -N 8 "$1" | tr -d ' ')
    start=$(tail -c +9 "$1" | head -c "$length" | grep -o "\"$2\":{[^}]*}" | sed 's/.*data_offsets":\[\([0-9]*\),.*/\1/')
    [ -n "$start" ] || die "no tensor $2 in $1"
    printf "$5" | dd of="$1" bs=1 seek=$((8 + length + start + $3 * $4)) conv=notrunc status=none
}
warned_once()
{
    stderr_has "$1"
    [ "$(grep -c 'warning: ' "$ERR")" -eq 1 ] || die "expected one warning"
    stdout_lacks 'warning: '
}
bias=model.diffusion_model.out.2.bias
weight=first_stage_model.decoder.conv_in.weight
works convert $TINY -o sound.safetensors --overwrite
stderr_lacks 'warning: '
cp raw.safetensors spoiled.safetensors
put spoiled.safetensors $bias 0 4 '\000\000\300\177'
put spoiled.safetensors $weight 1 4 '\000\000\200\377'
put spoiled.safetensors $weight 5 4 '\000\000\300\177'
for how in '' --half --bf16; do
    works convert --ckpt spoiled.safetensors --config "$CONFIG" --no-ema $how -o still$how.safetensors
    warned_once 'warning: 3 values are NaN or infinite, in 2 tensors of the source, first in [a-z_]+\.'
    stdout_lacks 'nan of its norm'
done
works convert --ckpt still--half.safetensors --config raw.yaml -o again.safetensors --quiet
warned_once 'warning: 3 values are NaN or infinite, in 2 tensors'
works convert --ckpt spoiled.safetensors --config "$CONFIG" --no-ema --to diffusers -o spoiled_folder
warned_once 'warning: 3 values are NaN or infinite, in 2 tensors'
cp wide.safetensors far.safetensors
put far.safetensors $weight 2 8 '\234\165\000\210\074\344\067\176' # 1e300
for how in '' --half; do
    works convert far.safetensors "$CONFIG" --no-ema $how -o far_out$how.safetensors
    warned_once "warning: 1 float64 value is more than float32 holds .* became infinite, in 1 tensor of the source, first in $weight"
done
put far.safetensors $bias 0 8 '\000\000\000\000\000\000\370\177'
works convert far.safetensors "$CONFIG" --no-ema -o far_out.safetensors --overwrite
warned_once 'warning: 1 value is NaN or infinite, 1 float64 value is more .*, in 2 tensors'
