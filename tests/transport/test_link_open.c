/* test_link_open.c - addresses of links: which there are, which are refused, and one where nobody is. */
#include "helpers.h"

#include <stdio.h>
#include <string.h>

Test(link_open, addresses_that_cannot_be_are_refused)
{
    static const struct {
        const char *address;
        trp_err err;
        const char *part;
    } rows[] = {
        {"ipc:///nonexistent/directory/l.sock", TRP_EINVAL, "cannot listen at"},
        {"tcp://999.0.0.1:1", TRP_EINVAL, "cannot listen at"},
        {"inproc://", TRP_EINVAL, "without a name"},
        {"ipc://", TRP_EINVAL, "without a name"},
    };
    void *context = make_context();

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct tri_link_ops *ops = tri_link_find(rows[i].address);
        struct tri_link *link = NULL;
        cr_assert_not_null(ops);
        EXPECT(rows[i].err, ops->bind(context, rows[i].address, &link, &why));
        cr_assert_null(link);
        cr_assert_not_null(strstr(why.message, rows[i].part), "'%s' lacks '%s'", why.message, rows[i].part);
    }
    tri_link_context_end(&context);
}

Test(link_open, a_path_that_no_socket_can_have_is_refused_with_its_length)
{
    void *context = make_context();
    struct tri_link *link = NULL;
    char address[300];

    for (size_t size = 108; size < 290; size += 60) {
        char part[32];
        memset(address, 'x', sizeof address);
        memcpy(address, "ipc:///tmp/", 11);
        address[6 + size] = '\0';
        EXPECT(TRP_EINVAL, tri_link_find(address)->bind(context, address, &link, &why));
        EXPECT(TRP_EINVAL, tri_link_find(address)->connect(context, address, &link, &why));
        (void)snprintf(part, sizeof part, "%zu bytes, at most 107", size);
        cr_assert_not_null(strstr(why.message, part), "'%s' lacks '%s'", why.message, part);
        cr_assert_not_null(strstr(why.message, "set TROUPE_DIR"));
    }
    tri_link_context_end(&context);
}

Test(link_open, unknown_schemes_have_none)
{
    static const char *const unknown[] = {"", "ipc", "ipc:/x", "udp://x", "ip://x", "ipcc://x", "://x"};

    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        cr_assert_null(tri_link_find(unknown[i]), "'%s' was found", unknown[i]);
    for (size_t i = 0; tri_link_table[i] != NULL; i++) {
        char address[64];
        (void)snprintf(address, sizeof address, "%s://x", tri_link_table[i]->scheme);
        cr_assert_eq(tri_link_find(address), tri_link_table[i]);
    }
}

Test(link_open, two_servers_at_one_address_are_refused)
{
    void *context = make_context();
    struct tri_link *first = NULL, *second = NULL;
    const struct tri_link_ops *ops = tri_link_find("inproc://");

    EXPECT(TRP_OK, ops->bind(context, "inproc://twice", &first, &why));
    EXPECT(TRP_EALREADY, ops->bind(context, "inproc://twice", &second, &why));
    cr_assert_null(second);
    tri_link_close(&first);
    tri_link_context_end(&context);
}

Test(link_open, without_a_peer_nothing_is_taken_over)
{
    void *context = make_context();
    struct tri_link *client = NULL;
    struct tri_packet packet;
    char directory[64], address[128];

    scratch_make(directory, "transport");
    (void)snprintf(address, sizeof address, "ipc://%s/nobody", directory);
    EXPECT(TRP_OK, tri_link_find(address)->connect(context, address, &client, &why));
    make_packet(&packet, 6, 6000, NULL, 0);
    EXPECT(TRP_EAGAIN, tri_link_send(client, 0, &packet, &why));
    check_packet(&packet, 6, 6000, NULL, 0);
    tri_link_close(&client);
    tri_link_context_end(&context);
    scratch_remove(directory);
}
