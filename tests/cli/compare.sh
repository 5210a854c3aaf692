# SPDX-License-Identifier: MIT
# ldm compare: both layers, tables, reports, ablation; and what it refuses.

# Few steps on both sides: --set comes after the layers.
FAST="--set ldm.sampling.steps=2"

works compare -n 2 $FAST $TINY -o out --quiet
stderr_empty
cp "$OUT" "$ROOM/said/study"
stdout_has '^Key parameter differences$'
stdout_has '^  scale_factor +1\.0 +1\.0 +0\.18215 +0\.18215'
stdout_has '^  UNet attention +num_heads: 8 +num_heads: 8 \(8 heads\) +num_head_channels: 32'
stdout_has '^  Parameter match +65\.8 % +69\.1 % \(287 of 415\) +99\.8 % +100\.0 %'
stdout_has '^  Load time +12\.4 s +[0-9.e-]+ s +8\.7 s +[0-9.e-]+ s'
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
stdout_has '"latent_distance": [0-9.]+'
stdout_has '"command": "ldm compare -n 2 --set ldm.sampling.steps=2 --ckpt '
stdout_has '"machine": ".*threads?, .* kernels, f32"'
stdout_has 'SHA-256 [0-9a-f]{64}'
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
stdout_has '^  Frechet distance .less is better. +[0-9.,]+ +[0-9.,]+$'
printf 'no statistics' >bad.stats
fails 1 'bad.stats holds no statistics' compare $TINY $FAST --stats bad.stats -n 1 --quiet

# A UNet with cross-attention has layers of its own: the words count, and zeros in their place silence guidance.
works compare --model portrait -n 1 --set ldm.sampling.steps=2 --ablate -o words --quiet
stdout_has '^  conditioning_key +null \(runs as crossattn\) +crossattn$'
stdout_has '^  These change no picture at all: conditioning_key, guidance\.$'
stdout_has '^  scale_factor +scale_factor: 0\.18215, scale_by_std: false '
stdout_has '^  conditioning +cond: none +.* 0 of 1$'
stdout_has '^  Frechet distance .less is better. +-? '

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
fails 2 "unexpected argument 'x/mine.yaml'; give two layers" compare x/mine.yaml y/mine.yaml x/mine.yaml
fails 2 "-n: '0' is not a whole number from 1" compare -n 0
fails 1 "nothing.yaml.*No such file" compare nothing.yaml y/mine.yaml $TINY
fails 1 "nowhere.xml.*No such file" compare $TINY --cascade nowhere.xml -o new
: >file
fails 1 "cannot make the folder" compare $TINY $FAST -n 1 --quiet -o file
# A layer that the checkpoint does not fit ends it with the code for that.
printf 'model: {params: {unet_config: {params: {model_channels: 96}}}}\n' >wide.yaml
fails 3 "model" compare wide.yaml y/mine.yaml $TINY -n 1 --quiet

# The second side's fault is said before the first is sampled, and names the forgotten checkpoint.
fails 3 "no --ckpt was given: the shipped model was used" compare x/mine.yaml wide.yaml -n 1 --quiet

# The report opens with its conclusion; warnings follow; what was typed, when and on what stand at the end.
mv out study
mv "$ROOM/said/study" "$OUT"
[ "$(head -1 "$OUT")" = Conclusion ] || die "the conclusion comes first"
stdout_has '^  Approach 1 lacks 64 tensors that a run reads, and fills them at random'
stdout_has '^Warnings$'
stdout_has '^  Approach 1: .*are initialised at random'
stdout_has '^  42 +no +[0-9.]+ +[0-9.]+$'
stdout_has '^  all +0 of 2 +median [0-9.]+ +median [0-9.]+$'
stdout_has '^  command +ldm compare -n 2 '
stdout_has '^  date +20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2} UTC, took '
stdout_has '^  checkpoint +model.ckpt .given., SHA-256 [0-9a-f]{64}$'
stdout_has '^  machine +.* kernels, f32$'
sed -n 3p study/report.md | grep -q '^- ' || die "no conclusion at the top of report.md"
file_has study/report.html '<ul class="conclusion"><li>'
file_has study/report.html '<section class="warnings">'
file_has study/report.html 'seed 42: [0-9.]+ dB, latents [0-9.]+ apart'
file_has study/report.html 'data-head="Approach 1, here"'
file_has study/report.html 'max-width:620px'
file_has study/report.html '<dt>command</dt><dd>ldm compare -n 2 '

# An earlier report is replaced only on request; without -o each comparison has a folder of its own.
fails 1 'study/report.html is there already, of an earlier comparison; --overwrite replaces' \
    compare -n 2 $FAST $TINY -o study --quiet
works compare -n 1 $FAST $TINY -o study --overwrite --quiet
cp -r study before
works compare x/mine.yaml y/mine.yaml $TINY -n 1 --quiet
stdout_has 'The report is generated_outputs/0001/report.html'
works compare x/mine.yaml y/mine.yaml $TINY -n 1 --quiet
stdout_has 'The report is generated_outputs/0002/report.html'
same_folder study before

# Two equal configurations, and two that differ in nothing that counts.
cp x/mine.yaml same.yaml
works compare x/mine.yaml same.yaml $TINY -n 2 -o equal --quiet
stdout_has 'Both configurations say the same: no setting differs'
stdout_has 'All 2 pictures are equal, byte by byte\.'
stdout_has '^  42 +yes, byte by byte +- +0$'
printf 'ldm:\n  sampling: {steps: 2, scale: 3.0}\n' >scaled.yaml
works compare x/mine.yaml scaled.yaml $TINY -n 2 -o scaled --quiet
stdout_has 'All 2 pictures are equal, byte by byte: what differs changes no picture here'
stdout_lacks 'say the same'

# With --ablate the conclusion says what each difference does.
sed -n '1,/^## Warnings/p' more/report.md >top
file_has top 'These change no picture at all: .*guidance'
rm top

# An assignment without an option, as at the end of CompVis' command lines.
works compare x/mine.yaml y/mine.yaml $TINY ldm.sampling.steps=1 -n 1 -o assigned
stderr_has 'the assignment ldm.sampling.steps=1 is taken as --set'
stdout_has '^  Sampling steps +1 +1$'

# A folder, and files without an option; two whole configurations beside the checkpoint.
mkdir whole
cp "$CKPT" whole/model.ckpt
cp "$CONFIG" whole/config.yaml
works compare whole x/mine.yaml y/mine.yaml -n 1 -o named
stderr_has 'note: the YAML file whole/config.yaml is taken as --config'
works compare --ckpt whole x/mine.yaml y/mine.yaml -n 1 -o named2 --quiet
cp whole/config.yaml whole/other.yaml
cp whole/config.yaml whole/third.yaml
works compare whole/config.yaml whole/other.yaml --ckpt whole/model.ckpt -n 1 $FAST -o two --quiet
stderr_empty
stdout_has 'no setting differs'

# --json prints one object whatever happens, and names in the page are text.
ldm compare nothing.yaml y/mine.yaml $TINY --json --quiet
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stdout_has '"error": "cannot open nothing.yaml'
printf 'ldm: {sampling: {steps: 2}}\n' >'<b>.yaml'
works compare '<b>.yaml' x/mine.yaml $TINY -n 1 -o marked --quiet
file_has marked/report.html '<h1>&lt;b&gt; against mine</h1>'

# What a conditional model is to draw goes to both sides; this one takes nothing.
fails 2 '[-]?class.*this model takes' compare x/mine.yaml y/mine.yaml $TINY -n 1 --class 3 -o none --quiet

# A whole configuration is no layer: nothing of the common one shows through, and a note says so. What a
# layer says and nothing reads is warned of.
DEMO="--ckpt $SRC/models/demo/model.ckpt"
cp "$SRC/models/demo/config.yaml" wide.yaml
sed 's/num_head_channels: 32/num_heads: 8/' wide.yaml >many.yaml
grep -q 'num_heads: 8' many.yaml || die "the shipped model's configuration changed"
printf 'model: {params: {unet_config: {params: {num_heads: 8}}}}\n' >layer.yaml
heads='^  UNet attention +num_head_channels: 32 \(4 to 6 heads\) +num_heads: 8 \(8 heads\)$'
works compare wide.yaml many.yaml $DEMO --config wide.yaml $FAST -n 1 -o whole
stdout_has "$heads"
stdout_has '^  wide.yaml and many.yaml are whole configurations: each stands alone'
stderr_has 'compare: note: wide.yaml and many.yaml are whole configurations: each stands alone'
stdout_lacks 'has no effect here'
file_has whole/report.html 'are whole configurations'
works compare layer.yaml many.yaml $FAST -n 1 -o half --quiet # over the shipped model's
stderr_empty
stdout_has "$heads"
stdout_has 'many.yaml is a whole configuration: it stands alone, .*; layer.yaml is laid over that\.$'
stdout_has '^  layer: model\.params\.unet_config\.params\.num_heads is set, and has no effect here: num_head_channels is set and wins$'
works compare many.yaml wide.yaml $DEMO $FAST -n 1 -o heads --ablate --quiet
stdout_lacks 'whole configuration' # nothing lies under them
file_has heads/ablation/attention_heads.yaml '"num_heads": 8'
file_has heads/ablation/attention_heads.yaml '"num_head_channels": -1'
same_pixels heads/ablation/attention_heads_samples/00000.png heads/many_samples/00000.png

# Of one picture there is no distance, and the reason is said.
works compare --model portrait -n 1 --set ldm.sampling.steps=1 -o single
stderr_has 'note: No Frechet distance: it is taken of two pictures or more of a side'
stdout_has '^  No Frechet distance: it is taken of two'
works compare --model portrait -n 1 --set ldm.sampling.steps=1 -o single --overwrite --json --quiet
stdout_has '"reason": "No Frechet distance: it is taken'
stderr_empty
