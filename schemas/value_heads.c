/*
 * value_heads.c - copies of what a value in shared memory says of itself. Any thread; it must not know where that memory is from.
 */
#include "schemas/packed.h"

#include <stdlib.h>

/* Room for the copies, which grows. */
struct copying {
    struct tri_heads *heads;
    size_t used, capacity;
    size_t most; /* a value's heads and texts lie in it, each once */
};

void
tri_heads_free(struct tri_heads **heads)
{
    struct tri_heads *gone = *heads;
    *heads = NULL;
    if (gone == NULL)
        return;
    if (!gone->in_one) {
        free(gone->at);
        free(gone->bytes);
        free(gone->meta);
    }
    free(gone);
}

bool
tri_heads_one(struct tri_view *view, const struct tri_wire_node *node, uint64_t size)
{
    struct one {
        struct tri_heads heads;
        struct tri_wire_node node;
        uint64_t at, size;
    } *one = malloc(sizeof *one);
    if (one == NULL)
        return false;
    *one = (struct one){
        .heads = {.at = &one->at, .bytes = (uint8_t *)&one->size, .in_one = true}, .node = *node, .size = size};
    *view = (struct tri_view){.nodes = &one->node, .node_count = 1, .heads = &one->heads};
    return true;
}

/* Appends a copy, 8-aligned, with zeros behind it. NULL: no memory, or there cannot be so much. */
static uint8_t *
append(struct copying *copying, const void *data, size_t size)
{
    const size_t padded = tri_pad8(size + 1), needed = copying->used + padded;
    if (needed > copying->most || !TRI_RESERVE(copying->heads->bytes, copying->capacity, needed))
        return NULL;
    uint8_t *at = copying->heads->bytes + copying->used;
    memcpy(at, data, size);
    memset(at + size, 0, padded - size);
    copying->used = needed;
    return at;
}

/* The size of bytes or text that lie within the block, and the text itself. */
static bool
copy_bytes(struct copying *copying, const struct tri_view *view, const struct tri_wire_node *node)
{
    const size_t at = copying->used;
    uint64_t size;
    memcpy(&size, view->bytes + node->payload, sizeof size);
    if (append(copying, &size, sizeof size) == NULL)
        return false;
    copying->used = at + sizeof size; /* the text follows at once */
    if (node->kind != TRP_STR || size > view->bytes_size - node->payload - sizeof size)
        return append(copying, "", 0) != NULL;
    return append(copying, view->bytes + node->payload + sizeof size, (size_t)size) != NULL;
}

static bool
copy_tensor(struct copying *copying, const struct tri_view *view, const struct tri_wire_node *node)
{
    const uint8_t *from = view->bytes + node->payload;
    const uint64_t left = view->bytes_size - node->payload;
    struct tri_wire_tensor tensor;
    if (left < sizeof tensor)
        return append(copying, "", 0) != NULL;
    memcpy(&tensor, from, sizeof tensor);
    if (tensor.ndim > TRI_NDIM_MAX || 2 * sizeof(int64_t) * tensor.ndim > left - sizeof tensor)
        tensor.ndim = UINT32_MAX; /* which is refused */
    if (append(copying, &tensor, sizeof tensor) == NULL)
        return false;
    copying->used -= tri_pad8(sizeof tensor + 1) - sizeof tensor;
    return append(copying, from + sizeof tensor, tensor.ndim <= TRI_NDIM_MAX ? 2 * sizeof(int64_t) * tensor.ndim : 0) !=
           NULL;
}

trp_err
tri_heads_copy(struct tri_view *view, trp_error *error)
{
    struct copying copying = {.heads = view->heads,
                              .most = (size_t)view->bytes_size + 1024 * (1 + (size_t)view->node_count)};
    view->heads->at = calloc(view->node_count, sizeof *view->heads->at);
    static const uint64_t nothing[8] = {0};
    bool done = view->heads->at != NULL && append(&copying, nothing, sizeof nothing) != NULL; /* what all others have */
    for (uint32_t i = 0; done && i < view->node_count; i++) {
        const struct tri_wire_node *node = &view->nodes[i];
        const bool has_head = node->kind == TRP_STR || node->kind == TRP_BYTES || node->kind == TRP_TENSOR;
        if (!has_head || node->payload % 8 != 0 || view->bytes_size < sizeof(uint64_t) ||
            node->payload > view->bytes_size - sizeof(uint64_t))
            continue;
        view->heads->at[i] = copying.used;
        done = node->kind == TRP_TENSOR ? copy_tensor(&copying, view, node) : copy_bytes(&copying, view, node);
    }
    if (!done && copying.used + view->bytes_size > copying.most)
        return TRI_FAIL(error, TRP_EPROTO, "a value whose texts lie one in the other");
    return done ? TRP_OK : TRI_FAIL(error, TRP_ENOMEM, "no memory to look at a value of %u values", view->node_count);
}
