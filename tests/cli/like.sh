# SPDX-License-Identifier: MIT
# ldm generate --like: the recipe in a picture repeats it.

# The recipe names the checkpoint, and not its folder: here it is found.
cp "$CKPT" model.ckpt

works generate $TINY --steps 3 --eta 0.5 --seed 7 -n 2 -o two --no-ema \
    --set model.params.scale_factor=0.9 --quiet
works generate --like two/00001.png -o again.png --quiet
stdout_is again.png
same_pixels two/00001.png again.png

# Options beside it win.
works generate --like two/00001.png --steps 2 -o other.png --json
stdout_has '"steps_run": 2'
stdout_has '"weights": "raw"'
stdout_has '^ +8,?$'
works generate --like two/00001.png --set model.params.scale_factor=0.5 -o other.png
differ other.png again.png

# The step cache is part of the recipe.
works generate $TINY --steps 8 --cache 3 -o cached.png
works generate --like cached.png -o again.png
stderr_has 'note: cache 3: 3 of 8 steps'
same cached.png again.png
works generate --like cached.png --cache 1 -o again.png
stderr_lacks 'note: cache'

! grep -q "$(dirname "$CKPT")" cached.png || die "the picture holds a path"
! grep -aq '"ckpt"' cached.png || die "the picture holds a path"
works generate $TINY --steps 1 --full-path -o path.png
grep -aqF "$CKPT" path.png || die "no path in the picture"

# Beside the picture it is found, too; elsewhere it has to be named.
mkdir beside
cp "$CKPT" beside/lies-here.ckpt
works generate --ckpt beside/lies-here.ckpt --config "$CONFIG" --steps 2 -o beside/p.png
works generate --like beside/p.png -o p2.png
same_pixels beside/p.png p2.png
mkdir moved
cp "$CKPT" moved/m.ckpt
works generate --ckpt moved/m.ckpt --config "$CONFIG" --steps 2 --full-path -o m.png
mv moved/m.ckpt moved/n.ckpt
fails 1 "like: m.png was made with the checkpoint moved/m.ckpt .SHA-256 [0-9a-f]{12}.*name it with --ckpt" generate --like m.png -o n.png
works generate --like m.png --ckpt moved/n.ckpt -o n.png
stderr_lacks warning
same_pixels m.png n.png

# Another checkpoint under the old name: refused, unless it is named.
LC_ALL=C sed 's/ZZZZZZZZ/YZZZZZZZ/' "$CKPT" >moved/m.ckpt # padding only: it stays readable
differ moved/m.ckpt "$CKPT"
fails 3 "m.png was made with a checkpoint of SHA-256" generate --like m.png -o o.png
works generate --like m.png --ckpt moved/m.ckpt -o o.png
stderr_has 'warning: m.png was made with a checkpoint of SHA-256'
same_pixels m.png o.png

# Also where the recipe's settings do not fit it, or it is no checkpoint: the cause is said, and not what follows.
cp "$CKPT" moved/other.ckpt
works generate --ckpt moved/other.ckpt --config "$CONFIG" --ema --steps 1 --full-path -o other.png --quiet
echo garbage >garbage
for other in "$SRC"/models/*/model.ckpt garbage; do
    cp "$other" moved/other.ckpt
    fails 3 "other.png was made with a checkpoint of SHA-256 [0-9a-f]{12}..., moved/other.ckpt has [0-9a-f]{12}...; name the right" \
        generate --like other.png -o o.png --overwrite
done
cp "$CKPT" moved/other.ckpt
fails 3 "model_channels|num_res_blocks" generate --like other.png --set model.params.unet_config.params.num_res_blocks=7 -o o.png

# Noise from files is found again.
npy x.npy '(2, 3, 16, 16)' 6144
works generate $TINY --steps 2 --x-t x.npy -o noise
works generate --like noise/00001.png -o repeat
stderr_has 'repeats the whole run'
same_pixels noise/00001.png repeat/00001.png
same_pixels noise/00000.png repeat/00000.png

# Pictures without a recipe, and files that are no pictures.
works generate $TINY --steps 1 -n 2 -o sheet --grid
works generate --like sheet/grid.png -o all/
stderr_has 'sheet/grid.png is a contact sheet: this repeats its 2 pictures'
same_pixels sheet/00001.png all/00001.png
fails 1 "holds no recipe" generate --like "$SRC/tests/data/haar/faces.png" -o p.png
fails 1 "nothing.png.*No such file" generate --like nothing.png
fails 1 "x.npy" generate --like x.npy

# Another sampler beside --like has its own eta and timesteps, not those of the recipe's.
works generate $TINY --steps 4 --eta 0.5 -o ddim.png --quiet
for sampler in euler_a dpmpp_2m 'DPM++ 2M SDE Karras' plms; do
    works generate $TINY --steps 4 --sampler "$sampler" -o fresh.png --quiet
    works generate --like ddim.png --ckpt "$CKPT" --sampler "$sampler" -o like.png --quiet
    same_pixels fresh.png like.png
done
works generate --like ddim.png --ckpt "$CKPT" --sampler ddim -o like.png --quiet
same_pixels ddim.png like.png
