/*
 * fuzz.h - a fuzz target: what libFuzzer calls, and inputs to begin with. Each target is a file fuzz_<target>.c, and its inputs
 * a file <target>_seeds.c.
 */
#ifndef TRI_FUZZ_H
#define TRI_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_SEED_MAX 65536u

/* Input i, which is a good one; returns its size, 0: there are no more. Its name is that of a file. */
size_t fuzz_seed(size_t i, uint8_t bytes[FUZZ_SEED_MAX], const char **name);
/* So many bytes at its begin would only make it another kind of input: they are changed seldom. */
size_t fuzz_seed_head(void);

#endif
