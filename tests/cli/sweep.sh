# SPDX-License-Identifier: MIT
# ldm compare --sweep, as it is typed.
RUN="compare $TINY --quiet -n 2"

works $RUN --sweep sampler=ddim,dpmpp_2m,pndm_prk --sweep steps=2,4 -o grid
stdout_has '^\| sampler \| steps \| evaluations \|'
stdout_has '^\| ddim \| 4 \| 4 \| – \|'
stdout_has '^\| dpmpp_2m \| 2 \| 2 \|'
stdout_has '^\| pndm_prk \| 2 \| refused'
stdout_has '^\| pndm_prk \| 4 \| 13 \|'
[ -e grid/cell_000.png ] && [ -e grid/cell_005.png ] || die "a cell has no sheet: $(ls grid)"
[ ! -e grid/cell_004.png ] || die "a refused cell has a sheet"
[ ! -e grid/sweep.svg ] || die "a plot without distances"
works generate $TINY --steps 4 --sampler dpmpp_2m -n 2 -o pictures --grid --quiet
same_pixels grid/cell_003.png pictures/grid.png
works inspect grid/cell_003.png
stdout_has '^  sampler +dpmpp_2m'
stdout_has '^  sheet.pictures +2'

fails 1 "grid/sweep.md is there already" $RUN --sweep steps=2 -o grid
works $RUN --sweep steps=2 -o grid --overwrite

# Without a checkpoint it is the shipped model that has statistics, as for the approaches.
works compare --quiet -n 2 --sweep steps=1,2 -o shipped
stdout_has 'from seed 42, the shipped model demo, '
[ -e shipped/sweep.svg ] || die "no distances: another model, or not its statistics"

# Rows that are the same are explained, once, and a conclusion from two pictures says that it is one.
works compare -n 2 --sweep scale=1,3,5 --sweep steps=1,2 -o idle --json
[ "$(grep -c 'note: --scale has no effect: this network has no cross-attention' "$ERR")" -eq 1 ] ||
    die "expected one note"
stdout_has '"scale has no effect: this network has no cross-attention'
few='Frechet distance: It shrinks .* only figures of equally many\. Of 2 pictures it is largely chance'
stdout_has "$few"
file_has idle/sweep.json "$few"
file_has idle/sweep.md "^$few"
file_has idle/sweep.md '^scale has no effect: this network has no cross-attention'

# With statistics: distances, a reference, a plot.
works generate $TINY --steps 3 -n 4 --seed 900 -o train --quiet
works metrics train $TINY --write-stats renders.stats
works $RUN --sweep sampler=ddim,dpmpp_2m --sweep steps=2,4 --stats renders.stats -o grid2 --json
stdout_has '"reference": 1'
stdout_has '"frechet": [0-9.]+'
[ -s grid2/sweep.svg ] || die "no plot"
file_lacks grid2/sweep.md '[0-9]e[+]0' # numbers for people
file_has grid2/sweep.md '^Reference: sampler ddim, steps 4 \(4 evaluations'
file_has grid2/sweep.svg '</svg>'

# One setting of numbers that costs nothing: each measure over its value, and the best one is named.
works $RUN --sweep eta=0,0.5,1 --set ldm.sampling.steps=2 --stats renders.stats -o values
stdout_has '^\| eta \| evaluations \| Frechet distance \| faces \| contrast \| saturation \| variety \| s a picture \|$'
stdout_has '^The least Frechet distance: eta (0|0.5|1) \([0-9,.]+\)\.$'
file_has values/sweep.svg '>faces found, %<'
file_has values/sweep.svg '>saturation<'
file_lacks values/sweep.svg 'evaluations a picture'
file_lacks values/sweep.svg 'nan|inf'
works compare $TINY --quiet -n 1 --sweep eta=0,1 --set ldm.sampling.steps=2 -o single --json
stdout_has '"variety": null' # of one picture

# Any setting of a job, as an option is spelt.
works $RUN --sweep guidance-rescale=0,0.5 -o one
works $RUN --sweep eta=0,1 --sweep cache=1,2 --sweep steps=4 -o three
stdout_has '^\| 1 \| 2 \| 4 \| 4 \|'

fails 2 "sweep: 'steps' is not KEY=VALUE" $RUN --sweep steps -o no
fails 2 "sweep steps: 'many' is not" $RUN --sweep steps=many -o no
fails 2 "a job has no such setting" $RUN --sweep stepps=3 -o no
fails 2 "sweep: an empty value of steps" $RUN --sweep steps=3,,4 -o no
fails 2 "steps is given twice" $RUN --sweep steps=3 --sweep steps=4 -o no
fails 2 "seed is the same in all cells" $RUN --sweep seed=1,2 -o no
fails 2 "exclude each other" $RUN --sweep steps=3 a.yaml b.yaml -o no

# What is not swept counts for all cells: a prompt is obeyed, or refused where the model takes none.
fails 2 'no cell can be run; the first one: prompt: this model takes nothing' $RUN --sweep steps=1,2 --prompt man -o none
works compare --model portrait --quiet -n 1 --sweep steps=2 --prompt 'a bald man' -o prompted
works generate --model portrait --steps 2 --prompt 'a bald man' -o prompted.png --quiet
same_pixels prompted.png prompted/cell_000.png
