# SPDX-License-Identifier: MIT
# Results under the names that were asked for.

# A JPEG by its ending, with its recipe; metrics reads it.
cp "$CKPT" model.ckpt
works generate $TINY --steps 2 -o x.png
works generate $TINY --steps 2 -o x.jpg
stdout_is x.jpg
[ "$(head -c 3 x.jpg | od -An -tx1 | tr -d ' ')" = ffd8ff ] || die "x.jpg is no JPEG"
works generate $TINY --steps 2 --quality 30 -o small.JPEG
[ "$(wc -c <small.JPEG)" -lt "$(wc -c <x.jpg)" ] || die "--quality 30 makes no smaller file"
works metrics x.jpg
stdout_has '^x.jpg: 64 x 64$'
works generate --like x.jpg -o again.png
same_pixels again.png x.png
for q in 0 101 -1 high ''; do fails 2 "--quality: " generate $TINY --quality "$q" -o q.jpg; done

# One name for several pictures, and other endings, are refused; no ending is a folder.
fails 2 "'pics.png' is the name of one picture, and 2 are made; name a folder, e.g. pics/" \
    generate $TINY -n 2 -o pics.png
for e in gif webp txt; do
    fails 2 "'x.$e' ends in .$e, and pictures are written as .png, .jpg or .jpeg" generate $TINY -o x.$e
done
fails 2 "ends in .bmp" generate $TINY -n 2 -o x.bmp
works generate $TINY --steps 1 -o picture
stdout_is picture/00000.png
works generate $TINY --steps 1 -n 2 -o run.v2
stdout_has '^run.v2/00001.png$'

# Missing folders are made, for every kind of result.
works generate $TINY --steps 1 -o no/such/x.png --save-latent no/other/z.npy
stdout_is 'no/such/x.png
no/other/z.npy'
[ -s no/such/x.png ] && [ -s no/other/z.npy ] || die "not written"
fails 1 "'x.png' is a file, and a folder is needed there" generate $TINY -o x.png/y.png
