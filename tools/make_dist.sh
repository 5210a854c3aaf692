#!/bin/sh
# SPDX-License-Identifier: MIT
# Writes the release archive FOLDER/ldm-VERSION.tar.gz from the last commit, and its SHA-256 beside it. The
# same commit gives the same bytes: names in git's order, the commit's time, no owner, no time in gzip's
# header.
set -eu
cd "$(dirname "$0")/.."
folder=${1:?usage: tools/make_dist.sh FOLDER}

git rev-parse --verify --quiet HEAD >/dev/null || { echo "make_dist: this is no clone of the repository" >&2; exit 1; }
git diff --quiet HEAD -- || echo "make_dist: note: changes that are not committed are left out" >&2
number() { git show HEAD:include/ldm/ldm.h | awk -v what="LDM_VERSION_$1" '$2 == what { print $3 }'; }
name=ldm-$(number MAJOR).$(number MINOR).$(number PATCH)

mkdir -p "$folder"
part=$folder/$name.tar.gz.part
trap 'rm -f "$part"' EXIT
git -c tar.umask=0022 archive --format=tar --prefix="$name/" HEAD | gzip -n -9 >"$part"
mv "$part" "$folder/$name.tar.gz"
(cd "$folder" && sha256sum "$name.tar.gz" | tee "$name.tar.gz.sha256")
