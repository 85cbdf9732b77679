/*
 * fuzz_value.c - libFuzzer's entry: any bytes as a value, or as the arguments of a call, as a process gets them from another one.
 * What is read is packed, and read again: it has to be the same. What lies where others may write to it (the arena) is changed
 * while it is read: that may give other bytes, never others than the value's. The short way, by which usual calls are read,
 * takes nothing that the long one refuses.
 */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/value_input.h"
#include "tests/schemas/every_body.h"

enum { PLAIN_MAX = 16 };
#define AGAIN_MAX UINT64_C(4000000) /* bytes: texts may lie one in the other, and are as many when they are packed */

static struct tri_id ids[VALUE_REFS_MAX];

/* What a section is read from: memory that ends where it does. */
struct input {
    struct value_input head;
    struct tri_ref_entry entries[VALUE_REFS_MAX];
    struct tri_section section;
    uint8_t *bytes;
};

static void
input_init(struct input *input, const uint8_t *data, size_t size)
{
    memcpy(&input->head, data, sizeof input->head);
    size -= sizeof input->head;
    input->bytes = malloc(size + (size == 0));
    TRI_ASSERT(input->bytes != NULL);
    memcpy(input->bytes, data + sizeof input->head, size);
    const uint32_t refs = input->head.ref_count % (VALUE_REFS_MAX + 1);
    for (uint32_t i = 0; i < refs; i++) {
        ids[i] = (struct tri_id){7, i + 1};
        input->entries[i] =
            (struct tri_ref_entry){.id = ids[i], .place = TRI_NESTED, .flags = i % 2 != 0 ? TRI_REF_ACTOR : 0};
    }
    input->section = (struct tri_section){.ref_count = refs,
                                          .refs = refs > 0 ? input->entries : NULL,
                                          .meta_size = input->head.meta_size,
                                          .size = size,
                                          .data = input->bytes};
}

static void
change(struct input *input)
{
    if (input->head.change_at < input->section.size)
        input->bytes[input->head.change_at] ^= input->head.change;
}

static trp_err
open_as(bool call, const struct tri_section *section, struct tri_view *view, const char **method)
{
    struct tri_call called;
    *method = "";
    if (!call)
        return tri_view_open(view, section, NULL);
    TRP_TRY(tri_call_unpack(section, &called, NULL));
    *view = called.args;
    *method = called.method;
    return TRP_OK;
}

/* ------------------------------------------------------------------------------------------------- packing it again */

static uint64_t
bytes_of(const struct tri_view *view)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < view->node_count; i++) {
        const trp_value value = tri_view_value(view, i);
        DLTensor tensor;
        if (value.kind == TRP_TENSOR) {
            tri_view_tensor(view, i, &tensor);
            sum += tri_tensor_size(&tensor);
        } else if (value.kind == TRP_STR || value.kind == TRP_BYTES) {
            sum += value.size;
        }
    }
    return sum;
}

static void
pack_again(struct tri_view *view)
{
    trp_ref *refs[VALUE_REFS_MAX];
    trp_actor *actors[VALUE_REFS_MAX];
    struct tri_packed packed = {0};
    struct tri_view again;
    trp_error error;
    for (uint32_t i = 0; i < VALUE_REFS_MAX; i++) {
        refs[i] = (trp_ref *)&ids[i];
        actors[i] = (trp_actor *)&ids[i];
    }
    view->refs = refs;
    view->actors = actors;
    const trp_err err = tri_value_pack(&packed, tri_view_value(view, 0), &tri_test_handles, NULL, &error);
    view->refs = NULL;
    view->actors = NULL;
    TRI_ASSERT(err == TRP_OK || err == TRP_EINVAL); /* a key twice, which is read, but not written */
    if (err == TRP_OK) {
        TRI_ASSERT(tri_view_open(&again, &packed.section, &error) == TRP_OK);
        TRI_ASSERT(again.node_count == view->node_count && tri_touch_view(&again) == tri_touch_view(view));
        tri_view_close(&again);
    }
    tri_packed_fini(&packed);
}

/* ------------------------------------------------------------------------------------------------------- as it comes */

/* In a packet: nobody changes it. */
static void
read_packet(struct input *input, bool call)
{
    struct tri_view view;
    const char *method;
    if (open_as(call, &input->section, &view, &method) != TRP_OK)
        return;
    tri_touch_view(&view);
    if (!call && bytes_of(&view) <= AGAIN_MAX)
        pack_again(&view);
    tri_view_close(&view);
}

/* Another call of the same shape, but for a byte. */
static void
read_plain(struct input *input)
{
    static const uint8_t any[PLAIN_MAX] = {[0 ... PLAIN_MAX - 1] = TRI_ANY_KIND};
    trp_value values[PLAIN_MAX];
    struct tri_call_shape shape = {0};
    struct tri_call call;
    uint32_t length;
    if (tri_call_unpack(&input->section, &call, NULL) != TRP_OK)
        return;
    TRI_ASSERT(tri_call_method_peek(&input->section, &length) != NULL && length == strlen(call.method));
    const uint32_t count = call.args.node_count - 1;
    tri_call_shape(&shape, &input->section, &call);
    tri_view_close(&call.args);
    change(input);
    (void)tri_call_method_peek(&input->section, &length);
    if (count > PLAIN_MAX || !tri_call_plain(&shape, &input->section, any, count, values))
        return;
    TRI_ASSERT(tri_call_unpack(&input->section, &call, NULL) == TRP_OK && call.args.node_count == 1 + count);
    for (uint32_t i = 0; i < count; i++) {
        const trp_value value = tri_view_value(&call.args, 1 + i);
        TRI_ASSERT(value.kind == values[i].kind && value.size == values[i].size);
        TRI_ASSERT(memcmp(&value.as, &values[i].as, value.kind == TRP_BOOL ? 1 : sizeof value.as) == 0 ||
                   value.kind == TRP_NULL);
    }
    tri_view_close(&call.args);
}

static void
leave(struct tri_buf *buf)
{
    free(buf);
}

/* In the arena: another process changes it after it was opened. */
static void
read_shared(struct input *input, bool call)
{
    static const struct tri_place place = {.slot = 1};
    struct tri_buf *buf = calloc(1, sizeof *buf);
    struct tri_view view;
    const char *method;
    TRI_ASSERT(buf != NULL);
    *buf = (struct tri_buf){
        .references = 1, .data = input->bytes, .size = (size_t)input->section.size, .place = &place, .free = leave};
    input->section.frame = buf;
    if (open_as(call, &input->section, &view, &method) == TRP_OK) {
        change(input);
        tri_touch_view(&view);
        TRI_ASSERT(strlen(method) < input->section.size + 1);
        tri_view_close(&view);
    }
    tri_buf_release(&buf);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input;
    if (size < sizeof(struct value_input))
        return 0;
    input_init(&input, data, size);
    const bool call = (input.head.flags & VALUE_IS_CALL) != 0;
    if (input.head.flags & VALUE_IS_SHARED)
        read_shared(&input, call);
    else
        read_packet(&input, call);
    if (call && (input.head.flags & VALUE_IS_SHARED) == 0)
        read_plain(&input);
    free(input.bytes);
    return 0;
}
