/* test_lines.c - lines of hosts: cut, limited, remembered. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "broker/node/root.h"

struct heard {
    char text[3 * TRI_LINE_MAX];
    int count;
};

static void
on_line(void *user, const char *line)
{
    struct heard *heard = user;
    size_t at = strlen(heard->text);
    snprintf(heard->text + at, sizeof heard->text - at, "%s|", line);
    heard->count++;
}

Test(lines, are_put_together_from_pieces)
{
    struct tri_lines lines = {0};
    struct heard heard = {0};
    tri_lines_feed(&lines, "hel", 3, on_line, &heard);
    cr_expect_eq(heard.count, 0);
    tri_lines_feed(&lines, "lo\n\nwor", 7, on_line, &heard);
    tri_lines_feed(&lines, "ld\r\nand", 7, on_line, &heard);
    cr_expect_str_eq(heard.text, "hello||world|");
    tri_lines_flush(&lines, on_line, &heard);
    cr_expect_str_eq(heard.text, "hello||world|and|");
    cr_expect_null(lines.text);
}

Test(lines, hold_no_memory_between_whole_ones)
{
    struct tri_lines lines = {0};
    struct heard heard = {0};
    tri_lines_feed(&lines, "a\nb\n", 4, on_line, &heard);
    cr_expect_null(lines.text);
    cr_expect_eq(heard.count, 2);
}

Test(lines, longer_than_the_limit_are_cut_and_zeros_are_shown_as_spaces)
{
    static char data[TRI_LINE_MAX + 10];
    struct tri_lines lines = {0};
    struct heard heard = {0};
    memset(data, 'x', sizeof data);
    data[1] = '\0';
    data[sizeof data - 1] = '\n';
    tri_lines_feed(&lines, data, sizeof data, on_line, &heard);
    cr_expect_eq(heard.count, 2);
    cr_expect_eq(heard.text[1], ' ');
    cr_expect_eq(heard.text[TRI_LINE_MAX], '|');
    cr_expect_str_eq(heard.text + TRI_LINE_MAX + 1, "xxxxxxxxx|");
}

Test(rate, lets_a_burst_pass_and_then_a_thousand_a_second)
{
    struct tri_rate rate = {0};
    uint64_t now_ns = TRI_NS_PER_S;
    int passed = 0;
    for (int i = 0; i < 5000; i++)
        passed += tri_rate_take(&rate, now_ns);
    cr_expect_eq(passed, TRI_LINES_BURST);
    cr_expect_eq(rate.left_out, 5000 - TRI_LINES_BURST);
    passed = 0;
    for (int i = 0; i < 1000000; i++) /* a second of lines that come each microsecond */
        passed += tri_rate_take(&rate, now_ns += 1000);
    cr_expect_eq(passed, TRI_LINES_PER_S);
    passed = 0;
    for (int i = 0; i < 4000000; i++) /* and faster than a thousandth is earned */
        passed += tri_rate_take(&rate, now_ns += 250);
    cr_expect_eq(passed, TRI_LINES_PER_S);
}

Test(recent, keeps_the_last_lines_in_order)
{
    static struct tri_recent recent;
    char line[32], text[TRI_RECENT_LINES * TRI_RECENT_WIDTH + 1];
    tri_recent_format(&recent, text, sizeof text);
    cr_expect_str_eq(text, "");
    for (int i = 0; i < 30; i++) {
        snprintf(line, sizeof line, "line %d", i);
        tri_recent_add(&recent, line);
    }
    tri_recent_format(&recent, text, sizeof text);
    cr_expect(strncmp(text, "line 10\nline 11\n", 16) == 0, "%s", text);
    cr_expect_not_null(strstr(text, "line 29\n"));
    tri_recent_format(&recent, text, 17);
    cr_expect_str_eq(text, "line 28\nline 29\n");
}
