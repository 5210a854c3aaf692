/* SPDX-License-Identifier: MIT */
/* What a picture looks like so far; see run_preview.h. */
#include "engine/run_preview.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

enum { SEED = 1, PASSES = 2 };

/* What a map follows from beside the model, and its values, [3][channels + 1]. */
struct ldm_preview_map {
    int h, w, tile;
    bool quantize;
    double values[];
};

struct ldm_preview {
    bool fitted, fresh;
    float *z;    /* [chw] a latent, then its unscaled form */
    double *map; /* [3][channels + 1] */
    uint8_t *rgb;
    size_t rgb_bytes;
    int count, width, height; /* of what is in rgb */
};

ldm_status ldm_preview_create(ldm_run *r, ldm_error *err)
{
    const ldm_job *j = &r->job;
    const int f = r->m->network->first_stage.factor;
    const size_t hw = (size_t)j->latent_h * (size_t)j->latent_w;
    ldm_preview *p;

    if (j->preview < 1)
        return LDM_OK;
    p = r->preview = ldm_calloc(1, sizeof *p);
    if (!p)
        return ldm_error_nomem(err, sizeof *p, "a preview");
    p->rgb_bytes = 3 * (j->preview_decode ? hw * (size_t)f * (size_t)f : hw * (size_t)j->batch);
    p->z = ldm_reallocarray(NULL, 2 * r->chw, sizeof *p->z);
    p->map = ldm_reallocarray(NULL, 3 * ((size_t)j->latent_c + 1), sizeof *p->map);
    p->rgb = ldm_malloc(p->rgb_bytes);
    return p->z && p->map && p->rgb ? LDM_OK : ldm_error_nomem(err, p->rgb_bytes, "a preview");
}

void ldm_preview_free(ldm_preview *p)
{
    if (!p)
        return;
    ldm_free(p->z);
    ldm_free(p->map);
    ldm_free(p->rgb);
    ldm_free(p);
}

/* ---- the map --------------------------------------------------------------------------------- */

/* Solves the k equations of rows [k][k + 1] by elimination with the largest pivot. An equation that
 * says nothing (a channel that never varies) gives 0. */
static void solve(double *rows, size_t k, double *c)
{
    const size_t w = k + 1;
    size_t i, j, col;

    for (col = 0; col < k; col++) {
        size_t top = col;

        for (i = col; i < k; i++)
            top = fabs(rows[i * w + col]) > fabs(rows[top * w + col]) ? i : top;
        for (j = 0; j < w; j++) {
            const double swap = rows[col * w + j];

            rows[col * w + j] = rows[top * w + j];
            rows[top * w + j] = swap;
        }
        for (i = col + 1; fabs(rows[col * w + col]) > 1e-12 && i < k; i++) {
            const double factor = rows[i * w + col] / rows[col * w + col];

            for (j = col; j < w; j++)
                rows[i * w + j] -= factor * rows[col * w + j];
        }
    }
    for (i = k; i-- > 0;) {
        c[i] = rows[i * w + k];
        for (j = i + 1; j < k; j++)
            c[i] -= rows[i * w + j] * c[j];
        c[i] = fabs(rows[i * w + i]) > 1e-12 ? c[i] / rows[i * w + i] : 0;
    }
}

/* c[channels + 1] with which c[0] * x_0 + ... + c[channels] is nearest to y over n samples of x
 * [channels][n], in the sense of least squares. rows, [(channels + 1) * (channels + 2)]: scratch.
 */
static void preview_regress(const float *x, size_t channels, size_t n, const float *y, double *rows,
                            double *c)
{
    const size_t k = channels + 1, w = k + 1;
    size_t i, a, b;

    memset(rows, 0, k * w * sizeof *rows);
    for (i = 0; i < n; i++) {
        for (a = 0; a < k; a++) {
            const double va = a < channels ? (double)x[a * n + i] : 1;

            for (b = 0; b < k; b++)
                rows[a * w + b] += va * (b < channels ? (double)x[b * n + i] : 1);
            rows[a * w + k] += va * (double)y[i];
        }
    }
    solve(rows, k, c);
}

/* Each channel blurred by a box of 3 x 3 twice, and brought back to a deviation of 1. */
static void smooth(float *z, int channels, int h, int w, float *scratch)
{
    const size_t hw = (size_t)h * (size_t)w;
    int c, pass, x, y, dx, dy;
    size_t i;

    for (c = 0; c < channels; c++, z += hw) {
        double squares = 0;

        for (pass = 0; pass < PASSES; pass++) {
            for (y = 0; y < h; y++) {
                for (x = 0; x < w; x++) {
                    float sum = 0;

                    for (dy = -1; dy <= 1; dy++) {
                        for (dx = -1; dx <= 1; dx++)
                            sum += z[((y + dy + h) % h) * w + (x + dx + w) % w];
                    }
                    scratch[y * w + x] = sum / 9;
                }
            }
            memcpy(z, scratch, hw * sizeof *z);
        }
        for (i = 0; i < hw; i++)
            squares += (double)z[i] * z[i];
        for (i = 0; squares > 0 && i < hw; i++)
            z[i] = (float)(z[i] / sqrt(squares / (double)hw));
    }
}

/* Means of the picture's blocks, one for each pixel of the latent. plane: [h * f][w * f]. */
static void average(const float *plane, int h, int w, int f, float *out)
{
    int x, y, i, j;

    for (y = 0; y < h; y++) {
        for (x = 0; x < w; x++) {
            float sum = 0;

            for (j = 0; j < f; j++) {
                for (i = 0; i < f; i++)
                    sum += plane[(size_t)(y * f + j) * (size_t)(w * f) + (size_t)(x * f + i)];
            }
            out[y * w + x] = sum / (float)(f * f);
        }
    }
}

static size_t map_numel(const ldm_run *r)
{
    return 3 * ((size_t)r->job.latent_c + 1);
}

/* The model's map, where it is of such a run. */
static bool recall_map(ldm_run *r)
{
    ldm_model *m = (ldm_model *)(uintptr_t)r->m;
    const ldm_job *j = &r->job;
    const ldm_preview_map *kept;
    bool fits;

    pthread_mutex_lock(&m->lock);
    kept = m->preview_map;
    fits = kept && kept->h == j->latent_h && kept->w == j->latent_w && kept->tile == j->tile &&
           kept->quantize == j->quantize;
    if (fits)
        memcpy(r->preview->map, kept->values, map_numel(r) * sizeof *kept->values);
    pthread_mutex_unlock(&m->lock);
    return fits;
}

static ldm_status keep_map(ldm_run *r, ldm_error *err)
{
    const size_t bytes = map_numel(r) * sizeof(double);
    ldm_model *m = (ldm_model *)(uintptr_t)r->m;
    const ldm_job *j = &r->job;
    ldm_preview_map *map = ldm_malloc(sizeof *map + bytes), *old;

    if (!map)
        return ldm_error_nomem(err, bytes, "a preview");
    *map = (ldm_preview_map){j->latent_h, j->latent_w, j->tile, j->quantize};
    memcpy(map->values, r->preview->map, bytes);
    pthread_mutex_lock(&m->lock);
    old = m->preview_map;
    m->preview_map = map;
    pthread_mutex_unlock(&m->lock);
    ldm_free(old);
    return LDM_OK;
}

static ldm_status fit(ldm_run *r, ldm_preview_decode decode, ldm_error *err)
{
    const ldm_job *j = &r->job;
    const int h = j->latent_h, w = j->latent_w, f = r->m->network->first_stage.factor;
    const size_t channels = (size_t)j->latent_c, hw = (size_t)h * (size_t)w;
    const size_t plane = hw * (size_t)f * (size_t)f;
    ldm_preview *p = r->preview;
    double *rows;
    float *means;
    ldm_rng rng;
    ldm_status st;
    int k;

    rows = ldm_reallocarray(NULL, (channels + 1) * (channels + 2), sizeof *rows);
    means = ldm_reallocarray(NULL, hw, sizeof *means);
    st = rows && means ? LDM_OK : ldm_error_nomem(err, hw * sizeof *means, "a preview");
    if (!st) {
        ldm_rng_seed(&rng, SEED);
        ldm_rng_randn(&rng, p->z, r->chw);
        smooth(p->z, j->latent_c, h, w, means);
        st = decode(r, p->z, p->z + r->chw, err);
    }
    for (k = 0; !st && k < 3; k++) {
        average(r->image + (r->info.image_c == 3 ? (size_t)k * plane : 0), h, w, f, means);
        preview_regress(p->z, channels, hw, means, rows, p->map + (size_t)k * (channels + 1));
    }
    ldm_free(rows);
    ldm_free(means);
    return st;
}

ldm_status ldm_preview_fit(ldm_run *r, ldm_preview_decode decode, ldm_error *err)
{
    ldm_preview *p = r->preview;
    ldm_status st = LDM_OK;

    if (!p || p->fitted || r->job.preview_decode)
        return LDM_OK;
    if (!recall_map(r)) {
        st = fit(r, decode, err);
        if (!st)
            st = keep_map(r, err);
    }
    p->fitted = !st;
    return st;
}

/* ---- showing --------------------------------------------------------------------------------- */

static void by_map(ldm_run *r, const float *pred_x0)
{
    const size_t channels = (size_t)r->job.latent_c, hw = r->chw / channels;
    ldm_preview *p = r->preview;
    uint8_t *to = p->rgb;
    size_t i, c, k;
    int n;

    for (n = 0; n < r->active_n; n++, pred_x0 += r->chw) {
        for (i = 0; i < hw; i++) {
            for (k = 0; k < 3; k++) {
                const double *map = p->map + k * (channels + 1);
                double v = map[channels];

                for (c = 0; c < channels; c++)
                    v += map[c] * (double)pred_x0[c * hw + i];
                v = 127.5 * (v + 1);
                *to++ = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
            }
        }
    }
    p->count = r->active_n;
    p->width = r->job.latent_w;
    p->height = r->job.latent_h;
    p->fresh = true;
}

/* The first picture alone. One that cannot be decoded is not shown; the run says why in the end. */
static void by_decoding(ldm_run *r, const float *pred_x0, ldm_preview_decode decode)
{
    ldm_preview *p = r->preview;
    const size_t pixels = (size_t)r->picture.width * r->picture.height;

    if (decode(r, pred_x0, p->z, NULL))
        return;
    if (r->info.image_c == 1) {
        memcpy(r->image + pixels, r->image, pixels * sizeof *r->image);
        memcpy(r->image + 2 * pixels, r->image, pixels * sizeof *r->image);
    }
    ldm_picture_from_planes(r->image, &r->picture);
    memcpy(p->rgb, r->picture.rgb, 3 * pixels);
    p->count = 1;
    p->width = (int)r->picture.width;
    p->height = (int)r->picture.height;
    p->fresh = true;
}

void ldm_preview_update(ldm_run *r, int step, const float *pred_x0, ldm_preview_decode decode)
{
    if (!r->preview || (r->info.image_c != 1 && r->info.image_c != 3) ||
        (step % r->job.preview && step != ldm_run_steps(r)))
        return;
    if (r->job.preview_decode)
        by_decoding(r, pred_x0, decode);
    else
        by_map(r, pred_x0);
}

void ldm_preview_report(ldm_run *r, ldm_progress *p)
{
    if (!r->preview || !r->preview->fresh)
        return;
    r->preview->fresh = false;
    p->preview = r->preview->rgb;
    p->preview_count = r->preview->count;
    p->preview_width = r->preview->width;
    p->preview_height = r->preview->height;
}
