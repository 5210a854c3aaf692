/* SPDX-License-Identifier: MIT */
/* Other programs' options that say only together what one of ours says; see joined.h. */
#include "cli/joined.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT = 48 };

/* Where a line has an option: the word, and the word that is its value (the same for --H=512). */
typedef struct place {
    int option, value;
    const char *text; /* NULL: the line does not have it */
} place;

static bool is_number(const char *text)
{
    return *text && strlen(text) < 9 && !text[strspn(text, "0123456789")];
}

/* The word's value where it is the option `name` (or the letter) with a number. */
static bool read_place(int argc, char **argv, int i, const char *name, char letter, place *p)
{
    const size_t len = strlen(name);
    const char *word = argv[i];

    if (!strncmp(word, "--", 2) && strlen(word + 2) >= len && ldm_alias_begins(word + 2, name)) {
        if (word[2 + len] == '=' && is_number(word + 3 + len))
            *p = (place){i, i, word + 3 + len};
        else if (!word[2 + len] && i + 1 < argc && is_number(argv[i + 1]))
            *p = (place){i, i + 1, argv[i + 1]};
    } else if (letter && word[0] == '-' && word[1] == letter && !word[2] && i + 1 < argc &&
               is_number(argv[i + 1])) {
        *p = (place){i, i + 1, argv[i + 1]};
    }
    return p->text && p->option == i;
}

static void find(int argc, char **argv, const char *const *names, char letter, place *p)
{
    *p = (place){0};
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        for (size_t k = 0; names[k]; k++) {
            if (read_place(argc, argv, i, names[k], letter, p))
                return;
        }
    }
}

/* Both words of ours in the place of theirs; what is said twice alike is said once. */
static void put(char **argv, const place *p, char *option, char *value, char *both)
{
    if (p->value == p->option) {
        argv[p->option] = both;
    } else {
        argv[p->option] = option;
        argv[p->value] = value;
    }
}

/* --H 512 --W 768 */
static void join_size(int argc, char **argv, ldm_str *said, bool *others)
{
    static const char *const tall[] = {"H", "height", NULL}, *const wide[] = {"W", "width", NULL};
    static char option[] = "--size", value[TEXT - 10], both[TEXT];
    place h, w;

    find(argc, argv, tall, 'H', &h);
    find(argc, argv, wide, 'W', &w);
    if (!h.text || !w.text)
        return;
    snprintf(value, sizeof value, "%sx%s", w.text, h.text);
    snprintf(both, sizeof both, "--size=%s", value);
    *others = true;
    ldm_str_printf(said, "%s%.*s %s and %.*s %s are --size %s", said->len ? ", " : "",
                   (int)strcspn(argv[h.option], "="), argv[h.option], h.text,
                   (int)strcspn(argv[w.option], "="), argv[w.option], w.text, value);
    put(argv, &h, option, value, both);
    put(argv, &w, option, value, both);
}

/* --n_iter 2 --n_samples 3: six pictures. */
static void join_count(int argc, char **argv, ldm_str *said, bool *others)
{
    static const char *const times[] = {"n_iter", "batch_count", NULL};
    static const char *const each[] = {"n_samples", "count", NULL};
    static char option[] = "--count", value[TEXT - 10], both[TEXT];
    place t, e;

    find(argc, argv, times, 0, &t);
    find(argc, argv, each, 'n', &e);
    if (!t.text)
        return;
    snprintf(value, sizeof value, "%ld",
             strtol(t.text, NULL, 10) * (e.text ? strtol(e.text, NULL, 10) : 1));
    snprintf(both, sizeof both, "--count=%s", value);
    *others = true;
    ldm_str_printf(said, "%s%.*s is -n %s", said->len ? ", " : "",
                   (int)strcspn(argv[t.option], "="), argv[t.option], value);
    put(argv, &t, option, value, both);
    if (e.text)
        put(argv, &e, option, value, both);
}

/* CompVis' --resume FILE names the checkpoint; here it is a switch. */
static void name_checkpoint(int argc, char **argv, ldm_str *said)
{
    static char option[] = "--ckpt";

    for (int i = 1; i + 1 < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--resume") != 0 || argv[i + 1][0] == '-' || access(argv[i + 1], F_OK))
            continue;
        ldm_str_printf(said, "%s--resume %s is --ckpt %s", said->len ? ", " : "", argv[i + 1],
                       argv[i + 1]);
        argv[i] = option;
    }
}

void ldm_joined_rewrite(const ldm_entries *all, int argc, char **argv, ldm_str *said, bool *others)
{
    if (ldm_entries_find(all, "size", 0))
        join_size(argc, argv, said, others);
    if (ldm_entries_find(all, "count", 0))
        join_count(argc, argv, said, others);
    if (ldm_entries_find(all, "resume", 0) && ldm_entries_find(all, "ckpt", 0))
        name_checkpoint(argc, argv, said);
}
