/* test_spill_block.c - blocks of spilled objects: encoded, decoded, and refused wherever a byte has changed. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "store/spill/block.h"
#include "tests/store/spill_data.h"

static const struct tri_id id = {7, 9}, other = {7, 10};

struct block {
    struct tri_spill_header header;
    uint8_t *stored;
};

static struct block
encoded(const uint8_t *raw, size_t size, uint32_t index)
{
    uint8_t *scratch = malloc(TRI_SPILL_SCRATCH);
    const uint8_t *stored;
    cr_assert_not_null(scratch);
    struct block block = {.header = tri_spill_block_encode(id, index, raw, size, scratch, &stored)};
    block.stored = malloc(block.header.stored_size);
    memcpy(block.stored, stored, block.header.stored_size);
    free(scratch);
    return block;
}

Test(spill_block, what_was_encoded_is_decoded_to_the_same_bytes)
{
    const size_t sizes[] = {1, 2, 12, 13, 100, 4096, TRI_SPILL_PROBE, 2 * TRI_SPILL_PROBE + 1, TRI_SPILL_BLOCK};
    uint8_t *raw = malloc(TRI_SPILL_BLOCK), *back = malloc(TRI_SPILL_BLOCK + 1);
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof *sizes; i++) {
        const size_t size = sizes[i / 2];
        (i % 2 == 0 ? fill_text : fill_noise)(raw, size, i);
        struct block block = encoded(raw, size, 0);
        back[size] = 0x5a;
        cr_assert_eq(tri_spill_block_check(&block.header, id, 0, size, block.header.stored_size, NULL), TRP_OK);
        cr_assert_eq(tri_spill_block_decode(&block.header, block.stored, back, NULL), TRP_OK, "size %zu", size);
        cr_expect_arr_eq(raw, back, size);
        cr_expect_eq(back[size], 0x5a, "nothing is written behind the object");
        free(block.stored);
    }
    free(raw);
    free(back);
}

Test(spill_block, what_does_not_get_shorter_is_stored_as_it_is)
{
    uint8_t *raw = malloc(TRI_SPILL_BLOCK);
    fill_noise(raw, TRI_SPILL_BLOCK, 1);
    struct block noise = encoded(raw, TRI_SPILL_BLOCK, 0);
    cr_expect_eq(noise.header.form, TRI_SPILL_RAW);
    cr_expect_eq(noise.header.stored_size, TRI_SPILL_BLOCK);
    fill_text(raw, TRI_SPILL_BLOCK, 1);
    struct block text = encoded(raw, TRI_SPILL_BLOCK, 0);
    cr_expect_eq(text.header.form, TRI_SPILL_LZ4);
    cr_expect_lt(text.header.stored_size, TRI_SPILL_BLOCK / 2);
    fill_noise(raw + TRI_SPILL_PROBE, TRI_SPILL_BLOCK - TRI_SPILL_PROBE, 1);
    struct block deceiving = encoded(raw, TRI_SPILL_BLOCK, 0);
    cr_expect_eq(deceiving.header.form, TRI_SPILL_RAW, "its begin says that it pays, the rest that it does not");
    free(noise.stored);
    free(text.stored);
    free(deceiving.stored);
    free(raw);
}

Test(spill_block, sizes_of_blocks_add_up_to_their_object)
{
    const uint64_t sizes[] = {0, 1, TRI_SPILL_BLOCK - 1, TRI_SPILL_BLOCK, TRI_SPILL_BLOCK + 1, TRI_SPILL_BLOCK * 5};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint64_t sum = 0;
        for (uint32_t index = 0; index < tri_spill_blocks(sizes[i]); index++)
            sum += tri_spill_block_size(sizes[i], index);
        cr_expect_eq(sum, sizes[i]);
    }
    cr_expect_eq(tri_spill_blocks(TRI_SPILL_OBJECT_MAX), TRI_SPILL_OBJECT_MAX / TRI_SPILL_BLOCK);
}

/* A header that is not what the reader expects: what it sets, and a word of the sentence. */
struct row {
    const char *name, *word;
    size_t offset, size;
    uint64_t value;
    bool unsealed;
};
#define SET(member) offsetof(struct tri_spill_header, member), sizeof(((struct tri_spill_header *)0)->member)

static struct tri_spill_header
spoiled(const struct row *row, struct tri_spill_header header)
{
    memcpy((uint8_t *)&header + row->offset, &row->value, row->size);
    if (!row->unsealed)
        tri_spill_header_seal(&header, NULL);
    return header;
}

Test(spill_block, a_header_of_a_block_that_does_not_fit_is_refused_with_the_reason)
{
    const struct row rows[] = {
        {"foreign", "no header", SET(magic), 0x464c457f, false},
        {"zeros", "no header", SET(magic), 0, false},
        {"a later version", "version 2", SET(version), 2, false},
        {"version 0", "version 0", SET(version), 0, false},
        {"damaged", "checksum", SET(stored_hash), 1, true},
        {"a size that was not written by us", "checksum", SET(stored_size), 1, true},
        {"no kind", "kind 0", SET(kind), 0, false},
        {"of an object", "kind 1", SET(kind), TRI_SPILL_OBJECT, false},
        {"of another object", "of object", SET(id.number), 10, false},
        {"another block", "block 3", SET(index), 3, false},
        {"no form", "form 2", SET(form), 2, false},
        {"too long", "should have", SET(raw_size), 1 << 20, false},
        {"far too long", "should have", SET(raw_size), UINT64_MAX, false},
        {"too short", "should have", SET(raw_size), 1, false},
        {"stored in more than it is", "cannot be", SET(stored_size), UINT64_MAX, false},
        {"stored in as much as it is", "cannot be", SET(stored_size), 5000, false},
        {"stored in nothing", "cannot be", SET(stored_size), 0, false},
        {"raw, and shorter", "cannot be", SET(form), TRI_SPILL_RAW, false},
        {"longer than what is left", "there are", SET(stored_size), 4999, false},
    };
    uint8_t raw[5000];
    fill_text(raw, sizeof raw, 1);
    struct block block = encoded(raw, sizeof raw, 1);
    const uint64_t object_size = TRI_SPILL_BLOCK + sizeof raw;
    cr_assert_eq(block.header.form, TRI_SPILL_LZ4);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct tri_spill_header header = spoiled(&rows[i], block.header);
        trp_error error = {0};
        cr_expect_eq(tri_spill_block_check(&header, id, 1, object_size, block.header.stored_size, &error), TRP_EOBJLOST,
                     "%s", rows[i].name);
        cr_expect(strstr(error.message, rows[i].word) != NULL, "%s: '%s'", rows[i].name, error.message);
    }
    cr_expect_eq(tri_spill_block_check(&block.header, id, 1, object_size, block.header.stored_size, NULL), TRP_OK);
    cr_expect_eq(tri_spill_block_check(&block.header, other, 1, object_size, 5000, NULL), TRP_EOBJLOST);
    cr_expect_eq(tri_spill_block_check(&block.header, id, 0, object_size, 5000, NULL), TRP_EOBJLOST);
    cr_expect_eq(tri_spill_block_check(&block.header, id, 1, sizeof raw, 5000, NULL), TRP_EOBJLOST, "it has one block");
    free(block.stored);
}

Test(spill_block, a_header_of_an_object_that_does_not_fit_is_refused_with_the_reason)
{
    const struct row rows[] = {
        {"foreign", "no header", SET(magic), 1, false},
        {"a later version", "version 2", SET(version), 2, false},
        {"damaged", "checksum", SET(raw_size), 1, true},
        {"of a block", "kind 2", SET(kind), TRI_SPILL_PART, false},
        {"of another object", "of object", SET(id.space), 10, false},
        {"another size", "should have", SET(raw_size), 5001, false},
        {"more blocks than it has", "2 blocks", SET(index), 2, false},
        {"no blocks", "0 blocks", SET(index), 0, false},
        {"a form", "something", SET(form), 1, false},
        {"a stored size", "something", SET(stored_size), 1, false},
        {"a hash", "something", SET(stored_hash), 1, false},
    };
    const struct tri_spill_header good = tri_spill_object_header(id, 5000);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct tri_spill_header header = spoiled(&rows[i], good);
        trp_error error = {0};
        cr_expect_eq(tri_spill_object_check(&header, id, 5000, &error), TRP_EOBJLOST, "%s", rows[i].name);
        cr_expect(strstr(error.message, rows[i].word) != NULL, "%s: '%s'", rows[i].name, error.message);
    }
    cr_expect_eq(tri_spill_object_check(&good, id, 5000, NULL), TRP_OK);
    const struct tri_spill_header huge = tri_spill_object_header(id, TRI_SPILL_OBJECT_MAX + 1);
    cr_expect_eq(tri_spill_object_check(&huge, id, TRI_SPILL_OBJECT_MAX + 1, NULL), TRP_EOBJLOST);
}

Test(spill_block, no_changed_byte_of_a_block_is_ever_taken_for_the_object)
{
    uint8_t raw[3000], back[3000 + 1];
    for (int noise = 0; noise < 2; noise++) {
        (noise ? fill_noise : fill_text)(raw, sizeof raw, 3);
        struct block block = encoded(raw, sizeof raw, 0);
        for (size_t at = 0; at < block.header.stored_size; at++) {
            trp_error error = {0};
            block.stored[at] ^= (uint8_t)(1 + at % 255);
            back[sizeof raw] = 0x5a;
            cr_expect_eq(tri_spill_block_decode(&block.header, block.stored, back, &error), TRP_EOBJLOST, "%zu", at);
            cr_expect_eq(back[sizeof raw], 0x5a);
            block.stored[at] ^= (uint8_t)(1 + at % 255);
        }
        cr_expect_eq(tri_spill_block_decode(&block.header, block.stored, back, NULL), TRP_OK);
        for (size_t at = 0; at < sizeof block.header; at++) {
            struct tri_spill_header header = block.header;
            ((uint8_t *)&header)[at] ^= 0x10;
            cr_expect_eq(tri_spill_block_check(&header, id, 0, sizeof raw, sizeof raw, NULL), TRP_EOBJLOST, "%zu", at);
        }
        free(block.stored);
    }
}
