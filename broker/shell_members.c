/*
 * shell_members.c - members of the node: made, found, cut, gone; and whether hosts are still there.
 *
 * Thread: the router.
 */
#include "broker/shell.h"

#include <stdlib.h>

enum { HOST_WINDOW_CALLS = 4096, HOST_WINDOW_BYTES = 16 * 1024 * 1024 };

trp_err
tri_member_new(struct tri_shell *shell, struct tri_member **member, trp_error *error)
{
    struct tri_member *made = calloc(1, sizeof *made);
    if (made == NULL || tri_table_reserve(&shell->by_link, 1) != TRP_OK) {
        free(made);
        return TRI_FAIL(error, TRP_ENOMEM, "the broker has no memory for another process");
    }
    const struct tri_core_limits *limits = &shell->config.limits;
    tri_channel_init(&made->channel, limits->host_window_calls != 0 ? limits->host_window_calls : HOST_WINDOW_CALLS,
                     limits->host_window_bytes != 0 ? limits->host_window_bytes : HOST_WINDOW_BYTES);
    made->shell = shell;
    made->index = TRI_NO_PEER;
    made->leaves_ns = TRI_NEVER;
    made->heard_ns = shell->now_ns;
    struct tri_node *nodes[] = {&made->link, &made->dirty, &made->owing, &made->pending, &made->backlog};
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
        tri_list_init(nodes[i]);
    *member = made;
    return TRP_OK;
}

void
tri_member_bind(struct tri_member *member, tri_peer_index index)
{
    TRI_ASSERT(index < member->shell->config.limits.peers);
    member->index = index;
    member->shell->members[index] = member;
    if (tri_list_empty(&member->link))
        tri_list_append(&member->shell->member_list, &member->link);
}

static void
unlink_peer(struct tri_member *member)
{
    if (!member->linked)
        return;
    tri_table_remove(&member->shell->by_link, &member->entry);
    tri_link_strike(member->shell->server, member->link_peer);
    member->linked = false;
}

void
tri_member_relink(struct tri_member *member, uint64_t link_peer)
{
    if (member->linked && member->link_peer == link_peer)
        return;
    unlink_peer(member);
    member->link_peer = link_peer;
    member->entry.id = (struct tri_id){link_peer, 0};
    /* One was reserved when it was made; links that were left have made room since. */
    if (tri_table_reserve(&member->shell->by_link, 1) != TRP_OK) {
        member->failed = member->shell->any_failed = true;
        return;
    }
    tri_table_insert(&member->shell->by_link, &member->entry);
    member->linked = true;
}

struct tri_member *
tri_member_find(const struct tri_shell *shell, uint64_t link_peer)
{
    struct tri_entry *entry = tri_table_find(&shell->by_link, (struct tri_id){link_peer, 0});
    return entry != NULL ? TRI_OWNER(entry, struct tri_member, entry) : NULL;
}

struct tri_member *
tri_member_at(const struct tri_shell *shell, tri_peer_index index)
{
    return index < shell->config.limits.peers ? shell->members[index] : NULL;
}

struct tri_member *
tri_member_of_token(const struct tri_shell *shell, uint64_t token)
{
    for (struct tri_node *node = shell->member_list.next; node != &shell->member_list; node = node->next) {
        struct tri_member *member = TRI_OWNER(node, struct tri_member, link);
        if (member->token == token)
            return member;
    }
    return NULL;
}

void
tri_member_free(struct tri_member *member)
{
    struct tri_shell *shell = member->shell;
    if (member->index != TRI_NO_PEER)
        shell->members[member->index] = NULL;
    unlink_peer(member);
    if (member->leaves_ns != TRI_NEVER)
        shell->leaving_count--;
    tri_member_drop_backlog(member);
    struct tri_node *nodes[] = {&member->link, &member->dirty, &member->owing, &member->backlog};
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
        tri_list_remove(nodes[i]);
    if (member->visitor != NULL) {
        member->visitor->member = NULL;
        tri_visitor_close(member->visitor, shell);
    }
    tri_channel_fini(&member->channel);
    free(member);
}

/* ------------------------------------------------------------------------------------------------------- cut, gone */

void
tri_shell_send_cut(struct tri_shell *shell, uint64_t link_peer, const trp_error *why)
{
    const struct tri_failure failure = {.error = *why};
    const struct tri_route route = {.kind = TRI_CUT};
    struct tri_packet packet = {0};
    if (tri_error_pack(&shell->packed, &failure, NULL) != TRP_OK ||
        tri_packet_single(&packet, &route, &shell->packed.section, 1, NULL) != TRP_OK)
        return; /* the door says it, too */
    shell->dry = false;
    if (tri_link_send(shell->server, link_peer, &packet, NULL) != TRP_OK)
        tri_packet_fini(&packet);
}

void
tri_shell_turn_away(struct tri_shell *shell, uint64_t link_peer, const trp_error *why)
{
    tri_shell_send_cut(shell, link_peer, why);
    tri_link_strike(shell->server, link_peer);
}

bool
tri_shell_may_log_bad(struct tri_shell *shell)
{
    const uint64_t left_out = shell->bad.left_out;
    if (!tri_rate_take(&shell->bad, tri_now_ns()))
        return false;
    if (left_out > 0)
        tri_log(TRI_WARNING, "... %llu lines left out about what processes should not have said",
                (unsigned long long)left_out);
    shell->bad.left_out = 0;
    return true;
}

/* Which process it is nobody knows: only HELLO ties a link to the door. */
void
tri_shell_refuse(struct tri_shell *shell, uint64_t link_peer, const trp_error *why)
{
    if (tri_shell_may_log_bad(shell))
        tri_log(TRI_WARNING, "a process that is not logged in is cut: %s", why->message);
    tri_shell_turn_away(shell, link_peer, why);
}

static void
tell_root_driver_gone(struct tri_member *member)
{
    struct tri_control_driver driver = {.head = {.kind = TRI_CONTROL_DRIVER}, .space = member->space, .gone = 1};
    tri_shell_tell_root(member->shell, &driver, sizeof driver, NULL, 0);
}

void
tri_member_leaves(struct tri_member *member)
{
    struct tri_shell *shell = member->shell;
    uint64_t wait_ms = member->token != 0 ? TRI_EXIT_WAIT_MS : 0;
    if (member->leaves_ns == TRI_NEVER)
        shell->leaving_count++;
    member->leaves_ns = shell->now_ns + wait_ms * TRI_NS_PER_MS;
    member->last_words = (struct tri_last_words){.since_ns = shell->now_ns};
}

void
tri_member_stays(struct tri_member *member)
{
    if (member->leaves_ns != TRI_NEVER)
        member->shell->leaving_count--;
    member->leaves_ns = TRI_NEVER;
}

void
tri_member_gone(struct tri_member *member)
{
    struct tri_shell *shell = member->shell;
    tri_log(TRI_DEBUG, "driver %d has left%s", member->pid, member->left ? "" : " without a word");
    tell_root_driver_gone(member);
    tri_core_peer_gone(shell->core, member->index, NULL, shell->now_ns);
    tri_member_free(member);
    shell->busy = true;
}

/* A host stays a member until it has ended, so that its death is told as what it is; nothing comes from it or goes to it. */
void
tri_member_cut(struct tri_member *member, const trp_error *why)
{
    struct tri_shell *shell = member->shell;
    tri_log(TRI_WARNING, "process %d is cut: %s", member->pid, why->message);
    if (member->linked)
        tri_shell_send_cut(shell, member->link_peer, why);
    member->struck = true;
    if (member->token == 0) {
        member->left = true;
        tri_member_gone(member);
        return;
    }
    unlink_peer(member);
    tri_shell_kill(shell, member->token, why->message);
    tri_member_leaves(member);
}

/* Whom the core has cut: what it posted goes out first. */
void
tri_shell_close_doomed(struct tri_shell *shell)
{
    while (!tri_list_empty(&shell->doomed)) {
        struct tri_member *member = TRI_OWNER(shell->doomed.next, struct tri_member, link);
        if (member->token != 0)
            tri_shell_kill(shell, member->token, "the broker cut it");
        else
            tell_root_driver_gone(member);
        tri_member_free(member);
    }
}

static struct tri_member *
find_leaving(struct tri_shell *shell)
{
    for (struct tri_node *node = shell->member_list.next; node != &shell->member_list; node = node->next) {
        struct tri_member *member = TRI_OWNER(node, struct tri_member, link);
        if (member->leaves_ns <= shell->now_ns &&
            (member->token != 0 || tri_shell_heard_all(shell, member->link_peer, &member->last_words)))
            return member;
    }
    return NULL;
}

/* One at a time: when the core hears that one has gone, it may cut others. */
void
tri_shell_leaving(struct tri_shell *shell)
{
    struct tri_member *member;
    while (shell->leaving_count > 0 && (member = find_leaving(shell)) != NULL) {
        if (member->token == 0) {
            tri_member_gone(member);
        } else {
            tri_shell_kill(shell, member->token, "it closed its door and did not end");
            tri_member_leaves(member);
        }
    }
}

/* ------------------------------------------------------------------------------------------------------- heartbeat */

void
tri_shell_arm_heartbeat(struct tri_shell *shell)
{
    if (shell->heartbeat_ns == TRI_NEVER)
        shell->heartbeat_ns = shell->now_ns + TRI_PING_MS * TRI_NS_PER_MS;
}

static bool
is_outstanding(const struct tri_member *member)
{
    const struct tri_session *session = &member->channel.session;
    return !member->struck && member->token != 0 &&
           (session->sent_count > 0 || session->used_calls != session->returned_calls);
}

static void
look_at(struct tri_member *member)
{
    struct tri_shell *shell = member->shell;
    const uint64_t silence_ns = shell->now_ns - member->heard_ns;
    const struct tri_route ping = {.kind = TRI_PING};
    trp_error error;
    if (member->pinged && silence_ns >= TRI_SILENCE_MS * TRI_NS_PER_MS) {
        (void)TRI_FAIL(&error, TRP_EACTORDIED, "it gave no sign of life for %d ms", TRI_SILENCE_MS);
        tri_member_cut(member, &error);
    } else if (!member->pinged) {
        if (silence_ns < TRI_PING_MS * TRI_NS_PER_MS)
            return;
        member->heard_ns = shell->now_ns - TRI_PING_MS * TRI_NS_PER_MS; /* it had nothing to answer until now */
        member->pinged = true;
        tri_member_post(member, &ping, NULL, 0, NULL);
    }
}

void
tri_shell_heartbeat(struct tri_shell *shell)
{
    bool any = false;
    if (shell->now_ns < shell->heartbeat_ns)
        return;
    for (struct tri_node *node = shell->member_list.next; node != &shell->member_list; node = node->next) {
        struct tri_member *member = TRI_OWNER(node, struct tri_member, link); /* a host: cutting it frees nothing yet */
        if (!is_outstanding(member))
            continue;
        any = true;
        look_at(member);
    }
    shell->heartbeat_ns = any ? shell->now_ns + TRI_PING_MS * TRI_NS_PER_MS : TRI_NEVER;
}
