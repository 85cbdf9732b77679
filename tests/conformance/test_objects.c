/* test_objects.c - objects as somebody who knows Ray expects them (docs/decisions.md, D10): rules R6 to R13, and the rows RY07 to
 * RY09, each on a private node, a node service, in local mode. Local mode has no shared memory: there every object lies in
 * the process, so TRP_INLINE is what it says of all of them. */
#include "tests/conformance/stage.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MIB = 1 << 20, INLINE_MAX = 102400, COUNT = 8, LARGE = 16 * MIB };

static uint8_t *
pattern(size_t size, uint64_t seed)
{
    uint8_t *bytes = malloc(size);
    cr_assert_not_null(bytes);
    for (size_t i = 0; i < size; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        bytes[i] = (uint8_t)(seed >> 40);
    }
    return bytes;
}

static trp_ref *
put_pattern(trp_runtime *rt, size_t size, uint64_t seed)
{
    uint8_t *bytes = pattern(size, seed);
    trp_ref *ref = stage_put(rt, trp_bytes(bytes, size));
    free(bytes);
    return ref;
}

static trp_value
get(trp_ref *ref)
{
    trp_value value;
    trp_error error;
    cr_assert_eq(trp_get(ref, 20000, &value, &error), TRP_OK, "%s", error.message);
    return value;
}

static void
expect_pattern(trp_ref *ref, size_t size, uint64_t seed)
{
    uint8_t *expected = pattern(size, seed);
    const trp_value value = get(ref);
    cr_assert_eq(value.size, size);
    cr_expect(memcmp(value.as.bytes, expected, size) == 0, "object %d is not what was put", (int)seed);
    trp_unpin(ref);
    free(expected);
}

/* Where a large object lies that is at hand. */
static trp_location
at_hand(void)
{
    return stage_mode() == STAGE_LOCAL ? TRP_INLINE : TRP_SHM;
}

/* ------------------------------------------------------------------------------------------------- RY07 to RY09 */

ROW(ry07_fifteen_arrays_have_fifteen_names_and_their_shapes)
{
    static double data[15 * 64];
    trp_ref *refs[15];
    DLTensor seen;
    for (int64_t i = 0; i < 15; i++) {
        int64_t shape[] = {i + 1, 8, 8};
        DLTensor tensor = trp_dense(data, TRP_FLOAT64, 3, shape);
        refs[i] = stage_put(rt, trp_tensor(&tensor));
        for (int64_t k = 0; k < i; k++)
            cr_expect_str_neq(trp_ref_id(refs[k]), trp_ref_id(refs[i]));
    }
    for (int64_t i = 0; i < 15; i++) {
        cr_assert(trp_as_tensor(get(refs[i]), &seen));
        cr_expect(seen.ndim == 3 && seen.shape[0] == i + 1 && seen.shape[1] == 8 && seen.shape[2] == 8);
        trp_ref_release(&refs[i]);
    }
}

/* The same for what is put and for what is returned. */
ROW(ry08_up_to_102400_bytes_are_inline_and_above_is_shared_memory)
{
    const struct {
        size_t size;
        trp_location location;
    } rows[] = {{INLINE_MAX, TRP_INLINE}, {INLINE_MAX + 1, at_hand()}};
    for (size_t i = 0; i < 2; i++) {
        trp_ref *ref = put_pattern(rt, rows[i].size, i);
        trp_ref *echo = stage_task(rt, "conformance:echo", TRP_ARGS(ref));
        expect_pattern(echo, rows[i].size, i);
        expect_pattern(ref, rows[i].size, i);
        cr_expect_eq(trp_ref_location(ref), rows[i].location, "put: %zu", rows[i].size);
        cr_expect_eq(trp_ref_location(echo), rows[i].location, "returned: %zu", rows[i].size);
        trp_ref_release(&echo);
        trp_ref_release(&ref);
    }
}

ROW_WITH_STORE(ry09_twice_the_store_is_put_and_got_again, 64 * MIB)
{
    trp_ref *refs[COUNT];
    int spilled = 0;
    for (int i = 0; i < COUNT; i++)
        refs[i] = put_pattern(rt, LARGE, (uint64_t)i);
    for (int i = 0; i < COUNT; i++)
        spilled += trp_ref_location(refs[i]) == TRP_SPILLED;
    cr_expect(stage_mode() == STAGE_LOCAL ? spilled == 0 : spilled >= 4, "%d are spilled", spilled);
    for (int i = 0; i < COUNT; i++)
        expect_pattern(refs[i], LARGE, (uint64_t)i);
    for (int i = 0; i < COUNT; i++)
        trp_ref_release(&refs[i]);
}

/* ---------------------------------------------------------------------------------------------------- R6 to R13 */

/* R6: a put object has a name of hex digits. */
ROW(r6_an_object_has_a_name)
{
    trp_ref *one = stage_put(rt, trp_i64(1)), *two = stage_put(rt, trp_i64(1));
    cr_expect_eq(strlen(trp_ref_id(one)), 32);
    cr_expect_eq(strspn(trp_ref_id(one), "0123456789abcdef"), 32);
    cr_expect_str_neq(trp_ref_id(one), trp_ref_id(two));
    trp_ref_release(&two);
    stage_expect(one, "1");
}

/* R7: up to 102,400 bytes it is inline. */
ROW(r7_what_is_small_is_inline)
{
    static char bytes[102400];
    trp_ref *ref = stage_put(rt, trp_bytes(bytes, sizeof bytes));
    cr_expect_eq(trp_ref_location(ref), TRP_INLINE);
    trp_ref *echo = stage_task(rt, "conformance:echo", TRP_ARGS(ref));
    trp_value value;
    trp_error error;
    cr_assert_eq(trp_get(echo, 20000, &value, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(value.size, sizeof bytes);
    cr_expect_eq(trp_ref_location(echo), TRP_INLINE);
    trp_ref_release(&echo);
    trp_ref_release(&ref);
}

/* Larger values arrive whole as well. */
ROW(r7_what_is_large_arrives_whole)
{
    enum { SIZE = 3 * 1024 * 1024 };
    char *bytes = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 31 >> 3);
    trp_ref *echo = stage_task(rt, "conformance:echo", TRP_ARGS(trp_bytes(bytes, SIZE)));
    trp_value value;
    trp_error error;
    cr_assert_eq(trp_get(echo, 20000, &value, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(value.size, (size_t)SIZE);
    cr_expect_eq(memcmp(value.as.bytes, bytes, SIZE), 0);
    trp_ref_release(&echo);
    free(bytes);
}

/* What was packed last is whole, however large the one before was. */
ROW(r7_small_values_follow_large_ones)
{
    enum { SIZE = 8 * 1024 * 1024 };
    char *bytes = calloc(1, SIZE);
    for (int i = 0; i < 2; i++) {
        trp_ref *large = stage_task(rt, "conformance:echo", TRP_ARGS(trp_bytes(bytes, SIZE)));
        trp_error error;
        cr_assert_eq(trp_get(large, 20000, NULL, &error), TRP_OK, "%s", error.message);
        trp_ref_release(&large);
        stage_expect(stage_task(rt, "conformance:echo", TRP_ARGS("small")), "\"small\"");
        stage_expect(stage_put(rt, trp_i64(i)), i == 0 ? "0" : "1");
    }
    free(bytes);
}

/* What the store says of itself. */
static int64_t
store_says(trp_runtime *rt, const char *name)
{
    trp_ref *page = NULL;
    trp_error error;
    cr_assert_eq(trp_query(rt, "store", &page, &error), TRP_OK, "%s", error.message);
    const trp_value number = trp_field(trp_at(get(page), 0), name);
    cr_assert_neq(number.kind, TRP_NULL, "it says nothing of %s", name);
    const int64_t said = trp_as_i64(number);
    trp_ref_release(&page);
    return said;
}

/* R8: a node has one store: what one process has put others read there, in place, and nobody has a copy. */
ROW_WITH_BROKER(r8_all_processes_of_a_node_have_one_store)
{
    enum { SIZE = 4 * MIB };
    trp_ref *ref = put_pattern(rt, SIZE, 1);
    trp_ref *one = stage_task(rt, "conformance:echo", TRP_ARGS(ref));
    trp_ref *two = stage_task(rt, "conformance:echo", TRP_ARGS(one));
    expect_pattern(one, SIZE, 1);
    expect_pattern(two, SIZE, 1);
    cr_expect_eq(trp_ref_location(one), TRP_SHM);
    cr_expect_eq(trp_ref_location(two), TRP_SHM);
    const int64_t sealed = store_says(rt, "sealed");
    cr_expect(sealed >= SIZE && sealed < 2 * SIZE, "%lld bytes are sealed", (long long)sealed);
    trp_ref_release(&one);
    trp_ref_release(&two);
    trp_ref_release(&ref);
}

/* R9: where the store is short, objects are spilled, and come back as they were for whoever reads them. */
ROW_WITH_STORE(r9_arguments_that_were_spilled_are_restored, 64 * MIB)
{
    trp_ref *refs[COUNT], *echoes[COUNT];
    for (int i = 0; i < COUNT; i++)
        refs[i] = put_pattern(rt, LARGE, (uint64_t)i);
    for (int i = 0; i < COUNT; i++) {
        echoes[i] = stage_task(rt, "conformance:echo", TRP_ARGS(refs[i]));
        trp_ref_release(&refs[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        expect_pattern(echoes[i], LARGE, (uint64_t)i);
        trp_ref_release(&echoes[i]);
    }
}

/* R10: a got value stays the same whatever happens to what it was made of. */
ROW(r10_objects_are_immutable)
{
    char text[] = "before";
    trp_ref *ref = stage_put(rt, trp_str(text));
    strcpy(text, "after!");
    stage_expect(trp_ref_retain(ref), "\"before\"");
    stage_expect(ref, "\"before\"");
}

static sigjmp_buf refused;

static void
on_refused(int signal)
{
    (void)signal;
    siglongjmp(refused, 1);
}

static bool
is_write_refused(const uint8_t *byte)
{
    struct sigaction before, mine = {.sa_handler = on_refused};
    sigaction(SIGSEGV, &mine, &before);
    const bool is_refused = sigsetjmp(refused, 1) != 0;
    if (!is_refused)
        *(volatile uint8_t *)(uintptr_t)byte ^= 1;
    sigaction(SIGSEGV, &before, NULL);
    return is_refused;
}

/* A write through what trp_get gave is refused by the processor, to who has made it as to others. */
ROW_WITH_BROKER(r10_nobody_writes_to_an_object)
{
    trp_ref *put = put_pattern(rt, MIB, 1), *echo = stage_task(rt, "conformance:echo", TRP_ARGS(put));
    trp_error error;
    cr_expect(is_write_refused(get(put).as.bytes));
    cr_expect(is_write_refused(get(echo).as.bytes));
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    stage_expect_error(stage_call(log, "scribble", TRP_ARGS(put)), TRP_EACTORDIED, &error);
    cr_expect(strstr(error.message, "SIGSEGV") != NULL, "%s", error.message);
    trp_actor_release(&log);
    expect_pattern(put, MIB, 1);
    expect_pattern(echo, MIB, 1);
    trp_ref_release(&put);
    trp_ref_release(&echo);
}

/* R11: an argument that is a reference is replaced by its value before the call runs. */
ROW(r11_results_of_calls_are_arguments_of_others)
{
    trp_ref *sum = stage_task(rt, "conformance:add", TRP_ARGS(0, 1));
    for (int i = 0; i < 20; i++) {
        trp_ref *next = stage_task(rt, "conformance:add", TRP_ARGS(sum, 1));
        trp_ref_release(&sum);
        sum = next;
    }
    stage_expect(sum, "21");
}

ROW(r11_a_pending_argument_holds_its_own_lane_only)
{
    trp_actor *gate = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    trp_actor *other = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    trp_ref *held = stage_call(gate, "hold", TRP_NOARGS);
    trp_ref *first = stage_call(log, "append", TRP_ARGS(held));
    trp_ref *second = stage_call(log, "append", TRP_ARGS(2));
    stage_says(other, "append", TRP_ARGS(3), "1");
    stage_says(gate, "let_go", TRP_ARGS(1), "null");
    stage_expect(first, "1");
    stage_expect(second, "2");
    stage_says(log, "read", TRP_NOARGS, "[1, 2]");
    trp_ref_release(&held);
    trp_actor_release(&gate);
    trp_actor_release(&log);
    trp_actor_release(&other);
}

ROW(r11_a_failed_argument_fails_the_call)
{
    trp_error error;
    trp_ref *failed = stage_task(rt, "conformance:fail", TRP_ARGS(8, "first"));
    trp_ref *sum = stage_task(rt, "conformance:add", TRP_ARGS(failed, 1));
    cr_expect_neq(trp_get(sum, 20000, NULL, &error), TRP_OK);
    cr_expect(strstr(error.message, "first") != NULL, "%s", error.message);
    cr_expect_eq(error.ran, TRP_NOT_RUN);
    trp_ref_release(&sum);
    stage_expect_error(failed, TRP_ETASK, &error);
}

/* R12: kept nested references stay usable after their giver has let go. */
ROW(r12_a_nested_reference_keeps_its_object_alive)
{
    trp_error error;
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    trp_ref *x = stage_put(rt, TRP_LIST("kept", 1));
    stage_says(log, "keep", TRP_ARGS(TRP_LIST(x)), "null");
    trp_ref_release(&x);
    stage_says(log, "value", TRP_NOARGS, "[\"kept\", 1]");
    trp_ref *kept = stage_call(log, "kept", TRP_NOARGS);
    trp_value list, value;
    cr_assert_eq(trp_get(kept, 20000, &list, &error), TRP_OK, "%s", error.message);
    x = trp_ref_retain(trp_at(list, 0).as.ref);
    trp_ref_release(&kept);
    trp_actor_release(&log);
    cr_assert_eq(trp_get(x, 20000, &value, &error), TRP_OK, "%s", error.message);
    cr_expect(trp_equal(value, TRP_LIST("kept", 1)));
    trp_ref_release(&x);
}

/* A nested reference is handed on as it is: nobody waits for its value. */
ROW(r12_a_nested_reference_is_not_waited_for)
{
    trp_actor *gate = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    trp_ref *held = stage_call(gate, "hold", TRP_NOARGS);
    trp_ref *list = stage_task(rt, "conformance:echo", TRP_ARGS(TRP_LIST(held)));
    trp_ref *map = stage_task(rt, "conformance:echo", TRP_ARGS(TRP_MAP("obj", held)));
    const trp_value values[] = {trp_at(get(list), 0), trp_field(get(map), "obj")};
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(values[i].kind, TRP_REF);
        cr_expect_str_eq(trp_ref_id(values[i].as.ref), trp_ref_id(held));
        cr_expect_eq(trp_ref_location(values[i].as.ref), TRP_PENDING);
    }
    stage_says(gate, "let_go", TRP_ARGS(1), "null");
    stage_expect(held, "1");
    trp_ref_release(&list);
    trp_ref_release(&map);
    trp_actor_release(&gate);
}

/* R13: a reference and its value are the same argument, however large. */
ROW(r13_a_reference_and_its_value_are_echoed_alike)
{
    const size_t sizes[] = {0, 10, INLINE_MAX, INLINE_MAX + 1, 3 * MIB};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t *bytes = pattern(sizes[i] + 1, i);
        trp_ref *ref = stage_put(rt, trp_bytes(bytes, sizes[i]));
        trp_ref *by_ref = stage_task(rt, "conformance:echo", TRP_ARGS(ref));
        trp_ref *by_value = stage_task(rt, "conformance:echo", TRP_ARGS(trp_bytes(bytes, sizes[i])));
        cr_expect(trp_equal(get(by_ref), trp_bytes(bytes, sizes[i])), "%zu", sizes[i]);
        cr_expect(trp_equal(get(by_ref), get(by_value)), "%zu", sizes[i]);
        trp_ref_release(&by_ref);
        trp_ref_release(&by_value);
        trp_ref_release(&ref);
        free(bytes);
    }
}
