/*
 * fuzz_spill.c - libFuzzer's entry: any bytes as a spilled file, of which the next broker claims an object, and reads it.
 *
 * The first byte of the input says whether all hashes are set as they should be first: else hardly any input would get beyond
 * them, and what they stand before would not be tried. The second one says how large the object is said to be.
 */
#include <stdlib.h>
#include <string.h>

#include "store/spill/files.h"
#include "tests/fuzz/fuzz.h"
#include "tests/store/spill_memory.h"

#define OBJECT_MAX (TRI_SPILL_BLOCK + (1u << 20)) /* larger ones are claimed, and not read: there is no room for them */

/* Sets the hashes of all headers, as far as they can be followed. */
static void
seal(uint8_t *bytes, size_t size)
{
    struct tri_spill_header header;
    for (size_t at = 0; size - at >= sizeof header;) {
        memcpy(&header, bytes + at, sizeof header);
        const size_t left = size - at - sizeof header;
        const bool fits = at > 0 && header.stored_size <= left;
        tri_spill_header_seal(&header, fits ? bytes + at + sizeof header : NULL);
        memcpy(bytes + at, &header, sizeof header);
        at += sizeof header + (fits ? header.stored_size : 0);
    }
}

/* Reads the object that is said to be there, to memory that has no byte more than it. */
static void
read_object(struct tri_spill *spill, struct tri_id id, const struct tri_spill_place *place)
{
    trp_error error;
    if (tri_spill_claim(spill, id, place, &error) != TRP_OK || place->raw_size > OBJECT_MAX)
        return;
    uint8_t *object = malloc(place->raw_size + (place->raw_size == 0));
    TRI_ASSERT(object != NULL);
    (void)tri_spill_read(spill, id, object, place->raw_size, &error);
    free(object);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct memory memory;
    const struct tri_spill_options options = {.max_bytes = UINT64_C(1) << 40};
    struct tri_spill_backend *backend = &memory.backend;
    struct tri_spill_header header = {0};
    struct tri_spill *spill;
    if (size < 2)
        return 0;
    memory_init(&memory);
    struct memory_file *file = memory_put(&memory, 0, data + 2, size - 2);
    if (data[0] & 1)
        seal(file->data, file->size);
    if (file->size >= sizeof header)
        memcpy(&header, file->data, sizeof header);
    struct tri_spill_place place = {0, 0, file->size, header.raw_size + (data[1] & 1)};
    if (tri_spill_create(backend, &options, &spill, NULL) == TRP_OK) {
        read_object(spill, header.id, &place);
        TRI_ASSERT(tri_spill_check(spill) == NULL);
        tri_spill_destroy(&spill);
    }
    tri_spill_backend_destroy(&backend);
    return 0;
}
