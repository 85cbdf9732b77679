/*
 * mapped.c - what the root has mapped of its libraries' code stays mapped in its hosts. A fork hands on no page table of what
 * is only read from a file, so each host would fault in what all of them run, 16 pages at a time. The kernel copies the
 * table of a mapping in which a page was written: so one byte in each is written over itself. Where the system does
 * not let us, hosts start slower, no more. It knows nothing of what is in the mappings.
 */
#include "broker/node/root.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MANY = 64 }; /* pages in use from which on copying their entries costs less than faults */

struct mapping {
    uint64_t begin, end;
    char rights[5];
};

/* Whether so many of its pages are mapped, from /proc/self/pagemap. */
static bool
has_many(int pagemap, const struct mapping *mapping, uint64_t page_size)
{
    const uint64_t is_present = UINT64_C(1) << 63;
    uint64_t entries[512], page = mapping->begin / page_size;
    int count = 0;
    while (count < MANY && page < mapping->end / page_size) {
        const uint64_t left = mapping->end / page_size - page, room = sizeof entries / sizeof *entries;
        const ssize_t size = pread(pagemap, entries, (size_t)(left < room ? left : room) * sizeof *entries,
                                   (off_t)(page * sizeof *entries));
        if (size <= 0)
            return false;
        for (size_t i = 0; i < (size_t)size / sizeof *entries; i++, page++)
            count += (entries[i] & is_present) != 0;
    }
    return count >= MANY;
}

static void
write_over(int memory, const struct mapping *mapping)
{
    const char byte = *(const char *)(uintptr_t)mapping->begin;
    (void)!pwrite(memory, &byte, 1, (off_t)mapping->begin);
}

static void
look_at(int memory, int pagemap, const char *line, const void *code)
{
    const uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)code;
    struct mapping mapping;
    char file[2];
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*s %*s %*s %1s", &mapping.begin, &mapping.end, mapping.rights,
               file) != 4 ||
        strcmp(mapping.rights, "r-xp") != 0 || file[0] != '/')
        return;
    if (at >= mapping.begin && at < mapping.end)
        (void)madvise((void *)(uintptr_t)mapping.begin, mapping.end - mapping.begin, MADV_POPULATE_READ);
    if (has_many(pagemap, &mapping, page_size))
        write_over(memory, &mapping);
}

void
tri_root_keep_mapped(const void *code)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    const int memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    const int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    char *line = NULL;
    size_t size = 0;
    while (maps != NULL && memory >= 0 && pagemap >= 0 && getline(&line, &size, maps) > 0)
        look_at(memory, pagemap, line, code);
    free(line);
    if (memory >= 0)
        close(memory);
    if (pagemap >= 0)
        close(pagemap);
    if (maps != NULL)
        fclose(maps);
}
