/* test_absent.c - values that are known by their place: they are asked for once at a time, and named in calls, not carried along. */
#include "tests/proc/fake.h"

enum { BYTES = 200000 };

static struct tri_place there = {.slot = 7, .generation = 3, .start = 11, .size = BYTES};

struct heard {
    struct fake fake;
    struct tri_buf buf;
    struct tri_ref *ref;
};

static void
on_free(struct tri_buf *buf)
{
    (void)buf;
}

/* What the broker says, with what lies at a place or (NULL) an Error. */
static trp_err
hear(struct heard *heard, uint8_t kind, struct tri_place *place, trp_err failed)
{
    _Alignas(8) uint8_t bytes[4096];
    struct tri_buf buf = {.size = BYTES, .place = place, .free = on_free}, *frame = &buf;
    struct tri_route route = {.kind = kind, .result = heard->ref->entry.id};
    struct tri_section section = {.meta_size = 64, .size = BYTES, .frame = frame};
    struct tri_failure failure = {0};
    struct tri_envelope envelope;
    atomic_init(&buf.references, 1000);
    if (place != NULL)
        buf.size = section.size = place->size;
    if (failed != TRP_OK) {
        (void)TRI_FAIL(&failure.error, failed, "of the broker");
        cr_assert_eq(tri_error_pack(&heard->fake.value, &failure, NULL), TRP_OK);
        section = heard->fake.value.section;
        route.flags = TRI_FAILED;
    }
    const size_t size = tri_envelope_write(bytes, &route, &section, 1);
    cr_assert_eq(tri_envelope_check(bytes, size, &frame, 1, &envelope, NULL), TRP_OK);
    return tri_proc_envelope(heard->fake.proc, &envelope, 1, NULL);
}

/* A result that lies in the arena. */
static void
have(struct heard *heard)
{
    struct tri_submit submit = {.kind = TRI_CALL, .flags = TRI_TASK, .deadline_ns = TRI_NEVER};
    memset(heard, 0, sizeof *heard);
    fake_open(&heard->fake, false);
    submit.body = heard->fake.body.section;
    cr_assert_eq(tri_proc_submit(heard->fake.proc, &submit, false, 0, &heard->ref, NULL, NULL), TRP_OK);
    /* the buffer outlives the proc */
    heard->buf = (struct tri_buf){.size = BYTES, .place = &there, .free = on_free};
    atomic_init(&heard->buf.references, 1000);
    _Alignas(8) uint8_t bytes[4096];
    struct tri_buf *frame = &heard->buf;
    const struct tri_route route = {.kind = TRI_RESULT, .result = heard->ref->entry.id};
    const struct tri_section section = {.meta_size = 64, .size = BYTES, .frame = frame};
    struct tri_envelope envelope;
    const size_t size = tri_envelope_write(bytes, &route, &section, 1);
    cr_assert_eq(tri_envelope_check(bytes, size, &frame, 1, &envelope, NULL), TRP_OK);
    cr_assert_eq(tri_proc_envelope(heard->fake.proc, &envelope, 1, NULL), TRP_OK);
    cr_assert_eq(heard->ref->state, TRI_REF_READY);
    heard->fake.count = 0;
}

static void
demand(struct heard *heard, uint64_t deadline_ns)
{
    cr_assert_eq(tri_proc_demand(heard->fake.proc, heard->ref, deadline_ns, 1000, NULL), TRP_OK);
}

Test(absent, it_is_asked_for_once_and_again_after_the_answer)
{
    struct heard heard;
    have(&heard);
    demand(&heard, 5001000);
    demand(&heard, TRI_NEVER);
    cr_assert_eq(heard.fake.count, 1);
    cr_expect(heard.fake.posts[0].kind == TRI_WANT && heard.fake.posts[0].deadline_us == 5000);
    cr_expect(tri_id_equal(heard.fake.posts[0].result, heard.ref->entry.id));
    cr_expect_eq(hear(&heard, TRI_HERE, &there, TRP_OK), TRP_OK);
    cr_expect_eq(heard.fake.here, 1);
    cr_expect_eq(hear(&heard, TRI_HERE, &there, TRP_OK), TRP_OK);
    cr_expect_eq(heard.fake.here, 1, "nobody had asked");
    demand(&heard, TRI_NEVER);
    cr_expect(heard.fake.count == 2 && heard.fake.posts[1].deadline_us == 0);
    cr_expect_eq(hear(&heard, TRI_RESULT, &there, TRP_OK), TRP_OK);
    cr_expect_eq(heard.fake.here, 2, "of a broker that had not known it yet");
    tri_proc_release(heard.ref);
    fake_close(&heard.fake);
}

Test(absent, that_this_was_no_time_for_it_concerns_who_asked_and_that_it_is_lost_everybody)
{
    static const trp_err passing[] = {TRP_ESTOREFULL, TRP_EDISKFULL, TRP_ETIMEDOUT};
    struct heard heard;
    have(&heard);
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++) {
        demand(&heard, TRI_NEVER);
        cr_assert_eq(hear(&heard, TRI_HERE, NULL, passing[i]), TRP_OK);
        cr_expect(heard.fake.refused == i + 1 && heard.fake.why == passing[i], "row %zu", i);
        cr_expect(heard.ref->state == TRI_REF_READY && tri_section_place(tri_ref_value(heard.ref)) != NULL);
    }
    demand(&heard, TRI_NEVER);
    cr_assert_eq(hear(&heard, TRI_HERE, NULL, TRP_EOBJLOST), TRP_OK);
    cr_expect_eq(heard.fake.why, TRP_EOBJLOST);
    cr_expect_eq(heard.ref->state, TRI_REF_FAILED, "every later get of it says so, too");
    tri_proc_release(heard.ref);
    fake_close(&heard.fake);
}

Test(absent, another_place_than_was_asked_for_is_refused)
{
    static struct tri_place others[] = {
        {.slot = 8, .generation = 3, .size = BYTES},
        {.slot = 7, .generation = 4, .size = BYTES},
        {.slot = 7, .generation = 3, .size = BYTES + 1},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct heard heard;
        have(&heard);
        demand(&heard, TRI_NEVER);
        cr_expect_eq(hear(&heard, TRI_HERE, &others[i], TRP_OK), TRP_EPROTO, "row %zu", i);
        cr_expect_eq(heard.fake.here, 0);
        tri_proc_release(heard.ref);
        fake_close(&heard.fake);
    }
}

Test(absent, what_was_let_go_of_meanwhile_is_nobodys_business_and_a_new_broker_is_asked_again)
{
    struct tri_welcome welcome = {
        .version = 1, .space = 7, .broker = 2, .snapshot = true, .node = "", .credit_calls = 10, .credit_bytes = 1000};
    struct heard heard;
    size_t wanted = 0;
    have(&heard);
    demand(&heard, TRI_NEVER);
    heard.fake.count = 0;
    cr_assert_eq(tri_proc_welcome(heard.fake.proc, &welcome, 5, NULL), TRP_OK);
    for (size_t i = 0; i < heard.fake.count; i++)
        wanted += heard.fake.posts[i].kind == TRI_WANT;
    cr_expect_eq(wanted, 1);
    tri_proc_retain(heard.ref);
    tri_proc_release(heard.ref);
    const struct tri_id id = heard.ref->entry.id;
    tri_proc_release(heard.ref);
    struct tri_ref gone = {.entry = {.id = id}};
    heard.ref = &gone;
    cr_expect_eq(hear(&heard, TRI_HERE, &there, TRP_OK), TRP_OK);
    cr_expect_eq(heard.fake.here, 0);
    fake_close(&heard.fake);
}

Test(absent, a_call_names_it_and_does_not_carry_it_along)
{
    struct tri_ref_entry entry = {.place = 0};
    struct tri_submit submit = {.kind = TRI_CALL, .flags = TRI_TASK, .deadline_ns = TRI_NEVER};
    struct tri_ref *ref = NULL;
    struct heard heard;
    have(&heard);
    entry.id = heard.ref->entry.id;
    submit.body = heard.fake.body.section;
    submit.body.refs = &entry;
    submit.body.ref_count = 1;
    cr_assert_eq(tri_proc_submit(heard.fake.proc, &submit, false, 0, &ref, NULL, NULL), TRP_OK);
    cr_assert_eq(heard.fake.count, 1, "the broker knows it");
    cr_expect(heard.fake.posts[0].kind == TRI_CALL && heard.fake.sections[0] == 1 && heard.fake.entries[0] == 1);
    tri_proc_release(ref);
    tri_proc_release(heard.ref);
    fake_close(&heard.fake);
}
