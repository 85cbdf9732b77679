/* helpers.c - see helpers.h. */
#include "helpers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

trp_error why;

void *
make_context(void)
{
    void *context = NULL;

    EXPECT(TRP_OK, tri_link_context(&context, &why));
    return context;
}

static struct tri_buf *
make_buf(uint64_t seed, size_t size)
{
    struct tri_buf *buf = tri_buf_new(size);

    cr_assert_not_null(buf);
    for (size_t i = 0; i < size; i++)
        buf->data[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8));
    return buf;
}

void
make_packet(struct tri_packet *packet, uint64_t seed, size_t batch_size, const size_t *frame_sizes,
            uint32_t frame_count)
{
    const struct tri_batch_head head = {
        .magic = TRI_BATCH_MAGIC,
        .version = TRI_WIRE_VERSION,
        .frame_count = frame_count,
    };

    packet->frame_count = 1 + frame_count;
    packet->frames[0] = make_buf(seed, batch_size);
    memcpy(packet->frames[0]->data, &head, sizeof head);
    for (uint32_t i = 0; i < frame_count; i++)
        packet->frames[1 + i] = make_buf(seed + i + 1, frame_sizes[i]);
}

void
check_packet(struct tri_packet *packet, uint64_t seed, size_t batch_size, const size_t *frame_sizes,
             uint32_t frame_count)
{
    struct tri_packet expected;

    make_packet(&expected, seed, batch_size, frame_sizes, frame_count);
    cr_assert_eq(packet->frame_count, expected.frame_count);
    for (uint32_t i = 0; i < expected.frame_count; i++) {
        cr_assert_eq(packet->frames[i]->size, expected.frames[i]->size);
        cr_assert_eq(memcmp(packet->frames[i]->data, expected.frames[i]->data, expected.frames[i]->size), 0,
                     "frame %u is not what was sent", i);
    }
    tri_packet_fini(&expected);
    tri_packet_fini(packet);
}

struct tri_section
make_section(uint64_t seed, size_t size, struct tri_buf **frame)
{
    *frame = make_buf(seed, size);
    return (struct tri_section){
        .meta_size = (uint32_t)(size < 64 ? size : 64),
        .size = size,
        .data = (*frame)->data,
        .frame = tri_section_is_frame(&(struct tri_section){.size = size}) ? *frame : NULL,
    };
}
