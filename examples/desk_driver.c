/*
 * desk_driver.c - actors that know actors: a desk asks experts in three ways; a greeter in C++; an echo, as actor and task.
 */
#include <stdio.h>

#include <troupe/troupe.h>

#include "examples.h"

/* What comes of a reference, printed; it is let go. */
static trp_err
say(const char *what, trp_ref **ref, trp_error *error)
{
    trp_value value;
    char text[256];
    trp_err err = trp_get(*ref, 10000, &value, error);
    if (err == TRP_OK) {
        trp_format(value, text, sizeof text);
        printf("    %s -> %s\n", what, text);
    }
    trp_ref_release(ref);
    return err;
}

static trp_err
ask(trp_actor *actor, const char *method, trp_value args, trp_error *error)
{
    trp_ref *ref = NULL;
    TRP_TRY(trp_call(actor, method, args, &ref, error));
    return say(method, &ref, error);
}

/* Handles travel as values: the desk gets its expert in its constructor, others in a list. */
static trp_err
ask_desk(trp_runtime *rt, trp_error *error)
{
    trp_actor *knows = NULL, *knows_not = NULL, *desk = NULL;
    printf("Desk\n");
    trp_err err = trp_spawn(rt, "desk:Expert", TRP_ARGS("42"), NULL, &knows, error);
    if (err == TRP_OK)
        err = trp_spawn(rt, "desk:Expert", TRP_NOARGS, NULL, &knows_not, error);
    if (err == TRP_OK)
        err = trp_spawn(rt, "desk:Desk", TRP_ARGS(knows), NULL, &desk, error);
    if (err == TRP_OK)
        err = ask(desk, "ask", TRP_ARGS("why?"), error);
    if (err == TRP_OK)
        err = ask(desk, "ask_slowly", TRP_ARGS("why?"), error);
    if (err == TRP_OK)
        err = ask(desk, "ask_first", TRP_ARGS(TRP_LIST(knows_not, knows), "why?"), error);
    trp_actor_release(&desk);
    trp_actor_release(&knows_not);
    trp_actor_release(&knows);
    return err;
}

static trp_err
greet(trp_runtime *rt, trp_error *error)
{
    trp_actor *greeter = NULL;
    printf("Greeter, in C++\n");
    TRP_TRY(trp_spawn(rt, "greeter:Greeter", TRP_ARGS("good morning"), NULL, &greeter, error));
    trp_err err = ask(greeter, "greet", TRP_ARGS("Ada"), error);
    trp_actor_release(&greeter);
    return err;
}

static trp_err
echo(trp_runtime *rt, trp_error *error)
{
    trp_actor *echo = NULL;
    trp_ref *ref = NULL;
    printf("Echo\n");
    TRP_TRY(trp_spawn(rt, "echo:Echo", TRP_NOARGS, NULL, &echo, error));
    trp_err err = ask(echo, "echo", TRP_ARGS(TRP_LIST(1, 2.5, "three")), error);
    trp_actor_release(&echo);
    if (err == TRP_OK)
        err = trp_task(rt, "echo:echo", TRP_ARGS("a task"), &ref, error);
    return err == TRP_OK ? say("echo", &ref, error) : err;
}

int
main(int argc, char **argv)
{
    if (argc > 1) {
        fprintf(wants_help(argc, argv) ? stdout : stderr,
                "usage: desk\n\nShows actors that ask actors, one in C++, and an echo.\n");
        return wants_help(argc, argv) ? 0 : 2;
    }
    trp_runtime *rt = NULL;
    trp_error error;
    trp_config config = {.node = {.module_path = module_path()}};
    trp_err err = trp_init(&config, &rt, &error);
    if (err == TRP_OK)
        err = ask_desk(rt, &error);
    if (err == TRP_OK)
        err = greet(rt, &error);
    if (err == TRP_OK)
        err = echo(rt, &error);
    if (err != TRP_OK)
        fprintf(stderr, "desk: %s\n", error.message);
    trp_shutdown(&rt);
    return err == TRP_OK ? 0 : 1;
}
