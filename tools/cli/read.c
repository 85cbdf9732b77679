/*
 * read.c - a whole file as text. One thread. It must not know what is in it.
 */
#include <errno.h>
#include <stdlib.h>

#include "tools/cli/cli.h"

int
tri_read_all(struct tri_cli *cli, FILE *file, const char *name, size_t most, char **text, size_t *size)
{
    size_t capacity = 64 * 1024, used = 0, got;
    char *buffer = malloc(capacity + 1), *larger;
    int exit_code = TRI_EXIT_OK;

    *text = NULL;
    while (buffer != NULL && used <= most && feof(file) == 0 &&
           (got = fread(buffer + used, 1, capacity - used, file)) > 0) {
        used += got;
        if (used < capacity)
            continue;
        larger = realloc(buffer, 2 * capacity + 1);
        if (larger == NULL)
            free(buffer);
        buffer = larger;
        capacity *= 2;
    }
    if (buffer == NULL)
        return tri_fail_text(cli, "out of memory");
    if (ferror(file) != 0) {
        exit_code = tri_fail_file(cli, name, errno);
        clearerr(file);
    } else if (used > most) {
        exit_code = tri_fail_text(cli, "%.500s: more than %zu MiB", name, most >> 20);
    }
    buffer[used] = '\0';
    if (exit_code != TRI_EXIT_OK) {
        free(buffer);
        return exit_code;
    }
    *text = buffer;
    *size = used;
    return TRI_EXIT_OK;
}
