/*
 * runs_inside.h - the table of runs.h, as runs.c, which changes it, and runs_look.c, which does not, both know it. Nobody else includes
 * it.
 */
#ifndef TRI_RUNS_INSIDE_H
#define TRI_RUNS_INSIDE_H

#include "store/runs.h"

#define NONE    0u
#define CLASSES 256u
#define BLOCK   16u /* granules */

enum state { HOLE, FREE, TAKEN };

struct node {
    uint32_t start, count;
    uint32_t before, behind; /* neighbours by address; NONE: the end. Of unused nodes: `behind` is the next one */
    uint32_t bin_next, bin_prev;
    uint8_t state;
};

struct tri_runs {
    uint32_t limit;
    uint32_t first; /* lowest address */
    struct node *nodes;
    size_t capacity;
    uint32_t used, unused, unused_count; /* nodes ever used, those to be used again */
    uint32_t *at;                        /* [granule / BLOCK]: the first node that begins in there; NONE */
    uint16_t *warm;                      /* [granule / TRI_WARM_GRANULES]: the process that wrote it last */
    uint32_t bins[CLASSES];
    uint64_t filled[CLASSES / 64];
    uint64_t backed, taken;
    uint32_t taken_runs, free_runs;
};

static inline struct node *
node(const struct tri_runs *runs, uint32_t index)
{
    return &runs->nodes[index];
}

static inline uint32_t
end_of(const struct node *run)
{
    return run->start + run->count;
}

/* The node that `start` lies in. */
static inline uint32_t
node_around(const struct tri_runs *runs, uint32_t start)
{
    uint32_t block = start / BLOCK, index = runs->at[block], behind;
    while (index == NONE || node(runs, index)->start > start)
        index = runs->at[--block];
    while ((behind = node(runs, index)->behind) != NONE && node(runs, behind)->start <= start)
        index = behind;
    return index;
}

/* The node that begins there; NONE: none does. */
static inline uint32_t
node_at(const struct tri_runs *runs, uint32_t start)
{
    uint32_t index = runs->at[start / BLOCK];
    while (index != NONE && node(runs, index)->start < start)
        index = node(runs, index)->behind;
    return index != NONE && node(runs, index)->start == start ? index : NONE;
}

/* Sizes below 16 have a bin each, then there are 8 to a power of two. */
static inline uint32_t
class_of(uint32_t count)
{
    if (count < 16)
        return count;
    const uint32_t log = 31 - (uint32_t)__builtin_clz(count);
    return 16 + (log - 4) * 8 + ((count >> (log - 3)) & 7);
}

/* The first bin from `class` on that has any; CLASSES: none. */
static inline uint32_t
next_filled(const struct tri_runs *runs, uint32_t class)
{
    for (uint32_t word = class / 64; word < CLASSES / 64; word++) {
        uint64_t bits = runs->filled[word];
        if (word == class / 64)
            bits &= UINT64_MAX << class % 64;
        if (bits != 0)
            return word * 64 + (uint32_t)__builtin_ctzll(bits);
    }
    return CLASSES;
}

#endif
