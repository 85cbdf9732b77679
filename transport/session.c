/*
 * session.c - numbers packets, keeps them until acknowledged, drops what came before, counts credit. Pure. Knows no socket, no
 * clock, and nothing of envelopes.
 */
#include "transport/transport.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void
tri_session_init(struct tri_session *session, uint32_t window_calls, uint64_t window_bytes)
{
    *session = (struct tri_session){
        .next_sequence = 1,
        .window_calls = window_calls,
        .window_bytes = window_bytes,
    };
}

static struct tri_sent *
sent_at(const struct tri_session *session, size_t i)
{
    return &session->sent[(session->sent_head + i) & (session->sent_capacity - 1)];
}

static uint64_t
packet_bytes(const struct tri_packet *packet)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < packet->frame_count; i++)
        bytes += packet->frames[i]->size;
    return bytes;
}

static void
share_packet(struct tri_packet *to, const struct tri_packet *from)
{
    to->frame_count = from->frame_count;
    for (uint32_t i = 0; i < from->frame_count; i++)
        to->frames[i] = tri_buf_retain(from->frames[i]);
}

/* A large batch is kept to be filled again, if nobody else holds it any more: libzmq may. */
static void
keep_spare(struct tri_session *session, struct tri_buf **batch)
{
    if (session->spare_count >= session->spare_max || tri_buf_room(*batch) != TRI_BATCH_BYTES ||
        atomic_load_explicit(&(*batch)->references, memory_order_acquire) != 1)
        return;
    (*batch)->size = TRI_BATCH_BYTES;
    session->spares[session->spare_count++] = *batch;
    *batch = NULL;
}

/* Drops the oldest packets, up to number `acknowledged`. */
static void
forget_sent(struct tri_session *session, uint64_t acknowledged)
{
    while (session->sent_count > 0 && sent_at(session, 0)->sequence <= acknowledged) {
        struct tri_sent *sent = sent_at(session, 0);
        session->sent_bytes -= packet_bytes(&sent->packet);
        keep_spare(session, &sent->packet.frames[0]);
        tri_packet_fini(&sent->packet);
        session->sent_head = (session->sent_head + 1) & (session->sent_capacity - 1);
        session->sent_count--;
    }
}

void
tri_session_fini(struct tri_session *session)
{
    forget_sent(session, UINT64_MAX);
    while (session->spare_count > 0)
        tri_buf_release(&session->spares[--session->spare_count]);
    free(session->sent);
    tri_session_init(session, 0, 0);
}

/* ------------------------------------------------------------------------------------------------------------- credit */

bool
tri_session_has_credit(const struct tri_session *session, uint64_t bytes)
{
    const uint64_t out_calls = session->used_calls - session->returned_calls;
    const uint64_t out_bytes = session->used_bytes - session->returned_bytes;

    if (out_calls >= session->window_calls)
        return false;
    return out_calls == 0 || (out_bytes <= session->window_bytes && bytes <= session->window_bytes - out_bytes);
}

void
tri_session_use(struct tri_session *session, uint64_t bytes)
{
    session->used_calls++;
    session->used_bytes += bytes;
}

void
tri_session_release(struct tri_session *session, uint64_t bytes)
{
    session->released_calls++;
    session->released_bytes += bytes;
}

/* ------------------------------------------------------------------------------------------------------------ sending */

static struct tri_batch_head *
head_of(const struct tri_packet *packet)
{
    return (struct tri_batch_head *)(void *)packet->frames[0]->data;
}

static void
stamp(struct tri_session *session, struct tri_packet *packet, uint64_t sequence)
{
    struct tri_batch_head *head = head_of(packet);

    head->sequence = sequence;
    head->acknowledged = session->received;
    head->released_calls = session->released_calls;
    head->released_bytes = session->released_bytes;
    session->told = session->received;
    session->told_calls = session->released_calls;
}

void
tri_session_stamp(struct tri_session *session, struct tri_packet *packet)
{
    stamp(session, packet, 0);
}

/* The ring's capacity is a power of two; it is laid out anew, oldest first. */
trp_err
tri_session_reserve(struct tri_session *session, trp_error *error)
{
    const size_t capacity = session->sent_capacity > 0 ? 2 * session->sent_capacity : 4;
    struct tri_sent *grown;

    if (session->sent_count < session->sent_capacity)
        return TRP_OK;
    grown = malloc(capacity * sizeof *grown);
    if (grown == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory to keep %zu packets until they are acknowledged",
                        session->sent_count + 1);
    for (size_t i = 0; i < session->sent_count; i++) {
        const struct tri_sent *sent = sent_at(session, i);
        grown[i].sequence = sent->sequence;
        grown[i].packet.frame_count = sent->packet.frame_count;
        memcpy(grown[i].packet.frames, sent->packet.frames, sent->packet.frame_count * sizeof sent->packet.frames[0]);
    }
    free(session->sent);
    session->sent = grown;
    session->sent_capacity = capacity;
    session->sent_head = 0;
    return TRP_OK;
}

trp_err
tri_session_send(struct tri_session *session, struct tri_packet *packet, trp_error *error)
{
    struct tri_sent *sent;

    TRP_TRY(tri_session_reserve(session, error));
    stamp(session, packet, session->next_sequence++);
    sent = sent_at(session, session->sent_count++);
    sent->sequence = head_of(packet)->sequence;
    share_packet(&sent->packet, packet);
    session->sent_bytes += packet_bytes(packet);
    return TRP_OK;
}

/* ---------------------------------------------------------------------------------------------------------- receiving */

static trp_err
check_told(const struct tri_session *session, const struct tri_batch_head *head, bool current, trp_error *error)
{
    if (head->acknowledged >= session->next_sequence)
        return TRI_FAIL(error, TRP_EPROTO, "packet %" PRIu64 " is acknowledged, %" PRIu64 " were sent",
                        head->acknowledged, session->next_sequence - 1);
    if (head->released_calls > session->used_calls || head->released_bytes > session->used_bytes)
        return TRI_FAIL(error, TRP_EPROTO, "credit of %" PRIu64 " calls is returned, %" PRIu64 " were made",
                        head->released_calls, session->used_calls);
    if (current && head->acknowledged < session->peer_acknowledged)
        return TRI_FAIL(error, TRP_EPROTO, "packet %" PRIu64 " is acknowledged after %" PRIu64, head->acknowledged,
                        session->peer_acknowledged);
    if (current && (head->released_calls < session->returned_calls || head->released_bytes < session->returned_bytes))
        return TRI_FAIL(error, TRP_EPROTO, "credit runs backwards: %" PRIu64 " calls after %" PRIu64,
                        head->released_calls, session->returned_calls);
    return TRP_OK;
}

trp_err
tri_session_receive(struct tri_session *session, const struct tri_batch_head *head, enum tri_receipt *receipt,
                    trp_error *error)
{
    *receipt = TRI_TAKE;
    if (head->sequence == 0 && head->envelope_count > 0)
        return TRP_OK; /* a login: belongs to no session, so it says nothing about this one */
    if (head->sequence != 0 && head->sequence <= session->received)
        *receipt = TRI_DUPLICATE;
    else if (head->sequence > session->received + 1)
        *receipt = TRI_GAP;
    TRP_TRY(check_told(session, head, *receipt == TRI_TAKE, error));
    if (*receipt == TRI_DUPLICATE)
        session->told = 0; /* the peer seems not to know: say it again */
    if (*receipt != TRI_TAKE)
        return TRP_OK; /* what an old packet tells is old, and what lies behind a gap will come again */
    session->peer_acknowledged = head->acknowledged;
    session->returned_calls = head->released_calls;
    session->returned_bytes = head->released_bytes;
    forget_sent(session, head->acknowledged);
    return TRP_OK;
}

void
tri_session_accept(struct tri_session *session, const struct tri_batch_head *head)
{
    if (head->sequence == 0)
        return;
    TRI_ASSERT(head->sequence == session->received + 1);
    session->received = head->sequence;
}

bool
tri_session_owes(const struct tri_session *session)
{
    return session->received != session->told || session->released_calls != session->told_calls;
}

/* ----------------------------------------------------------------------------------------------------------- resuming */

/* The head is about to be written: nobody else, such as libzmq's thread that may still send it, may be reading it. */
static bool
own_batch(struct tri_packet *packet)
{
    struct tri_buf *copy;

    if (atomic_load_explicit(&packet->frames[0]->references, memory_order_acquire) == 1)
        return true;
    copy = tri_buf_copy(packet->frames[0]->data, packet->frames[0]->size);
    if (copy == NULL)
        return false;
    tri_buf_release(&packet->frames[0]);
    packet->frames[0] = copy;
    return true;
}

trp_err
tri_session_resume(struct tri_session *session, uint64_t received, tri_emit_fn *emit, void *user, trp_error *error)
{
    if (received >= session->next_sequence)
        return TRI_FAIL(error, TRP_EPROTO, "the peer has packet %" PRIu64 ", %" PRIu64 " were sent", received,
                        session->next_sequence - 1);
    if (received < session->peer_acknowledged)
        return TRI_FAIL(error, TRP_EPROTO, "the peer has packet %" PRIu64 " but has acknowledged %" PRIu64, received,
                        session->peer_acknowledged);
    session->peer_acknowledged = received;
    forget_sent(session, received);
    session->told = session->told_calls = UINT64_MAX; /* what was said last may be lost with the link */
    for (size_t i = 0; i < session->sent_count; i++) {
        struct tri_sent *sent = sent_at(session, i);
        struct tri_packet again;
        if (!own_batch(&sent->packet))
            return TRI_FAIL(error, TRP_ENOMEM, "no memory to send packet %" PRIu64 " again", sent->sequence);
        stamp(session, &sent->packet, sent->sequence);
        share_packet(&again, &sent->packet);
        emit(user, &again);
    }
    return TRP_OK;
}
