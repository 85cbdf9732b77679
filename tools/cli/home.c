/*
 * home.c - see home.h. A root holds a lock (flock) on DIR/lock as long as it lives, and DIR/node.pid has its number.
 */
#include "tools/cli/home.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tools/cli/settings.h"

static int
open_in(const char *directory, const char *name)
{
    char path[512];

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

/* Its number as the file has it; it may be of a node that was killed. */
static pid_t
read_pid(const char *directory, bool *ending)
{
    char text[64] = "", *end = NULL;
    const int fd = open_in(directory, "node.pid");
    long pid;

    *ending = false;
    if (fd < 0)
        return 0;
    if (read(fd, text, sizeof text - 1) <= 0)
        text[0] = '\0';
    (void)close(fd);
    pid = strtol(text, &end, 10);
    *ending = strstr(end, "ending") != NULL;
    return pid > 0 && pid <= 1 << 22 ? (pid_t)pid : 0;
}

/* Shared, and only for a moment: a node that starts meanwhile tries again. */
bool
tri_node_is_there(const char *directory)
{
    const int fd = open_in(directory, "lock");
    bool locked;

    if (fd < 0)
        return false;
    locked = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    (void)close(fd);
    return locked;
}

static void
look(struct tri_home *home)
{
    const pid_t pid = read_pid(home->directory, &home->ending);

    if (tri_node_is_there(home->directory))
        home->pid = pid;
    else
        home->is_stale = pid > 0;
}

int
tri_home_look(struct tri_cli *cli, struct tri_home *home)
{
    int exit_code;

    *home = (struct tri_home){.pid = 0};
    exit_code = tri_directory_of(cli, home->directory, sizeof home->directory);
    if (exit_code == TRI_EXIT_OK)
        look(home);
    return exit_code;
}

/* What speaks the protocol there need not be a node. */
bool
tri_node_has_door(const char *directory)
{
    char path[512];

    (void)snprintf(path, sizeof path, "%s/door", directory);
    return tri_node_is_there(directory) || (access(path, F_OK) == 0 && !tri_node_has_died(directory));
}

bool
tri_node_has_died(const char *directory)
{
    bool ending;

    return read_pid(directory, &ending) > 0 && !tri_node_is_there(directory);
}

void
tri_home_log(const struct tri_home *home, char *path, size_t size, const char **what)
{
    char link[64];
    struct stat status;
    ssize_t got = -1;

    *what = NULL;
    if (home->pid > 0) {
        (void)snprintf(link, sizeof link, "/proc/%d/fd/2", (int)home->pid);
        got = readlink(link, path, size - 1);
    }
    if (home->pid == 0 || got < 0) { /* what it left, or would write */
        (void)snprintf(path, size, "%s/log", home->directory);
        if (access(path, F_OK) != 0)
            *what = "nowhere";
    } else if (path[got] = '\0', stat(link, &status) == 0 && S_ISREG(status.st_mode)) {
        return;
    } else {
        *what = S_ISSOCK(status.st_mode)   ? "to the journal, which `journalctl` shows"
                : S_ISFIFO(status.st_mode) ? "to the program that started it"
                                           : "to the terminal that it was started on";
    }
    if (*what != NULL)
        path[0] = '\0';
}

double
tri_home_age(const struct tri_home *home)
{
    char path[64];
    struct stat status;
    struct timespec now;

    (void)snprintf(path, sizeof path, "/proc/%d", (int)home->pid);
    if (home->pid == 0 || stat(path, &status) != 0 || clock_gettime(CLOCK_REALTIME, &now) != 0)
        return -1;
    return (double)(now.tv_sec - status.st_mtim.tv_sec) + (double)(now.tv_nsec - status.st_mtim.tv_nsec) / 1e9;
}

int
tri_node_program(struct tri_cli *cli, char *path, size_t size)
{
    const char *given = getenv("TROUPE_NODE");
    char own[512];

    if (given != NULL && given[0] != '\0') {
        if (snprintf(path, size, "%s", given) < (int)size && access(path, X_OK) == 0)
            return TRI_EXIT_OK;
        return tri_fail_text(cli, "$TROUPE_NODE is '%.400s', which cannot be run: %s", given, strerror(errno));
    }
    tri_own_directory(own, sizeof own);
    if (snprintf(path, size, "%s/troupe-node", own) < (int)size && access(path, X_OK) == 0)
        return TRI_EXIT_OK;
    return tri_fail_text(cli, "the program troupe-node is not beside this one, in %.400s; $TROUPE_NODE can name it",
                         own);
}
