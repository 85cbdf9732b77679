/*
 * config.c - "troupe-config.so": reads a configuration file with CZMQ's zconfig. A plug-in of the command, loaded where there is
 * such a file and not before: CZMQ brings two dozen libraries along. It gets text and gives rows; it opens nothing, makes no
 * socket, and CZMQ touches no signals then. One thread. It must not know which options there are.
 */
#include <czmq.h>

#include "tools/config/config.h"

/* What zconfig has to say of a file that it cannot read goes to stdout, as a line with the date: "... E (zconfig): (2) ...". */
static zconfig_t *
load(const char *text, char *why, size_t size)
{
    FILE *const before = stdout;
    char *said = NULL;
    size_t said_size = 0;
    FILE *memory = open_memstream(&said, &said_size);
    zconfig_t *root;

    if (memory != NULL)
        stdout = memory;
    root = zconfig_str_load(text);
    stdout = before;
    if (memory != NULL)
        (void)fclose(memory);
    if (root == NULL) {
        const char *line = said != NULL ? strstr(said, "(zconfig): ") : NULL;
        (void)snprintf(why, size, "%s", line != NULL ? line + strlen("(zconfig): ") : "it cannot be read");
        why[strcspn(why, "\n")] = '\0';
    }
    free(said);
    return root;
}

bool
troupe_config_read(const char *text, troupe_config_row_fn *row, void *user, char *why, size_t size)
{
    zconfig_t *root;

    if (text[0] == '\0')
        return true;
    root = load(text, why, size);
    if (root == NULL)
        return false;
    for (zconfig_t *section = zconfig_child(root); section != NULL; section = zconfig_next(section)) {
        row(user, zconfig_name(section), NULL, zconfig_value(section));
        for (zconfig_t *key = zconfig_child(section); key != NULL; key = zconfig_next(key)) {
            row(user, zconfig_name(section), zconfig_name(key), zconfig_value(key));
            for (zconfig_t *deep = zconfig_child(key); deep != NULL; deep = zconfig_next(deep))
                row(user, zconfig_name(key), zconfig_name(deep), zconfig_value(deep));
        }
    }
    zconfig_destroy(&root);
    return true;
}
