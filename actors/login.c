/*
 * login.c - the connection to the broker: HELLO and WELCOME, packets out and in, the side door, and finding a broker again.
 * Any thread with the process's lock. It knows nothing of what envelopes mean: they go to the proc.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include "actors/process.h"

enum {
    LAST_WORDS_MS = 20,       /* so long they are waited for where the link cannot tell whether more comes */
    LAST_WORDS_MAX_MS = 1000, /* and where it could, and does not */
    RETRY_MS = 20,
    DOOR_MS = 200,
};

/* ------------------------------------------------------------------------------------------------------- packets out */

/* Keeps a packet that the link has no room for. */
static void
keep_unsent(struct tri_process *process, const struct tri_packet *packet)
{
    struct tri_unsent *unsent = malloc(sizeof *unsent);

    if (unsent == NULL) {
        process->no_memory = true;
        return;
    }
    unsent->packet = *packet;
    for (uint32_t i = 0; i < packet->frame_count; i++)
        (void)tri_buf_retain(packet->frames[i]);
    tri_list_append(&process->unsent, &unsent->link);
}

static void
drop_unsent(struct tri_process *process)
{
    while (!tri_list_empty(&process->unsent)) {
        struct tri_unsent *unsent = TRI_OWNER(process->unsent.next, struct tri_unsent, link);
        tri_list_remove(&unsent->link);
        tri_packet_fini(&unsent->packet);
        free(unsent);
    }
}

/* Takes the packet over. Other failures of the link than a full queue mean that it is cut: the session has the packet. */
static void
emit(void *user, struct tri_packet *packet)
{
    struct tri_process *process = user;
    trp_err err = TRP_EAGAIN;

    if (packet->frame_count > 1)
        tri_store_tell(packet->frames + 1, packet->frame_count - 1);
    if (tri_list_empty(&process->unsent))
        err = tri_link_send(process->link, 0, packet, NULL);
    if (err == TRP_EAGAIN)
        keep_unsent(process, packet);
    if (err != TRP_OK)
        tri_packet_fini(packet);
}

static bool
send_unsent(struct tri_process *process)
{
    while (!tri_list_empty(&process->unsent)) {
        struct tri_unsent *unsent = TRI_OWNER(process->unsent.next, struct tri_unsent, link);
        if (tri_link_send(process->link, 0, &unsent->packet, NULL) == TRP_EAGAIN)
            return false;
        tri_list_remove(&unsent->link);
        tri_packet_fini(&unsent->packet);
        free(unsent);
    }
    return true;
}

/* What was posted, all of it or only full packets. */
static void
send_posted(struct tri_process *process, bool all)
{
    const struct tri_waiter *poller = process->poller;
    struct tri_channel *channel = &process->channel;
    trp_error why;
    trp_err err;

    process->flushes++;
    process->posted_ns = 0;
    err = all ? tri_channel_flush(channel, emit, process, &why) : tri_channel_flush_full(channel, emit, process, &why);
    if (err != TRP_OK)
        tri_process_fail(process, &why);
    else if (poller != NULL && (poller->polling || poller == &process->keeper_place) &&
             tri_link_readable(process->link))
        (void)tri_process_receive(process); /* sending may have taken the edge that the poller sleeps on */
}

void
tri_process_flush(struct tri_process *process)
{
    if (process->state != TRI_UP || process->local != NULL)
        return;
    if (!send_unsent(process)) {
        tri_keeper_arm(process);
        return;
    }
    tri_proc_round(process->proc, tri_now_ns());
    if (tri_channel_has_output(&process->channel))
        send_posted(process, true);
}

void
tri_process_flush_full(struct tri_process *process)
{
    if (process->state == TRI_UP && process->local == NULL && process->channel.full_count > 0 && send_unsent(process))
        send_posted(process, false);
}

void
tri_process_acknowledge(struct tri_process *process)
{
    trp_error why;

    if (process->state == TRI_UP && tri_session_owes(&process->channel.session) &&
        tri_channel_acknowledge(&process->channel, emit, process, &why) != TRP_OK)
        tri_process_fail(process, &why);
}

void
tri_process_hello(struct tri_process *process)
{
    const struct tri_login login = {
        .version_min = TRI_WIRE_VERSION,
        .version_max = TRI_WIRE_VERSION,
        .role = process->is_host ? TRI_HOST : TRI_DRIVER,
        .pid = (int32_t)getpid(),
        .cookie = process->cookie,
        .space = process->space,
        .received = process->channel.session.received,
        .broker = process->broker,
        .host_token = process->token,
        .program = process->program,
    };
    const struct tri_route route = {.kind = TRI_HELLO};
    struct tri_packet packet = {0};
    trp_error why;

    process->hello_ns = tri_now_ns();
    if (process->state == TRI_UP)
        process->gone_ns = process->hello_ns;
    process->state = TRI_LOGGING_IN;
    if (tri_login_pack(&process->packed, &login, &why) != TRP_OK ||
        tri_packet_single(&packet, &route, &process->packed.section, 1, &why) != TRP_OK)
        tri_process_fail(process, &why);
    else if (tri_link_send(process->link, 0, &packet, NULL) != TRP_OK)
        tri_packet_fini(&packet); /* said again in a second */
}

/* -------------------------------------------------------------------------------------------------------- packets in */

static trp_err
on_welcome(struct tri_process *process, const struct tri_envelope *envelope, trp_error *error)
{
    struct tri_section section;
    struct tri_welcome welcome;
    const bool first = process->space == 0;

    if (process->state != TRI_LOGGING_IN)
        return TRP_OK; /* the answer to a HELLO that was said twice */
    if (envelope->route.section_count == 0)
        return TRI_FAIL(error, TRP_EPROTO, "WELCOME without a body");
    tri_envelope_section(envelope, 0, &section);
    TRP_TRY(tri_welcome_unpack(&section, &welcome, error));
    if (welcome.version != TRI_WIRE_VERSION || welcome.space == 0 || (!first && welcome.space != process->space))
        return TRI_FAIL(error, TRP_EPROTO, "the broker welcomes another process, or speaks version %u",
                        welcome.version);
    process->state = TRI_UP;
    process->space = welcome.space;
    process->broker = welcome.broker;
    process->num_cpus = welcome.num_cpus;
    tri_text_copy(process->node, sizeof process->node, welcome.node);
    if (first || welcome.snapshot) {
        drop_unsent(process);
        tri_channel_reset(&process->channel, welcome.credit_calls, welcome.credit_bytes);
        TRP_TRY(tri_stored_welcome(process, &welcome, error));
    } else {
        TRP_TRY(tri_session_resume(&process->channel.session, welcome.received, emit, process, error));
    }
    TRP_TRY(tri_proc_welcome(process->proc, &welcome, tri_now_ns(), error));
    if (welcome.snapshot)
        tri_stored_again(process);
    tri_process_flush(process);
    tri_waiters_poke(process, true);
    tri_keeper_ring(process);
    return TRP_OK;
}

static bool
door_is_closed(const struct tri_process *process)
{
    struct pollfd poller = {.fd = process->door, .events = POLLIN};

    return process->door < 0 || (poll(&poller, 1, 0) == 1 && (poller.revents & POLLHUP) != 0);
}

static trp_err
on_cut(struct tri_process *process, const struct tri_envelope *envelope, trp_error *error)
{
    struct tri_failure chain[8];
    struct tri_section section;
    uint32_t count = 0;
    trp_error why;

    if (envelope->route.section_count == 0)
        return TRI_FAIL(error, TRP_EBROKER, "the broker cut this process and did not say why");
    tri_envelope_section(envelope, 0, &section);
    TRP_TRY(tri_error_unpack(&section, chain, &count, error));
    why = chain[0].error;
    if (why.code == TRP_EACCES && process->state == TRI_LOGGING_IN && door_is_closed(process))
        tri_process_away(process); /* our cookie is of a broker that died meanwhile: its successor cannot know it */
    else
        tri_process_fail(process, &why);
    return TRP_OK;
}

/* Of a packet without a number: what belongs to no session. */
static trp_err
on_single(void *user, const struct tri_envelope *envelope, trp_error *error)
{
    if (envelope->route.kind == TRI_WELCOME)
        return on_welcome(user, envelope, error);
    if (envelope->route.kind == TRI_CUT)
        return on_cut(user, envelope, error);
    return TRI_FAIL(error, TRP_EPROTO, "%s came outside of the session", tri_kind_name(envelope->route.kind));
}

static trp_err
on_envelope(void *user, const struct tri_envelope *envelope, trp_error *error)
{
    struct tri_process *process = user;

    if (envelope->route.kind == TRI_LEASE)
        return tri_stored_lease(process, envelope, error);
    if (envelope->route.kind == TRI_REVOKE)
        return tri_stored_revoke(process, error);
    return tri_proc_envelope(process->proc, envelope, process->now_ns, error);
}

static trp_err
on_packet(struct tri_process *process, struct tri_packet *packet, trp_error *error)
{
    enum tri_receipt receipt = TRI_TAKE;
    struct tri_batch_head head;

    TRP_TRY(tri_packet_head(packet, &head, error));
    process->received++;
    if (head.sequence == 0 && head.envelope_count > 0)
        return tri_packet_each(packet, on_single, process, error);
    if (process->state != TRI_UP)
        return TRP_OK; /* of the session before, or sent again after WELCOME */
    process->now_ns = tri_now_ns();
    TRP_TRY(tri_channel_receive(&process->channel, packet, on_envelope, process, &receipt, error));
    if (receipt == TRI_GAP)
        tri_process_hello(process); /* the link was cut between: both sides send again */
    return TRP_OK;
}

bool
tri_process_receive(struct tri_process *process)
{
    struct tri_packet packet = {0};
    bool any = false;
    trp_error why;
    trp_err err;

    while (process->link != NULL && process->state <= TRI_UP) {
        uint64_t peer = 0;
        err = tri_link_recv(process->link, 0, &peer, &packet, &why);
        if (err == TRP_ETIMEDOUT)
            break;
        any = true;
        if (err == TRP_OK) {
            err = on_packet(process, &packet, &why);
            tri_packet_fini(&packet);
            if (process->store != NULL)
                tri_store_settle(process->store);
        }
        if (err != TRP_OK)
            tri_process_fail(process, &why);
    }
    if (any && process->state == TRI_UP)
        tri_proc_tick(process->proc, tri_now_ns()); /* credit may have come back */
    if (any)
        tri_waiters_poke(process, false);
    return any;
}

/* -------------------------------------------------------------------------------------------- the broker comes and goes */

trp_err
tri_process_connect(struct tri_process *process, const struct tri_greeting *greeting, trp_error *error)
{
    char address[sizeof process->directory + 32];
    const struct tri_link_ops *ops;

    process->door = greeting->fd;
    process->cookie = greeting->cookie;
    tri_stored_greeted(process, greeting);
    (void)snprintf(address, sizeof address, "ipc://%s/broker.sock", process->directory);
    ops = tri_link_find(address);
    TRI_ASSERT(ops != NULL);
    TRP_TRY(ops->connect(process->context, address, &process->link, error));
    tri_process_hello(process);
    tri_waiters_poke(process, true); /* one of them is to poll */
    tri_keeper_ring(process);
    return TRP_OK;
}

void
tri_process_disconnect(struct tri_process *process)
{
    drop_unsent(process);
    tri_link_close(&process->link);
    if (process->door >= 0)
        (void)close(process->door);
    process->door = -1;
}

void
tri_process_away(struct tri_process *process)
{
    trp_error why;

    if (process->state > TRI_UP)
        return;
    if (process->state == TRI_UP)
        process->gone_ns = tri_now_ns();
    if (process->reconnect_ms > 0) {
        if (tri_process_need_keeper(process, &why) != TRP_OK) {
            tri_process_fail(process, &why);
            return;
        }
        process->state = TRI_AWAY; /* the keeper does the rest, when nobody sleeps on the old socket any more */
        tri_waiters_poke(process, true);
        tri_keeper_ring(process);
        return;
    }
    (void)TRI_FAIL(&why, TRP_EBROKER, "the broker in %s is gone", process->directory);
    tri_process_fail(process, &why);
}

/* What the broker had sent before it went, or why it has cut us: until that is here, or the link has ended. */
static void
hear_last_words(struct tri_process *process)
{
    const uint64_t begin_ns = tri_now_ns();
    enum tri_connection connection;
    uint64_t limit_ms, peer = 0;

    do {
        struct tri_packet packet = {0};
        connection = tri_link_connection(process->link, 0);
        limit_ms = connection == TRI_UNTOLD ? LAST_WORDS_MS : LAST_WORDS_MAX_MS;
        if (tri_link_recv(process->link, connection == TRI_DISCONNECTED ? 0 : 1, &peer, &packet, NULL) == TRP_OK) {
            (void)on_packet(process, &packet, NULL);
            tri_packet_fini(&packet);
            (void)tri_process_receive(process);
        }
    } while (process->state <= TRI_UP && connection != TRI_DISCONNECTED &&
             tri_now_ns() < begin_ns + limit_ms * TRI_NS_PER_MS);
}

/* Its end of file says that the broker is gone, or has cut us, and then CUT is here or about to be. */
void
tri_process_look_at_door(struct tri_process *process)
{
    uint8_t message[64];
    size_t size = 0, fd_count = 0;
    int fd;
    trp_err err;

    if (process->door < 0 || process->state > TRI_UP)
        return;
    err = tri_door_recv(process->door, message, sizeof message, &size, &fd, 1, &fd_count, NULL);
    if (err == TRP_OK && fd_count > 0)
        (void)close(fd); /* nobody sends descriptors to a process yet */
    if (err == TRP_EAGAIN || (err == TRP_OK && size > 0))
        return;
    (void)tri_process_receive(process);
    if (process->state <= TRI_UP && !process->leaves) /* the answer to GOODBYE has no words */
        hear_last_words(process);
    tri_process_away(process);
}

void
tri_process_reconnect(struct tri_process *process, uint64_t now_ns)
{
    struct pollfd bell = {.fd = process->keeper_bell, .events = POLLIN};
    char path[sizeof process->directory + 8];
    struct tri_greeting greeting;
    uint64_t count;
    trp_error why;
    trp_err err;

    if (now_ns >= process->gone_ns + (uint64_t)process->reconnect_ms * TRI_NS_PER_MS) {
        (void)TRI_FAIL(&why, TRP_EBROKER, "the broker in %s is gone and did not come back within %lld ms",
                       process->directory, (long long)process->reconnect_ms);
        tri_process_fail(process, &why);
        return;
    }
    (void)snprintf(path, sizeof path, "%s/door", process->directory);
    if (process->poller == NULL || process->poller == &process->keeper_place)
        tri_process_disconnect(process);
    tri_process_leave(process);
    err = tri_door_greet(path, DOOR_MS, &greeting, NULL);
    if (err != TRP_OK && poll(&bell, 1, RETRY_MS) > 0)
        (void)!read(process->keeper_bell, &count, sizeof count);
    tri_process_take(process);
    if (err != TRP_OK)
        return;
    if (process->state != TRI_AWAY || process->link != NULL || process->keeper_quit) {
        tri_stored_greeted(process,
                           &greeting); /* shut down meanwhile, or somebody has not yet left the old socket: again */
        (void)close(greeting.fd);
        return;
    }
    if (tri_process_connect(process, &greeting, &why) != TRP_OK)
        tri_process_fail(process, &why);
}
