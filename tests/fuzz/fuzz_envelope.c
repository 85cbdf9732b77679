/*
 * fuzz_envelope.c - libFuzzer's entry: any bytes as an envelope, each of its sections as every kind of body. Built with
 * clang's -fsanitize=fuzzer, or with fuzz_main.c, which makes its own corpus.
 */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "tests/schemas/every_body.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tri_envelope envelope;
    uint8_t *bytes = aligned_alloc(8, tri_pad8(size) + 8);
    if (bytes == NULL)
        return 0;
    if (size > 0)
        memcpy(bytes, data, size);
    if (tri_envelope_check(bytes, size, NULL, 0, &envelope, NULL) == TRP_OK) {
        for (uint32_t i = 0; i < envelope.route.section_count; i++) {
            struct tri_section section;
            tri_envelope_section(&envelope, i, &section);
            for (size_t k = 0; k < tri_body_sample_count; k++)
                (void)tri_body_samples[k].read(&section, NULL);
        }
    }
    free(bytes);
    return 0;
}
