/*
 * bodies.c - the bodies that carry no values: login, snapshot, ids, errors, control. Pure; any thread.
 * It must not know how FlatBuffers work (codec.cc).
 */
#include "schemas/packed.h"

trp_err
tri_text_check(const char *what, const char *text, trp_error *error)
{
    size_t size = tri_text_length(text), valid = tri_text_valid(text, size);
    if (valid < size)
        return TRI_FAIL(error, TRP_EINVAL, "the %s '%.200s' is not UTF-8 at byte %zu", what, text, valid);
    return TRP_OK;
}

static trp_err
finish(struct tri_packed *packed, const struct tri_meta *meta, trp_error *error)
{
    uint8_t *block;
    TRP_TRY(tri_packed_finish(packed, meta, 0, 0, NULL, &block, error));
    tri_packed_done(packed);
    return TRP_OK;
}

/* Texts and arrays are read where they lie, so the data has to lie well: transport sees to that. */
static trp_err
check_section(const struct tri_section *section, const char *what, trp_error *error)
{
    if (((uintptr_t)section->data & 7) != 0 || section->meta_size > section->size)
        return TRI_FAIL(error, TRP_EPROTO, "%s that is misaligned, or of %u bytes in %llu", what, section->meta_size,
                        (unsigned long long)section->size);
    return TRP_OK;
}

static trp_err
verified(bool is_good, const struct tri_section *section, const char *what, trp_error *error)
{
    if (!is_good)
        return TRI_FAIL(error, TRP_EPROTO, "%s that does not verify (%u bytes)", what, section->meta_size);
    return TRP_OK;
}

/* ------------------------------------------------------------------------------------------------------------- login */

trp_err
tri_login_pack(struct tri_packed *packed, const struct tri_login *login, trp_error *error)
{
    struct tri_meta meta;
    TRP_TRY(tri_packed_begin(packed, 256 + tri_text_length(login->program), &meta, error));
    tri_meta_pack_login(&meta, login);
    return finish(packed, &meta, error);
}

trp_err
tri_login_unpack(const struct tri_section *section, struct tri_login *login, trp_error *error)
{
    TRP_TRY(check_section(section, "a login", error));
    return verified(tri_meta_open_login(section->data, section->meta_size, login), section, "a login", error);
}

trp_err
tri_welcome_pack(struct tri_packed *packed, const struct tri_welcome *welcome, trp_error *error)
{
    struct tri_meta meta;
    TRP_TRY(tri_packed_begin(packed, 256 + tri_text_length(welcome->node), &meta, error));
    tri_meta_pack_welcome(&meta, welcome);
    return finish(packed, &meta, error);
}

trp_err
tri_welcome_unpack(const struct tri_section *section, struct tri_welcome *welcome, trp_error *error)
{
    TRP_TRY(check_section(section, "a welcome", error));
    return verified(tri_meta_open_welcome(section->data, section->meta_size, welcome), section, "a welcome", error);
}

trp_err
tri_snapshot_pack(struct tri_packed *packed, const struct tri_snapshot *snapshot, trp_error *error)
{
    struct tri_meta meta;
    size_t bound = 256 + snapshot->hold_count * sizeof *snapshot->holds +
                   snapshot->call_count * sizeof *snapshot->calls + snapshot->actor_count * sizeof *snapshot->actors;
    TRP_TRY(tri_packed_begin(packed, bound, &meta, error));
    tri_meta_pack_snapshot(&meta, snapshot);
    return finish(packed, &meta, error);
}

trp_err
tri_snapshot_unpack(const struct tri_section *section, struct tri_snapshot *snapshot, trp_error *error)
{
    TRP_TRY(check_section(section, "a snapshot", error));
    return verified(tri_meta_open_snapshot(section->data, section->meta_size, snapshot), section, "a snapshot", error);
}

/* --------------------------------------------------------------------------------------------------------------- ids */

trp_err
tri_ids_pack(struct tri_packed *packed, const struct tri_id *ids, uint32_t count, trp_error *error)
{
    struct tri_meta meta;
    TRP_TRY(tri_packed_begin(packed, 128 + count * sizeof *ids, &meta, error));
    tri_meta_pack_ids(&meta, ids, count);
    return finish(packed, &meta, error);
}

trp_err
tri_ids_unpack(const struct tri_section *section, const struct tri_id **ids, uint32_t *count, trp_error *error)
{
    TRP_TRY(check_section(section, "a list of ids", error));
    return verified(tri_meta_open_ids(section->data, section->meta_size, ids, count), section, "a list of ids", error);
}

trp_err
tri_runs_pack(struct tri_packed *packed, const struct tri_run *runs, uint32_t count, trp_error *error)
{
    struct tri_meta meta;
    TRP_TRY(tri_packed_begin(packed, 128 + count * sizeof *runs, &meta, error));
    tri_meta_pack_runs(&meta, runs, count);
    return finish(packed, &meta, error);
}

trp_err
tri_runs_unpack(const struct tri_section *section, const struct tri_run **runs, uint32_t *count, trp_error *error)
{
    uint64_t total = 0;
    TRP_TRY(check_section(section, "a list of runs", error));
    TRP_TRY(
        verified(tri_meta_open_runs(section->data, section->meta_size, runs, count), section, "a list of runs", error));
    for (uint32_t i = 0; i < *count; i++) {
        const uint32_t ids = (*runs)[i].count;
        total += ids;
        if (ids == 0 || ids > TRI_RUN_MAX || total > TRI_RUN_IDS_MAX)
            return TRI_FAIL(error, TRP_EPROTO, "a run of %u ids; allowed are 1 to %d, and %d in all", ids, TRI_RUN_MAX,
                            TRI_RUN_IDS_MAX);
    }
    return TRP_OK;
}

bool
tri_run_takes(struct tri_run *run, struct tri_id id, uint64_t handed)
{
    const int64_t step = (int64_t)(id.number - tri_run_id(run, run->count - 1).number);
    if (id.space != run->id.space || handed != run->handed || run->count == TRI_RUN_MAX || step == 0 ||
        step != (int32_t)step || (run->count > 1 && step != run->step))
        return false;
    run->step = (int32_t)step;
    run->count++;
    return true;
}

/* ------------------------------------------------------------------------------------------------------------- store */

trp_err
tri_lease_pack(struct tri_packed *packed, const struct tri_lease *lease, trp_error *error)
{
    struct tri_meta meta;
    TRI_ASSERT(lease->slot_count <= TRI_LEASE_SLOTS_MAX);
    TRP_TRY(tri_packed_begin(packed, 128 + lease->slot_count * sizeof *lease->slots, &meta, error));
    tri_meta_pack_lease(&meta, lease);
    return finish(packed, &meta, error);
}

trp_err
tri_lease_unpack(const struct tri_section *section, struct tri_lease *lease, trp_error *error)
{
    TRP_TRY(check_section(section, "a lease", error));
    TRP_TRY(verified(tri_meta_open_lease(section->data, section->meta_size, lease), section, "a lease", error));
    if (lease->slot_count > TRI_LEASE_SLOTS_MAX || lease->count > UINT32_MAX - lease->start)
        return TRI_FAIL(error, TRP_EPROTO, "a lease of %u granules from %u, with %u slots; the limit is %d",
                        lease->count, lease->start, lease->slot_count, TRI_LEASE_SLOTS_MAX);
    return TRP_OK;
}

/* ------------------------------------------------------------------------------------------------------------ errors */

static size_t
failure_bound(const struct tri_failure *failure)
{
    const struct tri_death *death = &failure->death;
    size_t bound = 512 + sizeof failure->error;
    if (death->present)
        bound += 512 + tri_text_length(death->module) + tri_text_length(death->actor) + tri_text_length(death->method) +
                 tri_text_length(death->backtrace) + tri_text_length(death->last_output) +
                 tri_text_length(death->killed_by) + tri_text_length(death->id) + tri_text_length(death->class_name) +
                 tri_text_length(death->node) + tri_text_length(death->message);
    return bound;
}

trp_err
tri_error_pack(struct tri_packed *packed, const struct tri_failure *failure, trp_error *error)
{
    const struct tri_failure *chain[TRI_CAUSES_MAX];
    struct tri_meta meta;
    uint32_t count = 0;
    size_t bound = 256;
    for (; failure != NULL && count < TRI_CAUSES_MAX; failure = failure->cause) {
        TRI_ASSERT(failure->error.code > TRP_OK && failure->error.code < TRP_ERR_LAST_);
        bound += failure_bound(failure);
        chain[count++] = failure;
    }
    TRP_TRY(tri_packed_begin(packed, bound, &meta, error));
    tri_meta_pack_error(&meta, chain, count);
    return finish(packed, &meta, error);
}

trp_err
tri_error_unpack(const struct tri_section *section, struct tri_failure chain[8], uint32_t *count, trp_error *error)
{
    TRP_TRY(check_section(section, "an error", error));
    return verified(tri_meta_open_error(section->data, section->meta_size, chain, count), section, "an error", error);
}

/* ----------------------------------------------------------------------------------------------------------- control */

trp_err
tri_name_pack(struct tri_packed *packed, const char *text, const char *namespace_, trp_error *error)
{
    struct tri_meta meta;
    if (tri_text_length(text) == TRI_TEXT_MAX || tri_text_length(namespace_) > TRI_NAME_MAX)
        return TRI_FAIL(error, TRP_EINVAL, "the name '%.32s...' is longer than %d bytes", text, TRI_NAME_MAX);
    TRP_TRY(tri_text_check("name", text, error));
    TRP_TRY(tri_text_check("namespace", namespace_, error));
    TRP_TRY(tri_packed_begin(packed, 256 + tri_text_length(text) + tri_text_length(namespace_), &meta, error));
    tri_meta_pack_name(&meta, text, namespace_);
    return finish(packed, &meta, error);
}

trp_err
tri_name_unpack(const struct tri_section *section, const char **text, const char **namespace_, trp_error *error)
{
    TRP_TRY(check_section(section, "a name", error));
    return verified(tri_meta_open_name(section->data, section->meta_size, text, namespace_), section, "a name", error);
}

trp_err
tri_kill_pack(struct tri_packed *packed, int64_t drain_ms, bool allow_restart, trp_error *error)
{
    struct tri_meta meta;
    TRP_TRY(tri_packed_begin(packed, 128, &meta, error));
    tri_meta_pack_kill(&meta, drain_ms, allow_restart);
    return finish(packed, &meta, error);
}

trp_err
tri_kill_unpack(const struct tri_section *section, int64_t *drain_ms, bool *allow_restart, trp_error *error)
{
    TRP_TRY(check_section(section, "a kill", error));
    return verified(tri_meta_open_kill(section->data, section->meta_size, drain_ms, allow_restart), section, "a kill",
                    error);
}

trp_err
tri_watch_pack(struct tri_packed *packed, uint32_t event, trp_error *error)
{
    struct tri_meta meta;
    TRP_TRY(tri_packed_begin(packed, 128, &meta, error));
    tri_meta_pack_watch(&meta, event);
    return finish(packed, &meta, error);
}

trp_err
tri_watch_unpack(const struct tri_section *section, uint32_t *event, trp_error *error)
{
    TRP_TRY(check_section(section, "a watch", error));
    return verified(tri_meta_open_watch(section->data, section->meta_size, event) && *event <= 1, section, "a watch",
                    error);
}

trp_err
tri_log_pack(struct tri_packed *packed, const struct tri_log_line *line, trp_error *error)
{
    struct tri_meta meta;
    TRP_TRY(tri_packed_begin(packed, 256 + tri_text_length(line->actor) + tri_text_length(line->text), &meta, error));
    tri_meta_pack_log(&meta, line);
    return finish(packed, &meta, error);
}

trp_err
tri_log_unpack(const struct tri_section *section, struct tri_log_line *line, trp_error *error)
{
    TRP_TRY(check_section(section, "a line", error));
    return verified(tri_meta_open_log(section->data, section->meta_size, line), section, "a line", error);
}
