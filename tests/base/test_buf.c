/* test_buf.c - counted blocks, and lists. */
#include <criterion/criterion.h>

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "transport/base/base.h"

Test(buf, is_aligned_and_holds_its_bytes)
{
    for (size_t size = 0; size < 100; size++) {
        struct tri_buf *buf = tri_buf_new(size);
        cr_assert_not_null(buf);
        cr_assert_eq((uintptr_t)buf->data % 16, 0);
        cr_assert_eq(buf->size, size);
        memset(buf->data, 1, size);
        tri_buf_release(&buf);
        cr_assert_null(buf);
    }
}

Test(buf, nothing_is_retained_and_released_without_harm)
{
    struct tri_buf *none = NULL;

    cr_assert_null(tri_buf_retain(NULL));
    tri_buf_release(&none);
}

Test(buf, more_than_there_is_memory_is_refused)
{
    cr_assert_null(tri_buf_new(SIZE_MAX));
    cr_assert_null(tri_buf_new(SIZE_MAX - 8));
}

static unsigned freed;

static void
count_free(struct tri_buf *buf)
{
    (void)buf;
    freed++;
}

static void *
retain_and_release(void *argument)
{
    for (int i = 0; i < 10000; i++) {
        struct tri_buf *mine = tri_buf_retain(argument);
        tri_buf_release(&mine);
    }
    return NULL;
}

Test(buf, is_freed_once_after_the_last_holder_on_any_thread)
{
    struct tri_buf foreign = {.references = 1, .free = count_free}, *mine = &foreign;
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, retain_and_release, &foreign), 0);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    cr_assert_eq(freed, 0);
    tri_buf_release(&mine);
    cr_assert_eq(freed, 1);
}

Test(list, keeps_its_order_and_forgives_removing_twice)
{
    struct tri_node head, nodes[3], zeroed = {0};

    tri_list_init(&head);
    for (int i = 0; i < 3; i++)
        tri_list_append(&head, &nodes[i]);
    tri_list_remove(&nodes[1]);
    tri_list_remove(&nodes[1]);
    tri_list_remove(&zeroed);
    cr_assert_eq(head.next, &nodes[0]);
    cr_assert_eq(nodes[0].next, &nodes[2]);
    tri_list_remove(&nodes[0]);
    tri_list_remove(&nodes[2]);
    cr_assert(tri_list_empty(&head));
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

Test(buf, rooms_are_aligned_and_those_of_pages_are_read_only_once_sealed)
{
    static const size_t sizes[] = {0, 1, 64, 4097, 1000000};
    for (int pages = 0; pages < 2; pages++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            struct tri_buf *buf = tri_buf_room_new(sizes[i], pages);
            cr_assert_not_null(buf);
            cr_expect(buf->size == sizes[i] && (uintptr_t)buf->data % 64 == 0 && tri_buf_room(buf) == 0);
            memset(buf->data, 5, sizes[i]);
            tri_buf_seal(buf);
            if (pages && sizes[i] > 0)
                cr_expect(write_into(buf->data + sizes[i] - 1) == SIGSEGV && buf->data[sizes[i] - 1] == 5);
            tri_buf_release(&buf);
        }
}
