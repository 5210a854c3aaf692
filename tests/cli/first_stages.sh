# SPDX-License-Identifier: MIT
# First stages other than the tiny model's: KL, identity, and other numbers of picture channels. The
# UNet is the tiny model's; what the file does not have is initialised, as load.missing permits.
cat >alone.yaml <<'EOF'
model: {params: {first_stage_config: {params: {lossconfig: {target: torch.nn.Identity}}}}}
ldm: {load: {rename: {"^first_stage_model.": "unused."}, missing: init}}
EOF
STAGE=model.params.first_stage_config
DD=$STAGE.params.ddconfig
ALONE="$TINY --config alone.yaml"
KL="$ALONE --set $STAGE.target=ldm.models.autoencoder.AutoencoderKL --set $DD.double_z=true"
IDENTITY="$ALONE --set $STAGE.target=ldm.models.autoencoder.IdentityFirstStage"

# As `fails`, where notes of loading stand before the error.
refused()
{
    want=$1 pattern=$2
    shift 2
    before=$(find . | sort)
    ldm "$@"
    [ "$CODE" -eq "$want" ] || die "expected exit code $want"
    [ ! -s "$OUT" ] || die "expected nothing on stdout"
    stderr_has "$pattern"
    [ "$before" = "$(find . | sort)" ] || die "a file appeared or went: $(find . | sort)"
}

# ---- KL ------------------------------------------------------------------------------------------

npy picture.npy '(2, 3, 64, 64)' 98304
npy noise.npy '(2, 3, 16, 16)' 6144
npy wrong.npy '(1, 3, 16, 16)' 3072
works eval $KL --part encode --in picture.npy --out moments.npy
stdout_has 'encode float32 \[2,6,16,16\]'
works eval $KL --part encode --in picture.npy --mean --out mean.npy
stdout_has '\[2,3,16,16\]'
works eval $KL --part encode --in picture.npy --noise noise.npy --out zero.npy
same mean.npy zero.npy # noise of zeros
works eval $KL --part encode --in picture.npy --sample --out sample.npy
works eval $KL --part encode --in picture.npy --sample --seed 42 --out again.npy
same sample.npy again.npy
works eval $KL --part encode --in picture.npy --sample --seed 43 --out other.npy
differ sample.npy other.npy
differ mean.npy sample.npy
works eval $KL --part decode --in sample.npy --out image.npy
stdout_has '\[2,3,64,64\]'
works eval $KL --part decode --in sample.npy --no-quantize --out image2.npy
stderr_has 'no-quantize has no effect'
same image.npy image2.npy

refused 2 'expected \[2,3,16,16\]' eval $KL --part encode --in picture.npy --noise wrong.npy --out x.npy
refused 2 'has no codebook' eval $KL --part quantize --in sample.npy --out x.npy
refused 2 'belongs to --part encode' eval $KL --part decode --in sample.npy --sample --out x.npy
refused 2 'exclude each other' eval $KL --part encode --in picture.npy --mean --sample --out x.npy
refused 2 'gives latents and no moments' eval $TINY --part encode --in picture.npy --mean --out x.npy
refused 2 'demands double_z: true|demands true' eval $KL --set $DD.double_z=false --part decode \
    --in sample.npy --out x.npy

works generate $KL --steps 2 -n 2 -o kl/ --save-latent z.npy
[ -f kl/00001.png ] || die "no second picture"
refused 2 'has no codebook' generate $KL --steps 2 --quantize-x0 -o x.png
works generate $KL --steps 2 -o one.png --no-quantize
stderr_has 'no-quantize has no effect'
works generate $KL --steps 2 --dry-run # rehearses the decoder, too
works generate --like one.png $KL -o like.png
same_pixels one.png like.png
works metrics kl/00000.png kl/00001.png --write-stats kl.stats $KL
works metrics kl/00000.png kl/00001.png --frechet kl.stats $KL
works bench $KL --rounds 1
stdout_has '^encode '
works inspect --shapes "$SRC/configs/lsun_churches-ldm-kl-8.yaml"
stdout_has "first stage's decoder, latent 4x32x32"

# ---- pixels --------------------------------------------------------------------------------------

works generate $IDENTITY --steps 2 -o pixels.png --save-image i.npy --save-latent z.npy
works eval $IDENTITY --part decode --in z.npy --out d.npy
same d.npy i.npy
works eval $IDENTITY --part encode --in z.npy --out e.npy
same e.npy z.npy
refused 1 'has no encoder' metrics pixels.png --write-stats p.stats $IDENTITY
works check $IDENTITY
stdout_has 'FITS'

# ---- other channels ------------------------------------------------------------------------------

GREY="$ALONE --set $DD.in_channels=1 --set $DD.out_ch=1"
works generate $GREY --steps 2 -n 2 -o grey/ --save-image grey.npy
# its PNG is grey: colour type 0 in the header
[ "$(od -An -tu1 -j25 -N1 grey/00000.png | tr -d ' ')" = 0 ] || die "grey/00000.png is no grey PNG"
works generate $GREY --steps 2 -n 2 -o grey/ --resume
head -c 128 grey.npy | grep -q '(2, 1, 64, 64)' || die "grey.npy has another shape"
works metrics grey/00000.png grey/00001.png --write-stats grey.stats $GREY
refused 1 'has colours' metrics one.png --write-stats x.stats $GREY

FOUR="$ALONE --set $DD.in_channels=4 --set $DD.out_ch=4"
refused 1 'have 4 channels, and a PNG is made of 1 \(grey\) or 3 \(RGB\)' \
    generate $FOUR --steps 2 -o four.png --quiet
works generate $FOUR --steps 2 -o four.png --save-image four.npy
stderr_has 'no PNG is written'
head -c 128 four.npy | grep -q '(1, 4, 64, 64)' || die "four.npy has another shape"
[ ! -e four.png ] || die "four.png was written"
refused 1 'features are made of' metrics one.png --write-stats x.stats $FOUR

# ---- a first stage for nothing, and one without a YAML --------------------------------------------

MODELS=$SRC/tests/data/models
mkdir bare made # no YAML lies beside these
cp "$MODELS/labels.ckpt" "$MODELS/kl.ckpt" "$MODELS/vq.ckpt" bare
fails 2 'the first stage bare/vq.ckpt would not be read: .* IdentityFirstStage, .*; leave it out' generate \
    --ckpt bare/labels.ckpt --config "$MODELS/labels.yaml" --first-stage bare/vq.ckpt --class 1 -o no.png
fails 2 'the first stage bare/kl.ckpt would not be read' check --ckpt bare/labels.ckpt --config "$MODELS/labels.yaml" \
    --first-stage bare/kl.ckpt
# One that is another model's: it is named, not the checkpoint.
fails 3 '^ldm generate: bare/vq.ckpt: first_stage_model.*first stage of bare/vq.ckpt, which was given .*leave --first-stage out' \
    generate --ckpt "$MODELS/clip.ckpt" --config "$MODELS/clip.yaml" --first-stage bare/vq.ckpt --prompt x -o no.png
ldm check --ckpt "$MODELS/clip.ckpt" --config "$MODELS/clip.yaml" --first-stage bare/vq.ckpt
[ "$CODE" -eq 3 ] || die "expected exit code 3"
stdout_has 'cure: give the first stage that belongs to this model, or leave --first-stage out'
# One that is missed, without a YAML: no YAML would bring it.
works convert "$MODELS/clip.ckpt" --to diffusers -o without
cp -r without/vae vae
rm -r without/vae
fails 2 'without, which holds a UNet and a text encoder, but no first stage: .* [(]--first-stage FILE[)]$' \
    generate --ckpt without --prompt x -o no.png
works generate --ckpt without --first-stage vae --vocab "$SRC/tests/data/tokenize/merges.txt" --prompt cat --steps 2 --shape 4,8,8 -o beside.png
fails 2 'no cond_stage_model.[*] that computes one: get the file of the whole model$' generate --ckpt without/unet --prompt x -o no.png
for command in "generate -o no.png" "reconstruct one.png"; do
    fails 2 'have `ldm doctor --ckpt bare/kl.ckpt --write-config NEW.yaml` make one that fits, or give the YAML' \
        $command --ckpt bare/kl.ckpt
done
ldm doctor --ckpt bare/kl.ckpt --write-config made/kl.yaml
works reconstruct one.png --ckpt bare/kl.ckpt --config made/kl.yaml
