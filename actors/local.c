/*
 * local.c - local mode: messages between the proc and the small broker in this process, and what is due next. With the
 * process's lock. It knows which file handles which message, and nothing of what they mean.
 */
#include <stdlib.h>
#include <unistd.h>

#include "actors/local.h"

/* ------------------------------------------------------------------------------------------------- as over the wire */

/* An envelope of its own memory, as if it had been received. */
struct packet {
    struct tri_packet packet; /* frames[0]: the batch */
    struct tri_envelope envelope;
};

static trp_err
make_packet(struct packet *made, const struct tri_route *route, const struct tri_section *sections, uint32_t count,
            trp_error *error)
{
    size_t size = tri_envelope_size(sections, count);

    *made = (struct packet){.packet = {.frame_count = 1}};
    made->packet.frames[0] = tri_buf_new(size);
    if (made->packet.frames[0] == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a message");
    size = tri_envelope_write(made->packet.frames[0]->data, route, sections, count);
    for (uint32_t i = 0; i < count; i++) {
        struct tri_buf *frame;
        if (!tri_section_is_frame(&sections[i]))
            continue;
        if (made->packet.frame_count > TRI_PACKET_FRAMES)
            return TRI_FAIL(error, TRP_ELIMIT, "more than %d large arguments", TRI_PACKET_FRAMES);
        frame = tri_section_frame(&sections[i]);
        if (frame == NULL)
            return TRI_FAIL(error, TRP_ENOMEM, "no memory for a message");
        made->packet.frames[made->packet.frame_count++] = frame;
    }
    return tri_envelope_check(made->packet.frames[0]->data, size, made->packet.frames + 1, made->packet.frame_count - 1,
                              &made->envelope, error);
}

static struct tri_local_actor *
current_actor(struct tri_local *local)
{
    const struct tri_execution *execution = tri_current_execution;

    return execution != NULL && execution->ctx.actor != NULL
               ? tri_local_find(local, execution->ctx.actor->handle.ref.entry.id)
               : NULL;
}

uint64_t
tri_local_post(struct tri_local *local, const struct tri_route *route, const struct tri_section *sections,
               uint32_t section_count)
{
    struct tri_local_message *message = calloc(1, sizeof *message);
    struct packet packet = {0};

    if (message != NULL && make_packet(&packet, route, sections, section_count, NULL) == TRP_OK)
        message->letter = tri_letter_copy(&packet.envelope);
    tri_packet_fini(&packet.packet);
    if (message == NULL || message->letter == NULL) {
        local->process->no_memory = true;
        free(message);
        return 0;
    }
    message->caller = current_actor(local);
    if (route->kind == TRI_CALL || route->kind == TRI_SPAWN)
        tri_local_hold(local, message->letter->sections, message->letter->section_count);
    tri_list_append(&local->arrived, &message->link);
    tri_waiters_poke(local->process, true);
    return ++local->epochs;
}

/* To the proc, as if it came from a broker. */
static void
tell(struct tri_local *local, const struct tri_route *route, const struct tri_section *body)
{
    struct packet packet;
    trp_error why;
    trp_err err = make_packet(&packet, route, body, 1, &why);

    if (err == TRP_OK)
        err = tri_proc_envelope(local->process->proc, &packet.envelope, tri_now_ns(), &why);
    tri_packet_fini(&packet.packet);
    if (err != TRP_OK)
        tri_process_fail(local->process, &why);
}

void
tri_local_result(struct tri_local *local, struct tri_id result, const struct tri_section *section, bool failed)
{
    const struct tri_route route = {.kind = TRI_RESULT, .flags = failed ? TRI_FAILED : 0, .result = result};
    struct tri_section body = *section;

    if (tri_id_is_none(result))
        return;
    body.place = 0;
    tell(local, &route, &body);
}

void
tri_local_fail(struct tri_local *local, struct tri_id result, const struct tri_failure *failure)
{
    trp_error why;

    if (tri_error_pack(&local->packed, failure, &why) != TRP_OK)
        tri_process_fail(local->process, &why);
    else
        tri_local_result(local, result, &local->packed.section, true);
}

void
tri_local_value(struct tri_local *local, struct tri_id result, trp_value value)
{
    struct tri_failure failure = {0};

    if (tri_value_pack(&local->packed, value, &tri_process_handles, NULL, &failure.error) != TRP_OK)
        tri_local_fail(local, result, &failure);
    else
        tri_local_result(local, result, &local->packed.section, false);
}

void
tri_local_hold(struct tri_local *local, const struct tri_section *sections, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < sections[i].ref_count; k++)
            (void)tri_proc_find(local->process->proc, sections[i].refs[k].id); /* one more handle */
}

void
tri_local_unhold(struct tri_local *local, const struct tri_section *sections, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < sections[i].ref_count; k++) {
            struct tri_ref *ref = tri_proc_find(local->process->proc, sections[i].refs[k].id);
            if (ref == NULL)
                continue;          /* an actor's own handle on itself, which is not counted */
            tri_proc_release(ref); /* that of the look-up */
            tri_proc_release(ref); /* that of hold */
        }
}

/* What a result names, until it is delivered. */
struct held {
    uint32_t count;
    struct tri_ref *refs[];
};

static void *
hold_result(void *user, const struct tri_section *section)
{
    struct tri_local *local = user;
    struct held *held = malloc(sizeof *held + section->ref_count * sizeof held->refs[0]);

    if (held == NULL)
        return NULL; /* they are held by whoever gave them to the function, unless that one lets go */
    held->count = section->ref_count;
    tri_process_lock(local->process);
    for (uint32_t i = 0; i < held->count; i++)
        held->refs[i] = tri_proc_find(local->process->proc, section->refs[i].id);
    tri_process_unlock(local->process);
    return held;
}

static void
unhold_result(void *user, void *given)
{
    struct held *held = given;

    (void)user;
    for (uint32_t i = 0; held != NULL && i < held->count; i++)
        if (held->refs[i] != NULL)
            tri_proc_release(held->refs[i]);
    free(held);
}

/* --------------------------------------------------------------------------------------------------------- messages */

typedef void tri_local_handler(struct tri_local *local, struct tri_local_message *message);

/* The value is in this process, where all that name it are: it need not be kept for a broker. */
static void
on_put(struct tri_local *local, struct tri_local_message *message)
{
    const struct tri_route route = {.kind = TRI_FREED};
    const struct tri_run run = {.id = message->letter->route.result, .count = 1};
    trp_error why;

    if (tri_runs_pack(&local->packed, &run, 1, &why) != TRP_OK)
        tri_process_fail(local->process, &why);
    else
        tell(local, &route, &local->packed.section);
}

/* Everything that is not here has no meaning without a broker: WAIT (results come by themselves), GOODBYE. */
static tri_local_handler *const handlers[TRI_KIND_COUNT] = {
    [TRI_CALL] = tri_local_on_call,     [TRI_SPAWN] = tri_local_on_spawn,   [TRI_KILL] = tri_local_on_kill,
    [TRI_LOOKUP] = tri_local_on_lookup, [TRI_WATCH] = tri_local_on_watch,   [TRI_RELEASE] = tri_local_on_release,
    [TRI_QUERY] = tri_local_on_query,   [TRI_CANCEL] = tri_local_on_cancel, [TRI_PUT] = on_put,
};

/* The handler may take the letter, by setting message->letter to NULL. */
static TRI_APART bool
handle_next(struct tri_local *local)
{
    struct tri_local_message *message;
    uint8_t kind;

    if (tri_list_empty(&local->arrived))
        return false;
    message = TRI_OWNER(local->arrived.next, struct tri_local_message, link);
    tri_list_remove(&message->link);
    kind = message->letter->route.kind;
    if (kind < TRI_KIND_COUNT && handlers[kind] != NULL)
        handlers[kind](local, message);
    if (message->letter != NULL && (kind == TRI_CALL || kind == TRI_SPAWN))
        tri_local_unhold(local, message->letter->sections, message->letter->section_count);
    tri_letter_free(&message->letter);
    free(message);
    return true;
}

void
tri_local_waits(struct tri_local *local, bool waits)
{
    local->running += waits ? -1u : 1u;
    if (tri_current_execution->reply == NULL)
        local->waiting += waits ? 1u : -1u;
    if (waits && local->running == 0)
        tri_waiters_poke(local->process, true); /* nobody is left who could help: others look whether they are stuck */
}

bool
tri_local_step(struct tri_local *local, trp_err *stuck)
{
    struct tri_proc *proc = local->process->proc;
    const uint64_t next_ns = tri_proc_next_ns(proc);

    *stuck = TRP_OK;
    if (next_ns != TRI_NEVER && tri_now_ns() >= next_ns) {
        tri_proc_tick(proc, tri_now_ns());
        return true;
    }
    if (tri_process_ring(local->process) || handle_next(local) || tri_local_keep_promises(local) ||
        tri_local_run_callback(local) || tri_local_run_next(local, stuck))
        return true;
    tri_proc_round(proc, tri_now_ns());
    if (!tri_list_empty(&local->arrived))
        return true;
    if (*stuck == TRP_OK && local->running == 0 && local->open == local->waiting && next_ns == TRI_NEVER &&
        local->process->alarm_ns == TRI_NEVER && tri_proc_begun(proc) == 0) /* another thread may write that */
        *stuck = TRP_EDEADLOCK;
    return false;
}

/* ---------------------------------------------------------------------------------------------- beginning and ending */

static trp_err
welcome(struct tri_local *local, trp_error *error)
{
    const struct tri_welcome welcome = {.version = TRI_WIRE_VERSION,
                                        .space = (UINT64_C(1) << 32) | 1,
                                        .broker = 1,
                                        .node = "local",
                                        .credit_calls = UINT32_MAX,
                                        .credit_bytes = UINT64_MAX,
                                        .num_cpus = local->num_cpus};
    struct tri_process *process = local->process;

    process->state = TRI_UP;
    process->space = welcome.space;
    process->broker = welcome.broker;
    process->num_cpus = welcome.num_cpus;
    (void)tri_text_copy(process->node, sizeof process->node, welcome.node);
    return tri_proc_welcome(process->proc, &welcome, tri_now_ns(), error);
}

static void
make_empty(struct tri_local *local, struct tri_process *process, const trp_config *config)
{
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    local->process = process;
    local->num_cpus = config->node.num_cpus > 0 ? config->node.num_cpus : (double)(cpus > 0 ? cpus : 1);
    local->runtime = (trp_runtime){.process = process};
    (void)tri_text_copy(local->runtime.default_namespace, sizeof local->runtime.default_namespace,
                        config->default_namespace != NULL ? config->default_namespace : "default");
    local->place = (trp_place){.node = "local",
                               .name = "",
                               .group = "",
                               .world_size = 1,
                               .local_world_size = 1,
                               .master_addr = "",
                               .master_port = -1};
    local->ops = (struct tri_execution_ops){.handles = &tri_process_handles,
                                            .hold = hold_result,
                                            .unhold = unhold_result,
                                            .replied = tri_local_replied,
                                            .user = local};
    (void)pthread_mutex_init(&local->late, NULL);
    tri_list_init(&local->born);
    tri_list_init(&local->arrived);
    tri_list_init(&local->calls);
    tri_list_init(&local->started);
    tri_list_init(&local->promised);
    tri_list_init(&local->faults);
}

trp_err
tri_local_new(struct tri_process *process, const trp_config *config, trp_error *error)
{
    static const char remedy[] = "this program runs in local mode: link the module in (config.modules), or set "
                                 "config.node.module_path or TRP_MODULE_PATH";
    struct tri_local *local = calloc(1, sizeof *local);
    trp_err err;

    if (local == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for local mode");
    make_empty(local, process, config);
    err = tri_table_init(&local->actors, tri_random_secret());
    if (err == TRP_OK)
        err = tri_modules_new(config->node.module_path, remedy, config->modules, &local->modules, error);
    process->local = local;
    if (err == TRP_OK)
        err = welcome(local, error);
    return err;
}

static void
drop_unstarted(struct tri_local *local)
{
    while (handle_next(local)) {
    }
    tri_local_drop_unstarted(local);
}

/* The runtime is shut down: calls that have not started never will; actors end in order. */
void
tri_local_end(struct tri_process *process)
{
    struct tri_local *local = process->local;

    if (local->looked_at != NULL)
        tri_handle_drop(process, &local->looked_at->handle);
    local->looked_at = NULL;
    drop_unstarted(local);
    for (struct tri_node *node = local->born.prev; node != &local->born; node = node->prev) {
        struct tri_local_actor *actor = TRI_OWNER(node, struct tri_local_actor, link);
        if (actor->running == 0)
            tri_local_end_actor(local, actor, "the runtime is shut down");
    }
    drop_unstarted(local); /* calls that actors made at their end */
}

static void
free_calls(struct tri_local *local, struct tri_node *list)
{
    while (!tri_list_empty(list)) {
        struct tri_local_call *call = TRI_OWNER(list->next, struct tri_local_call, link);
        tri_reply_cancel(call->execution.reply);
        tri_local_end_call(local, call);
    }
}

void
tri_local_destroy(struct tri_local **local)
{
    struct tri_local *gone = *local;
    bool last;

    *local = NULL;
    if (gone == NULL)
        return;
    while (!tri_list_empty(&gone->arrived)) {
        struct tri_local_message *message = TRI_OWNER(gone->arrived.next, struct tri_local_message, link);
        tri_list_remove(&message->link);
        tri_letter_free(&message->letter);
        free(message);
    }
    free_calls(gone, &gone->calls);
    free_calls(gone, &gone->promised);
    tri_local_free_actors(gone);
    tri_local_end_faults(gone);
    tri_table_fini(&gone->actors);
    tri_modules_destroy(&gone->modules);
    tri_packed_fini(&gone->packed);
    (void)pthread_mutex_lock(&gone->late);
    gone->gone = true;
    last = gone->open + gone->abandoned == 0;
    (void)pthread_mutex_unlock(&gone->late);
    if (!last)
        return; /* with the last reply that is still to be given */
    (void)pthread_mutex_destroy(&gone->late);
    free(gone);
}
