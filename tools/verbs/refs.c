/*
 * refs.c - `troupe put`, `get`, `wait`, `cancel` and `drop`: what the node keeps. One thread.
 */
#include "tools/verbs/verbs.h"

#include <stdlib.h>
#include <string.h>

/* --------------------------------------------------------------------------------------------------------------- keep */

static int
take_ttl(struct tri_cli *cli, const struct tri_args *args, int64_t *ttl_ms)
{
    const char *ttl = tri_option(args, "ttl");
    int exit_code = TRI_EXIT_OK;

    *ttl_ms = TRP_FOREVER;
    if (ttl != NULL)
        exit_code = tri_take_time(cli, "--ttl", ttl, ttl_ms);
    if (exit_code == TRI_EXIT_OK && *ttl_ms == 0)
        exit_code = tri_refuse(cli, "--ttl is 0, and nothing would be kept");
    return exit_code;
}

static int
fail_keep(struct tri_cli *cli, const trp_error *error)
{
    return tri_fail(cli, error, error->code == TRP_EEXIST ? "`troupe drop` frees the name" : NULL);
}

int
tri_check_keep(struct tri_cli *cli, const struct tri_args *args)
{
    const char *name = tri_option(args, "name");
    trp_error error = {.rank = -1};
    trp_ref *ref = NULL;
    int64_t ttl_ms;
    int exit_code = take_ttl(cli, args, &ttl_ms);
    trp_err err;

    if (exit_code == TRI_EXIT_OK && name != NULL)
        exit_code = tri_check_name(cli, name);
    if (exit_code != TRI_EXIT_OK || name == NULL)
        return exit_code;
    err = trp_kept(cli->runtime, name, &ref, &error);
    if (err == TRP_ENOENT)
        return TRI_EXIT_OK;
    if (err == TRP_OK) {
        error.code = TRP_EEXIST;
        (void)snprintf(error.message, sizeof error.message, "the node keeps something as '%.255s' already", name);
    }
    trp_ref_release(&ref);
    return fail_keep(cli, &error);
}

int
tri_keep_ref(struct tri_cli *cli, const struct tri_args *args, trp_ref *ref)
{
    const char *name = tri_option(args, "name");
    int64_t ttl_ms;
    const int exit_code = take_ttl(cli, args, &ttl_ms);
    char text[300];
    trp_error error;

    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    if (trp_keep(ref, name, ttl_ms, &error) != TRP_OK)
        return fail_keep(cli, &error);
    if (cli->take != NULL)
        return tri_give(cli, ref, trp_ref_value(ref));
    (void)snprintf(text, sizeof text, "ref:%s", name != NULL ? name : trp_ref_id(ref));
    if (cli->raw)
        tri_print(cli, "%s", text);
    else if (!cli->quiet)
        tri_json_write_text(cli->out, text, strlen(text));
    tri_print(cli, "\n");
    return TRI_EXIT_OK;
}

static int
run_put(struct tri_cli *cli, const struct tri_args *args)
{
    const char *file = tri_option(args, "file");
    struct tri_values values = {0};
    trp_value value = trp_null();
    trp_ref *ref = NULL;
    trp_error error;
    int exit_code;

    if (file == NULL && args->count == 0)
        return tri_refuse(cli, "VALUE is missing, or --file FILE; usage: troupe put [VALUE]");
    if (file != NULL && args->count > 0)
        return tri_refuse(cli, "there is a VALUE and --file, and one reference");
    exit_code = tri_option(args, "name") != NULL ? tri_check_name(cli, tri_option(args, "name")) : TRI_EXIT_OK;
    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_join(cli);
    if (exit_code == TRI_EXIT_OK && file == NULL)
        exit_code = tri_value_of(cli, &values, args->operands[0], &value);
    if (exit_code == TRI_EXIT_OK && file != NULL)
        exit_code = tri_put_file(cli, file, &ref);
    else if (exit_code == TRI_EXIT_OK && value.kind == TRP_REF)
        ref = trp_ref_retain(value.as.ref); /* another name of the same object */
    else if (exit_code == TRI_EXIT_OK && trp_put(cli->runtime, value, &ref, &error) != TRP_OK)
        exit_code = tri_fail(cli, &error, NULL);
    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_keep_ref(cli, args, ref);
    trp_ref_release(&ref);
    tri_values_fini(&values);
    return exit_code;
}

/* ------------------------------------------------------------------------------------------------------ get, wait, drop */

/* The references of all operands; else none of them. */
static int
find_all(struct tri_cli *cli, const struct tri_args *args, trp_ref ***refs)
{
    int exit_code = tri_join(cli);

    *refs = NULL;
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    *refs = calloc((size_t)args->count, sizeof **refs);
    if (*refs == NULL)
        return tri_fail_text(cli, "out of memory");
    for (int i = 0; i < args->count && exit_code == TRI_EXIT_OK; i++)
        exit_code = tri_find_kept(cli, args->operands[i], &(*refs)[i]);
    return exit_code;
}

static void
release_all(trp_ref **refs, int count)
{
    for (int i = 0; refs != NULL && i < count; i++)
        trp_ref_release(&refs[i]);
    free(refs);
}

static int
await_kept(struct tri_cli *cli, trp_ref *ref, const char *operand, trp_value *value)
{
    char name[256], remedy[400];
    trp_error error;

    if (tri_wait_for(cli, ref, operand, value, &error) == TRP_OK)
        return TRI_EXIT_OK;
    tri_kept_name(operand, name, sizeof name);
    return tri_fail_ref(cli, ref, &error, tri_remedy_of_wait(ref, name, &error, remedy, sizeof remedy));
}

/* Each in turn; the first that cannot be got ends it. */
static int
run_get(struct tri_cli *cli, const struct tri_args *args)
{
    const char *file = tri_option(args, "output");
    trp_ref **refs;
    trp_value value;
    int exit_code;

    if (file != NULL && args->count > 1)
        return tri_refuse(cli, "%d references for one file", args->count);
    exit_code = find_all(cli, args, &refs);

    for (int i = 0; i < args->count && exit_code == TRI_EXIT_OK; i++) {
        exit_code = await_kept(cli, refs[i], args->operands[i], &value);
        if (exit_code == TRI_EXIT_OK)
            exit_code =
                file != NULL ? tri_get_file(cli, args->operands[i], value, file) : tri_give(cli, refs[i], value);
    }
    release_all(refs, args->count);
    return exit_code;
}

/* No object is waited for twice, whatever its names are. */
static int
check_twice(struct tri_cli *cli, const struct tri_args *args, trp_ref **refs)
{
    for (int i = 1; i < args->count; i++)
        for (int k = 0; k < i; k++) {
            if (refs[i] != refs[k])
                continue;
            cli->word = args->operands[i];
            if (strcmp(args->operands[i], args->operands[k]) == 0)
                return tri_refuse(cli, "'%.255s' is there twice", args->operands[i]);
            return tri_refuse(cli, "'%.255s' is the same as '%.255s'", args->operands[i], args->operands[k]);
        }
    return TRI_EXIT_OK;
}

/* Until so many have ended, or --timeout, or Ctrl-C; which have is in `ready`, also when they are fewer. */
static int
look(struct tri_cli *cli, trp_ref **refs, size_t count, size_t wanted, size_t *ready, size_t *ready_count)
{
    const int64_t until_ms = tri_until_ms(cli);
    trp_error error;
    int64_t wait_ms;

    do {
        wait_ms = tri_slice_ms(until_ms);
        if (trp_wait(refs, count, wanted, wait_ms, ready, ready_count, &error) != TRP_OK)
            return tri_fail(cli, &error, NULL);
        if (*ready_count >= wanted)
            return TRI_EXIT_OK;
    } while (wait_ms > 0 && !tri_stopped());
    error = (trp_error){.code = tri_stopped() ? TRP_ECANCELLED : TRP_ETIMEDOUT, .rank = -1};
    (void)snprintf(error.message, sizeof error.message, "%zu of %zu have ended, %zu were waited for", *ready_count,
                   count, wanted);
    return tri_fail(cli, &error, NULL);
}

static int
give_names(struct tri_cli *cli, const struct tri_args *args, trp_ref **refs, const size_t *ready, size_t count)
{
    trp_value *names = calloc(count + 1, sizeof *names);
    int exit_code = TRI_EXIT_OK;

    for (size_t i = 0; names != NULL && i < count; i++) {
        const char *operand = args->operands[ready[i]];
        const bool is_variable = cli->find != NULL && operand[0] == '%'; /* of the shell, where it is written $NAME */
        names[i] = cli->take != NULL ? trp_ref_value(refs[ready[i]]) : trp_str(operand);
        if (!tri_wants_value(cli))
            tri_print(cli, "%s%s\n", is_variable ? "$" : "", operand + is_variable);
    }
    if (names != NULL && tri_wants_value(cli))
        exit_code = tri_give(cli, NULL, trp_list(names, count));
    free(names);
    return exit_code;
}

/* Those that have ended, well or not, are printed; also when it was not in time. */
static int
run_wait(struct tri_cli *cli, const struct tri_args *args)
{
    const char *text = tri_option(args, "count");
    int64_t wanted = args->count;
    size_t *ready = NULL, ready_count = 0;
    trp_ref **refs = NULL;
    int exit_code = TRI_EXIT_OK, given;

    if (text != NULL)
        exit_code = tri_take_number(cli, "--count", text, 1, args->count, &wanted);
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    tri_stop_watch();
    exit_code = find_all(cli, args, &refs);
    if (exit_code == TRI_EXIT_OK)
        exit_code = check_twice(cli, args, refs);
    if (exit_code == TRI_EXIT_OK && (ready = calloc((size_t)args->count, sizeof *ready)) == NULL)
        exit_code = tri_fail_text(cli, "out of memory");
    if (exit_code == TRI_EXIT_OK) {
        exit_code = look(cli, refs, (size_t)args->count, (size_t)wanted, ready, &ready_count);
        given = give_names(cli, args, refs, ready, ready_count);
        exit_code = exit_code != TRI_EXIT_OK ? exit_code : given;
    }
    free(ready);
    release_all(refs, args->count);
    return exit_code;
}

/* What waits is dropped, what runs is told; neither is waited for. */
static int
run_cancel(struct tri_cli *cli, const struct tri_args *args)
{
    trp_ref **refs;
    trp_error error;
    int exit_code = find_all(cli, args, &refs);

    for (int i = 0; i < args->count && exit_code == TRI_EXIT_OK; i++)
        if (trp_cancel(refs[i], 0, &error) != TRP_OK)
            exit_code = tri_fail(cli, &error, NULL);
    cli->owes = true;
    release_all(refs, args->count);
    return exit_code;
}

static int
run_drop(struct tri_cli *cli, const struct tri_args *args)
{
    trp_error error;
    int exit_code = tri_join(cli);

    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    for (int i = 0; i < args->count; i++) {
        char name[300];
        trp_ref *ref = NULL;
        int dropped = tri_find_kept(cli, args->operands[i], &ref);
        if (dropped == TRI_EXIT_OK) {
            tri_kept_name(args->operands[i], name, sizeof name);
            if (trp_keep(ref, strcmp(name, trp_ref_id(ref)) == 0 ? NULL : name, 0, &error) != TRP_OK)
                dropped = tri_fail(cli, &error, NULL);
        }
        trp_ref_release(&ref);
        exit_code = exit_code == TRI_EXIT_OK ? dropped : exit_code;
    }
    return exit_code;
}

/* ---------------------------------------------------------------------------------------------------------------- rows */

static const struct tri_option put_options[] = {
    {"file", 'f', "FILE", "the bytes of a file are the value; - for standard input", TRI_WORD_FILE},
    {"name", 'n', "NAME", "under which it is kept; else its id", NULL},
    {"ttl", 0, "TIME", "how long it is kept; else until it is dropped", NULL},
    {0},
};
static const struct tri_option get_options[] = {
    {"output", 'o', "FILE", "write the bytes of it to a file; - for standard output", TRI_WORD_FILE},
    {0},
};
static const struct tri_option wait_options[] = {
    {"count", 'c', "N", "so many of them are enough; else all", NULL},
    {0},
};
static const char *const ref_words[] = {TRI_WORD_REF, NULL};

const struct tri_verb tri_verb_put = {
    .name = "put",
    .group = "Objects",
    .about = "has the node keep a value and prints a reference to it",
    .operands = "[VALUE]",
    .options = put_options,
    .flags = TRI_NEEDS_NODE,
    .more = "VALUE is written as an argument of `troupe call`. %NAME stands for it there, and \"ref:NAME\" in JSON.\n"
            "With --file there is none: what the file has is read into the object, of up to 4 GiB, as bytes.\n",
    .run = run_put,
};

const struct tri_verb tri_verb_get = {
    .name = "get",
    .group = "Objects",
    .about = "waits for what the node keeps and prints it",
    .operands = "REF...",
    .words = ref_words,
    .options = get_options,
    .flags = TRI_NEEDS_NODE,
    .more = "REF is a name or an id, or ref:NAME as `troupe put` and --async print it. `troupe ls kept` lists them.\n"
            "With -o FILE bytes, a string or the elements of a tensor are written there as they are, whole or not at "
            "all.\n",
    .run = run_get,
};

const struct tri_verb tri_verb_wait = {
    .name = "wait",
    .group = "Objects",
    .about = "waits until references have ended, well or not, and prints which",
    .operands = "REF...",
    .words = ref_words,
    .options = wait_options,
    .flags = TRI_NEEDS_NODE,
    .run = run_wait,
};

const struct tri_verb tri_verb_cancel = {
    .name = "cancel",
    .group = "Objects",
    .about = "cancels calls whose results the node keeps",
    .operands = "REF...",
    .words = ref_words,
    .flags = TRI_NEEDS_NODE,
    .more = "A call that waits never runs, one that runs is told to leave; `troupe wait` waits until it has.\n",
    .run = run_cancel,
};

const struct tri_verb tri_verb_drop = {
    .name = "drop",
    .group = "Objects",
    .about = "has the node keep them no longer",
    .operands = "REF...",
    .words = ref_words,
    .flags = TRI_NEEDS_NODE,
    .run = run_drop,
};
