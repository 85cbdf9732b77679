/*
 * join.c - the node: where it is, joining it, asking it, waiting for what it makes. One thread. It never starts a node: a verb
 * that needs one says so.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/cli/home.h"
#include "tools/cli/offers.h"
#include "tools/cli/settings.h"

enum { RECONNECT_MS = 10000 }; /* how long a broker that is away is waited for, where --timeout does not say less */
enum { LOOK_MS = 100 };        /* how often a wait looks whether Ctrl-C was pressed */

/* ------------------------------------------------------------------------------------------------------- where it lives */

/* The directories that a node may be in when none is named: as trp_init looks for it. */
static void
default_directory(char *text, size_t size)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");

    if (runtime != NULL && runtime[0] == '/')
        (void)snprintf(text, size, "%s/troupe", runtime);
    else
        (void)snprintf(text, size, "/tmp/troupe-%u", (unsigned)getuid());
}

int
tri_directory_of(struct tri_cli *cli, char *text, size_t size)
{
    const char *named = NULL;
    int exit_code;

    if (cli->directory != NULL && cli->directory[0] == '\0')
        return tri_refuse(cli, "--dir needs a directory, got ''");
    exit_code = tri_setting(cli, TRI_KEY_DIR, cli->directory, &named);
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    if (named == NULL)
        default_directory(text, size);
    else if (snprintf(text, size, "%s", named) >= (int)size)
        return tri_refuse(cli, "a node's directory has at most %zu bytes, got %zu", size - 1, strlen(named));
    return TRI_EXIT_OK;
}

int
tri_refuse_empty(struct tri_cli *cli, const char *directory)
{
    trp_error error = {.code = TRP_EBROKER, .rank = -1};
    char other[256], remedy[400] = "start one with `troupe start`";

    default_directory(other, sizeof other);
    if (strcmp(other, directory) != 0 && tri_node_is_there(other))
        (void)snprintf(remedy, sizeof remedy, "one runs at %s, which --dir can name", other);
    if (access(directory, X_OK) != 0 && errno == EACCES) {
        error.code = TRP_EACCES;
        (void)snprintf(error.message, sizeof error.message, "the directory %.400s is not permitted to you", directory);
        return tri_fail(cli, &error, "nodes belong to the user who started them");
    }
    (void)snprintf(error.message, sizeof error.message,
                   tri_node_has_died(directory) ? "the node at %.400s has died and left its files"
                                                : "no node runs at %.400s",
                   directory);
    return tri_fail(cli, &error, remedy);
}

/* ------------------------------------------------------------------------------------------------------------- joining */

/* The verbs of a shell share one connection, so they cannot each have a node of their own. */
static int
check_joined(struct tri_cli *cli, const char *directory, const char *namespace_)
{
    if (cli->directory != NULL && strcmp(directory, cli->joined_directory) != 0)
        return tri_refuse(cli, "--dir is %s, but the node at %s is joined already", directory, cli->joined_directory);
    if (cli->namespace_ != NULL && strcmp(namespace_, cli->joined_namespace) != 0)
        return tri_refuse(cli, "--namespace is '%s', but '%s' is joined already; say %s/NAME", namespace_,
                          cli->joined_namespace, namespace_);
    return TRI_EXIT_OK;
}

/* The library speaks of what a program would have set. */
static int
refuse_init(struct tri_cli *cli, const trp_error *error)
{
    static const char field[] = "config.default_namespace";
    trp_error told = *error;

    if (strncmp(error->message, field, sizeof field - 1) == 0 && cli->namespace_ != NULL)
        (void)snprintf(told.message, sizeof told.message, "--namespace%s", error->message + sizeof field - 1);
    else if (strncmp(error->message, field, sizeof field - 1) == 0)
        (void)snprintf(told.message, sizeof told.message, "namespace in %.200s%s",
                       tri_setting_from(cli, TRI_KEY_NAMESPACE), error->message + sizeof field - 1);
    return tri_fail(cli, &told, NULL);
}

int
tri_join(struct tri_cli *cli)
{
    const char *namespace_ = NULL;
    trp_config config = {.log_level = cli->verbose ? TRP_LOG_WARNING : TRP_LOG_ERROR};
    char directory[256];
    trp_error error;
    int exit_code;

    exit_code = tri_directory_of(cli, directory, sizeof directory);
    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_setting(cli, TRI_KEY_NAMESPACE, cli->namespace_, &namespace_);
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    if (namespace_ == NULL)
        namespace_ = "default";
    if (cli->runtime != NULL)
        return check_joined(cli, directory, namespace_);
    if (!tri_node_has_door(directory))
        return tri_refuse_empty(cli, directory);
    config.address = directory;
    config.default_namespace = namespace_;
    if (cli->timeout_ms > 0 && cli->timeout_ms < RECONNECT_MS)
        config.reconnect_ms = cli->timeout_ms;
    if (trp_init(&config, &cli->runtime, &error) != TRP_OK)
        return refuse_init(cli, &error);
    (void)snprintf(cli->joined_directory, sizeof cli->joined_directory, "%s", directory);
    (void)snprintf(cli->joined_namespace, sizeof cli->joined_namespace, "%s", namespace_);
    tri_tell(cli, "joined the node at %s", directory);
    return TRI_EXIT_OK;
}

/* ------------------------------------------------------------------------------------------------------------- waiting */

int64_t
tri_until_ms(const struct tri_cli *cli)
{
    return cli->timeout_ms >= 0 ? tri_clock_ms() + cli->timeout_ms : INT64_MAX;
}

int64_t
tri_slice_ms(int64_t until_ms)
{
    const int64_t left_ms = until_ms - tri_clock_ms();

    return left_ms <= 0 ? 0 : left_ms < LOOK_MS ? left_ms : LOOK_MS;
}

static trp_err
fail_stopped(const char *what, trp_error *error)
{
    *error = (trp_error){.code = TRP_ECANCELLED, .rank = -1};
    (void)snprintf(error->message, sizeof error->message, "stopped waiting for %.200s, which may go on", what);
    return error->code;
}

/* The first Ctrl-C: the calls are cancelled, and their end is waited for; the second one ends the process. */
static trp_err
cancel_calls(struct tri_cli *cli, struct tri_own_calls *own, trp_error *error)
{
    trp_err err = TRP_OK;

    for (size_t i = 0; i < own->count && err == TRP_OK; i++)
        if (own->refs[i] != NULL)
            err = trp_cancel(own->refs[i], 0, error);
    own->cancelled = err == TRP_OK;
    if (own->cancelled && !cli->json)
        tri_say(cli, "cancelled: %.200s; Ctrl-C once more does not wait for its end", own->what);
    cli->has_cancelled = own->cancelled;
    return err;
}

/* `own` NULL: what somebody else has called, which is only left. */
static trp_err
wait_for(struct tri_cli *cli, struct tri_own_calls *own, trp_ref *ref, const char *what, trp_value *value,
         trp_error *error)
{
    const int64_t until_ms = tri_until_ms(cli);
    int64_t wait_ms;

    tri_stop_watch();
    do {
        wait_ms = tri_slice_ms(until_ms);
        const trp_err err = trp_get(ref, wait_ms, value, error);
        if (err != TRP_ETIMEDOUT)
            return err;
        if (trp_ref_location(ref) == TRP_FAILED)
            return trp_get(ref, 0, value, error); /* its own failure, not the end of a slice at the same time */
        if (tri_stopped() && own == NULL)
            return fail_stopped(what, error);
        if (tri_stopped() && !own->cancelled)
            TRP_TRY(cancel_calls(cli, own, error));
    } while (wait_ms > 0);
    (void)snprintf(error->message, sizeof error->message, "%.200s is not there after %g s, and may still come", what,
                   (double)cli->timeout_ms / 1000);
    return error->code;
}

trp_err
tri_wait_for(struct tri_cli *cli, trp_ref *ref, const char *what, trp_value *value, trp_error *error)
{
    return wait_for(cli, NULL, ref, what, value, error);
}

trp_err
tri_wait_for_own(struct tri_cli *cli, struct tri_own_calls *own, trp_ref *ref, trp_value *value, trp_error *error)
{
    return wait_for(cli, own, ref, own->what, value, error);
}

int
tri_await(struct tri_cli *cli, trp_ref *ref, const char *what, trp_value *value)
{
    trp_error error;

    if (tri_wait_for(cli, ref, what, value, &error) == TRP_OK)
        return TRI_EXIT_OK;
    return tri_fail_ref(cli, ref, &error, NULL);
}

int
tri_ask(struct tri_cli *cli, const char *what, trp_ref **ref, trp_value *answer)
{
    trp_error error;
    int exit_code;

    if (trp_query(cli->runtime, what, ref, &error) != TRP_OK)
        return tri_fail(cli, &error, NULL);
    exit_code = tri_await(cli, *ref, "the broker's answer", answer);
    if (exit_code != TRI_EXIT_OK)
        trp_ref_release(ref);
    return exit_code;
}

/* -------------------------------------------------------------------------------------------------------------- actors */

static int
refuse_actor(struct tri_cli *cli, const char *name, bool is_handle, const trp_error *why)
{
    char remedy[300] = "`troupe ls actors` lists them";
    trp_ref *ref = NULL;
    trp_value rows;
    const char *meant;
    trp_error error = *why;

    if (strncmp(name, "ref:", 4) == 0)
        return tri_refuse(cli, "'%.255s' is taken for a reference, not for an actor; `troupe get` gets its value",
                          name);
    (void)snprintf(error.message, sizeof error.message, "no actor is called '%.255s'", name);
    if (is_handle)
        (void)snprintf(error.message, sizeof error.message,
                       "no actor is called '%.255s', or has that id: 'actor:%.100s' is taken for a handle, "
                       "'str:actor:%.100s' for a string",
                       name, name, name);
    if (trp_query(cli->runtime, "actors", &ref, NULL) == TRP_OK && trp_get(ref, 1000, &rows, NULL) == TRP_OK) {
        meant = tri_suggest_name(cli, name, rows, trp_null());
        if (meant != NULL)
            (void)snprintf(remedy, sizeof remedy, "did you mean '%.255s'?", meant);
    }
    trp_ref_release(&ref);
    return tri_fail(cli, &error, remedy);
}

/* A handle as it is printed: "actor:ID", which only one with a name can be found by. */
static trp_err
look_up_id(struct tri_cli *cli, const char *id, trp_actor **actor)
{
    trp_err err = TRP_ENOENT;
    trp_ref *ref = NULL;
    trp_value rows;

    if (trp_query(cli->runtime, "actors", &ref, NULL) == TRP_OK && trp_get(ref, 1000, &rows, NULL) == TRP_OK)
        for (size_t i = 0; err != TRP_OK && i < rows.size; i++) {
            const trp_value row = trp_at(rows, i);
            if (strcmp(trp_as_str(trp_field(row, "id")), id) == 0 && trp_as_str(trp_field(row, "name"))[0] != '\0')
                err = trp_lookup(cli->runtime, trp_as_str(trp_field(row, "name")), actor, NULL);
        }
    trp_ref_release(&ref);
    return err;
}

int
tri_find_actor(struct tri_cli *cli, const char *name, trp_actor **actor)
{
    const size_t size = strlen(name);
    char bare[300];
    trp_error error;
    trp_value value;
    bool is_handle;

    cli->word = name;
    if (size > 2 && size < sizeof bare && name[0] == '"' && name[size - 1] == '"') {
        (void)snprintf(bare, sizeof bare, "%.*s", (int)size - 2, name + 1);
        name = bare;
    }
    is_handle = strncmp(name, "actor:", 6) == 0;
    if (is_handle)
        name += 6;
    if (name[0] == '%' && cli->find != NULL && cli->find(cli->user, name + 1, &value) && value.kind == TRP_ACTOR) {
        *actor = trp_actor_retain(value.as.actor);
        return TRI_EXIT_OK;
    }
    if (trp_lookup(cli->runtime, name, actor, &error) == TRP_OK)
        return TRI_EXIT_OK;
    if (error.code == TRP_ENOENT && strlen(name) == 32 && look_up_id(cli, name, actor) == TRP_OK)
        return TRI_EXIT_OK;
    if (error.code == TRP_ENOENT)
        return refuse_actor(cli, name, is_handle, &error);
    return tri_fail(cli, &error, NULL);
}
