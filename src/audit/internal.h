/* SPDX-License-Identifier: MIT */
/* Private to this room: the contents of a report, gathered once and printed as text or JSON. */
#ifndef LDM_AUDIT_INTERNAL_H
#define LDM_AUDIT_INTERNAL_H

#include <jansson.h>

#include "audit/audit.h"
#include "base/arena.h"
#include "base/json_text.h"

/* ---- names (keys.c) ----------------------------------------------------------------------------
 */

/* Where a key of a file belongs by its name: an ldm_component, or this for everything else. */
enum { LDM_GROUP_OTHER = LDM_COMPONENT_COUNT, LDM_GROUP_COUNT };

int ldm_audit_key_group(const char *name);
const char *ldm_audit_group_label(int group);

typedef enum ldm_key_kind {
    LDM_KIND_WEIGHT,
    LDM_KIND_BIAS,
    LDM_KIND_OTHER,
    LDM_KIND_COUNT
} ldm_key_kind;
ldm_key_kind ldm_audit_key_kind_of(const char *name);
const char *ldm_audit_key_kind_label(ldm_key_kind k);

/* Buffers, shadows, training losses: stored, but not among the network's own parameters. */
bool ldm_audit_key_is_parameter(const char *name);

bool ldm_audit_starts_with(const char *s, const char *prefix);
bool ldm_audit_ends_with(const char *s, const char *suffix);

/* ---- the match (audit.c) -----------------------------------------------------------------------
 */

typedef enum ldm_schedule_state {
    LDM_SCHEDULE_COMPUTED, /* the file has no buffer */
    LDM_SCHEDULE_EQUAL,    /* within what the file's dtype can hold */
    LDM_SCHEDULE_ROUNDED, /* so, but the dtype made 0 or 1 of values: the configuration's is used */
    LDM_SCHEDULE_DAMAGED, /* NaN, or no noise levels: the configuration's is used */
    LDM_SCHEDULE_DIFFERENT,
    LDM_SCHEDULE_OTHER_LENGTH
} ldm_schedule_state;

/* The file's alphas_cumprod against the one that the configuration gives. */
typedef struct ldm_schedule_check {
    ldm_schedule_state state;
    int worst; /* index of the largest relative difference */
    double in_file, in_config;
    bool recovered; /* the file's schedule is "linear" with these ends */
    double linear_start, linear_end;
} ldm_schedule_check;

struct ldm_audit_private {
    ldm_arena *arena;
    bool *run_uses; /* [tensor_count] of the network */
    int ema_asked;  /* as ldm_audit_create was told: -1, 0, 1 */
    ldm_schedule_check schedule;
    bool
        ema_never_updated; /* model_ema.num_updates is 0: the shadows are those of the first step */
    int odd_position;  /* the text encoder's first position_ids that differ from 0, 1, 2 ...; -1:
                          none */
    double odd_value;  /* what stands there */
    double file_scale; /* the file's scale_factor, also where it does not count */
    bool file_has_scale;
};

bool ldm_audit_same_shape(const ldm_tensor_decl *want, const ldm_tensor_info *have);
/* May a run read this tensor of the network? */
bool ldm_audit_run_uses(const ldm_audit *a, const ldm_tensor_decl *t);
/* Why an unexpected key does no harm, one static line; NULL where it may mean another network. */
const char *ldm_audit_unexpected_reason(const ldm_audit *a, const char *name);
/* Whether an unexpected key is of a layer that the configuration should build. */
bool ldm_audit_left_out(const ldm_audit *a, const char *name);
/* The file of a first stage that was given beside the checkpoint, where its tensors and no others
 * do not fit; NULL: none. */
const char *ldm_audit_stage_beside(const ldm_audit *a);
/* Why a run does not need a missing tensor, one static line; NULL if it needs it. */
const char *ldm_audit_missing_reason(const ldm_audit *a, const ldm_tensor_decl *t);

/* ---- what the file's shapes say about its configuration (infer.c) ------------------------------
 */

/* 0 or an empty list: the file does not show it. */
typedef struct ldm_inferred {
    const char *unet_prefix; /* "model.diffusion_model.", in the arena; NULL: no CompVis UNet */
    bool unet_from_ema;      /* only shadows are there */
    int model_channels, in_channels, out_channels, num_res_blocks;
    ldm_int_list channel_mult;
    ldm_int_list attention; /* downsampling factors that attend */
    bool attention_known, cross_attention, resblock_updown, scale_shift, updown_known;

    const char *stage_prefix;                /* "first_stage_model."; NULL: no first stage */
    bool codebook, posterior, mid_attention; /* posterior: quant_conv gives moments */
    bool gumbel; /* a Gumbel quantiser's codebook (quantize.embed, quantize.proj) */
    int ch, out_ch, stage_in_channels, z_channels, embed_dim, n_embed, stage_res_blocks;
    ldm_int_list ch_mult;

    bool stage_keys; /* first_stage_model.* are there, whatever they are of */
    bool diffusers;  /* names of Hugging Face diffusers */
} ldm_inferred;
ldm_status ldm_audit_infer(const ldm_ckpt *ck, ldm_arena *arena, ldm_inferred *out, ldm_error *err);

/* ---- findings ----------------------------------------------------------------------------------
 */

typedef enum ldm_tone { LDM_TONE_GOOD, LDM_TONE_WARN, LDM_TONE_BAD, LDM_TONE_PLAIN } ldm_tone;

/* A recognised reason for a mismatch, and its cure. */
typedef struct ldm_cause {
    const char *id;      /* "model_channels": stable, for programs */
    const char *finding; /* one sentence */
    const char *remedy;  /* one line: what to do; NULL: alone it cures nothing */
    const char *set;     /* "KEY=VALUE" that cures it, or NULL */
} ldm_cause;

typedef enum ldm_value_type {
    LDM_TYPE_NULL,
    LDM_TYPE_BOOL,
    LDM_TYPE_INT,
    LDM_TYPE_REAL,
    LDM_TYPE_TEXT
} ldm_value_type;

/* A setting that no tensor's shape shows. */
typedef struct ldm_row {
    const char *name;
    ldm_value_type type;
    double number;
    const char *text;   /* the value for people */
    const char *origin; /* "checkpoint buffer", "FILE:LINE", "--set", "default", ... */
    const char *place;  /* the same for people, without the folder */
    const char *note;   /* or NULL */
} ldm_row;

/* A configuration key worth a line in the report. */
typedef enum ldm_key_status { LDM_KEY_UNKNOWN, LDM_KEY_NO_EFFECT, LDM_KEY_TRAINING } ldm_key_status;
const char *ldm_audit_key_status_text(ldm_key_status s);

typedef struct ldm_config_key {
    const char *path;
    ldm_origin origin;
    ldm_key_status status;
    const char *reason;
    const char *suggestion; /* a known key that is spelled alike, or NULL */
} ldm_config_key;

/* One attention block of the UNet, from its graph. */
typedef struct ldm_heads {
    const char *block; /* "input_blocks.4.1" */
    int channels, downsampling, heads, head_dim;
} ldm_heads;

typedef struct ldm_note {
    ldm_tone tone;
    const char *text;
} ldm_note;

typedef struct ldm_tally {
    uint64_t tensors, elements, bytes;
} ldm_tally;

typedef struct ldm_report_counts {
    ldm_tally model[LDM_GROUP_COUNT], file[LDM_GROUP_COUNT]; /* bytes: as f32 for the model */
    ldm_tally matched[LDM_GROUP_COUNT];
    ldm_tally kind[LDM_KIND_COUNT], dtype[LDM_DTYPE_COUNT]; /* of the file */
    ldm_tally model_kind[LDM_KIND_COUNT];
    ldm_tally model_total, file_total;
    uint64_t model_parameters, file_parameters; /* without buffers, shadows and second copies */
} ldm_report_counts;

/* NaN and infinity in the weights (--values). */
typedef struct ldm_bad_values {
    const ldm_tensor_info *tensor;
    uint64_t nan, inf;
    uint64_t first; /* element */
} ldm_bad_values;

typedef struct ldm_findings {
    ldm_arena *arena;
    ldm_inferred inferred;
    ldm_report_counts stats;
    ldm_cause *causes;
    size_t cause_count, cause_cap;
    ldm_row *rows;
    size_t row_count, row_cap;
    ldm_heads *heads;
    size_t head_count, head_cap;
    const char *heads_origin, *heads_place; /* as in ldm_row */
    ldm_config_key *keys;
    size_t key_count, key_cap;
    ldm_note *notes;
    size_t note_count, note_cap;
    const char **sources; /* files the configuration came from */
    size_t source_count, source_cap;
    bool values_read;
    ldm_bad_values *bad;
    size_t bad_count, bad_cap;
    double codebook_std;  /* with --values; 0: unknown */
    const char *headline; /* "FITS": it fits, and ldm generate makes pictures of it; static or in
                             the arena */
    const char *verdict, *next_step;
    ldm_tone tone;
    bool failed; /* out of memory somewhere */
} ldm_findings;

/* findings.c: an empty report with its sources and what the file's shapes say. Release with
 * ldm_findings_free in any case. */
ldm_status ldm_findings_open(const ldm_audit *a, ldm_findings *f, ldm_error *err);
/* verdict.c: gathers everything; values: read the weights too. Release with ldm_findings_free in
 * any case. */
ldm_status ldm_findings_create(const ldm_audit *a, bool values, ldm_findings *f, ldm_error *err);
void ldm_findings_free(ldm_findings *f);

/* After values were read (LDM_OK otherwise): LDM_ERR_NUMERIC names the first tensor of the model
 * that holds NaN or infinity, LDM_ERR_FORMAT a storage whose checksum is another. */
ldm_status ldm_audit_values_verdict(const ldm_audit *a, const ldm_findings *f, ldm_error *err);

/* Text in the findings' arena; on failure sets f->failed and returns "". */
const char *ldm_findings_text(ldm_findings *f, const char *fmt, ...) LDM_PRINTF(2, 3);
/* Another cause; NULL: no memory, and f->failed is set. */
ldm_cause *ldm_findings_cause(ldm_findings *f, const char *id);
void ldm_findings_note(ldm_findings *f, ldm_tone tone, const char *text);

/* The parts (cause.c, settings.c, config_keys.c, left_out.c, stats.c, values.c). Each adds to f;
 * memory failures set f->failed. */
void ldm_audit_find_causes(const ldm_audit *a, ldm_findings *f);
ldm_status ldm_audit_find_settings(const ldm_audit *a, ldm_findings *f, ldm_error *err);
/* Why `ldm generate` makes no pictures of this network, one sentence; NULL: it does. */
const char *ldm_audit_no_generate(const ldm_audit *a, ldm_findings *f);
/* settings.c: warnings about what no shape shows, for whoever makes pictures. */
void ldm_audit_find_config_keys(const ldm_audit *a, ldm_findings *f);
/* A warning for each key that ldm_audit_key_is_mistake calls one. */
void ldm_audit_find_mistakes(const ldm_audit *a, ldm_findings *f);
/* A warning where the file has tensors of layers that the configuration does not build. Finds the
 * causes, unless there are some. */
void ldm_audit_find_left_out(const ldm_audit *a, ldm_findings *f);
void ldm_audit_find_stats(const ldm_audit *a, ldm_findings *f);
ldm_status ldm_audit_find_values(const ldm_audit *a, ldm_findings *f, ldm_error *err);

void ldm_audit_tally_add(ldm_tally *t, uint64_t elements, uint64_t bytes);
/* A setting's place: "FILE:LINE", "--set" or "default", in the arena. NULL when out of memory. */
const char *ldm_audit_origin_text(ldm_arena *arena, ldm_origin o);
/* The same for people: the file without its folder, where that is enough to tell the files apart.
 */
const char *ldm_audit_origin_short(ldm_findings *f, ldm_origin o);

/* Tensors that say most about which network this is. */
size_t ldm_audit_critical_count(void);
const char *ldm_audit_critical_key(size_t i);

/* ---- output (text.c, json.c) -------------------------------------------------------------------
 */

void ldm_audit_paint(ldm_str *out, bool colour, ldm_tone tone, const char *text);
void ldm_audit_heading(ldm_str *out, bool colour, const char *text);
void ldm_audit_put_shape_spec(ldm_str *out, const ldm_tensor_decl *t);
void ldm_audit_put_shape_info(ldm_str *out, const ldm_tensor_info *t);
/* `text` broken at blanks so that no line is longer than width (0: 100), later lines indented. */
void ldm_audit_put_wrapped(ldm_str *out, size_t width, size_t indent, size_t column,
                           const char *text);
/* A name out of a file with control characters made visible. */
void ldm_audit_put_name(ldm_str *out, const char *name);
void ldm_audit_put_padded(ldm_str *out, size_t width, const char *text);

/* "  path   value ", on two lines where the path is too long for its column in a width (0: 100). */
void ldm_audit_put_setting(ldm_str *out, size_t width, const char *path, const char *value);

/* A table of components: its heading, and the file's columns of one row. A report narrower than 80
 * leaves out the numbers, one below 66 the bytes as well. */
void ldm_audit_put_component_head(ldm_str *out, size_t width);
void ldm_audit_put_component(ldm_str *out, size_t width, const char *matching, uint64_t tensors,
                             uint64_t elements, uint64_t bytes);

/* What the shapes of a checkpoint show, a line each for UNet and first stage (inspect_ckpt.c). */
void ldm_audit_put_inferred(ldm_str *out, const ldm_inferred *in);

/* jansson values that may be NULL (no memory) are put in with these; `failed` collects. */
typedef struct ldm_json {
    bool failed;
} ldm_json;
void ldm_audit_json_set(ldm_json *j, json_t *object, const char *key, json_t *value);
void ldm_audit_json_add(ldm_json *j, json_t *array, json_t *value);
json_t *ldm_audit_json_shape_spec(const ldm_tensor_decl *t);
json_t *ldm_audit_json_shape_info(const ldm_tensor_info *t);
/* Writes and releases root. */
ldm_status ldm_audit_json_write(ldm_json *j, json_t *root, ldm_str *out, ldm_error *err);

#endif
