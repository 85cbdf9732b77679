/*
 * packed.c - the memory of tri_packed: grown when needed, reused from message to message, given back when it was unusually
 * much. Any thread, one at a time per tri_packed.
 */
#include "schemas/packed.h"

#include <stdlib.h>
#include <string.h>

enum {
    KEEP_ITEMS = 16 * 1024, /* nodes that a scratch keeps room for */
    KEEP_META = 512 * 1024,
    KEEP_BYTES = 1024 * 1024, /* of a buffer for small sections */
    FIRST_BYTES = 512,
    KEEP_SHAPE = 512 /* larger ones are not built often enough */
};

struct tri_scratch *
tri_packed_scratch(struct tri_packed *packed)
{
    if (packed->scratch == NULL)
        packed->scratch = calloc(1, sizeof(struct tri_scratch));
    return packed->scratch;
}

void
tri_packed_done(struct tri_packed *packed)
{
    struct tri_scratch *scratch = packed->scratch;
    if (scratch->value_capacity > KEEP_ITEMS) {
        free(scratch->nodes);
        free(scratch->values);
        free(scratch->keys);
        scratch->nodes = NULL;
        scratch->values = NULL;
        scratch->keys = NULL;
        scratch->node_capacity = scratch->value_capacity = scratch->key_capacity = 0;
    }
    if (scratch->meta_capacity > KEEP_META) {
        scratch->shape.count = 0;
        free(scratch->meta);
        scratch->meta = NULL;
        scratch->meta_capacity = 0;
    }
}

void
tri_packed_fini(struct tri_packed *packed)
{
    struct tri_scratch *scratch = packed->scratch;
    if (scratch != NULL) {
        free(scratch->nodes);
        free(scratch->values);
        free(scratch->keys);
        free(scratch->meta);
        free(scratch);
    }
    free(packed->refs);
    tri_buf_release(&packed->buf);
    memset(packed, 0, sizeof *packed);
}

trp_err
tri_packed_begin(struct tri_packed *packed, size_t bound, struct tri_meta *meta, trp_error *error)
{
    struct tri_scratch *scratch = tri_packed_scratch(packed);
    if (scratch == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory to pack a message");
    if (bound > TRI_META_MAX)
        return TRI_FAIL(error, TRP_ELIMIT, "a message of %zu structured bytes; the limit is %d", bound, TRI_META_MAX);
    bound = tri_pad8(bound);
    scratch->shape.count = 0;
    if (scratch->buf_capacity > KEEP_BYTES) { /* what was packed last is over, and its room too large to keep */
        tri_buf_release(&packed->buf);
        scratch->buf_capacity = 0;
    }
    if (scratch->meta_capacity < bound) {
        size_t capacity = bound < FIRST_BYTES ? FIRST_BYTES : tri_pad8(bound + bound / 2);
        uint8_t *memory = malloc(capacity);
        if (memory == NULL)
            return TRI_FAIL(error, TRP_ENOMEM, "no memory for a message of %zu bytes", bound);
        free(scratch->meta);
        scratch->meta = memory;
        scratch->meta_capacity = capacity;
    }
    meta->memory = scratch->meta;
    meta->capacity = scratch->meta_capacity;
    return TRP_OK;
}

bool
tri_packed_again(struct tri_packed *packed, const char *method, const struct tri_meta_nodes *nodes,
                 struct tri_meta *meta)
{
    const struct tri_scratch *scratch = packed->scratch;
    const struct tri_shape *shape = &scratch->shape;
    if (shape->count == 0 || shape->count != nodes->count || (shape->method == NULL) != (method == NULL) ||
        (method != NULL && strcmp(shape->method, method) != 0))
        return false;
    memcpy(shape->nodes, nodes->nodes, nodes->count * sizeof *nodes->nodes);
    *meta = shape->meta;
    return true;
}

void
tri_packed_shape(struct tri_packed *packed, bool call, const struct tri_meta *meta)
{
    struct tri_scratch *scratch = packed->scratch;
    struct tri_shape *shape = &scratch->shape;
    struct tri_meta_nodes nodes;
    shape->method = NULL;
    if (meta->size > KEEP_SHAPE || (call ? !tri_meta_open_call(meta->data, meta->size, &shape->method, &nodes)
                                         : !tri_meta_open_value(meta->data, meta->size, &nodes)))
        return;
    shape->meta = *meta;
    shape->nodes = (struct tri_wire_node *)(uintptr_t)nodes.nodes; /* in our own memory */
    shape->count = nodes.count;
}

/* A buffer for `size` bytes that nobody else holds. Its size shows what is in it: buffers of large sections are sent as they
 * are. */
static trp_err
make_room(struct tri_packed *packed, struct tri_scratch *scratch, size_t size, trp_error *error)
{
    struct tri_buf *buf = packed->buf;
    bool wasteful = size > TRI_COPY_MAX && scratch->buf_capacity / 2 > size;
    if (buf != NULL && atomic_load_explicit(&buf->references, memory_order_acquire) == 1 &&
        scratch->buf_capacity >= size && !wasteful) {
        buf->size = size;
        return TRP_OK;
    }
    size_t capacity = size < FIRST_BYTES ? FIRST_BYTES : size;
    buf = tri_buf_new(capacity);
    if (buf == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a message of %zu bytes", size);
    tri_buf_release(&packed->buf);
    packed->buf = buf;
    scratch->buf_capacity = capacity;
    buf->size = size;
    return TRP_OK;
}

/* Room in the arena, if there is any to be had: *taken. It is never written again, so it is no buffer for the next one. */
static trp_err
take_room(struct tri_packed *packed, const struct tri_rooms *rooms, size_t size, bool *taken, trp_error *error)
{
    struct tri_scratch *scratch = packed->scratch;
    struct tri_buf *buf = NULL;
    TRP_TRY(rooms->take(rooms->user, size, &buf, error));
    *taken = buf != NULL;
    if (buf == NULL)
        return TRP_OK;
    tri_buf_release(&packed->buf);
    packed->buf = buf;
    scratch->buf_capacity = 0;
    return TRP_OK;
}

/* Memory of its own, to be written after this. */
static trp_err
make_own(struct tri_packed *packed, size_t size, trp_error *error)
{
    struct tri_buf *buf = tri_buf_room_new(size, false);
    if (buf == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a value of %zu bytes", size);
    tri_buf_release(&packed->buf);
    packed->buf = buf;
    tri_packed_scratch(packed)->buf_capacity = 0;
    return TRP_OK;
}

trp_err
tri_packed_finish(struct tri_packed *packed, const struct tri_meta *meta, uint64_t block_size, uint32_t ref_count,
                  const struct tri_rooms *rooms, uint8_t **block, trp_error *error)
{
    const bool own = packed->blanks != NULL, aligned = own || rooms != NULL;
    const size_t align = aligned ? TRI_TENSOR_ALIGN : 8; /* zeros behind a FlatBuffer are nothing to it */
    const size_t start = (meta->size + align - 1) & ~(align - 1), size = start + (size_t)block_size;
    bool taken = false;
    if (rooms != NULL && size <= TRI_STORED_MAX)
        TRP_TRY(take_room(packed, rooms, size, &taken, error));
    if (!taken && (block_size > TRI_FRAME_MAX || size > TRI_FRAME_MAX))
        return TRI_FAIL(error, TRP_ELIMIT, "a value of %zu bytes as it is packed, and a message carries %d", size,
                        TRI_FRAME_MAX);
    if (!taken)
        TRP_TRY(own ? make_own(packed, size, error) : make_room(packed, packed->scratch, size, error));
    uint8_t *data = packed->buf->data;
    memcpy(data, meta->data, meta->size);
    memset(data + meta->size, 0, start - meta->size);
    *block = data + start;
    packed->section = (struct tri_section){.ref_count = ref_count,
                                           .refs = ref_count > 0 ? packed->refs : NULL,
                                           .meta_size = (uint32_t)(aligned ? start : meta->size),
                                           .size = size,
                                           .data = data,
                                           .frame = own || size > TRI_COPY_MAX ? packed->buf : NULL};
    return TRP_OK;
}

trp_err
tri_packed_take(struct tri_packed *packed, struct tri_buf *buf, uint32_t meta_size, trp_error *error)
{
    struct tri_scratch *scratch = tri_packed_scratch(packed);
    if (scratch == NULL) {
        tri_buf_release(&buf);
        return TRI_FAIL(error, TRP_ENOMEM, "no memory to pack a message");
    }
    tri_buf_release(&packed->buf);
    packed->buf = buf;
    scratch->buf_capacity = 0;
    packed->section = (struct tri_section){.meta_size = meta_size, .size = buf->size, .data = buf->data, .frame = buf};
    return TRP_OK;
}

void
tri_packed_forget(struct tri_packed *packed)
{
    if (packed->buf == NULL || (packed->buf->place == NULL && tri_buf_room(packed->buf) > 0))
        return;
    tri_buf_release(&packed->buf);
    packed->section = (struct tri_section){0};
}
