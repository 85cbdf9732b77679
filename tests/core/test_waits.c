/*
 * test_waits.c - executions that wait: CPUs lent, tasks in place, waits that can never end.
 */
#include "tests/core/fake.h"

/* What every test begins with. */
static struct fake *fake;
static tri_peer_index driver;

static void
begin(void)
{
    fake = fake_new(NULL, NULL, 0);
    driver = fake_driver(fake);
}

/* Not by .fini, whose failures Criterion does not count. */
#define WAITS_TEST(name)                                                                                               \
    static void name(void);                                                                                            \
    Test(waits, name)                                                                                                  \
    {                                                                                                                  \
        begin();                                                                                                       \
        name();                                                                                                        \
        fake_free(fake);                                                                                               \
    }                                                                                                                  \
    static void name(void)

/* A call by the driver or a host, number `sequence` in its lane; its result. */
static struct tri_id
call(tri_peer_index peer, struct tri_id actor, uint64_t sequence)
{
    struct tri_id result = fake_id(fake, peer);
    trp_err err = fake_call(fake, peer, actor, result, sequence, NULL, 0);
    cr_assert_eq(err, TRP_OK, "%s", fake->error.message);
    return result;
}

static void
wait_for(tri_peer_index host, struct tri_id execution, struct tri_id result)
{
    fake_ids(fake, host, TRI_BLOCKED, 0, execution, &result, 1);
}

WAITS_TEST(a_circle_of_two_actors_is_refused_with_the_chain)
{
    tri_peer_index one, two;
    struct tri_id a = fake_actor(fake, driver, "ping", &one), b = fake_actor(fake, driver, "pong", &two);
    struct tri_id first = call(driver, a, 1);
    struct tri_id second = call(one, b, 1);
    wait_for(one, first, second);
    cr_assert_eq(fake_count(fake, one, TRI_DEADLOCK), 0);
    struct tri_id third = call(two, a, 1);
    wait_for(two, second, third);
    const struct sent *sent = fake_last(fake, two, TRI_DEADLOCK);
    cr_assert_not_null(sent);
    cr_assert(tri_id_equal(sent->parcel->route.parent, second));
    trp_error error = fake_error(sent);
    cr_assert_eq(error.code, TRP_EDEADLOCK);
    cr_assert_not_null(strstr(error.message, "actor 'pong' waits for result"), "%s", error.message);
    cr_assert_not_null(strstr(error.message, "queue of actor 'ping'"), "%s", error.message);
}

WAITS_TEST(an_actor_that_waits_for_itself_is_refused)
{
    tri_peer_index host;
    struct tri_id actor = fake_actor(fake, driver, "self", &host);
    struct tri_id first = call(driver, actor, 1);
    struct tri_id second = call(host, actor, 1);
    wait_for(host, first, second);
    cr_assert_eq(fake_count(fake, host, TRI_DEADLOCK), 1);
}

WAITS_TEST(an_actor_may_wait_for_itself_while_its_class_leaves_it_a_turn)
{
    tri_peer_index host;
    struct tri_id actor = fake_actor_of(fake, driver, "pair", 2, &host);
    struct tri_id first = call(driver, actor, 1);
    struct tri_id second = call(host, actor, 1);
    wait_for(host, first, second);
    cr_assert_eq(fake_count(fake, host, TRI_DEADLOCK), 0);
    struct tri_id third = call(host, actor, 2);
    wait_for(host, second, third); /* that was the last one */
    cr_assert_eq(fake_count(fake, host, TRI_DEADLOCK), 1);
}

WAITS_TEST(a_constructor_is_the_only_one_however_many_calls_its_actor_will_run)
{
    tri_peer_index host;
    struct tri_id actor = fake_id(fake, driver);
    struct tri_spawn body = fake_spawn_body("pair");
    body.max_concurrency = 2;
    fake_spawn(fake, driver, actor, fake_id(fake, driver), &body);
    host = fake_host(fake);
    fake_acknowledge(fake, host);
    struct tri_id call = fake_id(fake, host);
    fake_call(fake, host, actor, call, 1, NULL, 0);
    wait_for(host, actor, call);
    cr_assert_eq(fake_count(fake, host, TRI_DEADLOCK), 1);
}

WAITS_TEST(the_cpu_of_an_actor_is_lent_when_all_its_turns_wait)
{
    tri_peer_index host;
    struct tri_core_counts counts;
    struct tri_id actor = fake_id(fake, driver), first = fake_id(fake, driver), second = fake_id(fake, driver);
    struct tri_id value = fake_id(fake, driver);
    struct tri_spawn body = fake_spawn_body("pair");
    body.num_cpus = 1;
    fake_spawn(fake, driver, actor, fake_id(fake, driver), &body);
    host = fake_host(fake);
    fake_acknowledge(fake, host);
    fake_send(fake, host, (struct tri_route){.kind = TRI_READY, .target = actor, .sequence = 2}, NULL, 0);
    fake_call(fake, driver, actor, first, 1, NULL, 0);
    fake_call(fake, driver, actor, second, 2, NULL, 0);
    wait_for(host, first, value);
    tri_core_count(fake->core, &counts);
    cr_assert_eq(counts.cpus_used, 1);
    wait_for(host, second, value);
    tri_core_count(fake->core, &counts);
    cr_assert_eq(counts.cpus_used, 0);
    fake_plain(fake, host, TRI_UNBLOCKED, no_id, first);
    tri_core_count(fake->core, &counts);
    cr_assert_eq(counts.cpus_used, 1);
}

WAITS_TEST(any_of_several_is_no_deadlock_while_one_can_come)
{
    tri_peer_index host, other;
    struct tri_id actor = fake_actor(fake, driver, "a", &host), free_one = fake_actor(fake, driver, "b", &other);
    struct tri_id first = call(driver, actor, 1);
    struct tri_id waits[2] = {call(host, actor, 1), call(host, free_one, 1)};
    fake_ids(fake, host, TRI_BLOCKED, TRI_ANY, first, waits, 2);
    cr_assert_eq(fake_count(fake, host, TRI_DEADLOCK), 0);
    fake_plain(fake, host, TRI_UNBLOCKED, no_id, first);
    fake_ids(fake, host, TRI_BLOCKED, 0, first, waits, 2);
    cr_assert_eq(fake_count(fake, host, TRI_DEADLOCK), 1);
}

WAITS_TEST(a_deadlock_through_an_argument_is_found)
{
    tri_peer_index one, two;
    struct tri_id a = fake_actor(fake, driver, "a", &one), b = fake_actor(fake, driver, "b", &two);
    struct tri_id first = call(driver, a, 1);
    struct tri_ref_entry own = {.id = first, .place = 0};
    struct tri_id dependent = fake_id(fake, one);
    fake_call(fake, one, b, dependent, 1, &own, 1);
    wait_for(one, first, dependent);
    cr_assert_eq(fake_count(fake, one, TRI_DEADLOCK), 1);
}

/* One CPU, two hosts at most: at the bound a host that waits runs what it waits for. */
WAITS_TEST(at_the_bound_a_queued_task_runs_in_place)
{
    struct tri_core_config config = {
        .incarnation = 1, .node = "test", .num_cpus = 1, .limits = {.waiting_hosts_per_cpu = 2}};
    fake_free(fake);
    fake = fake_new(&config, NULL, 0);
    driver = fake_driver(fake);
    struct tri_id outer = fake_id(fake, driver);
    fake_task(fake, driver, outer, NULL, 0);
    tri_peer_index one = fake_host(fake);
    struct tri_id middle = fake_id(fake, one);
    fake_task(fake, one, middle, NULL, 0);
    struct tri_core_counts counts;
    tri_core_count(fake->core, &counts);
    cr_assert_float_eq(counts.cpus_used, 1, 1e-9);
    wait_for(one, outer, middle);
    tri_core_count(fake->core, &counts);
    cr_assert_float_eq(counts.cpus_used, 0, 1e-9, "lent");
    cr_assert_eq(fake->fork_count, 2);
    tri_peer_index two = fake_host(fake);
    struct tri_id inner = fake_id(fake, two);
    fake_task(fake, two, inner, NULL, 0);
    wait_for(two, middle, inner);
    cr_assert_eq(fake->fork_count, 2, "no more hosts");
    const struct sent *sent = fake_last(fake, two, TRI_CALL);
    cr_assert(tri_id_equal(sent->parcel->route.result, inner));
    cr_assert_neq(sent->parcel->route.flags & TRI_IN_PLACE, 0);
    cr_assert_eq(fake_return(fake, two, inner, 3), TRP_OK);
    fake_plain(fake, two, TRI_UNBLOCKED, no_id, middle);
    tri_core_count(fake->core, &counts);
    cr_assert_float_eq(counts.cpus_used, 1, 1e-9);
    fake_return(fake, two, middle, 2);
    fake_plain(fake, one, TRI_UNBLOCKED, no_id, outer);
    fake_return(fake, one, outer, 1);
    cr_assert_eq(fake_number(fake_result(fake, driver, outer)), 1);
    tri_core_count(fake->core, &counts);
    cr_assert_float_eq(counts.cpus_used, 0, 1e-9);
}
