/*
 * plain.c - the usual call, read at one go: its structured bytes are those of one that was unpacked before, but for the nodes,
 * and its arguments are numbers, strings and bytes. Pure; any thread.
 *
 * A FlatBuffer verifies by its offsets and sizes, which lie outside of the nodes: where these bytes are the same, so is the
 * verdict. The nodes are checked here as value_view.c does.
 */
#include "schemas/packed.h"

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
