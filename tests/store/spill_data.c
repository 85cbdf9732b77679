/*
 * spill_data.c - see spill_data.h.
 */
#include "tests/store/spill_data.h"

#include <stdio.h>
#include <string.h>

void
fill_text(uint8_t *to, size_t size, uint64_t seed)
{
    char line[160];
    for (size_t at = 0; at < size;) {
        const uint64_t draw = tri_random_next(&seed);
        const int length =
            snprintf(line, sizeof line, "{\"id\": %llu, \"name\": \"user-%u\", \"score\": %.3f, \"active\": %s}\n",
                     (unsigned long long)(draw >> 40), (unsigned)(draw & 4095), (double)(draw >> 20 & 65535) / 65536,
                     draw & 1 ? "true" : "false");
        const size_t part = (size_t)length < size - at ? (size_t)length : size - at;
        memcpy(to + at, line, part);
        at += part;
    }
}

void
fill_noise(uint8_t *to, size_t size, uint64_t seed)
{
    for (size_t at = 0; at < size; at += sizeof seed) {
        const uint64_t draw = tri_random_next(&seed);
        memcpy(to + at, &draw, size - at < sizeof draw ? size - at : sizeof draw);
    }
}
