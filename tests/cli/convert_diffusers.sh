# SPDX-License-Identifier: MIT
# ldm convert --to diffusers: a folder that is read back with the same eps, for each kind of model
# that diffusers has; the others are refused in one line.
MODELS=$SRC/tests/data/models
: "${MAKE_CKPT:?names the program that makes checkpoints}"
convert() { works convert --ckpt "$MODELS/$1.ckpt" --config "$MODELS/$1.yaml" --to diffusers -o "$1"; }
works convert $TINY --to diffusers -o vq
# Classes by label_emb: the labelled model, with the first stage of another.
{ sed '/first_stage_config/,$d' "$MODELS/labels.yaml"
  sed -n '/first_stage_config/,/lossconfig/p' "$SRC/tests/data/conditioned/inpaint.yaml"
  echo '    cond_stage_config: {target: torch.nn.Identity}'; } >labels.yaml
"$MAKE_CKPT" labels.yaml 1 labels.safetensors || die "no checkpoint with labels"
works convert --ckpt labels.safetensors --config labels.yaml --to diffusers -o labels
stdout_has 'eps of both is equal bit by bit'
for kind in bert layout class clip openclip sd_inpaint superres; do
    convert $kind
    stdout_has 'eps (of both is equal bit by bit|differs by 0 of its norm)'
done
file_has vq/model_index.json '"LDMPipeline"'
file_has bert/model_index.json '"LDMTextToImagePipeline"'
file_has bert/model_index.json '"LDMBertModel"'
file_has bert/bert/config.json '"encoder_attention_heads": 8'
file_has superres/model_index.json '"LDMSuperResolutionPipeline"'
file_has clip/model_index.json '"StableDiffusionPipeline"'
file_has sd_inpaint/model_index.json '"StableDiffusionInpaintPipeline"'
# Some pipelines look for the version; transformers would take the type of the file, float16.
file_has clip/model_index.json '"_diffusers_version"'
file_has clip/text_encoder/config.json '"torch_dtype": "float32"'
file_has bert/bert/config.json '"torch_dtype": "float32"'
file_has labels/unet/config.json '"num_class_embeds"'
file_has class/class_embedder/config.json '"ClassEmbedder"'
# transformers' names of a layer, whose two halves are modules of their own in CompVis' file.
works inspect bert/bert/model.safetensors --all
stdout_has 'model.layers.0.self_attn.q_proj.weight'
stdout_has 'model.layers.0.fc1.weight'
stdout_has 'model.layers.0.final_layer_norm.weight'

for kind in semantic inpaint upscale kl labels; do
    rm -rf $kind
    fails 1 "diffusers has no|ldm writes no pipeline|ldm does not write" convert --ckpt "$MODELS/$kind.ckpt" --config "$MODELS/$kind.yaml" --to diffusers -o $kind
    [ ! -e $kind ] || die "$kind was written"
done
fails 1 'StableDiffusionUpscalePipeline, which ldm does not write' convert --ckpt "$MODELS/upscale.ckpt" \
    --config "$MODELS/upscale.yaml" --to diffusers -o upscale # diffusers has it
fails 1 'is there already' convert $TINY --to diffusers -o vq
left=$(find . -name '*.tmp*')
[ -z "$left" ] || die "left behind: $left"

# The folder's own scale factor is believed, with a slash at its name's end and where it is empty.
mkdir back
works convert --model demo --to diffusers -o back/
works generate --model demo --steps 2 -o there.png --quiet
works generate --ckpt back --steps 2 -o again.png --quiet
same_pixels there.png again.png

# CLIP's vocabulary becomes a tokenizer of transformers, whatever form it has; without it, or with
# one that is another model's, a note.
for form in clip openclip; do
    mkdir words.$form
    cp "$MODELS/$form.ckpt" words.$form/model.ckpt
    cp "$SRC/tests/data/tokenize/vocab.json" "$SRC/tests/data/tokenize/merges.txt" words.$form
    works convert --ckpt words.$form/model.ckpt --config "$MODELS/$form.yaml" --to diffusers -o $form.told
    tail -n +2 $form.told/tokenizer/merges.txt >ours # the first line is a version
    tail -n +2 "$SRC/tests/data/tokenize/merges.txt" | cmp - ours || die "other merges"
    file_has $form.told/tokenizer/vocab.json '"<[|]endoftext[|]>": 537'
    file_has $form.told/model_index.json '"CLIPTokenizer"'
    works tokenize --kind clip --vocab $form.told/tokenizer 'a cat'
    mv "$OUT" told.ids
    works tokenize --kind clip --vocab words.$form 'a cat'
    cmp told.ids "$OUT" || die "other ids"
done
file_has clip.told/tokenizer/tokenizer_config.json '"pad_token": "<[|]endoftext[|]>"'
file_has openclip.told/tokenizer/tokenizer_config.json '"pad_token": "!"'
rm -r words.clip/merges.txt words.clip/vocab.json clip.told
printf '#version\na b\n' >words.clip/bpe_simple_vocab_16e6.txt.gz
works convert --ckpt words.clip/model.ckpt --config "$MODELS/clip.yaml" --to diffusers -o clip.told
stdout_has 'no vocabulary of this text encoder was found'
[ ! -e clip.told/tokenizer ] || die "another model's words"

# The vocabulary that lies with a checkpoint goes with it, and is found there. BERT's is in a folder
# tokenizer, as diffusers keeps it; another of that name stays.
works convert --model portrait --to diffusers -o portrait
stdout_lacks 'not kept'
# A schedule of the file that its configuration does not give has no place in a folder.
works convert --model portrait --set model.params.linear_end=0.0121 --to diffusers -o other_schedule
stdout_has "not kept: the file's own noise schedule \(alphas_cumprod, off by up to .* pictures differ a little"
works convert --model portrait -o one/portrait.safetensors
stdout_has 'one/vocab.txt'
cmp one/vocab.txt "$SRC/models/portrait/vocab.txt" || die "another vocabulary"
mkdir two && echo '[PAD]' >two/vocab.txt
works convert --model portrait -o two/portrait.safetensors
stdout_has 'two/vocab.txt is another model.s vocabulary and stays'
# A folder of several models gets none, which the others would take; nor does a model get the words of a
# larger table.
mkdir several && : >several/other.ckpt
works convert "$SRC/models/portrait/model.ckpt" -o several/out.safetensors --config "$SRC/models/portrait/config.yaml"
stdout_has 'note: the vocabulary is not laid beside several/out.safetensors: other models lie there, too, .*--vocab .*vocab.txt$'
stdout_has 'note: the grammar of captions is not laid beside'
[ ! -e several/vocab.txt ] && [ ! -e several/grammar.txt ] || die "it serves the other model"
mkdir many many.out
cp "$SRC/tests/data/models/bert.ckpt" "$SRC/tests/data/models/bert.yaml" many
awk 'BEGIN { print "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]"; for (i = 0; i < 40000; i++) print "word" i }' >many/vocab.txt
works convert many/bert.ckpt -o many.out/bert.safetensors
stdout_has 'note: many/vocab.txt has 40005 words and the text encoder.s table [0-9]+: .* is not copied'
[ ! -e many.out/vocab.txt ] || die "words that the table has no rows for"
works generate --model portrait --prompt 'a man with a beard' --steps 2 -o there.png --overwrite --quiet
works generate --ckpt one/portrait.safetensors --prompt 'a man with a beard' --steps 2 -o one.png --quiet
works generate --ckpt portrait --prompt 'a man with a beard' --steps 2 -o folder.png \
    --like there.png --quiet
same_pixels there.png one.png
same_pixels there.png folder.png

# What the configuration says of sampling goes with the folder, and the captions' grammar with both: the same
# picture without any option.
works convert --model portrait --set ldm.sampling.steps=3 --set 'ldm.sampling.negative="a \"cat\": 1"' --to diffusers -o said
file_has said/model_index.json '"_ldm_sampling": [{]'
file_has said/model_index.json '"scale_to": 0.3'
works generate --model portrait --set ldm.sampling.steps=3 --set 'ldm.sampling.negative="a \"cat\": 1"' -o there.png --overwrite --quiet
works generate --ckpt said -o folder.png --overwrite --quiet
same_pixels there.png folder.png
works inspect folder.png
stdout_has 'a .+cat.+: 1'
works convert --model portrait --set ldm.sampling.steps=3 -o three/portrait.safetensors
stdout_has 'three/grammar.txt'
works generate --ckpt three/portrait.safetensors -o one.png --overwrite --quiet
works generate --model portrait --set ldm.sampling.steps=3 -o there.png --overwrite --quiet
same_pixels there.png one.png
# Its names are those of settings and its values words, numbers and texts: others never reach a configuration.
sed -i 's/"scale_to": 0.3/"Scale_to": 0.3, "scale_from": [1]/' said/model_index.json
works generate --ckpt said -o odd.png --quiet
sed -i 's/"Scale_to": 0.3/"no_such_setting": 1/' said/model_index.json
fails 1 'no_such_setting' generate --ckpt said -o odd.png --overwrite --quiet
