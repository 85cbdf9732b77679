/*
 * wordcount_driver.c - counts the words of files. They are cut into pieces at word borders; tasks count the pieces, actors
 * add up. The counts go from task to actor without passing through here: the driver only hands references on. A window
 * bounds what is in flight.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

#include <troupe/troupe.h>

#include "examples.h"

enum { TALLIES = 4, WINDOW = 64, PIECE = 64 * 1024, SHOWN = 10, DEPTH_MAX = 64 };

static const char default_path[] = "/usr/share/common-licenses";

struct job {
    trp_runtime *rt;
    trp_actor *tallies[TALLIES];
    trp_ref *added[WINDOW]; /* additions in flight; NULL: free */
    char **paths;           /* as given */
    int path_count;
    char **files;
    size_t file_count, file_capacity, file_done;
    uint64_t bytes, pieces;
    bool progress; /* there is a terminal to show it on */
    bool missed;   /* something could not be read */
};

static double
now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ----------------------------------------------------------------------------------------------------------- which files */

static void
cannot_read(struct job *job, const char *path, int errnum)
{
    fprintf(stderr, "%swordcount: %s: %s\n", job->progress ? "\r\033[K" : "", path, strerror(errnum));
    job->missed = true;
}

static void
add_file(struct job *job, const char *path)
{
    if (job->file_count == job->file_capacity) {
        size_t capacity = job->file_capacity > 0 ? 2 * job->file_capacity : 64;
        char **files = realloc(job->files, capacity * sizeof *files);
        if (files == NULL) {
            cannot_read(job, path, ENOMEM);
            return;
        }
        job->files = files;
        job->file_capacity = capacity;
    }
    job->files[job->file_count] = strdup(path);
    if (job->files[job->file_count] == NULL)
        cannot_read(job, path, ENOMEM);
    else
        job->file_count++;
}

static void
free_files(struct job *job)
{
    for (size_t i = 0; i < job->file_count; i++)
        free(job->files[i]);
    free(job->files);
}

static void find_files(struct job *job, const char *path, int depth);

static int
no_dots(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static void
find_in_directory(struct job *job, const char *path, int depth)
{
    struct dirent **entries;
    char inner[PATH_MAX];
    int count = scandir(path, &entries, no_dots, alphasort);
    if (count < 0) {
        cannot_read(job, path, errno);
        return;
    }
    for (int i = 0; i < count; i++) {
        if ((size_t)snprintf(inner, sizeof inner, "%s/%s", path, entries[i]->d_name) < sizeof inner)
            find_files(job, inner, depth + 1);
        else
            cannot_read(job, path, ENAMETOOLONG);
        free(entries[i]);
    }
    free(entries);
}

/* Directories are walked; a symbolic link counts where it is given, not where it is found. */
static void
find_files(struct job *job, const char *path, int depth)
{
    struct stat status;
    if ((depth == 0 ? stat(path, &status) : lstat(path, &status)) != 0)
        cannot_read(job, path, errno);
    else if (S_ISDIR(status.st_mode) && depth < DEPTH_MAX)
        find_in_directory(job, path, depth);
    else if (S_ISREG(status.st_mode) || (depth == 0 && !S_ISDIR(status.st_mode)))
        add_file(job, path);
}

/* ------------------------------------------------------------------------------------------------------- counting them */

static void
show_progress(const struct job *job)
{
    if (!job->progress)
        return;
    fprintf(stderr, "\r\033[K%zu of %zu files, %" PRIu64 " pieces, %.1f MB", job->file_done, job->file_count,
            job->pieces, (double)job->bytes / 1e6);
    fflush(stderr);
}

/* A free place in the window: waits until an addition has ended, and checks it, if there is none. */
static trp_err
free_slot(struct job *job, size_t *slot, trp_error *error)
{
    size_t ready_count;
    for (*slot = 0; *slot < WINDOW; (*slot)++)
        if (job->added[*slot] == NULL)
            return TRP_OK;
    TRP_TRY(trp_wait(job->added, WINDOW, 1, TRP_FOREVER, slot, &ready_count, error));
    TRP_TRY(trp_get(job->added[*slot], 0, NULL, error));
    trp_ref_release(&job->added[*slot]);
    return TRP_OK;
}

static trp_err
add_piece(struct job *job, const char *text, size_t size, trp_error *error)
{
    size_t slot;
    trp_ref *counts = NULL;
    TRP_TRY(free_slot(job, &slot, error));
    trp_actor *tally = job->tallies[job->pieces % TALLIES];
    TRP_TRY(trp_task(job->rt, "wordcount:count", TRP_ARGS(trp_bytes(text, size)), &counts, error));
    trp_err err = trp_call(tally, "add", TRP_ARGS(counts), &job->added[slot], error);
    trp_ref_release(&counts); /* the call holds it */
    job->pieces++;
    job->bytes += size;
    show_progress(job);
    return err;
}

static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* What can be counted of `size` bytes: all up to the last word, which may go on; 0: it is one word. */
static size_t
whole_words(const char *text, size_t size)
{
    while (size > 0 && is_letter(text[size - 1]))
        size--;
    return size;
}

/* Room for more than a piece, if one word fills it. */
static bool
grow(char **text, size_t *capacity)
{
    char *larger = realloc(*text, 2 * *capacity);
    if (larger == NULL)
        return false;
    *text = larger;
    *capacity *= 2;
    return true;
}

static trp_err
count_open_file(struct job *job, const char *path, FILE *file, trp_error *error)
{
    size_t capacity = PIECE, kept = 0, got;
    char *text = malloc(capacity);
    trp_err err = TRP_OK;
    bool memory = text != NULL;
    while (memory && err == TRP_OK && (got = fread(text + kept, 1, capacity - kept, file)) > 0) {
        size_t size = kept + got, end = whole_words(text, size);
        if (end == 0) {
            kept = size;
            memory = kept < capacity || grow(&text, &capacity);
            continue;
        }
        err = add_piece(job, text, end, error);
        kept = size - end;
        memmove(text, text + end, kept);
    }
    if (memory && err == TRP_OK && kept > 0)
        err = add_piece(job, text, kept, error);
    if (!memory || ferror(file))
        cannot_read(job, path, memory ? errno : ENOMEM);
    free(text);
    return err;
}

static trp_err
count_files(struct job *job, trp_error *error)
{
    trp_err err = TRP_OK;
    for (size_t i = 0; i < job->file_count && err == TRP_OK; i++) {
        FILE *file = fopen(job->files[i], "rbe");
        if (file == NULL) {
            cannot_read(job, job->files[i], errno);
            continue;
        }
        err = count_open_file(job, job->files[i], file, error);
        fclose(file);
        job->file_done++;
        show_progress(job);
    }
    for (size_t i = 0; i < WINDOW && err == TRP_OK; i++)
        if (job->added[i] != NULL)
            err = trp_get(job->added[i], TRP_FOREVER, NULL, error);
    if (job->progress)
        fprintf(stderr, "\r\033[K");
    return err;
}

/* --------------------------------------------------------------------------------------------------------------- results */

static trp_err
print_words(trp_value result, bool all, trp_error *error)
{
    trp_value top = trp_field(result, "top");
    TRP_TRY(trp_check(top, "[(si)]", error));
    for (size_t i = 0; i < top.size; i++)
        printf("%7" PRId64 " %s\n", trp_as_i64(trp_at(trp_at(top, i), 1)), trp_as_str(trp_at(trp_at(top, i), 0)));
    if (!all)
        printf("%" PRId64 " words, %" PRId64 " different ones\n", trp_as_i64(trp_field(result, "total")),
               trp_as_i64(trp_field(result, "distinct")));
    return TRP_OK;
}

/* The tallies go from the actors to a task, which makes one list of them. */
static trp_err
print_result(struct job *job, int64_t shown, trp_error *error)
{
    trp_ref *counts[TALLIES] = {NULL}, *merged = NULL;
    trp_value result;
    trp_err err = TRP_OK;
    for (int i = 0; i < TALLIES && err == TRP_OK; i++)
        err = trp_call(job->tallies[i], "counts", TRP_NOARGS, &counts[i], error);
    if (err == TRP_OK)
        err = trp_task(job->rt, "wordcount:top", TRP_ARGS(shown, counts[0], counts[1], counts[2], counts[3]), &merged,
                       error);
    if (err == TRP_OK)
        err = trp_get(merged, TRP_FOREVER, &result, error);
    if (err == TRP_OK)
        err = print_words(result, shown < 0, error);
    for (int i = 0; i < TALLIES; i++)
        trp_ref_release(&counts[i]);
    trp_ref_release(&merged);
    return err;
}

static trp_err
print_figures(struct job *job, double began_s, trp_error *error)
{
    trp_ref *ref = NULL;
    trp_value nodes;
    int64_t hosts = 0;
    trp_err err = trp_query(job->rt, "nodes", &ref, error);
    if (err == TRP_OK)
        err = trp_get(ref, 10000, &nodes, error);
    for (size_t i = 0; err == TRP_OK && i < nodes.size; i++)
        hosts += trp_as_i64(trp_field(trp_at(nodes, i), "hosts"));
    for (int i = 0; err == TRP_OK && i < job->path_count; i++)
        printf("%s%s%s", i == 0 ? "counted in " : ", ", job->paths[i], i + 1 == job->path_count ? "\n" : "");
    if (err == TRP_OK)
        printf("%zu files, %.1f MB, %" PRIu64 " tasks and %d actors in %" PRId64 " hosts, %.2f s\n", job->file_done,
               (double)job->bytes / 1e6, job->pieces + 1, (int)TALLIES, hosts, now_s() - began_s);
    trp_ref_release(&ref);
    return err;
}

static trp_err
run(struct job *job, int64_t shown, trp_error *error)
{
    double began_s = now_s();
    trp_err err = TRP_OK;
    for (int i = 0; i < TALLIES && err == TRP_OK; i++)
        err = trp_spawn(job->rt, "wordcount:Tally", TRP_NOARGS, NULL, &job->tallies[i], error);
    if (err == TRP_OK)
        err = count_files(job, error);
    const bool complete = !job->missed; /* a count of less than was asked for is none */
    if (err == TRP_OK && complete)
        err = print_result(job, shown, error);
    if (err == TRP_OK && complete && shown >= 0)
        err = print_figures(job, began_s, error);
    for (int i = 0; i < WINDOW; i++)
        trp_ref_release(&job->added[i]);
    for (int i = 0; i < TALLIES; i++)
        trp_actor_release(&job->tallies[i]);
    return err;
}

/* ------------------------------------------------------------------------------------------------------------------ main */

static int
usage(bool asked)
{
    fprintf(asked ? stdout : stderr,
            "usage: wordcount [--all | --top N] [PATH...]\n\n"
            "Counts the words of files, and of all files in directories (%s).\n"
            "  --top N   shows the N most frequent words (%d)\n"
            "  --all     shows every word and nothing else\n\n"
            "Exit status: 0 done, 1 failed, or something could not be read: then nothing is shown, 2 wrong usage.\n",
            default_path, (int)SHOWN);
    return asked ? 0 : 2;
}

/* Reads the options: the index of the first path, or -1. */
static int
read_options(int argc, char **argv, int64_t *shown)
{
    int at = 1;
    for (; at < argc && argv[at][0] == '-' && argv[at][1] != '\0'; at++) {
        char *end = NULL;
        if (strcmp(argv[at], "--") == 0)
            return at + 1;
        if (strcmp(argv[at], "--all") == 0) {
            *shown = -1;
        } else if (strcmp(argv[at], "--top") == 0 && at + 1 < argc) {
            *shown = strtol(argv[++at], &end, 10);
            if (end == argv[at] || *end != '\0' || *shown < 0)
                return -1;
        } else {
            return -1;
        }
    }
    return at;
}

int
main(int argc, char **argv)
{
    struct job job = {.progress = isatty(2) == 1};
    int64_t shown = SHOWN;
    trp_error error;
    trp_config config = {.node = {.module_path = module_path()}};
    int first = read_options(argc, argv, &shown);
    if (wants_help(argc, argv) || first < 0)
        return usage(wants_help(argc, argv));
    char *defaults[] = {(char *)default_path};
    job.paths = first < argc ? argv + first : defaults;
    job.path_count = first < argc ? argc - first : 1;
    for (int i = 0; i < job.path_count; i++)
        find_files(&job, job.paths[i], 0);
    if (job.missed) { /* a count of less than was asked for is none */
        free_files(&job);
        return 1;
    }
    trp_err err = trp_init(&config, &job.rt, &error);
    if (err == TRP_OK)
        err = run(&job, shown, &error);
    if (err != TRP_OK)
        fprintf(stderr, "wordcount: %s\n", error.message);
    trp_shutdown(&job.rt);
    free_files(&job);
    return err != TRP_OK || job.missed ? 1 : 0;
}
