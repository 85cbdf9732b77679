/*
 * limit.h - how large the arena of a node may become. A size that was asked for is taken as it is or refused; the usual one,
 * 30 % of the memory, shrinks to what is left of shared memory and of the control group, and says so.
 */
#ifndef TRI_LIMIT_H
#define TRI_LIMIT_H

#include "store/runs.h"

#define TRI_ARENA_LEAST     (UINT64_C(16) << 20) /* bytes; less is refused */
#define TRI_ARENA_MOST      (UINT64_C(1) << 42)  /* what the word of a slot can say the place of (store/pins.h) */
#define TRI_ARENA_SHARE_PCT 30

/* Bytes; UINT64_MAX: not limited. */
struct tri_memory {
    uint64_t total;       /* of the machine */
    uint64_t shm_left;    /* of /dev/shm: a container's may be 64 MB */
    uint64_t cgroup_left; /* of the control group and of all around it */
};

/* Where these figures are read; NULL: the usual places. For tests. */
struct tri_memory_places {
    const char *meminfo, *shm_dir, *cgroup_dir, *own_cgroup;
};

/* What the system says now. TRP_EINVAL: it does not (no /proc, no /dev/shm). Version 2 of control groups; where there is none, none
 * limits. */
trp_err tri_memory_read(const struct tri_memory_places *places, struct tri_memory *memory, trp_error *error);

/* Bytes that programs may have here: the machine's, or a control group's if that is less. 0: nothing says so. */
uint64_t tri_memory_most(const struct tri_memory_places *places);

/*
 * The arena's limit in bytes, a multiple of 4096. asked: 0 is the usual. `said` (may be NULL) is what to tell the node's owner: empty, or why
 * the usual size is less than usual. Errors: TRP_ESTOREFULL with the size that would do. Pure.
 */
trp_err tri_arena_limit(const struct tri_memory *memory, uint64_t asked, uint64_t *limit, char *said, size_t said_size,
                        trp_error *error);

#endif
