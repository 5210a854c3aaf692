/* SPDX-License-Identifier: MIT */
/* Drawing pictures in a terminal; see view.h. Rows are taken once, by line feeds; each drawing
 * begins at their top and leaves the cursor below them. */
#include "cli/view.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/terminal.h"

enum { PICTURE_ROWS = 12, SIXEL_SIDE = 160, CUBE = 6, CHUNK = 4096, GAP = 1 };

/* ---- which ----------------------------------------------------------------------------------- */

static bool says(const char *variable, const char *part)
{
    const char *value = getenv(variable);

    return value && strstr(value, part);
}

ldm_view_kind ldm_view_choose(const char *name, FILE *f)
{
    if (!strcmp(name, "kitty"))
        return LDM_VIEW_KITTY;
    if (!strcmp(name, "iterm2"))
        return LDM_VIEW_ITERM2;
    if (!strcmp(name, "sixel"))
        return LDM_VIEW_SIXEL;
    if (!strcmp(name, "blocks"))
        return LDM_VIEW_BLOCKS;
    if (!ldm_terminal_redraws(fileno(f)))
        return LDM_VIEW_NONE;
    if (says("TERM", "kitty") || says("TERM", "ghostty") || says("KITTY_WINDOW_ID", ""))
        return LDM_VIEW_KITTY;
    if (says("TERM_PROGRAM", "iTerm") || says("TERM_PROGRAM", "WezTerm") ||
        says("LC_TERMINAL", "iTerm2"))
        return LDM_VIEW_ITERM2;
    if (says("TERM", "sixel") || says("TERM", "mlterm") || says("TERM", "foot"))
        return LDM_VIEW_SIXEL;
    return LDM_VIEW_BLOCKS;
}

/* ---- the picture ----------------------------------------------------------------------------- */

/* The previews side by side, a dark column between them. pixels: free(). */
static ldm_image side_by_side(const ldm_progress *p, int count)
{
    const int w = p->preview_width, h = p->preview_height;
    ldm_image im = {count * (w + GAP) - GAP, h, 3, NULL};

    im.pixels = calloc((size_t)im.width * (size_t)h, 3);
    for (int n = 0; im.pixels && n < count; n++) {
        const uint8_t *from = p->preview + (size_t)n * (size_t)w * (size_t)h * 3;

        for (int y = 0; y < h; y++)
            memcpy(im.pixels + ((size_t)y * (size_t)im.width + (size_t)(n * (w + GAP))) * 3,
                   from + (size_t)y * (size_t)w * 3, (size_t)w * 3);
    }
    return im;
}

static const uint8_t *pixel(const ldm_image *im, int x, int y)
{
    return im->pixels + ((size_t)y * (size_t)im->width + (size_t)x) * 3;
}

/* Every `step`-th pixel, so that a decoded picture fits a terminal. */
static void shrink(ldm_image *im, int step)
{
    const int w = im->width / step, h = im->height / step;

    for (int y = 0; step > 1 && y < h; y++) {
        for (int x = 0; x < w; x++)
            memmove(im->pixels + ((size_t)y * (size_t)w + (size_t)x) * 3,
                    pixel(im, x * step, y * step), 3);
    }
    if (step > 1) {
        im->width = w;
        im->height = h;
    }
}

/* ---- half blocks ----------------------------------------------------------------------------- */

static void draw_blocks(FILE *f, const ldm_image *im)
{
    for (int y = 0; y < im->height; y += 2) {
        for (int x = 0; x < im->width; x++) {
            const uint8_t *top = pixel(im, x, y);

            fprintf(f, "\033[38;2;%d;%d;%dm", top[0], top[1], top[2]);
            if (y + 1 < im->height) {
                const uint8_t *low = pixel(im, x, y + 1);

                fprintf(f, "\033[48;2;%d;%d;%dm", low[0], low[1], low[2]);
            }
            fputs("▀", f);
        }
        fputs("\033[0m\r\n", f);
    }
}

/* ---- kitty and iTerm2 ------------------------------------------------------------------------ */

static void base64(FILE *f, const uint8_t *data, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < n; i += 3) {
        const unsigned v = (unsigned)data[i] << 16 | (i + 1 < n ? (unsigned)data[i + 1] << 8 : 0) |
                           (i + 2 < n ? data[i + 2] : 0);

        fputc(digits[v >> 18], f);
        fputc(digits[v >> 12 & 63], f);
        fputc(i + 1 < n ? digits[v >> 6 & 63] : '=', f);
        fputc(i + 2 < n ? digits[v & 63] : '=', f);
    }
}

/* 24-bit pixels in chunks of at most 4096 base64 digits; i=1: replaces the last one. */
static void draw_kitty(FILE *f, const ldm_image *im)
{
    const size_t bytes = (size_t)im->width * (size_t)im->height * 3, each = CHUNK / 4 * 3;

    for (size_t at = 0; at < bytes; at += each) {
        const size_t n = bytes - at < each ? bytes - at : each;

        if (!at)
            fprintf(f, "\033_Ga=T,f=24,i=1,q=2,C=1,r=%d,s=%d,v=%d,m=%d;", PICTURE_ROWS, im->width,
                    im->height, at + n < bytes);
        else
            fprintf(f, "\033_Gm=%d;", at + n < bytes);
        base64(f, im->pixels + at, n);
        fputs("\033\\", f);
    }
}

/* It takes files: the picture as a PNG, by way of a temporary one. */
static void draw_iterm2(FILE *f, const ldm_image *im)
{
    const char *folder = getenv("TMPDIR");
    char *path = ldm_cli_format("%s/ldm-preview-XXXXXX.png", folder && *folder ? folder : "/tmp");
    const int fd = path ? mkstemps(path, 4) : -1;
    uint8_t *data = malloc(1 << 20);
    size_t n = 0;
    FILE *png;

    if (fd >= 0)
        close(fd);
    if (fd >= 0 && data && !ldm_image_write(path, im, NULL, NULL)) {
        png = fopen(path, "rb");
        n = png ? fread(data, 1, 1 << 20, png) : 0;
        if (png)
            fclose(png);
    }
    if (n && n < 1 << 20) {
        fprintf(f, "\033]1337;File=inline=1;size=%zu;height=%d;doNotMoveCursor=1:", n,
                PICTURE_ROWS);
        base64(f, data, n);
        fputc('\a', f);
    }
    if (fd >= 0)
        (void)unlink(path);
    free(data);
    free(path);
}

/* ---- sixel ----------------------------------------------------------------------------------- */

static int cube_index(const uint8_t *p)
{
    return (p[0] * CUBE / 256 * CUBE + p[1] * CUBE / 256) * CUBE + p[2] * CUBE / 256;
}

/* A run of one of the characters, as short as it gets. */
static void run_of(FILE *f, int bits, int length)
{
    const char c = (char)(63 + bits);

    if (length > 3)
        fprintf(f, "!%d%c", length, c);
    else
        for (int i = 0; i < length; i++)
            fputc(c, f);
}

/* Six rows in one colour of the cube; scale: each pixel is a square of so many. False where the
 * colour does not occur. */
static bool draw_band(FILE *f, const ldm_image *im, int top, int scale, int colour)
{
    const int height = im->height * scale;
    int last = -1, length = 0;
    bool any = false;

    for (int x = 0; x < im->width * scale; x++) {
        int bits = 0;

        for (int k = 0; k < 6 && top + k < height; k++)
            bits |= (cube_index(pixel(im, x / scale, (top + k) / scale)) == colour) << k;
        if (bits && !any) {
            fprintf(f, "#%d", colour);
            run_of(f, 0, x);
            any = true;
            length = 0;
        } else if (any && bits != last) {
            run_of(f, last, length);
            length = 0;
        }
        last = bits;
        length++;
    }
    if (any) {
        run_of(f, last, length);
        fputc('$', f);
    }
    return any;
}

static void draw_sixel(FILE *f, const ldm_image *im)
{
    const int scale = im->height < SIXEL_SIDE ? SIXEL_SIDE / im->height : 1;

    fprintf(f, "\033Pq\"1;1;%d;%d", im->width * scale, im->height * scale);
    for (int i = 0; i < CUBE * CUBE * CUBE; i++)
        fprintf(f, "#%d;2;%d;%d;%d", i, 100 * (i / (CUBE * CUBE)) / (CUBE - 1),
                100 * (i / CUBE % CUBE) / (CUBE - 1), 100 * (i % CUBE) / (CUBE - 1));
    for (int top = 0; top < im->height * scale; top += 6) {
        for (int colour = 0; colour < CUBE * CUBE * CUBE; colour++)
            (void)draw_band(f, im, top, scale, colour);
        fputc('-', f);
    }
    fputs("\033\\", f);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static int how_many(const ldm_progress *p, int columns)
{
    const int fit = (columns + GAP) / (p->preview_width + GAP);

    return fit < 1 ? 1 : fit < p->preview_count ? fit : p->preview_count;
}

void ldm_view_draw(ldm_view *v, const ldm_progress *p)
{
    const int terminal = ldm_terminal_width(fileno(v->f)), columns = terminal ? terminal : 80;
    const int count = how_many(p, columns);
    ldm_image im;
    int rows;

    if (v->kind == LDM_VIEW_NONE || !p->preview)
        return;
    im = side_by_side(p, count);
    if (!im.pixels)
        return;
    if (v->kind == LDM_VIEW_BLOCKS)
        shrink(&im, (im.width + columns - 1) / columns);
    rows = v->kind == LDM_VIEW_BLOCKS ? (im.height + 1) / 2 : PICTURE_ROWS;
    if (v->rows)
        fprintf(v->f, "\033[%dA\r", v->rows);
    else if (v->kind != LDM_VIEW_BLOCKS) { /* room first: a picture at the bottom would scroll */
        for (int i = 0; i < rows; i++)
            fputc('\n', v->f);
        fprintf(v->f, "\033[%dA\r", rows);
    }
    if (v->kind == LDM_VIEW_BLOCKS) {
        draw_blocks(v->f, &im);
    } else {
        fputs("\0337", v->f); /* the cursor's place, wherever the protocol leaves it */
        if (v->kind == LDM_VIEW_KITTY)
            draw_kitty(v->f, &im);
        else if (v->kind == LDM_VIEW_ITERM2)
            draw_iterm2(v->f, &im);
        else
            draw_sixel(v->f, &im);
        fprintf(v->f, "\0338\033[%dB\r", rows);
    }
    fflush(v->f);
    v->rows = rows;
    free(im.pixels);
}
