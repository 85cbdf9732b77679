/*
 * value_seeds.c - values and calls of each kind, as the codec packs them: as they come in a packet, and in shared memory.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/value_input.h"
#include "tests/schemas/every_body.h"

static struct tri_id ids[] = {{7, 1}, {7, 2}};
static float numbers[] = {1, 2, 3, 4, 5, 6};

static trp_err
pack_number(struct tri_packed *packed)
{
    return tri_value_pack(packed, trp_i64(-5), NULL, NULL, NULL);
}

static trp_err
pack_text(struct tri_packed *packed)
{
    return tri_value_pack(packed, trp_str("caf\xc3\xa9"), NULL, NULL, NULL);
}

static trp_err
pack_bytes(struct tri_packed *packed)
{
    return tri_value_pack(packed, trp_bytes("\0\1\2", 3), NULL, NULL, NULL);
}

static trp_err
pack_tensor(struct tri_packed *packed)
{
    int64_t shape[] = {2, 3};
    DLTensor tensor = trp_dense(numbers, TRP_FLOAT32, 2, shape);
    return tri_value_pack(packed, TRP_LIST(&tensor, trp_bytes("\0\1\2", 3)), NULL, NULL, NULL);
}

static trp_err
pack_map(struct tri_packed *packed)
{
    trp_value map = TRP_MAP("null", trp_null(), "bool", trp_bool(true), "float", 2.5, "list",
                            TRP_LIST(1, TRP_TUPLE("a", TRP_LIST(2.0)), trp_list(NULL, 0)));
    return tri_value_pack(packed, map, NULL, NULL, NULL);
}

static trp_err
pack_handles(struct tri_packed *packed)
{
    return tri_value_pack(packed, TRP_LIST((trp_ref *)&ids[0], (trp_actor *)&ids[1]), &tri_test_handles, NULL, NULL);
}

static trp_err
pack_call(struct tri_packed *packed)
{
    return tri_call_pack(packed, "increment", TRP_ARGS(1, 2.5, "text", trp_bool(true), trp_null()), NULL, NULL);
}

static trp_err
pack_keywords(struct tri_packed *packed)
{
    return tri_call_pack(packed, "store", TRP_ARGS(TRP_LIST(1, 2), TRP_KW("name", "a"), TRP_KW("step", 2)), NULL, NULL);
}

static const struct seed {
    const char *names[2];
    trp_err (*pack)(struct tri_packed *packed);
    uint8_t flags;
} seeds[] = {
    {{"number", "number-shared"}, pack_number, 0},
    {{"text", "text-shared"}, pack_text, 0},
    {{"bytes", "bytes-shared"}, pack_bytes, 0},
    {{"tensor", "tensor-shared"}, pack_tensor, 0},
    {{"map", "map-shared"}, pack_map, 0},
    {{"handles", "handles-shared"}, pack_handles, 0},
    {{"call", "call-shared"}, pack_call, VALUE_IS_CALL},
    {{"keywords", "keywords-shared"}, pack_keywords, VALUE_IS_CALL},
};

/* As a section is laid out: in the arena its structured bytes are padded to where a tensor may lie. Returns its size. */
static size_t
lay_out(uint8_t *to, const struct tri_section *section, uint32_t meta_size)
{
    const size_t from = tri_pad8(section->meta_size), at = tri_pad8(meta_size);
    const size_t rest = section->size > from ? (size_t)section->size - from : 0;
    memset(to, 0, at);
    memcpy(to, section->data, section->meta_size);
    memcpy(to + at, section->data + from, rest);
    return rest > 0 ? at + rest : meta_size;
}

size_t
fuzz_seed(size_t i, uint8_t bytes[FUZZ_SEED_MAX], const char **name)
{
    struct tri_packed packed = {0};
    if (i / 2 == sizeof seeds / sizeof *seeds)
        return 0;
    const struct seed *seed = &seeds[i / 2];
    const bool shared = i % 2 != 0;
    TRI_ASSERT(seed->pack(&packed) == TRP_OK);
    const uint32_t meta_size = shared ? (packed.section.meta_size + 63) / 64 * 64 : packed.section.meta_size;
    struct value_input head = {.flags = (uint8_t)(seed->flags | (shared ? VALUE_IS_SHARED : 0)),
                               .change = 0x11,
                               .change_at = (uint16_t)meta_size,
                               .ref_count = (uint16_t)packed.section.ref_count,
                               .meta_size = (uint16_t)meta_size};
    memcpy(bytes, &head, sizeof head);
    const size_t size = sizeof head + lay_out(bytes + sizeof head, &packed.section, meta_size);
    tri_packed_fini(&packed);
    *name = seed->names[i % 2];
    return size;
}

size_t
fuzz_seed_head(void)
{
    return sizeof(struct value_input);
}
