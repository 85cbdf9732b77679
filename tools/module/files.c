/*
 * files.c - what a node could load: the files in the directories of its module path, what each offers, or why it cannot be loaded. One
 * thread. A file is loaded in a process of its own (inspect.c), and only by who asks for all.
 */
#include "tools/module/files.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli/home.h"
#include "tools/cli/offers.h"
#include "tools/module/module.h"

enum { PATH_SIZE = 4096, FILES_MOST = 4096, ROW_FIELDS = 8 };

struct files {
    struct tri_cli *cli;
    struct tri_values *values;
    trp_value loaded;
    trp_value *rows;
    size_t count, room;
    char **found; /* names of files, of one directory */
    size_t found_count;
};

bool
tri_module_path_of_node(struct tri_cli *cli, char *path, size_t size)
{
    struct tri_home home;

    if (tri_home_look(cli, &home) != TRI_EXIT_OK || home.pid == 0 || !tri_home_module_path(&home, path, size))
        return false;
    if (path[0] == '\0')
        (void)snprintf(path, size, "%s", TRI_MODULE_DIR);
    return true;
}

/* ---------------------------------------------------------------------------------------------------------------- rows */

struct row {
    const char *name, *state, *file, *error;
    trp_value module; /* what is known of what it offers; TRP_NONE: nothing */
};

static const char *
hold_text(struct files *files, const char *text)
{
    char *copy = strdup(text);

    return copy != NULL && tri_values_hold(files->values, copy, free) ? copy : "";
}

static trp_value
field_or(trp_value module, const char *key, trp_value other)
{
    const trp_value value = trp_field(module, key);

    return value.kind != TRP_NONE ? value : other;
}

static int
add_row(struct files *files, const struct row *row)
{
    trp_value *entries = calloc((size_t)2 * ROW_FIELDS, sizeof *entries);
    const trp_value fields[2 * ROW_FIELDS] = {
        trp_str("name"),    trp_str(hold_text(files, row->name)),
        trp_str("state"),   trp_str(row->state),
        trp_str("file"),    trp_str(hold_text(files, row->file)),
        trp_str("version"), field_or(row->module, "version", trp_str("")),
        trp_str("about"),   field_or(row->module, "about", trp_str("")),
        trp_str("classes"), field_or(row->module, "classes", trp_list(NULL, 0)),
        trp_str("tasks"),   field_or(row->module, "tasks", trp_list(NULL, 0)),
        trp_str("error"),   row->error[0] != '\0' ? trp_str(hold_text(files, row->error)) : trp_null()};

    if (entries == NULL || !tri_values_hold(files->values, entries, free) || files->count == files->room)
        return tri_fail_text(files->cli, "no memory for the list of modules");
    memcpy(entries, fields, sizeof fields);
    files->rows[files->count++] = trp_map(entries, ROW_FIELDS);
    return TRI_EXIT_OK;
}

/* The row of this name and state; NULL: there is none. */
static trp_value
row_named(const struct files *files, const char *name)
{
    for (size_t i = 0; i < files->count; i++)
        if (strcmp(trp_as_str(trp_field(files->rows[i], "name")), name) == 0)
            return files->rows[i];
    return trp_field(trp_null(), "");
}

/* --------------------------------------------------------------------------------------------------------- directories */

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of the files NAME.so in a directory, in order. */
static void
find_files(struct files *files, const char *directory)
{
    DIR *open = opendir(directory);

    files->found_count = 0;
    for (const struct dirent *entry; open != NULL && (entry = readdir(open)) != NULL;) {
        const size_t length = strlen(entry->d_name);
        if (length > 3 && strcmp(entry->d_name + length - 3, ".so") == 0 && files->found_count < FILES_MOST)
            files->found[files->found_count++] = (char *)(uintptr_t)hold_text(files, entry->d_name);
    }
    if (open != NULL)
        (void)closedir(open);
    qsort(files->found, files->found_count, sizeof *files->found, by_text);
}

static int
add_file(struct files *files, const char *directory, const char *base)
{
    char name[PATH_SIZE], file[PATH_SIZE + 300], text[600];
    struct row row = {.name = name, .state = "refused", .file = file, .error = "", .module = trp_null()};
    trp_error error = {0};
    int exit_code = TRI_EXIT_OK;

    (void)snprintf(name, sizeof name, "%.*s", (int)(strlen(base) - 3), base);
    (void)snprintf(file, sizeof file, "%s/%s", directory, base);
    const trp_value before = row_named(files, name);
    if (!tri_is_module_name(name, strlen(name))) {
        row.error = "its name is no C identifier of at most 63 bytes";
    } else if (before.kind != TRP_NONE) {
        row.state = "hidden";
        (void)snprintf(text, sizeof text, "%.400s comes first", trp_as_str(trp_field(before, "file")));
        row.error = text;
    } else if (tri_row_named(files->loaded, name, strlen(name)).kind != TRP_NONE) {
        row.state = "loaded";
        row.module = tri_row_named(files->loaded, name, strlen(name));
    } else {
        exit_code = tri_module_ask(files->cli, files->values, file, &row.module, &error);
        row.state = exit_code == TRI_EXIT_OK ? "not loaded" : "refused";
        row.error = exit_code == TRI_EXIT_OK ? "" : error.message;
        if (exit_code != TRI_EXIT_OK)
            row.module = trp_null();
    }
    return exit_code == TRI_EXIT_STOPPED ? exit_code : add_row(files, &row);
}

static int
add_directory(struct files *files, const char *directory, const char *trouble)
{
    const struct row row = {"", "refused", directory, trouble, trp_null()};
    int exit_code = TRI_EXIT_OK;

    find_files(files, directory);
    if (files->found_count == 0)
        return trouble[0] != '\0' ? add_row(files, &row) : TRI_EXIT_OK;
    for (size_t i = 0; i < files->found_count && exit_code == TRI_EXIT_OK; i++)
        exit_code = add_file(files, directory, files->found[i]);
    return exit_code;
}

/* What was loaded and is no file, as the node's own, or is one no more. */
static int
add_loaded(struct files *files)
{
    int exit_code = TRI_EXIT_OK;

    for (size_t i = 0; i < files->loaded.size && exit_code == TRI_EXIT_OK; i++) {
        const trp_value module = trp_at(files->loaded, i);
        const struct row row = {trp_as_str(trp_field(module, "name")), "loaded", "", "", module};
        if (row_named(files, row.name).kind == TRP_NONE)
            exit_code = add_row(files, &row);
    }
    return exit_code;
}

int
tri_module_files(struct tri_cli *cli, struct tri_values *values, const char *path, trp_value loaded, trp_value *rows)
{
    struct files files = {.cli = cli, .values = values, .loaded = loaded, .room = FILES_MOST + loaded.size};
    char directory[PATH_SIZE], trouble[600];
    int exit_code = TRI_EXIT_OK;

    files.rows = calloc(files.room, sizeof *files.rows);
    files.found = calloc(FILES_MOST, sizeof *files.found);
    if (files.rows == NULL || files.found == NULL || !tri_values_hold(values, files.rows, free))
        exit_code = tri_fail_text(cli, "no memory for the list of modules");
    while (exit_code == TRI_EXIT_OK &&
           tri_module_path_next(&path, directory, sizeof directory, trouble, sizeof trouble))
        exit_code = add_directory(&files, directory, trouble);
    if (exit_code == TRI_EXIT_OK)
        exit_code = add_loaded(&files);
    *rows = trp_list(files.rows, files.count);
    free(files.found);
    return exit_code;
}

/* ------------------------------------------------------------------------------------------------------------ one by name */

bool
tri_module_find(const char *path, const char *name, char *file, size_t size, char *meant, size_t meant_size)
{
    char directory[PATH_SIZE], trouble[600], *found[FILES_MOST];
    struct tri_values values = {0};
    struct files files = {.values = &values, .found = found};
    bool is_there = false;

    meant[0] = '\0';
    while (!is_there && tri_module_path_next(&path, directory, sizeof directory, trouble, sizeof trouble)) {
        const char *names[FILES_MOST + 1] = {NULL}, *nearest;
        find_files(&files, directory);
        for (size_t i = 0; i < files.found_count; i++) {
            found[i][strlen(found[i]) > 3 ? strlen(found[i]) - 3 : 0] = '\0';
            names[i] = found[i];
            is_there = is_there || strcmp(found[i], name) == 0;
        }
        nearest = tri_suggest(name, names);
        if (is_there)
            (void)snprintf(file, size, "%s/%s.so", directory, name);
        else if (nearest != NULL && meant[0] == '\0')
            (void)snprintf(meant, meant_size, "%s", nearest);
    }
    tri_values_fini(&values);
    return is_there;
}
