/*
 * packet.c - one ZeroMQ message: a batch of envelopes and the frames of their large sections. Pure. Checks what came before
 * anybody looks at it. Knows no session.
 */
#include "transport/packet.h"

#include <inttypes.h>
#include <string.h>

void
tri_packet_fini(struct tri_packet *packet)
{
    for (uint32_t i = 0; i < packet->frame_count; i++)
        tri_buf_release(&packet->frames[i]);
    packet->frame_count = 0;
}

static trp_err
align_batch(struct tri_packet *packet, trp_error *error)
{
    struct tri_buf *copy;

    if (((uintptr_t)packet->frames[0]->data & 7) == 0)
        return TRP_OK;
    copy = tri_buf_copy(packet->frames[0]->data, packet->frames[0]->size);
    if (copy == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a batch of %zu bytes", packet->frames[0]->size);
    tri_buf_release(&packet->frames[0]);
    packet->frames[0] = copy;
    return TRP_OK;
}

static trp_err
check_head(const struct tri_packet *packet, const struct tri_batch_head *head, trp_error *error)
{
    const size_t places = head->place_count * sizeof(struct tri_place), size = packet->frames[0]->size - sizeof *head;
    const size_t room = places <= size ? size - places : 0;

    if (head->magic != TRI_BATCH_MAGIC)
        return TRI_FAIL(error, TRP_EPROTO, "a packet begins with 0x%08" PRIx32 ", not with Troupe's mark", head->magic);
    if (head->version != TRI_WIRE_VERSION)
        return TRI_FAIL(error, TRP_EPROTO, "a packet of version %u, expected %d", head->version, TRI_WIRE_VERSION);
    if (places > size || head->place_count + packet->frame_count > 1 + TRI_PACKET_FRAMES)
        return TRI_FAIL(error, TRP_EPROTO, "a packet says %u places in %zu bytes, beside %" PRIu32 " frames",
                        head->place_count, size, packet->frame_count - 1);
    if (head->frame_count != packet->frame_count - 1)
        return TRI_FAIL(error, TRP_EPROTO, "a packet says %" PRIu32 " frames and has %" PRIu32, head->frame_count,
                        packet->frame_count - 1);
    if (head->envelope_count > room / sizeof(struct tri_route_head))
        return TRI_FAIL(error, TRP_EPROTO, "a packet says %" PRIu32 " envelopes in %zu bytes", head->envelope_count,
                        room);
    return TRP_OK;
}

trp_err
tri_packet_head(struct tri_packet *packet, struct tri_batch_head *head, trp_error *error)
{
    const struct tri_buf *batch;

    if (packet->frame_count == 0 || packet->frame_count > 1 + TRI_PACKET_FRAMES)
        return TRI_FAIL(error, TRP_EPROTO, "a packet of %" PRIu32 " frames, allowed are 1 to %d", packet->frame_count,
                        1 + TRI_PACKET_FRAMES);
    batch = packet->frames[0];
    if (batch->size < sizeof *head || batch->size > TRI_BATCH_MAX)
        return TRI_FAIL(error, TRP_EPROTO, "a batch of %zu bytes, allowed are %zu to %d", batch->size, sizeof *head,
                        TRI_BATCH_MAX);
    TRP_TRY(align_batch(packet, error));
    memcpy(head, packet->frames[0]->data, sizeof *head);
    return check_head(packet, head, error);
}

/* The frame that a place stands for, where it belongs: the frames behind it move up. */
static trp_err
open_place(struct tri_packet *packet, const struct tri_place *place, const struct tri_places *places, trp_error *error)
{
    struct tri_buf *buf = NULL;

    if (place->frame == 0 || place->frame > packet->frame_count)
        return TRI_FAIL(error, TRP_EPROTO, "a place of frame %" PRIu32 " in a packet that has %" PRIu32 " before it",
                        place->frame, packet->frame_count - 1);
    TRP_TRY(places->open(places->user, place, &buf, error));
    TRI_ASSERT(buf->place != NULL && buf->size == place->size);
    memmove(&packet->frames[place->frame + 1], &packet->frames[place->frame],
            (packet->frame_count - place->frame) * sizeof packet->frames[0]);
    packet->frames[place->frame] = buf;
    packet->frame_count++;
    return TRP_OK;
}

trp_err
tri_packet_open_places(struct tri_packet *packet, const struct tri_places *places, trp_error *error)
{
    const struct tri_buf *batch = packet->frames[0];
    const uint32_t count = ((const struct tri_batch_head *)(const void *)batch->data)->place_count;
    const uint8_t *at = batch->data + batch->size - count * sizeof(struct tri_place);

    if (count > 0 && places == NULL)
        return TRI_FAIL(error, TRP_EPROTO, "a packet with places in an arena that its receiver does not have");
    for (uint32_t i = 0; i < count; i++) {
        struct tri_place place;
        memcpy(&place, at + i * sizeof place, sizeof place);
        TRP_TRY(open_place(packet, &place, places, error));
    }
    return TRP_OK;
}

trp_err
tri_packet_each(const struct tri_packet *packet, tri_envelope_fn *visit, void *user, trp_error *error)
{
    const struct tri_buf *batch = packet->frames[0];
    const struct tri_batch_head *head = (const void *)batch->data;
    const uint32_t count = head->envelope_count;
    const size_t end = batch->size - head->place_count * sizeof(struct tri_place);
    size_t offset = sizeof *head;
    uint32_t frame = 1;

    for (uint32_t i = 0; i < count; i++) {
        struct tri_envelope envelope;
        TRP_TRY(tri_envelope_check(batch->data + offset, end - offset, packet->frames + frame,
                                   packet->frame_count - frame, &envelope, error));
        offset += envelope.size;
        frame += envelope.frame_count;
        TRP_TRY(visit(user, &envelope, error));
    }
    if (offset != end || frame != packet->frame_count)
        return TRI_FAIL(error, TRP_EPROTO, "a packet has %zu bytes and %" PRIu32 " frames behind its last envelope",
                        end - offset, packet->frame_count - frame);
    return TRP_OK;
}

trp_err
tri_packet_add_frames(struct tri_packet *packet, const struct tri_section *sections, uint32_t section_count,
                      trp_error *error)
{
    const uint32_t before = packet->frame_count;

    for (uint32_t i = 0; i < section_count; i++) {
        struct tri_buf *frame;
        if (!tri_section_is_frame(&sections[i]))
            continue;
        frame = tri_section_frame(&sections[i]);
        if (frame == NULL) {
            while (packet->frame_count > before)
                tri_buf_release(&packet->frames[--packet->frame_count]);
            return TRI_FAIL(error, TRP_ENOMEM, "no memory for a frame of %" PRIu64 " bytes", sections[i].size);
        }
        packet->frames[packet->frame_count++] = frame;
    }
    return TRP_OK;
}

trp_err
tri_packet_measure(const struct tri_section *sections, uint32_t section_count, struct tri_measure *measure,
                   trp_error *error)
{
    *measure = (struct tri_measure){.size = tri_envelope_size(sections, section_count)};
    if (section_count == 1 && !tri_section_is_frame(sections) && sections->ref_count <= TRI_REFS_MAX)
        return TRP_OK; /* as most are */
    for (uint32_t i = 0; i < section_count; i++) {
        if (tri_section_place(&sections[i]) != NULL) {
            measure->frame_count++;
            measure->place_bytes += sizeof(struct tri_place);
            continue;
        }
        if (sections[i].size > TRI_FRAME_MAX)
            return TRI_FAIL(error, TRP_ELIMIT, "a value of %" PRIu64 " bytes, the limit of a frame is %d",
                            sections[i].size, TRI_FRAME_MAX);
        if (tri_section_is_frame(&sections[i])) {
            measure->frame_count++;
            measure->frame_bytes += sections[i].size;
        }
    }
    if (measure->frame_count > TRI_PACKET_FRAMES)
        return TRI_FAIL(error, TRP_ELIMIT, "a message with %" PRIu32 " values of more than %d bytes, the limit is %d",
                        measure->frame_count, TRI_COPY_MAX, TRI_PACKET_FRAMES);
    if (measure->size > TRI_BATCH_MAX - sizeof(struct tri_batch_head))
        return TRI_FAIL(error, TRP_ELIMIT, "a message of %zu bytes beside its large values, the limit is %d",
                        measure->size, TRI_BATCH_MAX);
    return TRP_OK;
}

static uint16_t
write_places(struct tri_packet *packet)
{
    struct tri_buf *batch = packet->frames[0];
    uint16_t count = 0;

    for (uint32_t i = 1; i < packet->frame_count; i++) {
        if (packet->frames[i]->place == NULL)
            continue;
        struct tri_place place = *packet->frames[i]->place;
        place.frame = i;
        memcpy(batch->data + batch->size, &place, sizeof place);
        batch->size += sizeof place;
        count++;
    }
    return count;
}

void
tri_packet_finish(struct tri_packet *packet, uint32_t envelope_count)
{
    struct tri_batch_head *head = (struct tri_batch_head *)(void *)packet->frames[0]->data;
    const uint16_t place_count = write_places(packet);

    *head = (struct tri_batch_head){
        .magic = TRI_BATCH_MAGIC,
        .version = TRI_WIRE_VERSION,
        .place_count = place_count,
        .envelope_count = envelope_count,
        .frame_count = packet->frame_count - 1 - place_count,
    };
}

trp_err
tri_packet_single(struct tri_packet *packet, const struct tri_route *route, const struct tri_section *sections,
                  uint32_t section_count, trp_error *error)
{
    struct tri_packet made = {.frame_count = 1};
    struct tri_measure measure;

    TRP_TRY(tri_packet_measure(sections, section_count, &measure, error));
    made.frames[0] = tri_buf_new(sizeof(struct tri_batch_head) + measure.size + measure.place_bytes);
    if (made.frames[0] == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a packet of %zu bytes", measure.size);
    if (tri_packet_add_frames(&made, sections, section_count, error) != TRP_OK) {
        tri_packet_fini(&made);
        return TRP_ENOMEM;
    }
    made.frames[0]->size = sizeof(struct tri_batch_head);
    made.frames[0]->size +=
        tri_envelope_write(made.frames[0]->data + sizeof(struct tri_batch_head), route, sections, section_count);
    tri_packet_finish(&made, 1);
    *packet = made;
    return TRP_OK;
}
