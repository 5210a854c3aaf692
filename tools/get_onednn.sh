#!/bin/sh
# SPDX-License-Identifier: MIT
# Puts oneDNN 3.2.0 (Apache-2.0), which `ldm --precision bf16` computes with on processors that have AMX, into
# build/onednn: the two Python wheels that hold its library and its C headers, checked against their sums and
# unpacked. Needs python3 with pip, and only to fetch them; CMake finds the folder by itself.
set -eu
cd "$(dirname "$0")/.."

version=2023.2.0
sums='2f22a54d6a890ed14bfa185d42a4be65d8b5b1df85dc1f0f3a9abe31620416fb  onednn_cpu_gomp-2023.2.0-py2.py3-none-manylinux1_x86_64.whl
9763c69e8c907e119056bd52ad918ca84ac9ba939d130a99dfa95ccca3e5e284  onednn_devel_cpu_gomp-2023.2.0-py2.py3-none-manylinux1_x86_64.whl'

fail() {
    echo "make onednn: $*" >&2
    exit 1
}

[ -f build/onednn/lib/cmake/dnnl/dnnl-config.cmake ] && { echo "build/onednn is there"; exit 0; }
case $(uname -sm) in
'Linux x86_64') ;;
*) fail "the wheels are for Linux on x86-64; this is $(uname -sm)" ;;
esac
python3 -m pip --version >/dev/null 2>&1 || fail "python3 with pip is needed (Debian: python3-pip)"

mkdir -p build
tmp=$(mktemp -d build/onednn.XXXXXX)
trap 'rm -rf "$tmp"' EXIT
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --platform manylinux1_x86_64 --dest "$tmp" \
    "onednn-cpu-gomp==$version" "onednn-devel-cpu-gomp==$version" ||
    fail "the wheels could not be fetched (version $version of onednn-cpu-gomp, onednn-devel-cpu-gomp)"
(cd "$tmp" && echo "$sums" | sha256sum --quiet -c -) || fail "a wheel is not the one expected"
for wheel in "$tmp"/*.whl; do
    python3 -m zipfile -e "$wheel" "$tmp/unpacked"
done
mkdir "$tmp/onednn"
cp -R "$tmp"/unpacked/*.data/data/* "$tmp/onednn/"
# One copy of the library under its three names: a zip holds no links.
cd "$tmp/onednn/lib"
ln -sf libdnnl.so.3.2 libdnnl.so.3
ln -sf libdnnl.so.3 libdnnl.so
cd ../../../..
mv "$tmp/onednn" build/onednn
echo "oneDNN 3.2.0 is in build/onednn; build again (make) and take --precision bf16"
