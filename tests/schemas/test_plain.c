/*
 * test_plain.c - the usual call, read at one go: it says the same as the long way, of what is good and of what is not; and the
 * usual value, packed at one go: it is the same to the byte.
 */
#include <criterion/criterion.h>

#include "schemas/packed.h"

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

Test(plain, a_value_packed_after_another_is_the_same_as_one_packed_alone)
{
    char text[3000];
    const trp_value values[] = {
        trp_null(),
        trp_i64(INT64_MIN),
        trp_bytes(text, 64),
        trp_bool(true),
        trp_bytes(text, 7),
        trp_str(""),
        trp_f64(-0.25),
        trp_bytes("", 0),
        trp_bytes(text, sizeof text),
        trp_str("w\xc3\xb6rter"),
        trp_list(NULL, 0),
        trp_bytes(text, 2048),
        trp_bool(false),
    };
    struct tri_packed again = {0};

    memset(text, 0xa5, sizeof text);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct tri_packed alone = {0};
        cr_assert_eq(tri_value_pack(&alone, values[i], NULL, NULL, NULL), TRP_OK);
        cr_assert_eq(tri_value_pack(&again, values[i], NULL, NULL, NULL), TRP_OK);
        cr_assert_eq(again.section.size, alone.section.size, "value %zu", i);
        cr_assert_eq(again.section.meta_size, alone.section.meta_size, "value %zu", i);
        cr_assert_eq(memcmp(again.section.data, alone.section.data, alone.section.size), 0, "value %zu", i);
        cr_assert_eq(again.section.frame, NULL);
        tri_packed_fini(&alone);
    }
    tri_packed_fini(&again);
}

Test(plain, a_call_packed_after_another_is_the_same_as_one_packed_alone)
{
    char text[3000];
    const trp_value pair[2] = {trp_str("b"), trp_str("a")};
    const struct {
        const char *method;
        trp_value args;
    } rows[] = {
        {"method", TRP_ARGS(1, "a")},
        {"method", TRP_ARGS(trp_bytes(text, 64), 2)},
        {"method", TRP_ARGS("another text", trp_null())},
        {"method", TRP_ARGS("", true)},
        {"methods", TRP_ARGS("", true)},
        {"method", TRP_NOARGS},
        {"method", TRP_ARGS(2.5)},
        {"method", TRP_ARGS(trp_bytes(text, 2000))},
        {"method", TRP_ARGS(trp_bytes(text, sizeof text))},
        {"method", TRP_ARGS(trp_bytes(text, 2000), trp_bytes(text, 2000))},
        {"method", TRP_ARGS(trp_bytes(text, 2048), trp_bytes(text, 2048))},
        {"method", TRP_ARGS(1, trp_keyword(pair))},
        {"method", TRP_ARGS(1, trp_list(pair, 2))},
        {"method", TRP_ARGS(1, 2)},
    };
    struct tri_packed again = {0};

    memset(text, 0xa5, sizeof text);
    for (size_t round = 0; round < 2; round++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            struct tri_packed alone = {0};
            pack(&alone, rows[i].method, rows[i].args);
            pack(&again, rows[i].method, rows[i].args);
            for (size_t repeat = 0; repeat < 2; repeat++) {
                cr_assert_eq(again.section.size, alone.section.size, "row %zu", i);
                cr_assert_eq(again.section.meta_size, alone.section.meta_size, "row %zu", i);
                cr_assert_eq(memcmp(again.section.data, alone.section.data, alone.section.size), 0, "row %zu", i);
                cr_assert_eq(again.section.ref_count, 0);
                cr_assert_eq(again.section.frame != NULL, alone.section.frame != NULL, "row %zu", i);
                pack(&again, rows[i].method, rows[i].args);
            }
            tri_packed_fini(&alone);
        }
    tri_packed_fini(&again);
}

Test(plain, arguments_that_are_refused_alone_are_refused_after_others)
{
    const trp_value rows[] = {trp_value_(TRP_NONE, NULL, 0), trp_value_(TRP_BYTES, NULL, 5),
                              trp_value_(TRP_STR, "a\0b", 3), trp_value_(TRP_STR, "\xff", 1),
                              trp_value_((trp_kind)50, NULL, 0)};
    struct tri_packed packed = {0};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tri_packed alone = {0};
        const trp_err err = tri_call_pack(&alone, "method", TRP_ARGS(1, rows[i]), NULL, NULL);
        cr_assert_neq(err, TRP_OK, "row %zu", i);
        pack(&packed, "method", TRP_ARGS(1, 2));
        cr_assert_eq(tri_call_pack(&packed, "method", TRP_ARGS(1, rows[i]), NULL, NULL), err, "row %zu", i);
        tri_packed_fini(&alone);
    }
    cr_assert_eq(tri_call_pack(&packed, "method", trp_value_(TRP_ARGS, NULL, 2), NULL, NULL), TRP_EINVAL);
    cr_assert_eq(tri_call_pack(&packed, NULL, TRP_ARGS(1, 2), NULL, NULL), TRP_EINVAL);
    tri_packed_fini(&packed);
}

/* Every byte of it changed in every way. */
Test(plain, a_value_read_at_one_go_is_what_the_long_way_reads)
{
    const trp_value values[] = {trp_null(),   trp_bool(true),  trp_i64(-5),
                                trp_f64(0.5), trp_str("text"), trp_bytes("bytes", 5)};
    struct tri_packed packed = {0};

    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        size_t passed = 0;
        cr_assert_eq(tri_value_pack(&packed, values[i], NULL, NULL, NULL), TRP_OK);
        for (size_t at = 0; at < packed.section.size; at++)
            for (unsigned mask = 0; mask < 256; mask++) {
                struct tri_section section = packed.section;
                struct tri_view plain, view;
                uint8_t *bytes = aligned_alloc(8, section.size);
                memcpy(bytes, packed.section.data, section.size);
                bytes[at] ^= (uint8_t)mask;
                section.data = bytes;
                if (tri_view_plain(&plain, &section)) {
                    const uint32_t size = section.meta_size;
                    struct tri_ref_entry entry = {.place = TRI_NESTED, .id = {1, 1}};
                    section.refs = &entry; /* of which no node knows: so it is read the long way */
                    section.ref_count = 1;
                    cr_assert_eq(tri_view_open(&view, &section, NULL), TRP_OK, "byte %zu, mask %u", at, mask);
                    const trp_value a = tri_view_value(&plain, 0), b = tri_view_value(&view, 0);
                    cr_assert_eq(memcmp(&a, &b, sizeof a), 0, "byte %zu, mask %u", at, mask);
                    cr_assert(plain.nodes == view.nodes && plain.bytes == view.bytes && size == section.meta_size);
                    cr_assert_eq(plain.bytes_size, view.bytes_size);
                    tri_view_close(&plain);
                    tri_view_close(&view);
                    passed++;
                } else {
                    cr_assert_neq(mask, 0, "value %zu is read at one go", i);
                }
                free(bytes);
            }
        cr_assert_gt(passed, 0);
    }
    tri_packed_fini(&packed);
}

static trp_err
give_room(void *user, uint64_t size, struct tri_buf **buf, trp_error *error)
{
    static const struct tri_place place = {.slot = 3};
    (void)user, (void)error;
    *buf = tri_buf_new(size);
    cr_assert_not_null(*buf);
    (*buf)->place = &place;
    return TRP_OK;
}

/* The same of what lies in the arena; its end is not looked at either way. */
Test(plain, bytes_in_the_arena_read_at_one_go_are_what_the_long_way_reads)
{
    static char data[TRI_INLINE_MAX + 1];
    const struct tri_rooms rooms = {give_room, NULL};
    struct tri_packed packed = {.rooms = &rooms};
    size_t passed = 0;

    cr_assert_eq(tri_value_pack(&packed, trp_bytes(data, sizeof data), NULL, NULL, NULL), TRP_OK);
    struct tri_section section = packed.section;
    uint8_t *bytes = section.frame->data;
    cr_assert_not_null(tri_section_place(&section));
    bytes[section.size - 1] = 1;
    for (size_t at = 0; at < section.meta_size + sizeof(uint64_t); at++)
        for (unsigned mask = 0; mask < 256; mask++) {
            struct tri_ref_entry entry = {.place = TRI_NESTED, .id = {1, 1}};
            struct tri_section longer = section;
            struct tri_view plain, view;
            longer.refs = &entry;
            longer.ref_count = 1;
            bytes[at] ^= (uint8_t)mask;
            if (tri_view_plain(&plain, &section)) {
                cr_assert_eq(tri_view_open(&view, &longer, NULL), TRP_OK, "byte %zu, mask %u", at, mask);
                const trp_value a = tri_view_value(&plain, 0), b = tri_view_value(&view, 0);
                cr_assert_eq(memcmp(&a, &b, sizeof a), 0, "byte %zu, mask %u", at, mask);
                tri_view_close(&plain);
                tri_view_close(&view);
                passed++;
            } else {
                cr_assert_neq(mask, 0, "it is read at one go");
            }
            bytes[at] ^= (uint8_t)mask;
        }
    cr_assert_gt(passed, 0);
    tri_packed_fini(&packed);
}

Test(plain, a_value_that_is_not_of_one_node_or_lies_badly_is_left_to_the_long_way)
{
    const trp_value item = trp_i64(1);
    struct tri_packed packed = {0};
    struct tri_view view;

    cr_assert_eq(tri_value_pack(&packed, trp_list(&item, 1), NULL, NULL, NULL), TRP_OK);
    cr_assert_not(tri_view_plain(&view, &packed.section));
    cr_assert_eq(tri_value_pack(&packed, item, NULL, NULL, NULL), TRP_OK);
    for (uint64_t size = 0; size < packed.section.size; size++) {
        struct tri_section section = packed.section;
        section.size = size;
        cr_assert_not(tri_view_plain(&view, &section), "cut to %zu", (size_t)size);
    }
    struct tri_section section = packed.section;
    uint8_t *bytes = aligned_alloc(8, section.size + 8);
    memcpy(bytes + 4, section.data, section.size);
    section.data = bytes + 4;
    cr_assert_not(tri_view_plain(&view, &section));
    free(bytes);
    tri_packed_fini(&packed);
}

Test(plain, a_value_that_is_refused_alone_is_refused_after_another)
{
    const trp_value rows[] = {trp_value_(TRP_NONE, NULL, 0), trp_value_(TRP_BYTES, NULL, 5),
                              trp_value_(TRP_STR, "a\0b", 3), trp_value_(TRP_STR, "\xff", 1),
                              trp_value_((trp_kind)50, NULL, 0)};
    struct tri_packed packed = {0};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tri_packed alone = {0};
        const trp_err err = tri_value_pack(&alone, rows[i], NULL, NULL, NULL);
        cr_assert_neq(err, TRP_OK, "row %zu", i);
        cr_assert_eq(tri_value_pack(&packed, trp_i64(1), NULL, NULL, NULL), TRP_OK);
        cr_assert_eq(tri_value_pack(&packed, rows[i], NULL, NULL, NULL), err, "row %zu", i);
        tri_packed_fini(&alone);
    }
    tri_packed_fini(&packed);
}

/* ------------------------------------------------------------------------------------------------------- the method's name */

/* Looks at a copy that ends where its block ends: what is read beyond it is found by the address sanitizer. */
static const char *
peek(const uint8_t *bytes, uint32_t size, uint32_t *length)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    struct tri_section section = {.data = copy, .size = size, .meta_size = size};
    cr_assert_not_null(copy);
    memcpy(copy, bytes, size);
    const char *text = tri_call_method_peek(&section, length);
    if (text != NULL)
        cr_assert(text >= (const char *)copy && *length <= size && text + *length <= (const char *)copy + size);
    const char *found = text != NULL ? (const char *)bytes + (text - (const char *)copy) : NULL;
    free(copy);
    return found;
}

Test(plain, a_method_is_peeked_at_or_not_found_and_never_outside_of_its_call)
{
    struct tri_packed packed = {0};
    uint32_t length = 0;
    cr_assert_eq(tri_call_pack(&packed, "multiply", TRP_ARGS(1, "two"), NULL, NULL), TRP_OK);
    const uint32_t size = packed.section.meta_size;
    uint8_t *bytes = malloc(size);
    cr_assert_not_null(bytes);
    memcpy(bytes, packed.section.data, size);
    const char *text = peek(bytes, size, &length);
    cr_assert_not_null(text);
    cr_assert_eq(length, 8);
    cr_assert_eq(memcmp(text, "multiply", 8), 0);
    for (uint32_t i = 0; i < size; i++)
        (void)peek(bytes, i, &length);
    for (uint32_t i = 0; i < size; i++) {
        const uint8_t was = bytes[i];
        for (unsigned value = 0; value < 256; value++) {
            bytes[i] = (uint8_t)value;
            (void)peek(bytes, size, &length);
        }
        bytes[i] = was;
    }
    free(bytes);
    tri_packed_fini(&packed);
}
