/*
 * value_pack.c - from values to nodes and bytes. First a walk, level by level, that lays out the nodes and says where in the
 * byte block everything will lie; then, when the buffer is there, a second walk over the nodes that copies. Nothing
 * recurses. Any thread, one at a time per tri_packed.
 */
#include "schemas/packed.h"

#include <stdlib.h>

struct packing {
    struct tri_packed *packed;
    struct tri_scratch *scratch;
    const struct tri_handles *handles;
    trp_error *error;
    size_t count; /* nodes so far, of which those before the walk are done */
    uint64_t block_size;
    uint64_t inline_size;
    uint32_t ref_count;
    uint32_t depth, depth_max;
    /* Of arguments: the nodes [top_begin, top_end) are top-level, keywords with their names from top_names on. */
    size_t top_begin, top_names, top_end;
};

/* ----------------------------------------------------------------------------------------------------- room for more */

static trp_err
reserve_nodes(struct packing *packing, size_t more)
{
    struct tri_scratch *scratch = packing->scratch;
    size_t needed = packing->count + more;
    if (more > TRI_NODES_MAX || needed > TRI_NODES_MAX)
        return TRI_FAIL(packing->error, TRP_ELIMIT, "a value of more than %d values", TRI_NODES_MAX);
    if (!TRI_RESERVE(scratch->values, scratch->value_capacity, needed) ||
        !TRI_RESERVE(scratch->nodes, scratch->node_capacity, needed))
        return TRI_FAIL(packing->error, TRP_ENOMEM, "no memory for a value of %zu values", needed);
    return TRP_OK;
}

/* Takes `size` bytes of the byte block, from a multiple of `align` on. */
static trp_err
reserve_block(struct packing *packing, uint64_t size, uint64_t align, uint64_t *offset)
{
    uint64_t start = (packing->block_size + align - 1) & ~(align - 1);
    if (size > TRI_STORED_MAX || start + size > TRI_STORED_MAX)
        return TRI_FAIL(packing->error, TRP_ELIMIT, "a value of more than %u bytes", TRI_STORED_MAX);
    packing->block_size = tri_pad8((size_t)(start + size));
    *offset = start;
    return TRP_OK;
}

/* ------------------------------------------------------------------------------------------------------ kind by kind */

typedef trp_err lay_out(struct packing *packing, size_t at, trp_value value);

static trp_err
lay_scalar(struct packing *packing, size_t at, trp_value value)
{
    uint64_t bits = 0;
    if (value.kind == TRP_BOOL)
        bits = value.as.boolean;
    else if (value.kind != TRP_NULL)
        memcpy(&bits, &value.as, sizeof bits);
    packing->scratch->nodes[at].payload = bits;
    return TRP_OK;
}

static trp_err
check_text(trp_value value, trp_error *error)
{
    const size_t valid = tri_text_valid(value.as.str, value.size);
    if (valid == value.size)
        return TRP_OK;
    return TRI_FAIL(error, TRP_EINVAL, "a string %s at byte %zu; use bytes",
                    value.as.str[valid] == '\0' ? "with a NUL inside," : "that is not UTF-8", valid);
}

static trp_err
lay_bytes(struct packing *packing, size_t at, trp_value value)
{
    if (value.size > TRI_STORED_MAX)
        return TRI_FAIL(packing->error, TRP_ELIMIT, "a value of more than %u bytes", TRI_STORED_MAX);
    const bool blank = packing->packed->blanks != NULL && value.kind == TRP_BYTES && at == 0;
    if (value.size > 0 && value.as.bytes == NULL && !blank)
        return TRI_FAIL(packing->error, TRP_EINVAL, "a NULL pointer to %zu bytes", value.size);
    if (value.kind == TRP_STR && value.size > 0)
        TRP_TRY(check_text(value, packing->error));
    packing->inline_size += value.size;
    return reserve_block(packing, sizeof(uint64_t) + value.size + 1, 8, &packing->scratch->nodes[at].payload);
}

static int
compare_keys(const void *a, const void *b, void *user)
{
    const trp_value *values = user, *left = &values[*(const uint32_t *)a], *right = &values[*(const uint32_t *)b];
    if (left->size != right->size)
        return left->size < right->size ? -1 : 1;
    return memcmp(left->as.str, right->as.str, left->size);
}

/* The keys among values[first, first + 2 * count): strings, none twice. */
static trp_err
check_keys(struct packing *packing, size_t first, size_t count)
{
    enum { FEW = 8 };
    struct tri_scratch *scratch = packing->scratch;
    trp_value *values = scratch->values;
    uint32_t few[FEW], *keys = few;
    if (count > FEW) {
        if (!TRI_RESERVE(scratch->keys, scratch->key_capacity, count))
            return TRI_FAIL(packing->error, TRP_ENOMEM, "no memory for a map of %zu entries", count);
        keys = scratch->keys;
    }
    for (size_t i = 0; i < count; i++) {
        keys[i] = (uint32_t)(first + 2 * i);
        if (values[keys[i]].kind != TRP_STR || values[keys[i]].as.str == NULL)
            return TRI_FAIL(packing->error, TRP_ETYPE, "key %zu of a map is no string", i);
    }
    if (count > FEW)
        qsort_r(keys, count, sizeof *keys, compare_keys, values);
    for (size_t i = 1; i < count; i++)
        for (size_t k = count > FEW ? i - 1 : 0; k < i; k++)
            if (compare_keys(&keys[k], &keys[i], values) == 0)
                return TRI_FAIL(packing->error, TRP_EINVAL, "the name '%.64s' is given twice", values[keys[i]].as.str);
    return TRP_OK;
}

static trp_err
lay_children(struct packing *packing, size_t at, trp_value value)
{
    size_t count = value.size, first = packing->count;
    if (packing->depth >= packing->depth_max)
        return TRI_FAIL(packing->error, TRP_ELIMIT, "a value of more than %d levels, one container in the other",
                        TRP_NESTING_MAX);
    if (count > TRI_NODES_MAX)
        return TRI_FAIL(packing->error, TRP_ELIMIT, "a value of more than %d values", TRI_NODES_MAX);
    packing->scratch->nodes[at].count = (uint32_t)count;
    if (count == 0)
        return TRP_OK;
    if (value.as.opaque == NULL)
        return TRI_FAIL(packing->error, TRP_EINVAL, "a NULL pointer to %zu values", count);
    size_t node_count = value.kind == TRP_MAP ? 2 * count : count;
    TRP_TRY(reserve_nodes(packing, node_count));
    trp_value *values = &packing->scratch->values[first];
    if (value.form == 0) {
        memcpy(values, value.as.opaque, node_count * sizeof *values);
    } else {
        const struct tri_view *view = value.as.opaque;
        uint32_t node = (uint32_t)view->nodes[value.form - 1].payload;
        for (size_t i = 0; i < node_count; i++)
            values[i] = tri_view_value(view, node + (uint32_t)i);
    }
    packing->scratch->nodes[at].payload = first;
    packing->count += node_count;
    return value.kind == TRP_MAP ? check_keys(packing, first, count) : TRP_OK;
}

static trp_err
lay_tensor(struct packing *packing, size_t at, trp_value value)
{
    DLTensor tensor;
    if (value.form != 0) {
        const struct tri_view *view = value.as.opaque;
        const struct tri_wire_tensor *wire = (const void *)tri_view_head(view, value.form - 1);
        packing->inline_size += wire->data_size;
        return reserve_block(packing, wire->data_size + 2 * TRI_TENSOR_ALIGN + 16 * (uint64_t)wire->ndim, 8,
                             &packing->scratch->nodes[at].payload);
    }
    if (value.as.opaque == NULL)
        return TRI_FAIL(packing->error, TRP_EINVAL, "a NULL pointer to a tensor");
    tensor = *(const DLTensor *)value.as.opaque;
    if ((int)tensor.device.device_type != 0 && tensor.device.device_type != kDLCPU)
        return TRI_FAIL(packing->error, TRP_ETYPE, "a tensor on a device of type %d; only host memory travels",
                        (int)tensor.device.device_type);
    if (tri_tensor_element(tensor.dtype) == 0)
        return TRI_FAIL(packing->error, TRP_ETYPE,
                        "a tensor of elements that cannot travel (code %u, %u bits, %u lanes)", tensor.dtype.code,
                        tensor.dtype.bits, tensor.dtype.lanes);
    if (tensor.ndim < 0 || tensor.ndim > TRI_NDIM_MAX || (tensor.ndim > 0 && tensor.shape == NULL))
        return TRI_FAIL(packing->error, TRP_EINVAL, "a tensor of %d dimensions, or without a shape", tensor.ndim);
    uint64_t size = tri_tensor_bytes(tensor.dtype, (uint32_t)tensor.ndim, tensor.shape);
    if (size > TRI_STORED_MAX)
        return TRI_FAIL(packing->error, TRP_ELIMIT, "a tensor of more than %u bytes, or of a negative extent",
                        TRI_STORED_MAX);
    if (size > 0 && tensor.data == NULL)
        TRP_TRY(tri_blank_add(packing->packed->blanks, (DLTensor *)(uintptr_t)value.as.opaque, packing->error));
    else if (size > 0 && tri_is_blank(&tensor))
        return TRI_FAIL(packing->error, TRP_EINVAL, "the same DLTensor twice, without data: each has room of its own");
    packing->inline_size += size;
    return reserve_block(packing, size + 2 * TRI_TENSOR_ALIGN + 16 * (uint64_t)tensor.ndim, 8,
                         &packing->scratch->nodes[at].payload);
}

/* Which argument a top-level node is; TRI_NESTED for all others. */
static uint32_t
place_of(const struct packing *packing, size_t at)
{
    size_t place;
    if (at < packing->top_begin || at >= packing->top_end)
        return TRI_NESTED;
    if (at < packing->top_names)
        place = at - packing->top_begin;
    else
        place = (packing->top_names - packing->top_begin) + (at - packing->top_names) / 2;
    return place < TRI_SECTIONS_MAX - 1 ? (uint32_t)place : TRI_NESTED;
}

static trp_err
add_entry(struct packing *packing, size_t at, trp_value value, uint32_t place)
{
    struct tri_packed *packed = packing->packed;
    struct tri_ref_entry entry = {.place = place};
    const struct tri_handles *handles = packing->handles;
    trp_err err;
    if (value.as.opaque == NULL || handles == NULL)
        return TRI_FAIL(packing->error, TRP_ETYPE, "a reference or actor that cannot travel from here");
    if (packing->ref_count == TRI_REFS_MAX)
        return TRI_FAIL(packing->error, TRP_ELIMIT, "more than %d references in one value", TRI_REFS_MAX);
    if (!TRI_RESERVE(packed->refs, packed->ref_capacity, packing->ref_count + 1))
        return TRI_FAIL(packing->error, TRP_ENOMEM, "no memory for a reference");
    if (value.kind == TRP_ACTOR) {
        entry.flags = TRI_REF_ACTOR;
        err = handles->actor_id(handles->user, value.as.actor, &entry.id, packing->error);
    } else {
        err = handles->ref_id(handles->user, value.as.ref, &entry.id, packing->error);
    }
    TRP_TRY(err);
    packing->scratch->nodes[at].payload = packing->ref_count;
    packed->refs[packing->ref_count++] = entry;
    return TRP_OK;
}

/* Top-level references come last (add_top_level): who delivers the call drops their entries and appends values instead, and
 * the indices of the others hold. */
static trp_err
lay_handle(struct packing *packing, size_t at, trp_value value)
{
    uint32_t place = place_of(packing, at);
    if (value.kind == TRP_REF && place != TRI_NESTED)
        return TRP_OK;
    if (value.kind == TRP_REF && at >= packing->top_begin && at < packing->top_end)
        return TRI_FAIL(packing->error, TRP_ELIMIT, "argument %d or a later one is a reference; put it into a list",
                        TRI_SECTIONS_MAX - 1);
    return add_entry(packing, at, value, place);
}

static lay_out *const layers[] = {
    [TRP_NULL] = lay_scalar,  [TRP_BOOL] = lay_scalar,   [TRP_I64] = lay_scalar,    [TRP_F64] = lay_scalar,
    [TRP_STR] = lay_bytes,    [TRP_BYTES] = lay_bytes,   [TRP_LIST] = lay_children, [TRP_TUPLE] = lay_children,
    [TRP_MAP] = lay_children, [TRP_TENSOR] = lay_tensor, [TRP_REF] = lay_handle,    [TRP_ACTOR] = lay_handle,
};

static trp_err
refuse_kind(const struct packing *packing, trp_kind kind)
{
    if (kind == TRP_NONE)
        return TRI_FAIL(packing->error, TRP_EINVAL,
                        "no value (an item past an end, a number beyond int64, a NULL handle) cannot travel");
    return TRI_FAIL(packing->error, TRP_ETYPE, "%s cannot travel",
                    kind == TRP_KEYWORD ? "a keyword where no argument is"
                    : kind == TRP_ARGS  ? "arguments where a value is wanted"
                                        : "a value of a kind that does not exist");
}

/* Lays out the nodes from `at` on, which are the rest of a level, and all below them. */
static trp_err
walk(struct packing *packing, size_t at)
{
    size_t level_end = packing->count;
    for (; at < packing->count; at++) {
        if (at == level_end) {
            packing->depth++;
            level_end = packing->count;
        }
        trp_value value = packing->scratch->values[at];
        if ((unsigned)value.kind >= sizeof layers / sizeof *layers)
            return refuse_kind(packing, value.kind);
        packing->scratch->nodes[at] = (struct tri_wire_node){.kind = (uint8_t)value.kind};
        TRP_TRY(layers[value.kind](packing, at, value));
    }
    return TRP_OK;
}

static trp_err
begin(struct packing *packing, struct tri_packed *packed, const struct tri_handles *handles, trp_error *error)
{
    memset(packing, 0, sizeof *packing);
    packing->packed = packed;
    packing->scratch = tri_packed_scratch(packed);
    packing->handles = handles;
    packing->error = error;
    packing->depth_max = TRP_NESTING_MAX;
    return packing->scratch != NULL ? TRP_OK : TRI_FAIL(error, TRP_ENOMEM, "no memory to pack a value");
}

static void
end(const struct packing *packing, struct tri_flat *flat)
{
    flat->nodes.nodes = packing->scratch->nodes;
    flat->nodes.count = (uint32_t)packing->count;
    flat->block_size = packing->block_size;
    flat->inline_size = packing->inline_size + 16 * (uint64_t)(packing->count - 1);
    flat->ref_count = packing->ref_count;
}

trp_err
tri_flat_value(struct tri_packed *packed, trp_value value, const struct tri_handles *handles, struct tri_flat *flat,
               trp_error *error)
{
    struct packing packing;
    TRP_TRY(begin(&packing, packed, handles, error));
    TRP_TRY(reserve_nodes(&packing, 1));
    packing.scratch->values[0] = value;
    packing.count = 1;
    TRP_TRY(walk(&packing, 0));
    end(&packing, flat);
    return TRP_OK;
}

/* --------------------------------------------------------------------------------------------------------- arguments */

/* How many of the items are positional; those behind them are to be keywords with a name and a value. */
static trp_err
count_positional(const trp_value *items, size_t count, size_t *positional, trp_error *error)
{
    size_t first = 0;
    while (first < count && items[first].kind != TRP_KEYWORD)
        first++;
    for (size_t i = first; i < count; i++) {
        if (items[i].kind != TRP_KEYWORD)
            return TRI_FAIL(error, TRP_EINVAL, "argument %zu has no name but comes after one that has", i + 1);
        const trp_value *pair = items[i].as.opaque;
        if (pair == NULL || pair[0].kind != TRP_STR || pair[0].as.str == NULL)
            return TRI_FAIL(error, TRP_EINVAL, "argument %zu is a keyword without a name", i + 1);
    }
    *positional = first;
    return TRP_OK;
}

/* The nodes above the arguments: a TUPLE, or a LIST of that and a MAP. */
static void
lay_root(struct packing *packing, size_t positional, size_t keywords)
{
    struct tri_wire_node *nodes = packing->scratch->nodes;
    struct tri_wire_node tuple = {.kind = TRP_TUPLE, .count = (uint32_t)positional};
    packing->count = packing->top_begin = packing->depth = 1;
    if (keywords > 0) {
        packing->count = packing->top_begin = 3;
        packing->depth = 2;
        nodes[0] = (struct tri_wire_node){.kind = TRP_LIST, .count = 2, .payload = 1};
        nodes[2] = (struct tri_wire_node){.kind = TRP_MAP, .count = (uint32_t)keywords, .payload = 3 + positional};
    }
    tuple.payload = positional > 0 ? packing->top_begin : 0;
    nodes[keywords > 0 ? 1 : 0] = tuple;
    packing->depth_max = TRP_NESTING_MAX + packing->depth;
    packing->top_names = packing->top_begin + positional;
    packing->top_end = packing->top_names + 2 * keywords;
}

/* The references that are arguments of their own, which lay_handle has left. */
static trp_err
add_top_level(struct packing *packing)
{
    for (size_t at = packing->top_begin; at < packing->top_end; at++)
        if (packing->scratch->values[at].kind == TRP_REF)
            TRP_TRY(add_entry(packing, at, packing->scratch->values[at], place_of(packing, at)));
    return TRP_OK;
}

trp_err
tri_flat_args(struct tri_packed *packed, trp_value args, const struct tri_handles *handles, struct tri_flat *flat,
              trp_error *error)
{
    struct packing packing;
    size_t positional = 0, count = args.kind == TRP_ARGS ? args.size : 0;
    const trp_value *items = args.as.opaque;
    TRP_TRY(begin(&packing, packed, handles, error));
    if (args.kind != TRP_ARGS && args.kind != TRP_NULL)
        return TRI_FAIL(error, TRP_EINVAL, "arguments are given as TRP_ARGS(...) or TRP_NOARGS");
    if (count > TRI_NODES_MAX / 2 || (count > 0 && items == NULL))
        return TRI_FAIL(error, count > TRI_NODES_MAX / 2 ? TRP_ELIMIT : TRP_EINVAL, "%zu arguments, or a NULL pointer",
                        count);
    TRP_TRY(count_positional(items, count, &positional, error));
    TRP_TRY(reserve_nodes(&packing, 3 + 2 * count));
    lay_root(&packing, positional, count - positional);
    trp_value *values = packing.scratch->values;
    for (size_t i = 0; i < packing.top_begin; i++)
        values[i] = trp_null();
    for (size_t i = 0; i < count; i++) {
        if (i < positional) {
            values[packing.count++] = items[i];
        } else {
            memcpy(&values[packing.count], items[i].as.opaque, 2 * sizeof *values);
            packing.count += 2;
        }
    }
    TRP_TRY(check_keys(&packing, packing.top_names, count - positional));
    TRP_TRY(walk(&packing, packing.top_begin));
    TRP_TRY(add_top_level(&packing));
    end(&packing, flat);
    return TRP_OK;
}

/* ----------------------------------------------------------------------------------------------------------- copying */

static void
write_bytes(uint8_t *to, trp_value value)
{
    uint64_t size = value.size;
    memcpy(to, &size, sizeof size);
    if (value.size > 0 && value.as.bytes != NULL) /* else it is filled in later */
        memcpy(to + sizeof size, value.as.bytes, value.size);
    size_t used = sizeof size + value.size;
    memset(to + used, 0, tri_pad8(used + 1) - used);
}

/* Copies elements in row-major order from wherever the strides say. */
static void
copy_elements(uint8_t *to, const DLTensor *tensor, size_t element)
{
    int64_t index[TRI_NDIM_MAX] = {0};
    const uint8_t *from = (const uint8_t *)tensor->data + tensor->byte_offset;
    int last = tensor->ndim - 1;
    for (;;) {
        memcpy(to, from, element);
        to += element;
        int axis = last;
        while (axis >= 0) {
            from += tensor->strides[axis] * (int64_t)element;
            if (++index[axis] < tensor->shape[axis])
                break;
            from -= tensor->strides[axis] * tensor->shape[axis] * (int64_t)element;
            index[axis--] = 0;
        }
        if (axis < 0)
            return;
    }
}

static bool
is_dense(const DLTensor *tensor)
{
    int64_t stride = 1;
    if (tensor->strides == NULL)
        return true;
    for (int axis = tensor->ndim - 1; axis >= 0; axis--) {
        if (tensor->shape[axis] != 1 && tensor->strides[axis] != stride)
            return false;
        stride *= tensor->shape[axis];
    }
    return true;
}

/* What a value's tensor is like, and where its elements are. */
static DLTensor
tensor_of(trp_value value)
{
    DLTensor tensor;
    if (value.form == 0)
        return *(const DLTensor *)value.as.opaque;
    tri_view_tensor(value.as.opaque, value.form - 1, &tensor);
    return tensor;
}

static void
write_tensor(uint8_t *block, uint64_t offset, trp_value value)
{
    DLTensor tensor = tensor_of(value);
    size_t ndim = (size_t)tensor.ndim;
    struct tri_wire_tensor wire = {
        .code = tensor.dtype.code, .bits = tensor.dtype.bits, .lanes = tensor.dtype.lanes, .ndim = (uint32_t)ndim};
    uint64_t end = offset + sizeof wire + 2 * ndim * sizeof(int64_t);
    wire.data_size = tri_tensor_bytes(tensor.dtype, wire.ndim, tensor.shape);
    wire.data_offset = (end + TRI_TENSOR_ALIGN - 1) & ~(uint64_t)(TRI_TENSOR_ALIGN - 1);
    uint64_t limit = offset + tri_pad8(wire.data_size + 2 * TRI_TENSOR_ALIGN + 16 * ndim);
    memset(block + offset, 0, wire.data_offset - offset);
    memcpy(block + offset, &wire, sizeof wire);
    int64_t *shape = (void *)(block + offset + sizeof wire), *strides = shape + ndim, stride = 1;
    for (size_t axis = ndim; axis-- > 0;) {
        shape[axis] = tensor.shape[axis];
        strides[axis] = stride;
        stride *= shape[axis];
    }
    uint8_t *to = block + wire.data_offset;
    if (tri_is_blank(&tensor))
        tri_blank_fill((DLTensor *)(uintptr_t)value.as.opaque, to);
    else if (wire.data_size > 0 && is_dense(&tensor))
        memcpy(to, (const uint8_t *)tensor.data + tensor.byte_offset, wire.data_size);
    else if (wire.data_size > 0)
        copy_elements(to, &tensor, tri_tensor_element(tensor.dtype));
    memset(to + wire.data_size, 0, limit - wire.data_offset - wire.data_size);
}

void
tri_flat_write(const struct tri_packed *packed, const struct tri_flat *flat, uint8_t *block)
{
    const struct tri_scratch *scratch = packed->scratch;
    if (flat->block_size == 0)
        return;
    for (uint32_t i = 0; i < flat->nodes.count; i++) {
        const struct tri_wire_node *node = &scratch->nodes[i];
        if (node->kind == TRP_STR || node->kind == TRP_BYTES)
            write_bytes(block + node->payload, scratch->values[i]);
        else if (node->kind == TRP_TENSOR)
            write_tensor(block, node->payload, scratch->values[i]);
    }
}

trp_err
tri_value_pack(struct tri_packed *packed, trp_value value, const struct tri_handles *handles, uint64_t *inline_size,
               trp_error *error)
{
    struct tri_flat flat;
    struct tri_meta meta;
    uint8_t *block;
    if (inline_size == NULL && packed->blanks == NULL && tri_value_pack_plain(packed, value))
        return TRP_OK;
    TRP_TRY(tri_flat_value(packed, value, handles, &flat, error));
    if (!tri_packed_again(packed, NULL, &flat.nodes, &meta)) {
        TRP_TRY(tri_packed_begin(packed, flat.nodes.count * sizeof(struct tri_wire_node) + 128, &meta, error));
        tri_meta_pack_value(&meta, &flat.nodes);
        tri_packed_shape(packed, false, &meta);
    }
    const bool large = flat.inline_size > TRI_INLINE_MAX;
    TRP_TRY(
        tri_packed_finish(packed, &meta, flat.block_size, flat.ref_count, large ? packed->rooms : NULL, &block, error));
    tri_flat_write(packed, &flat, block);
    tri_packed_done(packed);
    if (inline_size != NULL)
        *inline_size = flat.inline_size;
    return TRP_OK;
}
