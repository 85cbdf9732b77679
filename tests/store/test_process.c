/* test_process.c - a process's part of the arena, with a broker that is played here: it leases, shows and marks by hand. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "schemas/schemas.h"
#include "store/process.h"
#include "store/register.h"
#include "store/segment.h"

enum { GRANULES = 1024, SLOTS = 512 };
#define PINS_SIZE (TRI_TENANTS_MAX * (uint64_t)TRI_PIN_TABLE_BYTES)

struct stage {
    struct tri_segment arena, words, pins;
    struct tri_store *store;
};
static const struct tri_store_shape shape = {.granules = GRANULES, .slots = SLOTS, .table = 3};

static void
set(struct stage *stage)
{
    int fds[TRI_STORE_FDS];
    cr_assert_eq(tri_segment_create((uint64_t)GRANULES * TRI_GRANULE, &stage->arena, NULL), TRP_OK);
    cr_assert_eq(tri_segment_create(SLOTS * sizeof(tri_slot_word), &stage->words, NULL), TRP_OK);
    cr_assert_eq(tri_segment_create(PINS_SIZE, &stage->pins, NULL), TRP_OK);
    cr_assert_eq(tri_segment_back(&stage->arena, 0, stage->arena.size, NULL), TRP_OK);
    cr_assert_eq(tri_segment_back(&stage->words, 0, stage->words.size, NULL), TRP_OK);
    cr_assert_eq(tri_segment_back(&stage->pins, 3 * (uint64_t)TRI_PIN_TABLE_BYTES, TRI_PIN_TABLE_BYTES, NULL), TRP_OK);
    fds[0] = dup(stage->arena.fd);
    fds[1] = dup(stage->words.read_fd);
    fds[2] = dup(stage->pins.fd);
    cr_assert_eq(tri_store_begin(fds, &shape, &stage->store, NULL), TRP_OK);
}

static void
strike(struct stage *stage)
{
    tri_store_end(&stage->store);
    tri_segment_close(&stage->arena);
    tri_segment_close(&stage->words);
    tri_segment_close(&stage->pins);
}

static tri_slot_word *
word(const struct stage *stage, uint32_t slot)
{
    return (tri_slot_word *)(void *)stage->words.base + slot;
}

static bool
is_pinned(const struct stage *stage, uint32_t slot)
{
    uint64_t bits[SLOTS / 64] = {0};
    (void)tri_pins_collect((struct tri_pin_table *)(void *)(stage->pins.base + 3 * (uint64_t)TRI_PIN_TABLE_BYTES),
                           word(stage, 0), SLOTS, bits);
    return bits[slot / 64] >> slot % 64 & 1;
}

static void
lease(struct stage *stage, uint32_t start, uint32_t count, uint32_t slot, uint32_t slots)
{
    uint32_t list[64];
    for (uint32_t i = 0; i < slots; i++)
        list[i] = slot + i;
    cr_assert_eq(tri_store_lease(stage->store, (struct tri_span){start, count}, list, slots, NULL), TRP_OK);
}

Test(store_process, room_is_asked_for_once_and_an_object_lies_in_it)
{
    struct stage stage;
    uint32_t wanted = 0;
    set(&stage);
    cr_assert_null(tri_store_take(stage.store, 3 * TRI_GRANULE + 1, &wanted));
    cr_expect_eq(wanted, 4);
    lease(&stage, 100, 8, 20, 2);
    struct tri_buf *buf = tri_store_take(stage.store, 3 * TRI_GRANULE + 1, &wanted);
    cr_assert_not_null(buf);
    cr_expect(buf->place->start == 100 && buf->place->size == 3 * TRI_GRANULE + 1 && buf->place->slot < SLOTS);
    cr_expect_eq((uintptr_t)buf->data % TRI_GRANULE, 0);
    memset(buf->data, 7, buf->size);
    cr_expect_eq(stage.arena.base[100 * TRI_GRANULE], 7, "it is shared");
    cr_expect(is_pinned(&stage, buf->place->slot), "nobody takes it away");
    tri_buf_release(&buf);
    strike(&stage);
}

Test(store_process, room_of_what_nobody_heard_of_is_used_again_and_told_objects_stay)
{
    struct stage stage;
    uint32_t wanted;
    set(&stage);
    lease(&stage, 100, 4, 20, 2);
    struct tri_buf *buf = tri_store_take(stage.store, 4 * TRI_GRANULE, &wanted);
    cr_assert_not_null(buf);
    tri_buf_release(&buf);
    buf = tri_store_take(stage.store, 4 * TRI_GRANULE, &wanted);
    cr_assert_not_null(buf, "its room came back");
    const uint32_t slot = buf->place->slot;
    tri_store_tell(&buf, 1);
    tri_store_settle(stage.store);
    cr_expect(is_pinned(&stage, slot), "until the broker has seen it");
    tri_buf_release(&buf);
    cr_expect_not(is_pinned(&stage, slot));
    cr_expect_null(tri_store_take(stage.store, TRI_GRANULE, &wanted), "that is the broker's now");
    cr_expect_eq(wanted, 1);
    strike(&stage);
}

Test(store_process, an_object_needs_a_slot_as_well_as_room)
{
    struct stage stage;
    uint32_t wanted;
    set(&stage);
    lease(&stage, 0, 8, 20, 1);
    struct tri_buf *first = tri_store_take(stage.store, 1, &wanted);
    cr_assert_not_null(first);
    cr_expect_null(tri_store_take(stage.store, 1, &wanted));
    cr_expect_eq(wanted, 1);
    tri_buf_release(&first);
    strike(&stage);
}

Test(store_process, what_a_broker_has_seen_is_not_pinned_for_its_makers_sake)
{
    struct stage stage;
    uint32_t wanted;
    set(&stage);
    lease(&stage, 100, 8, 20, 3);
    struct tri_buf *buf = tri_store_take(stage.store, 10, &wanted), *read = tri_store_take(stage.store, 10, &wanted);
    cr_assert(buf != NULL && read != NULL);
    const uint32_t slot = buf->place->slot;
    cr_expect_eq(tri_store_pin(read), TRI_PINNED, "its maker reads it");
    memcpy(buf->data, "mine", 5);
    tri_slot_show(word(&stage, slot), 0, buf->place->start);
    tri_slot_show(word(&stage, read->place->slot), 0, read->place->start);
    tri_store_settle(stage.store);
    cr_expect(is_pinned(&stage, slot), "nobody was told");
    struct tri_buf *const both[] = {buf, read};
    tri_store_tell(both, 2);
    tri_store_tell(both, 2);
    tri_store_settle(stage.store);
    cr_expect_not(is_pinned(&stage, slot));
    cr_expect_null(buf->data);
    cr_expect(is_pinned(&stage, read->place->slot) && read->data != NULL);
    tri_store_unpin(read);
    cr_expect_not(is_pinned(&stage, read->place->slot));
    cr_expect_eq(tri_store_pin(buf), TRI_PINNED);
    cr_expect_str_eq((const char *)buf->data, "mine");
    tri_buf_release(&buf);
    tri_buf_release(&read);
    strike(&stage);
}

Test(store_process, what_others_made_is_read_where_it_lies_while_it_is_there)
{
    struct stage stage;
    struct tri_buf *buf = NULL;
    set(&stage);
    memcpy(stage.arena.base + 6 * TRI_GRANULE, "over there", 11);
    struct tri_place place = {.frame = 9, .slot = 77, .generation = 4, .start = 5, .size = 11};
    cr_assert_eq(tri_store_find(stage.store, &place, &buf, NULL), TRP_OK, "it need not be there");
    cr_expect(buf->data == NULL && buf->place->frame == 0 && !tri_store_is_resident(buf));
    cr_expect_eq(tri_store_pin(buf), TRI_PIN_GONE);
    tri_slot_show(word(&stage, 77), 3, 6);
    cr_expect_eq(tri_store_pin(buf), TRI_PIN_GONE, "that is another one");
    tri_slot_show(word(&stage, 77), 4, 6);
    cr_expect(tri_store_is_resident(buf));
    cr_expect_eq(tri_store_pin(buf), TRI_PINNED);
    cr_expect_str_eq((const char *)buf->data, "over there", "its word says where, not who sends the place");
    cr_expect(is_pinned(&stage, 77));
    tri_slot_mark(word(&stage, 77));
    cr_expect_eq(tri_store_pin(buf), TRI_PINNED, "it is leaving, but not for who has it");
    tri_store_unpin(buf);
    cr_expect(is_pinned(&stage, 77) && buf->data != NULL);
    tri_store_unpin(buf);
    cr_expect(!is_pinned(&stage, 77) && buf->data == NULL);
    cr_expect_eq(tri_store_pin(buf), TRI_PIN_GONE);
    memcpy(stage.arena.base + 9 * TRI_GRANULE, "elsewhere!", 11);
    tri_slot_show(word(&stage, 77), 4, 9);
    cr_expect_eq(tri_store_pin(buf), TRI_PINNED);
    cr_expect_str_eq((const char *)buf->data, "elsewhere!", "it came back at another place");
    tri_buf_release(&buf);
    cr_expect_not(is_pinned(&stage, 77));
    strike(&stage);
}

Test(store_process, places_that_cannot_be_are_refused)
{
    static const struct tri_place bad[] = {
        {.slot = SLOTS, .start = 0, .size = 1},
        {.slot = 1, .start = 0, .size = (uint64_t)GRANULES * TRI_GRANULE + 1},
        {.slot = 1, .start = 0, .size = 0},
        {.slot = 1, .start = 0, .size = UINT64_MAX},
        {.slot = UINT32_MAX, .start = UINT32_MAX, .size = 1},
    };
    struct stage stage;
    struct tri_buf *buf = NULL;
    set(&stage);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(tri_store_find(stage.store, &bad[i], &buf, NULL), TRP_EPROTO, "row %zu", i);
    const struct tri_place two = {.slot = 1, .size = TRI_GRANULE + 1};
    static const uint32_t starts[] = {GRANULES, GRANULES - 1, 0x3fffffff};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        tri_slot_show(word(&stage, 1), 0, starts[i]);
        cr_assert_eq(tri_store_find(stage.store, &two, &buf, NULL), TRP_OK, "start %zu", i);
        cr_expect_eq(tri_store_pin(buf), TRI_PIN_GONE, "start %zu", i);
        tri_buf_release(&buf);
        cr_expect_not(is_pinned(&stage, 1), "start %zu", i);
    }
    const uint32_t slots[] = {1, SLOTS};
    cr_expect_eq(tri_store_lease(stage.store, (struct tri_span){0, 1}, slots, 2, NULL), TRP_EPROTO);
    cr_expect_eq(tri_store_lease(stage.store, (struct tri_span){GRANULES, 1}, slots, 1, NULL), TRP_EPROTO);
    cr_expect_eq(tri_store_lease(stage.store, (struct tri_span){1, GRANULES}, slots, 1, NULL), TRP_EPROTO);
    strike(&stage);
}

Test(store_process, without_a_pin_to_spare_what_others_made_is_copied)
{
    struct stage stage;
    struct tri_buf **held = calloc(TRI_PINS_HELD, sizeof(struct tri_buf *)), *copy = NULL;
    uint32_t wanted = 9;
    cr_assert_not_null(held);
    set(&stage);
    memcpy(stage.arena.base, "a", 2);
    tri_slot_show(word(&stage, 0), 0, 0);
    const struct tri_place place = {.slot = 0, .generation = 0, .start = 0, .size = 2};
    for (uint32_t i = 0; i < TRI_PINS_HELD; i++)
        cr_assert(tri_store_find(stage.store, &place, &held[i], NULL) == TRP_OK &&
                  tri_store_pin(held[i]) == TRI_PINNED);
    cr_assert_eq(tri_store_find(stage.store, &place, &copy, NULL), TRP_OK);
    cr_expect_eq(tri_store_pin(copy), TRI_PINNED);
    stage.arena.base[0] = 'b';
    cr_expect_str_eq((const char *)copy->data, "a");
    cr_expect_str_eq((const char *)held[0]->data, "b");
    lease(&stage, 10, 1, 5, 1);
    cr_expect_null(tri_store_take(stage.store, 1, &wanted));
    cr_expect_eq(wanted, 0, "more room would not help");
    tri_buf_release(&copy);
    for (uint32_t i = 0; i < TRI_PINS_HELD; i++)
        tri_buf_release(&held[i]);
    struct tri_buf *own = tri_store_take(stage.store, 1, &wanted);
    cr_expect_not_null(own, "and then it is there");
    tri_buf_release(&own);
    free(held);
    strike(&stage);
}

static unsigned
open_descriptors(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    cr_assert_not_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

Test(store_process, its_buffers_may_outlive_it_and_nothing_is_left_open)
{
    struct stage stage;
    uint32_t wanted;
    const unsigned before = open_descriptors();
    set(&stage);
    lease(&stage, 0, 8, 20, 1);
    struct tri_buf *buf = tri_store_take(stage.store, 100, &wanted);
    cr_assert_not_null(buf);
    tri_store_end(&stage.store);
    memset(buf->data, 1, buf->size);
    tri_buf_release(&buf);
    strike(&stage);
    cr_expect_eq(open_descriptors(), before);
}

Test(store_process, descriptors_of_something_else_are_refused)
{
    struct stage stage;
    struct tri_store *store = NULL;
    const struct tri_place place = {.slot = 0, .start = 0, .size = 2};
    struct tri_buf *buf = NULL;
    trp_error error;
    set(&stage);
    int fds[] = {dup(stage.words.read_fd), dup(stage.words.read_fd), dup(stage.pins.fd)};
    cr_assert_eq(tri_store_begin(fds, &shape, &store, NULL), TRP_OK, "nothing is looked at before it is used");
    cr_expect_eq(tri_store_find(store, &place, &buf, &error), TRP_EPROTO);
    cr_expect_not_null(strstr(error.message, "shared memory"), "%s", error.message);
    tri_store_end(&store);
    strike(&stage);
}

static int
write_into(uint8_t *room)
{
    const pid_t pid = fork();
    int status = 0;
    if (pid == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        *(volatile uint8_t *)room = 1;
        _exit(0);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

Test(store_process, what_is_sealed_is_written_no_more_until_it_is_something_else)
{
    struct stage stage;
    uint32_t wanted = 0;
    set(&stage);
    lease(&stage, 0, 1000, 0, 64);
    for (int round = 0; round < 600;
         round++) { /* the same room again and again, and more of them than are remembered */
        struct tri_buf *buf = tri_store_take(stage.store, TRI_GRANULE + round, &wanted);
        cr_assert_not_null(buf);
        uint8_t *room = buf->data;
        memset(room, round, buf->size);
        tri_store_seal(buf);
        cr_expect(buf->data != room && buf->data[buf->size - 1] == (uint8_t)round, "it is read where nobody writes");
        if (round % 200 == 0)
            cr_expect(write_into(room) == SIGSEGV && write_into(buf->data) == SIGSEGV);
        tri_store_seal(buf); /* once more: it is */
        tri_buf_release(&buf);
    }
    struct tri_buf *plain = tri_buf_room_new(10, false);
    tri_store_seal(plain);
    tri_buf_release(&plain);
    strike(&stage);
}
