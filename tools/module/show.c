/*
 * show.c - what a module offers, for people: a line for each class, method and task. One thread. It knows descriptions, and
 * not where they come from.
 */
#include "tools/module/module.h"

#include <string.h>

enum { SIGNATURE_SIZE = 512, COLUMN_MOST = 40 };

static const char *
text_of(trp_value map, const char *key)
{
    return trp_as_str(trp_field(map, key));
}

static void
signature_of(trp_value row, const char *args, char *text)
{
    (void)snprintf(text, SIGNATURE_SIZE, "%s(%s)", text_of(row, "name"), text_of(row, args));
}

static size_t
column_of(trp_value rows)
{
    char text[SIGNATURE_SIZE];
    size_t widest = 0;

    for (size_t i = 0; i < rows.size; i++) {
        signature_of(trp_at(rows, i), "args", text);
        if (strlen(text) > widest && strlen(text) <= COLUMN_MOST)
            widest = strlen(text);
    }
    return widest;
}

static void
show_rows(struct tri_cli *cli, trp_value rows, const char *indent)
{
    const size_t column = column_of(rows);
    char text[SIGNATURE_SIZE];

    for (size_t i = 0; i < rows.size; i++) {
        const char *about = text_of(trp_at(rows, i), "about");
        signature_of(trp_at(rows, i), "args", text);
        if (about[0] != '\0')
            tri_print(cli, "%s%-*s  %s\n", indent, (int)column, text, about);
        else
            tri_print(cli, "%s%s\n", indent, text);
    }
}

static void
show_class(struct tri_cli *cli, trp_value row)
{
    const int64_t at_a_time = trp_as_i64(trp_field(row, "max_concurrency"));
    const char *about = text_of(row, "about");
    char text[SIGNATURE_SIZE];

    signature_of(row, "init_args", text);
    tri_print(cli, "\nclass %s%s%s\n", text, about[0] != '\0' ? "  " : "", about);
    if (at_a_time > 1)
        tri_print(cli, "  up to %lld calls at a time\n", (long long)at_a_time);
    show_rows(cli, trp_field(row, "methods"), "  ");
}

/* What is not as usual about how it is run. */
static void
show_needs(struct tri_cli *cli, trp_value row)
{
    const double cpus = trp_as_f64(trp_field(row, "num_cpus")), gpus = trp_as_f64(trp_field(row, "num_gpus"));
    const int64_t bytes = trp_as_i64(trp_field(row, "memory_bytes"));
    const int64_t retries = trp_as_i64(trp_field(row, "max_retries"));

    if (cpus == 1 && gpus == 0 && bytes == 0 && retries == 3)
        return;
    tri_print(cli, "  %s: %g CPUs, %g GPUs", text_of(row, "name"), cpus, gpus);
    if (bytes > 0)
        tri_print(cli, ", %lld bytes of memory", (long long)bytes);
    if (retries < 0)
        tri_print(cli, ", started again until it is done\n");
    else
        tri_print(cli, ", started again at most %lld times\n", (long long)retries);
}

void
tri_module_show(struct tri_cli *cli, const char *path, trp_value module)
{
    const trp_value classes = trp_field(module, "classes"), tasks = trp_field(module, "tasks");
    const char *version = text_of(module, "version"), *about = text_of(module, "about");

    tri_print(cli, "module %s%s%s (ABI %s, %s)\n", text_of(module, "name"), version[0] != '\0' ? " " : "", version,
              text_of(module, "abi"), path);
    if (about[0] != '\0')
        tri_print(cli, "%s\n", about);
    for (size_t i = 0; i < classes.size; i++)
        show_class(cli, trp_at(classes, i));
    if (tasks.size > 0)
        tri_print(cli, "\ntasks\n");
    show_rows(cli, tasks, "  ");
    for (size_t i = 0; i < tasks.size; i++)
        show_needs(cli, trp_at(tasks, i));
}
