/*
 * every_body.c - samples of all bodies (every_body.h).
 */
#include "tests/schemas/every_body.h"

#include <stdlib.h>

/* ----------------------------------------------------------------------------------------------------------- touching */

static volatile uint64_t sink;

static uint64_t
touch_text(const char *text)
{
    return text != NULL ? strlen(text) : 0;
}

uint64_t
tri_touch_view(const struct tri_view *view)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < view->node_count; i++) {
        trp_value value = tri_view_value(view, i);
        DLTensor tensor;
        sum += (uint64_t)value.kind + value.size;
        if (value.kind == TRP_STR || value.kind == TRP_BYTES) {
            for (size_t k = 0; k <= value.size; k++)
                sum += (uint8_t)value.as.str[k];
        } else if (value.kind == TRP_TENSOR) {
            tri_view_tensor(view, i, &tensor);
            uint64_t size = (uint64_t)tensor.dtype.bits / 8 * tensor.dtype.lanes;
            for (int axis = 0; axis < tensor.ndim; axis++)
                size *= (uint64_t)tensor.shape[axis];
            for (uint64_t k = 0; k < size; k++)
                sum += ((const uint8_t *)tensor.data)[k];
        } else if (value.form != 0) {
            const struct tri_wire_node *node = &view->nodes[value.form - 1];
            uint64_t children = value.kind == TRP_MAP ? 2 * (uint64_t)node->count : node->count;
            for (uint64_t k = 0; k < children; k++)
                sum += (uint64_t)tri_view_value(view, (uint32_t)(node->payload + k)).kind;
        }
    }
    sink += sum;
    return sum;
}

struct tri_section
tri_section_copy(const struct tri_section *from, uint64_t size, size_t offset, void **memory)
{
    struct tri_section section = *from;
    uint8_t *bytes = malloc(offset + size + (offset + size == 0));
    memcpy(bytes + offset, from->data, (size_t)(size < from->size ? size : from->size));
    section.data = bytes + offset;
    section.size = size;
    section.frame = NULL;
    if (section.meta_size > size)
        section.meta_size = (uint32_t)size;
    *memory = bytes;
    return section;
}

/* ------------------------------------------------------------------------------------------------------------- values */

static trp_err
handle_id(struct tri_id *id, const void *handle, trp_error *error)
{
    *id = *(const struct tri_id *)handle;
    return tri_id_is_none(*id) ? TRI_FAIL(error, TRP_ECLOSED, "a handle of another runtime") : TRP_OK;
}

static trp_err
test_ref_id(void *user, trp_ref *ref, struct tri_id *id, trp_error *error)
{
    (void)user;
    return handle_id(id, ref, error);
}

static trp_err
test_actor_id(void *user, trp_actor *actor, struct tri_id *id, trp_error *error)
{
    (void)user;
    return handle_id(id, actor, error);
}

const struct tri_handles tri_test_handles = {test_ref_id, test_actor_id, NULL};

static struct tri_id ids[] = {{7, 1}, {7, 2}, {8, 3}};
static float numbers[] = {1, 2, 3, 4, 5, 6};

static trp_err
pack_value(struct tri_packed *packed, trp_error *error)
{
    int64_t shape[] = {2, 3};
    DLTensor tensor = trp_dense(numbers, TRP_FLOAT32, 2, shape);
    trp_value value =
        TRP_MAP("null", trp_null(), "bool", trp_bool(true), "int", -5, "float", 2.5, "text", "caf\xc3\xa9", "bytes",
                trp_bytes("\0\1\2", 3), "list", TRP_LIST(1, TRP_TUPLE("a", TRP_LIST(2.0))), "tensor", &tensor);
    trp_value more = TRP_LIST(value, trp_list(NULL, 0), trp_map(NULL, 0), (trp_ref *)&ids[0], (trp_actor *)&ids[1]);
    return tri_value_pack(packed, more, &tri_test_handles, NULL, error);
}

static trp_err
read_value(const struct tri_section *section, trp_error *error)
{
    struct tri_view view;
    TRP_TRY(tri_view_open(&view, section, error));
    tri_touch_view(&view);
    tri_view_close(&view);
    return TRP_OK;
}

/* -------------------------------------------------------------------------------------------------------------- calls */

static trp_err
pack_call(struct tri_packed *packed, trp_error *error)
{
    return tri_call_pack(packed, "increment",
                         TRP_ARGS(1, (trp_ref *)&ids[0], TRP_LIST((trp_ref *)&ids[1]), TRP_KW("step", 2),
                                  TRP_KW("from", (trp_ref *)&ids[2])),
                         &tri_test_handles, error);
}

static trp_err
read_call(const struct tri_section *section, trp_error *error)
{
    struct tri_call call;
    sink += touch_text(tri_call_method(section));
    TRP_TRY(tri_call_unpack(section, &call, error));
    sink += touch_text(call.method);
    tri_touch_view(&call.args);
    tri_view_close(&call.args);
    return TRP_OK;
}

static const struct tri_resource resources[] = {{"slots", 1}, {"disks", 2.5}};

static trp_err
pack_task(struct tri_packed *packed, trp_error *error)
{
    struct tri_needs needs = {2, 0.5, 1 << 20, -1, resources, 2};
    return tri_task_pack(packed, "wordcount:count", TRP_ARGS("text"), &needs, &tri_test_handles, error);
}

static trp_err
read_task(const struct tri_section *section, trp_error *error)
{
    struct tri_spawn_scratch scratch;
    struct tri_needs needs;
    bool present;
    TRP_TRY(tri_task_needs(section, &needs, &scratch, &present, error));
    for (uint32_t i = 0; i < needs.resource_count; i++)
        sink += touch_text(needs.resources[i].name);
    return read_call(section, error);
}

static trp_err
pack_ids(struct tri_packed *packed, trp_error *error)
{
    return tri_ids_pack(packed, ids, 3, error);
}

static trp_err
read_ids(const struct tri_section *section, trp_error *error)
{
    const struct tri_id *found;
    uint32_t count;
    TRP_TRY(tri_ids_unpack(section, &found, &count, error));
    for (uint32_t i = 0; i < count; i++)
        sink += found[i].number;
    return TRP_OK;
}

static trp_err
pack_runs(struct tri_packed *packed, trp_error *error)
{
    static const struct tri_run runs[] = {{{7, 1}, 0, 1, 1}, {{8, 2}, -1, 3, 3}};
    return tri_runs_pack(packed, runs, 2, error);
}

static trp_err
read_runs(const struct tri_section *section, trp_error *error)
{
    const struct tri_run *found;
    uint32_t count;
    TRP_TRY(tri_runs_unpack(section, &found, &count, error));
    for (uint32_t i = 0; i < count; i++)
        sink += found[i].handed + tri_run_id(&found[i], found[i].count - 1).number;
    return TRP_OK;
}

static trp_err
pack_lease(struct tri_packed *packed, trp_error *error)
{
    static const uint32_t slots[] = {3, 4, 1000};
    static const struct tri_lease lease = {.start = 16384, .count = 2048, .slots = slots, .slot_count = 3};
    return tri_lease_pack(packed, &lease, error);
}

static trp_err
read_lease(const struct tri_section *section, trp_error *error)
{
    struct tri_lease lease;
    TRP_TRY(tri_lease_unpack(section, &lease, error));
    for (uint32_t i = 0; i < lease.slot_count; i++)
        sink += lease.slots[i];
    sink += lease.start + lease.count;
    return TRP_OK;
}

/* ------------------------------------------------------------------------------------------------------------- actors */

static trp_err
pack_spawn(struct tri_packed *packed, trp_error *error)
{
    static const struct tri_env env[] = {{"LANG", "C"}, {"EMPTY", ""}};
    struct tri_spawn spawn = {.class_name = "counter:Counter",
                              .name = "a",
                              .namespace_ = "default",
                              .detached = true,
                              .num_cpus = 1,
                              .memory_bytes = 5,
                              .start_timeout_ms = 60000,
                              .max_concurrency = 1,
                              .max_pending_calls = 10000,
                              .resources = resources,
                              .resource_count = 2,
                              .env = env,
                              .env_count = 2};
    return tri_spawn_pack(packed, &spawn, TRP_ARGS(5, TRP_KW("minimal_score", 80.0)), &tri_test_handles, error);
}

static trp_err
read_spawn(const struct tri_section *section, trp_error *error)
{
    struct tri_spawn_scratch scratch;
    struct tri_spawn spawn;
    TRP_TRY(tri_spawn_unpack(section, &spawn, &scratch, error));
    sink += touch_text(spawn.class_name) + touch_text(spawn.name) + touch_text(spawn.namespace_);
    for (uint32_t i = 0; i < spawn.env_count; i++)
        sink += touch_text(spawn.env[i].name) + touch_text(spawn.env[i].text);
    for (uint32_t i = 0; i < spawn.resource_count; i++)
        sink += touch_text(spawn.resources[i].name);
    tri_touch_view(&spawn.args);
    tri_view_close(&spawn.args);
    return TRP_OK;
}

static trp_err
pack_kill(struct tri_packed *packed, trp_error *error)
{
    return tri_kill_pack(packed, 250, true, error);
}

static trp_err
read_kill(const struct tri_section *section, trp_error *error)
{
    int64_t drain_ms;
    bool allow_restart;
    TRP_TRY(tri_kill_unpack(section, &drain_ms, &allow_restart, error));
    sink += (uint64_t)drain_ms + allow_restart;
    return TRP_OK;
}

static trp_err
pack_watch(struct tri_packed *packed, trp_error *error)
{
    return tri_watch_pack(packed, 1, error);
}

static trp_err
read_watch(const struct tri_section *section, trp_error *error)
{
    uint32_t event;
    TRP_TRY(tri_watch_unpack(section, &event, error));
    sink += event;
    return TRP_OK;
}

/* ------------------------------------------------------------------------------------------------------------- errors */

static trp_err
pack_error(struct tri_packed *packed, trp_error *error)
{
    struct tri_failure cause = {.error = {.code = TRP_EACTORDIED, .ran = TRP_MAY_HAVE_RUN, .rank = -1}};
    struct tri_failure failure = {.error = {.code = TRP_ETASK, .ran = TRP_RAN, .cause = 7, .rank = -1},
                                  .cause = &cause};
    strcpy(failure.error.message, "The board is empty.");
    strcpy(failure.error.actor, "board");
    cause.death = (struct tri_death){.present = true,
                                     .pid = 42,
                                     .exit_code = -1,
                                     .signal = 11,
                                     .module = "board",
                                     .method = "pop",
                                     .sequence = 9,
                                     .backtrace = "#0 pop\n#1 main\n",
                                     .started = 9,
                                     .finished = 8,
                                     .actor = "board",
                                     .id = "0000000100000001000000000000000b",
                                     .class_name = "board:Board",
                                     .node = "here",
                                     .message = "its process 42 ended"};
    return tri_error_pack(packed, &failure, error);
}

static trp_err
read_error(const struct tri_section *section, trp_error *error)
{
    struct tri_failure chain[8];
    uint32_t count = 0;
    TRP_TRY(tri_error_unpack(section, chain, &count, error));
    for (const struct tri_failure *at = chain; at != NULL; at = at->cause)
        sink += touch_text(at->error.message) + touch_text(at->error.actor) + touch_text(at->death.backtrace) +
                touch_text(at->death.module) + touch_text(at->death.last_output) + touch_text(at->death.killed_by) +
                touch_text(at->death.actor) + touch_text(at->death.id) + touch_text(at->death.class_name) +
                touch_text(at->death.node) + touch_text(at->death.message);
    return TRP_OK;
}

/* -------------------------------------------------------------------------------------------------- login and control */

static trp_err
pack_login(struct tri_packed *packed, trp_error *error)
{
    struct tri_login login = {1, 1, TRI_HOST, 42, 0x1122334455667788, 3, 4, 5, 6, "troupe-worker"};
    return tri_login_pack(packed, &login, error);
}

static trp_err
read_login(const struct tri_section *section, trp_error *error)
{
    struct tri_login login;
    TRP_TRY(tri_login_unpack(section, &login, error));
    sink += touch_text(login.program) + login.cookie;
    return TRP_OK;
}

static trp_err
pack_welcome(struct tri_packed *packed, trp_error *error)
{
    struct tri_welcome welcome = {1, 2, 3, 4, true, "node", 5, 6, 7.5, 8, 9, 10};
    return tri_welcome_pack(packed, &welcome, error);
}

static trp_err
read_welcome(const struct tri_section *section, trp_error *error)
{
    struct tri_welcome welcome;
    TRP_TRY(tri_welcome_unpack(section, &welcome, error));
    sink += touch_text(welcome.node) + welcome.credit_bytes;
    return TRP_OK;
}

static trp_err
pack_snapshot(struct tri_packed *packed, trp_error *error)
{
    static const struct tri_snap_hold holds[] = {{{1, 2}, 3, TRI_SNAP_VALUE, 0}, {{1, 3}, 1, 0, 0}};
    static const struct tri_snap_call calls[] = {{{1, 4}, {5, 6}, 7, TRI_SNAP_RUNNING, 0}};
    struct tri_snapshot snapshot = {holds, 2, calls, 1, NULL, 0};
    return tri_snapshot_pack(packed, &snapshot, error);
}

static trp_err
read_snapshot(const struct tri_section *section, trp_error *error)
{
    struct tri_snapshot snapshot;
    TRP_TRY(tri_snapshot_unpack(section, &snapshot, error));
    for (uint32_t i = 0; i < snapshot.hold_count; i++)
        sink += snapshot.holds[i].handed;
    for (uint32_t i = 0; i < snapshot.call_count; i++)
        sink += snapshot.calls[i].sequence;
    for (uint32_t i = 0; i < snapshot.actor_count; i++)
        sink += snapshot.actors[i].epoch;
    return TRP_OK;
}

static trp_err
pack_name(struct tri_packed *packed, trp_error *error)
{
    return tri_name_pack(packed, "Chemistry", "default", error);
}

static trp_err
read_name(const struct tri_section *section, trp_error *error)
{
    const char *text, *namespace_;
    TRP_TRY(tri_name_unpack(section, &text, &namespace_, error));
    sink += touch_text(text) + touch_text(namespace_);
    return TRP_OK;
}

static trp_err
pack_log(struct tri_packed *packed, trp_error *error)
{
    struct tri_log_line line = {"board", 42, true, "a line"};
    return tri_log_pack(packed, &line, error);
}

static trp_err
read_log(const struct tri_section *section, trp_error *error)
{
    struct tri_log_line line;
    TRP_TRY(tri_log_unpack(section, &line, error));
    sink += touch_text(line.actor) + touch_text(line.text);
    return TRP_OK;
}

const struct tri_body_sample tri_body_samples[] = {
    {"value", TRI_RESULT, pack_value, read_value},
    {"call", TRI_CALL, pack_call, read_call},
    {"task", TRI_CALL, pack_task, read_task},
    {"ids", TRI_WAIT, pack_ids, read_ids},
    {"runs", TRI_RELEASE, pack_runs, read_runs},
    {"lease", TRI_LEASE, pack_lease, read_lease},
    {"spawn", TRI_SPAWN, pack_spawn, read_spawn},
    {"kill", TRI_KILL, pack_kill, read_kill},
    {"watch", TRI_WATCH, pack_watch, read_watch},
    {"error", TRI_CUT, pack_error, read_error},
    {"login", TRI_HELLO, pack_login, read_login},
    {"welcome", TRI_WELCOME, pack_welcome, read_welcome},
    {"snapshot", TRI_SNAPSHOT, pack_snapshot, read_snapshot},
    {"name", TRI_LOOKUP, pack_name, read_name},
    {"log", TRI_LOG, pack_log, read_log},
};
const size_t tri_body_sample_count = sizeof tri_body_samples / sizeof *tri_body_samples;
