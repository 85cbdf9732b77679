/*
 * shell_login.c - HELLO: a visitor at the door becomes a member, or a member whose link was cut comes back. The cookie
 * says which visitor it is; the core says whether it may.
 *
 * Thread: the router.
 */
#include "broker/shell.h"

#include <inttypes.h>
#include <string.h>

static void
send_welcome(struct tri_member *member, bool resumed)
{
    struct tri_shell *shell = member->shell;
    struct tri_welcome welcome = {
        .version = TRI_WIRE_VERSION,
        .space = member->space,
        .broker = shell->config.incarnation,
        .received = resumed ? member->channel.session.received : 0,
        .snapshot = member->snapshot && !resumed,
        .node = shell->node_name,
        .credit_calls = member->credit_calls,
        .credit_bytes = member->credit_bytes,
        .num_cpus = shell->config.num_cpus,
        .arena_granules = member->welcome.arena_granules,
        .slots = member->welcome.slots,
        .pins = member->welcome.pins,
    };
    const struct tri_route route = {.kind = TRI_WELCOME};
    struct tri_packet packet = {0};
    trp_error error;
    if (tri_welcome_pack(&shell->packed, &welcome, &error) != TRP_OK ||
        tri_packet_single(&packet, &route, &shell->packed.section, 1, &error) != TRP_OK) {
        tri_log(TRI_ERROR, "cannot welcome process %d: %s", member->pid, error.message);
        return; /* it will ask again */
    }
    tri_member_emit(member, &packet);
}

static void
tell_root_of_driver(struct tri_member *member)
{
    struct tri_control_driver driver = {
        .head = {.kind = TRI_CONTROL_DRIVER}, .space = member->space, .pid = member->pid};
    tri_shell_tell_root(member->shell, &driver, sizeof driver, NULL, 0);
}

/* The session goes on, over another link or the same. */
static void
resume(struct tri_member *member, uint64_t link_peer, uint64_t received, bool welcomed)
{
    const uint64_t acknowledged = member->channel.session.peer_acknowledged;
    trp_error error;
    tri_member_drop_backlog(member);
    tri_member_relink(member, link_peer);
    tri_member_stays(member);
    member->heard_ns = member->shell->now_ns;
    send_welcome(member, welcomed);
    if (tri_session_resume(&member->channel.session, received, tri_member_emit, member, &error) != TRP_OK)
        tri_member_cut(member, &error);
    else if (received > acknowledged) /* it said so, too, and that was lost with the link */
        tri_core_acknowledged(member->shell->core, member->index, received, member->shell->now_ns);
}

/* A visitor that has logged in says HELLO again: its link was cut, a packet was lost, or it did not hear WELCOME. */
static trp_err
hello_again(struct tri_member *member, uint64_t link_peer, const struct tri_login *login, trp_error *error)
{
    struct tri_shell *shell = member->shell;
    const bool welcomed = login->space == member->space && login->broker == shell->config.incarnation;
    tri_peer_index index;
    struct tri_welcome welcome;
    if ((login->role == TRI_HOST) != (member->token != 0) ||
        (member->token != 0 && login->host_token != member->token) ||
        (login->space != 0 && login->space != member->space))
        return TRI_FAIL(error, TRP_EPROTO, "HELLO twice, with another identity");
    if (welcomed) {
        TRP_TRY(tri_core_hello(shell->core, login, member->pid, shell->now_ns, &index, &welcome, error));
        resume(member, link_peer, login->received, true);
    } else if (link_peer == member->link_peer) {
        send_welcome(member, false); /* what was sent since the first one comes behind it */
    } else if (member->channel.session.received == 0) {
        resume(member, link_peer, 0, false);
    } else {
        return TRI_FAIL(error, TRP_EPROTO, "HELLO of a process that has sent packets already, as if it had not");
    }
    return TRP_OK;
}

/* It has come back through another door: the one that the core knows goes on. */
static void
come_back(struct tri_member *member, struct tri_visitor *visitor, uint64_t link_peer, const struct tri_login *login)
{
    if (member->visitor != NULL) {
        member->visitor->member = NULL;
        tri_visitor_close(member->visitor, member->shell);
    }
    member->visitor = visitor;
    visitor->member = member;
    resume(member, link_peer, login->received, true);
}

static trp_err
log_in(struct tri_shell *shell, struct tri_visitor *visitor, uint64_t link_peer, const struct tri_login *login,
       trp_error *error)
{
    tri_peer_index index;
    struct tri_welcome welcome;
    struct tri_member *member;
    TRP_TRY(tri_member_new(shell, &member, error));
    shell->greeting = member;
    trp_err err = tri_core_hello(shell->core, login, visitor->pid, shell->now_ns, &index, &welcome, error);
    shell->greeting = NULL;
    if (err != TRP_OK || (tri_member_at(shell, index) != NULL && tri_member_at(shell, index) != member)) {
        tri_member_free(member);
        if (err == TRP_OK)
            come_back(tri_member_at(shell, index), visitor, link_peer, login);
        return err;
    }
    tri_member_bind(member, index);
    tri_member_relink(member, link_peer);
    member->visitor = visitor;
    visitor->member = member;
    member->pid = visitor->pid;
    member->space = welcome.space;
    member->snapshot = welcome.snapshot;
    member->welcome = welcome;
    if (welcome.arena_granules > 0)
        tri_member_open_arena(member);
    member->credit_calls = welcome.credit_calls;
    member->credit_bytes = welcome.credit_bytes;
    member->token = tri_core_token(shell->core, index);
    send_welcome(member, false);
    if (member->token == 0)
        tell_root_of_driver(member);
    tri_log(TRI_DEBUG, "process %d has logged in: %s %s%s", visitor->pid, member->token != 0 ? "host" : "driver",
            login->program != NULL ? login->program : "", welcome.snapshot ? ", from before this broker" : "");
    return TRP_OK;
}

static trp_err
on_hello(struct tri_shell *shell, uint64_t link_peer, const struct tri_envelope *envelope, trp_error *error)
{
    struct tri_section section;
    struct tri_login login;
    if (envelope->route.section_count != 1)
        return TRI_FAIL(error, TRP_EPROTO, "HELLO with %u sections", envelope->route.section_count);
    tri_envelope_section(envelope, 0, &section);
    TRP_TRY(tri_login_unpack(&section, &login, error));
    struct tri_visitor *visitor = tri_visitor_find(shell, login.cookie);
    if (visitor == NULL)
        return TRI_FAIL(error, TRP_EACCES, "HELLO with a cookie that this broker's door did not give");
    struct tri_member *member = tri_member_find(shell, link_peer);
    if (member != NULL && member != visitor->member)
        return TRI_FAIL(error, TRP_EPROTO, "HELLO twice, with another identity");
    shell->busy = true;
    if (visitor->member != NULL)
        return hello_again(visitor->member, link_peer, &login, error);
    return log_in(shell, visitor, link_peer, &login, error);
}

struct unnumbered {
    struct tri_shell *shell;
    uint64_t link_peer;
};

static trp_err
on_envelope(void *user, const struct tri_envelope *envelope, trp_error *error)
{
    struct unnumbered *from = user;
    if (envelope->route.kind != TRI_HELLO)
        return TRI_FAIL(error, TRP_EPROTO, "%s outside of a session", tri_kind_name(envelope->route.kind));
    return on_hello(from->shell, from->link_peer, envelope, error);
}

void
tri_shell_unnumbered(struct tri_shell *shell, uint64_t link_peer, const struct tri_packet *packet)
{
    struct unnumbered from = {shell, link_peer};
    trp_error error;
    if (tri_packet_each(packet, on_envelope, &from, &error) == TRP_OK)
        return;
    struct tri_member *member = tri_member_find(shell, link_peer);
    if (member != NULL) {
        tri_member_cut(member, &error);
        return;
    }
    /* After a broker's death some come with a cookie that it gave them: they see its door closed, and come again. */
    if (error.code == TRP_EACCES) {
        tri_log(TRI_INFO, "a process is not let in: %s", error.message);
        tri_shell_turn_away(shell, link_peer, &error);
    } else {
        tri_shell_refuse(shell, link_peer, &error);
    }
}
