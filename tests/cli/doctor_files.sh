# SPDX-License-Identifier: MIT
# Files that people hold: other spellings of a model's keys are read, and what is no model is called
# by its name, by ldm doctor, ldm convert and every other command.
MODELS=$SRC/tests/data/models

# A number as 8 bytes, the least first.
le8()
{
    v=$1 i=0
    while [ $i -lt 8 ]; do
        printf "\\$(printf %03o $((v & 255)))"
        v=$((v >> 8)) i=$((i + 1))
    done
}

# $2: the safetensors file $1 with the sed script $3 over its header.
rekey()
{
    n=$(od -An -tu8 -N8 "$1" | tr -d ' ')
    head -c $((n + 8)) "$1" | tail -c "$n" | sed -e "$3" >header
    { le8 "$(wc -c <header)"; cat header; tail -c +$((n + 9)) "$1"; } >"$2"
}

# $1: a safetensors file of one number under each of the other names.
names()
{
    file=$1 at=0 text=
    shift
    for name; do
        text="$text${text:+,}\"$name\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[$at,$((at + 4))]}"
        at=$((at + 4))
    done
    { le8 $((${#text} + 2)); printf '{%s}' "$text"; head -c $at /dev/zero; } >"$file"
}

mkdir alone # no YAML beside it
works convert --ckpt "$MODELS/clip.ckpt" --config "$MODELS/clip.yaml" -o clip.safetensors
works convert --ckpt "$MODELS/openclip.ckpt" --config "$MODELS/openclip.yaml" -o openclip.safetensors

# All keys below one more name, or the text encoder's below another.
spelled()
{
    rekey $1.safetensors alone/other.safetensors "$2"
    works check --ckpt alone/other.safetensors --config $1.yaml
    stdout_has 'FITS'
    stdout_lacks 'has keys this model does not know'
    ldm doctor --quick --ckpt alone/other.safetensors --config $1.yaml
    [ "$CODE" -eq 0 ] || die "$2: the doctor ends with $CODE"
}
KEYS='model[.]diffusion\|first_stage_model\|cond_stage_model\|alphas\|betas\|sqrt\|posterior\|log_one'
spelled clip "s/\"\\($KEYS\\)/\"state_dict.\\1/g"
spelled clip "s/\"\\($KEYS\\)/\"model.\\1/g"
spelled clip "s/\"\\($KEYS\\)/\"module.\\1/g"
spelled clip 's/transformer[.]text_model[.]/transformer./g'
spelled clip 's/"cond_stage_model[.]/"conditioner.embedders.0./g'
spelled openclip 's/"cond_stage_model[.]/"conditioner.embedders.0./g'
# A key that stands there with a wrapper's name and without: torch loads the one without.
rekey clip.safetensors alone/other.safetensors 's/"sqrt_recip_alphas_cumprod"/"module.betas"/'
works check --ckpt alone/other.safetensors --config clip.yaml
stdout_has '1 key stands there twice, with the name of a wrapper'
stdout_has 'FITS'
stdout_lacks 'renaming'

# What is no model of CompVis'.
strange()
{
    fails 1 "holds $1" doctor --ckpt alone/strange.safetensors
    fails 3 "holds $1" convert --ckpt alone/strange.safetensors -o x.safetensors
    fails 3 "the file holds $1" generate --ckpt alone/strange.safetensors --config "$CONFIG" -o x.png
}
names alone/strange.safetensors lora_unet_mid_block_attn1_to_k.lora_down.weight lora_unet_mid_block_attn1_to_k.alpha
strange 'a LoRA'
names alone/strange.safetensors unet.mid_block.attn1.to_k.lora_A.weight unet.mid_block.attn1.to_k.lora_B.weight
strange 'a LoRA'
names alone/strange.safetensors lora_unet_mid_block.hada_w1_a lora_unet_mid_block.hada_w1_b
strange 'a LoRA'
names alone/strange.safetensors control_model.input_hint_block.0.weight control_model.zero_convs.0.0.weight
strange 'a ControlNet'
names alone/strange.safetensors lora_unet_mid_block_attn1_to_k.lora_down.weight
works inspect alone/strange.safetensors
stdout_has '^holds a LoRA, which changes a model.s weights;'
# All that could not be told is said, the kind first.
names alone/strange.safetensors control_model.input_blocks.0.0.weight control_model.input_hint_block.0.weight
ldm doctor --ckpt alone/strange.safetensors --config none
stdout_has '^ +its keys show a ControlNet.*; the UNet.s last convolution'
names alone/strange.safetensors controlnet_cond_embedding.conv_in.weight time_embedding.linear_1.weight \
    down_blocks.0.resnets.0.conv1.weight
strange 'a ControlNet'
names alone/strange.safetensors emb_params
strange 'a textual inversion'
names alone/strange.safetensors '<cat>'
strange 'a textual inversion'
names alone/strange.safetensors text_model.encoder.layers.0.mlp.fc1.weight
strange 'a text encoder alone'
names alone/strange.safetensors model.diffusion_model.double_blocks.0.img_attn.qkv.weight
strange 'a transformer'
names alone/strange.safetensors ip_adapter.1.to_k_ip.weight
strange 'an IP-Adapter'
names alone/strange.safetensors model.layers.0.mlp.gate_proj.weight
strange 'a language model'
# Files that hold no tensors under names, by any way to give them.
printf '\010\007\022\007pytorch\032\0052.1.0:xxxxxxxx' >alone/strange.onnx
printf '{\n  "metadata": {"total_size": 8},\n  "weight_map": {"a": "model-00001-of-00002.safetensors"}\n}\n' \
    >alone/model.safetensors.index.json
for file in 'strange.onnx an ONNX file, .*; give the checkpoint that it was made of' \
    'model.safetensors.index.json the index of weights .*; give the folder of the diffusers model that it belongs to'; do
    path=alone/${file%% *}
    fails 1 "${file#* }" generate --ckpt $path --config "$CONFIG" -o x.png
    fails 1 "${file#* }" check --ckpt $path --config "$CONFIG"
    fails 1 "${file#* }" inspect $path
    ldm generate $path "$CONFIG" -o x.png
    [ "$CODE" -eq 1 ] || die "expected exit code 1"
    stderr_has "${file#* }"
done
rm alone/strange.onnx alone/model.safetensors.index.json
names alone/strange.safetensors conv_first.weight
strange 'a network that enlarges pictures'

# By CompVis' names, and with layers that his networks do not have: never called healthy.
spoiled()
{
    rekey $1.safetensors alone/other.safetensors "$2; s/\"config\":/\"other\":/" # others have no YAML inside
    ldm doctor --quick --ckpt alone/other.safetensors --config $1.yaml
    [ "$CODE" -ne 0 ] || die "$3: called healthy"
    stdout_has "$3"
    fails 2 "$3" convert --ckpt alone/other.safetensors -o x.safetensors
}
spoiled clip 's/"cond_stage_model[.]transformer[.]text_model[.]final/"conditioner.embedders.1.x/g' 'Stable Diffusion XL'
spoiled clip 's/"alphas_cumprod_prev"/"model.diffusion_model.input_blocks.1.1.time_stack.0.x"/' 'a model of videos'
spoiled clip 's/"alphas_cumprod_prev"/"model.diffusion_model.time_embed.cond_proj.weight"/' 'the guidance scale'

# Texts and what a broken download leaves.
printf 'Entry not found' >alone/text.safetensors
fails 1 'a text, and no checkpoint' doctor --ckpt alone/text.safetensors
head -c 100000 /dev/zero >alone/zeros.ckpt
fails 1 'begins with nothing but zeros' doctor --ckpt alone/zeros.ckpt
: >alone/empty.ckpt
fails 1 'an empty file' convert --ckpt alone/empty.ckpt -o x.safetensors
