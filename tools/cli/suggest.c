/*
 * suggest.c - "did you mean": the word nearest to what was typed. Any thread.
 */
#include "tools/cli/cli.h"

#include <stdint.h>
#include <string.h>

enum { WORD_MAX = 63 };

static unsigned
least(unsigned a, unsigned b, unsigned c)
{
    unsigned smaller = a < b ? a : b;

    return smaller < c ? smaller : c;
}

/* Letters to insert, remove or exchange to make one of the other (Levenshtein); UINT_MAX for long words. */
static unsigned
distance(const char *a, const char *b)
{
    size_t a_size = strlen(a), b_size = strlen(b);
    unsigned row[WORD_MAX + 1];

    if (a_size > WORD_MAX || b_size > WORD_MAX)
        return UINT32_MAX;
    for (unsigned j = 0; j <= b_size; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a_size; i++) {
        unsigned diagonal = row[0];

        row[0] = i;
        for (unsigned j = 1; j <= b_size; j++) {
            unsigned above = row[j];
            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_size];
}

const char *
tri_suggest(const char *typed, const char *const *words)
{
    unsigned best = strlen(typed) < 4 ? 2 : 3; /* more than two letters off is another word, of short ones one */
    const char *found = NULL;

    for (; *words != NULL; words++) {
        unsigned here = distance(typed, *words);
        if (here > 0 && here < best && here < strlen(*words)) {
            best = here;
            found = *words;
        }
    }
    return found;
}
