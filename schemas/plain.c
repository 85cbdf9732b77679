/*
 * plain.c - what most messages are, at one go. The usual call is read: its structured bytes are those of one that was unpacked
 * before, but for the nodes, and its arguments are numbers, strings and bytes. The usual value is read and packed: one of these.
 * The usual call is packed: after another one of the same method and as many arguments. Pure; any thread.
 *
 * A FlatBuffer verifies by its offsets and sizes, which lie outside of the nodes: where these bytes are the same, so is the
 * verdict. The nodes are checked here as value_view.c does.
 */
#include "schemas/packed.h"

enum { PLAIN_BYTES = 2048 }; /* of a string or of bytes */

/* --------------------------------------------------------------------------------------------------------- reading */

/* Root, its vtable, the first field of that, the string: each offset is checked against the end before it is followed. */
const char *
tri_call_method_peek(const struct tri_section *section, uint32_t *length)
{
    const uint8_t *data = section->data;
    const uint64_t size = section->meta_size <= section->size ? section->meta_size : 0;
    uint32_t root, text, count;
    int32_t back;
    uint16_t field;

    if (size < 16)
        return NULL;
    memcpy(&root, data, sizeof root);
    if (root > size - 4)
        return NULL;
    memcpy(&back, data + root, sizeof back);
    const uint64_t table = (uint64_t)((int64_t)root - back); /* below 0: beyond the end */
    if (table > size - 6)
        return NULL;
    memcpy(&field, data + table + 4, sizeof field);
    const uint64_t at = (uint64_t)root + field;
    if (field == 0 || at > size - 4)
        return NULL;
    memcpy(&text, data + at, sizeof text);
    if (at + text > size - 4)
        return NULL;
    memcpy(&count, data + at + text, sizeof count);
    if (count > size - 4 - (at + text))
        return NULL;
    *length = count;
    return (const char *)data + at + text + 4;
}

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

/* Where they lie. The NUL behind them is not looked at. */
static bool
find_bytes(const struct block *block, const struct tri_wire_node *node, trp_value *value)
{
    const uint64_t head = sizeof(uint64_t);
    uint64_t size;

    if (node->payload % 8 != 0 || block->size < head + 1 || node->payload > block->size - head - 1)
        return false;
    size = __atomic_load_n((const uint64_t *)(const void *)(block->bytes + node->payload), __ATOMIC_RELAXED); /* once */
    if (size > block->size - node->payload - head - 1)
        return false;
    *value = trp_value_((trp_kind)node->kind, block->bytes + node->payload + head, (size_t)size);
    return true;
}

static bool
read_bytes(const struct block *block, const struct tri_wire_node *node, trp_value *value)
{
    return find_bytes(block, node, value) && value->as.str[value->size] == '\0' &&
           (node->kind == TRP_BYTES || tri_text_valid(value->as.str, value->size) == value->size);
}

static bool
is_bare(const struct tri_wire_node *node)
{
    return node->zero[0] == 0 && node->zero[1] == 0 && node->zero[2] == 0 && node->count == 0;
}

static bool
read_node(const struct block *block, const struct tri_wire_node *node, trp_value *value)
{
    if (!is_bare(node))
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

/* A value of one node begins so; the node is all that follows. Where another version of the library lays it out otherwise, the
 * long way reads it. */
static const uint8_t one_node[] = {20, 0, 0, 0, 'T', 'V', 'A', 'L', 0, 0, 0, 0, 0, 0, 6, 0,
                                   8,  0, 4, 0, 6,   0,   0,   0,   4, 0, 0, 0, 1, 0, 0, 0};

/* In the arena, where others may write to it: bytes, of which the node and the size are copied before they are believed. Their end,
 * maybe gigabytes away, is not looked at: a NUL that is there now says nothing of later. */
static bool
view_shared(struct tri_view *view, const struct tri_section *section, const struct block *block,
            const struct tri_wire_node *shown)
{
    struct tri_wire_node node;
    trp_value value;

    memcpy(&node, shown, sizeof node);
    if (node.kind != TRP_BYTES || !is_bare(&node) || !find_bytes(block, &node, &value) ||
        !tri_heads_one(view, &node, value.size))
        return false;
    view->bytes = block->bytes;
    view->bytes_size = block->size;
    view->held = tri_buf_retain(section->frame);
    return true;
}

bool
tri_view_plain(struct tri_view *view, const struct tri_section *section)
{
    const uint8_t *data = section->data;
    const struct tri_wire_node *node = (const void *)(data + sizeof one_node);
    const bool is_shared = tri_section_place(section) != NULL;
    const size_t size = sizeof one_node + sizeof *node, start = is_shared ? TRI_TENSOR_ALIGN : size; /* padded there */
    struct block block;
    trp_value value;

    if (section->meta_size != start || section->size < start ||
        section->size > (is_shared ? TRI_STORED_MAX : TRI_FRAME_MAX) || section->ref_count != 0 ||
        ((uintptr_t)data & 7) != 0 || memcmp(data, one_node, sizeof one_node) != 0)
        return false;
    block = (struct block){data + start, section->size - start};
    if (is_shared)
        return view_shared(view, section, &block, node);
    if (!read_node(&block, node, &value))
        return false;
    *view = (struct tri_view){.nodes = node,
                              .node_count = 1,
                              .bytes = block.size > 0 ? block.bytes : data,
                              .bytes_size = block.size,
                              .held = tri_buf_retain(section->frame)};
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

/* Where the next one may be packed: memory of our own that nobody else holds. NULL: that has to be made first. */
static uint8_t *
room_for_next(const struct tri_packed *packed, const struct tri_scratch *scratch)
{
    if (scratch == NULL || scratch->shape.count == 0 || packed->buf == NULL ||
        scratch->buf_capacity < tri_pad8(scratch->shape.meta.size) ||
        atomic_load_explicit(&packed->buf->references, memory_order_acquire) != 1)
        return NULL;
    return packed->buf->data;
}

/* What is being packed: nodes, and the byte block, as far as it has come. */
struct filling {
    uint8_t *node;
    uint8_t *block;
    size_t used, room; /* of the block */
};

static bool
fill(struct filling *filling, trp_value value)
{
    const size_t size = block_size_of(value);
    struct tri_wire_node node = {.kind = (uint8_t)value.kind};
    uint8_t *to = filling->block + filling->used;

    if (size > filling->room - filling->used)
        return false;
    node.payload = size > 0 ? filling->used : payload_of(value);
    memcpy(filling->node, &node, sizeof node);
    filling->node += sizeof node;
    if (size > 0) {
        const uint64_t length = value.size;
        memset(to + size - 8, 0, 8); /* what the padding may be */
        memcpy(to, &length, sizeof length);
        if (length > 0)
            memcpy(to + sizeof length, value.as.bytes, length);
    }
    filling->used += size;
    return true;
}

/* The structured bytes of the last one, into which the nodes are to be filled. */
static struct filling
begin(uint8_t *data, const struct tri_scratch *scratch)
{
    const struct tri_shape *shape = &scratch->shape;
    const size_t start = tri_pad8(shape->meta.size), limit = TRI_COPY_MAX;

    memset(data + start - 8, 0, 8);
    memcpy(data, shape->meta.data, shape->meta.size);
    return (struct filling){.node = data + ((const uint8_t *)shape->nodes - shape->meta.data),
                            .block = data + start,
                            .room = (scratch->buf_capacity < limit ? scratch->buf_capacity : limit) - start};
}

static void
end(struct tri_packed *packed, const struct tri_shape *shape, const struct filling *filling)
{
    packed->buf->size = tri_pad8(shape->meta.size) + filling->used;
    packed->section = (struct tri_section){
        .meta_size = (uint32_t)shape->meta.size, .size = packed->buf->size, .data = packed->buf->data};
}

bool
tri_value_pack_plain(struct tri_packed *packed, trp_value value)
{
    const struct tri_scratch *scratch = packed->scratch;
    uint8_t *data = room_for_next(packed, scratch);
    struct filling filling;

    if (data == NULL || scratch->shape.count != 1 || scratch->shape.method != NULL)
        return false;
    filling = begin(data, scratch);
    if (!fill(&filling, value))
        return false;
    end(packed, &scratch->shape, &filling);
    return true;
}

bool
tri_call_pack_plain(struct tri_packed *packed, const char *method, trp_value args)
{
    const struct tri_scratch *scratch = packed->scratch;
    const trp_value *items = args.as.opaque;
    const struct tri_wire_node root = {.kind = TRP_TUPLE, .count = (uint32_t)args.size, .payload = 1};
    uint8_t *data = room_for_next(packed, scratch);
    struct filling filling;

    if (data == NULL || args.kind != TRP_ARGS || args.size == 0 || items == NULL || method == NULL ||
        scratch->shape.count != 1 + args.size || scratch->shape.method == NULL ||
        strcmp(scratch->shape.method, method) != 0)
        return false;
    filling = begin(data, scratch);
    memcpy(filling.node, &root, sizeof root);
    filling.node += sizeof root;
    for (size_t i = 0; i < args.size; i++)
        if (!fill(&filling, items[i]))
            return false;
    end(packed, &scratch->shape, &filling);
    return true;
}
