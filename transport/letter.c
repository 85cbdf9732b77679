/*
 * letter.c - heap copies of envelopes, for whoever must keep one longer than its packet. Pure but for malloc. Knows nothing of
 * what the sections mean.
 *
 * A letter that is copied is one block: the struct, its first sections and the envelope's bytes. What is appended later lies in
 * buffers, and the array of sections moves out of the block when it grows.
 */
#include "transport/transport.h"

#include <stdlib.h>
#include <string.h>

enum { SPARE_SECTIONS = 2 };

/* What the public struct does not show. references[i]: the buffer of section i's reference entries where they lie neither in
 * the block nor in its frame. */
struct letter_block {
    struct tri_letter letter;
    struct tri_buf **references;
    bool sections_moved;
    struct tri_section sections[];
};

static struct letter_block *
block_of(struct tri_letter *letter)
{
    return TRI_OWNER(letter, struct letter_block, letter);
}

static size_t
bytes_at(uint32_t capacity)
{
    return tri_pad8(sizeof(struct letter_block) + capacity * sizeof(struct tri_section));
}

struct tri_letter *
tri_letter_copy(const struct tri_envelope *envelope)
{
    const uint32_t count = envelope->route.section_count, capacity = count + SPARE_SECTIONS;
    struct letter_block *block = malloc(bytes_at(capacity) + tri_envelope_room(envelope));

    if (block == NULL)
        return NULL;
    *block = (struct letter_block){0};
    block->letter = (struct tri_letter){
        .route = envelope->route,
        .section_count = count,
        .section_capacity = capacity,
        .size = envelope->bytes,
        .sections = block->sections,
    };
    tri_envelope_keep(envelope, (uint8_t *)block + bytes_at(capacity), block->sections);
    return &block->letter;
}

static bool
grow(struct letter_block *block)
{
    struct tri_letter *letter = &block->letter;
    const uint32_t capacity = letter->section_capacity * 2;
    struct tri_section *sections;
    struct tri_buf **references;

    if (block->references != NULL && letter->section_count < letter->section_capacity)
        return true;
    references = realloc(block->references, capacity * sizeof(struct tri_buf *));
    if (references == NULL)
        return false;
    if (block->references == NULL)
        memset(references, 0, capacity * sizeof(struct tri_buf *));
    block->references = references;
    if (letter->section_count < letter->section_capacity)
        return true;
    sections = realloc(block->sections_moved ? letter->sections : NULL, capacity * sizeof *sections);
    if (sections == NULL)
        return false;
    if (!block->sections_moved)
        memcpy(sections, letter->sections, letter->section_count * sizeof *sections);
    block->sections_moved = true;
    letter->sections = sections;
    letter->section_capacity = capacity;
    return true;
}

/* Small data and its references: one buffer, data first. */
static bool
append_small(struct tri_section *to, const struct tri_section *section, size_t refs_size)
{
    const size_t refs_at = tri_pad8(section->size);
    struct tri_buf *buf = tri_buf_new(refs_at + refs_size);

    if (buf == NULL)
        return false;
    if (section->size > 0)
        memcpy(buf->data, section->data, section->size);
    if (refs_size > 0)
        memcpy(buf->data + refs_at, section->refs, refs_size);
    to->frame = buf;
    to->data = buf->data;
    to->refs = (const struct tri_ref_entry *)(const void *)(buf->data + refs_at);
    return true;
}

static bool
append_large(struct tri_section *to, const struct tri_section *section, size_t refs_size, struct tri_buf **references)
{
    *references = NULL;
    if (refs_size > 0 && (*references = tri_buf_copy(section->refs, refs_size)) == NULL)
        return false;
    to->frame = tri_section_frame(section);
    if (to->frame == NULL) {
        tri_buf_release(references);
        return false;
    }
    to->data = to->frame->data;
    to->refs = *references != NULL ? (const struct tri_ref_entry *)(const void *)(*references)->data : NULL;
    return true;
}

trp_err
tri_letter_append(struct tri_letter *letter, const struct tri_section *section, uint32_t place)
{
    struct letter_block *block = block_of(letter);
    const size_t refs_size = section->ref_count * sizeof(struct tri_ref_entry);
    struct tri_section *to;
    bool done;

    if (letter->section_count >= TRI_SECTIONS_MAX)
        return TRP_ELIMIT;
    if (!grow(block))
        return TRP_ENOMEM;
    to = &letter->sections[letter->section_count];
    *to = *section;
    to->place = place;
    block->references[letter->section_count] = NULL;
    if (tri_section_is_frame(section))
        done = append_large(to, section, refs_size, &block->references[letter->section_count]);
    else
        done = append_small(to, section, refs_size);
    if (!done)
        return TRP_ENOMEM;
    letter->section_count++;
    letter->route.section_count = (uint16_t)letter->section_count;
    letter->size += sizeof(struct tri_section_head) + refs_size + section->size;
    return TRP_OK;
}

void
tri_letter_free(struct tri_letter **letter)
{
    struct tri_letter *gone = *letter;
    struct letter_block *block;

    *letter = NULL;
    if (gone == NULL)
        return;
    block = block_of(gone);
    for (uint32_t i = 0; i < gone->section_count; i++) {
        tri_buf_release(&gone->sections[i].frame);
        if (block->references != NULL)
            tri_buf_release(&block->references[i]);
    }
    if (block->sections_moved)
        free(gone->sections);
    free(block->references);
    free(block);
}
