#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the Debian packages that building and testing ldm needs, and only those that are missing.
# Root, or sudo; with nothing missing neither is used. `tools/install_deps.sh --list` prints the names.
# With --ci: what .ci/run and `make tidy` need beside them; with --deb: all that `make deb` needs
# (--ci --list, --deb --list print these).
# `--also NAME ...` installs these besides.
set -eu

packages='cmake ninja-build pkg-config
    libfyaml-dev libjansson-dev libspng-dev libturbojpeg0-dev libdeflate-dev nettle-dev
    libexpat1-dev libutf8proc-dev libevent-dev libcmocka-dev opencv-data'

if [ "${1:-}" = --ci ]; then
    packages='clang clang-format clang-tidy'
    shift
elif [ "${1:-}" = --deb ]; then
    packages="$packages dpkg-dev debhelper fakeroot lintian"
    shift
fi
if [ "${1:-}" = --list ]; then
    echo $packages
    exit 0
fi
if [ "${1:-}" = --also ]; then
    shift
    packages="$packages $*"
fi
if ! command -v dpkg-query >/dev/null; then
    echo "install_deps: this is no Debian; please install by your system's means:" $packages >&2
    exit 1
fi

missing=
for p in $packages; do
    state=$(dpkg-query -W -f '${Status}' "$p" 2>/dev/null || :)
    case $state in
    *' installed') ;;
    *) missing="$missing $p" ;;
    esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    echo "install_deps: run as root:  apt-get install$missing" >&2
    exit 1
fi
echo "installing$missing"
# While another apt is at work this one waits for it, ten minutes at most, in place of failing.
install()
{
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o DPkg::Lock::Timeout=600 $missing </dev/null >/dev/null
}
# Names already known to apt need no update; a fresh machine has no lists yet.
install 2>/dev/null && exit 0
$as_root apt-get update -qq </dev/null
install
