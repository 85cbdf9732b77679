/*
 * config.c - `troupe config show`: every setting, its value and where that is from. One thread.
 */
#include "tools/verbs/verbs.h"

#include "tools/cli/settings.h"

static void
show_value(trp_value row, const char *key, char *text, size_t size)
{
    const trp_value value = trp_field(row, key);

    if (value.kind == TRP_STR)
        (void)snprintf(text, size, "%s", trp_as_str(value));
    else
        (void)snprintf(text, size, "(%s)", trp_as_str(trp_field(row, "default")));
}

static void
show_from(trp_value row, const char *key, char *text, size_t size)
{
    const char *from = trp_as_str(trp_field(row, key));

    (void)snprintf(text, size, "%s%s", from[0] >= 'A' && from[0] <= 'Z' ? "$" : "", from);
}

static const struct tri_column columns[] = {
    {"SECTION", "section", false, NULL},
    {"SETTING", "setting", false, NULL},
    {"VALUE", "value", false, show_value},
    {"FROM", "from", false, show_from},
};

static int
run_config_show(struct tri_cli *cli, const struct tri_args *args)
{
    enum { FIELDS = 5 };
    trp_value entries[TRI_KEY_COUNT][2 * FIELDS], rows[TRI_KEY_COUNT];

    (void)args;
    for (int i = 0; i < TRI_KEY_COUNT; i++) {
        const struct tri_setting *setting = tri_setting_at(i);
        const char *text = NULL;
        const int exit_code = tri_setting(cli, i, NULL, &text);
        if (exit_code != TRI_EXIT_OK)
            return exit_code;
        if (tri_setting_wants(i, text) != NULL)
            return tri_fail_text(cli, "%s in %s needs %s, got '%.200s'", setting->key, tri_setting_from(cli, i),
                                 tri_setting_wants(i, text), text);
        const trp_value row[2 * FIELDS] = {trp_str("section"), trp_str(setting->section),
                                           trp_str("setting"), trp_str(setting->key),
                                           trp_str("value"),   trp_str(text),
                                           trp_str("from"),    trp_str(tri_setting_from(cli, i)),
                                           trp_str("default"), trp_str(setting->fallback)};
        for (int k = 0; k < 2 * FIELDS; k++)
            entries[i][k] = row[k];
        rows[i] = trp_map(entries[i], FIELDS);
    }
    return tri_give_rows(cli, NULL, trp_list(rows, TRI_KEY_COUNT), columns, sizeof columns / sizeof *columns, NULL);
}

const struct tri_verb tri_verb_config_show = {
    .name = "config show",
    .group = "The command",
    .about = "prints every setting, its value, and where that is from",
    .more =
        "An option of the command line comes before a variable of the environment, that before the file that\n"
        "$TROUPE_CONFIG names, ~/.config/troupe/troupe.cfg and /etc/troupe.cfg. troupe.cfg(5) says what they hold.\n",
    .run = run_config_show,
};
