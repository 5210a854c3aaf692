# SPDX-License-Identifier: MIT
# The helpers of run.sh themselves: each must refuse what it is there to refuse. A helper that accepts
# everything would let every test that rests on it pass.

# refuses HELPER ARGUMENTS: the expectation is not met, and the helper says so.
refuses()
{
    rc=0
    ("$@") >"$ROOM/said/refusal" 2>&1 || rc=$?
    [ "$rc" -ne 0 ] || die "'$*' accepts what it should refuse"
    grep -q '^FAILED: ' "$ROOM/said/refusal" || die "'$*' ends without a reason"
}

works generate $TINY --steps 2 -n 2 -o two --grid --quiet
works generate --ckpt "$CKPT" --like two/00000.png -o again.png --quiet
works generate $TINY --steps 2 --shape 3,8,8 -o small.png --quiet
# A picture whose figures in ldm metrics are those of two/00000.png, but not its bytes.
works generate $TINY --steps 2 --set model.params.scale_factor=1.001 -o near.png --quiet
"$LDM" metrics two/00000.png | tail -n +2 >far
"$LDM" metrics near.png | tail -n +2 >near
same far near
head -c 600 two/00000.png >cut.png
: >empty.png

# Pictures.
same_pixels two/00000.png two/00000.png
same_pixels two/00000.png again.png
refuses same_pixels two/00000.png two/00001.png
refuses same_pixels two/00000.png near.png
refuses same_pixels two/00000.png two/grid.png
refuses same_pixels two/00000.png small.png
refuses same_pixels two/00000.png none.png
refuses same_pixels none.png two/00000.png
refuses same_pixels none.png none.png
refuses same_pixels two/00000.png cut.png
refuses same_pixels cut.png cut.png
refuses same_pixels empty.png empty.png
refuses same_pixels "$CONFIG" "$CONFIG"

# Files and their text.
printf 'one\ntwo\n' >text
cp text copy
same text copy
refuses differ text copy
refuses same text far
differ text far
refuses same none none
refuses differ text none
refuses differ none text
file_has text '^two$'
refuses file_has text three
refuses file_has none '.*'
file_lacks text three
refuses file_lacks text two
refuses file_lacks none three
refuses file_lacks text 'three(' # not a pattern

# Folders.
mkdir a b
echo 1 >a/x
echo 1 >b/x
same_folder a b
echo 2 >b/y
refuses same_folder a b
same_folder a b '^Only in b'
echo 3 >a/y
refuses same_folder a b '^Only in b'
refuses same_folder a none
refuses same_folder none none
no_part_files a
: >a/.x.part-abcdef
refuses no_part_files a
refuses no_part_files none

# What a program said, and how it ended.
works --version
stdout_has '^ldm '
refuses stdout_has '^nothing$'
refuses stdout_lacks '^ldm '
refuses stderr_has '.'
stderr_lacks '.'
stderr_empty
refuses stdout_is ''
refuses works genrate
ldm genrate
refuses stderr_empty
refuses stderr_lacks genrate
fails 2 "unknown command 'genrate'" genrate
refuses fails 1 "unknown command 'genrate'" genrate
refuses fails 2 "unknown command 'generate'" genrate
refuses fails 0 '.*' --version
files_are $(find . -type f | sed 's|^\./||')
refuses files_are text copy

# A program that changes a file while it fails.
printf '#!/bin/sh\necho more >>text\necho wrong >&2\nexit 1\n' >../said/changes
chmod +x ../said/changes
LDM=$ROOM/said/changes
refuses fails 1 wrong anything

# A remark of the leak checker is no word of the program; whatever stands beside it is.
printf '==12==Unable to get registers from thread 34.\n' >"$ERR"
stderr_empty
printf '==12==Unable to get registers from thread 34.\nwrong\n' >"$ERR"
refuses stderr_empty
printf '==12==ERROR: LeakSanitizer: detected memory leaks\n' >"$ERR"
refuses stderr_empty
