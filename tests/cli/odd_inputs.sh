# SPDX-License-Identifier: MIT
# Odd files and numbers, each with a message that says what it is.

# What is no checkpoint and no configuration, under either's name.
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n' >lfs.ckpt
printf '\n  <!DOCTYPE html>\n<html><body>Not found</body></html>\n' >page.ckpt
printf '{"error": "Access denied"}' >denied.ckpt
printf '<?xml version="1.0"?><Error/>' >error.ckpt
for command in 'inspect' "check --config $CONFIG --ckpt"; do
    fails 1 'lfs.ckpt: byte 0: a Git LFS pointer, not the file itself; fetch it' $command lfs.ckpt
    fails 1 'page.ckpt: byte 0: a web page; download the file itself' $command page.ckpt
    fails 1 'error.ckpt: byte 0: an XML text' $command error.ckpt
done
fails 1 "denied.ckpt: byte 0: a server's error message" check --config "$CONFIG" --ckpt denied.ckpt
cp lfs.ckpt lfs.yaml
printf '<html><body>Not found</body></html>\n' >page.yaml
fails 1 'lfs.yaml:1:1: the file is a Git LFS pointer' check --ckpt "$CKPT" --config lfs.yaml
fails 1 'page.yaml:1:1: the file is a web page' inspect page.yaml
head -c 40 /dev/zero | tr '\0' 'A' >text.ckpt
fails 1 'text.ckpt: byte 0: a text, and no checkpoint' inspect text.ckpt
printf '\377\377\377\000\000\000\000\000{"a":1}' >short.safetensors
fails 1 'the first 8 bytes say that a header of 16777215 bytes follows, but the file ends after 7' inspect short.safetensors

# A reference that leads nowhere is named as such, whatever stands in its place.
for key in model.params.image_size model.params.unet_config model.params.unet_config.params.channel_mult \
    model.params.first_stage_config.params.ddconfig model.params.cond_stage_config ldm.sampling ldm.load.rename; do
    fails 2 "$key: .[$]{nowhere}. refers to a value that is not there" \
        generate $TINY --dry-run --set "$key=\${nowhere}"
done

# Latents that no codebook entry is near to.
"$LDM" generate $TINY --steps 1 -o start.png --save-latent z.npy --quiet >"$OUT" 2>"$ERR" || die "no latent"
rm start.png
works eval $TINY --part indices --in z.npy -o i.npy
head -c 128 z.npy >nan.npy
printf '\000\000\300\177' >>nan.npy
tail -c +133 z.npy >>nan.npy
fails 1 'the input: element 0 is nan: no codebook entry is nearest' eval $TINY --part indices --in nan.npy -o j.npy
head -c 128 z.npy >huge.npy
printf '\000\000\200\177' >>huge.npy
tail -c +133 z.npy >>huge.npy
fails 1 'the input: element 0 is inf' eval $TINY --part indices --in huge.npy -o j.npy

# Start noise that no network can take is not the weights' fault.
head -c 128 z.npy >far.npy
i=0
while [ $i -lt 768 ]; do printf '\377\377\177\177'; i=$((i + 1)); done >>far.npy # the greatest float
ldm generate $TINY --x-t far.npy --steps 1 -o far.png --quiet
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stderr_has 'the latent that the network is given holds values up to 3.4e.38.*start noise or the guidance scale is too large'
stderr_lacks 'weights'

# The last seed must be one.
fails 2 'seed 18446744073709551615: picture i has seed . i, and the last of 2 would be beyond' \
    generate $TINY --seed 18446744073709551615 -n 2 --steps 1 -o w/ --quiet
works generate $TINY --seed 18446744073709551614 -n 2 --steps 1 -o last/ --dry-run --quiet

# A kept picture that was cut off: what to do.
works generate $TINY -n 2 --steps 1 -o run/ --quiet
head -c 1000 run/00001.png >cut && mv cut run/00001.png
fails 1 'run/00001.png: .*; remove or move it, and --resume makes it again' \
    generate $TINY -n 2 --steps 1 -o run/ --resume --quiet

# Another program's comment in a JPEG is no recipe.
works generate $TINY --steps 1 -o ours.jpg --quiet
works generate --like ours.jpg --ckpt "$CKPT" -o again.jpg --quiet
sed 's/"ldm": "0/"ldm":  0/' ours.jpg >theirs.jpg
fails 1 'theirs.jpg holds no recipe' generate --like theirs.jpg -o f.jpg --quiet

# Names that wrappers leave in keys are read as CompVis has them; of another prefix the cure can be typed.
edit_keys() # SED_SCRIPT OUT: plain.safetensors with other keys
{
    n=$(od -An -tu4 -N4 plain.safetensors | tr -d ' ')
    tail -c +9 plain.safetensors | head -c "$n" | sed "$1" >header
    m=$(wc -c <header)
    {
        printf "\\$(printf %03o $((m % 256)))\\$(printf %03o $((m / 256 % 256)))\\$(printf %03o $((m / 65536)))\\0\\0\\0\\0\\0"
        cat header
        tail -c +$((9 + n)) plain.safetensors
    } >"$2"
}
works convert $TINY --raw -o plain.safetensors
RAW="--config $CONFIG --no-ema --steps 1"
works generate --ckpt plain.safetensors $RAW -o plain.png
edit_keys 's/\.input_blocks\.1\./&_checkpoint_wrapped_module./g' wrapped.safetensors
edit_keys 's/"\(model\|first\)/"_fsdp_wrapped_module.\1/g' fsdp.safetensors
for f in wrapped fsdp; do
    works generate --ckpt $f.safetensors $RAW -o $f.png
    stderr_has "note: [0-9]+ keys carry the ._(checkpoint|fsdp)_wrapped_module. of"
    same_pixels plain.png $f.png
done
edit_keys 's/"\(model\|first\)/"net.\1/g' net.safetensors
edit_keys 's/"model\.diff/"diff/g' comfy.safetensors
fails 3 "extra prefix 'net\.'.*run again with --set 'ldm.load.rename=.\"\^net\.\": \"\".'$" generate --ckpt net.safetensors $RAW -o x.png
fails 3 "run again with --set 'ldm.load.rename=.\"\^diffusion_model\.\": \"model\.diffusion_model\.\".'$" \
    generate --ckpt comfy.safetensors $RAW -o x.png
works generate --ckpt net.safetensors $RAW -o net.png --set 'ldm.load.rename={"^net.": ""}'
works generate --ckpt comfy.safetensors $RAW -o comfy.png --set 'ldm.load.rename={"^diffusion_model.": "model.diffusion_model."}'
same_pixels plain.png net.png
same_pixels plain.png comfy.png
edit_keys 's|"first_stage_model\.\([a-z]\)|"\1yz|g' unet.safetensors
fails 3 'give the first stage.s file with --first-stage FILE' generate --ckpt unet.safetensors $RAW -o x.png
works generate --ckpt unet.safetensors --first-stage plain.safetensors $RAW -o both.png
same_pixels plain.png both.png
works check --ckpt wrapped.safetensors --config "$CONFIG" --no-ema
stdout_has '^  FITS$' # what is read without a doubt is a note, no warning

# ---- links that lead nowhere ----------------------------------------------------------------------

ln -s nowhere/file gone
for command in "check --ckpt gone" "generate --ckpt gone -o no.png" "generate $TINY --init gone -o no.png" \
    "generate --ckpt $CKPT --config gone -o no.png" "inspect gone"; do
    ldm $command
    [ "$CODE" -ne 0 ] || die "expected an error"
    stderr_has 'cannot open gone: it is a link to nowhere/file, which is not there'
done
