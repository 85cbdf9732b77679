/*
 * memory.c - what a copy into shared memory costs, and reading a byte of it through a mapping of one's own. One thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/limits/limits.h"

struct tri_memory_limit {
    size_t size;
    int fd;
    unsigned char *from, *to; /* to: shared, all its pages touched by this process */
};

static trp_err
map_both(struct tri_memory_limit *memory)
{
    if ((memory->fd = memfd_create("troupe-limit", MFD_CLOEXEC)) < 0 || ftruncate(memory->fd, (off_t)memory->size) != 0)
        return TRP_EUNAVAILABLE;
    memory->from = malloc(memory->size);
    memory->to = mmap(NULL, memory->size, PROT_READ | PROT_WRITE, MAP_SHARED, memory->fd, 0);
    if (memory->from == NULL || memory->to == MAP_FAILED)
        return TRP_EUNAVAILABLE;
    memset(memory->from, 7, memory->size);
    memset(memory->to, 1, memory->size);
    return TRP_OK;
}

trp_err
tri_memory_limit_open(size_t size, struct tri_memory_limit **made, trp_error *error)
{
    struct tri_memory_limit *memory = calloc(1, sizeof *memory);

    if (memory == NULL)
        return tri_limit_fail(error, "no memory");
    memory->size = size;
    if (map_both(memory) != TRP_OK) {
        const int failed = errno;
        tri_memory_limit_close(&memory);
        return tri_limit_fail(error, "no shared memory of %zu bytes: %s", size, strerror(failed));
    }
    *made = memory;
    return TRP_OK;
}

void
tri_memory_limit_close(struct tri_memory_limit **made)
{
    struct tri_memory_limit *memory = *made;

    *made = NULL;
    if (memory == NULL)
        return;
    if (memory->to != NULL && memory->to != MAP_FAILED)
        munmap(memory->to, memory->size);
    free(memory->from);
    if (memory->fd >= 0)
        close(memory->fd);
    free(memory);
}

const void *
tri_memory_limit_source(const struct tri_memory_limit *memory)
{
    return memory->from;
}

uint64_t
tri_memory_limit_copy(struct tri_memory_limit *memory)
{
    const uint64_t before = tri_limit_now_ns();

    memcpy(memory->to, memory->from, memory->size);
    __asm__ volatile("" ::: "memory");
    return tri_limit_now_ns() - before;
}

uint64_t
tri_limit_pass(const void *bytes, size_t size)
{
    const uint64_t before = tri_limit_now_ns();
    const uint64_t *words = bytes;
    uint64_t sum = 0;

    for (size_t i = 0; i < size / sizeof *words; i++)
        sum += words[i];
    __asm__ volatile("" : : "r"(sum));
    return tri_limit_now_ns() - before;
}

uint64_t
tri_memory_limit_pass(const struct tri_memory_limit *memory)
{
    return tri_limit_pass(memory->to, memory->size);
}

trp_err
tri_memory_limit_read(struct tri_memory_limit *memory, uint64_t *took_ns, trp_error *error)
{
    const uint64_t before = tri_limit_now_ns();
    volatile const unsigned char *seen = mmap(NULL, memory->size, PROT_READ, MAP_SHARED, memory->fd, 0);

    if (seen == MAP_FAILED)
        return tri_limit_fail(error, "cannot map %zu bytes: %s", memory->size, strerror(errno));
    (void)seen[0];
    *took_ns = tri_limit_now_ns() - before;
    munmap((void *)(uintptr_t)seen, memory->size);
    return TRP_OK;
}
