/*
 * test_plain.c - the usual call, read at one go: it says the same as the long way, of what is good and of what is not.
 */
#include <criterion/criterion.h>

#include "schemas/schemas.h"

#include <stdlib.h>

enum { COUNT = 6 };

static const uint8_t any[COUNT] = {TRI_ANY_KIND, TRI_ANY_KIND, TRI_ANY_KIND, TRI_ANY_KIND, TRI_ANY_KIND, TRI_ANY_KIND};

static void
pack(struct tri_packed *packed, const char *method, trp_value args)
{
    cr_assert_eq(tri_call_pack(packed, method, args, NULL, NULL), TRP_OK);
}

/* The shape of what was packed. */
static void
look(struct tri_call_shape *shape, const struct tri_packed *packed)
{
    struct tri_call call;

    cr_assert_eq(tri_call_unpack(&packed->section, &call, NULL), TRP_OK);
    tri_call_shape(shape, &packed->section, &call);
    tri_view_close(&call.args);
}

Test(plain, a_call_like_the_one_before_gives_its_own_values)
{
    struct tri_packed packed = {0};
    struct tri_call_shape shape = {0};
    trp_value values[COUNT];

    pack(&packed, "method", TRP_ARGS(1, 2.5, true, trp_null(), "text", trp_bytes("\0x", 2)));
    cr_assert_not(tri_call_plain(&shape, &packed.section, any, COUNT, values), "of no shape at all");
    look(&shape, &packed);
    pack(&packed, "method", TRP_ARGS(-7, 0.5, false, trp_null(), "another text", trp_bytes("", 0)));
    cr_assert(tri_call_plain(&shape, &packed.section, any, COUNT, values));
    cr_assert_eq(values[0].as.i64, -7);
    cr_assert_eq(values[1].as.f64, 0.5);
    cr_assert_not(values[2].as.boolean);
    cr_assert_eq(values[3].kind, TRP_NULL);
    cr_assert_str_eq(values[4].as.str, "another text");
    cr_assert(values[5].kind == TRP_BYTES && values[5].size == 0);
    tri_packed_fini(&packed);
}

Test(plain, what_is_not_like_it_is_left_to_the_long_way)
{
    static const uint8_t kinds[2] = {TRP_I64, TRP_STR};
    const trp_value wrong = trp_i64(1), pair[2] = {trp_str("b"), trp_str("a")};
    const struct {
        const char *method;
        trp_value args;
        uint32_t count;
    } rows[] = {
        {"method", TRP_ARGS(1), 1},
        {"method", TRP_ARGS(1, "a", 1), 3},
        {"method", TRP_ARGS(1, "a"), 1},
        {"another", TRP_ARGS(1, "a"), 2},
        {"methoD", TRP_ARGS(1, "a"), 2},
        {"method", TRP_ARGS("a", 1), 2},
        {"method", TRP_ARGS(1, 1), 2},
        {"method", TRP_ARGS(1, trp_list(&wrong, 1)), 2},
        {"method", TRP_ARGS(1, trp_keyword(pair)), 2},
        {"method", TRP_NOARGS, 0},
    };
    struct tri_packed packed = {0};
    struct tri_call_shape shape = {0};
    trp_value values[COUNT];

    pack(&packed, "method", TRP_ARGS(5, "text"));
    look(&shape, &packed);
    cr_assert(tri_call_plain(&shape, &packed.section, kinds, 2, values));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        pack(&packed, rows[i].method, rows[i].args);
        cr_expect_not(tri_call_plain(&shape, &packed.section, kinds, rows[i].count, values), "row %zu", i);
    }
    tri_packed_fini(&packed);
}

Test(plain, no_changed_byte_passes_that_the_long_way_refuses)
{
    struct tri_packed packed = {0};
    struct tri_call_shape shape = {0};
    struct tri_call call;
    trp_value values[COUNT];
    uint8_t *bytes;
    size_t passed = 0;

    pack(&packed, "method", TRP_ARGS(1, 2.5, true, trp_null(), "text", trp_bytes("bytes", 5)));
    look(&shape, &packed);
    for (size_t at = 0; at < packed.section.size; at++)
        for (unsigned mask = 1; mask < 256; mask++) {
            struct tri_section section = packed.section;
            bytes = aligned_alloc(8, section.size); /* exactly as large, so that a tool sees what is read behind it */
            memcpy(bytes, packed.section.data, section.size);
            bytes[at] ^= (uint8_t)mask;
            section.data = bytes;
            if (tri_call_plain(&shape, &section, any, COUNT, values)) {
                cr_assert_eq(tri_call_unpack(&section, &call, NULL), TRP_OK, "byte %zu, mask %u", at, mask);
                for (uint32_t i = 0; i < COUNT; i++) {
                    const trp_value value = tri_view_value(&call.args, 1 + i);
                    cr_assert_eq(memcmp(&values[i], &value, sizeof value), 0, "byte %zu, mask %u", at, mask);
                }
                tri_view_close(&call.args);
                passed++;
            }
            free(bytes);
        }
    cr_assert_gt(passed, 0, "numbers may be any");
    tri_packed_fini(&packed);
}

Test(plain, a_call_of_many_structured_bytes_is_not_remembered)
{
    struct tri_packed packed = {0};
    struct tri_call_shape shape = {0};
    trp_value items[64], values[64];
    uint8_t kinds[64];

    for (size_t i = 0; i < 64; i++)
        items[i] = trp_i64((int64_t)i);
    memset(kinds, TRI_ANY_KIND, sizeof kinds);
    pack(&packed, "method", trp_value_(TRP_ARGS, items, 64));
    look(&shape, &packed);
    cr_assert_eq(shape.size, 0);
    cr_assert_not(tri_call_plain(&shape, &packed.section, kinds, 64, values));
    tri_packed_fini(&packed);
}
