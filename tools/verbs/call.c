/*
 * call.c - `troupe call`, `send` and `task`: one call of a method or a function. One thread.
 */
#include "tools/verbs/verbs.h"

#include <stdlib.h>
#include <string.h>

#include "tools/cli/offers.h"

/* ---------------------------------------------------------------------------------------------------------------- call */

/* "counter.greet", for sentences. */
static void
name_call(const struct tri_args *args, char *text, size_t size)
{
    if (args->count > 1 && args->verb != &tri_verb_task)
        (void)snprintf(text, size, "%.250s.%.250s", args->operands[0], args->operands[1]);
    else
        (void)snprintf(text, size, "%.250s", args->operands[0]);
}

static trp_value
methods_of(struct tri_cli *cli, const struct tri_offers *offers, const trp_actor *actor)
{
    const trp_value row = tri_offers_actor(cli, offers, trp_actor_id(actor));

    return trp_field(tri_offers_class(offers, trp_as_str(trp_field(row, "class"))), "methods");
}

/* What a wrong method or function was probably meant to be; NULL: nothing is near. */
static const char *
suggest(struct tri_cli *cli, const trp_request *request, char *text, size_t size)
{
    struct tri_offers offers = {0};
    const char *meant = NULL, *colon = strchr(request->method, ':');
    const struct tri_hush before = tri_hush(cli);

    if (tri_offers_ask(cli, &offers) == TRI_EXIT_OK && request->actor != NULL)
        meant = tri_suggest_row(request->method, methods_of(cli, &offers, request->actor), text, size);
    else if (offers.modules_ref != NULL && colon != NULL)
        meant = tri_suggest_row(colon + 1, trp_field(tri_offers_module(&offers, request->method), "tasks"), text, size);
    tri_offers_fini(&offers);
    tri_unhush(cli, before);
    return meant;
}

static int
fail_call(struct tri_cli *cli, const trp_request *request, trp_ref *ref, const trp_error *error)
{
    char text[300];
    const char *remedy = NULL;

    if (error->code == TRP_ENOMETHOD || error->code == TRP_EMODULE ||
        (error->code == TRP_ENOENT && request->actor == NULL))
        remedy = suggest(cli, request, text, sizeof text);
    cli->word = request->method;
    return ref != NULL ? tri_fail_ref(cli, ref, error, remedy) : tri_fail(cli, error, remedy);
}

/* Submits, and waits for the result unless nobody is to. A time limit is the call's deadline: it is cancelled, not only left. */
static int
submit(struct tri_cli *cli, const struct tri_args *args, trp_request *request)
{
    const int64_t timeout_ms = cli->timeout_ms;
    const bool is_kept = tri_option(args, "name") != NULL || tri_option(args, "ttl") != NULL;
    const bool is_async = is_kept || tri_option(args, "async") != NULL;
    char what[512];
    trp_ref *ref = NULL;
    trp_value value;
    trp_error error;
    trp_err err;
    int exit_code;

    tri_stop_watch();
    if (timeout_ms >= 0)
        request->deadline_ms = timeout_ms > 0 ? timeout_ms : 1;
    if (is_kept && (exit_code = tri_check_keep(cli, args)) != TRI_EXIT_OK)
        return exit_code;
    if (trp_submit(cli->runtime, request, request->flags & TRP_ONE_WAY ? NULL : &ref, &error) != TRP_OK)
        return fail_call(cli, request, NULL, &error);
    cli->owes = cli->owes || ref == NULL;
    if (ref == NULL)
        return TRI_EXIT_OK;
    name_call(args, what, sizeof what);
    if (is_async || cli->later) {
        cli->is_later = !is_async;
        cli->word = request->method; /* what fails later fails there */
        /* A variable of the shell holds it as well as the node does. */
        exit_code =
            is_kept || cli->take == NULL ? tri_keep_ref(cli, args, ref) : tri_give(cli, ref, trp_ref_value(ref));
        if (exit_code != TRI_EXIT_OK)
            (void)trp_cancel(ref, 0, NULL); /* what failed is said, and nobody could find its result */
        trp_ref_release(&ref);
        return exit_code;
    }
    struct tri_own_calls own = {.refs = &ref, .count = 1, .what = what};
    cli->timeout_ms = TRP_FOREVER;
    err = tri_wait_for_own(cli, &own, ref, &value, &error);
    cli->timeout_ms = timeout_ms;
    exit_code = err == TRP_OK ? tri_give(cli, ref, value) : fail_call(cli, request, ref, &error);
    trp_ref_release(&ref);
    return exit_code;
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "it has go, wait", of rows with names, in order. NULL: no memory. */
static const char *
list_names(trp_value rows, char *text, size_t size)
{
    const char **names = calloc(rows.size + 1, sizeof *names);
    size_t used = (size_t)snprintf(text, size, "it has ");

    if (names == NULL)
        return NULL;
    for (size_t i = 0; i < rows.size; i++)
        names[i] = trp_as_str(trp_field(trp_at(rows, i), "name"));
    qsort(names, rows.size, sizeof *names, by_text);
    for (size_t i = 0; i < rows.size && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i > 0 ? ", " : "", names[i]);
    free(names);
    return text;
}

/* Nobody would hear that there is no such method: a send has no answer. */
static int
check_method(struct tri_cli *cli, const trp_request *request, const char *actor)
{
    struct tri_offers offers = {0};
    trp_error error = {.code = TRP_ENOMETHOD, .rank = -1};
    char text[300];
    int exit_code = tri_offers_ask(cli, &offers);

    if (exit_code == TRI_EXIT_OK) {
        const trp_value methods = methods_of(cli, &offers, request->actor);
        if (methods.kind == TRP_LIST &&
            tri_row_named(methods, request->method, strlen(request->method)).kind == TRP_NONE) {
            (void)snprintf(error.message, sizeof error.message, "actor '%.255s' has no method '%.255s'", actor,
                           request->method);
            const char *meant = tri_suggest_row(request->method, methods, text, sizeof text);
            exit_code = tri_fail(cli, &error, meant != NULL ? meant : list_names(methods, text, sizeof text));
        }
    }
    tri_offers_fini(&offers);
    return exit_code;
}

static int
call_actor(struct tri_cli *cli, const struct tri_args *args, unsigned flags)
{
    trp_request request = {.method = args->operands[1], .flags = flags};
    struct tri_values values = {0};
    int exit_code = tri_join(cli);

    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_arguments(cli, &values, args->operands + 2, args->count - 2, &request.args);
    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_find_actor(cli, args->operands[0], &request.actor);
    if (exit_code == TRI_EXIT_OK)
        exit_code = flags & TRP_ONE_WAY ? check_method(cli, &request, args->operands[0]) : TRI_EXIT_OK;
    if (exit_code == TRI_EXIT_OK)
        exit_code = submit(cli, args, &request);
    trp_actor_release(&request.actor);
    tri_values_fini(&values);
    return exit_code;
}

static int
run_call(struct tri_cli *cli, const struct tri_args *args)
{
    return call_actor(cli, args, 0);
}

static int
run_send(struct tri_cli *cli, const struct tri_args *args)
{
    return call_actor(cli, args, TRP_ONE_WAY);
}

static int
run_task(struct tri_cli *cli, const struct tri_args *args)
{
    trp_request request = {.method = args->operands[0]};
    struct tri_values values = {0};
    int exit_code = tri_check_offered(cli, args->operands[0], "MODULE:FUNCTION");

    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_join(cli);
    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_arguments(cli, &values, args->operands + 1, args->count - 1, &request.args);
    if (exit_code == TRI_EXIT_OK)
        exit_code = submit(cli, args, &request);
    tri_values_fini(&values);
    return exit_code;
}

/* ---------------------------------------------------------------------------------------------------------------- rows */

static const char arguments_text[] =
    "An ARG is JSON; a word that is not JSON is a string. name=ARG is an argument by name, @FILE the JSON in a file, "
    "-\n"
    "the JSON on standard input, %NAME what the node keeps under that name, actor:NAME a handle on an actor.\n"
    "A string that begins with @ is written @@..., or in the quotes of JSON: '\"@home\"'.\n";

static const struct tri_option async_options[] = {
    {"async", 0, NULL, "does not wait: the node keeps the result, and a reference to it is printed", NULL},
    {"name", 'n', "NAME", "as --async, and kept under this name; else its id", NULL},
    {"ttl", 0, "TIME", "as --async, and kept for so long; else until `troupe drop`", NULL},
    {0},
};
static const char *const call_words[] = {TRI_WORD_ACTOR, TRI_WORD_METHOD, NULL};
static const char *const task_words[] = {TRI_WORD_TASK, NULL};

const struct tri_verb tri_verb_call = {
    .name = "call",
    .group = "Calls",
    .about = "calls a method of an actor and prints what it returns",
    .operands = "ACTOR METHOD [ARG...]",
    .words = call_words,
    .options = async_options,
    .flags = TRI_NEEDS_NODE,
    .more = arguments_text,
    .run = run_call,
};

const struct tri_verb tri_verb_send = {
    .name = "send",
    .group = "Calls",
    .about = "calls a method of an actor and waits for nothing",
    .operands = "ACTOR METHOD [ARG...]",
    .words = call_words,
    .flags = TRI_NEEDS_NODE,
    .more = arguments_text,
    .run = run_send,
};

const struct tri_verb tri_verb_task = {
    .name = "task",
    .group = "Calls",
    .about = "runs a function of a module and prints what it returns",
    .operands = "MODULE:FUNCTION [ARG...]",
    .words = task_words,
    .options = async_options,
    .flags = TRI_NEEDS_NODE,
    .more = arguments_text,
    .run = run_task,
};
