/*
 * every_body.h - one sample of every kind of body, and a reader that opens a section as whatever it may be and touches
 * all that it finds. Shared by the tests of schemas/ and the fuzz target.
 */
#ifndef TRI_EVERY_BODY_H
#define TRI_EVERY_BODY_H

#include "schemas/schemas.h"

struct tri_body_sample {
    const char *name;
    uint8_t kind; /* of an envelope that carries it */
    trp_err (*pack)(struct tri_packed *packed, trp_error *error);
    trp_err (*read)(const struct tri_section *section, trp_error *error); /* opens it and touches everything */
};
extern const struct tri_body_sample tri_body_samples[];
extern const size_t tri_body_sample_count;

/* References and actors whose "handles" are pointers to struct tri_id. */
extern const struct tri_handles tri_test_handles;

/* Touches every value of a view; what it returns depends on all of it. */
uint64_t tri_touch_view(const struct tri_view *view);
/* A section with a copy of these bytes in exactly so much memory, `offset` bytes behind an aligned address; free *memory. */
struct tri_section tri_section_copy(const struct tri_section *from, uint64_t size, size_t offset, void **memory);

#endif
