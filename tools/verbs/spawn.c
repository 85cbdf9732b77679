/*
 * spawn.c - `troupe spawn` and `troupe kill`: actors begin and end. One thread.
 */
#include "tools/verbs/verbs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli/offers.h"

/* --------------------------------------------------------------------------------------------------------------- spawn */

static int
take_amount(struct tri_cli *cli, const struct tri_args *args, const char *name, double *amount)
{
    const char *text = tri_option(args, name);

    if (text != NULL && !tri_read_amount(text, amount))
        return tri_refuse(cli, "--%s needs a number from 0 on, got '%s'", name, text);
    return TRI_EXIT_OK;
}

/* "512M" in bytes. */
static int
take_memory(struct tri_cli *cli, const struct tri_args *args, uint64_t *bytes)
{
    static const char units[] = "KMGT";
    const char *text = tri_option(args, "memory"), *unit;
    unsigned long long number;
    char *end = NULL;
    unsigned shift = 0;

    if (text == NULL)
        return TRI_EXIT_OK;
    errno = 0;
    number = strtoull(text, &end, 10);
    unit = *end != '\0' && end[1] == '\0' ? strchr(units, *end) : NULL;
    if (unit != NULL)
        shift = 10 * (unsigned)(unit - units + 1);
    if (text[0] < '0' || text[0] > '9' || (*end != '\0' && unit == NULL) || errno != 0 || number > UINT64_MAX >> shift)
        return tri_refuse(cli, "--memory needs bytes, such as 1000000, 512M or 2G, got '%s'", text);
    *bytes = (uint64_t)number << shift;
    return TRI_EXIT_OK;
}

static int
take_count(struct tri_cli *cli, const struct tri_args *args, const char *name, uint32_t *count)
{
    const char *text = tri_option(args, name);
    char what[40];
    int64_t number = 0;
    int exit_code;

    if (text == NULL)
        return TRI_EXIT_OK;
    (void)snprintf(what, sizeof what, "--%s", name);
    exit_code = tri_take_number(cli, what, text, 1, INT32_MAX, &number);
    *count = (uint32_t)number;
    return exit_code;
}

static int
take_map(struct tri_cli *cli, struct tri_values *values, const struct tri_args *args, const char *name, trp_value *map)
{
    const char *text = tri_option(args, name);
    int exit_code = text != NULL ? tri_value_of(cli, values, text, map) : TRI_EXIT_OK;

    if (exit_code == TRI_EXIT_OK && text != NULL && map->kind != TRP_MAP)
        return tri_refuse(cli, "--%s needs a JSON object, got '%.100s'", name, text);
    return exit_code;
}

static int
take_options(struct tri_cli *cli, struct tri_values *values, const struct tri_args *args, trp_actor_options *options)
{
    const char *start = tri_option(args, "start-timeout");
    int exit_code = TRI_EXIT_OK;

    options->name = tri_option(args, "name");
    options->detached = options->name != NULL;
    options->get_if_exists = tri_option(args, "get-if-exists") != NULL;
    if (options->name == NULL && cli->take == NULL) /* a variable of the shell holds it */
        return tri_refuse(cli, "--name NAME is missing; without one nobody could find the actor again");
    if (options->name != NULL)
        exit_code = tri_check_name(cli, options->name);
    if (exit_code == TRI_EXIT_OK && start != NULL)
        exit_code = tri_take_time(cli, "--start-timeout", start, &options->start_timeout_ms);
    if (exit_code == TRI_EXIT_OK)
        exit_code = take_amount(cli, args, "cpus", &options->num_cpus);
    if (exit_code == TRI_EXIT_OK)
        exit_code = take_amount(cli, args, "gpus", &options->num_gpus);
    if (exit_code == TRI_EXIT_OK)
        exit_code = take_memory(cli, args, &options->memory_bytes);
    if (exit_code == TRI_EXIT_OK)
        exit_code = take_count(cli, args, "max-concurrency", &options->max_concurrency);
    if (exit_code == TRI_EXIT_OK)
        exit_code = take_count(cli, args, "max-pending", &options->max_pending_calls);
    if (exit_code == TRI_EXIT_OK)
        exit_code = take_map(cli, values, args, "resources", &options->resources);
    if (exit_code == TRI_EXIT_OK)
        exit_code = take_map(cli, values, args, "env", &options->env);
    return exit_code;
}

/* The class that was probably meant; NULL: nothing is near. */
static const char *
suggest_class(struct tri_cli *cli, const char *class_name, char *text, size_t size)
{
    struct tri_offers offers = {0};
    const char *meant = NULL, *colon = strchr(class_name, ':');
    const struct tri_hush before = tri_hush(cli);

    if (tri_offers_ask(cli, &offers) == TRI_EXIT_OK && colon != NULL)
        meant = tri_suggest_row(colon + 1, trp_field(tri_offers_module(&offers, class_name), "classes"), text, size);
    tri_offers_fini(&offers);
    tri_unhush(cli, before);
    return meant;
}

/* Until its constructor has returned: what is wrong with a module or an argument shows now, and not in the first call. */
static int
await_ready(struct tri_cli *cli, trp_actor *actor, const char *name, const char *class_name)
{
    char what[300], text[400];
    trp_ref *ref = NULL;
    trp_error error;
    int exit_code;

    if (trp_watch(actor, TRP_WATCH_READY, &ref, &error) != TRP_OK)
        return tri_fail(cli, &error, NULL);
    (void)snprintf(what, sizeof what, "actor '%.255s'", name);
    exit_code = TRI_EXIT_OK;
    if (tri_wait_for(cli, ref, what, NULL, &error) != TRP_OK) {
        const char *remedy = NULL;
        if (error.code == TRP_ENOENT)
            remedy = suggest_class(cli, class_name, text, sizeof text);
        else if (strchr(name, ':') == NULL) /* it has a name, and is not called by its class */
            remedy = tri_remedy_of_wait(ref, name, &error, text, sizeof text);
        exit_code = tri_fail_ref(cli, ref, &error, remedy);
    }
    trp_ref_release(&ref);
    return exit_code;
}

static int
fail_spawn(struct tri_cli *cli, const char *name, const trp_error *error)
{
    trp_error said = *error;

    if (error->code != TRP_EEXIST)
        return tri_fail(cli, error, NULL);
    (void)snprintf(said.message, sizeof said.message, "an actor called '%.255s' lives already", name);
    return tri_fail(cli, &said, "--get-if-exists takes that one, `troupe kill` ends it");
}

static int
run_spawn(struct tri_cli *cli, const struct tri_args *args)
{
    trp_actor_options options = {0};
    struct tri_values values = {0};
    trp_value arguments = TRP_NOARGS;
    trp_actor *actor = NULL;
    trp_error error;
    int exit_code;

    exit_code = tri_check_offered(cli, args->operands[0], "MODULE:CLASS");
    if (exit_code == TRI_EXIT_OK)
        exit_code = take_options(cli, &values, args, &options);
    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_join(cli);
    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_arguments(cli, &values, args->operands + 1, args->count - 1, &arguments);
    if (exit_code == TRI_EXIT_OK &&
        trp_spawn(cli->runtime, args->operands[0], arguments, &options, &actor, &error) != TRP_OK)
        exit_code = fail_spawn(cli, options.name, &error);
    if (exit_code == TRI_EXIT_OK && tri_option(args, "async") == NULL)
        exit_code = await_ready(cli, actor, options.name != NULL ? options.name : args->operands[0], args->operands[0]);
    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_give(cli, NULL, trp_actor_value(actor));
    trp_actor_release(&actor);
    tri_values_fini(&values);
    return exit_code;
}

/* ---------------------------------------------------------------------------------------------------------------- kill */

static int
await_death(struct tri_cli *cli, trp_actor *actor, const char *name)
{
    char what[300];
    trp_ref *ref = NULL;
    trp_error error;
    int exit_code;

    if (trp_watch(actor, TRP_WATCH_DEATH, &ref, &error) != TRP_OK)
        return tri_fail(cli, &error, NULL);
    (void)snprintf(what, sizeof what, "the end of '%.255s'", name);
    exit_code = tri_await(cli, ref, what, NULL);
    trp_ref_release(&ref);
    return exit_code;
}

/* What the node keeps would go with it, for everybody. */
static int
refuse_keeper(struct tri_cli *cli, const trp_actor *actor, const char *name)
{
    trp_actor *keeper = NULL;
    bool is_keeper = false;

    if (trp_lookup(cli->runtime, "troupe/kept", &keeper, NULL) == TRP_OK)
        is_keeper = strcmp(trp_actor_id(keeper), trp_actor_id(actor)) == 0;
    trp_actor_release(&keeper);
    return is_keeper ? tri_refuse(cli,
                                  "'%.255s' holds all that the node keeps, which would be lost; `troupe drop` lets go "
                                  "of one",
                                  name)
                     : TRI_EXIT_OK;
}

static int
kill_one(struct tri_cli *cli, const char *name, const trp_kill_options *options, bool wait)
{
    trp_actor *actor = NULL;
    trp_error error;
    int exit_code = tri_find_actor(cli, name, &actor);

    if (exit_code == TRI_EXIT_OK)
        exit_code = refuse_keeper(cli, actor, name);
    if (exit_code == TRI_EXIT_OK && trp_kill(actor, options, &error) != TRP_OK)
        exit_code = tri_fail(cli, &error, NULL);
    if (exit_code == TRI_EXIT_OK && wait)
        exit_code = await_death(cli, actor, name);
    trp_actor_release(&actor);
    return exit_code;
}

/* All of them, also where one cannot be killed; the first that could not gives the exit code. */
static int
run_kill(struct tri_cli *cli, const struct tri_args *args)
{
    const char *drain = tri_option(args, "drain");
    trp_kill_options options = {0};
    int exit_code = TRI_EXIT_OK;

    if (drain != NULL)
        exit_code = tri_take_time(cli, "--drain", drain, &options.drain_ms);
    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_join(cli);
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    for (int i = 0; i < args->count; i++) {
        const int killed = kill_one(cli, args->operands[i], &options, tri_option(args, "wait") != NULL);
        exit_code = exit_code == TRI_EXIT_OK ? killed : exit_code;
        if (killed == TRI_EXIT_STOPPED)
            break;
    }
    return exit_code;
}

/* ---------------------------------------------------------------------------------------------------------------- rows */

static const struct tri_option spawn_options[] = {
    {"name", 'n', "NAME", "the actor's name; has to be given", NULL},
    {"get-if-exists", 0, NULL, "takes the actor that has the name already, whatever its class and arguments are", NULL},
    {"async", 0, NULL, "does not wait for its constructor", NULL},
    {"cpus", 0, "N", "CPUs that it holds while it lives; 0 unless given", NULL},
    {"gpus", 0, "N", "GPUs", NULL},
    {"memory", 0, "BYTES", "more than this ends it: 512M, 2G", NULL},
    {"resources", 0, "JSON", "custom ones: '{\"slots\": 1}'", NULL},
    {"env", 0, "JSON", "added to its environment: '{\"LANG\": \"C\"}'", NULL},
    {"max-concurrency", 0, "N", "calls at a time, at most what its class declares", NULL},
    {"max-pending", 0, "N", "calls that may wait for it; one more is refused", NULL},
    {"start-timeout", 0, "TIME", "for its constructor; 60 s unless given", NULL},
    {0},
};
static const struct tri_option kill_options[] = {
    {"drain", 0, "TIME", "finishes the calls that wait first, for so long at most", NULL},
    {"wait", 'w', NULL, "returns when its process is gone", NULL},
    {0},
};
static const char *const spawn_words[] = {TRI_WORD_CLASS, NULL};
static const char *const kill_words[] = {TRI_WORD_ACTOR, NULL};

const struct tri_verb tri_verb_spawn = {
    .name = "spawn",
    .group = "Actors",
    .about = "makes an actor that lives on until it is killed",
    .operands = "MODULE:CLASS [ARG...]",
    .words = spawn_words,
    .options = spawn_options,
    .flags = TRI_NEEDS_NODE,
    .more = "ARGs are those of the constructor, written as for `troupe call`. Prints a handle, \"actor:ID\".\n",
    .run = run_spawn,
};

const struct tri_verb tri_verb_kill = {
    .name = "kill",
    .group = "Actors",
    .about = "ends actors",
    .operands = "ACTOR...",
    .words = kill_words,
    .options = kill_options,
    .flags = TRI_NEEDS_NODE,
    .run = run_kill,
};
