/*
 * flood_data.c - see flood_data.h.
 */
#include "tests/soak/flood_data.h"

#include <string.h>

uint64_t
flood_random(uint64_t *state)
{
    uint64_t draw = *state += UINT64_C(0x9e3779b97f4a7c15);
    draw = (draw ^ draw >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    draw = (draw ^ draw >> 27) * UINT64_C(0x94d049bb133111eb);
    return draw ^ draw >> 31;
}

static void
fill_words(uint8_t *to, size_t size, uint64_t seed)
{
    static const char *const words[16] = {"the ",  "of ",    "an ",    "actor ",   "weight ", "batch ",
                                          "\n",    "reads ", "moves ", "object. ", "store ",  "memory ",
                                          "disk ", "and ",   "holds ", "a "};
    for (size_t at = 0; at < size;) {
        uint64_t draw = flood_random(&seed);
        for (int i = 0; i < 16 && at < size; i++, draw >>= 4) {
            const char *word = words[draw & 15];
            const size_t length = strlen(word), part = length < size - at ? length : size - at;
            memcpy(to + at, word, part);
            at += part;
        }
    }
}

/* Floats between -2 and 2 whose fractions are random. */
static void
fill_weights(uint8_t *to, size_t size, uint64_t seed)
{
    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
        const uint64_t draw = (flood_random(&seed) & UINT64_C(0x80ffffff80ffffff)) + UINT64_C(0x3f0000003f000000);
        memcpy(to + at, &draw, size - at < sizeof draw ? size - at : sizeof draw);
    }
}

void
flood_fill(uint8_t *to, size_t size, uint64_t seed)
{
    if (seed % 2 == 0)
        fill_words(to, size, seed);
    else
        fill_weights(to, size, seed);
}

uint64_t
flood_sum(const uint8_t *bytes, size_t size)
{
    uint64_t sum = size + 1, word;
    size_t at = 0;
    for (; at + sizeof word <= size; at += sizeof word) {
        memcpy(&word, bytes + at, sizeof word);
        sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        sum ^= sum >> 29;
    }
    for (; at < size; at++)
        sum = (sum ^ bytes[at]) * UINT64_C(0x100000001b3);
    return sum;
}
