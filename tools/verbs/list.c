/*
 * list.c - `troupe ls`: what the node has. One thread.
 */
#include "tools/verbs/verbs.h"

#include <stdlib.h>
#include <string.h>

#include "tools/module/files.h"

enum { ROWS_MOST = 4096 }; /* the broker's answer ends here; what keeps has no such end */

/* --------------------------------------------------------------------------------------------------------------- cells */

/* Names as they are typed: those of the namespace that one is in anyway without it. */
static void
show_name(trp_value row, const char *key, char *text, size_t size)
{
    const char *name = trp_as_str(trp_field(row, key));

    if (strncmp(name, "default/", 8) == 0)
        name += 8;
    (void)snprintf(text, size, "%s", name[0] != '\0' ? name : "-");
}

static void
show_age(trp_value row, const char *key, char *text, size_t size)
{
    tri_seconds_text(trp_as_f64(trp_field(row, key)), text, size);
}

static void
show_left(trp_value row, const char *key, char *text, size_t size)
{
    const trp_value left_ms = trp_field(row, key);

    if (left_ms.kind == TRP_I64)
        tri_seconds_text((double)left_ms.as.i64 / 1000, text, size);
    else
        (void)snprintf(text, size, "for ever");
}

/* "1.5 of 4" of what `key` counts. */
static void
show_taken(trp_value row, const char *key, char *text, size_t size)
{
    char used[32];

    (void)snprintf(used, sizeof used, "%s_used", key);
    (void)snprintf(text, size, "%g of %g", trp_as_f64(trp_field(row, used)), trp_as_f64(trp_field(row, key)));
}

/* The names in a module's LIST of classes or tasks. */
static void
show_names(trp_value row, const char *key, char *text, size_t size)
{
    const trp_value list = trp_field(row, key);
    size_t used = 0;

    for (size_t i = 0; i < list.size && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i > 0 ? " " : "",
                                 trp_as_str(trp_field(trp_at(list, i), "name")));
}

static void
show_target(trp_value row, const char *key, char *text, size_t size)
{
    const char *actor = trp_as_str(trp_field(row, "actor")), *method = trp_as_str(trp_field(row, "method"));

    (void)key;
    (void)snprintf(text, size, "%s%s%s", actor, actor[0] != '\0' && method[0] != '\0' ? "." : "", method);
}

/* Who holds an object; readers are counted alone. */
static void
show_holders(trp_value row, const char *key, char *text, size_t size)
{
    const trp_value list = trp_field(row, key);
    const long long more = (long long)trp_as_i64(trp_field(row, "held_more"));
    char holder[600];
    size_t used = 0;

    for (size_t i = 0; i < list.size && used < size; i++) {
        if (strcmp(trp_as_str(trp_field(trp_at(list, i), "kind")), "pin") == 0)
            continue;
        tri_holder_text(trp_at(list, i), holder, sizeof holder);
        used += (size_t)snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "", holder);
    }
    if (more > 0 && used < size)
        (void)snprintf(text + used, size - used, ", and %lld more", more);
}

static void
show_about(trp_value row, const char *key, char *text, size_t size)
{
    const char *error = trp_as_str(trp_field(row, "error"));

    (void)snprintf(text, size, "%s", error[0] != '\0' ? error : trp_as_str(trp_field(row, key)));
}

/* --------------------------------------------------------------------------------------------------------------- pages */

static const struct tri_column actor_columns[] = {
    {"NAME", "name", false, show_name}, {"CLASS", "class", false, NULL},    {"STATE", "state", false, NULL},
    {"PID", "pid", true, tri_show_pid}, {"PENDING", "pending", true, NULL}, {"HANDLES", "handles", true, NULL},
    {"AGE", "age_s", true, show_age},   {"ID", "id", false, NULL},          {"DEATH", "death", false, NULL},
};
static const struct tri_column module_columns[] = {
    {"NAME", "name", false, NULL},
    {"VERSION", "version", false, NULL},
    {"CLASSES", "classes", false, show_names},
    {"TASKS", "tasks", false, show_names},
    {"ABOUT", "about", false, NULL},
};
static const struct tri_column file_columns[] = {
    {"NAME", "name", false, show_name},    {"STATE", "state", false, NULL}, {"CLASSES", "classes", false, show_names},
    {"TASKS", "tasks", false, show_names}, {"FILE", "file", false, NULL},   {"ABOUT", "about", false, show_about},
};
static const struct tri_column call_columns[] = {
    {"RESULT", "result", false, NULL},        {"KIND", "kind", false, NULL},
    {"CALL", NULL, false, show_target},       {"CALLER", "caller_pid", true, tri_show_pid},
    {"HOST", "host_pid", true, tri_show_pid}, {"AGE", "age_s", true, show_age},
    {"STATE", "state", false, NULL},
};
static const struct tri_column object_columns[] = {
    {"ID", "id", false, NULL},          {"NAME", "name", false, NULL},     {"STATE", "state", false, NULL},
    {"BYTES", "bytes", true, NULL},     {"LIES", "location", false, NULL}, {"PINS", "pins", true, NULL},
    {"WAITING", "waiting", true, NULL}, {"AGE", "age_s", true, show_age},  {"HELD BY", "held_by", false, show_holders},
};
/* Of the store, which has one row: a line for each field. */
static const struct tri_column store_columns[] = {
    {"WHAT", "what", false, NULL},
    {"VALUE", "value", true, NULL},
    {"ABOUT", "about", false, NULL},
};
static const struct {
    const char *key, *about;
} store_fields[] = {
    {"limit", "bytes of shared memory that there may be"},
    {"backed", "of them have memory"},
    {"taken", "of these are objects, or on lease"},
    {"leased", "of those are on lease to processes, for objects to come"},
    {"sealed", "of those are objects"},
    {"gone", "bytes of objects that nobody holds, and somebody reads"},
    {"free", "bytes that have memory and are nobody's"},
    {"longest_free", "of these are the longest run"},
    {"fragmentation", "the part of them outside of it, 0 to 1"},
    {"pinned", "bytes that processes read in place"},
    {"pins", "how often they do"},
    {"inline", "bytes of objects that travelled, and lie at the broker"},
    {"objects", "objects in shared memory and in files"},
    {"waiting", "processes and calls that wait for room"},
    {"spilled", "bytes of objects in files"},
    {"objects_spilled", "objects in files"},
    {"objects_lost", "objects of which the file was damaged, ever"},
    {"spills", "objects that were spilled, ever"},
    {"spill_rate", "bytes a second, while something was"},
    {"restores", "objects that came back, ever"},
    {"restore_rate", "bytes a second, while something did"},
    {"files", "files of the spill directory"},
    {"file_bytes", "their bytes"},
    {"gaps", "of these are of no object any more"},
    {"budget", "bytes that they may have"},
};
enum { STORE_FIELDS = sizeof store_fields / sizeof *store_fields };
static const struct tri_column node_columns[] = {
    {"NAME", "name", false, NULL},          {"CPUS", "cpus", true, show_taken},
    {"GPUS", "gpus", true, show_taken},     {"ACTORS", "actors", true, NULL},
    {"PROCESSES", "processes", true, NULL}, {"CALLS", "calls_pending", true, NULL},
    {"QUEUED", "tasks_queued", true, NULL}, {"OBJECTS", "objects", true, NULL},
};
static const struct tri_column process_columns[] = {
    {"KIND", "kind", false, NULL},      {"PID", "pid", true, tri_show_pid}, {"STATE", "state", false, NULL},
    {"CALLS", "calls", true, NULL},     {"PENDING", "pending", true, NULL}, {"RUNNING", "running", true, NULL},
    {"NAME", "name", false, show_name},
};
static const struct tri_column kept_columns[] = {
    {"NAME", "name", false, NULL},
    {"STATE", "state", false, NULL},
    {"LEFT", "left_ms", true, show_left},
    {"ID", "id", false, NULL},
};

#define COLUMNS(columns) columns, sizeof columns / sizeof *columns
static const struct {
    const char *name;
    const struct tri_column *columns;
    size_t count;
    const char *none;
} pages[] = {
    {"actors", COLUMNS(actor_columns), "no actors"},
    {"processes", COLUMNS(process_columns), "no processes"},
    {"modules", COLUMNS(module_columns),
     "no modules: one is listed when a process has loaded it; --all has those that could be"},
    {"calls", COLUMNS(call_columns), "no calls under way"},
    {"nodes", COLUMNS(node_columns), "no nodes"},
    {"objects", COLUMNS(object_columns), "no objects"},
    {"store", COLUMNS(store_columns), "no object store"},
    {"kept", COLUMNS(kept_columns), "nothing is kept"},
};
enum { PAGE_COUNT = sizeof pages / sizeof *pages };

static int
refuse_page(struct tri_cli *cli, const char *typed)
{
    const char *names[PAGE_COUNT + 1] = {NULL};
    const char *meant;

    for (size_t i = 0; i < PAGE_COUNT; i++)
        names[i] = pages[i].name;
    meant = tri_suggest(typed, names);
    if (meant != NULL)
        return tri_refuse(cli, "there is no list of '%.100s'; did you mean '%s'?", typed, meant);
    return tri_refuse(
        cli, "there is no list of '%.100s'; there is: actors, processes, modules, calls, nodes, objects, store, kept",
        typed);
}

/* What the node has loaded, and could load. */
static int
list_files(struct tri_cli *cli, trp_ref *ref, trp_value loaded)
{
    struct tri_values values = {0};
    trp_value rows;
    char path[8192];
    int exit_code;

    if (!tri_module_path_of_node(cli, path, sizeof path))
        return tri_fail_text(cli, "the module path of the node cannot be read");
    exit_code = tri_module_files(cli, &values, path, loaded, &rows);
    if (exit_code == TRI_EXIT_OK)
        exit_code =
            tri_give_rows(cli, ref, rows, COLUMNS(file_columns), "no modules, neither loaded nor in the module path");
    tri_values_fini(&values);
    return exit_code;
}

/* A row with one field more: the name under which the node keeps the object. */
static bool
add_name(struct tri_values *values, trp_value *row, trp_value kept)
{
    const char *id = trp_as_str(trp_field(*row, "id"));
    trp_value name = trp_null(), *entries;
    const size_t count = row->size;

    for (size_t i = 0; i < kept.size; i++)
        if (strcmp(trp_as_str(trp_field(trp_at(kept, i), "id")), id) == 0)
            name = trp_field(trp_at(kept, i), "name");
    entries = malloc(2 * (count + 1) * sizeof *entries);
    if (entries == NULL || !tri_values_hold(values, entries, free))
        return false;
    for (size_t i = 0; i < count; i++) {
        entries[2 * i] = trp_key_at(*row, i);
        entries[2 * i + 1] = trp_at(*row, i);
    }
    entries[2 * count] = trp_str("name");
    entries[2 * count + 1] = name;
    *row = trp_map(entries, count + 1);
    return true;
}

/* With the names under which the node keeps some of them, which one of its actors knows. */
static int
list_objects(struct tri_cli *cli, trp_ref *ref, trp_value objects, size_t page)
{
    struct tri_values values = {0};
    trp_value kept, *rows = calloc(objects.size + 1, sizeof *rows);
    trp_ref *kept_ref = NULL;
    int exit_code = rows != NULL ? tri_kept_ask(cli, &kept_ref, &kept) : tri_fail_text(cli, "no memory for the list");

    for (size_t i = 0; exit_code == TRI_EXIT_OK && i < objects.size; i++) {
        rows[i] = trp_at(objects, i);
        if (!add_name(&values, &rows[i], kept))
            exit_code = tri_fail_text(cli, "no memory for the list");
    }
    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_give_rows(cli, ref, trp_list(rows, objects.size), pages[page].columns, pages[page].count,
                                  pages[page].none);
    trp_ref_release(&kept_ref);
    tri_values_fini(&values);
    free(rows);
    return exit_code;
}

static int
list_store(struct tri_cli *cli, trp_ref *ref, trp_value store, size_t page)
{
    trp_value entries[STORE_FIELDS][6], rows[STORE_FIELDS];

    if (tri_wants_value(cli) || store.size == 0)
        return tri_give_rows(cli, ref, store, pages[page].columns, pages[page].count, pages[page].none);
    for (size_t i = 0; i < STORE_FIELDS; i++) {
        entries[i][0] = trp_str("what");
        entries[i][1] = trp_str(store_fields[i].key);
        entries[i][2] = trp_str("value");
        entries[i][3] = trp_field(trp_at(store, 0), store_fields[i].key);
        entries[i][4] = trp_str("about");
        entries[i][5] = trp_str(store_fields[i].about);
        rows[i] = trp_map(entries[i], 3);
    }
    return tri_give_rows(cli, ref, trp_list(rows, STORE_FIELDS), pages[page].columns, pages[page].count,
                         pages[page].none);
}

static int
run_ls(struct tri_cli *cli, const struct tri_args *args)
{
    trp_ref *ref = NULL;
    trp_value rows;
    const bool all = tri_option(args, "all") != NULL;
    bool is_kept;
    size_t page = 0;
    int exit_code;

    while (page < PAGE_COUNT && strcmp(args->operands[0], pages[page].name) != 0)
        page++;
    if (page == PAGE_COUNT)
        return refuse_page(cli, args->operands[0]);
    if (all && strcmp(pages[page].name, "modules") != 0)
        return tri_refuse(cli, "--all is for modules; `troupe ls %s` lists all there are", pages[page].name);
    is_kept = strcmp(pages[page].name, "kept") == 0;
    exit_code = tri_join(cli);
    if (exit_code == TRI_EXIT_OK)
        exit_code = is_kept ? tri_kept_ask(cli, &ref, &rows) : tri_ask(cli, pages[page].name, &ref, &rows);
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    if (all)
        exit_code = list_files(cli, ref, rows);
    else if (strcmp(pages[page].name, "objects") == 0)
        exit_code = list_objects(cli, ref, rows, page);
    else if (strcmp(pages[page].name, "store") == 0)
        exit_code = list_store(cli, ref, rows, page);
    else
        exit_code = tri_give_rows(cli, ref, rows, pages[page].columns, pages[page].count, pages[page].none);
    if (!is_kept && rows.size >= ROWS_MOST)
        fprintf(cli->err, "troupe ls: only the first %d are shown\n", ROWS_MOST);
    trp_ref_release(&ref);
    return exit_code;
}

static const struct tri_option ls_options[] = {
    {"all", 'a', NULL, "of modules: also the files in the module path that no host has loaded", NULL},
    {0},
};
static const char *const ls_words[] = {"actors|processes|modules|calls|nodes|objects|store|kept", NULL};

const struct tri_verb tri_verb_ls = {
    .name = "ls",
    .group = "Looking around",
    .about = "lists actors, processes, modules, calls, nodes, objects, the store, or what is kept",
    .operands = "WHAT",
    .words = ls_words,
    .options = ls_options,
    .flags = TRI_NEEDS_NODE,
    .more = "WHAT is actors, processes, modules, calls, nodes, objects, store or kept. --json prints an array of "
            "objects with "
            "all that "
            "is known. `ls modules --all` loads each file of the node's module path, in a process of its own, and says "
            "what\nit offers, or why no host would load it.\n",
    .run = run_ls,
};
