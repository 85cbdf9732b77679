/*
 * test_envelope.c - envelopes: written and read back, and a row for each way in which one is refused.
 */
#include <criterion/criterion.h>

#include "tests/schemas/every_body.h"

#include <stdlib.h>

enum { ROOM = 65536 };

static uint8_t bytes[ROOM] __attribute__((aligned(8)));
static struct tri_ref_entry entries[2] = {{{7, 1}, 0, 0, 0, 0}, {{7, 2}, TRI_NESTED, TRI_REF_ACTOR, 0, 0}};

/* A CALL with two entries and an appended value: what the table below spoils. */
static size_t
write_call(void)
{
    static const uint8_t body[20] = "body of twenty byte", value[8] = "value";
    struct tri_section sections[2] = {{0, 2, entries, 20, 20, body, NULL}, {2, 0, NULL, 8, 8, value, NULL}};
    struct tri_route route = {.kind = TRI_CALL, .flags = TRI_NO_RETRY, .priority = -1, .sequence = 3, .result = {1, 2}};
    memset(bytes, 0xaa, sizeof bytes);
    return tri_envelope_write(bytes, &route, sections, 2);
}

Test(envelope, what_was_written_is_read)
{
    struct tri_envelope envelope;
    struct tri_section section;
    size_t size = write_call();
    cr_assert_eq(size % 8, 0);
    cr_assert_eq(tri_envelope_check(bytes, ROOM, NULL, 0, &envelope, NULL), TRP_OK);
    cr_assert_eq(envelope.size, size);
    cr_assert_geq(envelope.bytes, size);
    cr_assert(tri_id_equal(envelope.route.result, (struct tri_id){1, 2}) && tri_id_is_none(envelope.route.target));
    cr_assert_eq(envelope.route.section_count, 2);
    cr_assert_eq(envelope.route.sequence, 3);
    cr_assert_eq(envelope.route.priority, -1);
    cr_assert_eq(envelope.frame_count, 0);
    tri_envelope_section(&envelope, 0, &section);
    cr_assert(section.place == 0 && section.ref_count == 2 && section.size == 20 && section.meta_size == 20);
    cr_assert_eq(memcmp(section.data, "body of twenty byte", 20), 0);
    cr_assert_eq((uintptr_t)section.data % 8, 0);
    cr_assert_eq(memcmp(section.refs, entries, sizeof entries), 0);
    tri_envelope_section(&envelope, 1, &section);
    cr_assert(section.place == 2 && section.ref_count == 0 && section.size == 8);
    cr_assert_str_eq((const char *)section.data, "value");
}

Test(envelope, large_data_travels_as_frames_in_order)
{
    struct tri_buf *frames[2] = {tri_buf_new(TRI_COPY_MAX + 1), tri_buf_new(5000)};
    struct tri_section sections[3] = {{0, 0, NULL, 0, TRI_COPY_MAX + 1, frames[0]->data, frames[0]},
                                      {1, 0, NULL, 4, 4, (const uint8_t *)"abc", NULL},
                                      {2, 0, NULL, 0, 5000, frames[1]->data, frames[1]}},
                       section;
    struct tri_route route = {.kind = TRI_CALL};
    struct tri_envelope envelope;
    tri_envelope_write(bytes, &route, sections, 3);
    cr_assert_lt(tri_envelope_size(sections, 3), 300);
    cr_assert_eq(tri_envelope_check(bytes, ROOM, frames, 2, &envelope, NULL), TRP_OK);
    cr_assert_eq(envelope.frame_count, 2);
    cr_assert_eq(envelope.bytes, tri_envelope_bytes(sections, 3), "both ends count the same");
    tri_envelope_section(&envelope, 2, &section);
    cr_assert(section.frame == frames[1] && section.data == frames[1]->data && section.size == 5000);
    tri_envelope_section(&envelope, 0, &section);
    cr_assert_eq(section.frame, frames[0]);
    cr_assert_eq(tri_envelope_check(bytes, ROOM, frames, 1, &envelope, NULL), TRP_EPROTO);
    frames[1]->size--;
    cr_assert_eq(tri_envelope_check(bytes, ROOM, frames, 2, &envelope, NULL), TRP_EPROTO);
    tri_buf_release(&frames[0]);
    tri_buf_release(&frames[1]);
}

Test(envelope, cut_short_anywhere_it_is_refused)
{
    struct tri_envelope envelope;
    size_t size = write_call();
    for (size_t available = 0; available < size; available++)
        cr_assert_eq(tri_envelope_check(bytes, available, NULL, 0, &envelope, NULL), TRP_EPROTO);
}

enum { PARTS = sizeof(struct tri_id) + sizeof(uint64_t) }; /* result, sequence */
static struct tri_route_head *const route = (struct tri_route_head *)(void *)bytes;
static struct tri_section_head *const head = (struct tri_section_head *)(void *)(bytes + sizeof *route + PARTS);
static struct tri_ref_entry *const entry =
    (struct tri_ref_entry *)(void *)(bytes + sizeof *route + PARTS + sizeof(struct tri_section_head));

#define SPOIL(name, statement)                                                                                         \
    static void name(void)                                                                                             \
    {                                                                                                                  \
        statement;                                                                                                     \
    }
SPOIL(version, route->version = 1)
SPOIL(kind_unknown, route->kind = 30)
SPOIL(kind_beyond, route->kind = 255)
SPOIL(kind_zero, route->kind = 0)
SPOIL(flag_unknown, route->flags |= 1 << 12)
SPOIL(flag_of_another_kind, route->flags |= TRI_DRAIN)
SPOIL(priority, route->priority = 3)
SPOIL(part_missing, route->parts |= TRI_HAS_EPOCH)
SPOIL(part_too_many, route->parts &= (uint8_t)~TRI_HAS_SEQUENCE)
SPOIL(parts_beyond, (route->size = 24, route->section_count = 0))
SPOIL(body_of_two, route->parts |= TRI_HAS_BODY)
SPOIL(body_size_of_none, route->body_size = 8)
SPOIL(body_meta_of_none, route->meta_size = 8)
SPOIL(size_small, route->size = 8)
SPOIL(size_odd, route->size -= 4)
SPOIL(size_less, route->size -= 8)
SPOIL(size_more, route->size += 8)
SPOIL(size_huge, route->size = UINT32_MAX & ~7u)
SPOIL(sections_more, route->section_count = 3)
SPOIL(sections_less, route->section_count = 1)
SPOIL(sections_none, route->section_count = 0)
SPOIL(sections_many, route->section_count = 258)
SPOIL(sections_where_none_may_be, (route->kind = TRI_PING, route->flags = 0))
SPOIL(sections_where_one_may_be, (route->kind = TRI_WAIT, route->flags = 0))
SPOIL(head_zero, head->zero16 = 9)
SPOIL(head_flags, head->flags = 2)
SPOIL(head_frame, head->flags = TRI_SECTION_FRAME)
SPOIL(head_no_frame, head->size = TRI_COPY_MAX + 1)
SPOIL(head_size, head->size = UINT32_MAX)
SPOIL(head_over_limit, head->size = TRI_FRAME_MAX + 1)
SPOIL(head_meta, head->meta_size = 21)
SPOIL(head_refs, head->ref_count = 3)
SPOIL(head_refs_many, head->ref_count = UINT16_MAX)
SPOIL(head_place, head->place = 1)
SPOIL(entry_without_id, entry[1].id.space = entry[1].id.number = 0)
SPOIL(entry_flags, entry->flags = TRI_REF_OPEN | TRI_REF_ACTOR)
SPOIL(entry_range, entry->end = 1)
SPOIL(entry_place, entry->place = 256)

Test(envelope, each_of_these_is_refused_with_a_sentence)
{
    static const struct {
        const char *name;
        void (*spoil)(void);
    } rows[] = {
#define ROW(name) {#name, name}
        ROW(version),
        ROW(kind_unknown),
        ROW(kind_beyond),
        ROW(kind_zero),
        ROW(flag_unknown),
        ROW(flag_of_another_kind),
        ROW(priority),
        ROW(part_missing),
        ROW(part_too_many),
        ROW(parts_beyond),
        ROW(body_of_two),
        ROW(body_size_of_none),
        ROW(body_meta_of_none),
        ROW(size_small),
        ROW(size_odd),
        ROW(size_less),
        ROW(size_more),
        ROW(size_huge),
        ROW(sections_more),
        ROW(sections_less),
        ROW(sections_none),
        ROW(sections_many),
        ROW(sections_where_none_may_be),
        ROW(sections_where_one_may_be),
        ROW(head_zero),
        ROW(head_flags),
        ROW(head_frame),
        ROW(head_no_frame),
        ROW(head_size),
        ROW(head_over_limit),
        ROW(head_meta),
        ROW(head_refs),
        ROW(head_refs_many),
        ROW(head_place),
        ROW(entry_without_id),
        ROW(entry_flags),
        ROW(entry_range),
        ROW(entry_place),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tri_envelope envelope;
        trp_error error = {0};
        write_call();
        rows[i].spoil();
        cr_expect_eq(tri_envelope_check(bytes, ROOM, NULL, 0, &envelope, &error), TRP_EPROTO, "%s", rows[i].name);
        cr_expect(error.message[0] != '\0', "%s", rows[i].name);
    }
}

/* What most are: a body without a head, behind all that a route may say. */
static size_t
write_plain(uint16_t size)
{
    static const uint8_t body[TRI_COPY_MAX];
    const struct tri_section section = {.meta_size = size / 2, .size = size, .data = body};
    const struct tri_route full = {TRI_CALL, 2, TRI_TASK, 0, 1, {2, 3}, {4, 5}, {6, 7}, 8, 9, 10};
    memset(bytes, 0xaa, sizeof bytes);
    return tri_envelope_write(bytes, &full, &section, 1);
}

Test(envelope, a_lone_body_has_no_head_and_a_route_all_its_parts)
{
    struct tri_envelope envelope;
    struct tri_section section;
    const uint16_t sizes[] = {0, 1, 8, 40, TRI_COPY_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size_t size = write_plain(sizes[i]);
        cr_assert_eq(size, 96 + tri_pad8(sizes[i]));
        cr_assert_eq(tri_envelope_check(bytes, size, NULL, 0, &envelope, NULL), TRP_OK);
        cr_assert(envelope.size == size && envelope.bytes == size + sizeof(struct tri_section_head));
        const struct tri_route *said = &envelope.route;
        cr_assert(said->kind == TRI_CALL && said->priority == 2 && said->flags == TRI_TASK && said->section_count == 1);
        cr_assert(said->epoch == 1 && tri_id_equal(said->target, (struct tri_id){2, 3}) &&
                  tri_id_equal(said->result, (struct tri_id){4, 5}) &&
                  tri_id_equal(said->parent, (struct tri_id){6, 7}));
        cr_assert(said->sequence == 8 && said->acknowledged == 9 && said->deadline_us == 10);
        tri_envelope_section(&envelope, 0, &section);
        cr_assert(section.size == sizes[i] && section.meta_size == sizes[i] / 2 && section.data == bytes + 96);
        for (size_t available = 0; available < size; available++)
            cr_assert_eq(tri_envelope_check(bytes, available, NULL, 0, &envelope, NULL), TRP_EPROTO);
    }
}

SPOIL(body_version, route->version = 3)
SPOIL(body_kind, route->kind = TRI_PING)
SPOIL(body_kind_unknown, route->kind = TRI_KIND_COUNT)
SPOIL(body_flags, route->flags = TRI_LAST)
SPOIL(body_priority, route->priority = -3)
SPOIL(body_sections, route->section_count = 2)
SPOIL(body_no_section, route->section_count = 0)
SPOIL(body_parts, route->parts &= (uint8_t)~TRI_HAS_EPOCH)
SPOIL(body_not_said, route->parts &= (uint8_t)~TRI_HAS_BODY)
SPOIL(body_size_more, route->body_size += 8)
SPOIL(body_size_less, route->body_size -= 8)
SPOIL(body_size_of_a_frame, (route->body_size = TRI_COPY_MAX + 8, route->size = 96 + TRI_COPY_MAX + 8))
SPOIL(body_meta, route->meta_size = 41)
SPOIL(body_envelope_more, route->size += 8)
SPOIL(body_envelope_less, route->size -= 8)

Test(envelope, a_lone_body_that_is_wrong_is_refused_with_a_sentence)
{
    static const struct {
        const char *name;
        void (*spoil)(void);
    } rows[] = {
        ROW(body_version),  ROW(body_kind),          ROW(body_kind_unknown),  ROW(body_flags),
        ROW(body_priority), ROW(body_sections),      ROW(body_no_section),    ROW(body_parts),
        ROW(body_not_said), ROW(body_size_more),     ROW(body_size_less),     ROW(body_size_of_a_frame),
        ROW(body_meta),     ROW(body_envelope_more), ROW(body_envelope_less),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tri_envelope envelope;
        trp_error error = {0};
        write_plain(40);
        rows[i].spoil();
        cr_expect_eq(tri_envelope_check(bytes, ROOM, NULL, 0, &envelope, &error), TRP_EPROTO, "%s", rows[i].name);
        cr_expect(error.message[0] != '\0', "%s", rows[i].name);
    }
}

Test(envelope, what_is_kept_outlives_what_was_received)
{
    static uint64_t memory[ROOM / 8];
    struct tri_envelope envelope;
    struct tri_section sections[2];
    const size_t size = write_call();
    cr_assert_eq(tri_envelope_check(bytes, size, NULL, 0, &envelope, NULL), TRP_OK);
    const size_t room = tri_envelope_room(&envelope);
    memset(memory, 0xee, sizeof memory);
    tri_envelope_keep(&envelope, memory, sections);
    memset(bytes, 0, sizeof bytes);
    cr_assert_eq(memcmp(sections[0].refs, entries, sizeof entries), 0);
    cr_assert_eq(memcmp(sections[0].data, "body of twenty byte", 20), 0);
    cr_assert(sections[1].place == 2 && strcmp((const char *)sections[1].data, "value") == 0);
    cr_assert_eq(((const uint8_t *)memory)[room], 0xee);
}

Test(envelope, one_argument_is_not_appended_twice)
{
    struct tri_section sections[3] = {{0, 0, NULL, 1, 1, (const uint8_t *)"a", NULL},
                                      {256, 0, NULL, 1, 1, (const uint8_t *)"b", NULL},
                                      {1, 0, NULL, 1, 1, (const uint8_t *)"c", NULL}};
    struct tri_route call = {.kind = TRI_CALL};
    struct tri_envelope envelope;
    tri_envelope_write(bytes, &call, sections, 3);
    cr_assert_eq(tri_envelope_check(bytes, ROOM, NULL, 0, &envelope, NULL), TRP_OK);
    sections[2].place = 256;
    tri_envelope_write(bytes, &call, sections, 3);
    cr_assert_eq(tri_envelope_check(bytes, ROOM, NULL, 0, &envelope, NULL), TRP_EPROTO);
    sections[2].place = 258;
    tri_envelope_write(bytes, &call, sections, 3);
    cr_assert_eq(tri_envelope_check(bytes, ROOM, NULL, 0, &envelope, NULL), TRP_EPROTO);
}

Test(envelope, a_call_and_nothing_else_has_one_mark_of_a_trace_that_is_small_and_plain)
{
    static const uint8_t large[TRI_COPY_MAX + 1];
    struct tri_section sections[3] = {{0, 0, NULL, 1, 1, (const uint8_t *)"a", NULL},
                                      {TRI_PLACE_TRACE, 0, NULL, 0, 1, (const uint8_t *)"b", NULL},
                                      {1, 0, NULL, 1, 1, (const uint8_t *)"c", NULL}};
    struct tri_ref_entry named = {.id = {1, 2}, .place = TRI_NESTED};
    struct tri_route route_of = {.kind = TRI_CALL};
    struct tri_buf *frames[1] = {tri_buf_copy(large, sizeof large)};
    struct tri_envelope envelope;
    tri_envelope_write(bytes, &route_of, sections, 3);
    cr_assert_eq(tri_envelope_check(bytes, ROOM, NULL, 0, &envelope, NULL), TRP_OK);
    sections[2].place = TRI_PLACE_TRACE;
    tri_envelope_write(bytes, &route_of, sections, 3);
    cr_assert_eq(tri_envelope_check(bytes, ROOM, NULL, 0, &envelope, NULL), TRP_EPROTO);
    sections[1].refs = &named;
    sections[1].ref_count = 1;
    tri_envelope_write(bytes, &route_of, sections, 2);
    cr_assert_eq(tri_envelope_check(bytes, ROOM, NULL, 0, &envelope, NULL), TRP_EPROTO);
    sections[1] = (struct tri_section){TRI_PLACE_TRACE, 0, NULL, 0, sizeof large, frames[0]->data, frames[0]};
    tri_envelope_write(bytes, &route_of, sections, 2);
    cr_assert_eq(tri_envelope_check(bytes, ROOM, frames, 1, &envelope, NULL), TRP_EPROTO);
    sections[1] = (struct tri_section){TRI_PLACE_TRACE, 0, NULL, 0, 1, (const uint8_t *)"b", NULL};
    route_of.kind = TRI_SPAWN;
    tri_envelope_write(bytes, &route_of, sections, 2);
    cr_assert_eq(tri_envelope_check(bytes, ROOM, NULL, 0, &envelope, NULL), TRP_EPROTO);
    tri_buf_release(&frames[0]);
}

Test(envelope, kinds_have_names)
{
    cr_assert_str_eq(tri_kind_name(TRI_CALL), "CALL");
    cr_assert_str_eq(tri_kind_name(TRI_DEADLOCK), "DEADLOCK");
    cr_assert_str_eq(tri_kind_name(0), "?");
    cr_assert_str_eq(tri_kind_name(255), "?");
}
