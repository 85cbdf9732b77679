/* test_runs.c - the table of runs: what is handed out, given back, grown and made anew, and that it is always right. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "store/runs.h"

#define P1 ((uint16_t)1)
#define P2 ((uint16_t)2)

static struct tri_runs *
made(uint32_t granules, bool backed)
{
    struct tri_runs *runs = NULL;
    cr_assert_eq(tri_runs_create(granules, &runs, NULL), TRP_OK);
    cr_assert_eq(tri_runs_reserve(runs, 64), TRP_OK);
    for (uint32_t extent = 0; backed && extent < tri_runs_extents(runs); extent++)
        tri_runs_back(runs, extent);
    return runs;
}

static struct tri_span
taken(struct tri_runs *runs, uint32_t count, uint16_t process)
{
    struct tri_span run = {0, 0};
    cr_assert_eq(tri_runs_reserve(runs, 1), TRP_OK);
    cr_assert(tri_runs_take(runs, count, process, &run), "no run of %u granules", count);
    cr_assert_eq(run.count, count);
    return run;
}

static void
well(const struct tri_runs *runs)
{
    const char *wrong = tri_runs_check(runs);
    cr_assert(wrong == NULL, "%s", wrong);
}

Test(runs, nothing_is_handed_out_of_what_has_no_memory)
{
    struct tri_runs *runs = made(3 * TRI_EXTENT_GRANULES, false);
    struct tri_span run;
    cr_expect_not(tri_runs_take(runs, 1, P1, &run));
    tri_runs_back(runs, 1);
    well(runs);
    cr_expect(tri_runs_take(runs, TRI_EXTENT_GRANULES, P1, &run));
    cr_expect_eq(run.start, TRI_EXTENT_GRANULES);
    cr_expect_not(tri_runs_take(runs, 1, P1, &run));
    well(runs);
    tri_runs_destroy(&runs);
    cr_expect_null(runs);
}

Test(runs, free_neighbours_are_one_run_also_across_extents)
{
    struct tri_runs *runs = made(2 * TRI_EXTENT_GRANULES + 100, true);
    const struct tri_span left = taken(runs, 10, P1), middle = taken(runs, 20, P1), right = taken(runs, 30, P1);
    cr_expect(tri_runs_give(runs, left));
    well(runs);
    cr_expect(tri_runs_give(runs, right));
    well(runs);
    cr_expect_eq(tri_runs_stat(runs).free_runs, 2);
    cr_expect(tri_runs_give(runs, middle));
    well(runs);
    const struct tri_runs_stat stat = tri_runs_stat(runs);
    cr_expect_eq(stat.free_runs, 1);
    cr_expect_eq(stat.longest_free, 2 * TRI_EXTENT_GRANULES + 100);
    cr_expect_eq(stat.taken, 0);
    tri_runs_destroy(&runs);
}

Test(runs, who_gives_back_what_is_not_taken_is_told)
{
    struct tri_runs *runs = made(TRI_EXTENT_GRANULES, true);
    const struct tri_span run = taken(runs, 8, P1);
    const struct tri_span lies[] = {{run.start, 7},     {run.start, 9},           {run.start + 1, 7},
                                    {run.start + 8, 8}, {TRI_EXTENT_GRANULES, 1}, {UINT32_MAX, 1}};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
        cr_expect_not(tri_runs_give(runs, lies[i]), "row %zu", i);
    cr_expect(tri_runs_give(runs, run));
    cr_expect_not(tri_runs_give(runs, run), "twice");
    well(runs);
    tri_runs_destroy(&runs);
}

Test(runs, a_lease_is_cut_into_objects_that_end_one_by_one)
{
    struct tri_runs *runs = made(TRI_EXTENT_GRANULES, true);
    const struct tri_span lease = taken(runs, 100, P1);
    cr_expect(tri_runs_part(runs, (struct tri_span){lease.start, 30}));
    cr_expect(tri_runs_part(runs, (struct tri_span){lease.start + 30, 50}));
    cr_expect_eq(tri_runs_stat(runs).taken_runs, 3);
    cr_expect(tri_runs_give(runs, (struct tri_span){lease.start + 30, 50}));
    well(runs);
    cr_expect(tri_runs_give(runs, (struct tri_span){lease.start, 30}));
    cr_expect(tri_runs_give(runs, (struct tri_span){lease.start + 80, 20}));
    cr_expect_eq(tri_runs_stat(runs).taken, 0);
    well(runs);
    tri_runs_destroy(&runs);
}

Test(runs, a_process_gets_what_it_wrote_before_another_does)
{
    struct tri_runs *runs = made(TRI_EXTENT_GRANULES, true);
    const struct tri_span first = taken(runs, TRI_WARM_GRANULES, P1), second = taken(runs, TRI_WARM_GRANULES, P2);
    const struct tri_span third = taken(runs, TRI_WARM_GRANULES, P1), wall = taken(runs, TRI_WARM_GRANULES, P2);
    cr_expect(tri_runs_give(runs, second) && tri_runs_give(runs, wall));
    (void)taken(runs, TRI_EXTENT_GRANULES - 4 * TRI_WARM_GRANULES,
                P1); /* from the high end: what is left are the two */
    const struct tri_span again = taken(runs, TRI_WARM_GRANULES, P2);
    cr_expect(again.start == second.start || again.start == wall.start);
    cr_expect(tri_runs_give(runs, first));
    cr_expect_eq(taken(runs, TRI_WARM_GRANULES, P1).start, first.start);
    cr_expect(tri_runs_give(runs, third) && tri_runs_give(runs, again));
    well(runs);
    tri_runs_destroy(&runs);
}

Test(runs, long_and_short_ones_keep_apart)
{
    struct tri_runs *runs = made(4 * TRI_EXTENT_GRANULES, true);
    const struct tri_span brief = taken(runs, 25, P1), extended = taken(runs, TRI_RUN_LONG, P1);
    cr_expect_eq(brief.start, 0);
    cr_expect_eq(extended.start + extended.count, 4 * TRI_EXTENT_GRANULES);
    tri_runs_destroy(&runs);
}

Test(runs, the_table_can_be_made_anew_from_what_is_taken)
{
    struct tri_runs *runs = made(TRI_EXTENT_GRANULES, true);
    cr_expect(tri_runs_claim(runs, (struct tri_span){100, 50}));
    cr_expect(tri_runs_claim(runs, (struct tri_span){0, 100}));
    cr_expect(tri_runs_claim(runs, (struct tri_span){TRI_EXTENT_GRANULES - 1, 1}));
    const struct tri_span bad[] = {
        {149, 2}, {99, 1}, {120, 5}, {TRI_EXTENT_GRANULES - 2, 2}, {TRI_EXTENT_GRANULES, 1}, {200, 0}, {1, UINT32_MAX}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_not(tri_runs_claim(runs, bad[i]), "row %zu", i);
    well(runs);
    cr_expect_eq(tri_runs_stat(runs).taken, 151);
    tri_runs_destroy(&runs);
}

Test(runs, extents_come_and_go)
{
    struct tri_runs *runs = made(5 * TRI_EXTENT_GRANULES, false);
    uint32_t first = 9, extents = 9;
    cr_expect(tri_runs_wanted(runs, 10, &first, &extents));
    cr_expect(first == 0 && extents == 1, "%u %u", first, extents);
    tri_runs_back(runs, 0);
    const struct tri_span run = taken(runs, 10, P1);
    cr_expect(tri_runs_wanted(runs, 2 * TRI_EXTENT_GRANULES - 10, &first, &extents), "half of it is there");
    cr_expect(first == 1 && extents == 1, "%u %u", first, extents);
    cr_expect_not(tri_runs_wanted(runs, 5 * TRI_EXTENT_GRANULES, &first, &extents), "something stands in the way");
    cr_expect_not(tri_runs_unback(runs, 0), "something lies there");
    tri_runs_back(runs, 1);
    tri_runs_back(runs, 3);
    cr_expect(tri_runs_unback(runs, 3));
    cr_expect_not(tri_runs_is_backed(runs, 3));
    cr_expect(tri_runs_unback(runs, 1));
    well(runs);
    cr_expect(tri_runs_give(runs, run));
    cr_expect(tri_runs_unback(runs, 0));
    well(runs);
    cr_expect_eq(tri_runs_stat(runs).backed, 0);
    tri_runs_destroy(&runs);
}

static uint64_t
cost_but_of(void *user, struct tri_span run)
{
    return run.start == *(const uint32_t *)user ? TRI_COST_NEVER : run.count;
}

Test(runs, the_window_is_the_cheapest_and_leaves_alone_what_cannot_go)
{
    struct tri_runs *runs = made(400, true);
    for (uint32_t i = 0; i < 4; i++)
        (void)taken(runs, 100, P1);
    cr_expect(tri_runs_part(runs, (struct tri_span){0, 60}));
    cr_expect(tri_runs_give(runs, (struct tri_span){0, 60})); /* free 60, 40, 100, 100, 100 */
    struct tri_span window;
    uint32_t pinned = UINT32_MAX;
    cr_expect(tri_runs_window(runs, 100, cost_but_of, &pinned, &window));
    cr_expect(window.start == 0 && window.count == 100, "%u %u", window.start, window.count);
    pinned = 60;
    cr_expect(tri_runs_window(runs, 150, cost_but_of, &pinned, &window));
    cr_expect(window.start == 100 && window.count == 200, "%u %u", window.start, window.count);
    pinned = 200;
    cr_expect_not(tri_runs_window(runs, 201, cost_but_of, &pinned, &window));
    struct tri_span in;
    cr_expect(tri_runs_next(runs, 0, 100, &in) && in.start == 60);
    cr_expect_not(tri_runs_next(runs, 61, 100, &in));
    tri_runs_destroy(&runs);
}

/* A thousand operations of each of many seeds, against a map of who has which granule. */
Test(runs, no_granule_is_anybodys_twice)
{
    enum { GRANULES = 3 * TRI_EXTENT_GRANULES, MOST = 64 };
    static uint8_t owner[GRANULES];
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t random = seed;
        struct tri_runs *runs = made(GRANULES, true);
        struct tri_span have[MOST];
        size_t count = 0;
        for (size_t i = 0; i < GRANULES; i++)
            owner[i] = 0;
        for (int step = 0; step < 1000; step++) {
            struct tri_span run;
            const uint32_t size = 1 + (uint32_t)(tri_random_next(&random) % (step % 7 == 0 ? 9000 : 400));
            cr_assert_eq(tri_runs_reserve(runs, 1), TRP_OK);
            if (count < MOST && tri_random_next(&random) % 2 == 0 && tri_runs_take(runs, size, P1, &run)) {
                for (uint32_t i = run.start; i < run.start + run.count; i++)
                    cr_assert_eq(owner[i]++, 0, "granule %u is taken twice", i);
                have[count++] = run;
            } else if (count > 0) {
                const size_t victim = tri_random_next(&random) % count;
                for (uint32_t i = have[victim].start; i < have[victim].start + have[victim].count; i++)
                    owner[i] = 0;
                cr_assert(tri_runs_give(runs, have[victim]));
                have[victim] = have[--count];
            }
        }
        well(runs);
        tri_runs_destroy(&runs);
    }
}
