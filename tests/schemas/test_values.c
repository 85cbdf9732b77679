/*
 * test_values.c - values on the wire: what goes in comes out, limits, and a row for each way to be refused.
 */
#include <criterion/criterion.h>

#include "schemas/packed.h"
#include "tests/schemas/every_body.h"

#include <stdio.h>
#include <stdlib.h>

static struct tri_id ids[] = {{7, 1}, {7, 2}, {8, 3}};

static trp_err
pack(struct tri_packed *packed, trp_value value)
{
    return tri_value_pack(packed, value, &tri_test_handles, NULL, NULL);
}

Test(values, a_value_reads_back_and_packs_again_to_the_same_bytes)
{
    struct tri_packed packed = {0}, again = {0};
    struct tri_view view;
    cr_assert_eq(tri_body_samples[0].pack(&packed, NULL), TRP_OK);
    cr_assert_eq(tri_view_open(&view, &packed.section, NULL), TRP_OK);
    cr_assert_eq(view.ref_count, 2);
    trp_ref *refs[2] = {(trp_ref *)&ids[0], NULL};
    trp_actor *actors[2] = {NULL, (trp_actor *)&ids[1]};
    view.refs = refs;
    view.actors = actors;
    trp_value root = tri_view_value(&view, 0);
    cr_assert(root.kind == TRP_LIST && root.size == 5 && root.form == 1);
    trp_value map = tri_view_value(&view, (uint32_t)view.nodes[0].payload);
    cr_assert(map.kind == TRP_MAP && map.size == 8);
    cr_assert_eq(pack(&again, root), TRP_OK);
    cr_assert_eq(again.section.size, packed.section.size);
    cr_assert_eq(memcmp(again.section.data, packed.section.data, (size_t)packed.section.size), 0);
    cr_assert_eq(memcmp(again.section.refs, packed.section.refs, 2 * sizeof *again.section.refs), 0);
    cr_assert_eq(pack(&again, TRP_LIST(root, TRP_TUPLE(map, map))), TRP_OK, "flat inside of built");
    tri_view_close(&view);
    tri_packed_fini(&packed);
    tri_packed_fini(&again);
}

Test(values, inline_size_counts_bytes_and_sixteen_per_node_below_the_root)
{
    struct tri_packed packed = {0};
    uint64_t size;
    int64_t shape[] = {3};
    int32_t data[] = {1, 2, 3};
    DLTensor tensor = trp_dense(data, TRP_INT32, 1, shape);
    cr_assert_eq(tri_value_pack(&packed, trp_bytes("12345", 5), NULL, &size, NULL), TRP_OK);
    cr_assert_eq(size, 5);
    cr_assert_eq(tri_value_pack(&packed, TRP_LIST("abc", 1, &tensor), NULL, &size, NULL), TRP_OK);
    cr_assert_eq(size, 3 + 12 + 3 * 16);
    cr_assert_eq(tri_value_pack(&packed, TRP_MAP("k", 1), NULL, &size, NULL), TRP_OK);
    cr_assert_eq(size, 1 + 2 * 16);
    tri_packed_fini(&packed);
}

Test(values, top_level_arguments_have_places_and_their_entries_come_last)
{
    struct tri_packed packed = {0};
    struct tri_call call;
    cr_assert_eq(tri_body_samples[1].pack(&packed, NULL), TRP_OK);
    const struct tri_ref_entry *refs = packed.section.refs;
    cr_assert_eq(packed.section.ref_count, 3);
    cr_assert(tri_id_equal(refs[0].id, ids[1]) && refs[0].place == TRI_NESTED);
    cr_assert(tri_id_equal(refs[1].id, ids[0]) && refs[1].place == 1);
    cr_assert(tri_id_equal(refs[2].id, ids[2]) && refs[2].place == 4, "three positional ones, then step, then from");
    struct tri_section delivered = packed.section; /* the values of the top-level ones came along */
    delivered.ref_count = 1;
    cr_assert_eq(tri_call_unpack(&delivered, &call, NULL), TRP_OK);
    cr_assert_str_eq(call.method, "increment");
    trp_value root = tri_view_value(&call.args, 0);
    cr_assert(root.kind == TRP_LIST && root.size == 2);
    trp_value positional = tri_view_value(&call.args, 1), keywords = tri_view_value(&call.args, 2);
    cr_assert(positional.kind == TRP_TUPLE && positional.size == 3);
    cr_assert(keywords.kind == TRP_MAP && keywords.size == 2);
    cr_assert_eq(tri_view_value(&call.args, 4).kind, TRP_NONE);
    tri_view_close(&call.args);
    tri_packed_fini(&packed);
}

Test(values, arguments_without_keywords_are_a_tuple_and_none_an_empty_one)
{
    struct tri_packed packed = {0};
    struct tri_call call;
    cr_assert_eq(tri_call_pack(&packed, "f", TRP_ARGS(1, "two"), NULL, NULL), TRP_OK);
    cr_assert_eq(tri_call_unpack(&packed.section, &call, NULL), TRP_OK);
    trp_value root = tri_view_value(&call.args, 0);
    cr_assert(root.kind == TRP_TUPLE && root.size == 2);
    tri_view_close(&call.args);
    cr_assert_eq(tri_call_pack(&packed, "f", TRP_NOARGS, NULL, NULL), TRP_OK);
    cr_assert_eq(tri_call_unpack(&packed.section, &call, NULL), TRP_OK);
    root = tri_view_value(&call.args, 0);
    cr_assert(root.kind == TRP_TUPLE && root.size == 0);
    tri_view_close(&call.args);
    cr_assert_eq(tri_call_pack(&packed, "f", TRP_ARGS(TRP_KW("a", 1)), NULL, NULL), TRP_OK);
    cr_assert_eq(tri_call_unpack(&packed.section, &call, NULL), TRP_OK);
    tri_view_close(&call.args);
    tri_packed_fini(&packed);
}

Test(values, arguments_that_make_no_sense_are_refused)
{
    struct tri_packed packed = {0};
    cr_assert_eq(tri_call_pack(&packed, "f", TRP_ARGS(TRP_KW("a", 1), 2), NULL, NULL), TRP_EINVAL);
    cr_assert_eq(tri_call_pack(&packed, "f", TRP_ARGS(TRP_KW("a", 1), TRP_KW("a", 2)), NULL, NULL), TRP_EINVAL);
    cr_assert_eq(tri_call_pack(&packed, "f", TRP_ARGS(TRP_KW(1, 2)), NULL, NULL), TRP_EINVAL);
    cr_assert_eq(tri_call_pack(&packed, "f", TRP_LIST(1), NULL, NULL), TRP_EINVAL);
    cr_assert_eq(tri_call_pack(&packed, "f", TRP_ARGS(TRP_ARGS(1)), NULL, NULL), TRP_ETYPE);
    cr_assert_eq(tri_call_pack(&packed, "f", TRP_ARGS(TRP_LIST(TRP_KW("a", 1))), NULL, NULL), TRP_ETYPE);
    cr_assert_eq(tri_call_pack(&packed, "f", TRP_ARGS(trp_u64(UINT64_MAX)), NULL, NULL), TRP_EINVAL);
    trp_value many[300];
    for (int i = 0; i < 300; i++)
        many[i] = trp_i64(i);
    many[255] = trp_ref_value((trp_ref *)&ids[0]);
    cr_assert_eq(tri_call_pack(&packed, "f", trp_args(many, 300), &tri_test_handles, NULL), TRP_OK);
    many[256] = many[255];
    cr_assert_eq(tri_call_pack(&packed, "f", trp_args(many, 300), &tri_test_handles, NULL), TRP_ELIMIT);
    tri_packed_fini(&packed);
}

/* `depth` lists, one in the other, around nothing. */
static trp_value
nest(trp_value *items, int depth)
{
    trp_value value = trp_null();
    for (int i = 0; i < depth; i++) {
        items[i] = value;
        value = trp_list(&items[i], 1);
    }
    return value;
}

Test(values, sixty_four_levels_pass_and_one_more_does_not)
{
    struct tri_packed packed = {0};
    struct tri_view view;
    struct tri_call call;
    trp_value items[70];
    cr_assert_eq(pack(&packed, nest(items, TRP_NESTING_MAX)), TRP_OK);
    cr_assert_eq(tri_view_open(&view, &packed.section, NULL), TRP_OK);
    tri_view_close(&view);
    cr_assert_eq(pack(&packed, nest(items, TRP_NESTING_MAX + 1)), TRP_ELIMIT);
    for (int keyword = 0; keyword < 2; keyword++) {
        trp_value deep = nest(items, TRP_NESTING_MAX), pair[2] = {trp_str("a"), deep};
        trp_value item = keyword ? trp_keyword(pair) : deep;
        cr_assert_eq(tri_call_pack(&packed, "f", trp_args(&item, 1), NULL, NULL), TRP_OK);
        cr_assert_eq(tri_call_unpack(&packed.section, &call, NULL), TRP_OK);
        tri_view_close(&call.args);
        pair[1] = deep = nest(items, TRP_NESTING_MAX + 1);
        item = keyword ? trp_keyword(pair) : deep;
        cr_assert_eq(tri_call_pack(&packed, "f", trp_args(&item, 1), NULL, NULL), TRP_ELIMIT);
    }
    tri_packed_fini(&packed);
}

Test(values, limits_of_size_count_and_references_hold)
{
    struct tri_packed packed = {0};
    size_t size = TRI_FRAME_MAX - 4096, count = TRI_REFS_MAX + 1;
    char *data = calloc(1, TRI_FRAME_MAX);
    trp_value *refs = calloc(count, sizeof *refs);
    struct tri_view view;
    cr_assert_eq(pack(&packed, trp_bytes(data, size)), TRP_OK);
    cr_assert(packed.section.frame != NULL && packed.section.frame->size == packed.section.size);
    cr_assert_eq(tri_view_open(&view, &packed.section, NULL), TRP_OK);
    cr_assert_eq(tri_view_value(&view, 0).size, size);
    tri_view_close(&view);
    cr_assert_eq(pack(&packed, trp_bytes(data, TRI_FRAME_MAX)), TRP_ELIMIT);
    cr_assert_eq(pack(&packed, trp_bytes(data, SIZE_MAX)), TRP_ELIMIT);
    cr_assert_eq(pack(&packed, trp_list((const trp_value *)(const void *)data, TRI_NODES_MAX)), TRP_ELIMIT);
    cr_assert_eq(pack(&packed, trp_list((const trp_value *)(const void *)data, SIZE_MAX)), TRP_ELIMIT);
    cr_assert_eq(pack(&packed, trp_list((const trp_value *)(const void *)data, 100000)), TRP_OK);
    for (size_t i = 0; i < count; i++)
        refs[i] = trp_ref_value((trp_ref *)&ids[0]);
    cr_assert_eq(pack(&packed, trp_list(refs, TRI_REFS_MAX)), TRP_OK);
    cr_assert_eq(packed.section.ref_count, TRI_REFS_MAX);
    cr_assert_eq(pack(&packed, trp_list(refs, count)), TRP_ELIMIT);
    cr_assert_eq(pack(&packed, trp_i64(1)), TRP_OK);
    cr_assert_null(packed.section.frame);
    tri_packed_fini(&packed);
    free(data);
    free(refs);
}

Test(values, what_cannot_travel_is_refused)
{
    struct tri_packed packed = {0};
    int64_t shape[] = {2, -1}, good[] = {2, 1};
    float data[2] = {0};
    DLTensor gpu = trp_dense(data, TRP_FLOAT32, 2, good), negative = trp_dense(data, TRP_FLOAT32, 2, shape),
             empty = trp_dense(NULL, TRP_FLOAT32, 2, good), odd = trp_dense(data, TRP_FLOAT32, 2, good),
             deep = trp_dense(data, TRP_FLOAT32, 33, good);
    struct tri_id none = {0, 0};
    gpu.device.device_type = kDLCUDA;
    odd.dtype.bits = 4;
    cr_assert_eq(pack(&packed, trp_ref_value(NULL)), TRP_EINVAL);
    cr_assert_eq(pack(&packed, TRP_LIST(UINT64_MAX)), TRP_EINVAL);
    cr_assert_eq(pack(&packed, TRP_KW("a", 1)), TRP_ETYPE);
    cr_assert_eq(pack(&packed, TRP_V(&gpu)), TRP_ETYPE);
    cr_assert_eq(pack(&packed, TRP_V(&negative)), TRP_ELIMIT);
    cr_assert_eq(pack(&packed, TRP_V(&empty)), TRP_EINVAL);
    cr_assert_eq(pack(&packed, TRP_V(&odd)), TRP_ETYPE);
    cr_assert_eq(pack(&packed, TRP_V(&deep)), TRP_EINVAL);
    cr_assert_eq(pack(&packed, trp_bytes(NULL, 1)), TRP_EINVAL);
    cr_assert_eq(pack(&packed, trp_list(NULL, 1)), TRP_EINVAL);
    cr_assert_eq(pack(&packed, trp_value_(TRP_STR, "a\0b", 3)), TRP_EINVAL);
    cr_assert_eq(pack(&packed, TRP_MAP("a", 1, "a", 2)), TRP_EINVAL);
    cr_assert_eq(pack(&packed, TRP_MAP(1, 1)), TRP_ETYPE);
    cr_assert_eq(pack(&packed, trp_ref_value((trp_ref *)&none)), TRP_ECLOSED, "as the handles say");
    cr_assert_eq(tri_value_pack(&packed, trp_ref_value((trp_ref *)&ids[0]), NULL, NULL, NULL), TRP_ETYPE);
    cr_assert_eq(pack(&packed, trp_i64(1)), TRP_OK, "it can be used on");
    tri_packed_fini(&packed);
}

/* Wherever a text can stand. */
Test(values, what_is_not_utf8_is_refused_by_its_byte)
{
    static const char bad[] = "abc\xff";
    const struct tri_env env = {"PATH", bad}, odd_env = {bad, ""};
    const struct tri_resource slots = {bad, 1};
    const struct tri_needs needs = {.resources = &slots, .resource_count = 1};
    const struct tri_spawn spawns[] = {
        {.class_name = bad, .name = "", .namespace_ = "n"},
        {.class_name = "m:C", .name = bad, .namespace_ = "n"},
        {.class_name = "m:C", .name = "", .namespace_ = bad},
        {.class_name = "m:C", .name = "", .namespace_ = "n", .env = &env, .env_count = 1},
        {.class_name = "m:C", .name = "", .namespace_ = "n", .env = &odd_env, .env_count = 1},
        {.class_name = "m:C", .name = "", .namespace_ = "n", .resources = &slots, .resource_count = 1},
    };
    const trp_value inside[] = {trp_str(bad), TRP_LIST(1, bad), TRP_MAP(bad, 1), TRP_MAP("a", bad)};
    struct tri_packed packed = {0};
    trp_error error;
    size_t row = 0;

#define REFUSED(call)                                                                                                  \
    do {                                                                                                               \
        memset(&error, 0, sizeof error);                                                                               \
        cr_expect_eq(call, TRP_EINVAL, "row %zu: %s", row, error.message);                                             \
        cr_expect_not_null(strstr(error.message, "at byte 3"), "row %zu: %s", row, error.message);                     \
        row++;                                                                                                         \
    } while (0)
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
        REFUSED(tri_value_pack(&packed, inside[i], NULL, NULL, &error));
    REFUSED(tri_call_pack(&packed, "f", TRP_ARGS(bad), NULL, &error));
    REFUSED(tri_call_pack(&packed, "f", TRP_ARGS(TRP_KW(bad, 1)), NULL, &error));
    REFUSED(tri_call_pack(&packed, bad, TRP_NOARGS, NULL, &error));
    REFUSED(tri_task_pack(&packed, bad, TRP_NOARGS, NULL, NULL, &error));
    REFUSED(tri_task_pack(&packed, "m:f", TRP_NOARGS, &needs, NULL, &error));
    REFUSED(tri_name_pack(&packed, bad, "n", &error));
    REFUSED(tri_name_pack(&packed, "a", bad, &error));
    for (size_t i = 0; i < sizeof spawns / sizeof *spawns; i++)
        REFUSED(tri_spawn_pack(&packed, &spawns[i], TRP_NOARGS, NULL, &error));
#undef REFUSED
    cr_assert_eq(pack(&packed, TRP_LIST("gr\xc3\xbc\xc3\x9f", trp_bytes(bad, 4))), TRP_OK);
    tri_packed_fini(&packed);
}

Test(values, keys_of_large_maps_are_compared_too)
{
    struct tri_packed packed = {0};
    enum { COUNT = 3000 };
    static char names[COUNT][8];
    static trp_value entries[2 * COUNT];
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "k%d", i);
        entries[2 * i] = trp_str(names[i]);
    }
    cr_assert_eq(pack(&packed, trp_map(entries, COUNT)), TRP_OK);
    entries[2 * 2999] = trp_str("k17");
    cr_assert_eq(pack(&packed, trp_map(entries, COUNT)), TRP_EINVAL);
    tri_packed_fini(&packed);
}

Test(values, strided_tensors_arrive_row_major)
{
    struct tri_packed packed = {0};
    struct tri_view view;
    int32_t data[6] = {1, 2, 3, 4, 5, 6}, expected[6] = {1, 4, 2, 5, 3, 6};
    int64_t shape[] = {3, 2}, strides[] = {1, 3};
    DLTensor tensor = trp_dense(data, TRP_INT32, 2, shape), found;
    tensor.strides = strides;
    cr_assert_eq(pack(&packed, TRP_V(&tensor)), TRP_OK);
    cr_assert_eq(tri_view_open(&view, &packed.section, NULL), TRP_OK);
    tri_view_tensor(&view, 0, &found);
    cr_assert_eq(memcmp(found.data, expected, sizeof expected), 0);
    cr_assert(found.ndim == 2 && found.shape[0] == 3 && found.strides[0] == 2 && found.strides[1] == 1);
    tri_view_close(&view);
    tensor.ndim = 0;
    cr_assert_eq(pack(&packed, TRP_V(&tensor)), TRP_OK, "a single number");
    shape[1] = 0;
    tensor.ndim = 2;
    cr_assert_eq(pack(&packed, TRP_V(&tensor)), TRP_OK, "no numbers");
    cr_assert_eq(tri_view_open(&view, &packed.section, NULL), TRP_OK);
    tri_view_close(&view);
    tri_packed_fini(&packed);
}

/* ------------------------------------------------------------------------------- values that no honest peer has packed */

#define NODE(kind, count, payload)                                                                                     \
    {                                                                                                                  \
        kind, {0, 0, 0}, count, payload                                                                                \
    }
static const struct row {
    const char *name;
    bool good;
    uint32_t count;
    struct tri_wire_node nodes[4];
} rows[] = {
    {"a number", true, 1, {NODE(TRP_I64, 0, 5)}},
    {"a list of two", true, 3, {NODE(TRP_LIST, 2, 1), NODE(TRP_I64, 0, 1), NODE(TRP_I64, 0, 1)}},
    {"a map", true, 3, {NODE(TRP_MAP, 1, 1), NODE(TRP_STR, 0, 0), NODE(TRP_I64, 0, 1)}},
    {"unknown kind", false, 1, {NODE(12, 0, 0)}},
    {"arguments as value", false, 1, {NODE(TRP_ARGS, 0, 0)}},
    {"zeros that are not zero", false, 1, {{TRP_I64, {0, 1, 0}, 0, 5}}},
    {"a number with a count", false, 1, {NODE(TRP_I64, 1, 5)}},
    {"a bool of two", false, 1, {NODE(TRP_BOOL, 0, 2)}},
    {"an item of nothing", false, 2, {NODE(TRP_I64, 0, 5), NODE(TRP_I64, 0, 5)}},
    {"a list of itself", false, 1, {NODE(TRP_LIST, 1, 0)}},
    {"a list beyond the end", false, 1, {NODE(TRP_LIST, 1, 1)}},
    {"a list of four billion", false, 2, {NODE(TRP_LIST, UINT32_MAX, 1), NODE(TRP_I64, 0, 1)}},
    {"a map of two billion", false, 3, {NODE(TRP_MAP, 0x80000001u, 1), NODE(TRP_STR, 0, 0), NODE(TRP_I64, 0, 1)}},
    {"an empty list with a place", false, 1, {NODE(TRP_LIST, 0, 1)}},
    {"two parents", false, 4, {NODE(TRP_LIST, 2, 1), NODE(TRP_LIST, 1, 3), NODE(TRP_LIST, 1, 3), NODE(TRP_I64, 0, 1)}},
    {"a loop", false, 3, {NODE(TRP_LIST, 1, 1), NODE(TRP_LIST, 1, 2), NODE(TRP_LIST, 1, 1)}},
    {"items out of order", false, 3, {NODE(TRP_LIST, 1, 2), NODE(TRP_LIST, 1, 1), NODE(TRP_I64, 0, 1)}},
    {"a key that is a number", false, 3, {NODE(TRP_MAP, 1, 1), NODE(TRP_I64, 0, 1), NODE(TRP_I64, 0, 1)}},
    {"a string at the end", false, 1, {NODE(TRP_STR, 0, 80)}},
    {"a string far away", false, 1, {NODE(TRP_STR, 0, UINT64_MAX & ~7ull)}},
    {"a string at an odd place", false, 1, {NODE(TRP_STR, 0, 4)}},
    {"a string that is too long", false, 1, {NODE(TRP_STR, 0, 16)}},
    {"a string without its NUL", false, 1, {NODE(TRP_STR, 0, 24)}},
    {"a string with a NUL inside", false, 1, {NODE(TRP_STR, 0, 40)}},
    {"bytes with a NUL inside", true, 1, {NODE(TRP_BYTES, 0, 40)}},
    {"a string that is not UTF-8", false, 1, {NODE(TRP_STR, 0, 56)}},
    {"a key that is not UTF-8", false, 3, {NODE(TRP_MAP, 1, 1), NODE(TRP_STR, 0, 56), NODE(TRP_I64, 0, 1)}},
    {"bytes that are not UTF-8", true, 1, {NODE(TRP_BYTES, 0, 56)}},
    {"a tensor at the end", false, 1, {NODE(TRP_TENSOR, 0, 72)}},
    {"a tensor of strings", false, 1, {NODE(TRP_TENSOR, 0, 0)}},
    {"a reference without an entry", false, 1, {NODE(TRP_REF, 0, 0)}},
    {"an actor without an entry", false, 1, {NODE(TRP_ACTOR, 0, 0)}},
};

/* The same section, as it would lie in the arena. *lies is to be released. */
static struct tri_section
in_the_arena(const struct tri_section *section, struct tri_buf **lies)
{
    static const struct tri_place place = {.slot = 1};
    struct tri_section shared = *section;
    *lies = tri_buf_copy(section->data, (size_t)section->size);
    cr_assert_not_null(*lies);
    (*lies)->place = &place;
    shared.frame = *lies;
    shared.data = (*lies)->data;
    return shared;
}

static void
judge(const struct tri_section *section, size_t row)
{
    struct tri_view view;
    trp_error error = {0};
    const trp_err err = tri_view_open(&view, section, &error);
    cr_expect_eq(err, rows[row].good ? TRP_OK : TRP_EPROTO, "%s: %s", rows[row].name, error.message);
    if (err == TRP_OK) {
        tri_touch_view(&view);
        tri_view_close(&view);
    }
}

Test(values, each_of_these_is_judged_rightly)
{
    /* The block: {3, "abc"}; {2^60}; {7, no NUL}; {4, "ab\0c"}; {3, "ab\xff"} at 0, 16, 24, 40, 56. */
    static const uint64_t block[] = {3, 0x636261, UINT64_C(1) << 60, 7, ~UINT64_C(0), 4, 0x63006261, 3, 0xff6261, 0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tri_packed packed = {0};
        struct tri_meta meta;
        struct tri_meta_nodes nodes = {rows[i].nodes, rows[i].count};
        struct tri_buf *lies;
        uint8_t *at;
        cr_assert_eq(tri_packed_begin(&packed, 512, &meta, NULL), TRP_OK);
        tri_meta_pack_value(&meta, &nodes);
        cr_assert_eq(tri_packed_finish(&packed, &meta, sizeof block, 0, NULL, &at, NULL), TRP_OK);
        memcpy(at, block, sizeof block);
        judge(&packed.section, i);
        const struct tri_section shared = in_the_arena(&packed.section, &lies);
        judge(&shared, i);
        tri_buf_release(&lies);
        tri_packed_fini(&packed);
    }
}

/* Whoever has it mapped to be written can give wrong numbers, never lead a reader outside of it. */
Test(values, what_is_written_over_a_value_in_the_arena_leads_nobody_outside)
{
    struct tri_packed packed = {0}, again = {0};
    struct tri_buf *lies;
    struct tri_view view;
    int64_t shape[] = {2, 3};
    float data[] = {1, 2, 3, 4, 5, 6};
    DLTensor tensor = trp_dense(data, TRP_FLOAT32, 2, shape), seen;
    cr_assert_eq(pack(&packed, TRP_LIST("text", trp_bytes("12345", 5), &tensor, 7, TRP_MAP("key", 1.5))), TRP_OK);
    const struct tri_section shared = in_the_arena(&packed.section, &lies);
    cr_assert_eq(tri_view_open(&view, &shared, NULL), TRP_OK);
    memset(lies->data, 0xff, lies->size);
    const uint32_t first = (uint32_t)view.nodes[0].payload;
    cr_expect_str_eq(tri_view_value(&view, first).as.str, "text");
    const trp_value bytes = tri_view_value(&view, first + 1);
    cr_expect(bytes.size == 5 && ((const uint8_t *)bytes.as.bytes)[4] == 0xff, "they lie where they were");
    tri_view_tensor(&view, first + 2, &seen);
    cr_expect(seen.ndim == 2 && seen.shape[0] == 2 && seen.shape[1] == 3 && seen.strides[0] == 3);
    cr_expect((uint8_t *)seen.data >= lies->data && (uint8_t *)seen.data + sizeof data <= lies->data + lies->size);
    cr_expect_eq(tri_view_value(&view, first + 3).as.i64, 7, "numbers are copied with the nodes");
    cr_expect_eq(pack(&again, tri_view_value(&view, 0)), TRP_OK, "it can be handed on");
    tri_touch_view(&view);
    tri_view_close(&view);
    tri_buf_release(&lies);
    tri_packed_fini(&packed);
    tri_packed_fini(&again);
}

/* The same of values of one kind alone, which are read the short way. */
Test(values, bytes_and_text_alone_in_the_arena_keep_their_size_whatever_is_written_over_it)
{
    const trp_value values[] = {trp_bytes("12345", 5), trp_str("12345")};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct tri_packed packed = {0}, again = {0};
        struct tri_buf *lies;
        struct tri_view view;
        cr_assert_eq(pack(&packed, values[i]), TRP_OK);
        const struct tri_section shared = in_the_arena(&packed.section, &lies);
        cr_assert_eq(tri_view_open(&view, &shared, NULL), TRP_OK);
        memset(lies->data, 0x7f, lies->size);
        cr_expect_eq(view.node_count, 1);
        cr_expect_eq(view.nodes[0].kind, values[i].kind);
        cr_expect_eq(tri_view_value(&view, 0).size, 5);
        cr_expect_eq(pack(&again, tri_view_value(&view, 0)), TRP_OK, "it can be handed on");
        cr_expect_eq(again.section.size, packed.section.size);
        tri_view_close(&view);
        tri_buf_release(&lies);
        tri_packed_fini(&packed);
        tri_packed_fini(&again);
    }
}

static uint64_t room_asked;
static bool room_full;

static trp_err
give_room(void *user, uint64_t size, struct tri_buf **buf, trp_error *error)
{
    static const struct tri_place place = {.slot = 3};
    room_asked = size;
    if (room_full)
        return TRI_FAIL(error, TRP_ESTOREFULL, "no room");
    *buf = user != NULL ? tri_buf_new(size) : NULL;
    if (*buf != NULL)
        (*buf)->place = &place;
    return TRP_OK;
}

Test(values, above_the_inline_limit_room_in_the_arena_is_asked_for)
{
    static char data[TRI_INLINE_MAX + 1];
    const struct tri_rooms rooms = {give_room, data}, none = {give_room, NULL};
    struct tri_packed packed = {.rooms = &rooms};
    cr_assert_eq(pack(&packed, trp_bytes(data, TRI_INLINE_MAX)), TRP_OK);
    cr_expect(room_asked == 0 && tri_section_place(&packed.section) == NULL);
    cr_assert_eq(pack(&packed, trp_bytes(data, sizeof data)), TRP_OK);
    cr_assert_not_null(tri_section_place(&packed.section));
    cr_expect_eq(room_asked, packed.section.size);
    cr_expect_eq(packed.section.meta_size % 64, 0, "tensors are aligned in the arena");
    struct tri_buf *had = tri_buf_retain(packed.section.frame);
    cr_assert_eq(pack(&packed, trp_bytes(data, sizeof data)), TRP_OK);
    cr_expect_neq(packed.section.frame, had, "it is never written again");
    tri_packed_forget(&packed);
    cr_expect_null(packed.section.frame);
    tri_buf_release(&had);
    packed.rooms = &none;
    cr_assert_eq(pack(&packed, trp_bytes(data, sizeof data)), TRP_OK);
    cr_expect(tri_section_place(&packed.section) == NULL && packed.section.size > TRI_INLINE_MAX, "it travels");
    room_full = true;
    cr_expect_eq(pack(&packed, trp_bytes(data, sizeof data)), TRP_ESTOREFULL);
    cr_expect_eq(pack(&packed, trp_bytes(data, TRI_INLINE_MAX)), TRP_OK);
    tri_packed_fini(&packed);
}

/* As the wire has it, from somebody who packs without our limit. `base`: the nodes above an argument. */
Test(values, sixty_four_levels_verify_and_one_more_does_not)
{
    enum { MOST = TRP_NESTING_MAX + 1 };
    for (int levels = TRP_NESTING_MAX; levels <= MOST; levels++)
        for (int as_args = 0; as_args < 2; as_args++) {
            struct tri_wire_node nodes[MOST + 2] = {{0}};
            struct tri_meta_nodes all = {nodes, (uint32_t)(as_args + levels + 1)};
            struct tri_packed packed = {0};
            struct tri_meta meta;
            struct tri_call call;
            uint8_t *block;
            for (uint32_t i = 0; i + 1 < all.count; i++)
                nodes[i] = (struct tri_wire_node)NODE(as_args && i == 0 ? TRP_TUPLE : TRP_LIST, 1, i + 1);
            cr_assert_eq(tri_packed_begin(&packed, 4096, &meta, NULL), TRP_OK);
            if (as_args)
                tri_meta_pack_call(&meta, "f", &all, NULL);
            else
                tri_meta_pack_value(&meta, &all);
            cr_assert_eq(tri_packed_finish(&packed, &meta, 0, 0, NULL, &block, NULL), TRP_OK);
            trp_err err = as_args ? tri_call_unpack(&packed.section, &call, NULL)
                                  : tri_view_open(&call.args, &packed.section, NULL);
            cr_expect_eq(err, levels <= TRP_NESTING_MAX ? TRP_OK : TRP_EPROTO, "%d levels", levels);
            if (err == TRP_OK)
                tri_view_close(&call.args);
            tri_packed_fini(&packed);
        }
}

Test(values, a_reference_does_not_pass_as_an_actor)
{
    struct tri_packed packed = {0};
    struct tri_view view;
    cr_assert_eq(pack(&packed, TRP_LIST((trp_ref *)&ids[0])), TRP_OK);
    packed.refs[0].flags = TRI_REF_ACTOR;
    cr_assert_eq(tri_view_open(&view, &packed.section, NULL), TRP_EPROTO);
    tri_packed_fini(&packed);
}
