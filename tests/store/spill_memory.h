/*
 * spill_memory.h - a backend in memory for tests: it counts, waits in numbers only, fails and tears where it is told, and shows
 * its files, so that a test can damage them.
 */
#ifndef SPILL_MEMORY_H
#define SPILL_MEMORY_H

#include "store/spill/backend.h"

enum { MEMORY_FILES = 256 };

struct memory_file {
    uint64_t number, size, capacity;
    uint8_t *data;
    uint32_t open_count;
    bool used, removed;
};

struct memory {
    struct tri_spill_backend backend;
    struct memory_file files[MEMORY_FILES];
    uint64_t capacity;   /* of all files: a write that does not fit writes what does, and is ENOSPC; 0: no limit */
    uint64_t operations; /* so far, of those that can fail */
    uint64_t fail_from, fail_count; /* operations fail_from, fail_from + 1... fail_count of them fail; the first is 1 */
    int errnum;                     /* with this */
    uint64_t writes, tear_at, tear_size; /* write number tear_at writes tear_size bytes, and says that it was all */
    uint64_t delay_ns, waited_ns;        /* each operation would have waited for so long; all of them together */
    uint64_t handles;                    /* that are open */
};

void memory_init(struct memory *memory); /* ended with tri_spill_backend_destroy, or not at all */
struct memory_file *memory_find(struct memory *memory, uint64_t number); /* NULL: there is none */
/* A file with these bytes. */
struct memory_file *memory_put(struct memory *memory, uint64_t number, const void *data, uint64_t size);
uint64_t memory_bytes(const struct memory *memory); /* of all files that are there */

#endif
