/* test_stored.c - values that lie in the arena, as the core sees them: kept as long as somebody holds the object, whoever made them. */
#include "tests/core/arena.h"
#include "tests/core/fake.h"

enum { SIZE = TRI_EXTENT_GRANULES, BYTES = 200000 };

struct stage {
    struct arena *arena;
    struct fake *fake;
    uint32_t pins; /* entries that were used */
};

static struct fake *
a_broker(struct arena *arena, uint64_t incarnation, const struct tri_expected *expected, size_t count)
{
    const struct tri_core_config config = {
        .incarnation = incarnation, .node = "test", .num_cpus = 2, .arena = arena->arena};
    return fake_new(&config, expected, count);
}

static struct stage
staged(void)
{
    struct arena *arena = arena_new(SIZE);
    return (struct stage){.arena = arena, .fake = a_broker(arena, 1, NULL, 0)};
}

static void
struck(struct stage *stage)
{
    fake_free(stage->fake);
    arena_free(stage->arena);
}

static uint32_t
tenant_of(const struct stage *stage, tri_peer_index peer)
{
    return stage->fake->core->peers[peer]->tenant;
}

static struct tri_depot_stat
stat_of(const struct stage *stage)
{
    return tri_depot_stat(stage->fake->core->depot);
}

static const struct sent *
ask(struct stage *stage, tri_peer_index peer, uint64_t granules)
{
    fake_forget(stage->fake);
    cr_assert_eq(fake_send(stage->fake, peer, (struct tri_route){.kind = TRI_SPACE, .sequence = granules}, NULL, 0),
                 TRP_OK, "%s", stage->fake->error.message);
    for (int i = 0; i < 100 && tri_core_next_ns(stage->fake->core) == 0; i++)
        fake_tick(stage->fake, 0); /* memory comes slice by slice */
    return fake_last(stage->fake, peer, TRI_LEASE);
}

/* A place for an object of BYTES, pinned as its maker does. */
static struct tri_place
make(struct stage *stage, tri_peer_index peer)
{
    const struct sent *sent = ask(stage, peer, BYTES / TRI_GRANULE + 1);
    struct tri_lease lease;
    cr_assert_not_null(sent);
    cr_assert_eq(tri_lease_unpack(&sent->parcel->sections[0], &lease, NULL), TRP_OK);
    arena_pin(stage->arena, tenant_of(stage, peer), stage->pins++, lease.slots[0]);
    return arena_place(stage->arena, lease.slots[0], lease.start, BYTES);
}

/* Says an envelope of which one section is what lies there. */
static trp_err
say(struct stage *stage, tri_peer_index peer, struct tri_route route, const struct tri_place *place,
    const struct tri_ref_entry *refs, uint32_t ref_count)
{
    struct tri_buf *buf = NULL;
    struct tri_envelope envelope;
    struct fake *fake = stage->fake;
    const trp_err err = tri_core_open_place(fake->core, peer, place, &buf, &fake->error);
    fake_check(fake);
    if (err != TRP_OK)
        return err;
    const struct tri_section section = {
        .meta_size = 64, .size = place->size, .frame = buf, .refs = refs, .ref_count = ref_count};
    const size_t size = tri_envelope_size(&section, 1);
    uint8_t *bytes = aligned_alloc(8, size);
    const size_t written = tri_envelope_write(bytes, &route, &section, 1);
    cr_assert_eq(tri_envelope_check(bytes, written, &buf, 1, &envelope, &fake->error), TRP_OK, "%s",
                 fake->error.message);
    const trp_err said = tri_core_envelope(fake->core, peer, &envelope, fake->now_ns, &fake->error);
    free(bytes);
    tri_buf_release(&buf);
    fake_check(fake);
    tri_core_round(fake->core, fake->now_ns);
    fake_check(fake);
    return said;
}

static void
unpin_all(struct stage *stage, tri_peer_index peer)
{
    for (uint32_t i = 0; i < stage->pins; i++)
        arena_unpin(stage->arena, tenant_of(stage, peer), i);
}

#define PUT(id)    ((struct tri_route){.kind = TRI_PUT, .result = (id)})
#define RESULT(id) ((struct tri_route){.kind = TRI_RESULT, .result = (id)})

Test(stored, a_process_asks_for_space_once_at_a_time_and_only_where_there_is_an_arena)
{
    struct stage stage = staged();
    tri_peer_index driver = fake_driver(stage.fake), other = fake_driver(stage.fake);
    const struct sent *lease = ask(&stage, driver, 10);
    cr_assert_not_null(lease);
    cr_expect_not(lease->credited);
    cr_expect_eq(ask(&stage, driver, SIZE + 1)->parcel->route.flags, TRI_FAILED);
    const trp_error error = fake_error(fake_last(stage.fake, driver, TRI_LEASE));
    cr_expect_eq(error.code, TRP_ESTOREFULL);
    cr_expect_str_eq(error.node, "test");
    cr_expect_null(ask(&stage, driver, SIZE), "it waits: some is on lease");
    cr_expect_eq(fake_send(stage.fake, driver, (struct tri_route){.kind = TRI_SPACE, .sequence = 1}, NULL, 0),
                 TRP_EPROTO);
    cr_expect_eq(fake_send(stage.fake, other, (struct tri_route){.kind = TRI_SPACE}, NULL, 0), TRP_EPROTO);
    fake_tick(stage.fake, TRI_SPACE_WAIT_MS);
    cr_expect_eq(fake_last(stage.fake, driver, TRI_LEASE)->parcel->route.flags, TRI_FAILED);
    struck(&stage);
    struct fake *fake = fake_new(NULL, NULL, 0);
    driver = fake_driver(fake);
    cr_expect_eq(fake_send(fake, driver, (struct tri_route){.kind = TRI_SPACE, .sequence = 1}, NULL, 0), TRP_EPROTO);
    fake_free(fake);
}

Test(stored, a_value_in_the_arena_is_kept_by_nobody_else_and_is_gone_with_its_last_holder)
{
    struct stage stage = staged();
    const tri_peer_index driver = fake_driver(stage.fake);
    const struct tri_place place = make(&stage, driver);
    const struct tri_id id = fake_id(stage.fake, driver);
    cr_assert_eq(say(&stage, driver, PUT(id), &place, NULL, 0), TRP_OK, "%s", stage.fake->error.message);
    cr_expect(fake_names(stage.fake, driver, TRI_FREED, id), "it need not keep it");
    cr_expect_eq(stage.fake->core->peers[driver]->put_bytes, 0);
    unpin_all(&stage, driver);
    fake_tick(stage.fake, 2 * TRI_GONE_LOOK_MS);
    cr_expect_eq(stat_of(&stage).objects, 1);
    fake_forget(stage.fake);
    cr_assert_eq(fake_ids(stage.fake, driver, TRI_WAIT, 0, no_id, &id, 1), TRP_OK);
    const struct sent *result = fake_result(stage.fake, driver, id);
    cr_assert_not_null(result, "its holder gets it, without any process being asked");
    cr_expect_eq(fake_count(stage.fake, driver, TRI_FETCH), 0);
    const struct tri_place *told = tri_section_place(&result->parcel->sections[0]);
    cr_assert_not_null(told);
    cr_expect(told->slot == place.slot && told->start == place.start && told->size == place.size);
    fake_acknowledge(stage.fake, driver);
    fake_forget(stage.fake);
    cr_expect_eq(stat_of(&stage).objects, 1);
    cr_assert_eq(fake_release(stage.fake, driver, id, 1), TRP_OK);
    fake_tick(stage.fake, 0);
    cr_expect_eq(stat_of(&stage).sealed + stat_of(&stage).gone, 0);
    struck(&stage);
}

Test(stored, of_a_value_with_references_its_maker_keeps_what_it_names_and_the_broker_the_value)
{
    struct stage stage = staged();
    const tri_peer_index driver = fake_driver(stage.fake);
    const struct tri_id inner = fake_id(stage.fake, driver), outer = fake_id(stage.fake, driver);
    const struct tri_ref_entry refs[] = {{.id = inner, .place = TRI_NESTED}};
    cr_assert_eq(fake_put(stage.fake, driver, inner, 7, NULL, 0), TRP_OK);
    const struct tri_place place = make(&stage, driver);
    cr_assert_eq(say(&stage, driver, PUT(outer), &place, refs, 1), TRP_OK, "%s", stage.fake->error.message);
    cr_expect_not(fake_names(stage.fake, driver, TRI_FREED, outer), "a new broker hears of the references from it");
    cr_expect_eq(stage.fake->core->peers[driver]->put_bytes > 0, true);
    cr_expect_lt(stage.fake->core->peers[driver]->put_bytes, 4096, "it takes next to nothing of the window");
    fake_forget(stage.fake);
    cr_assert_eq(fake_release(stage.fake, driver, outer, 1), TRP_OK);
    fake_tick(stage.fake, 0);
    cr_expect(fake_names(stage.fake, driver, TRI_FREED, outer));
    cr_expect_eq(stat_of(&stage).objects, 0);
    struck(&stage);
}

Test(stored, a_result_goes_to_its_caller_as_its_place_and_stays_while_that_reads_it)
{
    struct stage stage = staged();
    const tri_peer_index driver = fake_driver(stage.fake);
    const struct tri_id id = fake_id(stage.fake, driver);
    cr_assert_eq(fake_task(stage.fake, driver, id, NULL, 0), TRP_OK);
    const tri_peer_index host = fake_host(stage.fake);
    fake_acknowledge(stage.fake, host);
    const struct tri_place place = make(&stage, host);
    cr_assert_eq(say(&stage, host, RESULT(id), &place, NULL, 0), TRP_OK, "%s", stage.fake->error.message);
    const struct sent *result = fake_result(stage.fake, driver, id);
    cr_assert_not_null(result);
    cr_assert_not_null(tri_section_place(&result->parcel->sections[0]));
    arena_pin(stage.arena, tenant_of(&stage, driver), 0, place.slot);
    fake_acknowledge(stage.fake, driver);
    cr_expect(fake_names(stage.fake, host, TRI_FREED, id));
    fake_forget(stage.fake); /* as the sessions do, of what is acknowledged */
    arena_unpin(stage.arena, tenant_of(&stage, host), 0);
    fake_tick(stage.fake, 0);
    unpin_all(&stage, driver);
    fake_tick(stage.fake, 2 * TRI_GONE_LOOK_MS);
    cr_expect_eq(stat_of(&stage).objects, 1, "its caller may read it later");
    const struct tri_id arg = fake_id(stage.fake, driver);
    cr_assert_eq(say(&stage, driver, PUT(arg), &place, NULL, 0), TRP_OK, "%s", stage.fake->error.message);
    cr_expect_eq(stat_of(&stage).objects, 1, "or say it under another name");
    cr_assert_eq(fake_release(stage.fake, driver, id, 1), TRP_OK);
    cr_expect_eq(stat_of(&stage).objects, 1);
    cr_assert_eq(fake_release(stage.fake, driver, arg, 1), TRP_OK);
    fake_tick(stage.fake, 0);
    cr_expect_eq(stat_of(&stage).objects + stat_of(&stage).gone_objects, 0);
    struck(&stage);
}

static const struct sent *
want(struct stage *stage, tri_peer_index peer, struct tri_id id)
{
    fake_forget(stage->fake);
    cr_assert_eq(fake_send(stage->fake, peer, (struct tri_route){.kind = TRI_WANT, .result = id}, NULL, 0), TRP_OK);
    return fake_last(stage->fake, peer, TRI_HERE);
}

Test(stored, who_does_not_find_a_value_where_it_lies_asks_and_is_answered)
{
    struct stage stage = staged();
    const tri_peer_index driver = fake_driver(stage.fake), other = fake_driver(stage.fake);
    const struct tri_id inner = fake_id(stage.fake, driver), id = fake_id(stage.fake, driver);
    const struct tri_ref_entry refs[] = {{.id = inner, .place = TRI_NESTED}};
    cr_assert_eq(fake_put(stage.fake, driver, inner, 7, NULL, 0), TRP_OK);
    const struct tri_place place = make(&stage, driver);
    cr_assert_eq(say(&stage, driver, PUT(id), &place, refs, 1), TRP_OK);
    const struct sent *here = want(&stage, driver, id);
    cr_assert_not_null(here);
    const struct tri_section *section = &here->parcel->sections[0];
    cr_assert_not_null(tri_section_place(section));
    cr_expect(section->ref_count == 0 && section->meta_size == 64, "it has what the value names");
    cr_expect(tri_section_place(section)->slot == place.slot && here->parcel->route.flags == 0);
    here = want(&stage, other, id);
    cr_assert_not_null(here, "it does not hold it");
    cr_expect_eq(here->parcel->route.flags, TRI_FAILED);
    cr_expect_eq(fake_error(here).code, TRP_EOBJLOST);
    cr_expect_eq(fake_send(stage.fake, driver, (struct tri_route){.kind = TRI_WANT}, NULL, 0), TRP_EPROTO);
    struck(&stage);
}

Test(stored, a_process_that_says_goodbye_leaves_nothing_and_one_that_does_not_is_awaited)
{
    struct stage stage = staged();
    const tri_peer_index polite = fake_driver(stage.fake), rude = fake_driver(stage.fake),
                         idle = fake_driver(stage.fake);
    const uint64_t space = tri_core_space(stage.fake->core, rude);
    (void)make(&stage, polite);
    (void)make(&stage, rude);
    const uint64_t leased = stat_of(&stage).leased;
    cr_assert_eq(fake_plain(stage.fake, polite, TRI_GOODBYE, no_id, no_id), TRP_OK);
    fake_gone(stage.fake, polite);
    cr_expect_eq(stat_of(&stage).leased, leased / 2);
    fake_gone(stage.fake, rude);
    fake_gone(stage.fake, idle);
    cr_expect_eq(stat_of(&stage).leased, leased / 2, "it may write for as long as it lives");
    cr_assert_eq(stage.arena->awaited_count, 1, "who has nothing is not waited for");
    cr_expect_eq(stage.arena->awaited[0], space);
    tri_core_space_ended(stage.fake->core, space, stage.fake->now_ns);
    tri_core_space_ended(stage.fake->core, space, stage.fake->now_ns);
    fake_check(stage.fake);
    cr_expect_eq(stat_of(&stage).taken, 0);
    cr_expect_eq(stat_of(&stage).tenants, 0);
    struck(&stage);
}

Test(stored, what_is_read_after_goodbye_stays_as_long_as_it_is_pinned)
{
    struct stage stage = staged();
    const tri_peer_index reader = fake_driver(stage.fake);
    const uint32_t tenant = tenant_of(&stage, reader);
    const uint64_t space = tri_core_space(stage.fake->core, reader);
    const struct tri_place place = make(&stage, reader);
    cr_assert_eq(say(&stage, reader, PUT(fake_id(stage.fake, reader)), &place, NULL, 0), TRP_OK);
    cr_assert_eq(fake_send(stage.fake, reader, (struct tri_route){.kind = TRI_GOODBYE, .flags = TRI_LENT}, NULL, 0),
                 TRP_OK);
    fake_gone(stage.fake, reader);
    fake_tick(stage.fake, 2 * TRI_GONE_LOOK_MS);
    cr_expect_eq(stat_of(&stage).gone_objects, 1, "it is nobody's, and is read");
    cr_expect_eq(stage.arena->awaited_count, 1);
    arena_unpin(stage.arena, tenant, 0);
    fake_tick(stage.fake, 2 * TRI_GONE_LOOK_MS);
    cr_expect_eq(stat_of(&stage).gone_objects, 0);
    cr_expect_eq(stat_of(&stage).objects, 0);
    tri_core_space_ended(stage.fake->core, space, stage.fake->now_ns);
    cr_expect_eq(stat_of(&stage).taken, 0);
    struck(&stage);
}

Test(stored, a_place_that_is_not_its_senders_is_refused)
{
    struct stage stage = staged();
    const tri_peer_index driver = fake_driver(stage.fake), other = fake_driver(stage.fake);
    const struct tri_place place = make(&stage, driver);
    cr_expect_eq(say(&stage, other, PUT(fake_id(stage.fake, other)), &place, NULL, 0), TRP_EPROTO);
    cr_expect_eq(say(&stage, 77, PUT(no_id), &place, NULL, 0), TRP_EPROTO, "of nobody");
    struck(&stage);
}

Test(stored, a_new_broker_has_what_processes_hold_and_frees_the_rest)
{
    struct stage stage = staged();
    const tri_peer_index driver = fake_driver(stage.fake);
    const uint64_t space = tri_core_space(stage.fake->core, driver);
    const struct tri_id held = fake_id(stage.fake, driver), dropped = fake_id(stage.fake, driver);
    const struct tri_place places[] = {make(&stage, driver), make(&stage, driver)};
    cr_assert_eq(say(&stage, driver, PUT(held), &places[0], NULL, 0), TRP_OK);
    cr_assert_eq(say(&stage, driver, PUT(dropped), &places[1], NULL, 0), TRP_OK);
    unpin_all(&stage, driver);
    const uint64_t leased = stat_of(&stage).leased;
    fake_free(stage.fake);
    stage.arena->arena.fresh = false;
    const struct tri_expected expected = {.space = space, .pid = 9};
    stage.fake = a_broker(stage.arena, 2, &expected, 1);
    fake_check(stage.fake);
    cr_expect_eq(stat_of(&stage).objects, 2);
    cr_expect_eq(stat_of(&stage).leased, leased);
    const tri_peer_index back = fake_login(stage.fake, TRI_DRIVER, 0, space);
    const struct tri_snap_hold hold = {.id = held, .handed = 1};
    const struct tri_snapshot snapshot = {.holds = &hold, .hold_count = 1};
    cr_assert_eq(tri_snapshot_pack(&stage.fake->packed, &snapshot, NULL), TRP_OK);
    cr_assert_eq(fake_send(stage.fake, back, (struct tri_route){.kind = TRI_SNAPSHOT, .flags = TRI_LAST},
                           &stage.fake->packed.section, 1),
                 TRP_OK, "%s", stage.fake->error.message);
    fake_tick(stage.fake, 10001);
    cr_expect_eq(stat_of(&stage).objects, 1, "what nobody reported is gone");
    cr_assert_eq(fake_ids(stage.fake, back, TRI_WAIT, 0, no_id, &held, 1), TRP_OK);
    const struct sent *result = fake_result(stage.fake, back, held);
    cr_assert_not_null(result);
    cr_assert_not_null(tri_section_place(&result->parcel->sections[0]));
    cr_expect_eq(result->parcel->sections[0].meta_size, 64);
    struck(&stage);
}

/* The first row of what it answers is node 1. */
static void
ask_for(struct stage *stage, tri_peer_index peer, const char *what, struct tri_view *view)
{
    const struct tri_id id = fake_id(stage->fake, peer);
    cr_assert_eq(tri_name_pack(&stage->fake->packed, what, "", NULL), TRP_OK);
    cr_assert_eq(fake_request(stage->fake, peer, TRI_QUERY, no_id, id, &stage->fake->packed.section), TRP_OK);
    cr_assert_eq(tri_view_open(view, &fake_result(stage->fake, peer, id)->parcel->sections[0], NULL), TRP_OK);
}

static trp_value
field(const struct tri_view *view, const char *key)
{
    const uint32_t node = tri_described(view, 1, key);
    cr_assert_neq(node, 0, "%s", key);
    return tri_view_value(view, node);
}

Test(stored, one_sees_where_objects_lie_and_how_full_the_arena_is)
{
    struct stage stage = staged();
    const tri_peer_index driver = fake_driver(stage.fake);
    const struct tri_place place = make(&stage, driver);
    struct tri_view view;
    cr_assert_eq(say(&stage, driver, PUT(fake_id(stage.fake, driver)), &place, NULL, 0), TRP_OK);
    ask_for(&stage, driver, "objects", &view);
    cr_expect_str_eq(trp_as_str(field(&view, "location")), "shared memory");
    cr_expect_eq(trp_as_i64(field(&view, "bytes")), BYTES);
    cr_expect_eq(trp_as_i64(field(&view, "pins")), 1);
    tri_view_close(&view);
    ask_for(&stage, driver, "store", &view);
    cr_expect_eq(trp_as_i64(field(&view, "limit")), (int64_t)SIZE * TRI_GRANULE);
    cr_expect_eq(trp_as_i64(field(&view, "sealed")), 49 * TRI_GRANULE);
    cr_expect_eq(trp_as_i64(field(&view, "objects")), 1);
    cr_expect_eq(trp_as_i64(field(&view, "pins")), 1);
    const int64_t free = trp_as_i64(field(&view, "free")), longest = trp_as_i64(field(&view, "longest_free"));
    cr_expect_eq(free, trp_as_i64(field(&view, "backed")) - trp_as_i64(field(&view, "taken")));
    cr_expect(longest > 0 && longest <= free);
    cr_expect_float_eq(trp_as_f64(field(&view, "fragmentation")), 1 - (double)longest / (double)free, 1e-9);
    tri_view_close(&view);
    struck(&stage);
}

/* ----------------------------------------------------------------------------------------------------------- spilled */

/* Where all that nobody needs in the arena leaves it at once. */
static struct stage
spilling(void)
{
    struct arena *arena = arena_new(SIZE);
    arena_can_spill(arena);
    arena->arena.spill_at = 1;
    return (struct stage){.arena = arena, .fake = a_broker(arena, 1, NULL, 0)};
}

static void
write_all(struct stage *stage)
{
    struct fake *fake = stage->fake;
    fake_tick(fake, TRI_GONE_LOOK_MS);
    while (stage->arena->batch_count > 0) {
        arena_finish_batch(stage->arena);
        tri_core_spilled(fake->core, TRP_OK, NULL, fake->now_ns);
        fake_check(fake);
        fake_tick(fake, 0);
    }
}

static void
read_all(struct stage *stage)
{
    struct fake *fake = stage->fake;
    while (stage->arena->read_count > 0) {
        struct tri_spill_piece piece;
        struct tri_id next;
        const trp_err err = arena_finish_read(stage->arena, &piece, &next, &fake->error);
        tri_core_restored(fake->core, piece.id, err, &fake->error, (struct tri_id){0, 0}, fake->now_ns);
        fake_check(fake);
        fake_tick(fake, 0);
    }
}

/* An object that a driver holds and that is on the disk. */
static struct tri_id
put_away(struct stage *stage, tri_peer_index driver, struct tri_place *place)
{
    const struct tri_id id = fake_id(stage->fake, driver);
    *place = make(stage, driver);
    cr_assert_eq(say(stage, driver, PUT(id), place, NULL, 0), TRP_OK);
    unpin_all(stage, driver);
    write_all(stage);
    cr_assert_eq(stat_of(stage).spilled_objects, 1);
    return id;
}

Test(stored, a_value_that_was_spilled_is_here_when_it_was_restored)
{
    struct stage stage = spilling();
    const tri_peer_index driver = fake_driver(stage.fake);
    struct tri_place place;
    const struct tri_id id = put_away(&stage, driver, &place);
    cr_expect_null(want(&stage, driver, id));
    cr_expect_eq(stage.arena->read_count, 1);
    read_all(&stage);
    const struct sent *here = fake_last(stage.fake, driver, TRI_HERE);
    cr_assert_not_null(here);
    cr_expect_eq(here->parcel->route.flags, 0);
    cr_assert_not_null(tri_section_place(&here->parcel->sections[0]));
    write_all(&stage);
    cr_expect_eq(stat_of(&stage).spilled_objects, 0, "as long as the packet is not acknowledged");
    fake_forget(stage.fake);
    write_all(&stage);
    cr_expect_eq(stat_of(&stage).spilled_objects, 1);
    struck(&stage);
}

Test(stored, a_call_waits_in_its_lane_until_its_argument_is_restored)
{
    struct stage stage = spilling();
    const tri_peer_index driver = fake_driver(stage.fake);
    tri_peer_index host;
    struct tri_place place;
    const struct tri_id actor = fake_actor(stage.fake, driver, "a", &host), id = put_away(&stage, driver, &place);
    const struct tri_id first = fake_id(stage.fake, driver), second = fake_id(stage.fake, driver);
    const struct tri_ref_entry refs[] = {{.id = id, .place = 0}};
    fake_forget(stage.fake);
    cr_assert_eq(fake_call(stage.fake, driver, actor, first, 1, refs, 1), TRP_OK);
    cr_assert_eq(fake_call(stage.fake, driver, actor, second, 2, NULL, 0), TRP_OK);
    fake_tick(stage.fake, 0);
    cr_expect_eq(fake_count(stage.fake, host, TRI_CALL), 0);
    read_all(&stage);
    cr_assert_eq(fake_count(stage.fake, host, TRI_CALL), 2);
    const struct sent *last = fake_last(stage.fake, host, TRI_CALL);
    cr_expect(tri_id_equal(last->parcel->route.result, second), "in order");
    struck(&stage);
}

Test(stored, a_task_waits_for_its_argument_and_one_without_goes_before_it)
{
    struct stage stage = spilling();
    const tri_peer_index driver = fake_driver(stage.fake);
    struct tri_place place;
    const struct tri_id id = put_away(&stage, driver, &place), warm = fake_id(stage.fake, driver);
    cr_assert_eq(fake_task(stage.fake, driver, warm, NULL, 0), TRP_OK);
    const tri_peer_index host = fake_host(stage.fake);
    cr_assert_eq(fake_return(stage.fake, host, warm, 1), TRP_OK);
    const struct tri_id first = fake_id(stage.fake, driver), second = fake_id(stage.fake, driver);
    const struct tri_ref_entry refs[] = {{.id = id, .place = 0}};
    fake_forget(stage.fake);
    cr_assert_eq(fake_task(stage.fake, driver, first, refs, 1), TRP_OK);
    cr_assert_eq(fake_task(stage.fake, driver, second, NULL, 0), TRP_OK);
    fake_tick(stage.fake, 0);
    cr_expect_eq(fake_count(stage.fake, host, TRI_CALL), 1);
    cr_assert_eq(fake_return(stage.fake, host, second, 1), TRP_OK);
    read_all(&stage);
    cr_expect_eq(fake_count(stage.fake, host, TRI_CALL), 2);
    cr_expect_eq(fake_last(stage.fake, host, TRI_CALL)->parcel->section_count, 2, "with its value behind it");
    struck(&stage);
}

Test(stored, an_object_whose_copy_is_damaged_is_lost_for_calls_and_for_who_wants_it)
{
    struct stage stage = spilling();
    const tri_peer_index driver = fake_driver(stage.fake);
    tri_peer_index host;
    struct tri_place place;
    const struct tri_id actor = fake_actor(stage.fake, driver, "a", &host), id = put_away(&stage, driver, &place);
    const struct tri_id called = fake_id(stage.fake, driver);
    const struct tri_ref_entry refs[] = {{.id = id, .place = 0}};
    arena_copy(stage.arena, tri_spilled_id(place.slot, place.generation))->damaged = true;
    cr_assert_eq(fake_call(stage.fake, driver, actor, called, 1, refs, 1), TRP_OK);
    fake_tick(stage.fake, 0);
    read_all(&stage);
    cr_expect_eq(fake_count(stage.fake, host, TRI_CALL), 0);
    const struct sent *result = fake_result(stage.fake, driver, called);
    cr_assert_not_null(result);
    cr_expect_eq(fake_error(result).code, TRP_EOBJLOST, "%s", fake_error(result).message);
    const struct sent *here = want(&stage, driver, id);
    cr_assert_not_null(here);
    cr_expect_eq(fake_error(here).code, TRP_EOBJLOST);
    cr_expect_not_null(strstr(fake_error(here).message, "damaged"), "%s", fake_error(here).message);
    cr_assert_eq(fake_release(stage.fake, driver, id, 1), TRP_OK);
    fake_tick(stage.fake, 0);
    cr_expect_eq(stage.arena->copy_count, 0);
    struck(&stage);
}

Test(stored, what_a_keeper_says_again_of_an_object_that_ended_under_the_broker_before_is_no_breach)
{
    struct stage stage = staged();
    const tri_peer_index driver = fake_driver(stage.fake), other = fake_driver(stage.fake);
    const uint64_t space = tri_core_space(stage.fake->core, driver);
    const struct tri_id inner = fake_id(stage.fake, driver), outer = fake_id(stage.fake, driver);
    const struct tri_ref_entry refs[] = {{.id = inner, .place = TRI_NESTED}};
    const struct tri_place place = make(&stage, driver);
    (void)other;
    cr_assert_eq(fake_put(stage.fake, driver, inner, 7, NULL, 0), TRP_OK);
    cr_assert_eq(say(&stage, driver, PUT(outer), &place, refs, 1), TRP_OK);
    unpin_all(&stage, driver);
    cr_assert_eq(fake_release(stage.fake, driver, outer, 1), TRP_OK);
    fake_tick(stage.fake, 0);
    cr_assert_eq(stat_of(&stage).objects, 0);
    fake_free(stage.fake); /* before its keeper has heard FREED */
    stage.arena->arena.fresh = false;
    const struct tri_expected expected = {.space = space, .pid = 9};
    stage.fake = a_broker(stage.arena, 2, &expected, 1);
    const tri_peer_index back = fake_login(stage.fake, TRI_DRIVER, 0, space);
    const struct tri_snap_hold hold = {.id = inner, .handed = 1};
    const struct tri_snapshot snapshot = {.holds = &hold, .hold_count = 1};
    cr_assert_eq(tri_snapshot_pack(&stage.fake->packed, &snapshot, NULL), TRP_OK);
    cr_assert_eq(fake_send(stage.fake, back, (struct tri_route){.kind = TRI_SNAPSHOT, .flags = TRI_LAST},
                           &stage.fake->packed.section, 1),
                 TRP_OK, "%s", stage.fake->error.message);
    cr_expect_eq(say(&stage, back, PUT(outer), &place, refs, 1), TRP_OK, "%s", stage.fake->error.message);
    cr_expect_eq(stat_of(&stage).objects, 0);
    const tri_peer_index stranger = fake_driver(stage.fake);
    cr_expect_eq(say(&stage, stranger, PUT(fake_id(stage.fake, stranger)), &place, NULL, 0), TRP_EPROTO);
    struck(&stage);
}
