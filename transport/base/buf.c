/*
 * buf.c - counted blocks of bytes. Any thread may retain and release; libzmq's does. Knows nothing of their content.
 */
#include "transport/base/base.h"

#include <stdlib.h>
#include <string.h>

/* The struct and its data lie in one block; malloc gives 16-aligned ones. */
enum { DATA_OFFSET = (sizeof(struct tri_buf) + 15) & ~(size_t)15 };

static void
free_block(struct tri_buf *buf)
{
    free(buf);
}

struct tri_buf *
tri_buf_new(size_t size)
{
    struct tri_buf *buf;

    if (size > SIZE_MAX - DATA_OFFSET)
        return NULL;
    buf = malloc(DATA_OFFSET + size);
    if (buf == NULL)
        return NULL;
    atomic_init(&buf->references, 1);
    buf->data = (uint8_t *)buf + DATA_OFFSET;
    buf->size = size;
    buf->place = NULL;
    buf->free = free_block;
    buf->room = size;
    return buf;
}

size_t
tri_buf_room(const struct tri_buf *buf)
{
    return buf->free == free_block ? buf->room : 0;
}

struct tri_buf *
tri_buf_copy(const void *data, size_t size)
{
    struct tri_buf *buf = tri_buf_new(size);

    if (buf != NULL && size > 0)
        memcpy(buf->data, data, size);
    return buf;
}

struct tri_buf *
tri_buf_retain(struct tri_buf *buf)
{
    if (buf != NULL)
        (void)atomic_fetch_add_explicit(&buf->references, 1, memory_order_relaxed);
    return buf;
}

void
tri_buf_release(struct tri_buf **buf)
{
    struct tri_buf *gone = *buf;
    uint32_t before;

    *buf = NULL;
    if (gone == NULL)
        return;
    before = atomic_fetch_sub_explicit(&gone->references, 1, memory_order_acq_rel);
    TRI_ASSERT(before != 0);
    if (before == 1)
        gone->free(gone);
}
