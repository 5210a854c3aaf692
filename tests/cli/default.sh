# SPDX-License-Identifier: MIT
# Without --ckpt and --config the shipped model is used, from any folder, and said to be so.

works generate --prompt 'a woman with red hair' --steps 1 -o face.png
stdout_is face.png
stderr_has 'note: the shipped default is a small model'
works check
stdout_has 'FITS'
works generate --like face.png -o again.png --quiet
same_pixels face.png again.png

# What the words say is heard, with or without capitals; a caption of its own is part of the recipe.
works generate --prompt 'A Woman with red hair' --steps 1 --quiet -o capitals.png
same_pixels face.png capitals.png
works generate --prompt 'a bald man' --steps 1 --quiet -o man.png
! "$PIXELS" face.png man.png >/dev/null 2>&1 || die "another prompt, the same picture"
works generate --steps 1 --seed 7 -o own.png
stderr_has 'no prompt was given; that of seed 7 is: [a-z]'
works generate --like own.png --quiet -o own2.png
same_pixels own.png own2.png

# A shipped model by its name; a recipe says which it was.
works generate --model portrait --prompt 'a woman with red hair' --steps 1 --quiet -o named.png
same_pixels face.png named.png
works generate --model demo --steps 1 --quiet -o demo.png
works generate --like demo.png --quiet -o demo_again.png
same_pixels demo.png demo_again.png
works check --model demo --config "$SRC/configs/study/approach2.yaml"
stdout_has '0.18215'
fails 2 "model is '../demo', expected the name of a shipped model" generate --model ../demo -o no.png
fails 2 'a checkpoint of your own is given by its file .--ckpt FILE.$' generate --model model.ckpt -o no.png
fails 2 "model is 'nobody', expected the name of a shipped model \(portrait, demo\); a checkpoint of your own" \
    generate --model nobody -o no.png
fails 2 "model is 'port', expected the name of a shipped model" generate --model port -o no.png
fails 2 'model demo and ckpt .* are given' generate --model demo --ckpt "$CKPT" --config "$CONFIG" -o no.png
works generate --model demo --steps 1 -o demo.png
stderr_has 'note: the shipped model demo is a small one'

# What the words say also where a run begins with a picture: guidance is for a part of the steps that run.
works generate --prompt 'a man' --init face.png --strength 0.5 --steps 10 -o init.png
stderr_lacks 'without guidance'
works check --model portrait
stdout_has "guidance +$(shipped_scale) \\(ldm.sampling.scale\\), unless --scale says otherwise"
works generate --prompt 'a (red:1.4) lighthouse with a beard' --steps 1 -o words.png
stderr_has 'note: this model knows few words; of the prompt it does not know: lighthouse$'
stderr_has 'note: weights such as .* belong to other'
stderr_lacks 'LoRA'
# What other programs would obey is said, and drawn as text; what looks like it is not.
ldm_other()
{
    works generate --prompt "$1" --steps 1 -o words.png
    stderr_has "note: other programs read the prompt's $2 as instructions; here they are plain text\$"
}
ldm_other 'a man BREAK a hat' BREAK
ldm_other 'a man AND a woman' AND
ldm_other '[man:woman:0.5] with a hat' '.square brackets.'
ldm_other '((man)) with {red|blue} hair and a __hat__' '..double brackets.., .one.or another., __wildcards__'
ldm_other 'embedding:man, hat++' 'embedding:NAME, word..'
works generate --prompt 'a man (with a hat) AND/OR a_hat, C++, breaks' --steps 1 -o words.png
stderr_lacks 'as instructions'
works generate --prompt 'a man (hat:-1) <LoRA:x:1>' --steps 1 -o words.png
stderr_has 'note: weights such as .* belong to other'
stderr_has 'note: <LoRA:x:1> names a network'
printf 'a man\n# mine\n--prompt "a bird" --steps 5\n' >listed.txt
works generate --prompts listed.txt --steps 1 -o listed/
stderr_has 'note: listed.txt:2: the line begins with # and is drawn as a prompt all the same'
printf '\377\376a\000\n\000' >wide.txt
fails 1 'wide.txt:1: .*it is UTF-16; save it as UTF-8' generate --prompts wide.txt --steps 1 -o wide/
# Of several prompts one note: a few words, each once with the first prompt that has it, and in how many prompts they stand.
printf 'a man\na lighthouse\na man with red hair\na lighthouse, a zeppelin and a hat\n' >strange.txt
works generate --prompts strange.txt --steps 1 -o strange/
stderr_has 'note: this model knows few words; in 2 of the 4 prompts it does not know: lighthouse .prompt 2., zeppelin .prompt 4.$'
[ "$(grep -c 'knows few words' "$ERR")" -eq 1 ] || die "expected one note"
printf 'a aa1 bb1 aa1\na cc1 dd1 ee1\nff1 gg1 hh1\nii1 jj1\na man\n' >strange.txt
works generate --prompts strange.txt --steps 1 -o strange/ --overwrite
stderr_has 'note: this model .*; in 4 of the 5 prompts it does not know: aa1 .prompt 1., bb1 .prompt 1., cc1 .prompt 2., dd1 .prompt 2., ee1 .prompt 2., ff1 .prompt 3., gg1 .prompt 3., hh1 .prompt 3. and 2 others$'
printf 'a man\na woman\n' >strange.txt
works generate --prompts strange.txt --steps 1 -o strange/ --overwrite
stderr_lacks 'knows few words'
# Also of another script, of which the vocabulary has no letters; punctuation is no word.
ldm_unknown()
{
    works generate --prompt "$1" --steps 1 -o words.png
    stderr_has "note: this model knows few words; of the prompt it does not know: $2\$"
}
ldm_unknown '女性 赤い髪' '女性, 赤い髪'
ldm_unknown 'женщина с рыжими волосами' 'женщина, с, рыжими, волосами'
ldm_unknown '😀' '😀'
ldm_unknown 'A woman, with 赤い hair! (Zeppelin)' '赤い, Zeppelin'
# A word that one of the vocabulary's was mistyped for; another word is none. Of "men" the vocabulary has a letter and an ending.
ldm_unknown 'a blu womna with mustached Sunglases and a cat' 'blu ."blue".., womna ."woman".., mustached ."moustached".., Sunglases ."sunglasses".., cat'
ldm_unknown 'two men by the sea' 'two, men'
# What denies is said otherwise here.
ldm_unknown 'a woman not wearing glasses' 'not .say "no" or "without".'
ldm_unknown "a woman who isn't old, never sad" 'isn .say "no" or "without"., never .say "no" or "without".'
# Quotes and dashes of text programs are no part of a word.
ldm_unknown '“a man with red hair” — «zeppelin», ‘hat’' zeppelin
printf 'a man\nNOT a hat\na gren hat\n' >strange.txt
works generate --prompts strange.txt --steps 1 -o strange/ --overwrite
stderr_has 'in 2 of the 3 prompts it does not know: NOT .prompt 2; say "no" or "without"., gren .prompt 3; "green"..$'
works generate --prompt 'a woman; with "red" hair & glasses!' --steps 1 -o words.png
stderr_lacks 'knows few words'
works generate --prompt 'a man <lora:foo:1>' --negative '(red:1.2)' --steps 1 -o words.png
stderr_has 'note: <lora:foo:1> names a network to load .*: it is read as words$'
stderr_has 'note: weights such as .* belong to other'
works generate --prompt 'a woman with red hair and glasses' --steps 1 -o words.png
stderr_lacks 'does not know'
works generate --sampler plms --steps 2 --prompt 'a man' -o plms.png
stderr_has 'warning: parameterization is v, and plms .* noise; other samplers'
works generate --size 128x128 --prompt 'a man' --steps 1 -o large.png
stderr_has "note: the pictures have 128 x 128 pixels, and this model's own are 64 x 64"
works generate --size 96x96 --prompt 'a man' --steps 1 -o larger.png
stderr_lacks "this model's own"

# A picture to begin with brings its prompt along, as for interpolate and invert.
works generate --init face.png --strength 0.5 --steps 2 -o variant.png
stderr_has 'note: the prompt is taken from the recipe of face.png: a woman with red hair'
stderr_lacks 'no prompt was given'
works generate --init face.png --prompt 'a man' --strength 0.5 --steps 2 -o variant.png
stderr_lacks 'is taken from the recipe'

# A picture without a recipe has no prompt: its variants are of the empty one, not of a caption each.
PHOTO=$SRC/tests/data/pictures/grey8.png
works generate --init "$PHOTO" --strength 0.5 --steps 2 -n 2 -o variants
[ "$(grep -c 'no prompt was given' "$ERR")" -eq 1 ] || die "one note for all"
stderr_has 'note: no prompt was given: with a picture the empty one is taken; --prompt TEXT says'
works generate --init "$PHOTO" --prompt '' --strength 0.5 --steps 2 --quiet -n 2 -o said
same_pixels variants/00001.png said/00001.png
works generate --like variants/00001.png --init "$PHOTO" --quiet -o like.png
same_pixels variants/00001.png like.png

# The shipped models neither enlarge nor paint in pictures; what does is said.
cp "$PHOTO" photo.png
fails 2 '^ldm upscale: no --ckpt was given, and the shipped model enlarges no pictures: .*--ckpt FILE \(docs/MODELS.md\)' \
    upscale photo.png -o large.png
fails 2 '^ldm inpaint: no --ckpt was given, .* --ckpt FILE .*with any model `ldm generate --init photo.png --mask photo.png` does' \
    inpaint photo.png photo.png -o painted.png
fails 2 'with any model `ldm generate --init .*/rgba16.png` does' \
    inpaint "$SRC/tests/data/pictures/rgba16.png" -o painted.png

# What the note names is there, from any folder.
works generate --model portrait --prompt 'a man' --dry-run
readme=$(sed -n 's/.*its prompts may say is in \(.*README.md\)$/\1/p' "$ERR")
[ -r "$readme" ] || die "the note names a file that is not there: $readme"

# The sheet of several prompts has one a row; a prompt that is a file's name is doubted; a mistyped
# model's name is known; a picture twice as wide as the model's own is not what it knows.
printf 'a man\na woman\na man with a hat\n' >three.txt
works generate --prompts three.txt -n 2 --steps 1 --quiet -o rows/ --grid
set -- $(od -An -tu1 -j16 -N8 rows/grid.png)
[ $(($3 * 256 + $4)) -lt $(($7 * 256 + $8)) ] || die "the sheet has not two columns"
works generate --prompt three.txt --steps 1 -o name.png
stderr_has "note: 'three.txt' is a file, and its name is the prompt: --prompts three.txt takes"
fails 2 "model is 'Potrait', .*did you mean portrait[?]" generate --model Potrait -o no.png
works generate --prompt 'a man' --size 128x64 --steps 1 -o wide.png
stderr_has 'so far from its size'
works tokenize --model portrait 'a man'
stdout_has ' man$'
