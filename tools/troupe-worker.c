/*
 * troupe-worker.c - a worker host as a program of its own: for debuggers, and where the root cannot fork one that is warm. It
 * reads what the root would have handed over, and enters the same code. One thread until then.
 */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "actors/actors.h"

static int
usage(FILE *file)
{
    fprintf(file,
            "usage: troupe-worker --dir DIR --token NUMBER [--module-path PATH] [--progress FD] [--log-level LEVEL]\n\n"
            "Runs actors or tasks for the node in DIR. The node starts it; NUMBER is what the node expects it with.\n"
            "  --module-path  directories of modules, separated by ':' ($TRP_MODULE_PATH)\n"
            "  --progress     descriptor of the page that the node reads when this process has died\n"
            "  --log-level    error, warning (unless given), info or debug\n\n"
            "Exit status: 0 it ended in order, 1 the broker is gone, 2 wrong command line or a constructor failed.\n");
    return file == stdout ? 0 : 2;
}

static bool
read_number(const char *text, uint64_t *number)
{
    char *end = NULL;
    errno = 0;
    *number = strtoull(text, &end, 0);
    return errno == 0 && end != text && *end == '\0' && text[0] != '-';
}

static bool
read_level(const char *text, enum tri_level *level)
{
    static const char *const levels[] = {
        [TRI_ERROR] = "error", [TRI_WARNING] = "warning", [TRI_INFO] = "info", [TRI_DEBUG] = "debug"};
    for (unsigned i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcmp(text, levels[i]) == 0) {
            *level = (enum tri_level)i;
            return true;
        }
    return false;
}

struct options {
    struct tri_worker_start start;
    uint64_t progress_fd;
    bool has_token, has_progress;
};

/* One option and its argument. */
static bool
read_option(struct options *options, const char *name, const char *text)
{
    uint64_t number = 0;
    if (strcmp(name, "--dir") == 0) {
        options->start.directory = text;
        return true;
    }
    if (strcmp(name, "--module-path") == 0) {
        options->start.module_path = text;
        return true;
    }
    if (strcmp(name, "--log-level") == 0)
        return read_level(text, &options->start.log_level);
    if (!read_number(text, &number))
        return false;
    if (strcmp(name, "--token") == 0) {
        options->start.token = number;
        options->has_token = true;
        return true;
    }
    if (strcmp(name, "--progress") == 0) {
        options->progress_fd = number;
        options->has_progress = true;
        return number <= INT32_MAX;
    }
    return false;
}

/* The page that the root reads; or one that nobody does. */
static struct tri_progress *
map_progress(const struct options *options)
{
    int flags = options->has_progress ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
    int fd = options->has_progress ? (int)options->progress_fd : -1;
    void *page = mmap(NULL, TRI_PROGRESS_SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);
    return page == MAP_FAILED ? NULL : page;
}

int
main(int argc, char **argv)
{
    const struct sched_param batch = {0};
    struct options options = {.start = {.module_path = getenv("TRP_MODULE_PATH"), .log_level = TRI_WARNING}};
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(stdout);
    for (int i = 1; i < argc; i += 2)
        if (i + 1 >= argc || !read_option(&options, argv[i], argv[i + 1]))
            return usage(stderr);
    if (options.start.directory == NULL || !options.has_token)
        return usage(stderr);
    options.start.progress = map_progress(&options);
    if (options.start.progress == NULL) {
        fprintf(stderr, "troupe-worker: the progress page cannot be mapped: %s\n", strerror(errno));
        return 2;
    }
    (void)sched_setscheduler(0, SCHED_BATCH, &batch); /* as hosts that the root forks */
    return trp_worker_main(&options.start);
}
