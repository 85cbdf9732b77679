/* test_store_thread.c - the thread that writes objects of the arena to files: what it is told it does, in order, and says so. */
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/store_thread.h"

enum { GRANULES = 64, SLOTS = 8, WAIT_MS = 20000 };

struct stage {
    char parent[64], directory[128];
    uint8_t *arena;
    struct tri_register reg;
    void *memory;
    struct tri_store_thread *thread;
    struct tri_spiller spiller;
    trp_error error;
};

static void
begin(struct stage *stage)
{
    const struct tri_store_options options = {
        .directory = stage->directory, .max_bytes = UINT64_C(1) << 30, .arena = stage->arena, .reg = stage->reg};
    cr_assert_eq(tri_store_thread_new(&options, &stage->thread, &stage->error), TRP_OK);
    tri_store_thread_spiller(stage->thread, &stage->spiller);
}

static struct stage
staged(void)
{
    struct stage stage = {.parent = "/tmp/troupe-store-XXXXXX"};
    cr_assert_not_null(mkdtemp(stage.parent));
    (void)snprintf(stage.directory, sizeof stage.directory, "%s/node", stage.parent);
    stage.arena = aligned_alloc(TRI_GRANULE, (size_t)GRANULES * TRI_GRANULE);
    stage.memory = calloc(1, tri_part_bytes(TRI_PART_REGISTER, GRANULES, SLOTS));
    cr_assert(stage.arena != NULL && stage.memory != NULL);
    tri_register_at(&stage.reg, stage.memory, GRANULES);
    for (size_t i = 0; i < (size_t)GRANULES * TRI_GRANULE; i++)
        stage.arena[i] = (uint8_t)(i * 7 + i / 4096);
    begin(&stage);
    return stage;
}

static void
struck(struct stage *stage)
{
    tri_store_thread_end(&stage->thread, true);
    cr_expect_eq(access(stage->directory, F_OK), -1, "its directory is gone");
    cr_expect_eq(rmdir(stage->parent), 0);
    free(stage->arena);
    free(stage->memory);
}

static struct tri_store_done
done(struct stage *stage)
{
    struct pollfd poller = {.fd = tri_store_thread_fd(stage->thread), .events = POLLIN};
    struct tri_store_done done;
    while (!tri_store_thread_done(stage->thread, &done))
        cr_assert_eq(poll(&poller, 1, WAIT_MS), 1, "nothing is done");
    return done;
}

static struct tri_spill_piece
piece_of(uint32_t slot)
{
    return (struct tri_spill_piece){tri_spilled_id(slot, 1), slot * 8, 8 * TRI_GRANULE - 100 * slot};
}

static void
spill_two(struct stage *stage)
{
    const struct tri_spill_piece pieces[] = {piece_of(0), piece_of(1)};
    cr_assert(stage->spiller.spill(stage->spiller.user, pieces, 2));
    const struct tri_store_done written = done(stage);
    cr_assert(written.is_spilled);
    cr_assert_eq(written.err, TRP_OK, "%s", written.error.message);
}

static struct tri_store_done
restore(struct stage *stage, uint32_t slot, uint32_t start)
{
    struct tri_spill_piece piece = piece_of(slot);
    piece.start = start;
    cr_assert(stage->spiller.restore(stage->spiller.user, &piece));
    const struct tri_store_done read = done(stage);
    cr_assert(!read.is_spilled && tri_id_equal(read.id, piece.id));
    return read;
}

Test(store_thread, writes_what_it_is_told_and_reads_it_back_elsewhere)
{
    struct stage stage = staged();
    cr_expect_eq(access(stage.directory, F_OK), -1, "nothing is made before");
    spill_two(&stage);
    struct stat status;
    cr_assert_eq(stat(stage.directory, &status), 0);
    cr_expect_eq(status.st_mode & 07777, 0700);
    cr_expect_gt(stage.reg.records[1].files[stage.reg.records[1].file_at].stored_size, 0, "the register says where");
    const struct tri_store_done read = restore(&stage, 0, 40);
    cr_assert_eq(read.err, TRP_OK, "%s", read.error.message);
    cr_expect_eq(memcmp(stage.arena + 40 * TRI_GRANULE, stage.arena, 8 * TRI_GRANULE), 0);
    cr_expect(tri_id_equal(read.next, piece_of(1).id), "what was written behind it");
    cr_expect_eq(stage.spiller.files(stage.spiller.user).files, 1);
    stage.spiller.drop(stage.spiller.user, piece_of(0).id);
    cr_expect_eq(restore(&stage, 0, 48).err, TRP_ENOENT);
    struck(&stage);
}

Test(store_thread, what_another_left_is_there_as_far_as_it_is_claimed)
{
    struct stage stage = staged();
    spill_two(&stage);
    tri_store_thread_end(&stage.thread, false);
    begin(&stage);
    const struct tri_slot_record *record = &stage.reg.records[1];
    stage.spiller.claim(stage.spiller.user, piece_of(1).id, piece_of(1).size, &record->files[record->file_at]);
    tri_store_thread_sweep(stage.thread);
    const struct tri_store_done read = restore(&stage, 1, 40);
    cr_assert_eq(read.err, TRP_OK, "%s", read.error.message);
    cr_expect_eq(memcmp(stage.arena + 40 * TRI_GRANULE, stage.arena + 8 * TRI_GRANULE, piece_of(1).size), 0);
    cr_expect_eq(restore(&stage, 0, 48).err, TRP_ENOENT, "nobody claimed it");
    struck(&stage);
}

Test(store_thread, a_directory_that_cannot_be_made_is_said_and_tried_again)
{
    struct stage stage = staged();
    const struct tri_spill_piece piece = piece_of(2);
    FILE *file = fopen(stage.directory, "w"); /* where it would be */
    cr_assert_not_null(file);
    fclose(file);
    cr_assert(stage.spiller.spill(stage.spiller.user, &piece, 1));
    const struct tri_store_done failed = done(&stage);
    cr_expect_eq(failed.err, TRP_EACCES);
    cr_expect_not_null(strstr(failed.error.message, stage.directory), "%s", failed.error.message);
    cr_assert_eq(unlink(stage.directory), 0);
    cr_assert(stage.spiller.spill(stage.spiller.user, &piece, 1));
    cr_expect_eq(done(&stage).err, TRP_OK);
    struck(&stage);
}

Test(store_thread, ends_with_jobs_that_were_not_begun)
{
    struct stage stage = staged();
    spill_two(&stage);
    for (int i = 0; i < 50; i++) {
        const struct tri_spill_piece piece = {piece_of(1).id, 40, piece_of(1).size};
        cr_assert(stage.spiller.restore(stage.spiller.user, &piece));
    }
    struck(&stage);
}
