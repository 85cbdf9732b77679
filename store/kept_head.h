/*
 * kept_head.h - how a file of kept.h begins. A file is this head, the name, and the value's bytes from a multiple of 64 on. For
 * kept.c and its fuzz target.
 */
#ifndef TRI_KEPT_HEAD_H
#define TRI_KEPT_HEAD_H

#include "store/kept.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define TRI_KEPT_MAGIC UINT64_C(0x005450454b505254) /* "TRPKEPT" */
enum { TRI_KEPT_VERSION = 1, TRI_KEPT_ALIGN = 64 };

/* As it is written: little-endian, no padding. */
struct tri_kept_head {
    uint64_t magic;
    uint32_t version;
    uint32_t name_size; /* behind the head, without a NUL */
    int64_t until_ms;
    uint64_t size;
    uint64_t hash; /* XXH3 (64 bits) of the value */
    uint32_t meta_size;
    uint32_t zero;
    struct tri_id id;
    uint64_t name_hash; /* of the name */
    uint64_t head_hash; /* of the 72 bytes before */
};
_Static_assert(sizeof(struct tri_kept_head) == 80, "the layout of a head is fixed");

static inline uint64_t
tri_kept_head_hash(const struct tri_kept_head *head)
{
    return XXH3_64bits(head, offsetof(struct tri_kept_head, head_hash));
}

static inline uint64_t
tri_kept_offset(const struct tri_kept_head *head)
{
    return (sizeof *head + head->name_size + TRI_KEPT_ALIGN - 1) / TRI_KEPT_ALIGN * TRI_KEPT_ALIGN;
}

#endif
