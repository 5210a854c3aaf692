# SPDX-License-Identifier: MIT
# ldm generate --mask FILE, transparent pictures and --pad, as they are typed.
PICTURES=$(dirname "$CKPT")/../pictures
RUN="generate $TINY --steps 6 --quiet"

# A picture that is its own mask: what is light in it is painted.
cp "$PICTURES/grey8.png" a.png
works $RUN --init a.png --mask a.png -o out.png
works generate --ckpt "$CKPT" --like out.png -o again.png --quiet
same_pixels out.png again.png
works $RUN --init a.png --mask a.png -o out2.png --threads 2 --batch 1
same_pixels out.png out2.png
works $RUN --init a.png --mask a.png -n 3 -o many --batch 3
same_pixels out.png many/00000.png
works $RUN --init a.png --mask a.png -n 3 -o many --resume
rm many/00001.png
works $RUN --init a.png --mask a.png -n 3 -o many --resume
works $RUN --init a.png --mask a.png --seed 43 -o one.png
same_pixels one.png many/00001.png

# Turned by EXIF, transparent, grey with alpha: sizes are the pictures' own as they are shown.
works generate $TINY --steps 3 --init "$PICTURES/turned_6.jpg" --mask "$PICTURES/turned_6.jpg" -o turned.png
stderr_has '9 x 13 is extended to 16 x 16 and cut again|is extended to'
works $RUN --init "$PICTURES/rgba16.png" -o alpha.png
works $RUN --init "$PICTURES/grey_alpha8.png" -o alpha2.png
works $RUN --init a.png --pad 4,0,3,8 -o pad.png
works generate $TINY --steps 3 --init a.png --pad 4,0,3,8 -o pad2.png
stderr_has 'picture 20 x 17'
works generate --ckpt "$CKPT" --like pad.png -o pad3.png --quiet
same_pixels pad.png pad3.png

# The feather follows the picture's size, 0 on small ones; what is given is kept, and recipes hold the number.
works $RUN --init a.png --mask a.png --mask-blur 0 -o blur0.png
same_pixels out.png blur0.png
works $RUN --init a.png --mask a.png --mask-blur 4 -o blur4.png
differ blur0.png blur4.png
works generate --ckpt "$CKPT" --like blur4.png -o blur4again.png --quiet
same_pixels blur4.png blur4again.png
works inspect out.png
stdout_has 'mask_blur.* 0'
works generate $TINY --steps 2 --init "$PICTURES/source.png" --mask "$PICTURES/source.png" --fit crop --size 384x256 -o blur2.png
stderr_has 'mask_blur 2'
works generate $TINY --help
stdout_has 'shorter side'

# Under a hole, and in a pad, no colour of ldm's own shows through: there is no edge to soften.
works generate $TINY --steps 3 --init "$PICTURES/rgba16.png" --mask-blur 8 -o hole8.png
stderr_has 'mask-blur has no effect: a transparent part is as soft at its edge'
works generate $TINY --steps 3 --init "$PICTURES/rgba16.png" --mask-blur 0 -o hole0.png --quiet
same_pixels hole8.png hole0.png
works generate $TINY --steps 3 --init a.png --pad 8 --mask-blur 8 -o pad8.png
stderr_has 'mask-blur has no effect'
works generate $TINY --steps 3 --init a.png --pad 8 --mask-blur 0 -o pad0.png --quiet
same_pixels pad8.png pad0.png

# A JPEG keeps nothing byte by byte, which is said.
works generate $TINY --steps 3 --init a.png --mask a.png -o out.jpg
stderr_has 'a JPEG changes all pixels'

# What does not go together.
fails 2 "needs --init with the picture" $RUN --mask a.png -o no.png
fails 2 "make them one size" $RUN --init a.png --mask "$PICTURES/source.png" -o no.png
fails 2 "pad is '1,2', expected LEFT,TOP,RIGHT,BOTTOM" $RUN --init a.png --pad 1,2 -o no.png
fails 2 "pad needs a picture" $RUN --pad 8 -o no.png
npy x0.npy '(1, 3, 16, 16)' 3072
fails 2 "x0 needs --mask FILE.npy" $RUN --x0 x0.npy --init a.png --mask a.png -o no.png
cp a.png mask.png
works $RUN --init a.png --mask mask.png -o m.png
cp "$PICTURES/source.png" mask.png
fails 3 "was made from a mask of SHA-256" generate --ckpt "$CKPT" --like m.png -o no.png --quiet

# A mask and a picture that were exchanged.
works generate $TINY --steps 2 --init a.png --mask "$PICTURES/rgb.jpg" -o odd.png
stderr_has 'warning: the mask is a picture in colours: is it the mask'
works generate $TINY --steps 2 --init a.png --mask "$PICTURES/rgb.jpg" -o odd.png --dry-run
stderr_has 'warning: the mask is a picture in colours: is it the mask'

# A mask with one shape in its colours and another in its alpha channel.
works generate $TINY --steps 2 --init "$PICTURES/grey8.png" --mask "$PICTURES/grey_alpha8.png" -o odd.png
stderr_has 'warning: the mask has transparent parts, which count for nothing: is it the mask'

# A mask whose shape is in its alpha channel.
# Grey with alpha, 2 x 4: white everywhere, two rows opaque.
printf %s iVBORw0KGgoAAAANSUhEUgAAAAIAAAAECAQAAAAO5iayAAAAE0lEQVR42mP4z/CfgeH/fzgBhABoqwn39lQWfAAAAABJRU5ErkJggg== |
    base64 -d >shape.png
fails 2 'the mask of picture 0 has its shape in its alpha channel.*light everywhere.*black and white' \
    $RUN --init shape.png --mask shape.png -o no.png
fails 2 'has its shape in its alpha channel' generate $TINY --init shape.png --mask shape.png --dry-run
