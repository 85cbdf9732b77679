/*
 * test_shell.c - the broker's shell around a core that stands in: who is let in, what is sent again, who is cut, what it has of
 * its root.
 */
#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/broker/stage.h"

static trp_error error;

TestSuite(shell, .init = stage_open, .fini = stage_close, .timeout = 60);

/* ---------------------------------------------------------------------------------------------------------- logins */

Test(shell, a_driver_logs_in_calls_and_leaves)
{
    struct process driver;
    process_enter(&driver);
    cr_expect_eq(driver.welcome.broker, 3);
    cr_expect_eq(driver.welcome.received, 0);
    cr_expect_eq(driver.welcome.credit_calls, 100);
    expect_control(TRI_CONTROL_DRIVER);
    cr_expect_eq(stage.message.driver.space, driver.welcome.space);
    cr_expect_eq(stage.message.driver.pid, getpid());
    process_post(&driver, TRI_CALL, 1);
    expect_event("envelope 0 CALL");
    expect_kind(&driver, TRI_RESULT);
    cr_expect_eq(driver.last_result.number, 1);
    process_post(&driver, TRI_GOODBYE, 2);
    expect_event("envelope 0 GOODBYE");
    expect_event("acknowledged 0 1"); /* of the RESULT, by the same packet */
    expect_event("gone 0");
    expect_door_closed(&driver);
    expect_control(TRI_CONTROL_DRIVER);
    cr_expect_eq(stage.message.driver.gone, 1);
    process_leave(&driver);
    stage_end();
}

/* A login with something changed is answered by CUT. */
static void
expect_refused(void (*change)(struct tri_login *login), trp_err err)
{
    struct process driver;
    stage_start_ready();
    process_visit(&driver);
    change(&driver.login);
    process_connect(&driver);
    process_hello(&driver);
    expect_kind(&driver, TRI_CUT);
    cr_expect_eq(driver.why.code, err, "%s", driver.why.message);
    process_leave(&driver);
    stage_end();
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
    stage_start_ready();
    process_visit(&driver);
    process_connect(&driver);
    process_hello(&driver);
    process_hello(&driver);
    expect_kind(&driver, TRI_WELCOME);
    uint64_t space = driver.welcome.space;
    expect_kind(&driver, TRI_WELCOME);
    cr_expect_eq(driver.welcome.space, space);
    expect_event("hello 0 driver 1");
    driver.login.space = space;
    process_post(&driver, TRI_CALL, 1);
    expect_event("envelope 0 CALL");
    expect_kind(&driver, TRI_RESULT);
    process_leave(&driver);
    stage_end();
}

Test(shell, hello_with_another_identity_is_cut)
{
    struct process driver;
    process_enter(&driver);
    driver.login.space = 777;
    process_hello(&driver);
    expect_kind(&driver, TRI_CUT);
    cr_expect_eq(driver.why.code, TRP_EPROTO);
    expect_event("gone 0");
    expect_door_closed(&driver);
    process_leave(&driver);
    stage_end();
}

Test(shell, a_cut_link_is_resumed_and_nothing_is_lost_or_done_twice)
{
    struct process driver;
    process_enter(&driver);
    process_post(&driver, TRI_CALL, 1);
    expect_event("envelope 0 CALL");
    process_connect(&driver);           /* before the result was read: it is lost with the old link */
    process_post(&driver, TRI_CALL, 2); /* comes over a link that nobody knows: dropped */
    driver.login.received = driver.channel.session.received;
    process_hello(&driver);
    expect_kind(&driver, TRI_WELCOME);
    cr_expect_eq(driver.welcome.received, 1);
    cr_expect_not(driver.welcome.snapshot);
    expect_event("hello 0 again 1");
    cr_assert_eq(tri_session_resume(&driver.channel.session, driver.welcome.received, process_emit, &driver, &error),
                 TRP_OK);
    expect_kind(&driver, TRI_RESULT);
    cr_expect_eq(driver.last_result.number, 1);
    expect_event("envelope 0 CALL");
    expect_kind(&driver, TRI_RESULT);
    cr_expect_eq(driver.last_result.number, 2);
    process_leave(&driver);
    stage_end();
}

/* ------------------------------------------------------------------------------------------------------- bad peers */

Test(shell, garbage_from_a_member_cuts_it_and_no_other)
{
    struct process bad, good;
    stage_start_ready();
    process_log_in(&bad);
    process_log_in(&good);
    expect_event("hello 0 driver 1");
    expect_event("hello 1 driver 1");
    struct tri_packet packet = {.frame_count = 1, .frames = {tri_buf_copy("this is no batch", 16)}};
    process_emit(&bad, &packet);
    expect_kind(&bad, TRI_CUT);
    cr_expect_eq(bad.why.code, TRP_EPROTO);
    expect_door_closed(&bad);
    expect_event("gone 0");
    process_post(&good, TRI_CALL, 1);
    expect_event("envelope 1 CALL");
    expect_kind(&good, TRI_RESULT);
    process_leave(&bad);
    process_leave(&good);
    stage_end();
}

Test(shell, whom_the_core_finds_wrong_is_cut)
{
    struct process driver;
    process_enter(&driver);
    process_post(&driver, TRI_KILL, 1);
    expect_event("envelope 0 KILL");
    expect_kind(&driver, TRI_CUT);
    cr_expect_not_null(strstr(driver.why.message, "KILL"), "%s", driver.why.message);
    expect_event("gone 0");
    process_leave(&driver);
    stage_end();
}

Test(shell, whom_the_core_cuts_is_closed_without_another_event)
{
    struct process driver, next;
    process_enter(&driver);
    process_post(&driver, TRI_LOOKUP, 1);
    expect_event("envelope 0 LOOKUP");
    expect_door_closed(&driver);
    process_log_in(&next);
    expect_event("hello 0 driver 1");
    process_leave(&driver);
    process_leave(&next);
    stage_end();
}

/* ------------------------------------------------------------------------------------------------------------ root */

Test(shell, asks_the_root_for_hosts_and_passes_their_lines_on)
{
    struct process driver;
    process_enter(&driver);
    expect_control(TRI_CONTROL_DRIVER);
    process_post(&driver, TRI_SPAWN, 1);
    expect_event("envelope 0 SPAWN");
    expect_control(TRI_CONTROL_FORK);
    cr_expect_eq(stage.message.head.token, 5);
    cr_expect_str_eq(stage.texts[0], "test");
    process_post(&driver, TRI_WATCH, 2);
    expect_event("envelope 0 WATCH");
    expect_control(TRI_CONTROL_KILL);
    cr_expect_str_eq(stage.texts[0], "as asked");
    struct tri_control_line line = {.head = {.kind = TRI_CONTROL_LINE, .token = 5}, .pid = 77, .stream = 1};
    const char *text = "hello";
    cr_assert_eq(tri_control_send(&stage.control, &line, sizeof line, &text, 1, &error), TRP_OK);
    expect_kind(&driver, TRI_LOG);
    struct tri_control_head failed = {.kind = TRI_CONTROL_FORK_FAILED, .token = 5, .number = TRP_ELIMIT};
    cr_assert_eq(tri_control_send(&stage.control, &failed, sizeof failed, &text, 1, &error), TRP_OK);
    expect_event("fork_failed 5 31 hello");
    process_leave(&driver);
    stage_end();
}

/* One packet in, acknowledged; its lines are counted. */
static void
take_lines(struct process *driver, size_t *lines, unsigned long long *left_out)
{
    driver->last_line[0] = '\0';
    driver->lines = 0;
    process_take(driver);
    *lines += driver->lines;
    if (sscanf(driver->last_line, "... %llu lines left out", left_out) == 1)
        *lines -= 1;
    cr_assert_eq(tri_channel_acknowledge(&driver->channel, process_emit, driver, &error), TRP_OK);
}

/* One message of the root, all of it in the pipe when this returns. */
static void
send_whole(void *body, size_t size, const char *text)
{
    cr_assert_eq(tri_control_send(&stage.control, body, size, &text, 1, &error), TRP_OK);
    while (tri_control_waits(&stage.control)) {
        struct pollfd poller = {.fd = stage.control.fd, .events = POLLOUT};
        cr_assert_eq(poll(&poller, 1, WAIT_MS), 1);
        cr_assert_eq(tri_control_flush(&stage.control, &error), TRP_OK);
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
    process_enter(&driver);
    expect_control(TRI_CONTROL_DRIVER);
    memset(text, 'x', SIZE);
    for (size_t i = 0; i < LINES; i++) {
        struct tri_control_line line = {.head = {.kind = TRI_CONTROL_LINE, .token = 5}, .pid = 77, .stream = 1};
        send_whole(&line, sizeof line, sent);
    }
    struct tri_control_head failed = {.kind = TRI_CONTROL_FORK_FAILED, .token = 5, .number = TRP_ELIMIT};
    const char *last = "all lines before this were read";
    send_whole(&failed, sizeof failed, last);
    expect_event("fork_failed 5 31 all lines before this were read");
    while (left_out == 0)
        take_lines(&driver, &lines, &left_out);
    cr_expect_eq(lines + left_out, LINES, "%zu came, %llu were left out", lines, left_out);
    cr_expect_lt(lines, (size_t)(5 * 1024 * 1024 / SIZE));
    process_leave(&driver);
    stage_end();
}

Test(shell, hears_who_lived_before_it_starts)
{
    static struct tri_control_expected expected = {
        .head = {.kind = TRI_CONTROL_EXPECTED, .number = 2},
        .living = {{.token = 5, .pid = 1, .tailored = 1}, {.space = 9, .pid = 2}}};
    stage_start(2);
    cr_assert_eq(tri_control_send(&stage.control, &expected,
                                  offsetof(struct tri_control_expected, living) + 2 * sizeof *expected.living, NULL, 0,
                                  &error),
                 TRP_OK);
    expect_event("new 3 2 9 1");
    expect_control(TRI_CONTROL_READY);
    stage_end();
}

Test(shell, ends_and_cleans_up_when_its_root_is_gone)
{
    int status = 0;
    stage_start_ready();
    tri_control_fini(&stage.control);
    cr_assert_eq(waitpid(stage.broker, &status, 0), stage.broker);
    cr_expect(access(stage.door_path, F_OK) < 0 && errno == ENOENT, "the door is left");
    tri_link_context_end(&stage.context);
}

Test(shell, says_why_it_cannot_start)
{
    cr_assert_eq(rmdir(stage.scratch), 0);
    stage_start(0);
    expect_event("new 3 0 0 0");
    expect_control(TRI_CONTROL_FAILED);
    cr_expect_gt(strlen(stage.texts[0]), 10);
    int status = 0;
    cr_assert_eq(waitpid(stage.broker, &status, 0), stage.broker);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    cr_assert_eq(mkdir(stage.scratch, 0700), 0);
}
