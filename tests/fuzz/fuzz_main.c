/*
 * fuzz_main.c - drives a fuzz target without libFuzzer: each of its seeds, whole, and then with bytes changed at random.
 *
 *   fuzz_<target> [SEED [ROUNDS]]
 *   fuzz_<target> DIRECTORY         writes the seeds there, for libFuzzer
 *   fuzz_<target> --run DIRECTORY   runs the inputs that are there: what libFuzzer found worth keeping (corpus/<target>)
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "transport/base/base.h"

enum { CHANGES = 8 };

static uint8_t seed_bytes[FUZZ_SEED_MAX] __attribute__((aligned(8)));

static int
write_seeds(const char *directory)
{
    const char *name;
    size_t size;
    for (size_t i = 0; (size = fuzz_seed(i, seed_bytes, &name)) > 0; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", directory, name);
        FILE *file = fopen(path, "wb");
        if (file == NULL || fwrite(seed_bytes, 1, size, file) != size || fclose(file) != 0) {
            perror(path);
            return 1;
        }
    }
    return 0;
}

static int
run_files(const char *directory)
{
    DIR *files = opendir(directory);
    int count = 0, failed = files == NULL;
    if (failed)
        perror(directory);
    for (const struct dirent *entry; !failed && (entry = readdir(files)) != NULL;) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        FILE *file = fopen(path, "rb");
        failed = file == NULL;
        if (failed) {
            perror(path);
            break;
        }
        LLVMFuzzerTestOneInput(seed_bytes, fread(seed_bytes, 1, sizeof seed_bytes, file));
        fclose(file);
        count++;
    }
    if (files != NULL)
        closedir(files);
    printf("%d inputs\n", count);
    return failed || count == 0;
}

/* Changes some bytes, most often those behind the head, to what hurts most. */
static void
change(uint8_t *bytes, size_t size, uint64_t *random)
{
    static const uint8_t nasty[] = {0x00, 0x01, 0x7f, 0x80, 0xff, 0x08, 0x10, 0xfe};
    uint64_t count = 1 + tri_random_next(random) % CHANGES;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t draw = tri_random_next(random);
        size_t from = draw % 8 == 0 || size <= fuzz_seed_head() ? 0 : fuzz_seed_head();
        size_t at = from + (size_t)(tri_random_next(random) % (size - from));
        bytes[at] = draw & 256 ? nasty[draw >> 16 & 7] : (uint8_t)(draw >> 24);
    }
}

int
main(int argc, char **argv)
{
    static uint8_t bytes[sizeof seed_bytes];
    const char *name;
    char *end = NULL;
    size_t size, i;
    if (argc == 3 && strcmp(argv[1], "--run") == 0)
        return run_files(argv[2]);
    uint64_t random = argc > 1 ? strtoull(argv[1], &end, 0) : 1, rounds = argc > 2 ? strtoull(argv[2], NULL, 0) : 20000;
    if (end != NULL && *end != '\0')
        return write_seeds(argv[1]);
    for (i = 0; (size = fuzz_seed(i, seed_bytes, &name)) > 0; i++) {
        LLVMFuzzerTestOneInput(seed_bytes, size);
        for (uint64_t round = 0; round < rounds; round++) {
            memcpy(bytes, seed_bytes, size);
            change(bytes, size, &random);
            LLVMFuzzerTestOneInput(bytes, size);
        }
    }
    printf("%llu rounds of %zu seeds\n", (unsigned long long)rounds, i);
    return 0;
}
