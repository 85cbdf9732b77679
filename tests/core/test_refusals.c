/*
 * test_refusals.c - what a broken or hostile process may send: each is refused, and nothing else changes.
 */
#include "tests/core/fake.h"

enum body { NONE, CALL, VALUE, IDS, NAME, GARBAGE, SPAWN, SNAPSHOT };
enum who { DRIVER, HOST };
#define FOREIGN 1 /* a name of another process */
#define OWN     2

static const struct row {
    const char *what;
    enum who who;
    uint8_t kind;
    uint16_t flags;
    int target, result;
    uint64_t sequence;
    enum body body;
} rows[] = {
    {"WELCOME is not for the broker", DRIVER, TRI_WELCOME, 0, 0, 0, 0, NONE},
    {"HELLO in a session", DRIVER, TRI_HELLO, 0, 0, 0, 0, VALUE},
    {"RESULT from a driver", DRIVER, TRI_RESULT, 0, 0, OWN, 0, VALUE},
    {"READY from a driver", DRIVER, TRI_READY, 0, FOREIGN, 0, 0, NONE},
    {"RETURNED from a driver", DRIVER, TRI_RETURNED, 0, 0, 0, 0, IDS},
    {"BLOCKED from a driver", DRIVER, TRI_BLOCKED, 0, 0, 0, 0, IDS},
    {"CALL without a body", DRIVER, TRI_CALL, 0, FOREIGN, OWN, 1, NONE},
    {"CALL without target or TASK", DRIVER, TRI_CALL, 0, 0, OWN, 1, CALL},
    {"CALL with target and TASK", DRIVER, TRI_CALL, TRI_TASK, FOREIGN, OWN, 0, CALL},
    {"CALL without a result", DRIVER, TRI_CALL, 0, FOREIGN, 0, 1, CALL},
    {"one-way CALL with a result", DRIVER, TRI_CALL, TRI_ONE_WAY, FOREIGN, OWN, 1, CALL},
    {"CALL under another's name", DRIVER, TRI_CALL, 0, FOREIGN, FOREIGN, 1, CALL},
    {"CALL without a number", DRIVER, TRI_CALL, 0, FOREIGN, OWN, 0, CALL},
    {"CALL with FAILED", DRIVER, TRI_CALL, TRI_FAILED, FOREIGN, OWN, 1, CALL},
    {"TASK that cannot be read", DRIVER, TRI_CALL, TRI_TASK, 0, OWN, 0, GARBAGE},
    {"RESULT of a call that it was not given", HOST, TRI_RESULT, 0, 0, FOREIGN, 0, VALUE},
    {"RESULT without a name", HOST, TRI_RESULT, 0, 0, 0, 0, VALUE},
    {"RETURNED of no task", HOST, TRI_RETURNED, 0, 0, 0, 0, IDS},
    {"BLOCKED of no execution", HOST, TRI_BLOCKED, 0, 0, 0, 0, IDS},
    {"BLOCKED that cannot be read", HOST, TRI_BLOCKED, 0, 0, 0, 0, GARBAGE},
    {"READY of another's actor", HOST, TRI_READY, 0, FOREIGN, 0, 0, NONE},
    {"CREATE out of a snapshot", HOST, TRI_CREATE, 0, OWN, 0, 0, SPAWN},
    {"SNAPSHOT that nobody asked for", DRIVER, TRI_SNAPSHOT, TRI_LAST, 0, 0, 0, SNAPSHOT},
    {"PUT under another's name", DRIVER, TRI_PUT, 0, 0, FOREIGN, 0, VALUE},
    {"PUT of what was not asked for", DRIVER, TRI_PUT, TRI_FETCHED, 0, FOREIGN, 0, VALUE},
    {"PUT of one's own that was not asked for", DRIVER, TRI_PUT, TRI_FETCHED, 0, OWN, 0, VALUE},
    {"PUT of nothing", DRIVER, TRI_PUT, 0, 0, 0, 0, VALUE},
    {"WAIT that cannot be read", DRIVER, TRI_WAIT, 0, 0, 0, 0, GARBAGE},
    {"RELEASE that cannot be read", DRIVER, TRI_RELEASE, 0, 0, 0, 0, GARBAGE},
    {"CANCEL that cannot be read", DRIVER, TRI_CANCEL, 0, 0, 0, 0, GARBAGE},
    {"SPAWN under another's name", DRIVER, TRI_SPAWN, 0, FOREIGN, 0, 0, SPAWN},
    {"SPAWN that cannot be read", DRIVER, TRI_SPAWN, 0, OWN, 0, 0, GARBAGE},
    {"KILL that cannot be read", DRIVER, TRI_KILL, 0, OWN, OWN, 0, GARBAGE},
    {"LOOKUP without a result", DRIVER, TRI_LOOKUP, 0, 0, 0, 0, NAME},
    {"LOOKUP that cannot be read", DRIVER, TRI_LOOKUP, 0, 0, OWN, 0, GARBAGE},
    {"WATCH that cannot be read", DRIVER, TRI_WATCH, 0, OWN, OWN, 0, GARBAGE},
    {"QUERY under another's name", DRIVER, TRI_QUERY, 0, 0, FOREIGN, 0, NAME},
    {"MODULE that cannot be read", HOST, TRI_MODULE, 0, 0, 0, 0, GARBAGE},
};

static struct tri_section
body_of(struct fake *fake, enum body body)
{
    static const uint8_t garbage[64] = {0xff, 0xff, 0xff, 0x7f, 9, 9, 9};
    struct tri_spawn spawn = fake_spawn_body("");
    struct tri_snapshot snapshot = {0};
    struct tri_id id = {77, 77};
    trp_err err = TRP_OK;
    if (body == GARBAGE)
        return (struct tri_section){.meta_size = sizeof garbage, .size = sizeof garbage, .data = garbage};
    if (body == CALL)
        err = tri_call_pack(&fake->packed, "m", trp_null(), NULL, &fake->error);
    else if (body == VALUE)
        err = tri_value_pack(&fake->packed, trp_i64(1), NULL, NULL, &fake->error);
    else if (body == IDS)
        err = tri_ids_pack(&fake->packed, &id, 1, &fake->error);
    else if (body == NAME)
        err = tri_name_pack(&fake->packed, "x", "default", &fake->error);
    else if (body == SPAWN)
        err = tri_spawn_pack(&fake->packed, &spawn, trp_null(), NULL, &fake->error);
    else
        err = tri_snapshot_pack(&fake->packed, &snapshot, &fake->error);
    cr_assert_eq(err, TRP_OK, "%s", fake->error.message);
    return fake->packed.section;
}

static struct tri_id
name(struct fake *fake, tri_peer_index peer, int which)
{
    return which == 0 ? no_id : which == FOREIGN ? (struct tri_id){UINT64_C(1) << 32 | 999, 5} : fake_id(fake, peer);
}

Test(refusals, every_bad_envelope_is_refused_and_changes_nothing)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    fake_actor(fake, driver, "", &host);
    struct tri_core_counts before, after;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        tri_peer_index peer = row->who == HOST ? host : driver;
        struct tri_route route = {.kind = row->kind, .flags = row->flags, .sequence = row->sequence};
        struct tri_section section = {0};
        route.target = name(fake, peer, row->target);
        route.result = name(fake, peer, row->result);
        if (row->body != NONE)
            section = body_of(fake, row->body);
        tri_core_count(fake->core, &before);
        trp_err err = fake_send(fake, peer, route, &section, row->body != NONE ? 1 : 0);
        tri_core_count(fake->core, &after);
        cr_assert_eq(err, TRP_EPROTO, "%s: %d", row->what, (int)err);
        cr_assert_eq(before.objects, after.objects, "%s", row->what);
        cr_assert_eq(before.pending, after.pending, "%s", row->what);
        cr_assert_eq(before.holds, after.holds, "%s", row->what);
    }
    fake_free(fake);
}

Test(refusals, a_name_can_be_taken_once)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    tri_peer_index driver = fake_driver(fake), host;
    struct tri_id actor = fake_actor(fake, driver, "", &host), result = fake_id(fake, driver);
    fake_call(fake, driver, actor, result, 1, NULL, 0);
    cr_assert_eq(fake_call(fake, driver, actor, result, 2, NULL, 0), TRP_EPROTO);
    struct tri_spawn body = fake_spawn_body("");
    cr_assert_eq(fake_spawn(fake, driver, actor, no_id, &body), TRP_EPROTO);
    struct tri_ref_entry wrong = {.id = actor, .place = 0};
    cr_assert_eq(fake_call(fake, driver, actor, fake_id(fake, driver), 3, &wrong, 1), TRP_EPROTO);
    fake_free(fake);
}

Test(refusals, a_login_has_to_fit)
{
    struct fake *fake = fake_new(NULL, NULL, 0);
    const struct {
        struct tri_login login;
        trp_err err;
    } logins[] = {
        {{.version_min = 3, .version_max = 4, .role = TRI_DRIVER, .pid = 5}, TRP_EPROTO},
        {{.version_min = 2, .version_max = 2, .role = 9, .pid = 5}, TRP_EPROTO},
        {{.version_min = 2, .version_max = 2, .role = TRI_DRIVER, .pid = 6}, TRP_EACCES},
        {{.version_min = 2, .version_max = 2, .role = TRI_HOST, .pid = 5, .host_token = 3}, TRP_EACCES},
        {{.version_min = 2, .version_max = 2, .role = TRI_DRIVER, .pid = 5, .space = 12345}, TRP_EPROTO},
        {{.version_min = 2, .version_max = 2, .role = TRI_DRIVER, .pid = 5, .space = UINT64_C(9) << 32}, TRP_EPROTO},
    };
    for (size_t i = 0; i < sizeof logins / sizeof *logins; i++) {
        struct tri_welcome welcome;
        tri_peer_index peer;
        trp_err err = tri_core_hello(fake->core, &logins[i].login, 5, 0, &peer, &welcome, &fake->error);
        cr_assert_eq(err, logins[i].err, "row %zu: %d", i, (int)err);
    }
    fake_free(fake);
}
