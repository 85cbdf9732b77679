/*
 * block.h - what a spilled object looks like, wherever it was written. Pure: bytes in, bytes out; it allocates nothing.
 *
 *   object   header (object: id, bytes, blocks)
 *            header (block 0), stored bytes
 *            header (block 1), stored bytes
 *            ...
 *
 * Each block is 4 MiB of the object, the last one what is left, compressed by itself (LZ4, the block format) or as it is.
 * Each header says what it is of: no block is taken for one of another object, or for another one of the same. A header
 * has a hash of its own, so that no size in it is believed before it is known to have been written by us, and one of the bytes
 * behind it, so that LZ4 sees none that are not known to be its own.
 *
 * What is read was in somebody else's hands: each size is checked against what the reader expects before a byte is written,
 * and whatever does not fit is TRP_EOBJLOST with a sentence that says why. Any thread.
 */
#ifndef TRI_SPILL_BLOCK_H
#define TRI_SPILL_BLOCK_H

#include "transport/base/base.h"

#define TRI_SPILL_VERSION    1u
#define TRI_SPILL_BLOCK      (UINT64_C(4) << 20)
#define TRI_SPILL_PROBE      (64u << 10) /* so much of a block is compressed to learn whether all of it should be */
#define TRI_SPILL_OBJECT_MAX (UINT64_C(1) << 42) /* 4 TiB, in 1,048,576 blocks */
#define TRI_SPILL_SCRATCH                                                                                              \
    (TRI_SPILL_BLOCK) /* what encoding and decoding a block want: LZ4 is used where it is shorter */

enum tri_spill_kind { TRI_SPILL_OBJECT = 1, TRI_SPILL_PART = 2 };
enum tri_spill_form { TRI_SPILL_RAW = 0, TRI_SPILL_LZ4 = 1 };

/* As it is written: little-endian, no padding. */
struct tri_spill_header {
    uint64_t magic;
    uint16_t version;
    uint8_t kind;         /* enum tri_spill_kind */
    uint8_t form;         /* of a block: enum tri_spill_form; of an object: 0 */
    uint32_t index;       /* of a block: its number; of an object: how many blocks follow */
    struct tri_id id;     /* of the object */
    uint64_t raw_size;    /* bytes of the object, or of the block before it was stored */
    uint64_t stored_size; /* of a block: bytes behind this header; of an object: 0 */
    uint64_t stored_hash; /* of a block: XXH3 (64 bits) of the bytes behind this header; of an object: 0 */
    uint64_t header_hash; /* XXH3 (64 bits) of the 56 bytes before */
};
#define TRI_SPILL_HEADER sizeof(struct tri_spill_header)

/* ----------------------------------------------------------------------------------------------------------- sizes */

uint32_t tri_spill_blocks(uint64_t raw_size);                     /* how many, up to TRI_SPILL_OBJECT_MAX */
uint64_t tri_spill_block_size(uint64_t raw_size, uint32_t index); /* raw bytes of this one */
uint64_t tri_spill_most(uint64_t raw_size);                       /* an object never takes more, headers included */

/* ---------------------------------------------------------------------------------------------------------- writing */

struct tri_spill_header tri_spill_object_header(struct tri_id id, uint64_t raw_size);
/* Block `index` of an object: its header, and where its stored bytes are: in `raw` itself, or in the scratch, of which up to
 * `raw_size` bytes are written. raw_size is 1 to TRI_SPILL_BLOCK. */
struct tri_spill_header tri_spill_block_encode(struct tri_id id, uint32_t index, const uint8_t *raw, size_t raw_size,
                                               uint8_t *scratch, const uint8_t **stored);
/* Sets the header's hashes, as they are to be: its own, and that of `stored`, its stored_size bytes; NULL: that one stays. Tests do
 * so, too, with headers of theirs. */
void tri_spill_header_seal(struct tri_spill_header *header, const uint8_t *stored);

/* ---------------------------------------------------------------------------------------------------------- reading */

/* Is this the header of that object? TRP_EOBJLOST. */
trp_err tri_spill_object_check(const struct tri_spill_header *header, struct tri_id id, uint64_t raw_size,
                               trp_error *error);
/* Is this the header of that block of that object of `object_size` bytes, and does what it says fit into `room` bytes that
 * can follow it? Afterwards raw_size is what the block must have, and stored_size at most that. TRP_EOBJLOST. */
trp_err tri_spill_block_check(const struct tri_spill_header *header, struct tri_id id, uint32_t index,
                              uint64_t object_size, uint64_t room, trp_error *error);
/* Writes the header's raw_size bytes to `raw`, and no others, from its stored_size bytes; of a raw block `stored` may be
 * `raw`. The header was checked. TRP_EOBJLOST: what is in `raw` then is of no use. */
trp_err tri_spill_block_decode(const struct tri_spill_header *header, const uint8_t *stored, uint8_t *raw,
                               trp_error *error);

#endif
