/*
 * test_tasks.c - the task pool: hosts on demand, windows, giving back, retries, needs.
 */
#include <math.h>
#include <string.h>

#include "tests/core/fake.h"

static tri_peer_index
pool(struct fake *fake, tri_peer_index driver, struct tri_id *first)
{
    *first = fake_id(fake, driver);
    trp_err err = fake_task(fake, driver, *first, NULL, 0);
    cr_assert_eq(err, TRP_OK, "%s", fake->error.message);
    return fake_host(fake);
}

Test(tasks, the_pool_grows_to_the_number_of_cpus)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    struct tri_id results[5];
    for (int i = 0; i < 5; i++) {
        results[i] = fake_id(fake, driver);
        fake_task(fake, driver, results[i], NULL, 0);
    }
    cr_assert_eq(fake->fork_count, 2);
    tri_peer_index one = fake_login(fake, TRI_HOST, fake->forks[0], 0),
                   two = fake_login(fake, TRI_HOST, fake->forks[1], 0);
    cr_assert_eq(fake_count(fake, one, TRI_CALL) + fake_count(fake, two, TRI_CALL), 2);
    struct tri_core_counts counts;
    tri_core_count(fake->core, &counts);
    cr_assert_float_eq(counts.cpus_used, 2, 1e-9);
    cr_assert_eq(fake_return(fake, one, results[0], 1), TRP_OK);
    cr_assert_geq(fake_count(fake, one, TRI_CALL), 2, "the window has doubled");
    cr_assert_eq(fake->fork_count, 2);
    fake_free(fake);
}

Test(tasks, a_quick_host_is_given_more_ahead_and_a_slow_one_less)
{
    struct tri_core_config config = {.incarnation = 1, .node = "test", .num_cpus = 1};
    struct fake *fake = fake_new(&config, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    struct tri_id results[40];
    for (int i = 0; i < 40; i++) {
        results[i] = fake_id(fake, driver);
        fake_task(fake, driver, results[i], NULL, 0);
    }
    tri_peer_index host = fake_host(fake);
    for (int i = 0; i < 4; i++)
        fake_return(fake, host, results[i], 1);
    cr_assert_eq(fake_count(fake, host, TRI_CALL), 4 + 16);
    fake->now_ns += 5 * TRI_NS_PER_MS;
    fake_return(fake, host, results[4], 1);
    cr_assert_eq(fake_count(fake, host, TRI_CALL), 20);
    fake_free(fake);
}

Test(tasks, what_has_not_started_is_recalled_for_an_idle_host)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    struct tri_id first[2] = {fake_id(fake, driver), fake_id(fake, driver)}, kept[4];
    fake_task(fake, driver, first[0], NULL, 0);
    tri_peer_index one = fake_host(fake);
    fake_task(fake, driver, first[1], NULL, 0);
    tri_peer_index two = fake_host(fake);
    fake_return(fake, one, first[0], 1); /* now it may have two */
    for (int i = 0; i < 2; i++) {
        kept[i] = fake_id(fake, driver);
        fake_task(fake, driver, kept[i], NULL, 0);
    }
    cr_assert_eq(fake_count(fake, one, TRI_CALL), 3);
    fake->now_ns += TRI_NS_PER_MS;
    fake_return(fake, two, first[1], 1);
    cr_assert_leq(tri_core_next_ns(fake->core), fake->now_ns + TRI_NS_PER_MS);
    cr_assert_eq(fake_count(fake, one, TRI_RECALL), 0);
    fake_tick(fake, 2);
    cr_assert_eq(fake_count(fake, one, TRI_RECALL), 1);
    cr_assert_eq(fake_ids(fake, one, TRI_RETURNED, 0, no_id, &kept[1], 1), TRP_OK);
    cr_assert(tri_id_equal(fake_last(fake, two, TRI_CALL)->parcel->route.result, kept[1]));
    fake_free(fake);
}

Test(tasks, are_run_again_when_their_host_dies)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    struct tri_id first;
    tri_peer_index host = pool(fake, driver, &first);
    for (int i = 0; i < 3; i++) {
        fake_died(fake, host, 11, 1, 0);
        cr_assert_null(fake_result(fake, driver, first));
        host = fake_host(fake);
        cr_assert_neq(fake_last(fake, host, TRI_CALL)->parcel->route.flags & TRI_RETRIED, 0);
    }
    fake_died(fake, host, 11, 1, 0);
    trp_error error = fake_error(fake_result(fake, driver, first));
    cr_assert_eq(error.code, TRP_EACTORDIED);
    cr_assert_eq(error.ran, TRP_MAY_HAVE_RUN);
    cr_assert_str_eq(error.method, "m");
    fake_free(fake);
}

Test(tasks, that_are_cancelled_are_not_run_again_when_their_host_dies)
{
    const struct {
        uint64_t started;
        trp_ran ran;
    } rows[] = {{0, TRP_NOT_RUN}, {1, TRP_MAY_HAVE_RUN}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fake *fake = fake_new(NULL, NULL, 0);
        tri_peer_index driver = fake_driver(fake);
        struct tri_id result;
        tri_peer_index host = pool(fake, driver, &result);
        fake_ids(fake, driver, TRI_CANCEL, TRI_ASKED, no_id, &result, 1);
        cr_assert(fake_names(fake, host, TRI_CANCEL, result));
        fake_died(fake, host, 9, rows[i].started, 0);
        const trp_error error = fake_error(fake_result(fake, driver, result));
        cr_assert_eq(error.code, TRP_ECANCELLED);
        cr_assert_eq(error.ran, rows[i].ran, "row %zu: %s", i, error.message);
        fake_free(fake);
    }
}

Test(tasks, that_are_cancelled_and_come_back_from_their_host_are_dropped)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    struct tri_id result;
    tri_peer_index host = pool(fake, driver, &result);
    fake_ids(fake, driver, TRI_CANCEL, TRI_ASKED, no_id, &result, 1);
    cr_assert_eq(fake_ids(fake, host, TRI_RETURNED, 0, no_id, &result, 1), TRP_OK);
    const trp_error error = fake_error(fake_result(fake, driver, result));
    cr_assert_eq(error.code, TRP_ECANCELLED);
    cr_assert_eq(error.ran, TRP_NOT_RUN);
    cr_assert_eq(fake_count(fake, host, TRI_CALL), 1, "it is not given again");
    fake_free(fake);
}

Test(tasks, that_had_not_started_go_elsewhere_unmarked_and_in_order)
{
    struct tri_core_config config = {.incarnation = 1, .node = "test", .num_cpus = 1};
    struct fake *fake = fake_new(&config, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    struct tri_id first, results[3];
    tri_peer_index host = pool(fake, driver, &first);
    fake_return(fake, host, first, 1);
    for (int i = 0; i < 3; i++) {
        results[i] = fake_id(fake, driver);
        fake_task(fake, driver, results[i], NULL, 0);
    }
    cr_assert_eq(fake_count(fake, host, TRI_CALL), 3, "a window of two");
    fake_died(fake, host, 9, 1, 1);
    host = fake_host(fake);
    const struct sent *sent = fake_last(fake, host, TRI_CALL);
    cr_assert(tri_id_equal(sent->parcel->route.result, results[0]));
    cr_assert_eq(sent->parcel->route.flags & TRI_RETRIED, 0);
    fake_free(fake);
}

Test(tasks, a_task_may_need_more_than_the_node_has)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    struct tri_needs needs = {.num_cpus = 4, .max_retries = 3};
    struct tri_id result = fake_id(fake, driver);
    struct tri_route route = {.kind = TRI_CALL, .flags = TRI_TASK, .result = result};
    trp_err err = tri_task_pack(&fake->packed, "m:f", trp_null(), &needs, NULL, NULL);
    cr_assert_eq(err, TRP_OK);
    struct tri_section body = fake->packed.section;
    cr_assert_eq(fake_send(fake, driver, route, &body, 1), TRP_OK);
    cr_assert_eq(fake_error(fake_result(fake, driver, result)).code, TRP_ENORESOURCE);
    needs.num_cpus = 2;
    err = tri_task_pack(&fake->packed, "m:f", trp_null(), &needs, NULL, NULL);
    cr_assert_eq(err, TRP_OK);
    body = fake->packed.section;
    route.result = fake_id(fake, driver);
    fake_send(fake, driver, route, &body, 1);
    tri_peer_index host = fake_host(fake);
    cr_assert_eq(fake_count(fake, host, TRI_CALL), 1);
    struct tri_core_counts counts;
    tri_core_count(fake->core, &counts);
    cr_assert_float_eq(counts.cpus_used, 2, 1e-9);
    fake_return(fake, host, route.result, 1);
    tri_core_count(fake->core, &counts);
    cr_assert_float_eq(counts.cpus_used, 0, 1e-9);
    fake_free(fake);
}

Test(tasks, an_actor_that_waits_for_what_a_task_holds_starts_when_that_ends)
{
    struct tri_core_config config = {.incarnation = 1, .node = "test", .num_cpus = 2};
    struct fake *fake = fake_new(&config, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    struct tri_needs needs = {.num_cpus = 2};
    struct tri_spawn body = fake_spawn_body("");
    struct tri_id task = fake_id(fake, driver), actor = fake_id(fake, driver);
    body.num_cpus = 1;
    cr_assert_eq(tri_task_pack(&fake->packed, "m:f", trp_null(), &needs, NULL, NULL), TRP_OK);
    struct tri_section section = fake->packed.section;
    fake_send(fake, driver, (struct tri_route){.kind = TRI_CALL, .flags = TRI_TASK, .result = task}, &section, 1);
    tri_peer_index host = fake_host(fake);
    cr_assert_eq(fake_count(fake, host, TRI_CALL), 1);
    fake_spawn(fake, driver, actor, no_id, &body);
    const uint32_t forks = fake->fork_count;
    fake_return(fake, host, task, 1);
    cr_assert_eq(fake->fork_count, forks + 1);
    fake_free(fake);
}

Test(tasks, one_way_tasks_are_watched_to_their_end)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    cr_assert_eq(fake_task(fake, driver, no_id, NULL, 0), TRP_EPROTO);
    trp_err err = tri_call_pack(&fake->packed, "m:f", trp_null(), NULL, NULL);
    cr_assert_eq(err, TRP_OK);
    struct tri_section body = fake->packed.section;
    struct tri_route route = {.kind = TRI_CALL, .flags = TRI_TASK | TRI_ONE_WAY};
    cr_assert_eq(fake_send(fake, driver, route, &body, 1), TRP_OK);
    tri_peer_index host = fake_host(fake);
    struct tri_id made = fake_last(fake, host, TRI_CALL)->parcel->route.result;
    cr_assert_not(tri_id_is_none(made));
    fake_return(fake, host, made, 1);
    cr_assert(fake_names(fake, host, TRI_FREED, made));
    cr_assert_eq(fake->released, 1);
    fake_free(fake);
}

/* ------------------------------------------------------------------------------------------- what their rows declare */

struct declared { /* of a task of module "m" */
    const char *name;
    double num_cpus, num_gpus;
    int64_t max_retries;
};

/* The host describes module "m" as it is now. */
static trp_err
describe(struct fake *fake, tri_peer_index host, const struct declared *rows, size_t count)
{
    trp_value tasks[4], entries[4][8];
    for (size_t i = 0; i < count; i++) {
        const trp_value row[] = {trp_str("name"),           trp_str(rows[i].name),       trp_str("num_cpus"),
                                 trp_f64(rows[i].num_cpus), trp_str("num_gpus"),         trp_f64(rows[i].num_gpus),
                                 trp_str("max_retries"),    trp_i64(rows[i].max_retries)};
        memcpy(entries[i], row, sizeof row);
        tasks[i] = trp_map(entries[i], 4);
    }
    trp_value module[] = {trp_str("name"), trp_str("m"), trp_str("tasks"), trp_list(tasks, count)};
    trp_err err = tri_value_pack(&fake->packed, trp_map(module, 2), NULL, NULL, NULL);
    cr_assert_eq(err, TRP_OK);
    struct tri_section body = fake->packed.section;
    return fake_send(fake, host, (struct tri_route){.kind = TRI_MODULE}, &body, 1);
}

static struct tri_id
task_of(struct fake *fake, tri_peer_index driver, const char *function, const struct tri_needs *needs)
{
    struct tri_route route = {.kind = TRI_CALL, .flags = TRI_TASK, .result = fake_id(fake, driver)};
    trp_err err = tri_task_pack(&fake->packed, function, trp_null(), needs, NULL, NULL);
    cr_assert_eq(err, TRP_OK);
    struct tri_section body = fake->packed.section;
    cr_assert_eq(fake_send(fake, driver, route, &body, 1), TRP_OK, "%s", fake->error.message);
    return route.result;
}

static double
cpus_used(const struct fake *fake)
{
    struct tri_core_counts counts;
    tri_core_count(fake->core, &counts);
    return counts.cpus_used;
}

Test(tasks, are_started_again_as_often_as_their_call_says_or_else_their_row)
{
    static const struct declared module[] = {{"never", 1, 0, 0}, {"once", 1, 0, 1}, {"usual", 1, 0, 3}};
    static const struct {
        const char *function;
        int32_t max_retries; /* of the call */
        int starts;
    } rows[] = {{"m:never", 0, 1}, {"m:once", 0, 2}, {"m:usual", 0, 4}, {"m:other", 0, 4},
                {"m:never", 2, 3}, {"m:once", 2, 3}, {"m:usual", 2, 3}, {"never", 0, 4}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fake *fake = fake_new(NULL, NULL, 0);
        tri_peer_index driver = fake_driver(fake);
        struct tri_needs needs = {.max_retries = rows[i].max_retries};
        struct tri_id result = task_of(fake, driver, rows[i].function, rows[i].max_retries != 0 ? &needs : NULL);
        int starts = 0;
        while (fake_result(fake, driver, result) == NULL && starts < 10) {
            tri_peer_index host = fake_host(fake);
            cr_assert_eq(describe(fake, host, module, 3), TRP_OK, "%s", fake->error.message);
            fake_died(fake, host, 9, 1, 0);
            starts++;
        }
        cr_expect_eq(starts, rows[i].starts, "%s: %d", rows[i].function, starts);
        trp_error error = fake_error(fake_result(fake, driver, result));
        cr_expect_eq(error.code, TRP_EACTORDIED);
        cr_expect_eq(error.ran, TRP_MAY_HAVE_RUN);
        fake_free(fake);
    }
}

Test(tasks, that_had_not_started_are_given_again_whatever_their_row_says)
{
    static const struct declared module[] = {{"never", 1, 0, 0}};
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    struct tri_id result = task_of(fake, driver, "m:never", NULL);
    tri_peer_index host = fake_host(fake);
    cr_assert_eq(describe(fake, host, module, 1), TRP_OK);
    fake_died(fake, host, 9, 0, 0);
    cr_assert_null(fake_result(fake, driver, result));
    fake_return(fake, fake_host(fake), result, 1);
    cr_assert_not_null(fake_result(fake, driver, result));
    fake_free(fake);
}

Test(tasks, take_what_their_row_says_once_their_module_is_known)
{
    static const struct declared module[] = {{"wide", 2, 0, 3}, {"idle", 0, 0, 3}, {"gpu", 1, 1, 3}},
                                 later[] = {{"gpu", 1, 1, 3}};
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake);
    struct tri_id result = task_of(fake, driver, "m:wide", NULL);
    tri_peer_index host = fake_host(fake);
    cr_expect_float_eq(cpus_used(fake), 1, 1e-9, "nobody knew the module");
    cr_assert_eq(describe(fake, host, module, 3), TRP_OK);
    fake_return(fake, host, result, 1);
    struct tri_needs one = {.num_cpus = 1}, none = {.num_cpus = -1};
    const struct {
        const char *function;
        const struct tri_needs *needs;
        double cpus;
    } rows[] = {
        {"m:wide", NULL, 2}, {"m:idle", NULL, 0}, {"m:other", NULL, 1}, {"m:wide", &one, 1}, {"m:wide", &none, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        result = task_of(fake, driver, rows[i].function, rows[i].needs);
        cr_expect_float_eq(cpus_used(fake), rows[i].cpus, 1e-9, "row %zu: %g", i, cpus_used(fake));
        fake_return(fake, host, result, 1);
        cr_expect_float_eq(cpus_used(fake), 0, 1e-9);
    }
    result = task_of(fake, driver, "m:gpu", NULL);
    cr_expect_eq(fake_error(fake_result(fake, driver, result)).code, TRP_ENORESOURCE);
    cr_assert_eq(describe(fake, host, later, 1), TRP_OK, "the newest description counts");
    result = task_of(fake, driver, "m:wide", NULL);
    cr_expect_float_eq(cpus_used(fake), 1, 1e-9);
    fake_return(fake, host, result, 1);
    fake_free(fake);
}

Test(tasks, descriptions_with_numbers_that_make_no_sense_are_refused)
{
    static const struct declared rows[] = {{"f", -1, 0, 3},       {"f", NAN, 0, 3}, {"f", 1, -1, 3},
                                           {"f", 1, INFINITY, 3}, {"f", 1, 0, -2},  {"f", 1, 0, INT64_C(1) << 32}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fake *fake = fake_new(NULL, NULL, 0);
        tri_peer_index driver = fake_driver(fake);
        struct tri_id first;
        tri_peer_index host = pool(fake, driver, &first);
        cr_expect_eq(describe(fake, host, &rows[i], 1), TRP_EPROTO, "row %zu", i);
        cr_expect_not_null(strstr(fake->error.message, "describes a task of"), "%s", fake->error.message);
        fake_free(fake);
    }
}
