/*
 * data.c - bytes as programs have them: text, which compresses, and weights, which do not. One thread.
 */
#include "bench/limits/limits.h"

#include <stdio.h>
#include <string.h>

static uint64_t
draw(uint64_t *random)
{
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *random ^ *random >> 31;
}

void
tri_limit_text(void *to, size_t size)
{
    uint64_t random = 1;
    char line[256];

    for (size_t at = 0; at < size;) {
        const uint64_t next = draw(&random);
        const int length =
            snprintf(line, sizeof line,
                     "{\"id\": %u, \"user\": \"user-%04u\", \"text\": \"%.4f of the %u.\", \"tags\": [\"%s\", "
                     "\"%s\"], \"ok\": %s}\n",
                     (unsigned)(next >> 44), (unsigned)(next & 4095), (double)(next >> 20 & 65535) / 65536,
                     (unsigned)(next >> 12 & 255), (next & 1) != 0 ? "alpha" : "beta",
                     (next & 2) != 0 ? "gamma" : "delta", (next & 4) != 0 ? "true" : "false");
        const size_t part = (size_t)length < size - at ? (size_t)length : size - at;
        memcpy((char *)to + at, line, part);
        at += part;
    }
}

/* As a layer begins: about normal, of a small deviation. */
void
tri_limit_weights(void *to, size_t size)
{
    uint64_t random = 2;

    for (size_t at = 0; at + sizeof(float) <= size; at += sizeof(float)) {
        const uint64_t next = draw(&random);
        const double sum = (double)(next & 0xffff) + (double)(next >> 16 & 0xffff) + (double)(next >> 32 & 0xffff) +
                           (double)(next >> 48);
        const float weight = (float)((sum / 65536 - 2) * 0.03);
        memcpy((char *)to + at, &weight, sizeof weight);
    }
}
