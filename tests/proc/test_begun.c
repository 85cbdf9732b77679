/*
 * test_begun.c - a value of one's own that is still being written: what the broker hears of it, and when.
 */
#include <string.h>

#include "tests/proc/fake.h"

static struct tri_ref *
begin(struct fake *fake, uint8_t **bytes)
{
    struct tri_packed packed = {.section = fake->value.section};
    struct tri_buf *buf = tri_buf_copy(fake->value.section.data, (size_t)fake->value.section.size);
    struct tri_ref *ref = NULL;

    packed.section.data = buf->data;
    packed.section.frame = buf;
    cr_assert_eq(tri_proc_begin(fake->proc, &packed, &ref, NULL), TRP_OK);
    cr_expect_eq(tri_ref_value(ref)->data, buf->data, "it is not copied, however small");
    if (bytes != NULL)
        *bytes = buf->data;
    tri_buf_release(&buf);
    return ref;
}

/* A call that names it, in a list or as an argument. */
static struct tri_ref *
name_in_call(struct fake *fake, const struct tri_ref *ref, uint32_t place)
{
    struct tri_ref_entry entry = {.id = ref->entry.id, .place = place};
    struct tri_submit submit = {
        .kind = TRI_CALL, .target = {3, 4}, .deadline_ns = TRI_NEVER, .body = fake->body.section};
    struct tri_ref *result = NULL;

    submit.body.refs = &entry;
    submit.body.ref_count = 1;
    cr_assert_eq(tri_proc_submit(fake->proc, &submit, false, 0, &result, NULL, NULL), TRP_OK);
    return result;
}

static void
give_up(struct fake *fake, struct tri_ref *ref)
{
    trp_error why;

    (void)TRI_FAIL(&why, TRP_EOBJLOST, "given up");
    tri_proc_give_up(fake->proc, ref, &why);
}

Test(begun, it_is_pending_until_it_is_sealed_and_private_until_it_is_named)
{
    struct fake fake;
    struct tri_ref *ref;
    uint8_t *bytes;

    fake_open(&fake, false);
    ref = begin(&fake, &bytes);
    cr_expect_eq(ref->state, TRI_REF_PENDING);
    cr_expect_eq(tri_proc_begun(fake.proc), 1);
    cr_assert_eq(tri_proc_want(fake.proc, ref, NULL), TRP_OK);
    cr_assert_eq(tri_proc_cancel(fake.proc, ref, 0, NULL), TRP_OK);
    tri_proc_round(fake.proc, 1);
    cr_expect_eq(fake.count, 0, "the broker knows nothing of it");
    cr_assert_eq(tri_proc_seal(fake.proc, ref, NULL), TRP_OK);
    cr_expect(ref->state == TRI_REF_READY && fake.ready == 1 && fake.count == 0);
    cr_expect_eq(tri_proc_seal(fake.proc, ref, NULL), TRP_EALREADY);
    cr_expect_eq(tri_ref_value(ref)->data, bytes);
    tri_proc_release(ref);
    cr_expect_eq(tri_proc_begun(fake.proc), 0);
    fake_close(&fake);
}

Test(begun, who_knows_its_name_hears_of_the_seal)
{
    struct fake fake;
    struct tri_ref *ref, *call;

    fake_open(&fake, false);
    fake.credit = 5;
    ref = begin(&fake, NULL);
    call = name_in_call(&fake, ref, TRI_NESTED);
    cr_assert_eq(fake.count, 1);
    cr_expect_eq(fake.flags, TRI_REF_OPEN, "the call need not wait for it");
    cr_assert_eq(tri_proc_seal(fake.proc, ref, NULL), TRP_OK);
    cr_assert_eq(fake.count, 2);
    cr_expect(fake.posts[1].kind == TRI_PUT && fake.posts[1].flags == 0);
    tri_proc_release(call);
    call = name_in_call(&fake, ref, TRI_NESTED);
    cr_expect_eq(fake.flags, 0);
    tri_proc_release(call);
    tri_proc_release(ref);
    fake_close(&fake);
}

Test(begun, who_asked_for_it_is_answered_when_it_is_sealed)
{
    struct fake fake;
    struct tri_ref *ref, *call;

    fake_open(&fake, false);
    fake.credit = 5;
    ref = begin(&fake, NULL);
    call = name_in_call(&fake, ref, 0);
    cr_expect_eq(fake.sections[0], 1, "its value does not go along");
    fake_hear_ids(&fake, TRI_FETCH, ref->entry.id);
    cr_assert_eq(fake.count, 1);
    cr_assert_eq(tri_proc_seal(fake.proc, ref, NULL), TRP_OK);
    cr_assert_eq(fake.count, 2);
    cr_expect(fake.posts[1].kind == TRI_PUT && fake.posts[1].flags == TRI_FETCHED);
    tri_proc_release(call);
    tri_proc_release(ref);
    fake_close(&fake);
}

Test(begun, given_up_it_has_failed_for_all)
{
    for (int asked = 0; asked < 2; asked++) {
        struct fake fake;
        struct tri_ref *ref, *call;

        fake_open(&fake, false);
        fake.credit = 5;
        ref = begin(&fake, NULL);
        call = name_in_call(&fake, ref, TRI_NESTED);
        if (asked != 0)
            fake_hear_ids(&fake, TRI_FETCH, ref->entry.id);
        give_up(&fake, ref);
        cr_expect_eq(ref->state, TRI_REF_FAILED);
        cr_assert_eq(fake.count, 2);
        cr_expect(fake.posts[1].kind == TRI_PUT &&
                  fake.posts[1].flags == (asked != 0 ? TRI_FETCHED | TRI_FAILED : TRI_FAILED));
        cr_expect_eq(tri_proc_seal(fake.proc, ref, NULL), TRP_EALREADY);
        tri_proc_release(call);
        tri_proc_release(ref);
        fake_close(&fake);
    }
}

Test(begun, released_by_the_last_it_is_forgotten_with_what_it_names)
{
    struct fake fake;
    struct tri_packed packed;
    struct tri_ref *inner = NULL, *ref = NULL;
    struct tri_ref_entry entry = {.place = TRI_NESTED};
    struct tri_buf *buf;
    struct tri_proc_counts counts;

    fake_open(&fake, false);
    cr_assert_eq(tri_proc_put(fake.proc, &fake.value, &inner, NULL), TRP_OK);
    entry.id = inner->entry.id;
    buf = tri_buf_copy(fake.value.section.data, (size_t)fake.value.section.size);
    packed = (struct tri_packed){.section = fake.value.section};
    packed.section.data = buf->data;
    packed.section.frame = buf;
    packed.section.refs = &entry;
    packed.section.ref_count = 1;
    cr_assert_eq(tri_proc_begin(fake.proc, &packed, &ref, NULL), TRP_OK);
    tri_buf_release(&buf);
    tri_proc_release(inner);
    tri_proc_count(fake.proc, &counts);
    cr_expect_eq(counts.refs, 2);
    tri_proc_release(ref);
    tri_proc_count(fake.proc, &counts);
    cr_expect_eq(counts.refs, 0);
    fake_close(&fake);
}

Test(begun, a_broker_that_is_gone_leaves_it_to_who_writes)
{
    struct fake fake;
    struct tri_ref *ref;
    trp_error why;

    fake_open(&fake, false);
    ref = begin(&fake, NULL);
    (void)TRI_FAIL(&why, TRP_EBROKER, "gone");
    tri_proc_fail_all(fake.proc, &why);
    cr_expect_eq(ref->state, TRI_REF_PENDING);
    cr_expect_eq(tri_proc_seal(fake.proc, ref, NULL), TRP_OK);
    tri_proc_release(ref);
    fake_close(&fake);
}
