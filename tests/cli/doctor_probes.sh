# SPDX-License-Identifier: MIT
# ldm doctor, by what it measures on the network of the shipped model.

# Heads, scale and tanh_out wrong at once, found without pictures of one's own.
TANH=model.params.first_stage_config.params.ddconfig.tanh_out
ldm doctor --model demo --set model.params.unet_config.params.num_head_channels=16 --set model.params.scale_factor=1.0 \
    --set $TANH=true --json
[ "$CODE" -eq 3 ] || die "expected exit code 3"
stdout_has '"model.params.unet_config.params.num_head_channels=32"'
stdout_has '"model.params.scale_factor=0.18215"'
stdout_has "\"$TANH=false\""
stdout_has '"first_stage.channel_order": '
stdout_has '"found": 32'
stdout_has 'renders of portraits'

# Without a YAML the size of the pictures is a guess; the network knows one size, and then makes the
# pictures that it makes with its own YAML.
mkdir alone
cp "$SRC/models/demo/model.ckpt" alone
ldm doctor --ckpt alone/model.ckpt --write-config made.yaml
[ "$CODE" -eq 3 ] || die "expected exit code 3"
stdout_has 'WRONG +image_size: 64, must be 16'
stdout_has "image_size=16' --set '[a-z._]*resolution=64' --set 'model.params.image_size=16'"
file_has made.yaml '^    image_size: 16  # measured: '
file_has made.yaml '^        image_size: 16  # measured: '
works generate --ckpt alone/model.ckpt --config made.yaml --steps 2 -o made.png
stderr_lacks 'does not say one latent shape'
works generate --model demo --steps 2 -o given.png
same_pixels made.png given.png

# Heads that make no difference are no "ok" of which the doctor is half sure.
# How long it takes was said before it began, and was about so, in one of three tries: other programs may
# run beside.
close=no
for try in 1 2 3; do
    works doctor
    stdout_has HEALTHY
    stdout_lacks '^  ok .*\(50 % sure\)'
    said=$(sed -n 's/.*this takes about \([0-9]*\) s, and \([0-9]*\) s more where.*/\1 \2/p' "$ERR")
    took=$(sed -n 's/^HEALTHY.*(\([0-9]*\)[.][0-9]* s)$/\1/p' "$OUT")
    said=$((${said% *} + ${said#* }))
    [ $((3 * said)) -ge "$took" ] && [ $said -le $((3 * took + 5)) ] || continue
    close=yes
    break
done
[ $close = yes ] || die "said $said s, took $took s"

# Damaged weights are named. range FILE TENSOR: the bytes in which a safetensors file holds it.
range()
{
    header=$(od -An -t u8 -N 8 "$1" | tr -d ' ')
    tail -c +9 "$1" | head -c "$header" | grep -o "\"$2\":{[^}]*\"data_offsets\":\[[0-9]*,[0-9]*\]" |
        sed 's/.*\[\([0-9]*\),\([0-9]*\)\]$/\1 \2/' >at
    read -r from to <at
    from=$((from + 8 + header)) size=$((to + 8 + header - from))
}
# plant FILE FROM: bytes of the file FROM in the place of the tensor of the last range.
plant()
{
    dd if="$2" of="$1" iflag=count_bytes oflag=seek_bytes count=$size seek=$from conv=notrunc 2>/dev/null
}
works convert --model demo -o model.safetensors
BLOCK=model.diffusion_model.input_blocks
range model.safetensors $BLOCK.1.0.in_layers.2.weight
tail -c +$((from + 1)) model.safetensors | head -c $size >other
range model.safetensors $BLOCK.1.0.out_layers.3.weight
plant model.safetensors other
range model.safetensors $BLOCK.3.0.out_layers.3.weight
plant model.safetensors /dev/zero
ldm doctor --ckpt model.safetensors --json
[ "$CODE" -eq 3 ] || die "expected exit code 3"
stdout_has '"weights.twice"'
stdout_has "the numbers of another tensor in 1 tensor: $BLOCK.1.0.out_layers.3.weight .those of $BLOCK.1.0.in_layers.2.weight.; no setting cures it: get the file again"
stderr_lacks "%" # no parts with --json
stdout_has '"weights.zero"'
stdout_has "nothing but zeros in 1 tensor: $BLOCK.3.0.out_layers.3.weight"
stdout_has '"cures": \[\]'
head -c $size /dev/zero | tr '\000' '\177' >not_finite # of float16
plant model.safetensors not_finite
ldm doctor --ckpt model.safetensors --json
[ "$CODE" -eq 3 ] || die "expected exit code 3"
stdout_has "NaN or infinity in 1 tensor: $BLOCK.3.0.out_layers.3.weight"
