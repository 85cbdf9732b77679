/*
 * modules_names.c - which modules there are, by their names alone: in the directories of a module path, and in the program. What is
 * said where one is not among them. Any thread; it opens no file and knows no loader.
 */
#include "actors/modules.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The next directory of the path at *rest; false: no more. Empty ones are left out. */
bool
tri_path_next(const char **rest, char *directory, size_t size)
{
    while (**rest == ':')
        (*rest)++;
    if (**rest == '\0')
        return false;
    size_t length = strcspn(*rest, ":");
    snprintf(directory, size, "%.*s", (int)(length < size ? length : size - 1), *rest);
    *rest += length;
    return true;
}

/* Appends ", text" to a list that is cut with "..." where it would be too long. */
void
tri_list_add(char *list, size_t size, const char *text, int length)
{
    size_t used = strlen(list);
    if (used + (size_t)length + 8 < size)
        snprintf(list + used, size - used, "%s%.*s", used > 0 ? ", " : "", length, text);
    else if (used + 5 < size && strstr(list, ", ...") == NULL)
        strcat(list, ", ...");
}

bool
tri_is_module_file(const char *name, size_t *length)
{
    size_t size = strlen(name);
    *length = size >= 3 ? size - 3 : 0;
    return size > 3 && strcmp(name + size - 3, ".so") == 0 && tri_module_name_ok(name, size - 3);
}

enum { LISTED_MAX = 64 };
struct listed {
    char names[LISTED_MAX][TRI_MODULE_NAME_MAX + 1];
    size_t count;
};

static void
list_name(struct listed *listed, const char *name, size_t length)
{
    if (listed->count == LISTED_MAX || length > TRI_MODULE_NAME_MAX)
        return;
    memcpy(listed->names[listed->count], name, length);
    listed->names[listed->count++][length] = '\0';
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The names of all modules that could be loaded, in order; the first of those that lie in several directories. */
static void
list_modules(const char *path, const trp_module *const *linked, struct listed *listed)
{
    char directory[PATH_MAX];
    size_t length, kept = 0;
    for (size_t i = 0; linked[i] != NULL; i++)
        if (linked[i]->name != NULL)
            list_name(listed, linked[i]->name, strlen(linked[i]->name));
    for (const char *rest = path; tri_path_next(&rest, directory, sizeof directory);) {
        DIR *open = opendir(directory);
        if (open == NULL)
            continue;
        for (const struct dirent *entry; (entry = readdir(open)) != NULL;)
            if (tri_is_module_file(entry->d_name, &length))
                list_name(listed, entry->d_name, length);
        closedir(open);
    }
    qsort(listed->names, listed->count, sizeof listed->names[0], by_name);
    for (size_t i = 0; i < listed->count; i++)
        if (kept == 0 || strcmp(listed->names[i], listed->names[kept - 1]) != 0)
            memmove(listed->names[kept++], listed->names[i], sizeof listed->names[0]);
    listed->count = kept;
}

/* ---------------------------------------------------------------------------------------------------------- one is not there */

/* Letters to insert, remove or exchange to make one of the other (Levenshtein). */
static size_t
distance(const char *a, const char *b)
{
    size_t row[TRI_MODULE_NAME_MAX + 1];
    const size_t width = strlen(b);
    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            const size_t above = row[j], exchanged = diagonal + (a[i - 1] != b[j - 1]);
            row[j] = (above < row[j - 1] ? above : row[j - 1]) + 1;
            row[j] = exchanged < row[j] ? exchanged : row[j];
            diagonal = above;
        }
    }
    return row[width];
}

/* The name that was probably meant; NULL: none is near. */
static const char *
nearest(const struct listed *listed, const char *name)
{
    size_t best = strlen(name) < 4 ? 2 : 3; /* more than two letters off is another word, of short ones one */
    const char *found = NULL;
    for (size_t i = 0; i < listed->count; i++) {
        const size_t here = distance(name, listed->names[i]);
        if (here < best && here < strlen(listed->names[i])) {
            best = here;
            found = listed->names[i];
        }
    }
    return found;
}

trp_err
tri_no_such_module(const char *name, const char *path, const trp_module *const *linked, const char *remedy,
                   trp_error *error)
{
    struct listed listed = {.count = 0};
    char list[200] = "", meant[TRI_MODULE_NAME_MAX + 24];
    list_modules(path, linked, &listed);
    for (size_t i = 0; i < listed.count; i++)
        tri_list_add(list, sizeof list, listed.names[i], (int)strlen(listed.names[i]));
    if (nearest(&listed, name) != NULL) {
        snprintf(meant, sizeof meant, "did you mean '%s'?", nearest(&listed, name));
        remedy = meant;
    }
    return TRI_FAIL(error, TRP_ENOENT, "there is no module '%.64s' in %.128s (there are: %s); %s", name,
                    path[0] != '\0' ? path : "the module path, which is empty", list[0] != '\0' ? list : "none",
                    remedy);
}
