/*
 * test_dlpack.c - tensors for other libraries and from them: read where they lie, given back by whatever thread and whenever, refused
 * where they are none; on a private node, a node service, in local mode.
 */
#include "tests/conformance/stage.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 512, COLUMNS = 256 };

static trp_error error;

#define OK(expression) cr_assert_eq((expression), TRP_OK, "%s", error.message)

/* Elements of a large matrix, each of its own. */
static double *
matrix(void)
{
    double *data = malloc(ROWS * COLUMNS * sizeof *data);
    cr_assert_not_null(data);
    for (int i = 0; i < ROWS * COLUMNS; i++)
        data[i] = i * 0.5;
    return data;
}

static trp_ref *
put_matrix(trp_runtime *rt)
{
    double *data = matrix();
    DLTensor tensor = trp_dense(data, TRP_FLOAT64, 2, (int64_t[]){ROWS, COLUMNS});
    trp_ref *ref = stage_put(rt, trp_tensor(&tensor));
    free(data);
    return ref;
}

static DLManagedTensorVersioned *
out_of(trp_ref *ref)
{
    DLManagedTensorVersioned *tensor = NULL;
    OK(trp_to_dlpack(ref, 20000, &tensor, &error));
    cr_assert_not_null(tensor);
    return tensor;
}

static void
expect_matrix(const DLManagedTensorVersioned *tensor)
{
    const DLTensor *seen = &tensor->dl_tensor;
    const double *data = seen->data;
    double *expected = matrix();
    cr_expect(tensor->version.major == 1 && (tensor->flags & DLPACK_FLAG_BITMASK_READ_ONLY) != 0);
    cr_expect(seen->device.device_type == kDLCPU && seen->device.device_id == 0 && seen->byte_offset == 0);
    cr_expect(seen->dtype.code == kDLFloat && seen->dtype.bits == 64 && seen->dtype.lanes == 1);
    cr_assert_eq(seen->ndim, 2);
    cr_expect(seen->shape[0] == ROWS && seen->shape[1] == COLUMNS);
    cr_expect(seen->strides[0] == COLUMNS && seen->strides[1] == 1);
    cr_expect_eq((uintptr_t)data % 64, 0);
    cr_expect(memcmp(data, expected, ROWS * COLUMNS * sizeof *data) == 0);
    free(expected);
}

static void *
give_back(void *user)
{
    DLManagedTensorVersioned *tensor = user;
    tensor->deleter(tensor);
    return NULL;
}

static void
give_back_elsewhere(DLManagedTensorVersioned *tensor)
{
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, give_back, tensor), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
}

ROW(a_large_tensor_is_read_where_it_lies_also_when_its_reference_is_released)
{
    trp_ref *ref = put_matrix(rt);
    DLManagedTensorVersioned *tensor = out_of(ref);
    trp_value value;
    DLTensor view;
    OK(trp_get(ref, 20000, &value, &error));
    cr_assert(trp_as_tensor(value, &view));
    cr_expect_eq(view.data, tensor->dl_tensor.data, "it was copied");
    cr_expect_eq(tensor->flags & DLPACK_FLAG_BITMASK_IS_COPIED, 0);
    trp_unpin(ref);
    expect_matrix(tensor);
    trp_ref_release(&ref);
    expect_matrix(tensor);
    give_back_elsewhere(tensor);
}

ROW(what_a_task_has_made_goes_out_as_often_as_it_is_asked_for)
{
    trp_ref *made = put_matrix(rt), *echo = stage_task(rt, "conformance:echo", TRP_ARGS(made));
    DLManagedTensorVersioned *tensors[3];
    for (int i = 0; i < 3; i++)
        tensors[i] = out_of(echo);
    trp_ref_release(&made);
    trp_ref_release(&echo);
    for (int i = 0; i < 3; i++) {
        expect_matrix(tensors[i]);
        tensors[i]->deleter(tensors[i]);
    }
}

ROW(small_and_empty_ones_are_copied_and_say_so)
{
    float three[] = {1, 2, 3};
    DLTensor small = trp_dense(three, TRP_FLOAT32, 1, (int64_t[]){3}), scalar = trp_dense(three, TRP_FLOAT32, 0, NULL),
             empty = trp_dense(NULL, TRP_FLOAT32, 2, (int64_t[]){0, 5});
    const DLTensor *const rows[] = {&small, &scalar, &empty};
    for (int i = 0; i < 3; i++) {
        trp_ref *ref = stage_put(rt, trp_tensor(rows[i]));
        DLManagedTensorVersioned *tensor = out_of(ref);
        trp_ref_release(&ref);
        cr_assert_eq(tensor->dl_tensor.ndim, rows[i]->ndim);
        cr_expect_neq(tensor->flags & DLPACK_FLAG_BITMASK_IS_COPIED, 0);
        cr_expect_eq((uintptr_t)tensor->dl_tensor.data % 64, 0);
        if (i < 2)
            cr_expect(memcmp(tensor->dl_tensor.data, three, i == 0 ? sizeof three : sizeof *three) == 0);
        tensor->deleter(tensor);
    }
}

ROW(it_is_read_and_given_back_after_shutdown)
{
    trp_ref *ref = put_matrix(rt), *kept = put_matrix(rt);
    DLManagedTensorVersioned *tensor = out_of(ref), *other = out_of(kept);
    trp_ref_release(&ref);
    stage_shutdown();
    expect_matrix(tensor);
    expect_matrix(other);
    tensor->deleter(tensor);
    cr_expect_eq(trp_to_dlpack(kept, 0, &tensor, &error), TRP_ECLOSED);
    trp_ref_release(&kept);
    expect_matrix(other);
    give_back_elsewhere(other);
}

static int deleted;

static void
count_deleted(DLManagedTensorVersioned *self)
{
    (void)self;
    deleted++;
}

/* Transposed, reversed, each row the same one, every other element behind an offset. */
ROW(strided_ones_come_in_and_arrive_row_major)
{
    int32_t data[] = {0, 1, 2, 3, 4, 5};
    int32_t *const last = data + 5;
    const struct {
        int32_t *data;
        int64_t shape[2], strides[2];
        uint64_t byte_offset;
        int32_t seen[6];
    } rows[] = {
        {data, {3, 2}, {1, 3}, 0, {0, 3, 1, 4, 2, 5}}, {last, {2, 3}, {-3, -1}, 0, {5, 4, 3, 2, 1, 0}},
        {data, {2, 3}, {0, 1}, 0, {0, 1, 2, 0, 1, 2}}, {data, {2, 3}, {1, 1}, 0, {0, 1, 2, 1, 2, 3}},
        {data, {1, 3}, {6, 2}, 4, {1, 3, 5}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t shape[2] = {rows[i].shape[0], rows[i].shape[1]}, strides[2] = {rows[i].strides[0], rows[i].strides[1]};
        DLManagedTensorVersioned theirs = {.version = {1, 1}, .deleter = count_deleted};
        theirs.dl_tensor = trp_dense(rows[i].data, TRP_INT32, 2, shape);
        theirs.dl_tensor.strides = strides;
        theirs.dl_tensor.byte_offset = rows[i].byte_offset;
        trp_ref *ref = stage_put(rt, trp_tensor(&theirs.dl_tensor));
        theirs.deleter(&theirs);
        DLManagedTensorVersioned *tensor = out_of(ref);
        trp_ref_release(&ref);
        cr_expect(memcmp(tensor->dl_tensor.data, rows[i].seen, (size_t)(shape[0] * shape[1]) * 4) == 0, "row %zu", i);
        cr_expect_eq(tensor->dl_tensor.strides[0], shape[1]);
        tensor->deleter(tensor);
    }
    cr_expect_eq(deleted, 5);
}

ROW(what_cannot_come_in_is_refused_with_a_sentence)
{
    float data[4] = {0};
    int64_t shape[33] = {2, 2}, negative[] = {2, -2}, huge[] = {INT64_MAX, 2};
    const DLTensor good = trp_dense(data, TRP_FLOAT32, 2, shape);
    DLTensor bad[10];
    const struct {
        trp_err err;
        const char *words;
    } rows[] = {{TRP_ETYPE, "device of type 2"}, {TRP_ETYPE, "0 lanes"},
                {TRP_ETYPE, "4 bits"},           {TRP_ETYPE, "code 3"},
                {TRP_EINVAL, "without data"},    {TRP_EINVAL, "-1 dimensions"},
                {TRP_EINVAL, "33 dimensions"},   {TRP_EINVAL, "without a shape"},
                {TRP_ELIMIT, "negative extent"}, {TRP_ELIMIT, "tensor of more than"}};
    for (int i = 0; i < 10; i++)
        bad[i] = good;
    bad[0].device.device_type = kDLCUDA;
    bad[1].dtype.lanes = 0;
    bad[2].dtype.bits = 4;
    bad[3].dtype.code = kDLOpaqueHandle;
    bad[4].data = NULL;
    bad[5].ndim = -1;
    bad[6].ndim = 33;
    bad[7].shape = NULL;
    bad[8].shape = negative;
    bad[9].shape = huge;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        trp_ref *ref = NULL;
        cr_expect_eq(trp_put(rt, trp_tensor(&bad[i]), &ref, &error), rows[i].err, "row %zu: %s", i, error.message);
        cr_expect(strstr(error.message, rows[i].words) != NULL, "row %zu: %s", i, error.message);
        cr_expect_null(ref);
    }
}

ROW(what_cannot_go_out_is_refused_and_leaves_nothing)
{
    double one = 1;
    DLTensor tensor = trp_dense(&one, TRP_FLOAT64, 0, NULL);
    trp_ref *number = stage_put(rt, trp_i64(5)), *list = stage_put(rt, TRP_LIST(trp_tensor(&tensor))),
            *good = stage_put(rt, trp_tensor(&tensor)),
            *failed = stage_task(rt, "conformance:fail", TRP_ARGS(3, "sorry"));
    DLManagedTensorVersioned *out = NULL;
    const struct {
        trp_ref *ref;
        int64_t timeout_ms;
        DLManagedTensorVersioned **tensor;
        trp_err err;
    } rows[] = {{number, 20000, &out, TRP_ETYPE}, {list, 20000, &out, TRP_ETYPE}, {NULL, 0, &out, TRP_EINVAL},
                {good, 0, NULL, TRP_EINVAL},      {good, -7, &out, TRP_EINVAL},   {failed, 20000, &out, TRP_ETASK}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_eq(trp_to_dlpack(rows[i].ref, rows[i].timeout_ms, rows[i].tensor, &error), rows[i].err, "row %zu: %s",
                     i, error.message);
        cr_expect_null(out);
    }
    trp_ref_release(&number);
    trp_ref_release(&list);
    trp_ref_release(&good);
    trp_ref_release(&failed);
}
