/* SPDX-License-Identifier: MIT */
/* ldm tokenize: the token ids that a text encoder is given for a text. */
#include <stdio.h>
#include <string.h>

#include <ldm/ldm.h>
#include <ldm/tokenize.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json_text.h"
#include "cli/cli.h"
#include "cli/opts.h"
#include "cli/signals.h"

enum { MOST_TEXT = 1 << 20 };

typedef struct options {
    const char *kind, *vocab, *ckpt, *model;
    bool no_ftfy, json;
} options;

static const ldm_opt rows[] = {
    {.type = LDM_OPT_CHOICE,
     .name = "kind",
     .arg = "NAME",
     .choices = "clip|openclip|bert",
     .field = offsetof(options, kind),
     .help = "clip: Stable Diffusion 1; openclip: Stable Diffusion 2;\n"
             "bert: latent-diffusion's text-to-image model"},
    {.type = LDM_OPT_TEXT,
     .name = "vocab",
     .arg = "FILE",
     .field = offsetof(options, vocab),
     .help = "the vocabulary: bpe_simple_vocab_16e6.txt.gz, or\n"
             "vocab.json with merges.txt beside it; for bert\n"
             "vocab.txt; or a folder that holds it. Default: beside\n"
             "--ckpt, then where `make vocab` puts it"},
    {.type = LDM_OPT_TEXT,
     .name = "ckpt",
     .arg = "FILE",
     .field = offsetof(options, ckpt),
     .help = "look for the vocabulary beside this checkpoint"},
    {.type = LDM_OPT_TEXT,
     .name = "model",
     .arg = "NAME",
     .field = offsetof(options, model),
     .help = "as this shipped model's text encoder (portrait)"},
    {.type = LDM_OPT_FLAG,
     .name = "no-ftfy",
     .field = offsetof(options, no_ftfy),
     .help = "clip: clean the text as the original does where the\n"
             "Python package ftfy is not installed"},
    {.type = LDM_OPT_FLAG,
     .name = "json",
     .field = offsetof(options, json),
     .help = "one JSON object: kind, vocab, text, ids, pieces, used,\n"
             "needed, cut"},
};

static json_t *to_json(const ldm_text_vocab *vocab, const char *text, const ldm_text_ids *ids)
{
    const int32_t *id = ldm_text_ids_data(ids);
    size_t length = ldm_text_ids_length(ids), used = ldm_text_ids_used(ids);
    size_t needed = ldm_text_ids_needed(ids), i;
    json_t *root = json_object(), *all = json_array(), *pieces = json_array();

    for (i = 0; i < length; i++)
        json_array_append_new(all, json_integer(id[i]));
    for (i = 0; i < used; i++)
        json_array_append_new(pieces, ldm_json_text(ldm_text_ids_piece(ids, i)));
    json_object_set_new(root, "kind", json_string(ldm_text_vocab_kind(vocab)));
    json_object_set_new(root, "vocab", ldm_json_text(ldm_text_vocab_path(vocab)));
    json_object_set_new(root, "text", ldm_json_text(text));
    json_object_set_new(root, "ids", all);
    json_object_set_new(root, "pieces", pieces);
    json_object_set_new(root, "used", json_integer((json_int_t)used));
    json_object_set_new(root, "needed", json_integer((json_int_t)needed));
    json_object_set_new(root, "cut", json_boolean(needed > length));
    return root;
}

static void print_text(const ldm_text_ids *ids)
{
    const int32_t *id = ldm_text_ids_data(ids);
    size_t length = ldm_text_ids_length(ids), used = ldm_text_ids_used(ids);

    for (size_t i = 0; i < used; i++)
        printf("%5d  %s\n", (int)id[i], ldm_text_ids_piece(ids, i));
    if (used < length)
        printf("%5d  %s  (padding, %zu time%s)\n", (int)id[used], ldm_text_ids_piece(ids, used),
               length - used, length - used == 1 ? "" : "s");
}

static int failed(const ldm_command *cmd, const options *o, ldm_status st, const ldm_error *err)
{
    int code = ldm_cli_fail(cmd, st, err);

    if (o->json)
        ldm_cli_json_failure(cmd);
    return code;
}

static int tokenize(const ldm_command *cmd, const options *o, const ldm_text_vocab *vocab,
                    const char *text)
{
    ldm_text_ids *ids;
    ldm_error err;
    ldm_status st = ldm_text_encode(vocab, text, strlen(text), !o->no_ftfy, &ids, &err);
    int code = LDM_EXIT_OK;

    if (st)
        return failed(cmd, o, st, &err);
    if (ldm_text_ids_needed(ids) > ldm_text_ids_length(ids))
        ldm_cli_say(cmd, "note: the text is cut: it has %zu tokens, and there is room for %zu",
                    ldm_text_ids_needed(ids) - 2, ldm_text_ids_length(ids) - 2);
    if (o->json)
        code = ldm_cli_print_json(cmd, to_json(vocab, text, ids));
    else
        print_text(ids);
    ldm_text_ids_free(ids);
    return code;
}

/* The vocabulary of a shipped model, whose text encoder says which kind it is. */
static ldm_status open_shipped(const options *o, ldm_text_vocab **vocab, ldm_error *err)
{
    ldm_model_options *opt = NULL;
    ldm_model *model = NULL;
    ldm_status st = ldm_model_options_create(&opt, err);

    if (!st)
        st = ldm_model_options_set(opt, "model", o->model, err);
    if (!st)
        st = ldm_model_options_set_bool(opt, "dry_run", true, err);
    if (!st)
        st = ldm_model_open(opt, &model, err);
    if (!st)
        st = ldm_model_vocab(model, o->vocab, vocab, err);
    ldm_model_close(model);
    ldm_model_options_free(opt);
    return st;
}

/* The text that stdin gives, without the end of its last line. */
static int tokenize_stdin(const ldm_command *cmd, const options *o, const ldm_text_vocab *vocab)
{
    char *text = NULL;
    ldm_error err;
    size_t size = 0;
    ldm_status st = ldm_text_read("-", MOST_TEXT, &text, &size, &err);
    int code;

    if (!st && strlen(text) != size)
        st = ldm_error_set(&err, LDM_ERR_FORMAT, "stdin holds a byte of value 0: expected a text");
    if (!st && size && text[size - 1] == '\n')
        text[--size] = '\0';
    if (!st && size && text[size - 1] == '\r')
        text[--size] = '\0';
    code = st ? failed(cmd, o, st, &err) : tokenize(cmd, o, vocab, text);
    ldm_free(text);
    return code;
}

static int run(const ldm_cli *cli, const ldm_command *cmd, int argc, char **argv)
{
    options o = {.kind = NULL};
    ldm_text_vocab *vocab;
    ldm_parse parse;
    ldm_status st;
    ldm_error err;
    int args, code;

    (void)cli;
    parse = ldm_opts_parse(cmd, argc, argv, &o, &(ldm_targets){0}, &args);
    if (parse)
        return ldm_parse_exit(parse);
    if (o.model && (o.kind || o.ckpt))
        return ldm_cli_usage(cmd,
                             "--model says which tokenizer it is: leave out --kind and --ckpt");
    if (!o.kind && !o.model)
        return ldm_cli_usage(cmd, "--kind is missing: clip for Stable Diffusion 1, openclip for "
                                  "Stable Diffusion 2, bert for CompVis' text models (with --ckpt "
                                  "FILE where the vocabulary lies beside it); for the shipped "
                                  "model --model portrait");
    if (o.vocab)
        ldm_signals_name_file(o.vocab);
    st = o.model ? open_shipped(&o, &vocab, &err)
                 : ldm_text_vocab_open(o.kind, o.vocab, o.ckpt, &vocab, &err);
    if (st)
        return failed(cmd, &o, st, &err);
    if (ldm_text_vocab_doubt(vocab))
        ldm_cli_say(cmd, "warning: %s", ldm_text_vocab_doubt(vocab));
    code = strcmp(argv[args], "-") ? tokenize(cmd, &o, vocab, argv[args])
                                   : tokenize_stdin(cmd, &o, vocab);
    ldm_text_vocab_free(vocab);
    return code;
}

const ldm_command ldm_cmd_tokenize = {
    .name = "tokenize",
    .args = "--kind NAME|--model NAME TEXT|- [options]",
    .summary = "the token ids of a text, as a model's text encoder gets them",
    .about =
        "Splits a prompt into the tokens of the original code, after its repairs of the text, and\n"
        "prints each token's id and how the vocabulary writes it. A model gets 77 of them: a "
        "start,\n"
        "at most 75 of the text, an end, padding. What is cut is said on stderr. As - the text is\n"
        "what stdin gives.",
    .notes = "Where there are no ids, --json prints {\"error\": what stderr says}.\n"
             "The vocabularies of published models belong to others and do not come with ldm;\n"
             "`make vocab` gets them. The shipped model portrait has one of its own.\n\n"
             "  ldm tokenize --model portrait \"a woman with red hair\"\n"
             "  ldm tokenize --kind clip \"a photograph of an astronaut riding a horse\"\n"
             "  ldm tokenize --kind bert --json \"a virus monster\"",
    .opts = rows,
    .opt_count = sizeof rows / sizeof rows[0],
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
