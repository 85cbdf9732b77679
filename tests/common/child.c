/* child.c - see child.h. */
#include "tests/common/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAIT_MS = 20000, ARGUMENTS_MAX = 32 };

static _Noreturn void
become(const char *const *argv, int out, pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent) /* it may have gone meanwhile */
        _exit(127);
    if (out >= 0)
        (void)dup2(out, STDOUT_FILENO);
    (void)execv(argv[0], (char *const *)(uintptr_t)argv);
    (void)fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

pid_t
child_start(const char *const *argv, int *out)
{
    const pid_t self = getpid();
    int ends[2] = {-1, -1};

    if (out != NULL && pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    const pid_t pid = fork();
    if (pid == 0)
        become(argv, ends[1], self);
    if (out == NULL)
        return pid;
    (void)close(ends[1]);
    if (pid < 0)
        (void)close(ends[0]);
    else
        *out = ends[0];
    return pid;
}

bool
child_is_ready(int out, char *line, size_t size)
{
    struct pollfd poller = {.fd = out, .events = POLLIN};
    size_t used = 0;
    ssize_t got;

    line[0] = '\0';
    while (strchr(line, '\n') == NULL) {
        if (used + 1 >= size || poll(&poller, 1, WAIT_MS) != 1 || (got = read(out, line + used, size - 1 - used)) <= 0)
            return false;
        used += (size_t)got;
        line[used] = '\0';
    }
    return strncmp(line, "READY", 5) == 0;
}

pid_t
child_start_node(const char *directory, const char *const *more, char *line, size_t size)
{
    const char *argv[ARGUMENTS_MAX + 1] = {getenv("TROUPE_NODE"),    "--service", "--dir", directory, "--module-path",
                                           getenv("TRP_MODULE_PATH")};
    size_t count = 6;
    int out;

    for (; more != NULL && *more != NULL && count < ARGUMENTS_MAX; more++)
        argv[count++] = *more;
    (void)snprintf(line, size, "$TROUPE_NODE or $TRP_MODULE_PATH is not set");
    if (argv[0] == NULL || argv[5] == NULL)
        return -1;
    const pid_t pid = child_start(argv, &out);
    const bool ready = pid > 0 && child_is_ready(out, line, size);
    if (pid > 0)
        (void)close(out);
    if (pid > 0 && !ready)
        (void)child_end(pid);
    return ready ? pid : -1;
}

bool
child_end(pid_t pid)
{
    int status = 0;

    return kill(pid, SIGTERM) == 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
