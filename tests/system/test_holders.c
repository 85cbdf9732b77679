/*
 * test_holders.c - who holds an object, as `objects` and `why` tell it: each kind of holder of real processes, and where the value is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/support.h"

enum { MIB = 1 << 20, SIZE = 2 * MIB };

static trp_error error;

#define OK(expression) cr_assert_eq((expression), TRP_OK, "%s", error.message)

static trp_ref *
put(trp_runtime *runtime, size_t size)
{
    uint8_t *bytes = calloc(size, 1);
    trp_ref *ref = NULL;
    cr_assert_not_null(bytes);
    OK(trp_put(runtime, trp_bytes(bytes, size), &ref, &error));
    free(bytes);
    return ref;
}

/* What is asked for: of this object, this key is this text, or who holds it has that. */
struct expected {
    trp_runtime *runtime;
    const char *id;
    const char *key, *text;         /* NULL: it does not matter */
    const char *kind, *name, *also; /* of a holder, and its state; NULL: it does not matter */
    int64_t pid;                    /* 0: it does not matter */
    bool pinned, unpinned;          /* neither: it does not matter */
    bool why;                       /* "why ID" says so, too, else "objects" */
};

static bool
holder_is(trp_value holder, const struct expected *expected)
{
    return strcmp(trp_as_str(trp_field(holder, "kind")), expected->kind) == 0 &&
           (expected->name == NULL || strcmp(trp_as_str(trp_field(holder, "name")), expected->name) == 0 ||
            strcmp(trp_as_str(trp_field(holder, "id")), expected->name) == 0) &&
           (expected->also == NULL || strcmp(trp_as_str(trp_field(holder, "state")), expected->also) == 0) &&
           (expected->pid == 0 || trp_as_i64(trp_field(holder, "pid")) == expected->pid);
}

static bool
row_is(trp_value row, const struct expected *expected)
{
    const trp_value holders = trp_field(row, "held_by");
    bool found = expected->kind == NULL;
    for (size_t i = 0; i < holders.size; i++)
        found = found || holder_is(trp_at(holders, i), expected);
    return found && trp_field(row, "age_s").kind == TRP_F64 &&
           (expected->key == NULL || strcmp(trp_as_str(trp_field(row, expected->key)), expected->text) == 0) &&
           (!expected->pinned || trp_as_i64(trp_field(row, "pins")) == 1) &&
           (!expected->unpinned || trp_as_i64(trp_field(row, "pins")) == 0);
}

/* The row of the object among those of "objects"; or the first one of "why". */
static bool
says_so(const struct expected *expected)
{
    char question[64] = "objects";
    trp_ref *ref = NULL;
    trp_value rows;
    bool found = false;
    if (expected->why)
        (void)snprintf(question, sizeof question, "why %s", expected->id);
    OK(trp_query(expected->runtime, question, &ref, &error));
    OK(trp_get(ref, SYSTEM_WAIT_MS, &rows, &error));
    for (size_t i = 0; i < (expected->why ? 1 : rows.size); i++)
        if (expected->why || strcmp(trp_as_str(trp_field(trp_at(rows, i), "id")), expected->id) == 0)
            found = found || row_is(trp_at(rows, i), expected);
    trp_ref_release(&ref);
    return found;
}

static bool
both_say_so(void *user)
{
    struct expected expected = *(const struct expected *)user;
    expected.why = false;
    if (!says_so(&expected))
        return false;
    expected.why = true;
    return says_so(&expected);
}

/* Processes say what they hold with their next round: asked for until it is so. */
#define EXPECT_SAID(...)                                                                                               \
    cr_expect(system_await(both_say_so, &(struct expected){__VA_ARGS__}), "not said: %s", #__VA_ARGS__)

SYSTEM_TEST(holders, a_driver_and_readers_are_named_with_their_processes)
{
    trp_runtime *runtime = system_private();
    trp_ref *ref = put(runtime, SIZE);
    trp_value value;
    char id[40];
    (void)snprintf(id, sizeof id, "%s", trp_ref_id(ref));
    EXPECT_SAID(.runtime = runtime, .id = id, .kind = "process", .pid = getpid(), .key = "location",
                .text = "shared memory", .unpinned = true);
    OK(trp_get(ref, SYSTEM_WAIT_MS, &value, &error));
    EXPECT_SAID(.runtime = runtime, .id = id, .kind = "pin", .pid = getpid(), .pinned = true);
    trp_unpin(ref);
    EXPECT_SAID(.runtime = runtime, .id = id, .kind = "process", .pid = getpid(), .unpinned = true);
    trp_ref_release(&ref);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(holders, a_call_that_waits_is_named_with_what_it_calls)
{
    trp_runtime *runtime = system_private();
    trp_ref *ref = put(runtime, SIZE), *pending = NULL, *checked = NULL;
    trp_actor *counter = system_spawn(runtime, "slow");
    OK(trp_call(counter, "hang", TRP_NOARGS, &pending, &error));
    OK(trp_task(runtime, "store_module:check", TRP_ARGS(ref, pending), &checked, &error));
    EXPECT_SAID(.runtime = runtime, .id = trp_ref_id(ref), .kind = "call", .name = "store_module:check",
                .also = "waits for arguments");
    OK(trp_kill(counter, NULL, &error));
    trp_actor_release(&counter);
    trp_ref_release(&checked);
    trp_ref_release(&pending);
    trp_ref_release(&ref);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(holders, an_object_in_whose_value_another_one_is_named_is_told_by_its_id)
{
    trp_runtime *runtime = system_private();
    trp_ref *inner = put(runtime, SIZE), *outer = NULL;
    OK(trp_put(runtime, TRP_LIST(inner), &outer, &error));
    trp_actor *worker = NULL;
    OK(trp_spawn(runtime, "store_module:Worker", TRP_NOARGS, NULL, &worker, &error));
    trp_ref *echoed = NULL;
    OK(trp_call(worker, "echo", TRP_ARGS(TRP_LIST(outer)), &echoed, &error)); /* the broker has heard of it then */
    OK(trp_get(echoed, SYSTEM_WAIT_MS, NULL, &error));
    EXPECT_SAID(.runtime = runtime, .id = trp_ref_id(inner), .kind = "object", .name = trp_ref_id(outer));
    trp_ref_release(&echoed);
    trp_ref_release(&outer);
    trp_ref_release(&inner);
    trp_actor_release(&worker);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(holders, an_actor_that_keeps_an_object_is_named_and_its_process)
{
    trp_runtime *runtime = system_private();
    trp_actor *worker = NULL;
    trp_ref *list = NULL;
    trp_value value;
    const trp_actor_options options = {.name = "keeper"};
    OK(trp_spawn(runtime, "store_module:Worker", TRP_NOARGS, &options, &worker, &error));
    OK(trp_call(worker, "put", TRP_ARGS((int64_t)SIZE, 1, 1), &list, &error));
    OK(trp_get(list, SYSTEM_WAIT_MS, &value, &error));
    EXPECT_SAID(.runtime = runtime, .id = trp_ref_id(trp_at(value, 0).as.ref), .kind = "process",
                .name = "default/keeper", .pid = system_call_i64(worker, "pid", TRP_NOARGS));
    trp_ref_release(&list);
    trp_actor_release(&worker);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(holders, what_is_in_a_file_is_said_to_be_spilled_and_is_held_as_before)
{
    enum { COUNT = 6 };
    char path[512];
    (void)snprintf(path, sizeof path, "%s/spill", system_directory());
    const trp_config config = {.node = {.store_bytes = 64 * MIB, .spill_dir = path}};
    trp_runtime *runtime = NULL;
    trp_ref *refs[COUNT];
    OK(trp_init(&config, &runtime, &error));
    for (int i = 0; i < COUNT; i++)
        refs[i] = put(runtime, 16 * MIB);
    int spilled = 0;
    while (spilled < COUNT && trp_ref_location(refs[spilled]) != TRP_SPILLED)
        spilled++;
    cr_assert_lt(spilled, COUNT, "nothing was spilled");
    EXPECT_SAID(.runtime = runtime, .id = trp_ref_id(refs[spilled]), .kind = "process", .pid = getpid(),
                .key = "location", .text = "spilled", .unpinned = true);
    for (int i = 0; i < COUNT; i++)
        trp_ref_release(&refs[i]);
    trp_shutdown(&runtime);
    cr_expect_eq(rmdir(path), 0);
}
