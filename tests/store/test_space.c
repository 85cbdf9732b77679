/* test_space.c - what a process has of the arena, and what of it is free. */
#include <criterion/criterion.h>

#include "store/space.h"

static void
given(struct tri_space *space, uint32_t start, uint32_t count)
{
    cr_assert_eq(tri_space_give(space, (struct tri_span){start, count}), TRP_OK);
}

Test(space, pieces_that_touch_are_one)
{
    struct tri_space space = {0};
    struct tri_span run;
    given(&space, 100, 10);
    given(&space, 120, 10);
    cr_expect_not(tri_space_take(&space, 11, &run), "two pieces of 10");
    given(&space, 110, 10);
    cr_expect_eq(space.count, 1);
    cr_expect(tri_space_take(&space, 30, &run) && run.start == 100 && run.count == 30);
    cr_expect_eq(space.count, 0);
    cr_expect_eq(space.free_granules, 0);
    tri_space_fini(&space);
}

Test(space, what_ends_is_taken_first_when_it_fits_best)
{
    struct tri_space space = {0};
    struct tri_span first, second, third, again;
    given(&space, 0, 1000);
    cr_assert(tri_space_take(&space, 256, &first) && tri_space_take(&space, 256, &second) &&
              tri_space_take(&space, 10, &third));
    given(&space, second.start, second.count);
    cr_expect(tri_space_take(&space, 256, &again));
    cr_expect_eq(again.start, second.start, "its pages are there already");
    tri_space_fini(&space);
}

Test(space, pieces_that_are_too_short_leave)
{
    struct tri_space space = {0};
    struct tri_span run;
    cr_expect_not(tri_space_leave(&space, UINT32_MAX, &run));
    given(&space, 0, 10);
    given(&space, 50, 30);
    given(&space, 200, 20);
    cr_expect_not(tri_space_leave(&space, 10, &run));
    cr_expect(tri_space_leave(&space, 30, &run) && run.start == 200 && run.count == 20);
    cr_expect(tri_space_leave(&space, 30, &run) && run.start == 0 && run.count == 10);
    cr_expect_not(tri_space_leave(&space, 30, &run));
    cr_expect_eq(space.free_granules, 30);
    cr_expect(tri_space_leave(&space, UINT32_MAX, &run) && run.start == 50);
    cr_expect_not(tri_space_leave(&space, UINT32_MAX, &run));
    tri_space_fini(&space);
}

/* Against a map of bits. */
Test(space, hands_out_nothing_twice_and_loses_nothing)
{
    enum { GRANULES = 4000, MOST = 100 };
    for (uint64_t seed = 1; seed <= 50; seed++) {
        uint64_t random = seed;
        struct tri_space space = {0};
        static bool taken[GRANULES];
        struct tri_span have[MOST], run;
        size_t count = 0;
        uint64_t free_granules = GRANULES;
        for (int i = 0; i < GRANULES; i++)
            taken[i] = false;
        given(&space, GRANULES / 2, GRANULES / 2);
        given(&space, 0, GRANULES / 2);
        for (int step = 0; step < 2000; step++) {
            const uint32_t size = 1 + (uint32_t)(tri_random_next(&random) % 150);
            if (count < MOST && tri_random_next(&random) % 2 == 0 && tri_space_take(&space, size, &run)) {
                for (uint32_t i = run.start; i < run.start + run.count; i++) {
                    cr_assert_not(taken[i], "granule %u is taken twice", i);
                    taken[i] = true;
                }
                free_granules -= size;
                have[count++] = run;
            } else if (count > 0) {
                const size_t victim = tri_random_next(&random) % count;
                for (uint32_t i = have[victim].start; i < have[victim].start + have[victim].count; i++)
                    taken[i] = false;
                free_granules += have[victim].count;
                given(&space, have[victim].start, have[victim].count);
                have[victim] = have[--count];
            }
            cr_assert_eq(space.free_granules, free_granules);
        }
        while (count > 0)
            given(&space, have[count - 1].start, have[count - 1].count), count--;
        cr_assert(space.count == 1 && space.pieces[0].count == GRANULES);
        tri_space_fini(&space);
    }
}
