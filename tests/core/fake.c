/*
 * fake.c - the recording shell of the core's tests.
 */
#include "tests/core/fake.h"

#include <string.h>

const struct tri_id no_id = {0, 0};

static uint64_t
on_send(void *user, tri_peer_index peer, const struct tri_route *route, const struct tri_section *sections,
        uint32_t count, bool credited)
{
    struct fake *fake = user;
    bool room = TRI_RESERVE(fake->sent, fake->sent_capacity, fake->sent_count + 1);
    cr_assert(room);
    struct sent *sent = &fake->sent[fake->sent_count++];
    sent->peer = peer;
    sent->credited = credited;
    sent->packet = ++fake->packets[peer];
    sent->parcel = tri_parcel_new(route, sections, count, 0);
    return sent->packet;
}

static bool
on_has_credit(void *user, tri_peer_index peer, uint64_t bytes)
{
    (void)peer, (void)bytes;
    return !((struct fake *)user)->no_credit;
}

static uint64_t
on_unread(void *user, tri_peer_index peer)
{
    return ((struct fake *)user)->unread[peer];
}

static void
on_release(void *user, tri_peer_index peer, uint64_t bytes)
{
    (void)peer;
    ((struct fake *)user)->released++;
    ((struct fake *)user)->released_bytes += bytes;
}

static void
on_cut(void *user, tri_peer_index peer, const char *reason)
{
    (void)peer, (void)reason;
    ((struct fake *)user)->cut_count++;
}

static void
on_fork(void *user, uint64_t token, const char *label, const struct tri_env *env, uint32_t env_count, uint64_t memory)
{
    struct fake *fake = user;
    (void)env, (void)memory;
    fake->forks[fake->fork_count++] = token;
    fake->env_count = env_count;
    tri_text_copy(fake->label, sizeof fake->label, label);
}

static void
on_label(void *user, uint64_t token, const char *label)
{
    (void)token;
    tri_text_copy(((struct fake *)user)->label, sizeof((struct fake *)user)->label, label);
}

static void
on_kill(void *user, uint64_t token, const char *rule)
{
    struct fake *fake = user;
    fake->killed[fake->kill_count++ % 256] = token;
    tri_text_copy(fake->kill_rule, sizeof fake->kill_rule, rule);
}

static void
on_bury(void *user, struct tri_id actor)
{
    ((struct fake *)user)->buried = actor;
}

struct fake *
fake_new(const struct tri_core_config *config, const struct tri_expected *expected, size_t count)
{
    struct fake *fake = calloc(1, sizeof *fake);
    cr_assert_not_null(fake);
    struct tri_core_config defaults = {.incarnation = 1, .node = "test", .num_cpus = 2};
    struct tri_core_ops ops = {on_send, on_has_credit, on_unread, on_release, on_cut,
                               on_fork, on_label,      on_kill,   on_bury,    fake};
    fake->now_ns = TRI_NS_PER_S;
    fake->numbers = 100;
    trp_err err = tri_core_new(config != NULL ? config : &defaults, &ops, expected, count, fake->now_ns, &fake->core,
                               &fake->error);
    cr_assert_eq(err, TRP_OK, "%s", fake->error.message);
    return fake;
}

void
fake_forget(struct fake *fake)
{
    for (size_t i = 0; i < fake->sent_count; i++)
        tri_parcel_free(&fake->sent[i].parcel);
    fake->sent_count = 0;
}

void
fake_free(struct fake *fake)
{
    fake_check(fake);
    fake_forget(fake);
    tri_core_destroy(&fake->core);
    tri_packed_fini(&fake->packed);
    free(fake->sent);
    free(fake);
}

void
fake_check(const struct fake *fake)
{
    char why[300] = "";
    cr_assert(tri_core_check(fake->core, why, sizeof why), "%s", why);
}

tri_peer_index
fake_login(struct fake *fake, enum tri_role role, uint64_t token, uint64_t space)
{
    static int32_t pid = 1000;
    struct tri_login login = {.version_min = 2, .version_max = 2, .role = role, .space = space, .host_token = token};
    struct tri_welcome welcome;
    tri_peer_index peer = TRI_NO_PEER;
    login.pid = ++pid;
    login.program = "test";
    login.broker = space != 0 ? 1 : 0;
    trp_err err = tri_core_hello(fake->core, &login, pid, fake->now_ns, &peer, &welcome, &fake->error);
    cr_assert_eq(err, TRP_OK, "%s", fake->error.message);
    cr_assert_eq(welcome.snapshot, space != 0);
    fake_check(fake);
    return peer;
}

tri_peer_index
fake_driver(struct fake *fake)
{
    return fake_login(fake, TRI_DRIVER, 0, 0);
}

tri_peer_index
fake_host(struct fake *fake)
{
    cr_assert_gt(fake->fork_count, 0);
    return fake_login(fake, TRI_HOST, fake->forks[fake->fork_count - 1], 0);
}

struct tri_id
fake_id(struct fake *fake, tri_peer_index peer)
{
    return (struct tri_id){tri_core_space(fake->core, peer), ++fake->numbers};
}

trp_err
fake_send(struct fake *fake, tri_peer_index peer, struct tri_route route, const struct tri_section *sections,
          uint32_t count)
{
    struct tri_envelope envelope;
    size_t size = tri_envelope_size(sections, count);
    uint8_t *bytes = aligned_alloc(8, size);
    cr_assert_not_null(bytes);
    size = tri_envelope_write(bytes, &route, sections, count);
    trp_err err = tri_envelope_check(bytes, size, NULL, 0, &envelope, &fake->error);
    if (err != TRP_OK) { /* the transport refuses it already */
        free(bytes);
        return err;
    }
    err = tri_core_envelope(fake->core, peer, &envelope, fake->now_ns, &fake->error);
    free(bytes);
    fake_check(fake);
    if (fake->goes_on)
        return err;
    tri_core_round(fake->core, fake->now_ns);
    fake_check(fake);
    return err;
}

void
fake_acknowledge(struct fake *fake, tri_peer_index peer)
{
    tri_core_acknowledged(fake->core, peer, fake->packets[peer], fake->now_ns);
    fake_check(fake);
    tri_core_round(fake->core, fake->now_ns);
    fake_check(fake);
}

void
fake_tick(struct fake *fake, uint64_t ms)
{
    fake->now_ns += ms * TRI_NS_PER_MS;
    tri_core_tick(fake->core, fake->now_ns);
    fake_check(fake);
}

void
fake_gone(struct fake *fake, tri_peer_index peer)
{
    tri_core_peer_gone(fake->core, peer, NULL, fake->now_ns);
    fake_check(fake);
    tri_core_round(fake->core, fake->now_ns);
}

void
fake_died(struct fake *fake, tri_peer_index peer, int signal, uint64_t started, uint64_t finished)
{
    struct tri_death death = {.present = true, .pid = 77, .exit_code = -1, .signal = signal};
    death.module = death.actor = death.method = death.backtrace = death.last_output = death.killed_by = "";
    death.started = started;
    death.finished = finished;
    uint64_t token = tri_core_token(fake->core, peer);
    fake_gone(fake, peer);
    tri_core_host_exited(fake->core, token, &death, fake->now_ns);
    fake_check(fake);
    tri_core_round(fake->core, fake->now_ns);
}

const struct sent *
fake_last(const struct fake *fake, tri_peer_index peer, uint8_t kind)
{
    for (size_t i = fake->sent_count; i-- > 0;)
        if (fake->sent[i].peer == peer && fake->sent[i].parcel->route.kind == kind)
            return &fake->sent[i];
    return NULL;
}

const struct sent *
fake_result(const struct fake *fake, tri_peer_index peer, struct tri_id id)
{
    for (size_t i = fake->sent_count; i-- > 0;)
        if (fake->sent[i].peer == peer && fake->sent[i].parcel->route.kind == TRI_RESULT &&
            tri_id_equal(fake->sent[i].parcel->route.result, id))
            return &fake->sent[i];
    return NULL;
}

size_t
fake_count(const struct fake *fake, tri_peer_index peer, uint8_t kind)
{
    size_t count = 0;
    for (size_t i = 0; i < fake->sent_count; i++)
        count += fake->sent[i].peer == peer && fake->sent[i].parcel->route.kind == kind;
    return count;
}

static bool
fake_run_names(const struct tri_section *section, struct tri_id id)
{
    const struct tri_run *runs;
    uint32_t count;
    cr_assert_eq(tri_runs_unpack(section, &runs, &count, NULL), TRP_OK);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < runs[i].count; k++)
            if (tri_id_equal(tri_run_id(&runs[i], k), id))
                return true;
    return false;
}

bool
fake_names(const struct fake *fake, tri_peer_index peer, uint8_t kind, struct tri_id id)
{
    for (size_t i = 0; i < fake->sent_count; i++) {
        const struct tri_id *ids;
        uint32_t count;
        if (fake->sent[i].peer != peer || fake->sent[i].parcel->route.kind != kind ||
            fake->sent[i].parcel->section_count == 0)
            continue;
        if (kind == TRI_FREED) {
            if (fake_run_names(&fake->sent[i].parcel->sections[0], id))
                return true;
            continue;
        }
        trp_err err = tri_ids_unpack(&fake->sent[i].parcel->sections[0], &ids, &count, NULL);
        cr_assert_eq(err, TRP_OK);
        for (uint32_t k = 0; k < count; k++)
            if (tri_id_equal(ids[k], id))
                return true;
    }
    return false;
}

trp_error
fake_error(const struct sent *sent)
{
    struct tri_failure chain[8];
    uint32_t count = 0;
    cr_assert_not_null(sent);
    trp_err err = tri_error_unpack(&sent->parcel->sections[0], chain, &count, NULL);
    cr_assert_eq(err, TRP_OK);
    return chain[0].error;
}

int64_t
fake_number(const struct sent *sent)
{
    struct tri_view view;
    cr_assert_not_null(sent);
    trp_err err = tri_view_open(&view, &sent->parcel->sections[0], NULL);
    cr_assert_eq(err, TRP_OK);
    int64_t number = trp_as_i64(tri_view_value(&view, 0));
    tri_view_close(&view);
    return number;
}

/* ------------------------------------------------------------------------------------------------------------ messages */

struct tri_section
fake_value(struct fake *fake, int64_t number)
{
    trp_err err = tri_value_pack(&fake->packed, trp_i64(number), NULL, NULL, &fake->error);
    cr_assert_eq(err, TRP_OK, "%s", fake->error.message);
    return fake->packed.section;
}

struct tri_section
fake_failure(struct fake *fake, trp_err code, const char *message)
{
    struct tri_failure failure = {0};
    tri_fail(&failure.error, code, "%s", message);
    trp_err err = tri_error_pack(&fake->packed, &failure, &fake->error);
    cr_assert_eq(err, TRP_OK, "%s", fake->error.message);
    return fake->packed.section;
}

static trp_err
send_call(struct fake *fake, tri_peer_index peer, struct tri_route route, const struct tri_ref_entry *refs,
          uint16_t count)
{
    route.kind = TRI_CALL;
    trp_err err = tri_call_pack(&fake->packed, "m", trp_null(), NULL, &fake->error);
    cr_assert_eq(err, TRP_OK, "%s", fake->error.message);
    struct tri_section section = fake->packed.section;
    section.refs = refs;
    section.ref_count = count;
    return fake_send(fake, peer, route, &section, 1);
}

trp_err
fake_call(struct fake *fake, tri_peer_index peer, struct tri_id target, struct tri_id result, uint64_t sequence,
          const struct tri_ref_entry *refs, uint16_t count)
{
    struct tri_route route = {.target = target, .result = result, .sequence = sequence};
    route.flags = tri_id_is_none(result) ? TRI_ONE_WAY : 0;
    return send_call(fake, peer, route, refs, count);
}

trp_err
fake_task(struct fake *fake, tri_peer_index peer, struct tri_id result, const struct tri_ref_entry *refs,
          uint16_t count)
{
    struct tri_route route = {.flags = TRI_TASK, .result = result};
    return send_call(fake, peer, route, refs, count);
}

trp_err
fake_return(struct fake *fake, tri_peer_index host, struct tri_id result, int64_t number)
{
    struct tri_section section = fake_value(fake, number);
    return fake_send(fake, host, (struct tri_route){.kind = TRI_RESULT, .result = result}, &section, 1);
}

trp_err
fake_fail(struct fake *fake, tri_peer_index host, struct tri_id result, trp_err code, const char *message)
{
    struct tri_section section = fake_failure(fake, code, message);
    struct tri_route route = {.kind = TRI_RESULT, .flags = TRI_FAILED, .result = result};
    return fake_send(fake, host, route, &section, 1);
}

trp_err
fake_ids(struct fake *fake, tri_peer_index peer, uint8_t kind, uint16_t flags, struct tri_id parent,
         const struct tri_id *ids, uint32_t count)
{
    trp_err err = tri_ids_pack(&fake->packed, ids, count, &fake->error);
    cr_assert_eq(err, TRP_OK, "%s", fake->error.message);
    struct tri_route route = {.kind = kind, .flags = flags, .parent = parent};
    return fake_send(fake, peer, route, &fake->packed.section, 1);
}

trp_err
fake_release(struct fake *fake, tri_peer_index peer, struct tri_id id, uint64_t handed)
{
    struct tri_run release = {.id = id, .count = 1, .handed = handed};
    trp_err err = tri_runs_pack(&fake->packed, &release, 1, &fake->error);
    cr_assert_eq(err, TRP_OK, "%s", fake->error.message);
    return fake_send(fake, peer, (struct tri_route){.kind = TRI_RELEASE}, &fake->packed.section, 1);
}

trp_err
fake_put(struct fake *fake, tri_peer_index peer, struct tri_id id, int64_t number, const struct tri_ref_entry *refs,
         uint16_t count)
{
    struct tri_section section = fake_value(fake, number);
    section.refs = refs;
    section.ref_count = count;
    return fake_send(fake, peer, (struct tri_route){.kind = TRI_PUT, .result = id}, &section, 1);
}

trp_err
fake_answer_fetch(struct fake *fake, tri_peer_index peer, struct tri_id id, int64_t number)
{
    struct tri_section section = fake_value(fake, number);
    struct tri_route route = {.kind = TRI_PUT, .flags = TRI_FETCHED, .result = id};
    return fake_send(fake, peer, route, &section, 1);
}

trp_err
fake_request(struct fake *fake, tri_peer_index peer, uint8_t kind, struct tri_id target, struct tri_id result,
             const struct tri_section *body)
{
    return fake_send(fake, peer, (struct tri_route){.kind = kind, .target = target, .result = result}, body,
                     body != NULL ? 1 : 0);
}

struct tri_spawn
fake_spawn_body(const char *name)
{
    return (struct tri_spawn){.class_name = "counter:Counter", .name = name, .namespace_ = "default"};
}

trp_err
fake_spawn(struct fake *fake, tri_peer_index peer, struct tri_id target, struct tri_id result,
           const struct tri_spawn *body)
{
    trp_err err = tri_spawn_pack(&fake->packed, body, trp_null(), NULL, &fake->error);
    cr_assert_eq(err, TRP_OK, "%s", fake->error.message);
    return fake_request(fake, peer, TRI_SPAWN, target, result, &fake->packed.section);
}

trp_err
fake_plain(struct fake *fake, tri_peer_index peer, uint8_t kind, struct tri_id target, struct tri_id parent)
{
    return fake_send(fake, peer, (struct tri_route){.kind = kind, .target = target, .parent = parent}, NULL, 0);
}

struct tri_id
fake_actor_of(struct fake *fake, tri_peer_index driver, const char *name, uint64_t concurrency, tri_peer_index *host)
{
    struct tri_id actor = fake_id(fake, driver);
    struct tri_spawn body = fake_spawn_body(name);
    trp_err err = fake_spawn(fake, driver, actor, name[0] != '\0' ? fake_id(fake, driver) : no_id, &body);
    cr_assert_eq(err, TRP_OK, "%s", fake->error.message);
    *host = fake_host(fake);
    cr_assert_not_null(fake_last(fake, *host, TRI_CREATE));
    fake_acknowledge(fake, *host);
    struct tri_route ready = {.kind = TRI_READY, .target = actor, .sequence = concurrency};
    err = fake_send(fake, *host, ready, NULL, 0);
    cr_assert_eq(err, TRP_OK, "%s", fake->error.message);
    return actor;
}

struct tri_id
fake_actor(struct fake *fake, tri_peer_index driver, const char *name, tri_peer_index *host)
{
    return fake_actor_of(fake, driver, name, 0, host);
}
