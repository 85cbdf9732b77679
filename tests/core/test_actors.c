/*
 * test_actors.c - the life of actors: names, placing, constructors, killing, watching, handles, resources, looking around.
 */
#include "tests/core/fake.h"

#include <stdio.h>

static struct tri_section
name_body(struct fake *fake, const char *text)
{
    trp_err err = tri_name_pack(&fake->packed, text, "default", &fake->error);
    cr_assert_eq(err, TRP_OK);
    return fake->packed.section;
}

static struct tri_id
ask(struct fake *fake, tri_peer_index peer, uint8_t kind, struct tri_id target, struct tri_section body)
{
    struct tri_id result = fake_id(fake, peer);
    trp_err err = fake_request(fake, peer, kind, target, result, &body);
    cr_assert_eq(err, TRP_OK, "%s", fake->error.message);
    return result;
}

static struct tri_section
kill_body(struct fake *fake, int64_t drain_ms)
{
    trp_err err = tri_kill_pack(&fake->packed, drain_ms, false, &fake->error);
    cr_assert_eq(err, TRP_OK);
    return fake->packed.section;
}

static struct tri_section
watch_body(struct fake *fake, uint32_t event)
{
    trp_err err = tri_watch_pack(&fake->packed, event, &fake->error);
    cr_assert_eq(err, TRP_OK);
    return fake->packed.section;
}

Test(actors, names_are_unique_in_their_namespace_and_found)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "Chemistry", &host);
    struct tri_id found = ask(fake, driver, TRI_LOOKUP, no_id, name_body(fake, "Chemistry"));
    const struct sent *sent = fake_result(fake, driver, found);
    cr_assert(tri_id_equal(sent->parcel->sections[0].refs[0].id, actor));
    struct tri_id missed = ask(fake, driver, TRI_LOOKUP, no_id, name_body(fake, "nope"));
    trp_error error = fake_error(fake_result(fake, driver, missed));
    cr_assert_eq(error.code, TRP_ENOENT);
    cr_assert_eq(strncmp(error.message, "Failed to look up actor with name 'nope'", 40), 0);

    struct tri_spawn body = fake_spawn_body("Chemistry");
    struct tri_id second = fake_id(fake, driver), answer = fake_id(fake, driver);
    fake_spawn(fake, driver, second, answer, &body);
    error = fake_error(fake_result(fake, driver, answer));
    cr_assert_eq(error.code, TRP_EEXIST);
    cr_assert_not_null(strstr(error.message, "The name Chemistry (namespace=default) is already taken"));

    body.get_if_exists = true;
    answer = fake_id(fake, driver);
    fake_spawn(fake, driver, fake_id(fake, driver), answer, &body);
    cr_assert(tri_id_equal(fake_result(fake, driver, answer)->parcel->sections[0].refs[0].id, actor));
    body.get_if_exists = false;
    body.namespace_ = "other";
    answer = fake_id(fake, driver);
    struct tri_id other = fake_id(fake, driver);
    fake_spawn(fake, driver, other, answer, &body);
    cr_assert(tri_id_equal(fake_result(fake, driver, answer)->parcel->sections[0].refs[0].id, other));
    fake_free(fake);
}

Test(actors, a_constructor_that_fails_is_the_error_of_every_call)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    struct tri_id actor = fake_id(fake, driver), early = fake_id(fake, driver), late = fake_id(fake, driver);
    struct tri_spawn body = fake_spawn_body("");
    fake_spawn(fake, driver, actor, no_id, &body);
    fake_call(fake, driver, actor, early, 1, NULL, 0);
    struct tri_id ready = ask(fake, driver, TRI_WATCH, actor, watch_body(fake, 0));
    tri_peer_index host = fake_host(fake);
    cr_assert_eq(fake_count(fake, host, TRI_CALL), 1);
    struct tri_section failure = fake_failure(fake, TRP_ETASK, "no such file");
    fake_send(fake, host, (struct tri_route){.kind = TRI_READY, .flags = TRI_FAILED, .target = actor}, &failure, 1);
    fake_call(fake, driver, actor, late, 2, NULL, 0);
    struct tri_id both[] = {early, late};
    for (int i = 0; i < 2; i++) {
        trp_error error = fake_error(fake_result(fake, driver, both[i]));
        cr_assert_eq(error.code, TRP_EACTORDIED);
        cr_assert_eq(error.ran, TRP_NOT_RUN);
        cr_assert_not_null(strstr(error.message, "no such file"));
    }
    cr_assert_eq(fake_error(fake_result(fake, driver, ready)).code, TRP_ETASK);
    fake_died(fake, host, 0, 0, 0);
    fake_free(fake);
}

Test(actors, a_constructor_that_blocks_is_killed_at_its_deadline)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    struct tri_spawn body = fake_spawn_body("");
    body.start_timeout_ms = 50;
    fake_spawn(fake, driver, fake_id(fake, driver), no_id, &body);
    tri_peer_index host = fake_host(fake);
    fake_tick(fake, 51);
    cr_assert_eq(fake->kill_count, 1);
    cr_assert_not_null(strstr(fake->kill_rule, "50 ms"));
    fake_died(fake, host, 9, 0, 0);
    fake_free(fake);
}

Test(actors, a_host_has_time_to_log_in_while_others_do)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    struct tri_spawn body = fake_spawn_body("");
    fake_spawn(fake, driver, fake_id(fake, driver), no_id, &body);
    fake_spawn(fake, driver, fake_id(fake, driver), no_id, &body);
    cr_assert_eq(fake->fork_count, 2);
    fake_tick(fake, 9000);
    tri_peer_index host = fake_host(fake);
    fake_tick(fake, 9000);
    cr_assert_eq(fake->kill_count, 0, "it was 18 s, and 9 since the last login");
    fake_tick(fake, 1100);
    cr_assert_eq(fake->kill_count, 1);
    cr_assert_not_null(strstr(fake->kill_rule, "login"));
    fake_died(fake, host, 0, 0, 0);
    fake_free(fake);
}

Test(actors, a_host_that_never_logs_in_is_given_up_whatever_others_do)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), hosts[7];
    struct tri_spawn body = fake_spawn_body("");
    body.start_timeout_ms = 100000;
    fake_spawn(fake, driver, fake_id(fake, driver), no_id, &body);
    for (int i = 0; i < 7; i++) {
        cr_assert_eq(fake->kill_count, 0, "%d", i);
        fake_spawn(fake, driver, fake_id(fake, driver), no_id, &body);
        fake_tick(fake, 8600);
        hosts[i] = fake_host(fake);
    }
    cr_assert_eq(fake->kill_count, 1, "it was 60.2 s");
    for (int i = 0; i < 7; i++)
        fake_died(fake, hosts[i], 0, 0, 0);
    fake_free(fake);
}

Test(actors, one_that_runs_more_calls_at_a_time_than_a_class_may_declare_is_refused)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_id(fake, driver);
    struct tri_spawn body = fake_spawn_body("");
    fake_spawn(fake, driver, actor, no_id, &body);
    host = fake_host(fake);
    struct tri_route ready = {.kind = TRI_READY, .target = actor, .sequence = TRI_CONCURRENCY_MAX + 1};
    cr_assert_eq(fake_send(fake, host, ready, NULL, 0), TRP_EPROTO);
    cr_assert_not_null(strstr(fake->error.message, "257 calls at a time"), "%s", fake->error.message);
    fake_free(fake);
}

Test(actors, the_creator_hears_when_a_host_has_it_also_after_an_answer)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_id(fake, driver), answer = fake_id(fake, driver);
    struct tri_spawn body = fake_spawn_body("Ada");
    fake_spawn(fake, driver, actor, answer, &body);
    cr_assert_not_null(fake_result(fake, driver, answer));
    host = fake_host(fake);
    tri_core_round(fake->core, fake->now_ns);
    cr_assert_not(fake_names(fake, driver, TRI_ACCEPTED, actor));
    fake_acknowledge(fake, host);
    tri_core_round(fake->core, fake->now_ns);
    cr_assert(fake_names(fake, driver, TRI_ACCEPTED, actor));
    fake_free(fake);
}

Test(actors, a_watch_ends_when_its_result_is_let_go)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "Ada", &host), watch;
    struct tri_packed body = {0};
    struct tri_core_counts before, after;
    fake_acknowledge(fake, driver);
    tri_core_count(fake->core, &before);
    cr_assert_eq(tri_watch_pack(&body, 1, NULL), TRP_OK);
    for (int i = 0; i < 3; i++) {
        watch = fake_id(fake, driver);
        cr_assert_eq(fake_request(fake, driver, TRI_WATCH, actor, watch, &body.section), TRP_OK);
        cr_assert_eq(fake_release(fake, driver, watch, 1), TRP_OK, "%s", fake->error.message);
    }
    tri_core_count(fake->core, &after);
    cr_assert_eq(after.pending, before.pending);
    cr_assert_eq(after.objects, before.objects);
    fake_died(fake, host, 9, 0, 0);
    cr_assert_null(fake_result(fake, driver, watch));
    tri_packed_fini(&body);
    fake_free(fake);
}

Test(actors, look_ups_of_one_packet_are_answered_in_order_before_anything_else_happens)
{
    enum { COUNT = 2 * TRI_ASKED_MAX + 3 };
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host, other;
    struct tri_id actors[] = {fake_actor(fake, driver, "Tally", &host), fake_actor(fake, driver, "Sum", &other)};
    struct tri_id asked[COUNT + 1];
    fake_forget(fake);
    fake->goes_on = true;
    for (size_t i = 0; i < COUNT; i++)
        asked[i] = ask(fake, driver, TRI_LOOKUP, no_id, name_body(fake, i % 3 == 2 ? "nope" : i % 3 ? "Sum" : "Tally"));
    asked[COUNT] = ask(fake, driver, TRI_KILL, actors[0], kill_body(fake, 0));
    size_t next = 0;
    for (size_t i = 0; i < fake->sent_count; i++)
        if (fake->sent[i].peer == driver && fake->sent[i].parcel->route.kind == TRI_RESULT)
            cr_assert(tri_id_equal(fake->sent[i].parcel->route.result, asked[next++]));
    cr_assert_eq(next, COUNT + 1);
    for (size_t i = 0; i < COUNT; i++) {
        const struct sent *sent = fake_result(fake, driver, asked[i]);
        if (i % 3 == 2)
            cr_assert_eq(fake_error(sent).code, TRP_ENOENT);
        else
            cr_assert(tri_id_equal(sent->parcel->sections[0].refs[0].id, actors[i % 3]));
    }
    fake_free(fake);
}

Test(actors, a_look_up_is_answered_at_the_end_of_the_round_and_before_its_asker_is_gone)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), leaves = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "Tally", &host);
    fake->goes_on = true;
    struct tri_id asked = ask(fake, driver, TRI_LOOKUP, no_id, name_body(fake, "Tally"));
    cr_assert_null(fake_result(fake, driver, asked));
    cr_assert_eq(tri_core_next_ns(fake->core), 0, "there is something to do at once");
    tri_core_round(fake->core, fake->now_ns);
    cr_assert(tri_id_equal(fake_result(fake, driver, asked)->parcel->sections[0].refs[0].id, actor));
    asked = ask(fake, leaves, TRI_LOOKUP, no_id, name_body(fake, "Tally"));
    fake_gone(fake, leaves);
    cr_assert_not_null(fake_result(fake, leaves, asked));
    cr_assert_eq(tri_thing_find(fake->core, actor)->hold_count, 1, "of its maker");
    fake_free(fake);
}

Test(actors, killing_frees_the_name_and_fails_what_is_queued)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "Tally", &host), queued = fake_id(fake, driver);
    struct tri_id death = ask(fake, driver, TRI_WATCH, actor, watch_body(fake, 1));
    fake->no_credit = true;
    fake_call(fake, driver, actor, queued, 1, NULL, 0);
    struct tri_id answer = ask(fake, driver, TRI_KILL, actor, kill_body(fake, 0));
    cr_assert_not_null(fake_result(fake, driver, answer));
    cr_assert_eq(fake_error(fake_result(fake, driver, queued)).ran, TRP_NOT_RUN);
    cr_assert_eq(fake->kill_count, 1);
    struct tri_id missed = ask(fake, driver, TRI_LOOKUP, no_id, name_body(fake, "Tally"));
    cr_assert_eq(fake_error(fake_result(fake, driver, missed)).code, TRP_ENOENT);
    cr_assert_null(fake_result(fake, driver, death));
    fake_died(fake, host, 9, 0, 0);
    cr_assert_not_null(fake_result(fake, driver, death));
    answer = ask(fake, driver, TRI_KILL, actor, kill_body(fake, 0));
    cr_assert_eq(fake_result(fake, driver, answer)->parcel->route.flags, 0, "of a dead one: done");
    fake_free(fake);
}

Test(actors, draining_finishes_the_queue_and_then_stops)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "", &host), queued = fake_id(fake, driver);
    fake->no_credit = true;
    fake_call(fake, driver, actor, queued, 1, NULL, 0);
    ask(fake, driver, TRI_KILL, actor, kill_body(fake, 1000));
    cr_assert_eq(fake_count(fake, host, TRI_STOP), 0);
    struct tri_id refused = fake_id(fake, driver);
    fake_call(fake, driver, actor, refused, 2, NULL, 0);
    cr_assert_eq(fake_error(fake_result(fake, driver, refused)).code, TRP_EACTORDIED);
    fake->no_credit = false;
    fake_acknowledge(fake, host);
    cr_assert_eq(fake_count(fake, host, TRI_CALL), 1);
    cr_assert_eq(fake_count(fake, host, TRI_STOP), 1);
    cr_assert_eq(fake_return(fake, host, queued, 1), TRP_OK);
    cr_assert_eq(fake_plain(fake, host, TRI_ENDED, actor, no_id), TRP_OK);
    fake_died(fake, host, 0, 1, 1);
    fake_free(fake);
}

/* Of an actor that waits for its place, and of one whose creator is gone. */
Test(actors, draining_ends_in_time_where_there_is_no_host)
{
    struct tri_core_config config = {.incarnation = 1, .node = "test", .num_cpus = 2};
    for (int i = 0; i < 2; i++) {
        struct fake *fake = fake_new(&config, NULL, 0);
        tri_peer_index driver = fake_driver(fake), maker = fake_driver(fake);
        struct tri_spawn body = fake_spawn_body("all"), more = fake_spawn_body("more");
        body.num_cpus = more.num_cpus = 2;
        fake_spawn(fake, driver, fake_id(fake, driver), no_id, &body);
        struct tri_id waits = fake_id(fake, maker), queued = fake_id(fake, driver);
        fake_spawn(fake, maker, waits, no_id, &more);
        ask(fake, driver, TRI_LOOKUP, no_id, name_body(fake, "more"));
        fake_call(fake, driver, waits, queued, 1, NULL, 0);
        if (i == 0)
            ask(fake, driver, TRI_KILL, waits, kill_body(fake, 1000));
        else
            fake_gone(fake, maker);
        fake_tick(fake, i == 0 ? 999 : 4999);
        cr_assert_null(fake_result(fake, driver, queued));
        fake_tick(fake, 2);
        trp_error error = fake_error(fake_result(fake, driver, queued));
        cr_assert_eq(error.code, TRP_EACTORDIED);
        cr_assert_eq(error.ran, TRP_NOT_RUN);
        cr_assert_not_null(strstr(error.message, i == 0 ? "in the time given" : "the limit of 5 s"), "%s",
                           error.message);
        fake_free(fake);
    }
}

Test(actors, of_two_limits_for_draining_the_sooner_one_counts)
{
    for (int i = 0; i < 2; i++) {
        struct fake *fake = fake_new(NULL, NULL, 0);
        tri_peer_index driver = fake_driver(fake), host;
        struct tri_id actor = fake_actor(fake, driver, "", &host);
        fake_call(fake, driver, actor, fake_id(fake, driver), 1, NULL, 0);
        ask(fake, driver, TRI_KILL, actor, kill_body(fake, i == 0 ? 1000 : 3000));
        ask(fake, driver, TRI_KILL, actor, kill_body(fake, i == 0 ? 3000 : 1000));
        fake_tick(fake, 999);
        cr_assert_eq(fake->kill_count, 0);
        fake_tick(fake, 2);
        cr_assert_eq(fake->kill_count, 1);
        fake_free(fake);
    }
}

/* The limit is its constructor's, not that of the calls that it finishes. */
Test(actors, one_that_is_let_go_of_before_it_is_ready_has_time_for_its_calls)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    struct tri_id actor = fake_id(fake, driver), running = fake_id(fake, driver);
    struct tri_spawn body = fake_spawn_body("");
    fake_spawn(fake, driver, actor, no_id, &body);
    tri_peer_index host = fake_host(fake);
    fake_call(fake, driver, actor, running, 1, NULL, 0);
    fake_release(fake, driver, actor, 1);
    cr_assert_eq(fake_count(fake, host, TRI_STOP), 1);
    cr_assert_eq(fake_plain(fake, host, TRI_READY, actor, no_id), TRP_OK);
    fake_tick(fake, 61000);
    cr_assert_eq(fake->kill_count, 0);
    cr_assert_eq(fake_return(fake, host, running, 1), TRP_OK);
    cr_assert_eq(fake_number(fake_result(fake, driver, running)), 1);
    fake_free(fake);
}

Test(actors, without_a_handle_or_a_creator_an_actor_ends_unless_detached)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), other = fake_driver(fake), host, second;
    struct tri_id actor = fake_actor(fake, driver, "", &host);
    cr_assert_eq(fake_release(fake, driver, actor, 1), TRP_OK);
    cr_assert_eq(fake_count(fake, host, TRI_STOP), 1);
    fake_plain(fake, host, TRI_ENDED, actor, no_id);
    cr_assert_null(tri_thing_find(fake->core, actor));

    struct tri_id named = fake_actor(fake, other, "shared", &second);
    ask(fake, driver, TRI_LOOKUP, no_id, name_body(fake, "shared"));
    fake_gone(fake, other);
    cr_assert_eq(fake_count(fake, second, TRI_STOP), 1, "its creator is gone");
    cr_assert_not_null(tri_thing_find(fake->core, named));

    tri_peer_index maker = fake_driver(fake);
    struct tri_id stays = fake_id(fake, maker);
    struct tri_spawn body = fake_spawn_body("stays");
    body.detached = true;
    fake_spawn(fake, maker, stays, fake_id(fake, maker), &body);
    tri_peer_index third = fake_host(fake);
    fake_gone(fake, maker);
    cr_assert_eq(fake_count(fake, third, TRI_STOP), 0);
    fake_free(fake);
}

Test(actors, what_the_node_does_not_have_is_refused_at_once)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    struct tri_spawn body = fake_spawn_body("big");
    struct tri_id answer = fake_id(fake, driver), actor = fake_id(fake, driver), call = fake_id(fake, driver);
    body.num_cpus = 3;
    fake_spawn(fake, driver, fake_id(fake, driver), answer, &body);
    trp_error error = fake_error(fake_result(fake, driver, answer));
    cr_assert_eq(error.code, TRP_ENORESOURCE);
    cr_assert_not_null(strstr(error.message, "2 CPUs"), "%s", error.message);
    body.name = "";
    fake_spawn(fake, driver, actor, no_id, &body);
    fake_call(fake, driver, actor, call, 1, NULL, 0);
    cr_assert_not_null(strstr(fake_error(fake_result(fake, driver, call)).message, "2 CPUs"));
    fake_free(fake);
}

Test(actors, wait_for_resources_in_the_order_made_and_give_them_back)
{
    struct tri_resource slots = {"slots", 1};
    struct tri_core_config config = {
        .incarnation = 1, .node = "test", .num_cpus = 2, .resources = &slots, .resource_count = 1};
    struct fake *fake = fake_new(&config, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    struct tri_spawn body = fake_spawn_body("");
    body.resources = &slots;
    body.resource_count = 1;
    body.num_cpus = 2;
    struct tri_core_counts counts;
    fake_spawn(fake, driver, fake_id(fake, driver), no_id, &body);
    cr_assert_eq(fake->fork_count, 1);
    tri_peer_index host = fake_host(fake);
    fake_spawn(fake, driver, fake_id(fake, driver), no_id, &body);
    cr_assert_eq(fake->fork_count, 1, "nothing is left for it");
    tri_core_count(fake->core, &counts);
    cr_assert_float_eq(counts.cpus_used, 2, 1e-9);
    fake_died(fake, host, 9, 0, 0);
    cr_assert_eq(fake->fork_count, 2);
    fake_free(fake);
}

Test(actors, spares_are_kept_ahead_and_taken_first)
{
    struct tri_core_config config = {.incarnation = 1, .node = "test", .num_cpus = 2, .spare_hosts = 1};
    struct fake *fake = fake_new(&config, NULL, 0);
    cr_assert_leq(tri_core_next_ns(fake->core), fake->now_ns);
    fake_tick(fake, 0);
    cr_assert_eq(fake->fork_count, 1);
    tri_peer_index spare = fake_host(fake), driver = fake_driver(fake);
    struct tri_spawn body = fake_spawn_body("");
    fake_spawn(fake, driver, fake_id(fake, driver), no_id, &body);
    cr_assert_eq(fake_count(fake, spare, TRI_CREATE), 1);
    cr_assert_str_eq(fake->label, "counter:Counter");
    fake_tick(fake, 0);
    cr_assert_eq(fake->fork_count, 1, "the actor begins alone");
    cr_assert_leq(tri_core_next_ns(fake->core), fake->now_ns + 2 * TRI_NS_PER_MS);
    fake_tick(fake, 2);
    cr_assert_eq(fake->fork_count, 2);
    struct tri_env env = {"A", "1"};
    body.env = &env;
    body.env_count = 1;
    tri_peer_index unused = fake_host(fake);
    fake_spawn(fake, driver, fake_id(fake, driver), no_id, &body);
    cr_assert_eq(fake->fork_count, 3, "an environment needs a process of its own");
    cr_assert_eq(fake->env_count, 1);
    cr_assert_eq(fake_count(fake, unused, TRI_CREATE), 0);
    fake_free(fake);
}

Test(actors, a_fork_that_fails_fails_the_actor)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    struct tri_id actor = fake_id(fake, driver), call = fake_id(fake, driver);
    struct tri_spawn body = fake_spawn_body("");
    fake_spawn(fake, driver, actor, no_id, &body);
    fake_call(fake, driver, actor, call, 1, NULL, 0);
    tri_core_fork_failed(fake->core, fake->forks[0], TRP_ELIMIT, "too many processes", fake->now_ns);
    fake_check(fake);
    const trp_error error = fake_error(fake_result(fake, driver, call));
    cr_expect_eq(error.code, TRP_ELIMIT);
    cr_expect_eq(error.ran, TRP_NOT_RUN);
    cr_expect_not_null(strstr(error.message, "too many processes"), "%s", error.message);
    fake_free(fake);
}

Test(actors, another_epoch_is_refused)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "", &host), result = fake_id(fake, driver);
    trp_err err = tri_call_pack(&fake->packed, "m", trp_null(), NULL, NULL);
    cr_assert_eq(err, TRP_OK);
    struct tri_section body = fake->packed.section;
    struct tri_route route = {.kind = TRI_CALL, .target = actor, .result = result, .sequence = 1, .epoch = 99};
    cr_assert_eq(fake_send(fake, driver, route, &body, 1), TRP_OK);
    cr_assert_eq(fake_error(fake_result(fake, driver, result)).code, TRP_EACTORDIED);
    fake_free(fake);
}

/* The first value of a row of a page, a text. */
static const char *
first_text(const struct tri_view *view, uint32_t row)
{
    const struct tri_wire_node *map = &view->nodes[view->nodes[0].payload + row];
    return trp_as_str(tri_view_value(view, (uint32_t)map->payload + 1));
}

Test(actors, why_a_watch_is_not_ready_is_said_of_the_actor)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    struct tri_id actor = fake_id(fake, driver);
    struct tri_spawn body = fake_spawn_body("Ada");
    struct tri_packed watch = {0};
    fake_spawn(fake, driver, actor, fake_id(fake, driver), &body);
    (void)fake_host(fake);
    static const char *const words[] = {"it watches actor 'Ada' until it is constructed",
                                        "it watches actor 'Ada' until it ends"};
    for (uint32_t event = 0; event < 2; event++) {
        char why[64] = "why ", id[TRI_ID_TEXT_SIZE];
        cr_assert_eq(tri_watch_pack(&watch, event, NULL), TRP_OK);
        strcat(why, tri_id_format(ask(fake, driver, TRI_WATCH, actor, watch.section), id));
        struct tri_id result = ask(fake, driver, TRI_QUERY, no_id, name_body(fake, why));
        struct tri_view view;
        cr_assert_eq(tri_view_open(&view, &fake_result(fake, driver, result)->parcel->sections[0], NULL), TRP_OK);
        cr_assert_eq(view.nodes[0].count, 2);
        const char *said = first_text(&view, 0);
        cr_assert_not_null(strstr(said, words[event]), "%s", said);
        said = first_text(&view, 1);
        cr_assert_not_null(strstr(said, "runs its constructor"), "%s", said);
        tri_view_close(&view);
    }
    tri_packed_fini(&watch);
    fake_free(fake);
}

Test(actors, why_knows_of_an_actor_that_was_refused_as_of_others_that_are_dead)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    struct tri_id first = fake_id(fake, driver), second = fake_id(fake, driver);
    struct tri_spawn body = fake_spawn_body("Ada");
    char why[64] = "why ", id[TRI_ID_TEXT_SIZE];
    struct tri_view view;
    fake_spawn(fake, driver, first, no_id, &body);
    fake_spawn(fake, driver, second, no_id, &body);
    strcat(why, tri_id_format(second, id));
    struct tri_id result = ask(fake, driver, TRI_QUERY, no_id, name_body(fake, why));
    cr_assert_eq(tri_view_open(&view, &fake_result(fake, driver, result)->parcel->sections[0], NULL), TRP_OK);
    cr_expect_not_null(strstr(first_text(&view, 0), "actor 'Ada' is dead: "), "%s", first_text(&view, 0));
    cr_expect_not_null(strstr(first_text(&view, 0), "taken"), "%s", first_text(&view, 0));
    tri_view_close(&view);
    fake_free(fake);
}

Test(actors, why_knows_the_method_of_a_call_that_its_host_has)
{
    static const char *const methods[] = {"add", "multiply", "add"};
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "Ada", &host);
    struct tri_packed call = {0};
    for (uint64_t i = 0; i < 3; i++) {
        char why[64] = "why ", id[TRI_ID_TEXT_SIZE], words[64];
        struct tri_route route = {.kind = TRI_CALL, .target = actor, .result = fake_id(fake, driver)};
        struct tri_view view;
        route.sequence = i + 1;
        cr_assert_eq(tri_call_pack(&call, methods[i], trp_null(), NULL, NULL), TRP_OK);
        cr_assert_eq(fake_send(fake, driver, route, &call.section, 1), TRP_OK);
        fake_acknowledge(fake, host);
        strcat(why, tri_id_format(route.result, id));
        struct tri_id result = ask(fake, driver, TRI_QUERY, no_id, name_body(fake, why));
        cr_assert_eq(tri_view_open(&view, &fake_result(fake, driver, result)->parcel->sections[0], NULL), TRP_OK);
        snprintf(words, sizeof words, "its call of %s to actor 'Ada'", methods[i]);
        cr_expect_not_null(strstr(first_text(&view, 0), words), "%s", first_text(&view, 0));
        tri_view_close(&view);
    }
    tri_packed_fini(&call);
    fake_free(fake);
}

Test(actors, of_an_actor_no_more_methods_are_remembered_than_a_class_has)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "Ada", &host);
    struct tri_packed call = {0};
    for (uint64_t i = 0; i < 200; i++) {
        char method[16];
        struct tri_route route = {.kind = TRI_CALL, .target = actor, .result = fake_id(fake, driver)};
        route.sequence = i + 1;
        snprintf(method, sizeof method, "m%d", (int)i);
        cr_assert_eq(tri_call_pack(&call, method, trp_null(), NULL, NULL), TRP_OK);
        cr_assert_eq(fake_send(fake, driver, route, &call.section, 1), TRP_OK);
        struct tri_pending *pending = tri_quiet_find(fake->core, route.result);
        cr_assert_str_eq(tri_method_text(pending), i < 64 ? method : "");
    }
    tri_packed_fini(&call);
    fake_free(fake);
}

Test(actors, why_a_call_behind_others_is_not_ready_is_said_of_the_first_of_them)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "Ada", &host), calls[3];
    char why[64] = "why ", id[TRI_ID_TEXT_SIZE];
    struct tri_view view;
    for (uint64_t i = 0; i < 3; i++)
        fake_call(fake, driver, actor, calls[i] = fake_id(fake, driver), i + 1, NULL, 0);
    strcat(why, tri_id_format(calls[2], id));
    struct tri_id result = ask(fake, driver, TRI_QUERY, no_id, name_body(fake, why));
    cr_assert_eq(tri_view_open(&view, &fake_result(fake, driver, result)->parcel->sections[0], NULL), TRP_OK);
    cr_assert_eq(view.nodes[0].count, 2);
    cr_expect_not_null(strstr(first_text(&view, 0), ", behind 2 more"), "%s", first_text(&view, 0));
    cr_expect_eq(strncmp(first_text(&view, 1), tri_id_format(calls[0], id), strlen(id)), 0, "%s", first_text(&view, 1));
    tri_view_close(&view);
    fake_free(fake);
}

/* The value under `key` of the MAP that is node `map` of a view; TRP_NONE: it has none. */
static trp_value
under(const struct tri_view *view, uint64_t map, const char *key)
{
    const struct tri_wire_node *node = &view->nodes[map];
    for (uint64_t i = node->payload; i < node->payload + 2 * (uint64_t)node->count; i += 2)
        if (strcmp(trp_as_str(tri_view_value(view, (uint32_t)i)), key) == 0)
            return tri_view_value(view, (uint32_t)i + 1);
    return (trp_value){0};
}

/* That of the row, in a LIST of MAPs, that has this kind. */
static int64_t
of_kind(const struct tri_view *view, const char *kind, const char *key)
{
    for (uint64_t i = 0; i < view->nodes[0].count; i++)
        if (strcmp(trp_as_str(under(view, view->nodes[0].payload + i, "kind")), kind) == 0)
            return trp_as_i64(under(view, view->nodes[0].payload + i, key));
    return -1;
}

Test(actors, the_page_of_processes_counts_calls_that_wait_run_and_have_ended)
{
    static const struct {
        const char *key;
        int64_t before, after;
    } fields[] = {{"calls", 0, 2}, {"pending", 3, 1}, {"given", 3, 1}, {"running", 1, 1}, {"waiting", 0, 0}};
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "one", &host), calls[3];
    for (uint64_t i = 0; i < 3; i++)
        fake_call(fake, driver, actor, calls[i] = fake_id(fake, driver), i + 1, NULL, 0);
    for (int after = 0; after < 2; after++) {
        struct tri_view view;
        struct tri_id result = ask(fake, driver, TRI_QUERY, no_id, name_body(fake, "processes"));
        trp_err err = tri_view_open(&view, &fake_result(fake, driver, result)->parcel->sections[0], NULL);
        cr_assert_eq(err, TRP_OK);
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
            cr_expect_eq(of_kind(&view, "actor", fields[i].key), after ? fields[i].after : fields[i].before, "%s %d",
                         fields[i].key, after);
        cr_expect_eq(of_kind(&view, "driver", "pending"), after ? 1 : 3);
        tri_view_close(&view);
        for (int i = 0; i < 2 && !after; i++) {
            fake_acknowledge(fake, host);
            fake_return(fake, host, calls[i], i);
        }
        fake_acknowledge(fake, driver);
    }
    fake_died(fake, host, 9, 3, 2);
    struct tri_view view;
    struct tri_id result = ask(fake, driver, TRI_QUERY, no_id, name_body(fake, "nodes"));
    trp_err err = tri_view_open(&view, &fake_result(fake, driver, result)->parcel->sections[0], NULL);
    cr_assert_eq(err, TRP_OK);
    cr_expect_eq(trp_as_i64(under(&view, view.nodes[0].payload, "calls")), 3);
    tri_view_close(&view);
    fake_free(fake);
}

Test(actors, every_page_can_be_asked_for)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "one", &host), pending = fake_id(fake, driver);
    fake_call(fake, driver, actor, pending, 1, NULL, 0);
    trp_value entries[] = {trp_str("name"), trp_str("counter")};
    trp_err err = tri_value_pack(&fake->packed, trp_map(entries, 1), NULL, NULL, NULL);
    cr_assert_eq(err, TRP_OK);
    struct tri_section module = fake->packed.section;
    cr_assert_eq(fake_send(fake, host, (struct tri_route){.kind = TRI_MODULE}, &module, 1), TRP_OK);
    char why[64] = "why ", id[TRI_ID_TEXT_SIZE];
    strcat(why, tri_id_format(pending, id));
    const struct {
        const char *what;
        size_t rows;
    } pages[] = {{"nodes", 1}, {"actors", 1}, {"objects", 1}, {"calls", 1}, {"processes", 2}, {"modules", 1}, {why, 1}};
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        struct tri_view view;
        struct tri_id result = ask(fake, driver, TRI_QUERY, no_id, name_body(fake, pages[i].what));
        const struct sent *sent = fake_result(fake, driver, result);
        cr_assert_eq(sent->parcel->route.flags, 0, "%s", pages[i].what);
        err = tri_view_open(&view, &sent->parcel->sections[0], NULL);
        cr_assert_eq(err, TRP_OK);
        cr_assert_eq(tri_view_value(&view, 0).size, pages[i].rows, "%s", pages[i].what);
        tri_view_close(&view);
    }
    struct tri_id result = ask(fake, driver, TRI_QUERY, no_id, name_body(fake, "nonsense"));
    cr_assert_eq(fake_error(fake_result(fake, driver, result)).code, TRP_EINVAL);
    fake_free(fake);
}
