/*
 * stage.c - see stage.h. The broker is a child process, the core in it stands in (fake_core.c).
 */
#include "tests/broker/stage.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/broker/fake_core.h"
#include "tests/common/scratch.h"

struct stage stage;
static trp_error error;

/* ------------------------------------------------------------------------------------------------------- the stage */

void
expect_event(const char *wanted)
{
    char line[256] = "";
    struct pollfd poller = {.fd = fileno(stage.events), .events = POLLIN};
    cr_assert(poll(&poller, 1, WAIT_MS) == 1 && fgets(line, sizeof line, stage.events) != NULL, "'%s' did not come",
              wanted);
    line[strcspn(line, "\n")] = '\0';
    cr_assert_str_eq(line, wanted);
}

void
expect_control(uint32_t kind)
{
    trp_err err;
    while ((err = tri_control_recv(&stage.control, &stage.message, stage.texts, &error)) == TRP_EAGAIN) {
        struct pollfd poller = {.fd = stage.control.fd, .events = POLLIN};
        cr_assert_eq(poll(&poller, 1, WAIT_MS), 1, "%s did not come", tri_control_name(kind));
    }
    cr_assert_eq(err, TRP_OK, "%s", error.message);
    cr_assert_eq(stage.message.head.kind, kind, "%s came instead of %s", tri_control_name(stage.message.head.kind),
                 tri_control_name(kind));
}

void
stage_start(uint32_t expected_count)
{
    int pair[2], out[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    cr_assert_eq(pipe2(out, 0), 0);
    stage.broker = fork();
    if (stage.broker == 0) {
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
    tri_control_init(&stage.control, pair[0]);
    stage.events = fdopen(out[0], "r");
    setvbuf(stage.events, NULL, _IONBF, 0);
    struct tri_control_start first = {.head = {.kind = TRI_CONTROL_START},
                                      .incarnation = 3,
                                      .num_cpus = 2,
                                      .log_level = TRI_ERROR,
                                      .expected_count = expected_count};
    const char *sent[] = {stage.scratch, "here"};
    cr_assert_eq(tri_control_send(&stage.control, &first, sizeof first, sent, 2, &error), TRP_OK);
}

void
stage_start_ready(void)
{
    stage_start(0);
    expect_control(TRI_CONTROL_READY);
    expect_event("new 3 0 0 0");
    cr_assert_eq(tri_link_context(&stage.context, NULL), TRP_OK);
}

void
stage_end(void)
{
    struct tri_control_head stop = {.kind = TRI_CONTROL_STOP};
    int status = 0;
    cr_assert_eq(tri_control_send(&stage.control, &stop, sizeof stop, NULL, 0, &error), TRP_OK);
    cr_assert_eq(waitpid(stage.broker, &status, 0), stage.broker);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the broker ended with status %x", (unsigned)status);
    tri_link_context_end(&stage.context);
    tri_control_fini(&stage.control);
}

void
stage_open(void)
{
    scratch_make(stage.scratch, "shell");
    snprintf(stage.address, sizeof stage.address, "ipc://%s/broker.sock", stage.scratch);
    snprintf(stage.door_path, sizeof stage.door_path, "%s/door", stage.scratch);
}

void
stage_close(void)
{
    scratch_remove(stage.scratch);
}

/* ------------------------------------------------------------------------------------------------------- processes */

void
process_emit(void *user, struct tri_packet *packet)
{
    struct process *process = user;
    if (tri_link_send(process->link, 0, packet, NULL) != TRP_OK)
        tri_packet_fini(packet);
}

void
process_visit(struct process *process)
{
    *process = (struct process){.door = -1};
    struct tri_greeting greeting;
    cr_assert_eq(tri_door_greet(stage.door_path, WAIT_MS, &greeting, &error), TRP_OK, "%s", error.message);
    tri_greeting_close_fds(&greeting);
    process->door = greeting.fd;
    process->login.cookie = greeting.cookie;
    process->login.version_min = process->login.version_max = TRI_WIRE_VERSION;
    process->login.role = TRI_DRIVER;
    process->login.pid = getpid();
    process->login.program = "test";
    tri_channel_init(&process->channel, 100, 1 << 20);
}

void
process_connect(struct process *process)
{
    tri_link_close(&process->link);
    cr_assert_eq(tri_link_find(stage.address)->connect(stage.context, stage.address, &process->link, &error), TRP_OK,
                 "%s", error.message);
}

void
process_hello(struct process *process)
{
    struct tri_packed packed = {0};
    struct tri_packet packet = {0};
    const struct tri_route route = {.kind = TRI_HELLO};
    cr_assert_eq(tri_login_pack(&packed, &process->login, &error), TRP_OK);
    cr_assert_eq(tri_packet_single(&packet, &route, &packed.section, 1, &error), TRP_OK);
    process_emit(process, &packet);
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
enum tri_receipt
process_take(struct process *process)
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

void
expect_kind(struct process *process, uint8_t kind)
{
    do
        process_take(process);
    while (process->last_kind == 0);
    cr_assert_eq(process->last_kind, kind, "%s came instead of %s", tri_kind_name(process->last_kind),
                 tri_kind_name(kind));
}

void
process_log_in(struct process *process)
{
    process_visit(process);
    process_connect(process);
    process_hello(process);
    expect_kind(process, TRI_WELCOME);
    process->login.space = process->welcome.space;
    process->login.broker = process->welcome.broker;
}

void
process_post(struct process *process, uint8_t kind, uint64_t number)
{
    const struct tri_route route = {.kind = kind, .result = {process->login.space, number}, .sequence = number};
    struct tri_packed packed = {0};
    cr_assert_eq(tri_value_pack(&packed, trp_i64(1), NULL, NULL, &error), TRP_OK);
    if (kind == TRI_CALL)
        tri_session_use(&process->channel.session, 1); /* as the core that stands in gives back */
    cr_assert_eq(tri_channel_post(&process->channel, &route, &packed.section, kind != TRI_GOODBYE, NULL, &error),
                 TRP_OK);
    cr_assert_eq(tri_channel_flush(&process->channel, process_emit, process, &error), TRP_OK);
    tri_packed_fini(&packed);
}

void
expect_door_closed(struct process *process)
{
    uint8_t byte;
    struct pollfd poller = {.fd = process->door, .events = POLLIN};
    cr_assert_eq(poll(&poller, 1, WAIT_MS), 1, "the door stays open");
    cr_expect_eq(recv(process->door, &byte, 1, MSG_DONTWAIT), 0);
}

void
process_leave(struct process *process)
{
    close(process->door);
    tri_link_close(&process->link);
    tri_channel_fini(&process->channel);
}

void
process_enter(struct process *process)
{
    stage_start_ready();
    process_log_in(process);
    expect_event("hello 0 driver 1");
}

void
process_close_door(struct process *process)
{
    close(process->door);
    process->door = -1;
}
