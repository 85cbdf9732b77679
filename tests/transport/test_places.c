/* test_places.c - values in the arena: only where they lie travels, in their order among those that are sent. */
#include "helpers.h"

#include <string.h>
#include <zmq.h>

enum { OBJECTS = 8 };

struct object {
    struct tri_buf buf;
    struct tri_place place;
};

static struct object objects[OBJECTS];
static unsigned opened;

static void
keep_it(struct tri_buf *buf)
{
    (void)buf;
}

/* Object i has a size of its own; its bytes are nowhere. */
static struct tri_buf *
object(uint32_t i, uint64_t size)
{
    objects[i].place = (struct tri_place){.slot = i, .generation = 7 + i, .start = 100 * i, .size = size};
    objects[i].buf = (struct tri_buf){.references = 1, .size = size, .place = &objects[i].place, .free = keep_it};
    return &objects[i].buf;
}

static trp_err
open_object(void *user, const struct tri_place *place, struct tri_buf **buf, trp_error *error)
{
    (void)user;
    if (place->slot >= OBJECTS || objects[place->slot].place.generation != place->generation ||
        objects[place->slot].place.start != place->start || objects[place->slot].place.size != place->size)
        return TRI_FAIL(error, TRP_EPROTO, "no object lies there");
    opened++;
    *buf = tri_buf_retain(&objects[place->slot].buf);
    return TRP_OK;
}
static const struct tri_places places = {.open = open_object};

static struct tri_section
stored(struct tri_buf *buf)
{
    return (struct tri_section){.meta_size = 64, .size = buf->size, .data = buf->data, .frame = buf};
}

/* What a link does: the frames that have a place stay behind. */
static void
strip(struct tri_packet *packet)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < packet->frame_count; i++)
        if (packet->frames[i]->place != NULL)
            tri_buf_release(&packet->frames[i]);
        else
            packet->frames[kept++] = packet->frames[i];
    packet->frame_count = kept;
}

struct wire {
    struct tri_packet packets[4];
    size_t count;
};

static void
emit(void *user, struct tri_packet *packet)
{
    struct wire *wire = user;
    cr_assert_lt(wire->count, 4);
    wire->packets[wire->count] = *packet;
    strip(&wire->packets[wire->count++]);
}

struct seen {
    uint64_t sizes[OBJECTS], bytes;
    bool in_arena[OBJECTS];
    uint32_t count;
};

static trp_err
see(void *user, const struct tri_envelope *envelope, trp_error *error)
{
    struct seen *seen = user;
    (void)error;
    seen->bytes += envelope->bytes;
    for (uint32_t i = 0; i < envelope->route.section_count; i++) {
        struct tri_section section;
        tri_envelope_section(envelope, i, &section);
        seen->sizes[seen->count] = section.size;
        seen->in_arena[seen->count++] = tri_section_place(&section) != NULL;
    }
    return TRP_OK;
}

static const struct tri_route put = {.kind = TRI_PUT, .result = {1, 1}};

static uint64_t
posted(struct tri_channel *channel, const struct tri_section *sections, uint32_t count)
{
    const struct tri_route call = {.kind = TRI_CALL, .flags = TRI_TASK, .result = {1, 2}};
    EXPECT(TRP_OK, tri_channel_post(channel, count > 1 ? &call : &put, sections, count, NULL, &why));
    return tri_envelope_bytes(sections, count);
}

Test(places, values_of_all_kinds_arrive_in_their_order)
{
    struct tri_channel from, to;
    struct wire wire = {.count = 0};
    struct seen seen = {.count = 0};
    struct tri_buf *body, *frame;
    tri_channel_init(&from, 0, 0);
    tri_channel_init(&to, 0, 0);
    to.places = &places;
    struct tri_section call[] = {make_section(1, 300, &body), stored(object(3, UINT64_C(3) << 30)),
                                 make_section(2, 70000, &frame), stored(object(1, 102401))};
    for (uint32_t i = 1; i < 4; i++)
        call[i].place = i;
    const struct tri_section one = stored(object(0, 5000));
    uint64_t bytes = posted(&from, &one, 1);
    bytes += posted(&from, call, 4);
    bytes += posted(&from, &call[0], 1);
    EXPECT(TRP_OK, tri_channel_flush(&from, emit, &wire, &why));
    cr_assert_eq(wire.count, 1);
    cr_expect_eq(wire.packets[0].frame_count, 2, "the batch, and the one frame that is sent");
    EXPECT(TRP_OK, tri_channel_receive(&to, &wire.packets[0], see, &seen, NULL, &why));
    const uint64_t sizes[] = {5000, 300, UINT64_C(3) << 30, 70000, 102401, 300};
    const bool in_arena[] = {true, false, true, false, true, false};
    cr_assert_eq(seen.count, 6);
    for (uint32_t i = 0; i < 6; i++) {
        cr_expect_eq(seen.sizes[i], sizes[i], "section %u", i);
        cr_expect_eq(seen.in_arena[i], in_arena[i], "section %u", i);
    }
    cr_expect_eq(seen.bytes, bytes, "both ends count the same");
    cr_expect_lt(bytes, 80000, "what lies in the arena takes no credit");
    tri_packet_fini(&wire.packets[0]);
    tri_channel_fini(&from);
    tri_channel_fini(&to);
    tri_buf_release(&body);
    tri_buf_release(&frame);
    for (uint32_t i = 0; i < OBJECTS; i++)
        cr_expect(objects[i].buf.references <= 1, "object %u is held by %u", i, objects[i].buf.references);
}

Test(places, a_packet_that_comes_twice_is_opened_once_and_one_that_was_lost_says_them_again)
{
    struct tri_channel from, to;
    struct wire wire = {.count = 0};
    struct seen seen = {.count = 0};
    enum tri_receipt receipt;
    tri_channel_init(&from, 0, 0);
    tri_channel_init(&to, 0, 0);
    to.places = &places;
    const struct tri_section one = stored(object(0, 5000));
    (void)posted(&from, &one, 1);
    EXPECT(TRP_OK, tri_channel_flush(&from, emit, &wire, &why));
    tri_packet_fini(&wire.packets[0]);
    EXPECT(TRP_OK, tri_session_resume(&from.session, 0, emit, &wire, &why));
    EXPECT(TRP_OK, tri_session_resume(&from.session, 0, emit, &wire, &why));
    cr_assert_eq(wire.count, 3);
    EXPECT(TRP_OK, tri_channel_receive(&to, &wire.packets[1], see, &seen, &receipt, &why));
    cr_expect_eq(receipt, TRI_TAKE);
    EXPECT(TRP_OK, tri_channel_receive(&to, &wire.packets[2], see, &seen, &receipt, &why));
    cr_expect_eq(receipt, TRI_DUPLICATE);
    cr_expect_eq(opened, 1);
    cr_expect_eq(seen.count, 1);
    tri_packet_fini(&wire.packets[1]);
    tri_packet_fini(&wire.packets[2]);
    tri_channel_fini(&from);
    tri_channel_fini(&to);
}

Test(places, go_through_a_link)
{
    void *context = zmq_ctx_new();
    struct tri_link *server = NULL, *client = NULL;
    struct tri_channel from, to;
    struct wire wire = {.count = 0};
    struct seen seen = {.count = 0};
    struct tri_packet packet;
    struct tri_batch_head head;
    uint64_t peer;
    EXPECT(TRP_OK, tri_link_find("inproc://places")->bind(context, "inproc://places", &server, &why));
    EXPECT(TRP_OK, tri_link_find("inproc://places")->connect(context, "inproc://places", &client, &why));
    tri_channel_init(&from, 0, 0);
    tri_channel_init(&to, 0, 0);
    to.places = &places;
    const struct tri_section one = stored(object(5, 12345678));
    (void)posted(&from, &one, 1);
    EXPECT(TRP_OK, tri_channel_flush(&from, emit, &wire, &why));
    wire.packets[0].frames[wire.packets[0].frame_count++] = tri_buf_retain(&objects[5].buf); /* as it was before */
    EXPECT(TRP_OK, tri_link_send(client, 0, &wire.packets[0], &why));
    EXPECT(TRP_OK, tri_link_recv(server, DEADLINE_MS, &peer, &packet, &why));
    cr_expect_eq(packet.frame_count, 1);
    EXPECT(TRP_OK, tri_packet_head(&packet, &head, &why));
    cr_expect_eq(head.place_count, 1);
    EXPECT(TRP_OK, tri_channel_receive(&to, &packet, see, &seen, NULL, &why));
    cr_expect_eq(seen.sizes[0], 12345678);
    tri_packet_fini(&packet);
    tri_channel_fini(&from);
    tri_channel_fini(&to);
    tri_link_close(&client);
    tri_link_close(&server);
    zmq_ctx_term(context);
}

/* A packet with one object, spoilt in one way; `last` is its place. */
struct spoiling {
    const char *what;
    void (*spoil)(struct tri_packet *packet, struct tri_batch_head *head, struct tri_place *last);
};
#define SPOIL(name, ...)                                                                                               \
    static void name(struct tri_packet *packet, struct tri_batch_head *head, struct tri_place *last)                   \
    {                                                                                                                  \
        (void)packet, (void)head, (void)last;                                                                          \
        __VA_ARGS__;                                                                                                   \
    }
SPOIL(of_the_batch, last->frame = 0)
SPOIL(beyond_the_frames, last->frame = 2)
SPOIL(another_slot, last->slot = 6)
SPOIL(slot_of_nobody, last->slot = UINT32_MAX)
SPOIL(older, last->generation--)
SPOIL(elsewhere, last->start++)
SPOIL(larger, last->size++)
SPOIL(more_places, head->place_count = 65)
SPOIL(more_than_the_batch_has, packet->frames[0]->size = sizeof *head + sizeof *last - 8; head->envelope_count = 0)
SPOIL(one_less, head->place_count = 0)
static const struct spoiling spoilings[] = {
    {"frame 0", of_the_batch},
    {"a frame that is not there", beyond_the_frames},
    {"another slot", another_slot},
    {"a slot of nobody", slot_of_nobody},
    {"an older generation", older},
    {"another start", elsewhere},
    {"another size", larger},
    {"too many", more_places},
    {"more than the batch has", more_than_the_batch_has},
    {"the section's frame is missing", one_less},
};

Test(places, that_are_not_right_are_refused)
{
    for (size_t i = 0; i < sizeof spoilings / sizeof *spoilings; i++) {
        struct tri_channel from, to;
        struct wire wire = {.count = 0};
        struct seen seen = {.count = 0};
        tri_channel_init(&from, 0, 0);
        tri_channel_init(&to, 0, 0);
        to.places = &places;
        const struct tri_section one = stored(object(0, 5000));
        (void)posted(&from, &one, 1);
        EXPECT(TRP_OK, tri_channel_flush(&from, emit, &wire, &why));
        struct tri_buf *batch = wire.packets[0].frames[0];
        spoilings[i].spoil(&wire.packets[0], (struct tri_batch_head *)(void *)batch->data,
                           (struct tri_place *)(void *)(batch->data + batch->size - sizeof(struct tri_place)));
        cr_expect_eq(tri_channel_receive(&to, &wire.packets[0], see, &seen, NULL, &why), TRP_EPROTO, "%s",
                     spoilings[i].what);
        cr_expect_eq(seen.count, 0, "%s", spoilings[i].what);
        tri_packet_fini(&wire.packets[0]);
        tri_channel_fini(&from);
        tri_channel_fini(&to);
        cr_expect(objects[0].buf.references == 1, "%s: held by %u", spoilings[i].what, objects[0].buf.references);
    }
}

Test(places, are_for_values_only_and_for_who_has_an_arena)
{
    static const struct {
        struct tri_route route;
        bool has_arena;
        trp_err err;
    } rows[] = {
        {{.kind = TRI_PUT, .result = {1, 1}}, true, TRP_OK},
        {{.kind = TRI_RESULT, .result = {1, 1}}, true, TRP_OK},
        {{.kind = TRI_PUT, .result = {1, 1}}, false, TRP_EPROTO},
        {{.kind = TRI_RESULT, .flags = TRI_FAILED, .result = {1, 1}}, true, TRP_EPROTO},
        {{.kind = TRI_PUT, .flags = TRI_FAILED, .result = {1, 1}}, true, TRP_EPROTO},
        {{.kind = TRI_CALL, .flags = TRI_TASK, .result = {1, 1}}, true, TRP_EPROTO},
        {{.kind = TRI_MODULE}, true, TRP_EPROTO},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tri_channel from, to;
        struct wire wire = {.count = 0};
        struct seen seen = {.count = 0};
        tri_channel_init(&from, 0, 0);
        tri_channel_init(&to, 0, 0);
        to.places = rows[i].has_arena ? &places : NULL;
        const struct tri_section one = stored(object(0, 5000));
        EXPECT(TRP_OK, tri_channel_post(&from, &rows[i].route, &one, 1, NULL, &why));
        EXPECT(TRP_OK, tri_channel_flush(&from, emit, &wire, &why));
        cr_expect_eq(tri_channel_receive(&to, &wire.packets[0], see, &seen, NULL, &why), rows[i].err, "row %zu: %s", i,
                     why.message);
        tri_packet_fini(&wire.packets[0]);
        tri_channel_fini(&from);
        tri_channel_fini(&to);
    }
}
