/*
 * dlpack.c - trp_to_dlpack: a tensor for another library, read where it lies. What it lies in is retained and stays pinned until its
 * deleter is called, by whatever thread, also when the runtime is gone; so the deleter must not know of the process.
 */
#include <stdlib.h>
#include <string.h>

#include "actors/checks.h"
#include "actors/process.h"

enum { ALIGNMENT = 64 };

struct handed {
    DLManagedTensorVersioned tensor;
    struct tri_buf *buf; /* its elements lie in there; NULL: in */
    void *copy;
    int64_t numbers[]; /* shape, strides */
};

static void
take_back(DLManagedTensorVersioned *self)
{
    struct handed *handed = self->manager_ctx;

    if (tri_process_forked())
        return; /* it is the parent's, and so are its pins */
    if (handed->buf != NULL && handed->buf->place != NULL)
        tri_store_lent_back(handed->buf);
    tri_buf_release(&handed->buf);
    free(handed->copy);
    free(handed);
}

/* A value that came among others in one message may be gone when they are, and need not be aligned. */
static trp_err
hold(struct handed *handed, const struct tri_held *held, const DLTensor *view, trp_error *error)
{
    const uint64_t size = tri_tensor_size(view);
    uint8_t *data = (uint8_t *)view->data + view->byte_offset;

    if (size > 0 && held->frame != NULL && (uintptr_t)data % ALIGNMENT == 0) {
        handed->buf = tri_buf_retain(held->frame);
        if (handed->buf->place != NULL)
            tri_store_lend(handed->buf);
    } else {
        const size_t room = ((size_t)size + ALIGNMENT) & ~(size_t)(ALIGNMENT - 1);
        handed->copy = aligned_alloc(ALIGNMENT, room);
        if (handed->copy == NULL)
            return TRI_FAIL(error, TRP_ENOMEM, "no memory to copy a tensor of %llu bytes", (unsigned long long)size);
        data = size > 0 ? memcpy(handed->copy, data, (size_t)size) : handed->copy;
        handed->tensor.flags |= DLPACK_FLAG_BITMASK_IS_COPIED;
    }
    handed->tensor.dl_tensor.data = data;
    return TRP_OK;
}

/* With the lock; it is pinned. */
static trp_err
hand_out(const struct tri_held *held, const DLTensor *view, DLManagedTensorVersioned **tensor, trp_error *error)
{
    const size_t count = (size_t)view->ndim;
    struct handed *handed = calloc(1, sizeof *handed + 2 * count * sizeof *handed->numbers);
    trp_err err;

    if (handed == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a tensor");
    if (count > 0) {
        memcpy(handed->numbers, view->shape, count * sizeof *view->shape);
        memcpy(handed->numbers + count, view->strides, count * sizeof *view->strides);
    }
    handed->tensor = (DLManagedTensorVersioned){.version = {DLPACK_MAJOR_VERSION, DLPACK_MINOR_VERSION},
                                                .manager_ctx = handed,
                                                .deleter = take_back,
                                                .flags = DLPACK_FLAG_BITMASK_READ_ONLY,
                                                .dl_tensor = {.device = {kDLCPU, 0},
                                                              .ndim = view->ndim,
                                                              .dtype = view->dtype,
                                                              .shape = handed->numbers,
                                                              .strides = handed->numbers + count}};
    err = hold(handed, held, view, error);
    if (err != TRP_OK)
        free(handed);
    else
        *tensor = &handed->tensor;
    return err;
}

trp_err
trp_to_dlpack(trp_ref *ref, int64_t timeout_ms, DLManagedTensorVersioned **tensor, trp_error *error)
{
    struct tri_process *process = NULL;
    trp_value value;
    DLTensor view;
    trp_err err;

    if (tensor == NULL)
        return TRI_FAIL(error, TRP_EINVAL, "tensor is NULL");
    TRP_TRY(trp_get(ref, timeout_ms, &value, error));
    err = tri_handle_enter(&ref->handle, "ref", &process, error);
    if (err != TRP_OK)
        return err;
    if (!trp_as_tensor(value, &view) || ref->handle.ref.held == NULL)
        err = TRI_FAIL(error, TRP_ETYPE, "the value of the reference is no tensor");
    else
        err = hand_out(ref->handle.ref.held, &view, tensor, error);
    tri_process_unlock(process);
    trp_unpin(ref);
    return err;
}
