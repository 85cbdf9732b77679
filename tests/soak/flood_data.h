/*
 * flood_data.h - what the objects of the flood contain, made from a seed, and their checksums. For the driver and the
 * workers alike; nothing of Troupe, so that a mistake of it is not made here, too.
 */
#ifndef FLOOD_DATA_H
#define FLOOD_DATA_H

#include <stddef.h>
#include <stdint.h>

uint64_t flood_random(uint64_t *state);
/* An even seed: words, of which LZ4 makes less than half. An odd one: weights, of which it makes nothing less. */
void flood_fill(uint8_t *to, size_t size, uint64_t seed);
uint64_t flood_sum(const uint8_t *bytes, size_t size);

#endif
