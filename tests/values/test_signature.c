/*
 * test_signature.c - descriptions of parameters, and arguments fitted to them.
 */
#include <criterion/criterion.h>

#include "actors/runtime.h"

#include <stdio.h>
#include <stdlib.h>

static struct tri_signature *
parse(const char *description)
{
    struct tri_signature *signature = NULL;
    trp_error error = {0};
    cr_assert_eq(tri_signature_parse(description, &signature, &error), TRP_OK, "%s: %s", description, error.message);
    return signature;
}

/* What the arguments become, as text; or the sentence. */
static char *
fit(const char *description, trp_value positional, trp_value keywords)
{
    static char text[1024];
    struct tri_signature *signature = parse(description);
    trp_value fitted[TRI_PARAMETERS_MAX + 2];
    trp_error error = {0};
    uint32_t count = 0;
    void *memory = NULL;
    if (tri_signature_fit(signature, "Counter.increment", positional, keywords, fitted, &count, &memory, &error))
        strcpy(text, error.message);
    else
        trp_format(trp_list(fitted, count), text, sizeof text);
    free(memory);
    tri_signature_free(&signature);
    return text;
}

Test(signature, arguments_find_their_parameters)
{
    trp_value none = trp_null();
    cr_expect_str_eq(fit("name:s, score:d=60.0", TRP_TUPLE("Alice", 90), none), "[\"Alice\", 90.0]");
    cr_expect_str_eq(fit("name:s, score:d=60.0", TRP_TUPLE("Alice"), none), "[\"Alice\", 60.0]");
    cr_expect_str_eq(fit("name:s, score:d=60", TRP_TUPLE("Alice"), none), "[\"Alice\", 60.0]");
    cr_expect_str_eq(fit("name:s, score:d", none, TRP_MAP("score", 1.5, "name", "Bob")), "[\"Bob\", 1.5]");
    cr_expect_str_eq(fit("name:s, score:d", TRP_ARGS("Bob", TRP_KW("score", 2)), none), "[\"Bob\", 2.0]");
    cr_expect_str_eq(fit("on:?", TRP_TUPLE(1), none), "[true]");
    cr_expect_str_eq(fit("x:[d], y:{s?}, z:(id)", TRP_TUPLE(TRP_LIST(1, 2.5), TRP_MAP("a", 1), TRP_TUPLE(1, 2)), none),
                     "[[1.0, 2.5], {\"a\": true}, [1, 2.0]]");
    cr_expect_str_eq(fit(NULL, none, none), "[]");
    cr_expect_str_eq(fit("", trp_args(NULL, 0), none), "[]");
    cr_expect_str_eq(fit("x:i=null", none, none), "[null]");
    cr_expect_str_eq(fit("x:i=null", TRP_TUPLE(trp_null()), none), "[null]");
    cr_expect_str_eq(fit("x:t=null, y:i=5", none, TRP_MAP("y", 6)), "[null, 6]");
}

Test(signature, a_default_has_as_many_levels_as_a_value_may_have)
{
    for (int levels = TRP_NESTING_MAX; levels <= TRP_NESTING_MAX + 1; levels++) {
        struct tri_signature *signature = NULL;
        char description[200] = "x:v=";
        for (int i = 0; i < levels; i++)
            strcat(description, "[");
        for (int i = 0; i < levels; i++)
            strcat(description, "]");
        const trp_err err = tri_signature_parse(description, &signature, NULL);
        cr_expect_eq(err != TRP_OK, levels > TRP_NESTING_MAX, "%d levels gave %d", levels, (int)err);
        tri_signature_free(&signature);
    }
}

Test(signature, defaults_are_json)
{
    trp_value none = trp_null();
    cr_expect_str_eq(fit("a:[i]=[1, 2], b:{sd}={\"x\": 1}, c:(si)=[\"a\", 1], d:s=\"x,y\", e:?=true, f:v={\"k\": "
                         "[null]}, g:b=\"hi\"",
                         none, none),
                     "[[1, 2], {\"x\": 1.0}, [\"a\", 1], \"x,y\", true, {\"k\": [null]}, \"bytes:2:6869\"]");
}

Test(signature, what_is_more_than_the_parameters_is_gathered)
{
    trp_value none = trp_null();
    cr_expect_str_eq(fit("a:i, ...", TRP_TUPLE(1, 2, "x"), TRP_MAP("k", 3)), "[1, [2, \"x\"], {\"k\": 3}]");
    cr_expect_str_eq(fit("a:d, ...", TRP_TUPLE(1), none), "[1.0, [], {}]");
    cr_expect_str_eq(fit("...", TRP_ARGS(1, TRP_KW("a", 2)), TRP_MAP("b", 3)), "[[1], {\"a\": 2, \"b\": 3}]");
}

Test(signature, each_of_these_is_refused_with_expected_and_found)
{
    trp_value none = trp_null();
    cr_expect_str_eq(fit("step:i", TRP_TUPLE("x"), none),
                     "Counter.increment: parameter 'step' wants an int64, found a string");
    cr_expect_str_eq(fit("step:i", TRP_TUPLE(1, 2), none),
                     "Counter.increment takes at most 1 argument (step), found 2");
    cr_expect_str_eq(fit("", TRP_TUPLE(1), none), "Counter.increment takes at most 0 arguments (none), found 1");
    cr_expect_str_eq(fit("a:i, b:s", TRP_TUPLE(1), none),
                     "Counter.increment: parameter 'b' is missing; it wants a string");
    cr_expect_str_eq(fit("a:i, b:s=\"\"", TRP_TUPLE(1), TRP_MAP("c", 1)),
                     "Counter.increment has no parameter 'c'; its parameters are: a, b");
    cr_expect_str_eq(fit("a:i", TRP_TUPLE(1), TRP_MAP("a", 1)), "Counter.increment: parameter 'a' is given twice");
    cr_expect_str_eq(fit("a:i=1", TRP_TUPLE(trp_null()), none),
                     "Counter.increment: parameter 'a' wants an int64, found null");
    cr_expect_str_eq(fit("a:[(si)]", TRP_TUPLE(TRP_LIST(TRP_TUPLE("x", 1), TRP_TUPLE("y", 2.5))), none),
                     "Counter.increment: parameter 'a' at [1](1) wants an int64, found a float64");
    cr_expect_str_eq(fit("a:i", trp_i64(1), none), "Counter.increment: arguments are wanted, found an int64 and null");
    cr_expect_str_eq(fit("a:i, b:i", TRP_ARGS(TRP_KW("a", 1), 2), none),
                     "Counter.increment: argument 2 has no name but comes after one that has");
}

Test(signature, a_kind_that_there_is_not_is_named_beside_those_there_are)
{
    struct tri_signature *signature = NULL;
    trp_error error = {0};
    const char *begin = "the kind of parameter 'amount' is 'f', which is none: i is an int64, d a float64, ";
    cr_expect_eq(tri_signature_parse("amount:f=1, b:i", &signature, &error), TRP_EINVAL);
    cr_expect(strstr(error.message, begin) != NULL, "%s", error.message);
}

Test(signature, bad_descriptions_are_refused_with_the_reason)
{
    static const char *const bad[] = {
        "name",           "name:",      ":s",        "1a:s",          "a:x",        "a:s,",
        "a:s b:s",        "a:s, a:i",   "a:i=",      "a:i=x",         "a:i=1.5",    "a:s=5",
        "a:t=1",          "a:i=1, b:i", "..., a:i",  "a:[i]=[\"x\"]", "a:(si)=[1]", "a:(s)=[\"a\", 1]",
        "a:(si)=[\"a\"]", "a:?=2",      "a:{si}=[]", "a:[i=1",        "a-b:i",      "a:ii",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct tri_signature *signature = NULL;
        trp_error error = {0};
        cr_expect_eq(tri_signature_parse(bad[i], &signature, &error), TRP_EINVAL, "%s", bad[i]);
        cr_expect(error.message[0] != '\0');
        cr_expect_null(signature);
        tri_signature_free(&signature);
    }
}

Test(signature, thirty_two_parameters_pass_and_one_more_does_not)
{
    char text[1000] = "";
    struct tri_signature *signature = NULL;
    for (int i = 0; i < TRI_PARAMETERS_MAX; i++)
        sprintf(text + strlen(text), "%sp%d:i=%d", i > 0 ? ", " : "", i, i);
    signature = parse(text);
    tri_signature_free(&signature);
    strcat(text, ", q:i=1");
    cr_assert_eq(tri_signature_parse(text, &signature, NULL), TRP_EINVAL);
}
