/*
 * spill_data.h - objects for the tests of spilling: what compresses and what does not, made from a seed.
 */
#ifndef SPILL_DATA_H
#define SPILL_DATA_H

#include "transport/base/base.h"

/* Words, as in a file of JSON: LZ4 makes less than half of it. */
void fill_text(uint8_t *to, size_t size, uint64_t seed);
/* Random bits: nothing makes less of it. */
void fill_noise(uint8_t *to, size_t size, uint64_t seed);

#endif
