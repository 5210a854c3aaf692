/* SPDX-License-Identifier: MIT */
/* The one description of a network for all rooms: audit compares it with a checkpoint, exec runs
 * it, the estimate of time counts it. From a merged configuration it gives
 *   - the settings: every constructor parameter with its value and where that came from;
 *   - the tensors: the names and shapes of CompVis' own state_dict(), in its order;
 *   - graphs: flat lists of nodes (what to compute) for one part of the network at one size. */
#ifndef LDM_NETWORK_NETWORK_H
#define LDM_NETWORK_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "config/config.h"
#include "sample/schedule.h"

enum { LDM_MAX_LEVELS = 16 };

typedef struct ldm_int_list {
    int count;
    int items[LDM_MAX_LEVELS];
} ldm_int_list;

/* Pixels. A configuration says 32, or [32, 64] for latents that are not square. */
typedef struct ldm_extent {
    int h, w;
} ldm_extent;

/* ---- configurations, as the constructors take them ------------------------------------------- */

/* ldm.modules.diffusionmodules.openaimodel.UNetModel */
typedef struct ldm_unet_config {
    ldm_extent image_size; /* of the latents */
    int in_channels, model_channels, out_channels, num_res_blocks;
    ldm_int_list attention_resolutions, channel_mult;
    bool conv_resample, use_scale_shift_norm, resblock_updown, use_new_attention_order;
    bool use_spatial_transformer, use_linear_in_transformer, disable_middle_self_attn, legacy;
    ldm_int_list disable_self_attentions; /* a level: 1 or 0; empty: not set */
    ldm_int_list num_attention_blocks;    /* a level; empty: not set */
    int transformer_depth;
    int dims, num_heads, num_head_channels, num_heads_upsample; /* -1: not set */
    int num_classes;     /* -1: not set; else a number, LDM_CLASSES_CONTINUOUS or _SEQUENTIAL */
    int adm_in_channels; /* with LDM_CLASSES_SEQUENTIAL: length of the vector; -1: not set */
    int context_dim, n_embed; /* -1: not set */
} ldm_unet_config;

/* num_classes: "continuous", a real number; num_classes: "sequential", a vector. */
enum { LDM_CLASSES_CONTINUOUS = -2, LDM_CLASSES_SEQUENTIAL = -3 };

/* ldm.models.diffusion.ddpm.LatentDiffusion */
typedef struct ldm_diffusion_config {
    int timesteps, channels;
    ldm_extent image_size; /* of the latents */
    ldm_beta_schedule beta_schedule;
    double linear_start, linear_end, cosine_s;
    double scale_factor; /* the YAML's or the default's; a buffer in the file takes precedence */
    bool scale_by_std, use_ema, concat_mode, learn_logvar;
    bool inpaint; /* LatentInpaintDiffusion: a mask and a masked picture are concatenated */
    const char *parameterization; /* "eps", "x0" or "v" */
    const char *conditioning_key; /* effective: NULL, "concat", "crossattn", "hybrid", "adm",
                                     "hybrid-adm", "crossattn-adm" */
} ldm_diffusion_config;

/* What the channels that are concatenated with the latent are made of (LatentDiffusion.get_input
 * and the originals' scripts). */
typedef enum ldm_concat_kind {
    LDM_CONCAT_NONE, /* nothing is concatenated, or what it is made of is not known: arrays alone */
    /* The conditioner is the first stage: the picture's latent as the encoder gives it (of a KL
     * first stage the mean), without quantisation and scale factor. With one channel more the mask
     * follows, -1 kept and 1 painted, and the picture is black where it is painted
     * (scripts/inpaint.py). */
    LDM_CONCAT_PICTURE,
    LDM_CONCAT_MASK_LAST,
    /* LatentInpaintDiffusion: the mask, 0 kept and 1 painted, then the latent of the picture that
     * is grey where it is painted: of a KL first stage a sample of the posterior, times the scale
     * factor (scripts/gradio/inpainting.py). */
    LDM_CONCAT_MASK_FIRST,
    /* torch.nn.Identity: the low-resolution picture itself in [-1, 1], one pixel per latent pixel
     * (bsr_sr). */
    LDM_CONCAT_LOW,
    /* LatentUpscaleDiffusion: the same with noise of the level that the setting says
     * (ImageConcatWithNoiseAugmentation), which the UNet also gets as its label. */
    LDM_CONCAT_LOW_NOISED,
    /* SpatialRescaler: a plane a label, 1 where the pixel has it, through the conditioner. */
    LDM_CONCAT_MAP
} ldm_concat_kind;

/* What the UNet reads beside x and t. The original passes it by conditioning_key
 * (DiffusionWrapper.forward, ldm/models/diffusion/ddpm.py). */
typedef struct ldm_unet_inputs {
    int latent; /* channels of x */
    int concat; /* channels of "concat" [concat,h,w], after those of x; 0: it takes none */
    ldm_concat_kind concat_kind;
    int context_width;  /* of "context" [tokens,context_width]; 0: it takes none */
    int context_tokens; /* so many the conditioner gives; any number can be passed */
    int labels;  /* values of "labels": 1 for a number, more for a vector; 0: it takes none */
    int classes; /* the number is a whole one below this; 0: it is real */
} ldm_unet_inputs;

/* ---- parts: what the rest of the program sees of them ---------------------------------------- */

struct ldm_network_part; /* part.h; of this room alone */

/* The network that turns pictures into latents and back. A latent here is one before multiplication
 * by the scale factor. */
typedef struct ldm_first_stage {
    const char *target;   /* of the configuration: "ldm.models.autoencoder.AutoencoderKL" */
    int in_channels;      /* of the picture that ENCODE takes */
    int out_channels;     /* of the picture that DECODE gives */
    int latent_channels;  /* of a latent: what DECODE and QUANTIZE take */
    int encoded_channels; /* of what ENCODE gives: latent_channels, with a posterior twice as many
                           */
    int factor;           /* picture pixels per latent pixel along one axis */
    int resolution;       /* side of the pictures that it was configured for; 0: not said */
    bool identity;        /* a latent is the picture itself: there is nothing to read */
    bool codebook;        /* QUANTIZE and INDICES exist */
    bool posterior;       /* ENCODE gives moments: latent_channels means, then as many log variances
                             of a diagonal Gaussian; a latent is a sample of it */
    const char *no_encode; /* NULL: it can encode; else why not, one static sentence */

    const struct ldm_network_part *part; /* these two are read inside the room only */
    const void *config;
} ldm_first_stage;

/* What a conditioner takes. */
typedef enum ldm_cond_takes {
    LDM_COND_TAKES_CLASS,   /* a class, 0 to `entries` - 1 */
    LDM_COND_TAKES_TOKENS,  /* `tokens` token ids, 0 to `entries` - 1: a text's, where it has a
                               tokenizer, or the ids themselves */
    LDM_COND_TAKES_PICTURE, /* a picture, of which the first stage makes the latent */
    LDM_COND_TAKES_LATENT,  /* what is concatenated, as it is: a picture of the latent's size */
    LDM_COND_TAKES_MAP /* planes [channels_in, h * factor, w * factor]: a plane a label, 1 where
                          the pixel has it */
} ldm_cond_takes;

/* A network that turns the user's input into what the UNet reads in addition to the noisy latent.
 * Fields of outputs that it does not have are 0. */
typedef struct ldm_conditioner {
    const char *target;
    ldm_cond_takes takes;
    const char *vocabulary;  /* of TOKENS: the kind that ldm_text_vocab_open takes, "clip",
                                "openclip" or "bert"; NULL: it is given ids */
    int uncond_class;        /* of CLASS: the one that stands for no class; -1: there is none */
    int entries, tokens;     /* of CLASS and TOKENS; a class is one token */
    int channels_in, factor; /* of MAP */
    int context_tokens, context_width; /* what it gives for cross-attention */
    int channels;                      /* what it gives to be concatenated with the latent */
    int layers;                        /* of a text encoder; 0: it has none */
    const char *published; /* the encoder whose size the original takes by name, "CLIP ViT-L/14":
                              width and layers are the checkpoint's, these two that one's; or NULL
                            */
    int published_width, published_layers;
    bool own_size;       /* the latents have the model's image_size, not the UNet's */
    double scale;        /* guidance scale of the original's script; 0: it has none */
    bool is_first_stage; /* its tensors are the first stage's under a second name */

    const struct ldm_network_part *part; /* these two are read inside the room only */
    const void *config;
} ldm_conditioner;

/* LatentUpscaleDiffusion's low_scale_config: how much noise the low-resolution picture gets before
 * it is concatenated (ImageConcatWithNoiseAugmentation,
 * ldm/modules/diffusionmodules/upscaling.py). */
typedef struct ldm_low_scale {
    bool present;
    int timesteps, max_noise_level;
    ldm_beta_schedule beta_schedule;
    double linear_start, linear_end, cosine_s;

    const struct ldm_network_part *part; /* read inside the room only */
} ldm_low_scale;

/* ---- constructor parameters -------------------------------------------------------------------
 */

typedef enum ldm_effect {
    LDM_EFFECT_SHAPE,    /* decides names or shapes of tensors */
    LDM_EFFECT_SILENT,   /* changes the numbers, and no tensor shows it */
    LDM_EFFECT_TRAINING, /* of training or logging only */
    LDM_EFFECT_NONE      /* has no effect with these other settings: `reason` says why */
} ldm_effect;

typedef struct ldm_param {
    const char *path;  /* "model.params.unet_config.params.num_heads" */
    const char *name;  /* last part */
    const char *value; /* effective value as text */
    ldm_origin origin; /* source NULL: the constructor's default */
    ldm_effect effect;
    const char *reason; /* why it has no effect here, else NULL */
} ldm_param;

/* A key below `model: params:` that no constructor takes (the original raises TypeError), or a key
 * elsewhere that --set sets and nothing reads. */
typedef struct ldm_unknown_key {
    const char *path;
    ldm_origin origin;
    const char *suggestion; /* a known name that is spelled alike, or NULL */
} ldm_unknown_key;

/* ---- tensors --------------------------------------------------------------------------------- */

typedef enum ldm_component {
    LDM_COMPONENT_SCHEDULE, /* twelve buffers, scale_factor, logvar */
    LDM_COMPONENT_UNET,
    LDM_COMPONENT_EMA,
    LDM_COMPONENT_FIRST_STAGE,
    LDM_COMPONENT_COND_STAGE,
    LDM_COMPONENT_LOW_SCALE, /* buffers of a noise schedule for low-resolution pictures */
    LDM_COMPONENT_COUNT
} ldm_component;
const char *ldm_component_prefix(ldm_component c); /* "model.diffusion_model", "model_ema", ... */

/* Bits: which parts of the network read a tensor. */
enum {
    LDM_USED_UNET = 1,
    LDM_USED_ENCODE = 2,
    LDM_USED_DECODE = 4,
    LDM_USED_QUANTIZE = 8,
    LDM_USED_COND = 16
};

/* The buffers that register_schedule leaves in a checkpoint, each [timesteps]. */
enum { LDM_SCHEDULE_BUFFERS = 12 };
extern const char *const ldm_schedule_buffers[LDM_SCHEDULE_BUFFERS];

/* What a constructor puts into a tensor before anything is loaded. */
typedef enum ldm_init {
    LDM_INIT_UNIFORM,  /* PyTorch's Conv and Linear: U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)) */
    LDM_INIT_ONES,     /* a norm's weight */
    LDM_INIT_ZEROS,    /* a norm's bias; the original's zero_module */
    LDM_INIT_CODEBOOK, /* VectorQuantizer2: U(-1 / entries, 1 / entries) */
    LDM_INIT_NORMAL    /* PyTorch's Embedding: N(0, 1) */
} ldm_init;

typedef struct ldm_tensor_decl {
    const char *name; /* full key of state_dict() */
    int ndim;
    int64_t shape[4];
    uint64_t numel;
    ldm_component component;
    unsigned used; /* LDM_USED_* bits; 0: stored but never read in sampling */
    int ema;       /* UNet tensors: index of the shadow in tensors, -1 where there is none */
    ldm_init init;
    int fan_in; /* of a weight or its bias, for LDM_INIT_UNIFORM */
} ldm_tensor_decl;

/* ---- graphs ---------------------------------------------------------------------------------- */

typedef enum ldm_op {
    LDM_OP_CONV,       /* y = W * x + b */
    LDM_OP_LINEAR,     /* of each pixel, or token, by itself: y = W * x + b */
    LDM_OP_NORM,       /* GroupNorm */
    LDM_OP_LAYER_NORM, /* over the channels of each pixel */
    LDM_OP_RELU,       /* the larger of x and 0 */
    LDM_OP_SILU,
    LDM_OP_GELU,       /* x * Phi(x), Phi the normal distribution's: PyTorch's, with erf */
    LDM_OP_QUICK_GELU, /* x * sigmoid(1.702 x): CLIP's */
    LDM_OP_GEGLU,      /* a * GELU(b), [a, b] the channels of in0 */
    LDM_OP_TANH,
    LDM_OP_ADD,            /* in0 + in1 */
    LDM_OP_ADD_VECTOR,     /* in0 + in1[channel] at every pixel */
    LDM_OP_SCALE_SHIFT,    /* in0 * (1 + s) + t; in1 is [s, t] per channel */
    LDM_OP_CONCAT,         /* channels of in0, then of in1 */
    LDM_OP_UPSAMPLE,       /* nearest, 2x */
    LDM_OP_AVG_POOL,       /* mean of a window; what lies outside of in0 does not count */
    LDM_OP_MAX_POOL,       /* the largest of a window */
    LDM_OP_ATTENTION,      /* in0: qkv; or in0, in1, in2: q, k, v, of which k and v may have other
                              pixels than q (cross-attention) */
    LDM_OP_TIMESTEP_EMBED, /* in0: t (1 channel) -> [cos, sin] */
    LDM_OP_EMBEDDING,      /* in0: numbers of rows (1 channel) -> those rows of the weight, plus row
                              p of the bias for pixel p, if there is one */
    LDM_OP_QUANTIZE,       /* nearest codebook entry e: z + (e - z) */
    LDM_OP_QUANTIZE_INDEX  /* its number, as a float */
} ldm_op;
const char *ldm_op_name(ldm_op op);

/* The inputs that a value depends on, as bits. A value without a bit is a constant of the network.
 */
enum {
    LDM_DEPENDS_X = 1,    /* the latent or the picture: different in each evaluation */
    LDM_DEPENDS_TIME = 2, /* the timestep: the same for all samples of an evaluation in sampling */
    LDM_DEPENDS_COND = 4  /* the conditioning: the same for a whole run */
};

typedef struct ldm_graph_value {
    int c, h, w;
    unsigned depends; /* LDM_DEPENDS_* bits */
    const char *dump; /* "input_blocks_00": what `ldm eval --dump` calls it; NULL: not dumped */
    const char *dump_also; /* a second name, "before_final_norm" of a tower's last layer; or NULL */
} ldm_graph_value;

typedef struct ldm_node {
    ldm_op op;
    const char *name; /* module path inside its component, "input_blocks.1.0.in_layers.2" */
    int in[3];        /* value numbers, -1 for none */
    int out;
    int weight, bias; /* tensor numbers in the network, -1 for none */
    int kernel_h, kernel_w, stride, pad_top, pad_left; /* CONV, AVG_POOL, MAX_POOL (one padding) */
    int groups;                                        /* NORM */
    double eps;                                        /* NORM, LAYER_NORM */
    int heads, head_dim;                               /* ATTENTION */
    bool causal;      /* ATTENTION: pixel p sees no pixel after p */
    bool heads_first; /* in0 holds per head q, k, v (legacy order); false: all q, all k, all v */
} ldm_node;

/* What a graph is given. Names: "x" the latent or picture, "t" the timestep [1,1,1], "feature" what
 * UNET_SHALLOW continues from; "concat", "context" and "labels" as ldm_unet_inputs says; "ids" the
 * token ids of COND. */
typedef struct ldm_input {
    const char *name; /* static */
    int value;
    unsigned depends;   /* LDM_DEPENDS_* bits */
    bool channels_last; /* its array is [n][h][w][c]; false: [n][c][h][w] */
} ldm_input;

enum { LDM_MAX_INPUTS = 8 };

/* A graph at one size. Everything is in its arena; nodes are in order of execution. */
typedef struct ldm_graph {
    ldm_node *nodes;
    int node_count;
    ldm_graph_value *values;
    int value_count;
    ldm_input inputs[LDM_MAX_INPUTS];
    int input_count;
    int feature; /* UNET: the value that UNET_SHALLOW takes for its feature; else -1 */
    int output;
    bool output_channels_last; /* its array is [n][h][w][c]; false: [n][c][h][w] */
    ldm_arena *arena;
} ldm_graph;

typedef enum ldm_graph_part {
    LDM_GRAPH_UNET,        /* x [c,h,w], t [1,1,1] -> eps */
    LDM_GRAPH_ENCODE,      /* picture -> latent before quantisation, or the moments of a latent
                              (encoder, quant_conv) */
    LDM_GRAPH_DECODE,      /* latent without scale factor -> image (post_quant_conv, decoder); what
                              goes through the codebook goes through QUANTIZE first */
    LDM_GRAPH_QUANTIZE,    /* latent without scale factor -> its codebook entries */
    LDM_GRAPH_INDICES,     /* the same -> their numbers, as floats */
    LDM_GRAPH_COND,        /* the conditioner: ids [1,tokens,1] -> context [width,tokens,1], or
                              planes -> what is concatenated. A conditioner that is the first stage,
                              or that changes nothing, has no such graph. */
    LDM_GRAPH_UNET_SHALLOW /* x, t, a feature [c,h,w] -> eps, by the outermost blocks alone: the
                              feature replaces what the whole UNet's deeper output blocks pass to
                              the last LDM_SHALLOW_BLOCKS ones. From "DeepCache: Accelerating
                              Diffusion Models for Free" (Ma, Fang, Wang 2023, arXiv 2312.00858),
                              section 3.2. Its nodes and tensors are among UNET's. */
} ldm_graph_part;

/* Input blocks, and as many output blocks, that UNET_SHALLOW evaluates: 1 is the paper's first skip
 * branch (input_blocks.0 and the last output block). */
enum { LDM_SHALLOW_BLOCKS = 1 };

/* ---- the description ------------------------------------------------------------------------- */

typedef struct ldm_network {
    ldm_diffusion_config diffusion;
    ldm_unet_config unet;
    ldm_unet_inputs unet_inputs;
    ldm_first_stage first_stage;
    ldm_low_scale low_scale;
    bool lone_first_stage; /* the configuration is of a first stage alone: there is no UNet, no
                              conditioner and no schedule, and tensors have no prefix */
    ldm_conditioner *conditioners; /* conditioner_count of them; none: unconditional */
    int conditioner_count;

    ldm_param *params;
    size_t param_count;
    ldm_unknown_key *unknown;
    size_t unknown_count;

    ldm_tensor_decl *tensors; /* in the order of state_dict() */
    int tensor_count;

    struct ldm_network_private *priv;
} ldm_network;

/* Shapes of a checkpoint's tensors. A text encoder's width and depth are not in the configuration:
 * the original gets them with the weights from a hub, by a name. */
typedef struct ldm_shape_source {
    const void *ctx;
    /* Number of dimensions of the tensor with this name and, in dims[4], their sizes; -1: there is
     * none, or it has more than four. */
    int (*shape)(const void *ctx, const char *name, int64_t *dims);
} ldm_shape_source;

/* Reads the configuration. cfg must outlive the network. shapes: of the checkpoint; NULL, or
 * without the tensors in question: a text encoder has the published one's size. Errors give
 * file:line:column. */
ldm_status ldm_network_create(const ldm_config *cfg, const ldm_shape_source *shapes,
                              ldm_network **out, ldm_error *err);
void ldm_network_free(ldm_network *s); /* NULL is fine */

/* Whether its conditioner is given text: token ids, and of a vocabulary that is known. */
bool ldm_network_reads_text(const ldm_network *s);

/* Whether ldm has what an entry of a configuration names. path: of the entry, "model" or
 * "model.params.unet_config", first_stage_config, cond_stage_config, low_scale_config. *alike: the
 * target that it has and that is spelled alike; NULL: none. */
bool ldm_network_knows_target(const char *path, const char *target, const char **alike);

int ldm_network_find(const ldm_network *s, const char *name); /* tensor number or -1 */
const ldm_param *ldm_network_param(const ldm_network *s, const char *path); /* below model.params */

/* True for a tensor that is the first stage's under a second name: it is stored twice and counted
 * once. */
bool ldm_network_is_copy(const ldm_network *s, const char *name);

/* Size of the latent (UNET, DECODE, QUANTIZE, INDICES), of the picture (ENCODE) or of the planes
 * (COND). tokens: of the context (UNET) or of the ids (COND); 0: as many as the conditioner takes
 * or gives. */
typedef struct ldm_graph_size {
    int h, w, tokens;
} ldm_graph_size;

/* The graph of one part. LDM_ERR_USAGE where the network cannot take that size (says which multiple
 * it needs), or has no codebook for QUANTIZE and INDICES, no graph for COND. LDM_ERR_CONFIG where
 * the first stage cannot encode. */
ldm_status ldm_graph_create(const ldm_network *s, ldm_graph_part part, ldm_graph_size size,
                            ldm_graph **out, ldm_error *err);
void ldm_graph_free(ldm_graph *g); /* NULL is fine */

/* The value of the input with this name; -1 if the graph takes none. */
int ldm_graph_input(const ldm_graph *g, const char *name);

/* Arithmetic of one sample (flop.c); a multiply-add is two operations. A graph's is that of its
 * convolutions, linear layers and attentions: all else is small beside them. */
double ldm_graph_flop(const ldm_graph *g);
/* pixels: of the output. Without the bias. */
double ldm_flop_conv(double pixels, int cin, int cout, int taps);
/* channels: of all heads together. Q K^T and P V, without the softmax. */
double ldm_flop_attention(double queries, double keys, int channels);

#endif
