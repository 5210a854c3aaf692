# SPDX-License-Identifier: MIT
# What the built program and library promise whatever a file makes of them: hardened by the compiler
# and linker, no way to the network, no way to start a program. Arguments: the shared library, and the
# kind of build (FORTIFY needs an optimised one).
LIB=$1 KIND=$2
COMMAND="(none: the files $LDM and $LIB)"
command -v readelf >/dev/null && command -v nm >/dev/null || die "readelf and nm (binutils) are needed"

imports()
{
    nm -D --undefined-only "$1" | awk '{ sub(/@.*/, "", $NF); print $NF }' | sort -u
}

readelf -hW "$LDM" | grep -Eq 'Type: +DYN' || die "ldm is not position independent (PIE)"
readelf -dW "$LDM" | grep -q 'Flags:.* PIE' || die "ldm is not position independent (PIE)"

for f in "$LDM" "$LIB"; do
    readelf -lW "$f" >"$ROOM/said/segments"
    readelf -dW "$f" >"$ROOM/said/dynamic"
    grep -q GNU_RELRO "$ROOM/said/segments" || die "$f: no RELRO"
    grep -Eq 'BIND_NOW|Flags:.* NOW' "$ROOM/said/dynamic" || die "$f: no BIND_NOW: RELRO is partial"
    grep GNU_STACK "$ROOM/said/segments" | grep -q ' RW ' || die "$f: the stack is executable"
    ! grep LOAD "$ROOM/said/segments" | grep -q 'RWE' || die "$f: a segment is writable and executable"
    # A build with oneDNN from elsewhere than the system names its folders, in full; others name none.
    places='RPATH|RUNPATH'
    ! grep -q 'NEEDED.*libdnnl' "$ROOM/said/dynamic" || places='RPATH\)|RUNPATH.*\[([^/]|.*:[^/])'
    ! grep -Eq "$places" "$ROOM/said/dynamic" || die "$f: libraries are looked for in odd places"
    ! grep -q TEXTREL "$ROOM/said/dynamic" || die "$f: relocations in code"
    imports "$f" >"$ROOM/said/imports"
    grep -qx __stack_chk_fail "$ROOM/said/imports" || die "$f: no stack protector"
    if [ "$KIND" = Release ]; then
        grep -Eq '^__(v?snprintf|printf|fprintf|memcpy|strcpy)_chk$' "$ROOM/said/imports" ||
            die "$f: not built with _FORTIFY_SOURCE"
    fi
    # Network, other programs, code loaded at run time. The program alone may become another one, by execv:
    # src/cli/cmd_serve.c, `ldm serve`.
    if [ "$f" = "$LDM" ]; then
        [ "$(grep -rl 'execv *(' "$SRC/src" | grep -v /server/)" = "$SRC/src/cli/cmd_serve.c" ] ||
            die "another file than cmd_serve.c calls execv"
        sed -i '/^execv$/d' "$ROOM/said/imports"
    fi
    ! grep -Ex -e 'socket|socketpair|connect|bind|listen|accept4?|send|sendto|sendmsg|recv.*|shutdown' \
        -e 'getaddrinfo|gethostby.*|res_.*|inet_.*|if_nametoindex' \
        -e 'system|popen|fork|vfork|clone|exec[lv].*|fexecve|posix_spawnp?' \
        -e 'dlopen|dlmopen|wordexp' "$ROOM/said/imports" || die "$f imports the above"
    # Pictures, YAML, JSON, deflate, SHA-256, Unicode, the C library, bf16: nothing else is linked.
    ! grep NEEDED "$ROOM/said/dynamic" |
        grep -Ev '\[(libfyaml|libjansson|libspng|libturbojpeg|libdeflate|libnettle|libexpat|libutf8proc|libm|libc|ld-linux.*|libgcc_s|libdnnl|libgomp)\.so' ||
        die "$f needs the above library"
done

# CET: every function that can be reached by a jump through a pointer begins with a landing pad. (The
# program's own note is there only if the system's start files were built for CET as well.)
if [ "$(uname -m)" = x86_64 ] && command -v objdump >/dev/null; then
    objdump -d --disassemble=main "$LDM" | grep -q endbr64 || die "ldm: not built with -fcf-protection"
else
    skipped "landing pads of CET (another processor, or no objdump)"
fi
