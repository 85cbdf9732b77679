/* peer.c - see peer.h. */
#include "tests/system/peer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

enum { WAIT_MS = 20000, MAGIC = 0x31505254 };

int
peer_open_door(const char *directory, uint64_t *cookie)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    cr_assert_lt(snprintf(address.sun_path, sizeof address.sun_path, "%s/door", directory),
                 (int)sizeof address.sun_path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0, "%s", strerror(errno));
    cr_assert_eq(recv(fd, cookie, sizeof *cookie, 0), (ssize_t)sizeof *cookie);
    return fd;
}

void
peer_open(struct peer *peer, const char *directory)
{
    char address[128];
    int linger_ms = 0, high_water = 0;
    *peer = (struct peer){.directory = directory, .second_door = -1};
    peer->door = peer_open_door(directory, &peer->cookie);
    snprintf(address, sizeof address, "ipc://%s/broker.sock", directory);
    peer->context = zmq_ctx_new();
    peer->dealer = zmq_socket(peer->context, ZMQ_DEALER);
    zmq_setsockopt(peer->dealer, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    zmq_setsockopt(peer->dealer, ZMQ_SNDHWM, &high_water, sizeof high_water);
    cr_assert_eq(zmq_connect(peer->dealer, address), 0, "%s", zmq_strerror(errno));
}

void
peer_close(struct peer *peer)
{
    zmq_close(peer->dealer);
    zmq_ctx_term(peer->context);
    close(peer->door);
    if (peer->second_door >= 0)
        close(peer->second_door);
    tri_packed_fini(&peer->packed);
}

/* ----------------------------------------------------------------------------------------------------------- saying */

size_t
peer_write(struct peer *peer, uint8_t *bytes, size_t size, struct tri_route route, const struct tri_section *sections,
           uint32_t count)
{
    struct peer_head head = {MAGIC, TRI_WIRE_VERSION, 0, 1, 0, 0, peer->received, 0, 0};
    for (uint32_t i = 0; i < count; i++)
        head.frame_count += tri_section_is_frame(&sections[i]);
    head.sequence = route.kind == TRI_HELLO ? 0 : ++peer->sent;
    cr_assert_leq(sizeof head + tri_envelope_size(sections, count), size);
    memcpy(bytes, &head, sizeof head);
    return sizeof head + tri_envelope_write(bytes + sizeof head, &route, sections, count);
}

void
peer_send(struct peer *peer, const void *bytes, size_t size, bool more)
{
    cr_assert_eq(zmq_send(peer->dealer, bytes, size, more ? ZMQ_SNDMORE : 0), (int)size, "%s", zmq_strerror(errno));
}

void
peer_say(struct peer *peer, struct tri_route route, const struct tri_section *body)
{
    static _Alignas(16) uint8_t bytes[65536];
    size_t size = peer_write(peer, bytes, sizeof bytes, route, body, body != NULL ? 1 : 0);
    bool frame = body != NULL && tri_section_is_frame(body);
    peer_send(peer, bytes, size, frame);
    if (frame)
        peer_send(peer, body->data, (size_t)body->size, false);
}

void
peer_hello(struct peer *peer, void (*change)(struct peer *peer, struct tri_login *login))
{
    trp_error error;
    struct tri_login login = {.version_min = TRI_WIRE_VERSION,
                              .version_max = TRI_WIRE_VERSION,
                              .role = TRI_DRIVER,
                              .pid = getpid(),
                              .cookie = peer->cookie,
                              .space = peer->space,
                              .broker = peer->broker,
                              .received = peer->received,
                              .program = "a peer"};
    if (change != NULL)
        change(peer, &login);
    cr_assert_eq(tri_login_pack(&peer->packed, &login, &error), TRP_OK, "%s", error.message);
    peer_say(peer, (struct tri_route){.kind = TRI_HELLO}, &peer->packed.section);
}

void
peer_log_in(struct peer *peer)
{
    struct tri_envelope envelope;
    struct tri_section body;
    struct tri_welcome welcome;
    trp_error error;
    peer_hello(peer, NULL);
    cr_assert(peer_receive(peer, TRI_WELCOME, WAIT_MS, &envelope), "no WELCOME came");
    tri_envelope_section(&envelope, 0, &body);
    cr_assert_eq(tri_welcome_unpack(&body, &welcome, &error), TRP_OK, "%s", error.message);
    peer->space = welcome.space;
    peer->broker = welcome.broker;
}

struct tri_id
peer_id(struct peer *peer)
{
    return (struct tri_id){peer->space, ++peer->next};
}

struct tri_id
peer_spawn(struct peer *peer)
{
    const struct tri_spawn spawn = {.class_name = "system_module:Counter", .name = "", .namespace_ = "default"};
    struct tri_id actor = peer_id(peer);
    trp_error error;
    cr_assert_eq(tri_spawn_pack(&peer->packed, &spawn, trp_null(), NULL, &error), TRP_OK, "%s", error.message);
    peer_say(peer, (struct tri_route){.kind = TRI_SPAWN, .target = actor}, &peer->packed.section);
    return actor;
}

void
peer_call(struct peer *peer, struct tri_id actor, struct tri_id result, uint64_t sequence, const char *method)
{
    trp_error error;
    cr_assert_eq(tri_call_pack(&peer->packed, method, trp_null(), NULL, &error), TRP_OK, "%s", error.message);
    peer_say(peer, (struct tri_route){.kind = TRI_CALL, .target = actor, .result = result, .sequence = sequence},
             &peer->packed.section);
}

/* ---------------------------------------------------------------------------------------------------------- hearing */

static bool
wait_for_packet(struct peer *peer, int timeout_ms)
{
    zmq_pollitem_t item = {.socket = peer->dealer, .events = ZMQ_POLLIN};
    return zmq_poll(&item, 1, timeout_ms) == 1;
}

bool
peer_receive(struct peer *peer, uint8_t kind, int timeout_ms, struct tri_envelope *found)
{
    trp_error error;
    while (wait_for_packet(peer, timeout_ms)) {
        int size = zmq_recv(peer->dealer, peer->bytes, sizeof peer->bytes, 0);
        struct peer_head head;
        cr_assert_geq(size, (int)sizeof head);
        memcpy(&head, peer->bytes, sizeof head);
        if (head.sequence != 0)
            peer->received = head.sequence;
        bool has = false;
        for (size_t at = sizeof head; head.envelope_count > 0; head.envelope_count--) {
            struct tri_envelope envelope;
            cr_assert_eq(tri_envelope_check(peer->bytes + at, (size_t)size - at, NULL, 0, &envelope, &error), TRP_OK,
                         "%s", error.message);
            at += envelope.size;
            if (envelope.route.kind != kind)
                continue;
            has = true;
            *found = envelope;
        }
        if (has)
            return true;
    }
    return false;
}

static trp_err
first_error(const struct tri_envelope *envelope, trp_error *error)
{
    struct tri_failure chain[8];
    struct tri_section body;
    uint32_t count = 0;
    tri_envelope_section(envelope, 0, &body);
    cr_assert_eq(tri_error_unpack(&body, chain, &count, error), TRP_OK, "%s", error->message);
    *error = chain[0].error;
    return error->code;
}

trp_err
peer_await_cut(struct peer *peer, trp_error *error)
{
    struct tri_envelope envelope;
    struct pollfd door = {.fd = peer->door, .events = POLLIN};
    char byte;
    snprintf(error->message, sizeof error->message, "nothing came");
    if (!peer_receive(peer, TRI_CUT, WAIT_MS, &envelope))
        return TRP_OK;
    trp_err err = first_error(&envelope, error);
    if (err == TRP_EACCES || peer->space == 0)
        return err; /* who was never let in may stay before the door */
    cr_assert_eq(poll(&door, 1, WAIT_MS), 1, "the door stays open");
    cr_assert_eq(recv(peer->door, &byte, 1, 0), 0);
    return err;
}

trp_err
peer_await_result(struct peer *peer, struct tri_id result, trp_error *error)
{
    struct tri_envelope envelope;
    do
        cr_assert(peer_receive(peer, TRI_RESULT, WAIT_MS, &envelope), "no RESULT came");
    while (!tri_id_equal(envelope.route.result, result));
    return (envelope.route.flags & TRI_FAILED) != 0 ? first_error(&envelope, error) : TRP_OK;
}
