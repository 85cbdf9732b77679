/*
 * watch.c - `troupe watch`: waits for what becomes of an actor. One thread.
 */
#include "tools/verbs/verbs.h"

/* The record for people, or as the value that it is. */
static int
give_record(struct tri_cli *cli, trp_ref *ref, trp_value record)
{
    if (tri_wants_value(cli))
        return tri_give(cli, ref, record);
    if (cli->quiet)
        return TRI_EXIT_OK;
    tri_print(cli, "%s\n", trp_as_str(trp_field(record, "message")));
    tri_show_death(cli->out, record);
    return TRI_EXIT_OK;
}

static int
run_watch(struct tri_cli *cli, const struct tri_args *args)
{
    const bool ready = tri_option(args, "ready") != NULL;
    char what[300];
    trp_actor *actor = NULL;
    trp_ref *ref = NULL;
    trp_value record;
    trp_error error;
    int exit_code = tri_join(cli);

    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_find_actor(cli, args->operands[0], &actor);
    if (exit_code == TRI_EXIT_OK && trp_watch(actor, ready ? TRP_WATCH_READY : TRP_WATCH_DEATH, &ref, &error) != TRP_OK)
        exit_code = tri_fail(cli, &error, NULL);
    (void)snprintf(what, sizeof what, "the %s of '%.255s'", ready ? "start" : "end", args->operands[0]);
    cli->is_later = cli->later;
    if (exit_code == TRI_EXIT_OK && cli->later)
        exit_code = tri_give(cli, ref, trp_ref_value(ref));
    else if (exit_code == TRI_EXIT_OK && (exit_code = tri_await(cli, ref, what, &record)) == TRI_EXIT_OK && !ready)
        exit_code = give_record(cli, ref, record);
    trp_ref_release(&ref);
    trp_actor_release(&actor);
    return exit_code;
}

static const struct tri_option watch_options[] = {
    {"ready", 0, NULL, "waits until its constructor has returned, instead of for its end", NULL},
    {0},
};
static const char *const watch_words[] = {TRI_WORD_ACTOR, NULL};

const struct tri_verb tri_verb_watch = {
    .name = "watch",
    .group = "Actors",
    .about = "waits for an actor's end and prints how it died",
    .operands = "ACTOR",
    .words = watch_words,
    .options = watch_options,
    .flags = TRI_NEEDS_NODE,
    .run = run_watch,
};
