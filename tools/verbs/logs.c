/*
 * logs.c - `troupe logs`: the end of the node's log, and what is added to it. One thread. It asks no broker.
 */
#include "tools/verbs/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/cli/home.h"

enum { LINES = 50, LINES_MOST = 1000000000, CHUNK = 65536 };

/* Where the last `lines` lines begin. */
static off_t
find_start(int fd, off_t size, int64_t lines)
{
    char chunk[CHUNK];
    int64_t left = lines + 1; /* the last one's end is the file's */

    if (lines == 0)
        return size;

    for (off_t end = size; end > 0;) {
        const size_t want = end < CHUNK ? (size_t)end : CHUNK;
        const ssize_t got = pread(fd, chunk, want, end - (off_t)want);
        if (got != (ssize_t)want)
            return 0;
        for (size_t i = want; i > 0; i--) {
            const off_t at = end - (off_t)want + (off_t)i;
            if (chunk[i - 1] != '\n' && at == size)
                left--; /* a last line without an end */
            if (chunk[i - 1] == '\n' && --left == 0)
                return at;
        }
        end -= (off_t)want;
    }
    return 0;
}

/* Copies what is there from *at on. 0, or the exit code. */
static int
copy(struct tri_cli *cli, const char *path, int fd, off_t *at)
{
    char chunk[CHUNK];
    ssize_t got;
    int exit_code = TRI_EXIT_OK;

    while (exit_code == TRI_EXIT_OK && !tri_stopped() && (got = pread(fd, chunk, sizeof chunk, *at)) != 0) {
        if (got < 0)
            return tri_fail_file(cli, path, errno);
        *at += got;
        if (!cli->quiet)
            (void)fwrite(chunk, 1, (size_t)got,
                         cli->out); /* whatever it holds; tri_flush looks whether it was written */
        exit_code = tri_flush(cli);
    }
    return exit_code;
}

static bool
is_another(const char *path, int fd)
{
    struct stat ours, theirs;

    return stat(path, &theirs) == 0 && fstat(fd, &ours) == 0 &&
           (ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev);
}

/* Until Ctrl-C, or nobody reads any more. A file that was cut is read from its beginning, and so is one that took its place. */
static int
follow(struct tri_cli *cli, const char *path, int *fd, off_t at)
{
    struct pollfd poller = {.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), .events = POLLIN};
    char events[4096], directory[512];
    struct stat status;
    int exit_code = TRI_EXIT_OK;

    (void)snprintf(directory, sizeof directory, "%s", path);
    *strrchr(directory, '/') = '\0';
    if (poller.fd < 0 || inotify_add_watch(poller.fd, path, IN_MODIFY) < 0 ||
        inotify_add_watch(poller.fd, directory[0] != '\0' ? directory : "/", IN_CREATE | IN_MOVED_TO) < 0)
        exit_code = tri_fail_text(cli, "%s cannot be watched: %s", path, strerror(errno));
    while (exit_code == TRI_EXIT_OK && !tri_stopped()) {
        if (is_another(path, *fd)) {
            (void)close(*fd);
            *fd = open(path, O_RDONLY | O_CLOEXEC);
            at = 0;
            (void)inotify_add_watch(poller.fd, path, IN_MODIFY);
        }
        if (*fd >= 0 && fstat(*fd, &status) == 0 && status.st_size < at)
            at = 0;
        exit_code = *fd >= 0 ? copy(cli, path, *fd, &at) : TRI_EXIT_OK;
        if (exit_code == TRI_EXIT_OK && poll(&poller, 1, 100) > 0)
            while (read(poller.fd, events, sizeof events) > 0)
                continue;
    }
    if (poller.fd >= 0)
        (void)close(poller.fd);
    return exit_code == TRI_EXIT_OK ? TRI_EXIT_STOPPED : exit_code;
}

static int
show(struct tri_cli *cli, const char *path, int64_t lines, bool follows)
{
    struct stat status;
    off_t at = 0;
    int exit_code;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return tri_fail_file(cli, path, errno);
    if (fstat(fd, &status) == 0)
        at = find_start(fd, status.st_size, lines);
    exit_code = copy(cli, path, fd, &at);
    if (exit_code == TRI_EXIT_OK && tri_stopped())
        exit_code = TRI_EXIT_STOPPED;
    else if (exit_code == TRI_EXIT_OK && follows)
        exit_code = follow(cli, path, &fd, at);
    if (fd >= 0)
        (void)close(fd);
    return exit_code;
}

static int
run_logs(struct tri_cli *cli, const struct tri_args *args)
{
    const char *text = tri_option(args, "lines"), *what = NULL;
    struct tri_home home;
    char path[512];
    int64_t lines = LINES;
    int exit_code = tri_home_look(cli, &home);

    if (exit_code == TRI_EXIT_OK && text != NULL)
        exit_code = tri_take_number(cli, "--lines", text, 0, LINES_MOST, &lines);
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    tri_home_log(&home, path, sizeof path, &what);
    if (what != NULL && home.pid == 0)
        return tri_refuse_empty(cli, home.directory);
    if (what != NULL)
        return tri_fail_text(
            cli, "the log of the node at %s goes %s; `troupe start --daemon` or --log-file has it in a file",
            home.directory, what);
    tri_stop_watch();
    tri_tell(cli, "%s", path);
    return show(cli, path, lines, tri_option(args, "follow") != NULL);
}

static const struct tri_option logs_options[] = {
    {"follow", 'f', NULL, "goes on with what is added, until Ctrl-C", NULL},
    {"lines", 'n', "N", "the last N lines; else 50", NULL},
    {0},
};

const struct tri_verb tri_verb_logs = {
    .name = "logs",
    .group = "Nodes",
    .about = "prints the end of the node's log",
    .options = logs_options,
    .flags = TRI_NEEDS_NODE,
    .more = "The log is the file that the node writes, or that the last one left in its directory.\n",
    .run = run_logs,
};
