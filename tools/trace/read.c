/*
 * read.c - what the processes of a traced command left in its directory, as records. One thread. A process may have been killed
 * while it wrote: what is no whole line is left out, and the trace is said to be incomplete.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/trace/trace.h"

enum { FIELDS_MAX = 10 };

static bool
reserve(void *array, size_t *capacity, size_t count, size_t size)
{
    void **at = array;
    const size_t wanted = *capacity > 0 ? 2 * *capacity : 64;
    void *larger;

    if (count < *capacity)
        return true;
    larger = realloc(*at, wanted * size);
    if (larger == NULL)
        return false;
    *at = larger;
    *capacity = wanted;
    return true;
}

/* --------------------------------------------------------------------------------------------------------------- lines */

/* Parts a line at its tabs, in place. */
static size_t
split(char *line, char *fields[FIELDS_MAX])
{
    size_t count = 0;

    while (count < FIELDS_MAX && line != NULL)
        fields[count++] = strsep(&line, "\t");
    return line == NULL ? count : 0;
}

/* false: one of so many fields is no number. */
static bool
numbers_of(char *const *fields, size_t count, int64_t *numbers)
{
    for (size_t i = 0; i < count; i++) {
        char *end = NULL;
        errno = 0;
        numbers[i] = strtoll(fields[i], &end, 10);
        if (fields[i][0] == '\0' || *end != '\0' || errno != 0 || numbers[i] < 0)
            return false;
    }
    return true;
}

static void
note_time(struct tri_traced *traced, int64_t ns)
{
    if (traced->begins_ns == 0 || ns < traced->begins_ns)
        traced->begins_ns = ns;
    if (ns > traced->ends_ns)
        traced->ends_ns = ns;
}

/* The file that is being read: where its calls begin. */
struct reading {
    struct tri_traced *traced;
    size_t first; /* of its calls: their numbers rise */
    bool no_memory;
};

static bool
take_driver(struct reading *reading, char **fields, size_t count)
{
    struct tri_traced *traced = reading->traced;
    int64_t numbers[2];

    if (count != 4 || !numbers_of(fields + 1, 2, numbers))
        return false;
    if (!reserve(&traced->drivers, &traced->driver_capacity, traced->driver_count, sizeof *traced->drivers)) {
        reading->no_memory = true;
        return false;
    }
    traced->drivers[traced->driver_count++] =
        (struct tri_traced_driver){.pid = numbers[0], .began_ns = numbers[1], .program = fields[3]};
    note_time(traced, numbers[1]);
    return true;
}

static bool
take_end(struct reading *reading, char **fields, size_t count)
{
    struct tri_traced *traced = reading->traced;
    int64_t numbers[2];

    if (count != 3 || !numbers_of(fields + 1, 2, numbers))
        return false;
    for (size_t i = traced->driver_count; i-- > 0;)
        if (traced->drivers[i].pid == numbers[0]) {
            traced->drivers[i].ended_ns = numbers[1];
            note_time(traced, numbers[1]);
            return true;
        }
    return false;
}

static bool
take_start(struct reading *reading, char **fields, size_t count)
{
    struct tri_traced *traced = reading->traced;
    int64_t numbers[7];

    if (count != 10 || !numbers_of(fields + 1, 7, numbers))
        return false;
    if (!reserve(&traced->calls, &traced->call_capacity, traced->call_count, sizeof *traced->calls)) {
        reading->no_memory = true;
        return false;
    }
    if (traced->call_count > reading->first && traced->calls[traced->call_count - 1].number >= numbers[0])
        reading->first = traced->call_count; /* another process that has had this number, too */
    traced->calls[traced->call_count++] = (struct tri_traced_call){
        .number = numbers[0],
        .pid = numbers[1],
        .tid = numbers[2],
        .started_ns = numbers[3],
        .submitted_ns = numbers[4] < numbers[3] ? numbers[4] : numbers[3],
        .caller_pid = numbers[5],
        .caller_tid = numbers[6],
        .actor = fields[8],
        .method = fields[9],
        .how = "unfinished",
    };
    note_time(traced, traced->calls[traced->call_count - 1].submitted_ns);
    note_time(traced, numbers[3]);
    return true;
}

static bool
take_finish(struct reading *reading, char **fields, size_t count)
{
    struct tri_traced *traced = reading->traced;
    size_t low = reading->first, high = traced->call_count;
    int64_t numbers[2];

    if (count != 4 || !numbers_of(fields + 1, 2, numbers))
        return false;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (traced->calls[middle].number < numbers[0])
            low = middle + 1;
        else
            high = middle;
    }
    if (low == traced->call_count || traced->calls[low].number != numbers[0] ||
        traced->calls[low].started_ns > numbers[1])
        return false;
    traced->calls[low].finished_ns = numbers[1];
    traced->calls[low].how = fields[3];
    note_time(traced, numbers[1]);
    return true;
}

static const struct {
    const char *kind;
    bool (*take)(struct reading *reading, char **fields, size_t count);
} lines[] = {{"D", take_driver}, {"E", take_end}, {"S", take_start}, {"F", take_finish}};

static bool
take_line(struct reading *reading, char *line)
{
    char *fields[FIELDS_MAX];
    const size_t count = split(line, fields);

    for (size_t i = 0; count > 0 && i < sizeof lines / sizeof *lines; i++)
        if (strcmp(fields[0], lines[i].kind) == 0)
            return lines[i].take(reading, fields, count);
    return false;
}

/* --------------------------------------------------------------------------------------------------------------- files */

/* Texts are shown in JSON, which has to be UTF-8. */
static void
clean(char *text, size_t size)
{
    size_t good;

    while ((good = tri_utf8_end(text, size)) < size)
        text[good] = '?';
}

static int
read_file(struct tri_cli *cli, const char *path, struct tri_traced *traced)
{
    struct reading reading = {.traced = traced, .first = traced->call_count};
    FILE *file = fopen(path, "re");
    size_t size = 0;
    char *text = NULL, *line, *rest;
    int exit_code;

    if (file == NULL)
        return tri_fail_file(cli, path, errno);
    exit_code = tri_read_all(cli, file, path, SIZE_MAX, &text, &size);
    (void)fclose(file);
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    if (!reserve(&traced->texts, &traced->text_capacity, traced->text_count, sizeof *traced->texts)) {
        free(text);
        return tri_fail_text(cli, "out of memory");
    }
    traced->texts[traced->text_count++] = text;
    clean(text, size);
    if (strlen(text) != size || (size > 0 && text[size - 1] != '\n'))
        traced->incomplete = true;
    for (rest = text; (line = strsep(&rest, "\n")) != NULL && rest != NULL;)
        if (!take_line(&reading, line))
            traced->incomplete = true;
    return reading.no_memory ? tri_fail_text(cli, "out of memory") : TRI_EXIT_OK;
}

int
tri_traced_read(struct tri_cli *cli, const char *directory, struct tri_traced *traced)
{
    DIR *files = opendir(directory);
    const struct dirent *file;
    int exit_code = TRI_EXIT_OK;
    struct stat status;
    char path[4096];

    if (files == NULL)
        return tri_fail_file(cli, directory, errno);
    while (exit_code == TRI_EXIT_OK && (file = readdir(files)) != NULL) {
        if (file->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", directory, file->d_name);
        exit_code = read_file(cli, path, traced);
    }
    if (fstat(dirfd(files), &status) != 0 || (status.st_mode & 0777) != 0700)
        traced->incomplete = true; /* as a process says that could not write */
    (void)closedir(files);
    for (size_t i = 0; i < traced->call_count; i++)
        traced->unfinished += traced->calls[i].finished_ns == 0;
    return exit_code;
}

void
tri_traced_fini(struct tri_traced *traced)
{
    for (size_t i = 0; i < traced->text_count; i++)
        free(traced->texts[i]);
    free(traced->texts);
    free(traced->calls);
    free(traced->drivers);
    *traced = (struct tri_traced){0};
}
