/*
 * test_recovery.c - a new broker after the old one died: each rule of docs/protocol.md.
 */
#include "tests/core/fake.h"

#define OLD(n) (UINT64_C(1) << 32 | (n))

enum { TOKEN = 7 };
static const struct tri_expected expected[] = {{.token = TOKEN, .pid = 1}, {.space = OLD(1), .pid = 2}};

static struct fake *
second_broker(size_t count)
{
    struct tri_core_config config = {.incarnation = 2, .node = "test", .num_cpus = 2, .service = true};
    return fake_new(&config, expected, count);
}

static trp_err
snapshot(struct fake *fake, tri_peer_index peer, struct tri_snapshot body, bool last)
{
    trp_err err = tri_snapshot_pack(&fake->packed, &body, &fake->error);
    cr_assert_eq(err, TRP_OK, "%s", fake->error.message);
    struct tri_route route = {.kind = TRI_SNAPSHOT, .flags = last ? TRI_LAST : 0};
    return fake_send(fake, peer, route, &fake->packed.section, 1);
}

static const struct tri_id actor = {OLD(1), 1};

static void
report_actor(struct fake *fake, tri_peer_index host, struct tri_snapshot body)
{
    struct tri_spawn spawn = fake_spawn_body("Tally");
    struct tri_snap_actor told = {.id = actor, .epoch = OLD(5), .flags = TRI_SNAP_READY};
    trp_err err = tri_spawn_pack(&fake->packed, &spawn, trp_null(), NULL, &fake->error);
    cr_assert_eq(err, TRP_OK);
    struct tri_section section = fake->packed.section;
    struct tri_route route = {.kind = TRI_CREATE, .target = actor, .epoch = OLD(5), .sequence = 2};
    cr_assert_eq(fake_send(fake, host, route, &section, 1), TRP_OK, "%s", fake->error.message);
    body.actors = &told;
    body.actor_count = 1;
    cr_assert_eq(snapshot(fake, host, body, true), TRP_OK, "%s", fake->error.message);
}

Test(recovery, nothing_is_routed_before_the_hosts_have_reported)
{
    struct fake *fake = second_broker(2);
    struct tri_id result = {OLD(1), 9};
    struct tri_snap_hold hold = {.id = actor, .handed = 1, .flags = TRI_SNAP_ACTOR};
    tri_peer_index driver = fake_login(fake, TRI_DRIVER, 0, OLD(1));
    cr_assert(tri_core_recovering(fake->core));
    cr_assert_eq(snapshot(fake, driver, (struct tri_snapshot){.holds = &hold, .hold_count = 1}, true), TRP_OK);
    fake_call(fake, driver, actor, result, 3, NULL, 0);
    tri_peer_index host = fake_login(fake, TRI_HOST, TOKEN, OLD(2));
    cr_assert_eq(fake_count(fake, host, TRI_CALL), 0);
    report_actor(fake, host, (struct tri_snapshot){0});
    cr_assert_not(tri_core_recovering(fake->core));
    const struct sent *call = fake_last(fake, host, TRI_CALL);
    cr_assert_not_null(call);
    cr_assert_eq(call->parcel->route.epoch, OLD(5));
    cr_assert_eq(fake_return(fake, host, result, 4), TRP_OK);
    cr_assert_eq(fake_number(fake_result(fake, driver, result)), 4);
    fake_free(fake);
}

Test(recovery, a_call_that_a_host_has_is_not_given_again)
{
    struct fake *fake = second_broker(2);
    struct tri_id result = {OLD(1), 9};
    struct tri_snap_call running = {.id = result, .target = actor, .sequence = 3, .flags = TRI_SNAP_RUNNING};
    struct tri_snap_hold hold = {.id = actor, .handed = 1, .flags = TRI_SNAP_ACTOR};
    tri_peer_index host = fake_login(fake, TRI_HOST, TOKEN, OLD(2));
    report_actor(fake, host, (struct tri_snapshot){.calls = &running, .call_count = 1});
    tri_peer_index driver = fake_login(fake, TRI_DRIVER, 0, OLD(1));
    snapshot(fake, driver, (struct tri_snapshot){.holds = &hold, .hold_count = 1}, true);
    cr_assert_eq(fake_call(fake, driver, actor, result, 3, NULL, 0), TRP_OK, "%s", fake->error.message);
    cr_assert_eq(fake_count(fake, host, TRI_CALL), 0);
    fake_return(fake, host, result, 4);
    cr_assert_eq(fake_number(fake_result(fake, driver, result)), 4);
    fake_free(fake);
}

Test(recovery, a_cancel_is_said_again_to_a_new_broker_before_its_call)
{
    struct fake *fake = second_broker(2);
    struct tri_id queued = {OLD(1), 9}, running = {OLD(1), 10};
    struct tri_snap_call runs = {.id = running, .target = actor, .sequence = 3, .flags = TRI_SNAP_RUNNING};
    struct tri_snap_hold holds[] = {{.id = actor, .handed = 1, .flags = TRI_SNAP_ACTOR},
                                    {.id = queued, .handed = 1, .flags = TRI_SNAP_COMING},
                                    {.id = running, .handed = 1, .flags = TRI_SNAP_COMING}};
    struct tri_id both[] = {queued, running};
    tri_peer_index host = fake_login(fake, TRI_HOST, TOKEN, OLD(2));
    report_actor(fake, host, (struct tri_snapshot){.calls = &runs, .call_count = 1});
    tri_peer_index driver = fake_login(fake, TRI_DRIVER, 0, OLD(1));
    snapshot(fake, driver, (struct tri_snapshot){.holds = holds, .hold_count = 3}, true);
    cr_assert_eq(fake_ids(fake, driver, TRI_CANCEL, TRI_ASKED, no_id, both, 2), TRP_OK);
    cr_assert(fake_names(fake, host, TRI_CANCEL, running));
    cr_assert_eq(fake_call(fake, driver, actor, running, 3, NULL, 0), TRP_OK, "%s", fake->error.message);
    cr_assert_eq(fake_call(fake, driver, actor, queued, 4, NULL, 0), TRP_OK, "%s", fake->error.message);
    cr_assert_eq(fake_count(fake, host, TRI_CALL), 0);
    cr_assert_eq(fake_error(fake_result(fake, driver, queued)).code, TRP_ECANCELLED);
    fake_free(fake);
}

Test(recovery, a_result_that_a_host_keeps_reaches_its_caller)
{
    struct fake *fake = second_broker(2);
    struct tri_id sent_again = {OLD(1), 9}, accepted = {OLD(1), 10};
    tri_peer_index host = fake_login(fake, TRI_HOST, TOKEN, OLD(2));
    fake_return(fake, host, sent_again, 5);
    fake_return(fake, host, accepted, 6);
    report_actor(fake, host, (struct tri_snapshot){0});
    struct tri_snap_call call = {.id = accepted, .target = actor, .sequence = 4, .flags = TRI_SNAP_ACCEPTED};
    struct tri_snap_hold hold = {.id = actor, .handed = 1, .flags = TRI_SNAP_ACTOR};
    tri_peer_index driver = fake_login(fake, TRI_DRIVER, 0, OLD(1));
    struct tri_snapshot body = {.holds = &hold, .hold_count = 1, .calls = &call, .call_count = 1};
    cr_assert_eq(snapshot(fake, driver, body, true), TRP_OK);
    cr_assert_eq(fake_number(fake_result(fake, driver, accepted)), 6);
    fake_call(fake, driver, actor, sent_again, 3, NULL, 0);
    cr_assert_eq(fake_number(fake_result(fake, driver, sent_again)), 5);
    fake_acknowledge(fake, driver);
    cr_assert(fake_names(fake, host, TRI_FREED, accepted));
    fake_free(fake);
}

/* Or nobody but a holder would have it, if this broker dies, too, and its caller takes the actor for dead. */
Test(recovery, a_kept_result_is_not_freed_before_its_caller_can_have_claimed_it)
{
    static const struct tri_expected all[] = {
        {.token = TOKEN, .pid = 1}, {.space = OLD(1), .pid = 2}, {.space = OLD(3), .pid = 3}};
    struct tri_core_config config = {.incarnation = 2, .node = "test", .num_cpus = 2, .service = true};
    struct fake *fake = fake_new(&config, all, 3);
    struct tri_id result = {OLD(1), 9};
    struct tri_snap_hold hold = {.id = result, .handed = 1};
    struct tri_snap_call call = {.id = result, .target = actor, .sequence = 4, .flags = TRI_SNAP_ACCEPTED};
    tri_peer_index host = fake_login(fake, TRI_HOST, TOKEN, OLD(2));
    fake_return(fake, host, result, 5);
    report_actor(fake, host, (struct tri_snapshot){0});
    tri_peer_index holder = fake_login(fake, TRI_DRIVER, 0, OLD(3));
    cr_assert_eq(snapshot(fake, holder, (struct tri_snapshot){.holds = &hold, .hold_count = 1}, true), TRP_OK);
    fake_ids(fake, holder, TRI_WAIT, 0, no_id, &result, 1);
    cr_assert_eq(fake_number(fake_result(fake, holder, result)), 5);
    fake_acknowledge(fake, holder);
    cr_assert_not(fake_names(fake, host, TRI_FREED, result));
    tri_peer_index caller = fake_login(fake, TRI_DRIVER, 0, OLD(1));
    cr_assert_eq(snapshot(fake, caller, (struct tri_snapshot){.calls = &call, .call_count = 1}, true), TRP_OK);
    cr_assert_eq(fake_number(fake_result(fake, caller, result)), 5);
    cr_assert_not(fake_names(fake, host, TRI_FREED, result));
    fake_acknowledge(fake, caller);
    cr_assert(fake_names(fake, host, TRI_FREED, result));
    fake_free(fake);
}

static void
report_named(struct fake *fake, tri_peer_index host, struct tri_id id, uint64_t epoch)
{
    struct tri_spawn spawn = fake_spawn_body("Tally");
    struct tri_snap_actor told = {.id = id, .epoch = epoch, .flags = TRI_SNAP_READY};
    spawn.name = "red";
    cr_assert_eq(tri_spawn_pack(&fake->packed, &spawn, trp_null(), NULL, &fake->error), TRP_OK);
    struct tri_section section = fake->packed.section;
    struct tri_route route = {.kind = TRI_CREATE, .target = id, .epoch = epoch, .sequence = 1};
    cr_assert_eq(fake_send(fake, host, route, &section, 1), TRP_OK, "%s", fake->error.message);
    cr_assert_eq(snapshot(fake, host, (struct tri_snapshot){.actors = &told, .actor_count = 1}, true), TRP_OK);
}

/* It was let go of behind them, and its name given to another one. */
Test(recovery, an_actor_that_was_to_end_runs_the_calls_that_come_again_first)
{
    static const struct tri_expected all[] = {
        {.token = TOKEN, .pid = 1}, {.token = TOKEN + 1, .pid = 2}, {.space = OLD(1), .pid = 3}};
    struct tri_core_config config = {.incarnation = 2, .node = "test", .num_cpus = 2, .service = true};
    for (int i = 0; i < 2; i++) {
        struct fake *fake = fake_new(&config, all, 3);
        struct tri_id younger = {OLD(1), 2}, result = {OLD(1), 9};
        struct tri_snap_hold holds[] = {{.id = actor, .handed = 1, .flags = TRI_SNAP_ACTOR},
                                        {.id = younger, .handed = 1, .flags = TRI_SNAP_ACTOR}};
        tri_peer_index host = fake_login(fake, TRI_HOST, TOKEN, OLD(2));
        report_named(fake, host, actor, OLD(5));
        report_named(fake, fake_login(fake, TRI_HOST, TOKEN + 1, OLD(3)), younger, OLD(6));
        tri_peer_index driver = fake_login(fake, TRI_DRIVER, 0, OLD(1));
        cr_assert_eq(snapshot(fake, driver, (struct tri_snapshot){.holds = holds, .hold_count = 2}, true), TRP_OK);
        cr_assert_eq(fake_count(fake, host, TRI_STOP), 0);
        fake_call(fake, driver, actor, result, 3, NULL, 0);
        cr_assert_eq(fake_count(fake, host, TRI_CALL), 1);
        if (i == 0)
            fake_release(fake, driver, actor, 1);
        else
            fake_tick(fake, 10001);
        cr_assert_eq(fake_count(fake, host, TRI_STOP), 1);
        fake_free(fake);
    }
}

/* Its host keeps what it returned, whatever the broker that died made of it. */
Test(recovery, a_kept_result_that_leads_back_to_itself_fails_again)
{
    struct fake *fake = second_broker(2);
    struct tri_id result = {OLD(1), 9};
    tri_peer_index host = fake_login(fake, TRI_HOST, TOKEN, OLD(2));
    struct tri_ref_entry itself = {.id = result, .place = TRI_NESTED};
    struct tri_section section = fake_value(fake, 5);
    section.refs = &itself;
    section.ref_count = 1;
    struct tri_route route = {.kind = TRI_RESULT, .result = result};
    cr_assert_eq(fake_send(fake, host, route, &section, 1), TRP_OK, "%s", fake->error.message);
    cr_assert_eq(fake_error(fake_result(fake, host, result)).code, TRP_ECYCLE, "it is to keep that");
    report_actor(fake, host, (struct tri_snapshot){0});
    struct tri_snap_call call = {.id = result, .target = actor, .sequence = 4, .flags = TRI_SNAP_ACCEPTED};
    tri_peer_index driver = fake_login(fake, TRI_DRIVER, 0, OLD(1));
    cr_assert_eq(snapshot(fake, driver, (struct tri_snapshot){.calls = &call, .call_count = 1}, true), TRP_OK);
    cr_assert_eq(fake_error(fake_result(fake, driver, result)).code, TRP_ECYCLE);
    fake_free(fake);
}

Test(recovery, an_accepted_call_that_no_host_knows_may_have_run)
{
    struct fake *fake = second_broker(2);
    struct tri_id result = {OLD(1), 10};
    struct tri_snap_call call = {.id = result, .target = actor, .sequence = 4, .flags = TRI_SNAP_ACCEPTED};
    tri_peer_index driver = fake_login(fake, TRI_DRIVER, 0, OLD(1));
    snapshot(fake, driver, (struct tri_snapshot){.calls = &call, .call_count = 1}, true);
    cr_assert_null(fake_result(fake, driver, result));
    fake_tick(fake, 2001);
    cr_assert_eq(fake->kill_count, 1, "the silent host");
    cr_assert_null(fake_result(fake, driver, result), "it is waited for");
    fake_tick(fake, 1001);
    trp_error error = fake_error(fake_result(fake, driver, result));
    cr_assert_eq(error.code, TRP_EACTORDIED);
    cr_assert_eq(error.ran, TRP_MAY_HAVE_RUN);
    fake_free(fake);
}

Test(recovery, nothing_ends_for_want_of_holders_before_the_drivers_are_back)
{
    struct fake *fake = second_broker(2);
    tri_peer_index host = fake_login(fake, TRI_HOST, TOKEN, OLD(2));
    report_actor(fake, host, (struct tri_snapshot){0});
    cr_assert_eq(fake_count(fake, host, TRI_STOP), 0);
    fake_tick(fake, 5000);
    cr_assert_eq(fake_count(fake, host, TRI_STOP), 0);
    fake_tick(fake, 5001);
    cr_assert_eq(fake_count(fake, host, TRI_STOP), 1, "its creator did not come back");
    fake_free(fake);
}

Test(recovery, an_actor_whose_host_is_gone_is_dead)
{
    struct fake *fake = second_broker(2);
    struct tri_id result = {OLD(1), 9};
    struct tri_snap_hold hold = {.id = actor, .handed = 1, .flags = TRI_SNAP_ACTOR};
    tri_core_host_exited(fake->core, TOKEN, NULL, fake->now_ns);
    cr_assert_not(tri_core_recovering(fake->core));
    tri_peer_index driver = fake_login(fake, TRI_DRIVER, 0, OLD(1));
    snapshot(fake, driver, (struct tri_snapshot){.holds = &hold, .hold_count = 1}, true);
    fake_call(fake, driver, actor, result, 3, NULL, 0);
    trp_error error = fake_error(fake_result(fake, driver, result));
    cr_assert_eq(error.code, TRP_EACTORDIED);
    cr_assert_eq(error.ran, TRP_NOT_RUN);
    cr_assert_not_null(strstr(error.message, "was known to that broker only"), "%s", error.message);
    fake_free(fake);
}

Test(recovery, a_new_broker_knows_how_many_calls_an_actor_runs_at_a_time)
{
    struct fake *fake = second_broker(1);
    struct tri_id first = {OLD(1), 9}, second = {OLD(2), 1};
    struct tri_snap_call call = {.id = first, .target = actor, .sequence = 1, .flags = TRI_SNAP_RUNNING};
    tri_peer_index host = fake_login(fake, TRI_HOST, TOKEN, OLD(2));
    report_actor(fake, host, (struct tri_snapshot){.calls = &call, .call_count = 1});
    cr_assert_eq(fake_call(fake, host, actor, second, 1, NULL, 0), TRP_OK, "%s", fake->error.message);
    fake_ids(fake, host, TRI_BLOCKED, 0, first, &second, 1);
    cr_assert_eq(fake_count(fake, host, TRI_DEADLOCK), 0);
    fake_free(fake);
}

Test(recovery, a_host_whose_actor_has_ended_is_given_nothing_and_has_to_exit)
{
    struct fake *fake = second_broker(2);
    struct tri_snap_actor told = {.flags = TRI_SNAP_ENDED};
    tri_peer_index host = fake_login(fake, TRI_HOST, TOKEN, OLD(2));
    struct tri_snapshot body = {.actors = &told, .actor_count = 1};
    cr_assert_eq(snapshot(fake, host, body, true), TRP_OK, "%s", fake->error.message);
    tri_peer_index driver = fake_login(fake, TRI_DRIVER, 0, OLD(1));
    snapshot(fake, driver, (struct tri_snapshot){0}, true);
    struct tri_spawn spawn = fake_spawn_body("");
    cr_assert_eq(fake_spawn(fake, driver, fake_id(fake, driver), no_id, &spawn), TRP_OK);
    cr_assert_eq(fake_count(fake, host, TRI_CREATE), 0);
    cr_assert_eq(fake->kill_count, 0);
    fake_tick(fake, 5001);
    cr_assert_eq(fake->kill_count, 1);
    fake_free(fake);
}

Test(recovery, one_process_that_keeps_a_value_for_the_broker_is_enough)
{
    struct fake *fake = second_broker(2);
    struct tri_id object = {OLD(1), 9};
    struct tri_snap_hold kept = {.id = object, .flags = TRI_SNAP_KEPT | TRI_SNAP_VALUE};
    tri_peer_index host = fake_login(fake, TRI_HOST, TOKEN, OLD(2));
    fake_return(fake, host, object, 5);
    report_actor(fake, host, (struct tri_snapshot){0});
    tri_peer_index driver = fake_login(fake, TRI_DRIVER, 0, OLD(1));
    snapshot(fake, driver, (struct tri_snapshot){.holds = &kept, .hold_count = 1}, true);
    cr_assert(fake_names(fake, driver, TRI_FREED, object));
    fake_free(fake);
}

Test(recovery, a_value_that_was_asked_for_makes_its_sender_no_holder)
{
    struct fake *fake = second_broker(2);
    struct tri_id object = {OLD(1), 9};
    struct tri_snap_hold kept = {.id = object, .flags = TRI_SNAP_KEPT | TRI_SNAP_VALUE};
    struct tri_snap_hold held = {.id = object, .handed = 1};
    tri_peer_index host = fake_login(fake, TRI_HOST, TOKEN, OLD(2));
    report_actor(fake, host, (struct tri_snapshot){.holds = &held, .hold_count = 1});
    tri_peer_index driver = fake_login(fake, TRI_DRIVER, 0, OLD(1));
    snapshot(fake, driver, (struct tri_snapshot){.holds = &kept, .hold_count = 1}, true);
    fake_ids(fake, host, TRI_WAIT, 0, no_id, &object, 1);
    cr_assert(fake_names(fake, driver, TRI_FETCH, object));
    cr_assert_eq(fake_answer_fetch(fake, driver, object, 5), TRP_OK);
    cr_assert_eq(fake_number(fake_result(fake, host, object)), 5);
    cr_assert_eq(tri_thing_find(fake->core, object)->own.handed, 0);
    fake_free(fake);
}

static void
spawn_again(struct fake *fake, tri_peer_index driver, struct tri_id result)
{
    struct tri_spawn spawn = fake_spawn_body("Tally");
    struct tri_snap_hold hold = {.id = actor, .handed = 1, .flags = TRI_SNAP_ACTOR | TRI_SNAP_COMING};
    snapshot(fake, driver, (struct tri_snapshot){.holds = &hold, .hold_count = 1}, true);
    cr_assert_eq(fake_spawn(fake, driver, actor, no_id, &spawn), TRP_OK, "%s", fake->error.message);
    cr_assert_eq(fake_call(fake, driver, actor, result, 3, NULL, 0), TRP_OK, "%s", fake->error.message);
}

/* Its environment and limits are those of an actor that did not reach it. */
Test(recovery, a_host_that_was_made_for_one_actor_and_has_none_is_ended)
{
    const struct tri_expected hosts[] = {{.token = TOKEN, .pid = 1, .tailored = true}, {.space = OLD(1), .pid = 2}};
    struct tri_core_config config = {.incarnation = 2, .node = "test", .num_cpus = 2, .service = true};
    const struct tri_death death = {.present = true, .pid = 1, .signal = 9};
    const struct tri_env env = {"NAME", "text"};
    for (int reports = 0; reports < 2; reports++) { /* it logs in for the first time; or had, and was given nothing */
        struct fake *fake = fake_new(&config, hosts, 2);
        struct tri_spawn spawn = fake_spawn_body("Tally");
        struct tri_id result = {OLD(1), 9};
        tri_peer_index host = fake_login(fake, TRI_HOST, TOKEN, reports ? OLD(2) : 0);
        if (reports)
            cr_assert_eq(snapshot(fake, host, (struct tri_snapshot){0}, true), TRP_OK);
        cr_assert_eq(fake->kill_count, 1);
        cr_assert_eq(fake->killed[0], TOKEN);
        cr_assert_not(tri_core_recovering(fake->core));
        tri_peer_index driver = fake_login(fake, TRI_DRIVER, 0, OLD(1));
        struct tri_snap_hold hold = {.id = actor, .handed = 1, .flags = TRI_SNAP_ACTOR | TRI_SNAP_COMING};
        snapshot(fake, driver, (struct tri_snapshot){.holds = &hold, .hold_count = 1}, true);
        cr_assert_eq(fake_task(fake, driver, result, NULL, 0), TRP_OK, "%s", fake->error.message);
        cr_assert_eq(fake_count(fake, host, TRI_CALL), 0);
        spawn.env = &env;
        spawn.env_count = 1;
        cr_assert_eq(fake_spawn(fake, driver, actor, no_id, &spawn), TRP_OK, "%s", fake->error.message);
        cr_assert_eq(fake->env_count, 1, "a host of its own is forked");
        cr_assert_eq(fake_count(fake, host, TRI_CREATE), 0);
        tri_peer_index fresh = fake_host(fake);
        cr_assert_eq(fake_count(fake, fresh, TRI_CREATE), 1);
        tri_core_host_exited(fake->core, TOKEN, &death, fake->now_ns);
        fake_free(fake);
    }
}

Test(recovery, a_host_that_was_made_for_an_actor_and_has_it_stays)
{
    const struct tri_expected hosts[] = {{.token = TOKEN, .pid = 1, .tailored = true}};
    struct tri_core_config config = {.incarnation = 2, .node = "test", .num_cpus = 2, .service = true};
    struct fake *fake = fake_new(&config, hosts, 1);
    tri_peer_index host = fake_login(fake, TRI_HOST, TOKEN, OLD(2));
    report_actor(fake, host, (struct tri_snapshot){0});
    cr_assert_eq(fake->kill_count, 0);
    fake_free(fake);
}

Test(recovery, an_actor_of_which_the_root_says_that_it_has_ended_is_not_made_again)
{
    const struct tri_expected ended[] = {{.space = OLD(1), .pid = 2}, {.ended = actor}};
    struct tri_core_config config = {.incarnation = 2, .node = "test", .num_cpus = 2, .service = true};
    struct fake *fake = fake_new(&config, ended, 2);
    struct tri_id result = {OLD(1), 9};
    tri_peer_index driver = fake_login(fake, TRI_DRIVER, 0, OLD(1));
    spawn_again(fake, driver, result);
    cr_assert(fake_names(fake, driver, TRI_ACCEPTED, actor));
    cr_assert_eq(fake_error(fake_result(fake, driver, result)).code, TRP_EACTORDIED);
    fake_free(fake);
}

Test(recovery, an_actor_whose_host_died_before_it_reported_is_not_made_again)
{
    struct fake *fake = second_broker(2);
    const struct tri_death death = {.present = true, .pid = 1, .signal = 9, .resident = actor};
    struct tri_id result = {OLD(1), 9};
    tri_core_host_exited(fake->core, TOKEN, &death, fake->now_ns);
    tri_peer_index driver = fake_login(fake, TRI_DRIVER, 0, OLD(1));
    spawn_again(fake, driver, result);
    cr_assert_eq(fake_error(fake_result(fake, driver, result)).code, TRP_EACTORDIED);
    fake_free(fake);
}

Test(recovery, an_actor_that_is_killed_before_it_is_ready_is_buried)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    struct tri_spawn spawn = fake_spawn_body("Tally");
    tri_peer_index driver = fake_driver(fake);
    struct tri_id made = fake_id(fake, driver), result = fake_id(fake, driver);
    fake_spawn(fake, driver, made, no_id, &spawn);
    cr_assert_eq(tri_kill_pack(&fake->packed, 0, false, &fake->error), TRP_OK);
    cr_assert_eq(fake_request(fake, driver, TRI_KILL, made, result, &fake->packed.section), TRP_OK);
    cr_assert(tri_id_equal(fake->buried, made));
    fake_free(fake);
}

/* Its calls have heard that it is dead, and its creator may not have heard that it was made. */
Test(recovery, an_actor_whose_host_dies_before_it_has_it_is_buried)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    struct tri_spawn spawn = fake_spawn_body("Tally");
    tri_peer_index driver = fake_driver(fake);
    struct tri_id made = fake_id(fake, driver);
    fake_spawn(fake, driver, made, no_id, &spawn);
    tri_peer_index host = fake_host(fake);
    cr_assert_eq(fake_count(fake, host, TRI_CREATE), 1);
    cr_assert(tri_id_is_none(fake->buried));
    fake_died(fake, host, 9, 0, 0);
    cr_assert(tri_id_equal(fake->buried, made));
    fake_free(fake);
}

Test(recovery, a_process_that_comes_back_by_the_same_broker_is_resumed)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    struct tri_login login = {.version_min = 2, .version_max = 2, .role = TRI_DRIVER, .pid = 50};
    struct tri_welcome welcome;
    tri_peer_index first, second;
    trp_err err = tri_core_hello(fake->core, &login, 50, 0, &first, &welcome, &fake->error);
    cr_assert_eq(err, TRP_OK);
    login.space = welcome.space;
    login.broker = 1;
    err = tri_core_hello(fake->core, &login, 50, 0, &second, &welcome, &fake->error);
    cr_assert_eq(err, TRP_OK, "%s", fake->error.message);
    cr_assert_eq(first, second);
    cr_assert_not(welcome.snapshot);
    login.pid = 51;
    err = tri_core_hello(fake->core, &login, 51, 0, &second, &welcome, &fake->error);
    cr_assert_eq(err, TRP_EPROTO);
    fake_free(fake);
}

static trp_err
describe_a_task_without_retries(struct fake *fake, tri_peer_index host)
{
    trp_value row[] = {trp_str("name"), trp_str("never"), trp_str("max_retries"), trp_i64(0)};
    trp_value tasks[] = {trp_map(row, 2)};
    trp_value module[] = {trp_str("name"), trp_str("m"), trp_str("tasks"), trp_list(tasks, 1)};
    trp_err err = tri_value_pack(&fake->packed, trp_map(module, 2), NULL, NULL, &fake->error);
    cr_assert_eq(err, TRP_OK);
    struct tri_section body = fake->packed.section;
    return fake_send(fake, host, (struct tri_route){.kind = TRI_MODULE}, &body, 1);
}

Test(recovery, a_running_task_is_not_started_again_where_its_row_says_so)
{
    struct fake *fake = second_broker(2);
    struct tri_id result = {OLD(1), 9};
    struct tri_snap_actor pool = {.flags = TRI_SNAP_POOL};
    struct tri_snap_call running = {.id = result, .flags = TRI_SNAP_RUNNING};
    tri_peer_index host = fake_login(fake, TRI_HOST, TOKEN, OLD(2));
    cr_assert_eq(describe_a_task_without_retries(fake, host), TRP_OK, "%s", fake->error.message);
    struct tri_snapshot body = {.actors = &pool, .actor_count = 1, .calls = &running, .call_count = 1};
    cr_assert_eq(snapshot(fake, host, body, true), TRP_OK, "%s", fake->error.message);
    tri_peer_index driver = fake_login(fake, TRI_DRIVER, 0, OLD(1));
    cr_assert_eq(snapshot(fake, driver, (struct tri_snapshot){0}, true), TRP_OK);
    trp_err err = tri_task_pack(&fake->packed, "m:never", trp_null(), NULL, NULL, NULL);
    cr_assert_eq(err, TRP_OK);
    struct tri_section task = fake->packed.section;
    struct tri_route route = {.kind = TRI_CALL, .flags = TRI_TASK | TRI_RETRIED, .result = result};
    cr_assert_eq(fake_send(fake, driver, route, &task, 1), TRP_OK, "%s", fake->error.message);
    fake_died(fake, host, 9, 1, 0);
    trp_error error = fake_error(fake_result(fake, driver, result));
    cr_expect_eq(error.code, TRP_EACTORDIED);
    cr_expect_eq(error.ran, TRP_MAY_HAVE_RUN);
    fake_free(fake);
}
