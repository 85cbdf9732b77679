/*
 * large.c - large.h. It knows how arguments lie in a trp_value, and nothing of calls.
 */
#include "actors/large.h"

#include <stdlib.h>

static uint64_t
tensor_size(trp_value value)
{
    DLTensor seen;
    const DLTensor *tensor = value.as.opaque;
    if (value.form != 0) {
        tri_view_tensor(value.as.opaque, value.form - 1, &seen);
        tensor = &seen;
    }
    /* Wrong ones are refused where they are packed. */
    const bool right = tensor != NULL && tensor->ndim >= 0 && (tensor->ndim == 0 || tensor->shape != NULL);
    return right ? tri_tensor_size(tensor) : 0;
}

/* Adds what it takes, about, until that is large. Where it is nested too deeply it is refused when it is packed. */
static void
add_size(trp_value value, int level, uint64_t *size)
{
    *size += sizeof(struct tri_wire_node);
    if (value.kind == TRP_STR || value.kind == TRP_BYTES)
        *size += value.size;
    else if (value.kind == TRP_TENSOR)
        *size += tensor_size(value);
    if ((value.kind != TRP_LIST && value.kind != TRP_TUPLE && value.kind != TRP_MAP) || level == TRP_NESTING_MAX)
        return;
    for (size_t i = 0; i < value.size && *size <= TRI_INLINE_MAX; i++) {
        if (value.kind == TRP_MAP)
            add_size(trp_key_at(value, i), level + 1, size);
        add_size(trp_at(value, i), level + 1, size);
    }
}

static bool
is_large(trp_value value)
{
    uint64_t size = 0;
    add_size(value, 0, &size);
    return size > TRI_INLINE_MAX + sizeof(struct tri_wire_node);
}

/* The value of an argument, with a name or without. */
static const trp_value *
argument(const trp_value *item)
{
    return item->kind != TRP_KEYWORD ? item : item->as.opaque != NULL ? (const trp_value *)item->as.opaque + 1 : NULL;
}

static size_t
count_large(trp_value args)
{
    const trp_value *items = args.as.opaque;
    size_t count = 0;
    for (size_t i = 0; args.kind == TRP_ARGS && items != NULL && i < args.size; i++) {
        const trp_value *value = argument(&items[i]);
        count += value != NULL && is_large(*value);
    }
    return count;
}

/* The items as they were, keywords with pairs of their own. */
static bool
copy_items(trp_value args, size_t ref_count, struct tri_large *large)
{
    const trp_value *items = args.as.opaque;
    large->values = calloc(1, args.size * 3 * sizeof *large->values + ref_count * sizeof *large->refs);
    if (large->values == NULL)
        return false;
    trp_value *pairs = large->values + args.size;
    large->refs = (trp_ref **)(void *)(pairs + 2 * args.size);
    for (size_t i = 0; i < args.size; i++) {
        large->values[i] = items[i];
        if (items[i].kind != TRP_KEYWORD || items[i].as.opaque == NULL)
            continue;
        memcpy(&pairs[2 * i], items[i].as.opaque, 2 * sizeof *pairs);
        large->values[i].as.opaque = &pairs[2 * i];
    }
    return true;
}

trp_err
tri_large_args(struct tri_process *process, trp_runtime *runtime, trp_value *args, struct tri_large *large,
               trp_error *error)
{
    const size_t ref_count = process->store != NULL ? count_large(*args) : 0;
    if (ref_count == 0)
        return TRP_OK;
    if (!copy_items(*args, ref_count, large))
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for %zu arguments", args->size);
    for (size_t i = 0; i < args->size; i++) {
        trp_value *value = (trp_value *)(uintptr_t)argument(&large->values[i]);
        if (value == NULL || !is_large(*value))
            continue;
        TRP_TRY(tri_put(process, runtime, *value, &large->refs[large->ref_count], error));
        *value = trp_ref_value(large->refs[large->ref_count++]);
    }
    args->as.opaque = large->values;
    return TRP_OK;
}

void
tri_large_end(struct tri_process *process, struct tri_large *large)
{
    for (size_t i = 0; i < large->ref_count; i++)
        tri_handle_drop(process, &large->refs[i]->handle);
    free(large->values);
}
