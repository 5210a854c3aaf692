# SPDX-License-Identifier: MIT
# Every broken or hostile file of tests/crashers ends with one line that names it and exit code 1,
# whatever its name says it is; nothing is printed, run or written.

count=0
for file in "$SRC"/tests/crashers/*; do
    name=$(basename "$file" | sed 's/[.]/\\./g')
    case $file in
    *.yaml) fails 1 "$name" check --ckpt "$CKPT" --config "$file" ;;
    *) fails 1 "ldm check: .*$name" check --ckpt "$file" --config "$CONFIG" ;;
    esac
    fails 1 "$name" inspect "$file"
    count=$((count + 1))
done
[ $count -gt 50 ] || die "only $count files in tests/crashers"
