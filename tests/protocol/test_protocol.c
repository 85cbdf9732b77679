/*
 * test_protocol.c - actors are ZeroMQ endpoints: this program knows docs/protocol.md, libzmq and the codec, and nothing else of
 * Troupe. It starts a node, logs in, spawns a Counter, calls it and releases it. Read it beside that page.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "schemas/schemas.h"

/* The head of a batch, as the page shows it. */
struct batch_head {
    uint32_t magic;
    uint16_t version, zero16;
    uint32_t envelope_count, frame_count;
    uint64_t sequence, acknowledged, released_calls, released_bytes;
};

static char directory[64], node[80];
static void *context, *dealer;
static uint64_t sent, received;

static void
send_envelope(uint64_t sequence, struct tri_route route, const struct tri_section *body)
{
    static _Alignas(16) uint8_t bytes[8192];
    uint32_t count = body != NULL ? 1 : 0;
    struct batch_head head = {0x31505254, TRI_WIRE_VERSION, 0, 1, 0, sequence, received, 0, 0};
    route.version = TRI_WIRE_VERSION;
    memcpy(bytes, &head, sizeof head);
    tri_envelope_write(bytes + sizeof head, &route, body, count);
    size_t size = sizeof head + tri_envelope_size(body, count);
    cr_assert_eq(zmq_send(dealer, bytes, size, 0), (int)size, "%s", zmq_strerror(errno));
}

/* Receives packets until one has an envelope of this kind; its bytes stay valid until the next call. */
static struct tri_envelope
receive_envelope(uint8_t kind)
{
    static _Alignas(16) uint8_t bytes[65536];
    trp_error error;
    for (;;) {
        int size = zmq_recv(dealer, bytes, sizeof bytes, 0);
        cr_assert_geq(size, (int)sizeof(struct batch_head), "nothing came in 20 s, waiting for %s",
                      tri_kind_name(kind));
        struct batch_head head;
        memcpy(&head, bytes, sizeof head);
        if (head.sequence != 0)
            received = head.sequence;
        struct tri_envelope found = {NULL, NULL, 0};
        for (size_t at = sizeof head; head.envelope_count > 0; head.envelope_count--) {
            struct tri_envelope envelope;
            cr_assert_eq(tri_envelope_check(bytes + at, (size_t)size - at, NULL, 0, &envelope, &error), TRP_OK, "%s",
                         error.message);
            at += envelope.route->size;
            if (envelope.route->kind == kind)
                found = envelope;
        }
        if (found.route != NULL)
            return found;
    }
}

static pid_t
start_node(void)
{
    int out[2];
    pid_t pid;
    char line[256] = "";
    strcpy(directory, "/tmp/troupe-protocol-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    snprintf(node, sizeof node, "%s/node", directory);
    cr_assert_eq(pipe(out), 0);
    char *argv[] = {(char *)"troupe-node",
                    (char *)"--service",
                    (char *)"--dir",
                    node,
                    (char *)"--module-path",
                    getenv("TRP_MODULE_PATH"),
                    NULL};
    if ((pid = fork()) == 0) { /* a test that fails takes its node along */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out[1], STDOUT_FILENO);
        execv(getenv("TROUPE_NODE"), argv);
        _exit(127);
    }
    cr_assert_gt(pid, 0);
    close(out[1]);
    struct pollfd poller = {.fd = out[0], .events = POLLIN};
    cr_assert(poll(&poller, 1, 20000) == 1 && read(out[0], line, sizeof line - 1) > 0 && strncmp(line, "READY", 5) == 0,
              "%s", line);
    close(out[0]);
    return pid;
}

/* Step 1: the side door gives the cookie. */
static int
open_door(uint64_t *cookie)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/door", node);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0, "%s", strerror(errno));
    cr_assert_eq(recv(fd, cookie, sizeof *cookie, 0), (ssize_t)sizeof *cookie);
    return fd;
}

/* Steps 2 and 3: HELLO, WELCOME. Returns our space. */
static uint64_t
log_in(uint64_t cookie, struct tri_packed *packed)
{
    char address[128];
    struct tri_section body;
    struct tri_welcome welcome;
    trp_error error;
    int timeout_ms = 20000, linger_ms = 0;
    snprintf(address, sizeof address, "ipc://%s/broker.sock", node);
    context = zmq_ctx_new();
    dealer = zmq_socket(context, ZMQ_DEALER);
    zmq_setsockopt(dealer, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
    zmq_setsockopt(dealer, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    cr_assert_eq(zmq_connect(dealer, address), 0);
    struct tri_login login = {
        .version_min = 1, .version_max = 1, .role = TRI_DRIVER, .pid = getpid(), .cookie = cookie, .program = "test"};
    cr_assert_eq(tri_login_pack(packed, &login, &error), TRP_OK, "%s", error.message);
    send_envelope(0, (struct tri_route){.kind = TRI_HELLO}, &packed->section);
    struct tri_envelope answer = receive_envelope(TRI_WELCOME);
    tri_envelope_section(&answer, 0, &body);
    cr_assert_eq(tri_welcome_unpack(&body, &welcome, &error), TRP_OK, "%s", error.message);
    return welcome.space;
}

Test(protocol, a_program_of_libzmq_and_the_codec_calls_an_actor, .timeout = 60)
{
    struct tri_packed packed = {0};
    struct tri_section body;
    struct tri_view view;
    trp_error error;
    uint64_t cookie = 0;
    int status = 0;
    pid_t pid = start_node();
    int door = open_door(&cookie);
    uint64_t space = log_in(cookie, &packed);
    struct tri_id actor = {space, 1}, result = {space, 2};

    struct tri_spawn spawn = {.class_name = "counter:Counter", .name = "", .namespace_ = "default"};
    cr_assert_eq(tri_spawn_pack(&packed, &spawn, trp_null(), NULL, &error), TRP_OK, "%s", error.message);
    send_envelope(++sent, (struct tri_route){.kind = TRI_SPAWN, .target = actor}, &packed.section);

    cr_assert_eq(tri_call_pack(&packed, "increment", TRP_ARGS(5), NULL, &error), TRP_OK, "%s", error.message);
    send_envelope(++sent, (struct tri_route){.kind = TRI_CALL, .target = actor, .result = result, .sequence = 1},
                  &packed.section);

    struct tri_envelope answer = receive_envelope(TRI_RESULT);
    cr_assert(tri_id_equal(answer.route->result, result));
    cr_assert_eq(answer.route->flags & TRI_FAILED, 0);
    tri_envelope_section(&answer, 0, &body);
    cr_assert_eq(tri_view_open(&view, &body, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(trp_as_i64(tri_view_value(&view, 0)), 5);
    tri_view_close(&view);

    struct tri_release release = {actor, 1};
    cr_assert_eq(tri_releases_pack(&packed, &release, 1, &error), TRP_OK, "%s", error.message);
    send_envelope(++sent, (struct tri_route){.kind = TRI_RELEASE}, &packed.section);
    send_envelope(++sent, (struct tri_route){.kind = TRI_GOODBYE}, NULL);
    tri_packed_fini(&packed);
    close(door);
    zmq_close(dealer);
    zmq_ctx_term(context);

    cr_assert_eq(kill(pid, SIGTERM), 0);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    cr_expect(rmdir(node) == 0 || errno == ENOENT);
    cr_expect_eq(rmdir(directory), 0, "files were left: %s", strerror(errno));
}
