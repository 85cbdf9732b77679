/* test_mailbox.c - the order in which calls start. */
#include <criterion/criterion.h>

#include <string.h>

#include "actors/mailbox.h"

enum { CALLS = 32 };

static struct tri_mailbox mailbox;
static struct tri_incoming calls[CALLS];

static void
start(void)
{
    tri_mailbox_init(&mailbox, CALLS);
    for (uint32_t i = 0; i < CALLS; i++)
        calls[i].index = i + 1;
}

/* Call i of a caller comes. */
static void
come(uint32_t i, uint64_t caller, int8_t priority)
{
    calls[i].caller.space = caller;
    calls[i].priority = priority;
    tri_mailbox_push(&mailbox, &calls[i]);
}

/* Takes all out: their indices as digits and letters. */
static const char *
order(void)
{
    static char text[CALLS + 1];
    size_t count = 0;
    struct tri_incoming *call;
    while ((call = tri_mailbox_pop(&mailbox)) != NULL)
        text[count++] = "0123456789abcdefghijklmnopqrstuvwxyz"[call - calls];
    text[count] = '\0';
    return text;
}

TestSuite(mailbox, .init = start);

Test(mailbox, calls_start_in_the_order_in_which_they_came)
{
    for (uint32_t i = 0; i < 6; i++)
        come(i, 1 + i % 2, 0);
    cr_expect_str_eq(order(), "012345");
    cr_expect_eq(mailbox.count, 0);
}

Test(mailbox, an_urgent_call_goes_before_other_callers)
{
    come(0, 1, 0);
    come(1, 1, -2);
    come(2, 2, 1);
    come(3, 3, 2);
    cr_expect_str_eq(order(), "3201");
}

Test(mailbox, an_urgent_call_never_overtakes_its_own_caller)
{
    come(0, 1, 0);
    come(1, 2, 0);
    come(2, 1, 2);
    come(3, 3, 2);
    cr_expect_str_eq(order(), "3012");
}

Test(mailbox, priorities_beyond_the_range_count_as_the_last_of_it)
{
    come(0, 1, 0);
    come(1, 2, 100);
    come(2, 3, -100);
    cr_expect_str_eq(order(), "102");
}

Test(mailbox, no_more_run_than_may)
{
    tri_mailbox_init(&mailbox, 2);
    for (uint32_t i = 0; i < 4; i++)
        come(i, 1, 0);
    cr_expect_str_eq(order(), "01");
    cr_expect_not(tri_mailbox_ready(&mailbox));
    tri_mailbox_finish(&mailbox);
    cr_expect(tri_mailbox_ready(&mailbox));
    cr_expect_str_eq(order(), "2");
}

Test(mailbox, a_closed_one_takes_and_gives_nothing)
{
    mailbox.open = false;
    come(0, 1, 0);
    cr_expect_not(tri_mailbox_ready(&mailbox));
    cr_expect_null(tri_mailbox_pop(&mailbox));
    mailbox.open = true;
    cr_expect_str_eq(order(), "0");
}

Test(mailbox, what_is_removed_does_not_start)
{
    for (uint32_t i = 0; i < 4; i++)
        come(i, 1, 0);
    tri_mailbox_remove(&mailbox, &calls[1]);
    cr_expect_eq(mailbox.count, 3);
    cr_expect_str_eq(order(), "023");
}

Test(mailbox, what_is_taken_comes_in_its_order_and_does_not_run)
{
    struct tri_incoming *taken[3];
    for (uint32_t i = 0; i < 5; i++)
        come(i, i, i == 4 ? 2 : 0);
    cr_assert_eq(tri_mailbox_take(&mailbox, taken, 3), 3);
    cr_expect_eq(taken[0], &calls[4]);
    cr_expect_eq(taken[1], &calls[0]);
    cr_expect_eq(taken[2], &calls[1]);
    cr_expect_eq(mailbox.running, 0);
    cr_expect_str_eq(order(), "23");
}

Test(mailbox, the_lowest_index_is_found_in_every_queue)
{
    cr_expect_eq(tri_mailbox_lowest(&mailbox), UINT64_MAX);
    come(0, 1, -2);
    come(1, 2, 2);
    come(2, 3, 0);
    cr_expect_eq(tri_mailbox_lowest(&mailbox), 1);
    tri_mailbox_remove(&mailbox, &calls[0]);
    cr_expect_eq(tri_mailbox_lowest(&mailbox), 2);
}
