/* test_differ.c - troupe/testing.h's comparisons: what a failure says. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

/* What the assertions say of a failure comes here. */
static char said[2048];
#define TRP_TEST_FAIL(...) (void)snprintf(said, sizeof said, __VA_ARGS__)
#include <troupe/testing.h>

static const trp_value none = {.kind = TRP_NONE};

static void
differs(trp_value got, trp_value expected, const char *wanted)
{
    char text[1200] = "";
    const bool differ = trp_test_differ(got, expected, text, sizeof text);

    cr_expect_eq(differ, wanted != NULL, "%s", text);
    cr_expect_str_eq(text, wanted != NULL ? wanted : "");
}

Test(differ, values_that_are_equal_do_not)
{
    differs(TRP_V(5), TRP_V(5), NULL);
    differs(TRP_MAP("a", 1, "b", 2), TRP_MAP("b", 2, "a", 1), NULL);
    differs(none, none, NULL);
}

Test(differ, both_are_shown_as_trp_format_writes_them)
{
    differs(TRP_V(12), TRP_V(11), "got       12\nexpected  11");
    differs(TRP_V("a"), TRP_V("b"), "got       \"a\"\nexpected  \"b\"");
    differs(trp_bytes("hi", 2), trp_bytes("ho", 2), "got       \"bytes:2:6869\"\nexpected  \"bytes:2:686f\"");
}

Test(differ, kinds_are_named_where_they_differ)
{
    differs(TRP_V(5), TRP_V(5.0), "got       5, an int64\nexpected  5.0, a float64");
    differs(none, TRP_V(5), "got       nothing\nexpected  5, an int64");
    differs(TRP_LIST(1), TRP_TUPLE(1), "got       [1], a list\nexpected  [1], a tuple");
}

Test(differ, the_first_place_is_named)
{
    differs(TRP_MAP("calls", 2, "mean", 5.5), TRP_MAP("calls", 1, "mean", 5.5),
            "got       {\"calls\": 2, \"mean\": 5.5}\nexpected  {\"calls\": 1, \"mean\": 5.5}\nat .calls: 2; not 1");
    differs(TRP_LIST(1, TRP_MAP("x", TRP_LIST(1, 2))), TRP_LIST(1, TRP_MAP("x", TRP_LIST(1, "2"))),
            "got       [1, {\"x\": [1, 2]}]\nexpected  [1, {\"x\": [1, \"2\"]}]\n"
            "at [1].x[1]: 2, an int64; not \"2\", a string");
    differs(TRP_LIST(1, 2), TRP_LIST(1), "got       [1, 2]\nexpected  [1]\nat [1]: 2, an int64; not nothing");
    differs(TRP_LIST(1), TRP_LIST(1, 2), "got       [1]\nexpected  [1, 2]\nat [1]: nothing; not 2, an int64");
    differs(TRP_MAP("a", 1, "b", 2), TRP_MAP("a", 1),
            "got       {\"a\": 1, \"b\": 2}\nexpected  {\"a\": 1}\nat .b: 2, an int64; not nothing");
    differs(TRP_MAP("a", 1), TRP_MAP("a", 1, "b", 2),
            "got       {\"a\": 1}\nexpected  {\"a\": 1, \"b\": 2}\nat .b: nothing; not 2, an int64");
}

Test(differ, what_is_long_is_cut)
{
    char longer[2001], text[4096], small[20];

    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    cr_assert(trp_test_differ(TRP_V(longer), TRP_V("y"), text, sizeof text));
    cr_expect_eq(strlen(text), strlen("got       ") + 400 + strlen("...\nexpected  \"y\""));
    cr_expect(trp_test_differ(TRP_V(longer), TRP_V("y"), small, sizeof small));
    cr_expect_eq(strlen(small), sizeof small - 1);
    cr_expect(trp_test_differ(TRP_V(1), TRP_V("y"), NULL, 0));
}

Test(differ, what_nests_too_deep_has_an_end)
{
    trp_value levels[TRP_NESTING_MAX + 3];
    char text[1200];

    levels[0] = trp_i64(1);
    for (size_t i = 1; i < sizeof levels / sizeof *levels; i++)
        levels[i] = trp_list(&levels[i - 1], 1);
    cr_expect(trp_test_differ(levels[TRP_NESTING_MAX + 2], levels[TRP_NESTING_MAX + 2], text, sizeof text));
}

Test(differ, codes_are_said_with_what_the_function_said)
{
    trp_error error = {.code = TRP_ETASK, .cause = TRP_ELIMIT, .message = "The sum is beyond 64 bits."};
    char text[1200] = "";

    cr_expect_not(trp_test_returned(TRP_OK, TRP_OK, &error, text, sizeof text));
    cr_expect(trp_test_returned(TRP_ETASK, TRP_OK, &error, text, sizeof text));
    cr_expect_str_eq(text, "got       TRP_ETASK: the method or task failed\nexpected  TRP_OK: done\n"
                           "it said   The sum is beyond 64 bits.\ncause     TRP_ELIMIT: a limit is reached");
    cr_expect(trp_test_returned(TRP_OK, TRP_ETYPE, NULL, text, sizeof text));
    cr_expect_str_eq(text,
                     "got       TRP_OK: done\nexpected  TRP_ETYPE: a value is of another kind than is wanted here");
    cr_expect(trp_test_returned(TRP_OK, TRP_ETYPE, NULL, NULL, 0));
}

Test(differ, assertions_fail_with_what_was_compared)
{
    trp_error error = {.code = TRP_ENOENT, .message = "no such thing"};

    TRP_TEST_EQUAL(trp_i64(5), 5);
    TRP_TEST_EQUAL(TRP_LIST(1, "a"), TRP_LIST(1, "a"));
    TRP_TEST_RETURNS(TRP_OK, TRP_OK, &error);
    cr_expect_str_eq(said, "");
    TRP_TEST_EQUAL(trp_i64(5), 6);
    cr_expect_str_eq(said, "trp_i64(5)\ngot       5\nexpected  6");
    TRP_TEST_RETURNS(error.code, TRP_OK, &error);
    cr_expect_str_eq(said, "error.code\ngot       TRP_ENOENT: nothing has that name\nexpected  TRP_OK: done\n"
                           "it said   no such thing");
}
