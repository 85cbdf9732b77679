/*
 * troupe.c - the command: the table of verbs. One thread. It must not know what verbs do.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "bench/limits/limits.h"
#include "tools/bench/bench.h"
#include "tools/cli/options.h"
#include "tools/verbs/verbs.h"

/* In the order of `troupe help`: a group comes where its first verb is. */
/* clang-format off */
static const struct tri_verb *const verbs[] = {
    &tri_verb_start,
    &tri_verb_stop,
    &tri_verb_status,
    &tri_verb_run,
    &tri_verb_logs,
    &tri_verb_doctor,
    &tri_verb_call,
    &tri_verb_send,
    &tri_verb_task,
    &tri_verb_put,
    &tri_verb_get,
    &tri_verb_wait,
    &tri_verb_cancel,
    &tri_verb_drop,
    &tri_verb_spawn,
    &tri_verb_kill,
    &tri_verb_watch,
    &tri_verb_ls,
    &tri_verb_describe,
    &tri_verb_why,
    &tri_verb_top,
    &tri_verb_trace,
    &tri_verb_module_new,
    &tri_verb_module_build,
    &tri_verb_module_inspect,
    &tri_verb_module_test,
    &tri_verb_sh,
    &tri_verb_bench,
    &tri_verb_config_show,
    &tri_verb_version,
    &tri_verb_help,
    &tri_verb_complete,
    NULL,
};
/* clang-format on */

/* A standard descriptor that is closed would become the next socket, and be written to. */
static void
hold_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY); /* so that reading or writing fails */
}

/* `troupe --version` and `troupe --help` are verbs, too. */
static char *
verb_of_option(char *word)
{
    static char version[] = "version", help[] = "help";

    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
        return version;
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return help;
    return word;
}

int
main(int argc, char **argv)
{
    struct tri_cli cli;
    int exit_code = 0;

    if (tri_limit_role(argc, argv, &exit_code) || tri_bench_role(argc, argv, &exit_code))
        return exit_code;
    hold_descriptors();
    (void)signal(SIGPIPE, SIG_IGN); /* a write says so, too */
    tri_cli_init(&cli, verbs);
    if (argc < 2) {
        cli.out = stderr;
        tri_help_all(&cli);
        return TRI_EXIT_USAGE;
    }
    argv[1] = verb_of_option(argv[1]);
    if (argv[1][0] == '-')
        return tri_refuse(&cli, "'%.100s' stands before the verb; options come after it: troupe VERB [OPTION...]",
                          argv[1]);
    tri_cli_exit(&cli, tri_cli_run(&cli, argc - 1, argv + 1));
}
