# SPDX-License-Identifier: MIT
# ldm generate: files that are wrong. One line each, no file left behind.

fails 1 "nothing.ckpt.*No such file" generate --ckpt nothing.ckpt --config "$CONFIG"
fails 1 "cannot open runwayml/stable-diffusion-v1-5: .* nothing is loaded from the network; download that model" \
    generate --ckpt runwayml/stable-diffusion-v1-5
fails 1 "cannot open none/last.ckpt: No such file" generate --ckpt none/last.ckpt --config "$CONFIG"
for arguments in "--ckpt https://host/x.file --config $CONFIG" "--ckpt $CKPT --config https://host/x.file" \
    "$TINY --init https://host/x.file"; do
    fails 1 "cannot open https://host/x.file: .* nothing is loaded from the network; download it" generate $arguments
done
fails 2 "'https://host/x.ckpt' is no file: nothing is loaded from the network" generate https://host/x.ckpt
fails 1 "nothing.yaml.*No such file" generate --ckpt "$CKPT" --config nothing.yaml
fails 2 "is a folder without a checkpoint" generate --ckpt . --config "$CONFIG"
fails 2 "[.] is a folder without a configuration" generate --ckpt "$CKPT" --config .

: >empty
printf 'hello world, this is no checkpoint\n' >text
head -c 4096 /dev/zero >zeros
head -c 700000 "$CKPT" >cut.ckpt
for f in empty text zeros cut.ckpt; do
    fails 1 "^ldm generate: $f[: ]" generate --ckpt $f --config "$CONFIG"
done
fails 1 "^text:1:1: the file is text" generate --ckpt "$CKPT" --config text
printf 'model:\n  params: [1, 2\n' >broken.yaml
fails 1 "broken.yaml:[0-9]+:[0-9]+" generate --ckpt "$CKPT" --config broken.yaml
printf 'model:\n  a: 1\n  a: 2\n' >twice.yaml
fails 1 "twice.yaml:3" generate --ckpt "$CKPT" --config twice.yaml
printf 'model:\n  target: other.Model\n' >other.yaml
fails 1 "other.yaml:2:11: model.target: is other.Model" generate --ckpt "$CKPT" --config other.yaml

# --set
fails 2 "--cache: '0' is not a whole number from 1" generate $TINY --cache 0
printf 'ldm:\n  sampling: {cache: 0}\n' >cache.yaml
fails 1 "cache.yaml:2:21: ldm.sampling.cache: is 0, expected a whole number from 1 to" generate $TINY \
    --config cache.yaml
rm cache.yaml
fails 2 'model.params.scale_factor: no "="' generate $TINY --set model.params.scale_factor
fails 2 'scale_factor: found the text "abc", expected a number' generate $TINY --set model.params.scale_factor=abc
fails 1 "32 channels cannot be split into .*num_head_channels 7" generate $TINY --set model.params.unet_config.params.num_head_channels=7
fails 3 "model_ema.diffusion_model.*expects.*model_channels" generate $TINY --set model.params.unet_config.params.model_channels=64
fails 3 "quantize.embedding.weight.*256.*512" generate $TINY --set model.params.first_stage_config.params.n_embed=512

# Arrays of other shapes, and files that are no arrays.
npy x5.npy '(1, 1, 3, 16, 16)' 3072
fails 2 "--x-t: x5.npy has 5 dimensions.*expected \[N,C,H,W\]" generate $TINY --x-t x5.npy
npy channels.npy '(1, 4, 16, 16)' 4096
fails 2 "has shape \[1,4,16,16\], expected \[N,3,H,W\]; given: --x-t channels.npy" generate $TINY --x-t channels.npy
npy x.npy '(1, 3, 16, 16)' 3072
npy noise.npy '(3, 1, 3, 16, 16)' 9216
fails 2 "-n 2: x.npy holds start noise for 1" generate $TINY --x-t x.npy -n 2
fails 2 "--shape 3,8,8: x.npy has shape \[1,3,16,16\]" generate $TINY --x-t x.npy --shape 3,8,8
fails 2 "noise has shape \[3,1,3,16,16\], expected \[2,1,3,16,16\]" generate $TINY --steps 2 --eta 1 \
    --noise noise.npy
npy short.npy '(1, 3, 16, 16)' 3000
fails 1 "short.npy: 3000 bytes of elements, expected 3072" generate $TINY --x-t short.npy
fails 1 "^ldm generate: text is not a .npy file" generate $TINY --x-t text
fails 1 "missing.npy.*No such file" generate $TINY --x-t missing.npy
fails 1 "is a folder" generate $TINY --x-t .
npy odd.npy '(1, 3, 15, 16)' 2880
fails 2 "latent of 15 x 16 pixels: .* multiples of 2; given: --x-t odd.npy" generate $TINY --x-t odd.npy
npy mask.npy '(1, 1, 8, 8)' 256
fails 2 "the mask has shape \[1,1,8,8\], expected" generate $TINY --mask mask.npy --x0 x.npy
npy mask.npy '(1, 1, 16, 16)' 1024
npy x0.npy '(1, 3, 8, 8)' 768
fails 2 "\(x0\) has shape \[1,3,8,8\], expected" generate $TINY --mask mask.npy --x0 x0.npy
fails 2 "shape 4,16,16: the network's latents have 3 channels" generate $TINY --shape 4,16,16

# Places that cannot be written, found before any work is done.
: >file
fails 1 "'file' is a file, and a folder is needed there" generate $TINY -n 2 -o file
fails 1 "cannot make folder 'file/sub/'" generate $TINY -o file/sub/
fails 2 "--save-image: '.' is a folder" generate $TINY -o f.png --save-image .
if [ "$(id -u)" -ne 0 ]; then
    mkdir locked
    chmod 500 locked
    fails 1 "Permission denied" generate $TINY -o locked/face.png
    fails 1 "Permission denied" generate $TINY -n 2 -o locked/faces
    chmod 700 locked
fi

fails 1 "the UNet alone needs .* and --max-memory is 1.05 MB" generate $TINY --max-memory 1M -o f.png
LDM_MAX_ISA=sse9
export LDM_MAX_ISA
fails 2 'LDM_MAX_ISA is "sse9", expected' generate $TINY -o f.png

# A name that is no plain file's is left alone, and each result has its own.
mkfifo pipe.png
fails 2 "-o: 'pipe.png' is a device, pipe or link" generate $TINY --steps 1 -o pipe.png
ln -s elsewhere link
fails 2 "--save-latent: 'link' is a device" generate $TINY --steps 1 -o x.png --save-latent link
fails 2 "'x.npy' is named for two results" \
    generate $TINY --steps 1 -o x.png --save-latent x.npy --save-image x.npy

unset LDM_MAX_ISA

# A wrong array is named as the file that it came from.
npy four.npy '(1, 4, 16, 16)' 4096
fails 2 'expected \[N,3,H,W\]; given: --x-t four.npy$' generate $TINY --x-t four.npy -o x.png --quiet
fails 2 '^ldm eval: four.npy: the input has 4 channels' \
    eval $TINY --part unet --in four.npy --t 1 --out y.npy
