/* SPDX-License-Identifier: MIT */
/* Which format a file has, judged by its first bytes; names and endings are not looked at. What is
 * often taken for a checkpoint by mistake is told by name. */
#include <string.h>

#include "checkpoint/index.h"

typedef struct stranger {
    const char *magic;
    size_t len, offset;
    const char *what;
} stranger;

static const stranger strangers[] = {
    {"version https://git-lfs", 23, 0,
     "a Git LFS pointer, not the file itself; fetch it with git lfs pull"},
    {"<!DOCTYPE", 9, 0, "a web page; download the file itself"},
    {"<!doctype", 9, 0, "a web page; download the file itself"},
    {"<html", 5, 0, "a web page; download the file itself"},
    {"<HTML", 5, 0, "a web page; download the file itself"},
    {"<head", 5, 0, "a web page; download the file itself"},
    {"<?xml", 5, 0, "an XML text, often a server's error message; download the file itself"},
    {"{\"error", 7, 0, "a server's error message; download the file itself"},
    {"%PDF", 4, 0, "a PDF document"},
    {"7z\xbc\xaf", 4, 0, "a 7-Zip archive; unpack it first"},
    {"BZh", 3, 0, "a bzip2 file; unpack it first"},
    {"\xfd"
     "7zXZ",
     5, 0, "an xz file; unpack it first"},
    {"\x28\xb5\x2f\xfd", 4, 0, "a zstd file; unpack it first"},
    {"\xff\xd8\xff", 3, 0, "a JPEG picture"},
    {"GGUF", 4, 0, "a GGUF file"},
    {"\x89HDF", 4, 0, "an HDF5 file"},
    {"\x1f\x8b", 2, 0, "a gzip file; unpack it first"},
    {"ustar", 5, 257, "a tar archive (torch before 0.1.10, or unpack it first)"},
    {"Rar!", 4, 0, "a RAR archive; unpack it first"},
    {"\x89PNG", 4, 0, "a PNG picture"},
    {"\x93NUMPY", 6, 0, "a NumPy array"},
};

static bool has(const ldm_source *src, uint64_t offset, const char *magic, size_t len)
{
    return src->size >= len && offset <= src->size - len && !memcmp(src->data + offset, magic, len);
}

/* Blanks and line ends before a text: servers begin pages with them. */
static uint64_t leading_blanks(const ldm_source *src)
{
    uint64_t n = 0;

    while (n < src->size && n < 64 && strchr(" \t\r\n", src->data[n]) && src->data[n])
        n++;
    return n;
}

/* Whether a stranger stands at the beginning, or where a text begins after blanks. */
static bool is_stranger(const ldm_source *src, const stranger *s, uint64_t blanks)
{
    return has(src, s->offset, s->magic, s->len) ||
           (blanks && !s->offset && has(src, blanks, s->magic, s->len));
}

static bool all_are(const ldm_source *src, size_t most, bool text)
{
    const size_t n = src->size < most ? (size_t)src->size : most;

    for (size_t i = 0; i < n; i++) {
        const unsigned char c = src->data[i];

        if (text ? (c < ' ' && !strchr("\t\r\n", c)) || !c || c == 127 : c)
            return false;
    }
    return n > 0;
}

/* Hugging Face's *.index.json: which tensor lies in which of several files. */
static bool is_shard_index(const ldm_source *src, uint64_t blanks)
{
    static const char key[] = "\"weight_map\"";
    enum { NEAR = 4096 }; /* after "metadata", which is short */

    if (!has(src, blanks, "{", 1))
        return false;
    for (uint64_t i = blanks; i < src->size && i < NEAR; i++) {
        if (has(src, i, key, sizeof key - 1))
            return true;
    }
    return false;
}

/* ONNX has no magic number. Its protobuf begins with ir_version (field 1), a small number, and goes
 * on with the next field that is written: producer_name and what follows, the graph or the opsets
 * (fields 2 to 8; onnx.proto3, ModelProto). */
static bool is_onnx(const ldm_source *src)
{
    static const unsigned char next[] = {0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42};
    enum { NEWEST = 64 }; /* it is 13 in 2025 */

    return src->size > 16 && src->data[0] == 0x08 && src->data[1] && src->data[1] < NEWEST &&
           memchr(next, src->data[2], sizeof next);
}

/* What a file of no known format is at least. */
static const char *look(const ldm_source *src)
{
    enum { PAGE = 4096 };

    if (src->size == 0)
        return "an empty file";
    if (src->size >= PAGE && all_are(src, PAGE, false))
        return "begins with nothing but zeros, as a download that was broken off leaves it";
    if (is_onnx(src))
        return "an ONNX file, a network that was exported for other programs; give the checkpoint "
               "that it was made of";
    return all_are(src, PAGE, true) ? "a text, and no checkpoint" : "no known format";
}

ldm_status ldm_ckpt_sniff(const ldm_source *src, ldm_ckpt_kind *out, ldm_error *err)
{
    const uint64_t blanks = leading_blanks(src);
    const char *what = NULL;
    size_t i;

    if (has(src, 0, "PK\3\4", 4) || has(src, 0, "PK\5\6", 4)) {
        *out = LDM_CKPT_TORCH_ZIP;
        return LDM_OK;
    }
    if (has(src, 0, "\x80", 1) && src->size >= 2 && src->data[1] >= 2 && src->data[1] <= 5 &&
        !has(src, 8, "{", 1)) {
        *out = LDM_CKPT_TORCH_LEGACY;
        return LDM_OK;
    }
    for (i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        if (is_stranger(src, &strangers[i], blanks)) {
            what = strangers[i].what;
            break;
        }
    }
    if (!what && is_shard_index(src, blanks))
        what = "the index of weights that lie in several files (shards), and not the weights; give "
               "the folder of the diffusers model that it belongs to";
    /* safetensors: a 64-bit header length, then JSON, which begins with its brace. */
    if (!what && has(src, 8, "{", 1)) {
        *out = LDM_CKPT_SAFETENSORS;
        return LDM_OK;
    }
    what = what ? what : look(src);
    return ldm_source_error(src, err, LDM_ERR_FORMAT, 0,
                            "%s, expected a PyTorch checkpoint (.ckpt, .pt) or safetensors", what);
}
