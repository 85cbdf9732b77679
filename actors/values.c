/*
 * values.c - reading values: those that a user built and those that lie flat in a message answer alike. Pure; any thread.
 * It must not know how values are packed, nor any runtime.
 */
#include "actors/values.h"

#include <troupe/runtime.h>

#include "schemas/schemas.h"

const char *
trp_strerror(trp_err err)
{
#define ROW(name, number, text)                                                                                        \
    if (err == name)                                                                                                   \
        return #name ": " text;
    TRP_ERRORS(ROW)
#undef ROW
    return "an error that this version has no name for";
}

/* ------------------------------------------------------------------------------------------------------------- items */

static trp_value
none(void)
{
    trp_value value = trp_null();
    value.kind = TRP_NONE;
    return value;
}

/* Node i of a container's children, or item i of the user's array. */
static trp_value
child(trp_value value, size_t i)
{
    if (value.as.opaque == NULL)
        return none();
    if (value.form == 0)
        return ((const trp_value *)value.as.opaque)[i];
    const struct tri_view *view = value.as.opaque;
    return tri_view_value(view, (uint32_t)(view->nodes[value.form - 1].payload + i));
}

static size_t
item_count(trp_value value)
{
    switch (value.kind) {
    case TRP_LIST:
    case TRP_TUPLE:
    case TRP_MAP:
    case TRP_ARGS:
        return value.size;
    default:
        return 0;
    }
}

trp_value
trp_at(trp_value value, size_t i)
{
    if (i >= item_count(value))
        return none();
    return child(value, value.kind == TRP_MAP ? 2 * i + 1 : i);
}

trp_value
trp_key_at(trp_value map, size_t i)
{
    return map.kind == TRP_MAP && i < map.size ? child(map, 2 * i) : none();
}

trp_value
trp_field(trp_value map, const char *key)
{
    size_t size = key != NULL ? strlen(key) : 0;
    for (size_t i = 0; key != NULL && map.kind == TRP_MAP && i < map.size; i++) {
        trp_value name = child(map, 2 * i);
        if (name.kind == TRP_STR && name.size == size && memcmp(name.as.str, key, size) == 0)
            return child(map, 2 * i + 1);
    }
    return none();
}

bool
trp_as_tensor(trp_value value, DLTensor *tensor)
{
    if (value.kind != TRP_TENSOR || value.as.opaque == NULL || tensor == NULL)
        return false;
    if (value.form == 0) {
        *tensor = *(const DLTensor *)value.as.opaque;
        if ((int)tensor->device.device_type == 0)
            tensor->device.device_type = kDLCPU;
        return true;
    }
    tri_view_tensor(value.as.opaque, value.form - 1, tensor);
    return true;
}

/* ---------------------------------------------------------------------------------------------------------- equality */

static bool equal(trp_value a, trp_value b, int level);

static bool
equal_bytes(trp_value a, trp_value b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.as.bytes, b.as.bytes, a.size) == 0);
}

static bool
equal_items(trp_value a, trp_value b, int level)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++)
        if (!equal(child(a, i), child(b, i), level + 1))
            return false;
    return true;
}

/* The entry with this key: most often it is where it is in the other map. */
static trp_value
find_entry(trp_value map, trp_value key, size_t guess)
{
    for (size_t i = 0; i < map.size; i++) {
        size_t at = (guess + i) % map.size;
        trp_value found = child(map, 2 * at);
        if (found.kind == TRP_STR && key.kind == TRP_STR && equal_bytes(found, key))
            return child(map, 2 * at + 1);
    }
    return none();
}

static bool
equal_maps(trp_value a, trp_value b, int level)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++)
        if (!equal(child(a, 2 * i + 1), find_entry(b, child(a, 2 * i), i), level + 1))
            return false;
    return true;
}

/* Element `index`, counted in row-major order. */
static const uint8_t *
element_at(const DLTensor *tensor, uint64_t index, size_t size)
{
    int64_t offset = 0, dense = (int64_t)index;
    if (tensor->strides != NULL) {
        for (int axis = tensor->ndim - 1; axis >= 0; axis--) {
            offset += (int64_t)(index % (uint64_t)tensor->shape[axis]) * tensor->strides[axis];
            index /= (uint64_t)tensor->shape[axis];
        }
    } else {
        offset = dense;
    }
    return (const uint8_t *)tensor->data + tensor->byte_offset + offset * (int64_t)size;
}

static bool
equal_tensors(trp_value a, trp_value b)
{
    DLTensor left, right;
    if (!trp_as_tensor(a, &left) || !trp_as_tensor(b, &right) || left.ndim != right.ndim ||
        memcmp(&left.dtype, &right.dtype, sizeof left.dtype) != 0)
        return false;
    uint64_t count = 1;
    for (int axis = 0; axis < left.ndim; axis++) {
        if (left.shape[axis] != right.shape[axis])
            return false;
        count *= (uint64_t)left.shape[axis];
    }
    size_t size = ((size_t)left.dtype.bits * left.dtype.lanes + 7) / 8;
    for (uint64_t i = 0; i < count; i++)
        if (memcmp(element_at(&left, i, size), element_at(&right, i, size), size) != 0)
            return false;
    return true;
}

static bool
equal(trp_value a, trp_value b, int level)
{
    if (a.kind != b.kind)
        return false;
    switch (a.kind) {
    case TRP_NULL:
    case TRP_NONE:
        return true;
    case TRP_BOOL:
        return a.as.boolean == b.as.boolean;
    case TRP_I64:
        return a.as.i64 == b.as.i64;
    case TRP_F64:
        return a.as.f64 == b.as.f64 || (a.as.f64 != a.as.f64 && b.as.f64 != b.as.f64);
    case TRP_STR:
    case TRP_BYTES:
        return equal_bytes(a, b);
    case TRP_LIST:
    case TRP_TUPLE:
    case TRP_ARGS:
    case TRP_KEYWORD:
        return tri_level_may_open(a.kind, &level) && equal_items(a, b, level);
    case TRP_MAP:
        return tri_level_may_open(a.kind, &level) && equal_maps(a, b, level);
    case TRP_TENSOR:
        return equal_tensors(a, b);
    case TRP_REF:
        return a.as.ref == b.as.ref || strcmp(trp_ref_id(a.as.ref), trp_ref_id(b.as.ref)) == 0;
    case TRP_ACTOR:
        return a.as.actor == b.as.actor || strcmp(trp_actor_id(a.as.actor), trp_actor_id(b.as.actor)) == 0;
    }
    return false;
}

bool
trp_equal(trp_value a, trp_value b)
{
    return equal(a, b, tri_level_of(a));
}
