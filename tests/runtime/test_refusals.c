/*
 * test_refusals.c - each public function refuses bad input, at once, with TRP_EINVAL and a sentence that names the parameter.
 * Nothing of it reaches the broker, which is one of the test's own.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <troupe/troupe.h>

#include "fake.h"

TestSuite(refusals, .timeout = 30);

static struct fake *fake;
static char directory[128];
static trp_runtime *rt;
static trp_actor *actor, *other;
static trp_ref *ref, *made;
static trp_error error;

static void
start(void)
{
    fake = fake_start(NULL);
    strcpy(directory, fake_directory(fake));
    const trp_config config = {.address = directory};
    cr_assert_eq(trp_init(&config, &rt, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_spawn(rt, "m:C", TRP_NOARGS, NULL, &actor, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_put(rt, trp_i64(1), &ref, &error), TRP_OK, "%s", error.message);
}

static void
stop(void)
{
    cr_expect_null(made, "an output was written");
    cr_expect_null(other, "an output was written");
    trp_ref_release(&ref);
    trp_actor_release(&actor);
    trp_shutdown(&rt);
    fake_stop(&fake);
    fake_clean(directory);
}

static void
expect(const char *call, trp_err err, trp_err wanted, const char *words)
{
    cr_expect_eq(err, wanted, "%s: %s", call, error.message);
    cr_expect_eq(error.code, wanted, "%s: the error says %d", call, (int)error.code);
    cr_expect_not_null(strstr(error.message, words), "%s: '%s' is not in: %s", call, words, error.message);
}

#define FAILS(wanted, words, call) expect(#call, (memset(&error, 0, sizeof error), call), wanted, words)
#define REFUSED(words, call)       FAILS(TRP_EINVAL, words, call)

static void
never(trp_ref *ready, void *user)
{
    (void)ready;
    (void)user;
    cr_assert_fail("called");
}

/* NULL, and outputs that are. */
Test(refusals, of_null, .init = start, .fini = stop)
{
    const trp_request request = {.actor = actor, .method = "echo"};
    trp_ref *const hole[] = {ref, NULL};
    size_t ready[2], count;

    REFUSED("runtime is NULL", trp_init(NULL, NULL, &error));
    REFUSED("runtime is NULL", trp_spawn(NULL, "m:C", TRP_NOARGS, NULL, &other, &error));
    REFUSED("class_name is NULL", trp_spawn(rt, NULL, TRP_NOARGS, NULL, &other, &error));
    REFUSED("actor is NULL", trp_spawn(rt, "m:C", TRP_NOARGS, NULL, NULL, &error));
    REFUSED("runtime is NULL", trp_lookup(NULL, "a", &other, &error));
    REFUSED("name is NULL", trp_lookup(rt, NULL, &other, &error));
    REFUSED("actor is NULL", trp_lookup(rt, "a", NULL, &error));
    REFUSED("actor is NULL", trp_kill(NULL, NULL, &error));
    REFUSED("actor is NULL", trp_watch(NULL, TRP_WATCH_DEATH, &made, &error));
    REFUSED("ref is NULL", trp_watch(actor, TRP_WATCH_DEATH, NULL, &error));
    REFUSED("actor is NULL", trp_call(NULL, "echo", TRP_NOARGS, &made, &error));
    REFUSED("method is NULL", trp_call(actor, NULL, TRP_NOARGS, &made, &error));
    REFUSED("ref is NULL", trp_call(actor, "echo", TRP_NOARGS, NULL, &error));
    REFUSED("actor is NULL", trp_send(NULL, "echo", TRP_NOARGS, &error));
    REFUSED("method is NULL", trp_send(actor, NULL, TRP_NOARGS, &error));
    REFUSED("runtime is NULL", trp_task(NULL, "m:f", TRP_NOARGS, &made, &error));
    REFUSED("method is NULL", trp_task(rt, NULL, TRP_NOARGS, &made, &error));
    REFUSED("ref is NULL", trp_task(rt, "m:f", TRP_NOARGS, NULL, &error));
    REFUSED("runtime is NULL", trp_submit(NULL, &request, &made, &error));
    REFUSED("request is NULL", trp_submit(rt, NULL, &made, &error));
    REFUSED("ref is NULL", trp_submit(rt, &request, NULL, &error));
    REFUSED("runtime is NULL", trp_put(NULL, trp_i64(1), &made, &error));
    REFUSED("ref is NULL", trp_put(rt, trp_i64(1), NULL, &error));
    REFUSED("ref is NULL", trp_get(NULL, 0, NULL, &error));
    REFUSED("refs is NULL", trp_get_all(NULL, 1, 0, NULL, &error));
    REFUSED("refs[1] is NULL", trp_get_all(hole, 2, 0, NULL, &error));
    REFUSED("refs is NULL", trp_wait(NULL, 1, 1, 0, ready, &count, &error));
    REFUSED("refs[1] is NULL", trp_wait(hole, 2, 1, 0, ready, &count, &error));
    REFUSED("ready is NULL", trp_wait(hole, 1, 1, 0, NULL, &count, &error));
    REFUSED("ready_count is NULL", trp_wait(hole, 1, 1, 0, ready, NULL, &error));
    REFUSED("ref is NULL", trp_on_ready(NULL, never, NULL, &error));
    REFUSED("on_ready is NULL", trp_on_ready(ref, NULL, NULL, &error));
    REFUSED("runtime is NULL", trp_runtime_process(NULL, 0, &error));
    REFUSED("runtime is NULL", trp_query(NULL, "nodes", &made, &error));
    REFUSED("what is NULL", trp_query(rt, NULL, &made, &error));
    REFUSED("ref is NULL", trp_query(rt, "nodes", NULL, &error));
    REFUSED("NULL", trp_check(trp_i64(1), NULL, &error));
}

/* Those that return no error: they do nothing, and say nothing. */
Test(refusals, of_null_where_nothing_can_be_said, .init = start, .fini = stop)
{
    DLTensor tensor;

    trp_shutdown(NULL);
    trp_ref_release(NULL);
    trp_actor_release(NULL);
    trp_unpin(NULL);
    trp_reply_value(NULL, trp_i64(1));
    trp_reply_fail(NULL, 1, "no");
    cr_expect_null(trp_ref_retain(NULL));
    cr_expect_null(trp_actor_retain(NULL));
    cr_expect_str_empty(trp_ref_id(NULL));
    cr_expect_str_empty(trp_actor_id(NULL));
    cr_expect_eq(trp_ref_location(NULL), TRP_PENDING);
    cr_expect_eq(trp_failure(NULL).kind, TRP_NONE);
    cr_expect_eq(trp_runtime_fd(NULL), -1);
    cr_expect_eq(trp_return(NULL, trp_i64(1)), TRP_EINVAL);
    cr_expect_eq(trp_delegate(NULL, ref), TRP_EINVAL);
    cr_expect_eq(trp_defer(NULL, NULL), TRP_EINVAL);
    cr_expect_eq(trp_fail(NULL, 1, "no"), TRP_EINVAL);
    cr_expect_not(trp_cancelled(NULL));
    cr_expect_null(trp_alloc(NULL, 8));
    cr_expect_not(trp_as_tensor(trp_i64(1), &tensor));
    cr_expect_eq(trp_field(TRP_MAP("a", 1), NULL).kind, TRP_NONE);
    cr_expect_eq(trp_at(trp_list(NULL, 3), 1).kind, TRP_NONE);
    cr_expect_eq(trp_format(trp_i64(17), NULL, 0), 2);
    cr_expect_eq(trp_strerror((trp_err)-1)[0], 'a');
}

/* Negative times, everywhere where there is a time. */
Test(refusals, of_negative_times, .init = start, .fini = stop)
{
    static const int64_t times[] = {-2, -1000, INT64_MIN};
    trp_ref *const refs[] = {ref};
    size_t ready[1], count;

    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        const trp_request late = {.actor = actor, .method = "echo", .deadline_ms = times[i]};
        const trp_kill_options drain = {.drain_ms = times[i]};
        const trp_actor_options slow = {.start_timeout_ms = times[i]};
        char value[32];
        snprintf(value, sizeof value, "_ms is %lld;", (long long)times[i]);
        REFUSED(value, trp_get(ref, times[i], NULL, &error));
        REFUSED(value, trp_get_all(refs, 1, times[i], NULL, &error));
        REFUSED(value, trp_get_all(refs, 0, times[i], NULL, &error));
        REFUSED(value, trp_wait(refs, 1, 1, times[i], ready, &count, &error));
        REFUSED(value, trp_wait(refs, 0, 0, times[i], ready, &count, &error));
        REFUSED(value, trp_runtime_process(rt, times[i], &error));
        REFUSED(value, trp_submit(rt, &late, &made, &error));
        REFUSED(value, trp_kill(actor, &drain, &error));
        REFUSED(value, trp_spawn(rt, "m:C", TRP_NOARGS, &slow, &other, &error));
    }
    const trp_request never_late = {.actor = actor, .method = "echo", .deadline_ms = TRP_FOREVER};
    REFUSED("deadline_ms is -1", trp_submit(rt, &never_late, &made, &error));
    cr_expect_eq(trp_get(ref, TRP_FOREVER, NULL, &error), TRP_OK);
    cr_expect_eq(trp_get(ref, INT64_MAX, NULL, &error), TRP_OK);
}

/* 256 bytes, and with one less still too long where "m:" comes before. */
static char long_name[257], long_path[] = "m:"
                                          "0123456789012345678901234567890123456789012345678901234567890123456789"
                                          "0123456789012345678901234567890123456789012345678901234567890123456789"
                                          "0123456789012345678901234567890123456789012345678901234567890123456789"
                                          "01234567890123456789012345678901234567890123";

Test(refusals, of_malformed_classes_and_functions, .init = start, .fini = stop)
{
    static const struct {
        const char *name, *words;
    } rows[] = {
        {"", "is empty"},
        {":", "to be \"module:"},
        {"m", "to be \"module:"},
        {"m:", "to be \"module:"},
        {":X", "to be \"module:"},
        {"m:X:y", "to be \"module:"},
        {"../m:X", "C identifier"},
        {"a/b:X", "C identifier"},
        {"1m:X", "C identifier"},
        {"m-n:X", "C identifier"},
        {"m :X", "C identifier"},
        {"m:X y", "to be \"module:"},
        {"m:X\n", "control character 0x0a at byte 3"},
        {"\x7fm:X", "control character 0x7f at byte 0"},
        {"m:\xff", "not UTF-8 at byte 2"},
        {long_path, "has 256 bytes"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const trp_request task = {.method = rows[i].name};
        REFUSED(rows[i].words, trp_spawn(rt, rows[i].name, TRP_NOARGS, NULL, &other, &error));
        cr_expect_not_null(strstr(error.message, "class_name"), "%s", error.message);
        REFUSED(rows[i].words, trp_task(rt, rows[i].name, TRP_NOARGS, &made, &error));
        REFUSED(rows[i].words, trp_submit(rt, &task, &made, &error));
        cr_expect_not_null(strstr(error.message, "method"), "%s", error.message);
    }
}

Test(refusals, of_malformed_names, .init = start, .fini = stop)
{
    memset(long_name, 'a', 256);
    const struct {
        const char *name, *words;
    } rows[] = {
        {"", "name is empty"},
        {"/x", "namespace/name"},
        {"x/", "namespace/name"},
        {"/", "namespace/name"},
        {"a\tb", "control character 0x09 at byte 1"},
        {"a\xc3", "not UTF-8 at byte 1"},
        {long_name, "has 256 bytes; at most 255"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const trp_actor_options options = {.name = rows[i].name};
        REFUSED(rows[i].words, trp_lookup(rt, rows[i].name, &other, &error));
        REFUSED(rows[i].words, trp_spawn(rt, "m:C", TRP_NOARGS, &options, &other, &error));
    }
}

Test(refusals, of_malformed_methods, .init = start, .fini = stop)
{
    memset(long_name, 'a', 256);
    const struct {
        const char *name, *words;
    } rows[] = {
        {"", "empty"},
        {"a\nb", "control character at byte 1"},
        {"a\xff", "not UTF-8 at byte 1"},
        {long_name, "at most 255"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const trp_request request = {.actor = actor, .method = rows[i].name};
        REFUSED(rows[i].words, trp_call(actor, rows[i].name, TRP_NOARGS, &made, &error));
        REFUSED(rows[i].words, trp_send(actor, rows[i].name, TRP_NOARGS, &error));
        REFUSED(rows[i].words, trp_submit(rt, &request, &made, &error));
    }
}

Test(refusals, of_what_cannot_be_asked_for, .init = start, .fini = stop)
{
    static const char *const rows[] = {"",
                                       "actor",
                                       "nodes ",
                                       "why",
                                       "why ",
                                       "why me?",
                                       "NODES",
                                       "why 0123abc",
                                       "x\ny",
                                       "\xff",
                                       "why 0123456789abcdef0123456789abcdeff"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        REFUSED("what is ", trp_query(rt, rows[i], &made, &error));
    REFUSED("\"why ID\" with the 32 hex digits", trp_query(rt, "why", &made, &error));
}

/* Values that are none, where arguments, values and maps are wanted. */
Test(refusals, of_values, .init = start, .fini = stop)
{
    static const char bad[] = "a\xff";
    const trp_actor_options env = {.env = TRP_MAP("A", bad)}, odd_env = {.env = TRP_MAP("A=B", "")},
                            slots = {.resources = TRP_MAP("slots", -1)},
                            infinite = {.resources = TRP_MAP("slots", INFINITY)};
    const trp_actor_options list = {.resources = TRP_LIST(1)}, number = {.env = TRP_MAP("A", 1)};

    REFUSED("no value", trp_put(rt, trp_u64(UINT64_MAX), &made, &error));
    REFUSED("at byte 1", trp_put(rt, trp_str(bad), &made, &error));
    REFUSED("at byte 1", trp_put(rt, TRP_MAP("key", TRP_LIST(bad)), &made, &error));
    REFUSED("at byte 1", trp_put(rt, TRP_MAP(bad, 1), &made, &error));
    REFUSED("NUL inside, at byte 1", trp_put(rt, trp_value_(TRP_STR, "a\0b", 3), &made, &error));
    REFUSED("NULL pointer", trp_put(rt, trp_list(NULL, 1), &made, &error));
    REFUSED("at byte 1", trp_call(actor, "echo", TRP_ARGS(bad), &made, &error));
    REFUSED("at byte 1", trp_call(actor, "echo", TRP_ARGS(TRP_KW(bad, 1)), &made, &error));
    REFUSED("args is", trp_call(actor, "echo", trp_i64(5), &made, &error));
    REFUSED("args is", trp_task(rt, "m:f", TRP_LIST(5), &made, &error));
    REFUSED("args is", trp_spawn(rt, "m:C", trp_str("x"), NULL, &other, &error));
    REFUSED("at byte 1", trp_spawn(rt, "m:C", TRP_ARGS(bad), NULL, &other, &error));
    REFUSED("at byte 1", trp_spawn(rt, "m:C", TRP_NOARGS, &env, &other, &error));
    REFUSED("A=B", trp_spawn(rt, "m:C", TRP_NOARGS, &odd_env, &other, &error));
    REFUSED("slots", trp_spawn(rt, "m:C", TRP_NOARGS, &slots, &other, &error));
    REFUSED("slots", trp_spawn(rt, "m:C", TRP_NOARGS, &infinite, &other, &error));
    FAILS(TRP_ETYPE, "a map", trp_spawn(rt, "m:C", TRP_NOARGS, &list, &other, &error));
    FAILS(TRP_ETYPE, "a string", trp_spawn(rt, "m:C", TRP_NOARGS, &number, &other, &error));
    cr_expect_eq(trp_put(rt, trp_bytes("a\xff", 2), &made, &error), TRP_OK, "%s", error.message);
    trp_ref_release(&made);
}

/* Enums, flags, counts, amounts, reserved words. */
Test(refusals, of_numbers, .init = start, .fini = stop)
{
    const trp_actor_options actors[] = {{.num_cpus = -1},       {.num_cpus = NAN},        {.num_gpus = -1},
                                        {.num_gpus = INFINITY}, {.max_concurrency = 257}, {.get_if_exists = true},
                                        {.reserved = {0, 0, 7}}};
    const char *const actor_words[] = {
        "num_cpus",     "num_cpus",           "num_gpus", "num_gpus", "max_concurrency is 257",
        "needs a name", "options.reserved[2]"};
    const trp_request calls[] = {{.actor = actor, .method = "echo", .flags = 64},
                                 {.actor = actor, .method = "echo", .num_cpus = 1},
                                 {.actor = actor, .method = "echo", .reserved = {7}},
                                 {.method = "m:f", .max_retries = -2},
                                 {.method = "m:f", .num_cpus = NAN},
                                 {.method = "m:f", .num_gpus = -1}};
    const char *const call_words[] = {"flags",    "resources", "request.reserved[0]", "max_retries is -2",
                                      "num_cpus", "num_gpus"};
    const trp_kill_options kill = {.reserved = {0, 7}};
    trp_ref *const refs[] = {ref, ref};
    size_t ready[2], count;

    for (size_t i = 0; i < sizeof actors / sizeof *actors; i++)
        REFUSED(actor_words[i], trp_spawn(rt, "m:C", TRP_NOARGS, &actors[i], &other, &error));
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        REFUSED(call_words[i], trp_submit(rt, &calls[i], &made, &error));
    REFUSED("options.reserved[1]", trp_kill(actor, &kill, &error));
    REFUSED("event is 9", trp_watch(actor, (trp_watch_event)9, &made, &error));
    REFUSED("event is -1", trp_watch(actor, (trp_watch_event)-1, &made, &error));
    REFUSED("num_returns is 0", trp_wait(refs, 2, 0, 0, ready, &count, &error));
    REFUSED("num_returns is 3", trp_wait(refs, 2, 3, 0, ready, &count, &error));
    REFUSED("refs[1] is there twice", trp_wait(refs, 2, 1, 0, ready, &count, &error));
    REFUSED("count is", trp_wait(refs, SIZE_MAX, 1, 0, ready, &count, &error));
    REFUSED("count is", trp_get_all(refs, SIZE_MAX, 0, NULL, &error));
}
