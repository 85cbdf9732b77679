/*
 * link_zmq.c - a link is a ZeroMQ socket: ROUTER where it is bound, DEALER where it connects. One thread at a time uses it.
 * Nothing is copied but small frames: buffers go to libzmq by reference and come from it so. Knows nothing of what is in a packet.
 *
 * A server tells its peers apart by the routing ids that libzmq gives, and calls them by numbers of its own.
 */
#include "transport/link.h"
#include "transport/peers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zmq.h>

enum {
    COPY_BELOW = 512, /* copying so little costs no more than sharing it (measured), and the buffer is free at once */
    UNWRAP_BELOW = 2048,   /* so little received is copied out: it is a slice that would keep 8 KiB of libzmq's alive */
    FRAME_SLACK = 4096,    /* above TRI_FRAME_MAX, where libzmq itself cuts the connection */
    CONNECT_WAIT_MS = 200, /* so long a new link waits for its peer, so that the first packet can go at once */
    ADDRESS_SIZE = 256,
};

/* Under a sanitizer that cannot see libzmq's own order: what was written before a send is seen after the receive. */
#ifdef __SANITIZE_THREAD__
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define HANDED_OVER(address) __tsan_release((void *)(address))
#define TAKEN_OVER(address)  __tsan_acquire((void *)(address))
#else
#define HANDED_OVER(address) ((void)(address))
#define TAKEN_OVER(address)  ((void)(address))
#endif

struct tri_link {
    void *socket;
    int fd;
    bool is_server;
    struct tri_peers peers;           /* of a server */
    struct tri_descriptor connection; /* of a client: the first one that something came over */
    uint64_t dropped;
    char address[ADDRESS_SIZE];
};

/* ------------------------------------------------------------------------------------------------------------ options */

enum { SERVER = 1, CLIENT = 2, TCP_ONLY = 4, BOTH = SERVER | CLIENT };

static const struct option {
    int name;
    unsigned where;
    const char *text;
    int value;
} options[] = {
    /* Closing never waits for a peer; the session keeps what was not acknowledged. */
    {ZMQ_LINGER, BOTH, "LINGER", 0},
    /* No limit: a queue holds references to what the session keeps anyway, which credit bounds in calls and bytes. */
    {ZMQ_SNDHWM, BOTH, "SNDHWM", 0},
    /* A flooding peer stays in its own socket instead of filling our memory before it is cut. Packets: where that many wait and the
     * peer dies, libzmq drops what its socket holds behind them, so that a server lets in more than an honest peer's window. */
    {ZMQ_RCVHWM, SERVER, "RCVHWM", TRI_LINK_PACKETS},
    {ZMQ_RCVHWM, CLIENT, "RCVHWM", 1000},
    /* Sending to a peer that is gone is told, not dropped silently. */
    {ZMQ_ROUTER_MANDATORY, SERVER, "ROUTER_MANDATORY", 1},
    /* Nobody takes another's routing id over. */
    {ZMQ_ROUTER_HANDOVER, SERVER, "ROUTER_HANDOVER", 0},
    /* Many processes start at once. */
    {ZMQ_BACKLOG, SERVER, "BACKLOG", 1024},
    /* Half-open connections end soon. */
    {ZMQ_HANDSHAKE_IVL, BOTH, "HANDSHAKE_IVL", 5000},
    /* Only to a peer that is there: what waits for a connection would reach the next broker before the login does. */
    {ZMQ_IMMEDIATE, CLIENT, "IMMEDIATE", 1},
    /* Soon back, without a storm. */
    {ZMQ_RECONNECT_IVL, CLIENT, "RECONNECT_IVL", 10},
    {ZMQ_RECONNECT_IVL_MAX, CLIENT, "RECONNECT_IVL_MAX", 1000},
    /* Between machines nothing else tells that a peer is gone; locally the side door does, at once. */
    {ZMQ_HEARTBEAT_IVL, BOTH | TCP_ONLY, "HEARTBEAT_IVL", 1000},
    {ZMQ_HEARTBEAT_TIMEOUT, BOTH | TCP_ONLY, "HEARTBEAT_TIMEOUT", 3000},
    {ZMQ_HEARTBEAT_TTL, BOTH | TCP_ONLY, "HEARTBEAT_TTL", 3000},
};

static trp_err
set_options(struct tri_link *link, bool is_tcp, trp_error *error)
{
    const unsigned side = link->is_server ? SERVER : CLIENT;
    const int64_t frame_max = TRI_FRAME_MAX + FRAME_SLACK; /* a frame above it ends its connection, unallocated */

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        const struct option *option = &options[i];
        if ((option->where & side) == 0 || ((option->where & TCP_ONLY) != 0 && !is_tcp))
            continue;
        if (zmq_setsockopt(link->socket, option->name, &option->value, sizeof option->value) != 0)
            return TRI_FAIL(error, TRP_ENOTSUP, "libzmq does not take the option %s: %s", option->text,
                            zmq_strerror(errno));
    }
    if (zmq_setsockopt(link->socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max) != 0)
        return TRI_FAIL(error, TRP_ENOTSUP, "libzmq does not take the option MAXMSGSIZE: %s", zmq_strerror(errno));
    return TRP_OK;
}

/* -------------------------------------------------------------------------------------------------- opening and closing */

static trp_err
fail_open(const char *what, const char *address, trp_error *error)
{
    const int errnum = errno; /* libzmq's own are not the system's */
    const trp_err code = errnum == EADDRINUSE ? TRP_EALREADY : TRP_EINVAL;

    if (tri_errno_remedy(errnum)[0] != '\0')
        return tri_fail_system(error, code, errnum, "cannot %s %s", what, address);
    return TRI_FAIL(error, code, "cannot %s %s: %s", what, address, zmq_strerror(errnum));
}

static trp_err
check_address(const char *address, trp_error *error)
{
    const char *colon = strchr(address, ':'), *name = colon != NULL ? colon + strspn(colon, ":/") : address;
    const size_t scheme = colon != NULL ? (size_t)(colon - address) + strlen("://") : 0;
    const size_t size = strlen(address);

    if (name[0] == '\0' || size < scheme)
        return TRI_FAIL(error, TRP_EINVAL, "an address without a name: '%s'", address);
    if (strncmp(address, "ipc:", 4) == 0 && size - scheme > TRI_SOCKET_PATH_MAX)
        return TRI_FAIL(error, TRP_EINVAL,
                        "the path of a socket has %zu bytes, at most %d are possible: use a shorter directory, "
                        "set TROUPE_DIR (%s)",
                        size - scheme, TRI_SOCKET_PATH_MAX, address);
    if (size >= ADDRESS_SIZE)
        return TRI_FAIL(error, TRP_EINVAL, "an address of %zu bytes, at most %d are possible", size, ADDRESS_SIZE - 1);
    return TRP_OK;
}

static trp_err
open_socket(void *context, struct tri_link *link, const char *address, trp_error *error)
{
    size_t size = sizeof link->fd;

    link->socket = zmq_socket(context, link->is_server ? ZMQ_ROUTER : ZMQ_DEALER);
    if (link->socket == NULL)
        return fail_open("make a socket for", address, error);
    TRP_TRY(set_options(link, strncmp(address, "tcp://", 6) == 0, error));
    if ((link->is_server ? zmq_bind : zmq_connect)(link->socket, address) != 0)
        return fail_open(link->is_server ? "listen at" : "connect to", address, error);
    if (zmq_getsockopt(link->socket, ZMQ_FD, &link->fd, &size) != 0)
        return fail_open("watch", address, error);
    size = sizeof link->address;
    if (zmq_getsockopt(link->socket, ZMQ_LAST_ENDPOINT, link->address, &size) != 0)
        return fail_open("name", address, error);
    return TRP_OK;
}

static trp_err
open_link(void *context, const char *address, bool is_server, struct tri_link **link, trp_error *error)
{
    struct tri_link *made;
    trp_err err;

    TRP_TRY(check_address(address, error));
    made = calloc(1, sizeof *made);
    if (made == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a link to %s", address);
    made->is_server = is_server;
    if (tri_peers_init(&made->peers) != TRP_OK)
        err = TRI_FAIL(error, TRP_ENOMEM, "no memory for a link to %s", address);
    else
        err = open_socket(context, made, address, error);
    if (err != TRP_OK) {
        tri_link_close(&made);
        return err;
    }
    *link = made;
    return TRP_OK;
}

static trp_err
bind_link(void *context, const char *address, struct tri_link **link, trp_error *error)
{
    return open_link(context, address, true, link, error);
}

static trp_err
connect_link(void *context, const char *address, struct tri_link **link, trp_error *error)
{
    struct tri_link *made = NULL;
    zmq_pollitem_t item = {.events = ZMQ_POLLOUT};

    TRP_TRY(open_link(context, address, false, &made, error));
    item.socket = made->socket;
    (void)zmq_poll(&item, 1, CONNECT_WAIT_MS); /* nobody there yet: sends say TRP_EAGAIN until there is */
    *link = made;
    return TRP_OK;
}

const struct tri_link_ops tri_link_ipc = {.scheme = "ipc", .bind = bind_link, .connect = connect_link};
const struct tri_link_ops tri_link_inproc = {.scheme = "inproc", .bind = bind_link, .connect = connect_link};
const struct tri_link_ops tri_link_tcp = {.scheme = "tcp", .bind = bind_link, .connect = connect_link};

void
tri_link_close(struct tri_link **link)
{
    struct tri_link *gone = *link;

    *link = NULL;
    if (gone == NULL)
        return;
    if (gone->socket != NULL)
        (void)zmq_close(gone->socket);
    tri_peers_fini(&gone->peers);
    free(gone);
}

int
tri_link_fd(const struct tri_link *link)
{
    return link->fd;
}

const char *
tri_link_address(const struct tri_link *link)
{
    return link->address;
}

bool
tri_link_readable(struct tri_link *link)
{
    int events = 0;
    size_t size = sizeof events;

    return zmq_getsockopt(link->socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN) != 0;
}

uint64_t
tri_link_dropped(const struct tri_link *link)
{
    return link->dropped;
}

void
tri_link_strike(struct tri_link *link, uint64_t number)
{
    tri_peers_strike(&link->peers, number);
}

/* ------------------------------------------------------------------------------------------------------------ sending */

static void
give_back(void *data, void *hint)
{
    struct tri_buf *buf = hint;

    (void)data;
    tri_buf_release(&buf);
}

/* How many of a packet's frames are sent: of the others it has the places. */
static uint32_t
sent_frames(const struct tri_packet *packet)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < packet->frame_count; i++)
        count += packet->frames[i]->place == NULL;
    return count;
}

/* A small frame is copied into the message; a larger one is shared with it. */
static bool
wrap_frame(zmq_msg_t *message, struct tri_buf *frame)
{
    if (frame->size < COPY_BELOW) {
        if (zmq_msg_init_size(message, frame->size) != 0)
            return false;
        if (frame->size > 0)
            memcpy(zmq_msg_data(message), frame->data, frame->size);
    } else {
        struct tri_buf *shared = tri_buf_retain(frame);
        if (zmq_msg_init_data(message, frame->data, frame->size, give_back, shared) != 0) {
            tri_buf_release(&shared);
            return false;
        }
    }
    HANDED_OVER(zmq_msg_data(message));
    return true;
}

static void
close_messages(zmq_msg_t *messages, uint32_t begin, uint32_t end)
{
    for (uint32_t i = begin; i < end; i++)
        (void)zmq_msg_close(&messages[i]);
}

static bool
wrap_packet(zmq_msg_t *messages, const struct tri_packet *packet)
{
    uint32_t wrapped = 0;

    for (uint32_t i = 0; i < packet->frame_count; i++) {
        if (packet->frames[i]->place != NULL)
            continue;
        if (!wrap_frame(&messages[wrapped], packet->frames[i])) {
            close_messages(messages, 0, wrapped);
            return false;
        }
        wrapped++;
    }
    return true;
}

static bool
send_message(const struct tri_link *link, zmq_msg_t *message, bool more)
{
    int rc;

    do
        rc = zmq_msg_send(message, link->socket, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
    while (rc < 0 && errno == EINTR);
    return rc >= 0;
}

static trp_err
fail_send(int errnum, trp_error *error)
{
    if (errnum == EAGAIN)
        return TRI_FAIL(error, TRP_EAGAIN, "the peer's queue is full, or nobody is connected yet");
    if (errnum == EHOSTUNREACH)
        return TRI_FAIL(error, TRP_ENOENT, "the peer is not connected any more");
    if (errnum == ENOMEM)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory to send");
    return TRI_FAIL(error, TRP_ECLOSED, "the link is closed: %s", zmq_strerror(errnum));
}

/* 0, or errno: whether the peer is there and can take a packet shows here. */
static int
send_routing(const struct tri_link *link, const struct tri_peer *peer)
{
    zmq_msg_t message;
    int errnum;

    if (zmq_msg_init_size(&message, peer->routing_size) != 0)
        return ENOMEM;
    memcpy(zmq_msg_data(&message), peer->routing, peer->routing_size);
    if (send_message(link, &message, true))
        return 0;
    errnum = errno;
    (void)zmq_msg_close(&message);
    return errnum;
}

TRI_HOP trp_err
tri_link_send(struct tri_link *link, uint64_t number, struct tri_packet *packet, trp_error *error)
{
    zmq_msg_t messages[1 + TRI_PACKET_FRAMES];
    const struct tri_peer *peer = link->is_server ? tri_peers_find(&link->peers, number) : NULL;
    const uint32_t count = sent_frames(packet);
    uint32_t sent = 0;
    int errnum = 0;

    TRI_ASSERT(count >= 1 && count <= 1 + TRI_PACKET_FRAMES);
    if (link->is_server && (peer == NULL || peer->is_struck))
        return fail_send(EHOSTUNREACH, error);
    if (!wrap_packet(messages, packet))
        return fail_send(ENOMEM, error);
    if (peer != NULL)
        errnum = send_routing(link, peer);
    while (errnum == 0 && sent < count) {
        if (send_message(link, &messages[sent], sent + 1 < count))
            sent++;
        else
            errnum = errno;
    }
    close_messages(messages, sent, count);
    if (errnum != 0)
        return fail_send(errnum, error);
    tri_packet_fini(packet);
    return TRP_OK;
}

/* -------------------------------------------------------------------------------------------------------- connections */

/* libzmq closes a connection's descriptor when it has read it to its end, and handed over all whole messages that it found; it
 * says which one that is with each message. Only it may use it, so that we look at nothing but which inode it is. */
static void
look_at_descriptor(struct tri_descriptor *descriptor, int fd)
{
    struct stat now;

    *descriptor = (struct tri_descriptor){.state = TRI_NO_DESCRIPTOR, .fd = fd};
    if (fd < 0)
        return;
    if (fstat(fd, &now) != 0) {
        descriptor->state = TRI_DESCRIPTOR_CLOSED;
        return;
    }
    descriptor->state = TRI_DESCRIPTOR_OPEN;
    descriptor->device = now.st_dev;
    descriptor->inode = now.st_ino;
}

enum tri_connection
tri_link_connection(struct tri_link *link, uint64_t number)
{
    const struct tri_peer *peer = link->is_server ? tri_peers_find(&link->peers, number) : NULL;
    const struct tri_descriptor *connection = peer != NULL ? &peer->connection : &link->connection;
    struct tri_descriptor now;

    if (peer != NULL && peer->is_struck)
        return TRI_DISCONNECTED;
    if (connection->state == TRI_DESCRIPTOR_CLOSED)
        return TRI_DISCONNECTED;
    if (connection->state != TRI_DESCRIPTOR_OPEN)
        return TRI_UNTOLD;
    look_at_descriptor(&now, connection->fd);
    return now.state == TRI_DESCRIPTOR_OPEN && now.device == connection->device && now.inode == connection->inode
               ? TRI_CONNECTED
               : TRI_DISCONNECTED;
}

/* ---------------------------------------------------------------------------------------------------------- receiving */

struct foreign {
    struct tri_buf buf;
    zmq_msg_t message;
};

static void
free_foreign(struct tri_buf *buf)
{
    struct foreign *foreign = buf->foreign;

    (void)zmq_msg_close(&foreign->message);
    free(foreign);
}

/* What was received as a buffer; the message is empty then. NULL: no memory. */
static struct tri_buf *
unwrap_frame(zmq_msg_t *message)
{
    const size_t size = zmq_msg_size(message);
    const uint8_t *data = zmq_msg_data(message);
    struct foreign *foreign;

    TAKEN_OVER(data);
    if (size < UNWRAP_BELOW || ((uintptr_t)data & 7) != 0)
        return tri_buf_copy(data, size);
    foreign = malloc(sizeof *foreign);
    if (foreign == NULL)
        return NULL;
    (void)zmq_msg_init(&foreign->message);
    (void)zmq_msg_move(&foreign->message, message);
    atomic_init(&foreign->buf.references, 1);
    foreign->buf.data = zmq_msg_data(&foreign->message);
    foreign->buf.size = size;
    foreign->buf.place = NULL;
    foreign->buf.free = free_foreign;
    foreign->buf.foreign = foreign;
    return &foreign->buf;
}

static trp_err
add_frame(struct tri_packet *packet, zmq_msg_t *message, trp_error *error)
{
    const size_t size = zmq_msg_size(message), limit = packet->frame_count == 0 ? TRI_BATCH_MAX : TRI_FRAME_MAX;
    struct tri_buf *frame;

    if (packet->frame_count == 1 + TRI_PACKET_FRAMES)
        return TRI_FAIL(error, TRP_EPROTO, "a packet of more than %d frames", 1 + TRI_PACKET_FRAMES);
    if (size > limit)
        return TRI_FAIL(error, TRP_EPROTO, "frame %" PRIu32 " of a packet has %zu bytes, the limit is %zu",
                        packet->frame_count, size, limit);
    frame = unwrap_frame(message);
    if (frame == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory to receive a frame of %zu bytes", size);
    packet->frames[packet->frame_count++] = frame;
    return TRP_OK;
}

static bool
receive_message(const struct tri_link *link, zmq_msg_t *message, int flags)
{
    int rc;

    (void)zmq_msg_init(message);
    do
        rc = zmq_msg_recv(message, link->socket, flags);
    while (rc < 0 && errno == EINTR);
    return rc >= 0;
}

static trp_err
fail_receive(int errnum, trp_error *error)
{
    if (errnum == EAGAIN)
        return TRP_ETIMEDOUT; /* worded where somebody has waited */
    return TRI_FAIL(error, TRP_ECLOSED, "the link is closed: %s", zmq_strerror(errnum));
}

/* A routing id that libzmq gave is of one connection only. One that a peer chose may come again over another: nothing is told
 * of those. */
static struct tri_descriptor *
connection_of(struct tri_peer *peer)
{
    if (peer == NULL)
        return NULL;
    return peer->routing_size == 5 && peer->routing[0] == 0 ? &peer->connection : NULL;
}

/* Reads one message to its end, whatever is in it: a message is there whole or not at all. Of a bad one nothing is kept. The
 * frame with a routing id does not always know the descriptor, these do. */
static trp_err
receive_frames(const struct tri_link *link, struct tri_descriptor *connection, int flags, struct tri_packet *packet,
               trp_error *error)
{
    zmq_msg_t message;
    trp_err err = TRP_OK;
    bool more = true;

    packet->frame_count = 0;
    while (more) {
        if (!receive_message(link, &message, flags)) {
            err = fail_receive(errno, error);
            break;
        }
        flags = 0;
        if (connection != NULL && connection->state == TRI_NOT_LOOKED_AT)
            look_at_descriptor(connection, zmq_msg_get(&message, ZMQ_SRCFD));
        more = zmq_msg_more(&message) != 0;
        if (err == TRP_OK)
            err = add_frame(packet, &message, error);
        (void)zmq_msg_close(&message);
    }
    if (err != TRP_OK)
        tri_packet_fini(packet);
    return err;
}

static trp_err
receive_of_peer(struct tri_link *link, uint64_t *number, struct tri_packet *packet, trp_error *error)
{
    for (;;) {
        zmq_msg_t routing;
        struct tri_peer *peer;
        trp_err err;
        if (!receive_message(link, &routing, ZMQ_DONTWAIT))
            return fail_receive(errno, error);
        peer = tri_peers_meet(&link->peers, zmq_msg_data(&routing), zmq_msg_size(&routing));
        (void)zmq_msg_close(&routing);
        err = receive_frames(link, connection_of(peer), 0, packet, error);
        if (peer == NULL) {
            tri_packet_fini(packet);
            *number = 0;
            return TRI_FAIL(error, TRP_ENOMEM, "no memory for another peer");
        }
        if (!peer->is_struck) {
            *number = peer->by_number.id.number;
            return err;
        }
        tri_packet_fini(packet);
        link->dropped++;
    }
}

static trp_err
receive_now(struct tri_link *link, uint64_t *number, struct tri_packet *packet, trp_error *error)
{
    if (link->is_server)
        return receive_of_peer(link, number, packet, error);
    *number = 0;
    return receive_frames(link, &link->connection, ZMQ_DONTWAIT, packet, error);
}

trp_err
tri_link_recv(struct tri_link *link, int timeout_ms, uint64_t *peer, struct tri_packet *packet, trp_error *error)
{
    zmq_pollitem_t item = {.socket = link->socket, .events = ZMQ_POLLIN};
    const uint64_t start_ns = timeout_ms > 0 ? tri_now_ns() : 0;

    for (;;) {
        long left_ms = timeout_ms;
        const trp_err err = receive_now(link, peer, packet, error);
        if (err != TRP_ETIMEDOUT || timeout_ms == 0)
            return err;
        if (timeout_ms > 0)
            left_ms -= (long)((tri_now_ns() - start_ns) / TRI_NS_PER_MS);
        if (timeout_ms > 0 && left_ms <= 0)
            return TRI_FAIL(error, TRP_ETIMEDOUT, "nothing was received within %d ms", timeout_ms);
        (void)zmq_poll(&item, 1, left_ms); /* a signal, or the context's end, shows in the next round */
    }
}
