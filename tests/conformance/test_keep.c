/* test_keep.c - trp_keep and trp_kept: objects that the node holds. What outlives a driver is in tests/system/test_kept.c. */
#include "tests/conformance/stage.h"

#include <stdio.h>
#include <string.h>

static trp_error error;

static void
keep(trp_ref *ref, const char *name, int64_t ttl_ms)
{
    cr_assert_eq(trp_keep(ref, name, ttl_ms, &error), TRP_OK, "%s", error.message);
}

static trp_ref *
kept(trp_runtime *rt, const char *name)
{
    trp_ref *ref = NULL;
    cr_assert_eq(trp_kept(rt, name, &ref, &error), TRP_OK, "%s", error.message);
    return ref;
}

static void
expect_not_kept(trp_runtime *rt, const char *name)
{
    char text[128];
    trp_ref *ref = NULL;
    snprintf(text, sizeof text, "nothing is kept under the name '%s'", name);
    cr_expect_eq(trp_kept(rt, name, &ref, &error), TRP_ENOENT, "%s", error.message);
    cr_expect_str_eq(error.message, text);
    cr_expect_null(ref);
}

/* The method "list" of who holds it all. */
static size_t
count_kept(trp_runtime *rt, trp_value *rows, trp_ref **ref)
{
    trp_actor *holder = NULL;
    cr_assert_eq(trp_lookup(rt, "troupe/kept", &holder, &error), TRP_OK, "%s", error.message);
    *ref = stage_call(holder, "list", TRP_NOARGS);
    cr_assert_eq(trp_get(*ref, 20000, rows, &error), TRP_OK, "%s", error.message);
    trp_actor_release(&holder);
    return rows->size;
}

ROW(nothing_is_kept_before_the_first)
{
    expect_not_kept(rt, "x");
    trp_ref *ref = stage_put(rt, trp_i64(1));
    keep(ref, "x", 0);
    expect_not_kept(rt, "x");
    trp_ref_release(&ref);
}

ROW(what_is_kept_is_found_by_its_name)
{
    trp_ref *ref = stage_put(rt, trp_str("held"));
    keep(ref, "a name / with ünusual parts", TRP_FOREVER);
    trp_ref_release(&ref);
    stage_expect(kept(rt, "a name / with ünusual parts"), "\"held\"");
    stage_expect(kept(rt, "a name / with ünusual parts"), "\"held\"");
    expect_not_kept(rt, "a name");
}

ROW(without_a_name_it_is_found_by_its_id)
{
    char id[64];
    trp_ref *ref = stage_put(rt, trp_f64(0.5));
    snprintf(id, sizeof id, "%s", trp_ref_id(ref));
    keep(ref, NULL, TRP_FOREVER);
    trp_ref_release(&ref);
    ref = kept(rt, id);
    cr_expect_str_eq(trp_ref_id(ref), id);
    stage_expect(ref, "0.5");
}

ROW(a_name_is_one_objects)
{
    trp_ref *one = stage_put(rt, trp_i64(1)), *two = stage_put(rt, trp_i64(2));
    char text[128];
    keep(one, "n", TRP_FOREVER);
    snprintf(text, sizeof text, "object %s is kept under the name 'n' already", trp_ref_id(one));
    cr_expect_eq(trp_keep(two, "n", 1000, &error), TRP_EEXIST);
    cr_expect_str_eq(error.message, text);
    cr_expect_eq(trp_keep(two, "n", 0, &error), TRP_EEXIST);
    cr_expect_str_eq(error.message, text);
    keep(one, "n", 60000); /* the same one again is fine */
    keep(one, "m", TRP_FOREVER);
    stage_expect(kept(rt, "n"), "1");
    keep(one, "n", 0);
    keep(one, "n", 0);
    expect_not_kept(rt, "n");
    keep(two, "n", TRP_FOREVER);
    stage_expect(kept(rt, "n"), "2");
    stage_expect(kept(rt, "m"), "1");
    trp_ref_release(&one);
    trp_ref_release(&two);
}

/* Nobody asks: its time is over by the holder's own clock. */
ROW(when_its_time_is_over_it_is_let_go_of)
{
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    trp_ref *death = NULL, *ref = stage_put(rt, TRP_LIST(log)), *other = stage_put(rt, trp_i64(7));
    cr_assert_eq(trp_watch(log, TRP_WATCH_DEATH, &death, &error), TRP_OK, "%s", error.message);
    keep(other, "long", 60000);
    keep(ref, "short", TRP_FOREVER);
    keep(ref, "short", 100);
    trp_ref_release(&ref);
    trp_actor_release(&log);
    cr_expect_eq(trp_get(death, 20000, NULL, &error), TRP_OK, "%s", error.message);
    expect_not_kept(rt, "short");
    stage_expect(kept(rt, "long"), "7");
    trp_ref_release(&other);
    trp_ref_release(&death);
}

ROW(a_failure_is_kept_with_its_error)
{
    trp_ref *failed = stage_task(rt, "conformance:fail", TRP_ARGS(17, "kept"));
    keep(failed, "before", TRP_FOREVER);
    cr_expect_eq(trp_get(failed, 20000, NULL, &error), TRP_ETASK);
    keep(failed, "after", TRP_FOREVER);
    trp_ref_release(&failed);
    stage_expect_error(kept(rt, "before"), TRP_ETASK, &error);
    cr_expect_eq(error.cause, 17);
    stage_expect_error(kept(rt, "after"), TRP_ETASK, &error);
    cr_expect_str_eq(error.message, "failed as asked: kept");
}

ROW(what_is_pending_can_be_kept)
{
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    trp_ref *held = stage_call(log, "hold", TRP_NOARGS);
    keep(held, "later", TRP_FOREVER);
    trp_ref_release(&held);
    held = kept(rt, "later");
    cr_expect_eq(trp_get(held, 0, NULL, &error), TRP_ETIMEDOUT);
    stage_says(log, "let_go", TRP_ARGS("done"), "null");
    stage_expect(held, "\"done\"");
    trp_actor_release(&log);
}

ROW(what_is_kept_can_be_listed)
{
    static const char *const states[] = {"pending", "failed", "ready"};
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    trp_ref *refs[3] = {stage_call(log, "hold", TRP_NOARGS), stage_task(rt, "conformance:fail", TRP_ARGS(1, "")),
                        stage_put(rt, trp_i64(1))};
    trp_value rows;
    trp_ref *list = NULL;
    cr_expect_eq(trp_get(refs[1], 20000, NULL, &error), TRP_ETASK);
    for (int i = 0; i < 3; i++)
        keep(refs[i], states[i], i == 0 ? 60000 : TRP_FOREVER);
    cr_assert_eq(count_kept(rt, &rows, &list), 3);
    for (size_t i = 0; i < 3; i++) {
        const trp_value row = trp_at(rows, i);
        cr_expect_str_eq(trp_as_str(trp_field(row, "name")), trp_as_str(trp_field(row, "state")));
        for (int k = 0; k < 3; k++) {
            if (strcmp(states[k], trp_as_str(trp_field(row, "state"))) != 0)
                continue;
            cr_expect_str_eq(trp_as_str(trp_field(row, "id")), trp_ref_id(refs[k]));
            cr_expect_eq(trp_field(row, "left_ms").kind, k == 0 ? TRP_I64 : TRP_NULL);
        }
    }
    trp_ref_release(&list);
    stage_says(log, "let_go", TRP_ARGS(trp_null()), "null");
    for (int i = 0; i < 3; i++)
        trp_ref_release(&refs[i]);
    trp_actor_release(&log);
}

ROW(a_method_can_keep_and_find)
{
    trp_ref *put = stage_put(rt, trp_i64(5));
    trp_ref *found = stage_task(rt, "conformance:keep", TRP_ARGS(TRP_LIST(put), "by a task"));
    trp_value value;
    cr_assert_eq(trp_get(found, 20000, &value, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(value.kind, TRP_REF);
    cr_expect_str_eq(trp_ref_id(value.as.ref), trp_ref_id(put));
    stage_expect(kept(rt, "by a task"), "5");
    trp_ref_release(&found);
    trp_ref_release(&put);
}

ROW(thousands_are_kept)
{
    enum { COUNT = 2000 };
    char name[32];
    trp_value rows;
    trp_ref *list = NULL;
    for (int i = 0; i < COUNT; i++) {
        trp_ref *ref = stage_put(rt, trp_i64(i));
        snprintf(name, sizeof name, "object %d", i);
        keep(ref, name, i % 2 == 0 ? TRP_FOREVER : 60000 + i);
        trp_ref_release(&ref);
    }
    stage_expect(kept(rt, "object 0"), "0");
    stage_expect(kept(rt, "object 1999"), "1999");
    cr_expect_eq(count_kept(rt, &rows, &list), (size_t)COUNT);
    trp_ref_release(&list);
}

/* A node service has it on disk, and the next one who holds things finds it there. */
ROW(when_who_holds_it_is_killed_only_a_node_service_keeps_it)
{
    trp_ref *ref = stage_put(rt, trp_i64(3));
    trp_actor *holder = NULL;
    keep(ref, "x", TRP_FOREVER);
    cr_assert_eq(trp_lookup(rt, "troupe/kept", &holder, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_kill(holder, NULL, &error), TRP_OK, "%s", error.message);
    if (stage_mode() != STAGE_SERVICE)
        expect_not_kept(rt, "x");
    keep(ref, "x", TRP_FOREVER);
    trp_actor_release(&holder);
    stage_expect(kept(rt, "x"), "3");
    cr_assert_eq(trp_lookup(rt, "troupe/kept", &holder, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_kill(holder, NULL, &error), TRP_OK, "%s", error.message);
    keep(ref, "x", 0);
    expect_not_kept(rt, "x");
    trp_ref_release(&ref);
    trp_actor_release(&holder);
}

ROW(what_makes_no_sense_is_refused)
{
    static char long_name[300];
    memset(long_name, 'n', sizeof long_name - 1);
    const struct {
        const char *name;
        int64_t ttl_ms;
        const char *message;
    } rows[] = {
        {"", TRP_FOREVER, "name is empty"},
        {"a\nb", TRP_FOREVER, "name is 'a b', with the control character 0x0a at byte 1"},
        {"a\xff", TRP_FOREVER, "name is 'a?', which is not UTF-8 at byte 1"},
        {long_name, 5, "name has 299 bytes; at most 255 are allowed"},
        {"x", -2, "ttl_ms is -2; it has to be a time in milliseconds, 0 or TRP_FOREVER"},
        {NULL, INT64_MIN, "ttl_ms is -9223372036854775808; it has to be a time in milliseconds, 0 or TRP_FOREVER"},
    };
    trp_ref *ref = stage_put(rt, trp_i64(1)), *found = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_eq(trp_keep(ref, rows[i].name, rows[i].ttl_ms, &error), TRP_EINVAL, "row %zu", i);
        cr_expect_str_eq(error.message, rows[i].message);
        if (rows[i].name != NULL && rows[i].ttl_ms >= TRP_FOREVER) {
            cr_expect_eq(trp_kept(rt, rows[i].name, &found, &error), TRP_EINVAL, "row %zu", i);
            cr_expect_str_eq(error.message, rows[i].message);
        }
    }
    cr_expect_eq(trp_keep(NULL, "x", TRP_FOREVER, &error), TRP_EINVAL);
    cr_expect_str_eq(error.message, "ref is NULL");
    cr_expect_eq(trp_kept(rt, NULL, &found, &error), TRP_EINVAL);
    cr_expect_str_eq(error.message, "name is NULL");
    cr_expect_eq(trp_kept(NULL, "x", &found, &error), TRP_EINVAL);
    cr_expect_str_eq(error.message, "runtime is NULL");
    cr_expect_eq(trp_kept(rt, "x", NULL, &error), TRP_EINVAL);
    cr_expect_str_eq(error.message, "ref is NULL");
    keep(ref, "x", INT64_MAX);
    stage_expect(kept(rt, "x"), "1");
    trp_ref_release(&ref);
}

ROW(the_nodes_namespace_is_closed_to_others)
{
    static const char *const classes[] = {"conformance:Log", "troupe:Kept"};
    trp_actor *actor = NULL;
    for (int i = 0; i < 2; i++) {
        const trp_actor_options options = {.name = "troupe/mine", .get_if_exists = i == 1};
        cr_expect_eq(trp_spawn(rt, classes[i], TRP_NOARGS, &options, &actor, &error), TRP_EINVAL);
        cr_expect_str_eq(error.message,
                         "name is 'mine' in the namespace 'troupe', which is the node's own; take another namespace");
    }
}

/* An object that a call names, inside of another value, goes with its last reference, in local mode, too. */
ROW(what_was_lent_to_a_call_is_let_go_of)
{
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    trp_ref *death = NULL, *ref = stage_put(rt, TRP_LIST(log));
    cr_assert_eq(trp_watch(log, TRP_WATCH_DEATH, &death, &error), TRP_OK, "%s", error.message);
    trp_ref *echo = stage_task(rt, "conformance:echo", TRP_ARGS(TRP_LIST(ref)));
    cr_assert_eq(trp_get(echo, 20000, NULL, &error), TRP_OK, "%s", error.message);
    trp_ref_release(&echo);
    trp_ref_release(&ref);
    trp_actor_release(&log);
    cr_expect_eq(trp_get(death, 20000, NULL, &error), TRP_OK, "%s", error.message);
    trp_ref_release(&death);
}
