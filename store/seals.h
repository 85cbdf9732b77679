/*
 * seals.h - what a process has written for good: its own mapping to write lets nobody write there any more. For the last few;
 * those before them are as the rest. Not for several threads at once. It must not know what lies there.
 */
#ifndef TRI_STORE_SEALS_H
#define TRI_STORE_SEALS_H

#include "store/runs.h"

enum { TRI_SEALS_MAX = 256 }; /* each splits a mapping, of which a process has 65,530 */

struct tri_seals {
    struct tri_span spans[TRI_SEALS_MAX]; /* count 0: none */
    uint32_t next, count;
};

void tri_seals_close(struct tri_seals *seals, uint8_t *base, struct tri_span span);
/* It is written again, as something else. false: the system has no room for one more mapping, and it must not be touched. */
bool tri_seals_open(struct tri_seals *seals, uint8_t *base, struct tri_span span);

#endif
