/*
 * test_begin.c - values that are written in place: trp_put_begin, trp_put_room, trp_put_end, trp_return_begin.
 */
#include "tests/conformance/stage.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LARGE = 100 * 1000 };

static trp_error error;

#define OK(expression) cr_assert_eq((expression), TRP_OK, "%s", error.message)

static trp_ref *
begin(trp_runtime *rt, trp_value value)
{
    trp_ref *ref = NULL;
    OK(trp_put_begin(rt, value, &ref, &error));
    return ref;
}

static void
count_up(const DLTensor *x)
{
    for (int64_t i = 0; i < x->shape[0]; i++)
        ((int64_t *)x->data)[i] = i;
}

static void
expect_counted(trp_value value, int64_t count)
{
    DLTensor seen;
    cr_assert(trp_as_tensor(value, &seen));
    cr_assert_eq(seen.shape[0], count);
    for (int64_t i = 0; i < count; i++)
        cr_assert_eq(((const int64_t *)seen.data)[i], i);
}

ROW(a_tensor_is_written_where_it_lies_and_read_from_there)
{
    static int64_t counts[] = {1, 100, 12800, 12801, LARGE};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        DLTensor x = trp_dense(NULL, TRP_INT64, 1, &counts[i]);
        trp_ref *ref = begin(rt, trp_tensor(&x));
        trp_value value;
        cr_assert_not_null(x.data);
        cr_expect_eq((uintptr_t)x.data % 64, 0);
        cr_expect_eq(trp_ref_location(ref), TRP_PENDING);
        cr_expect_eq(trp_get(ref, 0, NULL, &error), TRP_ETIMEDOUT);
        count_up(&x);
        OK(trp_put_end(ref, &error));
        OK(trp_get(ref, 0, &value, &error));
        expect_counted(value, counts[i]);
        cr_expect_eq(trp_ref_location(ref),
                     8 * counts[i] > 102400 && stage_mode() != STAGE_LOCAL ? TRP_SHM : TRP_INLINE);
        trp_ref *echoed = stage_task(rt, "conformance:echo", TRP_ARGS(ref));
        OK(trp_get(echoed, 20000, &value, &error));
        expect_counted(value, counts[i]);
        trp_ref_release(&echoed);
        trp_ref_release(&ref);
    }
}

ROW(all_tensors_of_a_value_get_room_and_what_has_data_is_copied)
{
    int64_t three[] = {1, 2, 3}, count = 3, large = LARGE, none = 0;
    DLTensor x = trp_dense(NULL, TRP_INT64, 1, &count), y = trp_dense(NULL, TRP_INT64, 1, &large),
             had = trp_dense(three, TRP_INT64, 1, &count), empty = trp_dense(NULL, TRP_INT64, 1, &none);
    x.byte_offset = 8;
    trp_ref *ref = begin(rt, TRP_MAP("x", TRP_LIST(&x, &y), "had", &had, "empty", &empty, "n", 5));
    trp_value value;
    cr_expect(x.byte_offset == 0 && had.data == three && empty.data == NULL);
    count_up(&x);
    count_up(&y);
    OK(trp_put_end(ref, &error));
    OK(trp_get(ref, 0, &value, &error));
    expect_counted(trp_at(trp_field(value, "x"), 0), 3);
    expect_counted(trp_at(trp_field(value, "x"), 1), LARGE);
    DLTensor seen;
    cr_assert(trp_as_tensor(trp_field(value, "had"), &seen) && memcmp(seen.data, three, sizeof three) == 0);
    cr_expect_eq(trp_as_i64(trp_field(value, "n")), 5);
    trp_ref_release(&ref);
}

ROW(bytes_have_their_room)
{
    static const size_t sizes[] = {0, 1, 5000, 102400, 3000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        trp_ref *ref = begin(rt, trp_bytes(NULL, sizes[i]));
        trp_value value;
        void *room = trp_put_room(ref);
        cr_assert_not_null(room);
        memset(room, 'x', sizes[i]);
        OK(trp_put_end(ref, &error));
        cr_expect_null(trp_put_room(ref), "it is sealed");
        OK(trp_get(ref, 0, &value, &error));
        cr_assert(value.kind == TRP_BYTES && value.size == sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            cr_assert_eq(((const char *)value.as.bytes)[k], 'x');
        trp_ref_release(&ref);
    }
    trp_ref *other = begin(rt, trp_i64(3));
    cr_expect_null(trp_put_room(other));
    cr_expect_null(trp_put_room(NULL));
    OK(trp_put_end(other, &error));
    stage_expect(other, "3");
}

ROW(what_has_no_data_otherwise_is_refused_and_stays_without)
{
    int64_t shape[] = {2, 3}, strides[] = {1, 2}, huge[] = {INT64_MAX / 2, 2};
    trp_actor *no_actor = NULL;
    DLTensor x = trp_dense(NULL, TRP_INT64, 2, shape), across = x, far = trp_dense(NULL, TRP_INT64, 2, huge);
    trp_ref *ref = NULL, *made;
    across.strides = strides;
    const struct {
        trp_value value;
        trp_err err;
        const char *words;
    } rows[] = {
        {TRP_LIST(&x, &x), TRP_EINVAL, "the same DLTensor twice"},
        {TRP_LIST(&x, &across), TRP_EINVAL, "not row-major"},
        {TRP_LIST(&x, &far), TRP_ELIMIT, "a tensor of more than"},
        {TRP_LIST(&x, trp_bytes(NULL, 5)), TRP_EINVAL, "a NULL pointer to 5 bytes"},
        {TRP_LIST(&x, trp_value_(TRP_STR, NULL, 5)), TRP_EINVAL, "a NULL pointer to 5 bytes"},
        {TRP_LIST(&x, no_actor), TRP_EINVAL, "no value"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_eq(trp_put_begin(rt, rows[i].value, &ref, &error), rows[i].err, "row %zu: %s", i, error.message);
        cr_expect_not_null(strstr(error.message, rows[i].words), "%s", error.message);
        cr_expect(x.data == NULL && across.data == NULL && far.data == NULL && ref == NULL);
    }
    cr_expect_eq(trp_put(rt, trp_tensor(&x), &ref, &error), TRP_EINVAL, "to be copied it needs data");
    cr_expect_eq(trp_put_begin(rt, trp_tensor(&x), NULL, &error), TRP_EINVAL);
    cr_expect_eq(trp_put_begin(NULL, trp_tensor(&x), &ref, &error), TRP_EINVAL);
    cr_expect_eq(trp_put_end(NULL, &error), TRP_EINVAL);
    made = begin(rt, trp_tensor(&x));
    OK(trp_put_end(made, &error));
    cr_expect_eq(trp_put_end(made, &error), TRP_EALREADY);
    trp_ref_release(&made);
    made = stage_put(rt, trp_i64(1));
    cr_expect_eq(trp_put_end(made, &error), TRP_EALREADY);
    trp_ref_release(&made);
}

ROW(its_reference_goes_everywhere_before_the_end)
{
    int64_t count = LARGE;
    DLTensor x = trp_dense(NULL, TRP_INT64, 1, &count);
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    trp_ref *ref = begin(rt, trp_tensor(&x)), *outer = stage_put(rt, TRP_LIST(ref));
    stage_expect(stage_call(log, "keep", TRP_ARGS(TRP_LIST(ref))), "null"); /* it does not wait for the value */
    stage_expect(stage_call(log, "keep", TRP_ARGS(outer)), "null");
    trp_ref *waits = stage_call(log, "value", TRP_NOARGS),
            *argument = stage_task(rt, "conformance:echo", TRP_ARGS(ref));
    cr_expect_eq(trp_get(argument, 0, NULL, &error), TRP_ETIMEDOUT);
    count_up(&x);
    OK(trp_put_end(ref, &error));
    trp_value value;
    OK(trp_get(waits, 20000, &value, &error));
    expect_counted(value, LARGE);
    OK(trp_get(argument, 20000, &value, &error));
    expect_counted(value, LARGE);
    trp_ref_release(&waits);
    trp_ref_release(&argument);
    trp_ref_release(&outer);
    trp_ref_release(&ref);
    trp_actor_release(&log);
}

ROW(released_without_an_end_it_is_lost_to_all)
{
    int64_t count = LARGE;
    DLTensor x = trp_dense(NULL, TRP_INT64, 1, &count);
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    trp_ref *ref = begin(rt, trp_tensor(&x)), *outer = stage_put(rt, TRP_LIST(ref)), *other;
    const bool is_elsewhere = stage_mode() != STAGE_LOCAL; /* there the actor's is one more of this process */
    if (is_elsewhere)
        stage_expect(stage_call(log, "keep", TRP_ARGS(TRP_LIST(ref))), "null");
    trp_ref *argument = stage_task(rt, "conformance:echo", TRP_ARGS(ref));
    trp_ref_release(&ref);
    trp_value value;
    stage_expect_error(argument, TRP_EOBJLOST, &error);
    if (is_elsewhere) {
        stage_expect_error(stage_call(log, "value", TRP_NOARGS), TRP_ETASK, &error);
        cr_expect_eq(error.cause, TRP_EOBJLOST);
    }
    OK(trp_get(outer, 0, &value, &error));
    other = trp_ref_retain(trp_at(value, 0).as.ref);
    cr_expect_eq(trp_put_end(other, &error), TRP_EALREADY, "it has ended, with a failure");
    stage_expect_error(other, TRP_EOBJLOST, &error);
    cr_expect_not_null(strstr(error.message, "it was released before trp_put_end"), "%s", error.message);
    trp_ref_release(&outer);
    trp_actor_release(&log);
}

ROW(whoever_still_has_it_may_end_it)
{
    DLTensor x = trp_dense(NULL, TRP_INT64, 1, (int64_t[]){3});
    trp_ref *ref = begin(rt, trp_tensor(&x)), *outer = stage_put(rt, TRP_LIST(ref));
    trp_value value;
    OK(trp_get(outer, 0, &value, &error));
    trp_ref_release(&ref);
    count_up(&x);
    OK(trp_put_end(trp_at(value, 0).as.ref, &error));
    stage_expect(trp_ref_retain(trp_at(value, 0).as.ref), "{\"dtype\": \"int64\", \"shape\": [3]}");
    trp_ref_release(&outer);
}

ROW(a_cancelled_one_goes_on_and_another_processes_cannot_be_ended)
{
    DLTensor x = trp_dense(NULL, TRP_INT64, 1, (int64_t[]){3});
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    trp_ref *ref = begin(rt, trp_tensor(&x)), *held = stage_call(log, "hold", TRP_NOARGS);
    OK(trp_cancel(ref, 0, &error));
    cr_expect_eq(trp_put_end(held, &error), TRP_EINVAL, "%s", error.message);
    count_up(&x);
    OK(trp_put_end(ref, &error));
    stage_expect(ref, "{\"dtype\": \"int64\", \"shape\": [3]}");
    stage_expect(stage_call(log, "let_go", TRP_ARGS(4)), "null");
    stage_expect(held, "4");
    trp_actor_release(&log);
}

static void
note(trp_ref *ref, void *user)
{
    *(trp_err *)user = trp_get(ref, 0, NULL, NULL);
}

ROW(who_is_called_back_is_called_at_the_end_or_the_loss)
{
    trp_err ended = TRP_EAGAIN, lost = TRP_EAGAIN;
    trp_ref *ref = begin(rt, trp_bytes(NULL, 5)), *gone = begin(rt, trp_bytes(NULL, 5));
    OK(trp_on_ready(ref, note, &ended, &error));
    OK(trp_on_ready(gone, note, &lost, &error));
    OK(trp_put_end(ref, &error));
    trp_ref_release(&gone);
    while (ended == TRP_EAGAIN || lost == TRP_EAGAIN)
        OK(trp_runtime_process(rt, 20000, &error));
    cr_expect(ended == TRP_OK && lost == TRP_EOBJLOST);
    trp_ref_release(&ref);
}

static void *
write_and_end(void *user)
{
    trp_error why;
    trp_ref *ref = user;
    memset(trp_put_room(ref), 7, 4);
    return trp_put_end(ref, &why) == TRP_OK ? NULL : user;
}

ROW(another_thread_may_end_what_one_waits_for)
{
    trp_ref *ref = begin(rt, trp_bytes(NULL, 4));
    pthread_t thread;
    void *wrong = NULL;
    cr_assert_eq(pthread_create(&thread, NULL, write_and_end, ref), 0);
    OK(trp_get(ref, 20000, NULL, &error));
    (void)pthread_join(thread, &wrong);
    cr_expect_null(wrong);
    trp_ref_release(&ref);
}

ROW(a_result_is_written_in_place)
{
    static const int64_t counts[] = {0, 3, 5000, LARGE};
    trp_value value;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (int how = 0; how <= 2; how += 2) {
            trp_ref *ref = stage_task(rt, "conformance:fill", TRP_ARGS(counts[i], how));
            OK(trp_get(ref, 20000, &value, &error));
            if (counts[i] > 0)
                expect_counted(trp_field(value, "x"), counts[i]);
            cr_expect_eq(trp_as_i64(trp_field(value, "how")), how);
            trp_ref_release(&ref);
        }
    stage_expect_error(stage_task(rt, "conformance:fill", TRP_ARGS(LARGE, 1)), TRP_ETASK, &error);
    cr_expect(error.cause == 7 && strstr(error.message, "no") != NULL);
    stage_expect(stage_task(rt, "conformance:fill", TRP_ARGS(LARGE, 3)), "1");
    cr_expect_eq(trp_return_begin(NULL, trp_null()), TRP_EINVAL);
}

ROW(what_was_returned_stays_so_whatever_is_got_afterwards)
{
    trp_ref *ref = stage_task(rt, "conformance:goes_on", TRP_NOARGS);
    trp_value value;
    OK(trp_get(ref, 20000, &value, &error));
    cr_expect(value.kind == TRP_BYTES && value.size == 200000);
    trp_ref_release(&ref);
}

ROW(what_a_method_leaves_open_is_lost)
{
    static const int64_t sizes[] = {10, 1000000};
    for (int i = 0; i < 2; i++) {
        trp_ref *list = stage_task(rt, "conformance:abandon", TRP_ARGS(sizes[i]));
        trp_value value;
        OK(trp_get(list, 20000, &value, &error));
        stage_expect_error(trp_ref_retain(trp_at(value, 0).as.ref), TRP_EOBJLOST, &error);
        trp_ref_release(&list);
    }
}

/* Who writes when it is sealed; in a process of its own. 0: nothing happened. */
static int
write_late(char *room)
{
    const pid_t pid = fork();
    int status = 0;
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        *(volatile char *)room = 'y';
        _exit(0);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

ROW_WITH_BROKER(who_writes_a_large_one_behind_its_end_is_stopped)
{
    trp_ref *before = NULL;
    for (int round = 0; round < 300; round++) { /* the same room again, and more than are remembered */
        trp_ref *ref = begin(rt, trp_bytes(NULL, 200000));
        char *room = trp_put_room(ref);
        trp_value value;
        memset(room, round, 200000);
        OK(trp_put_end(ref, &error));
        OK(trp_get(ref, 0, &value, &error));
        if (round % 100 == 0) {
            cr_expect_eq(write_late(room), SIGSEGV);
            cr_expect_eq(write_late((char *)(uintptr_t)value.as.bytes), SIGSEGV);
        }
        cr_assert_eq(((const char *)value.as.bytes)[199999], (char)round);
        if (round % 3 == 0) {
            trp_ref_release(&before);
            before = ref;
        } else {
            trp_ref_release(&ref);
        }
    }
    trp_ref_release(&before);
}

ROW(the_runtime_ends_whatever_is_still_open)
{
    DLTensor x = trp_dense(NULL, TRP_INT64, 1, (int64_t[]){LARGE});
    trp_ref *ref = begin(rt, trp_tensor(&x)), *argument = stage_task(rt, "conformance:echo", TRP_ARGS(ref));
    stage_shutdown();
    cr_expect_eq(trp_put_end(ref, &error), TRP_ECLOSED);
    cr_expect_null(trp_put_room(ref));
    trp_ref_release(&argument);
    trp_ref_release(&ref);
}
