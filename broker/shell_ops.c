/*
 * shell_ops.c - what the core wants done. Called from inside of the core, so nothing here calls it: what fails becomes an
 * event of its own, after the step.
 *
 * Thread: the router.
 */
#include "broker/shell.h"

static struct tri_member *
addressee(struct tri_shell *shell, tri_peer_index peer)
{
    struct tri_member *member = tri_member_at(shell, peer);
    if (member == NULL && shell->greeting != NULL && shell->greeting->index == TRI_NO_PEER) {
        member = shell->greeting;
        tri_member_bind(member, peer);
    }
    TRI_ASSERT(member != NULL);
    return member;
}

static uint64_t
on_send(void *user, tri_peer_index peer, const struct tri_route *route, const struct tri_section *sections,
        uint32_t section_count, bool credited)
{
    struct tri_member *member = addressee(user, peer);
    uint64_t where = member->channel.session.next_sequence;
    tri_member_post(member, route, sections, section_count, &where);
    if (credited)
        tri_session_use(&member->channel.session, tri_envelope_bytes(sections, section_count));
    return where;
}

static bool
on_has_credit(void *user, tri_peer_index peer, uint64_t bytes)
{
    return tri_session_has_credit(&addressee(user, peer)->channel.session, bytes);
}

static uint64_t
on_unread(void *user, tri_peer_index peer)
{
    const struct tri_channel *channel = &addressee(user, peer)->channel;
    return channel->session.sent_bytes + tri_channel_pending_bytes(channel);
}

static void
on_release(void *user, tri_peer_index peer, uint64_t bytes)
{
    struct tri_member *member = addressee(user, peer);
    tri_session_release(&member->channel.session, bytes);
    tri_member_owes(member);
}

/* The core has forgotten it, and may give its index to another: only its last words are still ours to bring. */
static void
on_cut(void *user, tri_peer_index peer, const char *reason)
{
    struct tri_shell *shell = user;
    struct tri_member *member = tri_member_at(shell, peer);
    if (member == NULL)
        return;
    tri_log(TRI_WARNING, "process %d is cut: %s", member->pid, reason);
    shell->members[peer] = NULL;
    member->index = TRI_NO_PEER;
    tri_list_remove(&member->link);
    tri_list_append(&shell->doomed, &member->link);
}

static void
on_fork(void *user, uint64_t token, const char *label, const struct tri_env *env, uint32_t env_count,
        uint64_t memory_bytes)
{
    struct tri_shell *shell = user;
    struct tri_control_fork fork = {.head = {.kind = TRI_CONTROL_FORK, .token = token}, .memory_bytes = memory_bytes};
    const char *texts[1 + 2 * TRI_SPAWN_LISTS_MAX];
    uint32_t count = 0;
    trp_error error;
    texts[count++] = label != NULL ? label : "";
    for (uint32_t i = 0; i < env_count && i < TRI_SPAWN_LISTS_MAX; i++) {
        texts[count++] = env[i].name;
        texts[count++] = env[i].text;
    }
    trp_err err = tri_control_send(&shell->control, &fork, sizeof fork, texts, count, &error);
    if (err == TRP_OK || err == TRP_EBROKER)
        return; /* without a root all is over */
    tri_log(TRI_WARNING, "cannot ask for a host: %s", error.message);
    if (TRI_RESERVE(shell->failed_forks, shell->failed_fork_capacity, shell->failed_fork_count + 1))
        shell->failed_forks[shell->failed_fork_count++] = token;
}

static void
on_label(void *user, uint64_t token, const char *label)
{
    struct tri_control_head head = {.kind = TRI_CONTROL_LABEL, .token = token};
    tri_shell_tell_root(user, &head, sizeof head, &label, 1);
}

static void
on_kill(void *user, uint64_t token, const char *rule)
{
    tri_shell_kill(user, token, rule);
}

static void
on_bury(void *user, struct tri_id actor)
{
    struct tri_control_bury bury = {.head = {.kind = TRI_CONTROL_BURY}, .actor = actor};
    tri_shell_tell_root(user, &bury, sizeof bury, NULL, 0);
}

void
tri_shell_ops(struct tri_shell *shell, struct tri_core_ops *ops)
{
    *ops = (struct tri_core_ops){.send = on_send,
                                 .has_credit = on_has_credit,
                                 .unread = on_unread,
                                 .release = on_release,
                                 .cut = on_cut,
                                 .fork = on_fork,
                                 .label = on_label,
                                 .kill = on_kill,
                                 .bury = on_bury,
                                 .user = shell};
}

static struct tri_member *
find_failed(const struct tri_shell *shell)
{
    for (struct tri_node *node = shell->member_list.next; node != &shell->member_list; node = node->next) {
        struct tri_member *member = TRI_OWNER(node, struct tri_member, link);
        if (member->failed && !member->struck)
            return member;
    }
    return NULL;
}

void
tri_shell_report_failures(struct tri_shell *shell)
{
    struct tri_member *member;
    trp_error error;
    while (shell->failed_fork_count > 0) {
        uint64_t token = shell->failed_forks[--shell->failed_fork_count];
        tri_core_fork_failed(shell->core, token, TRP_ELIMIT, "its environment is too large", shell->now_ns);
        shell->busy = true;
    }
    while (shell->any_failed && (member = find_failed(shell)) != NULL) {
        (void)TRI_FAIL(&error, TRP_ENOMEM, "the broker has no memory for what is to be sent to it");
        tri_member_cut(member, &error);
    }
    shell->any_failed = false;
}
