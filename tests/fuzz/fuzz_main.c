/*
 * fuzz_main.c - drives the fuzz target without libFuzzer: one envelope of each kind of body, whole, and then with bytes
 * changed at random. `fuzz_envelope [SEED [ROUNDS]]`; with a directory instead it writes the seeds there, for libFuzzer.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "tests/schemas/every_body.h"

enum { CHANGES = 8 };

static uint8_t seed_bytes[TRI_COPY_MAX * 2] __attribute__((aligned(8)));

/* The envelope that carries sample i; returns its size. */
static size_t
make_seed(size_t i)
{
    struct tri_packed packed = {0};
    struct tri_route route = {.kind = tri_body_samples[i].kind, .sequence = 1, .result = {7, 9}};
    TRI_ASSERT(tri_body_samples[i].pack(&packed, NULL) == TRP_OK);
    size_t size = tri_envelope_size(&packed.section, 1);
    TRI_ASSERT(size <= sizeof seed_bytes);
    size = tri_envelope_write(seed_bytes, &route, &packed.section, 1);
    tri_packed_fini(&packed);
    return size;
}

static int
write_seeds(const char *directory)
{
    for (size_t i = 0; i < tri_body_sample_count; i++) {
        char path[4096];
        size_t size = make_seed(i);
        snprintf(path, sizeof path, "%s/%s", directory, tri_body_samples[i].name);
        FILE *file = fopen(path, "wb");
        if (file == NULL || fwrite(seed_bytes, 1, size, file) != size || fclose(file) != 0) {
            perror(path);
            return 1;
        }
    }
    return 0;
}

/* Changes some bytes, most often those of the body, to what hurts most. */
static void
change(uint8_t *bytes, size_t size, uint64_t *random)
{
    static const uint8_t nasty[] = {0x00, 0x01, 0x7f, 0x80, 0xff, 0x08, 0x10, 0xfe};
    uint64_t count = 1 + tri_random_next(random) % CHANGES;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t draw = tri_random_next(random);
        size_t from = draw % 8 == 0 ? 0 : sizeof(struct tri_route_head) + 3 * sizeof(uint64_t);
        size_t at = from + (size_t)(tri_random_next(random) % (size - from));
        bytes[at] = draw & 256 ? nasty[draw >> 16 & 7] : (uint8_t)(draw >> 24);
    }
}

int
main(int argc, char **argv)
{
    char *end = NULL;
    uint64_t random = argc > 1 ? strtoull(argv[1], &end, 0) : 1, rounds = argc > 2 ? strtoull(argv[2], NULL, 0) : 20000;
    if (end != NULL && *end != '\0')
        return write_seeds(argv[1]);
    printf("seed %llu, %llu rounds of %zu envelopes\n", (unsigned long long)random, (unsigned long long)rounds,
           tri_body_sample_count);
    for (size_t i = 0; i < tri_body_sample_count; i++) {
        uint8_t bytes[sizeof seed_bytes];
        size_t size = make_seed(i);
        LLVMFuzzerTestOneInput(seed_bytes, size);
        for (uint64_t round = 0; round < rounds; round++) {
            memcpy(bytes, seed_bytes, size);
            change(bytes, size, &random);
            LLVMFuzzerTestOneInput(bytes, size);
        }
    }
    return 0;
}
