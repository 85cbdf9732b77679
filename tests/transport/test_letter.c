/* test_letter.c - copies of envelopes outlive their packets, and take appended values. */
#include "helpers.h"

#include <string.h>

static struct tri_letter *
copy_of(const struct tri_section *sections, uint32_t count)
{
    const struct tri_route route = {.kind = TRI_CALL, .flags = TRI_TASK, .sequence = 77};
    struct tri_envelope envelope;
    struct tri_packet packet;
    struct tri_letter *letter;

    EXPECT(TRP_OK, tri_packet_single(&packet, &route, sections, count, &why));
    EXPECT(TRP_OK, tri_envelope_check(packet.frames[0]->data + sizeof(struct tri_batch_head),
                                      packet.frames[0]->size - sizeof(struct tri_batch_head), packet.frames + 1,
                                      packet.frame_count - 1, &envelope, &why));
    letter = tri_letter_copy(&envelope);
    cr_assert_not_null(letter);
    tri_packet_fini(&packet);
    return letter;
}

static void
check_section(const struct tri_section *section, uint64_t seed, size_t size, uint32_t place, uint32_t ref_count)
{
    struct tri_buf *frame;
    const struct tri_section expected = make_section(seed, size, &frame);

    cr_assert_eq(section->size, size);
    cr_assert_eq(section->place, place);
    cr_assert_eq(section->meta_size, expected.meta_size);
    cr_assert_eq(section->ref_count, ref_count);
    cr_assert_eq((uintptr_t)section->data % 8, 0);
    cr_assert_eq(memcmp(section->data, expected.data, size), 0);
    for (uint32_t i = 0; i < ref_count; i++)
        cr_assert_eq(section->refs[i].id.number, seed + i);
    tri_buf_release(&frame);
}

Test(letter, has_its_own_bytes_and_shares_frames)
{
    static const size_t sizes[] = {64, 5000};

    for (size_t i = 0; i < 2; i++) {
        struct tri_buf *frame;
        struct tri_section section = make_section(4, sizes[i], &frame);
        struct tri_letter *letter = copy_of(&section, 1);
        cr_assert_eq(letter->route.sequence, 77);
        cr_assert_eq(letter->section_count, 1);
        cr_assert_geq(letter->size, sizes[i]);
        check_section(&letter->sections[0], 4, sizes[i], 0, 0);
        if (tri_section_is_frame(&section))
            cr_assert_eq(letter->sections[0].data, frame->data, "a frame was copied");
        tri_letter_free(&letter);
        cr_assert_null(letter);
        cr_assert_eq(atomic_load(&frame->references), 1);
        tri_buf_release(&frame);
    }
}

Test(letter, takes_as_many_appended_values_as_there_are_places)
{
    struct tri_ref_entry refs[3];
    struct tri_buf *body;
    struct tri_section section = make_section(4, 64, &body);
    struct tri_letter *letter = copy_of(&section, 1);

    for (uint32_t i = 1; i < TRI_SECTIONS_MAX; i++) {
        struct tri_buf *frame;
        struct tri_section value = make_section(i, i % 3 == 0 ? 6000 + i : 8 * i, &frame);
        value.ref_count = i % 4;
        value.refs = refs;
        for (uint32_t r = 0; r < 3; r++)
            refs[r] = (struct tri_ref_entry){.id = {.space = 1, .number = i + r}, .place = TRI_NESTED};
        if (i % 5 == 0)
            value.frame = NULL; /* lies in somebody's memory */
        EXPECT(TRP_OK, tri_letter_append(letter, &value, i));
        tri_buf_release(&frame);
    }
    memset(refs, 0xff, sizeof refs);
    cr_assert_eq(tri_letter_append(letter, &section, 300), TRP_ELIMIT);
    cr_assert_eq(letter->section_count, TRI_SECTIONS_MAX);
    cr_assert_eq(letter->route.section_count, TRI_SECTIONS_MAX);
    check_section(&letter->sections[0], 4, 64, 0, 0);
    for (uint32_t i = 1; i < TRI_SECTIONS_MAX; i++)
        check_section(&letter->sections[i], i, i % 3 == 0 ? 6000 + i : 8 * i, i, i % 4);
    tri_letter_free(&letter);
    tri_buf_release(&body);
}

Test(letter, of_an_envelope_without_body_is_only_a_route)
{
    const struct tri_envelope envelope = {.route = {.kind = TRI_STOP, .epoch = 5}};
    struct tri_letter *letter = tri_letter_copy(&envelope), *none = NULL;

    cr_assert_eq(letter->route.epoch, 5);
    cr_assert_eq(letter->section_count, 0);
    tri_letter_free(&letter);
    tri_letter_free(&none);
}
