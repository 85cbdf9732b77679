/* test_spill.c - objects that leave the arena for a while: which, how they come back, and what is left when a broker dies on the way. */
#include "tests/core/arena.h"

enum { SIZE = 4000, MARK = 3200, ITEM = 400, MS = 1000000, MANY = 64 };

/* An object that a test made: `buf` is the reference of its value, which is at rest. */
struct item {
    struct tri_buf *buf;
    struct tri_place place;
    uint64_t tag;
};

struct stage {
    struct arena *arena;
    struct tri_depot *store;
    uint32_t a;
    uint64_t now_ns, tags;
    struct tri_granted granted;
    struct tri_gathered gathered;
    struct item items[MANY];
    trp_error why;
};

#define EXPECT(wanted, call)                                                                                           \
    do {                                                                                                               \
        const trp_err got_ = (call);                                                                                   \
        cr_assert_eq(got_, (wanted), "%s: %d, %s", #call, (int)got_, got_ != TRP_OK ? stage->why.message : "ok");      \
    } while (0)

static bool
is_here(const struct item *item)
{
    return tri_depot_is_here(item->buf);
}

static void
checked(const struct stage *stage)
{
    const char *wrong = tri_depot_check(stage->store);
    cr_assert(wrong == NULL, "%s", wrong);
    for (int i = 0; i < MANY; i++) {
        const struct item *item = &stage->items[i];
        if (item->buf == NULL)
            continue;
        const struct copy *copy = arena_copy(stage->arena, tri_spilled_id(item->place.slot, item->place.generation));
        if (is_here(item))
            cr_assert(arena_has(stage->arena, item->buf->place->start, item->place.size, item->tag),
                      "object %d is not what it was", i);
        else
            cr_assert(tri_depot_lost(item->buf) != NULL || (copy != NULL && copy->tag == item->tag),
                      "object %d is nowhere", i);
    }
}

static struct stage *
staged(void)
{
    struct stage *stage = calloc(1, sizeof *stage);
    stage->arena = arena_new(SIZE);
    arena_can_spill(stage->arena);
    stage->now_ns = TRI_NS_PER_S;
    EXPECT(TRP_OK, tri_depot_new(&stage->arena->arena, stage->now_ns, &stage->store, &stage->why));
    EXPECT(TRP_OK, tri_depot_enter(stage->store, 101, 1, &stage->a, &stage->why));
    return stage;
}

static void
struck(struct stage *stage)
{
    checked(stage);
    tri_depot_free(&stage->store);
    for (int i = 0; i < MANY; i++)
        if (stage->items[i].buf != NULL)
            tri_buf_release(&stage->items[i].buf);
    arena_free(stage->arena);
    free(stage);
}

static void
look(struct stage *stage, uint64_t ms)
{
    stage->now_ns += ms * MS;
    tri_depot_look(stage->store, stage->now_ns);
    checked(stage);
}

static bool
next(struct stage *stage)
{
    bool any = tri_depot_next(stage->store, stage->now_ns, &stage->granted);
    for (int i = 0; !any && i < 1000 && stage->arena->batch_count == 0 && tri_depot_next_ns(stage->store) == 0; i++)
        any = tri_depot_next(stage->store, stage->now_ns, &stage->granted);
    checked(stage);
    return any;
}

static void
say_written(struct stage *stage)
{
    tri_depot_spilled(stage->store, TRP_OK, NULL, stage->now_ns);
    checked(stage);
}

static void
write_batch(struct stage *stage)
{
    arena_finish_batch(stage->arena);
    say_written(stage);
}

static void
fail_batch(struct stage *stage, trp_err err, const char *text)
{
    trp_error error;
    (void)TRI_FAIL(&error, err, "%s", text);
    arena_fail_batch(stage->arena);
    tri_depot_spilled(stage->store, err, &error, stage->now_ns);
    checked(stage);
}

static trp_err
read_one(struct stage *stage)
{
    struct tri_spill_piece piece;
    struct tri_id behind;
    trp_error error;
    const trp_err err = arena_finish_read(stage->arena, &piece, &behind, &error);
    tri_depot_restored(stage->store, piece.id, err, &error, behind, stage->now_ns);
    checked(stage);
    return err;
}

/* All that is to be written and read, is. */
static void
run(struct stage *stage)
{
    do {
        (void)next(stage);
        if (stage->arena->batch_count > 0)
            write_batch(stage);
        if (stage->arena->read_count > 0)
            (void)read_one(stage);
        look(stage, 0);
    } while (stage->arena->batch_count > 0 || stage->arena->read_count > 0);
}

/* An object of so many granules; its lease's rest goes back. */
static struct item *
put(struct stage *stage, int number, uint32_t granules)
{
    struct item *item = &stage->items[number];
    EXPECT(TRP_OK, tri_depot_ask(stage->store, stage->a, granules, TRI_NEVER, &stage->why));
    while (!next(stage)) {
        cr_assert_gt(stage->arena->batch_count, 0);
        write_batch(stage);
    }
    EXPECT(TRP_OK, stage->granted.err);
    const struct tri_lease got = stage->granted.lease;
    uint32_t slots[TRI_LEASE_SLOTS_MAX];
    memcpy(slots, got.slots, got.slot_count * sizeof *slots);
    item->place = arena_place(stage->arena, slots[0], got.start, (uint64_t)granules * TRI_GRANULE);
    item->tag = ++stage->tags;
    arena_write(stage->arena, got.start, item->place.size, item->tag);
    EXPECT(TRP_OK, tri_depot_open(stage->store, stage->a, &item->place, &item->buf, &stage->why));
    tri_depot_rest(item->buf, true);
    const struct tri_lease rest = {got.start + granules, got.count - granules, slots + 1, got.slot_count - 1};
    EXPECT(TRP_OK, tri_depot_given(stage->store, stage->a, &rest, &stage->why));
    checked(stage);
    return item;
}

static void
release(struct stage *stage, int number)
{
    tri_depot_rest(stage->items[number].buf, false);
    tri_buf_release(&stage->items[number].buf);
    look(stage, 0);
}

static struct tri_gather *
gather(struct stage *stage, int first, uint32_t count, bool steps_aside)
{
    struct tri_buf *bufs[MANY];
    struct tri_gather *made = NULL;
    for (uint32_t i = 0; i < count; i++)
        bufs[i] = stage->items[first + (int)i].buf;
    EXPECT(TRP_OK, tri_depot_gather(stage->store, bufs, count, TRI_NEVER, steps_aside, stage, &made, &stage->why));
    (void)next(stage);
    return made;
}

static bool
gathered(struct stage *stage)
{
    return tri_depot_gathered(stage->store, &stage->gathered);
}

/* Objects 0, 1, ...: as many as make it spill the first of them. */
static void
fill(struct stage *stage, int count)
{
    for (int i = 0; i < count; i++)
        (void)put(stage, i, ITEM);
    look(stage, 0);
}

Test(spill, nothing_is_before_so_much_is_taken)
{
    struct stage *stage = staged();
    fill(stage, MARK / ITEM);
    cr_expect_eq(stage->arena->batch_count, 0);
    cr_expect_eq(tri_depot_next_ns(stage->store) > stage->now_ns, true);
    struck(stage);
}

Test(spill, what_was_not_used_for_longest_goes_until_no_more_is_taken_than_shall_be)
{
    struct stage *stage = staged();
    fill(stage, MARK / ITEM);
    tri_depot_touch(stage->items[0].buf);
    (void)put(stage, 8, ITEM);
    look(stage, 0);
    cr_assert_eq(stage->arena->batch_count, 1);
    cr_expect(is_here(&stage->items[1]), "it can be read until it is written");
    cr_expect_eq(tri_depot_stat(stage->store).writing, 1);
    write_batch(stage);
    cr_expect(is_here(&stage->items[0]));
    cr_expect_not(is_here(&stage->items[1]));
    const struct tri_depot_stat stat = tri_depot_stat(stage->store);
    cr_expect_eq(stat.spilled, (uint64_t)ITEM * TRI_GRANULE);
    cr_expect_eq(stat.spilled_objects, 1);
    cr_expect_eq(stat.out_bytes, stat.spilled);
    cr_expect_eq(stat.taken, (uint64_t)MARK * TRI_GRANULE);
    look(stage, 5000);
    cr_expect_eq(stage->arena->batch_count, 0);
    struck(stage);
}

Test(spill, what_is_pinned_or_in_use_stays)
{
    struct stage *stage = staged();
    fill(stage, MARK / ITEM);
    arena_pin(stage->arena, stage->a, 0, stage->items[0].place.slot);
    struct tri_buf *used = tri_buf_retain(stage->items[1].buf);
    (void)put(stage, 8, ITEM);
    look(stage, 0);
    cr_assert_eq(stage->arena->batch_count, 1);
    cr_expect_eq(tri_spilled_slot(stage->arena->batch[0].id), stage->items[2].place.slot);
    write_batch(stage);
    tri_buf_release(&used);
    struck(stage);
}

Test(spill, what_is_pinned_used_or_let_go_of_while_it_is_written_does_not_go)
{
    for (int what = 0; what < 3; what++) {
        struct stage *stage = staged();
        struct tri_buf *used = NULL;
        fill(stage, 9);
        const struct item first = stage->items[0];
        cr_assert_eq(stage->arena->batch_count, 1);
        if (what == 0)
            arena_pin(stage->arena, stage->a, 0, first.place.slot);
        else if (what == 1)
            used = tri_buf_retain(first.buf);
        else
            release(stage, 0);
        cr_expect_eq(tri_depot_stat(stage->store).taken, (uint64_t)9 * ITEM * TRI_GRANULE, "nor is its memory free");
        write_batch(stage);
        look(stage, 0);
        if (what < 2)
            cr_expect(is_here(&stage->items[0]));
        else
            cr_expect_eq(tri_depot_stat(stage->store).taken, (uint64_t)8 * ITEM * TRI_GRANULE);
        cr_expect_null(arena_copy(stage->arena, tri_spilled_id(first.place.slot, first.place.generation)));
        if (used != NULL)
            tri_buf_release(&used);
        struck(stage);
    }
}

Test(spill, who_waits_for_a_long_run_gets_it_of_neighbours_and_no_more_goes_than_it_wants)
{
    struct stage *stage = staged();
    stage->arena->arena.spill_at = 0;
    for (int i = 0; i < 30; i++)
        (void)put(stage, i, 100);
    for (int i = 0; i < 30; i += 3)
        release(stage, i);
    (void)put(stage, 40, 900); /* the untouched end */
    const uint64_t before = tri_depot_stat(stage->store).out_bytes;
    (void)put(stage, 41, 600);
    cr_expect_leq(tri_depot_stat(stage->store).out_bytes - before, (uint64_t)600 * TRI_GRANULE);
    struck(stage);
}

Test(spill, what_is_wanted_comes_back_elsewhere_and_is_the_same)
{
    struct stage *stage = staged();
    fill(stage, 12);
    run(stage);
    cr_assert_not(is_here(&stage->items[0]));
    struct tri_gather *made = gather(stage, 0, 1, false);
    cr_expect_not(gathered(stage));
    cr_expect_not(is_here(&stage->items[0]), "before it is read");
    while (stage->arena->read_count == 0) {
        write_batch(stage);
        (void)next(stage);
    }
    EXPECT(TRP_OK, read_one(stage));
    cr_assert(gathered(stage));
    cr_expect_eq(stage->gathered.gather, made);
    cr_expect_eq(stage->gathered.err, TRP_OK);
    cr_expect(is_here(&stage->items[0]));
    cr_expect_null(
        arena_copy(stage->arena, tri_spilled_id(stage->items[0].place.slot, stage->items[0].place.generation)));
    for (int i = 12; i < 30; i++)
        (void)put(stage, i, ITEM);
    run(stage);
    cr_expect(is_here(&stage->items[0]), "as long as it is not let go of");
    tri_depot_let_go(stage->store, &made);
    for (int i = 30; i < 50; i++)
        (void)put(stage, i, ITEM);
    run(stage);
    cr_expect_not(is_here(&stage->items[0]));
    struck(stage);
}

Test(spill, objects_that_are_wanted_together_are_there_together)
{
    struct stage *stage = staged();
    fill(stage, 20);
    run(stage);
    struct tri_gather *made = gather(stage, 0, 9, true);
    run(stage);
    cr_assert(gathered(stage));
    cr_expect_eq(stage->gathered.err, TRP_OK, "%s", stage->gathered.error->message);
    for (int i = 0; i < 9; i++)
        cr_expect(is_here(&stage->items[i]), "%d", i);
    tri_depot_let_go(stage->store, &made);
    struct tri_buf *bufs[MANY];
    for (int i = 0; i < 11; i++)
        bufs[i] = stage->items[i].buf;
    EXPECT(TRP_ESTOREFULL, tri_depot_gather(stage->store, bufs, 11, TRI_NEVER, true, stage, &made, &stage->why));
    bufs[10] = bufs[0];
    EXPECT(TRP_OK, tri_depot_gather(stage->store, bufs, 11, TRI_NEVER, true, stage, &made, &stage->why));
    tri_depot_let_go(stage->store, &made);
    struck(stage);
}

Test(spill, two_who_want_more_together_than_there_is_get_it_one_after_the_other)
{
    struct stage *stage = staged();
    fill(stage, 20);
    run(stage);
    struct tri_gather *first = gather(stage, 0, 6, true), *second = gather(stage, 6, 6, true);
    run(stage);
    cr_assert(gathered(stage));
    cr_expect_eq(stage->gathered.gather, first);
    run(stage);
    cr_expect_not(gathered(stage));
    tri_depot_let_go(stage->store, &first);
    run(stage);
    look(stage, 1000);
    run(stage);
    cr_assert(gathered(stage));
    cr_expect_eq(stage->gathered.gather, second);
    cr_expect_eq(stage->gathered.err, TRP_OK);
    tri_depot_let_go(stage->store, &second);
    struck(stage);
}

Test(spill, a_damaged_object_is_lost_and_says_why_and_the_others_are_not)
{
    struct stage *stage = staged();
    fill(stage, 14);
    run(stage);
    arena_copy(stage->arena, tri_spilled_id(stage->items[0].place.slot, stage->items[0].place.generation))->damaged =
        true;
    struct tri_gather *made = gather(stage, 0, 2, false);
    run(stage);
    cr_assert(gathered(stage));
    cr_expect_eq(stage->gathered.err, TRP_EOBJLOST);
    cr_expect_neq(strstr(stage->gathered.error->message, "damaged"), NULL);
    cr_assert_not_null(tri_depot_lost(stage->items[0].buf));
    cr_expect_null(tri_depot_lost(stage->items[1].buf));
    tri_depot_let_go(stage->store, &made);
    made = gather(stage, 0, 1, false);
    run(stage);
    cr_assert(gathered(stage));
    cr_expect_eq(stage->gathered.err, TRP_EOBJLOST, "and it stays so");
    tri_depot_let_go(stage->store, &made);
    made = gather(stage, 1, 1, false);
    run(stage);
    cr_assert(gathered(stage));
    cr_expect_eq(stage->gathered.err, TRP_OK);
    tri_depot_let_go(stage->store, &made);
    release(stage, 0);
    cr_expect_eq(tri_depot_stat(stage->store).objects, 13);
    struck(stage);
}

/* SPACE of a second process, and its answer. */
static void
ask(struct stage *stage, uint32_t tenant, uint32_t granules)
{
    EXPECT(TRP_OK, tri_depot_ask(stage->store, tenant, granules, TRI_NEVER, &stage->why));
}

Test(spill, where_the_disk_is_full_who_waits_hears_so_in_turn_and_it_is_tried_again)
{
    struct stage *stage = staged();
    uint32_t b, c;
    EXPECT(TRP_OK, tri_depot_enter(stage->store, 102, 2, &b, &stage->why));
    EXPECT(TRP_OK, tri_depot_enter(stage->store, 103, 3, &c, &stage->why));
    fill(stage, 10);
    uint32_t tries = 0;
    while (stage->arena->batch_count > 1) {
        fail_batch(stage, TRP_EDISKFULL, "the budget of 7 bytes is used");
        look(stage, 0);
        cr_assert_lt(++tries, 10);
    }
    cr_assert_eq(stage->arena->batch_count, 1, "a part may fit");
    ask(stage, b, ITEM);
    ask(stage, c, ITEM);
    cr_expect_not(next(stage));
    fail_batch(stage, TRP_EDISKFULL, "the budget of 7 bytes is used");
    const uint32_t askers[] = {b, c};
    for (int i = 0; i < 2; i++) {
        cr_assert(next(stage));
        cr_expect_eq(stage->granted.tenant, askers[i]);
        cr_expect_eq(stage->granted.err, TRP_EDISKFULL);
        cr_expect_neq(strstr(stage->granted.error.message, "budget of 7 bytes"), NULL, "%s",
                      stage->granted.error.message);
    }
    look(stage, 999);
    cr_expect_eq(stage->arena->batch_count, 0);
    look(stage, 1);
    cr_expect_eq(stage->arena->batch_count, 1, "each second");
    write_batch(stage);
    ask(stage, b, ITEM);
    cr_assert(next(stage));
    cr_expect_eq(stage->granted.err, TRP_OK);
    struck(stage);
}

Test(spill, where_all_is_pinned_who_waits_hears_the_numbers_after_a_second)
{
    struct stage *stage = staged();
    fill(stage, 10);
    for (uint32_t i = 0; i < 10; i++)
        arena_pin(stage->arena, stage->a, i, stage->items[i].place.slot);
    if (stage->arena->batch_count > 0)
        write_batch(stage);
    cr_expect_eq(tri_depot_stat(stage->store).spilled_objects, 0);
    ask(stage, stage->a, ITEM);
    cr_expect_not(next(stage));
    look(stage, 2000);
    cr_assert(next(stage));
    cr_expect_eq(stage->granted.err, TRP_ESTOREFULL);
    cr_expect_neq(strstr(stage->granted.error.message, "16384000 pinned"), NULL, "%s", stage->granted.error.message);
    struck(stage);
}

Test(spill, who_has_no_deadline_waits_as_long_as_something_is_being_written)
{
    struct stage *stage = staged();
    fill(stage, 10);
    cr_assert_gt(stage->arena->batch_count, 0);
    ask(stage, stage->a, ITEM);
    cr_expect_not(next(stage));
    look(stage, 60000);
    cr_expect_not(next(stage));
    write_batch(stage);
    cr_assert(next(stage));
    cr_expect_eq(stage->granted.err, TRP_OK);
    struck(stage);
}

Test(spill, what_was_written_together_comes_back_together_where_there_is_room)
{
    struct stage *stage = staged();
    fill(stage, 16);
    run(stage);
    for (int i = 8; i < 16; i++)
        release(stage, i);
    int here = 0;
    for (int i = 0; i < 8; i++)
        here += is_here(&stage->items[i]);
    cr_assert_eq(here, 0);
    struct tri_gather *made = gather(stage, 0, 1, false);
    run(stage);
    cr_assert(gathered(stage));
    tri_depot_let_go(stage->store, &made);
    for (int i = 0; i < 8; i++)
        here += is_here(&stage->items[i]);
    cr_expect_eq(here, 1 + TRI_SPILL_AHEAD);
    struck(stage);
}

Test(spill, what_is_let_go_of_is_dropped_wherever_it_is)
{
    struct stage *stage = staged();
    fill(stage, 16);
    run(stage);
    const uint64_t copies = stage->arena->copy_count;
    release(stage, 0);
    cr_expect_eq(stage->arena->copy_count, copies - 1);
    struct tri_gather *made = gather(stage, 1, 1, false);
    while (stage->arena->batch_count > 0) {
        write_batch(stage);
        (void)next(stage);
    }
    cr_assert_eq(stage->arena->read_count, 1);
    tri_depot_let_go(stage->store, &made);
    release(stage, 1);
    (void)read_one(stage);
    look(stage, 0);
    for (int i = 2; i < 16; i++)
        release(stage, i);
    run(stage);
    look(stage, 1000);
    cr_expect_eq(stage->arena->copy_count, 0);
    cr_expect_eq(tri_depot_stat(stage->store).taken, 0);
    cr_expect_eq(tri_depot_stat(stage->store).spilled_objects, 0);
    struck(stage);
}

/* ------------------------------------------------------------------------------------------------- the death of a broker */

/* A new broker finds what the one before has left, and whoever held something says so. */
static void
die(struct stage *stage)
{
    struct tri_buf *before[MANY];
    trp_error why;
    for (int i = 0; i < MANY; i++)
        before[i] = stage->items[i].buf;
    tri_depot_free(&stage->store);
    for (int i = 0; i < MANY; i++)
        if (before[i] != NULL)
            tri_buf_release(&before[i]);
    arena_broker_died(stage->arena);
    EXPECT(TRP_OK, tri_depot_new(&stage->arena->arena, stage->now_ns, &stage->store, &why));
    arena_sweep(stage->arena);
    EXPECT(TRP_OK, tri_depot_enter(stage->store, 101, 1, &stage->a, &stage->why));
    for (int i = 0; i < MANY; i++) {
        struct item *item = &stage->items[i];
        if (item->buf == NULL)
            continue;
        EXPECT(TRP_OK, tri_depot_open(stage->store, stage->a, &item->place, &item->buf, &stage->why));
        tri_depot_rest(item->buf, true);
    }
    tri_depot_settle(stage->store);
    look(stage, 0);
}

Test(spill, a_broker_may_die_at_any_step_and_every_object_is_there)
{
    enum { ASKED, WRITTEN, TOLD, READING, READ, RESTORED, STEPS };
    for (int step = ASKED; step < STEPS; step++) {
        struct stage *stage = staged();
        struct tri_gather *made = NULL;
        struct tri_spill_piece piece;
        struct tri_id behind;
        fill(stage, 10);
        if (step == WRITTEN)
            arena_finish_batch(stage->arena);
        if (step >= TOLD)
            run(stage);
        if (step >= READING) {
            made = gather(stage, 0, 1, false);
            while (stage->arena->batch_count > 0) {
                write_batch(stage);
                (void)next(stage);
            }
            cr_assert_eq(stage->arena->read_count, 1);
        }
        if (step == READ)
            (void)arena_finish_read(stage->arena, &piece, &behind, &stage->why);
        if (step == RESTORED)
            (void)read_one(stage);
        tri_depot_let_go(stage->store, &made);
        die(stage);
        run(stage);
        struct tri_gather *all = gather(stage, 0, 8, false);
        run(stage);
        cr_assert(gathered(stage), "%d", step);
        cr_expect_eq(stage->gathered.err, TRP_OK, "%d: %s", step, stage->gathered.error->message);
        tri_depot_let_go(stage->store, &all);
        struck(stage);
    }
}

/* -------------------------------------------------------------------------------------------------------------- a mix */

struct mix {
    uint64_t random;
    struct tri_gather *gathers[8];
    bool pinned[MANY];
    uint64_t came, spilled;
};

static uint32_t
roll(struct mix *mix, uint32_t sides)
{
    mix->random = mix->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(mix->random >> 33) % sides;
}

static void
toggle_pin(struct stage *stage, struct mix *mix, int i)
{
    const struct item *item = &stage->items[i];
    if (mix->pinned[i])
        arena_unpin(stage->arena, stage->a, (uint32_t)i);
    else if (tri_slot_state(&stage->arena->arena.words[item->place.slot]) == TRI_SLOT_RESIDENT)
        arena_pin(stage->arena, stage->a, (uint32_t)i, item->place.slot);
    else
        return;
    mix->pinned[i] = !mix->pinned[i];
}

static void
mixed_gather(struct stage *stage, struct mix *mix)
{
    struct tri_gather **slot = &mix->gathers[roll(mix, 8)];
    struct tri_buf *bufs[3];
    const uint32_t count = 1 + roll(mix, 3);
    if (*slot != NULL) {
        tri_depot_let_go(stage->store, slot);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        bufs[i] = stage->items[roll(mix, MANY)].buf;
        if (bufs[i] == NULL)
            return;
    }
    EXPECT(TRP_OK, tri_depot_gather(stage->store, bufs, count, TRI_NEVER, roll(mix, 2) == 0, stage, slot, &stage->why));
}

static void
mixed_put(struct stage *stage, struct mix *mix, int i)
{
    static const uint32_t sizes[] = {26, 60, 200, 450, 900};
    struct item *item = &stage->items[i];
    const uint32_t granules = sizes[roll(mix, 5)];
    if (tri_depot_ask(stage->store, stage->a, granules, stage->now_ns + 1, &stage->why) != TRP_OK)
        return;
    if (!next(stage)) {
        stage->now_ns += 1;
        cr_assert(next(stage));
    }
    if (stage->granted.err != TRP_OK)
        return;
    uint32_t slots[TRI_LEASE_SLOTS_MAX];
    const struct tri_lease got = stage->granted.lease;
    memcpy(slots, got.slots, got.slot_count * sizeof *slots);
    item->place = arena_place(stage->arena, slots[0], got.start, (uint64_t)granules * TRI_GRANULE - roll(mix, 4096));
    item->tag = ++stage->tags;
    arena_write(stage->arena, got.start, item->place.size, item->tag);
    EXPECT(TRP_OK, tri_depot_open(stage->store, stage->a, &item->place, &item->buf, &stage->why));
    tri_depot_rest(item->buf, true);
    const struct tri_lease rest = {got.start + granules, got.count - granules, slots + 1, got.slot_count - 1};
    EXPECT(TRP_OK, tri_depot_given(stage->store, stage->a, &rest, &stage->why));
}

static void
mixed_step(struct stage *stage, struct mix *mix)
{
    const int i = (int)roll(mix, MANY);
    switch (roll(mix, 16)) {
    case 0:
        if (stage->arena->batch_count > 0)
            fail_batch(stage, roll(mix, 2) == 0 ? TRP_EDISKFULL : TRP_EUNAVAILABLE, "it does not work");
        break;
    case 1:
    case 2:
    case 3:
        if (stage->arena->batch_count > 0)
            write_batch(stage);
        break;
    case 4:
    case 5:
        if (stage->arena->read_count > 0)
            (void)read_one(stage);
        break;
    case 6:
        if (stage->items[i].buf != NULL) {
            if (mix->pinned[i])
                toggle_pin(stage, mix, i);
            release(stage, i);
        }
        break;
    case 7:
    case 8:
        if (stage->items[i].buf != NULL)
            toggle_pin(stage, mix, i);
        break;
    case 9:
    case 10:
        mixed_gather(stage, mix);
        break;
    case 11:
        look(stage, roll(mix, 400));
        break;
    case 12:
        if (roll(mix, 8) == 0) {
            for (int g = 0; g < 8; g++)
                tri_depot_let_go(stage->store, &mix->gathers[g]);
            die(stage);
        }
        break;
    default:
        if (stage->items[i].buf == NULL && !mix->pinned[i])
            mixed_put(stage, mix, i);
    }
    (void)next(stage);
    cr_assert(stage->arena->batch_count > 0 || tri_depot_stat(stage->store).writing == 0);
    while (gathered(stage))
        mix->came += stage->gathered.err == TRP_OK;
    mix->spilled += stage->arena->batch_count;
    checked(stage);
}

Test(spill, whatever_happens_each_object_that_is_held_is_here_or_on_the_disk)
{
    uint64_t came = 0, spilled = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct stage *stage = staged();
        struct mix mix = {.random = seed};
        for (int i = 0; i < 1500; i++)
            mixed_step(stage, &mix);
        came += mix.came;
        spilled += mix.spilled;
        for (int g = 0; g < 8; g++)
            tri_depot_let_go(stage->store, &mix.gathers[g]);
        for (int i = 0; i < MANY; i++) {
            if (mix.pinned[i])
                toggle_pin(stage, &mix, i);
            if (stage->items[i].buf != NULL)
                release(stage, i);
        }
        run(stage);
        look(stage, 2000);
        run(stage);
        cr_assert_eq(tri_depot_stat(stage->store).taken, 0, "seed %llu", (unsigned long long)seed);
        cr_assert_eq(stage->arena->copy_count, 0, "seed %llu", (unsigned long long)seed);
        struck(stage);
    }
    cr_expect_gt(came, 1000);
    cr_expect_gt(spilled, 1000);
}
