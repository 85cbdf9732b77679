/*
 * query.c - what the broker knows, as values: nodes, actors, modules, objects, calls, and why something is not ready yet.
 */
#include "broker/core/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ROWS_MAX = 4096, ROW_ENTRIES = 16 };

/* A list of maps that is being made. Texts are copied in; what does not fit is left out and `cut` says so. */
struct page {
    struct tri_core *core;
    uint32_t *pins; /* of objects, by slot */
    trp_value *rows, *entries;
    char *texts;
    size_t row_count, entry_count, text_size, text_capacity;
    size_t first; /* entry of the row that is being made */
    size_t limit;
};

static bool
page_init(struct page *page, struct tri_core *core, size_t rows)
{
    memset(page, 0, sizeof *page);
    page->core = core;
    page->limit = rows < ROWS_MAX ? rows : ROWS_MAX;
    page->text_capacity = 512 * (page->limit + 1);
    page->rows = calloc(page->limit + 1, sizeof *page->rows);
    page->entries = calloc(2 * ROW_ENTRIES * (page->limit + 1), sizeof *page->entries);
    page->texts = malloc(page->text_capacity);
    return page->rows != NULL && page->entries != NULL && page->texts != NULL;
}

static void
page_fini(struct page *page)
{
    free(page->rows);
    free(page->entries);
    free(page->texts);
    free(page->pins);
}

static void
put(struct page *page, const char *key, trp_value value)
{
    if (page->entry_count - page->first >= 2 * ROW_ENTRIES)
        return;
    page->entries[page->entry_count++] = trp_str(key);
    page->entries[page->entry_count++] = value;
}

static void
put_text(struct page *page, const char *key, const char *text)
{
    size_t size = strlen(text) + 1;
    char *at = page->texts + page->text_size;
    if (size > page->text_capacity - page->text_size) {
        put(page, key, trp_str("..."));
        return;
    }
    memcpy(at, text, size);
    tri_text_clean(at, size - 1); /* some are cut */
    page->text_size += size;
    put(page, key, trp_str(at));
}

static void
put_id(struct page *page, const char *key, struct tri_id id)
{
    char text[TRI_ID_TEXT_SIZE];
    put_text(page, key, tri_id_format(id, text));
}

static void
end_row(struct page *page)
{
    page->rows[page->row_count++] = trp_map(page->entries + page->first, (page->entry_count - page->first) / 2);
    page->first = page->entry_count;
}

static double
seconds_since(const struct tri_core *core, uint64_t since_ns)
{
    return core->now_ns > since_ns ? (double)(core->now_ns - since_ns) / 1e9 : 0;
}

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
page_nodes(struct tri_core *core, struct page *page)
{
    if (!page_init(page, core, 1))
        return false;
    put_text(page, "name", core->node);
    put(page, "cpus", trp_f64(core->ledger.cpus));
    put(page, "cpus_used", trp_f64(core->ledger.cpus_used));
    put(page, "gpus", trp_f64(core->ledger.gpus));
    put(page, "gpus_used", trp_f64(core->ledger.gpus_used));
    put(page, "incarnation", trp_u64(core->config.incarnation));
    put(page, "processes", trp_u64(core->peer_count));
    put(page, "hosts", trp_u64(core->host_count));
    put(page, "actors", trp_u64(core->actor_count));
    put(page, "objects", trp_u64(core->object_count + core->quiet_count));
    put(page, "calls", trp_u64(calls_ended(core)));
    put(page, "calls_pending", trp_u64(core->calls_pool.used));
    put(page, "tasks_queued", trp_u64(core->queued_tasks));
    put(page, "waiting", trp_u64(core->waiting_hosts));
    put(page, "waiting_most", trp_u64(core->waiting_most));
    put(page, "in_place", trp_u64(core->placed_tasks));
    end_row(page);
    return true;
}

static bool
page_actors(struct tri_core *core, struct page *page)
{
    static const char *const states[] = {"?", "unknown", "waiting", "starting", "created", "ready", "dead"};
    if (!page_init(page, core, core->actor_count))
        return false;
    TRI_EACH(&core->actors, node)
    {
        const struct tri_actor *actor = TRI_OWNER(node, struct tri_actor, all);
        if (page->row_count >= page->limit)
            break;
        put_id(page, "id", tri_thing_id(&actor->thing));
        put_text(page, "name", actor->name != NULL ? actor->name->text : "");
        put_text(page, "class", actor->texts->class_name);
        put(page, "state", trp_str(states[actor->state]));
        put(page, "pid", trp_i64(actor->host != NULL ? actor->host->pid : 0));
        put(page, "pending", trp_u64(actor->pending));
        put(page, "handles", trp_u64(actor->thing.hold_count));
        put(page, "detached", trp_bool(actor->detached));
        put(page, "num_cpus", trp_f64(actor->num_cpus));
        put(page, "age_s", trp_f64(seconds_since(core, actor->since_ns)));
        if (actor->obituary != NULL)
            put_text(page, "death", actor->obituary->error.message);
        end_row(page);
    }
    return true;
}

static void
process_row(struct page *page, const char *kind, int32_t pid, const char *name, const char *state)
{
    put(page, "kind", trp_str(kind));
    put(page, "pid", trp_i64(pid));
    put_text(page, "name", name);
    put(page, "state", trp_str(state));
}

/* What a host has done, what lies before it, and what of that it can be running: whether it is, only it knows. */
static void
host_row(struct page *page, const struct tri_host *host)
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
    put(page, "calls", trp_u64(tri_host_ended(host)));
    put(page, "pending", trp_u64(actor != NULL ? actor->pending : host->outstanding));
    put(page, "given", trp_u64(host->outstanding));
    put(page, "running", trp_u64(host->outstanding < most ? host->outstanding : most));
    put(page, "waiting", trp_u64(host->wait_count));
    if (actor != NULL) {
        put_text(page, "class", actor->texts->class_name);
        put_id(page, "actor", tri_thing_id(&actor->thing));
    }
    end_row(page);
}

/* Hosts and drivers, and who runs the node. `pending` of a driver are the calls that it has made. */
static bool
page_processes(struct tri_core *core, struct page *page)
{
    if (!page_init(page, core, core->peer_count + core->host_count + 2))
        return false;
    if (core->config.root_pid != 0) {
        process_row(page, "root", core->config.root_pid, "troupe-node", "ready");
        end_row(page);
    }
    if (core->config.pid != 0) {
        process_row(page, "broker", core->config.pid, "troupe-broker", "ready");
        end_row(page);
    }
    TRI_EACH(&core->all_hosts, node)
    if (page->row_count < page->limit)
        host_row(page, TRI_OWNER(node, struct tri_host, all));
    for (size_t i = 0; i < core->peer_capacity && page->row_count < page->limit; i++) {
        const struct tri_peer *peer = core->peers[i];
        if (peer == NULL || peer->host != NULL)
            continue;
        process_row(page, "driver", peer->pid, peer->program, peer->reporting ? "reports" : "ready");
        put(page, "pending", trp_u64(peer->used_calls));
        end_row(page);
    }
    return true;
}

static void
object_row(struct tri_entry *entry, void *user)
{
    static const char *const states[] = {"?", "pending", "unknown", "ready", "failed"};
    struct page *page = user;
    const struct tri_object *object = tri_as_object(TRI_OWNER(entry, struct tri_thing, entry));
    if (object == NULL || page->row_count >= page->limit)
        return;
    put_id(page, "id", object->thing.entry.id);
    put(page, "state", trp_str(states[object->state]));
    put(page, "holders", trp_u64(object->thing.hold_count));
    put(page, "in_flight", trp_u64(object->thing.flights));
    put(page, "here", trp_bool(object->value != NULL));
    const struct tri_section *value = object->value != NULL ? &object->value->sections[0] : NULL;
    const struct tri_place *place = value != NULL ? tri_section_place(value) : NULL;
    put(page, "bytes", trp_u64(value != NULL ? value->size : 0));
    put(page, "waiting", trp_u64(object->waiting));
    put(page, "location", trp_str(place != NULL ? "shared memory" : value != NULL ? "inline" : ""));
    put(page, "pins", trp_u64(place != NULL ? page->pins[place->slot] : 0));
    end_row(page);
}

static bool
page_objects(struct tri_core *core, struct page *page)
{
    for (size_t i = 0; i < core->peer_capacity; i++)
        if (core->peers[i] != NULL)
            tri_quiet_end(core, core->peers[i]);
    if (!page_init(page, core, core->object_count))
        return false;
    const uint32_t slots = core->depot != NULL ? tri_depot_pins(core->depot, NULL) : 0;
    page->pins = calloc(slots + 1, sizeof *page->pins);
    if (page->pins == NULL)
        return false;
    if (slots > 0)
        (void)tri_depot_pins(core->depot, page->pins);
    tri_table_each(&core->things, object_row, page);
    return true;
}

/* The arena: bytes of it, and how many objects. */
static bool
page_store(struct tri_core *core, struct page *page)
{
    struct tri_depot_stat stat = {0};
    if (!page_init(page, core, 1))
        return false;
    if (core->depot != NULL)
        stat = tri_depot_stat(core->depot);
    put(page, "limit", trp_u64(stat.limit));
    put(page, "backed", trp_u64(stat.backed));
    put(page, "taken", trp_u64(stat.taken));
    put(page, "leased", trp_u64(stat.leased));
    put(page, "sealed", trp_u64(stat.sealed));
    put(page, "gone", trp_u64(stat.gone));
    put(page, "longest_free", trp_u64(stat.longest_free));
    put(page, "objects", trp_u64(stat.objects));
    put(page, "objects_gone", trp_u64(stat.gone_objects));
    put(page, "waiting", trp_u64(stat.waiters));
    put(page, "slots", trp_u64(stat.slots));
    put(page, "slots_free", trp_u64(stat.slots_free));
    end_row(page);
    return true;
}

static const char *
call_state(const struct tri_pending *call)
{
    static const char *const states[] = {"?",        "waits for arguments", "queued", "given", "accepted",
                                         "answered", "not found yet"};
    if (call->missing == 0 && call->state == TRI_CALL_WAITING)
        return call->kind == TRI_CALL_WATCH ? call->event_death ? "until it ends" : "until it is constructed"
                                            : "waits for a place";
    return call->missing > 0 ? states[TRI_CALL_WAITING] : states[call->state];
}

static void
call_row(struct page *page, const struct tri_pending *call)
{
    put_id(page, "result", call->id);
    put(page, "kind",
        trp_str(call->kind == TRI_CALL_TASK    ? "task"
                : call->kind == TRI_CALL_SPAWN ? "spawn"
                : call->kind == TRI_CALL_WATCH ? "watch"
                                               : "call"));
    put(page, "state", trp_str(call_state(call)));
    if (call->parcel != NULL && (call->kind == TRI_CALL_TASK || call->kind == TRI_CALL_ACTOR))
        put_text(page, "method", tri_call_method(&call->parcel->sections[0]));
    if (call->actor != NULL)
        put_text(page, "actor", call->actor->texts->label);
    put(page, "sequence", trp_u64(call->sequence));
    put(page, "host_pid", trp_i64(call->host != NULL ? call->host->pid : 0));
    put(page, "caller_pid", trp_i64(call->caller != NULL ? call->caller->pid : 0));
    put(page, "missing", trp_u64(call->missing));
    put(page, "age_s", trp_f64(seconds_since(page->core, call->since_ns)));
    end_row(page);
}

static bool
page_calls(struct tri_core *core, struct page *page)
{
    if (!page_init(page, core, core->calls_pool.used))
        return false;
    for (size_t i = 0; i < core->peer_capacity; i++) {
        if (core->peers[i] == NULL)
            continue;
        TRI_EACH(&core->peers[i]->calls, node)
        if (page->row_count < page->limit)
            call_row(page, TRI_OWNER(node, struct tri_pending, caller_link));
    }
    return true;
}

/* ----------------------------------------------------------------------------------------------------------------- why */

static void
why_row(struct page *page, const char *what, uint64_t since_ns)
{
    put_text(page, "waits", what);
    put_text(page, "node", page->core->node);
    put(page, "since_s", trp_f64(seconds_since(page->core, since_ns)));
    end_row(page);
}

static void
why_actor(struct page *page, const struct tri_actor *actor)
{
    char who[TRI_NAME_MAX + 64], text[900];
    tri_actor_text(actor, who);
    if (actor->state == TRI_ACTOR_DEAD)
        snprintf(text, sizeof text, "%s is dead: %.500s", who,
                 actor->obituary != NULL ? actor->obituary->error.message : "it has ended");
    else if (actor->state == TRI_ACTOR_WAITING && actor->creation != NULL && actor->creation->missing > 0)
        snprintf(text, sizeof text, "%s waits for %u arguments of its constructor", who, actor->creation->missing);
    else if (actor->state == TRI_ACTOR_WAITING)
        snprintf(text, sizeof text, "%s waits for resources: %g CPUs", who, actor->start_cpus);
    else if (actor->state == TRI_ACTOR_STARTING)
        snprintf(text, sizeof text, "%s waits for its process to start", who);
    else if (actor->state == TRI_ACTOR_CREATED)
        snprintf(text, sizeof text, "%s runs its constructor in process %d", who, actor->host->pid);
    else
        snprintf(text, sizeof text, "%s is ready, with %u calls pending", who, actor->pending);
    why_row(page, text, actor->since_ns);
}

static const struct tri_object *
why_object(struct page *page, const struct tri_object *object)
{
    char id[TRI_ID_TEXT_SIZE], who[TRI_NAME_MAX + 64], text[700];
    const struct tri_pending *call = object->call;
    tri_id_format(tri_thing_id(&object->thing), id);
    if (object->state == TRI_OBJECT_READY || object->state == TRI_OBJECT_FAILED) {
        snprintf(text, sizeof text, "%s is %s", id, object->state == TRI_OBJECT_READY ? "ready" : "failed");
        why_row(page, text, page->core->now_ns);
        return NULL;
    }
    if (call == NULL) {
        snprintf(text, sizeof text, "%s: no call that makes it is known; a process that has it is asked", id);
        why_row(page, text, page->core->now_ns);
        return NULL;
    }
    if (call->kind == TRI_CALL_WATCH && call->state == TRI_CALL_WAITING) {
        snprintf(text, sizeof text, "%s: it watches %s %s", id, tri_actor_text(call->actor, who), call_state(call));
        why_row(page, text, call->since_ns);
        why_actor(page, call->actor);
        return NULL;
    }
    if (call->actor != NULL)
        tri_actor_text(call->actor, who);
    else
        snprintf(who, sizeof who, "the task pool (%u queued)", page->core->queued_tasks);
    if (call->missing > 0)
        snprintf(text, sizeof text, "%s: its call to %s waits for %u of its arguments", id, who, call->missing);
    else if (call->state == TRI_CALL_QUEUED)
        snprintf(text, sizeof text, "%s: its call waits in the queue of %s", id, who);
    else if (call->host != NULL)
        snprintf(text, sizeof text, "%s: its call is at process %d of %s, %s", id, call->host->pid, who,
                 call->state == TRI_CALL_GIVEN ? "on its way" : "accepted");
    else
        snprintf(text, sizeof text, "%s: its call to %s %s", id, who, call_state(call));
    why_row(page, text, call->since_ns);
    for (uint32_t i = 0; i < call->need_count; i++)
        if (call->needs[i].missing)
            return call->needs[i].object;
    const struct tri_wait *wait = call->host != NULL ? tri_wait_find(call->host, call->id) : NULL;
    for (uint32_t i = 0; wait != NULL && i < wait->count; i++) {
        const struct tri_object *next = tri_as_object(tri_thing_find(page->core, wait->ids[i]));
        if (next != NULL && next->state != TRI_OBJECT_READY && next->state != TRI_OBJECT_FAILED) {
            snprintf(text, sizeof text, "%s: its execution waits for %s", id, tri_id_format(wait->ids[i], who));
            why_row(page, text, wait->since_ns);
            return next;
        }
    }
    return NULL;
}

static bool
page_why(struct tri_core *core, struct page *page, const char *what)
{
    struct tri_id id;
    if (!page_init(page, core, 64))
        return false;
    struct tri_thing *thing = tri_id_parse(what, &id) ? tri_thing_find(core, id) : NULL;
    if (thing == NULL) {
        why_row(page, "nothing of that name is known here: it is private to its process, or gone", core->now_ns);
    } else if (thing->kind == TRI_THING_ACTOR) {
        why_actor(page, tri_as_actor(thing));
    } else {
        const struct tri_object *object = tri_as_object(thing);
        while (object != NULL && page->row_count + 3 < page->limit)
            object = why_object(page, object);
    }
    return true;
}

/* ------------------------------------------------------------------------------------------------------------- messages */

static const struct {
    const char *name;
    bool (*make)(struct tri_core *core, struct page *page);
} pages[] = {
    {"nodes", page_nodes},     {"actors", page_actors}, {"processes", page_processes},
    {"objects", page_objects}, {"calls", page_calls},   {"store", page_store},
};

static void
answer_page(struct tri_core *core, struct tri_peer *peer, struct tri_id result, struct page *page)
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
    struct page page = {.core = core};
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
    page_fini(&page);
}

trp_err
tri_on_query(struct tri_core *core, struct tri_peer *peer, const struct tri_message *message, trp_error *error)
{
    const char *text, *namespace_;
    struct tri_id result = message->route->result;
    struct page page = {.core = core};
    bool made = false, known = true;
    TRP_TRY(tri_request_check(peer, message, error));
    TRP_TRY(tri_name_unpack(&message->sections[0], &text, &namespace_, error));
    if (strcmp(text, "modules") == 0) {
        answer_modules(core, peer, result);
        return TRP_OK;
    }
    if (strncmp(text, "why ", 4) == 0) {
        made = page_why(core, &page, text + 4);
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
    page_fini(&page);
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
