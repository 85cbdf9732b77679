/*
 * value_blanks.c - tensors that have no data yet: while their value is laid out each is marked, so that none is there twice; when
 * it is written each is shown its room. Any thread, one at a time per tri_blanks. It must not know where the room lies.
 */
#include <stdlib.h>

#include "schemas/packed.h"

static uint8_t mark; /* its address is that of no data */

trp_err
tri_blank_add(struct tri_blanks *blanks, DLTensor *tensor, trp_error *error)
{
    int64_t stride = 1;
    if (blanks == NULL)
        return TRI_FAIL(error, TRP_EINVAL, "a tensor without data");
    for (int axis = tensor->ndim - 1; tensor->strides != NULL && axis >= 0; axis--) {
        if (tensor->shape[axis] != 1 && tensor->strides[axis] != stride)
            return TRI_FAIL(error, TRP_EINVAL, "a tensor without data that is not row-major, as its room will be");
        stride *= tensor->shape[axis];
    }
    if (!TRI_RESERVE(blanks->tensors, blanks->capacity, blanks->count + 1))
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a value of %zu tensors", blanks->count + 1);
    blanks->tensors[blanks->count++] = tensor;
    tensor->data = &mark;
    return TRP_OK;
}

bool
tri_is_blank(const DLTensor *tensor)
{
    return tensor->data == &mark;
}

void
tri_blank_fill(DLTensor *tensor, uint8_t *room)
{
    tensor->data = room;
    tensor->byte_offset = 0;
}

void
tri_blanks_undo(struct tri_blanks *blanks)
{
    while (blanks->count > 0)
        blanks->tensors[--blanks->count]->data = NULL;
}

void
tri_blanks_fini(struct tri_blanks *blanks)
{
    free(blanks->tensors);
    *blanks = (struct tri_blanks){0};
}
