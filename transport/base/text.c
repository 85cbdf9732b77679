/*
 * text.c - growing arrays and copying of text. Pure but for malloc. What is text: utf8.c.
 */
#include "transport/base/base.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ITEMS = 8 };

bool
tri_array_reserve(void **items, size_t *capacity, size_t needed, size_t item_size)
{
    size_t wanted = *capacity > 0 ? *capacity : FIRST_ITEMS;
    void *grown;

    if (needed <= *capacity)
        return true;
    while (wanted < needed) {
        if (wanted > SIZE_MAX / 2)
            return false;
        wanted *= 2;
    }
    if (wanted > SIZE_MAX / item_size)
        return false;
    grown = realloc(*items, wanted * item_size);
    if (grown == NULL)
        return false;
    *items = grown;
    *capacity = wanted;
    return true;
}

char *
tri_text_copy(char *dest, size_t size, const char *text)
{
    size_t length;

    if (size == 0)
        return dest;
    length = strnlen(text, size);
    if (length == size) /* cut, in front of a character */
        for (length--; length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80;)
            length--;
    memcpy(dest, text, length);
    dest[length] = '\0';
    return dest;
}
