/*
 * kept_seeds.c - files of kept values of each kind: with hashes that are set again before they are read, so that changes get
 * through, as they are, and under another's name.
 */
#include "store/kept_head.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/kept_input.h"

enum { KINDS = 3 };
static uint8_t noise[500];

static trp_err
pack_number(struct tri_packed *packed)
{
    return tri_value_pack(packed, trp_i64(42), NULL, NULL, NULL);
}

static trp_err
pack_map(struct tri_packed *packed)
{
    return tri_value_pack(packed, TRP_MAP("text", "caf\xc3\xa9", "list", TRP_LIST(1, 2.5)), NULL, NULL, NULL);
}

static trp_err
pack_bytes(struct tri_packed *packed)
{
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)(i * i >> 3);
    return tri_value_pack(packed, trp_bytes(noise, sizeof noise), NULL, NULL, NULL);
}

static const struct seed {
    const char *names[KINDS];
    const char *kept_as;
    trp_err (*pack)(struct tri_packed *packed);
} seeds[] = {
    {{"number", "number-as-it-is", "number-of-another"}, "n", pack_number},
    {{"map", "map-as-it-is", "map-of-another"}, "weights/first", pack_map},
    {{"bytes", "bytes-as-it-is", "bytes-of-another"}, "a name that is longer than the others", pack_bytes},
};

size_t
fuzz_seed(size_t i, uint8_t bytes[FUZZ_SEED_MAX], const char **name)
{
    struct tri_packed packed = {0};
    if (i / KINDS == sizeof seeds / sizeof *seeds)
        return 0;
    const struct seed *seed = &seeds[i / KINDS];
    TRI_ASSERT(seed->pack(&packed) == TRP_OK);
    struct tri_kept_head head = {.magic = TRI_KEPT_MAGIC,
                                 .version = TRI_KEPT_VERSION,
                                 .name_size = (uint32_t)strlen(seed->kept_as),
                                 .until_ms = TRI_KEPT_FOREVER,
                                 .size = packed.section.size,
                                 .hash = XXH3_64bits(packed.section.data, packed.section.size),
                                 .meta_size = packed.section.meta_size,
                                 .id = {7, 8}};
    head.name_hash = XXH3_64bits(seed->kept_as, head.name_size);
    head.head_hash = tri_kept_head_hash(&head);
    const size_t size = KEPT_HEAD + tri_kept_offset(&head) + packed.section.size;
    memset(bytes, 0, size);
    bytes[0] = i % KINDS == 0;
    bytes[1] = i % KINDS == 2;
    memcpy(bytes + KEPT_HEAD, &head, sizeof head);
    memcpy(bytes + KEPT_HEAD + sizeof head, seed->kept_as, head.name_size);
    memcpy(bytes + KEPT_HEAD + tri_kept_offset(&head), packed.section.data, packed.section.size);
    tri_packed_fini(&packed);
    *name = seed->names[i % KINDS];
    return size;
}

size_t
fuzz_seed_head(void)
{
    return KEPT_HEAD;
}
