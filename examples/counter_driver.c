/*
 * counter_driver.c - actors from outside: ten counters side by side, a board with a name, keywords, errors that come back.
 */
#include <inttypes.h>
#include <stdio.h>

#include <troupe/troupe.h>

#include "examples.h"

enum { COUNTERS = 10 };

/* Calls and gets; the value is printed. */
static trp_err
say(trp_actor *actor, const char *method, trp_value args, trp_error *error)
{
    trp_ref *ref = NULL;
    trp_value value;
    char text[256];
    TRP_TRY(trp_call(actor, method, args, &ref, error));
    trp_err err = trp_get(ref, 10000, &value, error);
    if (err == TRP_OK) {
        trp_format(value, text, sizeof text);
        printf("    %s -> %s\n", method, text);
    }
    trp_ref_release(&ref);
    return err;
}

/* Each actor runs its calls one after another; ten actors run at the same time. */
static trp_err
count_side_by_side(trp_actor *const *counters, trp_error *error)
{
    trp_ref *refs[COUNTERS] = {NULL};
    trp_value values[COUNTERS];
    trp_err err = TRP_OK;
    for (int i = 0; i < COUNTERS && err == TRP_OK; i++)
        err = trp_call(counters[i], "increment", TRP_NOARGS, &refs[i], error);
    if (err == TRP_OK)
        err = trp_get_all(refs, COUNTERS, 10000, values, error);
    printf("  ten counters, one increment each:");
    for (int i = 0; i < COUNTERS && err == TRP_OK; i++)
        printf(" %" PRId64, trp_as_i64(values[i]));
    for (int i = 0; i < COUNTERS; i++)
        trp_ref_release(&refs[i]);

    for (int i = 0; i < 5 && err == TRP_OK; i++)
        err = trp_call(counters[0], "increment", TRP_NOARGS, &refs[i], error);
    if (err == TRP_OK)
        err = trp_get_all(refs, 5, 10000, values, error);
    printf("\n  one counter, five more:");
    for (int i = 0; i < 5 && err == TRP_OK; i++)
        printf(" %" PRId64, trp_as_i64(values[i]));
    printf("\n");
    for (int i = 0; i < 5; i++)
        trp_ref_release(&refs[i]);
    return err;
}

static trp_err
count(trp_runtime *rt, trp_error *error)
{
    trp_actor *counters[COUNTERS] = {NULL};
    trp_err err = TRP_OK;
    printf("Counter\n");
    for (int i = 0; i < COUNTERS && err == TRP_OK; i++)
        err = trp_spawn(rt, "counter:Counter", TRP_NOARGS, NULL, &counters[i], error);
    if (err == TRP_OK)
        err = count_side_by_side(counters, error);
    for (int i = 0; i < COUNTERS; i++)
        trp_actor_release(&counters[i]); /* the last handle: the actor ends */
    return err;
}

/* A method's failure comes back with its words and its number; the actor lives on. */
static trp_err
pop_until_empty(trp_actor *board, trp_error *error)
{
    trp_err err = TRP_OK;
    while (err == TRP_OK)
        err = say(board, "pop", TRP_NOARGS, error);
    if (err != TRP_ETASK || error->cause != TRP_ENOENT)
        return err;
    printf("    pop fails, as it should: %s\n", error->message);
    return say(board, "top", TRP_NOARGS, error);
}

static trp_err
rank(trp_runtime *rt, trp_error *error)
{
    trp_actor *chemistry = NULL, *same = NULL;
    trp_actor_options options = {.name = "Chemistry"};
    printf("Ranking, named Chemistry\n");
    trp_err err = trp_spawn(rt, "ranking:Ranking", TRP_ARGS(TRP_KW("minimal_score", 50)), &options, &chemistry, error);
    if (err == TRP_OK)
        err = trp_lookup(rt, "Chemistry", &same, error); /* as any process could */
    if (err == TRP_OK)
        err = say(same, "add", TRP_ARGS("Alice", 90), error);
    if (err == TRP_OK)
        err = say(same, "add", TRP_ARGS(TRP_KW("score", 60), TRP_KW("name", "Bob")), error);
    if (err == TRP_OK)
        err = say(same, "top", TRP_ARGS(3), error);
    if (err == TRP_OK)
        err = pop_until_empty(same, error);
    trp_actor_release(&same);
    trp_actor_release(&chemistry);
    return err;
}

int
main(int argc, char **argv)
{
    if (argc > 1) {
        fprintf(wants_help(argc, argv) ? stdout : stderr,
                "usage: counter\n\nShows actors: ten counters and a board.\n");
        return wants_help(argc, argv) ? 0 : 2;
    }
    trp_runtime *rt = NULL;
    trp_error error;
    trp_config config = {.node = {.module_path = module_path()}};
    trp_err err = trp_init(&config, &rt, &error);
    if (err == TRP_OK)
        err = count(rt, &error);
    if (err == TRP_OK)
        err = rank(rt, &error);
    if (err != TRP_OK)
        fprintf(stderr, "counter: %s\n", error.message);
    trp_shutdown(&rt);
    return err == TRP_OK ? 0 : 1;
}
