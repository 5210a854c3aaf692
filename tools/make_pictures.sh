#!/bin/sh
# Makes the README's two pictures anew: docs/img/terminal.png, what two commands print, set in a page and taken
# by chromium without a window; docs/img/faces.png, sixteen pictures of the shipped model.
#   LDM  the program (build/ldm)      CHROMIUM  the browser (chromium)
set -eu
cd "$(dirname "$0")/.."

LDM=$(cd "$(dirname "${LDM:-build/ldm}")" && pwd)/ldm
CHROMIUM=${CHROMIUM:-chromium}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
here=$(pwd)
cp models/demo/model.ckpt models/demo/config.yaml "$dir/"
mkdir -p "$dir/configs/study"
cp configs/study/approach1.yaml "$dir/configs/study/"

escape() { sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/>/\&gt;/g'; }
shown() { printf '<span class="command">$ %s</span>\n' "$1"; }

# The check at some length: what is left out leaves three dots.
excerpt() {
    awk '
        /^  matching keys|^  missing keys|^Settings that|^Verdict/ { show = 1 }
        /^Settings that/ { settings = 1 }
        settings && /^  (parameterization|beta_schedule|attention heads)/ { show = /attention heads/ }
        /^    model\.|^  unexpected/ { show = 0 }
        /^      1\/4|^    1\/4/ { show = 0 }
        /^Verdict/ { settings = 0 }
        show && $0 != "" { if (hidden) print "..."; hidden = 0; print; next }
        !show { hidden = 1 }'
}

{
    echo '<!doctype html><meta charset="utf-8"><style>body{background:#16181d;color:#e8e8e4;margin:22px 26px}'
    echo 'pre{font:14px/1.45 "DejaVu Sans Mono",monospace;margin:0}.command{color:#8fd694}.verdict{color:#e5b567}</style><pre>'
    cd "$dir"
    shown 'ldm check --ckpt model.ckpt --config config.yaml --config configs/study/approach1.yaml'
    "$LDM" check --ckpt model.ckpt --config config.yaml --config configs/study/approach1.yaml | excerpt | escape |
        sed 's,^  FITS$,  <span class="verdict">FITS</span>,'
    echo
    shown 'ldm generate -n 4 -o faces/ --grid'
    "$LDM" generate --ckpt model.ckpt --config config.yaml -n 4 -o faces/ --grid 2>&1 | escape
    echo '</pre>'
    cd "$here"
} >"$dir/page.html"
lines=$(wc -l <"$dir/page.html")
"$CHROMIUM" --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size="960,$((lines * 21 + 40))" \
    --screenshot="$dir/terminal.png" "file://$dir/page.html" >/dev/null 2>&1
cp "$dir/terminal.png" docs/img/terminal.png

"$LDM" generate --steps 150 -n 16 -o "$dir/grid/" --grid >/dev/null 2>&1
cp "$dir/grid/grid.png" docs/img/faces.png
