/*
 * test_shell.c - the broker's shell around a core that stands in (fake_core.c): the test is its root and its processes, over
 * real sockets. Who is let in, what is sent again, who is cut, and in which order deaths are told.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/broker.h"
#include "broker/node/control.h"
#include "tests/broker/fake_core.h"

enum { WAIT_MS = 10000 };

static char scratch[64], address[96], door_path[96];
static pid_t broker;
static struct tri_control control;
static union tri_control_message message;
static const char *texts[TRI_CONTROL_TEXTS_MAX];
static trp_error error;
static FILE *events;
static void *context;

/* ------------------------------------------------------------------------------------------------------- the stage */

static void
expect_event(const char *wanted)
{
    char line[256] = "";
    struct pollfd poller = {.fd = fileno(events), .events = POLLIN};
    cr_assert(poll(&poller, 1, WAIT_MS) == 1 && fgets(line, sizeof line, events) != NULL, "'%s' did not come", wanted);
    line[strcspn(line, "\n")] = '\0';
    cr_assert_str_eq(line, wanted);
}

static void
expect_control(uint32_t kind)
{
    trp_err err;
    while ((err = tri_control_recv(&control, &message, texts, &error)) == TRP_EAGAIN) {
        struct pollfd poller = {.fd = control.fd, .events = POLLIN};
        cr_assert_eq(poll(&poller, 1, WAIT_MS), 1, "%s did not come", tri_control_name(kind));
    }
    cr_assert_eq(err, TRP_OK, "%s", error.message);
    cr_assert_eq(message.head.kind, kind, "%s came instead of %s", tri_control_name(message.head.kind),
                 tri_control_name(kind));
}

static void
start(uint32_t expected_count)
{
    int pair[2], out[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    cr_assert_eq(pipe2(out, 0), 0);
    broker = fork();
    if (broker == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(pair[0]);
        close(out[0]);
        fake_core_out = fcntl(out[1], F_DUPFD_CLOEXEC, 10);
        dup2(pair[1], 3);
        char *argv[] = {(char *)"troupe-broker", NULL};
        _exit(tri_broker_main(1, argv));
    }
    close(pair[1]);
    close(out[1]);
    tri_control_init(&control, pair[0]);
    events = fdopen(out[0], "r");
    setvbuf(events, NULL, _IONBF, 0);
    struct tri_control_start first = {.head = {.kind = TRI_CONTROL_START},
                                      .incarnation = 3,
                                      .num_cpus = 2,
                                      .log_level = TRI_ERROR,
                                      .expected_count = expected_count};
    const char *sent[] = {scratch, "here"};
    cr_assert_eq(tri_control_send(&control, &first, sizeof first, sent, 2, &error), TRP_OK);
}

static void
start_ready(void)
{
    start(0);
    expect_control(TRI_CONTROL_READY);
    expect_event("new 3 0 0 0");
    context = tri_link_context();
}

static void
end(void)
{
    struct tri_control_head stop = {.kind = TRI_CONTROL_STOP};
    int status = 0;
    cr_assert_eq(tri_control_send(&control, &stop, sizeof stop, NULL, 0, &error), TRP_OK);
    cr_assert_eq(waitpid(broker, &status, 0), broker);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the broker ended with status %x", (unsigned)status);
    tri_link_context_end(&context);
    tri_control_fini(&control);
}

static void
open_stage(void)
{
    strcpy(scratch, "/tmp/troupe-shell-XXXXXX");
    cr_assert_not_null(mkdtemp(scratch));
    snprintf(address, sizeof address, "ipc://%s/broker.sock", scratch);
    snprintf(door_path, sizeof door_path, "%s/door", scratch);
}

static void
close_stage(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", scratch);
    cr_expect_eq(system(command), 0);
}

TestSuite(shell, .init = open_stage, .fini = close_stage, .timeout = 60);

/* ------------------------------------------------------------------------------------------------------- processes */

struct process {
    int door;
    struct tri_link *link;
    struct tri_channel channel;
    struct tri_login login;
    struct tri_welcome welcome;
    uint8_t last_kind;
    struct tri_id last_result;
    trp_error why;
    size_t lines;
    char last_line[64];
};

static void
emit(void *user, struct tri_packet *packet)
{
    struct process *process = user;
    if (tri_link_send(process->link, 0, packet, NULL) != TRP_OK)
        tri_packet_fini(packet);
}

static void
visit(struct process *process)
{
    *process = (struct process){.door = -1};
    cr_assert_eq(tri_door_connect(door_path, WAIT_MS, &process->door, &process->login.cookie, &error), TRP_OK, "%s",
                 error.message);
    process->login.version_min = process->login.version_max = TRI_WIRE_VERSION;
    process->login.role = TRI_DRIVER;
    process->login.pid = getpid();
    process->login.program = "test";
    tri_channel_init(&process->channel, 100, 1 << 20);
}

static void
connect_link(struct process *process)
{
    tri_link_close(&process->link);
    cr_assert_eq(tri_link_find(address)->connect(context, address, &process->link, &error), TRP_OK, "%s",
                 error.message);
}

static void
hello(struct process *process)
{
    struct tri_packed packed = {0};
    struct tri_packet packet = {0};
    const struct tri_route route = {.kind = TRI_HELLO};
    cr_assert_eq(tri_login_pack(&packed, &process->login, &error), TRP_OK);
    cr_assert_eq(tri_packet_single(&packet, &route, &packed.section, 1, &error), TRP_OK);
    emit(process, &packet);
    tri_packed_fini(&packed);
}

static trp_err
on_envelope(void *user, const struct tri_envelope *envelope, trp_error *envelope_error)
{
    struct process *process = user;
    struct tri_section section;
    struct tri_failure chain[8];
    uint32_t count;
    process->last_kind = envelope->route.kind;
    process->last_result = envelope->route.result;
    if (envelope->route.section_count > 0)
        tri_envelope_section(envelope, 0, &section);
    if (envelope->route.kind == TRI_LOG) {
        struct tri_log_line line;
        TRP_TRY(tri_log_unpack(&section, &line, envelope_error));
        tri_text_copy(process->last_line, sizeof process->last_line, line.text);
        process->lines++;
    }
    if (envelope->route.kind == TRI_WELCOME)
        return tri_welcome_unpack(&section, &process->welcome, envelope_error);
    if (envelope->route.kind == TRI_CUT) {
        TRP_TRY(tri_error_unpack(&section, chain, &count, envelope_error));
        process->why = chain[0].error;
    }
    return TRP_OK;
}

/* One packet in; returns its receipt. */
static enum tri_receipt
take(struct process *process)
{
    struct tri_packet packet = {0};
    struct tri_batch_head head;
    enum tri_receipt receipt = TRI_TAKE;
    uint64_t peer;
    cr_assert_eq(tri_link_recv(process->link, WAIT_MS, &peer, &packet, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(tri_packet_head(&packet, &head, &error), TRP_OK);
    process->last_kind = 0;
    trp_err err = head.sequence == 0 && head.envelope_count > 0
                      ? tri_packet_each(&packet, on_envelope, process, &error)
                      : tri_channel_receive(&process->channel, &packet, on_envelope, process, &receipt, &error);
    cr_assert_eq(err, TRP_OK, "%s", error.message);
    tri_packet_fini(&packet);
    return receipt;
}

static void
expect_kind(struct process *process, uint8_t kind)
{
    do
        take(process);
    while (process->last_kind == 0);
    cr_assert_eq(process->last_kind, kind, "%s came instead of %s", tri_kind_name(process->last_kind),
                 tri_kind_name(kind));
}

static void
log_in(struct process *process)
{
    visit(process);
    connect_link(process);
    hello(process);
    expect_kind(process, TRI_WELCOME);
    process->login.space = process->welcome.space;
    process->login.broker = process->welcome.broker;
}

static void
post(struct process *process, uint8_t kind, uint64_t number)
{
    const struct tri_route route = {.kind = kind, .result = {process->login.space, number}, .sequence = number};
    struct tri_packed packed = {0};
    cr_assert_eq(tri_value_pack(&packed, trp_i64(1), NULL, NULL, &error), TRP_OK);
    if (kind == TRI_CALL)
        tri_session_use(&process->channel.session, 1); /* as the core that stands in gives back */
    cr_assert_eq(tri_channel_post(&process->channel, &route, &packed.section, kind != TRI_GOODBYE, NULL, &error),
                 TRP_OK);
    cr_assert_eq(tri_channel_flush(&process->channel, emit, process, &error), TRP_OK);
    tri_packed_fini(&packed);
}

static void
expect_door_closed(struct process *process)
{
    uint8_t byte;
    struct pollfd poller = {.fd = process->door, .events = POLLIN};
    cr_assert_eq(poll(&poller, 1, WAIT_MS), 1, "the door stays open");
    cr_expect_eq(recv(process->door, &byte, 1, MSG_DONTWAIT), 0);
}

static void
leave(struct process *process)
{
    close(process->door);
    tri_link_close(&process->link);
    tri_channel_fini(&process->channel);
}

/* ---------------------------------------------------------------------------------------------------------- logins */

Test(shell, a_driver_logs_in_calls_and_leaves)
{
    struct process driver;
    start_ready();
    log_in(&driver);
    expect_event("hello 0 driver 1");
    cr_expect_eq(driver.welcome.broker, 3);
    cr_expect_eq(driver.welcome.received, 0);
    cr_expect_eq(driver.welcome.credit_calls, 100);
    expect_control(TRI_CONTROL_DRIVER);
    cr_expect_eq(message.driver.space, driver.welcome.space);
    cr_expect_eq(message.driver.pid, getpid());
    post(&driver, TRI_CALL, 1);
    expect_event("envelope 0 CALL");
    expect_kind(&driver, TRI_RESULT);
    cr_expect_eq(driver.last_result.number, 1);
    post(&driver, TRI_GOODBYE, 2);
    expect_event("envelope 0 GOODBYE");
    expect_event("acknowledged 0 1"); /* of the RESULT, by the same packet */
    expect_event("gone 0");
    expect_door_closed(&driver);
    expect_control(TRI_CONTROL_DRIVER);
    cr_expect_eq(message.driver.gone, 1);
    leave(&driver);
    end();
}

/* A login with something changed is answered by CUT. */
static void
expect_refused(void (*change)(struct tri_login *login), trp_err err)
{
    struct process driver;
    start_ready();
    visit(&driver);
    change(&driver.login);
    connect_link(&driver);
    hello(&driver);
    expect_kind(&driver, TRI_CUT);
    cr_expect_eq(driver.why.code, err, "%s", driver.why.message);
    leave(&driver);
    end();
}

static void
guess_the_cookie(struct tri_login *login)
{
    login->cookie++;
}

Test(shell, who_has_no_cookie_of_ours_is_not_let_in)
{
    expect_refused(guess_the_cookie, TRP_EACCES);
}

static void
displease_the_core(struct tri_login *login)
{
    login->space = 666;
}

Test(shell, whom_the_core_refuses_is_told_why)
{
    expect_refused(displease_the_core, TRP_EPROTO);
}

Test(shell, a_hello_said_twice_on_one_link_is_welcomed_twice_and_changes_nothing)
{
    struct process driver;
    start_ready();
    visit(&driver);
    connect_link(&driver);
    hello(&driver);
    hello(&driver);
    expect_kind(&driver, TRI_WELCOME);
    uint64_t space = driver.welcome.space;
    expect_kind(&driver, TRI_WELCOME);
    cr_expect_eq(driver.welcome.space, space);
    expect_event("hello 0 driver 1");
    driver.login.space = space;
    post(&driver, TRI_CALL, 1);
    expect_event("envelope 0 CALL");
    expect_kind(&driver, TRI_RESULT);
    leave(&driver);
    end();
}

Test(shell, hello_with_another_identity_is_cut)
{
    struct process driver;
    start_ready();
    log_in(&driver);
    expect_event("hello 0 driver 1");
    driver.login.space = 777;
    hello(&driver);
    expect_kind(&driver, TRI_CUT);
    cr_expect_eq(driver.why.code, TRP_EPROTO);
    expect_event("gone 0");
    expect_door_closed(&driver);
    leave(&driver);
    end();
}

Test(shell, a_cut_link_is_resumed_and_nothing_is_lost_or_done_twice)
{
    struct process driver;
    start_ready();
    log_in(&driver);
    expect_event("hello 0 driver 1");
    post(&driver, TRI_CALL, 1);
    expect_event("envelope 0 CALL");
    connect_link(&driver);      /* before the result was read: it is lost with the old link */
    post(&driver, TRI_CALL, 2); /* comes over a link that nobody knows: dropped */
    driver.login.received = driver.channel.session.received;
    hello(&driver);
    expect_kind(&driver, TRI_WELCOME);
    cr_expect_eq(driver.welcome.received, 1);
    cr_expect_not(driver.welcome.snapshot);
    expect_event("hello 0 again 1");
    cr_assert_eq(tri_session_resume(&driver.channel.session, driver.welcome.received, emit, &driver, &error), TRP_OK);
    expect_kind(&driver, TRI_RESULT);
    cr_expect_eq(driver.last_result.number, 1);
    expect_event("envelope 0 CALL");
    expect_kind(&driver, TRI_RESULT);
    cr_expect_eq(driver.last_result.number, 2);
    leave(&driver);
    end();
}

/* ------------------------------------------------------------------------------------------------------- bad peers */

Test(shell, garbage_from_a_member_cuts_it_and_no_other)
{
    struct process bad, good;
    start_ready();
    log_in(&bad);
    log_in(&good);
    expect_event("hello 0 driver 1");
    expect_event("hello 1 driver 1");
    struct tri_packet packet = {.frame_count = 1, .frames = {tri_buf_copy("this is no batch", 16)}};
    emit(&bad, &packet);
    expect_kind(&bad, TRI_CUT);
    cr_expect_eq(bad.why.code, TRP_EPROTO);
    expect_door_closed(&bad);
    expect_event("gone 0");
    post(&good, TRI_CALL, 1);
    expect_event("envelope 1 CALL");
    expect_kind(&good, TRI_RESULT);
    leave(&bad);
    leave(&good);
    end();
}

Test(shell, whom_the_core_finds_wrong_is_cut)
{
    struct process driver;
    start_ready();
    log_in(&driver);
    expect_event("hello 0 driver 1");
    post(&driver, TRI_KILL, 1);
    expect_event("envelope 0 KILL");
    expect_kind(&driver, TRI_CUT);
    cr_expect_not_null(strstr(driver.why.message, "KILL"), "%s", driver.why.message);
    expect_event("gone 0");
    leave(&driver);
    end();
}

Test(shell, whom_the_core_cuts_is_closed_without_another_event)
{
    struct process driver, next;
    start_ready();
    log_in(&driver);
    expect_event("hello 0 driver 1");
    post(&driver, TRI_LOOKUP, 1);
    expect_event("envelope 0 LOOKUP");
    expect_door_closed(&driver);
    log_in(&next);
    expect_event("hello 0 driver 1");
    leave(&driver);
    leave(&next);
    end();
}

/* ---------------------------------------------------------------------------------------------------------- deaths */

static void
stop_broker(void)
{
    int status = 0;
    cr_assert_eq(kill(broker, SIGSTOP), 0);
    cr_assert_eq(waitpid(broker, &status, WUNTRACED), broker);
    cr_assert(WIFSTOPPED(status));
}

/* Whether one of our sockets holds bytes that the stopped broker has not read. */
static bool
packet_lies_before_broker(void)
{
    bool lies = false;
    for (int fd = 3; fd < 256 && !lies; fd++) {
        int family = 0, type = 0, unread = 0;
        socklen_t size = sizeof(int);
        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) < 0 || family != AF_UNIX)
            continue;
        cr_assert_eq(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size), 0);
        lies = type == SOCK_STREAM && ioctl(fd, SIOCOUTQ, &unread) == 0 && unread > 0;
    }
    return lies;
}

/* It goes on when what was posted lies before it, and the link of who posted it has ended: what it reads first then does not
 * depend on how fast this process is. */
static void
continue_broker(struct process *ended)
{
    uint64_t end_ns = tri_now_ns() + WAIT_MS * TRI_NS_PER_MS;
    while (!packet_lies_before_broker() && tri_now_ns() < end_ns)
        sched_yield();
    cr_assert(packet_lies_before_broker(), "the packet was not sent");
    tri_link_close(&ended->link);
    cr_assert_eq(kill(broker, SIGCONT), 0);
}

Test(shell, a_driver_whose_door_closes_is_gone_after_its_last_packets)
{
    struct process driver;
    start_ready();
    log_in(&driver);
    expect_event("hello 0 driver 1");
    stop_broker();
    post(&driver, TRI_CALL, 1);
    close(driver.door);
    driver.door = -1;
    continue_broker(&driver);
    expect_event("envelope 0 CALL");
    expect_event("gone 0");
    leave(&driver);
    end();
}

Test(shell, a_driver_that_had_come_back_is_gone_after_the_last_packets_of_its_new_link)
{
    struct process driver;
    start_ready();
    log_in(&driver);
    expect_event("hello 0 driver 1");
    connect_link(&driver);
    hello(&driver);
    expect_kind(&driver, TRI_WELCOME);
    expect_event("hello 0 again 1");
    stop_broker();
    post(&driver, TRI_CALL, 1);
    close(driver.door);
    driver.door = -1;
    continue_broker(&driver);
    expect_event("envelope 0 CALL");
    expect_event("gone 0");
    leave(&driver);
    end();
}

Test(shell, a_driver_whose_door_closes_is_gone_though_its_link_stays_open)
{
    struct process driver;
    start_ready();
    log_in(&driver);
    expect_event("hello 0 driver 1");
    close(driver.door);
    driver.door = -1;
    expect_event("gone 0");
    leave(&driver);
    end();
}

/* The broker is ready, and the host that it was told of with token 5 is logged in. */
static void
enter_host(struct process *host)
{
    start_ready();
    visit(host);
    host->login.role = TRI_HOST;
    host->login.host_token = 5;
    connect_link(host);
    hello(host);
    expect_kind(host, TRI_WELCOME);
}

static void
send_exited(uint64_t token)
{
    struct tri_control_exited exited = {
        .head = {.kind = TRI_CONTROL_EXITED, .token = token}, .pid = getpid(), .exit_code = -1, .signal = SIGSEGV};
    const char *sent[] = {"module", "Ada", "increment", "there\n", "words\n", ""};
    cr_assert_eq(tri_control_send(&control, &exited, sizeof exited, sent, 6, &error), TRP_OK);
}

Test(shell, the_death_of_a_host_is_told_after_its_last_packets)
{
    struct process host;
    enter_host(&host);
    host.login.space = host.welcome.space;
    expect_kind(&host, TRI_RECALL); /* posted before the shell knew its index */
    expect_event("hello 0 host 1");
    stop_broker();
    post(&host, TRI_RESULT, 1);
    send_exited(5);
    continue_broker(&host);
    expect_event("envelope 0 RESULT");
    expect_event("acknowledged 0 1");
    expect_event("exited 5 11 increment");
    leave(&host);
    end();
}

Test(shell, the_death_of_a_host_is_told_though_another_process_holds_its_link)
{
    struct process host;
    enter_host(&host);
    expect_event("hello 0 host 1");
    send_exited(5);
    expect_event("exited 5 11 increment");
    leave(&host);
    end();
}

Test(shell, a_host_that_closes_its_door_and_lives_is_killed)
{
    struct process host;
    enter_host(&host);
    expect_event("hello 0 host 1");
    close(host.door);
    host.door = -1;
    expect_control(TRI_CONTROL_KILL);
    cr_expect_eq(message.head.token, 5);
    tri_link_close(&host.link);
    send_exited(5);
    expect_event("exited 5 11 increment");
    leave(&host);
    end();
}

/* ------------------------------------------------------------------------------------------------------------ root */

Test(shell, asks_the_root_for_hosts_and_passes_their_lines_on)
{
    struct process driver;
    start_ready();
    log_in(&driver);
    expect_event("hello 0 driver 1");
    expect_control(TRI_CONTROL_DRIVER);
    post(&driver, TRI_SPAWN, 1);
    expect_event("envelope 0 SPAWN");
    expect_control(TRI_CONTROL_FORK);
    cr_expect_eq(message.head.token, 5);
    cr_expect_str_eq(texts[0], "test");
    post(&driver, TRI_WATCH, 2);
    expect_event("envelope 0 WATCH");
    expect_control(TRI_CONTROL_KILL);
    cr_expect_str_eq(texts[0], "as asked");
    struct tri_control_line line = {.head = {.kind = TRI_CONTROL_LINE, .token = 5}, .pid = 77, .stream = 1};
    const char *text = "hello";
    cr_assert_eq(tri_control_send(&control, &line, sizeof line, &text, 1, &error), TRP_OK);
    expect_kind(&driver, TRI_LOG);
    struct tri_control_head failed = {.kind = TRI_CONTROL_FORK_FAILED, .token = 5};
    cr_assert_eq(tri_control_send(&control, &failed, sizeof failed, &text, 1, &error), TRP_OK);
    expect_event("fork_failed 5 hello");
    leave(&driver);
    end();
}

/* One packet in, acknowledged; its lines are counted. */
static void
take_lines(struct process *driver, size_t *lines, unsigned long long *left_out)
{
    driver->last_line[0] = '\0';
    driver->lines = 0;
    take(driver);
    *lines += driver->lines;
    if (sscanf(driver->last_line, "... %llu lines left out", left_out) == 1)
        *lines -= 1;
    cr_assert_eq(tri_channel_acknowledge(&driver->channel, emit, driver, &error), TRP_OK);
}

/* One message of the root, all of it in the pipe when this returns. */
static void
send_whole(void *body, size_t size, const char *text)
{
    cr_assert_eq(tri_control_send(&control, body, size, &text, 1, &error), TRP_OK);
    while (tri_control_waits(&control)) {
        struct pollfd poller = {.fd = control.fd, .events = POLLOUT};
        cr_assert_eq(poll(&poller, 1, WAIT_MS), 1);
        cr_assert_eq(tri_control_flush(&control, &error), TRP_OK);
    }
}

Test(shell, lines_for_a_driver_that_does_not_read_are_bounded_and_counted)
{
    enum { LINES = 3000, SIZE = 4000 };
    struct process driver;
    static char text[SIZE + 1];
    const char *sent = text;
    size_t lines = 0;
    unsigned long long left_out = 0;
    start_ready();
    log_in(&driver);
    expect_event("hello 0 driver 1");
    expect_control(TRI_CONTROL_DRIVER);
    memset(text, 'x', SIZE);
    for (size_t i = 0; i < LINES; i++) {
        struct tri_control_line line = {.head = {.kind = TRI_CONTROL_LINE, .token = 5}, .pid = 77, .stream = 1};
        send_whole(&line, sizeof line, sent);
    }
    struct tri_control_head failed = {.kind = TRI_CONTROL_FORK_FAILED, .token = 5};
    const char *last = "all lines before this were read";
    send_whole(&failed, sizeof failed, last);
    expect_event("fork_failed 5 all lines before this were read");
    while (left_out == 0)
        take_lines(&driver, &lines, &left_out);
    cr_expect_eq(lines + left_out, LINES, "%zu came, %llu were left out", lines, left_out);
    cr_expect_lt(lines, (size_t)(5 * 1024 * 1024 / SIZE));
    leave(&driver);
    end();
}

Test(shell, hears_who_lived_before_it_starts)
{
    static struct tri_control_expected expected = {
        .head = {.kind = TRI_CONTROL_EXPECTED, .number = 2},
        .living = {{.token = 5, .pid = 1, .tailored = 1}, {.space = 9, .pid = 2}}};
    start(2);
    cr_assert_eq(tri_control_send(&control, &expected,
                                  offsetof(struct tri_control_expected, living) + 2 * sizeof *expected.living, NULL, 0,
                                  &error),
                 TRP_OK);
    expect_event("new 3 2 9 1");
    expect_control(TRI_CONTROL_READY);
    end();
}

Test(shell, ends_and_cleans_up_when_its_root_is_gone)
{
    int status = 0;
    start_ready();
    tri_control_fini(&control);
    cr_assert_eq(waitpid(broker, &status, 0), broker);
    cr_expect(access(door_path, F_OK) < 0 && errno == ENOENT, "the door is left");
    tri_link_context_end(&context);
}

Test(shell, says_why_it_cannot_start)
{
    cr_assert_eq(rmdir(scratch), 0);
    start(0);
    expect_event("new 3 0 0 0");
    expect_control(TRI_CONTROL_FAILED);
    cr_expect_gt(strlen(texts[0]), 10);
    int status = 0;
    cr_assert_eq(waitpid(broker, &status, 0), broker);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    cr_assert_eq(mkdir(scratch, 0700), 0);
}
