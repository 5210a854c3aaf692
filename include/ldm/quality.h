/* SPDX-License-Identifier: MIT */
/* The published measures of a set of pictures: FID, KID, Inception score, precision and recall,
 * sFID. docs/METRICS.md has formulas, protocols and sources.
 *
 *   ldm_inception_open(file, NULL, &net, &err)       the user's file of weights
 *   ldm_quality_set_create(net, &how, &set, &err)    one for samples, one for the reference
 *   ldm_quality_set_add_file(set, path, &err)        pictures, an .npz of them, or statistics
 *   ldm_quality_set_finish(set, &err)
 *   ldm_quality_compare(samples, reference, &how, &result, sizeof result, &err)
 *
 * The rules of ldm.h hold here as well. */
#ifndef LDM_QUALITY_H
#define LDM_QUALITY_H

#include <ldm/ldm.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the network ----------------------------------------------------------------------------- */

/* The Inception network of 2015 with its weights. One thread at a time. */
typedef struct ldm_inception ldm_inception;

/* weights: pytorch-fid's or torch-fidelity's .pth in either container, or the same tensors as
 * safetensors. opt: its "threads", "precision" and "max_isa" count; NULL: the defaults.
 * LDM_ERR_MISMATCH for another network's weights, with the likely mix-up. */
LDM_API ldm_status ldm_inception_open(const char *weights, const ldm_model_options *opt,
                                      ldm_inception **out, ldm_error *err);
LDM_API void ldm_inception_close(ldm_inception *n);               /* NULL is fine */
LDM_API const char *ldm_inception_sha256(const ldm_inception *n); /* of the file; 64 digits */
/* The instructions that it computes with, "avx2"; static. "" for NULL. */
LDM_API const char *ldm_inception_isa(const ldm_inception *n);
/* The file is the one that pytorch-fid and torch-fidelity publish. */
LDM_API bool ldm_inception_is_official(const ldm_inception *n);

/* ---- what is measured ------------------------------------------------------------------------ */

/* How pictures are brought to the network's 299 x 299 and scaled. */
typedef enum ldm_fid_mode {
    LDM_FID_TF1,     /* TensorFlow 1's bilinear, (x - 128) / 128: TTUR, ADM, torch-fidelity */
    LDM_FID_PYTORCH, /* PyTorch's bilinear, 2 x / 255 - 1: pytorch-fid */
    LDM_FID_CLEAN    /* PIL's bicubic, antialiased, (x - 128) / 128: clean-fid */
} ldm_fid_mode;

LDM_API const char *ldm_fid_mode_name(ldm_fid_mode m); /* "tf1", ...; NULL: no such mode */
/* What a mode does with a picture, in words; static; NULL: no such mode. */
LDM_API const char *ldm_fid_mode_text(ldm_fid_mode m);

/* The measures, as bits. */
enum {
    LDM_QUALITY_FID = 1,
    LDM_QUALITY_KID = 2,
    LDM_QUALITY_IS = 4, /* of the samples alone */
    LDM_QUALITY_PR = 8, /* precision and recall */
    LDM_QUALITY_SFID = 16,
    LDM_QUALITY_FEATURES = 32 /* no measure: all features are kept, to be written */
};

/* How it is measured. ldm_quality_settings_default sets what the literature does. */
typedef struct ldm_quality_settings { /* later versions may add fields at the end */
    unsigned measures;                /* LDM_QUALITY_... */
    ldm_fid_mode mode;
    int kid_subsets, kid_subset_size; /* 100 of 1000 pictures */
    int is_splits;                    /* 10 */
    int neighbours;                   /* 3: of precision and recall */
    int bootstrap;                    /* 20: resamplings for the errors; 0: no errors */
    uint32_t seed;                    /* 2020: of subsets, splits and resamplings */
} ldm_quality_settings;
/* size: sizeof *s. */
LDM_API void ldm_quality_settings_default(ldm_quality_settings *s, size_t size);

/* ---- sets of pictures ------------------------------------------------------------------------ */

/* Features of a set of pictures, or statistics of them. */
typedef struct ldm_quality_set ldm_quality_set;

/* n must outlive it; NULL: only statistics can be added, and features for FID and sFID. */
LDM_API ldm_status ldm_quality_set_create(ldm_inception *n, const ldm_quality_settings *how,
                                          ldm_quality_set **out, ldm_error *err);
LDM_API void ldm_quality_set_free(ldm_quality_set *s); /* NULL is fine */

/* A picture of any size; RGB. */
LDM_API ldm_status ldm_quality_set_add(ldm_quality_set *s, const ldm_image *im, ldm_error *err);
/* A PNG or JPEG, an array of pictures (.npy, or arr_0 of an .npz), an .npz of statistics (mu and
 * sigma; ADM's reference files hold mu_s and sigma_s of sFID and pictures as well), or one of
 * features (ldm_quality_set_write_features): they count as the pictures that they are of, in the
 * order of the calls. Statistics take precedence over the pictures beside them, which then serve
 * the measures that need pictures.
 * Statistics that ldm wrote are merged with what the set holds; those of others, which have no
 * count, stand alone. */
LDM_API ldm_status ldm_quality_set_add_file(ldm_quality_set *s, const char *path, ldm_error *err);
/* After the last picture. */
LDM_API ldm_status ldm_quality_set_finish(ldm_quality_set *s, ldm_error *err);

/* Pictures that went through the network, here or where features in files were made. */
LDM_API uint64_t ldm_quality_set_pictures(const ldm_quality_set *s);
/* Pictures that the statistics are of; 0: they come from a file that does not say it. */
LDM_API uint64_t ldm_quality_set_count(const ldm_quality_set *s);
/* There are neither pictures nor statistics in it. */
LDM_API bool ldm_quality_set_is_empty(const ldm_quality_set *s);
/* Where the statistics come from, and how the pictures were resized: one line. Valid until the next
 * call with s. */
LDM_API const char *ldm_quality_set_text(ldm_quality_set *s);
/* SHA-256 of mean and covariance, 64 digits; valid until the set is changed. */
LDM_API ldm_status ldm_quality_set_sha256(ldm_quality_set *s, const char **hex, ldm_error *err);

/* An .npz of mu [2048], sigma [2048, 2048], with sFID mu_s and sigma_s, all float64, as
 * pytorch-fid, clean-fid and ADM's evaluator read it; beside them count, network (SHA-256) and
 * mode. */
LDM_API ldm_status ldm_quality_set_write_stats(const ldm_quality_set *s, const char *path,
                                               ldm_error *err);
/* An .npz of an array of float32 for each feature that the measures need, with
 * LDM_QUALITY_FEATURES of all that the network gives: "64", "192", "768", "2048",
 * "logits_unbiased", "logits", "spatial"; beside them network and mode. Before or after
 * ldm_quality_set_finish. */
LDM_API ldm_status ldm_quality_set_write_features(ldm_quality_set *s, const char *path,
                                                  ldm_error *err);

/* ---- results --------------------------------------------------------------------------------- */

/* A measure. Not computed: value and error are NaN, and `reason` says why. */
typedef struct ldm_quality_figure { /* this struct is final */
    double value;
    double error;  /* standard error by the bootstrap; NaN: none */
    double spread; /* KID: deviation over subsets; IS: over splits; else NaN */
    char reason[240];
} ldm_quality_figure;

typedef struct ldm_quality_result { /* later versions may add fields at the end */
    ldm_quality_figure fid, kid, is, precision, recall, sfid;
} ldm_quality_result;

/* reference may be NULL where only IS is measured. size: sizeof *out. A measure that these sets do
 * not allow is no failure: its `reason` says so. LDM_ERR_USAGE for sets of different networks or
 * modes. */
LDM_API ldm_status ldm_quality_compare(const ldm_quality_set *samples,
                                       const ldm_quality_set *reference,
                                       const ldm_quality_settings *how, ldm_quality_result *out,
                                       size_t size, ldm_error *err);

#ifdef __cplusplus
}
#endif
#endif
