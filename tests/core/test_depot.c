/* test_depot.c - the broker's side of the arena: who may have what of it, what is sealed, and when it is free again. */
#include "tests/core/arena.h"

enum { SIZE = 3 * TRI_EXTENT_GRANULES, MS = 1000000, USUAL = TRI_LEASE_GRANULES / 2 };

struct stage {
    struct arena *arena;
    struct tri_depot *store;
    uint32_t a, b; /* two processes */
    uint64_t now_ns;
    struct tri_granted granted;
    uint32_t slots[TRI_LEASE_SLOTS_MAX];
    trp_error why;
};

#define EXPECT(wanted, call)                                                                                           \
    do {                                                                                                               \
        const trp_err got_ = (call);                                                                                   \
        cr_assert_eq(got_, (wanted), "%s: %d, %s", #call, (int)got_, got_ != TRP_OK ? stage->why.message : "ok");      \
    } while (0)

static void
checked(const struct stage *stage)
{
    const char *wrong = tri_depot_check(stage->store);
    cr_assert(wrong == NULL, "%s", wrong);
}

static struct stage *
staged_with(uint32_t granules)
{
    struct stage *stage = calloc(1, sizeof *stage);
    stage->arena = arena_new(granules);
    stage->now_ns = TRI_NS_PER_S;
    EXPECT(TRP_OK, tri_depot_new(&stage->arena->arena, stage->now_ns, &stage->store, &stage->why));
    EXPECT(TRP_OK, tri_depot_enter(stage->store, 101, 1, &stage->a, &stage->why));
    EXPECT(TRP_OK, tri_depot_enter(stage->store, 102, 2, &stage->b, &stage->why));
    return stage;
}

static struct stage *
staged(void)
{
    return staged_with(SIZE);
}

static void
struck(struct stage *stage)
{
    checked(stage);
    tri_depot_free(&stage->store);
    arena_free(stage->arena);
    free(stage);
}

static struct tri_depot_stat
looked(struct stage *stage, uint64_t ms)
{
    stage->now_ns += ms * MS;
    tri_depot_look(stage->store, stage->now_ns);
    checked(stage);
    return tri_depot_stat(stage->store);
}

static bool
next(struct stage *stage)
{
    bool any = tri_depot_next(stage->store, stage->now_ns, &stage->granted);
    for (int i = 0; !any && i < 1000 && tri_depot_next_ns(stage->store) == 0; i++) /* slice by slice */
        any = tri_depot_next(stage->store, stage->now_ns, &stage->granted);
    for (uint32_t i = 0; any && stage->granted.err == TRP_OK && i < stage->granted.lease.slot_count; i++)
        stage->slots[i] = stage->granted.lease.slots[i];
    checked(stage);
    return any;
}

static struct tri_lease
lease(struct stage *stage, uint32_t tenant, uint64_t granules)
{
    EXPECT(TRP_OK, tri_depot_ask(stage->store, tenant, granules, TRI_NEVER, &stage->why));
    cr_assert(next(stage));
    cr_assert_eq(stage->granted.tenant, tenant);
    cr_assert_eq(stage->granted.err, TRP_OK, "%s", stage->granted.error.message);
    return stage->granted.lease;
}

static trp_err
say(struct stage *stage, uint32_t tenant, struct tri_place place, struct tri_buf **buf)
{
    const trp_err err = tri_depot_open(stage->store, tenant, &place, buf, &stage->why);
    checked(stage);
    return err;
}

/* An object of so many bytes at the beginning of a new lease. */
static struct tri_buf *
sealed(struct stage *stage, uint32_t tenant, uint64_t size)
{
    const struct tri_lease got = lease(stage, tenant, (size + TRI_GRANULE - 1) / TRI_GRANULE);
    struct tri_buf *buf = NULL;
    EXPECT(TRP_OK, say(stage, tenant, arena_place(stage->arena, got.slots[0], got.start, size), &buf));
    return buf;
}

Test(depot, has_no_memory_before_anybody_asks_and_gives_more_than_was_asked_for)
{
    struct stage *stage = staged();
    cr_expect_eq(tri_depot_stat(stage->store).backed, 0);
    cr_expect_eq(stage->arena->backed, 0);
    const struct tri_lease got = lease(stage, stage->a, 26);
    cr_expect_geq(got.count, 26);
    cr_expect_geq(got.count, USUAL / 2, "%u", got.count);
    cr_expect_eq(got.slot_count, got.count / TRI_OBJECT_GRANULES + 1 < 64 ? got.count / TRI_OBJECT_GRANULES + 1 : 64);
    cr_expect_eq(stage->arena->backed, 1);
    cr_expect_eq(tri_depot_stat(stage->store).leased, (uint64_t)got.count * TRI_GRANULE);
    const struct tri_lease large = lease(stage, stage->b, 20000);
    cr_expect_eq(large.count, 20000);
    cr_expect_eq(stage->arena->backed, 2, "one and a half extents, of which the first has room");
    struck(stage);
}

Test(depot, a_lease_has_room_for_whole_objects_also_where_no_long_run_is_left)
{
    struct stage *stage = staged();
    struct tri_lease got = lease(stage, stage->a, 257);
    cr_expect_gt(got.count, 257);
    cr_expect_eq(got.count % 257, 0, "%u", got.count);
    (void)lease(stage, stage->b, (uint64_t)SIZE - got.count - 2000);
    got = lease(stage, stage->a, 300);
    cr_expect(got.count >= 300 && got.count % 300 == 0 && got.count <= 2000, "%u", got.count);
    struck(stage);
}

Test(depot, what_is_said_first_is_sealed_and_is_not_on_lease_any_more)
{
    struct stage *stage = staged();
    const struct tri_lease got = lease(stage, stage->a, 100);
    struct tri_buf *buf = NULL;
    const struct tri_place place = arena_place(stage->arena, got.slots[1], got.start + 10, 5000);
    arena_pin(stage->arena, stage->a, 0, got.slots[1]);
    EXPECT(TRP_OK, say(stage, stage->a, place, &buf));
    cr_expect_eq(buf->size, 5000);
    cr_assert_not_null(buf->place);
    cr_expect_eq(buf->place->start, place.start);
    cr_expect_null(buf->data, "its bytes are not for the broker");
    cr_expect_eq(tri_slot_state(&stage->arena->arena.words[place.slot]), TRI_SLOT_RESIDENT);
    struct tri_depot_stat stat = tri_depot_stat(stage->store);
    cr_expect_eq(stat.sealed, 2 * TRI_GRANULE);
    cr_expect_eq(stat.leased, (uint64_t)(got.count - 2) * TRI_GRANULE);
    tri_buf_release(&buf);
    stat = looked(stage, 0);
    cr_expect_eq(stat.gone, 2 * TRI_GRANULE, "its maker reads it");
    cr_expect_eq(stat.sealed, 0);
    struck(stage);
}

Test(depot, an_object_that_spans_two_leases_that_lie_together_is_one)
{
    struct stage *stage = staged();
    const struct tri_lease first = lease(stage, stage->a, 100), second = lease(stage, stage->a, 100);
    const uint32_t start = first.start < second.start ? first.start : second.start;
    cr_assert_eq(first.start + first.count == second.start || second.start + second.count == first.start, true);
    struct tri_buf *buf = NULL;
    const uint64_t size = (uint64_t)(first.count + second.count - 2) * TRI_GRANULE;
    EXPECT(TRP_OK, say(stage, stage->a, arena_place(stage->arena, stage->slots[0], start + 1, size), &buf));
    tri_buf_release(&buf);
    cr_expect_eq(looked(stage, 0).taken, 2 * TRI_GRANULE, "a granule at either end is on lease yet");
    struck(stage);
}

struct bad {
    const char *what;
    trp_err (*say)(struct stage *stage, struct tri_place place, struct tri_buf **buf);
};
#define BAD(name, ...)                                                                                                 \
    static trp_err name(struct stage *stage, struct tri_place place, struct tri_buf **buf)                             \
    {                                                                                                                  \
        uint32_t tenant = stage->a;                                                                                    \
        (void)place;                                                                                                   \
        __VA_ARGS__;                                                                                                   \
        return say(stage, tenant, place, buf);                                                                         \
    }
BAD(of_another, tenant = stage->b)
BAD(another_slot, place.slot = stage->slots[0] + 1000)
BAD(no_slot, place.slot = UINT32_MAX)
BAD(older, place.generation--)
BAD(newer, place.generation++)
BAD(of_nothing, place.size = 0)
BAD(of_too_much, place.size = UINT64_MAX)
BAD(of_more_than_a_value, place.size = (uint64_t)TRI_STORED_MAX + 1)
BAD(beyond_the_lease, place.size = (uint64_t)stage->granted.lease.count * TRI_GRANULE + 1)
BAD(before_the_lease, place.start = stage->granted.lease.start + stage->granted.lease.count)
BAD(beyond_the_arena, place.start = SIZE)
BAD(at_the_end, place.start = UINT32_MAX)
BAD(where_no_memory_is, place.start = SIZE - 10)
BAD(after_giving_back, {
    const struct tri_lease given = {place.start, 1, NULL, 0};
    EXPECT(TRP_OK, tri_depot_given(stage->store, stage->a, &given, &stage->why));
})
BAD(of_a_slot_given_back, {
    const struct tri_lease given = {0, 0, &place.slot, 1};
    EXPECT(TRP_OK, tri_depot_given(stage->store, stage->a, &given, &stage->why));
})
static const struct bad bad_places[] = {
    {"another's lease", of_another},
    {"a slot of nobody", another_slot},
    {"no slot", no_slot},
    {"an older generation", older},
    {"a newer generation", newer},
    {"no byte", of_nothing},
    {"too many bytes", of_too_much},
    {"more than a value may have", of_more_than_a_value},
    {"beyond the lease", beyond_the_lease},
    {"outside of the lease", before_the_lease},
    {"beyond the arena", beyond_the_arena},
    {"at the end of all", at_the_end},
    {"where no memory is", where_no_memory_is},
    {"space that was given back", after_giving_back},
    {"a slot that was given back", of_a_slot_given_back},
};

Test(depot, refuses_places_that_are_not_the_senders)
{
    for (size_t i = 0; i < sizeof bad_places / sizeof *bad_places; i++) {
        struct stage *stage = staged();
        (void)lease(stage, stage->b, 10);
        const struct tri_lease got = lease(stage, stage->a, 10);
        struct tri_buf *buf = NULL;
        const struct tri_place place = arena_place(stage->arena, got.slots[0], got.start, 9000);
        cr_expect_eq(bad_places[i].say(stage, place, &buf), TRP_EPROTO, "%s", bad_places[i].what);
        cr_expect_null(buf, "%s", bad_places[i].what);
        struck(stage);
    }
}

Test(depot, an_object_said_again_is_the_same_and_said_otherwise_is_refused)
{
    struct stage *stage = staged();
    struct tri_buf *buf = sealed(stage, stage->a, 9000), *again = NULL;
    struct tri_place place = *buf->place;
    EXPECT(TRP_OK, say(stage, stage->b, place, &again));
    cr_expect_eq(again, buf, "another process hands it on");
    tri_buf_release(&again);
    place.size++;
    cr_expect_eq(say(stage, stage->a, place, &again), TRP_EPROTO, "twice, of another size");
    place.size--;
    place.start = UINT32_MAX;
    EXPECT(TRP_OK, say(stage, stage->b, place, &again));
    cr_expect_eq(again, buf, "where it lies is the broker's to know");
    tri_buf_release(&again);
    place.generation--;
    cr_expect_eq(say(stage, stage->a, place, &again), TRP_EPROTO, "of before");
    tri_buf_release(&buf);
    struck(stage);
}

Test(depot, what_is_released_is_free_when_nobody_has_it_pinned)
{
    struct stage *stage = staged();
    struct tri_buf *buf = sealed(stage, stage->a, 9000);
    const struct tri_place place = *buf->place;
    arena_pin(stage->arena, stage->a, 0, place.slot);
    arena_pin(stage->arena, stage->b, 7, place.slot);
    tri_buf_release(&buf);
    cr_expect_eq(looked(stage, 0).gone_objects, 1);
    arena_unpin(stage->arena, stage->a, 0);
    cr_expect_eq(looked(stage, TRI_GONE_LOOK_MS).gone_objects, 1);
    arena_unpin(stage->arena, stage->b, 7);
    cr_expect_leq(tri_depot_next_ns(stage->store), stage->now_ns + TRI_GONE_LOOK_MS * MS);
    cr_expect_eq(looked(stage, TRI_GONE_LOOK_MS).gone_objects, 0);
    struct tri_buf *again = NULL;
    cr_expect_eq(say(stage, stage->a, place, &again), TRP_EPROTO, "it is over");
    struck(stage);
}

Test(depot, who_has_pinned_what_nobody_holds_may_hand_it_on)
{
    struct stage *stage = staged();
    struct tri_buf *buf = sealed(stage, stage->a, 9000), *again = NULL;
    const struct tri_place place = *buf->place;
    arena_pin(stage->arena, stage->b, 0, place.slot);
    tri_buf_release(&buf);
    cr_expect_eq(looked(stage, 0).gone_objects, 1);
    EXPECT(TRP_OK, say(stage, stage->b, place, &again));
    cr_expect_eq(tri_slot_state(&stage->arena->arena.words[place.slot]), TRI_SLOT_RESIDENT);
    arena_unpin(stage->arena, stage->b, 0);
    cr_expect_eq(looked(stage, 2 * TRI_GONE_LOOK_MS).objects, 1);
    tri_buf_release(&again);
    cr_expect_eq(looked(stage, 0).objects, 0);
    struck(stage);
}

Test(depot, a_slot_has_another_generation_at_each_lease)
{
    struct stage *stage = staged();
    struct tri_buf *buf = sealed(stage, stage->a, 9000), *again = NULL;
    const struct tri_place before = *buf->place;
    tri_buf_release(&buf);
    (void)looked(stage, 0);
    for (int i = 0; i < 100; i++) {
        const struct tri_lease got = lease(stage, stage->a, TRI_EXTENT_GRANULES / 64);
        for (uint32_t k = 0; k < got.slot_count; k++)
            if (stage->slots[k] == before.slot)
                i = 100;
    }
    cr_expect_gt(tri_slot_generation(&stage->arena->arena.words[before.slot]), before.generation);
    cr_expect_eq(say(stage, stage->a, before, &again), TRP_EPROTO);
    struck(stage);
}

Test(depot, what_is_given_back_must_be_on_lease)
{
    struct stage *stage = staged();
    const struct tri_lease other = lease(stage, stage->b, 10);
    const uint32_t others[] = {stage->slots[0]};
    const struct tri_lease got = lease(stage, stage->a, 10);
    const uint32_t twice[] = {stage->slots[0], stage->slots[0]}, unused[] = {UINT32_MAX};
    const struct {
        const char *what;
        struct tri_lease lease;
    } rows[] = {
        {"another's", {other.start, 1, NULL, 0}},
        {"more than it has", {got.start, got.count + 1, NULL, 0}},
        {"beyond the arena", {SIZE - 1, 2, NULL, 0}},
        {"where no memory is", {2 * TRI_EXTENT_GRANULES, 1, NULL, 0}},
        {"far beyond", {UINT32_MAX, 0, NULL, 0}},
        {"another's slot", {0, 0, others, 1}},
        {"no slot", {0, 0, unused, 1}},
        {"a slot twice", {0, 0, twice, 2}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_eq(tri_depot_given(stage->store, stage->a, &rows[i].lease, &stage->why), TRP_EPROTO, "%s",
                     rows[i].what);
        checked(stage);
    }
    const struct tri_lease middle = {got.start + 3, 4, NULL, 0};
    EXPECT(TRP_OK, tri_depot_given(stage->store, stage->a, &middle, &stage->why));
    cr_expect_eq(tri_depot_given(stage->store, stage->a, &middle, &stage->why), TRP_EPROTO, "twice");
    struck(stage);
}

Test(depot, who_asks_for_more_than_there_is_hears_so_at_once_and_nobody_asks_twice)
{
    struct stage *stage = staged();
    cr_expect_eq(tri_depot_ask(stage->store, stage->a, 0, TRI_NEVER, &stage->why), TRP_EPROTO);
    EXPECT(TRP_OK, tri_depot_ask(stage->store, stage->a, SIZE + 1, TRI_NEVER, &stage->why));
    cr_expect_eq(tri_depot_ask(stage->store, stage->a, 1, TRI_NEVER, &stage->why), TRP_EPROTO, "one at a time");
    cr_assert(next(stage));
    cr_expect_eq(stage->granted.err, TRP_ESTOREFULL);
    cr_expect_neq(strstr(stage->granted.error.message, "201326592"), NULL, "%s", stage->granted.error.message);
    EXPECT(TRP_OK, tri_depot_ask(stage->store, stage->a, UINT64_MAX, TRI_NEVER, &stage->why));
    cr_assert(next(stage));
    cr_expect_eq(stage->granted.err, TRP_ESTOREFULL);
    struck(stage);
}

Test(depot, those_who_wait_get_space_in_the_order_that_they_asked)
{
    struct stage *stage = staged();
    uint32_t c;
    EXPECT(TRP_OK, tri_depot_enter(stage->store, 103, 3, &c, &stage->why));
    struct tri_buf *large = sealed(stage, stage->a, (uint64_t)SIZE * TRI_GRANULE - 10 * TRI_GRANULE);
    EXPECT(TRP_OK, tri_depot_ask(stage->store, stage->b, 100, TRI_NEVER, &stage->why));
    EXPECT(TRP_OK, tri_depot_ask(stage->store, c, 1, TRI_NEVER, &stage->why));
    cr_expect_not(next(stage), "there is room for the second one, but it is not its turn");
    cr_expect_leq(tri_depot_next_ns(stage->store), stage->now_ns + TRI_SPACE_WAIT_MS * MS);
    tri_buf_release(&large);
    (void)looked(stage, 0);
    cr_assert(next(stage));
    cr_expect_eq(stage->granted.tenant, stage->b);
    cr_assert(next(stage));
    cr_expect_eq(stage->granted.tenant, c);
    cr_expect_not(next(stage));
    struck(stage);
}

Test(depot, who_waited_for_too_long_hears_the_numbers_and_the_next_one_has_its_turn)
{
    struct stage *stage = staged();
    struct tri_buf *large = sealed(stage, stage->a, (uint64_t)SIZE * TRI_GRANULE - 10 * TRI_GRANULE);
    uint32_t c;
    EXPECT(TRP_OK, tri_depot_enter(stage->store, 103, 3, &c, &stage->why));
    EXPECT(TRP_OK, tri_depot_ask(stage->store, stage->b, 100, stage->now_ns + 50 * MS, &stage->why));
    EXPECT(TRP_OK, tri_depot_ask(stage->store, c, 1, TRI_NEVER, &stage->why));
    cr_expect_not(next(stage));
    cr_expect_eq(tri_depot_next_ns(stage->store), stage->now_ns + 50 * MS);
    (void)looked(stage, 50);
    cr_assert(next(stage));
    cr_expect_eq(stage->granted.tenant, stage->b);
    cr_expect_eq(stage->granted.err, TRP_ESTOREFULL);
    cr_expect_neq(strstr(stage->granted.error.message, "409600 bytes in a row"), NULL, "%s",
                  stage->granted.error.message);
    cr_assert(next(stage));
    cr_expect_eq(stage->granted.tenant, c);
    cr_expect_eq(stage->granted.err, TRP_OK);
    tri_buf_release(&large);
    struck(stage);
}

Test(depot, idle_leases_are_asked_for_while_somebody_waits_from_each_once_until_it_answers)
{
    struct stage *stage = staged();
    const struct tri_lease idle = lease(stage, stage->a, SIZE - 10);
    const struct tri_lease nothing = {.count = 0};
    cr_expect_not(tri_depot_revokes(stage->store), "nobody waits");
    EXPECT(TRP_OK, tri_depot_ask(stage->store, stage->b, 100, TRI_NEVER, &stage->why));
    cr_expect_not(next(stage));
    cr_expect(tri_depot_revokes(stage->store));
    cr_expect(tri_depot_revoke(stage->store, stage->a));
    cr_expect_not(tri_depot_revoke(stage->store, stage->a), "it has not answered");
    cr_expect_not(tri_depot_revoke(stage->store, stage->b), "it has nothing");
    cr_expect_not(tri_depot_revokes(stage->store), "not again so soon");
    EXPECT(TRP_OK, tri_depot_given(stage->store, stage->a, &nothing, &stage->why));
    tri_depot_gave_all(stage->store, stage->a);
    (void)looked(stage, TRI_REVOKE_MS);
    EXPECT(TRP_OK, tri_depot_ask(stage->store, stage->a, 200, TRI_NEVER, &stage->why));
    cr_expect_not(next(stage));
    cr_expect(tri_depot_revokes(stage->store) && tri_depot_revoke(stage->store, stage->a));
    EXPECT(TRP_OK, tri_depot_given(stage->store, stage->a,
                                   &(struct tri_lease){.start = idle.start, .count = idle.count}, &stage->why));
    cr_assert(next(stage) && stage->granted.tenant == stage->b && stage->granted.err == TRP_OK);
    cr_assert(next(stage) && stage->granted.tenant == stage->a && stage->granted.err == TRP_OK);
    (void)looked(stage, TRI_REVOKE_MS);
    cr_expect_not(tri_depot_revokes(stage->store), "nobody waits any more");
    struck(stage);
}

Test(depot, space_that_is_wanted_is_taken_from_what_is_gone_as_soon_as_it_is_not_read_any_more)
{
    struct stage *stage = staged();
    struct tri_buf *large = sealed(stage, stage->a, (uint64_t)SIZE * TRI_GRANULE);
    const uint32_t slot = large->place->slot;
    arena_pin(stage->arena, stage->b, 0, slot);
    tri_buf_release(&large);
    cr_expect_eq(looked(stage, 0).gone_objects, 1);
    arena_unpin(stage->arena, stage->b, 0);
    EXPECT(TRP_OK, tri_depot_ask(stage->store, stage->b, 100, TRI_NEVER, &stage->why));
    cr_assert(next(stage), "without waiting for the next look");
    cr_expect_eq(stage->granted.err, TRP_OK);
    struck(stage);
}

Test(depot, of_a_process_that_ends_all_is_free_but_what_others_hold)
{
    struct stage *stage = staged();
    (void)lease(stage, stage->a, 5000);
    struct tri_buf *buf = sealed(stage, stage->a, 9000), *mine = sealed(stage, stage->b, 5000);
    arena_pin(stage->arena, stage->a, 0, buf->place->slot);
    arena_pin(stage->arena, stage->a, 1, mine->place->slot);
    EXPECT(TRP_OK, tri_depot_ask(stage->store, stage->a, SIZE, TRI_NEVER, &stage->why));
    tri_depot_depart(stage->store, stage->a);
    cr_expect_gt(looked(stage, 0).leased, 5000 * TRI_GRANULE, "it may write as long as it lives");
    cr_expect_eq(tri_depot_stat(stage->store).waiters, 0);
    tri_buf_release(&mine);
    cr_expect_eq(looked(stage, 0).gone_objects, 1, "and read");
    tri_depot_leave(stage->store, stage->a);
    checked(stage);
    cr_expect_eq(looked(stage, 0).gone_objects, 0);
    cr_expect_eq(tri_depot_stat(stage->store).objects, 1);
    cr_expect_eq(tri_depot_stat(stage->store).tenants, 1);
    tri_buf_release(&buf);
    (void)looked(stage, 0);
    uint32_t again;
    EXPECT(TRP_OK, tri_depot_enter(stage->store, 104, 4, &again, &stage->why));
    cr_expect_eq(again, stage->a, "its number is used again");
    struck(stage);
}

Test(depot, an_extent_of_which_nothing_is_taken_goes_back_after_a_while_and_a_service_keeps_one)
{
    for (int keeps = 0; keeps < 2; keeps++) {
        struct stage *stage = staged();
        stage->arena->arena.keeps_one = keeps;
        tri_depot_free(&stage->store);
        stage->arena->arena.fresh = false;
        EXPECT(TRP_OK, tri_depot_new(&stage->arena->arena, stage->now_ns, &stage->store, &stage->why));
        EXPECT(TRP_OK, tri_depot_enter(stage->store, 101, 1, &stage->a, &stage->why));
        struct tri_buf *buf = sealed(stage, stage->a, (uint64_t)2 * TRI_EXTENT_GRANULES * TRI_GRANULE);
        cr_expect_eq(stage->arena->backed, 2);
        tri_buf_release(&buf);
        cr_expect_eq(looked(stage, 0).taken, 0);
        cr_expect_eq(looked(stage, TRI_IDLE_EXTENT_S * 1000 - 1).backed,
                     (uint64_t)2 * TRI_EXTENT_GRANULES * TRI_GRANULE);
        cr_expect_eq(tri_depot_next_ns(stage->store), stage->now_ns + MS);
        (void)looked(stage, 1);
        cr_expect_eq(stage->arena->backed, (uint64_t)keeps);
        buf = sealed(stage, stage->a, 5000);
        cr_expect_eq(stage->arena->backed, 1);
        tri_buf_release(&buf);
        struck(stage);
    }
}

Test(depot, backs_an_extent_slice_by_slice_and_gives_up_with_who_wanted_it)
{
    struct stage *stage = staged();
    EXPECT(TRP_OK, tri_depot_ask(stage->store, stage->a, 1, TRI_NEVER, &stage->why));
    cr_expect_not(tri_depot_next(stage->store, stage->now_ns, &stage->granted));
    cr_expect_eq(tri_depot_next_ns(stage->store), 0, "it goes on at once");
    const uint64_t slice = stage->arena->backed_granules;
    cr_expect(slice > 0 && slice < TRI_EXTENT_GRANULES / 4);
    cr_expect_not(tri_depot_next(stage->store, stage->now_ns, &stage->granted));
    cr_expect_eq(stage->arena->backed_granules, 2 * slice);
    cr_expect_eq(tri_depot_stat(stage->store).backed, 0);
    tri_depot_depart(stage->store, stage->a);
    (void)looked(stage, 0);
    cr_expect_eq(stage->arena->backed_granules, 0, "nobody waits for it any more");
    (void)lease(stage, stage->b, 1);
    cr_expect_eq(stage->arena->backed_granules, TRI_EXTENT_GRANULES);
    struck(stage);
}

Test(depot, who_waits_for_memory_that_is_being_made_is_not_told_that_it_took_too_long)
{
    struct stage *stage = staged();
    EXPECT(TRP_OK, tri_depot_ask(stage->store, stage->a, 1, TRI_NEVER, &stage->why));
    while (!tri_depot_next(stage->store, stage->now_ns, &stage->granted))
        stage->now_ns += (TRI_SPACE_WAIT_MS - 1) * MS; /* a slow machine */
    cr_expect_eq(stage->granted.err, TRP_OK, "%s", stage->granted.error.message);
    EXPECT(TRP_OK, tri_depot_ask(stage->store, stage->b, 2 * TRI_EXTENT_GRANULES - 1, stage->now_ns + MS, &stage->why));
    cr_expect_not(tri_depot_next(stage->store, stage->now_ns, &stage->granted));
    stage->now_ns += 2 * MS;
    cr_assert(tri_depot_next(stage->store, stage->now_ns, &stage->granted), "its own deadline counts");
    cr_expect_eq(stage->granted.err, TRP_ESTOREFULL);
    struck(stage);
}

Test(depot, that_the_system_has_no_memory_for_is_full)
{
    struct stage *stage = staged();
    stage->arena->none_left_at = 1;
    (void)lease(stage, stage->a, 100);
    EXPECT(TRP_OK, tri_depot_ask(stage->store, stage->b, TRI_EXTENT_GRANULES, TRI_NEVER, &stage->why));
    cr_expect_not(next(stage));
    stage->now_ns += TRI_SPACE_WAIT_MS * MS;
    cr_assert(next(stage));
    cr_expect_eq(stage->granted.err, TRP_ESTOREFULL);
    cr_expect_neq(strstr(stage->granted.error.message, "the system has no memory"), NULL, "%s",
                  stage->granted.error.message);
    stage->arena->none_left_at = 0;
    EXPECT(TRP_OK, tri_depot_ask(stage->store, stage->b, TRI_EXTENT_GRANULES, TRI_NEVER, &stage->why));
    cr_assert(next(stage));
    cr_expect_eq(stage->granted.err, TRP_OK);
    struck(stage);
}

Test(depot, slots_that_all_are_in_use_are_waited_for_as_space_is)
{
    struct stage *stage = staged_with(1024 * TRI_OBJECT_GRANULES * 2);
    uint32_t leases = 0;
    struct tri_lease last = {0};
    do {
        EXPECT(TRP_OK, tri_depot_ask(stage->store, stage->a, 1, TRI_NEVER, &stage->why));
        if (!next(stage))
            break;
        last = stage->granted.lease;
        last.slots = stage->slots;
        leases++;
    } while (leases < 100000);
    cr_expect_lt(leases, 100000);
    const uint32_t slot = last.slots[0];
    const struct tri_lease given = {last.start, last.count, &slot, 1};
    EXPECT(TRP_OK, tri_depot_given(stage->store, stage->a, &given, &stage->why));
    cr_expect(next(stage));
    struck(stage);
}

/* ----------------------------------------------------------------------------------------------------------- recovery */

/* The broker dies: whatever it retained is forgotten with it. */
static void
broker_dies(struct stage *stage)
{
    tri_depot_free(&stage->store);
    stage->arena->arena.fresh = false;
    EXPECT(TRP_OK, tri_depot_new(&stage->arena->arena, stage->now_ns, &stage->store, &stage->why));
    checked(stage);
}

Test(depot, a_new_broker_finds_leases_objects_and_pins_as_they_were)
{
    struct stage *stage = staged();
    const struct tri_lease got = lease(stage, stage->a, 100);
    const uint32_t slot = got.slots[1];
    struct tri_buf *buf = sealed(stage, stage->b, 9000), *unsaid = NULL;
    const struct tri_place place = *buf->place;
    const struct tri_depot_stat before = tri_depot_stat(stage->store);
    broker_dies(stage);
    tri_buf_release(&buf); /* of the broker that is gone */
    uint32_t b;
    EXPECT(TRP_OK, tri_depot_enter(stage->store, 102, 2, &b, &stage->why));
    cr_expect_eq(b, stage->b, "it has the table of pins that it had");
    const struct tri_depot_stat after = tri_depot_stat(stage->store);
    cr_expect(before.leased == after.leased && before.sealed == after.sealed && before.backed == after.backed);
    EXPECT(TRP_OK, say(stage, stage->b, place, &buf));
    tri_depot_settle(stage->store);
    cr_expect_eq(looked(stage, 0).objects, 1, "somebody has said it again");
    EXPECT(TRP_OK, tri_depot_enter(stage->store, 101, 1, &stage->a, &stage->why));
    EXPECT(TRP_OK, say(stage, stage->a, arena_place(stage->arena, slot, got.start, 100), &unsaid));
    tri_buf_release(&buf);
    tri_buf_release(&unsaid);
    cr_expect_eq(looked(stage, 0).objects, 0);
    struck(stage);
}

Test(depot, what_nobody_says_to_a_new_broker_is_free_and_who_does_not_come_back_has_nothing)
{
    struct stage *stage = staged();
    (void)lease(stage, stage->a, 100);
    struct tri_buf *buf = sealed(stage, stage->b, 9000);
    broker_dies(stage);
    tri_buf_release(&buf);
    tri_depot_settle(stage->store);
    cr_expect_eq(looked(stage, 0).objects, 0);
    uint32_t tenant = 0, absent = 0;
    uint64_t space;
    int32_t pid;
    for (; tri_depot_absent(stage->store, &tenant, &space, &pid); tenant++) {
        absent++;
        cr_expect_eq(space, 100u + (uint32_t)pid);
        tri_depot_leave(stage->store, tenant);
    }
    cr_expect_eq(absent, 2);
    cr_expect_eq(looked(stage, 0).taken, 0);
    struck(stage);
}

Test(depot, an_object_with_a_name_outlives_its_broker)
{
    struct stage *stage = staged();
    struct tri_buf *buf = sealed(stage, stage->a, 9000), *other = sealed(stage, stage->a, 5000);
    cr_expect(tri_depot_name(stage->store, buf, (struct tri_id){7, 8}, 64));
    cr_expect(tri_depot_name(stage->store, buf, (struct tri_id){7, 8}, 64));
    cr_expect_not(tri_depot_name(stage->store, buf, (struct tri_id){7, 9}, 64), "another object of the same value");
    broker_dies(stage);
    tri_buf_release(&buf);
    tri_buf_release(&other);
    struct tri_found found;
    uint32_t slot = 0;
    cr_assert(tri_depot_found(stage->store, &slot, &found));
    cr_expect(tri_id_equal(found.id, (struct tri_id){7, 8}) && found.meta_size == 64 && found.buf->size == 9000);
    cr_expect_not(tri_depot_found(stage->store, &slot, &found));
    tri_depot_settle(stage->store);
    cr_expect_eq(looked(stage, 0).objects, 1);
    tri_buf_release(&found.buf);
    struck(stage);
}

Test(depot, a_register_that_stops_between_two_stores_is_right_either_way)
{
    struct stage *stage = staged();
    const struct tri_lease got = lease(stage, stage->a, 100);
    const uint32_t slot = got.slots[0];
    struct tri_register reg;
    tri_register_at(&reg, stage->arena->arena.reg, SIZE);
    reg.records[slot].start = got.start + 5; /* sealed, and its granules are on lease yet */
    reg.records[slot].size = 9000;
    reg.records[slot].use = TRI_SLOT_SEALED;
    tri_slot_mark(&stage->arena->arena.words[slot]);
    tri_depot_free(&stage->store);
    stage->arena->arena.fresh = false;
    EXPECT(TRP_OK, tri_depot_new(&stage->arena->arena, stage->now_ns, &stage->store, &stage->why));
    checked(stage);
    cr_expect_eq(tri_depot_stat(stage->store).sealed, 3 * TRI_GRANULE);
    cr_expect_eq(tri_depot_stat(stage->store).leased, (uint64_t)(got.count - 3) * TRI_GRANULE);
    struck(stage);
}
