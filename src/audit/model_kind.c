/* SPDX-License-Identifier: MIT */
/* Whether a checkpoint and a configuration are of different kinds of model: then one setting that
 * differs explains nothing, however many do. */
#include "audit/model_kind.h"

#include <stdlib.h>
#include <string.h>

#include "infer/infer.h"

/* Of one side. */
typedef struct side {
    const char *cond; /* target of the conditioner; "__is_unconditional__" and its kin */
    int in_channels, out_channels, context;
    bool cross; /* the UNet reads contexts */
} side;

/* Channels that the UNet reads beside the latent's. */
enum { ANY = -1, NONE = 0, SOME = 1, THREE = 3 };

/* The first row counts whose word is in the conditioner's target. */
static const struct {
    const char *cond;
    int concat;
    const char *name;
    bool tensors; /* the conditioner has some of its own */
} kinds[] = {
    {"FrozenCLIPEmbedder", NONE, "a text model with CLIP, as Stable Diffusion 1", true},
    {"FrozenCLIPEmbedder", SOME, "an inpainting model with CLIP, as Stable Diffusion 1's", true},
    {"FrozenOpenCLIPEmbedder", NONE, "a text model with OpenCLIP, as Stable Diffusion 2", true},
    {"FrozenOpenCLIPEmbedder", SOME,
     "a model with OpenCLIP that inpaints or enlarges, as Stable Diffusion 2's", true},
    {"BERTEmbedder", ANY, "a model of texts or layouts with BERTEmbedder, as CompVis' txt2img",
     true},
    {"TransformerEmbedder", ANY,
     "a model of texts or layouts with BERTEmbedder, as CompVis' txt2img", true},
    {"ClassEmbedder", ANY, "a class-conditional model", true},
    {"SpatialRescaler", ANY, "a model of semantic maps", true},
    {"__is_first_stage__", ANY, "a model that paints in pictures, as CompVis' inpainting_big",
     true},
    {"torch.nn.Identity", THREE, "a model that enlarges pictures, as CompVis' bsr_sr", false},
    {"torch.nn.Identity", NONE, "a model of labels (label_emb)", false},
    {"__is_unconditional__", ANY, "an unconditional model", false},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static bool has_concat(const side *s, int concat)
{
    const int channels = s->in_channels - s->out_channels;

    return concat == ANY || (concat == SOME ? channels > 0 : channels == concat);
}

static int kind_of(const side *s)
{
    int i = 0;

    while (i < KINDS &&
           (!s->cond || !strstr(s->cond, kinds[i].cond) || !has_concat(s, kinds[i].concat)))
        i++;
    return i;
}

static side side_of_network(const ldm_network *s)
{
    return (side){.cond = s->conditioner_count ? s->conditioners[0].target : "__is_unconditional__",
                  .in_channels = s->unet.in_channels,
                  .out_channels = s->unet.out_channels,
                  .context = s->unet.use_spatial_transformer ? s->unet.context_dim : 0,
                  .cross = s->unet.use_spatial_transformer};
}

static const char *value_of(const ldm_inference *in, const char *path)
{
    const ldm_infer_setting *s = ldm_inference_find(in, path);

    return s ? s->value : NULL;
}

static int int_of(const ldm_inference *in, const char *path)
{
    const char *value = value_of(in, path);

    return value ? atoi(value) : 0;
}

static side side_of_file(const ldm_inference *in)
{
    const char *cond = value_of(in, "model.params.cond_stage_config.target");
    const char *cross = value_of(in, "model.params.unet_config.params.use_spatial_transformer");

    return (side){.cond = cond ? cond : value_of(in, "model.params.cond_stage_config"),
                  .in_channels = int_of(in, "model.params.unet_config.params.in_channels"),
                  .out_channels = int_of(in, "model.params.unet_config.params.out_channels"),
                  .context = int_of(in, "model.params.unet_config.params.context_dim"),
                  .cross = cross && !strcmp(cross, "true")};
}

/* A file whose conditioner has no tensors may have lost them: then the UNet has to show it. */
static bool is_shown(int kind, const side *file, const side *config)
{
    return kinds[kind].tensors || file->in_channels != config->in_channels ||
           file->out_channels != config->out_channels || file->cross != config->cross;
}

/* What of the two UNets is told apart at a glance, in brackets; "" where nothing is. */
static const char *sizes(const side *file, const side *config, ldm_findings *f)
{
    const bool channels = file->in_channels != config->in_channels;
    const bool context =
        file->context > 0 && config->context > 0 && file->context != config->context;
    const char *first = channels ? ldm_findings_text(f, "in_channels %d, not %d", file->in_channels,
                                                     config->in_channels)
                                 : "";

    if (!context)
        return channels ? ldm_findings_text(f, " (%s)", first) : "";
    return ldm_findings_text(f, " (%s%scontext_dim %d, not %d)", first, channels ? "; " : "",
                             file->context, config->context);
}

const char *ldm_audit_other_model(const ldm_audit *a, ldm_findings *f)
{
    const side config = side_of_network(a->network);
    ldm_inference *in = NULL;
    const char *text = NULL;
    side file;
    ldm_status st;
    int its, ours;

    if (a->network->lone_first_stage)
        return NULL;
    st = ldm_infer(a->ckpt, &in, NULL);
    f->failed |= st == LDM_ERR_NOMEM;
    if (st)
        return NULL;
    file = side_of_file(in);
    its = kind_of(&file);
    ours = kind_of(&config);
    if (file.in_channels && its < KINDS && ours < KINDS &&
        strcmp(kinds[its].name, kinds[ours].name) && is_shown(its, &file, &config))
        text = ldm_findings_text(f,
                                 "the checkpoint is %s, and this configuration describes %s: it "
                                 "belongs to another model%s",
                                 kinds[its].name, kinds[ours].name, sizes(&file, &config, f));
    ldm_inference_free(in);
    return text;
}
