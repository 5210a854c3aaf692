# SPDX-License-Identifier: MIT
# Without --ckpt and --config the shipped model is used, from any folder, and said to be so.

works generate --steps 1 -o face.png
stdout_is face.png
stderr_has 'note: the shipped default is a small model'
works check
stdout_has 'FOUND'
works check --config "$SRC/configs/study/approach2.yaml"
stdout_has '0.18215'
works generate --like face.png -o again.png --quiet
same_pixels face.png again.png

# A shipped model by its name; a recipe says which it was.
works generate --model demo --steps 1 --quiet -o named.png
same_pixels face.png named.png
works generate --like named.png --quiet -o named_again.png
same_pixels face.png named_again.png
fails 2 "model is '../demo', expected the name of a shipped model" generate --model ../demo -o no.png
fails 2 'a checkpoint of your own is given as ckpt' generate --model model.ckpt -o no.png
fails 1 'models/nobody/model.ckpt, config.yaml' generate --model nobody -o no.png
fails 2 'model demo and ckpt .* are given' generate --model demo --ckpt "$CKPT" --config "$CONFIG" -o no.png
