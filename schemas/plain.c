/*
 * plain.c - what most messages are, at one go. The usual call is read: its structured bytes are those of one that was unpacked
 * before, but for the nodes, and its arguments are numbers, strings and bytes. The usual value is packed: one of these, after
 * another one. Pure; any thread.
 *
 * A FlatBuffer verifies by its offsets and sizes, which lie outside of the nodes: where these bytes are the same, so is the
 * verdict. The nodes are checked here as value_view.c does.
 */
#include "schemas/packed.h"

enum { PLAIN_BYTES = 2048 }; /* of a string or of bytes */

/* --------------------------------------------------------------------------------------------------------- reading */

void
tri_call_shape(struct tri_call_shape *shape, const struct tri_section *section, const struct tri_call *call)
{
    const uint8_t *nodes = (const uint8_t *)call->args.nodes;

    shape->size = 0;
    if (section->meta_size > sizeof shape->bytes || nodes < section->data ||
        nodes >= section->data + section->meta_size)
        return; /* larger than usual, or a copy of what lay badly */
    memcpy(shape->bytes, section->data, section->meta_size);
    shape->size = section->meta_size;
    shape->nodes_at = (uint32_t)(nodes - section->data);
    shape->nodes_end = shape->nodes_at + call->args.node_count * (uint32_t)sizeof(struct tri_wire_node);
}

static bool
is_shaped(const struct tri_call_shape *shape, const struct tri_section *section)
{
    const uint8_t *data = section->data;

    return section->meta_size == shape->size && section->size >= shape->size && ((uintptr_t)data & 7) == 0 &&
           memcmp(data, shape->bytes, shape->nodes_at) == 0 &&
           memcmp(data + shape->nodes_end, shape->bytes + shape->nodes_end, shape->size - shape->nodes_end) == 0;
}

struct block {
    const uint8_t *bytes;
    uint64_t size;
};

static bool
read_bytes(const struct block *block, const struct tri_wire_node *node, trp_value *value)
{
    const uint64_t head = sizeof(uint64_t);
    const char *text;
    uint64_t size;

    if (node->payload % 8 != 0 || block->size < head + 1 || node->payload > block->size - head - 1)
        return false;
    memcpy(&size, block->bytes + node->payload, sizeof size);
    if (size > block->size - node->payload - head - 1)
        return false;
    text = (const char *)block->bytes + node->payload + head;
    *value = trp_value_((trp_kind)node->kind, text, (size_t)size);
    return text[size] == '\0' && (node->kind == TRP_BYTES || tri_text_valid(text, (size_t)size) == size);
}

static bool
read_node(const struct block *block, const struct tri_wire_node *node, trp_value *value)
{
    if (node->zero[0] != 0 || node->zero[1] != 0 || node->zero[2] != 0 || node->count != 0)
        return false;
    switch (node->kind) {
    case TRP_STR:
    case TRP_BYTES:
        return read_bytes(block, node, value);
    case TRP_I64:
    case TRP_F64:
        *value = trp_null();
        value->kind = (trp_kind)node->kind;
        memcpy(&value->as, &node->payload, sizeof node->payload);
        return true;
    case TRP_BOOL:
        *value = trp_bool(node->payload != 0);
        return node->payload <= 1;
    case TRP_NULL:
        *value = trp_null();
        return node->payload == 0;
    default:
        return false;
    }
}

bool
tri_call_plain(const struct tri_call_shape *shape, const struct tri_section *section, const uint8_t *kinds,
               uint32_t count, trp_value *values)
{
    const size_t start = tri_pad8(section->meta_size);
    const struct block block = {section->data + start, section->size > start ? section->size - start : 0};
    const struct tri_wire_node *nodes = (const void *)(section->data + shape->nodes_at), *root = nodes;

    if (shape->size == 0 || section->ref_count != 0 ||
        shape->nodes_end - shape->nodes_at != (1 + count) * sizeof *nodes || !is_shaped(shape, section))
        return false;
    if (root->kind != TRP_TUPLE || root->zero[0] != 0 || root->zero[1] != 0 || root->zero[2] != 0 ||
        root->count != count || root->payload != (count > 0))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if ((kinds[i] != nodes[1 + i].kind && kinds[i] != TRI_ANY_KIND) ||
            !read_node(&block, &nodes[1 + i], &values[i]))
            return false;
    return true;
}

/* --------------------------------------------------------------------------------------------------------- packing */

/* What it takes of the byte block; SIZE_MAX: it is to go the long way, maybe to be refused. */
static size_t
block_size_of(trp_value value)
{
    switch (value.kind) {
    case TRP_STR:
    case TRP_BYTES:
        if (value.size > PLAIN_BYTES || (value.size > 0 && value.as.bytes == NULL))
            return SIZE_MAX;
        if (value.kind == TRP_STR && tri_text_valid(value.as.str, value.size) != value.size)
            return SIZE_MAX;
        return tri_pad8(sizeof(uint64_t) + value.size + 1);
    case TRP_NULL:
    case TRP_BOOL:
    case TRP_I64:
    case TRP_F64:
        return 0;
    default:
        return SIZE_MAX;
    }
}

static uint64_t
payload_of(trp_value value)
{
    uint64_t bits = 0;

    if (value.kind == TRP_BOOL)
        return value.as.boolean;
    if (value.kind == TRP_I64 || value.kind == TRP_F64)
        memcpy(&bits, &value.as, sizeof bits);
    return bits;
}

bool
tri_value_pack_plain(struct tri_packed *packed, trp_value value)
{
    const struct tri_scratch *scratch = packed->scratch;
    const struct tri_shape *shape = scratch == NULL ? NULL : &scratch->shape;
    const size_t block = block_size_of(value);
    struct tri_wire_node node = {.kind = (uint8_t)value.kind, .payload = payload_of(value)};
    size_t start, nodes_at;
    uint8_t *data;

    if (shape == NULL || shape->count != 1 || shape->method != NULL || block == SIZE_MAX || packed->buf == NULL)
        return false;
    start = tri_pad8(shape->meta.size);
    if (start + block > scratch->buf_capacity ||
        atomic_load_explicit(&packed->buf->references, memory_order_acquire) != 1)
        return false;
    data = packed->buf->data;
    nodes_at = (size_t)((const uint8_t *)shape->nodes - shape->meta.data);
    memset(data + start - 8, 0, 8); /* what the padding may be */
    memcpy(data, shape->meta.data, shape->meta.size);
    memcpy(data + nodes_at, &node, sizeof node);
    if (block > 0) {
        const uint64_t size = value.size;
        memset(data + start + block - 8, 0, 8);
        memcpy(data + start, &size, sizeof size);
        if (size > 0)
            memcpy(data + start + sizeof size, value.as.bytes, size);
    }
    packed->buf->size = start + block;
    packed->section =
        (struct tri_section){.meta_size = (uint32_t)shape->meta.size, .size = start + block, .data = data};
    return true;
}
