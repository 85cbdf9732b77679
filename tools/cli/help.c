/*
 * help.c - the texts of `troupe help` and `troupe VERB --help`, made from the table of verbs. One thread.
 */
#include <string.h>

#include "tools/cli/options.h"

enum { WIDTH = 24 };

static bool
is_shown(const struct tri_verb *verb)
{
    return (verb->flags & TRI_HIDDEN) == 0;
}

static bool
has_begun(const struct tri_verb *const *verbs, const struct tri_verb *const *at)
{
    for (; verbs < at; verbs++)
        if (is_shown(*verbs) && strcmp((*verbs)->group, (*at)->group) == 0)
            return true;
    return false;
}

/* The table of verbs, as `--json` wants it. */
static int
give_verbs(struct tri_cli *cli)
{
    enum { VERBS_MAX = 64, FIELDS = 4 };
    trp_value entries[VERBS_MAX][2 * FIELDS], rows[VERBS_MAX];
    size_t count = 0;

    for (const struct tri_verb *const *verb = cli->verbs; *verb != NULL && count < VERBS_MAX; verb++) {
        const trp_value row[2 * FIELDS] = {trp_str("verb"),         trp_str((*verb)->name), trp_str("group"),
                                           trp_str((*verb)->group), trp_str("operands"),    trp_str((*verb)->operands),
                                           trp_str("about"),        trp_str((*verb)->about)};
        if (!is_shown(*verb))
            continue;
        memcpy(entries[count], row, sizeof row);
        rows[count] = trp_map(entries[count], FIELDS);
        count++;
    }
    return tri_give(cli, NULL, trp_list(rows, count));
}

int
tri_help_all(struct tri_cli *cli)
{
    if (tri_wants_value(cli))
        return give_verbs(cli);
    tri_print(cli, "usage: troupe VERB [OPTION...] [ARGUMENT...]\n");
    for (const struct tri_verb *const *first = cli->verbs; *first != NULL; first++) {
        if (!is_shown(*first) || has_begun(cli->verbs, first))
            continue;
        tri_print(cli, "\n%s\n", (*first)->group);
        for (const struct tri_verb *const *verb = first; *verb != NULL; verb++)
            if (is_shown(*verb) && strcmp((*verb)->group, (*first)->group) == 0)
                tri_print(cli, "  %-15s %s\n", (*verb)->name, (*verb)->about);
    }
    tri_print(cli, "\n`troupe VERB --help` says more; so does troupe(1).\n");
    return TRI_EXIT_OK;
}

void
tri_help_verb(struct tri_cli *cli, const struct tri_verb *verb)
{
    const struct tri_option *option;
    char text[128];

    tri_print(cli, "usage: troupe %s [OPTION...]%s%s\n\n  %s\n\n", verb->name, verb->operands != NULL ? " " : "",
              verb->operands != NULL ? verb->operands : "", verb->about);
    for (int i = 0; (option = tri_option_at(verb, i)) != NULL; i++) {
        if (option->name[1] == '\0')
            (void)snprintf(text, sizeof text, "-%s%s%s", option->name, option->value != NULL ? " " : "",
                           option->value != NULL ? option->value : "");
        else if (option->letter != 0)
            (void)snprintf(text, sizeof text, "-%c, --%s%s%s", option->letter, option->name,
                           option->value != NULL ? " " : "", option->value != NULL ? option->value : "");
        else
            (void)snprintf(text, sizeof text, "    --%s%s%s", option->name, option->value != NULL ? " " : "",
                           option->value != NULL ? option->value : "");
        tri_print(cli, "  %-*s %s\n", WIDTH, text, option->about);
    }
    if (verb->more != NULL)
        tri_print(cli, "\n%s", verb->more);
}
