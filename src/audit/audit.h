/* SPDX-License-Identifier: MIT */
/* Configuration against checkpoint: which tensors match, which settings count, and what to do. */
#ifndef LDM_AUDIT_AUDIT_H
#define LDM_AUDIT_AUDIT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/str.h"
#include "checkpoint/checkpoint.h"
#include "config/config.h"
#include "network/network.h"

/* Settings that no tensor's shape shows, as a run with this checkpoint will use them. A buffer in
 * the checkpoint takes precedence over the YAML, and the YAML over the default. */
typedef struct ldm_effective {
    double scale_factor;
    bool scale_is_buffer;   /* from the file's scale_factor buffer (only with scale_by_std) */
    bool ema;               /* the UNet's weights come from model_ema.* */
    const char *ema_reason; /* one line, static: why EMA or raw */
    const ldm_tensor_info *alphas_cumprod; /* the file's buffer; NULL: computed from the YAML */
    bool
        schedule_rounded;  /* NULL because half precision made 0 or 1 of the file's values, which
                              else are the YAML's; the file's other schedule buffers are no better */
    bool schedule_damaged; /* NULL because the file's values are no noise levels */
    bool cross_attention;  /* the network has layers that read a context */
} ldm_effective;

/* What a configuration's `ldm: load:` section permits. */
typedef struct ldm_load_policy {
    bool strict;       /* every missing, unexpected or differing key is a mismatch */
    bool init_missing; /* tensors that a run reads and the file lacks are initialised at random */
} ldm_load_policy;

/* What the user gave, for the command that a report ends with: configuration files in the order in
 * which they are laid, and --set values. */
typedef struct ldm_audit_given {
    const char **configs, **sets;
    size_t config_count, set_count;
    const ldm_config *config; /* all of it, to try a cure in; NULL: none is tried */
    const char *family;       /* ldm_audit_family of the configuration */
    double scale;             /* ldm_audit_scale of the configuration */
} ldm_audit_given;

typedef struct ldm_shape_mismatch {
    const ldm_tensor_decl *expected;
    const ldm_tensor_info *found;
} ldm_shape_mismatch;

typedef struct ldm_audit {
    const ldm_network *network;
    const ldm_ckpt *ckpt;
    ldm_effective effective;

    const ldm_tensor_decl **missing; /* in state_dict order */
    size_t missing_count;
    const ldm_tensor_info **unexpected; /* in file order */
    size_t unexpected_count;
    ldm_shape_mismatch *mismatched;
    size_t mismatched_count;
    size_t matching; /* same name and shape */
    size_t model_keys, checkpoint_keys;

    /* Tensors that a sampling run would use (UNet, or its EMA shadows; decoder; codebook; the
     * alphas_cumprod buffer is recomputed if absent; scale_factor where scale_by_std wants it and
     * the configuration gives no value) and that are missing or have another shape. */
    size_t run_missing, run_mismatched;
    ldm_load_policy policy;
    size_t initialised; /* run_missing, where the policy permits it; else 0 */
    bool fits;          /* both are 0, or the policy allows what is not */

    ldm_audit_given given; /* empty until the caller sets it; outlives the audit */

    struct ldm_audit_private *priv;
} ldm_audit;

/* The guidance scale that a configuration's section `ldm: sampling:` advises; 0: none. */
double ldm_audit_scale(const ldm_config *cfg);

/* What a configuration describes, by the published models' names; static. NULL: not recognised. */
const char *ldm_audit_family(const ldm_config *cfg);

/* LDM_ERR_MISMATCH, too, where a weight that a run reads is not of floating-point numbers, or one
 * element under many indices. ema: -1 auto (use_ema of the config, if the file has the shadows), 0
 * raw, 1 EMA (LDM_ERR_MISMATCH if the file has none, LDM_ERR_USAGE if the configuration says
 * use_ema: false). network and ckpt must outlive the audit. */
ldm_status ldm_audit_create(const ldm_network *network, const ldm_ckpt *ckpt, int ema,
                            const ldm_load_policy *policy, ldm_audit **out, ldm_error *err);
void ldm_audit_free(ldm_audit *a); /* NULL is fine */

/* LDM_OK, or LDM_ERR_MISMATCH with one line that names the first tensor, counts the others and says
 * what to do. */
ldm_status ldm_audit_verdict(const ldm_audit *a, ldm_error *err);

/* An unknown key that the original would not take: mistyped, or of another program. (Others it
 * ignores, too.) ldm_audit_warnings has a warning for it. */
bool ldm_audit_key_is_mistake(const ldm_unknown_key *u);

/* Calls fn with each warning of `ldm check` about settings that no tensor's shape shows (an
 * implausible scale_factor, a value of --set that nothing confirms, EMA weights that were never
 * updated) and about mistyped keys, one line each. A failure of fn ends it. */
typedef ldm_status ldm_audit_warning_fn(void *ctx, const char *text, ldm_error *err);
ldm_status ldm_audit_warnings(const ldm_audit *a, ldm_audit_warning_fn *fn, void *ctx,
                              ldm_error *err);

typedef struct ldm_audit_report {
    bool all, values, colour;
    size_t width; /* columns of the text; 0: 100 */
} ldm_audit_report;

/* `ldm check`: for a terminal, and as one JSON object. LDM_ERR_NUMERIC beside a whole report:
 * values were read, and tensors of the model hold NaN or infinity. LDM_ERR_FORMAT where the bytes
 * of values that were read have another checksum than the file says. */
ldm_status ldm_audit_text(const ldm_audit *a, const ldm_audit_report *r, ldm_str *out,
                          ldm_error *err);
ldm_status ldm_audit_json(const ldm_audit *a, const ldm_audit_report *r, ldm_str *out,
                          ldm_error *err);

/* The shapes of a checkpoint's tensors, for ldm_network_create. */
ldm_shape_source ldm_audit_shape_source(const ldm_ckpt *ck);

/* ---- models that ldm knows in part ----------------------------------------------------------- */

/* What can be said of a configuration that ldm_network_create refuses: every part that a target
 * names is read by itself, and those that are known are compared with the checkpoint. */
typedef struct ldm_partial ldm_partial;

/* ck NULL: of the configuration alone. ema: as for ldm_audit_create. why: for what the whole was
 * refused, where that is to be among the reasons; else NULL. cfg and ck must outlive it. */
ldm_status ldm_partial_create(const ldm_config *cfg, const ldm_ckpt *ck, int ema,
                              const ldm_error *why, ldm_partial **out, ldm_error *err);
void ldm_partial_free(ldm_partial *p); /* NULL is fine */

/* Every tensor that a run reads of a part that is known is there with the right shape, and so is
 * what shapes show of the UNet. */
bool ldm_partial_fits(const ldm_partial *p);

/* Something is wrong in the configuration, and no part is unknown. */
bool ldm_partial_wrong(const ldm_partial *p);

/* Anything was compared at all. */
bool ldm_partial_judged(const ldm_partial *p);

/* Adds to the one line of a refusal, in *err, the other reasons and the model's name. Returns
 * LDM_ERR_UNSUPPORTED. */
ldm_status ldm_partial_refuse(const ldm_partial *p, ldm_error *err);

typedef struct ldm_inspect_report {
    bool json, all, keys, shapes, colour;
    size_t width; /* as above */
} ldm_inspect_report;

/* `ldm inspect` of a checkpoint, and of a configuration (network NULL where it describes no model).
 */
ldm_status ldm_inspect_checkpoint(const ldm_ckpt *ck, const ldm_inspect_report *r, ldm_str *out,
                                  ldm_error *err);
ldm_status ldm_inspect_config(const ldm_config *cfg, const ldm_network *network,
                              const ldm_inspect_report *r, ldm_str *out, ldm_error *err);

/* The same reports of a model that is known in part; `ldm check` needs a checkpoint. */
ldm_status ldm_partial_text(const ldm_partial *p, const ldm_audit_given *given,
                            const ldm_audit_report *r, ldm_str *out, ldm_error *err);
ldm_status ldm_partial_json(const ldm_partial *p, const ldm_audit_given *given, ldm_str *out,
                            ldm_error *err);
ldm_status ldm_partial_inspect(const ldm_partial *p, const ldm_inspect_report *r, ldm_str *out,
                               ldm_error *err);

#endif
