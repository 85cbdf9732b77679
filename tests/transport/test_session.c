/* test_session.c - sessions under loss, repetition and disorder, and what they refuse. */
#include "helpers.h"

#include <string.h>

/* ----------------------------------------------------------------------------------------- two sessions and a bad line */

enum { LINE = 64, ENVELOPE_BYTES = 100, WINDOW_CALLS = 7, WINDOW_BYTES = 500 };

struct end {
    struct tri_session session;
    uint64_t made, taken;         /* packets that it sent, and that it got from the other */
    uint64_t to_release;          /* credited envelopes received, not ended */
    struct tri_packet line[LINE]; /* to the other, oldest first; they hold references as a link does */
    size_t line_count;
};

static void
push(void *user, struct tri_packet *packet)
{
    struct end *end = user;

    if (end->line_count == LINE) {
        tri_packet_fini(packet); /* lost */
        return;
    }
    end->line[end->line_count++] = *packet;
}

static void
clear(struct end *end)
{
    while (end->line_count > 0)
        tri_packet_fini(&end->line[--end->line_count]);
}

static struct tri_batch_head
head_of(const struct tri_packet *packet)
{
    struct tri_batch_head head;

    memcpy(&head, packet->frames[0]->data, sizeof head);
    return head;
}

static void
send_one(struct end *end)
{
    struct tri_packet packet;

    if (!tri_session_has_credit(&end->session, ENVELOPE_BYTES))
        return;
    tri_session_use(&end->session, ENVELOPE_BYTES);
    make_packet(&packet, ++end->made, 128, NULL, 0);
    memcpy(packet.frames[0]->data + 64, &end->made, sizeof end->made);
    EXPECT(TRP_OK, tri_session_send(&end->session, &packet, &why));
    push(end, &packet);
}

static void
send_acknowledgement(struct end *end)
{
    struct tri_packet packet;

    if (!tri_session_owes(&end->session))
        return;
    make_packet(&packet, 0, 48, NULL, 0);
    tri_session_stamp(&end->session, &packet);
    cr_assert_not(tri_session_owes(&end->session));
    push(end, &packet);
}

static void
cut_and_resume(struct end *a, struct end *b)
{
    const uint64_t a_has = a->session.received, b_has = b->session.received;

    clear(a);
    clear(b);
    EXPECT(TRP_OK, tri_session_resume(&a->session, b_has, push, a, &why));
    EXPECT(TRP_OK, tri_session_resume(&b->session, a_has, push, b, &why));
}

/* The oldest packet on the line arrives. False: what arrived lies behind a gap. */
static bool
deliver(struct end *from, struct end *to)
{
    struct tri_packet packet;
    struct tri_batch_head head;
    enum tri_receipt receipt;

    if (from->line_count == 0)
        return true;
    packet = from->line[0];
    memmove(from->line, from->line + 1, --from->line_count * sizeof from->line[0]);
    head = head_of(&packet);
    EXPECT(TRP_OK, tri_session_receive(&to->session, &head, &receipt, &why));
    if (receipt == TRI_TAKE && head.sequence != 0) {
        uint64_t number;
        memcpy(&number, packet.frames[0]->data + 64, sizeof number);
        cr_assert_eq(number, ++to->taken, "packet %lu came where %lu was next", number, to->taken);
        tri_session_accept(&to->session, &head);
        to->to_release++;
    }
    tri_packet_fini(&packet);
    return receipt != TRI_GAP;
}

static void
repeat(struct end *end)
{
    if (end->line_count == 0 || end->line_count == LINE || head_of(&end->line[end->line_count - 1]).sequence == 0)
        return;
    end->line[end->line_count] = end->line[end->line_count - 1];
    (void)tri_buf_retain(end->line[end->line_count++].frames[0]);
}

static void
swap(struct end *end)
{
    const size_t n = end->line_count;

    if (n < 2 || head_of(&end->line[n - 1]).sequence == 0 || head_of(&end->line[n - 2]).sequence == 0)
        return;
    const struct tri_packet last = end->line[n - 1];
    end->line[n - 1] = end->line[n - 2];
    end->line[n - 2] = last;
}

static void
check_invariants(const struct end *end, const struct end *other)
{
    const struct tri_session *s = &end->session;

    cr_assert_leq(s->returned_calls, s->used_calls);
    cr_assert_leq(s->returned_bytes, s->used_bytes);
    cr_assert_leq(s->used_calls - s->returned_calls, WINDOW_CALLS);
    cr_assert_leq(s->used_bytes - s->returned_bytes, WINDOW_BYTES);
    cr_assert_leq(s->returned_calls, other->session.released_calls);
    cr_assert_leq(s->peer_acknowledged, other->session.received);
    cr_assert_eq(s->sent_count, s->next_sequence - 1 - s->peer_acknowledged);
    cr_assert_eq(s->sent_bytes, s->sent_count * 128);
}

static void
step(struct end *a, struct end *b, uint64_t random)
{
    switch (random % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
        send_one(a);
        break;
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
        if (!deliver(a, b))
            cut_and_resume(a, b);
        break;
    case 9:
    case 10:
        if (a->to_release > 0) {
            a->to_release--;
            tri_session_release(&a->session, ENVELOPE_BYTES);
        }
        break;
    case 11:
    case 12:
        send_acknowledgement(a);
        break;
    case 13:
        repeat(a);
        break;
    case 14:
        swap(a);
        break;
    default:
        if (random / 16 % 8 == 0)
            cut_and_resume(a, b);
    }
}

static void
settle(struct end *a, struct end *b)
{
    for (int i = 0; i < 1000; i++) {
        if (!deliver(a, b) || !deliver(b, a))
            cut_and_resume(a, b);
        if (a->line_count == 0 && b->line_count == 0) {
            send_acknowledgement(a);
            send_acknowledgement(b);
        }
    }
}

static void
run_seed(uint64_t seed)
{
    static struct end ends[2];
    uint64_t random = seed;

    memset(ends, 0, sizeof ends);
    for (int i = 0; i < 2; i++)
        tri_session_init(&ends[i].session, WINDOW_CALLS, WINDOW_BYTES);
    for (int i = 0; i < 3000; i++) {
        const uint64_t r = tri_random_next(&random);
        step(&ends[r >> 63], &ends[1 - (r >> 63)], r & (UINT64_MAX >> 1));
        check_invariants(&ends[0], &ends[1]);
        check_invariants(&ends[1], &ends[0]);
    }
    cut_and_resume(&ends[0], &ends[1]);
    settle(&ends[0], &ends[1]);
    for (int i = 0; i < 2; i++) {
        cr_assert_gt(ends[i].made, 100, "seed %lu: nothing went on", seed);
        cr_assert_eq(ends[i].taken, ends[1 - i].made, "seed %lu: %lu of %lu came", seed, ends[i].taken,
                     ends[1 - i].made);
        cr_assert_eq(ends[i].session.sent_count, 0, "seed %lu: not all was acknowledged", seed);
    }
    for (int i = 0; i < 2; i++) {
        clear(&ends[i]);
        tri_session_fini(&ends[i].session);
    }
}

Test(session, delivers_each_packet_once_and_in_order_over_a_bad_line)
{
    for (uint64_t seed = 1; seed <= 100; seed++)
        run_seed(seed);
}

/* ------------------------------------------------------------------------------------------------------------- refusals */

static void
send_numbered(struct tri_session *session, int count)
{
    for (int i = 0; i < count; i++) {
        struct tri_packet packet;
        make_packet(&packet, (uint64_t)i, 64, NULL, 0);
        EXPECT(TRP_OK, tri_session_send(session, &packet, &why));
        tri_packet_fini(&packet);
        tri_session_use(session, 10);
    }
}

Test(session, heads_that_cannot_be_are_refused_and_change_nothing)
{
    static const struct {
        const char *what;
        struct tri_batch_head head;
    } rows[] = {
        {"acknowledges what was never sent", {.sequence = 4, .acknowledged = 11}},
        {"acknowledges backwards", {.sequence = 4, .acknowledged = 4}},
        {"bare, backwards", {.acknowledged = 4}},
        {"bare, ahead", {.acknowledged = UINT64_MAX}},
        {"a repeat that acknowledges what was never sent", {.sequence = 2, .acknowledged = 11}},
        {"behind a gap, and acknowledges what was never sent", {.sequence = 9, .acknowledged = 11}},
        {"returns more calls than were made", {.sequence = 4, .acknowledged = 5, .released_calls = 11}},
        {"returns more bytes than were sent",
         {.sequence = 4, .acknowledged = 5, .released_calls = 3, .released_bytes = 101}},
        {"returns fewer calls than before", {.sequence = 4, .acknowledged = 5, .released_calls = 1}},
        {"returns fewer bytes than before",
         {.sequence = 4, .acknowledged = 5, .released_calls = 2, .released_bytes = 19}},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct tri_batch_head first = {
            .sequence = 1, .acknowledged = 5, .released_calls = 2, .released_bytes = 20};
        struct tri_session session, before;
        enum tri_receipt receipt;
        tri_session_init(&session, 100, 1000);
        send_numbered(&session, 10);
        session.received = 3;
        session.received = 0;
        EXPECT(TRP_OK, tri_session_receive(&session, &first, &receipt, &why));
        tri_session_accept(&session, &first);
        session.received = 3;
        before = session;
        EXPECT(TRP_EPROTO, tri_session_receive(&session, &rows[i].head, &receipt, &why));
        cr_assert_eq(memcmp(&session, &before, sizeof session), 0, "%s: changed the session", rows[i].what);
        tri_session_fini(&session);
    }
}

Test(session, says_what_is_new_repeated_or_missing)
{
    static const struct {
        uint64_t sequence;
        enum tri_receipt receipt;
    } rows[] = {{4, TRI_TAKE}, {3, TRI_DUPLICATE},    {1, TRI_DUPLICATE},
                {5, TRI_GAP},  {UINT64_MAX, TRI_GAP}, {0, TRI_TAKE}};
    struct tri_session session;

    tri_session_init(&session, 1, 1);
    session.received = session.told = 3;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct tri_batch_head head = {.sequence = rows[i].sequence};
        enum tri_receipt receipt;
        EXPECT(TRP_OK, tri_session_receive(&session, &head, &receipt, &why));
        cr_assert_eq(receipt, rows[i].receipt, "sequence %lu", rows[i].sequence);
    }
    cr_assert(tri_session_owes(&session), "a repeat is acknowledged again");
    tri_session_fini(&session);
}

static void
count_emitted(void *user, struct tri_packet *packet)
{
    ++*(int *)user;
    tri_packet_fini(packet);
}

Test(session, resumes_only_where_it_can)
{
    const struct tri_batch_head told = {.acknowledged = 5};
    struct tri_session session;
    enum tri_receipt receipt;
    int emitted = 0;

    tri_session_init(&session, 100, 1000);
    send_numbered(&session, 10);
    EXPECT(TRP_OK, tri_session_receive(&session, &told, &receipt, &why));
    EXPECT(TRP_EPROTO, tri_session_resume(&session, 11, count_emitted, &emitted, &why));
    EXPECT(TRP_EPROTO, tri_session_resume(&session, 4, count_emitted, &emitted, &why));
    cr_assert_eq(emitted, 0);
    EXPECT(TRP_OK, tri_session_resume(&session, 7, count_emitted, &emitted, &why));
    cr_assert_eq(emitted, 3);
    EXPECT(TRP_OK, tri_session_resume(&session, 10, count_emitted, &emitted, &why));
    cr_assert_eq(emitted, 3);
    cr_assert_eq(session.sent_count, 0);
    tri_session_fini(&session);
}

Test(session, a_packet_sent_again_is_a_fresh_copy_if_someone_still_reads_the_first)
{
    static struct end end;
    struct tri_packet packet;
    struct tri_buf *reader;
    struct tri_batch_head first, again;

    tri_session_init(&end.session, 10, 1000);
    make_packet(&packet, 3, 4096, NULL, 0);
    EXPECT(TRP_OK, tri_session_send(&end.session, &packet, &why));
    reader = packet.frames[0];
    first = head_of(&packet);
    end.session.received = 9;
    EXPECT(TRP_OK, tri_session_resume(&end.session, 0, push, &end, &why));
    cr_assert_eq(end.line_count, 1);
    again = head_of(&end.line[0]);
    cr_assert_neq(end.line[0].frames[0], reader);
    cr_assert_eq(memcmp(reader->data, &first, sizeof first), 0, "the reader's copy changed");
    cr_assert_eq(again.acknowledged, 9);
    cr_assert_eq(again.sequence, first.sequence);
    cr_assert_eq(memcmp(end.line[0].frames[0]->data + 48, reader->data + 48, 4096 - 48), 0);
    clear(&end);
    tri_packet_fini(&packet);
    tri_session_fini(&end.session);
}

Test(session, one_envelope_larger_than_the_window_may_go_alone)
{
    struct tri_session session;

    tri_session_init(&session, 2, 100);
    cr_assert(tri_session_has_credit(&session, 1000));
    tri_session_use(&session, 1000);
    cr_assert_not(tri_session_has_credit(&session, 1));
    session.returned_calls = 1;
    session.returned_bytes = 1000;
    cr_assert(tri_session_has_credit(&session, 60));
    tri_session_use(&session, 60);
    cr_assert_not(tri_session_has_credit(&session, 41));
    cr_assert(tri_session_has_credit(&session, 40));
    tri_session_use(&session, 40);
    cr_assert_not(tri_session_has_credit(&session, 0), "the window of calls is full");
    cr_assert_not(tri_session_has_credit(&session, UINT64_MAX));
    tri_session_fini(&session);
}
