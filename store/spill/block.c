/*
 * block.c - writes and reads the format of block.h. It knows nothing of files.
 */
#include "store/spill/block.h"

#include <inttypes.h>
#include <lz4.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define MAGIC UINT64_C(0x004c4c4950535254) /* "TRSPILL" */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "headers are read and written as they are");
_Static_assert(sizeof(struct tri_spill_header) == 64, "the layout of a header is fixed");
_Static_assert(offsetof(struct tri_spill_header, version) == 8 && offsetof(struct tri_spill_header, index) == 12 &&
                   offsetof(struct tri_spill_header, id) == 16 && offsetof(struct tri_spill_header, raw_size) == 32 &&
                   offsetof(struct tri_spill_header, stored_hash) == 48 &&
                   offsetof(struct tri_spill_header, header_hash) == 56,
               "the layout of a header is fixed");
_Static_assert(TRI_SPILL_BLOCK <= LZ4_MAX_INPUT_SIZE, "LZ4 takes a block at once");
_Static_assert(TRI_SPILL_OBJECT_MAX / TRI_SPILL_BLOCK <= UINT32_MAX, "a block has a number");

/* ----------------------------------------------------------------------------------------------------------- sizes */

uint32_t
tri_spill_blocks(uint64_t raw_size)
{
    return (uint32_t)((raw_size + TRI_SPILL_BLOCK - 1) / TRI_SPILL_BLOCK);
}

uint64_t
tri_spill_block_size(uint64_t raw_size, uint32_t index)
{
    const uint64_t left = raw_size - index * TRI_SPILL_BLOCK;
    return left < TRI_SPILL_BLOCK ? left : TRI_SPILL_BLOCK;
}

uint64_t
tri_spill_most(uint64_t raw_size)
{
    return raw_size + (1 + (uint64_t)tri_spill_blocks(raw_size)) * TRI_SPILL_HEADER;
}

/* ---------------------------------------------------------------------------------------------------------- writing */

static uint64_t
hash_of_header(const struct tri_spill_header *header)
{
    return XXH3_64bits(header, offsetof(struct tri_spill_header, header_hash));
}

void
tri_spill_header_seal(struct tri_spill_header *header, const uint8_t *stored)
{
    if (stored != NULL)
        header->stored_hash = XXH3_64bits(stored, header->stored_size);
    header->header_hash = hash_of_header(header);
}

struct tri_spill_header
tri_spill_object_header(struct tri_id id, uint64_t raw_size)
{
    struct tri_spill_header header = {
        .magic = MAGIC,
        .version = TRI_SPILL_VERSION,
        .kind = TRI_SPILL_OBJECT,
        .index = tri_spill_blocks(raw_size),
        .id = id,
        .raw_size = raw_size,
    };
    tri_spill_header_seal(&header, NULL);
    return header;
}

/* What LZ4 makes of the bytes if it saves a tenth of them; else 0. It does not write beyond `size` bytes. */
static size_t
compress(const uint8_t *raw, size_t size, uint8_t *scratch)
{
    const int most = (int)(size - size / 10 - 1);
    const int stored = LZ4_compress_default((const char *)raw, (char *)scratch, (int)size, most);
    return stored > 0 ? (size_t)stored : 0;
}

struct tri_spill_header
tri_spill_block_encode(struct tri_id id, uint32_t index, const uint8_t *raw, size_t raw_size, uint8_t *scratch,
                       const uint8_t **stored)
{
    TRI_ASSERT(raw_size > 0 && raw_size <= TRI_SPILL_BLOCK);
    const bool worth = raw_size <= 2 * TRI_SPILL_PROBE || compress(raw, TRI_SPILL_PROBE, scratch) > 0;
    const size_t compressed = worth ? compress(raw, raw_size, scratch) : 0;
    struct tri_spill_header header = {
        .magic = MAGIC,
        .version = TRI_SPILL_VERSION,
        .kind = TRI_SPILL_PART,
        .form = compressed > 0 ? TRI_SPILL_LZ4 : TRI_SPILL_RAW,
        .index = index,
        .id = id,
        .raw_size = raw_size,
        .stored_size = compressed > 0 ? compressed : raw_size,
    };
    *stored = compressed > 0 ? scratch : raw;
    tri_spill_header_seal(&header, *stored);
    return header;
}

/* ---------------------------------------------------------------------------------------------------------- reading */

/* What every header must be; only then are its other fields looked at. */
static trp_err
check_header(const struct tri_spill_header *header, enum tri_spill_kind kind, struct tri_id id, trp_error *error)
{
    static const char *const what[] = {[TRI_SPILL_OBJECT] = "an object", [TRI_SPILL_PART] = "a block"};
    char is[TRI_ID_TEXT_SIZE];
    if (header->magic != MAGIC)
        return TRI_FAIL(error, TRP_EOBJLOST, "there is no header of a spilled object");
    if (header->version != TRI_SPILL_VERSION)
        return TRI_FAIL(error, TRP_EOBJLOST, "it was written in version %u of the format, this one reads %u",
                        header->version, TRI_SPILL_VERSION);
    if (header->header_hash != hash_of_header(header))
        return TRI_FAIL(error, TRP_EOBJLOST, "a header is damaged: its checksum does not fit");
    if (header->kind != (uint8_t)kind)
        return TRI_FAIL(error, TRP_EOBJLOST, "there is a header of kind %u where that of %s should be", header->kind,
                        what[kind]);
    if (!tri_id_equal(header->id, id))
        return TRI_FAIL(error, TRP_EOBJLOST, "there is %s of object %s", what[kind], tri_id_format(header->id, is));
    return TRP_OK;
}

trp_err
tri_spill_object_check(const struct tri_spill_header *header, struct tri_id id, uint64_t raw_size, trp_error *error)
{
    const trp_err err = check_header(header, TRI_SPILL_OBJECT, id, error);
    if (err != TRP_OK)
        return err;
    if (header->raw_size != raw_size || raw_size > TRI_SPILL_OBJECT_MAX)
        return TRI_FAIL(error, TRP_EOBJLOST, "it says %" PRIu64 " bytes and should have %" PRIu64, header->raw_size,
                        raw_size);
    if (header->index != tri_spill_blocks(raw_size))
        return TRI_FAIL(error, TRP_EOBJLOST, "it says %u blocks and should have %u", header->index,
                        tri_spill_blocks(raw_size));
    if (header->form != 0 || header->stored_size != 0 || header->stored_hash != 0)
        return TRI_FAIL(error, TRP_EOBJLOST, "there is something in its header where nothing should be");
    return TRP_OK;
}

trp_err
tri_spill_block_check(const struct tri_spill_header *header, struct tri_id id, uint32_t index, uint64_t object_size,
                      uint64_t room, trp_error *error)
{
    const trp_err err = check_header(header, TRI_SPILL_PART, id, error);
    if (err != TRP_OK)
        return err;
    if (header->index != index || index >= tri_spill_blocks(object_size))
        return TRI_FAIL(error, TRP_EOBJLOST, "there is block %u where block %u should be", header->index, index);
    if (header->raw_size != tri_spill_block_size(object_size, index))
        return TRI_FAIL(error, TRP_EOBJLOST, "block %u says %" PRIu64 " bytes and should have %" PRIu64, index,
                        header->raw_size, tri_spill_block_size(object_size, index));
    if (header->form != TRI_SPILL_RAW && header->form != TRI_SPILL_LZ4)
        return TRI_FAIL(error, TRP_EOBJLOST, "block %u is stored in form %u, which is none", index, header->form);
    const bool fits = header->form == TRI_SPILL_RAW ? header->stored_size == header->raw_size
                                                    : header->stored_size > 0 && header->stored_size < header->raw_size;
    if (!fits)
        return TRI_FAIL(error, TRP_EOBJLOST,
                        "block %u of %" PRIu64 " bytes says that it is stored in %" PRIu64 ", which cannot be", index,
                        header->raw_size, header->stored_size);
    if (header->stored_size > room)
        return TRI_FAIL(error, TRP_EOBJLOST, "block %u takes %" PRIu64 " bytes and there are %" PRIu64, index,
                        header->stored_size, room);
    return TRP_OK;
}

trp_err
tri_spill_block_decode(const struct tri_spill_header *header, const uint8_t *stored, uint8_t *raw, trp_error *error)
{
    TRI_ASSERT(header->raw_size <= TRI_SPILL_BLOCK && header->stored_size <= header->raw_size);
    if (XXH3_64bits(stored, header->stored_size) != header->stored_hash)
        return TRI_FAIL(error, TRP_EOBJLOST, "block %u is damaged: its checksum does not fit", header->index);
    if (header->form == TRI_SPILL_LZ4) {
        const int size =
            LZ4_decompress_safe((const char *)stored, (char *)raw, (int)header->stored_size, (int)header->raw_size);
        if (size < 0 || (uint64_t)size != header->raw_size)
            return TRI_FAIL(error, TRP_EOBJLOST, "block %u does not decompress to its %" PRIu64 " bytes", header->index,
                            header->raw_size);
    } else if (stored != raw) {
        memcpy(raw, stored, header->raw_size);
    }
    return TRP_OK;
}
