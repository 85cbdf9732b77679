/*
 * test_proc.c - the process's side of the protocol against a broker that is a list: what is posted is noted, what the broker
 * would say is said by hand.
 */
#include <criterion/criterion.h>

#include "actors/core/proc.h"

enum { POSTS_MAX = 64 };

struct fake {
    struct tri_proc *proc;
    struct tri_route posts[POSTS_MAX];
    uint32_t entries[POSTS_MAX], sections[POSTS_MAX];
    uint32_t last_place; /* of the sections of the newest */
    size_t count;
    uint64_t credit, released, ready, freed, ran;
    struct tri_incoming *call;
    struct tri_packed body, value;
};

static uint64_t
op_post(void *user, const struct tri_route *route, const struct tri_section *sections, uint32_t count,
        uint64_t credit_bytes)
{
    struct fake *fake = user;

    cr_assert_lt(fake->count, POSTS_MAX);
    fake->posts[fake->count] = *route;
    fake->sections[fake->count] = count;
    fake->last_place = count == 0 ? 0 : sections[count - 1].place;
    fake->entries[fake->count++] = count == 0 ? 0 : sections[0].ref_count;
    fake->credit -= credit_bytes > 0;
    return fake->count;
}

static bool
op_has_credit(void *user, uint64_t bytes)
{
    (void)bytes;
    return ((struct fake *)user)->credit > 0;
}

static void
op_release(void *user, uint64_t bytes)
{
    ((struct fake *)user)->released += bytes;
}

static struct tri_ref *
op_ref_new(void *user, bool is_actor)
{
    struct tri_ref *ref = calloc(1, sizeof *ref);

    (void)user, (void)is_actor;
    tri_list_init(&ref->waiters);
    return ref;
}

static void
op_ref_free(void *user, struct tri_ref *ref)
{
    ((struct fake *)user)->freed++;
    free(ref);
}

static void
op_ready(void *user, struct tri_ref *ref)
{
    (void)ref;
    ((struct fake *)user)->ready++;
}

static void
op_run(void *user, struct tri_incoming *call)
{
    struct fake *fake = user;

    fake->call = call;
    fake->ran++;
}

static void
op_create(void *user, const struct tri_envelope *envelope)
{
    (void)user, (void)envelope;
}

static void
op_renumbered(void *user)
{
    (void)user;
}

static void
open_fake(struct fake *fake, bool is_host)
{
    struct tri_proc_ops ops = {
        .post = op_post,
        .has_credit = op_has_credit,
        .release = op_release,
        .ref_new = op_ref_new,
        .ref_free = op_ref_free,
        .ready = op_ready,
        .run = op_run,
        .create = op_create,
        .renumbered = op_renumbered,
        .user = fake,
    };
    struct tri_welcome welcome = {
        .version = 1, .space = 7, .broker = 1, .node = "", .credit_calls = 10, .credit_bytes = 1000};

    memset(fake, 0, sizeof *fake);
    fake->credit = 10;
    cr_assert_eq(tri_proc_new(is_host, &ops, 1, &fake->proc, NULL), TRP_OK);
    cr_assert_eq(tri_proc_welcome(fake->proc, &welcome, 0, NULL), TRP_OK);
    cr_assert_eq(tri_call_pack(&fake->body, "method", trp_null(), NULL, NULL), TRP_OK);
    cr_assert_eq(tri_value_pack(&fake->value, trp_i64(1), NULL, NULL, NULL), TRP_OK);
}

static void
close_fake(struct fake *fake)
{
    char why[200] = "";

    cr_assert(tri_proc_check(fake->proc, why, sizeof why), "%s", why);
    tri_proc_destroy(&fake->proc);
    tri_packed_fini(&fake->body);
    tri_packed_fini(&fake->value);
}

/* What the broker says. */
static void
hear(struct fake *fake, struct tri_route route, const struct tri_section *section)
{
    size_t size = tri_envelope_size(section, section == NULL ? 0 : 1);
    uint8_t *bytes = aligned_alloc(8, size);
    struct tri_envelope envelope;
    trp_error error;

    size = tri_envelope_write(bytes, &route, section, section == NULL ? 0 : 1);
    cr_assert_eq(tri_envelope_check(bytes, size, NULL, 0, &envelope, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(tri_proc_envelope(fake->proc, &envelope, 1, &error), TRP_OK, "%s", error.message);
    free(bytes);
}

static void
hear_ids(struct fake *fake, uint8_t kind, struct tri_id id)
{
    struct tri_packed packed = {0};

    const struct tri_run run = {.id = id, .count = 1};

    cr_assert_eq(kind == TRI_FREED ? tri_runs_pack(&packed, &run, 1, NULL) : tri_ids_pack(&packed, &id, 1, NULL),
                 TRP_OK);
    hear(fake, (struct tri_route){.kind = kind}, &packed.section);
    tri_packed_fini(&packed);
}

static struct tri_ref *
call_actor(struct fake *fake, uint64_t deadline_ns)
{
    struct tri_submit submit = {
        .kind = TRI_CALL, .target = {3, 4}, .deadline_ns = deadline_ns, .body = fake->body.section};
    struct tri_ref *ref = NULL;

    cr_assert_eq(tri_proc_submit(fake->proc, &submit, false, 0, &ref, NULL, NULL), TRP_OK);
    return ref;
}

Test(proc, a_result_lies_at_its_reference_and_letting_it_go_is_told_once)
{
    struct fake fake;
    struct tri_ref *ref;

    open_fake(&fake, false);
    ref = call_actor(&fake, TRI_NEVER);
    cr_assert_eq(fake.posts[0].kind, TRI_CALL);
    cr_assert_eq(fake.posts[0].sequence, 1);
    hear(&fake, (struct tri_route){.kind = TRI_RESULT, .result = ref->entry.id}, &fake.value.section);
    cr_assert_eq(ref->state, TRI_REF_READY);
    cr_assert_eq(fake.ready, 1);
    tri_proc_release(ref);
    cr_assert_eq(fake.freed, 1);
    tri_proc_round(fake.proc, 2);
    cr_assert_eq(fake.count, 2);
    cr_assert_eq(fake.posts[1].kind, TRI_RELEASE);
    tri_proc_round(fake.proc, 3);
    cr_assert_eq(fake.count, 2);
    close_fake(&fake);
}

/* Or the broker would take the RELEASE for an end of the wait. */
Test(proc, what_was_let_go_of_and_came_back_is_released_before_it_is_waited_for)
{
    struct tri_ref *ref, *carrier;
    struct tri_ref_entry entry = {.place = TRI_NESTED};
    struct tri_section section;
    struct fake fake;

    open_fake(&fake, false);
    ref = call_actor(&fake, TRI_NEVER);
    carrier = call_actor(&fake, TRI_NEVER);
    entry.id = ref->entry.id;
    tri_proc_release(ref);
    hear(&fake, (struct tri_route){.kind = TRI_RESULT, .result = entry.id}, &fake.value.section);
    section = fake.value.section;
    section.refs = &entry;
    section.ref_count = 1;
    hear(&fake, (struct tri_route){.kind = TRI_RESULT, .result = carrier->entry.id}, &section);
    ref = tri_proc_find(fake.proc, entry.id);
    cr_assert_not_null(ref);
    cr_assert_eq(tri_proc_want(fake.proc, ref, NULL), TRP_OK);
    fake.count = 0;
    tri_proc_round(fake.proc, 2);
    cr_assert_eq(fake.count, 2);
    cr_assert_eq(fake.posts[0].kind, TRI_RELEASE);
    cr_assert_eq(fake.posts[1].kind, TRI_WAIT);
    tri_proc_release(ref);
    tri_proc_release(carrier);
    close_fake(&fake);
}

Test(proc, calls_wait_in_order_for_credit_and_nowait_is_refused)
{
    struct tri_submit submit = {.kind = TRI_CALL, .target = {3, 4}, .deadline_ns = TRI_NEVER};
    struct tri_ref *ref;
    struct fake fake;

    open_fake(&fake, false);
    fake.credit = 0;
    tri_proc_release(call_actor(&fake, TRI_NEVER));
    ref = call_actor(&fake, TRI_NEVER);
    submit.body = fake.body.section;
    cr_assert_eq(tri_proc_submit(fake.proc, &submit, true, 0, NULL, NULL, NULL), TRP_EAGAIN);
    cr_assert_eq(fake.count, 0);
    fake.credit = 2;
    tri_proc_tick(fake.proc, 1);
    cr_assert_eq(fake.count, 2);
    cr_assert_eq(fake.posts[1].sequence, 2);
    tri_proc_release(ref);
    close_fake(&fake);
}

Test(proc, a_deadline_fails_the_reference_here_and_cancels_the_call_there)
{
    struct tri_ref *ref;
    struct fake fake;

    open_fake(&fake, false);
    ref = call_actor(&fake, 1000);
    cr_assert_eq(tri_proc_next_ns(fake.proc), 1000);
    tri_proc_tick(fake.proc, 1000);
    cr_assert_eq(ref->state, TRI_REF_FAILED);
    tri_proc_round(fake.proc, 1000);
    cr_assert_eq(fake.posts[1].kind, TRI_CANCEL);
    hear(&fake, (struct tri_route){.kind = TRI_RESULT, .result = ref->entry.id}, &fake.value.section);
    cr_assert_eq(ref->state, TRI_REF_FAILED);
    tri_proc_release(ref);
    close_fake(&fake);
}

Test(proc, a_new_broker_is_told_of_calls_that_no_host_has_again)
{
    struct tri_welcome welcome = {
        .version = 1, .space = 7, .broker = 2, .snapshot = true, .node = "", .credit_calls = 10, .credit_bytes = 1000};
    struct tri_ref *first, *second;
    struct fake fake;
    size_t calls = 0;

    open_fake(&fake, false);
    first = call_actor(&fake, TRI_NEVER);
    second = call_actor(&fake, TRI_NEVER);
    hear_ids(&fake, TRI_ACCEPTED, first->entry.id);
    fake.count = 0;
    cr_assert_eq(tri_proc_welcome(fake.proc, &welcome, 5, NULL), TRP_OK);
    cr_assert_eq(fake.posts[0].kind, TRI_SNAPSHOT);
    for (size_t i = 0; i < fake.count; i++)
        calls += fake.posts[i].kind == TRI_CALL;
    cr_assert_eq(calls, 1);
    cr_assert_eq(fake.posts[1].kind, TRI_CALL);
    cr_assert_eq(fake.posts[1].result.number, second->entry.id.number);
    cr_assert_eq(fake.posts[2].kind, TRI_RELEASE, "of the actor that it means, which was held until then");
    cr_assert_eq(fake.count, 3);
    tri_proc_release(first);
    tri_proc_release(second);
    close_fake(&fake);
}

/* What a call carries may be the last that has the result of that call. */
Test(proc, a_call_whose_argument_leads_to_its_own_result_ends_with_its_process)
{
    struct tri_submit submit = {.kind = TRI_CALL, .target = {3, 4}, .deadline_ns = TRI_NEVER};
    struct tri_ref_entry entry = {.place = TRI_NESTED};
    struct tri_ref *argument, *ref;
    struct tri_section value;
    struct fake fake;

    open_fake(&fake, false);
    argument = call_actor(&fake, TRI_NEVER);
    submit.body = fake.body.section;
    submit.body.refs = &entry;
    submit.body.ref_count = 1;
    entry.id = argument->entry.id;
    cr_assert_eq(tri_proc_submit(fake.proc, &submit, false, 0, &ref, NULL, NULL), TRP_OK);
    entry.id = ref->entry.id;
    value = fake.value.section;
    value.refs = &entry;
    value.ref_count = 1;
    hear(&fake, (struct tri_route){.kind = TRI_RESULT, .result = argument->entry.id}, &value);
    tri_proc_release(argument);
    tri_proc_release(ref);
    close_fake(&fake);
    cr_assert_eq(fake.freed, 2);
}

Test(proc, an_actor_is_not_released_before_the_calls_that_wait_for_credit)
{
    struct tri_submit submit = {.kind = TRI_CALL, .deadline_ns = TRI_NEVER};
    struct tri_ref *actor = NULL, *ref = NULL;
    struct fake fake;

    open_fake(&fake, false);
    cr_assert_eq(tri_proc_actor_new(fake.proc, &actor, NULL), TRP_OK);
    actor->shared = true;
    actor->handed = 1; /* as if it had been spawned */
    fake.credit = 0;
    submit.target = actor->entry.id;
    submit.body = fake.body.section;
    cr_assert_eq(tri_proc_submit(fake.proc, &submit, false, 0, &ref, NULL, NULL), TRP_OK);
    tri_proc_release(actor);
    tri_proc_round(fake.proc, 1);
    cr_assert_eq(fake.count, 0);
    fake.credit = 1;
    tri_proc_tick(fake.proc, 2);
    tri_proc_round(fake.proc, 2);
    cr_assert_eq(fake.count, 2);
    cr_assert_eq(fake.posts[0].kind, TRI_CALL);
    cr_assert_eq(fake.posts[1].kind, TRI_RELEASE);
    tri_proc_release(ref);
    close_fake(&fake);
}

Test(proc, a_spawn_that_was_answered_is_said_again_until_a_host_has_the_actor)
{
    struct tri_welcome welcome = {
        .version = 1, .space = 7, .broker = 2, .snapshot = true, .node = "", .credit_calls = 10, .credit_bytes = 1000};
    struct tri_submit submit = {.kind = TRI_SPAWN, .deadline_ns = TRI_NEVER};
    struct tri_ref_entry entry = {.place = TRI_NESTED, .flags = TRI_REF_ACTOR};
    struct tri_ref *actor, *answer;
    struct fake fake;

    open_fake(&fake, false);
    cr_assert_eq(tri_proc_actor_new(fake.proc, &actor, NULL), TRP_OK);
    entry.id = submit.target = actor->entry.id;
    submit.body = fake.body.section;
    cr_assert_eq(tri_proc_submit(fake.proc, &submit, false, 0, &answer, NULL, NULL), TRP_OK);
    fake.value.section.refs = &entry;
    fake.value.section.ref_count = 1;
    hear(&fake, (struct tri_route){.kind = TRI_RESULT, .result = answer->entry.id}, &fake.value.section);
    cr_assert_eq(answer->state, TRI_REF_READY);
    fake.value.section.ref_count = 0;
    tri_proc_release(answer);
    for (uint64_t broker = 2; broker < 4; broker++) { /* the first one had it given to no host */
        size_t spawns = 0;
        fake.count = 0;
        welcome.broker = broker;
        cr_assert_eq(tri_proc_welcome(fake.proc, &welcome, 5, NULL), TRP_OK);
        for (size_t i = 0; i < fake.count; i++)
            spawns += fake.posts[i].kind == TRI_SPAWN && tri_id_is_none(fake.posts[i].result);
        cr_assert_eq(spawns, broker == 2);
        hear_ids(&fake, TRI_ACCEPTED, actor->entry.id);
    }
    tri_proc_release(actor);
    close_fake(&fake);
}

Test(proc, a_spawn_that_was_answered_with_another_actor_is_over)
{
    struct tri_submit submit = {.kind = TRI_SPAWN, .deadline_ns = TRI_NEVER};
    struct tri_ref_entry entry = {.id = {3, 4}, .place = TRI_NESTED, .flags = TRI_REF_ACTOR};
    struct tri_ref *actor, *answer;
    struct fake fake;

    open_fake(&fake, false);
    cr_assert_eq(tri_proc_actor_new(fake.proc, &actor, NULL), TRP_OK);
    submit.target = actor->entry.id;
    submit.body = fake.body.section;
    cr_assert_eq(tri_proc_submit(fake.proc, &submit, false, 0, &answer, NULL, NULL), TRP_OK);
    fake.value.section.refs = &entry;
    fake.value.section.ref_count = 1;
    hear(&fake, (struct tri_route){.kind = TRI_RESULT, .result = answer->entry.id}, &fake.value.section);
    fake.value.section.ref_count = 0;
    cr_assert_null(actor->out);
    tri_proc_release(answer);
    tri_proc_release(actor);
    close_fake(&fake);
}

Test(proc, a_private_value_at_top_level_goes_along_and_a_nested_one_is_put_first)
{
    struct tri_ref_entry entries[2] = {{.place = 0}, {.place = TRI_NESTED}};
    struct tri_submit submit = {.kind = TRI_CALL, .flags = TRI_TASK, .deadline_ns = TRI_NEVER};
    struct tri_ref *along = NULL, *nested = NULL, *ref = NULL;
    struct fake fake;

    open_fake(&fake, false);
    cr_assert_eq(tri_proc_put(fake.proc, &fake.value, &along, NULL), TRP_OK);
    cr_assert_eq(tri_proc_put(fake.proc, &fake.value, &nested, NULL), TRP_OK);
    entries[0].id = along->entry.id;
    entries[1].id = nested->entry.id;
    submit.body = fake.body.section;
    submit.body.refs = entries;
    submit.body.ref_count = 2;
    cr_assert_eq(tri_proc_submit(fake.proc, &submit, false, 0, &ref, NULL, NULL), TRP_OK);
    cr_assert_eq(fake.posts[0].kind, TRI_PUT);
    cr_assert_eq(fake.posts[1].kind, TRI_CALL);
    cr_assert_eq(fake.sections[1], 2);
    tri_proc_release(along);
    tri_proc_release(nested);
    tri_proc_release(ref);
    close_fake(&fake);
}

Test(proc, a_host_runs_a_repeated_call_once_and_refuses_another_epoch)
{
    struct tri_route call = {.kind = TRI_CALL, .target = {3, 4}, .result = {9, 1}, .sequence = 1, .epoch = 5};
    struct tri_packed spawn = {0};
    struct tri_spawn asked = {.class_name = "m:C", .name = "", .namespace_ = "default"};
    struct fake fake;

    open_fake(&fake, true);
    cr_assert_eq(tri_spawn_pack(&spawn, &asked, trp_null(), NULL, NULL), TRP_OK);
    hear(&fake, (struct tri_route){.kind = TRI_CREATE, .target = {3, 4}, .epoch = 5}, &spawn.section);
    hear(&fake, call, &fake.body.section);
    hear(&fake, call, &fake.body.section);
    cr_assert_eq(fake.ran, 1);
    call.result.number = 2;
    call.sequence = 2;
    call.epoch = 6;
    hear(&fake, call, &fake.body.section);
    cr_assert_eq(fake.ran, 1);
    cr_assert_eq(fake.posts[0].kind, TRI_RESULT);
    cr_assert_eq(fake.posts[0].flags, TRI_FAILED);
    tri_proc_start(fake.proc, fake.call);
    cr_assert_eq(tri_proc_return(fake.proc, fake.call, &fake.value.section, false, NULL), TRP_OK);
    cr_assert_eq(fake.posts[1].result.number, 1);
    hear_ids(&fake, TRI_FREED, (struct tri_id){9, 1});
    tri_packed_fini(&spawn);
    close_fake(&fake);
}

/* It would keep itself in this process for ever. The second time it is in a value that the returned one names. */
Test(proc, a_result_that_leads_back_to_itself_is_an_error_here)
{
    const struct tri_id self = {9, 1}, between = {9, 2};
    const struct tri_spawn asked = {.class_name = "m:C", .name = "", .namespace_ = "default"};

    for (int i = 0; i < 2; i++) {
        struct tri_ref_entry own = {.id = self, .place = TRI_NESTED}, named = {.id = i == 0 ? self : between};
        struct tri_ref_entry both[] = {own, {.id = between, .place = TRI_NESTED}};
        struct tri_section body, value;
        struct tri_packed spawn = {0};
        struct tri_proc_counts counts;
        struct tri_ref *ref;
        struct fake fake;

        open_fake(&fake, true);
        cr_assert_eq(tri_spawn_pack(&spawn, &asked, trp_null(), NULL, NULL), TRP_OK);
        hear(&fake, (struct tri_route){.kind = TRI_CREATE, .target = {3, 4}, .epoch = 5}, &spawn.section);
        body = fake.body.section;
        body.refs = both;
        body.ref_count = 2;
        hear(&fake, (struct tri_route){.kind = TRI_CALL, .target = {3, 4}, .result = self, .sequence = 1, .epoch = 5},
             &body);
        ref = tri_proc_find(fake.proc, between);
        cr_assert_eq(tri_proc_want(fake.proc, ref, NULL), TRP_OK);
        value = fake.value.section;
        value.refs = &own;
        value.ref_count = 1;
        hear(&fake, (struct tri_route){.kind = TRI_RESULT, .result = between}, &value);
        tri_proc_start(fake.proc, fake.call);
        named.place = TRI_NESTED;
        value.refs = &named;
        cr_assert_eq(tri_proc_return(fake.proc, fake.call, &value, false, NULL), TRP_OK);
        cr_expect_eq(fake.posts[fake.count - 1].kind, TRI_RESULT);
        cr_expect_eq(fake.posts[fake.count - 1].flags, TRI_FAILED);
        cr_expect_eq(fake.entries[fake.count - 1], 0);
        tri_proc_release(ref);
        hear_ids(&fake, TRI_FREED, self);
        tri_proc_round(fake.proc, 9);
        tri_proc_count(fake.proc, &counts);
        cr_expect_eq(counts.refs, 0, "%llu references are left", (unsigned long long)counts.refs);
        tri_packed_fini(&spawn);
        close_fake(&fake);
    }
}

/* As the broker says, which knows what is elsewhere. Or it would hold what leads back to it as long as it is kept. */
Test(proc, a_kept_result_that_is_said_to_lead_back_to_itself_holds_nothing_any_more)
{
    const struct tri_id self = {9, 1}, between = {9, 2};
    struct tri_ref_entry entry = {.id = between, .place = TRI_NESTED};
    struct tri_failure failure = {0};
    struct tri_proc_counts counts;
    struct tri_section section;
    struct tri_packed error = {0};
    struct fake fake;

    open_fake(&fake, true);
    section = fake.body.section;
    section.refs = &entry;
    section.ref_count = 1;
    hear(&fake, (struct tri_route){.kind = TRI_CALL, .flags = TRI_TASK, .result = self}, &section);
    tri_proc_start(fake.proc, fake.call);
    section = fake.value.section;
    section.refs = &entry;
    section.ref_count = 1;
    cr_assert_eq(tri_proc_return(fake.proc, fake.call, &section, false, NULL), TRP_OK);
    (void)tri_fail_cycle(&failure.error);
    cr_assert_eq(tri_error_pack(&error, &failure, NULL), TRP_OK);
    hear(&fake, (struct tri_route){.kind = TRI_RESULT, .flags = TRI_FAILED, .result = self}, &error.section);
    tri_proc_round(fake.proc, 9);
    cr_expect_eq(fake.posts[fake.count - 1].kind, TRI_RELEASE, "of what it named");
    hear_ids(&fake, TRI_FETCH, self);
    cr_expect_eq(fake.posts[fake.count - 1].kind, TRI_PUT);
    cr_expect_eq(fake.posts[fake.count - 1].flags, TRI_FETCHED | TRI_FAILED);
    tri_proc_count(fake.proc, &counts);
    cr_expect_eq(counts.refs, 1);
    hear_ids(&fake, TRI_FREED, self);
    tri_packed_fini(&error);
    close_fake(&fake);
}

Test(proc, every_broker_is_told_how_many_calls_an_actor_runs_at_a_time)
{
    struct tri_welcome welcome = {
        .version = 1, .space = 7, .broker = 2, .snapshot = true, .node = "", .credit_calls = 10, .credit_bytes = 1000};
    struct tri_packed spawn = {0};
    struct tri_spawn asked = {.class_name = "m:C", .name = "", .namespace_ = "default"};
    struct fake fake;

    open_fake(&fake, true);
    cr_assert_eq(tri_spawn_pack(&spawn, &asked, trp_null(), NULL, NULL), TRP_OK);
    hear(&fake, (struct tri_route){.kind = TRI_CREATE, .target = {3, 4}, .epoch = 5}, &spawn.section);
    tri_proc_ready(fake.proc, (struct tri_id){3, 4}, 3, NULL);
    cr_assert_eq(fake.posts[0].kind, TRI_READY);
    cr_assert_eq(fake.posts[0].sequence, 3);
    cr_assert_eq(tri_proc_welcome(fake.proc, &welcome, 5, NULL), TRP_OK);
    cr_assert_eq(fake.posts[1].kind, TRI_CREATE);
    cr_assert_eq(fake.posts[1].sequence, 3);
    tri_packed_fini(&spawn);
    close_fake(&fake);
}

/* A host whose actor has returned the value of call {9, 1}, which it keeps. */
static void
open_with_result(struct fake *fake)
{
    const struct tri_route call = {.kind = TRI_CALL, .target = {3, 4}, .result = {9, 1}, .sequence = 1, .epoch = 5};
    const struct tri_spawn asked = {.class_name = "m:C", .name = "", .namespace_ = "default"};
    struct tri_packed spawn = {0};
    struct tri_proc_counts counts;

    open_fake(fake, true);
    cr_assert_eq(tri_spawn_pack(&spawn, &asked, trp_null(), NULL, NULL), TRP_OK);
    hear(fake, (struct tri_route){.kind = TRI_CREATE, .target = {3, 4}, .epoch = 5}, &spawn.section);
    tri_packed_fini(&spawn);
    hear(fake, call, &fake->body.section);
    tri_proc_start(fake->proc, fake->call);
    cr_assert_eq(tri_proc_return(fake->proc, fake->call, &fake->value.section, false, NULL), TRP_OK);
    hear(fake, call, &fake->body.section);
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

    hear_ids(fake, TRI_FREED, (struct tri_id){9, 1});
    tri_proc_count(fake->proc, &counts);
    cr_assert_eq(counts.kept, 0);
    close_fake(fake);
}

Test(proc, a_result_is_kept_until_it_is_freed_and_said_again_to_a_new_broker)
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

Test(proc, a_kept_result_that_is_asked_for_is_put_and_stays_kept)
{
    struct tri_proc_counts counts;
    struct fake fake;

    open_with_result(&fake);
    hear_ids(&fake, TRI_FETCH, (struct tri_id){9, 1});
    cr_assert_eq(fake.count, 1);
    cr_assert_eq(fake.posts[0].kind, TRI_PUT);
    cr_assert_eq(fake.posts[0].result.number, 1);
    tri_proc_count(fake.proc, &counts);
    cr_assert_eq(counts.kept, 1);
    fake.count = 0;
    hear_ids(&fake, TRI_FETCH, (struct tri_id){9, 1});
    cr_assert_eq(fake.count, 1);
    free_result(&fake);
}

Test(proc, a_kept_result_that_comes_back_inside_of_a_call_is_ready_here)
{
    const struct tri_ref_entry entry = {.id = {9, 1}, .place = TRI_NESTED};
    struct tri_section section;
    struct tri_ref *ref;
    struct fake fake;

    open_with_result(&fake);
    section = fake.body.section;
    section.refs = &entry;
    section.ref_count = 1;
    hear(&fake, (struct tri_route){.kind = TRI_CALL, .target = {3, 4}, .result = {9, 2}, .sequence = 2, .epoch = 5},
         &section);
    cr_assert_eq(fake.ran, 2);
    ref = tri_proc_find(fake.proc, entry.id);
    cr_assert_not_null(ref);
    cr_assert_eq(ref->state, TRI_REF_READY);
    cr_assert_eq(tri_ref_value(ref)->size, fake.value.section.size);
    cr_assert_eq(memcmp(tri_ref_value(ref)->data, fake.value.section.data, tri_ref_value(ref)->size), 0);
    tri_proc_release(ref);
    cr_assert_eq(tri_proc_return(fake.proc, fake.call, &fake.value.section, false, NULL), TRP_OK);
    hear_ids(&fake, TRI_FREED, (struct tri_id){9, 2});
    free_result(&fake);
}

Test(proc, a_watch_that_is_let_go_is_forgotten)
{
    struct tri_submit submit = {.kind = TRI_WATCH, .target = {3, 4}, .deadline_ns = TRI_NEVER};
    struct tri_proc_counts counts;
    struct tri_ref *ref;
    struct fake fake;

    open_fake(&fake, false);
    submit.body = fake.body.section;
    cr_assert_eq(tri_proc_submit(fake.proc, &submit, false, 0, &ref, NULL, NULL), TRP_OK);
    tri_proc_release(ref);
    tri_proc_round(fake.proc, 2);
    cr_assert_eq(fake.posts[fake.count - 1].kind, TRI_RELEASE);
    tri_proc_count(fake.proc, &counts);
    cr_assert_eq(counts.refs, 0);
    cr_assert_eq(counts.outstanding, 0);
    close_fake(&fake);
}

Test(proc, a_driver_refuses_what_is_for_hosts)
{
    struct tri_envelope envelope = {.route = {.kind = TRI_RECALL}};
    struct fake fake;

    open_fake(&fake, false);
    cr_assert_eq(tri_proc_envelope(fake.proc, &envelope, 0, NULL), TRP_EPROTO);
    close_fake(&fake);
}

static const struct tri_section mark = {.place = TRI_PLACE_TRACE, .size = 5, .data = (const uint8_t *)"mark"};

Test(proc, the_mark_of_a_traced_call_travels_with_it_and_is_said_again)
{
    struct tri_welcome welcome = {
        .version = 1, .space = 7, .broker = 2, .snapshot = true, .node = "", .credit_calls = 10, .credit_bytes = 1000};
    struct tri_submit submit = {.kind = TRI_CALL, .flags = TRI_TASK, .deadline_ns = TRI_NEVER, .trace = &mark};
    struct tri_ref *ref = NULL;
    struct fake fake;

    open_fake(&fake, false);
    submit.body = fake.body.section;
    for (int again = 0; again < 2; again++) {
        fake.count = 0;
        if (again == 0)
            cr_assert_eq(tri_proc_submit(fake.proc, &submit, false, 0, &ref, NULL, NULL), TRP_OK);
        else
            cr_assert_eq(tri_proc_welcome(fake.proc, &welcome, 5, NULL), TRP_OK);
        cr_assert_eq(fake.posts[fake.count - 1].kind, TRI_CALL);
        cr_expect_eq(fake.sections[fake.count - 1], 2);
        cr_expect_eq(fake.last_place, TRI_PLACE_TRACE);
    }
    tri_proc_release(ref);
    close_fake(&fake);
}

Test(proc, a_host_has_the_mark_apart_from_the_arguments)
{
    const struct tri_route route = {.kind = TRI_CALL, .flags = TRI_TASK, .result = {9, 1}};
    static uint8_t _Alignas(8) bytes[1024];
    struct tri_section sections[4];
    struct tri_envelope envelope;
    struct fake fake;

    open_fake(&fake, true);
    sections[0] = fake.body.section;
    sections[1] = sections[3] = fake.value.section;
    sections[1].place = 1;
    sections[2] = mark;
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
    close_fake(&fake);
}
