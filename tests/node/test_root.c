/*
 * test_root.c - the root process with real forks: the test is its broker (fake_broker.c hands over the control socket), and the
 * hosts run `act` below. Deaths are told as they were, lines come before them, brokers are started again, nothing stays.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/node/root.h"
#include "tests/common/scratch.h"

enum { WAIT_MS = 10000 };

static char scratch[SCRATCH_SIZE], home[96], relay_path[96];
static int relay = -1, parent = -1;
static pid_t root_pid, broker_pid;
static struct tri_control control;
static union tri_control_message message;
static const char *texts[TRI_CONTROL_TEXTS_MAX];
static trp_error error;

/* ------------------------------------------------------------------------------------------------ what hosts do */

static int
crash(const struct tri_worker_start *start)
{
    struct tri_progress *page = start->progress;
    strcpy(page->module, "counter");
    strcpy(page->actor, "Ada");
    strcpy(page->method, "increment");
    strcpy(page->backtrace, "here\nthere\n");
    page->actor_space = 3;
    page->actor_number = 4;
    page->ran_tasks = 1;
    page->sequence = 17;
    page->started = 5;
    page->finished = 4;
    printf("last words\n");
    abort();
}

static int
use_memory(void)
{
    enum { SIZE = 256 * 1024 * 1024 };
    char *block = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED)
        block = mmap(NULL, SIZE / 4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED)
        return 9;
    memset(block, 1, SIZE / 4);
    for (;;)
        pause();
}

static int
act(const struct tri_worker_start *start)
{
    const char *variable = getenv("ACT"), *what = variable != NULL ? variable : "wait";
    if (strcmp(what, "exit") == 0)
        return 7;
    if (strcmp(what, "crash") == 0)
        return crash(start);
    if (strcmp(what, "memory") == 0)
        return use_memory();
    if (strcmp(what, "print") == 0) {
        printf("one\ntwo");
        fflush(stdout);
        fprintf(stderr, "%s %s %d\n", start->directory, getenv("MORE"), getpgid(0) == getpid());
        return 0;
    }
    if (strcmp(what, "flood") == 0) {
        for (int i = 0; i < 20000; i++)
            printf("line %d\n", i);
        return 0;
    }
    if (strcmp(what, "child") == 0) {
        if (fork() == 0)
            for (;;)
                pause();
        return 0;
    }
    for (;;)
        pause();
}

/* ------------------------------------------------------------------------------------------------------- the stage */

static bool
readable(int fd)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    int count;
    do
        count = poll(&poller, 1, WAIT_MS);
    while (count < 0 && errno == EINTR);
    return count == 1;
}

static void
take_broker(void)
{
    size_t size, fd_count;
    int fd;
    tri_control_fini(&control);
    cr_assert(readable(relay), "no broker was started");
    int connection = accept(relay, NULL, NULL);
    cr_assert(readable(connection));
    cr_assert_eq(tri_door_recv(connection, &broker_pid, sizeof broker_pid, &size, &fd, 1, &fd_count, &error), TRP_OK);
    cr_assert_eq(fd_count, 1);
    close(connection);
    tri_control_init(&control, fd);
}

/* The next message, which must be of this kind. */
static void
expect(uint32_t kind)
{
    trp_err err;
    while ((err = tri_control_recv(&control, &message, texts, &error)) == TRP_EAGAIN)
        cr_assert(readable(control.fd), "%s did not come", tri_control_name(kind));
    cr_assert_eq(err, TRP_OK, "instead of %s: %s", tri_control_name(kind), error.message);
    cr_assert_eq(message.head.kind, kind, "%s came instead of %s", tri_control_name(message.head.kind),
                 tri_control_name(kind));
}

static void
say(uint32_t kind, uint64_t token, const char *text)
{
    struct tri_control_head head = {.kind = kind, .token = token};
    cr_assert_eq(tri_control_send(&control, &head, sizeof head, &text, text != NULL, &error), TRP_OK);
}

static int32_t
make_host(uint64_t token, const char *what, uint64_t memory_bytes)
{
    struct tri_control_fork ask = {.head = {.kind = TRI_CONTROL_FORK, .token = token}, .memory_bytes = memory_bytes};
    const char *sent[] = {"test:Host", "ACT", what, "MORE", "than this"};
    cr_assert_eq(tri_control_send(&control, &ask, sizeof ask, sent, 5, &error), TRP_OK);
    expect(TRI_CONTROL_FORKED);
    cr_expect_eq(message.head.token, token);
    return (int32_t)message.head.number;
}

static void
start_root(bool service)
{
    int pair[2];
    char fd_text[16];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    root_pid = fork();
    if (root_pid == 0) {
        close(pair[0]);
        snprintf(fd_text, sizeof fd_text, "%d", pair[1]);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        char *private_argv[] = {
            (char *)"troupe-node", (char *)"--private", (char *)"--dir", home, (char *)"--parent-fd", fd_text, NULL};
        char *service_argv[] = {(char *)"troupe-node", (char *)"--service", (char *)"--dir", home, NULL};
        _exit(service ? tri_root_main(4, service_argv, act, getenv("TEST_FAKE_BROKER"))
                      : tri_root_main(6, private_argv, act, getenv("TEST_FAKE_BROKER")));
    }
    close(pair[1]);
    parent = pair[0];
    take_broker();
    expect(TRI_CONTROL_START);
}

static void
expect_ready(void)
{
    char line[64];
    say(TRI_CONTROL_READY, 0, NULL);
    cr_assert(readable(parent));
    ssize_t size = read(parent, line, sizeof line - 1);
    line[size > 0 ? size : 0] = '\0';
    cr_expect_str_eq(line, "READY\n");
}

/* The broker ends when it is told to; then the root does, and nothing is left. */
static void
end(int exit_code)
{
    int status = 0;
    if (broker_pid != 0) {
        expect(TRI_CONTROL_STOP);
        kill(broker_pid, SIGTERM);
    }
    cr_assert_eq(waitpid(root_pid, &status, 0), root_pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == exit_code, "the root ended with status %x", (unsigned)status);
    cr_expect(access(home, F_OK) < 0 && errno == ENOENT, "the directory is left");
}

static void
open_stage(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    scratch_make(scratch, "root");
    snprintf(home, sizeof home, "%s/node", scratch);
    snprintf(relay_path, sizeof relay_path, "%s/relay", scratch);
    setenv("TEST_BROKER_SOCKET", relay_path, 1);
    strcpy(address.sun_path, relay_path);
    relay = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(relay, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(relay, 4), 0);
    tri_control_init(&control, -1);
}

static void
close_stage(void)
{
    scratch_remove(scratch);
}

TestSuite(root, .init = open_stage, .fini = close_stage, .timeout = 60);

/* -------------------------------------------------------------------------------------------------------- the tests */

Test(root, tells_its_broker_who_it_is_and_its_starter_that_it_is_ready)
{
    start_root(false);
    cr_expect_eq(message.start.incarnation, 1);
    cr_expect_gt(message.start.num_cpus, 0);
    cr_expect_gt(message.start.memory_bytes, 64 << 20);
    cr_expect_not(message.start.is_service);
    cr_expect_eq(message.start.expected_count, 0);
    cr_expect_str_eq(texts[0], home);
    expect_ready();
    close(parent);
    end(0);
}

/* A descriptor of the broker's: how large, and that no memory is behind it yet. */
static void
expect_part(int fd, uint64_t size, bool writable)
{
    char path[64], line[256] = "";
    struct stat status;
    unsigned flags = 0;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)broker_pid, fd);
    cr_assert_eq(stat(path, &status), 0, "%s: %s", path, strerror(errno));
    cr_expect_eq((uint64_t)status.st_size, (size + 4095) / 4096 * 4096, "descriptor %d", fd);
    cr_expect_eq(status.st_blocks, 0, "descriptor %d", fd);
    cr_expect_eq(status.st_mode & 0777, 0600);
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", (int)broker_pid, fd);
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "flags: %o", &flags) == 1)
            break;
    fclose(file);
    cr_expect_eq(flags & O_ACCMODE, writable ? O_RDWR : O_RDONLY, "descriptor %d", fd);
}

Test(root, hands_each_broker_the_same_arena_of_which_no_page_was_touched)
{
    start_root(true);
    const uint32_t granules = message.start.arena_granules, slots = message.start.arena_slots;
    const uint64_t sizes[TRI_PARTS] = {(uint64_t)granules * 4096, slots * UINT64_C(8), UINT64_C(4096) * 65536,
                                       tri_part_bytes(TRI_PART_REGISTER, granules, slots)};
    cr_assert_gt(granules, 0);
    cr_expect_eq(slots, granules / 16 < 1024 ? 1024 : granules / 16);
    cr_expect_not(message.start.arena_used);
    for (int i = 0; i < TRI_PARTS; i++)
        expect_part(TRI_ARENA_FD + i, sizes[i], true);
    expect_part(TRI_ARENA_READ_FD, sizes[TRI_PART_WORDS], false);
    say(TRI_CONTROL_READY, 0, NULL);
    (void)make_host(11, "wait", 0);
    kill(broker_pid, SIGKILL);
    take_broker();
    expect(TRI_CONTROL_START);
    cr_expect_eq(message.start.arena_granules, granules);
    cr_expect(message.start.arena_used);
    expect_part(TRI_ARENA_FD, sizes[TRI_PART_ARENA], true);
    expect(TRI_CONTROL_EXPECTED);
    kill(root_pid, SIGTERM);
    end(0);
}

Test(root, makes_an_arena_as_large_as_it_was_told_and_refuses_what_does_not_fit_with_what_would)
{
    static const struct {
        uint64_t bytes;
        const char *why; /* NULL: it is made */
    } rows[] = {{UINT64_C(16) << 20, NULL},
                {(UINT64_C(16) << 20) + 1, NULL},
                {1, "at least 16 MiB; see --store"},
                {UINT64_C(1) << 62, "bytes would do; see --store"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tri_root root = {.options = {.mode = TRI_ROOT_SERVICE, .store_bytes = rows[i].bytes}};
        const trp_err err = tri_root_make_arena(&root, &error);
        cr_expect_eq(err, rows[i].why == NULL ? TRP_OK : TRP_ESTOREFULL, "row %zu: %s", i, error.message);
        if (rows[i].why == NULL)
            cr_expect_eq(root.arena.granules, (rows[i].bytes + 4095) / 4096, "row %zu", i);
        else
            cr_expect_not_null(strstr(error.message, rows[i].why), "row %zu: %s", i, error.message);
        tri_root_end_arena(&root);
        cr_expect_eq(root.arena.granules, 0);
    }
    struct tri_root none = {.options = {.mode = TRI_ROOT_SERVICE, .no_store = true}};
    cr_expect_eq(tri_root_make_arena(&none, &error), TRP_OK);
    cr_expect_eq(none.arena.granules, 0);
}

Test(root, says_why_its_broker_cannot_start)
{
    char line[64];
    start_root(false);
    struct tri_control_head failed = {.kind = TRI_CONTROL_FAILED, .number = TRP_ELIMIT};
    const char *why = "too little of it";
    cr_assert_eq(tri_control_send(&control, &failed, sizeof failed, &why, 1, &error), TRP_OK);
    cr_assert(readable(parent));
    ssize_t size = read(parent, line, sizeof line - 1);
    line[size > 0 ? size : 0] = '\0';
    cr_expect_str_eq(line, "ERROR 31 too little of it\n");
    end(1);
}

Test(root, tells_the_exit_code_of_a_host)
{
    start_root(false);
    expect_ready();
    int32_t pid = make_host(1, "exit", 0);
    expect(TRI_CONTROL_EXITED);
    cr_expect_eq(message.exited.pid, pid);
    cr_expect_eq(message.exited.exit_code, 7);
    cr_expect_eq(message.exited.signal, 0);
    cr_expect_eq(message.exited.memory_limit, 0);
    close(parent);
    end(0);
}

Test(root, tells_what_a_host_that_crashed_was_doing_and_what_it_said_last)
{
    start_root(false);
    expect_ready();
    make_host(2, "crash", 0);
    expect(TRI_CONTROL_LINE);
    cr_expect_str_eq(texts[0], "last words");
    expect(TRI_CONTROL_EXITED);
    cr_expect_eq(message.exited.exit_code, -1);
    cr_expect_eq(message.exited.signal, SIGABRT);
    cr_expect_eq(message.exited.sequence, 17);
    cr_expect_eq(message.exited.started, 5);
    cr_expect_eq(message.exited.finished, 4);
    const char *wanted[] = {"counter", "Ada", "increment", "here\nthere\n", "last words\n", ""};
    for (int i = 0; i < 6; i++)
        cr_expect_str_eq(texts[i], wanted[i]);
    close(parent);
    end(0);
}

Test(root, passes_lines_on_before_the_death_also_one_without_an_end)
{
    start_root(false);
    expect_ready();
    make_host(3, "print", 0);
    char heard[256] = "", on_stderr[256] = "", wanted[200];
    for (int i = 0; i < 3; i++) {
        expect(TRI_CONTROL_LINE);
        char *where = message.line.stream == 2 ? on_stderr : heard;
        strcat(strcat(where, texts[0]), "|");
    }
    cr_expect_str_eq(heard, "one|two|");
    snprintf(wanted, sizeof wanted, "%s than this 1|", home);
    cr_expect_str_eq(on_stderr, wanted);
    expect(TRI_CONTROL_EXITED);
    close(parent);
    end(0);
}

Test(root, leaves_lines_out_where_there_are_too_many_and_says_how_many)
{
    start_root(false);
    expect_ready();
    make_host(4, "flood", 0);
    unsigned long passed = 0, left_out = 0, more;
    for (;;) {
        trp_err err;
        while ((err = tri_control_recv(&control, &message, texts, &error)) == TRP_EAGAIN)
            cr_assert(readable(control.fd));
        cr_assert_eq(err, TRP_OK);
        if (message.head.kind == TRI_CONTROL_EXITED)
            break;
        if (sscanf(texts[0], "... %lu lines left out", &more) == 1)
            left_out += more;
        else
            passed++;
    }
    cr_expect_geq(passed, TRI_LINES_BURST);
    cr_expect_eq(passed + left_out, 20000, "%lu passed, %lu were left out", passed, left_out);
    cr_expect_not_null(strstr(texts[4], "line 19999\n"));
    close(parent);
    end(0);
}

Test(root, kills_by_a_rule_and_says_which)
{
    start_root(false);
    expect_ready();
    make_host(5, "wait", 0);
    say(TRI_CONTROL_LABEL, 5, "Bob");
    say(TRI_CONTROL_KILL, 5, "it was silent");
    expect(TRI_CONTROL_EXITED);
    cr_expect_eq(message.exited.signal, SIGKILL);
    cr_expect_str_eq(texts[1], "Bob");
    cr_expect_str_eq(texts[5], "it was silent");
    close(parent);
    end(0);
}

Test(root, ends_a_host_that_holds_more_memory_than_it_may)
{
    start_root(false);
    expect_ready();
    make_host(6, "memory", 16 * 1024 * 1024);
    expect(TRI_CONTROL_EXITED);
    cr_expect_eq(message.exited.signal, SIGKILL);
    cr_expect_eq(message.exited.memory_limit, 1);
    cr_expect_not_null(strstr(texts[5], "memory limit"), "%s", texts[5]);
    close(parent);
    end(0);
}

Test(root, ends_what_a_host_has_started_with_it)
{
    start_root(false);
    expect_ready();
    make_host(7, "child", 0);
    expect(TRI_CONTROL_EXITED); /* although its child holds its pipes open */
    close(parent);
    end(0); /* waits for every child of the root */
}

Test(root, refuses_a_token_that_lives_and_goes_on)
{
    start_root(false);
    expect_ready();
    make_host(8, "wait", 0);
    struct tri_control_fork ask = {.head = {.kind = TRI_CONTROL_FORK, .token = 8}};
    const char *label = "x";
    cr_assert_eq(tri_control_send(&control, &ask, sizeof ask, &label, 1, &error), TRP_OK);
    expect(TRI_CONTROL_FORK_FAILED);
    make_host(9, "wait", 0);
    close(parent);
    end(0);
}

Test(root, of_a_private_node_ends_with_its_broker_and_takes_the_hosts_along)
{
    start_root(false);
    expect_ready();
    int32_t host = make_host(10, "wait", 0);
    kill(broker_pid, SIGKILL);
    broker_pid = 0;
    end(3);
    cr_expect(kill(host, 0) < 0 && errno == ESRCH);
    char rest[8];
    cr_expect_eq(read(parent, rest, sizeof rest), 0);
}

Test(root, of_a_service_starts_another_broker_and_says_who_lives)
{
    start_root(true);
    uint64_t incarnation = message.start.incarnation;
    say(TRI_CONTROL_READY, 0, NULL);
    int32_t pid = make_host(11, "wait", 0);
    struct tri_control_driver driver = {.head = {.kind = TRI_CONTROL_DRIVER}, .space = 77, .pid = getpid()};
    cr_assert_eq(tri_control_send(&control, &driver, sizeof driver, NULL, 0, &error), TRP_OK);
    struct tri_control_driver gone = {.head = {.kind = TRI_CONTROL_DRIVER}, .space = 78, .pid = getpid()};
    cr_assert_eq(tri_control_send(&control, &gone, sizeof gone, NULL, 0, &error), TRP_OK);
    gone.gone = 1;
    cr_assert_eq(tri_control_send(&control, &gone, sizeof gone, NULL, 0, &error), TRP_OK);
    make_host(12, "exit", 0); /* its answer says that all before was read */
    expect(TRI_CONTROL_EXITED);
    kill(broker_pid, SIGKILL);
    take_broker();
    expect(TRI_CONTROL_START);
    cr_expect_eq(message.start.incarnation, incarnation + 1);
    cr_expect_eq(message.start.expected_count, 2);
    expect(TRI_CONTROL_EXPECTED);
    cr_assert_eq(message.head.number, 2);
    cr_expect_eq(message.expected.living[0].token, 11);
    cr_expect_eq(message.expected.living[0].pid, pid);
    cr_expect_eq(message.expected.living[1].space, 77);
    cr_expect_eq(message.expected.living[1].tailored, 0);
    kill(root_pid, SIGTERM);
    end(0);
    cr_expect(kill(pid, 0) < 0 && errno == ESRCH);
}

Test(root, of_a_service_tells_the_next_broker_which_hosts_were_made_for_one_actor)
{
    const char *label = "spare";
    struct tri_control_fork ask = {.head = {.kind = TRI_CONTROL_FORK, .token = 11}};
    start_root(true);
    say(TRI_CONTROL_READY, 0, NULL);
    cr_assert_eq(tri_control_send(&control, &ask, sizeof ask, &label, 1, &error), TRP_OK);
    expect(TRI_CONTROL_FORKED);
    ask.head.token = 12;
    ask.memory_bytes = UINT64_C(1) << 30;
    cr_assert_eq(tri_control_send(&control, &ask, sizeof ask, &label, 1, &error), TRP_OK);
    expect(TRI_CONTROL_FORKED);
    make_host(13, "wait", 0); /* with variables */
    kill(broker_pid, SIGKILL);
    take_broker();
    expect(TRI_CONTROL_START);
    expect(TRI_CONTROL_EXPECTED);
    cr_assert_eq(message.head.number, 3);
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(message.expected.living[i].token, 11 + (uint64_t)i);
        cr_expect_eq(message.expected.living[i].tailored, i > 0, "host %d", 11 + i);
    }
    kill(root_pid, SIGTERM);
    end(0);
}

Test(root, of_a_service_tells_the_next_broker_which_actors_have_ended)
{
    struct tri_control_bury bury = {.head = {.kind = TRI_CONTROL_BURY}, .actor = {5, 6}};
    start_root(true);
    say(TRI_CONTROL_READY, 0, NULL);
    make_host(11, "crash", 0);
    expect(TRI_CONTROL_LINE);
    expect(TRI_CONTROL_EXITED);
    cr_expect_eq(message.exited.resident.number, 4);
    cr_expect_eq(message.exited.ran_tasks, 1);
    cr_assert_eq(tri_control_send(&control, &bury, sizeof bury, NULL, 0, &error), TRP_OK);
    kill(broker_pid, SIGKILL); /* what it said last is read nevertheless */
    take_broker();
    expect(TRI_CONTROL_START);
    cr_expect_eq(message.start.expected_count, 2);
    cr_expect_eq(message.start.tasks_lost, 1);
    expect(TRI_CONTROL_EXPECTED);
    cr_assert_eq(message.head.number, 2);
    cr_expect_eq(message.expected.living[0].ended.space, 3);
    cr_expect_eq(message.expected.living[1].ended.number, 6);
    kill(root_pid, SIGTERM);
    end(0);
}

Test(root, of_a_service_gives_up_when_brokers_keep_dying)
{
    start_root(true);
    say(TRI_CONTROL_READY, 0, NULL);
    make_host(13, "wait", 0);
    for (int i = 0; i < 5; i++) {
        kill(broker_pid, SIGKILL);
        take_broker();
    }
    kill(broker_pid, SIGKILL);
    broker_pid = 0;
    end(3);
}
