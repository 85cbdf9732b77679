/*
 * seals.c - seals.h.
 */
#include "store/seals.h"

#include <sys/mman.h>

#include "store/register.h"

static bool
protect(uint8_t *base, struct tri_span span, int protection)
{
    return mprotect(base + (uint64_t)span.start * TRI_GRANULE, (uint64_t)span.count * TRI_GRANULE, protection) == 0;
}

static bool
open_at(struct tri_seals *seals, uint8_t *base, uint32_t i)
{
    if (seals->spans[i].count == 0)
        return true;
    if (!protect(base, seals->spans[i], PROT_READ | PROT_WRITE))
        return false;
    seals->spans[i].count = 0;
    seals->count--;
    return true;
}

void
tri_seals_close(struct tri_seals *seals, uint8_t *base, struct tri_span span)
{
    const uint32_t i = seals->next;
    if (!open_at(seals, base, i) || !protect(base, span, PROT_READ))
        return; /* then nobody is stopped there */
    seals->spans[i] = span;
    seals->count++;
    seals->next = (i + 1) % TRI_SEALS_MAX;
}

static bool
overlap(struct tri_span a, struct tri_span b)
{
    return a.start < b.start + b.count && b.start < a.start + a.count;
}

bool
tri_seals_open(struct tri_seals *seals, uint8_t *base, struct tri_span span)
{
    for (uint32_t i = 0; seals->count > 0 && i < TRI_SEALS_MAX; i++)
        if (overlap(seals->spans[i], span) && !open_at(seals, base, i))
            return false;
    return true;
}
