/* test_limits.c - the arithmetic and the processes of bench/limits. */
#include <criterion/criterion.h>
#include <unistd.h>

#include "bench/limits/limits.h"

Test(limits, percentile_is_the_value_that_so_many_are_not_above)
{
    uint64_t values[] = {50, 10, 40, 20, 30};

    cr_expect_eq(tri_limit_percentile(values, 5, 50), 30);
    cr_expect_eq(tri_limit_percentile(values, 5, 99), 50);
    cr_expect_eq(tri_limit_percentile(values, 5, 0), 10);
    cr_expect_eq(tri_limit_percentile(values, 1, 50), 10);
    cr_expect_eq(tri_limit_percentile(values, 0, 50), 0);
}

Test(limits, processor_time_of_this_process_grows_with_work)
{
    uint64_t before = tri_limit_cpu_ns((int)getpid());

    tri_limit_think(1);
    tri_limit_think(5000000);
    cr_expect_gt(tri_limit_cpu_ns((int)getpid()), before + 1000000);
}

Test(limits, processor_time_of_no_process_is_none)
{
    cr_expect_eq(tri_limit_cpu_ns(-1), 0);
}

Test(limits, programs_that_do_nothing_start_and_end)
{
    trp_error error = {.message = ""};
    uint64_t took = 0;

    cr_expect_eq(tri_limit_spawn_one(&took, &error), TRP_OK, "%s", error.message);
    cr_expect_gt(took, 0);
    cr_expect_eq(tri_limit_spawn_many(5, &took, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(tri_limit_fork_many(3, &took, &error), TRP_OK, "%s", error.message);
}

Test(limits, a_chain_has_at_least_one_worker)
{
    struct tri_chain *chain = NULL;
    trp_error error;

    cr_expect_neq(tri_chain_open(0, &chain, &error), TRP_OK);
    cr_expect_neq(tri_chain_open(TRI_CHAIN_WORKERS_MAX + 1, &chain, &error), TRP_OK);
    cr_expect_null(chain);
}
