#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the Debian packages into build/deb: packaging/debian over a copy of the files that git tracks (of
# all files but build/ where this is no clone). lintian's errors and warnings are an error.
set -eu
cd "$(dirname "$0")/.."

number() { awk -v what="LDM_VERSION_$1" '$2 == what { print $3 }' include/ldm/ldm.h; }
version=$(number MAJOR).$(number MINOR).$(number PATCH)
tree=build/deb/ldm-$version

rm -rf build/deb
mkdir -p "$tree"
if git rev-parse --verify --quiet HEAD >/dev/null 2>&1; then
    git ls-files -z | tar --null -cf - -T - | tar -xf - -C "$tree"
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
else
    tar -cf - --exclude=./build . | tar -xf - -C "$tree"
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(stat -c %Y include/ldm/ldm.h)}
fi
export SOURCE_DATE_EPOCH
cp -r packaging/debian "$tree/debian"
{
    printf 'ldm (%s) unstable; urgency=medium\n\n' "$version"
    printf '  * What changed stands in /usr/share/doc/ldmc/CHANGELOG.md.\n\n'
    printf ' -- The ldm authors <ldm@localhost.localdomain>  %s\n' "$(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")"
} >"$tree/debian/changelog"

(cd "$tree" && DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS:-nocheck noautodbgsym}" \
    dpkg-buildpackage -b -us -uc) >build/deb/build.log 2>&1 ||
    { tail -n 40 build/deb/build.log >&2; echo "make_deb: the build failed; all of it: build/deb/build.log" >&2; exit 1; }
# The address of the maintainer is none that mail reaches, and no bug of Debian's asks for the packages.
lintian --allow-root --fail-on error,warning --suppress-tags \
    initial-upload-closes-no-bugs,bogus-mail-host,bogus-mail-host-in-debian-changelog build/deb/*.changes
ls build/deb/*.deb
