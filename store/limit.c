/*
 * limit.c - limit.h: reading the figures, and the rule. It must not know the arena.
 */
#include "store/limit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#define MIB (UINT64_C(1) << 20)

/* A line `key number`, or with an empty key the file's first word; false: there is none ("max"). */
static bool
read_number(const char *path, const char *key, uint64_t *number)
{
    FILE *file = fopen(path, "re");
    char line[256];
    bool found = false;
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        char *end;
        if (strncmp(line, key, strlen(key)) != 0)
            continue;
        errno = 0;
        *number = strtoull(line + strlen(key), &end, 10);
        found = errno == 0 && end != line + strlen(key);
    }
    if (file != NULL)
        (void)fclose(file);
    return found;
}

/* The path of our control group below its mount, "/a/b"; "" is the outermost. */
static void
own_group(const char *file_name, char *path, size_t size)
{
    FILE *file = fopen(file_name, "re");
    char line[4096];
    path[0] = '\0';
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "0::/", 4) == 0) {
            line[strcspn(line, "\n")] = '\0';
            (void)tri_text_copy(path, size, strcmp(line + 3, "/") == 0 ? "" : line + 3);
        }
    if (file != NULL)
        (void)fclose(file);
}

/* The least that our group and those around it may have, or that is left of that. */
static uint64_t
group_least(const char *mount, const char *own, bool left)
{
    char group[3900], path[4096];
    uint64_t least = UINT64_MAX;
    own_group(own, group, sizeof group);
    for (;;) {
        uint64_t most = 0, used = 0;
        (void)snprintf(path, sizeof path, "%s%s/memory.max", mount, group);
        const bool limited = read_number(path, "", &most);
        (void)snprintf(path, sizeof path, "%s%s/memory.current", mount, group);
        if (limited && (!left || read_number(path, "", &used)) && (most > used ? most - used : 0) < least)
            least = most > used ? most - used : 0;
        char *slash = strrchr(group, '/');
        if (slash == NULL)
            return least;
        *slash = '\0';
    }
}

static const struct tri_memory_places usual_places = {"/proc/meminfo", "/dev/shm", "/sys/fs/cgroup",
                                                      "/proc/self/cgroup"};

trp_err
tri_memory_read(const struct tri_memory_places *places, struct tri_memory *memory, trp_error *error)
{
    const struct tri_memory_places *at = places != NULL ? places : &usual_places;
    uint64_t total_kib;
    struct statvfs shm;
    if (!read_number(at->meminfo, "MemTotal:", &total_kib))
        return TRI_FAIL(error, TRP_EINVAL, "%s does not say how much memory there is", at->meminfo);
    if (statvfs(at->shm_dir, &shm) != 0)
        return tri_fail_errno(error, TRP_EINVAL, errno, "there is no shared memory at %s", at->shm_dir);
    *memory = (struct tri_memory){.total = total_kib * 1024,
                                  .shm_left = (uint64_t)shm.f_bavail * shm.f_frsize,
                                  .cgroup_left = group_least(at->cgroup_dir, at->own_cgroup, true)};
    return TRP_OK;
}

uint64_t
tri_memory_most(const struct tri_memory_places *places)
{
    const struct tri_memory_places *at = places != NULL ? places : &usual_places;
    const uint64_t group = group_least(at->cgroup_dir, at->own_cgroup, false);
    uint64_t total_kib;
    const uint64_t machine = read_number(at->meminfo, "MemTotal:", &total_kib) ? total_kib * 1024 : UINT64_MAX;
    const uint64_t most = group < machine ? group : machine;
    return most != UINT64_MAX ? most : 0;
}

trp_err
tri_arena_limit(const struct tri_memory *memory, uint64_t asked, uint64_t *limit, char *said, size_t said_size,
                trp_error *error)
{
    const bool shm_is_less = memory->shm_left < memory->cgroup_left;
    const uint64_t left = shm_is_less ? memory->shm_left : memory->cgroup_left;
    const char *what = shm_is_less ? "/dev/shm has" : "the control group's memory limit leaves";
    const uint64_t does = left - left % TRI_GRANULE;
    if (said != NULL && said_size > 0)
        said[0] = '\0';
    if (asked != 0 && asked < TRI_ARENA_LEAST)
        return TRI_FAIL(error, TRP_ESTOREFULL,
                        "an object store of %" PRIu64 " bytes is too small: at least %" PRIu64 " MiB", asked,
                        TRI_ARENA_LEAST / MIB);
    if (does < TRI_ARENA_LEAST)
        return TRI_FAIL(error, TRP_ESTOREFULL,
                        "%s %" PRIu64 " MiB left, and an object store needs at least %" PRIu64 " MiB", what, left / MIB,
                        TRI_ARENA_LEAST / MIB);
    if (asked > does)
        return TRI_FAIL(error, TRP_ESTOREFULL,
                        "an object store of %" PRIu64 " MiB does not fit: %s %" PRIu64 " MiB left; %" PRIu64
                        " bytes would do",
                        asked / MIB, what, left / MIB, does);
    if (asked > TRI_ARENA_MOST)
        return TRI_FAIL(error, TRP_ESTOREFULL,
                        "an object store of %" PRIu64 " bytes is too large: at most %" PRIu64 " MiB", asked,
                        TRI_ARENA_MOST / MIB);
    uint64_t usual = memory->total / 100 * TRI_ARENA_SHARE_PCT;
    usual = usual < TRI_ARENA_LEAST ? TRI_ARENA_LEAST : usual > TRI_ARENA_MOST ? TRI_ARENA_MOST : usual;
    if (asked == 0 && usual > does && said != NULL)
        (void)snprintf(said, said_size, "the object store may have %" PRIu64 " MiB, not %" PRIu64 ": %s no more",
                       does / MIB, usual / MIB, what);
    const uint64_t taken = asked != 0 ? asked : usual < does ? usual : does;
    *limit = (taken + TRI_GRANULE - 1) / TRI_GRANULE * TRI_GRANULE; /* `does` is a multiple */
    return TRP_OK;
}
