#!/bin/sh
# SPDX-License-Identifier: MIT
# What `make install` installs, as a stranger uses it: programs, manual pages, completions, and the library by
# find_package and by pkg-config. tests/install.sh BUILD COMPILER
set -eu
build=$1 cc=$2
src=$(cd "$(dirname "$0")/.." && pwd)
room=$(mktemp -d "${TMPDIR:-/tmp}/ldm-install.XXXXXX")
trap 'rm -rf "$room"' EXIT
tiny="$src/tests/data/tiny/model.ckpt $src/tests/data/tiny/config.yaml"
die() { echo "FAILED: $*"; exit 1; }

cmake --install "$build" --prefix "$room/to" >"$room/log" 2>&1 || die "$(cat "$room/log")"
cd "$room/to"
for f in bin/ldm bin/ldm-server share/man/man1/ldm-server.1 share/man/man1/ldm.1 share/man/man1/ldm-generate.1 share/bash-completion/completions/ldm \
    share/zsh/site-functions/_ldm share/fish/vendor_completions.d/ldm.fish include/ldm/ldm.h \
    share/ldmc/models/demo/model.ckpt share/doc/ldmc/LICENSE; do
    [ -s "$f" ] || die "$f is not installed"
done
[ -z "$(find . -name '*.part*' -o -name '*_test*')" ] || die "too much is installed"
# Every page is in one of the Debian packages, and in one alone.
for f in share/man/man1/*; do
    in=0
    while read -r pattern; do
        # shellcheck disable=SC2254 # it is a pattern
        case usr/$f in $pattern) in=$((in + 1)) ;; esac
    done <<END
$(cat "$src"/packaging/debian/*.install)
END
    [ $in -eq 1 ] || die "$f is in $in of packaging/debian/*.install"
done
bin/ldm --version >version
bin/ldm serve --version | grep -q "^ldm-server [0-9]" || die "ldm serve starts no server"
"$src/tools/make_pages.sh" bin/ldm "$room/pages"
cmp "$room/pages/man/ldm-generate.1" share/man/man1/ldm-generate.1 || die "the installed page is old"

mkdir "$room/user"
cd "$room/user"
cp "$src/examples/check.c" .
cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.18)
project(user C)
find_package(ldmc 0.2 REQUIRED)
add_executable(user check.c)
target_link_libraries(user PRIVATE ldmc::ldmc)
END
cmake -S . -B build -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$room/to" >"$room/log" 2>&1 || die "$(cat "$room/log")"
cmake --build build >"$room/log" 2>&1 || die "$(cat "$room/log")"
./build/user $tiny >/dev/null || die "a program that found the library by find_package does not run"
sed -i 's/0\.2 REQUIRED/0.1 REQUIRED/' CMakeLists.txt
! cmake -S . -B old -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$room/to" >"$room/log" 2>&1 ||
    die "another minor version is taken, and 0.x promises nothing between them"

pc=$(find "$room/to" -name ldmc.pc)
pc() { PKG_CONFIG_PATH=${pc%/*} pkg-config --define-variable=prefix="$room/to" "$@" ldmc; }
[ "$(pc --cflags | tr -d ' ')" = "-I$room/to/include" ] || die "flags of others' headers: $(pc --cflags)"
# shellcheck disable=SC2046 # flags have no blanks
"$cc" check.c -o by_pc $(pc --cflags --libs) -Wl,-rpath,"$(pc --variable=libdir)" || die "pkg-config"
./by_pc $tiny >/dev/null || die "a program that found the library by pkg-config does not run"
echo "installed and used: $(cat "$room/to/version")"
