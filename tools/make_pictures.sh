#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes the README's two pictures anew: docs/img/terminal.png, what two commands print, set in a page and taken
# by chromium without a window; docs/img/faces.png, the sheet that `make demo` makes.
#   LDM  the program (build/ldm)      CHROMIUM  the browser (chromium)
# tools/make_pictures.sh terminal   makes the first alone
set -eu
cd "$(dirname "$0")/.."

LDM=$(cd "$(dirname "${LDM:-build/ldm}")" && pwd)/ldm
CHROMIUM=${CHROMIUM:-chromium}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
here=$(pwd)
cp models/demo/model.ckpt models/demo/config.yaml "$dir/"

escape() { sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/>/\&gt;/g'; }
shown() { printf '<span class="command">$ %s</span>\n' "$1"; }

# What a command prints on a terminal of 100 columns, without the bar that comes and goes.
on_terminal()
{
    NO_COLOR=1 script -qec "stty cols 100; $*" /dev/null </dev/null |
        sed -E -e 's/\r\x1b\[K(sampling|decoding) [^\r]*//g' -e 's/\r(\x1b\[K)?//g'
}

# The check at some length: what is left out leaves three dots.
excerpt() {
    awk '
        /^Components|^Verdict|^Settings that/ { show = 1 }
        /^Keys and|^  (use_new|conditioning_key)|^    1\/4/ { show = 0 }
        /^  (matching keys|attention heads)/ { show = 1 }
        /^  missing keys/ { show = 0 }
        show && $0 != "" { if (hidden) print "..."; hidden = 0; print; next }
        !show { hidden = 1 }'
}

{
    echo '<!doctype html><meta charset="utf-8"><style>body{background:#16181d;color:#e8e8e4;margin:22px 26px}'
    echo 'pre{font:14px/20px "DejaVu Sans Mono",monospace;margin:0}.command{color:#8fd694}.verdict{color:#8fd694}</style><pre>'
    cd "$dir"
    shown 'ldm check --ckpt model.ckpt --config config.yaml'
    on_terminal "$LDM" check --ckpt model.ckpt --config config.yaml | excerpt | escape |
        sed 's,^  FITS$,  <span class="verdict">FITS</span>,'
    echo
    shown 'ldm generate --ckpt model.ckpt --config config.yaml -n 4 -o faces/ --grid'
    on_terminal "$LDM" generate --ckpt model.ckpt --config config.yaml -n 4 -o faces/ --grid | escape
    echo '</pre>'
    cd "$here"
} >"$dir/page.html"
lines=$(wc -l <"$dir/page.html")
"$CHROMIUM" --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size="960,$(((lines - 2) * 20 + 44))" \
    --screenshot="$dir/terminal.png" "file://$dir/page.html" >/dev/null 2>&1
cp "$dir/terminal.png" docs/img/terminal.png

[ "${1:-}" != terminal ] || exit 0
"$LDM" generate --prompts models/portrait/prompts.txt -n 4 -o "$dir/grid/" --grid >/dev/null 2>&1
cp "$dir/grid/grid.png" docs/img/faces.png
