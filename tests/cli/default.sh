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
