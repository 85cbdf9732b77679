/*
 * spill_memory.c - see spill_memory.h. One thread.
 */
#include "tests/store/spill_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct memory *
memory_of(struct tri_spill_backend *backend)
{
    return (struct memory *)(void *)backend;
}

static struct memory_file *
file_of(struct tri_spill_handle *handle)
{
    return (struct memory_file *)(void *)handle;
}

/* Every operation begins with this: what it has to fail with, or 0. */
static int
count(struct memory *memory)
{
    memory->operations++;
    memory->waited_ns += memory->delay_ns;
    return memory->fail_count > 0 && memory->operations >= memory->fail_from &&
                   memory->operations - memory->fail_from < memory->fail_count
               ? memory->errnum
               : 0;
}

struct memory_file *
memory_find(struct memory *memory, uint64_t number)
{
    for (size_t i = 0; i < MEMORY_FILES; i++)
        if (memory->files[i].used && !memory->files[i].removed && memory->files[i].number == number)
            return &memory->files[i];
    return NULL;
}

uint64_t
memory_bytes(const struct memory *memory)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < MEMORY_FILES; i++)
        if (memory->files[i].used && !memory->files[i].removed)
            bytes += memory->files[i].size;
    return bytes;
}

static void
end_file(struct memory_file *file)
{
    free(file->data);
    memset(file, 0, sizeof *file);
}

static struct memory_file *
new_file(struct memory *memory, uint64_t number)
{
    for (size_t i = 0; i < MEMORY_FILES; i++)
        if (!memory->files[i].used) {
            memory->files[i].used = true;
            memory->files[i].number = number;
            return &memory->files[i];
        }
    return NULL;
}

static void
resize(struct memory_file *file, uint64_t size)
{
    if (size > file->capacity) {
        file->capacity = size > 2 * file->capacity ? size : 2 * file->capacity;
        file->data = realloc(file->data, file->capacity);
        TRI_ASSERT(file->data != NULL);
    }
    if (size > file->size)
        memset(file->data + file->size, 0, size - file->size);
    file->size = size;
}

struct memory_file *
memory_put(struct memory *memory, uint64_t number, const void *data, uint64_t size)
{
    struct memory_file *file = new_file(memory, number);
    TRI_ASSERT(file != NULL);
    resize(file, size);
    if (size > 0)
        memcpy(file->data, data, size);
    return file;
}

static int
memory_open(struct tri_spill_backend *backend, uint64_t number, bool create, struct tri_spill_handle **handle)
{
    struct memory *memory = memory_of(backend);
    struct memory_file *file = memory_find(memory, number);
    const int failed = count(memory);
    if (failed != 0)
        return failed;
    if (create && file != NULL)
        return EEXIST;
    if (create)
        file = new_file(memory, number);
    if (file == NULL)
        return create ? ENOSPC : ENOENT;
    file->open_count++;
    memory->handles++;
    *handle = (struct tri_spill_handle *)(void *)file;
    return 0;
}

static void
memory_close(struct tri_spill_backend *backend, struct tri_spill_handle *handle)
{
    struct memory_file *file = file_of(handle);
    TRI_ASSERT(file->used && file->open_count > 0);
    memory_of(backend)->handles--;
    if (--file->open_count == 0 && file->removed)
        end_file(file);
}

static int
memory_write(struct tri_spill_backend *backend, struct tri_spill_handle *handle, uint64_t offset, struct iovec *pieces,
             int piece_count)
{
    struct memory *memory = memory_of(backend);
    struct memory_file *file = file_of(handle);
    const int failed = count(memory);
    uint64_t most = UINT64_MAX, room = UINT64_MAX;
    if (failed != 0)
        return failed;
    if (++memory->writes == memory->tear_at)
        most = memory->tear_size;
    if (memory->capacity > 0)
        room = memory->capacity - memory_bytes(memory);
    for (int i = 0; i < piece_count; i++) {
        uint64_t size = pieces[i].iov_len < most ? pieces[i].iov_len : most;
        const bool full = size > room;
        size = full ? room : size;
        if (offset + size > file->size)
            resize(file, offset + size);
        if (size > 0)
            memcpy(file->data + offset, pieces[i].iov_base, size);
        if (full)
            return ENOSPC;
        offset += size;
        most -= size;
        room -= size;
        memset(&pieces[i], 0, sizeof pieces[i]); /* it may change them, so it does */
    }
    return 0;
}

static int
memory_read(struct tri_spill_backend *backend, struct tri_spill_handle *handle, uint64_t offset, void *to, size_t size,
            size_t *got)
{
    const struct memory_file *file = file_of(handle);
    const int failed = count(memory_of(backend));
    if (failed != 0)
        return failed;
    *got = offset < file->size ? file->size - offset : 0;
    *got = *got < size ? *got : size;
    if (*got > 0)
        memcpy(to, file->data + offset, *got);
    return 0;
}

static int
memory_cut(struct tri_spill_backend *backend, struct tri_spill_handle *handle, uint64_t size)
{
    const int failed = count(memory_of(backend));
    if (failed == 0)
        resize(file_of(handle), size);
    return failed;
}

static int
memory_sync(struct tri_spill_backend *backend, struct tri_spill_handle *handle)
{
    (void)handle;
    return count(memory_of(backend));
}

static int
memory_remove(struct tri_spill_backend *backend, uint64_t number)
{
    struct memory *memory = memory_of(backend);
    struct memory_file *file = memory_find(memory, number);
    const int failed = count(memory);
    if (failed != 0 || file == NULL)
        return failed != 0 ? failed : ENOENT;
    file->removed = true;
    if (file->open_count == 0)
        end_file(file);
    return 0;
}

static int
memory_list(struct tri_spill_backend *backend, tri_spill_visit *visit, void *user, uint64_t *foreign)
{
    struct memory *memory = memory_of(backend);
    const int failed = count(memory);
    if (failed != 0)
        return failed;
    *foreign = 0;
    for (size_t i = 0; i < MEMORY_FILES; i++)
        if (memory->files[i].used && !memory->files[i].removed)
            visit(user, memory->files[i].number, memory->files[i].size);
    return 0;
}

static int
memory_room(struct tri_spill_backend *backend, uint64_t *bytes)
{
    struct memory *memory = memory_of(backend);
    const int failed = count(memory);
    if (failed == 0)
        *bytes = memory->capacity > 0 ? memory->capacity - memory_bytes(memory) : UINT64_C(1) << 40;
    return failed;
}

static void
memory_destroy(struct tri_spill_backend *backend)
{
    struct memory *memory = memory_of(backend);
    for (size_t i = 0; i < MEMORY_FILES; i++)
        if (memory->files[i].used)
            end_file(&memory->files[i]);
}

static const struct tri_spill_ops memory_ops = {
    .name = "memory",
    .open = memory_open,
    .close = memory_close,
    .write = memory_write,
    .read = memory_read,
    .cut = memory_cut,
    .sync = memory_sync,
    .remove = memory_remove,
    .list = memory_list,
    .room = memory_room,
    .destroy = memory_destroy,
};

void
memory_init(struct memory *memory)
{
    memset(memory, 0, sizeof *memory);
    memory->backend.ops = &memory_ops;
    memory->backend.where = "memory";
}
