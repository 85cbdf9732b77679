/*
 * test_values.c - building, reading, comparing, checking and writing values; built ones and flat ones alike.
 */
#include <criterion/criterion.h>

#include <troupe/runtime.h>

#include "schemas/schemas.h"

#define REF(name)   ((trp_ref *)(uintptr_t)(name))
#define ACTOR(name) ((trp_actor *)(uintptr_t)(name))

static trp_err
no_ref(void *user, trp_ref *ref, struct tri_id *id, trp_error *error)
{
    (void)user, (void)ref, (void)error;
    *id = (struct tri_id){1, 1};
    return TRP_OK;
}

static trp_err
no_actor(void *user, trp_actor *actor, struct tri_id *id, trp_error *error)
{
    (void)user, (void)actor, (void)error;
    *id = (struct tri_id){1, 2};
    return TRP_OK;
}

/* The same value as it would be received. */
struct received {
    struct tri_packed packed;
    struct tri_view view;
};

static trp_value
receive(struct received *received, trp_value value)
{
    static const struct tri_handles handles = {no_ref, no_actor, NULL};
    memset(received, 0, sizeof *received);
    cr_assert_eq(tri_value_pack(&received->packed, value, &handles, NULL, NULL), TRP_OK);
    cr_assert_eq(tri_view_open(&received->view, &received->packed.section, NULL), TRP_OK);
    return tri_view_value(&received->view, 0);
}

static void
forget(struct received *received)
{
    tri_view_close(&received->view);
    tri_packed_fini(&received->packed);
}

Test(values, macros_make_the_kind_that_the_c_type_says)
{
    unsigned char byte = 7;
    long big = -3;
    char text[] = "text";
    cr_assert_eq(TRP_V(5).kind, TRP_I64);
    cr_assert_eq(TRP_V(byte).as.i64, 7);
    cr_assert_eq(TRP_V(big).as.i64, -3);
    cr_assert_eq(TRP_V(2.5f).kind, TRP_F64);
    cr_assert_eq(TRP_V(text).kind, TRP_STR);
    cr_assert_eq(TRP_V((const char *)NULL).kind, TRP_NULL);
    cr_assert_eq(TRP_V(UINT64_MAX).kind, TRP_NONE);
    cr_assert_eq(TRP_V((bool)true).kind, TRP_BOOL);
    cr_assert_eq(TRP_V(REF("r")).kind, TRP_REF);
    cr_assert_eq(TRP_V(REF(NULL)).kind, TRP_NONE);
    cr_assert_eq(TRP_V(trp_null()).kind, TRP_NULL);
    cr_assert_eq(TRP_LIST(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16).size, 16);
    cr_assert_eq(TRP_MAP("a", 1, "b", 2).size, 2);
    cr_assert_eq(TRP_ARGS(1, TRP_KW("x", 2)).kind, TRP_ARGS);
    trp_value zero = {0};
    cr_assert_eq(zero.kind, TRP_NULL);
}

Test(values, readers_give_nothing_where_nothing_is)
{
    struct received received;
    trp_value built = TRP_LIST(1, "two", TRP_MAP("k", 2.5)), values[2] = {built, receive(&received, built)};
    for (int i = 0; i < 2; i++) {
        trp_value list = values[i], map = trp_at(list, 2);
        cr_assert_eq(trp_as_i64(trp_at(list, 0)), 1);
        cr_assert_str_eq(trp_as_str(trp_at(list, 1)), "two");
        cr_assert_eq(trp_as_f64(trp_field(map, "k")), 2.5);
        cr_assert_eq(trp_as_f64(trp_at(map, 0)), 2.5);
        cr_assert_str_eq(trp_as_str(trp_key_at(map, 0)), "k");
        cr_assert_eq(trp_at(list, 3).kind, TRP_NONE);
        cr_assert_eq(trp_at(trp_at(list, 0), 0).kind, TRP_NONE);
        cr_assert_eq(trp_field(map, "other").kind, TRP_NONE);
        cr_assert_eq(trp_field(list, "k").kind, TRP_NONE);
        cr_assert_eq(trp_field(map, NULL).kind, TRP_NONE);
        cr_assert_eq(trp_key_at(map, 1).kind, TRP_NONE);
        cr_assert_str_eq(trp_as_str(list), "");
        cr_assert_eq(trp_as_i64(list), 0);
    }
    forget(&received);
}

Test(values, tensors_come_back_as_views)
{
    struct received received;
    float data[6] = {1, 2, 3, 4, 5, 6};
    int64_t shape[] = {2, 3};
    DLTensor tensor = trp_dense(data, TRP_FLOAT32, 2, shape), view;
    trp_value flat = receive(&received, TRP_V(&tensor));
    cr_assert(trp_as_tensor(flat, &view));
    cr_assert(view.ndim == 2 && view.shape[1] == 3 && view.strides[0] == 3 && view.strides[1] == 1);
    cr_assert_eq(trp_dtype_of(&view), TRP_FLOAT32);
    cr_assert_eq(((float *)view.data)[5], 6);
    cr_assert(trp_as_tensor(TRP_V(&tensor), &view));
    cr_assert_not(trp_as_tensor(trp_i64(1), &view));
    cr_assert(trp_equal(flat, TRP_V(&tensor)));
    data[5] = 7;
    cr_assert_not(trp_equal(flat, TRP_V(&tensor)));
    forget(&received);
}

Test(values, equality_is_of_kind_and_content)
{
    struct received received;
    trp_value a = TRP_MAP("x", 1, "y", TRP_LIST(1.5, "s")), b = TRP_MAP("y", TRP_LIST(1.5, "s"), "x", 1);
    cr_assert(trp_equal(a, b), "maps in any order");
    cr_assert(trp_equal(a, receive(&received, b)));
    cr_assert_not(trp_equal(TRP_LIST(1), TRP_TUPLE(1)));
    cr_assert_not(trp_equal(trp_i64(1), trp_f64(1)));
    cr_assert_not(trp_equal(trp_i64(1), trp_bool(true)));
    cr_assert_not(trp_equal(TRP_LIST(1), TRP_LIST(1, 2)));
    cr_assert_not(trp_equal(TRP_MAP("a", 1), TRP_MAP("b", 1)));
    cr_assert_not(trp_equal(trp_str("a"), trp_bytes("a", 1)));
    cr_assert(trp_equal(trp_f64(0.0 / 0.0), trp_f64(0.0 / 0.0)));
    char same[] = "one";
    cr_assert(trp_equal(TRP_V(REF("one")), TRP_V(REF(same))), "by identity, not by handle");
    cr_assert_not(trp_equal(TRP_V(ACTOR("one")), TRP_V(ACTOR("two"))));
    forget(&received);
}

Test(values, sixty_four_levels_are_compared_and_shown_and_one_more_is_not)
{
    static const struct {
        const char *name;
        trp_kind kind;
    } rows[] = {{"list", TRP_LIST}, {"tuple", TRP_TUPLE}, {"map", TRP_MAP}};
    static trp_value items[TRP_NESTING_MAX + 1][2];
    static char text[2000];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        trp_value deep = trp_i64(7);
        for (int levels = 1; levels <= TRP_NESTING_MAX + 1; levels++) {
            trp_value *inner = items[levels - 1];
            inner[0] = rows[i].kind == TRP_MAP ? trp_str("k") : deep;
            inner[1] = deep;
            deep = trp_value_(rows[i].kind, inner, 1);
            const bool good = levels <= TRP_NESTING_MAX;
            const trp_value pair[] = {trp_str("name"), deep}, keyword = trp_keyword(pair);
            const trp_value outer[] = {deep, trp_args(&deep, 1), trp_args(&keyword, 1)};
            for (size_t k = 0; k < 3; k++) {
                cr_expect_eq(trp_equal(outer[k], outer[k]), good, "%s of %d, %zu", rows[i].name, levels, k);
                (void)trp_format(outer[k], text, sizeof text);
                cr_expect_eq(strstr(text, "7") != NULL, good, "%s of %d: %s", rows[i].name, levels, text);
            }
        }
    }
}

Test(values, arguments_inside_of_others_end_the_comparison)
{
    trp_value items[1];
    char text[100];
    items[0] = trp_args(items, 1);
    cr_expect_not(trp_equal(items[0], items[0]));
    (void)trp_format(items[0], text, sizeof text);
    cr_expect_str_eq(text, "[\"...\"]");
}

Test(values, pictures_pass_what_they_show)
{
    static const char *const pictures[] = {"v", "[v]", "(id?sbv)", "{sd}", "[(s[i])]", "()", "[{s(ii)}]"};
    trp_value values[] = {trp_null(),
                          TRP_LIST(1, "a"),
                          TRP_TUPLE(1, 2, 1, "s", trp_bytes("b", 1), trp_null()),
                          TRP_MAP("a", 1, "b", 2.5),
                          TRP_LIST(TRP_TUPLE("a", TRP_LIST(1, 2))),
                          trp_tuple(NULL, 0),
                          TRP_LIST(TRP_MAP("a", TRP_TUPLE(1, 2)))};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct received received;
        trp_error error = {0};
        cr_expect_eq(trp_check(values[i], pictures[i], &error), TRP_OK, "%s: %s", pictures[i], error.message);
        cr_expect_eq(trp_check(receive(&received, values[i]), pictures[i], &error), TRP_OK, "%s", pictures[i]);
        forget(&received);
    }
}

Test(values, a_miss_says_where_what_was_expected_and_what_was_found)
{
    const struct {
        trp_value value;
        const char *picture, *sentence;
    } rows[] = {
        {trp_str("x"), "i", "the value is to be an int64, and is a string"},
        {trp_f64(1), "i", "the value is to be an int64, and is a float64"},
        {trp_i64(2), "?", "the value is to be a bool, and is an int64"},
        {trp_null(), "s", "the value is to be a string, and is null"},
        {TRP_LIST(1, "x"), "[i]", "the value at [1] is to be an int64, and is a string"},
        {TRP_TUPLE("a"), "(si)", "the value at (1) is to be an int64, and is nothing"},
        {TRP_TUPLE("a", 1, 2), "(si)", "the value is to be a tuple of fewer items, and is one of more"},
        {TRP_LIST(1), "(i)", "the value is to be a tuple, and is a list"},
        {TRP_MAP("k", TRP_LIST(trp_null())), "{s[t]}", "the value at [\"k\"][0] is to be a tensor, and is null"},
        {TRP_V(REF(NULL)), "v", "the value is to be a value, and is nothing"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        trp_error error = {0};
        cr_expect_eq(trp_check(rows[i].value, rows[i].picture, &error), TRP_ETYPE);
        cr_expect_str_eq(error.message, rows[i].sentence);
    }
}

Test(values, what_is_no_picture_is_refused)
{
    static const char *const bad[] = {"", "x", "[", "[i", "[ii]", "(", "(i", "{i}", "{s}", "{ss", "ii", "]", NULL};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(trp_check(trp_i64(1), bad[i], NULL), TRP_EINVAL, "%s", bad[i] != NULL ? bad[i] : "NULL");
    char deep[100];
    memset(deep, '[', 40);
    deep[40] = 'i';
    memset(deep + 41, ']', 40);
    deep[81] = '\0';
    cr_expect_eq(trp_check(trp_i64(1), deep, NULL), TRP_EINVAL);
}

Test(values, text_is_json_wherever_json_can_say_it)
{
    int64_t shape[] = {64, 10};
    float data[640] = {0};
    DLTensor tensor = trp_dense(data, TRP_FLOAT32, 2, shape);
    const struct {
        trp_value value;
        const char *text;
    } rows[] = {
        {trp_null(), "null"},
        {trp_bool(true), "true"},
        {trp_i64(INT64_MIN), "-9223372036854775808"},
        {trp_f64(60), "60.0"},
        {trp_f64(0.1), "0.1"},
        {trp_f64(1e300), "1e+300"},
        {trp_f64(-1.0 / 0.0), "-Infinity"},
        {trp_str("a\"b\\\n\x01"), "\"a\\\"b\\\\\\n\\u0001\""},
        {trp_str("caf\xc3\xa9 \xff"), "\"caf\xc3\xa9 \\ufffd\""},
        {trp_bytes("hello", 5), "\"bytes:5:68656c6c6f\""},
        {TRP_LIST(1, TRP_TUPLE("a", 2.5)), "[1, [\"a\", 2.5]]"},
        {TRP_MAP("a", 1, "b", trp_null()), "{\"a\": 1, \"b\": null}"},
        {trp_list(NULL, 0), "[]"},
        {TRP_V(&tensor), "{\"dtype\": \"float32\", \"shape\": [64, 10]}"},
        {TRP_V(REF("abc")), "\"ref:abc\""},
        {TRP_V(ACTOR("def")), "\"actor:def\""},
        {TRP_ARGS(1, TRP_KW("x", "y")), "[1, x=\"y\"]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[200], little[4];
        size_t length = trp_format(rows[i].value, text, sizeof text);
        cr_expect_str_eq(text, rows[i].text);
        cr_expect_eq(length, strlen(rows[i].text));
        cr_expect_eq(trp_format(rows[i].value, little, sizeof little), length);
        cr_expect_eq(strlen(little), length < 3 ? length : 3);
        cr_expect_eq(trp_format(rows[i].value, NULL, 0), length);
    }
}

Test(values, errors_have_names)
{
    cr_assert_str_eq(trp_strerror(TRP_EBATCH), "TRP_EBATCH: the batch is too small");
    cr_assert_str_eq(trp_strerror(TRP_OK), "TRP_OK: done");
    cr_assert(strlen(trp_strerror((trp_err)12345)) > 0);
}
