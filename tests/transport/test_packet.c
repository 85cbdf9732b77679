/* test_packet.c - packets that are not packets. */
#include "helpers.h"

#include <string.h>

static trp_err
count_envelope(void *user, const struct tri_envelope *envelope, trp_error *error)
{
    (void)envelope;
    (void)error;
    ++*(int *)user;
    return TRP_OK;
}

static void
make_ping(struct tri_packet *packet)
{
    const struct tri_route route = {.kind = TRI_PING};

    EXPECT(TRP_OK, tri_packet_single(packet, &route, NULL, 0, &why));
}

/* A good packet with one number of its batch changed. */
static const struct row {
    const char *what;
    size_t offset, size;
    uint64_t value;
    size_t cut_to; /* 0: the whole */
} rows[] = {
    {"no mark", 0, 4, 0x12345678, 0},
    {"another version", 4, 2, 1, 0},
    {"reserved bytes", 6, 2, 1, 0},
    {"more envelopes than bytes", 8, 4, UINT32_MAX, 0},
    {"two envelopes said, one there", 8, 4, 2, 0},
    {"no envelope said, one there", 8, 4, 0, 0},
    {"a frame said, none there", 12, 4, 1, 0},
    {"2^32-1 frames said", 12, 4, UINT32_MAX, 0},
    {"empty", 0, 0, 0, 1},
    {"half a head", 0, 0, 0, 47},
    {"head without its envelope", 0, 0, 0, 48},
    {"half an envelope", 0, 0, 0, 56},
    {"one byte short", 0, 0, 0, 63},
    {"envelope of another version", 48, 1, 9, 0},
    {"unknown kind", 49, 1, 95, 0},
    {"kind out of the table", 49, 1, 255, 0},
    {"unknown flag", 50, 2, 0x8000, 0},
    {"sections said, none there", 58, 2, 1, 0},
    {"envelope of no size", 52, 4, 0, 0},
    {"envelope of an odd size", 52, 4, 17, 0},
    {"envelope larger than the batch", 52, 4, 4096, 0},
    {"parts said, none there", 57, 1, TRI_HAS_PARENT, 0},
    {"a body said, no section", 57, 1, TRI_HAS_BODY, 0},
    {"size of a body that is not said", 60, 4, 1, 0},
};

Test(packet, bytes_that_are_no_packet_are_refused)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        struct tri_batch_head head;
        struct tri_packet packet;
        int seen = 0;
        trp_err err;
        make_ping(&packet);
        cr_assert_eq(packet.frames[0]->size, 48 + 16);
        memcpy(packet.frames[0]->data + row->offset, &row->value, row->size);
        if (row->cut_to != 0)
            packet.frames[0]->size = row->cut_to - 1 + (row->cut_to > 1);
        err = tri_packet_head(&packet, &head, &why);
        if (err == TRP_OK)
            err = tri_packet_each(&packet, count_envelope, &seen, &why);
        cr_assert_eq(err, TRP_EPROTO, "%s was taken", row->what);
        cr_assert_gt(strlen(why.message), 10);
        tri_packet_fini(&packet);
    }
}

Test(packet, frames_that_nobody_asked_for_are_refused)
{
    struct tri_batch_head head;
    struct tri_packet packet;
    int seen = 0;

    make_ping(&packet);
    packet.frames[packet.frame_count++] = tri_buf_new(5000);
    ((struct tri_batch_head *)(void *)packet.frames[0]->data)->frame_count = 1;
    EXPECT(TRP_OK, tri_packet_head(&packet, &head, &why));
    EXPECT(TRP_EPROTO, tri_packet_each(&packet, count_envelope, &seen, &why));
    tri_packet_fini(&packet);
    EXPECT(TRP_EPROTO, tri_packet_head(&packet, &head, &why));
}

Test(packet, a_misaligned_batch_is_copied_before_it_is_read)
{
    struct tri_packet packet, shifted = {.frame_count = 1};
    struct tri_batch_head head;
    struct tri_buf *wide;
    int seen = 0;

    make_ping(&packet);
    wide = tri_buf_new(packet.frames[0]->size + 8);
    wide->size = packet.frames[0]->size;
    wide->data += 3;
    memcpy(wide->data, packet.frames[0]->data, wide->size);
    shifted.frames[0] = wide;
    EXPECT(TRP_OK, tri_packet_head(&shifted, &head, &why));
    cr_assert_eq((uintptr_t)shifted.frames[0]->data % 8, 0);
    EXPECT(TRP_OK, tri_packet_each(&shifted, count_envelope, &seen, &why));
    cr_assert_eq(seen, 1);
    tri_packet_fini(&shifted);
    tri_packet_fini(&packet);
}

static trp_err
refuse(void *user, const struct tri_envelope *envelope, trp_error *error)
{
    (void)envelope;
    ++*(int *)user;
    return TRI_FAIL(error, TRP_ELIMIT, "enough");
}

Test(packet, the_visitors_refusal_ends_the_walk)
{
    struct tri_packet packet;
    int seen = 0;

    make_ping(&packet);
    EXPECT(TRP_ELIMIT, tri_packet_each(&packet, refuse, &seen, &why));
    cr_assert_str_eq(why.message, "enough");
    cr_assert_eq(seen, 1);
    tri_packet_fini(&packet);
}
