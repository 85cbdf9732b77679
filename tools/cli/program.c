/*
 * program.c - another program, run by a verb: found, started with a variable more, and waited for. One thread.
 */
#include "tools/cli/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_NOT_RUN = 126, EXIT_NOT_FOUND = 127, EXIT_SIGNAL = 128 };

static volatile sig_atomic_t child;

static void
hand_on(int number)
{
    if (child > 0)
        (void)kill((pid_t)child, number);
}

/* Where it cannot, `fd` gets the reason; else it is closed. */
static void
become(char **words, int fd)
{
    int why;

    (void)signal(SIGPIPE, SIG_DFL);
    (void)execvp(words[0], words);
    why = errno;
    (void)!write(fd, &why, sizeof why); /* unsaid, the exit code is left */
    _exit(EXIT_NOT_RUN);
}

/* Who presses Ctrl-C means the program, which gets it from the terminal, too. */
static int
await_program(pid_t pid)
{
    struct sigaction ignored = {.sa_handler = SIG_IGN}, handed = {.sa_handler = hand_on, .sa_flags = SA_RESTART};
    struct sigaction before[3];
    int status = 0;

    child = pid;
    (void)sigaction(SIGINT, &ignored, &before[0]);
    (void)sigaction(SIGQUIT, &ignored, &before[1]);
    (void)sigaction(SIGTERM, &handed, &before[2]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    child = 0;
    (void)sigaction(SIGINT, &before[0], NULL);
    (void)sigaction(SIGQUIT, &before[1], NULL);
    (void)sigaction(SIGTERM, &before[2], NULL);
    return status;
}

/* It was there when it was looked for: what is not there now is what it is run by. */
static int
tell_not_run(struct tri_cli *cli, const char *program, int why)
{
    if (why == ENOENT)
        return tri_fail_text(cli, "%.200s needs an interpreter that is not there; its first line names it", program);
    return tri_fail_file(cli, program, why);
}

int
tri_program_run(struct tri_cli *cli, char **words, const char *variable, const char *value)
{
    const char *program = words[0];
    int status, fds[2], why = 0;
    ssize_t got;
    pid_t pid;

    (void)fflush(cli->out);
    (void)signal(SIGCHLD, SIG_DFL);
    if (pipe2(fds, O_CLOEXEC) != 0)
        return tri_fail_file(cli, "a pipe", errno);
    pid = fork();
    if (pid == 0) {
        (void)setenv(variable, value, 1);
        become(words, fds[1]);
    }
    (void)close(fds[1]);
    if (pid < 0) {
        (void)close(fds[0]);
        return tri_fail_text(cli, "another process cannot be started: %s", strerror(errno));
    }
    status = await_program(pid);
    got = read(fds[0], &why, sizeof why);
    (void)close(fds[0]);
    if (got == (ssize_t)sizeof why) {
        (void)tell_not_run(cli, program, why);
        return EXIT_NOT_RUN;
    }
    if (WIFSIGNALED(status)) {
        if (WTERMSIG(status) != SIGINT && WTERMSIG(status) != SIGPIPE)
            (void)tri_fail_text(cli, "%.200s was ended by signal %d (%s)", program, WTERMSIG(status),
                                strsignal(WTERMSIG(status)));
        return EXIT_SIGNAL + WTERMSIG(status);
    }
    return WEXITSTATUS(status);
}

static bool
is_directory(const char *path)
{
    struct stat stat_of;

    return stat(path, &stat_of) == 0 && S_ISDIR(stat_of.st_mode);
}

int
tri_program_check(struct tri_cli *cli, const char *program)
{
    const char *path = getenv("PATH");
    char file[4096];

    if (strchr(program, '/') != NULL) {
        const int why = access(program, X_OK) != 0 ? errno : is_directory(program) ? EISDIR : 0;
        if (why == 0)
            return TRI_EXIT_OK;
        (void)tri_fail_file(cli, program, why);
        return why == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUN;
    }
    for (; path != NULL && *path != '\0'; path += strspn(path, ":")) {
        const int size = (int)strcspn(path, ":");
        (void)snprintf(file, sizeof file, "%.*s/%s", size, path, program);
        if (access(file, X_OK) == 0 && !is_directory(file))
            return TRI_EXIT_OK;
        path += size;
    }
    (void)tri_fail_text(cli, "no program is called '%.200s'; one that is not in $PATH is named with its directory",
                        program);
    return EXIT_NOT_FOUND;
}
