# SPDX-License-Identifier: MIT
# What several threads do in one run, each kind once, for ThreadSanitizer, where a run takes long: the
# team in every part of a network, pictures written beside the sampling, previews, hashes, faces.
RUN="generate $TINY --quiet --threads 3"

works $RUN --steps 2 -n 3 -o three --batch 2 --grid --npz --save-latent z.npy --save-image x.npy
works $RUN --steps 2 -n 3 -o one --batch 1 --threads 1
works $RUN --steps 2 -n 3 -o default --threads 2 --batch 3
for i in 0 1 2; do
    same_pixels one/0000$i.png three/0000$i.png
    same_pixels one/0000$i.png default/0000$i.png
done
rm one/00001.png
works $RUN --steps 2 -n 3 -o one --resume
same_pixels one/00001.png three/00001.png

works $RUN --steps 4 -n 3 -o cached --cache 2 --batch 3 --save-intermediates way --log-every-t 2
works $RUN --steps 4 -n 3 -o cached1 --cache 2 --batch 1 --threads 1
for i in 0 1 2; do same_pixels cached/0000$i.png cached1/0000$i.png; done

# Other sizes run on other algorithms; noise is drawn on the way, and by one who writes.
works $RUN --steps 2 --shape 3,8,24 -o wide.png --preview 1 --preview-as blocks
works $RUN --steps 2 --shape 3,2,2 --eta 1 -o small.png
works $RUN --steps 2 --isa c --shape 3,8,8 -n 2 -o portable/ --precision exact

# Encoders: what a run begins with. The checkpoint's hash is computed beside the first steps.
works $RUN --steps 4 --init three/00000.png --strength 0.5 -o init.png
works generate --ckpt "$CKPT" --like init.png --init three/00000.png --threads 2 -o like.png --quiet
same_pixels init.png like.png
works reconstruct three/00000.png $TINY --threads 2 --quiet -o again.png
works eval $TINY --part decode --in z.npy -o pictures.npy --threads 3
works metrics three/00000.png three/00001.png $TINY --threads 3 --write-stats few.stats
