/*
 * test_store.c - large values of real processes: where they lie, that they arrive, outlive their makers, and leave nothing.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/system/support.h"

enum { MIB = 1 << 20, INLINE_MAX = 102400 };

static trp_error error;

#define OK(expression) cr_assert_eq((expression), TRP_OK, "%s", error.message)

static trp_actor *
worker(trp_runtime *runtime)
{
    trp_actor *actor = NULL;
    OK(trp_spawn(runtime, "store_module:Worker", TRP_NOARGS, NULL, &actor, &error));
    return actor;
}

static uint8_t *
pattern(size_t size, int64_t seed)
{
    uint8_t *bytes = malloc(size);
    cr_assert_not_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)((uint64_t)seed + i * 7);
    return bytes;
}

static void
expect_pattern(trp_ref *ref, size_t size, int64_t seed)
{
    uint8_t *expected = pattern(size, seed);
    trp_value value;
    OK(trp_get(ref, SYSTEM_WAIT_MS, &value, &error));
    cr_assert_eq(value.size, size);
    cr_assert(memcmp(value.as.bytes, expected, size) == 0, "an object of %zu bytes is not what was made", size);
    free(expected);
}

static trp_ref *
put(trp_runtime *runtime, size_t size, int64_t seed)
{
    uint8_t *bytes = pattern(size, seed);
    trp_ref *ref = NULL;
    OK(trp_put(runtime, trp_bytes(bytes, size), &ref, &error));
    free(bytes);
    return ref;
}

/* RY08 */
SYSTEM_TEST(store, up_to_the_inline_limit_objects_travel_and_above_it_they_lie_in_shared_memory)
{
    trp_runtime *runtime = system_private();
    trp_ref *inlined = put(runtime, INLINE_MAX, 1), *shared = put(runtime, INLINE_MAX + 1, 2);
    cr_expect_eq(trp_ref_location(inlined), TRP_INLINE);
    cr_expect_eq(trp_ref_location(shared), TRP_SHM);
    expect_pattern(inlined, INLINE_MAX, 1);
    expect_pattern(shared, INLINE_MAX + 1, 2);
    trp_ref_release(&inlined);
    trp_ref_release(&shared);
    trp_shutdown(&runtime);
}

/* RY07 */
SYSTEM_TEST(store, fifteen_arrays_have_fifteen_names_and_their_shapes)
{
    trp_runtime *runtime = system_private();
    trp_ref *refs[15] = {NULL};
    static double data[15 * 64];
    for (int64_t i = 1; i <= 15; i++) {
        int64_t shape[] = {i, 8, 8};
        DLTensor tensor = trp_dense(data, TRP_FLOAT64, 3, shape);
        OK(trp_put(runtime, trp_tensor(&tensor), &refs[i - 1], &error));
        for (int64_t k = 1; k < i; k++)
            cr_expect_str_neq(trp_ref_id(refs[k - 1]), trp_ref_id(refs[i - 1]));
    }
    trp_value value;
    DLTensor seen;
    OK(trp_get(refs[0], SYSTEM_WAIT_MS, &value, &error));
    cr_assert(trp_as_tensor(value, &seen));
    cr_expect(seen.ndim == 3 && seen.shape[0] == 1 && seen.shape[1] == 8 && seen.shape[2] == 8);
    for (int i = 0; i < 15; i++)
        trp_ref_release(&refs[i]);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(store, a_large_value_goes_from_actor_to_actor_and_back_larger_than_any_frame)
{
    const size_t size = 100 * MIB;
    trp_runtime *runtime = system_private();
    trp_actor *maker = worker(runtime), *reader = worker(runtime);
    trp_ref *made = NULL, *checked = NULL, *echoed = NULL;
    OK(trp_call(maker, "make", TRP_ARGS((int64_t)size, 5), &made, &error));
    OK(trp_call(reader, "check", TRP_ARGS(made, 5), &checked, &error));
    trp_value wrong;
    OK(trp_get(checked, SYSTEM_WAIT_MS, &wrong, &error));
    cr_expect_eq(trp_as_i64(wrong), 0);
    expect_pattern(made, size, 5);
    cr_expect_eq(trp_ref_location(made), TRP_SHM);
    trp_ref_release(&checked);
    uint8_t *bytes = pattern(size, 6);
    OK(trp_call(reader, "echo", TRP_ARGS(trp_bytes(bytes, size)), &echoed, &error));
    free(bytes);
    expect_pattern(echoed, size, 6);
    trp_ref_release(&echoed);
    trp_ref_release(&made);
    trp_actor_release(&maker);
    trp_actor_release(&reader);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(store, tasks_take_and_give_large_values)
{
    trp_runtime *runtime = system_private();
    trp_ref *made[8], *checked[8];
    for (int64_t i = 0; i < 8; i++) {
        OK(trp_task(runtime, "store_module:make", TRP_ARGS(8 * MIB, i), &made[i], &error));
        OK(trp_task(runtime, "store_module:check", TRP_ARGS(made[i], i), &checked[i], &error));
    }
    for (int64_t i = 0; i < 8; i++) {
        trp_value wrong;
        OK(trp_get(checked[i], SYSTEM_WAIT_MS, &wrong, &error));
        cr_expect_eq(trp_as_i64(wrong), 0, "task %d", (int)i);
        expect_pattern(made[i], 8 * MIB, i);
        trp_ref_release(&made[i]);
        trp_ref_release(&checked[i]);
    }
    trp_shutdown(&runtime);
}

static trp_ref *
put_there(trp_actor *actor, size_t size, int64_t seed, bool keep)
{
    trp_ref *list = NULL, *inner;
    trp_value value;
    OK(trp_call(actor, "put", TRP_ARGS((int64_t)size, seed, (int64_t)keep), &list, &error));
    OK(trp_get(list, SYSTEM_WAIT_MS, &value, &error));
    inner = trp_ref_retain(trp_at(value, 0).as.ref);
    trp_ref_release(&list);
    return inner;
}

SYSTEM_TEST(store, an_object_outlives_its_maker_whatever_becomes_of_that)
{
    trp_runtime *runtime = system_private();
    trp_actor *maker = worker(runtime), *reader = worker(runtime);
    trp_ref *ref = put_there(maker, 20 * MIB, 3, true), *checked = NULL;
    OK(trp_kill(maker, NULL, &error));
    trp_actor_release(&maker);
    trp_value wrong;
    OK(trp_call(reader, "check", TRP_ARGS(ref, 3), &checked, &error));
    OK(trp_get(checked, SYSTEM_WAIT_MS, &wrong, &error));
    cr_expect_eq(trp_as_i64(wrong), 0);
    expect_pattern(ref, 20 * MIB, 3);
    trp_ref_release(&checked);
    trp_ref_release(&ref);
    trp_actor_release(&reader);
    trp_shutdown(&runtime);
}

/* How often it is pinned, by all processes. */
static int64_t
pins_of(trp_runtime *runtime, trp_ref *ref)
{
    trp_ref *objects = NULL;
    trp_value list;
    int64_t pins = -1;
    OK(trp_query(runtime, "objects", &objects, &error));
    OK(trp_get(objects, SYSTEM_WAIT_MS, &list, &error));
    for (size_t i = 0; i < list.size; i++)
        if (strcmp(trp_as_str(trp_field(trp_at(list, i), "id")), trp_ref_id(ref)) == 0)
            pins = trp_as_i64(trp_field(trp_at(list, i), "pins"));
    trp_ref_release(&objects);
    return pins;
}

SYSTEM_TEST(store, an_object_is_pinned_while_it_is_read_and_as_often_as_it_is_got)
{
    const size_t size = 2 * MIB;
    trp_runtime *runtime = system_private();
    trp_actor *maker = worker(runtime), *reader = worker(runtime);
    trp_ref *mine = put(runtime, size, 1), *made = NULL, *checked = NULL;
    trp_value value;
    OK(trp_call(maker, "make", TRP_ARGS((int64_t)size, 2), &made, &error));
    OK(trp_get(made, SYSTEM_WAIT_MS, NULL, &error));
    OK(trp_call(reader, "check", TRP_ARGS(made, 2), &checked, &error));
    OK(trp_get(checked, SYSTEM_WAIT_MS, &value, &error));
    cr_expect_eq(trp_as_i64(value), 0);
    trp_ref_release(&checked);
    trp_ref *const refs[] = {mine, made};
    for (int64_t i = 0; i < 2; i++) {
        const int64_t until = system_now_ms() + SYSTEM_WAIT_MS;
        while (pins_of(runtime, refs[i]) != 0) /* its maker lets go of it when the broker's word has come */
            cr_assert_lt(system_now_ms(), until, "object %d is pinned by nobody who reads it", (int)i);
        expect_pattern(refs[i], size, i + 1);
        cr_expect_eq(pins_of(runtime, refs[i]), 1, "object %d", (int)i);
        expect_pattern(refs[i], size, i + 1);
        trp_unpin(refs[i]);
        cr_expect_eq(pins_of(runtime, refs[i]), 1, "object %d was got twice", (int)i);
        trp_unpin(refs[i]);
        cr_expect_eq(pins_of(runtime, refs[i]), 0, "object %d", (int)i);
        trp_unpin(refs[i]);
        expect_pattern(refs[i], size, i + 1);
        cr_expect_eq(pins_of(runtime, refs[i]), 1, "object %d is got again", (int)i);
        cr_expect_eq(trp_ref_location(refs[i]), TRP_SHM);
    }
    trp_value values[2];
    OK(trp_get_all(refs, 2, SYSTEM_WAIT_MS, values, &error));
    trp_unpin(mine);
    cr_expect_eq(pins_of(runtime, mine), 1);
    trp_unpin(mine);
    cr_expect_eq(pins_of(runtime, mine), 0);
    trp_ref_release(&mine);
    trp_ref_release(&made);
    trp_actor_release(&maker);
    trp_actor_release(&reader);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(store, an_argument_that_is_returned_is_the_same_in_the_arena)
{
    const trp_config config = {.node = {.store_bytes = 16 * MIB}};
    trp_runtime *runtime = NULL;
    OK(trp_init(&config, &runtime, &error));
    trp_actor *actor = worker(runtime);
    trp_ref *ref = put(runtime, 12 * MIB, 4), *echoed = NULL;
    OK(trp_call(actor, "echo", TRP_ARGS(ref), &echoed, &error));
    OK(trp_get(echoed, SYSTEM_WAIT_MS, NULL, &error));
    cr_expect_eq(trp_ref_location(echoed), TRP_SHM, "there is no room for a copy");
    trp_ref_release(&ref);
    expect_pattern(echoed, 12 * MIB, 4);
    trp_ref_release(&echoed);
    trp_actor_release(&actor);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(store, lists_and_maps_with_large_values_in_them_are_arguments_of_any_size)
{
    enum { PIECES = 5, PIECE = 20 * MIB };
    trp_runtime *runtime = system_private();
    trp_actor *actor = worker(runtime);
    uint8_t *bytes = pattern(PIECE, 1);
    trp_value items[PIECES];
    for (int i = 0; i < PIECES; i++)
        items[i] = trp_bytes(bytes, PIECE);
    const trp_value map = TRP_MAP("pieces", trp_list(items, PIECES));
    trp_ref *echoed = NULL;
    trp_value value;
    OK(trp_call(actor, "echo", TRP_ARGS(map), &echoed, &error));
    OK(trp_get(echoed, SYSTEM_WAIT_MS, &value, &error));
    cr_expect(trp_equal(value, map));
    cr_expect_eq(trp_ref_location(echoed), TRP_SHM);
    free(bytes);
    trp_ref_release(&echoed);
    trp_actor_release(&actor);
    trp_shutdown(&runtime);
}

/* Each echo is a reference of its own, with a pin of its own, of one object. */
SYSTEM_TEST(store, more_objects_are_got_and_held_than_a_process_can_pin)
{
    enum { COUNT = 10000, SIZE = INLINE_MAX + 1 };
    trp_runtime *runtime = system_private();
    trp_actor *actor = worker(runtime);
    trp_ref **refs = calloc(COUNT, sizeof *refs), *ref = put(runtime, SIZE, 8);
    trp_value *values = calloc(COUNT, sizeof *values);
    cr_assert(refs != NULL && values != NULL);
    for (size_t i = 0; i < COUNT; i++)
        OK(trp_call(actor, "echo", TRP_ARGS(ref), &refs[i], &error));
    OK(trp_get_all(refs, COUNT, SYSTEM_WAIT_MS, values, &error));
    for (size_t i = 0; i < COUNT; i++)
        cr_assert(values[i].size == SIZE &&
                      ((const uint8_t *)values[i].as.bytes)[SIZE - 1] == (uint8_t)(8 + (SIZE - 1) * 7),
                  "%zu", i);
    for (size_t i = 0; i < COUNT; i++)
        trp_ref_release(&refs[i]);
    expect_pattern(ref, SIZE, 8);
    trp_ref_release(&ref);
    free(refs);
    free(values);
    trp_actor_release(&actor);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(store, constructors_take_large_values)
{
    trp_runtime *runtime = system_private();
    trp_ref *ref = put(runtime, 2 * MIB, 9), *checked = NULL;
    trp_actor *actor = NULL;
    trp_value value;
    OK(trp_spawn(runtime, "store_module:Reader", TRP_ARGS(ref, 9), NULL, &actor, &error));
    OK(trp_call(actor, "wrong", TRP_NOARGS, &checked, &error));
    OK(trp_get(checked, SYSTEM_WAIT_MS, &value, &error));
    cr_expect_eq(trp_as_i64(value), 0);
    trp_ref_release(&checked);
    trp_ref_release(&ref);
    trp_actor_release(&actor);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(store, ten_times_the_arena_goes_through_it_when_each_object_is_released)
{
    const trp_config config = {.node = {.store_bytes = 64 * MIB}};
    trp_runtime *runtime = NULL;
    OK(trp_init(&config, &runtime, &error));
    trp_actor *actor = worker(runtime);
    for (int64_t i = 0; i < 80; i++) {
        trp_ref *ref = put(runtime, 8 * MIB, i), *checked = NULL, *made = NULL;
        trp_value wrong;
        cr_assert_eq(trp_ref_location(ref), TRP_SHM, "object %d", (int)i);
        OK(trp_call(actor, "check", TRP_ARGS(ref, i), &checked, &error));
        OK(trp_get(checked, SYSTEM_WAIT_MS, &wrong, &error));
        cr_assert_eq(trp_as_i64(wrong), 0);
        OK(trp_call(actor, "make", TRP_ARGS(8 * MIB, i), &made, &error));
        expect_pattern(made, 8 * MIB, i);
        trp_ref_release(&made);
        trp_ref_release(&checked);
        trp_ref_release(&ref);
    }
    trp_actor_release(&actor);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(store, what_idle_processes_have_on_lease_goes_to_who_needs_it)
{
    const trp_config config = {.node = {.store_bytes = 64 * MIB}};
    trp_runtime *runtime = NULL;
    trp_actor *actors[3];
    trp_ref *made[3];
    OK(trp_init(&config, &runtime, &error));
    for (int i = 0; i < 3; i++) {
        actors[i] = worker(runtime);
        OK(trp_call(actors[i], "make", TRP_ARGS(128 * 1024, i), &made[i], &error));
        expect_pattern(made[i], 128 * 1024, i);
    }
    for (int i = 0; i < 3; i++)
        trp_ref_release(&made[i]);
    for (int64_t i = 0; i < 3; i++) { /* all of the arena */
        trp_ref *ref = put(runtime, 64 * MIB - 4096, i);
        cr_expect_eq(trp_ref_location(ref), TRP_SHM);
        expect_pattern(ref, 64 * MIB - 4096, i);
        trp_ref_release(&ref);
    }
    for (int i = 0; i < 3; i++) {
        OK(trp_call(actors[i], "make", TRP_ARGS(128 * 1024, i), &made[i], &error));
        expect_pattern(made[i], 128 * 1024, i);
        trp_ref_release(&made[i]);
        trp_actor_release(&actors[i]);
    }
    trp_shutdown(&runtime);
}

SYSTEM_TEST(store, what_the_arena_has_no_room_for_travels_or_is_refused_with_the_numbers)
{
    const trp_config config = {.node = {.store_bytes = 16 * MIB}};
    trp_runtime *runtime = NULL;
    OK(trp_init(&config, &runtime, &error));
    trp_ref *fits = put(runtime, 12 * MIB, 1), *travels = put(runtime, 20 * MIB, 2), *none = NULL;
    cr_expect_eq(trp_ref_location(fits), TRP_SHM);
    cr_expect_eq(trp_ref_location(travels), TRP_INLINE);
    expect_pattern(travels, 20 * MIB, 2);
    uint8_t *bytes = pattern(65 * MIB, 3);
    cr_expect_eq(trp_put(runtime, trp_bytes(bytes, 65 * MIB), &none, &error), TRP_ESTOREFULL);
    cr_expect_not_null(strstr(error.message, "16"), "%s", error.message);
    cr_expect_null(none);
    free(bytes);
    trp_ref_release(&fits);
    trp_ref_release(&travels);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(store, objects_survive_the_death_of_the_broker)
{
    struct system_process service;
    system_service_start(&service, NULL);
    trp_runtime *runtime = system_join();
    trp_actor *maker = worker(runtime), *reader = worker(runtime);
    trp_ref *there = put_there(maker, 20 * MIB, 3, true), *mine = put(runtime, 30 * MIB, 4), *made = NULL;
    trp_ref *original = put(runtime, 5 * MIB, 7), *echoed = NULL;
    OK(trp_call(maker, "echo", TRP_ARGS(original), &echoed, &error));
    OK(trp_get(echoed, SYSTEM_WAIT_MS, NULL, &error));
    trp_ref_release(&original);
    OK(trp_call(maker, "make", TRP_ARGS(10 * MIB, 5), &made, &error));
    expect_pattern(made, 10 * MIB, 5);
    const pid_t broker = system_find_one("troupe-broker");
    kill(broker, SIGKILL);
    system_expect_gone(broker);
    trp_ref *const refs[] = {there, mine, made};
    for (int64_t i = 0; i < 3; i++) {
        trp_ref *checked = NULL;
        trp_value wrong;
        OK(trp_call(reader, "check", TRP_ARGS(refs[i], 3 + i), &checked, &error));
        OK(trp_get(checked, SYSTEM_WAIT_MS, &wrong, &error));
        cr_expect_eq(trp_as_i64(wrong), 0, "object %d", (int)i);
        trp_ref_release(&checked);
    }
    expect_pattern(echoed, 5 * MIB, 7);
    trp_ref_release(&echoed);
    expect_pattern(there, 20 * MIB, 3);
    expect_pattern(mine, 30 * MIB, 4);
    expect_pattern(made, 10 * MIB, 5);
    for (int i = 0; i < 3; i++) {
        trp_ref *ref = refs[i];
        trp_ref_release(&ref);
    }
    trp_actor_release(&maker);
    trp_actor_release(&reader);
    trp_shutdown(&runtime);
    system_service_stop(&service);
}

static void
kill_broker(void)
{
    const pid_t broker = system_find_one("troupe-broker");
    kill(broker, SIGKILL);
    system_expect_gone(broker);
}

static void
expect_list(trp_ref *ref, int64_t size)
{
    trp_value list, inner;
    OK(trp_get(ref, SYSTEM_WAIT_MS, &list, &error));
    cr_assert_eq(list.kind, TRP_LIST);
    cr_assert_eq((int64_t)trp_at(list, 1).size, size);
    OK(trp_get(trp_at(list, 0).as.ref, SYSTEM_WAIT_MS, &inner, &error));
    cr_expect_eq(trp_as_i64(inner), size);
    trp_unpin(ref);
}

/* Such a value lies in the arena without a name there: who has its place says to a new broker what it is. */
SYSTEM_TEST(store, values_with_references_survive_the_death_of_their_maker_and_of_the_broker)
{
    enum { MINE = 3 * MIB, MADE = 2 * MIB };
    struct system_process service;
    system_service_start(&service, NULL);
    trp_runtime *runtime = system_join();
    trp_actor *maker = worker(runtime), *holder = worker(runtime);
    uint8_t *bytes = pattern(MINE, 1);
    trp_ref *small[2], *mine = NULL, *made = NULL, *checked = NULL;
    trp_value value;
    OK(trp_put(runtime, trp_i64(MINE), &small[0], &error));
    OK(trp_put(runtime, trp_i64(MADE), &small[1], &error));
    OK(trp_put(runtime, TRP_LIST(small[0], trp_bytes(bytes, MINE)), &mine, &error));
    OK(trp_call(maker, "echo", TRP_ARGS(TRP_LIST(small[1], trp_bytes(bytes, MADE))), &made, &error));
    free(bytes);
    trp_ref_release(&small[0]);
    trp_ref_release(&small[1]);
    expect_list(made, MADE);
    cr_expect_eq(trp_ref_location(made), TRP_SHM);
    OK(trp_kill(maker, NULL, &error));
    trp_actor_release(&maker);
    for (int i = 0; i < 3; i++) {
        kill_broker();
        OK(trp_call(holder, "echo", TRP_ARGS(trp_i64(i)), &checked, &error)); /* under the new one */
        OK(trp_get(checked, SYSTEM_WAIT_MS, &value, &error));
        trp_ref_release(&checked);
        trp_ref *other = put(runtime, 4 * MIB, i); /* what is free is used */
        expect_list(mine, MINE);
        expect_list(made, MADE);
        OK(trp_call(holder, "echo", TRP_ARGS(i == 0 ? made : mine), &checked, &error));
        expect_list(checked, i == 0 ? MADE : MINE);
        trp_ref_release(&checked);
        trp_ref_release(&other);
    }
    trp_ref_release(&mine);
    trp_ref_release(&made);
    trp_actor_release(&holder);
    trp_shutdown(&runtime);
    system_service_stop(&service);
}

static trp_ref *
begin_there(trp_actor *actor, int64_t size)
{
    trp_ref *list = NULL, *inner;
    trp_value value;
    OK(trp_call(actor, "begin", TRP_ARGS(size), &list, &error));
    OK(trp_get(list, SYSTEM_WAIT_MS, &value, &error));
    inner = trp_ref_retain(trp_at(value, 0).as.ref);
    trp_ref_release(&list);
    cr_expect_eq(trp_get(inner, 0, NULL, &error), TRP_ETIMEDOUT);
    return inner;
}

SYSTEM_TEST(store, what_a_killed_process_was_writing_is_lost_to_all_and_its_room_is_free)
{
    static const int64_t sizes[] = {1000, 12 * MIB};
    const trp_config config = {.node = {.store_bytes = 16 * MIB}};
    trp_runtime *runtime = NULL;
    OK(trp_init(&config, &runtime, &error));
    trp_actor *reader = worker(runtime);
    for (int i = 0; i < 4; i++) {
        trp_actor *maker = worker(runtime);
        trp_ref *ref = begin_there(maker, sizes[i % 2]), *checked = NULL;
        OK(trp_call(reader, "check", TRP_ARGS(ref, 1), &checked, &error));
        cr_assert_eq(kill((pid_t)system_call_i64(maker, "pid", TRP_NOARGS), SIGKILL), 0);
        cr_expect_eq(trp_get(ref, SYSTEM_WAIT_MS, NULL, &error), TRP_EOBJLOST, "%s", error.message);
        cr_expect_eq(trp_get(checked, SYSTEM_WAIT_MS, NULL, &error), TRP_EOBJLOST, "%s", error.message);
        trp_ref_release(&checked);
        trp_ref_release(&ref);
        trp_actor_release(&maker);
    }
    trp_actor_release(&reader);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(store, what_is_being_written_when_the_broker_dies_is_ended_under_the_next)
{
    struct system_process service;
    system_service_start(&service, NULL);
    trp_runtime *runtime = system_join();
    trp_actor *maker = worker(runtime), *reader = worker(runtime);
    trp_ref *there = begin_there(maker, 3 * MIB), *checked = NULL, *mine = NULL, *ended = NULL;
    OK(trp_put_begin(runtime, trp_bytes(NULL, 4 * MIB), &mine, &error));
    OK(trp_call(reader, "check", TRP_ARGS(mine, 8), &checked, &error));
    const pid_t broker = system_find_one("troupe-broker");
    kill(broker, SIGKILL);
    system_expect_gone(broker);
    OK(trp_call(maker, "end", TRP_ARGS(7), &ended, &error));
    expect_pattern(there, 3 * MIB, 7);
    uint8_t *bytes = pattern(4 * MIB, 8);
    memcpy(trp_put_room(mine), bytes, 4 * MIB);
    free(bytes);
    OK(trp_put_end(mine, &error));
    trp_value wrong;
    OK(trp_get(checked, SYSTEM_WAIT_MS, &wrong, &error));
    cr_expect_eq(trp_as_i64(wrong), 0);
    trp_ref *const refs[] = {there, mine, ended, checked};
    for (int i = 0; i < 4; i++) {
        trp_ref *ref = refs[i];
        trp_ref_release(&ref);
    }
    trp_actor_release(&maker);
    trp_actor_release(&reader);
    trp_shutdown(&runtime);
    system_service_stop(&service);
}

/* What another library still reads when its runtime has ended is nobody else's room, however little there is. */
SYSTEM_TEST(store, a_tensor_that_is_lent_is_read_after_its_runtime_while_others_fill_the_arena)
{
    enum { COUNT = 12, SIZE = 8 * MIB };
    static const char *const more[] = {"--store", "64M", NULL};
    struct system_process service;
    system_service_start(&service, more);
    trp_runtime *runtime = system_join();
    uint8_t *bytes = pattern(SIZE, 9);
    DLTensor tensor = trp_dense(bytes, TRP_UINT8, 1, (int64_t[]){SIZE});
    DLManagedTensorVersioned *lent = NULL;
    trp_ref *ref = NULL, *others[COUNT];
    OK(trp_put(runtime, trp_tensor(&tensor), &ref, &error));
    OK(trp_to_dlpack(ref, SYSTEM_WAIT_MS, &lent, &error));
    trp_ref_release(&ref);
    trp_shutdown(&runtime);
    runtime = system_join();
    for (int i = 0; i < COUNT; i++)
        others[i] = put(runtime, SIZE, i);
    cr_expect(memcmp(lent->dl_tensor.data, bytes, SIZE) == 0, "others have written there");
    lent->deleter(lent);
    for (int i = 0; i < COUNT; i++) {
        expect_pattern(others[i], SIZE, i);
        trp_ref_release(&others[i]);
    }
    trp_shutdown(&runtime);
    system_service_stop(&service);
    free(bytes);
}
