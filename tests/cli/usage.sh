# SPDX-License-Identifier: MIT
# Commands, options and values that are wrong, before any file is read.

fails 2 "a command is missing.*ldm --help"
fails 2 "unknown command 'genrate'; did you mean 'generate'\?" genrate
fails 2 "unknown command 'zzzzzzzz'; 'ldm help' lists the commands \(see" zzzzzzzz
fails 2 "unknown command ''" ''
fails 2 "unknown command 'gen'; did you mean 'generate'" gen
fails 2 "unknown command 'sample'; did you mean 'generate'" sample
fails 2 "unknown command 'version'; did you mean '--version'" version
for pair in 'txt2img:generate' 'img2img:generate --init PICTURE' 'inpainting:inpaint' 'upsample:upscale' 'outpaint:generate --init PICTURE --pad N' \
    'run:generate' 'server:serve' 'webui:serve' 'convert-ckpt:convert' 'convert_ckpt:convert' 'samplers:help samplers' 'walk:interpolate' \
    'info:inspect' 'encode:eval --part NAME'; do
    fails 2 "unknown command '${pair%%:*}'; did you mean '${pair#*:}'[?]" "${pair%%:*}"
done
for word in models list list_models; do
    fails 2 "unknown command '$word': two models come with ldm, 'ldm generate --model NAME' .portrait, demo." $word
done
fails 2 "unknown command 'train': ldm runs models .* and trains none" train
fails 2 "unknown command 'download': ldm downloads nothing: give the file of a checkpoint with --ckpt" download
fails 2 "unknown command 'models': two models" help models
fails 2 "unknown command 'xyz'; 'ldm help' lists" xyz
fails 2 "unknown command 'foo'; 'ldm help' lists the commands" help foo
fails 2 "unknown command 'gen'; did you mean 'generate'" --help gen
fails 2 "options come after the command" --ckpt x
fails 2 "unknown option '--verison'; did you mean '--version'[?]" --verison
fails 2 "unknown option '--hlep'; did you mean '--help'[?]" --hlep
fails 2 "unknown command 'chek'; did you mean 'check'" help chek
fails 2 "unexpected argument 'eval'" help check eval

for c in generate check inspect eval metrics bench tokenize; do
    fails 2 "ldm $c: unknown option '--jsno'; did you mean --json\? \(see 'ldm $c --help'\)" $c --jsno
    fails 2 "ldm $c: --json takes no value" $c --json=1
    fails 2 "unknown option '-y'" $c -y
    fails 2 "unknown option '--completely-unheard-of' \(see" $c --completely-unheard-of
done

fails 2 "unknown option '-steps'; did you mean --steps" generate -steps 5
fails 2 "unknown option '--qantize-x0'; did you mean --quantize-x0" generate --qantize-x0
fails 2 "'--no' could be --no-ema or --no-quantize" generate --no
fails 2 "there is no file 'model.ckpt'" generate model.ckpt
fails 2 "unexpected argument 'a'" check a
fails 2 "unexpected argument 'b'; give one file" inspect a b
fails 2 "FILE.* is missing" inspect
fails 2 "IMAGE.* is missing" metrics
fails 2 "--ckpt needs a value" generate --ckpt
fails 2 "-n needs a value" generate -n
fails 2 "--ckpt: the value is empty" generate --ckpt ''
fails 2 "-o: the value is empty" generate -o ''

for v in 0 100001 -5 abc 5x 1.5 '' ' 5' 0x10 99999999999999999999; do
    fails 2 "--steps: '$v' is not a whole number from 1 to the model's timesteps" generate --steps "$v"
done
for v in 0 -1 two 1000001; do
    fails 2 "-n: '$v' is not a whole number from 1 to 1000000" generate -n "$v"
done
for v in -2 x 1e3 18446744073709551616; do
    fails 2 "--seed: '$v' is not a whole number from 0 to 18446744073709551615" generate --seed "$v"
done
for v in nan inf 0x1p3 -0.5 '' 1,5 1e999; do
    fails 2 "--eta: '$v' is not a number from 0 to 100" generate --eta "$v"
done
fails 2 "--temperature: '-1' is not a number" generate --temperature -1
fails 2 "--scale: 'big' is not a number" generate --scale big
fails 2 "--batch: '0' is not a whole number" generate --batch 0
fails 2 "--threads: '0' is not a whole number from 1 to 1024" generate --threads 0
fails 2 "--rounds: '0' is not a whole number" bench --rounds 0
for v in 3,64 3,64,64,64 3,64,0 3x64x64 a,b,c 3,,64 -3,64,64 ''; do
    fails 2 "--shape: '$v' is not C,H,W" generate --shape "$v"
done
for v in 0 -1 G 2X 2GG 2GiBB '' 1..2G; do
    fails 2 "--max-memory: '$v' is not a size such as 500M or 2G" generate --max-memory "$v"
done
fails 2 "--timesteps: 'uniform' is not one of compvis\|quad\|leading\|trailing\|linspace" \
    generate --timesteps uniform
fails 2 "--timesteps: 'compvis\|quad' is not one of" generate --timesteps 'compvis|quad'
fails 2 "size 100000x100000: .* at most 16384; the nearest that is possible is 16384x16384" generate --model demo --size 100000x100000 --quiet
fails 2 "size 100000x70: .* the nearest that is possible is 16384x64" generate --model demo --size 100000x70 --quiet
fails 2 "size 65x64: .* the nearest that is possible is 64x64" generate --model demo --size 65x64 --quiet
fails 2 "--cond: 'ones' is not one of none\|zeros" generate --cond ones
fails 2 "--precision: 'f16' is not one of" generate --precision f16
fails 2 "--part: 'vae' is not one of unet\|encode\|decode\|quantize\|indices" eval --part vae

fails 2 "--mask needs --x0" generate --mask m.npy
fails 2 "--x0 needs --mask" generate --x0 x.npy
fails 2 "-o: pictures cannot be written to stdout" generate -o -
fails 2 "--part is missing" eval
fails 2 "--in is missing" eval --part unet
fails 2 "--out is missing" eval --part unet --in x.npy
fails 2 "--t is missing" eval --part unet --in x.npy --out y.npy
fails 2 "--context belongs to --part unet" eval --part decode --in x --out y --context c

# What comes from the line must not move the cursor.
fails 2 "unknown command 'a\?b'" "$(printf 'a\033b')"

# What the fingers do: a missing value, a forgotten dash, a result without -o, quotes and ~ in a value.
fails 2 '^ldm generate: -o needs a value \(OUT\), and the option --steps follows it' generate -o --steps 5
fails 2 '[-]-ckpt needs a value \(FILE\), and the option --steps=5 follows it' generate --ckpt --steps=5
fails 2 "[-]-prompt needs a value \\(TEXT\\), and the option -o follows it" generate --prompt -o g.png
fails 2 "'steps=5' is no setting of the model; the option is written --steps 5" generate steps=5
fails 2 "there is no such file; a result is named by -o face.png" generate face.png
fails 2 "'ldm help generate' explains this command" generate help
fails 2 '^ldm interpolate: B is missing' interpolate 42 -o walk.png
fails 2 '^ldm interpolate: A is missing' interpolate
fails 2 "[-]-ckpt: '~/model.ckpt' begins with ~.*write .HOME/model.ckpt" check '--ckpt=~/model.ckpt'
fails 2 "[-]-ckpt: 'model.ckpt ' begins or ends with a blank" check --ckpt 'model.ckpt '
fails 2 "[-]-config: \"config.yaml\" has quotes of its own" check --config '"config.yaml"'
fails 2 "[-]-steps is an option of 'ldm generate', not of 'ldm check'" check --steps 5
fails 2 '[-]-eta is said by each configuration here.*--set ldm.sampling.eta=' compare --eta 1
fails 2 "'eulr' is not a sampler .*; did you mean euler[?]" generate --sampler eulr
fails 1 'cannot open nothing.ckpt' check --ckpt nothing.ckpt
fails 2 '[-]-in and --ids both name the input' eval --part text --in x.npy --ids y.npy -o z.npy
ldm eval --part unet --in nothing.npy --t 1 -o z.npy --json
stdout_has '"error": "cannot open nothing.npy'
fails 2 "unexpected argument '44'; usage: ldm interpolate A " interpolate 42 43 44
fails 2 "noise_level: this model takes nothing: it is unconditional; a noise level is of models that enlarge" generate $TINY --noise-level 20
fails 2 "'dpm..' is not a sampler .*; did you mean dpmpp_2m[?]" generate --sampler dpm++
fails 2 "A is missing: the two ends are seeds, pictures, or noise" interpolate --prompt x
fails 2 "the nearest that is possible is 64x96" generate --size 66x100 --quiet
fails 2 "[-]-prompts: there is no file 'a man'; a prompt itself is given by --prompt \"a man\"" generate --prompts 'a man'
fails 2 "'a.png' is the name of a picture, and two configurations are compared" compare a.png b.png
mkdir faces variants
: >faces/a.png
: >variants/b.jpg
fails 2 "'faces/' is a folder of pictures, and two configurations are compared; .ldm metrics. measures" compare faces/ variants/
fails 2 "'variants' is a folder of pictures" compare "$CONFIG" variants

# Slips of the fingers in the smaller commands: each message says what to type instead.
works generate $TINY --steps 1 -n 2 -o two/ --quiet
PICTURE=two/00000.png MODELS=$SRC/tests/data/models
INPAINT="--ckpt $MODELS/inpaint.ckpt --config $MODELS/inpaint.yaml"
ENLARGE="--ckpt $MODELS/superres.ckpt --config $MODELS/superres.yaml"
fails 2 "'two/00001.png'; give one file, or a folder of them" invert $PICTURE two/00001.png $TINY -o n.npy
fails 2 "'n.npy': there is no such file; a result is named by -o n.npy" invert $PICTURE n.npy $TINY
fails 2 "unknown option '--image'; the picture stands without an option: ldm invert IMAGE" invert --image $PICTURE -o n.npy
fails 2 "unknown option '--init'; the picture stands without an option: ldm reconstruct IMAGE" reconstruct --init $PICTURE
fails 2 "no file 'back.png'; a result is named by -o back.png" reconstruct $PICTURE $TINY back.png
fails 2 "unknown option '-1'; seeds and other numbers are from 0 on" interpolate -1 2 $TINY -o w.png
works invert two/ $TINY --steps 1 -o noise.npy --quiet
fails 2 'noise.npy: expected the noise of one picture, .* as `ldm invert PICTURE' interpolate noise.npy 2 $TINY -o w.png
fails 2 "unknown option '--prompt'; the text stands without an option: ldm tokenize --kind" tokenize --prompt 'a cat'
fails 2 'kind is missing: clip for Stable Diffusion 1, openclip for Stable Diffusion 2, bert' tokenize 'a cat'
fails 2 'factor is another .*: the model says by how much it enlarges' upscale $PICTURE $ENLARGE --factor 4
fails 2 "picture 'two/00001.png' is one too many; usage: ldm upscale IMAGE" upscale $PICTURE two/00001.png $ENLARGE
fails 2 'reference is another .*: .*ldm metrics --fid SAMPLES REFERENCE' metrics two --reference two
fails 2 'ssim is another .*: ldm metrics --psnr A B' metrics two --ssim two
fails 2 "unknown option '-o': the result is printed; '> FILE'" metrics two -o figures.json
# The arguments of inpaint and upscale may be options, as those of generate.
works inpaint $PICTURE two/00001.png $INPAINT --steps 1 -o one.png --quiet
works inpaint $PICTURE --mask two/00001.png $INPAINT --steps 1 -o other.png --quiet
same_pixels one.png other.png
works inpaint --image $PICTURE --mask two/00001.png $INPAINT --steps 1 -o third.png --quiet
same_pixels one.png third.png
fails 2 'MASK is missing' inpaint --image $PICTURE $INPAINT
fails 2 "picture 'two/00001.png' is one too many" inpaint --image $PICTURE --mask two/00000.png two/00001.png $INPAINT
works upscale --image $PICTURE $ENLARGE --dry-run

# The version as other programs are asked for it.
works --version
cp "$OUT" version
works -v
same "$OUT" version
works -V
same "$OUT" version
