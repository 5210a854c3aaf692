# SPDX-License-Identifier: MIT
# Texts on terminals of 60 and 80 columns: no line is longer, and none is broken twice.

command -v script >/dev/null || { skipped "texts on narrow terminals (no script, of Debian's bsdutils)"; exit 0; }

# on COLUMNS ARGUMENTS: what the program prints on such a terminal, in $OUT.
on()
{
    columns=$1
    shift
    COMMAND="$* (on $columns columns)"
    NO_COLOR=1 script -qec "stty cols $columns; '$LDM' $*" /dev/null </dev/null 2>&1 | tr '\r' '\n' >"$OUT"
}

# Commands to be pasted stay whole; names and paths without blanks cannot be broken.
narrow()
{
    awk -v most="$1" 'length > most && !/Next: ldm generate/ && /[^ ] +[^ ]/ { print; bad = 1 }
                      END { exit bad }' "$OUT" || die "a line is longer than $1 columns"
}

for columns in 60 80; do
    on $columns help
    narrow $columns
    on $columns --help
    narrow $columns
    on $columns metrics "$SRC/tests/data/haar/faces.png"
    narrow $columns
    on $columns generate --help
    narrow $columns
    on $columns compare --help
    narrow $columns
    on $columns check $TINY --set model.params.scale_factor=0.18215
    narrow $columns
    on $columns inspect "$CONFIG"
    narrow $columns
    on $columns generate $TINY --steps 3 --set model.params.scale_factor=0.18215 -o p.png
    narrow $columns
    on $columns compare $TINY --set ldm.sampling.steps=2 -n 1 -o out --overwrite --quiet
    narrow $columns
    stdout_lacks 'sampling \['
done

# A sentence is broken where the terminal ends, not at 86 and again at 60.
on 60 generate --help
stdout_has '^Samples pictures from a latent diffusion model, with DDIM as$'
stdout_has "^CompVis' code does or with another sampler, and writes them"
stdout_has '^      pictures of each run|^      change one value of the config, e.g.$'
# The table of components leaves out what there is no room for.
on 60 check $TINY
stdout_has '^  model.diffusion_model FOUND         126 of 126     126$'
on 80 check $TINY
stdout_has '^  model.diffusion_model FOUND         126 of 126     126       285,667  571.3 kB$'
# A warning is no note, and messages go on indented.
on 60 generate $TINY --steps 3 --set model.params.scale_factor=0.18215 -o p.png
stdout_has '^ldm generate: warning: scale_factor 0.18215 .--set. is$'
stdout_has '^    [a-z]'
stdout_lacks 'note: warning'
# Tables that are too wide become blocks.
on 60 compare $TINY --set ldm.sampling.steps=2 -n 1 -o out --overwrite --quiet
stdout_has '^    Approach 1, here    1.0$'

# Help at the usual width: no line is broken by the terminal, but for commands to copy.
on 80 generate --help
tr -d '\r' <"$OUT" | grep -v '^  ldm ' | awk 'length($0) > 80 { print; exit 1 }' >long || die "too wide: $(cat long)"
stdout_has '^Samples pictures from a latent diffusion model, with DDIM as CompVis. code does$'
