/* test_link.c - what every link must do. To add one: its scheme in the table of link.c, and an address here. */
#include "helpers.h"

#include <criterion/parameterized.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

static const struct way {
    const char *address; /* %s: a directory of the test */
    bool one_context;    /* both sides need the same one */
} ways[] = {
    {"ipc://%s/l.sock", false},
    {"inproc://conformance", true},
    {"tcp://127.0.0.1:*", false},
};
enum { WAY_COUNT = sizeof ways / sizeof ways[0] };

#define LINK_TEST(name)                                                                                                \
    ParameterizedTestParameters(link, name)                                                                            \
    {                                                                                                                  \
        static int numbers[] = {0, 1, 2};                                                                              \
        return cr_make_param_array(int, numbers, WAY_COUNT);                                                           \
    }                                                                                                                  \
    ParameterizedTest(int *number, link, name)

struct stage {
    const struct way *way;
    char directory[64];
    char address[128];
    const struct tri_link_ops *ops;
    void *context, *server_context;
    struct tri_link *server;
};

static void
start_server(struct stage *stage)
{
    stage->server_context = stage->way->one_context ? stage->context : make_context();
    EXPECT(TRP_OK, stage->ops->bind(stage->server_context, stage->address, &stage->server, &why));
    tri_text_copy(stage->address, sizeof stage->address, tri_link_address(stage->server));
}

static void
stop_server(struct stage *stage)
{
    tri_link_close(&stage->server);
    if (!stage->way->one_context)
        tri_link_context_end(&stage->server_context);
}

static void
set_up(struct stage *stage, int number)
{
    memset(stage, 0, sizeof *stage);
    stage->way = &ways[number];
    scratch_make(stage->directory, "transport");
    (void)snprintf(stage->address, sizeof stage->address, stage->way->address, stage->directory);
    stage->ops = tri_link_find(stage->address);
    cr_assert_not_null(stage->ops);
    stage->context = make_context();
    cr_assert_not_null(stage->context);
    start_server(stage);
}

static void
tear_down(struct stage *stage)
{
    stop_server(stage);
    tri_link_context_end(&stage->context);
    scratch_remove(stage->directory);
}

static struct tri_link *
connect_to(struct stage *stage)
{
    struct tri_link *client = NULL;

    EXPECT(TRP_OK, stage->ops->connect(stage->context, stage->address, &client, &why));
    return client;
}

static void
send_number(struct tri_link *link, uint64_t peer, uint64_t number)
{
    const uint64_t until_ns = tri_now_ns() + DEADLINE_MS * TRI_NS_PER_MS;
    struct pollfd connected = {.fd = tri_link_fd(link), .events = POLLIN};
    struct tri_packet packet;
    trp_err err;

    make_packet(&packet, number, 64, NULL, 0);
    while ((err = tri_link_send(link, peer, &packet, &why)) == TRP_EAGAIN && tri_now_ns() < until_ns)
        (void)poll(&connected, 1, 10); /* on a busy machine the connection may still be on its way */
    EXPECT(TRP_OK, err);
    cr_assert_eq(packet.frame_count, 0, "the packet was not taken over");
}

static uint64_t
recv_number(struct tri_link *link, uint64_t number)
{
    struct tri_packet packet;
    uint64_t peer = UINT64_MAX;

    EXPECT(TRP_OK, tri_link_recv(link, DEADLINE_MS, &peer, &packet, &why));
    check_packet(&packet, number, 64, NULL, 0);
    return peer;
}

/* A socket that speaks no Troupe. */
static void *
connect_raw(struct stage *stage)
{
    const int linger = 0;
    void *raw = zmq_socket(stage->context, ZMQ_DEALER);

    cr_assert_not_null(raw);
    cr_assert_eq(zmq_setsockopt(raw, ZMQ_LINGER, &linger, sizeof linger), 0);
    cr_assert_eq(zmq_connect(raw, stage->address), 0);
    return raw;
}

LINK_TEST(small_and_large_frames_arrive_as_they_were_sent_both_ways)
{
    static const size_t sizes[] = {1, 33, 100, 511, 512, 2047, 2048, 4097, 8000, 65536, 1 << 20};
    struct tri_link *client;
    struct stage stage;

    set_up(&stage, *number);
    client = connect_to(&stage);
    for (uint32_t count = 0; count <= sizeof sizes / sizeof sizes[0]; count++) {
        const size_t batch = 48 + 777 * count;
        struct tri_packet packet;
        uint64_t peer;
        make_packet(&packet, count, batch, sizes, count);
        EXPECT(TRP_OK, tri_link_send(client, 0, &packet, &why));
        EXPECT(TRP_OK, tri_link_recv(stage.server, DEADLINE_MS, &peer, &packet, &why));
        for (uint32_t i = 0; i < packet.frame_count; i++)
            cr_assert_eq((uintptr_t)packet.frames[i]->data % 8, 0, "frame %u is misaligned", i);
        EXPECT(TRP_OK, tri_link_send(stage.server, peer, &packet, &why));
        EXPECT(TRP_OK, tri_link_recv(client, DEADLINE_MS, &peer, &packet, &why));
        cr_assert_eq(peer, 0);
        check_packet(&packet, count, batch, sizes, count);
    }
    tri_link_close(&client);
    tear_down(&stage);
}

LINK_TEST(as_many_frames_as_are_allowed_arrive)
{
    size_t sizes[TRI_PACKET_FRAMES];
    struct tri_packet packet;
    struct tri_link *client;
    struct stage stage;
    uint64_t peer;

    for (size_t i = 0; i < TRI_PACKET_FRAMES; i++)
        sizes[i] = 4097 + i;
    set_up(&stage, *number);
    client = connect_to(&stage);
    make_packet(&packet, 9, 4096, sizes, TRI_PACKET_FRAMES);
    EXPECT(TRP_OK, tri_link_send(client, 0, &packet, &why));
    EXPECT(TRP_OK, tri_link_recv(stage.server, DEADLINE_MS, &peer, &packet, &why));
    check_packet(&packet, 9, 4096, sizes, TRI_PACKET_FRAMES);
    tri_link_close(&client);
    tear_down(&stage);
}

LINK_TEST(packets_of_a_peer_arrive_in_order)
{
    enum { MANY = 5000 };
    struct tri_link *client;
    struct stage stage;
    uint64_t peer = 0;

    set_up(&stage, *number);
    client = connect_to(&stage);
    for (uint64_t i = 0; i < MANY; i++)
        send_number(client, 0, i);
    for (uint64_t i = 0; i < MANY; i++)
        peer = recv_number(stage.server, i);
    for (uint64_t i = 0; i < MANY; i++)
        send_number(stage.server, peer, i);
    for (uint64_t i = 0; i < MANY; i++)
        (void)recv_number(client, i);
    tri_link_close(&client);
    tear_down(&stage);
}

LINK_TEST(many_peers_are_told_apart_and_answered_each)
{
    enum { PEERS = 12 };
    struct tri_link *clients[PEERS];
    uint64_t peers[PEERS];
    struct stage stage;

    set_up(&stage, *number);
    for (int i = 0; i < PEERS; i++) {
        clients[i] = connect_to(&stage);
        send_number(clients[i], 0, (uint64_t)i);
        peers[i] = recv_number(stage.server, (uint64_t)i);
        cr_assert_neq(peers[i], 0, "0 is what clients call their server");
        for (int j = 0; j < i; j++)
            cr_assert_neq(peers[i], peers[j]);
    }
    for (int i = PEERS - 1; i >= 0; i--)
        send_number(stage.server, peers[i], 100 + (uint64_t)i);
    for (int i = 0; i < PEERS; i++) {
        (void)recv_number(clients[i], 100 + (uint64_t)i);
        tri_link_close(&clients[i]);
    }
    tear_down(&stage);
}

LINK_TEST(a_struck_peer_is_neither_heard_nor_spoken_to)
{
    struct tri_link *bad, *good;
    struct tri_packet packet;
    struct stage stage;
    uint64_t peer, other;

    set_up(&stage, *number);
    bad = connect_to(&stage);
    good = connect_to(&stage);
    send_number(bad, 0, 1);
    peer = recv_number(stage.server, 1);
    tri_link_strike(stage.server, peer);
    tri_link_strike(stage.server, peer);
    tri_link_strike(stage.server, 12345);
    send_number(bad, 0, 2);
    send_number(bad, 0, 3);
    EXPECT(TRP_ETIMEDOUT, tri_link_recv(stage.server, 100, &other, &packet, &why));
    cr_assert_eq(tri_link_dropped(stage.server), 2);
    send_number(good, 0, 4);
    other = recv_number(stage.server, 4);
    cr_assert_neq(other, peer);
    make_packet(&packet, 5, 64, NULL, 0);
    EXPECT(TRP_ENOENT, tri_link_send(stage.server, peer, &packet, &why));
    check_packet(&packet, 5, 64, NULL, 0);
    tri_link_close(&bad);
    tri_link_close(&good);
    tear_down(&stage);
}

LINK_TEST(a_peer_that_never_was_or_is_gone_cannot_be_sent_to)
{
    const uint64_t deadline = tri_now_ns() + DEADLINE_MS * TRI_NS_PER_MS;
    const size_t sizes[] = {5000};
    struct tri_packet packet, other;
    struct tri_link *client;
    struct stage stage;
    uint64_t peer, nobody;
    trp_err err = TRP_OK;

    set_up(&stage, *number);
    make_packet(&packet, 1, 600, sizes, 1);
    EXPECT(TRP_ENOENT, tri_link_send(stage.server, 77, &packet, &why));
    check_packet(&packet, 1, 600, sizes, 1);
    client = connect_to(&stage);
    send_number(client, 0, 1);
    peer = recv_number(stage.server, 1);
    tri_link_close(&client);
    while (err == TRP_OK && tri_now_ns() < deadline) {
        make_packet(&packet, 2, 600, sizes, 1);
        err = tri_link_send(stage.server, peer, &packet, &why);
        EXPECT(TRP_ETIMEDOUT, tri_link_recv(stage.server, 5, &nobody, &other, &why));
    }
    cr_assert_eq(err, TRP_ENOENT);
    check_packet(&packet, 2, 600, sizes, 1);
    tear_down(&stage);
}

LINK_TEST(a_message_of_too_many_frames_is_refused_and_the_next_is_fine)
{
    struct tri_packet packet;
    struct stage stage;
    uint64_t peer = 0, again = 0;
    void *raw;

    set_up(&stage, *number);
    raw = connect_raw(&stage);
    for (int i = 0; i <= 1 + TRI_PACKET_FRAMES; i++)
        cr_assert_eq(zmq_send(raw, "frame", 5, i <= TRI_PACKET_FRAMES ? ZMQ_SNDMORE : 0), 5);
    cr_assert_eq(zmq_send(raw, "x", 1, 0), 1);
    EXPECT(TRP_EPROTO, tri_link_recv(stage.server, DEADLINE_MS, &peer, &packet, &why));
    cr_assert_neq(peer, 0);
    cr_assert_eq(packet.frame_count, 0);
    EXPECT(TRP_OK, tri_link_recv(stage.server, DEADLINE_MS, &again, &packet, &why));
    cr_assert_eq(again, peer);
    cr_assert_eq(packet.frame_count, 1);
    cr_assert_eq(packet.frames[0]->size, 1);
    tri_packet_fini(&packet);
    cr_assert_eq(zmq_close(raw), 0);
    tear_down(&stage);
}

static void
send_zeros(void *raw, size_t size, int flags)
{
    zmq_msg_t message;

    cr_assert_eq(zmq_msg_init_size(&message, size), 0);
    memset(zmq_msg_data(&message), 0, size);
    cr_assert_eq(zmq_msg_send(&message, raw, flags), (int)size);
}

LINK_TEST(frames_over_the_limits_are_refused_and_others_notice_nothing)
{
    struct tri_packet packet;
    struct tri_link *good;
    struct stage stage;
    uint64_t peer = 0;
    void *raw;

    set_up(&stage, *number);
    good = connect_to(&stage);
    raw = connect_raw(&stage);
    send_zeros(raw, TRI_BATCH_MAX + 1, 0);
    EXPECT(TRP_EPROTO, tri_link_recv(stage.server, DEADLINE_MS, &peer, &packet, &why));
    cr_assert_neq(peer, 0);
    send_zeros(raw, 64, ZMQ_SNDMORE);
    send_zeros(raw, (size_t)TRI_FRAME_MAX + 1, 0);
    EXPECT(TRP_EPROTO, tri_link_recv(stage.server, DEADLINE_MS, &peer, &packet, &why));
    cr_assert_neq(peer, 0);
    send_number(good, 0, 3);
    cr_assert_neq(recv_number(stage.server, 3), peer);
    cr_assert_eq(zmq_close(raw), 0);
    tri_link_close(&good);
    tear_down(&stage);
}

LINK_TEST(nothing_to_receive_is_told_in_time)
{
    struct tri_packet packet;
    struct tri_link *client;
    struct stage stage;
    uint64_t peer, before;

    set_up(&stage, *number);
    client = connect_to(&stage);
    EXPECT(TRP_ETIMEDOUT, tri_link_recv(client, 0, &peer, &packet, &why));
    EXPECT(TRP_ETIMEDOUT, tri_link_recv(stage.server, 0, &peer, &packet, &why));
    before = tri_now_ns();
    EXPECT(TRP_ETIMEDOUT, tri_link_recv(stage.server, 30, &peer, &packet, &why));
    cr_assert_geq(tri_now_ns() - before, 29 * TRI_NS_PER_MS);
    tri_link_close(&client);
    tear_down(&stage);
}

LINK_TEST(the_descriptor_wakes_and_readable_tells)
{
    struct tri_link *client;
    struct stage stage;

    set_up(&stage, *number);
    client = connect_to(&stage);
    cr_assert_not(tri_link_readable(stage.server));
    send_number(client, 0, 8);
    while (!tri_link_readable(stage.server)) {
        struct pollfd item = {.fd = tri_link_fd(stage.server), .events = POLLIN};
        cr_assert_eq(poll(&item, 1, DEADLINE_MS), 1, "the descriptor did not wake");
    }
    (void)recv_number(stage.server, 8);
    cr_assert_not(tri_link_readable(stage.server));
    tri_link_close(&client);
    tear_down(&stage);
}

LINK_TEST(shared_buffers_come_back_when_all_have_read_them)
{
    const uint64_t deadline = tri_now_ns() + DEADLINE_MS * TRI_NS_PER_MS;
    const size_t sizes[] = {100000};
    struct tri_packet packet, received;
    struct tri_link *client;
    struct tri_buf *batch, *frame;
    struct stage stage;
    uint64_t peer;

    set_up(&stage, *number);
    client = connect_to(&stage);
    make_packet(&packet, 4, 3000, sizes, 1);
    batch = tri_buf_retain(packet.frames[0]);
    frame = tri_buf_retain(packet.frames[1]);
    EXPECT(TRP_OK, tri_link_send(client, 0, &packet, &why));
    EXPECT(TRP_OK, tri_link_recv(stage.server, DEADLINE_MS, &peer, &received, &why));
    check_packet(&received, 4, 3000, sizes, 1);
    while ((atomic_load(&batch->references) != 1 || atomic_load(&frame->references) != 1) && tri_now_ns() < deadline)
        EXPECT(TRP_ETIMEDOUT, tri_link_recv(client, 1, &peer, &received, &why));
    cr_assert_eq(atomic_load(&batch->references), 1);
    cr_assert_eq(atomic_load(&frame->references), 1);
    tri_buf_release(&batch);
    tri_buf_release(&frame);
    tri_link_close(&client);
    tear_down(&stage);
}

static void
send_until_taken(struct tri_link *client, uint64_t number)
{
    const uint64_t deadline = tri_now_ns() + DEADLINE_MS * TRI_NS_PER_MS;
    struct tri_packet packet, nothing;
    trp_err err = TRP_EAGAIN;
    uint64_t peer;

    make_packet(&packet, number, 64, NULL, 0);
    while (err == TRP_EAGAIN && tri_now_ns() < deadline) {
        err = tri_link_send(client, 0, &packet, &why);
        if (err == TRP_EAGAIN)
            EXPECT(TRP_ETIMEDOUT, tri_link_recv(client, 5, &peer, &nothing, &why));
    }
    EXPECT(TRP_OK, err);
}

LINK_TEST(a_client_comes_back_to_a_server_that_was_started_again)
{
    struct tri_packet packet;
    struct tri_link *client;
    struct stage stage;
    uint64_t peer;
    trp_err err = TRP_OK;

    set_up(&stage, *number);
    if (stage.way->one_context) { /* goes and comes with its process */
        tear_down(&stage);
        return;
    }
    client = connect_to(&stage);
    send_number(client, 0, 1);
    (void)recv_number(stage.server, 1);
    stop_server(&stage);
    for (uint64_t end = tri_now_ns() + DEADLINE_MS * TRI_NS_PER_MS; err == TRP_OK && tri_now_ns() < end;) {
        make_packet(&packet, 2, 64, NULL, 0);
        err = tri_link_send(client, 0, &packet, &why);
        if (err != TRP_OK)
            tri_packet_fini(&packet);
        else
            EXPECT(TRP_ETIMEDOUT, tri_link_recv(client, 1, &peer, &packet, &why));
    }
    cr_assert_eq(err, TRP_EAGAIN, "what is sent to nobody was taken");
    start_server(&stage);
    send_until_taken(client, 3);
    send_number(stage.server, recv_number(stage.server, 3), 4);
    (void)recv_number(client, 4);
    tri_link_close(&client);
    tear_down(&stage);
}

/* A peer that ends with packets unread: those come, and after them none. */
LINK_TEST(what_ended_is_told_when_all_of_it_can_be_received)
{
    enum { COUNT = 200 };
    struct tri_packet packet;
    struct tri_link *client;
    struct stage stage;
    uint64_t peer, who;

    set_up(&stage, *number);
    client = connect_to(&stage);
    cr_expect_eq(tri_link_connection(stage.server, 1), TRI_UNTOLD, "of nobody");
    send_number(client, 0, 0);
    peer = recv_number(stage.server, 0);
    if (stage.way->one_context) {
        cr_expect_eq(tri_link_connection(stage.server, peer), TRI_UNTOLD);
    } else {
        const uint64_t until_ns = tri_now_ns() + DEADLINE_MS * TRI_NS_PER_MS;
        cr_expect_eq(tri_link_connection(stage.server, peer), TRI_CONNECTED);
        for (uint64_t i = 1; i <= COUNT; i++)
            send_number(client, 0, i);
        EXPECT(TRP_OK, tri_link_recv(stage.server, DEADLINE_MS, &who, &packet, &why));
        tri_packet_fini(&packet);
        tri_link_close(&client);
        while (tri_link_connection(stage.server, peer) == TRI_CONNECTED && tri_now_ns() < until_ns)
            (void)tri_link_readable(stage.server);
        cr_expect_eq(tri_link_connection(stage.server, peer), TRI_DISCONNECTED);
        while (tri_link_recv(stage.server, 0, &who, &packet, &why) == TRP_OK)
            tri_packet_fini(&packet);
        client = connect_to(&stage); /* may get the descriptor that has become free */
        send_number(client, 0, COUNT + 1);
        who = recv_number(stage.server, COUNT + 1); /* the next one: nothing of the other was left */
        cr_expect_eq(tri_link_connection(stage.server, peer), TRI_DISCONNECTED);
        cr_expect_eq(tri_link_connection(stage.server, who), TRI_CONNECTED);
        tri_link_strike(stage.server, who);
        cr_expect_eq(tri_link_connection(stage.server, who), TRI_DISCONNECTED, "nothing more comes from it");
    }
    tri_link_close(&client);
    tear_down(&stage);
}

/* Sends so many packets in a row and is gone when the kernel has all of them. */
static void
send_and_end(const char *address, uint64_t count)
{
    void *context = zmq_ctx_new(), *raw = zmq_socket(context, ZMQ_DEALER);
    struct tri_packet packet;
    const int all = 0, ever = -1;

    cr_assert_not_null(raw);
    cr_assert_eq(zmq_setsockopt(raw, ZMQ_SNDHWM, &all, sizeof all), 0);
    cr_assert_eq(zmq_setsockopt(raw, ZMQ_LINGER, &ever, sizeof ever), 0);
    cr_assert_eq(zmq_connect(raw, address), 0);
    for (uint64_t i = 0; i < count; i++) {
        make_packet(&packet, i, 64, NULL, 0);
        cr_assert_eq(zmq_send(raw, packet.frames[0]->data, packet.frames[0]->size, 0), 64);
        tri_packet_fini(&packet);
    }
    cr_assert_eq(zmq_close(raw), 0);
    cr_assert_eq(zmq_ctx_term(context), 0);
}

LINK_TEST(of_a_peer_that_dies_while_thousands_of_its_packets_wait_all_are_received)
{
    enum { COUNT = 3000 };
    const uint64_t until_ns = tri_now_ns() + DEADLINE_MS * TRI_NS_PER_MS;
    struct stage stage;
    uint64_t peer;

    set_up(&stage, *number);
    if (!stage.way->one_context) {
        send_and_end(stage.address, COUNT);
        peer = recv_number(stage.server, 0);
        while (tri_link_connection(stage.server, peer) != TRI_DISCONNECTED && tri_now_ns() < until_ns)
            (void)tri_link_readable(stage.server);
        cr_expect_eq(tri_link_connection(stage.server, peer), TRI_DISCONNECTED, "some of it was not read");
        for (uint64_t i = 1; i < COUNT; i++)
            cr_expect_eq(recv_number(stage.server, i), peer);
    }
    tear_down(&stage);
}

/* So does a client of its server. */
LINK_TEST(a_client_is_told_when_all_that_its_server_sent_can_be_received)
{
    enum { COUNT = 200 };
    const uint64_t until_ns = tri_now_ns() + DEADLINE_MS * TRI_NS_PER_MS;
    struct tri_link *client;
    struct stage stage;
    uint64_t peer, last = 1;

    set_up(&stage, *number);
    client = connect_to(&stage);
    cr_expect_eq(tri_link_connection(client, 0), TRI_UNTOLD);
    send_number(client, 0, 0);
    peer = recv_number(stage.server, 0);
    send_number(stage.server, peer, 0);
    (void)recv_number(client, 0);
    if (stage.way->one_context) {
        cr_expect_eq(tri_link_connection(client, 0), TRI_UNTOLD);
    } else {
        cr_expect_eq(tri_link_connection(client, 0), TRI_CONNECTED);
        for (uint64_t i = 1; i <= COUNT; i++)
            send_number(stage.server, peer, i);
        (void)recv_number(client, 1); /* they are under way */
        tri_link_close(&stage.server);
        while (tri_link_connection(client, 0) == TRI_CONNECTED && tri_now_ns() < until_ns)
            (void)tri_link_readable(client);
        cr_expect_eq(tri_link_connection(client, 0), TRI_DISCONNECTED);
        while (tri_link_readable(client))
            (void)recv_number(client, ++last); /* in order; those that the server had not written are lost */
    }
    tri_link_close(&client);
    tear_down(&stage);
}
