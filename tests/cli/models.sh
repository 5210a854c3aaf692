# SPDX-License-Identifier: MIT
# A tiny checkpoint of each family of models, from the line to the picture: classes, labels, the three
# kinds of text, and first stages alone. With small vocabularies made for the tests.
DATA=$SRC/tests/data/models WORDS=$SRC/tests/data/tokenize
model() { echo "--ckpt $DATA/$1.ckpt --config $DATA/$1.yaml"; }
make() { # KIND, and what it is made of: two pictures, checked for their number
    kind=$1
    shift
    works generate $(model "$kind") --steps 3 --quiet "$@"
}

# ---- what each takes is said ------------------------------------------------------------------------
for kind in class labels bert clip openclip; do
    works check $(model $kind)
    stdout_has '^  FITS$'
    stdout_has '^Conditions$'
done
works check $(model class) --json
stdout_has '"takes": \['
stdout_has '"class"'
stdout_has '"to": 5'
stdout_has '"guidance": 3'
works check $(model openclip)
stdout_has 'a text \(--prompt\)'
stdout_has 'a context of 77 x 64 numbers'
stdout_has '9, unless --scale says otherwise'
stdout_has 'another size than OpenCLIP ViT-H/14'
stdout_has 'use_fp16 is true: .* does not$|use_fp16 is true'
works check $(model clip)
stdout_has '32 channels +8 x 4 +input_blocks.1.1 middle_block.1 output_blocks.0.1$'
works check $(model clip) --json
stdout_has '"published_width": 768'
stdout_has '"is_published_size": false'
works inspect "$DATA/bert.yaml"
stdout_has 'a text \(--prompt\)'
fails 2 'prompt: this model takes a class' generate $(model class) --prompt cat -o no.png
fails 2 'class: this model takes a prompt' generate $(model clip) --class 1 --vocab "$WORDS" -o no.png
fails 2 'makes pictures of a text' generate $(model clip) -o no.png
fails 2 'makes pictures of a class' generate $(model class) -o no.png

# ---- classes -------------------------------------------------------------------------------------------
make class --class 2 -o two.png
make class --class 4,2 -o some
make class --class 2 --seed 43 -o again.png
same_pixels some/00001.png again.png
differ two.png some/00001.png
make class --class 2 --scale 1 -o unguided.png
differ two.png unguided.png
works generate $(model class) --class 2 --steps 3 -o noted.png
stderr_has 'scale 3'
fails 2 "class is '6', expected numbers from 0 to 5" generate $(model class) --class 6 -o no.png
printf 'tench, Tinca tinca\ngold_fish\ncrane\nhen\ncrane\nnone\n' >names.txt
make class --class-names names.txt --class 'Gold Fish,tench, tinca tinca,3' -o named
make class --class 1 -o one.png
same_pixels named/00000.png one.png
[ -e named/00002.png ] && [ ! -e named/00003.png ] || die "three classes were named"
fails 2 "'crane' names 2 classes in names.txt: 2 \(crane\), 4 \(crane\); give the number" \
    generate $(model class) --class-names names.txt --class crane -o no.png
fails 2 "is named 'fish'; names that hold it: 1 \(gold_fish\)" \
    generate $(model class) --class-names names.txt --class fish -o no.png
# what lists of names look like elsewhere: JSON of three kinds, and tables whose heading would move every name
for list in '["tench", ["n2", "gold fish"], "crane", "hen"]' '{"0": ["n1", "tench"], "1": ["n2", "Gold_Fish"], "3": "hen"}' \
    '{"tench": 0, "carp": 1, "gold fish": 1}'; do
    echo "$list" >names.json
    make class --class-names names.json --class 'gold fish' -o listed.png
    same_pixels listed.png one.png
    rm listed.png
done
printf '0,tench\n1,gold fish\n' >numbered.txt
make class --class-names numbered.txt --class 'gold fish' -o numbered.png
same_pixels numbered.png one.png
printf '0: tench\n1: gold fish\n' >numbered.txt
make class --class-names numbered.txt --class 'gold fish' -o colon.png
same_pixels colon.png one.png
printf 'id,name\n0,tench\n1,gold fish\n' >headed.txt
fails 2 'headed.txt:2: the line says 0 and stands for class 1; expected a line for each class from class 0 on' \
    generate $(model class) --class-names headed.txt --class 'gold fish' -o no.png
echo 'tench,gold fish,hen' >flat.txt
fails 2 'its only line is class 0' generate $(model class) --class-names flat.txt --class hen -o no.png
printf '# names\ntench\n' >commented.txt
works generate $(model class) --class-names commented.txt --class tench --steps 1 -o commented.png
stderr_has 'note: commented.txt:1: the line begins with # and is class 0 all the same'
# The number of names is held against the model's, whose last class stands for none.
printf 'tench\ngold fish\ncrane\nhen\nrobin\n' >five.txt
cp five.txt six.txt && echo none >>six.txt
cp six.txt eight.txt && printf 'wren\nzebra\n\n\n' >>eight.txt
for list in five six; do
    works generate $(model class) --class-names $list.txt --class tench --steps 1 -o counted.png
    stderr_lacks 'names, and this model'
done
works generate $(model class) --class-names numbered.txt --class 'gold fish' --steps 1 -o counted.png
stderr_has 'warning: numbered.txt has 2 names, and this model has 6 classes: where a line is missing, '
works generate $(model class) --class-names eight.txt --class 'gold fish' --steps 1 -o counted.png
stderr_has "warning: eight.txt has 8 names, and this model has 6 classes: where it is another model's list"
[ "$(grep -c 'names, and this model' "$ERR")" -eq 1 ] || die "expected one warning"
fails 2 "class: 'zebra' is class 7 in eight.txt, which has 8 names, and this model has 6 classes, 0 to 5" \
    generate $(model class) --class-names eight.txt --class zebra -o no.png
fails 2 "class is '.*', expected numbers from 0 to 5" generate $(model class) --class-names five.txt --class 9 -o no.png --quiet
works generate $(model labels) --class-names numbered.txt --class 'gold fish' --steps 1 -o counted.png
stderr_has 'warning: numbered.txt has 2 names, and this model has [0-9]* classes'
for list in '{"a": "tench"}' '[1]' '[' '{"0": 0.5}' '{"-1": "tench"}'; do
    echo "$list" >names.json
    fails 2 'class-names: names.json' generate $(model class) --class-names names.json --class tench -o no.png
done
fails 2 'needs --class NAME' generate $(model class) --class-names names.txt -o no.png
fails 1 'cannot open none' generate $(model class) --class-names none --class hen -o no.png
make labels --class 3 -o label.png
make labels --class 4 -o other.png
differ label.png other.png
fails 2 'expected numbers from 0 to 4' generate $(model labels) --class 5 -o no.png

# ---- texts ---------------------------------------------------------------------------------------------
for kind in clip openclip bert; do
    make $kind --vocab "$WORDS" --prompt 'the cat' -o $kind.png
    make $kind --vocab "$WORDS" --prompt 'hello' -o other.png
    differ $kind.png other.png
    make $kind --vocab "$WORDS" --prompt 'the cat' --negative hello -o negative.png
    differ $kind.png negative.png
    make $kind --vocab "$WORDS" --prompt '' --scale 1 -o empty.png
    works generate --like $kind.png --ckpt "$DATA/$kind.ckpt" --vocab "$WORDS" --quiet -o again.png
    same_pixels $kind.png again.png
done
file_has clip.png '"prompt": "the cat"'

# A prompt a line: blank lines are none, a byte order mark and carriage returns are dropped.
printf '\357\273\277the cat\r\n\n \t\nhello caf\303\251\n' >prompts.txt
make clip --vocab "$WORDS" --prompts prompts.txt -n 2 -o list
[ -e list/00003.png ] && [ ! -e list/00004.png ] || die "two pictures of each of two prompts"
same_pixels list/00000.png clip.png
make clip --vocab "$WORDS" --prompt 'hello café' --seed 45 -o fourth.png
same_pixels list/00003.png fourth.png
rm list/00002.png
make clip --vocab "$WORDS" --prompts prompts.txt -n 2 -o list --resume
[ -e list/00002.png ] || die "the missing picture"
cat prompts.txt | "$LDM" generate $(model clip) --vocab "$WORDS" --steps 3 --quiet --prompts - -n 2 -o piped >"$OUT" 2>"$ERR" || die "no prompts of stdin"
same_folder list piped
mkfifo fifo
cat prompts.txt >fifo &
make clip --vocab "$WORDS" --prompts fifo -n 2 -o piped2
wait $!
same_folder list piped2
printf 'tench\ngold fish\n' >fifo &
make class --class-names fifo --class 'gold fish' -o one_of_fifo.png
wait $!
same_pixels one_of_fifo.png one.png
rm fifo
fails 1 'of another run' generate $(model clip) --vocab "$WORDS" --steps 3 --quiet --prompts names.txt -n 2 -o list --resume
fails 2 'exclude each other' generate $(model clip) --prompts prompts.txt --prompt x -o no
fails 2 'prompts: this model takes a class' generate $(model class) --prompts prompts.txt -o no
printf 'cat\nab\377\n' >broken.txt
fails 1 'broken.txt:2: the prompt is no UTF-8: byte 2 of the line is 0xff; save the file as UTF-8' \
    generate $(model clip) --vocab "$WORDS" --prompts broken.txt -o no
printf 'cat\0\n' >broken.txt
fails 1 'broken.txt:1: holds a byte of value 0' generate $(model clip) --prompts broken.txt -o no
printf '\n\n' >broken.txt
fails 1 'broken.txt holds no line of text' generate $(model clip) --prompts broken.txt -o no

# Anything is a prompt: long ones are cut with a warning, what moves a cursor is not shown.
long=$(head -c 100000 /dev/zero | tr '\0' x)
works generate $(model clip) --vocab "$WORDS" --steps 2 --prompt "$long" -o long.png
stderr_has 'warning: the prompt "x{40}\.\.\." has [0-9]+ tokens and the text encoder reads 75: the rest is cut'
[ "$(wc -c <"$ERR")" -lt 4000 ] || die "the whole prompt is shown"
works generate $(model clip) --vocab "$WORDS" --steps 2 --prompt "x$(printf '%0200d' 0 | sed 's/0/ü/g')" -o cut.png
stderr_has 'warning: the prompt "xü{19}[.][.][.]" has' # 39 bytes: the 20th would end beyond 40
works generate --like long.png --ckpt "$DATA/clip.ckpt" --vocab "$WORDS" -o long2.png --quiet
same_pixels long.png long2.png
works generate $(model clip) --vocab "$WORDS" --steps 2 --prompt "$(printf 'two\nlines \033[31mred')" -o lines.png
stderr_lacks "$(printf '\033')"
fails 2 'prompt: the text is no UTF-8: byte 1' generate $(model clip) --vocab "$WORDS" --prompt "$(printf 'a\377')" -o no.png
fails 2 'negative: the text is no UTF-8' generate $(model clip) --vocab "$WORDS" --prompt a --negative "$(printf '\200')" -o no.png
fails 1 'cannot open none' generate $(model clip) --prompt x --vocab none -o no.png

# What other tools read.
works generate $(model clip) --vocab "$WORDS" --steps 4 --sampler 'DPM++ 2M Karras' --prompt 'the cat' --negative dog --seed 7 -o webui.png
file_has webui.png 'parameters'
file_has webui.png '^Negative prompt: dog$'
file_has webui.png '^Steps: 4, Sampler: DPM\+\+ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 7, Size: 16x16, Model hash: [0-9a-f]{10}, Model: clip, Version: ldm [0-9]'
file_has two.png '^Steps: 3, Sampler: DDIM, CFG scale: 3, Seed: ' # the text begins there: a class is no prompt

# ---- no prompt: captions of the grammar beside the checkpoint --------------------------------------------
mkdir spoken
cp "$DATA/bert.ckpt" "$DATA/bert.yaml" spoken
printf 'fact who\n  1 cat\n  1 hat\nrule caption\n  1 [who=cat] the cat\n  1 [who=hat] a hat\n' >spoken/grammar.txt
spoken="--ckpt spoken/bert.ckpt --config spoken/bert.yaml --vocab $WORDS"
works generate $spoken --steps 3 -n 6 --seed 1 -o told
stderr_has 'no prompt was given; that of seed 1 is: (the cat|a hat)$'
stderr_has 'no prompt was given; that of seed 6 is: (the cat|a hat)$'
prompt=$(sed -n 's/.*that of seed 4 is: //p' "$ERR")
works generate --like told/00003.png --ckpt spoken/bert.ckpt --vocab "$WORDS" --prompt "$prompt" --quiet -o like.png
same_pixels told/00003.png like.png
works generate --like told/00003.png --ckpt spoken/bert.ckpt --vocab "$WORDS" --quiet -o like.png --overwrite
same_pixels told/00003.png like.png
works generate $spoken --steps 3 --seed 4 --prompt "$prompt" --quiet -o asked.png
same_pixels told/00003.png asked.png
works generate $spoken --steps 3 --seed 4 --batch 1 --quiet -o alone.png
same_pixels told/00003.png alone.png
printf 'rule caption\n  1 {caption}\n' >spoken/grammar.txt
fails 1 "spoken/grammar.txt: the rules lead to no end" generate $spoken --steps 3 -o no.png
printf 'rule caption\n  1 {gone}\n' >spoken/grammar.txt
fails 1 "spoken/grammar.txt:2: no rule has the name 'gone'" generate $spoken --steps 3 -o no.png

# ---- pictures, maps, layouts -----------------------------------------------------------------------------
PICTURES=$SRC/tests/data/pictures
cp "$PICTURES/grey8.png" a.png
works inpaint a.png a.png $(model inpaint) --steps 3 --quiet -o painted.png
works inpaint a.png a.png $(model sd_inpaint) --steps 3 --quiet --vocab "$WORDS" --prompt cat -o cat.png
works inpaint a.png a.png $(model sd_inpaint) --steps 3 --quiet --vocab "$WORDS" --prompt hello -o hello.png
differ cat.png hello.png
works upscale a.png $(model superres) --steps 3 --quiet -o large.png
works upscale a.png $(model upscale) --steps 3 --quiet --vocab "$WORDS" --prompt cat --noise-level 20 -o larger.png
works upscale a.png $(model upscale) --steps 3 --quiet --vocab "$WORDS" --prompt cat --noise-level 30 -o noisier.png
differ larger.png noisier.png
works generate $(model semantic) --steps 3 --quiet --segmentation "$PICTURES/grey1.png" -o map.png
echo '[5, 23, 83, 22, 0, 120, 127, 127, 127, 127, 127, 127, 0, 120]' >tokens.json
make layout --layout tokens.json -o layout.png
works check $(model upscale) --json
stdout_has '"noise-level"'
stdout_has '"classes": 1000'
works check $(model sd_inpaint)
stdout_has 'a text \(--prompt\), a picture \(--image\), where it is painted \(--mask\)'
works check $(model semantic)
stdout_has 'a map of labels, 0 to 6 \(--segmentation\)'
works check $(model layout)
stdout_has '\(--layout\)'

# ---- first stages alone --------------------------------------------------------------------------------
for kind in kl vq; do
    works check $(model $kind)
    stdout_has '^  FITS$'
    stdout_has 'ldm reconstruct'
    stdout_lacks '^Conditions$'
    works inspect "$DATA/$kind.yaml"
    stdout_has 'a first stage alone'
    works reconstruct "$SRC/tests/data/pictures/rgb16.png" $(model $kind) -o back --overwrite
    stdout_has 'PSNR'
    fails 2 'a first stage alone .*it has no UNet to make pictures with' generate $(model $kind) -o no.png
done
works check --ckpt "$DATA/kl.ckpt" --config "$DATA/kl.yaml" --json
stdout_has '"loss.logvar"'
works convert "$DATA/kl.ckpt" --config "$DATA/kl.yaml" -o stage.safetensors
stdout_has 'the decoded picture of both is equal bit by bit'
works check --ckpt stage.safetensors --config stage.yaml
ldm check $(model vq) --ckpt "$CKPT"
[ "$CODE" -eq 3 ] || die "a whole model is no first stage alone"
stdout_has "lies below 'first_stage_model.', beside other parts"
stdout_lacks 'timesteps'
ldm check $(model kl) --config "$DATA/vq.yaml"
[ "$CODE" -eq 3 ] || die "another first stage"
