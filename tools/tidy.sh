#!/bin/sh
# SPDX-License-Identifier: MIT
# make tidy: clang-tidy with the checks of .clang-tidy over the code of the library and the program (tests
# excepted), as build/release compiles it. Takes some minutes; exit code 1 if anything is found.
set -eu
cd "$(dirname "$0")/.."
command -v clang-tidy >/dev/null || {
    echo "make tidy: clang-tidy is missing; run: tools/install_deps.sh --ci" >&2
    exit 1
}
[ -f build/release/compile_commands.json ] || cmake --preset release >/dev/null
find src -name '*.c' ! -name '*_test.c' ! -name 'testing.c' ! -name '*_testing.c' | sort |
    nice xargs -P "$(nproc)" -n 2 clang-tidy -p build/release --quiet 2>/dev/null || {
    echo "make tidy: see above"
    exit 1
}
echo "make tidy: nothing found"
