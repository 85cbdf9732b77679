/* test_control.c - messages between root and broker: there and back, queued, and refused. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/node/control.h"

static struct tri_control ends[2];
static union tri_control_message message;
static const char *texts[TRI_CONTROL_TEXTS_MAX];
static trp_error error;

static void
open_pair(void)
{
    int fds[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    tri_control_init(&ends[0], fds[0]);
    tri_control_init(&ends[1], fds[1]);
}

static void
close_pair(void)
{
    tri_control_fini(&ends[0]);
    tri_control_fini(&ends[1]);
}

TestSuite(control, .init = open_pair, .fini = close_pair);

Test(control, a_message_arrives_with_its_texts)
{
    struct tri_control_fork fork = {.head = {.kind = TRI_CONTROL_FORK, .token = 7}, .memory_bytes = 9};
    const char *sent[] = {"counter:Counter", "NAME", ""};
    cr_assert_eq(tri_control_send(&ends[0], &fork, sizeof fork, sent, 3, &error), TRP_OK);
    cr_assert_eq(tri_control_recv(&ends[1], &message, texts, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(message.head.kind, TRI_CONTROL_FORK);
    cr_expect_eq(message.head.token, 7);
    cr_expect_eq(message.fork.memory_bytes, 9);
    cr_assert_eq(message.head.text_count, 3);
    for (int i = 0; i < 3; i++)
        cr_expect_str_eq(texts[i], sent[i]);
    cr_expect_eq(tri_control_recv(&ends[1], &message, texts, &error), TRP_EAGAIN);
}

Test(control, what_the_socket_does_not_take_waits_in_order)
{
    char text[1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    const char *sent[] = {text};
    enum { COUNT = 2000 };
    for (uint64_t i = 0; i < COUNT; i++) {
        struct tri_control_line line = {.head = {.kind = TRI_CONTROL_LINE, .token = i}};
        cr_assert_eq(tri_control_send(&ends[0], &line, sizeof line, sent, 1, &error), TRP_OK);
    }
    cr_expect(tri_control_waits(&ends[0]));
    for (uint64_t i = 0; i < COUNT; i++) {
        cr_assert_eq(tri_control_flush(&ends[0], &error), TRP_OK);
        cr_assert_eq(tri_control_recv(&ends[1], &message, texts, &error), TRP_OK, "%s", error.message);
        cr_assert_eq(message.head.token, i);
    }
    cr_expect_not(tri_control_waits(&ends[0]));
    cr_expect_eq(ends[0].waiting_bytes, 0);
}

Test(control, the_other_end_closed_is_known_on_both_ways)
{
    struct tri_control_head stop = {.kind = TRI_CONTROL_STOP};
    tri_control_fini(&ends[1]);
    cr_expect_eq(tri_control_recv(&ends[0], &message, texts, &error), TRP_EBROKER);
    cr_expect_eq(tri_control_send(&ends[0], &stop, sizeof stop, NULL, 0, &error), TRP_EBROKER);
}

Test(control, a_text_that_is_too_long_is_refused_and_nothing_is_sent)
{
    static char text[TRI_CONTROL_MAX + 1];
    struct tri_control_head label = {.kind = TRI_CONTROL_LABEL};
    const char *sent[] = {text};
    memset(text, 'x', sizeof text - 1);
    cr_expect_eq(tri_control_send(&ends[0], &label, sizeof label, sent, 1, &error), TRP_ELIMIT);
    cr_expect_eq(tri_control_recv(&ends[1], &message, texts, &error), TRP_EAGAIN);
}

Test(control, bytes_that_do_not_add_up_are_refused)
{
    static union tri_control_message bad;
    static const struct {
        uint32_t kind, text_count;
        int64_t number;
        size_t size;
        const char *tail;
        size_t tail_size;
    } rows[] = {
        {TRI_CONTROL_STOP, 0, 0, 8, "", 0},                                        /* less than a head */
        {0, 0, 0, sizeof(struct tri_control_head), "", 0},                         /* no kind */
        {TRI_CONTROL_KIND_COUNT, 0, 0, sizeof(struct tri_control_head), "", 0},    /* no such kind */
        {TRI_CONTROL_START, 2, 0, sizeof(struct tri_control_head), "a\0b", 4},     /* half a struct */
        {TRI_CONTROL_LABEL, 0, 0, sizeof(struct tri_control_head), "", 0},         /* its text is missing */
        {TRI_CONTROL_LABEL, 1, 0, sizeof(struct tri_control_head), "abc", 3},      /* without its end */
        {TRI_CONTROL_LABEL, 1, 0, sizeof(struct tri_control_head), "abc\0def", 8}, /* one more than said */
        {TRI_CONTROL_LABEL, 2, 0, sizeof(struct tri_control_head), "abc", 4},      /* one less */
        {TRI_CONTROL_LABEL, 4000000000u, 0, sizeof(struct tri_control_head), "abc", 4},
        {TRI_CONTROL_EXPECTED, 0, 5, offsetof(struct tri_control_expected, living), "", 0},
        {TRI_CONTROL_EXPECTED, 0, -1, offsetof(struct tri_control_expected, living), "", 0},
        {TRI_CONTROL_EXPECTED, 0, INT64_MAX, offsetof(struct tri_control_expected, living), "", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        memset(&bad, 0, sizeof bad);
        bad.head =
            (struct tri_control_head){.kind = rows[i].kind, .text_count = rows[i].text_count, .number = rows[i].number};
        memcpy(bad.bytes + rows[i].size, rows[i].tail, rows[i].tail_size);
        cr_assert_gt(send(ends[0].fd, bad.bytes, rows[i].size + rows[i].tail_size, 0), 0);
        cr_expect_eq(tri_control_recv(&ends[1], &message, texts, &error), TRP_EPROTO, "row %zu", i);
    }
}

Test(control, each_kind_has_a_name)
{
    for (uint32_t kind = 1; kind < TRI_CONTROL_KIND_COUNT; kind++)
        cr_expect_str_neq(tri_control_name(kind), "?", "kind %u", kind);
    cr_expect_str_eq(tri_control_name(TRI_CONTROL_KIND_COUNT), "?");
}
