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

# A first stage in a file of its own takes the place of the checkpoint's.
works generate --ckpt "$CKPT" --first-stage raw.safetensors --config "$CONFIG" --no-ema --steps 2 --shape 3,8,8 -o b.png --overwrite
same_pixels a.png b.png

fails 2 '-o is missing' convert $TINY
fails 2 'exclude each other' convert $TINY --half --bf16 -o x.safetensors
fails 1 'No such file' convert --ckpt nothing.ckpt --config "$CONFIG" -o x.safetensors

# Folders that are missing are made, as for pictures.
works convert $TINY -o new/folder/x.safetensors
[ -s new/folder/x.safetensors ] || die "not written"

works convert $TINY -o quiet.safetensors --quiet
stderr_empty
