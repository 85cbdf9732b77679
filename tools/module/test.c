/*
 * test.c - `troupe module test`: a conformance run on a private node. Actors are made, called, killed and made again, tasks
 * run; a line for each check, and "N passed, N failed" at the end. One thread; what crashes are the node's processes.
 */
#include "tools/module/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TIMEOUT_MS = 5000, START_MS = 20 * 1000 };

/* ----------------------------------------------------------------------------------------------------------- the report */

void
tri_run_note(struct tri_run *run, enum tri_verdict verdict, const char *why, const char *format, ...)
{
    static const char *const words[] = {"ok  ", "FAIL", "skip"};
    struct tri_outcome *made = calloc(1, sizeof *made);
    va_list list;

    if (tri_stopped() && verdict != TRI_PASSED)
        return; /* cut off by Ctrl-C, which is not the module's */
    run->counts[verdict]++;
    if (made == NULL)
        return;
    va_start(list, format);
    (void)vsnprintf(made->what, sizeof made->what, format, list);
    va_end(list);
    made->verdict = verdict;
    (void)snprintf(made->why, sizeof made->why, "%s", verdict == TRI_PASSED ? "" : why);
    *run->last = made;
    run->last = &made->next;
    if (tri_wants_value(run->cli))
        return;
    tri_print(run->cli, "%s  %s%s%s\n", words[verdict], made->what, made->why[0] != '\0' ? ": " : "", made->why);
    (void)fflush(run->cli->out); /* what the module prints comes in between */
}

static void
free_outcomes(struct tri_run *run)
{
    while (run->first != NULL) {
        struct tri_outcome *next = run->first->next;
        free(run->first);
        run->first = next;
    }
}

/* For programs: a LIST of MAPs. */
static int
give_outcomes(struct tri_run *run)
{
    static const char *const words[] = {"passed", "failed", "skipped"};
    size_t count = 0;
    trp_value *items, *entries;
    int exit_code;

    for (const struct tri_outcome *one = run->first; one != NULL; one = one->next)
        count++;
    items = calloc(count + 1, sizeof *items);
    entries = calloc(count + 1, 6 * sizeof *entries);
    if (items == NULL || entries == NULL) {
        free(items);
        free(entries);
        return tri_fail_text(run->cli, "out of memory");
    }
    count = 0;
    for (const struct tri_outcome *one = run->first; one != NULL; one = one->next, count++) {
        const trp_value fields[6] = {trp_str("check"),   trp_str(one->what),
                                     trp_str("verdict"), trp_str(words[one->verdict]),
                                     trp_str("why"),     trp_str(one->why)};
        (void)memcpy(entries + 6 * count, fields, sizeof fields);
        items[count] = trp_map(entries + 6 * count, 3);
    }
    exit_code = tri_give(run->cli, NULL, trp_list(items, count));
    free(items);
    free(entries);
    return exit_code;
}

/* ------------------------------------------------------------------------------------------------------------ one class */

/* What --init says for the class, else needed ones, plain. */
static bool
init_args(struct tri_run *run, trp_value *items, trp_value *args, char *missing)
{
    const char *class_name = strchr(run->class_name, ':') + 1;
    struct tri_parameters parameters;
    trp_value given = run->init.kind == TRP_MAP ? trp_field(run->init, class_name) : run->init;
    size_t count = 0;

    *args = trp_null();
    if (given.kind == TRP_LIST) {
        for (; count < given.size && count < TRI_PARAMETERS_MAX; count++)
            items[count] = trp_at(given, count);
    } else {
        tri_parameters_read(trp_as_str(trp_field(run->class_row, "init_args")), &parameters);
        for (; count < parameters.count && parameters.list[count].fallback[0] == '\0'; count++) {
            (void)snprintf(missing, TRI_MODULE_NAME_SIZE, "%s", parameters.list[count].name);
            items[count] = tri_sample(&run->samples, parameters.list[count].picture, 0);
            if (items[count].kind == TRP_NONE)
                return false;
        }
    }
    if (count > 0)
        *args = trp_args(items, count);
    return true;
}

bool
tri_run_spawn(struct tri_run *run, const char *name, trp_actor **actor)
{
    const trp_actor_options options = {.name = name, .start_timeout_ms = START_MS};
    trp_value items[TRI_PARAMETERS_MAX], args;
    char missing[TRI_MODULE_NAME_SIZE] = "";
    trp_ref *ready = NULL;
    trp_error error;
    char why[600];
    trp_err err;

    run->samples.used = 0;
    if (!init_args(run, items, &args, missing)) {
        (void)snprintf(why, sizeof why, "nothing can be made up for '%s'; --init gives the arguments", missing);
        tri_run_note(run, TRI_SKIPPED, why, "%s is made", run->class_name);
        return false;
    }
    err = trp_spawn(run->runtime, run->class_name, args, &options, actor, &error);
    if (err == TRP_OK)
        err = trp_watch(*actor, TRP_WATCH_READY, &ready, &error);
    if (err == TRP_OK)
        err = tri_run_wait(ready, START_MS + 5000, &error);
    if (err == TRP_EACTORDIED)
        tri_run_death(ready, &error, why, sizeof why);
    else if (err != TRP_OK)
        (void)snprintf(why, sizeof why, "%.500s%s", error.message,
                       err == TRP_ETASK ? "; --init gives it other arguments" : "");
    if (err != TRP_OK) {
        tri_run_note(run, err == TRP_ETASK ? TRI_SKIPPED : TRI_FAILED, why, "%s is made", run->class_name);
        trp_actor_release(actor);
    }
    trp_ref_release(&ready);
    return err == TRP_OK;
}

/* Another one, where the last has died or may hang. */
static bool
renew(struct tri_run *run)
{
    if (run->actor != NULL)
        (void)trp_kill(run->actor, NULL, NULL); /* of a dead one: nothing */
    trp_actor_release(&run->actor);
    return tri_run_spawn(run, NULL, &run->actor);
}

static void
run_methods(struct tri_run *run, trp_value methods)
{
    char label[300];

    for (size_t i = 0; i < methods.size && !tri_stopped(); i++) {
        const char *name = trp_as_str(trp_field(trp_at(methods, i), "name"));
        (void)snprintf(label, sizeof label, "%s.%s", strchr(run->class_name, ':') + 1, name);
        tri_run_calls(run, run->actor, name, trp_as_str(trp_field(trp_at(methods, i), "args")), label);
        if (tri_stopped() || (run->died && !renew(run)))
            return;
    }
}

/* A method that it has not. */
static void
check_unknown(struct tri_run *run)
{
    trp_ref *ref = NULL;
    trp_error error;
    trp_err err = trp_call(run->actor, "no_such_method", TRP_NOARGS, &ref, &error);

    if (err == TRP_OK)
        err = tri_run_wait(ref, run->timeout_ms, &error);
    tri_run_note(run, err == TRP_ENOMETHOD ? TRI_PASSED : TRI_FAILED, err == TRP_OK ? "it was run" : error.message,
                 "%s refuses a method that it has not", run->class_name);
    trp_ref_release(&ref);
}

/* Killed, it is dead for those who watch and for those who call, and its name is free for the next. */
static void
check_kill(struct tri_run *run)
{
    static const char name[] = "conformance";
    trp_actor *actor = NULL, *next = NULL;
    trp_ref *death = NULL, *ref = NULL;
    trp_error error;
    trp_err err;

    if (!tri_run_spawn(run, name, &actor))
        return;
    err = trp_watch(actor, TRP_WATCH_DEATH, &death, &error);
    if (err == TRP_OK)
        err = trp_kill(actor, NULL, &error);
    if (err == TRP_OK)
        err = tri_run_wait(death, START_MS, &error);
    tri_run_note(run, err == TRP_OK ? TRI_PASSED : TRI_FAILED, error.message, "%s is killed", run->class_name);
    err = trp_call(actor, "no_such_method", TRP_NOARGS, &ref, &error);
    if (err == TRP_OK)
        err = tri_run_wait(ref, run->timeout_ms, &error);
    tri_run_note(run, err == TRP_EACTORDIED ? TRI_PASSED : TRI_FAILED, err == TRP_OK ? "it answers" : error.message,
                 "%s does not answer then", run->class_name);
    if (tri_run_spawn(run, name, &next))
        tri_run_note(run, TRI_PASSED, "", "%s is made again under its name", run->class_name);
    trp_ref_release(&ref);
    trp_ref_release(&death);
    trp_actor_release(&actor);
    trp_actor_release(&next);
}

static void
run_class(struct tri_run *run, trp_value row)
{
    run->class_row = row;
    (void)snprintf(run->class_name, sizeof run->class_name, "%s:%s", run->name, trp_as_str(trp_field(row, "name")));
    const size_t methods = trp_field(row, "methods").size;
    if (!tri_run_spawn(run, NULL, &run->actor)) {
        if (methods > 0)
            tri_run_note(run, TRI_SKIPPED, "there is no actor of it", "%s answers its %zu methods", run->class_name,
                         methods);
        return;
    }
    tri_run_note(run, TRI_PASSED, "", "%s is made", run->class_name);
    run->died = false;
    tri_run_constructions(run, trp_as_str(trp_field(row, "init_args")), run->class_name);
    if (!tri_stopped())
        check_unknown(run);
    run_methods(run, trp_field(row, "methods"));
    trp_actor_release(&run->actor);
    if (!tri_stopped())
        check_kill(run);
}

/* An actor for parameters that are one: of the first class that can be made without. */
static void
make_other(struct tri_run *run, trp_value classes)
{
    struct tri_parameters parameters;
    char class_name[512];

    for (size_t i = 0; i < classes.size && run->samples.other == NULL; i++) {
        const char *name = trp_as_str(trp_field(trp_at(classes, i), "name"));
        bool needs = false;
        tri_parameters_read(trp_as_str(trp_field(trp_at(classes, i), "init_args")), &parameters);
        for (size_t k = 0; k < parameters.count; k++)
            needs = needs || parameters.list[k].fallback[0] == '\0';
        (void)snprintf(class_name, sizeof class_name, "%s:%s", run->name, name);
        if (!needs && trp_spawn(run->runtime, class_name, TRP_NOARGS, NULL, &run->samples.other, NULL) != TRP_OK)
            return;
    }
}

static void
run_tasks(struct tri_run *run, trp_value tasks)
{
    char method[512], label[512];

    for (size_t i = 0; i < tasks.size && !tri_stopped(); i++) {
        (void)snprintf(method, sizeof method, "%s:%s", run->name, trp_as_str(trp_field(trp_at(tasks, i), "name")));
        (void)snprintf(label, sizeof label, "%s", method);
        tri_run_calls(run, NULL, method, trp_as_str(trp_field(trp_at(tasks, i), "args")), label);
    }
}

/* ------------------------------------------------------------------------------------------------------------- the node */

static char scratch[32]; /* the directory without a node; removed by a second Ctrl-C, too */

/* A node of its own, whose modules are those beside the file. */
static int
start_node(struct tri_run *run, const char *path)
{
    char directory[4096] = ".";
    const char *slash = strrchr(path, '/');
    trp_config config = {.log_level = TRP_LOG_ERROR, .node = {.module_path = directory, .num_cpus = 4}};
    trp_error error;

    if (slash != NULL)
        (void)snprintf(directory, sizeof directory, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    if (strchr(directory, ':') != NULL)
        return tri_fail_text(run->cli, "%.300s cannot be tested where it lies: module paths are parted by ':'", path);
    (void)setenv("TROUPE_DIR", scratch, 1); /* no node is there: trp_init starts one */
    if (trp_init(&config, &run->runtime, &error) != TRP_OK)
        return tri_fail(run->cli, &error, NULL);
    if (trp_put(run->runtime, trp_i64(1), &run->samples.object, &error) != TRP_OK)
        return tri_fail(run->cli, &error, NULL);
    return TRI_EXIT_OK;
}

static void
remove_scratch(void)
{
    (void)rmdir(scratch);
}

static int
run_all(struct tri_run *run, const char *path, trp_value module)
{
    const trp_value classes = trp_field(module, "classes");
    int exit_code;

    (void)snprintf(scratch, sizeof scratch, "/tmp/troupe-test-XXXXXX");
    if (mkdtemp(scratch) == NULL)
        return tri_fail_file(run->cli, scratch, errno);
    tri_stop_before(remove_scratch);
    exit_code = start_node(run, path);
    if (exit_code == TRI_EXIT_OK) {
        run->name = trp_as_str(trp_field(module, "name"));
        make_other(run, classes);
        for (size_t i = 0; i < classes.size && !tri_stopped(); i++)
            run_class(run, trp_at(classes, i));
        run_tasks(run, trp_field(module, "tasks"));
    }
    trp_actor_release(&run->samples.other);
    trp_ref_release(&run->samples.object);
    trp_shutdown(&run->runtime);
    tri_stop_before(NULL);
    remove_scratch();
    return tri_stopped() && exit_code == TRI_EXIT_OK ? TRI_EXIT_STOPPED : exit_code;
}

static int
tell_counts(struct tri_run *run)
{
    int exit_code = TRI_EXIT_OK;

    if (tri_wants_value(run->cli))
        exit_code = give_outcomes(run);
    else if (run->counts[TRI_SKIPPED] > 0)
        tri_print(run->cli, "%d passed, %d failed, %d skipped\n", run->counts[TRI_PASSED], run->counts[TRI_FAILED],
                  run->counts[TRI_SKIPPED]);
    else
        tri_print(run->cli, "%d passed, %d failed\n", run->counts[TRI_PASSED], run->counts[TRI_FAILED]);
    return run->counts[TRI_FAILED] > 0 ? TRI_EXIT_FAILED : exit_code;
}

static int
take_init(struct tri_run *run, const char *text)
{
    int exit_code;

    run->init.kind = TRP_NONE;
    if (text == NULL)
        return TRI_EXIT_OK;
    exit_code = tri_json_read(run->cli, &run->values, "--init", text, strlen(text), &run->init);
    if (exit_code == TRI_EXIT_OK && run->init.kind != TRP_LIST && run->init.kind != TRP_MAP)
        return tri_refuse(run->cli, "--init is neither a list of arguments nor an object with one for each class");
    for (size_t i = 0; exit_code == TRI_EXIT_OK && run->init.kind == TRP_MAP && i < run->init.size; i++)
        if (trp_at(run->init, i).kind != TRP_LIST)
            return tri_refuse(run->cli, "--init has no list of arguments for '%.100s'",
                              trp_as_str(trp_key_at(run->init, i)));
    return exit_code;
}

static int
run_test(struct tri_cli *cli, const struct tri_args *args)
{
    const char *timeout = tri_option(args, "timeout"), *path = args->operands[0];
    struct tri_run run = {.cli = cli, .timeout_ms = TIMEOUT_MS};
    trp_value module;
    int exit_code;

    if (cli->runtime != NULL)
        return tri_fail_text(
            cli, "this shell has joined a node, and the test needs one of its own; run it outside of the shell");
    run.last = &run.first;
    exit_code = timeout != NULL ? tri_take_time(cli, "--timeout", timeout, &run.timeout_ms) : TRI_EXIT_OK;
    if (exit_code == TRI_EXIT_OK)
        exit_code = take_init(&run, tri_option(args, "init"));
    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_module_file(cli, path);
    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_module_describe(cli, &run.values, path, &module);
    if (exit_code == TRI_EXIT_OK)
        exit_code = run_all(&run, path, module);
    if (exit_code == TRI_EXIT_OK || exit_code == TRI_EXIT_STOPPED) {
        const int counted = tell_counts(&run);
        exit_code = exit_code == TRI_EXIT_OK ? counted : exit_code;
    }
    free_outcomes(&run);
    tri_values_fini(&run.values);
    return exit_code;
}

static const char *const test_words[] = {TRI_WORD_FILE, NULL};
static const struct tri_option test_options[] = {
    {"init", 0, "JSON", "arguments of constructors: a list, or {\"Class\": [...]}", NULL},
    {"timeout", 't', "TIME", "how long one call may take (5s)", NULL},
    {0},
};

const struct tri_verb tri_verb_module_test = {
    .name = "module test",
    .group = "Modules",
    .about = "runs all that a module offers on a node of its own",
    .operands = "FILE",
    .words = test_words,
    .options = test_options,
    .more =
        "Each class is made, called, killed and made again, each method and task called with arguments that fit, are "
        "odd or\ndo not fit. What the module does to the world it does here, too. A call without an answer in time is "
        "skipped.\nExits with 1 where a check failed.\n",
    .run = run_test,
};
