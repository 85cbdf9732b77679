/*
 * test_shell_deaths.c - the broker's shell around a core that stands in: in which order it tells that somebody is gone, and what
 * was sent before.
 */
#include <linux/sockios.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/broker/stage.h"

static trp_error error;

TestSuite(shell_deaths, .init = stage_open, .fini = stage_close, .timeout = 60);

static void
stop_broker(void)
{
    int status = 0;
    cr_assert_eq(kill(stage.broker, SIGSTOP), 0);
    cr_assert_eq(waitpid(stage.broker, &status, WUNTRACED), stage.broker);
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
    cr_assert_eq(kill(stage.broker, SIGCONT), 0);
}

/* A driver that calls and is gone, both before the broker looks. */
static void
expect_gone_after_last_packet(struct process *driver)
{
    stop_broker();
    process_post(driver, TRI_CALL, 1);
    process_close_door(driver);
    continue_broker(driver);
    expect_event("envelope 0 CALL");
    expect_event("gone 0");
    process_leave(driver);
    stage_end();
}

Test(shell_deaths, a_driver_whose_door_closes_is_gone_after_its_last_packets)
{
    struct process driver;
    process_enter(&driver);
    expect_gone_after_last_packet(&driver);
}

Test(shell_deaths, a_driver_that_had_come_back_is_gone_after_the_last_packets_of_its_new_link)
{
    struct process driver;
    process_enter(&driver);
    process_connect(&driver);
    process_hello(&driver);
    expect_kind(&driver, TRI_WELCOME);
    expect_event("hello 0 again 1");
    expect_gone_after_last_packet(&driver);
}

Test(shell_deaths, a_driver_whose_door_closes_is_gone_though_its_link_stays_open)
{
    struct process driver;
    process_enter(&driver);
    process_close_door(&driver);
    expect_event("gone 0");
    process_leave(&driver);
    stage_end();
}

/* The broker is ready, and the host that it was told of with token 5 is logged in. */
static void
enter_host(struct process *host)
{
    stage_start_ready();
    process_visit(host);
    host->login.role = TRI_HOST;
    host->login.host_token = 5;
    process_connect(host);
    process_hello(host);
    expect_kind(host, TRI_WELCOME);
}

static void
send_exited(uint64_t token)
{
    struct tri_control_exited exited = {
        .head = {.kind = TRI_CONTROL_EXITED, .token = token}, .pid = getpid(), .exit_code = -1, .signal = SIGSEGV};
    const char *sent[] = {"module", "Ada", "increment", "there\n", "words\n", ""};
    cr_assert_eq(tri_control_send(&stage.control, &exited, sizeof exited, sent, 6, &error), TRP_OK);
}

Test(shell_deaths, the_death_of_a_host_is_told_after_its_last_packets)
{
    struct process host;
    enter_host(&host);
    host.login.space = host.welcome.space;
    expect_kind(&host, TRI_RECALL); /* posted before the shell knew its index */
    expect_event("hello 0 host 1");
    stop_broker();
    process_post(&host, TRI_RESULT, 1);
    send_exited(5);
    continue_broker(&host);
    expect_event("envelope 0 RESULT");
    expect_event("acknowledged 0 1");
    expect_event("exited 5 11 increment");
    process_leave(&host);
    stage_end();
}

Test(shell_deaths, the_death_of_a_host_is_told_though_another_process_holds_its_link)
{
    struct process host;
    enter_host(&host);
    expect_event("hello 0 host 1");
    send_exited(5);
    expect_event("exited 5 11 increment");
    process_leave(&host);
    stage_end();
}

Test(shell_deaths, a_host_that_closes_its_door_and_lives_is_killed)
{
    struct process host;
    enter_host(&host);
    expect_event("hello 0 host 1");
    process_close_door(&host);
    expect_control(TRI_CONTROL_KILL);
    cr_expect_eq(stage.message.head.token, 5);
    tri_link_close(&host.link);
    send_exited(5);
    expect_event("exited 5 11 increment");
    process_leave(&host);
    stage_end();
}
