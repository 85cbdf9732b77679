/* test_stops.c - Ctrl-C in each state, a node of another version, one that is not permitted, no terminal and a narrow one. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/common/child.h"
#include "tests/runtime/fake.h"
#include "tests/tools/command.h"

TestSuite(stops, .init = command_begin_stage, .fini = command_end, .timeout = 60);

/* Starts `troupe LINE` with its stderr in the file "err". */
static pid_t
start(const char *line)
{
    char script[512];

    (void)snprintf(script, sizeof script, "exec troupe %s >out 2>err", line);
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    const pid_t pid = child_start(argv, NULL);
    cr_assert_gt(pid, 0);
    return pid;
}

/* A line of /proc/PID/status: whether it is the command, no longer the shell before it; or has SIGINT in a mask of signals. */
static bool
is_troupe(const char *value)
{
    return strcmp(value, "troupe\n") == 0;
}

static bool
has_interrupt(const char *value)
{
    return (strtoull(value, NULL, 16) & 1u << (SIGINT - 1)) != 0;
}

static bool
status_says(pid_t pid, const char *name, bool (*says)(const char *value))
{
    const size_t size = strlen(name);
    char path[64], line[256];
    bool said = false;
    FILE *file;

    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, size) == 0 && line[size] == ':')
            said = says(line + size + 1 + strspn(line + size + 1, "\t "));
    if (file != NULL)
        (void)fclose(file);
    return said;
}

/* Until it catches the signal, and has caught what was sent. */
static void
await_catcher(pid_t pid)
{
    const time_t until = time(NULL) + 20;

    while (!status_says(pid, "Name", is_troupe) || !status_says(pid, "SigCgt", has_interrupt) ||
           status_says(pid, "ShdPnd", has_interrupt))
        cr_assert_lt(time(NULL), until);
}

/* A signal ended it, as a shell wants it; `said`: a pattern. */
static void
expect_interrupted(pid_t pid, const char *said)
{
    char text[1024];
    int status = 0;
    FILE *file;

    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT, "status %d", status);
    file = fopen("err", "r");
    cr_assert_not_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    cr_expect_eq(fnmatch(said, text, 0), 0, "%s", text);
}

/* What a method of the module has made in the test's directory, which is made again by the next one. */
static void
await_file(const char *name)
{
    const time_t until = time(NULL) + 20;

    while (access(name, F_OK) != 0)
        cr_assert_lt(time(NULL), until, "%s", name);
    (void)unlink(name);
}

#define CANCELLED(what) "cancelled: " what "; Ctrl-C once more does not wait for its end\n"

/* Those that the command has called are cancelled, others only left. `file`: that the method makes when it runs; NULL: none. */
Test(stops, the_first_ctrl_c_cancels_the_calls_of_a_command_and_ends_its_waits)
{
    static const struct command_row rows[] = {
        {"printf 'par {\n call s last %s\n call s wait\n}\n' $PWD >par", 0, "", ""},
        {"troupe spawn play:Stage --name t", 0, NULL, ""},
        {"troupe call t wait --name w", 0, NULL, ""},
    };
    static const struct {
        const char *line, *file, *said;
    } waits[] = {
        {"call s wait", NULL, "troupe call: " CANCELLED("s.wait")},
        {"get w", NULL, "troupe get: stopped waiting for w, which may go on\n"},
        {"wait w", NULL, "troupe wait: 0 of 1 have ended, 1 were waited for\n"},
        {"task play:echo %w", NULL, "troupe task: " CANCELLED("play:echo")},
        {"call s last $PWD", "runs", "troupe call: " CANCELLED("s.last")},
        {"sh par", "runs", "troupe call: " CANCELLED("the calls of par")},
        {"call s last $PWD --json", "runs",
         "{\"error\": {\"verb\": \"call\", \"exit\": 130, \"message\": \"last() of actor '*' left when it was "
         "cancelled\", "
         "\"remedy\": null, \"code\": \"TRP_ECANCELLED\", \"cause\": 42, \"ran\": \"yes\", \"actor\": \"s\", "
         "\"method\": \"last\", \"node\": \"*\"}}\n"},
    };
    static const struct command_row kept[] = {
        {"troupe ls kept", 0, "NAME*w *pending*", ""},
        {"troupe call t go 1", 0, "null\n", ""},
    };

    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        if (i == 1)
            COMMAND_RUN(rows); /* the call before has ended */
        const pid_t pid = start(waits[i].line);
        await_catcher(pid);
        if (waits[i].file != NULL)
            await_file(waits[i].file);
        (void)kill(pid, SIGINT);
        expect_interrupted(pid, waits[i].said);
        if (waits[i].file != NULL)
            await_file("seen");
    }
    COMMAND_RUN(kept);
}

Test(stops, what_ctrl_c_cancels_before_it_starts_never_runs)
{
    static const struct command_row rows[] = {{"troupe call s count", 0, "1\n", ""}};
    const pid_t running = start("call s last $PWD");

    await_catcher(running);
    await_file("runs");
    const pid_t waiting = start("call s count");
    await_catcher(waiting);
    (void)kill(waiting, SIGINT);
    expect_interrupted(waiting, "troupe call: " CANCELLED("s.count"));
    (void)kill(running, SIGINT);
    cr_assert_eq(waitpid(running, NULL, 0), running);
    COMMAND_RUN(rows);
}

static void
make_file(const char *name)
{
    FILE *file = fopen(name, "w");

    cr_assert_not_null(file);
    (void)fclose(file);
}

Test(stops, the_second_ctrl_c_leaves_a_call_that_does_not_end)
{
    static const struct command_row rows[] = {{"troupe ls calls", 0, "*call *s*cancelled*", ""}};
    const pid_t pid = start("call s last $PWD true");

    await_catcher(pid);
    await_file("runs");
    (void)kill(pid, SIGINT);
    await_file("seen");
    cr_expect_eq(waitpid(pid, NULL, WNOHANG), 0);
    (void)kill(pid, SIGINT);
    expect_interrupted(pid, "troupe call: " CANCELLED("s.last"));
    COMMAND_RUN(rows);
    make_file("may");
}

Test(stops, what_the_node_keeps_is_cancelled_by_its_name)
{
    static const struct command_row rows[] = {
        {"troupe spawn play:Stage --name t", 0, NULL, ""},
        {"troupe call s last $PWD --name w", 0, "\"ref:w\"\n", ""},
        {"troupe call t wait --name never", 0, "\"ref:never\"\n", ""},
        {"troupe cancel w never w", 0, "", ""},
        {"troupe wait w never", 0, "w\nnever\n", ""},
        {"troupe get never", 8, "",
         "troupe get: wait() of actor 't' was cancelled before the reply that it had put off was there\n"},
        {"troupe get w", 8, "", "troupe get: *cancelled*\n"},
        {"troupe cancel w", 0, "", ""},
        {"troupe cancel nothing", 4, "",
         "troupe cancel: the node keeps nothing as 'nothing'; `troupe ls kept` lists what it does\n"},
        {"troupe cancel", 2, "", "troupe cancel: REF is missing; usage: troupe cancel REF...\n"},
        {"troupe sh -c 'x = call --async t wait\ncancel $x\nget $x'", 8, "", "troupe get: *cancelled*\n*"},
    };
    COMMAND_RUN(rows);
}

/* Whether it hangs in write(2). */
static bool
writes(pid_t pid)
{
    char path[64], line[64] = "";
    FILE *file;

    (void)snprintf(path, sizeof path, "/proc/%d/syscall", (int)pid);
    file = fopen(path, "r");
    if (file != NULL && fgets(line, sizeof line, file) == NULL)
        line[0] = '\0';
    if (file != NULL)
        (void)fclose(file);
    return strncmp(line, "1 ", 2) == 0;
}

Test(stops, the_second_ctrl_c_ends_the_command_whatever_it_does)
{
    const time_t until = time(NULL) + 20;
    int pipe;

    cr_assert_eq(mkfifo("pipe", 0600), 0);
    pipe = open("pipe", O_RDWR | O_CLOEXEC); /* nobody reads */
    const char *argv[] = {"/bin/sh", "-c", "exec troupe call s bytes 1000000 --full >pipe 2>err", NULL};
    const pid_t pid = child_start(argv, NULL);
    while (!writes(pid))
        cr_assert_lt(time(NULL), until);
    (void)kill(pid, SIGINT);
    await_catcher(pid);
    cr_expect_eq(waitpid(pid, NULL, WNOHANG), 0);
    (void)kill(pid, SIGINT);
    expect_interrupted(pid, "");
    (void)close(pipe);
}

Test(stops, ctrl_c_ends_at_once_what_waits_for_input)
{
    const time_t until = time(NULL) + 20;
    int pipe;

    cr_assert_eq(mkfifo("pipe", 0600), 0);
    pipe = open("pipe", O_RDWR | O_CLOEXEC); /* nobody writes */
    const pid_t pid = start("call s echo - <pipe");
    while (!status_says(pid, "Name", is_troupe))
        cr_assert_lt(time(NULL), until);
    (void)kill(pid, SIGINT);
    expect_interrupted(pid, "");
    (void)close(pipe);
}

/* The broker of the node: the child of the root that has that name. */
static pid_t
find_broker(void)
{
    int pid = 0;
    FILE *found = popen("for p in $(cat /proc/$(cat \"$TROUPE_DIR\"/node.pid)/task/*/children); do "
                        "[ \"$(cat /proc/$p/comm)\" = troupe-broker ] && echo $p; done",
                        "r");

    cr_assert_not_null(found);
    cr_assert_eq(fscanf(found, "%d", &pid), 1);
    (void)pclose(found);
    return pid;
}

/* What is said while there is no broker is said to the next one. */
Test(stops, ctrl_c_cancels_also_when_the_broker_has_died)
{
    const pid_t broker = find_broker(), pid = start("call s last $PWD");

    await_catcher(pid);
    await_file("runs");
    (void)kill(broker, SIGKILL);
    (void)kill(pid, SIGINT);
    expect_interrupted(pid, "troupe call: " CANCELLED("s.last"));
    await_file("seen");
}

Test(stops, a_node_that_hangs_is_told_and_ctrl_c_leaves_it_alone)
{
    static const struct command_row hangs[] = {
        {"troupe ls actors -t 100ms", 9, "",
         "troupe ls: the broker in */node does not open its door: it is stopped, or hangs; `troupe status` says "
         "whether it comes "
         "back\n"},
    };
    static const struct command_row again[] = {{"troupe call s echo 1", 0, "1\n", ""}};
    const pid_t broker = find_broker();
    const time_t until = time(NULL) + 20;

    (void)kill(broker, SIGSTOP);
    COMMAND_RUN(hangs);
    const pid_t pid = start("call s echo 1");
    while (!status_says(pid, "Name", is_troupe))
        cr_assert_lt(time(NULL), until);
    (void)kill(pid, SIGINT);
    expect_interrupted(pid, "");
    (void)kill(broker, SIGCONT);
    COMMAND_RUN(again);
}

Test(stops, a_listing_is_as_wide_as_the_terminal_and_has_colours_there)
{
    static const struct command_row rows[] = {
        {"script -qec 'stty cols 40; troupe ls modules' /dev/null </dev/null | tr -d '\r'", 0,
         "NAME  VERSION  CLASSES      TASKS     ABOUT\nplay  1        Stage Picky  die echo  for tests of the "
         "command\n",
         ""},
        {"script -qec 'stty cols 46; troupe ls modules' /dev/null </dev/null | tr -d '\r'", 0,
         "NAME  VERSION  CLASSES      TASKS     ABOUT\nplay  1        Stage Picky  die echo  for test\n", ""},
        {"unset NO_COLOR; TERM=xterm script -qec 'troupe ls nodes' /dev/null </dev/null", 0, "\033[1mNAME*\033[0m*",
         ""},
        {"unset NO_COLOR; TERM=xterm script -qec 'troupe ls nodes --no-color' /dev/null </dev/null", 0, "NAME*", ""},
        {"unset NO_COLOR; TERM=dumb script -qec 'troupe ls nodes' /dev/null </dev/null", 0, "NAME*", ""},
        {"NO_COLOR=1 TERM=xterm script -qec 'troupe ls nodes' /dev/null </dev/null", 0, "NAME*", ""},
        {"unset NO_COLOR; TERM=xterm script -qec 'troupe ls x' /dev/null </dev/null", 2, "\033[31mtroupe ls:\033[0m *",
         ""},
        {"unset NO_COLOR; TERM=xterm troupe ls nodes", 0, "NAME*", ""},
        {"setsid troupe ls nodes </dev/null", 0, "NAME*", ""},
    };
    COMMAND_RUN(rows);
}

Test(strangers, a_node_of_another_version_is_told, .init = command_begin, .fini = command_end, .timeout = 60)
{
    static const struct command_row rows[] = {
        {"troupe ls actors", 9, "",
         "troupe ls: the broker welcomes another process, or speaks version 77; node and command have to be of one "
         "version: start the node anew\n"},
    };
    struct fake *fake = fake_start(NULL);

    fake_version(fake, 77);
    (void)setenv("TROUPE_DIR", fake_directory(fake), 1);
    COMMAND_RUN(rows);
    fake_stop(&fake);
    fake_clean(getenv("TROUPE_DIR"));
}

Test(strangers, another_users_node_is_not_permitted, .init = command_begin_stage, .fini = command_end, .timeout = 60)
{
    static const struct command_row rows[] = {
        {"chmod 755 . && setpriv --reuid=65534 --regid=65534 --clear-groups troupe ls actors", 9, "",
         "troupe ls: the directory */node is not permitted to you; nodes belong to the user who started them\n"},
    };

    if (getuid() != 0 ||
        system("setpriv --reuid=65534 --regid=65534 --clear-groups troupe version >/dev/null 2>&1") != 0)
        cr_skip_test("only root can be somebody else, and only where that one can run the command");
    COMMAND_RUN(rows);
}
