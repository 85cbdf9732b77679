/*
 * envelope_seeds.c - one envelope of each kind of body.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/schemas/every_body.h"

size_t
fuzz_seed(size_t i, uint8_t bytes[FUZZ_SEED_MAX], const char **name)
{
    struct tri_packed packed = {0};
    if (i == tri_body_sample_count)
        return 0;
    struct tri_route route = {.kind = tri_body_samples[i].kind, .sequence = 1, .result = {7, 9}};
    TRI_ASSERT(tri_body_samples[i].pack(&packed, NULL) == TRP_OK);
    size_t size = tri_envelope_size(&packed.section, 1);
    TRI_ASSERT(size <= FUZZ_SEED_MAX);
    size = tri_envelope_write(bytes, &route, &packed.section, 1);
    tri_packed_fini(&packed);
    *name = tri_body_samples[i].name;
    return size;
}

size_t
fuzz_seed_head(void)
{
    return sizeof(struct tri_route_head) + 3 * sizeof(uint64_t);
}
