/*
 * offers.c - what actors, classes and modules there are to be called, read from the broker's lists. Pure but for asking; one
 * thread. For `describe`, for "did you mean", and for completion.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/cli/offers.h"

static trp_value
none(void)
{
    return trp_field(trp_null(), "");
}

trp_value
tri_row_named(trp_value rows, const char *name, size_t size)
{
    for (size_t i = 0; i < rows.size; i++) {
        const char *here = trp_as_str(trp_field(trp_at(rows, i), "name"));
        if (strlen(here) == size && memcmp(here, name, size) == 0)
            return trp_at(rows, i);
    }
    return none();
}

int
tri_offers_ask(struct tri_cli *cli, struct tri_offers *offers)
{
    int exit_code = tri_ask(cli, "actors", &offers->actors_ref, &offers->actors);

    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_ask(cli, "modules", &offers->modules_ref, &offers->modules);
    return exit_code;
}

void
tri_offers_fini(struct tri_offers *offers)
{
    trp_ref_release(&offers->actors_ref);
    trp_ref_release(&offers->modules_ref);
}

trp_value
tri_offers_module(const struct tri_offers *offers, const char *text)
{
    return tri_row_named(offers->modules, text, strcspn(text, ":"));
}

static trp_value
row_of(const struct tri_offers *offers, const char *text, const char *kind)
{
    const char *colon = strchr(text, ':');

    if (colon == NULL)
        return none();
    return tri_row_named(trp_field(tri_offers_module(offers, text), kind), colon + 1, strlen(colon + 1));
}

trp_value
tri_offers_class(const struct tri_offers *offers, const char *text)
{
    return row_of(offers, text, "classes");
}

trp_value
tri_offers_task(const struct tri_offers *offers, const char *text)
{
    return row_of(offers, text, "tasks");
}

trp_value
tri_offers_actor(const struct tri_cli *cli, const struct tri_offers *offers, const char *text)
{
    char name[600], id[64];
    trp_value row = none();

    if (sscanf(text, "\"actor:%63[0-9a-f]", id) == 1 || sscanf(text, "actor:%63[0-9a-f]", id) == 1)
        text = id; /* a handle as it is printed */
    if (strchr(text, '/') != NULL)
        (void)snprintf(name, sizeof name, "%.550s", text);
    else
        (void)snprintf(name, sizeof name, "%s/%.255s", cli->joined_namespace, text);
    row = tri_row_named(offers->actors, name, strlen(name));
    for (size_t i = 0; row.kind == TRP_NONE && i < offers->actors.size; i++)
        if (strcmp(trp_as_str(trp_field(trp_at(offers->actors, i), "id")), text) == 0)
            row = trp_at(offers->actors, i);
    return row;
}

const char *
tri_typed_name(const struct tri_cli *cli, const char *name)
{
    const size_t size = strlen(cli->joined_namespace);

    return strncmp(name, cli->joined_namespace, size) == 0 && name[size] == '/' ? name + size + 1 : name;
}

/* Called so, in whatever namespace. */
static const char *
namesake(const char *typed, trp_value actors)
{
    for (size_t i = 0; i < actors.size; i++) {
        const char *name = trp_as_str(trp_field(trp_at(actors, i), "name")), *slash = strchr(name, '/');
        if (slash != NULL && strcmp(slash + 1, typed) == 0)
            return name;
    }
    return NULL;
}

const char *
tri_suggest_name(const struct tri_cli *cli, const char *typed, trp_value actors, trp_value others)
{
    const char **names = calloc(actors.size + others.size + 1, sizeof *names), *meant = NULL;
    size_t count = 0;

    typed = tri_typed_name(cli, typed);
    for (size_t i = 0; names != NULL && i < actors.size; i++) {
        names[count] = tri_typed_name(cli, trp_as_str(trp_field(trp_at(actors, i), "name")));
        count += names[count][0] != '\0';
    }
    for (size_t i = 0; names != NULL && i < others.size; i++)
        names[count++] = trp_as_str(trp_field(trp_at(others, i), "name"));
    if (names != NULL) {
        names[count] = NULL;
        meant = tri_suggest(typed, names);
    }
    free(names);
    return meant != NULL ? meant : namesake(typed, actors);
}

const char *
tri_suggest_row(const char *typed, trp_value rows, char *text, size_t size)
{
    const char **names = calloc(rows.size + 1, sizeof *names);
    const char *meant = NULL;

    for (size_t i = 0; names != NULL && i < rows.size; i++)
        names[i] = trp_as_str(trp_field(trp_at(rows, i), "name"));
    if (names != NULL)
        meant = tri_suggest(typed, names);
    if (meant != NULL)
        (void)snprintf(text, size, "did you mean '%.255s'?", meant);
    free(names);
    return meant != NULL ? text : NULL;
}
