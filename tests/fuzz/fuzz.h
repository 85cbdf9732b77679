/*
 * fuzz.h - what libFuzzer calls.
 */
#ifndef TRI_FUZZ_H
#define TRI_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
