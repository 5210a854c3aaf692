# SPDX-License-Identifier: MIT
# ldm check: exit code 3 if and only if a run could not use the checkpoint.

works check $TINY
stdout_has 'model.diffusion_model.*FOUND'
stdout_has 'first_stage_model.*FOUND'
stdout_has 'scale_factor'
stderr_empty
works check $TINY --json
stdout_has '"missing": *\[\]'
stdout_has '"matching": *415'
stdout_has '"model_keys": *415'
stdout_has '"checkpoint_keys": *415'
stdout_has '"settings"'
works check $TINY --no-ema
works check $TINY --ema --values

# Settings that no shape shows change nothing; a shape that differs does.
works check $TINY --set model.params.scale_factor=0.18215 \
    --set model.params.unet_config.params.num_heads=8
stdout_has '0.18215'
ldm check $TINY --set model.params.unet_config.params.model_channels=64
[ "$CODE" -eq 3 ] || die "expected exit code 3"
[ -s "$OUT" ] || die "expected the report on stdout"
stderr_empty
ldm check $TINY --set model.params.unet_config.params.channel_mult=[1,1,1] --json
[ "$CODE" -eq 3 ] || die "expected exit code 3"
stdout_lacks '"missing": *\[\]'

# NaN in a weight: the report, and a line that says where.
"$LDM" inspect "$CKPT" --all >"$ROOM/said/all"
at=$(sed -n 's/^ *model[.]diffusion_model[.]out[.]2[.]bias .* at \([0-9]*\)$/\1/p' "$ROOM/said/all")
cp "$CKPT" nan.ckpt
printf '\377\377' | dd of=nan.ckpt bs=1 seek=$((at + 2)) conv=notrunc status=none # f16, the second
works check --ckpt nan.ckpt --config "$CONFIG"
for json in '' --json; do
    ldm check --ckpt nan.ckpt --config "$CONFIG" --values $json
    [ "$CODE" -eq 1 ] || die "expected exit code 1"
    stdout_has "model.diffusion_model.out.2.bias"
    [ "$(cat "$ERR")" = "ldm check: nan.ckpt: byte $((at + 2)): 'model.diffusion_model.out.2.bias' holds \
1 NaN and 0 infinite values: the file is damaged, or its training failed" ] || die "expected one line"
done

# A bit that changed on the way is seen by the checksum alone.
cp "$CKPT" flipped.ckpt
printf '\001' | dd of=flipped.ckpt bs=1 seek=$((at + 2)) conv=notrunc status=none
works check --ckpt flipped.ckpt --config "$CONFIG"
fails 1 "flipped.ckpt: byte [0-9]*: '.*/data/[0-9]*' is damaged: its CRC-32 is" \
    check --ckpt flipped.ckpt --config "$CONFIG" --values
[ "$(wc -l <"$ERR")" -eq 1 ] || die "expected one line"
works generate --ckpt flipped.ckpt --config "$CONFIG" --steps 1 -o flipped.png --quiet
stderr_has "warning: the pictures are made of a damaged file: flipped.ckpt: byte [0-9]*: '.*' is damaged"

# An unknown key is told with its line; a layer over the config counts.
printf 'model:\n  params:\n    scale_facter: 0.5\n' >layer.yaml
works check $TINY --config layer.yaml
stdout_has 'layer.yaml:3'
stdout_has 'scale_facter'

# The command at the end repeats the line: layers in their order, --set, names that need quotes.
printf 'model:\n  params:\n    linear_start: 0.002\n' >'la yer.yaml'
works check $TINY --config 'la yer.yaml' --no-ema --json --set model.params.unet_config.params.dims=2
stdout_has "config.yaml --config 'la yer.yaml' --set model.params.unet_config.params.dims=2 --no-ema -o"
rm 'la yer.yaml'

fails 1 "nothing.ckpt.*No such file" check --ckpt nothing.ckpt --config "$CONFIG"
fails 1 "nothing.yaml.*No such file" check --ckpt "$CKPT" --config nothing.yaml
fails 2 "folder . holds 2 checkpoints: flipped.ckpt, nan.ckpt; name one" check --ckpt . --config "$CONFIG"
fails 2 "config.yaml is a YAML file, no checkpoint" check --ckpt "$CONFIG" --config "$CONFIG"

# Renaming: of keys that become one the last counts; rules that feed each other end in time.
ldm check $TINY --set 'ldm.load.rename={"in_layers": "out_layers"}' --json
[ "$CODE" -eq 3 ] || die "half of the residual blocks' keys are gone"
stdout_has '"model.diffusion_model.input_blocks.1.0.in_layers.0.weight"'
A=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa B=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb C=cccccccccccccccccccccccccccccccc
fails 1 'renaming makes more than 4096 bytes of the key' \
    check $TINY --set "ldm.load.rename={\"e\": $A, \"a\": $B, \"b\": $C, \"c\": $A$A}"

# A --set that nothing reads is an error wherever it stands. Sections of a file for others are no news.
fails 2 'set modle.params.scale_factor: the model has no such parameter; did you mean model.params.scale_factor\?' \
    check $TINY --set modle.params.scale_factor=1
fails 2 'set data.params.batch_size: the model has no such parameter' check $TINY --set data.params.batch_size=4
fails 2 'set modle.params.scale_factor: the model has no such parameter; did you mean model.params.scale_factor\?' \
    generate $TINY --steps 1 --set modle.params.scale_factor=1
fails 2 'did you mean model.params.x\?' generate $TINY --steps 1 --set model.parms.x=1
fails 2 'set scale_factor: the model has no such parameter; did you mean model.params.scale_factor\?' \
    generate $TINY --steps 1 --set scale_factor=0.18215
fails 2 'did you mean model.params.scale_factor\?' generate $TINY --set model.params.scalefactor=0.18215
fails 2 'set nothing.like.it: the model has no such parameter; .ldm inspect. lists' generate $TINY --set nothing.like.it=1
printf 'data: {params: {batch_size: 4}}\nlightning: {trainer: {benchmark: true}}\n' >other.yaml
works generate $TINY --dry-run --steps 1 --config other.yaml
stderr_lacks 'ignored'

# --json prints one object whatever happens; the message stands on stderr as well.
# error CODE PATTERN ARGUMENTS
error()
{
    want=$1 pattern=$2
    shift 2
    ldm "$@" --json
    [ "$CODE" -eq "$want" ] || die "expected exit code $want"
    [ "$(wc -l <"$ERR")" -eq 1 ] || die "expected one line on stderr"
    [ "$(cat "$OUT")" = "{
  \"error\": \"$(sed 's/^ldm [a-z]*: //; s/["\\]/\\&/g' "$ERR")\"
}" ] || die "expected the line of stderr as the only field of an object"
    stderr_has "$pattern"
}
error 1 'of first stages ldm knows ldm.models.autoencoder.VQModelInterface' \
    bench $TINY --set model.params.first_stage_config.target=ldm.models.autoencoder.GumbelVQ
head -c 700000 "$CKPT" >cut.ckpt
error 1 'cut off' check --ckpt cut.ckpt --config "$CONFIG"
error 1 'No such file' check --ckpt nothing.ckpt --config "$CONFIG"
mkdir none
cp "$CKPT" none/alone.ckpt
error 2 'no configuration given' check --ckpt none/alone.ckpt
# No YAML would help a file that is cut off: the damage comes first.
head -c 40000 none/alone.ckpt >none/cut.ckpt
error 1 'none/cut.ckpt: .*cut off' check --ckpt none/cut.ckpt
rm none/cut.ckpt
error 1 'cut off' inspect cut.ckpt
error 1 'cut off' bench --ckpt cut.ckpt --config "$CONFIG"

# A refused configuration: its own place on stderr, and a JSON object for those who read stdout.
printf 'model:\n  target: ldm.models.Unknown\n' >unknown.yaml
fails 1 '^unknown.yaml:2:11: model.target: is ldm.models.Unknown' bench --ckpt "$CKPT" --config unknown.yaml
# check reports what can be read, and fails where that is nothing.
ldm check --ckpt "$CKPT" --config unknown.yaml
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stdout_has 'unknown.yaml:2:11: model.target: is ldm.models.Unknown'
stdout_has 'whether the checkpoint fits'
stderr_has 'ldm knows no part of this model'
ldm generate --ckpt "$CKPT" --config unknown.yaml --json -o f.png
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stdout_has '"error": "unknown.yaml:2:11: model.target: is ldm.models.Unknown'
ldm generate --json --steps 0
[ "$CODE" -eq 2 ] || die "expected exit code 2"
stdout_has '"error": "--steps: .0. is not a whole number'
ldm check --ckpt none/alone.ckpt --json
[ "$CODE" -eq 2 ] || die "expected exit code 2"
stdout_has '"error": "no configuration given for .* [(]--config FILE[)]"'

# The next command is one line that a shell can be given.
long="a folder with a name that is long enough to make any line of a hundred columns break"
mkdir "$long"
cp "$CKPT" "$long/model.ckpt"
works check --ckpt "$long/model.ckpt" --config "$CONFIG"
sed -n 's/^  Next: ldm //p' "$OUT" >next
(eval "'$LDM' $(cat next) --steps 1 --quiet") >made || die "the next command does not run: $(cat next)"
[ "$(cat made)" = picture.png ] || die "made: $(cat made)"

# What is in the file with other names or shapes is not called found.
ldm check --ckpt "$CKPT" --set model.params.unet_config.params.model_channels=64
[ "$CODE" -eq 3 ] || die "expected exit code 3"
stdout_has 'model.diffusion_model IN PART +[0-9]+ of'

# A configuration that contradicts itself: what is wrong is named, and the rest is compared all the same.
TEXT="--ckpt $SRC/tests/data/models/clip.ckpt --config $SRC/tests/data/models/clip.yaml"
ldm check $TEXT --set model.params.unet_config.params.context_dim=32
[ "$CODE" -eq 2 ] || die "expected exit code 2"
stdout_has '^  first_stage_model +FOUND +120 of 120 '
stdout_has 'attn2.to_k.weight  has shape \[32, 64\], expected \[32, 32\]$'
stdout_has '^What is wrong in the configuration$'
stdout_has '^  THE CONFIGURATION IS WRONG$'
stdout_has 'Next: mend it, or let `ldm doctor --ckpt'
stderr_has 'context_dim: is 32, and the conditioner .* gives contexts of 64 values$'
sed 's/num_heads: 8/num_heads: nine/' "$SRC/tests/data/models/clip.yaml" >nine.yaml
ldm check --ckpt "$SRC/tests/data/models/clip.ckpt" --config nine.yaml --json
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stdout_has '"fits": false'
stdout_has '"headline": "THE CONFIGURATION IS WRONG"'
stdout_has '"nine.yaml:23:20: .*num_heads: found the text .*, expected a whole number"'
[ "$(wc -l <"$ERR")" -eq 1 ] || die "one line on stderr"
# A part is refused for its own sake alone: that of the conditioner is none of the UNet's.
sed 's/FrozenCLIPEmbedder/FrozenOtherEmbedder/' "$SRC/tests/data/models/clip.yaml" >other.yaml
works check --ckpt "$SRC/tests/data/models/clip.ckpt" --config other.yaml
stdout_has '^  UNet +known '
stdout_has '^  conditioner +refused '
stdout_lacks 'conditioning_key null'

# The YAML of another kind of model: that is the first cause, both kinds are named, and no setting is said to cure it.
MODELS=$SRC/tests/data/models
other_model() { # CHECKPOINT YAML ITS OURS
    ldm check --ckpt "$MODELS/$1.ckpt" --config "$MODELS/$2.yaml"
    [ "$CODE" -eq 3 ] || die "expected exit code 3"
    tr -s ' \n' ' ' <"$OUT" >said
    file_has said "Causes the checkpoint is $3, and this configuration describes $4: it belongs to another model( [(][^)]*[)])? cure: use the YAML"
    file_has said "Next: use the YAML that was published with this checkpoint, or let .ldm doctor --ckpt [^ ]* --config none --write-config NEW.yaml. make one"
    file_lacks said 'cure: --set'
}
other_model clip class 'a text model with CLIP, as Stable Diffusion 1' 'a class-conditional model'
other_model class clip 'a class-conditional model' 'a text model with CLIP, as Stable Diffusion 1'
other_model clip bert 'a text model with CLIP, as Stable Diffusion 1' "a model of texts or layouts with BERTEmbedder, as CompVis' txt2img"
other_model sd_inpaint clip "an inpainting model with CLIP, as Stable Diffusion 1's" 'a text model with CLIP, as Stable Diffusion 1'
other_model superres inpaint "a model that enlarges pictures, as CompVis' bsr_sr" "a model that paints in pictures, as CompVis' inpainting_big"
fails 3 'the checkpoint is a model of semantic maps, and this configuration describes a class-conditional model' \
    generate --ckpt "$MODELS/semantic.ckpt" --config "$MODELS/class.yaml" --class 1 -o no.png
# What `ldm doctor` makes then fits.
cp "$MODELS/clip.ckpt" alone.ckpt
ldm doctor --ckpt alone.ckpt --quick --write-config made.yaml
works check --ckpt alone.ckpt --config made.yaml
# One kind at other sizes is no other model.
ldm check --ckpt "$MODELS/layout.ckpt" --config "$MODELS/bert.yaml"
stdout_has 'in_channels 3, the configuration says 4'
