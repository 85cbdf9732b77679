/* test_top.c - `troupe top`: its figures, its command line, and the terminal, which is as it was however it is left. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "tests/tools/command.h"

enum { WAIT_S = 20, SAID_SIZE = 64 * 1024 };

TestSuite(top, .init = command_begin_node, .fini = command_end, .timeout = 60);

Test(top, text_and_json_have_each_process_with_its_queue)
{
    static const struct command_row rows[] = {
        {"troupe spawn play:Stage --name s", 0, NULL, ""},
        {"troupe call s wait --async", 0, NULL, ""},
        {"troupe top --once -d 20ms", 0,
         "*: 0 of 2 CPUs held, 2 actors, * processes, * object*; *% CPU\n* calls/s over 0.0 s, * pending, 0 tasks "
         "queued\n\n"
         "KIND *PID  CALLS/S  PENDING  RUNNING  CPU%  MEMORY  NAME\n*actor * 1        1 *M  s\n*",
         ""},
        {"troupe top --once -d 20ms -s name", 0, "*NAME\n*  s\n*  troupe\n*  troupe-broker\n*  troupe-node\n*", ""},
        {"troupe top -n 2 -d 20ms", 0, "*KIND *\n\n*KIND *", ""},
        {"troupe top -n 2 -d 20ms --json | wc -l", 0, "2\n", ""},
        {"troupe top --once -d 20ms --json", 0,
         "{\"time\": *, \"over_s\": *, \"node\": {\"name\": *}, \"processes\": [*{\"kind\": \"actor\", \"name\": "
         "\"default/s\", "
         "\"class\": \"play:Stage\", \"actor\": \"*\", \"pid\": *, \"state\": \"ready\", \"calls\": 0, "
         "\"calls_per_s\": 0.0, "
         "\"pending\": 1, \"given\": 1, \"running\": 1, *\n",
         ""},
        {"troupe task play:echo 1 && troupe task play:echo 1 && troupe top --once -d 20ms --json", 0,
         "1\n1\n*\"kind\": \"tasks\", *\"calls\": 2, *", ""},
        {"troupe top --once -d 20ms -q", 0, "", ""},
        {"troupe top -d 20ms >/dev/full", 1, "", "troupe top: its output cannot be written: No space left on device\n"},
        {"{ troupe top -d 20ms; echo $? >&2; } | head -1", 0, "*", "141\n"},
    };
    COMMAND_RUN(rows);
}

Test(top, what_is_wrong_is_refused)
{
    static const struct command_row rows[] = {
        {"troupe top x", 2, "", "troupe top: takes no arguments, got 'x'\n"},
        {"troupe top -n 0", 2, "", "troupe top: --iterations needs a number from 1 to 2147483647, got '0'\n"},
        {"troupe top -n many", 2, "", "troupe top: --iterations needs a number from 1 to 2147483647, got 'many'\n"},
        {"troupe top -n", 2, "", "troupe top: --iterations needs a value: --iterations N\n"},
        {"troupe top --interval 0", 2, "", "troupe top: --interval is 0; it has to be 10ms to 24h\n"},
        {"troupe top --interval 2d", 2, "", "troupe top: --interval is 2d; it has to be 10ms to 24h\n"},
        {"troupe top --interval soon", 2, "",
         "troupe top: --interval needs a time such as 5 (seconds), 200ms, 2m or 1h, got 'soon'\n"},
        {"troupe top --sort cpuu", 2, "", "troupe top: unknown order 'cpuu'; did you mean 'cpu'?\n"},
        {"troupe top --sort size", 2, "", "troupe top: unknown order 'size'; `troupe top --help` lists them\n"},
        {"troupe top --once -n 3", 2, "", "troupe top: --once and --iterations are not for the same command\n"},
        {"troupe top --dir nowhere", 9, "", "troupe top: no node runs at nowhere; start one with `troupe start`\n"},
    };
    COMMAND_RUN(rows);
}

/* ---------------------------------------------------------------------------------------------------------- a terminal */

struct terminal {
    int master, slave;
    pid_t pid;
    struct termios before;
    char said[SAID_SIZE];
    size_t size;
};

static void
be_top(void)
{
    (void)execlp("troupe", "troupe", "top", "-d", "1h", (char *)NULL);
    _exit(127);
}

/* As a shell does: the command is a job of its own, which can be stopped. */
static void
be_shell(void)
{
    const pid_t job = fork();
    int status = 0;

    if (job == 0) {
        (void)setpgid(0, 0);
        (void)signal(SIGTTOU, SIG_IGN);
        (void)tcsetpgrp(0, getpid());
        (void)signal(SIGTTOU, SIG_DFL);
        be_top();
    }
    (void)waitpid(job, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 126);
}

/* Starts `troupe top` on a terminal of its own; nothing is drawn for an hour after its first look. */
static void
open_terminal(struct terminal *terminal, void (*run)(void))
{
    struct winsize size = {.ws_col = 100, .ws_row = 30};

    *terminal = (struct terminal){.master = -1};
    cr_assert_eq(openpty(&terminal->master, &terminal->slave, NULL, NULL, &size), 0);
    cr_assert_eq(tcgetattr(terminal->slave, &terminal->before), 0);
    terminal->pid = fork();
    if (terminal->pid == 0) {
        (void)setsid();
        (void)ioctl(terminal->slave, TIOCSCTTY, 0);
        for (int fd = 0; fd <= 2; fd++)
            (void)dup2(terminal->slave, fd);
        (void)setenv("TERM", "xterm", 1);
        run();
    }
    cr_assert_gt(terminal->pid, 0);
}

/* Until it has said that. */
static void
await(struct terminal *terminal, const char *text)
{
    const time_t until = time(NULL) + WAIT_S;
    struct pollfd ready = {.fd = terminal->master, .events = POLLIN};

    while (strstr(terminal->said, text) == NULL) {
        cr_assert_lt(time(NULL), until, "it did not say '%s' but: %s", text, terminal->said);
        if (poll(&ready, 1, 100) <= 0)
            continue;
        const ssize_t got = read(terminal->master, terminal->said + terminal->size, SAID_SIZE - 1 - terminal->size);
        cr_assert_gt(got, 0);
        terminal->size += (size_t)got;
        terminal->said[terminal->size] = '\0';
    }
}

static void
forget(struct terminal *terminal)
{
    terminal->size = 0;
    terminal->said[0] = '\0';
}

/* It has said so, and keys come as they did. */
static void
expect_restored(struct terminal *terminal)
{
    struct termios now;

    await(terminal, "\033[?25h\033[?1049l");
    cr_assert_eq(tcgetattr(terminal->slave, &now), 0);
    cr_expect_eq(now.c_lflag, terminal->before.c_lflag);
}

static int
ended(struct terminal *terminal)
{
    int status = 0;

    expect_restored(terminal);
    cr_assert_eq(waitpid(terminal->pid, &status, 0), terminal->pid);
    (void)close(terminal->master);
    (void)close(terminal->slave);
    return status;
}

static struct terminal terminal;

Test(top, q_leaves_the_terminal_as_it_was)
{
    open_terminal(&terminal, be_top);
    await(&terminal, "\033[?1049h\033[?25l");
    await(&terminal, "NAME");
    cr_assert_eq(write(terminal.master, "q", 1), 1);
    const int status = ended(&terminal);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%d", status);
}

Test(top, signals_leave_the_terminal_as_it_was)
{
    static const struct {
        int number;
        char key;
    } rows[] = {{SIGINT, 3}, {SIGINT, 0}, {SIGTERM, 0}, {SIGHUP, 0}, {SIGQUIT, 28}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        open_terminal(&terminal, be_top);
        await(&terminal, "NAME");
        if (rows[i].key != 0)
            cr_assert_eq(write(terminal.master, &rows[i].key, 1), 1);
        else
            cr_assert_eq(kill(terminal.pid, rows[i].number), 0);
        const int status = ended(&terminal);
        cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == rows[i].number, "%zu: %d", i, status);
    }
}

Test(top, a_terminal_of_another_size_is_drawn_at_once)
{
    const struct winsize narrow = {.ws_col = 34, .ws_row = 6};

    open_terminal(&terminal, be_top);
    await(&terminal, "NAME");
    await(&terminal, "troupe-node");
    forget(&terminal);
    cr_assert_eq(ioctl(terminal.master, TIOCSWINSZ, &narrow), 0);
    await(&terminal, "\033[J");
    cr_expect_not_null(strstr(terminal.said, "KIND "), "%s", terminal.said);
    cr_expect_null(strstr(terminal.said, "NAME"), "%s", terminal.said);
    cr_assert_eq(write(terminal.master, "q", 1), 1);
    cr_expect_eq(ended(&terminal), 0);
}

/* Whether the terminal's job is stopped. */
static bool
is_stopped(pid_t pid)
{
    char path[64], text[512], *at;
    FILE *file;

    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    file = fopen(path, "r");
    cr_assert_not_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    at = strrchr(text, ')');
    return at != NULL && at[2] == 'T';
}

Test(top, what_is_stopped_gives_the_terminal_back_and_takes_it_again)
{
    const time_t until = time(NULL) + WAIT_S;
    struct termios now;

    open_terminal(&terminal, be_shell);
    await(&terminal, "NAME");
    const pid_t job = tcgetpgrp(terminal.master);
    for (int i = 0; i < 2; i++) {
        forget(&terminal);
        cr_assert_eq(write(terminal.master, "\032", 1), 1); /* Ctrl-Z */
        expect_restored(&terminal);
        while (!is_stopped(job))
            cr_assert_lt(time(NULL), until);
        cr_assert_eq(kill(-job, SIGCONT), 0);
        await(&terminal, "\033[?1049h\033[?25l");
        await(&terminal, "NAME");
        cr_assert_eq(tcgetattr(terminal.slave, &now), 0);
        cr_expect_neq(now.c_lflag, terminal.before.c_lflag);
    }
    forget(&terminal);
    cr_assert_eq(write(terminal.master, "q", 1), 1);
    cr_expect_eq(ended(&terminal), 0);
}
