/*
 * channel.c - fills batches with envelopes and gives them to the session; takes packets in. Pure. Knows no socket, no clock,
 * and of envelopes only their size.
 */
#include "transport/packet.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD = sizeof(struct tri_batch_head), BATCH_FIRST = 2048 };

/* A packet that is complete but not yet numbered. */
struct tri_full {
    struct tri_node link;
    struct tri_packet packet;
};

void
tri_channel_init(struct tri_channel *channel, uint32_t window_calls, uint64_t window_bytes)
{
    memset(channel, 0, sizeof *channel);
    tri_session_init(&channel->session, window_calls, window_bytes);
    tri_list_init(&channel->full);
}

static void
drop_posted(struct tri_channel *channel)
{
    while (!tri_list_empty(&channel->full)) {
        struct tri_full *full = TRI_OWNER(channel->full.next, struct tri_full, link);
        tri_list_remove(&full->link);
        tri_packet_fini(&full->packet);
        free(full);
    }
    tri_packet_fini(&channel->packet);
    tri_buf_release(&channel->batch);
}

void
tri_channel_fini(struct tri_channel *channel)
{
    drop_posted(channel);
    tri_session_fini(&channel->session);
    tri_channel_init(channel, 0, 0);
}

void
tri_channel_reset(struct tri_channel *channel, uint32_t window_calls, uint64_t window_bytes)
{
    const uint32_t spare_max = channel->session.spare_max;

    tri_channel_fini(channel);
    tri_channel_init(channel, window_calls, window_bytes);
    channel->session.spare_max = spare_max;
}

/* ------------------------------------------------------------------------------------------------------------ posting */

/* Completes the batch being filled as a packet, which the caller has to send; the channel is empty then. */
static void
take_packet(struct tri_channel *channel, struct tri_packet *packet)
{
    channel->batch->size = channel->batch_size;
    packet->frame_count = channel->packet.frame_count;
    memcpy(packet->frames, channel->packet.frames, packet->frame_count * sizeof packet->frames[0]);
    packet->frames[0] = channel->batch;
    tri_packet_finish(packet, channel->envelope_count);
    if (channel->usual_size < channel->batch_size)
        channel->usual_size = channel->batch_size;
    else /* one small packet among large ones says little of the next */
        channel->usual_size -= (channel->usual_size - channel->batch_size) / 4;
    channel->batch = NULL;
    channel->packet.frame_count = 0;
    channel->batch_size = channel->envelope_count = 0;
    channel->frame_bytes = 0;
    channel->place_bytes = 0;
}

static trp_err
close_batch(struct tri_channel *channel, trp_error *error)
{
    struct tri_full *full = malloc(sizeof *full);

    if (full == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a packet that is full");
    channel->full_bytes += channel->batch_size + channel->frame_bytes;
    channel->full_count++;
    take_packet(channel, &full->packet);
    tri_list_append(&channel->full, &full->link);
    return TRP_OK;
}

static bool
fits(const struct tri_channel *channel, const struct tri_measure *measure)
{
    if (channel->batch_size + channel->place_bytes + measure->size + measure->place_bytes > TRI_BATCH_BYTES)
        return false;
    if (measure->frame_count == 0)
        return true;
    return channel->packet.frame_count + measure->frame_count <= 1 + TRI_PACKET_FRAMES &&
           channel->frame_bytes + measure->frame_bytes <= TRI_PACKET_BYTES;
}

/* A batch that was used before, where the last ones were large. NULL: none. */
static struct tri_buf *
take_spare(struct tri_channel *channel, size_t needed)
{
    struct tri_session *session = &channel->session;

    if (session->spare_count == 0 || channel->usual_size < TRI_BATCH_BYTES / 2 || needed > TRI_BATCH_BYTES)
        return NULL;
    return session->spares[--session->spare_count];
}

/* Makes room for `needed` bytes in the batch. A new one is made as large as the last ones were. */
static trp_err
reserve_batch(struct tri_channel *channel, size_t needed, trp_error *error)
{
    size_t wanted = BATCH_FIRST;
    struct tri_buf *grown;

    if (channel->batch != NULL && needed <= channel->batch->size)
        return TRP_OK;
    if (channel->batch == NULL && (channel->batch = take_spare(channel, needed)) != NULL)
        return TRP_OK;
    if (needed > TRI_BATCH_BYTES)
        wanted = needed;
    while (wanted < needed || (wanted < channel->usual_size && wanted < TRI_BATCH_BYTES))
        wanted *= 2;
    grown = tri_buf_new(wanted);
    if (grown == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a batch of %zu bytes", wanted);
    if (channel->batch != NULL)
        memcpy(grown->data, channel->batch->data, channel->batch_size);
    tri_buf_release(&channel->batch);
    channel->batch = grown;
    return TRP_OK;
}

TRI_HOP trp_err
tri_channel_post(struct tri_channel *channel, const struct tri_route *route, const struct tri_section *sections,
                 uint32_t section_count, uint64_t *where, trp_error *error)
{
    struct tri_measure measure;
    size_t offset;

    TRP_TRY(tri_packet_measure(sections, section_count, &measure, error));
    if (channel->envelope_count > 0 && !fits(channel, &measure))
        TRP_TRY(close_batch(channel, error));
    offset = channel->envelope_count > 0 ? channel->batch_size : HEAD;
    TRP_TRY(reserve_batch(channel, offset + channel->place_bytes + measure.size + measure.place_bytes, error));
    if (channel->packet.frame_count == 0)
        channel->packet.frame_count = 1; /* frames[0], the place of the batch, stays NULL until it is complete */
    if (measure.frame_count > 0)
        TRP_TRY(tri_packet_add_frames(&channel->packet, sections, section_count, error));
    channel->batch_size = offset + tri_envelope_write(channel->batch->data + offset, route, sections, section_count);
    channel->envelope_count++;
    channel->frame_bytes += measure.frame_bytes;
    channel->place_bytes += measure.place_bytes;
    if (where != NULL)
        *where = channel->session.next_sequence + channel->full_count;
    return TRP_OK;
}

bool
tri_channel_has_output(const struct tri_channel *channel)
{
    return channel->envelope_count > 0 || channel->full_count > 0;
}

size_t
tri_channel_pending_bytes(const struct tri_channel *channel)
{
    return channel->full_bytes + channel->batch_size + channel->frame_bytes;
}

/* ----------------------------------------------------------------------------------------------------------- emitting */

trp_err
tri_channel_flush_full(struct tri_channel *channel, tri_emit_fn *emit, void *user, trp_error *error)
{
    while (!tri_list_empty(&channel->full)) {
        struct tri_full *full = TRI_OWNER(channel->full.next, struct tri_full, link);
        TRP_TRY(tri_session_send(&channel->session, &full->packet, error));
        tri_list_remove(&full->link);
        channel->full_count--;
        emit(user, &full->packet);
        free(full);
    }
    channel->full_bytes = 0;
    return TRP_OK;
}

trp_err
tri_channel_flush(struct tri_channel *channel, tri_emit_fn *emit, void *user, trp_error *error)
{
    struct tri_packet packet;

    TRP_TRY(tri_channel_flush_full(channel, emit, user, error));
    if (channel->envelope_count == 0)
        return TRP_OK;
    TRP_TRY(tri_session_reserve(&channel->session, error));
    take_packet(channel, &packet);
    TRP_TRY(tri_session_send(&channel->session, &packet, error));
    emit(user, &packet);
    return TRP_OK;
}

trp_err
tri_channel_acknowledge(struct tri_channel *channel, tri_emit_fn *emit, void *user, trp_error *error)
{
    struct tri_packet packet = {.frame_count = 1};

    if (tri_channel_has_output(channel) || !tri_session_owes(&channel->session))
        return TRP_OK;
    packet.frames[0] = tri_buf_new(HEAD);
    if (packet.frames[0] == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for an acknowledgement");
    tri_packet_finish(&packet, 0);
    tri_session_stamp(&channel->session, &packet);
    emit(user, &packet);
    return TRP_OK;
}

/* ---------------------------------------------------------------------------------------------------------- receiving */

struct unnumbered {
    tri_envelope_fn *visit;
    void *user;
};

/* Only what belongs to a login may come without a number: anything else could come twice. */
static trp_err
visit_unnumbered(void *user, const struct tri_envelope *envelope, trp_error *error)
{
    const struct unnumbered *inner = user;
    const uint8_t kind = envelope->route.kind;

    if (kind != TRI_HELLO && kind != TRI_WELCOME && kind != TRI_CUT)
        return TRI_FAIL(error, TRP_EPROTO, "%s in a packet without a number", tri_kind_name(kind));
    return inner->visit(inner->user, envelope, error);
}

TRI_HOP trp_err
tri_channel_receive(struct tri_channel *channel, struct tri_packet *packet, tri_envelope_fn *visit, void *user,
                    enum tri_receipt *receipt, trp_error *error)
{
    struct unnumbered inner = {.visit = visit, .user = user};
    struct tri_batch_head head;
    enum tri_receipt result;

    TRP_TRY(tri_packet_head(packet, &head, error));
    TRP_TRY(tri_session_receive(&channel->session, &head, &result, error));
    if (receipt != NULL)
        *receipt = result;
    if (result != TRI_TAKE)
        return TRP_OK;
    if (head.sequence == 0)
        return tri_packet_each(packet, visit_unnumbered, &inner, error); /* which have no frames, nor places */
    TRP_TRY(tri_packet_open_places(packet, channel->places, error));
    TRP_TRY(tri_packet_each(packet, visit, user, error));
    tri_session_accept(&channel->session, &head);
    return TRP_OK;
}
