#!/bin/sh
# SPDX-License-Identifier: MIT
# check_commits.sh [RANGE]: the subjects of the commits have at most 72 columns and say which room they
# are about ("room: what it does now"). Without a RANGE: all commits since the rule is kept, as far as
# the clone knows them. Without git, or outside a clone, it is skipped (exit code 77), and says so.
set -eu
cd "$(dirname "$0")/.."
SINCE=d0c5f59c2a573bcae954be3d0bf255645b74f9f2

if ! command -v git >/dev/null || ! git rev-parse --git-dir >/dev/null 2>&1; then
    echo "skipped: the subjects of commits (no git, or no clone)"
    exit 77
fi
range=${1:-HEAD}
if [ $# -eq 0 ] && git cat-file -e "$SINCE^{commit}" 2>/dev/null; then
    range=$SINCE..HEAD
fi
git log --no-merges --format='%h %s' "$range" | awk '
    {
        subject = $0
        sub(/^[^ ]* /, "", subject)
        n++
    }
    length(subject) > 72 { print "longer than 72 columns: " $0; bad = 1 }
    subject !~ /^[a-z_]+[a-z_., \/0-9]*: / { print "names no room: " $0; bad = 1 }
    END {
        print n + 0 " subjects"
        exit bad
    }'
