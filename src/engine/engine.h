/* SPDX-License-Identifier: MIT */
/* Inside the room: what a model is made of. */
#ifndef LDM_ENGINE_ENGINE_H
#define LDM_ENGINE_ENGINE_H

#include <pthread.h>
#include <sys/stat.h>

#include <jansson.h>
#include <ldm/ldm.h>

#include "audit/audit.h"
#include "base/arena.h"
#include "base/cpuid.h"
#include "base/pool.h"
#include "checkpoint/checkpoint.h"
#include "config/config.h"
#include "engine/notes.h"
#include "exec/exec.h"
#include "job/profile.h"
#include "network/network.h"
#include "tokenize/tokenize.h"

enum { LDM_PART_COUNT = LDM_GRAPH_UNET_SHALLOW + 1 };

/* Background hashing of the checkpoint file (hash.c). */
typedef struct ldm_hash {
    pthread_mutex_t lock; /* guards the flags; held for moments only */
    pthread_cond_t done;
    pthread_t thread;
    int fd; /* opened with the model: the same file that was loaded */
    struct stat seen;
    char *path;
    bool started, running, finished; /* running: there is a thread to join */
    ldm_status status;               /* this and the rest: written before finished */
    ldm_error error;
    char hex[65];
} ldm_hash;

typedef struct ldm_preview_map ldm_preview_map;

struct ldm_model {
    ldm_config *config;
    ldm_ckpt *ckpt;
    ldm_network *network;
    ldm_audit *audit;
    ldm_profile profile; /* the configuration's own `ldm:` section */
    ldm_cpu cpu;
    const ldm_backend *backend;
    ldm_precision precision;
    bool dry;    /* opened for a dry run */
    int threads; /* of runs that set none; 0: all processors */

    ldm_arena *texts; /* notes and names */
    ldm_notes notes;
    const char *shipped; /* the shipped model's name; NULL: the user's */
    const char *default_note;

    double scale_factor;
    bool scale_is_buffer;
    float *alphas_cumprod; /* [timesteps], and the next two as well: one block */
    float *sqrt_alphas_cumprod, *sqrt_one_minus_alphas_cumprod;
    int latent_c, latent_h, latent_w;
    const char *latent_candidates;
    bool shape_ambiguous;
    ldm_model_info info;

    pthread_mutex_t lock;         /* guards weights and preview_map */
    ldm_preview_map *preview_map; /* run_preview.h: of the last run that fitted one, or NULL */
    ldm_weights
        *weights[LDM_PART_COUNT]; /* packed at first use; UNet at open; by weights_of(part) */
    ldm_hash *hash;               /* has a state of its own, with a lock */
};

/* What a model is judged by, opened from the options: model.c and reports.c begin with it. */
typedef struct ldm_sources {
    ldm_config *config;
    ldm_profile profile; /* rules in the arena given; its owner frees it */
    ldm_ckpt *ckpt;      /* keys renamed as the profile says */
    ldm_network *network;
    ldm_audit *audit;
    const char *ckpt_path; /* in the arena, or the options' */
    const char *shipped;   /* in the arena: the shipped model's name; NULL: the user's own */
    size_t renamed;        /* keys of the checkpoint */
    ldm_audit_given given; /* in the arena */
    const char *inferred;  /* as ldm_layers_load says */
} ldm_sources;

/* shipped.c: the folder that holds all of `names` (relative, ended by NULL), of those where files
 * of ldm's own may lie. */
bool ldm_shipped_find(const char *const *names, char *dir, size_t size);

/* vocabulary.c: the folder in which a checkpoint lies, or that it is; ldm_free it. NULL: no memory.
 */
char *ldm_folder_of(const char *ckpt);

/* vocabulary.c: the vocabulary that lies with a checkpoint (a file or a folder): beside it, or in
 * a folder tokenizer, as diffusers keeps it. *path is NULL where there is none; ldm_free it. */
ldm_status ldm_vocab_beside(ldm_token_kind kind, const char *ckpt, char **path, ldm_error *err);

/* vocabulary.c: the vocabulary of a text encoder, beside the checkpoint (`ckpt`, a file or a
 * folder; NULL: none), else where `make vocab` puts it. *path: ldm_free it. LDM_ERR_UNSUPPORTED
 * where there is none; the message names the command. */
ldm_status ldm_vocab_find(ldm_token_kind kind, const char *ckpt, char **path, ldm_error *err);

/* find_files.c: the checkpoint in a folder, or a folder of diffusers itself; ldm_free it.
 * LDM_ERR_USAGE where there is none, or several. */
ldm_status ldm_find_checkpoint(const char *folder, char **path, ldm_error *err);
/* Whether an option names a folder that stands for a file in it; a copy of such options with the
 * files, as ldm_model_options_find_files finds them. */
bool ldm_names_folder(const ldm_model_options *opt);
ldm_status ldm_found_options(const ldm_model_options *opt, ldm_model_options **out, ldm_error *err);

/* layers.c. On failure nothing is left open. The layers alone, laid over each other; *ckpt_path is
 * in the arena, or the options'. *inferred: the note of a configuration that was made from the
 * tensors because opt gives none; else NULL. */
ldm_status ldm_layers_load(const ldm_model_options *opt, ldm_arena *texts, ldm_config **config,
                           const char **ckpt_path, const char **shipped, const char **inferred,
                           ldm_error *err);
/* inferred.c: lays the configuration that opt's checkpoint shows over cfg. LDM_ERR_USAGE where its
 * tensors leave a setting open that opt does not set. *note: what was assumed, in the arena. */
ldm_status ldm_inferred_layer(const ldm_model_options *opt, ldm_arena *texts, ldm_config *cfg,
                              const char **note, ldm_error *err);
ldm_status ldm_sources_open(const ldm_model_options *opt, ldm_arena *texts, ldm_sources *out,
                            ldm_error *err);
/* The two halves of it: configuration and checkpoint; then network and audit, of which the network
 * stays NULL where the configuration is refused. After a failure of the second the first's results
 * are still to be closed. LDM_ERR_USAGE where --set gives what nothing reads. */
ldm_status ldm_sources_read(const ldm_model_options *opt, ldm_arena *texts, ldm_sources *out,
                            ldm_error *err);
ldm_status ldm_sources_match(const ldm_model_options *opt, ldm_sources *s, ldm_error *err);
/* open_ckpt.c: a checkpoint, or what diffusers writes, under CompVis' names; first_stage (NULL:
 * none) is a file or folder whose first stage takes the place of its own. */
ldm_status ldm_ckpt_open_any(const char *path, const char *first_stage, ldm_ckpt **out,
                             ldm_error *err);
/* key_names.c: names of torch.compile and shadows with dots become CompVis' own, with a warning
 * each. */
ldm_status ldm_ckpt_spell_keys(ldm_ckpt *ck, ldm_error *err);
void ldm_sources_close(ldm_sources *s); /* a zeroed struct is fine */

/* model.c */
/* Sets cpu, backend and precision as the options say; reads nothing else of m. */
ldm_status ldm_model_choose_backend(ldm_model *m, const ldm_model_options *opt, ldm_error *err);
const char *ldm_model_precision_name(const ldm_model *m); /* "exact", "f32", "bf16" */
/* The packed weights of a part, packing them on the pool if this is the first use. */
ldm_status ldm_model_weights(const ldm_model *m, ldm_graph_part part, ldm_pool *pool,
                             const ldm_weights **out, ldm_error *err);
/* A program for a part at a size, which is as ldm_graph_create says. */
ldm_status ldm_model_program(const ldm_model *m, ldm_graph_part part, ldm_graph_size size, int n,
                             ldm_pool *pool, ldm_program **out, ldm_error *err);
/* Size and arithmetic without packing anything. */
typedef struct ldm_estimate {
    uint64_t weight_bytes, arena_bytes;
    uint64_t time_bytes; /* of what one timestep's embedding becomes */
    uint64_t cond_bytes; /* of what one sample's conditioning becomes */
    double flop;         /* of one picture */
} ldm_estimate;

ldm_status ldm_model_estimate(const ldm_model *m, ldm_graph_part part, ldm_graph_size size, int n,
                              int threads, ldm_estimate *out, ldm_error *err);

/* difference.c: the value as JSON; NULL when out of memory or where it is a reference that leads
 * nowhere. */
json_t *ldm_value_to_json(const ldm_value *v);

/* source.c: the checkpoint as a source of weights. */
ldm_weight_source ldm_model_source(const ldm_model *m);

/* hash.c */
ldm_hash *ldm_hash_create(void); /* of no file yet; NULL: no memory */
void ldm_hash_free(ldm_hash *h); /* NULL is fine */
ldm_status ldm_hash_open(ldm_hash *h, const char *path, ldm_error *err);
/* LDM_ERR_IO if the file was changed since it was opened. */
ldm_status ldm_hash_unchanged(const ldm_hash *h, ldm_error *err);
void ldm_hash_start(ldm_hash *h); /* begins in the background; once */
ldm_status ldm_hash_wait(ldm_hash *h, ldm_error *err);

/* estimate.c: seconds of one call of a part for n pictures, measured within a few seconds. Packs
 * the part's weights. */
ldm_status ldm_measure_part(const ldm_model *m, ldm_graph_part part, ldm_graph_size size, int n,
                            ldm_pool *pool, double *seconds, ldm_error *err);

/* image_check.c: a picture that a caller passes: pixels, and 3 channels, the only ones so far. */
ldm_status ldm_image_check(const ldm_image *im, const char *what, ldm_error *err);
/* The same with 1, 3 or 4 channels. */
ldm_status ldm_image_check_any(const ldm_image *im, const char *what, ldm_error *err);

/* recipe.c */
/* job: settled. index: of the picture. */
ldm_status ldm_recipe_create(const ldm_model *m, const ldm_job *job, int index,
                             const char *vocabulary, char **json, ldm_error *err);
/* The part of it that says what the job made: settings, pictures, arrays. False when out of memory.
 */
bool ldm_recipe_add_settings(json_t *root, const ldm_job *job, int index);

/* run.c: whether ldm_run_create would refuse the job, without making what a run needs: no weights
 * are packed, no text is encoded. */
ldm_status ldm_run_check(const ldm_model *m, const ldm_job *job, ldm_error *err);

/* The guidance of a run. */
typedef struct ldm_guidance {
    double scale;
    double share; /* of its steps, 0 to 1; a guided step evaluates two samples a picture */
} ldm_guidance;

ldm_guidance ldm_run_guidance(const ldm_run *r);
/* What a picture of the job would take in the UNet, where one sample takes eps seconds, counted as
 * a dry run counts it. What the picture shows may be left open: a text model's job needs no prompt
 * here. */
ldm_status ldm_run_forecast(const ldm_model *m, const ldm_job *job, double eps, double *seconds,
                            ldm_guidance *guidance, ldm_error *err);

#endif
