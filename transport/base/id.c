/*
 * id.c - identities as text, and text as identities. Pure.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "transport/base/base.h"

static void
format_half(uint64_t half, char *text)
{
    for (int i = 0; i < 16; i++)
        text[i] = "0123456789abcdef"[(half >> (60 - 4 * i)) & 15];
}

char *
tri_id_format(struct tri_id id, char text[TRI_ID_TEXT_SIZE])
{
    format_half(id.space, text);
    format_half(id.number, text + 16);
    text[32] = '\0';
    return text;
}

static bool
parse_half(const char *text, uint64_t *half)
{
    *half = 0;
    for (int i = 0; i < 16; i++) {
        const char c = text[i];
        unsigned digit;
        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (unsigned)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F')
            digit = (unsigned)(c - 'A') + 10;
        else
            return false; /* the NUL of a shorter text, too */
        *half = *half << 4 | digit;
    }
    return true;
}

bool
tri_id_parse(const char *text, struct tri_id *id)
{
    struct tri_id parsed;

    if (!parse_half(text, &parsed.space) || !parse_half(text + 16, &parsed.number) || text[32] != '\0')
        return false;
    *id = parsed;
    return true;
}

struct tri_id
tri_id_of_text(const char *text, size_t size)
{
    const XXH128_hash_t hash = XXH3_128bits(text, size);

    return (struct tri_id){.space = hash.high64, .number = hash.low64};
}
