/*
 * shell_packets.c - packets in and out of the ROUTER socket. libzmq's descriptor is edge-triggered: after every send the
 * socket is read again until nothing is there, before anybody sleeps.
 *
 * Thread: the router. It knows sessions and queues, not what envelopes say.
 */
#include "broker/shell.h"

#include <stdlib.h>

/* ------------------------------------------------------------------------------------------------------------- out */

void
tri_member_drop_backlog(struct tri_member *member)
{
    while (!tri_list_empty(&member->pending)) {
        struct tri_unsent_packet *unsent = TRI_OWNER(member->pending.next, struct tri_unsent_packet, link);
        tri_list_remove(&unsent->link);
        tri_packet_fini(&unsent->packet);
        free(unsent);
    }
    tri_list_remove(&member->backlog);
}

static void
keep_unsent(struct tri_member *member, struct tri_packet *packet)
{
    struct tri_shell *shell = member->shell;
    struct tri_unsent_packet *unsent = malloc(sizeof *unsent);
    if (unsent == NULL) {
        tri_packet_fini(packet);
        member->failed = shell->any_failed = true;
        return;
    }
    unsent->packet = *packet;
    *packet = (struct tri_packet){0};
    tri_list_append(&member->pending, &unsent->link);
    tri_list_remove(&member->backlog);
    tri_list_append(&shell->backlogs, &member->backlog);
    if (shell->retry_ns == TRI_NEVER)
        shell->retry_ns = shell->now_ns + TRI_RETRY_MS * TRI_NS_PER_MS;
}

/* Other failures than a full queue mean that the link is cut: the session has the packet. */
void
tri_member_emit(void *user, struct tri_packet *packet)
{
    struct tri_member *member = user;
    trp_err err = TRP_ENOENT;
    if (!member->struck) {
        member->shell->dry = false;
        err = TRP_EAGAIN;
        if (tri_list_empty(&member->pending))
            err = tri_link_send(member->shell->server, member->link_peer, packet, NULL);
    }
    if (err == TRP_EAGAIN)
        keep_unsent(member, packet);
    else if (err != TRP_OK)
        tri_packet_fini(packet);
}

static bool
retry_member(struct tri_member *member)
{
    while (!tri_list_empty(&member->pending)) {
        struct tri_unsent_packet *unsent = TRI_OWNER(member->pending.next, struct tri_unsent_packet, link);
        member->shell->dry = false;
        trp_err err = member->struck ? TRP_ENOENT
                                     : tri_link_send(member->shell->server, member->link_peer, &unsent->packet, NULL);
        if (err == TRP_EAGAIN)
            return false;
        if (err != TRP_OK)
            tri_packet_fini(&unsent->packet);
        tri_list_remove(&unsent->link);
        free(unsent);
    }
    return true;
}

void
tri_shell_retry(struct tri_shell *shell)
{
    struct tri_node *next;
    for (struct tri_node *node = shell->backlogs.next; node != &shell->backlogs; node = next) {
        next = node->next;
        if (retry_member(TRI_OWNER(node, struct tri_member, backlog)))
            tri_list_remove(node);
    }
    shell->retry_ns = tri_list_empty(&shell->backlogs) ? TRI_NEVER : shell->now_ns + TRI_RETRY_MS * TRI_NS_PER_MS;
}

/* Something was posted. */
static void
touch(struct tri_member *member)
{
    if (tri_list_empty(&member->dirty))
        tri_list_append(&member->shell->dirty, &member->dirty);
}

void
tri_member_post(struct tri_member *member, const struct tri_route *route, const struct tri_section *sections,
                uint32_t section_count, uint64_t *where)
{
    if (member->failed || member->struck)
        return;
    if (tri_channel_post(&member->channel, route, sections, section_count, where, NULL) != TRP_OK) {
        member->failed = member->shell->any_failed = true;
        return;
    }
    touch(member);
}

void
tri_shell_flush(struct tri_shell *shell)
{
    while (!tri_list_empty(&shell->dirty)) {
        struct tri_member *member = TRI_OWNER(shell->dirty.next, struct tri_member, dirty);
        tri_list_remove(&member->dirty);
        if (member->struck)
            continue;
        if (tri_channel_flush(&member->channel, tri_member_emit, member, NULL) != TRP_OK)
            member->failed = shell->any_failed = true;
        if (member->token != 0)
            tri_shell_arm_heartbeat(shell);
    }
}

void
tri_member_owes(struct tri_member *member)
{
    if (!tri_list_empty(&member->owing) || member->struck || !tri_session_owes(&member->channel.session))
        return;
    /* In the order that they are due; who waits to leave is told at once. */
    member->owes_since_ns = member->left ? 0 : member->shell->now_ns;
    tri_list_append(member->left ? member->shell->owing.next : &member->shell->owing, &member->owing);
}

void
tri_shell_acknowledge(struct tri_shell *shell)
{
    while (!tri_list_empty(&shell->owing)) {
        struct tri_member *member = TRI_OWNER(shell->owing.next, struct tri_member, owing);
        if (member->owes_since_ns + TRI_ACK_MS * TRI_NS_PER_MS > shell->now_ns)
            return;
        tri_list_remove(&member->owing);
        if (member->struck || !tri_session_owes(&member->channel.session))
            continue;
        if (tri_channel_acknowledge(&member->channel, tri_member_emit, member, NULL) != TRP_OK)
            member->failed = shell->any_failed = true;
    }
}

/* -------------------------------------------------------------------------------------------------------------- in */

static trp_err
on_envelope(void *user, const struct tri_envelope *envelope, trp_error *error)
{
    struct tri_member *member = user;
    if (member->index == TRI_NO_PEER)
        return TRP_OK; /* the core has cut it over an envelope before this one */
    if (envelope->route.kind == TRI_GOODBYE)
        member->left = true;
    return tri_core_envelope(member->shell->core, member->index, envelope, member->shell->now_ns, error);
}

static void
on_numbered(struct tri_member *member, struct tri_packet *packet)
{
    struct tri_shell *shell = member->shell;
    struct tri_session *session = &member->channel.session;
    const uint64_t acknowledged = session->peer_acknowledged, calls = session->returned_calls,
                   bytes = session->returned_bytes;
    enum tri_receipt receipt;
    trp_error error;
    member->heard_ns = shell->now_ns;
    member->pinged = false;
    trp_err err = tri_channel_receive(&member->channel, packet, on_envelope, member, &receipt, &error);
    shell->busy = true;
    if (err != TRP_OK) {
        tri_member_cut(member, &error);
        return;
    }
    if (member->index == TRI_NO_PEER)
        return; /* the core has cut it meanwhile */
    if (session->peer_acknowledged != acknowledged || session->returned_calls != calls ||
        session->returned_bytes != bytes)
        tri_core_acknowledged(shell->core, member->index, session->peer_acknowledged, shell->now_ns);
    tri_member_owes(member);
    tri_member_left_out(member);
    if (member->left && member->token == 0)
        tri_member_gone(member);
}

static void
on_packet(struct tri_shell *shell, uint64_t link_peer, struct tri_packet *packet)
{
    struct tri_batch_head head;
    trp_error error;
    struct tri_member *member = tri_member_find(shell, link_peer);
    if (member != NULL && (member->struck || member->index == TRI_NO_PEER))
        return;
    if (tri_packet_head(packet, &head, &error) != TRP_OK) {
        if (member != NULL) {
            tri_member_cut(member, &error);
        } else {
            tri_shell_refuse(shell, link_peer, &error);
        }
    } else if (head.sequence == 0 && head.envelope_count > 0) {
        tri_shell_unnumbered(shell, link_peer, packet);
    } else if (member != NULL) {
        on_numbered(member, packet);
    } else {
        shell->dropped++; /* of a session that is over: that process will say HELLO */
    }
}

uint32_t
tri_shell_receive(struct tri_shell *shell)
{
    uint32_t count = 0;
    while (count < TRI_ROUND_PACKETS) {
        struct tri_packet packet = {0};
        uint64_t link_peer = 0;
        trp_error error;
        trp_err err = tri_link_recv(shell->server, 0, &link_peer, &packet, &error);
        if (err == TRP_ETIMEDOUT) {
            shell->dry = true;
            shell->dry_reads++;
            return count;
        }
        count++;
        shell->now_ns = tri_now_ns();
        if (err == TRP_OK) {
            on_packet(shell, link_peer, &packet);
            tri_packet_fini(&packet);
            continue;
        }
        struct tri_member *member = tri_member_find(shell, link_peer);
        if (member != NULL && !member->struck && member->index != TRI_NO_PEER)
            tri_member_cut(member, &error);
        else if (err == TRP_EPROTO && member == NULL)
            tri_shell_refuse(shell, link_peer, &error);
        else if (err == TRP_EPROTO)
            tri_link_strike(shell->server, link_peer);
    }
    return count;
}

/* A link that has ended may have handed packets over just before: all of them are there for the next read. */
bool
tri_shell_heard_all(struct tri_shell *shell, uint64_t link_peer, struct tri_last_words *last_words)
{
    enum tri_connection connection = TRI_DISCONNECTED;
    if (last_words->dry_read == 0)
        connection = tri_link_connection(shell->server, link_peer);
    if (last_words->dry_read == 0 && connection == TRI_DISCONNECTED) {
        last_words->dry_read = shell->dry_reads + 1;
        shell->dry = false; /* read before anybody sleeps */
    }
    if (last_words->dry_read != 0 && shell->dry_reads >= last_words->dry_read)
        return true;
    uint64_t wait_ms = connection == TRI_UNTOLD ? TRI_LAST_WORDS_MS : TRI_LAST_WORDS_MAX_MS;
    if (shell->now_ns < last_words->since_ns + wait_ms * TRI_NS_PER_MS)
        return false;
    if (connection == TRI_CONNECTED)
        tri_log(TRI_DEBUG, "a process has ended, but its link is open: another process has it, or much is to be read");
    return true;
}
