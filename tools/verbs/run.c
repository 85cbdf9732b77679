/*
 * run.c - `troupe run`: a program as a driver on this node. One thread.
 */
#include "tools/verbs/verbs.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/cli/home.h"

enum { EXIT_NOT_RUN = 126, EXIT_NOT_FOUND = 127, EXIT_SIGNAL = 128 };

static volatile sig_atomic_t child;

static void
hand_on(int number)
{
    if (child > 0)
        (void)kill((pid_t)child, number);
}

static void
become(char **words)
{
    (void)signal(SIGPIPE, SIG_DFL);
    (void)execvp(words[0], words);
    _exit(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUN);
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

/* The words after the verb, NULL behind the last one, are args->operands: tri_cli_run has room for it. */
static int
run_program(struct tri_cli *cli, const struct tri_args *args, const char *directory)
{
    const char *program = args->operands[0];
    int status;
    pid_t pid;

    (void)fflush(cli->out);
    (void)signal(SIGCHLD, SIG_DFL);
    pid = fork();
    if (pid < 0)
        return tri_fail_text(cli, "another process cannot be started: %s", strerror(errno));
    if (pid == 0) {
        (void)setenv("TROUPE_DIR", directory, 1);
        become(args->operands);
    }
    status = await_program(pid);
    if (WIFSIGNALED(status)) {
        if (WTERMSIG(status) != SIGINT && WTERMSIG(status) != SIGPIPE)
            (void)tri_fail_text(cli, "%.200s was ended by signal %d (%s)", program, WTERMSIG(status),
                                strsignal(WTERMSIG(status)));
        return EXIT_SIGNAL + WTERMSIG(status);
    }
    return WEXITSTATUS(status);
}

/* Whether it would be found and could be run, so that its own 126 and 127 are told from ours. */
static int
check_program(struct tri_cli *cli, const char *program)
{
    const char *path = getenv("PATH");
    char file[4096];

    if (program[0] == '\0')
        return tri_refuse(cli, "PROGRAM is empty");
    if (strchr(program, '/') != NULL) {
        if (access(program, X_OK) == 0)
            return TRI_EXIT_OK;
        const int why = errno;
        (void)tri_fail_file(cli, program, why);
        return why == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUN;
    }
    for (; path != NULL && *path != '\0'; path += strspn(path, ":")) {
        const int size = (int)strcspn(path, ":");
        (void)snprintf(file, sizeof file, "%.*s/%s", size, path, program);
        if (access(file, X_OK) == 0)
            return TRI_EXIT_OK;
        path += size;
    }
    (void)tri_fail_text(cli, "no program is called '%.200s'; one that is not in $PATH is named with its directory",
                        program);
    return EXIT_NOT_FOUND;
}

static int
run_run(struct tri_cli *cli, const struct tri_args *args)
{
    struct tri_home home;
    int exit_code = tri_home_look(cli, &home);

    if (exit_code == TRI_EXIT_OK && home.pid == 0)
        return tri_refuse_empty(cli, home.directory);
    if (exit_code == TRI_EXIT_OK)
        exit_code = check_program(cli, args->operands[0]);
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    tri_tell(cli, "runs %s on the node at %s", args->operands[0], home.directory);
    return run_program(cli, args, home.directory);
}

static const char *const run_words[] = {TRI_WORD_FILE, NULL};

const struct tri_verb tri_verb_run = {
    .name = "run",
    .group = "Nodes",
    .about = "runs a program on this node: what it prints and what its actors print",
    .operands = "PROGRAM [ARG...]",
    .words = run_words,
    .flags = TRI_NEEDS_NODE | TRI_REST_IS_GIVEN,
    .more = "The program gets the node in $TROUPE_DIR, where trp_init looks for it. The exit status is the program's; "
            "126 and\n"
            "127 if it cannot be run or is not found, 128 and the signal's number if it was killed.\n",
    .run = run_run,
};
