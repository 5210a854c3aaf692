# SPDX-License-Identifier: MIT
# Manual pages and completions, which tools/make_pages.sh makes of `ldm help tables`: every command and
# every option of the help is in each, and the shells complete by them.

works help tables
stderr_empty
cp "$OUT" tables
awk -F '\t' '$1 == "command" { print $2 }' tables >commands
[ "$(wc -l <commands)" -ge 8 ] || die "commands are missing: $(cat commands)"
"$LDM" --help | sed -n '/^Commands/,/^$/p' | awk '/^  / { print $1 }' >listed
same commands listed

"$SRC/tools/make_pages.sh" "$LDM" pages || die "make_pages.sh failed"
"$SRC/tools/make_pages.sh" "$LDM" again || die "make_pages.sh failed"
same_folder pages again

# What the help has, the tables have, in the same order: a man page of the program and one a command.
for c in $(cat commands); do
    works help $c
    sed -n 's/^  \(-., \)\{0,1\}--\([a-z0-9-]*\).*/\2/p' "$OUT" >in_help
    awk -F '\t' -v c=$c '$1 == "command" { at = $2 } $1 == "option" && at == c { print $3 }' tables >in_tables
    [ -s in_help ] || die "ldm help $c: no options"
    same in_help in_tables
    page=pages/man/ldm-$c.1
    sed 's/\\-/-/g' "$page" >page
    while read -r option; do
        grep -q -e "--$option" page || die "$page: --$option is missing"
        grep -q -e "--$option" pages/bash/ldm || die "bash: --$option of $c is missing"
        grep -q -e "--$option" pages/zsh/_ldm || die "zsh: --$option of $c is missing"
        grep -q -e "from $c' .*-l $option " pages/fish/ldm.fish || die "fish: --$option of $c is missing"
    done <in_tables
    file_has pages/man/ldm.1 "^\\.BR ldm.-$c \\(1\\)"
done
# A text with a quote, a backslash and a dot at its start comes out as it went in.
printf 'program\tdemo\t1.2\ta demo\tOne \\\\ two.\\n.three isn'"'"'t -4\noption\tx\tx-y\tFILE.npy\t\t1\tsay "a: [b]"; more\n' >rows
printf '#!/bin/sh\ncat rows\n' >demo
chmod +x demo
"$SRC/tools/make_pages.sh" ./demo odd || die "make_pages.sh failed"
grep -Fqx -e '.TH "DEMO" 1 "" "demo 1.2" "User Commands"' odd/man/demo.1 || die "the title: $(cat odd/man/demo.1)"
grep -Fqx -e 'One \e two.' odd/man/demo.1 || die "a backslash: $(cat odd/man/demo.1)"
grep -Fqx -e '\&.three isn\(aqt \-4' odd/man/demo.1 || die "a dot: $(cat odd/man/demo.1)"
grep -Fq -e "'*'{-x,--x-y=}'[say \"a]:FILE.npy:_files -g \"*.npy\"'" odd/zsh/_demo || die "zsh: $(cat odd/zsh/_demo)"
printf '#!/bin/sh\n' >demo
! "$SRC/tools/make_pages.sh" ./demo none 2>/dev/null || die "a program without tables is taken"

# The pages are sound to those who read them.
if command -v groff >/dev/null; then
    for page in pages/man/*.1 odd/man/demo.1; do
        groff -man -Tutf8 -ww "$page" 2>&1 >shown | tee said
        [ ! -s said ] || die "groff warns about $page"
        [ -s shown ] || die "$page shows nothing"
    done
else
    skipped "manual pages as groff shows them (no groff)"
fi

# bash: as typed; a function stands for what the shell does at Tab.
server=$(dirname "$LDM")/ldm-server
[ ! -x "$server" ] || "$SRC/tools/make_pages.sh" "$server" pages --tables || die "make_pages.sh failed"
if command -v bash >/dev/null; then
    : >face.png
    : >model.ckpt
    mkdir folder
    cat >complete.bash <<'END'
. pages/bash/ldm
compopt() { :; }
tab() { COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _ldm; echo "${COMPREPLY[*]}"; }
tab ldm gen
tab ldm generate --sampler dpm2
tab ldm generate --sampler = dpm2_
tab ldm generate --ckpt mod
tab ldm generate --ste
tab ldm help sam
tab ldm check --no
tab ldm generate --steps ''
tab ldm inspect mo
tab ldm nonsense --st
tab ldm generate --model ''
tab ldm check --model d
END
    ! [ -x "$server" ] || cat >>complete.bash <<'END'
tab ldm serve --por
tab ldm serve --models fol
tab ldm serve --model = p
tab ldm serve --port 80 --insec
tab ldm generate --por
END
    bash complete.bash >got 2>&1 || die "bash: $(cat got)"
    printf '%s\n' generate 'dpm2 dpm2_a' dpm2_a model.ckpt --steps samplers --no-ema '' model.ckpt '' 'portrait demo' demo >want
    ! [ -x "$server" ] || printf '%s\n' --port folder portrait --insecure '' >>want
    same got want
else
    skipped "completion in bash (no bash)"
fi
if command -v zsh >/dev/null; then
    zsh -n pages/zsh/_ldm || die "zsh finds faults in its completion"
    [ ! -x "$server" ] || zsh -n pages/zsh/_ldm-server || die "zsh finds faults in its completion"
    zsh -n odd/zsh/_demo || die "zsh finds faults in its completion"
    : >face.png
    : >model.ckpt
    mkdir -p folder
    set -- 'ldm gen' 'ldm --ver' 'ldm help sam' 'ldm generate --ste' 'ldm generate --sampler dpm2' 'ldm generate --sampler=dpm2_' \
        'ldm generate --ckpt mod' 'ldm generate --ckpt=mod' 'ldm generate -o fo' 'ldm check --no' 'ldm inspect mo' \
        'ldm generate --model '
    printf '%s\n' generate --version samplers --steps 'dpm2 dpm2_a' dpm2_a model.ckpt model.ckpt folder --no-ema model.ckpt \
        'demo portrait' >want
    if [ -x "$server" ]; then
        set -- "$@" 'ldm serve --por' 'ldm serve --models fol' 'ldm serve --model p' 'ldm-server --insec'
        printf '%s\n' --port folder portrait --insecure >>want
    fi
    HOME=$PWD zsh -f "$SRC/tests/cli/complete.zsh" "$PWD/pages/zsh" "$@" >got 2>&1 || die "zsh: $(cat got)"
    same got want
else
    skipped "completion in zsh (no zsh)"
fi
if command -v fish >/dev/null; then
    HOME=$PWD fish -n pages/fish/ldm.fish || die "fish finds faults in its completion"
    : >model.ckpt
    printf '%s\n' generate --sampler unipc unipc3 --sampler=dpm2_a model.ckpt model.ckpt samplers >want
    cat >complete.fish <<'END'
source pages/fish/ldm.fish
for line in "ldm gen" "ldm generate --sam" "ldm generate --sampler uni" "ldm generate --sampler=dpm2_" "ldm generate --ckpt mod" \
        "ldm inspect mo" "ldm help sam"
    complete -C $line
end
END
    if [ -x "$server" ]; then
        cat >>complete.fish <<'END'
source pages/fish/ldm-server.fish
for line in "ldm serve --por" "ldm serve --model p" "ldm-server --insec"
    complete -C $line
end
END
        printf '%s\n' --port portrait --insecure >>want
    fi
    HOME=$PWD fish --no-config complete.fish >got 2>&1 || die "fish: $(cat got)"
    cut -f 1 got >names
    same names want
else
    skipped "completion in fish (no fish)"
fi

# The server's own tables make a page and completions in the same way.
if [ -x "$server" ]; then
    "$SRC/tools/make_pages.sh" "$server" server --tables || die "make_pages.sh failed"
    "$server" --help | sed -n 's/^  --\([a-z-]*\).*/\1/p' >in_help
    [ "$(wc -l <in_help)" -ge 20 ] || die "ldm-server --help: options are missing"
    for option in $(cat in_help); do
        sed 's/\\-/-/g' server/man/ldm-server.1 | grep -q -e "--$option" || die "ldm-server.1: --$option is missing"
        for file in bash/ldm-server zsh/_ldm-server; do
            grep -q -e "--$option" "server/$file" || die "$file: --$option is missing"
        done
    done
    works serve --help
    "$server" --help >direct
    same "$OUT" direct
else
    skipped "the pages of ldm-server (it was not built)"
fi

# Neither overview nor pages are longer than the terminal.
works --help
awk 'length($0) > 100 { exit 1 }' "$OUT" || die "a line of ldm --help is too long"
