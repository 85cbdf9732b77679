/*
 * local_actors.c - actors in local mode: construction, ends, and watches. With the process's lock, but for tri_local_construct. It
 * knows nothing of how calls are chosen.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "actors/local.h"

struct tri_local_actor *
tri_local_find(struct tri_local *local, struct tri_id id)
{
    struct tri_entry *entry = tri_table_find(&local->actors, id);

    return entry != NULL ? TRI_OWNER(entry, struct tri_local_actor, entry) : NULL;
}

static const char *
how_it_ends(const struct tri_local_actor *actor)
{
    return actor->killed ? "it was ended by trp_kill"
                         : "it was ended by the loss of its last handle, or the end of its creator";
}

struct tri_about
tri_local_about(const struct tri_local_actor *actor, const struct tri_letter *letter, bool is_call, char *who,
                size_t size)
{
    const char *label = actor == NULL ? "" : actor->name[0] != '\0' ? actor->name : actor->class_name;

    (void)snprintf(who, size, actor != NULL ? "actor '%s'" : "%s", label);
    return (struct tri_about){.who = who,
                              .actor = label,
                              .method = is_call ? tri_call_method(&letter->sections[0]) : "",
                              .node = "local",
                              .fate = "was not run",
                              .ran = TRP_NOT_RUN,
                              .is_task = actor == NULL};
}

void
tri_local_refuse(const struct tri_local_actor *actor, const struct tri_letter *letter, struct tri_failure *failure)
{
    char who[TRI_NAME_MAX + 64], why[600] = "it has ended";
    struct tri_about about = tri_local_about(actor, letter, letter->route.kind == TRI_CALL, who, sizeof who);

    *failure = (struct tri_failure){0};
    if (actor == NULL) {
        about.who = "the actor";
        (void)tri_text_copy(why, sizeof why, "nobody in this process knows it");
    } else if (actor->state == TRI_LOCAL_FAILED) {
        tri_say_unmade(why, sizeof why, &actor->why.error);
    } else if (actor->why.error.code != TRP_OK) {
        (void)tri_text_copy(why, sizeof why, actor->why.error.message);
    } else if (actor->draining) {
        (void)tri_text_copy(why, sizeof why, how_it_ends(actor));
    }
    tri_about_ended(&failure->error, &about, why);
    if (actor != NULL && actor->crashed)
        failure->death = tri_local_death(actor, actor->why.error.message);
    if (actor == NULL || actor->state != TRI_LOCAL_FAILED)
        return;
    failure->cause = &actor->why;
    failure->error.cause = (int32_t)actor->why.error.code;
}

/* ---------------------------------------------------------------------------------------------------------- watching */

struct tri_death
tri_local_death(const struct tri_local_actor *actor, const char *message)
{
    return (struct tri_death){
        .present = true,
        .actor = actor->name[0] != '\0' ? actor->name : actor->class_name,
        .id = actor->text,
        .class_name = actor->class_name,
        .node = "local",
        .message = message,
        .pid = getpid(),
        .exit_code = actor->crashed                     ? -1
                     : actor->state == TRI_LOCAL_FAILED ? 2
                                                        : 0,
        .signal = actor->crashed ? SIGSEGV : 0,
        .method = actor->died_in,
        .killed_by = actor->killed ? "trp_kill" : "",
    };
}

static void
tell_death(struct tri_local *local, const struct tri_local_actor *actor, struct tri_id result)
{
    char message[600] = "";
    const struct tri_death death = tri_local_death(actor, message);
    trp_value entries[2 * TRI_DEATH_FIELDS];

    if (actor->state == TRI_LOCAL_FAILED)
        tri_say_unmade(message, sizeof message, &actor->why.error);
    else
        (void)snprintf(message, sizeof message, "%.500s", actor->why.error.message);
    tri_local_value(local, result, tri_death_map(&death, entries));
}

/* Ended before it was ready. */
static void
fail_watch(struct tri_local *local, const struct tri_local_actor *actor, struct tri_id result)
{
    static const struct tri_letter none = {.route = {.kind = TRI_WATCH}};
    struct tri_failure failure;

    tri_local_refuse(actor, &none, &failure);
    tri_local_fail(local, result, &failure);
}

static void
answer_watch(struct tri_local *local, const struct tri_local_actor *actor, uint32_t event, struct tri_id result)
{
    if (event == TRP_WATCH_DEATH)
        tell_death(local, actor, result);
    else if (event == TRP_WATCH_READY && actor->state == TRI_LOCAL_FAILED)
        tri_local_fail(local, result, &actor->why);
    else if (event == TRP_WATCH_READY && !actor->was_ready)
        fail_watch(local, actor, result);
    else
        tri_local_value(local, result, trp_null());
}

static bool
has_happened(const struct tri_local_actor *actor, uint32_t event)
{
    return event == TRP_WATCH_READY ? actor->state != TRI_LOCAL_NEW : actor->state >= TRI_LOCAL_FAILED;
}

static void
answer_watches(struct tri_local *local, struct tri_local_actor *actor)
{
    struct tri_node *node = actor->watches.next;

    while (node != &actor->watches) {
        struct tri_local_watch *watch = TRI_OWNER(node, struct tri_local_watch, link);
        node = node->next;
        if (!has_happened(actor, watch->event))
            continue;
        tri_list_remove(&watch->link);
        answer_watch(local, actor, watch->event, watch->result);
        free(watch);
    }
}

static void
add_watch(struct tri_local *local, struct tri_local_actor *actor, uint32_t event, struct tri_id result)
{
    struct tri_local_watch *watch = calloc(1, sizeof *watch);

    if (watch == NULL) {
        local->process->no_memory = true;
        return;
    }
    watch->event = event;
    watch->result = result;
    tri_list_append(&actor->watches, &watch->link);
    answer_watches(local, actor);
}

void
tri_local_on_watch(struct tri_local *local, struct tri_local_message *message)
{
    struct tri_local_actor *actor = tri_local_find(local, message->letter->route.target);
    struct tri_failure failure;
    uint32_t event = 0;

    if (actor == NULL || message->letter->section_count == 0 ||
        tri_watch_unpack(&message->letter->sections[0], &event, NULL) != TRP_OK) {
        tri_local_refuse(actor, message->letter, &failure);
        tri_local_fail(local, message->letter->route.result, &failure);
        return;
    }
    add_watch(local, actor, event, message->letter->route.result);
}

/* ------------------------------------------------------------------------------------------------------------ ending */

void
tri_local_end_actor(struct tri_local *local, struct tri_local_actor *actor, const char *why)
{
    if (actor->state == TRI_LOCAL_DEAD || (actor->state == TRI_LOCAL_FAILED && actor->self == NULL))
        return;
    if (actor->state != TRI_LOCAL_FAILED) {
        actor->state = TRI_LOCAL_DEAD;
        (void)TRI_FAIL(&actor->why.error, TRP_EACTORDIED, "%s", why);
    }
    tri_local_drop_calls(local, actor);
    if (actor->self != NULL && actor->running == 0) {
        if (!actor->crashed)
            tri_callbacks_end(local->process, &actor->runtime);
        if (actor->row->fini != NULL && !actor->crashed) {
            tri_process_unlock(local->process);
            actor->row->fini(actor->self);
            tri_process_lock(local->process);
        }
        free(actor->self);
        actor->self = NULL;
    }
    tri_local_fail_promises(local, actor);
    answer_watches(local, actor);
    for (struct tri_node *node = local->born.next; node != &local->born; node = node->next) {
        struct tri_local_actor *child = tri_local_born(node);
        if (child->creator == actor && !child->detached && !child->draining) {
            child->draining = true;
            tri_local_idle(local, child);
        }
    }
}

TRI_APART void
tri_local_idle(struct tri_local *local, struct tri_local_actor *actor)
{
    if (actor->running > 0)
        return;
    if (actor->state >= TRI_LOCAL_FAILED) { /* killed while it ran, or its constructor failed: fini is owed */
        const bool failed = actor->state == TRI_LOCAL_FAILED;
        if (actor->self != NULL) {
            actor->state = TRI_LOCAL_FAILED;
            tri_local_end_actor(local, actor, "");
            if (!failed)
                actor->state = TRI_LOCAL_DEAD;
        }
    } else if (actor->draining && actor->queued == 0 && actor->state == TRI_LOCAL_READY) {
        tri_local_end_actor(local, actor, how_it_ends(actor));
    }
}

TRI_APART bool
tri_local_run_callback(struct tri_local *local)
{
    struct tri_node *node;

    if (tri_list_empty(&local->process->due))
        return false;
    for (node = local->born.next; node != &local->born; node = node->next) {
        struct tri_local_actor *actor = tri_local_born(node);
        if (actor->self == NULL || actor->running > 0 || !tri_process_callback_due(local->process, &actor->runtime))
            continue;
        actor->running++;
        local->running++;
        (void)tri_process_run_callback(local->process, &actor->runtime);
        local->running--;
        actor->running--;
        tri_local_idle(local, actor);
        return true;
    }
    return false;
}

static void
release_one(struct tri_local *local, struct tri_id id)
{
    struct tri_local_actor *actor = tri_local_find(local, id);
    struct tri_ref *again = actor != NULL ? tri_proc_find(local->process->proc, id) : NULL;

    if (again != NULL)
        tri_proc_release(again); /* a call or a value that was on its way has brought it back */
    else if (actor != NULL && !actor->detached) {
        actor->draining = true;
        tri_local_idle(local, actor);
    }
}

void
tri_local_on_release(struct tri_local *local, struct tri_local_message *message)
{
    const struct tri_run *runs = NULL;
    uint32_t count = 0;

    if (message->letter->section_count == 0 ||
        tri_runs_unpack(&message->letter->sections[0], &runs, &count, NULL) != TRP_OK)
        return;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < runs[i].count; k++)
            release_one(local, tri_run_id(&runs[i], k));
}

void
tri_local_on_kill(struct tri_local *local, struct tri_local_message *message)
{
    struct tri_local_actor *actor = tri_local_find(local, message->letter->route.target);
    const struct tri_id result = message->letter->route.result;
    int64_t drain_ms = 0;
    bool restart = false;

    if (message->letter->section_count > 0)
        (void)tri_kill_unpack(&message->letter->sections[0], &drain_ms, &restart, NULL);
    if (actor == NULL || actor->state >= TRI_LOCAL_FAILED) {
        tri_local_value(local, result, trp_null());
        return;
    }
    actor->killed = true;
    actor->draining = true;
    if (drain_ms == 0)
        tri_local_end_actor(local, actor, how_it_ends(actor));
    else
        tri_local_idle(local, actor);
    if (actor->state >= TRI_LOCAL_FAILED)
        tri_local_value(local, result, trp_null());
    else
        add_watch(local, actor, TRI_LOCAL_WATCH_END, result);
}

/* ---------------------------------------------------------------------------------------------------------- spawning */

static trp_err
make_handle(struct tri_local *local, struct tri_local_actor *actor)
{
    struct tri_handle *handle = &actor->handle.handle;

    tri_list_init(&handle->ref.waiters);
    handle->ref.entry.id = actor->entry.id;
    handle->ref.is_actor = handle->ref.shared = true;
    handle->ref.handles = handle->given = UINT32_MAX / 2; /* borrowed: never the last one */
    handle->process = local->process;
    handle->runtime = &actor->runtime;
    handle->live = true;
    actor->runtime = (trp_runtime){.process = local->process, .self = &actor->handle};
    (void)tri_text_copy(actor->runtime.default_namespace, sizeof actor->runtime.default_namespace, actor->space);
    actor->place = local->place;
    actor->place.name = actor->name;
    return TRP_OK;
}

static trp_err
make_actor(struct tri_local *local, const struct tri_local_message *message, const struct tri_spawn *spawn,
           struct tri_local_actor **made, trp_error *error)
{
    struct tri_local_actor *actor;

    if (tri_table_find(&local->actors, message->letter->route.target) != NULL)
        return TRI_FAIL(error, TRP_EALREADY, "that actor exists");
    if (spawn->num_gpus > 0 || spawn->resource_count > 0)
        return TRI_FAIL(error, TRP_ENORESOURCE, "local mode has %g CPUs, no GPUs and no custom resources",
                        local->num_cpus);
    TRP_TRY(tri_table_reserve(&local->actors, 1));
    actor = calloc(1, sizeof *actor);
    if (actor == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for an actor");
    actor->entry.id = message->letter->route.target;
    actor->creator = message->caller;
    actor->detached = spawn->detached;
    actor->limit = spawn->max_concurrency;
    actor->max_pending = spawn->max_pending_calls;
    (void)tri_text_copy(actor->name, sizeof actor->name, spawn->name);
    (void)tri_text_copy(actor->space, sizeof actor->space, spawn->namespace_);
    (void)tri_text_copy(actor->class_name, sizeof actor->class_name, spawn->class_name);
    (void)tri_id_format(actor->entry.id, actor->text);
    if (actor->name[0] != '\0')
        (void)snprintf(actor->full_name, sizeof actor->full_name, "%s/%s", actor->space, actor->name);
    tri_list_init(&actor->watches);
    (void)make_handle(local, actor);
    tri_table_insert(&local->actors, &actor->entry);
    tri_list_append(&local->born, &actor->link);
    *made = actor;
    return TRP_OK;
}

void
tri_local_on_spawn(struct tri_local *local, struct tri_local_message *message)
{
    const struct tri_id result = message->letter->route.result;
    struct tri_local_actor *actor = NULL, *other = NULL;
    struct tri_spawn_scratch scratch;
    struct tri_failure failure = {0};
    struct tri_spawn spawn;
    trp_err err = TRP_EPROTO;

    if (message->letter->section_count > 0)
        err = tri_spawn_unpack(&message->letter->sections[0], &spawn, &scratch, &failure.error);
    if (err == TRP_OK) {
        other = spawn.name[0] != '\0' ? tri_local_find_name(local, spawn.name, spawn.namespace_) : NULL;
        if (other != NULL && spawn.get_if_exists)
            tri_local_answer_actor(local, result, other);
        else if (other != NULL)
            err = tri_fail_taken(&failure.error, spawn.name, spawn.namespace_);
        else
            err = make_actor(local, message, &spawn, &actor, &failure.error);
        tri_view_close(&spawn.args);
    }
    if (err != TRP_OK) {
        tri_local_fail(local, result, &failure);
    } else if (actor != NULL) {
        tri_local_answer_actor(local, result, actor);
        (void)tri_local_new_call(local, message, actor, true);
    }
}

static trp_err
make_state(struct tri_local_actor *actor, trp_error *error)
{
    const uint32_t declared = actor->row->max_concurrency > 0 ? actor->row->max_concurrency : 1;

    if (actor->limit > declared)
        return TRI_FAIL(error, TRP_EINVAL, "max_concurrency %u is asked for, class %s declares %u", actor->limit,
                        actor->class_name, declared);
    if (actor->limit == 0)
        actor->limit = declared;
    actor->self = calloc(1, actor->row->self_size > 0 ? actor->row->self_size : 1);
    return actor->self != NULL ? TRP_OK : TRI_FAIL(error, TRP_ENOMEM, "no memory for the state of an actor");
}

static trp_err
construct(struct tri_local *local, struct tri_local_call *call, trp_error *error)
{
    struct tri_local_actor *actor = call->actor;
    struct tri_execution *execution = &call->execution;
    const struct tri_letter *letter = call->letter;
    struct tri_spawn_scratch scratch;
    const trp_module *module;
    struct tri_spawn spawn;
    trp_err err;

    TRP_TRY(tri_spawn_unpack(&letter->sections[0], &spawn, &scratch, error));
    err = tri_modules_class(local->modules, spawn.class_name, &module, &actor->row, error);
    if (err == TRP_OK)
        err = make_state(actor, error);
    if (err != TRP_OK) {
        tri_view_close(&spawn.args);
        return err;
    }
    execution->callable = tri_modules_find_init(local->modules, actor->row);
    TRP_TRY(tri_arguments_open(&call->arguments, local->process, &actor->runtime, &spawn.args, letter->sections,
                               letter->section_count, &execution->memory, error));
    if (execution->callable != NULL)
        tri_invoke(execution, actor->self, call->arguments.positional, call->arguments.keywords);
    else if (call->arguments.positional.size > 0 || call->arguments.keywords.size > 0)
        return TRI_FAIL(error, TRP_EINVAL, "%s has no constructor, and takes no arguments; found %zu", spawn.class_name,
                        call->arguments.positional.size + call->arguments.keywords.size);
    return TRP_OK;
}

TRI_APART void
tri_local_construct(struct tri_local *local, struct tri_local_call *call)
{
    trp_error error;

    if (construct(local, call, &error) != TRP_OK)
        tri_execution_refuse(&call->execution, &error);
    trp_ref_release(&call->execution.delegate); /* a constructor has no result */
}

TRI_APART void
tri_local_constructed(struct tri_local *local, struct tri_local_call *call)
{
    struct tri_local_actor *actor = call->actor;
    struct tri_failure chain[8];
    uint32_t count = 0;

    tri_local_abandon(local, call);
    if (actor->state != TRI_LOCAL_NEW)
        return; /* killed meanwhile */
    actor->state = TRI_LOCAL_READY;
    actor->was_ready = call->execution.outcome != TRI_RAN_FAILURE;
    if (call->execution.outcome == TRI_RAN_FAILURE) {
        actor->state = TRI_LOCAL_FAILED;
        actor->why = (struct tri_failure){.error = {.code = TRP_ETASK}};
        if (tri_error_unpack(call->execution.section, chain, &count, NULL) == TRP_OK && count > 0)
            actor->why.error = chain[0].error;
        tri_local_drop_calls(local, actor);
    }
    answer_watches(local, actor);
}

void
tri_local_free_actors(struct tri_local *local)
{
    while (!tri_list_empty(&local->born)) {
        struct tri_local_actor *actor = tri_local_born(local->born.next);
        tri_list_remove(&actor->link);
        while (!tri_list_empty(&actor->watches)) {
            struct tri_local_watch *watch = TRI_OWNER(actor->watches.next, struct tri_local_watch, link);
            tri_list_remove(&watch->link);
            free(watch);
        }
        free(actor->self);
        free(actor);
    }
}
