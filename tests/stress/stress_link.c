/*
 * stress_link.c - several threads exchange packets over in-process links; all send the same shared buffers, each checks the
 * sums of what it gets. For ThreadSanitizer, which sees only our code: libzmq's own order is told to it in link_zmq.c.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport/transport.h"

enum { CLIENTS = 6, SHARED = 8, PACKETS = 3000, OUTSTANDING = 16, WAIT_MS = 20000 };

/* The batch of a packet here: a head, then which shared buffer is its frame, and that one's sum. */
struct content {
    struct tri_batch_head head;
    uint64_t shared;
    uint64_t sum;
    uint64_t number;
};

static struct tri_buf *shared[SHARED];
static uint64_t sums[SHARED];
static void *context;
static _Atomic unsigned failures;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                              \
            (void)atomic_fetch_add(&failures, 1);                                                                      \
        }                                                                                                              \
    } while (0)

static uint64_t
sum_of(const struct tri_buf *buf)
{
    uint64_t sum = buf->size;

    for (size_t i = 0; i < buf->size; i++)
        sum = sum * 31 + buf->data[i];
    return sum;
}

static bool
check_content(const struct tri_packet *packet, struct content *content)
{
    if (packet->frame_count != 2 || packet->frames[0]->size < sizeof *content)
        return false;
    memcpy(content, packet->frames[0]->data, sizeof *content);
    return content->shared < SHARED && content->sum == sums[content->shared] &&
           sum_of(packet->frames[1]) == content->sum;
}

static bool
send_content(struct tri_link *link, uint64_t number, uint64_t *random)
{
    const uint64_t which = tri_random_next(random) % SHARED;
    const struct content content = {
        .head = {.magic = TRI_BATCH_MAGIC}, .shared = which, .sum = sums[which], .number = number};
    struct tri_packet packet = {.frame_count = 2};

    /* Small ones are copied into libzmq's message, large ones shared with it. */
    packet.frames[0] = tri_buf_new(sizeof content + tri_random_next(random) % 2 * 4096);
    if (packet.frames[0] == NULL)
        return false;
    memset(packet.frames[0]->data, 0, packet.frames[0]->size);
    memcpy(packet.frames[0]->data, &content, sizeof content);
    packet.frames[1] = tri_buf_retain(shared[which]);
    if (tri_link_send(link, 0, &packet, NULL) == TRP_OK)
        return true;
    tri_packet_fini(&packet);
    return false;
}

static void *
run_client(void *argument)
{
    uint64_t random = (uint64_t)(uintptr_t)argument + 1, sent = 0, got = 0;
    struct tri_link *link = NULL;

    if (tri_link_find("inproc://stress")->connect(context, "inproc://stress", &link, NULL) != TRP_OK) {
        CHECK(!"connected");
        return NULL;
    }
    while (got < PACKETS) {
        struct tri_packet packet;
        struct content content;
        uint64_t peer;
        while (sent < PACKETS && sent - got < OUTSTANDING && send_content(link, sent, &random))
            sent++;
        if (tri_link_recv(link, WAIT_MS, &peer, &packet, NULL) != TRP_OK) {
            CHECK(!"answered in time");
            break;
        }
        CHECK(check_content(&packet, &content) && content.number == got);
        got++;
        tri_packet_fini(&packet);
    }
    tri_link_close(&link);
    return NULL;
}

/* Sends every packet back to whom it came from, the buffers as they are. */
static void *
run_server(void *argument)
{
    struct tri_link *link = argument;

    for (int i = 0; i < CLIENTS * PACKETS; i++) {
        struct tri_packet packet;
        struct content content;
        uint64_t peer;
        if (tri_link_recv(link, WAIT_MS, &peer, &packet, NULL) != TRP_OK) {
            CHECK(!"asked in time");
            break;
        }
        CHECK(check_content(&packet, &content));
        CHECK(tri_link_send(link, peer, &packet, NULL) == TRP_OK);
        tri_packet_fini(&packet);
    }
    return NULL;
}

static bool
make_shared(void)
{
    for (int i = 0; i < SHARED; i++) {
        shared[i] = tri_buf_new(600 + 911 * (size_t)i);
        if (shared[i] == NULL)
            return false;
        for (size_t k = 0; k < shared[i]->size; k++)
            shared[i]->data[k] = (uint8_t)(k * 13 + (size_t)i);
        sums[i] = sum_of(shared[i]);
    }
    return true;
}

int
main(void)
{
    pthread_t server, clients[CLIENTS];
    struct tri_link *link = NULL;

    if (tri_link_context(&context, NULL) != TRP_OK)
        return 1;
    if (!make_shared() || tri_link_find("inproc://stress")->bind(context, "inproc://stress", &link, NULL) != TRP_OK)
        return 2;
    if (pthread_create(&server, NULL, run_server, link) != 0)
        return 2;
    for (size_t i = 0; i < CLIENTS; i++)
        if (pthread_create(&clients[i], NULL, run_client, (void *)(uintptr_t)i) != 0)
            return 2;
    for (size_t i = 0; i < CLIENTS; i++)
        (void)pthread_join(clients[i], NULL);
    (void)pthread_join(server, NULL);
    tri_link_close(&link);
    tri_link_context_end(&context);
    for (int i = 0; i < SHARED; i++) {
        CHECK(atomic_load(&shared[i]->references) == 1);
        tri_buf_release(&shared[i]);
    }
    (void)printf("%d packets each way by %d threads, %u failures\n", CLIENTS * PACKETS, CLIENTS + 1,
                 atomic_load(&failures));
    return atomic_load(&failures) == 0 ? 0 : 1;
}
