/* fake.c - see fake.h. */
#include "tests/proc/fake.h"

const struct tri_section fake_mark = {.place = TRI_PLACE_TRACE, .size = 5, .data = (const uint8_t *)"mark"};

static uint64_t
op_post(void *user, const struct tri_route *route, const struct tri_section *sections, uint32_t count,
        uint64_t credit_bytes)
{
    struct fake *fake = user;

    cr_assert_lt(fake->count, POSTS_MAX);
    fake->posts[fake->count] = *route;
    fake->sections[fake->count] = count;
    fake->last_place = count == 0 ? 0 : sections[count - 1].place;
    fake->entries[fake->count++] = count == 0 ? 0 : sections[0].ref_count;
    if (count > 0 && sections[0].ref_count > 0)
        fake->flags = sections[0].refs[0].flags;
    fake->credit -= credit_bytes > 0;
    return fake->count;
}

static bool
op_has_credit(void *user, uint64_t bytes)
{
    (void)bytes;
    return ((struct fake *)user)->credit > 0;
}

static void
op_release(void *user, uint64_t bytes)
{
    ((struct fake *)user)->released += bytes;
}

static struct tri_ref *
op_ref_new(void *user, bool is_actor)
{
    struct tri_ref *ref = calloc(1, sizeof *ref);

    (void)user, (void)is_actor;
    tri_list_init(&ref->waiters);
    return ref;
}

static void
op_ref_free(void *user, struct tri_ref *ref)
{
    ((struct fake *)user)->freed++;
    free(ref);
}

static void
op_ready(void *user, struct tri_ref *ref)
{
    (void)ref;
    ((struct fake *)user)->ready++;
}

static trp_err
op_here(void *user, struct tri_ref *ref, const trp_error *why, trp_error *error)
{
    struct fake *fake = user;

    (void)ref, (void)error;
    fake->here += why == NULL;
    fake->refused += why != NULL;
    fake->why = why != NULL ? why->code : TRP_OK;
    return TRP_OK;
}

static void
op_run(void *user, struct tri_incoming *call)
{
    struct fake *fake = user;

    fake->call = call;
    fake->ran++;
}

static void
op_dropped(void *user, struct tri_incoming *call)
{
    (void)call;
    ((struct fake *)user)->dropped++;
}

static void
op_cancelled(void *user, struct tri_incoming *call)
{
    ((struct fake *)user)->cancelled = call->cancelled;
}

static void
op_create(void *user, const struct tri_envelope *envelope)
{
    (void)user, (void)envelope;
}

static void
op_renumbered(void *user)
{
    (void)user;
}

void
fake_open(struct fake *fake, bool is_host)
{
    struct tri_proc_ops ops = {
        .post = op_post,
        .has_credit = op_has_credit,
        .release = op_release,
        .ref_new = op_ref_new,
        .ref_free = op_ref_free,
        .ready = op_ready,
        .here = op_here,
        .run = op_run,
        .dropped = op_dropped,
        .cancelled = op_cancelled,
        .create = op_create,
        .renumbered = op_renumbered,
        .user = fake,
    };
    struct tri_welcome welcome = {
        .version = 1, .space = 7, .broker = 1, .node = "", .credit_calls = 10, .credit_bytes = 1000};

    memset(fake, 0, sizeof *fake);
    fake->credit = 10;
    cr_assert_eq(tri_proc_new(is_host, &ops, 1, &fake->proc, NULL), TRP_OK);
    cr_assert_eq(tri_proc_welcome(fake->proc, &welcome, 0, NULL), TRP_OK);
    cr_assert_eq(tri_call_pack(&fake->body, "method", trp_null(), NULL, NULL), TRP_OK);
    cr_assert_eq(tri_value_pack(&fake->value, trp_i64(1), NULL, NULL, NULL), TRP_OK);
}

void
fake_close(struct fake *fake)
{
    char why[200] = "";

    cr_assert(tri_proc_check(fake->proc, why, sizeof why), "%s", why);
    tri_proc_destroy(&fake->proc);
    tri_packed_fini(&fake->body);
    tri_packed_fini(&fake->value);
}

void
fake_hear(struct fake *fake, struct tri_route route, const struct tri_section *section)
{
    size_t size = tri_envelope_size(section, section == NULL ? 0 : 1);
    uint8_t *bytes = aligned_alloc(8, size);
    struct tri_envelope envelope;
    trp_error error;

    size = tri_envelope_write(bytes, &route, section, section == NULL ? 0 : 1);
    cr_assert_eq(tri_envelope_check(bytes, size, NULL, 0, &envelope, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(tri_proc_envelope(fake->proc, &envelope, 1, &error), TRP_OK, "%s", error.message);
    free(bytes);
}

void
fake_hear_ids(struct fake *fake, uint8_t kind, struct tri_id id)
{
    struct tri_packed packed = {0};

    const struct tri_run run = {.id = id, .count = 1};

    cr_assert_eq(kind == TRI_FREED ? tri_runs_pack(&packed, &run, 1, NULL) : tri_ids_pack(&packed, &id, 1, NULL),
                 TRP_OK);
    fake_hear(fake, (struct tri_route){.kind = kind}, &packed.section);
    tri_packed_fini(&packed);
}

void
fake_open_actor(struct fake *fake)
{
    const struct tri_spawn asked = {.class_name = "m:C", .name = "", .namespace_ = "default"};
    struct tri_packed spawn = {0};

    fake_open(fake, true);
    cr_assert_eq(tri_spawn_pack(&spawn, &asked, trp_null(), NULL, NULL), TRP_OK);
    fake_hear(fake, (struct tri_route){.kind = TRI_CREATE, .target = {3, 4}, .epoch = 5}, &spawn.section);
    tri_packed_fini(&spawn);
}
