/*
 * memory.c - pooled blocks for the records of a process: free lists by size, cut from slabs, given back at the end.
 * Under the process's lock. It must not know what lies in them.
 */
#include "actors/core/state.h"

struct tri_memory_slab {
    struct tri_memory_slab *next;
    uint64_t padding;
};

static size_t
class_of(size_t size)
{
    return size == 0 ? 0 : (size - 1) / TRI_BLOCK_STEP;
}

/* The next block of a slab that all sizes share: what is not used is not touched either. */
static void *
carve(struct tri_memory *memory, size_t size)
{
    void *block;

    if (memory->fresh_bytes < size) {
        struct tri_memory_slab *slab = malloc(sizeof *slab + TRI_SLAB_BYTES);
        if (slab == NULL)
            return NULL;
        slab->next = memory->slabs;
        memory->slabs = slab;
        memory->fresh = (char *)(slab + 1);
        memory->fresh_bytes = TRI_SLAB_BYTES;
    }
    block = memory->fresh;
    memory->fresh += size;
    memory->fresh_bytes -= size;
    return block;
}

void *
tri_memory_take(struct tri_memory *memory, size_t size)
{
    size_t class = class_of(size);
    void **block;

#if !defined(__SANITIZE_ADDRESS__) /* which wants to see each block's end */
    if (class < TRI_BLOCK_CLASSES) {
        block = memory->free[class];
        if (block == NULL)
            return carve(memory, (class + 1) * TRI_BLOCK_STEP);
        memory->free[class] = *block;
        return block;
    }
#else
    (void)memory;
    (void)class;
    (void)block;
    (void)carve;
#endif
    return malloc(size == 0 ? 1 : size);
}

void
tri_memory_put(struct tri_memory *memory, void *block, size_t size)
{
    size_t class = class_of(size);

    if (block == NULL)
        return;
#if !defined(__SANITIZE_ADDRESS__)
    if (class < TRI_BLOCK_CLASSES) {
        *(void **)block = memory->free[class];
        memory->free[class] = block;
        return;
    }
#else
    (void)memory;
    (void)class;
#endif
    free(block);
}

void
tri_memory_fini(struct tri_memory *memory)
{
    while (memory->slabs != NULL) {
        struct tri_memory_slab *slab = memory->slabs;
        memory->slabs = slab->next;
        free(slab);
    }
    memset(memory, 0, sizeof *memory);
}
