/*
 * disk.c - what a disk and LZ4 take for as many bytes, each alone: out of memory and back. Of each step of 16 MiB the slower of the two
 * counts, as both can go on at once.
 *
 *   bench-disk DIRECTORY MIB     prints ns out, ns back
 *
 * Text and weights in turn; weights, which LZ4 does not make shorter, go to the disk as they are, and cost LZ4 nothing. Through
 * the page cache, in pieces of 1 MiB. One thread.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/limits/limits.h"

enum { MIB = 1 << 20, STEP = 16 * MIB, BLOCK = 4 * MIB, BLOCKS = STEP / BLOCK };

struct disk {
    int fd;
    char *text, *weights, *back, *packed;
    int packed_size[BLOCKS];
};

static char *
packed_at(const struct disk *disk, int block)
{
    return disk->packed + (size_t)block * (size_t)LZ4_compressBound(BLOCK);
}

static uint64_t
compress(struct disk *disk)
{
    const uint64_t before = tri_limit_now_ns();

    for (int i = 0; i < BLOCKS; i++)
        disk->packed_size[i] =
            LZ4_compress_default(disk->text + (size_t)i * BLOCK, packed_at(disk, i), BLOCK, LZ4_compressBound(BLOCK));
    return tri_limit_now_ns() - before;
}

static uint64_t
decompress(struct disk *disk)
{
    const uint64_t before = tri_limit_now_ns();

    for (int i = 0; i < BLOCKS; i++)
        if (LZ4_decompress_safe(packed_at(disk, i), disk->back + (size_t)i * BLOCK, disk->packed_size[i], BLOCK) !=
            BLOCK)
            exit(1);
    return tri_limit_now_ns() - before;
}

static void
move(const struct disk *disk, char *bytes, size_t size, off_t *at, bool is_write)
{
    while (size > 0) {
        const size_t part = size < MIB ? size : MIB;
        const ssize_t moved = is_write ? pwrite(disk->fd, bytes, part, *at) : pread(disk->fd, bytes, part, *at);
        if (moved != (ssize_t)part) {
            fprintf(stderr, "bench-disk: the file is not %s\n", is_write ? "written" : "read");
            exit(1);
        }
        bytes += part;
        size -= part;
        *at += (off_t)part;
    }
}

static uint64_t
move_step(struct disk *disk, bool is_text, off_t *at, bool is_write)
{
    const uint64_t before = tri_limit_now_ns();

    if (!is_text)
        move(disk, is_write ? disk->weights : disk->back, STEP, at, is_write);
    for (int i = 0; is_text && i < BLOCKS; i++)
        move(disk, packed_at(disk, i), (size_t)disk->packed_size[i], at, is_write);
    return tri_limit_now_ns() - before;
}

static uint64_t
pass(struct disk *disk, int steps, bool is_out)
{
    uint64_t took = 0;
    off_t at = 0;

    sync(); /* nobody else's pages wait to be written */
    for (int i = 0; i < steps; i++) {
        const bool is_text = i % 2 == 0;
        const uint64_t lz4 = !is_text ? 0 : is_out ? compress(disk) : decompress(disk);
        const uint64_t moved = move_step(disk, is_text, &at, is_out);
        took += lz4 > moved ? lz4 : moved;
    }
    return took;
}

int
main(int argc, char **argv)
{
    struct disk disk = {.fd = argc == 3 ? open(argv[1], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : -1,
                        .text = malloc(STEP),
                        .weights = malloc(STEP),
                        .back = malloc(STEP),
                        .packed = malloc((size_t)BLOCKS * (size_t)LZ4_compressBound(BLOCK))};
    const int steps = argc == 3 ? atoi(argv[2]) / (STEP / MIB) : 0;

    if (disk.fd < 0 || disk.text == NULL || disk.weights == NULL || disk.back == NULL || disk.packed == NULL) {
        fprintf(stderr, "bench-disk: usage: bench-disk DIRECTORY MIB\n");
        return 2;
    }
    tri_limit_text(disk.text, STEP);
    tri_limit_weights(disk.weights, STEP);
    const uint64_t out = pass(&disk, steps, true), back = pass(&disk, steps, false);
    printf("%" PRIu64 " %" PRIu64 "\n", out, back);
    return 0;
}
