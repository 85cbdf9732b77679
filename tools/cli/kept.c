/*
 * kept.c - what the node keeps, found by a name, an id, or as it is printed. One thread.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli/offers.h"

void
tri_kept_name(const char *operand, char *name, size_t size)
{
    json_t *printed = operand[0] == '"' ? json_loads(operand, JSON_DECODE_ANY, NULL) : NULL;

    if (json_is_string(printed)) /* as it was printed */
        (void)snprintf(name, size, "%s", json_string_value(printed));
    else
        (void)snprintf(name, size, "%s", operand[0] == '%' ? operand + 1 : operand);
    json_decref(printed);
    if (strncmp(name, "ref:", 4) == 0)
        memmove(name, name + 4, strlen(name + 4) + 1);
}

int
tri_check_name(struct tri_cli *cli, const char *name)
{
    const char *mark = strncmp(name, "actor:", 6) == 0 ? "a handle"
                       : strncmp(name, "ref:", 4) == 0 ? "a reference"
                                                       : NULL;

    if (mark == NULL)
        return TRI_EXIT_OK;
    cli->word = name;
    return tri_refuse(cli, "'%.255s' is how %s is written, and would be taken for one; another name is needed", name,
                      mark);
}

int
tri_kept_ask(struct tri_cli *cli, trp_ref **ref, trp_value *rows)
{
    trp_actor *keeper = NULL;
    trp_error error;
    int exit_code = TRI_EXIT_OK;

    *rows = trp_list(NULL, 0);
    if (trp_lookup(cli->runtime, "troupe/kept", &keeper, &error) != TRP_OK)
        return error.code == TRP_ENOENT ? TRI_EXIT_OK : tri_fail(cli, &error, NULL); /* nothing was kept yet */
    if (trp_call(keeper, "list", TRP_NOARGS, ref, &error) != TRP_OK)
        exit_code = tri_fail(cli, &error, NULL);
    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_await(cli, *ref, "the list of what is kept", rows);
    if (exit_code != TRI_EXIT_OK)
        trp_ref_release(ref);
    trp_actor_release(&keeper);
    return exit_code;
}

static int
refuse_kept(struct tri_cli *cli, const char *operand, const char *name, const trp_error *why)
{
    trp_error error = *why;
    char remedy[300];
    struct tri_hush before;
    const char *meant = NULL;
    trp_ref *ref = NULL;
    trp_value rows;
    int exit_code;

    if (strncmp(name, "actor:", 6) == 0)
        return tri_refuse(cli, "'%.255s' is taken for an actor, not for an object; `troupe call` calls its methods",
                          name);
    (void)snprintf(error.message, sizeof error.message, "the node keeps nothing as '%.255s'", name);
    if (strncmp(operand, "ref:", 4) == 0 && cli->word != NULL && cli->word[0] != '%') /* it stands for a value */
        (void)snprintf(error.message, sizeof error.message,
                       "the node keeps nothing as '%.255s': 'ref:%.100s' is taken for a reference, 'str:ref:%.100s' "
                       "for a string",
                       name, name, name);
    before = tri_hush(cli);
    if (tri_kept_ask(cli, &ref, &rows) == TRI_EXIT_OK)
        meant = tri_suggest_row(name, rows, remedy, sizeof remedy);
    tri_unhush(cli, before);
    exit_code = tri_fail(cli, &error, meant != NULL ? meant : "`troupe ls kept` lists what it does");
    trp_ref_release(&ref);
    return exit_code;
}

int
tri_find_kept(struct tri_cli *cli, const char *operand, trp_ref **ref)
{
    char name[300];
    trp_error error;
    trp_value value;
    int exit_code;

    if (strlen(operand) >= sizeof name)
        return tri_refuse(cli, "a name has at most 255 bytes, got %zu", strlen(operand));
    tri_kept_name(operand, name, sizeof name);
    if (cli->find != NULL && cli->find(cli->user, name, &value) && value.kind == TRP_REF) {
        *ref = trp_ref_retain(value.as.ref);
        return TRI_EXIT_OK;
    }
    exit_code = tri_join(cli);
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    if (trp_kept(cli->runtime, name, ref, &error) == TRP_OK)
        return TRI_EXIT_OK;
    return error.code == TRP_ENOENT ? refuse_kept(cli, operand, name, &error) : tri_fail(cli, &error, NULL);
}
