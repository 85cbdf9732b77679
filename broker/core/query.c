/*
 * query.c - what the broker knows, as values: nodes, actors, processes, modules, objects, calls. Why something is not ready yet
 * is told in why.c.
 */
#include "broker/core/page.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --------------------------------------------------------------------------------------------------------------- pages */

static uint64_t
calls_ended(const struct tri_core *core)
{
    uint64_t count = core->calls_gone;
    TRI_EACH(&core->all_hosts, node)
    count += tri_host_ended(TRI_OWNER(node, struct tri_host, all));
    return count;
}

static bool
page_nodes(struct tri_core *core, struct tri_page *page)
{
    if (!tri_page_init(page, core, 1))
        return false;
    tri_page_text(page, "name", core->node);
    tri_page_put(page, "cpus", trp_f64(core->ledger.cpus));
    tri_page_put(page, "cpus_used", trp_f64(core->ledger.cpus_used));
    tri_page_put(page, "gpus", trp_f64(core->ledger.gpus));
    tri_page_put(page, "gpus_used", trp_f64(core->ledger.gpus_used));
    tri_page_put(page, "incarnation", trp_u64(core->config.incarnation));
    tri_page_put(page, "processes", trp_u64(core->peer_count));
    tri_page_put(page, "hosts", trp_u64(core->host_count));
    tri_page_put(page, "actors", trp_u64(core->actor_count));
    tri_page_put(page, "objects", trp_u64(core->object_count + core->quiet_count));
    tri_page_put(page, "calls", trp_u64(calls_ended(core)));
    tri_page_put(page, "calls_pending", trp_u64(core->calls_pool.used));
    tri_page_put(page, "tasks_queued", trp_u64(core->queued_tasks));
    tri_page_put(page, "waiting", trp_u64(core->waiting_hosts));
    tri_page_put(page, "waiting_most", trp_u64(core->waiting_most));
    tri_page_put(page, "in_place", trp_u64(core->placed_tasks));
    tri_page_end_row(page);
    return true;
}

static bool
page_actors(struct tri_core *core, struct tri_page *page)
{
    static const char *const states[] = {"?", "unknown", "waiting", "starting", "created", "ready", "dead"};
    if (!tri_page_init(page, core, core->actor_count))
        return false;
    TRI_EACH(&core->actors, node)
    {
        const struct tri_actor *actor = TRI_OWNER(node, struct tri_actor, all);
        if (page->row_count >= page->limit)
            break;
        tri_page_id(page, "id", tri_thing_id(&actor->thing));
        tri_page_text(page, "name", actor->name != NULL ? actor->name->text : "");
        tri_page_text(page, "class", actor->texts->class_name);
        const bool ends = actor->state != TRI_ACTOR_DEAD && (actor->killed || actor->closing); /* its name is free */
        tri_page_put(page, "state", trp_str(ends ? "ending" : states[actor->state]));
        tri_page_put(page, "pid", trp_i64(actor->host != NULL ? actor->host->pid : 0));
        tri_page_put(page, "pending", trp_u64(actor->pending));
        tri_page_put(page, "handles", trp_u64(actor->thing.hold_count));
        tri_page_put(page, "detached", trp_bool(actor->detached));
        tri_page_put(page, "num_cpus", trp_f64(actor->num_cpus));
        tri_page_put(page, "age_s", trp_f64(tri_seconds_since(core, actor->since_ns)));
        if (actor->obituary != NULL)
            tri_page_text(page, "death", actor->obituary->error.message);
        tri_page_end_row(page);
    }
    return true;
}

static void
process_row(struct tri_page *page, const char *kind, int32_t pid, const char *name, const char *state)
{
    tri_page_put(page, "kind", trp_str(kind));
    tri_page_put(page, "pid", trp_i64(pid));
    tri_page_text(page, "name", name);
    tri_page_put(page, "state", trp_str(state));
}

/* What a host has done, what lies before it, and what of that it can be running: whether it is, only it knows. */
static void
host_row(struct tri_page *page, const struct tri_host *host)
{
    static const char *const kinds[] = {"spare", "tasks", "actor"}, *const states[] = {"?", "starting", "ready",
                                                                                       "lost"};
    const struct tri_actor *actor = host->actor;
    const uint32_t most = actor != NULL && actor->max_concurrency > 1 ? actor->max_concurrency : 1;
    const char *name = actor == NULL ? "" : actor->name != NULL ? actor->name->text : actor->texts->label;
    const char *state = host->ending ? "ending" : states[host->state];
    if (actor != NULL && actor->state == TRI_ACTOR_CREATED)
        state = "constructs";
    process_row(page, kinds[host->kind], host->pid, name, state);
    tri_page_put(page, "calls", trp_u64(tri_host_ended(host)));
    tri_page_put(page, "pending", trp_u64(actor != NULL ? actor->pending : host->outstanding));
    tri_page_put(page, "given", trp_u64(host->outstanding));
    tri_page_put(page, "running", trp_u64(host->outstanding < most ? host->outstanding : most));
    tri_page_put(page, "waiting", trp_u64(host->wait_count));
    if (actor != NULL) {
        tri_page_text(page, "class", actor->texts->class_name);
        tri_page_id(page, "actor", tri_thing_id(&actor->thing));
    }
    tri_page_end_row(page);
}

/* Hosts and drivers, and who runs the node. `pending` of a driver are the calls that it has made. */
static bool
page_processes(struct tri_core *core, struct tri_page *page)
{
    if (!tri_page_init(page, core, core->peer_count + core->host_count + 2))
        return false;
    if (core->config.root_pid != 0) {
        process_row(page, "root", core->config.root_pid, "troupe-node", "ready");
        tri_page_end_row(page);
    }
    if (core->config.pid != 0) {
        process_row(page, "broker", core->config.pid, "troupe-broker", "ready");
        tri_page_end_row(page);
    }
    TRI_EACH(&core->all_hosts, node)
    if (page->row_count < page->limit)
        host_row(page, TRI_OWNER(node, struct tri_host, all));
    for (size_t i = 0; i < core->peer_capacity && page->row_count < page->limit; i++) {
        const struct tri_peer *peer = core->peers[i];
        if (peer == NULL || peer->host != NULL)
            continue;
        process_row(page, "driver", peer->pid, peer->program, peer->reporting ? "reports" : "ready");
        tri_page_put(page, "pending", trp_u64(peer->used_calls));
        tri_page_end_row(page);
    }
    return true;
}

static void
mark_object(struct tri_entry *entry, void *user)
{
    struct tri_page *page = user;
    struct tri_object *object = tri_as_object(TRI_OWNER(entry, struct tri_thing, entry));
    if (object == NULL || page->row_count >= page->limit)
        return;
    object->thing.mark = page->core->mark;
    page->row_count++;
}

static void
object_row(struct tri_entry *entry, void *user)
{
    struct tri_page *page = user;
    const struct tri_object *object = tri_as_object(TRI_OWNER(entry, struct tri_thing, entry));
    if (object == NULL || object->thing.mark != page->core->mark)
        return;
    tri_page_id(page, "id", object->thing.entry.id);
    tri_page_object(page, object);
    tri_page_end_row(page);
}

static bool
page_objects(struct tri_core *core, struct tri_page *page)
{
    for (size_t i = 0; i < core->peer_capacity; i++)
        if (core->peers[i] != NULL)
            tri_quiet_end(core, core->peers[i]);
    if (!tri_page_init(page, core, core->object_count))
        return false;
    core->mark++;
    tri_table_each(&core->things, mark_object, page);
    page->row_count = 0;
    if (!tri_holders_find(page))
        return false;
    tri_table_each(&core->things, object_row, page);
    return true;
}

static void
add_inline(struct tri_entry *entry, void *user)
{
    const struct tri_object *object = tri_as_object(TRI_OWNER(entry, struct tri_thing, entry));
    if (object != NULL && object->value != NULL && !tri_object_stored(object))
        *(uint64_t *)user += object->value->bytes;
}

static uint64_t
rate(uint64_t bytes, uint64_t ns)
{
    return ns > 0 ? (uint64_t)((double)bytes * 1e9 / (double)ns) : 0;
}

/* How much of what has memory and is nobody's lies outside its longest run: 0 where all is in one, near 1 where it is in crumbs. */
static double
fragmentation(uint64_t free, uint64_t longest)
{
    return free > 0 ? 1 - (double)longest / (double)free : 0;
}

/* What is not in the arena, and how it went. Rates are bytes a second while something was under way. */
static void
put_spilled(struct tri_core *core, struct tri_page *page, const struct tri_depot_stat *stat)
{
    uint64_t inlined = 0;
    tri_table_each(&core->things, add_inline, &inlined);
    const struct {
        const char *key;
        uint64_t value;
    } rows[] = {
        {"pinned", core->depot != NULL ? tri_depot_pinned(core->depot) : 0},
        {"pins", page->pin_count},
        {"inline", inlined},
        {"spilled", stat->spilled},
        {"objects_spilled", stat->spilled_objects},
        {"objects_lost", stat->lost_objects},
        {"writing", stat->writing},
        {"reading", stat->reading},
        {"spilled_total", stat->out_bytes},
        {"spills", stat->out_objects},
        {"spill_rate", rate(stat->out_bytes, stat->out_ns)},
        {"restored_total", stat->back_bytes},
        {"restores", stat->back_objects},
        {"restore_rate", rate(stat->back_bytes, stat->back_ns)},
        {"files", stat->files.files},
        {"file_bytes", stat->files.file_bytes},
        {"gaps", stat->files.file_bytes - stat->files.live_bytes},
        {"budget", stat->files.max_bytes},
        {"compacted", stat->files.compacted},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        tri_page_put(page, rows[i].key, trp_u64(rows[i].value));
    tri_page_put(page, "spill_fails", trp_bool(stat->spill_fails));
}

/* The arena: bytes of it, and how many objects. */
static bool
page_store(struct tri_core *core, struct tri_page *page)
{
    struct tri_depot_stat stat = {0};
    if (!tri_page_init(page, core, 2))
        return false;
    page->row_max *= 3; /* those of the rows that there are not, too */
    if (core->depot != NULL) {
        stat = tri_depot_stat(core->depot);
        if (!tri_depot_pins(core->depot, &page->pins, &page->pin_count))
            return false;
    }
    const uint64_t free = stat.backed - stat.taken;
    tri_page_put(page, "limit", trp_u64(stat.limit));
    tri_page_put(page, "backed", trp_u64(stat.backed));
    tri_page_put(page, "taken", trp_u64(stat.taken));
    tri_page_put(page, "leased", trp_u64(stat.leased));
    tri_page_put(page, "sealed", trp_u64(stat.sealed));
    tri_page_put(page, "gone", trp_u64(stat.gone));
    tri_page_put(page, "free", trp_u64(free));
    tri_page_put(page, "longest_free", trp_u64(stat.longest_free));
    tri_page_put(page, "fragmentation", trp_f64(fragmentation(free, stat.longest_free)));
    tri_page_put(page, "objects", trp_u64(stat.objects));
    tri_page_put(page, "objects_gone", trp_u64(stat.gone_objects));
    tri_page_put(page, "waiting", trp_u64(stat.waiters));
    tri_page_put(page, "slots", trp_u64(stat.slots));
    tri_page_put(page, "slots_free", trp_u64(stat.slots_free));
    put_spilled(core, page, &stat);
    tri_page_end_row(page);
    return true;
}

static void
call_row(struct tri_page *page, const struct tri_pending *call)
{
    tri_page_id(page, "result", call->id);
    tri_page_put(page, "kind",
                 trp_str(call->kind == TRI_CALL_TASK    ? "task"
                         : call->kind == TRI_CALL_SPAWN ? "spawn"
                         : call->kind == TRI_CALL_WATCH ? "watch"
                                                        : "call"));
    tri_page_put(page, "state", trp_str(tri_call_state(call)));
    if (call->kind == TRI_CALL_TASK || call->kind == TRI_CALL_ACTOR)
        tri_page_text(page, "method", tri_method_text(call));
    if (call->actor != NULL)
        tri_page_text(page, "actor", call->actor->texts->label);
    tri_page_put(page, "sequence", trp_u64(call->sequence));
    tri_page_put(page, "host_pid", trp_i64(call->host != NULL ? call->host->pid : 0));
    tri_page_put(page, "caller_pid", trp_i64(call->caller != NULL ? call->caller->pid : 0));
    tri_page_put(page, "missing", trp_u64(call->missing));
    tri_page_put(page, "age_s", trp_f64(tri_seconds_since(page->core, call->since_ns)));
    tri_page_end_row(page);
}

/* One whose caller is gone is known by its result, which somebody else wants. */
static void
orphan_row(struct tri_entry *entry, void *user)
{
    struct tri_page *page = user;
    const struct tri_object *object = tri_as_object(TRI_OWNER(entry, struct tri_thing, entry));
    if (object != NULL && object->call != NULL && object->call->caller == NULL && page->row_count < page->limit)
        call_row(page, object->call);
}

static bool
page_calls(struct tri_core *core, struct tri_page *page)
{
    if (!tri_page_init(page, core, core->calls_pool.used))
        return false;
    for (size_t i = 0; i < core->peer_capacity; i++) {
        if (core->peers[i] == NULL)
            continue;
        TRI_EACH(&core->peers[i]->calls, node)
        if (page->row_count < page->limit)
            call_row(page, TRI_OWNER(node, struct tri_pending, caller_link));
    }
    tri_table_each(&core->things, orphan_row, page);
    return true;
}

/* ------------------------------------------------------------------------------------------------------------- messages */

static const struct {
    const char *name;
    bool (*make)(struct tri_core *core, struct tri_page *page);
} pages[] = {
    {"nodes", page_nodes},     {"actors", page_actors}, {"processes", page_processes},
    {"objects", page_objects}, {"calls", page_calls},   {"store", page_store},
};

static void
answer_page(struct tri_core *core, struct tri_peer *peer, struct tri_id result, struct tri_page *page)
{
    trp_error error;
    if (tri_value_pack(&core->packed, trp_list(page->rows, page->row_count), NULL, NULL, &error) == TRP_OK)
        tri_answer(core, peer, result, &core->packed.section, false);
    else
        tri_answer_error(core, peer, result, error.code, "%s", error.message);
}

static void
answer_modules(struct tri_core *core, struct tri_peer *peer, struct tri_id result)
{
    struct tri_view *views = calloc(core->module_count + 1, sizeof *views);
    struct tri_page page = {.core = core};
    page.rows = calloc(core->module_count + 1, sizeof *page.rows);
    for (size_t i = 0; views != NULL && page.rows != NULL && i < core->module_count; i++)
        if (tri_view_open(&views[i], &core->modules[i].value->sections[0], NULL) == TRP_OK)
            page.rows[page.row_count++] = tri_view_value(&views[i], 0);
    if (views != NULL && page.rows != NULL)
        answer_page(core, peer, result, &page);
    else
        tri_answer(core, peer, result, &core->memory_packed.section, true);
    for (size_t i = 0; views != NULL && i < core->module_count; i++)
        tri_view_close(&views[i]);
    free(views);
    tri_page_fini(&page);
}

trp_err
tri_on_query(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    const char *text, *namespace_;
    struct tri_id result = message->route->result;
    struct tri_page page = {.core = core};
    bool made = false, known = true;
    TRP_TRY(tri_request_check(peer, message, error));
    TRP_TRY(tri_name_unpack(&message->sections[0], &text, &namespace_, error));
    if (strcmp(text, "modules") == 0) {
        answer_modules(core, peer, result);
        return TRP_OK;
    }
    if (strncmp(text, "why ", 4) == 0) {
        made = tri_page_why(core, &page, text + 4);
    } else {
        known = false;
        for (size_t i = 0; i < sizeof pages / sizeof *pages && !known; i++) {
            if (strcmp(text, pages[i].name) != 0)
                continue;
            known = true;
            made = pages[i].make(core, &page);
        }
    }
    if (!known)
        tri_answer_error(core, peer, result, TRP_EINVAL,
                         "'%.100s' cannot be asked for; there is: nodes, actors, processes, modules, objects, "
                         "calls, store, why ID",
                         text);
    else if (!made)
        tri_answer(core, peer, result, &core->memory_packed.section, true);
    else
        answer_page(core, peer, result, &page);
    tri_page_fini(&page);
    return TRP_OK;
}

/* What a module offers; the last host that loaded it is right. */
trp_err
tri_on_module(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    enum { MODULES_MAX = 1024 };
    struct tri_view view;
    char name[TRI_NAME_MAX + 1];
    (void)peer;
    if (message->sections[0].ref_count > 0)
        return TRI_FAIL(error, TRP_EPROTO, "a module's description carries references");
    TRP_TRY(tri_view_open(&view, &message->sections[0], error));
    const uint32_t at = tri_described(&view, 0, "name");
    tri_text_copy(name, sizeof name, at != 0 ? trp_as_str(tri_view_value(&view, at)) : "");
    const trp_err err = tri_declared_take(&core->declared, &view, error);
    tri_view_close(&view);
    if (err != TRP_OK)
        return err;
    struct tri_module_row *row = NULL;
    for (size_t i = 0; i < core->module_count && row == NULL; i++)
        if (strcmp(core->modules[i].name, name) == 0)
            row = &core->modules[i];
    if (row == NULL && core->module_count >= MODULES_MAX)
        return TRP_OK;
    struct tri_parcel *value = tri_parcel_new(message->route, message->sections, 1, message->bytes);
    if (row == NULL && value != NULL && TRI_RESERVE(core->modules, core->module_capacity, core->module_count + 1)) {
        char *copy = strdup(name);
        if (copy != NULL) {
            row = &core->modules[core->module_count++];
            row->name = copy;
            row->value = NULL;
        }
    }
    if (row == NULL || value == NULL) {
        tri_parcel_free(&value);
        return TRP_OK; /* it is only for looking around */
    }
    tri_parcel_free(&row->value);
    row->value = value;
    return TRP_OK;
}
