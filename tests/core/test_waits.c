/*
 * test_waits.c - executions that wait: CPUs lent, tasks in place, waits that can never end.
 */
#include "tests/core/fake.h"

static struct tri_id
nested_call(struct fake *fake, tri_peer_index host, struct tri_id actor, struct tri_id parent, uint64_t sequence)
{
    struct tri_id result = fake_id(fake, host);
    (void)parent;
    trp_err err = fake_call(fake, host, actor, result, sequence, NULL, 0);
    cr_assert_eq(err, TRP_OK, "%s", fake->error.message);
    return result;
}

Test(waits, a_circle_of_two_actors_is_refused_with_the_chain)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), one, two;
    struct tri_id a = fake_actor(fake, driver, "ping", &one), b = fake_actor(fake, driver, "pong", &two);
    struct tri_id first = fake_id(fake, driver);
    fake_call(fake, driver, a, first, 1, NULL, 0);
    struct tri_id second = nested_call(fake, one, b, first, 1);
    fake_ids(fake, one, TRI_BLOCKED, 0, first, &second, 1);
    cr_assert_eq(fake_count(fake, one, TRI_DEADLOCK), 0);
    struct tri_id third = nested_call(fake, two, a, second, 1);
    fake_ids(fake, two, TRI_BLOCKED, 0, second, &third, 1);
    const struct sent *sent = fake_last(fake, two, TRI_DEADLOCK);
    cr_assert_not_null(sent);
    cr_assert(tri_id_equal(sent->parcel->route.parent, second));
    trp_error error = fake_error(sent);
    cr_assert_eq(error.code, TRP_EDEADLOCK);
    cr_assert_not_null(strstr(error.message, "actor 'pong' waits for result"), "%s", error.message);
    cr_assert_not_null(strstr(error.message, "queue of actor 'ping'"), "%s", error.message);
    fake_free(fake);
}

Test(waits, an_actor_that_waits_for_itself_is_refused)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "self", &host), first = fake_id(fake, driver);
    fake_call(fake, driver, actor, first, 1, NULL, 0);
    struct tri_id second = nested_call(fake, host, actor, first, 1);
    fake_ids(fake, host, TRI_BLOCKED, 0, first, &second, 1);
    cr_assert_eq(fake_count(fake, host, TRI_DEADLOCK), 1);
    fake_free(fake);
}

Test(waits, an_actor_may_wait_for_itself_while_its_class_leaves_it_a_turn)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor_of(fake, driver, "pair", 2, &host), first = fake_id(fake, driver);
    fake_call(fake, driver, actor, first, 1, NULL, 0);
    struct tri_id second = nested_call(fake, host, actor, first, 1);
    fake_ids(fake, host, TRI_BLOCKED, 0, first, &second, 1);
    cr_assert_eq(fake_count(fake, host, TRI_DEADLOCK), 0);
    struct tri_id third = nested_call(fake, host, actor, second, 2);
    fake_ids(fake, host, TRI_BLOCKED, 0, second, &third, 1); /* that was the last one */
    cr_assert_eq(fake_count(fake, host, TRI_DEADLOCK), 1);
    fake_free(fake);
}

Test(waits, a_constructor_is_the_only_one_however_many_calls_its_actor_will_run)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_id(fake, driver);
    struct tri_spawn body = fake_spawn_body("pair");
    body.max_concurrency = 2;
    fake_spawn(fake, driver, actor, fake_id(fake, driver), &body);
    host = fake_host(fake);
    fake_acknowledge(fake, host);
    struct tri_id call = fake_id(fake, host);
    fake_call(fake, host, actor, call, 1, NULL, 0);
    fake_ids(fake, host, TRI_BLOCKED, 0, actor, &call, 1);
    cr_assert_eq(fake_count(fake, host, TRI_DEADLOCK), 1);
    fake_free(fake);
}

Test(waits, the_cpu_of_an_actor_is_lent_when_all_its_turns_wait)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
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
    fake_ids(fake, host, TRI_BLOCKED, 0, first, &value, 1);
    tri_core_count(fake->core, &counts);
    cr_assert_eq(counts.cpus_used, 1);
    fake_ids(fake, host, TRI_BLOCKED, 0, second, &value, 1);
    tri_core_count(fake->core, &counts);
    cr_assert_eq(counts.cpus_used, 0);
    fake_plain(fake, host, TRI_UNBLOCKED, no_id, first);
    tri_core_count(fake->core, &counts);
    cr_assert_eq(counts.cpus_used, 1);
    fake_free(fake);
}

Test(waits, any_of_several_is_no_deadlock_while_one_can_come)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host, other;
    struct tri_id actor = fake_actor(fake, driver, "a", &host), free_one = fake_actor(fake, driver, "b", &other);
    struct tri_id first = fake_id(fake, driver);
    fake_call(fake, driver, actor, first, 1, NULL, 0);
    struct tri_id waits[2] = {nested_call(fake, host, actor, first, 1), nested_call(fake, host, free_one, first, 1)};
    fake_ids(fake, host, TRI_BLOCKED, TRI_ANY, first, waits, 2);
    cr_assert_eq(fake_count(fake, host, TRI_DEADLOCK), 0);
    fake_plain(fake, host, TRI_UNBLOCKED, no_id, first);
    fake_ids(fake, host, TRI_BLOCKED, 0, first, waits, 2);
    cr_assert_eq(fake_count(fake, host, TRI_DEADLOCK), 1);
    fake_free(fake);
}

Test(waits, a_deadlock_through_an_argument_is_found)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), one, two;
    struct tri_id a = fake_actor(fake, driver, "a", &one), b = fake_actor(fake, driver, "b", &two);
    struct tri_id first = fake_id(fake, driver);
    fake_call(fake, driver, a, first, 1, NULL, 0);
    struct tri_ref_entry own = {.id = first, .place = 0};
    struct tri_id dependent = fake_id(fake, one);
    fake_call(fake, one, b, dependent, 1, &own, 1);
    fake_ids(fake, one, TRI_BLOCKED, 0, first, &dependent, 1);
    cr_assert_eq(fake_count(fake, one, TRI_DEADLOCK), 1);
    fake_free(fake);
}

/* One CPU, two hosts at most: at the bound a host that waits runs what it waits for. */
Test(waits, at_the_bound_a_queued_task_runs_in_place)
{
    struct tri_core_config config = {
        .incarnation = 1, .node = "test", .num_cpus = 1, .limits = {.waiting_hosts_per_cpu = 2}};
    struct fake *fake = fake_new(&config, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    struct tri_id outer = fake_id(fake, driver);
    fake_task(fake, driver, outer, NULL, 0);
    tri_peer_index one = fake_host(fake);
    struct tri_id middle = fake_id(fake, one);
    fake_task(fake, one, middle, NULL, 0);
    struct tri_core_counts counts;
    tri_core_count(fake->core, &counts);
    cr_assert_float_eq(counts.cpus_used, 1, 1e-9);
    fake_ids(fake, one, TRI_BLOCKED, 0, outer, &middle, 1);
    tri_core_count(fake->core, &counts);
    cr_assert_float_eq(counts.cpus_used, 0, 1e-9, "lent");
    cr_assert_eq(fake->fork_count, 2);
    tri_peer_index two = fake_host(fake);
    struct tri_id inner = fake_id(fake, two);
    fake_task(fake, two, inner, NULL, 0);
    fake_ids(fake, two, TRI_BLOCKED, 0, middle, &inner, 1);
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
    fake_free(fake);
}
