/*
 * arena.c - the root makes the node's arena before it starts a broker, and hands it to each: four objects of shared memory,
 * without names and without any memory of their own yet. What lies in them it does not know.
 */
#include "broker/node/root.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "store/store.h"

enum { SLOTS_LEAST = 1024, FIRST_FD = 64 }; /* above those that a broker's descriptors become */
#define GRANULES_MAX (UINT32_C(1) << 30)

/* A 16th of what is left is for the tables beside the arena, and for other programs. */
static trp_err
find_limit(const struct tri_root *root, uint64_t *limit, trp_error *error)
{
    const bool given = root->options.store_bytes != 0;
    struct tri_memory memory;
    char said[256];
    TRP_TRY(tri_memory_read(NULL, &memory, error));
    memory.shm_left -= memory.shm_left / 16;
    memory.cgroup_left -= memory.cgroup_left != UINT64_MAX ? memory.cgroup_left / 16 : 0;
    TRP_TRY(tri_arena_limit(&memory, root->options.store_bytes, limit, said, sizeof said, error));
    if (said[0] != '\0' && !given)
        tri_log(root->options.mode == TRI_ROOT_SERVICE ? TRI_WARNING : TRI_INFO, "%s", said);
    if (*limit / TRI_GRANULE > GRANULES_MAX)
        *limit = (uint64_t)GRANULES_MAX * TRI_GRANULE;
    return TRP_OK;
}

/* Its descriptors lie where no broker's are; it is not mapped here, nor in hosts. */
static trp_err
make(uint64_t size, struct tri_segment *segment, trp_error *error)
{
    TRP_TRY(tri_segment_create(size, segment, error));
    tri_segment_unmap(segment);
    int *const fds[] = {&segment->fd, &segment->read_fd};
    for (int i = 0; i < 2; i++) {
        const int fd = fcntl(*fds[i], F_DUPFD_CLOEXEC, FIRST_FD);
        if (fd < 0)
            return tri_fail_system(error, TRP_ELIMIT, errno, "no descriptors for the object store");
        close(*fds[i]);
        *fds[i] = fd;
    }
    return TRP_OK;
}

/* One for each 64 KiB. What is spilled keeps its slot. */
static uint32_t
slots_for(uint32_t granules)
{
    const uint32_t slots = granules / 16;
    return slots < SLOTS_LEAST ? SLOTS_LEAST : slots > TRI_SLOTS_MAX ? TRI_SLOTS_MAX : slots;
}

static trp_err
make_all(struct tri_node_arena *arena, uint64_t limit, trp_error *error)
{
    arena->granules = (uint32_t)(limit / TRI_GRANULE);
    arena->slots = slots_for(arena->granules);
    for (int i = 0; i < TRI_PARTS; i++)
        TRP_TRY(make(tri_part_bytes((enum tri_arena_part)i, arena->granules, arena->slots), &arena->parts[i], error));
    return TRP_OK;
}

trp_err
tri_root_make_arena(struct tri_root *root, trp_error *error)
{
    struct tri_node_arena *arena = &root->arena;
    uint64_t limit = 0;
    trp_error why;
    if (root->options.no_store)
        return TRP_OK;
    trp_err err = find_limit(root, &limit, &why);
    if (err == TRP_OK)
        err = make_all(arena, limit, &why);
    if (err == TRP_OK)
        return TRP_OK;
    tri_root_end_arena(root);
    if (root->options.store_bytes != 0)
        return TRI_FAIL(error, err, "%s; see --store", why.message);
    tri_log(TRI_WARNING, "the node has no object store in shared memory: %s", why.message);
    return TRP_OK;
}

void
tri_root_end_arena(struct tri_root *root)
{
    for (int i = 0; i < TRI_PARTS; i++)
        tri_segment_close(&root->arena.parts[i]);
    root->arena.granules = root->arena.slots = 0;
}
