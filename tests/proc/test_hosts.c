/*
 * test_hosts.c - a host's side of the protocol: calls that come twice, results that are kept, and what they name.
 */
#include "tests/proc/fake.h"

Test(hosts, a_host_runs_a_repeated_call_once_and_refuses_another_epoch)
{
    struct tri_route call = {.kind = TRI_CALL, .target = {3, 4}, .result = {9, 1}, .sequence = 1, .epoch = 5};
    struct fake fake;

    fake_open_actor(&fake);
    fake_hear(&fake, call, &fake.body.section);
    fake_hear(&fake, call, &fake.body.section);
    cr_assert_eq(fake.ran, 1);
    call.result.number = 2;
    call.sequence = 2;
    call.epoch = 6;
    fake_hear(&fake, call, &fake.body.section);
    cr_assert_eq(fake.ran, 1);
    cr_assert_eq(fake.posts[0].kind, TRI_RESULT);
    cr_assert_eq(fake.posts[0].flags, TRI_FAILED);
    tri_proc_start(fake.proc, fake.call);
    cr_assert_eq(tri_proc_return(fake.proc, fake.call, &fake.value.section, false, NULL), TRP_OK);
    cr_assert_eq(fake.posts[1].result.number, 1);
    fake_hear_ids(&fake, TRI_FREED, (struct tri_id){9, 1});
    fake_close(&fake);
}

/* It would keep itself in this process for ever. The second time it is in a value that the returned one names. */
Test(hosts, a_result_that_leads_back_to_itself_is_an_error_here)
{
    const struct tri_id self = {9, 1}, between = {9, 2};

    for (int i = 0; i < 2; i++) {
        struct tri_ref_entry own = {.id = self, .place = TRI_NESTED}, named = {.id = i == 0 ? self : between};
        struct tri_ref_entry both[] = {own, {.id = between, .place = TRI_NESTED}};
        struct tri_section body, value;
        struct tri_proc_counts counts;
        struct tri_ref *ref;
        struct fake fake;

        fake_open_actor(&fake);
        body = fake.body.section;
        body.refs = both;
        body.ref_count = 2;
        fake_hear(&fake,
                  (struct tri_route){.kind = TRI_CALL, .target = {3, 4}, .result = self, .sequence = 1, .epoch = 5},
                  &body);
        ref = tri_proc_find(fake.proc, between);
        cr_assert_eq(tri_proc_want(fake.proc, ref, NULL), TRP_OK);
        value = fake.value.section;
        value.refs = &own;
        value.ref_count = 1;
        fake_hear(&fake, (struct tri_route){.kind = TRI_RESULT, .result = between}, &value);
        tri_proc_start(fake.proc, fake.call);
        named.place = TRI_NESTED;
        value.refs = &named;
        cr_assert_eq(tri_proc_return(fake.proc, fake.call, &value, false, NULL), TRP_OK);
        cr_expect_eq(fake.posts[fake.count - 1].kind, TRI_RESULT);
        cr_expect_eq(fake.posts[fake.count - 1].flags, TRI_FAILED);
        cr_expect_eq(fake.entries[fake.count - 1], 0);
        tri_proc_release(ref);
        fake_hear_ids(&fake, TRI_FREED, self);
        tri_proc_round(fake.proc, 9);
        tri_proc_count(fake.proc, &counts);
        cr_expect_eq(counts.refs, 0, "%llu references are left", (unsigned long long)counts.refs);
        fake_close(&fake);
    }
}

/* As the broker says, which knows what is elsewhere. Or it would hold what leads back to it as long as it is kept. */
Test(hosts, a_kept_result_that_is_said_to_lead_back_to_itself_holds_nothing_any_more)
{
    const struct tri_id self = {9, 1}, between = {9, 2};
    struct tri_ref_entry entry = {.id = between, .place = TRI_NESTED};
    struct tri_failure failure = {0};
    struct tri_proc_counts counts;
    struct tri_section section;
    struct tri_packed error = {0};
    struct fake fake;

    fake_open(&fake, true);
    section = fake.body.section;
    section.refs = &entry;
    section.ref_count = 1;
    fake_hear(&fake, (struct tri_route){.kind = TRI_CALL, .flags = TRI_TASK, .result = self}, &section);
    tri_proc_start(fake.proc, fake.call);
    section = fake.value.section;
    section.refs = &entry;
    section.ref_count = 1;
    cr_assert_eq(tri_proc_return(fake.proc, fake.call, &section, false, NULL), TRP_OK);
    (void)tri_fail_cycle(&failure.error);
    cr_assert_eq(tri_error_pack(&error, &failure, NULL), TRP_OK);
    fake_hear(&fake, (struct tri_route){.kind = TRI_RESULT, .flags = TRI_FAILED, .result = self}, &error.section);
    tri_proc_round(fake.proc, 9);
    cr_expect_eq(fake.posts[fake.count - 1].kind, TRI_RELEASE, "of what it named");
    fake_hear_ids(&fake, TRI_FETCH, self);
    cr_expect_eq(fake.posts[fake.count - 1].kind, TRI_PUT);
    cr_expect_eq(fake.posts[fake.count - 1].flags, TRI_FETCHED | TRI_FAILED);
    tri_proc_count(fake.proc, &counts);
    cr_expect_eq(counts.refs, 1);
    fake_hear_ids(&fake, TRI_FREED, self);
    tri_packed_fini(&error);
    fake_close(&fake);
}

Test(hosts, every_broker_is_told_how_many_calls_an_actor_runs_at_a_time)
{
    struct tri_welcome welcome = {
        .version = 1, .space = 7, .broker = 2, .snapshot = true, .node = "", .credit_calls = 10, .credit_bytes = 1000};
    struct fake fake;

    fake_open_actor(&fake);
    tri_proc_ready(fake.proc, (struct tri_id){3, 4}, 3, NULL);
    cr_assert_eq(fake.posts[0].kind, TRI_READY);
    cr_assert_eq(fake.posts[0].sequence, 3);
    cr_assert_eq(tri_proc_welcome(fake.proc, &welcome, 5, NULL), TRP_OK);
    cr_assert_eq(fake.posts[1].kind, TRI_CREATE);
    cr_assert_eq(fake.posts[1].sequence, 3);
    fake_close(&fake);
}

/* A host whose actor has returned the value of call {9, 1}, which it keeps. */
static void
open_with_result(struct fake *fake)
{
    const struct tri_route call = {.kind = TRI_CALL, .target = {3, 4}, .result = {9, 1}, .sequence = 1, .epoch = 5};
    struct tri_proc_counts counts;

    fake_open_actor(fake);
    fake_hear(fake, call, &fake->body.section);
    tri_proc_start(fake->proc, fake->call);
    cr_assert_eq(tri_proc_return(fake->proc, fake->call, &fake->value.section, false, NULL), TRP_OK);
    fake_hear(fake, call, &fake->body.section);
    cr_assert_eq(fake->ran, 1, "a call whose result is kept ran again");
    tri_proc_count(fake->proc, &counts);
    cr_assert_eq(counts.kept, 1);
    cr_assert_eq(counts.incoming, 0);
    cr_assert_eq(fake->posts[fake->count - 1].kind, TRI_RESULT);
    fake->count = 0;
}

static void
free_result(struct fake *fake)
{
    struct tri_proc_counts counts;

    fake_hear_ids(fake, TRI_FREED, (struct tri_id){9, 1});
    tri_proc_count(fake->proc, &counts);
    cr_assert_eq(counts.kept, 0);
    fake_close(fake);
}

Test(hosts, a_result_is_kept_until_it_is_freed_and_said_again_to_a_new_broker)
{
    const struct tri_welcome welcome = {
        .version = 1, .space = 7, .broker = 2, .snapshot = true, .node = "", .credit_calls = 10, .credit_bytes = 1000};
    size_t results = 0;
    struct fake fake;

    open_with_result(&fake);
    cr_assert_eq(tri_proc_welcome(fake.proc, &welcome, 5, NULL), TRP_OK);
    for (size_t i = 0; i < fake.count; i++)
        results += fake.posts[i].kind == TRI_RESULT && fake.posts[i].result.number == 1;
    cr_assert_eq(results, 1);
    free_result(&fake);
}

Test(hosts, a_kept_result_that_is_asked_for_is_put_and_stays_kept)
{
    struct tri_proc_counts counts;
    struct fake fake;

    open_with_result(&fake);
    fake_hear_ids(&fake, TRI_FETCH, (struct tri_id){9, 1});
    cr_assert_eq(fake.count, 1);
    cr_assert_eq(fake.posts[0].kind, TRI_PUT);
    cr_assert_eq(fake.posts[0].result.number, 1);
    tri_proc_count(fake.proc, &counts);
    cr_assert_eq(counts.kept, 1);
    fake.count = 0;
    fake_hear_ids(&fake, TRI_FETCH, (struct tri_id){9, 1});
    cr_assert_eq(fake.count, 1);
    free_result(&fake);
}

Test(hosts, a_kept_result_that_comes_back_inside_of_a_call_is_ready_here)
{
    const struct tri_ref_entry entry = {.id = {9, 1}, .place = TRI_NESTED};
    struct tri_section section;
    struct tri_ref *ref;
    struct fake fake;

    open_with_result(&fake);
    section = fake.body.section;
    section.refs = &entry;
    section.ref_count = 1;
    fake_hear(&fake,
              (struct tri_route){.kind = TRI_CALL, .target = {3, 4}, .result = {9, 2}, .sequence = 2, .epoch = 5},
              &section);
    cr_assert_eq(fake.ran, 2);
    ref = tri_proc_find(fake.proc, entry.id);
    cr_assert_not_null(ref);
    cr_assert_eq(ref->state, TRI_REF_READY);
    cr_assert_eq(tri_ref_value(ref)->size, fake.value.section.size);
    cr_assert_eq(memcmp(tri_ref_value(ref)->data, fake.value.section.data, tri_ref_value(ref)->size), 0);
    tri_proc_release(ref);
    cr_assert_eq(tri_proc_return(fake.proc, fake.call, &fake.value.section, false, NULL), TRP_OK);
    fake_hear_ids(&fake, TRI_FREED, (struct tri_id){9, 2});
    free_result(&fake);
}

Test(hosts, a_host_has_the_mark_apart_from_the_arguments)
{
    const struct tri_route route = {.kind = TRI_CALL, .flags = TRI_TASK, .result = {9, 1}};
    static uint8_t _Alignas(8) bytes[1024];
    struct tri_section sections[4];
    struct tri_envelope envelope;
    struct fake fake;

    fake_open(&fake, true);
    sections[0] = fake.body.section;
    sections[1] = sections[3] = fake.value.section;
    sections[1].place = 1;
    sections[2] = fake_mark;
    sections[3].place = 2;
    const size_t size = tri_envelope_write(bytes, &route, sections, 4);
    cr_assert_eq(tri_envelope_check(bytes, size, NULL, 0, &envelope, NULL), TRP_OK);
    cr_assert_eq(tri_proc_envelope(fake.proc, &envelope, 1, NULL), TRP_OK);
    cr_assert_not_null(fake.call);
    cr_expect_eq(fake.call->section_count, 3);
    cr_expect_eq(fake.call->sections[1].place, 1);
    cr_expect_eq(fake.call->sections[2].place, 2);
    cr_assert_not_null(fake.call->trace);
    cr_expect_str_eq((const char *)fake.call->trace->data, "mark");
    tri_proc_start(fake.proc, fake.call);
    cr_assert_eq(tri_proc_return(fake.proc, fake.call, &fake.value.section, false, NULL), TRP_OK);
    fake_close(&fake);
}
