/*
 * fake.h - a process's side of the protocol with a broker that is a list: what is posted is noted, what the broker would say is
 * said by hand.
 */
#ifndef TRI_TEST_PROC_FAKE_H
#define TRI_TEST_PROC_FAKE_H

#include <criterion/criterion.h>

#include "actors/core/proc.h"

enum { POSTS_MAX = 64 };

struct fake {
    struct tri_proc *proc;
    struct tri_route posts[POSTS_MAX];
    uint32_t entries[POSTS_MAX], sections[POSTS_MAX];
    uint32_t last_place; /* of the sections of the newest */
    uint32_t flags;      /* of the first entry of the newest that had one */
    size_t count;
    uint64_t credit, released, ready, freed, ran, dropped;
    uint64_t here, refused; /* answers to WANT, */
    trp_err why;            /* and the last one's error */
    uint8_t cancelled;      /* what the newest that had started was told */
    struct tri_incoming *call;
    struct tri_packed body, value;
};

void fake_open(struct fake *fake, bool is_host);
void fake_open_actor(struct fake *fake); /* a host that has the actor {3, 4}, of the epoch 5 */
void fake_close(struct fake *fake);
/* What the broker says. */
void fake_hear(struct fake *fake, struct tri_route route, const struct tri_section *section);
void fake_hear_ids(struct fake *fake, uint8_t kind, struct tri_id id);

/* The mark of a traced call. */
extern const struct tri_section fake_mark;

#endif
