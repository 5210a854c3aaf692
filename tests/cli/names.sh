# SPDX-License-Identifier: MIT
# What people type where --ckpt and --config are meant, and CompVis' spellings.
mkdir -p whole logs/run/checkpoints logs/run/configs two none stem
cp "$CKPT" whole/model.ckpt
cp "$CONFIG" whole/config.yaml
cp "$CKPT" logs/run/checkpoints/last.ckpt
cp "$CONFIG" logs/run/configs/2022-03-01T10-11-12-project.yaml
cp "$CKPT" two/model.ckpt
cp "$CONFIG" two/a.yaml
cp "$CONFIG" two/b.yaml
cp "$CKPT" none/model.ckpt
cp "$CKPT" stem/ffhq.ckpt
cp "$CONFIG" stem/ffhq.yaml
cp "$CONFIG" stem/other.yaml
works generate $TINY --steps 1 -o plain.png
npy x0.npy '(1, 3, 16, 16)' 3072

taken()
{
    works generate "$@" --steps 1 -o named.png
    same_pixels named.png plain.png
    rm named.png
}

taken --ckpt whole
stderr_has 'note: the checkpoint whole/model.ckpt is taken as --ckpt'
stderr_has 'note: the YAML file whole/config.yaml is taken as --config'
taken --ckpt whole/
taken --ckpt whole/model.ckpt
taken whole/model.ckpt whole/config.yaml
stderr_has 'note: the YAML file whole/config.yaml is taken as --config'
taken whole/config.yaml whole/model.ckpt
taken whole
taken --ckpt whole/config.yaml --config whole/model.ckpt
stderr_has 'note: the checkpoint whole/model.ckpt is taken as --ckpt'
taken --config whole/model.ckpt --config whole/config.yaml
taken --ckpt logs/run
stderr_has 'note: the checkpoint logs/run/checkpoints/last.ckpt is taken as --ckpt'
stderr_has 'note: the YAML file logs/run/configs/2022-03-01T10-11-12-project.yaml is taken as --config'
taken --ckpt logs/run/checkpoints/last.ckpt
taken --ckpt stem/ffhq.ckpt
stderr_has 'the YAML file stem/ffhq.yaml'
(cd whole && "$LDM" generate --ckpt model.ckpt --steps 1 -o ../named.png) >"$OUT" 2>"$ERR" || die "not beside"
stderr_has 'note: the YAML file config.yaml is taken'
same_pixels named.png plain.png
rm named.png
# A folder as --config is the YAML in it.
taken --ckpt whole --config whole
stderr_has 'note: the YAML file whole/config.yaml is taken as --config'
taken --ckpt none/model.ckpt --config logs/run/
stderr_has 'logs/run/configs/2022-03-01T10-11-12-project.yaml is taken as --config'
fails 2 'folder two holds 2 YAML files: a.yaml, b.yaml; name one' generate --ckpt two --config two
fails 2 'none is a folder without a configuration' generate --ckpt none --config none
works check --ckpt whole/model.ckpt --config whole
works bench --ckpt whole/model.ckpt --config whole --rounds 1
works eval --ckpt whole/model.ckpt --config whole --part unet --t 5 --in x0.npy -o eps.npy
works convert --ckpt whole/model.ckpt --config whole -o made.safetensors
works doctor --ckpt whole/model.ckpt --config whole --quick
taken --quiet whole
stderr_empty
works check whole/model.ckpt whole/config.yaml
stdout_has 'FITS'
works check --ckpt whole
works bench --ckpt whole --rounds 1

fails 2 'no configuration was given, and 2 YAML files lie beside two/model.ckpt: a.yaml, b.yaml; name one' generate --ckpt two/model.ckpt
fails 2 'no configuration given for none/model.ckpt' check --ckpt none/model.ckpt
fails 2 'two/a.yaml is a YAML file, no checkpoint; give it with --config' generate --ckpt two/a.yaml
fails 2 'is a second checkpoint beside' generate --ckpt none/model.ckpt two/model.ckpt
fails 2 'two/b.yaml is a YAML file, no checkpoint' generate --ckpt two/b.yaml --config two/a.yaml
fails 2 'is a checkpoint, no YAML file, and --ckpt names' generate --ckpt none/model.ckpt --config two/model.ckpt
mkdir empty
fails 2 'empty is a folder without a checkpoint' generate --ckpt empty
cp "$CKPT" empty/a.ckpt
cp "$CKPT" empty/b.ckpt
fails 2 'folder empty holds 2 checkpoints: a.ckpt, b.ckpt; name one' generate --ckpt empty
fails 2 "^ldm inspect: folder empty holds 2 checkpoints: a.ckpt, b.ckpt; name one" inspect empty
fails 2 "^ldm check: folder empty holds 2 checkpoints: a.ckpt, b.ckpt; name one" check --ckpt empty
ldm check empty
stderr_has "^ldm check: folder empty holds 2 checkpoints: a.ckpt, b.ckpt; name one"
for i in 3 4 5 6; do cp "$CKPT" empty/$i.ckpt; done
fails 2 'folder empty holds 6 checkpoints: 3.ckpt, 4.ckpt, 5.ckpt, 6.ckpt, [.]{3}; name one' inspect empty
fails 2 "there is no file 'nothing.ckpt'" check nothing.ckpt
fails 2 "there is no file 'no/such/model'" generate no/such/model
fails 2 "unexpected argument 'word'; files are given by options" generate word
fails 2 "'plain.png' is a picture; one to begin with is given by --init plain.png" generate plain.png -o y.png
: >plain.txt
fails 2 "'plain.txt' is neither a checkpoint nor a YAML" generate plain.txt
fails 2 'ends with a carriage return \(.r\)' generate --ckpt "$(printf 'whole/model.ckpt\r.')" --config "$(printf 'whole/config.yaml\r')"
fails 2 'ends with a carriage return \(.r\)' check "$(printf 'whole/model.ckpt\r')"

# A forgotten --ckpt is not the configuration's fault.
WHOLE='whole/config.yaml is the whole configuration of a model, and its checkpoint is not given: --ckpt FILE'
for command in generate check doctor bench 'invert plain.png -o n.npy' 'interpolate 1 2 -o w.png' 'compare -n 1'; do
    fails 2 "^ldm ${command%% *}: $WHOLE" $command --config whole/config.yaml
done
fails 2 "$WHOLE" check --config whole/config.yaml --set model.params.scale_factor=1
fails 3 'no --ckpt was given: the shipped model was used, and it does not fit this configuration' \
    generate --config whole/config.yaml --model portrait -o a.png
ldm check --config whole/config.yaml --model portrait
[ "$CODE" -eq 3 ] || die "expected exit code 3"
stderr_has 'no --ckpt was given: the shipped model was used'
works check --config "$SRC/models/portrait/config.yaml" --model portrait

# CompVis' spellings, as its README has them.
works generate -r whole/model.ckpt -c 2 -e 0 --n_samples 2 --batch_size 2 -l samples/
stderr_has "note: CompVis' spellings: -r is --ckpt, -c is --steps, -e is --eta, --n_samples is --count, --batch_size is --batch, -l is --out"
stdout_is 'samples/00000.png
samples/00001.png'
works generate --base whole/config.yaml -r whole/model.ckpt --ddim_steps 1 --ddim_eta=0.0 --outdir out/
stderr_has "note: CompVis' spellings: --base is --config, -r is --ckpt, --ddim_steps is --steps, --ddim_eta is --eta, --outdir is --out"
same_pixels out/00000.png plain.png
works generate -r whole -b whole/config.yaml --custom_steps 1 --logdir out2/ --n_samples=1
stderr_has '-b is --config'
works generate -r whole/model.ckpt -c 1 -l out3/ model.params.unet_config.params.num_heads=4
stderr_has 'the assignment model.params.unet_config.params.num_heads=4 is taken as --set'
fails 2 "prompt: this model takes nothing: it is unconditional" generate --model demo --prompt face --quiet
works generate $TINY --n_iter 2 --n_samples=2 --steps 1 -o iter/
stderr_has "note: other programs' spellings: --n_iter is -n 4"
[ -e iter/00003.png ] && [ ! -e iter/00004.png ] || die "expected four pictures"
works generate $TINY --batch-count 2 -n 1 --steps 1 -o batch/ --quiet
[ -e batch/00001.png ] && [ ! -e batch/00002.png ] || die "expected two pictures"
fails 2 "unknown option '--csutom_steps'; did you mean --custom_steps[?]" generate --csutom_steps 2
fails 2 "unknown option '--foo' [(]see" generate --foo 2

# eval, bench, compare and metrics understand the same names.
npy x.npy '(1, 3, 16, 16)' 3072
works eval whole --part quantize --in x.npy -o y.npy
stderr_has 'note: the YAML file whole/config.yaml is taken as --config'
works eval whole/model.ckpt whole/config.yaml --part quantize --in x.npy -o z.npy
same y.npy z.npy
works bench whole --rounds 1
works metrics plain.png out/00000.png --ckpt whole --write-stats s.stats

# vanilla_sample is ddpm with all 1000 steps, unless the line says another number.
works generate -v --dry-run $TINY --n_samples 1
stderr_has "CompVis' spellings: -v is --sampler ddpm --steps 1000, --n_samples is --count"
stderr_has '^sampling +1000 steps: sampler ddpm'
works generate -c 5 --vanilla_sample $TINY
stderr_has '^sampling +5 steps: sampler ddpm'
stderr_has "CompVis' spellings: -c is --steps, --vanilla_sample is --sampler ddpm$"
works generate --dpm_solver $TINY --steps 4
stderr_has '[-]-dpm_solver is --sampler dpm-solver[+][+]'

# Those of txt2img.py, diffusers and the web UI.
printf 'a man\n' >lines.txt
works generate --model portrait --from-file lines.txt --ddim_steps 2 -l lines/ --quiet
works generate --model portrait --prompt 'a man' --negative_prompt hat --num_inference_steps 2 --guidance-scale=3 --cfg_scale 4 \
    --num_images_per_prompt 2
stderr_has "other programs' spellings: --negative_prompt is --negative, --num_inference_steps is --steps, --guidance-scale is --scale"
stderr_has '^sampling +2 steps: sampler ddim, .*scale 4'
fails 2 "--H is another program's option, not ldm's: --size WxH gives the size" generate --H 64
fails 2 "--height is another program's option, not ldm's: --size WxH" generate --height 64

fails 2 "^ldm generate: -H is another program's option" generate -H 512

# '_' and '-' are the same, in other programs' spellings and in ldm's own.
SHORT="generate $TINY --steps 4 --shape 3,8,8" # a dry run takes longer: it measures the machine
GUIDED="generate --model portrait --steps 1 --prompt a --overwrite -o guided.png"
works $SHORT --ddim-steps 3 --ddim-eta 0 --n-samples 2 --batch-size 1
stderr_has "CompVis' spellings: --ddim-steps is --steps, --ddim-eta is --eta, --n-samples is --count, --batch-size is --batch"
works generate --model portrait --custom-steps 1 --num-images-per-prompt 1 --from_file lines.txt -o guided.png
stderr_has '[-]-custom-steps is --steps, --num-images-per-prompt is --count, --from_file is --prompts'
works $GUIDED --num-inference-steps 2 --guidance-scale 4
stderr_has '^sampling +2 steps: .*scale 4'
works $GUIDED --scale_to 0.75 --max_memory=2G
stderr_has '^sampling .*scale_to 0.75'
stderr_lacks 'spellings'
fails 2 "[-]-max_memory: 'x' is not a size" generate --max_memory x

# Guidance by all its names; a shortened option is not taken for another.
for option in guidance guidance-scale guidance_scale cfg cfg-scale cfg_scale; do
    works $GUIDED --$option 5
    stderr_has "note: other programs' spellings: --$option is --scale$"
    stderr_has '^sampling .*scale 5'
done
fails 2 "'--guid' could be --guidance-rescale or another program's --guidance_scale; write it out" generate --guid 5
works $GUIDED --guidance-res 0.5
stderr_has 'guidance_rescale 0.5'
fails 2 "unknown option '--max'; did you mean --max-memory[?]" generate --max 2G
fails 2 "[-]-quantize is done anyway; the option --no-quantize turns it off" generate --quantize

# More names.
works $SHORT --num_steps 2 --output_dir x/ --sampler_name euler
stderr_has '[-]-num_steps is --steps, --output_dir is --out, --sampler_name is --sampler$'
works $SHORT --output x.png --scheduler euler --plms
stderr_has '[-]-output is --out, --scheduler is --sampler, --plms is --sampler plms$'
works generate --checkpoint whole/model.ckpt --init_image plain.png --steps 4
stderr_has '[-]-checkpoint is --ckpt, --init_image is --init$'

# Options and values of other programs that change nothing here.
works $SHORT --device cpu --fp16 --half --laion400m --f 8 --C 4 --skip_grid --n-rows 3
stderr_has 'note: --device has no effect: ldm computes on processors alone'
stderr_has 'note: --fp16 has no effect: --precision chooses the arithmetic'
stderr_has 'note: --half has no effect: --precision chooses the arithmetic'
stderr_has 'note: --laion400m has no effect: --ckpt names the model'
stderr_has "note: --f has no effect: the checkpoint's first stage says"
stderr_has 'note: --C has no effect: the checkpoint says'
stderr_has 'note: --skip_grid has no effect'
stderr_has 'note: --n-rows has no effect'
fails 2 "[-]-device: 'cuda' is not possible: ldm computes on processors alone" generate --device cuda
for value in full autocast; do
    works $SHORT --precision $value
    stderr_has "note: CompVis' spellings: --precision $value is --precision f32$"
done
works convert $TINY --half -o half.safetensors
stderr_lacks 'no effect'
works convert $TINY --fp16 -o fp16.safetensors
stderr_has '[-]-fp16 is --half'
same half.safetensors fp16.safetensors

# --quiet: none of these notes, wherever it stands.
works generate --checkpoint whole --ddim_steps 1 --device cpu --mask-blur 3 --quality 3 --quiet -o named.png
stderr_empty
for twice in 1 2; do
    works generate --quiet whole/config.yaml whole/model.ckpt -c 1 -n 2 -o two_named --overwrite --save-latent l.npy --write-stats named.stats
    stderr_empty
done
works reconstruct plain.png --ckpt whole -o rebuilt.png --quiet --outdir rebuilt.png --overwrite
stderr_empty
rm named.png

# An unpacked checkpoint, by the folder that it was unpacked to as well; a folder of diffusers.
mkdir -p unpacked/ffhq/data
: >unpacked/ffhq/data.pkl
: >unpacked/readme.txt
fails 2 'unpacked is an unpacked checkpoint [(]it holds data.pkl[)]' generate --ckpt unpacked
fails 2 'unpacked/ffhq is an unpacked checkpoint' inspect unpacked/ffhq
works convert $TINY --to diffusers -o theirs
works inspect theirs
stdout_has 'model.diffusion_model '

# Every command that opens a model takes a folder as --ckpt.
works reconstruct plain.png --ckpt whole
works invert plain.png --ckpt whole --steps 1 -o n.npy --quiet
works interpolate 1 2 --ckpt whole --steps 1 --frames 2 -o ends.png --quiet
works reconstruct plain.png --ckpt whole/config.yaml --config whole/model.ckpt
stderr_has 'note: the checkpoint whole/model.ckpt is taken as --ckpt'
if [ -x "${LDM%/*}/ldm-server" ]; then
    for ckpt in whole whole/model.ckpt; do
        COMMAND="serve --ckpt $ckpt"
        CODE=0
        timeout --foreground --preserve-status -s INT 2 "$LDM" serve --ckpt $ckpt --port 0 >"$OUT" 2>"$ERR" </dev/null || CODE=$?
        [ "$CODE" -eq 0 ] || die "expected that it serves"
        stdout_has '^listening on http://127.0.0.1:'
    done
fi
works generate $TINY --H 32 --width=64 --steps 1 -o wide.png
stderr_has "note: other programs' spellings: --H 32 and --width 64 are --size 64x32"
stderr_has 'picture 64 x 32'
works generate $TINY -W 32 -H 64 --steps 1 -o high.png
stderr_has 'picture 32 x 64'
works generate $TINY -W 32 -H 64 --steps 1 -o high.png --quiet
stderr_empty
fails 2 "--lora is another program's option, not ldm's: there are no LoRAs here" generate --lora x
fails 2 "--clip_skip is another program's option" generate --clip_skip 2
# CompVis' --resume FILE is a checkpoint; alone it is the switch.
works generate --resume "$CKPT" --steps 1 -o resumed.png
stderr_has "note: CompVis' spellings: --resume .* is --ckpt"
fails 2 "unexpected argument 'a woman'; .*a text is given by --prompt \"a woman\"" generate 'a woman'
# Words without quotes are shown with them; a folder may have the name of one.
fails 2 "unexpected argument 'a'; .* in quotes: --prompt \"a woman with red hair\" " generate a woman with red hair
mkdir a
fails 2 "unexpected argument 'woman'; .* in quotes: --prompt \"a woman\" " generate a woman
rmdir a
fails 2 "unexpected argument 'red'; .* in quotes: --prompt \"red hair\" " generate "$CKPT" red hair
fails 2 "'—prompt' begins with a long dash" generate —prompt x
fails 2 "[-]o: no '=' stands between a letter and its value; write -o e.png" generate -o=e.png

# A seed of -1 or "random" is drawn, as in other programs, said, and in the recipe, which makes the picture again.
works generate $TINY --seed -1 --vary=random --vary-strength 0.1 --steps 2 --shape 3,8,8 -o drawn.png
stderr_has '^ldm generate: note: drawn at random: --seed [0-9]+, --vary [0-9]+$'
seed=$(sed -n 's/.*drawn at random: --seed \([0-9]*\),.*/\1/p' "$ERR")
works inspect drawn.png --json
stdout_has "\"seed\": $seed,"
works generate $TINY --like drawn.png -o redrawn.png --quiet
same_pixels drawn.png redrawn.png
works generate $TINY --seed -1 --steps 2 --shape 3,8,8 -o drawn2.png --quiet
stderr_empty
different_seed=$("$LDM" inspect drawn2.png --json | sed -n 's/.*"seed": \([0-9]*\),.*/\1/p')
[ "$different_seed" != "$seed" ] || die "the same seed was drawn twice"
fails 2 "seed: '-2' is not a whole number from 0 to [0-9]*, or -1 for one that is drawn" generate $TINY --seed -2 -o no.png
works generate $TINY --seed -1 --seed 7 --steps 2 --shape 3,8,8 -o seven.png
stderr_lacks 'drawn at random'
works reconstruct drawn.png $TINY --seed random -o back.png
stderr_has '^ldm reconstruct: note: drawn at random: --seed [0-9]+$'
works compare $TINY --set ldm.sampling.steps=2 --seed -1 -n 1 -o drawn
stderr_has '^ldm compare: note: drawn at random: --seed [0-9]+$'
# Processes that share a run, and one that goes on with it, need the seed of the others.
fails 2 '[-]-seed -1: each of the processes would draw a seed of its own; give all' \
    generate $TINY --seed -1 --rank 0 --of 2 -n 4 -o shared/
fails 2 '[-]-resume goes on .* --vary -1 draws another; give .*`ldm inspect`' \
    generate $TINY --vary -1 --vary-strength 0.1 -n 4 --resume -o shared/

# A sampler and a schedule, as ComfyUI and the web UI have them beside one another.
works $SHORT --sampler dpmpp_2m --scheduler karras
stderr_has "other programs' spellings: --scheduler karras is --timesteps karras$"
stderr_has 'sampler dpmpp_2m, timesteps karras'
works $SHORT --sampler_name 'DPM++ 2M' --scheduler=Karras
stderr_has 'sampler dpmpp_2m, timesteps karras'
works $SHORT --sampler Euler --schedule-type Uniform
stderr_has '[-]-schedule-type Uniform is --timesteps discrete$'
works $SHORT --schedule_type DDIM
stderr_has '[-]-schedule_type DDIM is --timesteps compvis$'
works $SHORT --sampler heun --scheduler automatic
stderr_has "--scheduler automatic is the sampler's own --timesteps$"
works $SHORT --scheduler ddim
stderr_has '[-]-scheduler is --sampler$'
fails 2 'scheduler SGM Uniform: ldm has no such spacing; trailing is near; --timesteps takes compvis, .*ldm help samplers' \
    $SHORT --scheduler 'SGM Uniform'

# A word behind a value: what it was meant as depends on whose value it is.
fails 2 "unexpected argument '64'; a size is one word: --size 64x64 " generate --size 64 64 --prompt 'a man'
fails 2 "unexpected argument '20'; --steps takes one value, and 10 stands before it" generate --prompt 'a man' --steps 10 20
fails 2 'a text of several words stands in quotes: --prompt "a man [.]{3}"' generate --size 64x64 --prompt a man --steps 2
fails 2 'a text of several words stands in quotes: --negative "bad hands [.]{3}"' generate --negative bad hands
fails 2 "unexpected argument 'word'; files are given" generate --prompt 'a man' --steps 2 word
works generate --prompt 'a man' --size 96 --dry-run
stderr_has 'picture 96 x 96'

# An option given twice: the last one is taken, and said; of two prompts neither.
works $SHORT --steps 3 --num_inference_steps 4
stderr_has 'note: --num_inference_steps is given twice: 4 is taken, and not 3$'
works $SHORT --steps 4 --eta 0 --eta 0 --set ldm.sampling.eta=1 --set ldm.sampling.scale=2
stderr_lacks 'twice'
fails 2 'prompt is given twice; several prompts stand in a file, one a line: --prompts FILE' \
    generate --prompt 'a man' --prompt 'a woman'
fails 2 'prompt is given twice; what the way leads to is said by --prompt-to' \
    interpolate 1 2 --prompt 'a man' --prompt 'a woman' -o walk

# Options as a newcomer guesses them.
works generate -p 'a man' --num_images 2 --karras --sampler euler --outfile x --dry-run
stderr_has "spellings: -p is --prompt, --num_images is --count, --karras is --timesteps karras, --outfile is --out$"
works generate --text 'a man' --n=2 --dry-run
stderr_has 'spellings: --text is --prompt, --n is --count$'
works generate -q --prompt 'a man' --dry-run
stderr_lacks 'note'
fails 2 '-s is another .*: it is --steps, --seed or --scale here, written out' generate -s 4
fails 2 'verbose is another .*: what is done is said anyway' generate --verbose
works interpolate 1 2 $TINY -n 2 --steps 1 -o walk.png
stderr_has 'spellings: -n is --frames$'
works generate --model portrait --vary 5 --vary-strength 0.1 -n 3 --dry-run
[ "$(grep -c 'no prompt was given' "$ERR")" -eq 1 ] || die "one caption, said once"
