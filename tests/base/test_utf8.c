/* test_utf8.c - what is text and what is not, at every place of a long string; what is made of other bytes. */
#include <criterion/criterion.h>

#include <string.h>

#include "transport/base/base.h"

/* `bad`: the byte from which on it is no text; -1: all of it is. */
static const struct {
    const char *text;
    size_t size;
    int bad;
} rows[] = {
    {"", 0, -1},
    {"abc", 3, -1},
    {"\x01\x7f", 2, -1},
    {"a\0b", 3, 1},
    {"\x80", 1, 0},
    {"\xbf", 1, 0},
    {"\xc2\x80", 2, -1},
    {"\xdf\xbf", 2, -1},
    {"\xc2", 1, 0},
    {"\xc2z", 2, 0},
    {"\xc0\x80", 2, 0}, /* a NUL in two bytes */
    {"\xc1\xbf", 2, 0},
    {"\xe0\xa0\x80", 3, -1},
    {"\xe0\x9f\xbf", 3, 0},
    {"\xed\x9f\xbf", 3, -1},
    {"\xed\xa0\x80", 3, 0}, /* half of a surrogate pair */
    {"\xef\xbf\xbf", 3, -1},
    {"\xe2\x82", 2, 0},
    {"\xe2\x82z", 3, 0},
    {"\xf0\x90\x80\x80", 4, -1},
    {"\xf0\x8f\xbf\xbf", 4, 0},
    {"\xf4\x8f\xbf\xbf", 4, -1},
    {"\xf4\x90\x80\x80", 4, 0}, /* beyond U+10FFFF */
    {"\xf5\x80\x80\x80", 4, 0},
    {"\xf0\x9f\x98", 3, 0},
    {"\xff", 1, 0},
    {"gr\xc3\xbc\xc3\x9f", 6, -1},
    {"gr\xfc\xdf", 4, 2},
};

Test(utf8, each_of_these_is_judged_rightly_wherever_it_stands)
{
    char text[64];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t before = 0; before < 20; before++)
            for (size_t behind = 0; behind < 20; behind++) {
                const size_t size = before + rows[i].size + behind;
                memset(text, 'x', sizeof text);
                memcpy(text + before, rows[i].text, rows[i].size);
                cr_expect_eq(tri_text_valid(text, size), rows[i].bad < 0 ? size : before + (size_t)rows[i].bad,
                             "row %zu, %zu before, %zu behind", i, before, behind);
            }
}

Test(utf8, what_is_no_text_becomes_question_marks_and_the_rest_stays)
{
    char text[] = "a\xff\xc3\xbc\xe2\x82z\xe2\x82";

    tri_text_clean(text, strlen(text));
    cr_expect_str_eq(text, "a?\xc3\xbc??z??");
}

Test(utf8, a_copy_is_cut_in_front_of_a_character)
{
    char copy[4];

    cr_expect_str_eq(tri_text_copy(copy, 4, "ab\xc3\xbc"), "ab");
    cr_expect_str_eq(tri_text_copy(copy, 4, "a\xc3\xbc"), "a\xc3\xbc");
    cr_expect_str_eq(tri_text_copy(copy, 4, "\xf0\x9f\x98\x80"), "");
    cr_expect_str_eq(tri_text_copy(copy, 4, "abcd"), "abc");
}

Test(utf8, the_sentence_of_an_error_is_text_whatever_it_quotes)
{
    trp_error error;

    (void)TRI_FAIL(&error, TRP_EINVAL, "'%s' and '%.2s'", "\xff", "a\xc3\xbc");
    cr_expect_str_eq(error.message, "'?' and 'a?'");
}
