# SPDX-License-Identifier: MIT
# A text model whose configuration, vocabulary or grammar is not quite the one that it was trained
# with: what draws another picture is said, and what does no harm works.
FROM=$SRC/models/portrait
SHORT='--steps 1 -o a.png'

# A folder with a whole copy of the shipped text model: fresh NAME.
fresh()
{
    rm -rf "$1"
    mkdir "$1"
    cp "$FROM/model.ckpt" "$FROM/config.yaml" "$FROM/vocab.txt" "$FROM/grammar.txt" "$1"
    NEAR="--ckpt $1/model.ckpt --config $1/config.yaml"
}

# Layers that the file has and the configuration does not build.
fresh m
sed '/attention_resolutions:/,/num_res_blocks/ { s/- 2$/- 4/; s/- 1$/- 2/; }' "$FROM/config.yaml" >m/config.yaml
works generate $NEAR --prompt 'a man' $SHORT
stderr_has 'warning: 78 tensors of the checkpoint belong to layers that this configuration does not build .the first: model'
stderr_has "attention_resolutions \[2,1\], the configuration says \[2,4\] .*--set 'model.*attention_resolutions=\[2,1\]'$"
works check $NEAR
stdout_has '^  FITS, 1 warning$'
sed 's/n_layer: 2/n_layer: 1/' "$FROM/config.yaml" >m/config.yaml
works generate $NEAR --prompt 'a man' $SHORT
stderr_has 'warning: 13 tensors .* .the first: cond_stage_model.transformer.attn_layers.layers.2.0.weight'
works check $NEAR
stdout_lacks 'which this configuration does not have'
stdout_has '^  FITS, 1 warning$'
works check --model portrait
stdout_lacks 'does not build'

# A section whose name is mistyped, or that stands too far to the left.
sed 's/^ldm:/LDM:/' "$FROM/config.yaml" >m/config.yaml
works generate $NEAR --prompt 'a man' $SHORT
stderr_has 'warning: m/config.yaml:[0-9]+: nothing reads the section LDM; did you mean ldm[?]'
printf 'sampling: {steps: 3}\n' >left.yaml
works check --model portrait --config left.yaml
stdout_has 'nothing reads the section sampling; did you mean ldm.sampling[?]'

# A vocabulary with a line too few, a word twice, and empty lines at its end.
fresh m
sed -i 101d m/vocab.txt
works generate $NEAR --prompt 'a man' $SHORT
stderr_has 'warning: m/vocab.txt has 360 words and the text encoder.s table 361'
fresh m
sed -i '$s/.*/red/' m/vocab.txt
works generate $NEAR --prompt 'a man' $SHORT
stderr_has 'warning: m/vocab.txt, line 361: this word stands further up as well'
fresh m
printf '\n\r\n' >>m/vocab.txt
works generate $NEAR --prompt 'a man' --steps 1 --quiet -o odd.png
stderr_empty
works generate --model portrait --prompt 'a man' --steps 1 --quiet -o even.png
same_pixels odd.png even.png

# A recipe knows its vocabulary: another one is said by --like, and no run goes on with it.
fresh m
works generate $NEAR --prompt 'a man' -n 2 --steps 1 --quiet -o kept/
rm kept/00001.png
sed -i '6d; $a zzz' m/vocab.txt
works generate $NEAR --like kept/00000.png --quiet -o like.png
stderr_has 'warning: kept/00000.png was made with a vocabulary of SHA-256 [0-9a-f]+[.]+, this one has'
fails 1 'vocabulary' generate $NEAR --prompt 'a man' -n 2 --steps 1 --quiet -o kept/ --resume

# Words that the model does not know, wherever they stand; a dry run says so, too.
works generate --prompt 'a man' --negative 'a zebra' $SHORT
stderr_has 'of the negative prompt it does not know: zebra$'
works generate --prompt 'a zebra' --negative 'a lighthouse' --dry-run
stderr_has 'of the prompt it does not know: zebra$'
stderr_has 'of the negative prompt it does not know: lighthouse$'

# Grammars: a byte order mark does no harm; what is wrong is said with the file's name.
fresh m
{ printf '\357\273\277'; cat "$FROM/grammar.txt"; } >m/grammar.txt
works generate $NEAR --steps 1 --quiet -o a.png
printf 'rule caption\n  1 a bald\0 man\n' >m/grammar.txt
fails 1 'm/grammar.txt:2: a NUL, expected text' generate $NEAR $SHORT
printf 'rule caption\n  1 a bald man\n  1 a \350ld man\n' >m/grammar.txt
fails 1 'm/grammar.txt:3: not UTF-8' generate $NEAR $SHORT
printf 'fact a\n 1 x\nrule caption\n  1 [a=z] a man\n' >m/grammar.txt
fails 1 "m/grammar.txt: rule 'caption' has no line that holds for the facts drawn" generate $NEAR $SHORT
printf 'rule caption\n  1 a zebra\n' >m/grammar.txt
works generate $NEAR $SHORT
stderr_has 'of the caption it does not know: zebra$'

# Without its YAML a text model is one all the same, where its vocabulary lies beside it; and the
# YAML that `ldm convert` puts into a file is found there.
fresh m
rm m/config.yaml
works generate --ckpt m/model.ckpt --prompt 'a man' --set model.params.image_size=8 --shape 8,8,8 $SHORT
stderr_has 'no configuration was given: it is made from the tensors'
mkdir s
works convert --model portrait -o s/model.safetensors --quiet
rm s/model.yaml
works generate --ckpt s/model.safetensors --prompt 'a man' --steps 1 -o inside.png
stderr_has 'note: no configuration was given: the one inside the checkpoint is taken'
same_pixels inside.png even.png
