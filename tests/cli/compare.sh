# ldm compare: both layers, tables, reports, ablation; and what it refuses.

# Few steps on both sides: --set comes after the layers.
FAST="--set ldm.sampling.steps=2"

works compare -n 2 $FAST $TINY -o out --quiet
stderr_empty
stdout_has '^Key parameter differences$'
stdout_has '^  scale_factor +1\.0 +1\.0 +0\.18215 +0\.18215'
stdout_has '^  UNet attention +num_heads: 8 +num_heads: 8 \(8 heads\) +num_head_channels: 32'
stdout_has '^  Parameter match +65\.8 % +69\.1 % \(287 of 415\) +99\.8 % +100\.0 %'
stdout_has '^  Load time +12\.4 s +[0-9.]+ s +8\.7 s +[0-9.]+ s'
stdout_has '^  Parameter loading +Partial +Partial \(64 read at random\) +Complete +Complete'
stdout_has '^The report is out/report.html$'
files_are out/report.html out/report.md \
    out/approach1_samples/00000.png out/approach1_samples/00001.png out/approach1_samples/grid.png \
    out/approach2_samples/00000.png out/approach2_samples/00001.png out/approach2_samples/grid.png
grep -q '^| Parameter loading | Partial | Partial (64 read at random) | Complete | Complete |$' \
    out/report.md || die "the table is not in report.md"
grep -q 'approach2_samples/grid.png' out/report.md || die "no pictures in report.md"

# The page stands alone: pictures inside, no address to load anything from, no script.
[ "$(grep -o 'src="data:image/png;base64,' out/report.html | wc -l)" -eq 4 ] || die "4 pictures"
tr A-Z a-z <out/report.html >small.html
file_lacks small.html 'https?:|<script|<link|@import|url\(|src="[^d]'
rm small.html
grep -q 'prefers-color-scheme:dark' out/report.html || die "no dark colours"
grep -q '@media print' out/report.html || die "no print style"
grep -q '<svg' out/report.html || die "no charts"

# Each picture is what generate makes of its recipe.
works generate --like out/approach2_samples/00001.png $TINY \
    --config "$SRC/configs/study/approach2.yaml" $FAST -o again.png --quiet
same_pixels out/approach2_samples/00001.png again.png

# The picture knows its checkpoint by name and SHA-256.
works generate --ckpt "$CKPT" --like out/approach2_samples/00001.png -o alone.png --quiet
stderr_empty
same_pixels alone.png out/approach2_samples/00001.png

# JSON: the same with everything it rests on. --ablate writes its layers, too.
works compare -n 2 $FAST $TINY -o more --ablate --json
stdout_has '"name": "approach1"'
stdout_has '"matching": 287'
stdout_has '"face_share": (null|[01]\.[0-9]+)'
stdout_has '"frechet": null'
stdout_has '"change": "attention heads"'
stdout_has '"change": "key loading"'
stdout_has '"change": "guidance"'
stdout_has '"same_pictures": 2'
stderr_has 'No Frechet distance.*--write-stats'
[ -s more/ablation/scale_factor.yaml ] || die "no layer of the ablation"
[ -s more/ablation/scale_factor_samples/00001.png ] || die "no pictures of the ablation"
works check $TINY --config "$SRC/configs/study/approach2.yaml" \
    --config more/ablation/key_loading.yaml
stdout_has '287 of 415'
grep -q 'One change at a time' more/report.html || die "no ablation in the report"

# Statistics of the pictures that a distance is taken to.
works metrics out/approach2_samples/0000*.png $TINY --write-stats renders.stats
works compare -n 2 $FAST $TINY -o with --stats renders.stats --quiet
stdout_has '^  Frechet distance +[0-9.e+-]+ +[0-9.e+-]+'
printf 'no statistics' >bad.stats
fails 1 'bad.stats holds no statistics' compare $TINY $FAST --stats bad.stats -n 1 --quiet

# Layers of one's own: no column of the study. Layers of one name get folders apart.
mkdir x y
printf 'ldm:\n  sampling: {steps: 2}\n' >x/mine.yaml
printf 'ldm:\n  sampling: {steps: 3, eta: 1.0}\n' >y/mine.yaml
works compare x/mine.yaml y/mine.yaml $TINY -n 1 -o own --quiet
stdout_has '^  Parameter +mine_a +mine_b'
stdout_has '^  Sampling steps +2 +3'
stdout_lacks 'study'
[ -s own/mine_a_samples/00000.png ] || die "no picture of a"
[ -s own/mine_b_samples/00000.png ] || die "no picture of b"

fails 2 "needs a second layer" compare x/mine.yaml
fails 2 "unexpected argument" compare x/mine.yaml y/mine.yaml x/mine.yaml
fails 2 "-n: '0' is not a whole number from 1" compare -n 0
fails 1 "nothing.yaml.*No such file" compare nothing.yaml y/mine.yaml $TINY
fails 1 "nowhere.xml.*No such file" compare $TINY --cascade nowhere.xml -o new
: >file
fails 1 "cannot make the folder" compare $TINY $FAST -n 1 --quiet -o file
# A layer that the checkpoint does not fit ends it with the code for that.
printf 'model: {params: {unet_config: {params: {model_channels: 64}}}}\n' >wide.yaml
fails 3 "model" compare wide.yaml y/mine.yaml $TINY -n 1 --quiet
