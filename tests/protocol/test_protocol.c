/*
 * test_protocol.c - actors are ZeroMQ endpoints: this program knows docs/protocol.md, libzmq and the codec, and nothing else of
 * Troupe. It logs in to a node, spawns a Counter, calls it and releases it. Read it beside that page.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#include "schemas/schemas.h"
#include "tests/common/child.h"

#define MUST(condition) cr_assert(condition, "%s %s", zmq_strerror(zmq_errno()), error.message)

/* "Layers": the head of a batch. */
struct batch_head {
    uint32_t magic;
    uint16_t version, zero16;
    uint32_t envelope_count, frame_count;
    uint64_t sequence, acknowledged, released_calls, released_bytes;
};

static char directory[] = "/tmp/troupe-protocol-XXXXXX";
static void *dealer;
static uint64_t sent, received;
static trp_error error;

/* "Sessions": packets are numbered; HELLO is not. Each of ours has one envelope, with one section or none. */
static void
say(struct tri_route route, const struct tri_section *body)
{
    static _Alignas(16) uint8_t bytes[8192];
    struct batch_head head = {.magic = 0x31505254, .version = 2, .envelope_count = 1, .acknowledged = received};
    head.sequence = route.kind == TRI_HELLO ? 0 : ++sent;
    memcpy(bytes, &head, sizeof head);
    size_t size = sizeof head + tri_envelope_write(bytes + sizeof head, &route, body, body != NULL);
    MUST(zmq_send(dealer, bytes, size, 0) == (int)size);
}

/* Passes over all envelopes until one of this kind; returns its route, and its body, good until the next one. */
static struct tri_route
hear(uint8_t kind, struct tri_section *body)
{
    static _Alignas(16) uint8_t bytes[65536];
    struct tri_envelope envelope = {0};
    struct tri_route found = {0};
    while (found.kind == 0) {
        int size = zmq_recv(dealer, bytes, sizeof bytes, 0);
        struct batch_head head;
        MUST(size >= (int)sizeof head);
        memcpy(&head, bytes, sizeof head);
        received = head.sequence > 0 ? head.sequence : received;
        for (size_t at = sizeof head; head.envelope_count-- > 0; at += envelope.size) {
            MUST(tri_envelope_check(bytes + at, (size_t)size - at, NULL, 0, &envelope, &error) == TRP_OK);
            if (envelope.route.kind != kind)
                continue;
            found = envelope.route;
            tri_envelope_section(&envelope, 0, body);
        }
    }
    return found;
}

/* "Logging in", 1 to 3: the side door gives a cookie; HELLO, WELCOME. Returns our space. While the door is open we live. */
static uint64_t
log_in(void *context, int door, struct tri_packed *packed)
{
    struct tri_login login = {.version_min = 2, .version_max = 2, .role = TRI_DRIVER, .pid = getpid(), .program = "me"};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct tri_section body;
    struct tri_welcome welcome;
    char endpoint[80];
    int wait_ms = 20000;
    snprintf(address.sun_path, sizeof address.sun_path, "%s/node/door", directory);
    MUST(connect(door, (struct sockaddr *)&address, sizeof address) == 0);
    MUST(recv(door, &login.cookie, sizeof login.cookie, 0) == (ssize_t)sizeof login.cookie);
    snprintf(endpoint, sizeof endpoint, "ipc://%s/node/broker.sock", directory);
    dealer = zmq_socket(context, ZMQ_DEALER);
    MUST(zmq_setsockopt(dealer, ZMQ_RCVTIMEO, &wait_ms, sizeof wait_ms) == 0 && zmq_connect(dealer, endpoint) == 0);
    MUST(tri_login_pack(packed, &login, &error) == TRP_OK);
    say((struct tri_route){.kind = TRI_HELLO}, &packed->section);
    hear(TRI_WELCOME, &body);
    MUST(tri_welcome_unpack(&body, &welcome, &error) == TRP_OK && welcome.version == 2);
    return welcome.space;
}

/* "Ids, epochs, lanes", "Calls", "Actors". */
static void
call_an_actor(uint64_t space, struct tri_packed *packed)
{
    const struct tri_spawn spawn = {.class_name = "counter:Counter", .name = "", .namespace_ = "default"};
    const struct tri_id actor = {space, 1}, result = {space, 2};
    const struct tri_run release = {.id = actor, .count = 1, .handed = 1};
    struct tri_section body;
    struct tri_view view;
    MUST(tri_spawn_pack(packed, &spawn, trp_null(), NULL, &error) == TRP_OK);
    say((struct tri_route){.kind = TRI_SPAWN, .target = actor}, &packed->section);
    MUST(tri_call_pack(packed, "increment", TRP_ARGS(5), NULL, &error) == TRP_OK);
    say((struct tri_route){.kind = TRI_CALL, .target = actor, .result = result, .sequence = 1}, &packed->section);
    const struct tri_route answer = hear(TRI_RESULT, &body);
    MUST(tri_id_equal(answer.result, result) && (answer.flags & TRI_FAILED) == 0);
    MUST(tri_view_open(&view, &body, &error) == TRP_OK && trp_as_i64(tri_view_value(&view, 0)) == 5);
    tri_view_close(&view);
    MUST(tri_runs_pack(packed, &release, 1, &error) == TRP_OK);
    say((struct tri_route){.kind = TRI_RELEASE}, &packed->section);
    say((struct tri_route){.kind = TRI_GOODBYE}, NULL);
}

Test(protocol, a_program_of_libzmq_and_the_codec_calls_an_actor, .timeout = 60)
{
    struct tri_packed packed = {0};
    char node[64], line[256];
    void *context = zmq_ctx_new();
    int door = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    MUST(mkdtemp(directory) != NULL);
    snprintf(node, sizeof node, "%s/node", directory);
    pid_t pid = child_start_node(node, NULL, line, sizeof line);
    cr_assert_gt(pid, 0, "%s", line);
    call_an_actor(log_in(context, door, &packed), &packed);
    tri_packed_fini(&packed);
    zmq_close(dealer);
    zmq_ctx_term(context);
    close(door);
    cr_expect(child_end(pid), "the node did not end in order");
    rmdir(node);
    cr_expect_eq(rmdir(directory), 0, "files were left in %s", directory);
}
