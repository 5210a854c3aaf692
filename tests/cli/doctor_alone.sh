# SPDX-License-Identifier: MIT
# ldm doctor on files of one network: a first stage alone, a UNet alone. Both get a verdict where a YAML fits or does
# not, and what --write-config writes runs, or the report and the YAML say what it lacks.
MODELS=$SRC/tests/data/models

doctor() # CHECKPOINT YAML CODE OPTIONS
{
    ckpt=$MODELS/$1.ckpt
    yaml=$2
    [ "$2" = none ] || yaml=$MODELS/$2.yaml
    code=$3
    shift 3
    ldm doctor --ckpt "$ckpt" --config "$yaml" --write-config out.yaml --overwrite "$@"
    [ "$CODE" -eq "$code" ] || die "expected exit code $code"
}

# A first stage with its own YAML, and with none.
for quick in '' --quick; do
    for stage in kl vq; do
        doctor $stage $stage 0 $quick
        stdout_has '^  ok +configuration: fits'
        stdout_has 'is there with the right shape, as .ldm check. says; no network was tried on pictures'
        stdout_has '^HEALTHY as far as names, shapes and buffers show: no network was run'
        works check --ckpt "$MODELS/$stage.ckpt" --config out.yaml
        doctor $stage none 0 $quick
        works check --ckpt "$MODELS/$stage.ckpt" --config out.yaml
    done
done

# With another's: the class, a size, a whole model.
doctor kl vq 3
stdout_has '^  WRONG +model.target: ldm.models.autoencoder.VQModel \(vq.yaml:3\), must be ldm.models.autoencoder.AutoencoderKL$'
works check --ckpt "$MODELS/kl.ckpt" --config out.yaml
doctor vq kl 3 --quick
works check --ckpt "$MODELS/vq.ckpt" --config out.yaml
doctor kl kl 3 --quick --set model.params.ddconfig.ch=64 --set model.params.embed_dim=3
stdout_has '^  WRONG +ddconfig.ch: 64 \(--set\), must be 32$'
stdout_has "^  --set 'model.params.embed_dim=4' --set 'model.params.ddconfig.ch=32'$"
works check --ckpt "$MODELS/kl.ckpt" --config out.yaml
doctor kl class 3 --quick
stdout_has 'the file holds a first stage alone'
works check --ckpt "$MODELS/kl.ckpt" --config out.yaml
doctor class kl 3 --quick
stdout_has 'the file holds a latent diffusion model'
works check --ckpt "$MODELS/class.ckpt" --config out.yaml

# A UNet of pixels: with its YAML it is whole; without one its first stage is not known.
doctor labels labels 0
stdout_has '^  ok +configuration: fits'
doctor labels none 1 --quick
stdout_has '^  undecided first_stage_config$'
stdout_has 'give the first stage.s file with --first-stage FILE, or, where the UNet makes pixels'
file_has out.yaml '^# .ldm doctor. could not tell: first_stage_config, '
file_has out.yaml '^# .ldm doctor. could not tell model.params.first_stage_config: the file has no first stage'
cp out.yaml half.yaml
ldm doctor --ckpt "$MODELS/labels.ckpt" --config half.yaml --quick --write-config again.yaml
[ "$(grep -c 'could not tell' again.yaml)" -eq 2 ] || die "expected two lines of what could not be told"
doctor labels none 1 --quick --set 'model.params.first_stage_config={target: ldm.models.autoencoder.IdentityFirstStage}'
works check --ckpt "$MODELS/labels.ckpt" --config out.yaml
works generate --ckpt "$MODELS/labels.ckpt" --config out.yaml --shape 3,8,8 --class 1 --steps 1 -o made.png

# Each part is named on stderr as it begins; not with --quiet.
ldm doctor --ckpt "$MODELS/class.ckpt" --config "$MODELS/class.yaml"
for part in 'reading the weights' 'opening the model' 'timing the UNet on one picture' 'pictures through the first stage' \
    'trying heads, scales and weights'; do
    stderr_has "^ldm doctor: +[0-9]+ %  $part$"
done
stderr_has '^ldm doctor: this takes about [0-9]+ s, and [0-9]+ s more where the network has learned something$'
[ "$(grep -c 'this takes' "$ERR")" -eq 1 ] || die "the time is said more than once"
ldm doctor --ckpt "$MODELS/kl.ckpt" --config "$MODELS/kl.yaml" --quiet
stderr_empty
