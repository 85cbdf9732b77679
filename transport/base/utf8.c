/*
 * utf8.c - what is text: UTF-8 (RFC 3629) without a NUL. Pure; any thread.
 */
#include "transport/base/base.h"

#include <string.h>

#define ONES  UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* ASCII without a NUL: no high bit, and no byte that borrows when 1 is taken from each. */
static bool
is_plain(uint64_t word)
{
    return ((word | (word - ONES)) & HIGHS) == 0;
}

static uint64_t
word_at(const uint8_t *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof word);
    return word;
}

/* How many bytes from the front are in words of plain ASCII. The last one overlaps the one before it; a short text is made up
 * to a word. */
static size_t
skip_plain(const uint8_t *bytes, size_t size)
{
    size_t at = 0;

    if (size < 8) {
        uint64_t word = ONES;
        for (size_t i = 0; i < size; i++)
            word = word << 8 | bytes[i];
        return is_plain(word) ? size : 0;
    }
    for (; size - at >= 8; at += 8)
        if (!is_plain(word_at(bytes + at)))
            return at;
    return is_plain(word_at(bytes + size - 8)) ? size : at;
}

/* A character of two to four bytes: 0 where it is none. Nothing passes that is written in more bytes than it needs, is half of
 * a surrogate pair, or lies beyond U+10FFFF: the bounds of the second byte depend on the first. */
static size_t
character_size(const uint8_t *at, size_t left)
{
    const uint8_t first = at[0];
    const size_t size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    const uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;

    if (first < 0xc2 || first > 0xf4 || size > left || at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return size;
}

size_t
tri_text_valid(const char *text, size_t size)
{
    const uint8_t *bytes = (const uint8_t *)text;
    size_t at = 0, step;

    while ((at += skip_plain(bytes + at, size - at)) < size) {
        const size_t end = size - at > 8 ? at + 8 : size;
        for (; at < end; at += step) {
            step = bytes[at] < 0x80 ? bytes[at] != 0 : character_size(bytes + at, size - at);
            if (step == 0)
                return at;
        }
    }
    return size;
}

void
tri_text_clean(char *text, size_t size)
{
    for (size_t at = 0; (at += tri_text_valid(text + at, size - at)) < size; at++)
        text[at] = '?';
}
