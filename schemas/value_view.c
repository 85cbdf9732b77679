/*
 * value_view.c - from nodes and bytes to values: verifies what came in one bounded pass, then gives values that refer to
 * it where it lies. Any thread; a view is read-only once it is open.
 */
#include "schemas/packed.h"

#include <stdlib.h>

/* ------------------------------------------------------------------------------------------------------------ tensors */

uint64_t
tri_tensor_element(DLDataType type)
{
    static const uint8_t known[] = {
        [kDLInt] = 1, [kDLUInt] = 1, [kDLFloat] = 1, [kDLBfloat] = 1, [kDLComplex] = 1, [kDLBool] = 1};
    if (type.code >= sizeof known || known[type.code] == 0 || type.bits == 0 || type.bits % 8 != 0)
        return 0;
    return (uint64_t)type.bits / 8 * type.lanes;
}

uint64_t
tri_tensor_bytes(DLDataType type, uint32_t ndim, const int64_t *shape)
{
    uint64_t size = tri_tensor_element(type), extents = 1;
    bool empty = false;
    for (uint32_t axis = 0; axis < ndim; axis++) {
        if (shape[axis] < 0 || shape[axis] > (int64_t)TRI_STORED_MAX)
            return UINT64_MAX;
        if (shape[axis] == 0)
            empty = true;
        else if (__builtin_mul_overflow(extents, (uint64_t)shape[axis], &extents) || extents > TRI_STORED_MAX)
            return UINT64_MAX;
    }
    return empty ? 0 : size * extents;
}

uint64_t
tri_tensor_size(const DLTensor *tensor)
{
    return tri_tensor_element(tensor->dtype) > 0 && tensor->ndim <= TRI_NDIM_MAX
               ? tri_tensor_bytes(tensor->dtype, (uint32_t)tensor->ndim, tensor->shape)
               : UINT64_MAX;
}

/* ---------------------------------------------------------------------------------------------------------- verifying */

struct checking {
    const struct tri_view *view;
    const struct tri_section *section;
    uint64_t next; /* first node that is nobody's child yet */
    bool container_legal;
    uint32_t top_begin, top_end; /* nodes of top-level arguments: their references' entries may be gone */
};
typedef const char *check_node(struct checking *checking, uint32_t at); /* what is wrong; NULL: nothing */

static const char *
check_scalar(struct checking *checking, uint32_t at)
{
    const struct tri_wire_node *node = &checking->view->nodes[at];
    if (node->count != 0 || (node->kind == TRP_NULL && node->payload != 0))
        return "a number with a count";
    return node->kind == TRP_BOOL && node->payload > 1 ? "a bool that is neither" : NULL;
}

/* Text is where its head is, which may be a copy; bytes are where they lie. */
static const uint8_t *
bytes_at(const struct tri_view *view, uint32_t at)
{
    const struct tri_wire_node *node = &view->nodes[at];
    return (node->kind == TRP_STR ? tri_view_head(view, at) : view->bytes + node->payload) + sizeof(uint64_t);
}

static const char *
check_bytes(struct checking *checking, uint32_t at)
{
    const struct tri_view *view = checking->view;
    const struct tri_wire_node *node = &view->nodes[at];
    uint64_t size, head = sizeof size;
    if (node->count != 0 || node->payload % 8 != 0 || view->bytes_size < head + 1 ||
        node->payload > view->bytes_size - head - 1)
        return "bytes outside of the block";
    memcpy(&size, tri_view_head(view, at), sizeof size);
    if (size > view->bytes_size - node->payload - head - 1)
        return "bytes outside of the block";
    if (node->kind == TRP_BYTES && view->heads != NULL)
        return NULL; /* their end may be far away, and is their writer's to change */
    const char *text = (const char *)bytes_at(view, at);
    if (text[size] != '\0')
        return "bytes without a NUL behind them";
    if (node->kind == TRP_STR && tri_text_valid(text, (size_t)size) != size)
        return "a string that is no text (UTF-8 without a NUL)";
    return NULL;
}

/* Children begin where those of the containers before have ended: so each node has one parent, which comes before it. */
static const char *
check_children(struct checking *checking, uint32_t at)
{
    const struct tri_view *view = checking->view;
    const struct tri_wire_node *node = &view->nodes[at];
    uint64_t count = node->kind == TRP_MAP ? 2 * (uint64_t)node->count : node->count;
    if (!checking->container_legal)
        return "a value nested too deeply";
    if (node->payload != (count > 0 ? checking->next : 0))
        return "items that are not where they should be";
    if (count > view->node_count - checking->next)
        return "more items than there are";
    checking->next += count;
    if (node->kind == TRP_MAP)
        for (uint64_t i = node->payload; i < node->payload + count; i += 2)
            if (view->nodes[i].kind != TRP_STR)
                return "a key that is no string";
    return NULL;
}

static const char *
check_tensor(struct checking *checking, uint32_t at)
{
    const struct tri_view *view = checking->view;
    const struct tri_wire_node *node = &view->nodes[at];
    struct tri_wire_tensor tensor;
    if (node->count != 0 || node->payload % 8 != 0 || view->bytes_size < sizeof tensor ||
        node->payload > view->bytes_size - sizeof tensor)
        return "a tensor outside of the block";
    memcpy(&tensor, tri_view_head(view, at), sizeof tensor);
    DLDataType type = {tensor.code, tensor.bits, tensor.lanes};
    if (tri_tensor_element(type) == 0 || tensor.ndim > TRI_NDIM_MAX)
        return "a tensor of unknown elements or too many dimensions";
    if (2 * sizeof(int64_t) * tensor.ndim > view->bytes_size - node->payload - sizeof tensor)
        return "a tensor outside of the block";
    const int64_t *shape = (const void *)(tri_view_head(view, at) + sizeof tensor), *strides = shape + tensor.ndim;
    if (tri_tensor_bytes(type, tensor.ndim, shape) != tensor.data_size)
        return "a tensor whose size is not that of its shape";
    int64_t stride = 1;
    for (uint32_t axis = tensor.ndim; axis-- > 0; stride *= shape[axis])
        if (strides[axis] != stride)
            return "a tensor that is not row-major";
    if (tensor.data_offset % TRI_TENSOR_ALIGN != 0 || tensor.data_offset > view->bytes_size ||
        tensor.data_size > view->bytes_size - tensor.data_offset)
        return "a tensor outside of the block";
    return NULL;
}

static const char *
check_handle(struct checking *checking, uint32_t at)
{
    const struct tri_wire_node *node = &checking->view->nodes[at];
    bool top_level = at >= checking->top_begin && at < checking->top_end && node->kind == TRP_REF;
    if (node->count != 0 || (node->payload >= checking->section->ref_count && !top_level))
        return "a reference without an entry";
    if (node->payload >= checking->section->ref_count)
        return NULL;
    bool is_actor = (checking->section->refs[node->payload].flags & TRI_REF_ACTOR) != 0;
    return is_actor != (node->kind == TRP_ACTOR) ? "a reference with another's entry" : NULL;
}

static check_node *const checks[] = {
    [TRP_NULL] = check_scalar,  [TRP_BOOL] = check_scalar,   [TRP_I64] = check_scalar,    [TRP_F64] = check_scalar,
    [TRP_STR] = check_bytes,    [TRP_BYTES] = check_bytes,   [TRP_LIST] = check_children, [TRP_TUPLE] = check_children,
    [TRP_MAP] = check_children, [TRP_TENSOR] = check_tensor, [TRP_REF] = check_handle,    [TRP_ACTOR] = check_handle,
};

/* The root of arguments: a TUPLE, or a LIST of that and a MAP. *base: how much deeper than a value it makes them. */
static const char *
check_root(struct checking *checking, uint32_t *base)
{
    const struct tri_wire_node *nodes = checking->view->nodes;
    uint32_t count = checking->view->node_count;
    uint64_t items;
    if (nodes[0].kind == TRP_TUPLE) {
        *base = checking->top_begin = 1;
        items = nodes[0].count;
    } else if (nodes[0].kind == TRP_LIST && nodes[0].count == 2 && count >= 3 && nodes[1].kind == TRP_TUPLE &&
               nodes[2].kind == TRP_MAP) {
        *base = 2;
        checking->top_begin = 3;
        items = nodes[1].count + 2 * (uint64_t)nodes[2].count;
    } else {
        return "arguments that are no arguments";
    }
    if (items > count - checking->top_begin)
        return "more items than there are";
    checking->top_end = checking->top_begin + (uint32_t)items;
    return NULL;
}

static trp_err
check_nodes(const struct tri_view *view, const struct tri_section *section, bool args, trp_error *error)
{
    struct checking checking = {.view = view, .section = section, .next = 1};
    uint32_t base = 0, depth = 0;
    uint64_t level_end = 1;
    const char *wrong = args ? check_root(&checking, &base) : NULL;
    uint32_t at = 0;
    for (; wrong == NULL && at < view->node_count; at++) {
        const struct tri_wire_node *node = &view->nodes[at];
        if (at == level_end) {
            depth++;
            level_end = checking.next;
        }
        checking.container_legal = depth < TRP_NESTING_MAX + base;
        if (at >= checking.next)
            wrong = "an item of nothing";
        else if (node->kind >= sizeof checks / sizeof *checks || node->zero[0] != 0 || node->zero[1] != 0 ||
                 node->zero[2] != 0)
            wrong = "a value of unknown kind";
        else
            wrong = checks[node->kind](&checking, at);
    }
    if (wrong != NULL)
        return TRI_FAIL(error, TRP_EPROTO, "a message carries %s (value %u of %u)", wrong, at, view->node_count);
    return TRP_OK;
}

/* ------------------------------------------------------------------------------------------------------------ opening */

/* In the arena: the FlatBuffer is read once, and never again. */
static trp_err
hold_shared(struct tri_view *view, const struct tri_section *section, const uint8_t **data, trp_error *error)
{
    view->heads = calloc(1, sizeof *view->heads);
    if (view->heads != NULL)
        view->heads->meta = malloc(section->meta_size > 0 ? section->meta_size : 1);
    if (view->heads == NULL || view->heads->meta == NULL || section->data == NULL) {
        tri_heads_free(&view->heads);
        return TRI_FAIL(error, TRP_ENOMEM, "no memory to look at a value of %llu bytes",
                        (unsigned long long)section->size);
    }
    *data = memcpy(view->heads->meta, section->data, section->meta_size);
    view->held = tri_buf_retain(section->frame);
    return TRP_OK;
}

trp_err
tri_view_hold(struct tri_view *view, const struct tri_section *section, const uint8_t **data, trp_error *error)
{
    memset(view, 0, sizeof *view);
    if (section->meta_size > section->size || section->size > TRI_STORED_MAX)
        return TRI_FAIL(error, TRP_EPROTO, "a message of %llu bytes, %u of them structured",
                        (unsigned long long)section->size, section->meta_size);
    if (tri_section_place(section) != NULL)
        return hold_shared(view, section, data, error);
    if (((uintptr_t)section->data & 7) == 0) {
        view->held = tri_buf_retain(section->frame);
        *data = section->data;
        return TRP_OK;
    }
    view->held = tri_buf_copy(section->data, (size_t)section->size);
    if (view->held == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a message of %llu bytes", (unsigned long long)section->size);
    *data = view->held->data;
    return TRP_OK;
}

trp_err
tri_view_check(struct tri_view *view, const struct tri_section *section, const uint8_t *data,
               const struct tri_meta_nodes *nodes, bool args, trp_error *error)
{
    size_t start = tri_pad8(section->meta_size);
    if (view->heads != NULL)
        data = section->data; /* of which only the bytes are used */
    view->bytes = data;
    if (section->size > start) {
        view->bytes = data + start;
        view->bytes_size = section->size - start;
    }
    view->nodes = nodes->nodes;
    view->node_count = nodes->count;
    view->ref_count = section->ref_count;
    trp_err err = view->heads != NULL ? tri_heads_copy(view, error) : TRP_OK;
    if (err == TRP_OK)
        err = check_nodes(view, section, args, error);
    if (err != TRP_OK)
        tri_view_close(view);
    return err;
}

trp_err
tri_view_open(struct tri_view *view, const struct tri_section *section, trp_error *error)
{
    const uint8_t *data;
    struct tri_meta_nodes nodes;
    if (tri_view_plain(view, section))
        return TRP_OK;
    TRP_TRY(tri_view_hold(view, section, &data, error));
    if (!tri_meta_open_value(data, section->meta_size, &nodes)) {
        tri_view_close(view);
        return TRI_FAIL(error, TRP_EPROTO, "a value that does not verify (%u bytes)", section->meta_size);
    }
    return tri_view_check(view, section, data, &nodes, false, error);
}

void
tri_view_close(struct tri_view *view)
{
    tri_heads_free(&view->heads);
    tri_buf_release(&view->held);
    memset(view, 0, sizeof *view);
}

/* ------------------------------------------------------------------------------------------------------------ reading */

static trp_value
handle_at(const struct tri_view *view, const struct tri_wire_node *node)
{
    trp_value value = trp_null();
    value.kind = TRP_NONE;
    if (node->payload >= view->ref_count)
        return value;
    if (node->kind == TRP_REF)
        return trp_ref_value(view->refs != NULL ? view->refs[node->payload] : NULL);
    return trp_actor_value(view->actors != NULL ? view->actors[node->payload] : NULL);
}

trp_value
tri_view_value(const struct tri_view *view, uint32_t at)
{
    trp_value value = trp_null();
    TRI_ASSERT(at < view->node_count);
    const struct tri_wire_node *node = &view->nodes[at];
    if (node->kind == TRP_REF || node->kind == TRP_ACTOR)
        return handle_at(view, node);
    value.kind = (trp_kind)node->kind;
    if (node->kind >= TRP_LIST) {
        value.form = at + 1;
        value.size = node->count;
        value.as.opaque = view;
    } else if (node->kind >= TRP_STR) {
        uint64_t size;
        memcpy(&size, tri_view_head(view, at), sizeof size);
        value.size = (size_t)size;
        value.as.bytes = bytes_at(view, at);
    } else if (node->kind == TRP_BOOL) {
        value.as.boolean = node->payload != 0;
    } else {
        memcpy(&value.as, &node->payload, sizeof node->payload);
    }
    return value;
}

void
tri_view_tensor(const struct tri_view *view, uint32_t at, DLTensor *tensor)
{
    TRI_ASSERT(at < view->node_count && view->nodes[at].kind == TRP_TENSOR);
    const struct tri_wire_tensor *wire = (const void *)tri_view_head(view, at);
    memset(tensor, 0, sizeof *tensor);
    tensor->dtype = (DLDataType){wire->code, wire->bits, wire->lanes};
    tensor->device.device_type = kDLCPU;
    tensor->ndim = (int32_t)wire->ndim;
    tensor->shape = (int64_t *)(uintptr_t)(wire + 1);
    tensor->strides = tensor->shape + wire->ndim;
    tensor->data = (void *)(uintptr_t)(view->bytes + wire->data_offset);
}
