/* test_channel.c - batches: what goes together, what goes alone, and that it arrives as posted. */
#include "helpers.h"

#include <string.h>

enum { PACKETS = 64 };

struct wire {
    struct tri_packet packets[PACKETS];
    size_t count;
};

static void
keep(void *user, struct tri_packet *packet)
{
    struct wire *wire = user;

    cr_assert_lt(wire->count, PACKETS);
    wire->packets[wire->count++] = *packet;
}

static void
clear(struct wire *wire)
{
    while (wire->count > 0)
        tri_packet_fini(&wire->packets[--wire->count]);
}

static trp_err
post(struct tri_channel *channel, uint64_t number, const struct tri_section *sections, uint32_t count, uint64_t *where)
{
    const struct tri_route route = {.kind = TRI_CALL, .flags = TRI_TASK, .sequence = number};

    return tri_channel_post(channel, &route, sections, count, where, &why);
}

static void
post_bytes(struct tri_channel *channel, uint64_t number, size_t size, uint64_t *where)
{
    struct tri_buf *frame;
    const struct tri_section section = make_section(number, size, &frame);

    EXPECT(TRP_OK, post(channel, number, &section, 1, where));
    tri_buf_release(&frame);
}

struct reader {
    uint64_t next;
    size_t sizes[512]; /* by number */
};

static trp_err
check_envelope(void *user, const struct tri_envelope *envelope, trp_error *error)
{
    struct reader *reader = user;
    const uint64_t number = envelope->route.sequence;
    struct tri_section section, expected;
    struct tri_buf *frame;

    (void)error;
    cr_assert_eq(number, reader->next++);
    cr_assert_eq(envelope->route.section_count, 1);
    tri_envelope_section(envelope, 0, &section);
    cr_assert_eq(section.size, reader->sizes[number]);
    expected = make_section(number, section.size, &frame);
    cr_assert_eq(memcmp(section.data, expected.data, section.size), 0);
    tri_buf_release(&frame);
    return TRP_OK;
}

static void
receive_all(struct wire *wire, struct tri_channel *to, struct reader *reader)
{
    for (size_t i = 0; i < wire->count; i++) {
        enum tri_receipt receipt;
        EXPECT(TRP_OK, tri_channel_receive(to, &wire->packets[i], check_envelope, reader, &receipt, &why));
        cr_assert_eq(receipt, TRI_TAKE);
    }
}

Test(channel, envelopes_of_all_sizes_arrive_as_posted_within_the_limits_of_a_batch)
{
    static const size_t sizes[] = {8, 100, 1000, 4096, 4097, 20000, 0, 300000, 64};
    struct tri_channel from, to;
    struct wire wire = {0};
    struct reader reader = {0};
    uint64_t where, number = 0;

    tri_channel_init(&from, 1000, 1 << 30);
    tri_channel_init(&to, 1000, 1 << 30);
    for (int round = 0; round < 3; round++) {
        uint64_t wheres[90];
        const uint64_t first = from.session.next_sequence;
        for (int i = 0; i < 80; i++, number++) {
            reader.sizes[number] = sizes[(number * 7 + (uint64_t)round) % (sizeof sizes / sizeof sizes[0])];
            post_bytes(&from, number, reader.sizes[number], &where);
            wheres[i] = where;
        }
        cr_assert(tri_channel_has_output(&from));
        EXPECT(TRP_OK, tri_channel_flush(&from, keep, &wire, &why));
        cr_assert_not(tri_channel_has_output(&from));
        cr_assert_eq(tri_channel_pending_bytes(&from), 0);
        cr_assert_gt(wire.count, 5);
        cr_assert_eq(wheres[0], first);
        cr_assert_eq(wheres[79], first + wire.count - 1, "the packet's number was foretold wrong");
        for (size_t i = 0; i < wire.count; i++) {
            cr_assert_leq(wire.packets[i].frames[0]->size, TRI_BATCH_BYTES);
            cr_assert_leq(wire.packets[i].frame_count, 1 + TRI_PACKET_FRAMES);
        }
        receive_all(&wire, &to, &reader);
        clear(&wire);
    }
    cr_assert_eq(reader.next, number);
    cr_assert_eq(from.session.sent_count, from.session.next_sequence - 1);
    EXPECT(TRP_OK, tri_channel_acknowledge(&to, keep, &wire, &why));
    cr_assert_eq(wire.count, 1);
    EXPECT(TRP_OK, tri_channel_receive(&from, &wire.packets[0], check_envelope, &reader, NULL, &why));
    cr_assert_eq(from.session.sent_count, 0);
    EXPECT(TRP_OK, tri_channel_acknowledge(&to, keep, &wire, &why));
    cr_assert_eq(wire.count, 1, "acknowledged twice");
    clear(&wire);
    tri_channel_fini(&from);
    tri_channel_fini(&to);
}

struct passing {
    struct tri_channel onward;
    struct reader seen;
    uint64_t last;
};

/* As the broker does: another route before the same sections. */
static trp_err
pass_on(void *user, const struct tri_envelope *envelope, trp_error *error)
{
    struct passing *passing = user;
    struct tri_route route = envelope->route;
    uint64_t where = 0;

    route.epoch = route.sequence;
    EXPECT(TRP_OK, tri_channel_post(&passing->onward, &route, &envelope->body, 1, &where, error));
    cr_assert_geq(where, passing->last);
    passing->last = where;
    return TRP_OK;
}

Test(channel, envelopes_passed_on_are_those_that_came)
{
    struct passing passing = {.last = 1};
    struct tri_channel from, to, end;
    struct wire wire = {0}, onward = {0};

    tri_channel_init(&from, 1000, 1 << 30);
    tri_channel_init(&to, 1000, 1 << 30);
    tri_channel_init(&end, 1000, 1 << 30);
    tri_channel_init(&passing.onward, 1000, 1 << 30);
    for (uint64_t number = 0; number < 400; number++) {
        passing.seen.sizes[number] = number * 37 % 4000;
        post_bytes(&from, number, passing.seen.sizes[number], NULL);
    }
    EXPECT(TRP_OK, tri_channel_flush(&from, keep, &wire, &why));
    for (size_t i = 0; i < wire.count; i++)
        EXPECT(TRP_OK, tri_channel_receive(&to, &wire.packets[i], pass_on, &passing, NULL, &why));
    EXPECT(TRP_OK, tri_channel_flush(&passing.onward, keep, &onward, &why));
    cr_assert_gt(onward.count, 2);
    cr_assert_eq(passing.last, onward.count, "the packet's number was foretold wrong");
    receive_all(&onward, &end, &passing.seen);
    cr_assert_eq(passing.seen.next, 400);
    clear(&wire);
    clear(&onward);
    tri_channel_fini(&from);
    tri_channel_fini(&to);
    tri_channel_fini(&end);
    tri_channel_fini(&passing.onward);
}

Test(channel, one_flush_is_one_packet_while_it_is_small)
{
    struct tri_channel channel;
    struct wire wire = {0};

    tri_channel_init(&channel, 1, 1);
    for (uint64_t i = 0; i < 200; i++)
        post_bytes(&channel, i, 64, NULL);
    EXPECT(TRP_OK, tri_channel_flush(&channel, keep, &wire, &why));
    cr_assert_eq(wire.count, 1);
    EXPECT(TRP_OK, tri_channel_flush(&channel, keep, &wire, &why));
    cr_assert_eq(wire.count, 1);
    clear(&wire);
    tri_channel_fini(&channel);
}

Test(channel, large_data_travels_by_reference)
{
    struct tri_channel channel;
    struct wire wire = {0};
    struct tri_buf *frame;
    struct tri_section section = make_section(1, 100000, &frame), loose = section;

    loose.frame = NULL;
    tri_channel_init(&channel, 1, 1);
    EXPECT(TRP_OK, post(&channel, 0, &section, 1, NULL));
    EXPECT(TRP_OK, post(&channel, 1, &loose, 1, NULL));
    EXPECT(TRP_OK, tri_channel_flush(&channel, keep, &wire, &why));
    cr_assert_eq(wire.count, 1);
    cr_assert_eq(wire.packets[0].frame_count, 3);
    cr_assert_eq(wire.packets[0].frames[1], frame);
    cr_assert_neq(wire.packets[0].frames[2], frame);
    cr_assert_eq(memcmp(wire.packets[0].frames[2]->data, frame->data, 100000), 0);
    clear(&wire);
    tri_channel_fini(&channel);
    cr_assert_eq(atomic_load(&frame->references), 1);
    tri_buf_release(&frame);
}

Test(channel, an_envelope_larger_than_a_batch_goes_alone)
{
    static struct tri_ref_entry refs[TRI_REFS_MAX];
    struct tri_channel channel;
    struct wire wire = {0};
    struct tri_buf *frame;
    struct tri_section section = make_section(1, 64, &frame);

    section.refs = refs;
    section.ref_count = TRI_REFS_MAX;
    tri_channel_init(&channel, 1, 1);
    post_bytes(&channel, 0, 64, NULL);
    EXPECT(TRP_OK, post(&channel, 1, &section, 1, NULL));
    post_bytes(&channel, 2, 64, NULL);
    EXPECT(TRP_OK, tri_channel_flush(&channel, keep, &wire, &why));
    cr_assert_eq(wire.count, 3);
    cr_assert_gt(wire.packets[1].frames[0]->size, TRI_BATCH_BYTES);
    clear(&wire);
    tri_channel_fini(&channel);
    tri_buf_release(&frame);
}

Test(channel, what_no_packet_can_carry_is_refused_and_nothing_is_added)
{
    static struct tri_section sections[TRI_SECTIONS_MAX];
    struct tri_channel channel;
    struct wire wire = {0};
    struct tri_buf *frame;
    struct tri_section huge = {.size = (uint64_t)TRI_FRAME_MAX + 1};

    for (uint32_t i = 0; i < TRI_PACKET_FRAMES + 1; i++) {
        sections[i] = make_section(i, 5000, &frame);
        sections[i].place = i;
        if (i < TRI_PACKET_FRAMES)
            continue;
    }
    tri_channel_init(&channel, 1, 1);
    EXPECT(TRP_ELIMIT, post(&channel, 0, sections, TRI_PACKET_FRAMES + 1, NULL));
    EXPECT(TRP_ELIMIT, post(&channel, 0, &huge, 1, NULL));
    cr_assert_not(tri_channel_has_output(&channel));
    EXPECT(TRP_OK, post(&channel, 0, sections, TRI_PACKET_FRAMES, NULL));
    EXPECT(TRP_OK, tri_channel_flush(&channel, keep, &wire, &why));
    cr_assert_eq(wire.packets[0].frame_count, 1 + TRI_PACKET_FRAMES);
    clear(&wire);
    tri_channel_fini(&channel);
    for (uint32_t i = 0; i < TRI_PACKET_FRAMES + 1; i++)
        tri_buf_release(&sections[i].frame);
}

/* Posts so much that batches are full, and says which ones they lie in. */
static size_t
send_full(struct tri_channel *channel, struct wire *wire, uint64_t *number)
{
    for (size_t bytes = 0; bytes < 2 * TRI_BATCH_BYTES; bytes += 4000)
        post_bytes(channel, (*number)++, 4000, NULL);
    EXPECT(TRP_OK, tri_channel_flush(channel, keep, wire, &why));
    return wire->count;
}

static void
acknowledge(struct tri_channel *channel)
{
    const struct tri_batch_head head = {.acknowledged = channel->session.next_sequence - 1};
    enum tri_receipt receipt;

    EXPECT(TRP_OK, tri_session_receive(&channel->session, &head, &receipt, &why));
}

Test(channel, a_large_batch_that_was_acknowledged_and_that_nobody_holds_is_filled_again)
{
    struct tri_channel channel, to;
    struct wire wire = {0};
    struct tri_buf *held, *free_one;
    struct reader reader = {0};
    uint64_t number = 0;

    tri_channel_init(&channel, 1, 1);
    tri_channel_init(&to, 1, 1);
    channel.session.spare_max = 2;
    for (size_t i = 0; i < sizeof reader.sizes / sizeof reader.sizes[0]; i++)
        reader.sizes[i] = 4000;
    cr_assert_eq(send_full(&channel, &wire, &number), 3);
    receive_all(&wire, &to, &reader);
    free_one = wire.packets[1].frames[0];
    held = tri_buf_retain(wire.packets[0].frames[0]);
    clear(&wire);
    acknowledge(&channel);
    cr_assert_eq(channel.session.spare_count, 2, "all but the one that is held");
    cr_assert_eq(channel.session.spares[0], free_one);
    send_full(&channel, &wire, &number);
    cr_assert_eq(wire.packets[1].frames[0], free_one, "the last one kept is filled first");
    cr_assert_neq(wire.packets[0].frames[0], held);
    cr_assert_eq(channel.session.spare_count, 0);
    receive_all(&wire, &to, &reader);
    tri_buf_release(&held);
    clear(&wire);
    tri_channel_reset(&channel, 1, 1);
    cr_assert_eq(channel.session.spare_count, 0);
    cr_assert_eq(channel.session.spare_max, 2, "what the owner said stays");
    tri_channel_fini(&channel);
    tri_channel_fini(&to);
}

Test(channel, no_more_batches_are_kept_than_the_owner_wants)
{
    struct tri_channel channel;
    struct wire wire = {0};
    uint64_t number = 0;

    for (uint32_t most = 0; most <= TRI_SPARES_MAX; most++) {
        tri_channel_init(&channel, 1, 1);
        channel.session.spare_max = most;
        for (int i = 0; i < 5; i++)
            send_full(&channel, &wire, &number);
        clear(&wire);
        acknowledge(&channel);
        cr_assert_eq(channel.session.spare_count, most);
        tri_channel_fini(&channel);
    }
}

Test(channel, what_is_sent_again_equals_what_was_sent)
{
    struct tri_channel channel;
    struct wire first = {0}, again = {0};

    tri_channel_init(&channel, 1, 1);
    for (uint64_t i = 0; i < 200; i++)
        post_bytes(&channel, i, i * 50, NULL);
    EXPECT(TRP_OK, tri_channel_flush(&channel, keep, &first, &why));
    cr_assert_gt(first.count, 3);
    EXPECT(TRP_OK, tri_session_resume(&channel.session, 1, keep, &again, &why));
    cr_assert_eq(again.count, first.count - 1);
    for (size_t i = 0; i < again.count; i++) {
        cr_assert_eq(again.packets[i].frame_count, first.packets[i + 1].frame_count);
        for (uint32_t f = 0; f < again.packets[i].frame_count; f++) {
            const struct tri_buf *a = again.packets[i].frames[f], *b = first.packets[i + 1].frames[f];
            cr_assert_eq(a->size, b->size);
            cr_assert_eq(memcmp(a->data, b->data, a->size), 0);
        }
    }
    clear(&first);
    clear(&again);
    tri_channel_fini(&channel);
}

Test(channel, repeats_are_dropped_and_gaps_told)
{
    struct tri_channel from, to;
    struct reader reader = {.sizes = {8, 8, 8}};
    struct wire wire = {0};
    enum tri_receipt receipt;

    tri_channel_init(&from, 1, 1);
    tri_channel_init(&to, 1, 1);
    for (uint64_t i = 0; i < 3; i++) {
        post_bytes(&from, i, 8, NULL);
        EXPECT(TRP_OK, tri_channel_flush(&from, keep, &wire, &why));
    }
    EXPECT(TRP_OK, tri_channel_receive(&to, &wire.packets[1], check_envelope, &reader, &receipt, &why));
    cr_assert_eq(receipt, TRI_GAP);
    EXPECT(TRP_OK, tri_channel_receive(&to, &wire.packets[0], check_envelope, &reader, &receipt, &why));
    EXPECT(TRP_OK, tri_channel_receive(&to, &wire.packets[0], check_envelope, &reader, &receipt, &why));
    cr_assert_eq(receipt, TRI_DUPLICATE);
    EXPECT(TRP_OK, tri_channel_receive(&to, &wire.packets[1], check_envelope, &reader, &receipt, &why));
    cr_assert_eq(receipt, TRI_TAKE);
    cr_assert_eq(reader.next, 2);
    clear(&wire);
    tri_channel_fini(&from);
    tri_channel_fini(&to);
}

static trp_err
count(void *user, const struct tri_envelope *envelope, trp_error *error)
{
    (void)envelope;
    (void)error;
    ++*(int *)user;
    return TRP_OK;
}

Test(channel, only_a_login_may_come_without_a_number)
{
    static const struct {
        uint8_t kind;
        trp_err err;
    } rows[] = {{TRI_PING, TRP_EPROTO}, {TRI_ENDED, TRP_EPROTO}, {TRI_GOODBYE, TRP_EPROTO}, {TRI_HELLO, TRP_OK}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct tri_route route = {.kind = rows[i].kind};
        struct tri_buf *frame;
        const struct tri_section section = make_section(1, 64, &frame);
        struct tri_channel channel;
        struct tri_packet packet;
        int seen = 0;
        tri_channel_init(&channel, 1, 1);
        EXPECT(TRP_OK, tri_packet_single(&packet, &route, &section, rows[i].kind == TRI_HELLO, &why));
        EXPECT(rows[i].err, tri_channel_receive(&channel, &packet, count, &seen, NULL, &why));
        cr_assert_eq(seen, rows[i].err == TRP_OK);
        tri_packet_fini(&packet);
        tri_channel_fini(&channel);
        tri_buf_release(&frame);
    }
}

Test(channel, reset_drops_what_was_posted_and_what_was_sent)
{
    struct tri_channel channel;
    struct wire wire = {0};
    uint64_t where;

    tri_channel_init(&channel, 1, 1);
    post_bytes(&channel, 0, 5000, NULL);
    EXPECT(TRP_OK, tri_channel_flush(&channel, keep, &wire, &why));
    for (uint64_t i = 0; i < 200; i++)
        post_bytes(&channel, i, 4000 + i, NULL);
    tri_channel_reset(&channel, 3, 3);
    cr_assert_not(tri_channel_has_output(&channel));
    cr_assert_eq(channel.session.sent_count, 0);
    post_bytes(&channel, 0, 64, &where);
    cr_assert_eq(where, 1);
    clear(&wire);
    tri_channel_fini(&channel);
}
