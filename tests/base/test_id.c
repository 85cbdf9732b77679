/* test_id.c - identities as text and back, and random numbers. */
#include <criterion/criterion.h>

#include <string.h>

#include "transport/base/base.h"

Test(id, text_and_back_is_the_same_id)
{
    uint64_t random = 5;

    for (int i = 0; i < 1000; i++) {
        const struct tri_id id = {.space = tri_random_next(&random), .number = tri_random_next(&random)};
        char text[TRI_ID_TEXT_SIZE];
        struct tri_id back;
        cr_assert_eq(strlen(tri_id_format(id, text)), 32);
        cr_assert(tri_id_parse(text, &back));
        cr_assert(tri_id_equal(id, back));
    }
}

Test(id, digits_stand_in_the_order_of_their_weight)
{
    char text[TRI_ID_TEXT_SIZE];

    cr_assert_str_eq(tri_id_format((struct tri_id){.space = 0x0123, .number = 0xabcdef}, text),
                     "00000000000001230000000000abcdef");
}

Test(id, text_that_is_not_exactly_32_digits_is_refused)
{
    static const char *const refused[] = {
        "",
        "0",
        "0000000000000123000000000000000",
        "000000000000012300000000000000000",
        "0000000000000123000000000000000g",
        "0x000000000001230000000000000000",
        " 0000000000001230000000000000000",
        "-0000000000001230000000000000000",
    };
    struct tri_id id = {.space = 1, .number = 2};

    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        cr_assert_not(tri_id_parse(refused[i], &id), "'%s' was taken", refused[i]);
    cr_assert(id.space == 1 && id.number == 2, "the output changed");
}

Test(id, of_a_text_is_stable_and_differs_between_texts)
{
    const struct tri_id a = tri_id_of_text("Chemistry", 9), b = tri_id_of_text("Chemistry", 9);
    const struct tri_id c = tri_id_of_text("Chemistrz", 9), empty = tri_id_of_text("", 0);

    cr_assert(tri_id_equal(a, b));
    cr_assert_not(tri_id_equal(a, c));
    cr_assert_not(tri_id_is_none(empty));
}

Test(random, secrets_differ_and_are_never_none)
{
    const uint64_t a = tri_random_secret(), b = tri_random_secret();

    cr_assert_neq(a, 0);
    cr_assert_neq(a, b);
}

Test(clock, does_not_run_backwards)
{
    const uint64_t before = tri_now_ns();

    cr_assert_geq(tri_now_ns(), before);
}
