/*
 * spill_seeds.c - spilled objects of each kind, as the encoder writes them: once with hashes that are set again before they are
 * read, so that changes get through, and once as they are.
 */
#include <stdlib.h>
#include <string.h>

#include "store/spill/block.h"
#include "tests/fuzz/fuzz.h"
#include "tests/store/spill_data.h"

static const struct seed {
    const char *names[2];
    uint64_t size;
    void (*fill)(uint8_t *to, size_t size, uint64_t seed);
} seeds[] = {
    {{"nothing", "nothing-as-it-is"}, 0, NULL},
    {{"byte", "byte-as-it-is"}, 1, fill_noise},
    {{"text", "text-as-it-is"}, 3000, fill_text},
    {{"noise", "noise-as-it-is"}, 700, fill_noise},
    {{"zeros", "zeros-as-it-is"}, 5000, NULL},
    {{"blocks", "blocks-as-it-is"}, TRI_SPILL_BLOCK + 300, NULL}, /* 17 KiB: zeros, too */
};

static size_t
write_object(const struct seed *seed, uint8_t *bytes, uint8_t *object, uint8_t *scratch)
{
    const struct tri_id id = {7, seed->size};
    struct tri_spill_header header = tri_spill_object_header(id, seed->size);
    size_t at = sizeof header;
    memcpy(bytes, &header, sizeof header);
    for (uint32_t i = 0; i < tri_spill_blocks(seed->size); i++) {
        const uint8_t *stored;
        header = tri_spill_block_encode(id, i, object + i * TRI_SPILL_BLOCK, tri_spill_block_size(seed->size, i),
                                        scratch, &stored);
        TRI_ASSERT(at + sizeof header + header.stored_size <= FUZZ_SEED_MAX - 2);
        memcpy(bytes + at, &header, sizeof header);
        memcpy(bytes + at + sizeof header, stored, header.stored_size);
        at += sizeof header + header.stored_size;
    }
    return at;
}

size_t
fuzz_seed(size_t i, uint8_t bytes[FUZZ_SEED_MAX], const char **name)
{
    if (i / 2 == sizeof seeds / sizeof *seeds)
        return 0;
    const struct seed *seed = &seeds[i / 2];
    uint8_t *object = calloc(1, seed->size + 1), *scratch = malloc(TRI_SPILL_SCRATCH);
    TRI_ASSERT(object != NULL && scratch != NULL);
    if (seed->fill != NULL)
        seed->fill(object, seed->size, i / 2);
    *name = seed->names[i % 2];
    bytes[0] = i % 2 == 0;
    bytes[1] = 0;
    const size_t size = 2 + write_object(seed, bytes + 2, object, scratch);
    free(object);
    free(scratch);
    return size;
}

size_t
fuzz_seed_head(void)
{
    return 2;
}
