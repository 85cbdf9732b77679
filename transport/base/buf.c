/*
 * buf.c - counted blocks of bytes. Any thread may retain and release; libzmq's does. Knows nothing of their content.
 */
#include "transport/base/base.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The struct and its data lie in one block; malloc gives 16-aligned ones. Large data is aligned as tensors are. */
enum { DATA_OFFSET = (sizeof(struct tri_buf) + 15) & ~(size_t)15, LARGE = 64 * 1024, LARGE_ALIGN = 64 };
_Static_assert(sizeof(struct tri_buf) <= LARGE_ALIGN, "the data of a large one begins behind the struct");

static void
free_block(struct tri_buf *buf)
{
    free(buf);
}

struct tri_buf *
tri_buf_new(size_t size)
{
    const bool is_large = size >= LARGE;
    struct tri_buf *buf;

    if (size > SIZE_MAX - 2 * LARGE_ALIGN)
        return NULL;
    buf = is_large ? aligned_alloc(LARGE_ALIGN, (size + 2 * LARGE_ALIGN - 1) & ~(size_t)(LARGE_ALIGN - 1))
                   : malloc(DATA_OFFSET + size);
    if (buf == NULL)
        return NULL;
    atomic_init(&buf->references, 1);
    buf->data = (uint8_t *)buf + (is_large ? (size_t)LARGE_ALIGN : (size_t)DATA_OFFSET);
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

/* ------------------------------------------------------------------------------------------------ written for a while */

enum { ROOM_ALIGN = 64 };
#ifdef __OPTIMIZE__
static const bool always_pages = false;
#else
static const bool always_pages = true;
#endif

static void
free_aligned(struct tri_buf *buf)
{
    free(buf->data);
    free(buf);
}

static void
free_pages(struct tri_buf *buf)
{
    (void)munmap(buf->data, buf->size);
    free(buf);
}

static uint8_t *
take_pages(size_t size)
{
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return pages != MAP_FAILED ? pages : NULL;
}

struct tri_buf *
tri_buf_room_new(size_t size, bool pages)
{
    const bool mapped = size > 0 && (pages || always_pages);
    struct tri_buf *buf;

    if (size > SIZE_MAX - ROOM_ALIGN)
        return NULL;
    buf = calloc(1, sizeof *buf);
    if (buf == NULL)
        return NULL;
    atomic_init(&buf->references, 1);
    buf->data = mapped ? take_pages(size) : aligned_alloc(ROOM_ALIGN, (size + ROOM_ALIGN) & ~(size_t)(ROOM_ALIGN - 1));
    buf->size = size;
    buf->free = mapped ? free_pages : free_aligned;
    if (buf->data != NULL)
        return buf;
    free(buf);
    return NULL;
}

void
tri_buf_seal(struct tri_buf *buf)
{
    if (buf->free == free_pages)
        (void)mprotect(buf->data, buf->size, PROT_READ); /* refused: nobody is stopped, and nothing else is different */
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
