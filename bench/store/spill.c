/*
 * spill.c - how fast objects are spilled to a disk and come back, beside what limits that: LZ4 alone, and the disk alone with
 * as many bytes as spilling leaves to it, whichever is slower. In steps of an object of 64 MiB in which limits and ours take
 * turns, now the one first and now the other, so that whatever else the machine does slows all of them; of the steps the
 * middle one counts.
 *
 *   spill [DIRECTORY [MIB]]     /tmp and 1,024
 *
 * The disk is written and read through the page cache, as spilling does it, which is clean each time. One thread. It ends with 1 if a ratio is below 0.7.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <lz4.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/spill/files.h"

#define MIB        (UINT64_C(1) << 20)
#define STEP       (64 * MIB)
#define BLOCKS     (STEP / TRI_SPILL_BLOCK)
#define RATIO_MUST 0.7

enum { STEPS_MAX = 1024 };

struct bench {
    const char *directory;
    char path[512], file[600];
    uint64_t steps, random;
    struct tri_spill *spill;
    int plain[STEPS_MAX / 2]; /* the files of the limit: two objects each, as spilling does it */
    uint8_t *data, *back, *compressed;
    int compressed_size[BLOCKS];
    bool compresses;
    uint64_t stored; /* bytes of all the objects, on the disk */
};

enum of { DISK_WRITE, DISK_READ, COMPRESS, DECOMPRESS, SPILL, RESTORE, OF };
static uint64_t times_ns[OF][STEPS_MAX];

static void
stop(const char *what, const trp_error *error)
{
    fprintf(stderr, "spill: %s: %s\n", what, error != NULL ? error->message : "failed");
    exit(2);
}

static void
make_text(struct bench *bench)
{
    char line[256];
    for (size_t at = 0; at < STEP;) {
        const uint64_t draw = tri_random_next(&bench->random);
        const int size =
            snprintf(line, sizeof line,
                     "{\"id\": %u, \"user\": \"user-%04u\", \"text\": \"%.4f of the %u.\", \"tags\": [\"%s\", "
                     "\"%s\"], \"ok\": %s}\n",
                     (unsigned)(draw >> 44), (unsigned)(draw & 4095), (double)(draw >> 20 & 65535) / 65536,
                     (unsigned)(draw >> 12 & 255), draw & 1 ? "alpha" : "beta", draw & 2 ? "gamma" : "delta",
                     draw & 4 ? "true" : "false");
        const size_t part = (size_t)size < STEP - at ? (size_t)size : STEP - at;
        memcpy(bench->data + at, line, part);
        at += part;
    }
}

/* As a layer begins: about normal, of a small deviation. */
static void
make_weights(struct bench *bench)
{
    for (size_t at = 0; at < STEP; at += sizeof(float)) {
        const uint64_t draw = tri_random_next(&bench->random);
        const double sum = (double)(draw & 0xffff) + (double)(draw >> 16 & 0xffff) + (double)(draw >> 32 & 0xffff) +
                           (double)(draw >> 48);
        const float weight = (float)((sum / 65536 - 2) * 0.03);
        memcpy(bench->data + at, &weight, sizeof weight);
    }
}

/* ---------------------------------------------------------------------------------------------------------- limits */

/* Of block i: what is written, or where it is read to. */
static uint64_t
on_disk(struct bench *bench, uint64_t i, bool write, uint8_t **bytes)
{
    const uint64_t room = (uint64_t)LZ4_compressBound((int)TRI_SPILL_BLOCK);
    *bytes =
        bench->compresses ? bench->compressed + i * room : (write ? bench->data : bench->back) + i * TRI_SPILL_BLOCK;
    return bench->compresses ? (uint64_t)bench->compressed_size[i] : TRI_SPILL_BLOCK;
}

/* In pieces of 1 MiB: larger ones are slower, at least with ext4 and Linux 6.18. */
static void
move(struct bench *bench, int fd, uint8_t *bytes, uint64_t size, uint64_t at, bool write)
{
    while (size > 0) {
        const uint64_t part = size < MIB ? size : MIB;
        if ((write ? pwrite(fd, bytes, part, (off_t)at) : pread(fd, bytes, part, (off_t)at)) != (ssize_t)part)
            stop(bench->file, NULL);
        bytes += part;
        at += part;
        size -= part;
    }
}

/* Nothing waits to be written back: else the system lets a writer pause, whichever it happens to be. */
static void
settle(const struct bench *bench)
{
    if (syncfs(bench->plain[0]) != 0)
        stop("syncfs", NULL);
}

static uint64_t
disk(struct bench *bench, uint64_t step, bool write)
{
    settle(bench);
    const uint64_t began = tri_now_ns();
    for (uint64_t i = 0; i < BLOCKS; i++) {
        uint8_t *bytes;
        const uint64_t size = on_disk(bench, i, write, &bytes);
        move(bench, bench->plain[step / 2], bytes, size, step % 2 * STEP + i * TRI_SPILL_BLOCK, write);
    }
    return tri_now_ns() - began;
}

static uint64_t
compress(struct bench *bench)
{
    const uint64_t began = tri_now_ns();
    const int room = LZ4_compressBound((int)TRI_SPILL_BLOCK);
    for (uint64_t i = 0; i < BLOCKS; i++)
        bench->compressed_size[i] =
            LZ4_compress_default((const char *)bench->data + i * TRI_SPILL_BLOCK,
                                 (char *)bench->compressed + i * (uint64_t)room, (int)TRI_SPILL_BLOCK, room);
    return tri_now_ns() - began;
}

static uint64_t
decompress(struct bench *bench)
{
    const uint64_t began = tri_now_ns();
    const int room = LZ4_compressBound((int)TRI_SPILL_BLOCK);
    for (uint64_t i = 0; i < BLOCKS; i++)
        if (LZ4_decompress_safe((const char *)bench->compressed + i * (uint64_t)room,
                                (char *)bench->back + i * TRI_SPILL_BLOCK, bench->compressed_size[i],
                                (int)TRI_SPILL_BLOCK) != (int)TRI_SPILL_BLOCK)
            stop("LZ4", NULL);
    return tri_now_ns() - began;
}

/* ------------------------------------------------------------------------------------------------------------ ours */

static uint64_t
spill(struct bench *bench, uint64_t step)
{
    const struct tri_spill_item item = {{1, step}, bench->data, STEP};
    trp_error error;
    settle(bench);
    const uint64_t began = tri_now_ns();
    if (tri_spill_append(bench->spill, &item, 1, &error) != TRP_OK)
        stop("append", &error);
    return tri_now_ns() - began;
}

static uint64_t
restore(struct bench *bench, uint64_t step)
{
    trp_error error;
    const uint64_t began = tri_now_ns();
    if (tri_spill_read(bench->spill, (struct tri_id){1, step}, bench->back, STEP, &error) != TRP_OK)
        stop("read", &error);
    return tri_now_ns() - began;
}

static void
measure(struct bench *bench)
{
    trp_error error;
    /* First all of it out, then all of it in: what is read is in no cache of the processor any more. */
    for (uint64_t step = 0; step < bench->steps; step++) {
        times_ns[COMPRESS][step] = compress(bench);
        if (step % 2 == 0)
            times_ns[DISK_WRITE][step] = disk(bench, step, true);
        times_ns[SPILL][step] = spill(bench, step);
        if (step % 2 == 1)
            times_ns[DISK_WRITE][step] = disk(bench, step, true);
    }
    bench->stored = tri_spill_stat(bench->spill).live_bytes;
    for (uint64_t step = 0; step < bench->steps; step++) {
        times_ns[DECOMPRESS][step] = decompress(bench);
        if (step % 2 == 0)
            times_ns[DISK_READ][step] = disk(bench, step, false);
        times_ns[RESTORE][step] = restore(bench, step);
        if (memcmp(bench->data, bench->back, STEP) != 0)
            stop("what came back is something else", NULL);
        if (step % 2 == 1)
            times_ns[DISK_READ][step] = disk(bench, step, false);
    }
    if (tri_spill_clear(bench->spill, &error) != TRP_OK)
        stop("clear", &error);
    for (uint64_t i = 0; i < (bench->steps + 1) / 2; i++)
        close(bench->plain[i]);
}

static int
by_time(const void *a, const void *b)
{
    const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* GB/s of the middle step. */
static double
rate(const struct bench *bench, enum of of)
{
    qsort(times_ns[of], bench->steps, sizeof(uint64_t), by_time);
    return (double)STEP / (double)times_ns[of][bench->steps / 2];
}

/* One line; 1 if the ratio is too low. */
static int
row(const struct bench *bench, const char *what, enum of ours, enum of disk_of, enum of lz4_of)
{
    const double disk = rate(bench, disk_of), lz4 = bench->compresses ? rate(bench, lz4_of) : HUGE_VAL;
    const double rate_of_ours = rate(bench, ours), ratio = rate_of_ours / (lz4 < disk ? lz4 : disk);
    printf("  %-8s %6.2f GB/s   disk alone %6.2f   LZ4 alone %6.2f   ratio %.2f (must: %.1f)%s\n", what, rate_of_ours,
           disk, lz4, ratio, RATIO_MUST, ratio < RATIO_MUST ? "  missed" : "");
    return ratio < RATIO_MUST;
}

static int
run(struct bench *bench, const char *name, void (*make)(struct bench *bench), bool compresses)
{
    make(bench);
    memset(bench->back, 1, STEP);
    bench->compresses = compresses;
    for (uint64_t i = 0; i < (bench->steps + 1) / 2; i++) {
        bench->plain[i] = open(bench->file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (bench->plain[i] < 0 || unlink(bench->file) != 0)
            stop(bench->file, NULL);
    }
    measure(bench);
    printf("%s: %" PRIu64 " MiB, stored in %.2f of that\n", name, bench->steps * STEP / MIB,
           (double)bench->stored / (double)(bench->steps * STEP));
    return row(bench, "spill", SPILL, DISK_WRITE, COMPRESS) | row(bench, "restore", RESTORE, DISK_READ, DECOMPRESS);
}

int
main(int argc, char **argv)
{
    struct bench bench = {.directory = argc > 1 ? argv[1] : "/tmp", .random = 1};
    struct tri_spill_backend *backend;
    trp_error error;
    bench.steps = (argc > 2 ? strtoull(argv[2], NULL, 10) : 1024) * MIB / STEP;
    snprintf(bench.path, sizeof bench.path, "%s/troupe-bench-spill-%d", bench.directory, getpid());
    snprintf(bench.file, sizeof bench.file, "%s/plain", bench.path);
    bench.data = malloc(STEP);
    bench.back = malloc(STEP);
    bench.compressed = malloc(BLOCKS * (uint64_t)LZ4_compressBound((int)TRI_SPILL_BLOCK));
    if (bench.data == NULL || bench.back == NULL || bench.compressed == NULL || bench.steps == 0 ||
        bench.steps > STEPS_MAX)
        stop("no memory, or less than 64 MiB, or more than 64 GiB", NULL);
    const struct tri_spill_options options = {.max_bytes = 4 * bench.steps * STEP + 8 * TRI_SPILL_FILE_BYTES};
    if (tri_spill_disk_open(bench.path, &backend, &error) != TRP_OK ||
        tri_spill_create(backend, &options, &bench.spill, &error) != TRP_OK)
        stop(bench.path, &error);
    const int missed = run(&bench, "text", make_text, true) | run(&bench, "weights", make_weights, false);
    tri_spill_destroy(&bench.spill);
    tri_spill_backend_destroy(&backend);
    rmdir(bench.path);
    return missed;
}
