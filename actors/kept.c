/*
 * kept.c - who holds what trp_keep is given: "troupe:Kept", a class that libtroupe has itself, of which the node has one actor,
 * "troupe/kept". It is written as a module, on its own thread as any actor; keep.c calls it. It must not know who asks.
 *
 * A reference here is a hold like any other, so the object lives while it stands in the table, also after its maker's death;
 * the value is asked for at once, so that it lies here, too, and does not go with the last process that had it.
 *
 * In a node service a value without references is written to disk as well (store/kept.h). The next holder, of this node or of the
 * one that lives in its directory after it, finds it there, and makes an object of it when it is asked for.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "actors/checks.h"
#include "actors/kept_disk.h"
#include "actors/modules.h"
#include "actors/process.h"

/* Between two sweeps of the table, which looks at each; what is over is not found anyway. */
#define SWEEP_NS (10 * TRI_NS_PER_MS)
enum { KEPT_MAX = 1048576 };

struct kept {
    struct tri_entry by_name;
    trp_ref *ref;      /* NULL: it lies on disk alone */
    struct tri_id id;  /* of the object that was written */
    uint64_t until_ns; /* TRI_NEVER: until told otherwise */
    bool on_disk;
    char name[];
};

struct holder {
    struct tri_table table; /* of struct kept */
    uint64_t alarm_ns, swept_ns;
    trp_runtime *runtime; /* the actor's */
    int files;            /* store/kept.h; -1: there are none yet */
};

/* ---------------------------------------------------------------------------------------------------------- the table */

static struct kept *
kept_of(struct tri_entry *entry)
{
    return TRI_OWNER(entry, struct kept, by_name);
}

static void
forget(struct holder *holder, struct kept *gone)
{
    tri_table_remove(&holder->table, &gone->by_name);
    trp_ref_release(&gone->ref);
    free(gone);
}

static void
drop(struct holder *holder, struct kept *gone)
{
    if (gone->on_disk)
        tri_kept_remove(holder->files, gone->name);
    forget(holder, gone);
}

/* NULL: nothing is kept under this name, or no longer. */
static struct kept *
find(struct holder *holder, const char *name)
{
    struct tri_entry *entry = tri_table_find(&holder->table, tri_id_of_text(name, strlen(name)));
    struct kept *kept = entry != NULL ? kept_of(entry) : NULL;

    if (kept == NULL || strcmp(kept->name, name) != 0)
        return NULL;
    if (kept->until_ns > tri_now_ns())
        return kept;
    drop(holder, kept);
    return NULL;
}

static trp_err
add(struct holder *holder, const char *name, struct kept **made, trp_error *error)
{
    const struct tri_id id = tri_id_of_text(name, strlen(name));
    struct tri_entry *other = tri_table_find(&holder->table, id);
    struct kept *kept;

    if (other != NULL)
        return TRI_FAIL(error, TRP_EEXIST, "the name '%s' cannot be told from '%s', which is taken", name,
                        kept_of(other)->name);
    if (holder->table.count == KEPT_MAX)
        return TRI_FAIL(error, TRP_ELIMIT, "%d objects are kept, the limit", (int)KEPT_MAX);
    kept = calloc(1, sizeof *kept + strlen(name) + 1);
    if (kept == NULL || tri_table_reserve(&holder->table, 1) != TRP_OK) {
        free(kept);
        return TRI_FAIL(error, TRP_ENOMEM, "there is no memory to keep another object");
    }
    (void)strcpy(kept->name, name);
    kept->until_ns = TRI_NEVER;
    kept->by_name.id = id;
    tri_table_insert(&holder->table, &kept->by_name);
    *made = kept;
    return TRP_OK;
}

/* ------------------------------------------------------------------------------------------------------------- disk */

static trp_err
save(struct holder *holder, struct kept *kept, trp_error *error)
{
    const struct tri_process *process = holder->runtime->process;
    trp_err err = TRP_ENOENT;

    if (!process->is_service)
        return TRP_OK;
    if (kept->on_disk)
        return tri_kept_renew(holder->files, kept->name, tri_wall_ms(kept->until_ns), error);
    if (holder->files >= 0)
        err = tri_kept_save(holder->files, kept->name, kept->until_ns, kept->ref, &kept->on_disk, error);
    if (err != TRP_ENOENT)
        return err;
    if (holder->files >= 0)
        close(holder->files); /* somebody has removed the directory */
    holder->files = -1;
    TRP_TRY(tri_kept_open(process->directory, true, &holder->files, error));
    return tri_kept_save(holder->files, kept->name, kept->until_ns, kept->ref, &kept->on_disk, error);
}

/* Makes an object of what is on disk alone. What is damaged is kept no longer. */
static trp_err
load(struct holder *holder, struct kept *kept, trp_error *error)
{
    trp_err err;

    if (kept->ref != NULL)
        return TRP_OK;
    err = tri_kept_load(holder->files, kept->name, holder->runtime, &kept->ref, error);
    if (err == TRP_EOBJLOST) {
        tri_log(TRI_WARNING, "%s", error->message);
        drop(holder, kept);
    }
    return err;
}

/* ------------------------------------------------------------------------------------------------------------- time */

static void
set_alarm(const trp_ctx *ctx, struct holder *holder, uint64_t at_ns)
{
    const uint64_t soonest_ns = holder->swept_ns + SWEEP_NS;

    if (at_ns != TRI_NEVER && at_ns < soonest_ns)
        at_ns = soonest_ns;
    if (at_ns == holder->alarm_ns)
        return;
    holder->alarm_ns = at_ns;
    tri_process_alarm(ctx->runtime->process, at_ns, ctx->actor, "sweep");
}

struct sweep {
    struct holder *holder;
    uint64_t next_ns;
};

static void
sweep_one(struct tri_entry *entry, void *user)
{
    struct kept *kept = kept_of(entry);
    struct sweep *sweep = user;

    if (kept->until_ns <= sweep->holder->swept_ns)
        drop(sweep->holder, kept);
    else if (kept->until_ns < sweep->next_ns)
        sweep->next_ns = kept->until_ns;
}

static trp_err
on_sweep(trp_ctx *ctx, void *self)
{
    struct sweep sweep = {.holder = self, .next_ns = TRI_NEVER};

    sweep.holder->swept_ns = tri_now_ns();
    sweep.holder->alarm_ns = 0; /* the one that called this is over */
    tri_table_each(&sweep.holder->table, sweep_one, &sweep);
    set_alarm(ctx, sweep.holder, sweep.next_ns);
    return TRP_OK;
}

/* ------------------------------------------------------------------------------------------------------------ methods */

static trp_err
fail_taken(trp_ctx *ctx, const struct kept *kept)
{
    if (kept->ref == NULL)
        return trp_fail(ctx, TRP_EEXIST, "an object is kept under the name '%s' already", kept->name);
    return trp_fail(ctx, TRP_EEXIST, "object %s is kept under the name '%s' already", trp_ref_id(kept->ref),
                    kept->name);
}

/* Also where a holder before this one has written it. */
static bool
is_same(const struct kept *kept, const trp_ref *ref)
{
    return kept->ref != NULL ? kept->ref == ref : tri_id_equal(kept->id, ref->handle.ref.entry.id);
}

/* Its value is to come here when there is one. */
static trp_err
want(trp_ref *ref, trp_error *error)
{
    struct tri_process *process = NULL;
    trp_err err;

    TRP_TRY(tri_handle_enter(&ref->handle, "ref", &process, error));
    err = tri_proc_want(process->proc, &ref->handle.ref, error);
    tri_process_unlock(process);
    return err;
}

struct arrival {
    struct holder *holder;
    trp_reply *reply; /* NULL: nobody waits for it */
    char name[];
};

static void
on_here(trp_ref *ref, void *user)
{
    struct arrival *arrival = user;
    struct kept *kept = find(arrival->holder, arrival->name);
    trp_error why;
    trp_err err = TRP_OK;

    if (kept != NULL && kept->ref == ref)
        err = save(arrival->holder, kept, &why);
    if (err != TRP_OK)
        drop(arrival->holder, kept);
    if (arrival->reply != NULL && err == TRP_OK)
        trp_reply_value(&arrival->reply, trp_null());
    else if (arrival->reply != NULL)
        trp_reply_fail(&arrival->reply, (int32_t)err, "%s", why.message);
    else if (err != TRP_OK)
        tri_log(TRI_WARNING, "%s", why.message);
    free(arrival);
}

/* Who has the value already hears that it is kept when it lies here, too, and may go then. */
static trp_err
await(trp_ctx *ctx, struct holder *holder, struct kept *kept, bool answers)
{
    struct arrival *arrival = calloc(1, sizeof *arrival + strlen(kept->name) + 1);
    trp_err err = arrival != NULL ? TRP_OK : trp_fail(ctx, TRP_ENOMEM, "there is no memory to wait for a value");

    if (err == TRP_OK) {
        (void)strcpy(arrival->name, kept->name);
        arrival->holder = holder;
        err = want(kept->ref, ctx->error);
    }
    if (err == TRP_OK && answers)
        err = trp_defer(ctx, &arrival->reply);
    if (err == TRP_OK) {
        err = trp_on_ready(kept->ref, on_here, arrival, ctx->error);
        if (err == TRP_OK)
            return TRP_OK;
        if (answers)
            trp_reply_fail(&arrival->reply, (int32_t)err, "the value cannot be waited for");
    }
    free(arrival);
    return answers ? TRP_OK : err;
}

/* trp_keep looks before it asks; others call the methods by their names. */
static trp_err
check(trp_ctx *ctx, trp_ref **ref, const char **name)
{
    const trp_value first = trp_at(ctx->args[0], 0);
    trp_error why;

    *name = trp_as_str(ctx->args[1]);
    if (ctx->args[0].size != 1 || first.kind != TRP_REF || first.as.ref == NULL)
        return trp_fail(ctx, TRP_EINVAL, "object is a list of one reference");
    if (tri_check_text("name", *name, &why) != TRP_OK)
        return trp_fail(ctx, TRP_EINVAL, "%s", why.message);
    *ref = first.as.ref;
    return TRP_OK;
}

static trp_err
on_keep(trp_ctx *ctx, void *self)
{
    struct holder *holder = self;
    const int64_t ttl_ms = trp_as_i64(ctx->args[2]);
    const char *name = NULL;
    trp_ref *ref = NULL;
    struct kept *kept;
    trp_error why;
    trp_err err = check(ctx, &ref, &name);
    bool is_new;

    if (err != TRP_OK)
        return err;
    if (ttl_ms <= 0 && ttl_ms != TRP_FOREVER)
        return trp_fail(ctx, TRP_EINVAL, "ttl_ms is %" PRId64 "; it has to be a time in milliseconds", ttl_ms);
    kept = find(holder, name);
    is_new = kept == NULL;
    if (!is_new && !is_same(kept, ref))
        return fail_taken(ctx, kept);
    if (is_new) {
        err = add(holder, name, &kept, &why);
        if (err != TRP_OK)
            return trp_fail(ctx, (int32_t)err, "%s", why.message);
    }
    if (kept->ref == NULL)
        kept->ref = trp_ref_retain(ref);
    kept->until_ns = tri_until_ns(ttl_ms);
    if (kept->until_ns < holder->alarm_ns)
        set_alarm(ctx, holder, kept->until_ns);
    if (trp_ref_location(ref) == TRP_PENDING)
        return await(ctx, holder, kept, trp_as_i64(ctx->args[3]) != 0);
    err = save(holder, kept, &why);
    if (err == TRP_OK)
        return TRP_OK;
    if (is_new)
        drop(holder, kept);
    return trp_fail(ctx, (int32_t)err, "%s", why.message);
}

static trp_err
on_drop(trp_ctx *ctx, void *self)
{
    const char *name = NULL;
    trp_ref *ref = NULL;
    struct kept *kept;
    trp_err err = check(ctx, &ref, &name);

    if (err != TRP_OK)
        return err;
    kept = find(self, name);
    if (kept == NULL)
        return TRP_OK;
    if (!is_same(kept, ref))
        return fail_taken(ctx, kept);
    drop(self, kept);
    return TRP_OK;
}

/* A file that was not listed because its head is damaged: this is told once. */
static bool
is_damaged(struct holder *holder, const char *name, trp_error *why)
{
    struct tri_kept_file file;
    trp_err err = holder->files >= 0 ? tri_kept_find(holder->files, name, &file, why) : TRP_ENOENT;

    if (err == TRP_OK)
        tri_kept_close(&file); /* the table had no room for it */
    if (err == TRP_EOBJLOST)
        tri_kept_remove(holder->files, name);
    return err == TRP_EOBJLOST;
}

static trp_err
on_find(trp_ctx *ctx, void *self)
{
    const char *name = trp_as_str(ctx->args[0]);
    struct kept *kept = find(self, name);
    trp_error why;
    trp_err err;

    if (kept == NULL && is_damaged(self, name, &why))
        return trp_fail(ctx, TRP_EOBJLOST, "what was kept as '%s' is lost: %s", name, why.message);
    if (kept == NULL)
        return trp_fail(ctx, TRP_ENOENT, "nothing is kept under the name '%s'", name);
    err = load(self, kept, &why);
    if (err != TRP_OK)
        return trp_fail(ctx, (int32_t)err, "%s", why.message);
    return trp_return(ctx, TRP_LIST(kept->ref));
}

static trp_value
describe(trp_ctx *ctx, const struct kept *kept, uint64_t now_ns)
{
    static const char *const states[] = {[TRP_PENDING] = "pending", [TRP_FAILED] = "failed"};
    const trp_location location = kept->ref != NULL ? trp_ref_location(kept->ref) : TRP_SPILLED;
    const bool forever = kept->until_ns == TRI_NEVER;
    const trp_value entries[] = {
        trp_str("name"),
        trp_str(kept->name),
        trp_str("id"),
        kept->ref != NULL ? trp_str(trp_ref_id(kept->ref)) : trp_null(),
        trp_str("state"),
        trp_str(location <= TRP_FAILED ? states[location] : "ready"),
        trp_str("left_ms"),
        forever ? trp_null() : trp_u64((kept->until_ns - now_ns + TRI_NS_PER_MS - 1) / TRI_NS_PER_MS),
    };
    trp_value *copy = trp_alloc(ctx, sizeof entries);

    if (copy == NULL)
        return trp_ref_value(NULL); /* no value: it cannot be returned */
    memcpy(copy, entries, sizeof entries);
    return trp_map(copy, 4);
}

struct listing {
    trp_ctx *ctx;
    uint64_t now_ns;
    trp_value *rows;
    size_t count;
};

static void
list_one(struct tri_entry *entry, void *user)
{
    const struct kept *kept = kept_of(entry);
    struct listing *list = user;

    if (kept->until_ns > list->now_ns)
        list->rows[list->count++] = describe(list->ctx, kept, list->now_ns);
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(trp_as_str(trp_field(*(const trp_value *)a, "name")),
                  trp_as_str(trp_field(*(const trp_value *)b, "name")));
}

static trp_err
on_list(trp_ctx *ctx, void *self)
{
    struct holder *holder = self;
    struct listing list = {.ctx = ctx, .now_ns = tri_now_ns()};

    list.rows = trp_alloc(ctx, (holder->table.count + 1) * sizeof *list.rows);
    if (list.rows == NULL)
        return trp_fail(ctx, TRP_ENOMEM, "there is no memory for a list of %zu objects", holder->table.count);
    tri_table_each(&holder->table, list_one, &list);
    qsort(list.rows, list.count, sizeof *list.rows, by_name);
    return trp_return(ctx, trp_list(list.rows, list.count));
}

/* ---------------------------------------------------------------------------------------------------- beginning and end */

/* On disk, of a holder before this one. */
static void
found(void *user, const char *name, const struct tri_kept_about *about)
{
    struct holder *holder = user;
    const uint64_t until_ns = tri_wall_until_ns(about->until_ms);
    struct kept *kept;

    if (until_ns == 0) {
        tri_kept_remove(holder->files, name);
        return;
    }
    if (add(holder, name, &kept, NULL) != TRP_OK)
        return; /* the table is full: it stays on disk */
    kept->on_disk = true;
    kept->id = about->id;
    kept->until_ns = until_ns;
}

static trp_err
on_init(trp_ctx *ctx, void *self)
{
    struct holder *holder = self;
    const struct tri_process *process = ctx->runtime->process;
    unsigned damaged;

    holder->alarm_ns = TRI_NEVER;
    holder->files = -1;
    holder->runtime = ctx->runtime;
    if (tri_table_init(&holder->table, tri_random_secret()) != TRP_OK)
        return trp_fail(ctx, TRP_ENOMEM, "there is no memory for a table");
    if (!process->is_service || tri_kept_open(process->directory, false, &holder->files, NULL) != TRP_OK)
        return TRP_OK;
    damaged = tri_kept_each(holder->files, found, holder);
    if (damaged > 0)
        tri_log(TRI_WARNING, "%u of the files of what is kept are damaged, and left alone", damaged);
    return on_sweep(ctx, self); /* sets the alarm */
}

/* What is on disk stays: the next holder has it. */
static void
forget_one(struct tri_entry *entry, void *user)
{
    forget(user, kept_of(entry));
}

static void
fini(void *self)
{
    struct holder *holder = self;

    tri_table_each(&holder->table, forget_one, holder);
    tri_table_fini(&holder->table);
    if (holder->files >= 0)
        close(holder->files);
}

static const trp_method methods[] = {
    {"keep", on_keep, "object:[r], name:s, ttl_ms:i, here:?", "holds an object under a name"},
    {"drop", on_drop, "object:[r], name:s", "holds it no longer"},
    {"find", on_find, "name:s", "the object that is held under a name, in a list"},
    {"list", on_list, "", "all that is held, by name: name, id, state, left_ms"},
    {"sweep", on_sweep, "", "lets go of what has been held long enough"},
    {0},
};

static const trp_class classes[] = {
    {.name = "Kept",
     .about = "what trp_keep is given, for as long as it says",
     .self_size = sizeof(struct holder),
     .init = on_init,
     .fini = fini,
     .methods = methods},
    {0},
};

const trp_module troupe_module_troupe = {TRP_STAMP_, "troupe", .classes = classes,
                                         .about = "what nodes have themselves"};
