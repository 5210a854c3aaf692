/* SPDX-License-Identifier: MIT */
/* Inside the room: a grammar as it was read. All texts and arrays lie in its arena. */
#ifndef LDM_CAPTION_GRAMMAR_H
#define LDM_CAPTION_GRAMMAR_H

#include <stdbool.h>

#include "base/arena.h"
#include "caption/caption.h"

enum {
    LDM_GRAMMAR_WAYS = 256,  /* lines of one fact or rule */
    LDM_GRAMMAR_TOPICS = 64, /* bits of a set of topics */
};

/* key=a|b or key!=a|b: whether a fact is one of these values. */
typedef struct ldm_condition {
    size_t fact;
    bool wanted; /* false: it must be none of them */
    const char **values;
    size_t count;
} ldm_condition;

typedef enum ldm_join {
    LDM_JOIN_NONE, /* {rule} */
    LDM_JOIN_AND,  /* {and rule LOW HIGH}: a, b and c */
    LDM_JOIN_COMMA,
    LDM_JOIN_SPACE,
} ldm_join;

/* A piece of a line: words as they stand, or texts of a rule. */
typedef struct ldm_piece {
    const char *words; /* NULL: a rule */
    const char *name;  /* of the rule */
    size_t rule;
    ldm_join join;
    int low, high;
} ldm_piece;

typedef struct ldm_way {
    int line; /* of the file, for messages */
    double share;
    ldm_condition *conditions;
    size_t condition_count;
    int topic;         /* -1: none */
    const char *value; /* of a fact's line */
    ldm_piece *pieces; /* of a rule's */
    size_t piece_count;
} ldm_way;

/* A fact with its values, or a rule with its lines. */
typedef struct ldm_ways {
    const char *name;
    ldm_way *at;
    size_t count, cap;
} ldm_ways;

struct ldm_grammar {
    ldm_arena *arena;
    const char *name; /* of the file */
    ldm_ways *facts, *rules;
    size_t fact_count, fact_cap, rule_count, rule_cap;
    const char *topics[LDM_GRAMMAR_TOPICS];
    int topic_count;
    size_t caption; /* the rule of this name, with which a caption begins */
};

#endif
