/* test_blanks.c - values that are filled in after they were packed: where their room is, and that it stays so. */
#include <criterion/criterion.h>
#include <string.h>

#include "schemas/schemas.h"

static uint64_t room_asked;

static trp_err
give_room(void *user, uint64_t size, struct tri_buf **buf, trp_error *error)
{
    static const struct tri_place place = {.slot = 3};
    (void)error;
    room_asked = size;
    *buf = user != NULL ? tri_buf_room_new(size, false) : NULL;
    if (*buf != NULL)
        (*buf)->place = &place;
    return TRP_OK;
}

static DLTensor
blank(int64_t *shape)
{
    return trp_dense(NULL, TRP_UINT8, 1, shape);
}

Test(blanks, each_value_has_a_buffer_of_its_own_and_each_tensor_its_room_in_it)
{
    int64_t shapes[] = {1, 300, 5000, TRI_INLINE_MAX - 2 * 16, TRI_INLINE_MAX + 1, 0};
    static char anything;
    const struct tri_rooms rooms = {give_room, &anything}, none = {give_room, NULL};
    struct tri_blanks blanks = {0};
    struct tri_packed packed = {.blanks = &blanks};
    struct tri_buf *before = NULL;
    for (int has_arena = 0; has_arena < 2; has_arena++)
        for (int i = 0; i < 6; i++) {
            DLTensor x = blank(&shapes[i]);
            room_asked = 0;
            packed.rooms = has_arena ? &rooms : &none;
            blanks.count = 0;
            cr_assert_eq(tri_value_pack(&packed, TRP_LIST(&x, 5), NULL, NULL, NULL), TRP_OK);
            cr_expect_eq(room_asked > 0, i == 4, "in the arena is what is larger than the inline limit");
            cr_expect_eq(tri_section_place(&packed.section) != NULL, has_arena && i == 4);
            cr_assert(packed.section.frame != NULL && packed.section.frame != before, "nobody else's");
            cr_expect(tri_section_fills_frame(&packed.section));
            tri_buf_release(&before);
            before = tri_buf_retain(packed.section.frame);
            cr_assert_eq(x.data == NULL, i == 5, "an empty one needs none");
            if (i < 5) {
                uint8_t *room = x.data;
                cr_expect_eq((uintptr_t)room % 64, 0);
                cr_assert(room > before->data && room + shapes[i] <= before->data + before->size);
                memset(room, 9, (size_t)shapes[i]);
            }
            struct tri_view view;
            DLTensor seen;
            cr_assert_eq(tri_view_open(&view, &packed.section, NULL), TRP_OK);
            tri_view_tensor(&view, 1, &seen);
            cr_expect(seen.shape[0] == shapes[i] && (i == 5 || ((uint8_t *)seen.data)[shapes[i] - 1] == 9));
            cr_expect_eq(tri_view_value(&view, 2).as.i64, 5);
            tri_view_close(&view);
        }
    tri_buf_release(&before);
    tri_packed_forget(&packed);
    cr_expect_null(packed.buf);
    tri_packed_fini(&packed);
    tri_blanks_fini(&blanks);
}

Test(blanks, bytes_that_are_the_value_have_room_too)
{
    struct tri_blanks blanks = {0};
    struct tri_packed packed = {.blanks = &blanks};
    struct tri_view view;
    cr_assert_eq(tri_value_pack(&packed, trp_bytes(NULL, 700), NULL, NULL, NULL), TRP_OK);
    cr_assert_eq(tri_view_open(&view, &packed.section, NULL), TRP_OK);
    const trp_value value = tri_view_value(&view, 0);
    cr_assert(value.kind == TRP_BYTES && value.size == 700);
    cr_expect_eq(((const char *)value.as.bytes)[700], '\0');
    tri_view_close(&view);
    packed.blanks = NULL;
    cr_expect_eq(tri_value_pack(&packed, trp_bytes(NULL, 700), NULL, NULL, NULL), TRP_EINVAL);
    tri_packed_fini(&packed);
}

Test(blanks, what_is_refused_has_no_data_again_when_it_is_undone)
{
    int64_t three = 3, across[] = {2, 3}, strides[] = {1, 2};
    struct tri_blanks blanks = {0};
    struct tri_packed packed = {.blanks = &blanks};
    DLTensor x = blank(&three), y = trp_dense(NULL, TRP_UINT8, 2, across);
    y.strides = strides;
    const struct {
        trp_value value;
        trp_err err;
    } rows[] = {
        {TRP_LIST(&x, &x), TRP_EINVAL},
        {TRP_LIST(&x, &y), TRP_EINVAL},
        {TRP_LIST(&x, trp_bytes(NULL, 3)), TRP_EINVAL},
        {TRP_LIST(&x, (trp_value){.kind = TRP_NONE}), TRP_EINVAL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        trp_error error;
        cr_expect_eq(tri_value_pack(&packed, rows[i].value, NULL, NULL, &error), rows[i].err, "row %zu", i);
        cr_expect_not_null(x.data);
        tri_blanks_undo(&blanks);
        cr_expect(x.data == NULL && y.data == NULL && blanks.count == 0);
    }
    tri_packed_fini(&packed);
    tri_blanks_fini(&blanks);
}
