/* SPDX-License-Identifier: MIT */
/* Inside the room: what a set of pictures is to the measures. */
#ifndef LDM_MEASURE_QUALITY_SET_H
#define LDM_MEASURE_QUALITY_SET_H

#include "image/frechet.h"
#include "image/picture.h"
#include "measure/inception_net.h"

/* Which features statistics are of. */
typedef enum ldm_stat_kind { LDM_STAT_MAIN, LDM_STAT_SPATIAL, LDM_STAT_KINDS } ldm_stat_kind;

/* Its tap; its measure, LDM_QUALITY_FID or _SFID. */
ldm_tap ldm_stat_tap(ldm_stat_kind k);
unsigned ldm_stat_measure(ldm_stat_kind k);

/* Mean and covariance; mean NULL: there are none. */
typedef struct ldm_set_stats {
    double *mean, *cov; /* one block, at mean */
    uint64_t count;     /* pictures; 0: not known */
} ldm_set_stats;

/* Room for them, zeroed. */
ldm_status ldm_set_stats_create(ldm_stat_kind k, ldm_set_stats *out, ldm_error *err);
void ldm_set_stats_free(ldm_set_stats *s); /* zeroed struct is fine */
ldm_normal ldm_set_stats_normal(ldm_stat_kind k, const ldm_set_stats *s);

struct ldm_quality_set {
    ldm_inception *net; /* NULL: statistics and features from files only */
    ldm_quality_settings how;
    ldm_picture *waiting; /* [LDM_INCEPTION_BATCH]: that have not gone through the network yet */
    int waiting_count;
    float *features[LDM_TAPS]; /* [pictures][dim]; NULL: not wanted */
    size_t pictures, capacity;
    size_t from_files;      /* of the pictures: features that were read */
    uint32_t width, height; /* of the first picture; 0: there was none */
    bool mixed;             /* another has another size */

    ldm_set_stats given[LDM_STAT_KINDS]; /* from files */
    ldm_set_stats stats[LDM_STAT_KINDS]; /* of the whole, once finished */
    bool finished;
    char network[65]; /* of the files' statistics and features; "": not known */
    char mode[16];    /* likewise */
    char sha256[65];  /* of the statistics; "": not computed yet */
    char text[512];
};

/* A picture in the memory of the caller. */
ldm_status ldm_quality_set_take(ldm_quality_set *s, uint32_t width, uint32_t height,
                                const uint8_t *rgb, ldm_error *err);
/* Sends what waits through the network. */
ldm_status ldm_quality_set_flush(ldm_quality_set *s, ldm_error *err);
/* Whether the measures need a feature. */
bool ldm_quality_set_wants(const ldm_quality_set *s, ldm_tap t);
/* Room for features of `count` pictures more. */
ldm_status ldm_quality_set_make_room(ldm_quality_set *s, size_t count, ldm_error *err);
/* The network's threads; NULL without a network: the caller's one. */
ldm_pool *ldm_quality_set_pool(const ldm_quality_set *s);
/* Statistics from a file, merged with those of other files. Takes *stats over, or frees it. */
ldm_status ldm_quality_set_take_stats(ldm_quality_set *s, ldm_stat_kind k, ldm_set_stats *stats,
                                      const char *path, ldm_error *err);

#endif
