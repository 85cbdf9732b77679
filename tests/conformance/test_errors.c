/* test_errors.c - what failures say: the same code, ran, actor, method and sentence with a private node, a node service and in
 * local mode; what is refused before it runs, deadlines, and the one shape of a death record. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/conformance/stage.h"

struct said {
    trp_err code;
    trp_ran ran;
    const char *actor, *method;
    const char *message; /* with NODE for the node's name */
};

/* The node's name in a message becomes NODE. */
static void
without_node(const trp_error *error, char *text, size_t size)
{
    char node[80];
    const char *at;
    (void)snprintf(node, sizeof node, "node '%s'", error->node);
    at = error->node[0] != '\0' ? strstr(error->message, node) : NULL;
    if (at == NULL)
        (void)snprintf(text, size, "%s", error->message);
    else
        (void)snprintf(text, size, "%.*snode NODE%s", (int)(at - error->message), error->message, at + strlen(node));
}

static void
expect_said(const trp_error *error, const struct said *said)
{
    char message[800];
    without_node(error, message, sizeof message);
    cr_expect_eq(error->code, said->code, "%d: %s", error->code, message);
    cr_expect_eq(error->ran, said->ran, "ran %d: %s", error->ran, message);
    cr_expect_str_eq(error->actor, said->actor, "actor '%s': %s", error->actor, message);
    cr_expect_str_eq(error->method, said->method, "method '%s': %s", error->method, message);
    cr_expect_str_eq(message, said->message);
}

/* The error of a call of this actor (NULL: of a task), wherever it comes. */
static void
expect_of_call(trp_runtime *rt, trp_actor *actor, const char *method, trp_value args, struct said said)
{
    trp_ref *ref = NULL;
    trp_error error;
    trp_err err =
        actor != NULL ? trp_call(actor, method, args, &ref, &error) : trp_task(rt, method, args, &ref, &error);
    if (err == TRP_OK)
        err = trp_get(ref, 20000, NULL, &error);
    cr_assert_neq(err, TRP_OK, "%s", method);
    expect_said(&error, &said);
    trp_ref_release(&ref);
}

ROW(errors_of_methods_and_arguments_are_the_same_in_all_modes)
{
    trp_actor *actors[] = {stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL),
                           stage_spawn(rt, "conformance:Log", TRP_NOARGS, "diary")};
    const char *const labels[] = {"conformance:Log", "diary"};
    for (int i = 0; i < 2; i++) {
        trp_ref *failed = stage_task(rt, "conformance:fail", TRP_ARGS(9, "as told"));
        trp_error error;
        trp_ref *ref = NULL;
        cr_expect_eq(trp_call(actors[i], "nope", TRP_NOARGS, &ref, &error), TRP_OK);
        cr_expect_eq(trp_get(ref, 20000, NULL, &error), TRP_ENOMETHOD, "%s", error.message);
        cr_expect_eq(error.ran, TRP_NOT_RUN);
        cr_expect_str_eq(error.actor, labels[i]);
        cr_expect_str_eq(error.method, "nope");
        trp_ref_release(&ref);
        expect_of_call(
            rt, actors[i], "append", TRP_ARGS(failed),
            (struct said){TRP_ETASK, TRP_NOT_RUN, labels[i], "append",
                          "The call of append was not run: its argument 0 failed: failed as asked: as told"});
        cr_expect_eq(trp_get(failed, 20000, NULL, &error), TRP_ETASK); /* it is known to have failed now */
        expect_of_call(rt, actors[i], "append", TRP_ARGS(failed, failed),
                       (struct said){TRP_ETASK, TRP_NOT_RUN, labels[i], "append",
                                     "The call of append was not run: its argument 0 failed: failed as asked: as "
                                     "told"});
        trp_ref_release(&failed);
        ref = stage_call(actors[i], "append", TRP_ARGS("text"));
        stage_expect_error(ref, TRP_ETYPE, &error);
        cr_expect_eq(error.ran, TRP_NOT_RUN);
        cr_expect_str_eq(error.actor, labels[i]);
        cr_expect_str_eq(error.method, "append");
    }
    expect_of_call(rt, NULL, "conformance:fail", TRP_ARGS(9, "as told"),
                   (struct said){TRP_ETASK, TRP_RAN, "", "conformance:fail", "failed as asked: as told"});
    trp_actor_release(&actors[0]);
    trp_actor_release(&actors[1]);
}

ROW(errors_of_dead_actors_are_the_same_in_all_modes)
{
    const trp_kill_options at_once = {0};
    trp_error error;
    trp_actor *none = NULL;
    trp_actor *picky = stage_spawn(rt, "conformance:Picky", TRP_NOARGS, NULL);
    expect_of_call(rt, picky, "read", TRP_NOARGS,
                   (struct said){TRP_EACTORDIED, TRP_NOT_RUN, "conformance:Picky", "read",
                                 "actor 'conformance:Picky' on node NODE does not answer: its constructor failed: not "
                                 "today: because. The call was not run."});
    trp_actor_release(&picky);
    trp_actor *killed = stage_spawn(rt, "conformance:Log", TRP_NOARGS, "short");
    stage_says(killed, "append", TRP_ARGS(1), "1");
    cr_expect_eq(trp_spawn(rt, "conformance:Log", TRP_NOARGS, &(trp_actor_options){.name = "short"}, &none, &error),
                 TRP_EEXIST);
    cr_expect_str_eq(error.message, "The name short (namespace=default) is already taken. Please use a different name "
                                    "or get the existing actor using trp_lookup(\"default/short\")");
    cr_expect_eq(trp_kill(killed, &at_once, &error), TRP_OK, "%s", error.message);
    trp_ref *death = NULL;
    trp_value record;
    cr_assert_eq(trp_watch(killed, TRP_WATCH_DEATH, &death, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_get(death, 20000, &record, &error), TRP_OK, "%s", error.message);
    cr_expect_str_eq(trp_as_str(trp_field(record, "actor")), "short");
    cr_expect_str_eq(trp_as_str(trp_field(record, "class")), "conformance:Log");
    cr_expect_str_eq(trp_as_str(trp_field(record, "id")), trp_actor_id(killed));
    cr_expect_str_eq(trp_as_str(trp_field(record, "killed_by")), "trp_kill");
    trp_ref_release(&death);
    trp_ref *ref = stage_call(killed, "read", TRP_NOARGS);
    stage_expect_error(ref, TRP_EACTORDIED, &error);
    cr_expect_eq(error.ran, TRP_NOT_RUN);
    cr_expect_str_eq(error.actor, "short");
    cr_expect_str_eq(error.method, "read");
    cr_expect(strncmp(error.message, "actor 'short' on node '", 23) == 0, "%s", error.message);
    trp_actor_release(&killed);
}

ROW(a_look_up_in_vain_says_the_same_in_all_modes)
{
    trp_error error;
    trp_actor *none = NULL;
    cr_expect_eq(trp_lookup(rt, "nobody", &none, &error), TRP_ENOENT);
    cr_expect(
        strstr(error.message, "Failed to look up actor with name 'nobody': in the namespace 'default' of node '") ==
            error.message,
        "%s", error.message);
    cr_expect(strstr(error.message, "' nobody made one, or it has ended") != NULL, "%s", error.message);
}

/* Both records of one death have the same fields, and say the same. */
ROW_WITH_BROKER(a_death_record_has_one_shape)
{
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    trp_ref *crash = stage_call(log, "crash", TRP_NOARGS), *death = NULL;
    trp_value record, other;
    trp_error error;
    cr_expect_eq(trp_get(crash, 20000, NULL, &error), TRP_EACTORDIED);
    cr_assert_eq(trp_watch(log, TRP_WATCH_DEATH, &death, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_get(death, 20000, &record, &error), TRP_OK, "%s", error.message);
    other = trp_field(trp_failure(crash), "death");
    cr_assert_eq(other.kind, TRP_MAP);
    cr_expect(trp_equal(record, other), "they differ");
    cr_expect_str_eq(trp_as_str(trp_field(other, "actor")), "conformance:Log");
    cr_expect_str_eq(trp_as_str(trp_field(other, "class")), "conformance:Log");
    cr_expect_str_eq(trp_as_str(trp_field(other, "id")), trp_actor_id(log));
    cr_expect_str_neq(trp_as_str(trp_field(other, "node")), "");
    cr_expect_str_neq(trp_as_str(trp_field(other, "message")), "");
    trp_ref_release(&crash);
    trp_ref_release(&death);
    trp_actor_release(&log);
}

ROW_WITH_BROKER(a_task_that_always_dies_says_how_often_it_was_started)
{
    trp_error error;
    trp_ref *ref = stage_task(rt, "conformance:die", TRP_NOARGS);
    cr_expect_eq(trp_get(ref, 30000, NULL, &error), TRP_EACTORDIED);
    cr_expect(strstr(error.message, "it was started 4 times") != NULL, "%s", error.message);
    cr_expect_str_eq(error.method, "conformance:die");
    trp_value death = trp_field(trp_failure(ref), "death");
    cr_expect_str_eq(trp_as_str(trp_field(death, "actor")), "");
    cr_expect_str_eq(trp_as_str(trp_field(death, "id")), "");
    cr_expect_str_eq(trp_as_str(trp_field(death, "method")), "conformance:die");
    cr_expect_eq(trp_as_i64(trp_field(death, "exit_code")), 7);
    trp_ref_release(&ref);
}

/* How often the request was started; each start leaves a byte in the file. */
static long
starts_of(trp_runtime *rt, const char *function, int32_t max_retries, trp_error *error)
{
    char path[300];
    struct stat st = {0};
    trp_ref *ref = NULL;
    (void)snprintf(path, sizeof path, "%s/starts", stage_directory());
    (void)unlink(path);
    const trp_request request = {.method = function, .args = TRP_ARGS(path), .max_retries = max_retries};
    cr_assert_eq(trp_submit(rt, &request, &ref, error), TRP_OK, "%s", error->message);
    cr_expect_eq(trp_get(ref, 30000, NULL, error), TRP_EACTORDIED, "%s", error->message);
    trp_ref_release(&ref);
    (void)stat(path, &st);
    return (long)st.st_size;
}

ROW_WITH_BROKER(a_task_is_started_again_as_its_row_says_unless_the_request_does)
{
    static const struct {
        const char *function;
        int32_t max_retries;
        long starts;
    } rows[] = {{"conformance:die_never_again", 0, 1},
                {"conformance:die_again_once", 0, 2},
                {"conformance:die_never_again", 2, 3},
                {"conformance:die_again_once", 2, 3},
                {"conformance:die_never_again", 0, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        trp_error error;
        const long starts = starts_of(rt, rows[i].function, rows[i].max_retries, &error);
        cr_expect_eq(starts, rows[i].starts, "row %zu: %ld", i, starts);
        cr_expect_eq(error.ran, TRP_MAY_HAVE_RUN, "row %zu: %d", i, (int)error.ran);
    }
}

static void
tell(trp_ref *ref, void *user)
{
    trp_error *error = user;
    error->code = trp_get(ref, 0, NULL, error);
}

/* In local mode nothing begins but in a wait. */
static void
shut_down_with_calls(trp_runtime *rt)
{
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    trp_ref *held = stage_call(log, "hold", TRP_NOARGS);
    stage_says(log, "read", TRP_NOARGS, "[]");
    trp_ref *refs[] = {stage_task(rt, "conformance:echo", TRP_ARGS(1)),
                       stage_task(rt, "conformance:echo", TRP_ARGS(held)), stage_call(log, "append", TRP_ARGS(1))};
    trp_error told[3] = {{.code = TRP_OK}}, error;
    for (int i = 0; i < 3; i++)
        cr_assert_eq(trp_on_ready(refs[i], tell, &told[i], &error), TRP_OK, "%s", error.message);
    stage_shutdown();
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(told[i].code, TRP_ECLOSED, "call %d: %s", i, told[i].message);
        cr_expect_eq(told[i].ran, TRP_NOT_RUN, "call %d: %s", i, told[i].message);
        cr_expect_eq(trp_get(refs[i], 0, NULL, &error), TRP_ECLOSED);
        cr_expect_eq(error.ran, TRP_NOT_RUN, "call %d, afterwards", i);
        trp_ref_release(&refs[i]);
    }
    cr_expect_eq(trp_get(held, 0, NULL, &error), TRP_ECLOSED);
    cr_expect_eq(error.ran, TRP_MAY_HAVE_RUN);
    trp_ref_release(&held);
    trp_actor_release(&log);
}

Test(local_mode, calls_that_had_not_begun_at_the_shutdown_were_not_run, .timeout = 60)
{
    stage_run(STAGE_LOCAL, shut_down_with_calls);
}

/* What does not fit is refused before it runs, with a sentence that says what was expected. */
ROW(calls_that_do_not_fit_are_refused)
{
    const struct {
        const char *method;
        trp_value args;
        trp_err err;
        const char *says;
    } rows[] = {
        {"increment", TRP_ARGS("one"), TRP_ETYPE, "step"},
        {"increment", TRP_ARGS(1, 2), TRP_EINVAL, "1"},
        {"increment", TRP_ARGS(TRP_KW("stride", 1)), TRP_EINVAL, "stride"},
        {"increment", TRP_ARGS(UINT64_MAX), TRP_EINVAL, ""},
        {"decrement", TRP_NOARGS, TRP_ENOMETHOD, "increment"},
    };
    trp_error error;
    trp_actor *counter = stage_spawn(rt, "counter:Counter", TRP_NOARGS, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        trp_ref *ref = NULL;
        trp_err err = trp_call(counter, rows[i].method, rows[i].args, &ref, &error);
        if (err == TRP_OK)
            err = trp_get(ref, 20000, NULL, &error);
        cr_expect_eq(err, rows[i].err, "row %zu: %s", i, error.message);
        cr_expect_eq(error.ran, TRP_NOT_RUN, "row %zu: %s", i, error.message);
        cr_expect(strstr(error.message, rows[i].says) != NULL, "row %zu: %s", i, error.message);
        trp_ref_release(&ref);
    }
    stage_says(counter, "increment", TRP_ARGS(0), "0");
    trp_actor_release(&counter);
}

/* Unknown classes, modules and tasks are named, with what there is. */
ROW(what_does_not_exist_is_named_with_what_does)
{
    const struct {
        const char *name;
        bool task;
        const char *says;
    } rows[] = {
        {"counter:Nobody", false, "Counter"},
        {"nomodule:Counter", false, "nomodule"},
        {"conformance:nothing", true, "generate_2"},
        {"nomodule:nothing", true, "nomodule"},
    };
    trp_error error;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        trp_ref *ref = NULL;
        trp_actor *actor = NULL;
        trp_err err;
        if (rows[i].task) {
            err = trp_task(rt, rows[i].name, TRP_NOARGS, &ref, &error);
        } else {
            err = trp_spawn(rt, rows[i].name, TRP_NOARGS, NULL, &actor, &error);
            if (err == TRP_OK)
                err = trp_call(actor, "get", TRP_NOARGS, &ref, &error);
        }
        if (err == TRP_OK)
            err = trp_get(ref, 20000, NULL, &error);
        cr_expect(err == TRP_ENOENT || err == TRP_EACTORDIED, "row %zu: %s", i, error.message);
        cr_expect(strstr(error.message, rows[i].says) != NULL, "row %zu: %s", i, error.message);
        trp_ref_release(&ref);
        trp_actor_release(&actor);
    }
}

/* A deadline that passes ends the call for its caller. */
ROW(a_deadline_ends_a_call)
{
    trp_error error;
    trp_ref *held = NULL;
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    trp_request request = {.actor = log, .method = "hold", .deadline_ms = 50};
    cr_assert_eq(trp_submit(rt, &request, &held, &error), TRP_OK, "%s", error.message);
    stage_expect_error(held, TRP_ETIMEDOUT, &error);
    cr_expect(strstr(error.message, "50 ms") != NULL && strstr(error.message, "hold") != NULL, "%s", error.message);
    cr_expect_str_eq(error.method, "hold");
    cr_expect_str_eq(error.actor, "conformance:Log");
    cr_expect_str_neq(error.node, "");
    stage_says(log, "append", TRP_ARGS(1), "1");
    trp_actor_release(&log);
}

/* However a method leaves that sees its deadline pass: the caller has TRP_ETIMEDOUT. */
ROW(a_method_that_leaves_at_its_deadline_has_timed_out)
{
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, "lingers");
    for (int i = 0; i < 12; i++) {
        trp_error error;
        trp_ref *ref = NULL;
        trp_request request = {.actor = log, .method = "linger", .args = TRP_ARGS(i % 2), .deadline_ms = 20};
        cr_assert_eq(trp_submit(rt, &request, &ref, &error), TRP_OK, "%s", error.message);
        stage_expect_error(ref, TRP_ETIMEDOUT, &error);
        cr_expect_str_eq(error.actor, "lingers", "%s", error.message);
        cr_expect_str_eq(error.method, "linger");
    }
    stage_says(log, "append", TRP_ARGS(1), "1");
    trp_actor_release(&log);
}

ROW(a_method_that_outlasts_its_deadline_has_timed_out)
{
    trp_error error;
    trp_ref *ref = NULL;
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    trp_request request = {.actor = log, .method = "linger", .args = TRP_ARGS(2), .deadline_ms = 20};
    cr_assert_eq(trp_submit(rt, &request, &ref, &error), TRP_OK, "%s", error.message);
    stage_expect_error(ref, TRP_ETIMEDOUT, &error);
    trp_actor_release(&log);
}

/* Whoever looks for an actor whose constructor failed is told so. */
ROW(a_name_of_an_actor_that_failed_says_why)
{
    trp_error error;
    trp_actor *picky = stage_spawn(rt, "conformance:Picky", TRP_ARGS("it rains"), "picky"), *found = NULL;
    trp_ref *ready = NULL;
    cr_assert_eq(trp_watch(picky, TRP_WATCH_READY, &ready, &error), TRP_OK, "%s", error.message);
    stage_expect_error(ready, TRP_ETASK, &error);
    cr_expect_eq(trp_lookup(rt, "picky", &found, &error), TRP_ENOENT);
    cr_expect(strstr(error.message, "it rains") != NULL, "%s", error.message);
    trp_actor_release(&picky);
}

/* The death record of an actor that was killed while it was idle: the same keys everywhere, and nothing that ran. */
ROW(the_death_of_an_idle_actor_names_no_method)
{
    static const char *const keys[] = {"actor",     "id",        "class",        "node",        "message",
                                       "pid",       "exit_code", "signal",       "module",      "method",
                                       "backtrace", "sequence",  "memory_limit", "last_output", "killed_by"};
    trp_error error;
    trp_value record;
    trp_ref *death = NULL;
    trp_actor *log = stage_spawn(rt, "conformance:Log", TRP_NOARGS, NULL);
    stage_says(log, "append", TRP_ARGS(1), "1");
    cr_assert_eq(trp_watch(log, TRP_WATCH_DEATH, &death, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_kill(log, NULL, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_get(death, 20000, &record, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(record.size, sizeof keys / sizeof *keys);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        cr_expect_neq(trp_field(record, keys[i]).kind, TRP_NONE, "%s", keys[i]);
    cr_expect_str_eq(trp_as_str(trp_field(record, "method")), "");
    cr_expect_eq(trp_as_i64(trp_field(record, "sequence")), 0);
    cr_expect_str_eq(trp_as_str(trp_field(record, "killed_by")), "trp_kill");
    trp_ref_release(&death);
    trp_actor_release(&log);
}

/* What cannot be asked for is refused with what can. */
ROW(a_query_for_something_else_is_refused_with_the_list)
{
    trp_error error;
    trp_ref *ref = NULL;
    cr_assert_eq(trp_query(rt, "actor", &ref, &error), TRP_EINVAL);
    cr_expect(strstr(error.message, "actors") != NULL, "%s", error.message);
}
