/*
 * kept_disk.c - kept_disk.h.
 */
#include "actors/kept_disk.h"

#include <inttypes.h>
#include <time.h>

#include "actors/process.h"

static int64_t
now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t
tri_wall_ms(uint64_t until_ns)
{
    const uint64_t now_ns = tri_now_ns();

    if (until_ns == TRI_NEVER)
        return TRI_KEPT_FOREVER;
    return now_ms() + (until_ns > now_ns ? (int64_t)((until_ns - now_ns) / TRI_NS_PER_MS) : 0);
}

uint64_t
tri_wall_until_ns(int64_t until_ms)
{
    const int64_t left_ms = until_ms - now_ms();

    if (until_ms == TRI_KEPT_FOREVER)
        return TRI_NEVER;
    return left_ms > 0 ? tri_until_ns(left_ms) : 0;
}

trp_err
tri_kept_save(int directory, const char *name, uint64_t until_ns, trp_ref *ref, bool *written, trp_error *error)
{
    const struct tri_section *section;
    trp_value value;
    trp_err err = TRP_OK;

    *written = false;
    if (trp_ref_location(ref) == TRP_FAILED || ref->handle.ref.is_actor)
        return TRP_OK;
    TRP_TRY(trp_get(ref, TRP_FOREVER, &value, error));
    section = tri_ref_value(&ref->handle.ref);
    if (section->ref_count == 0) {
        const struct tri_kept_about about = {ref->handle.ref.entry.id, tri_wall_ms(until_ns)};
        err = tri_kept_write(directory, name, &about, section, error);
        *written = err == TRP_OK;
    }
    trp_unpin(ref);
    return err;
}

/* Room for a value of that size where those that are put have it. */
static trp_err
take_room(struct tri_process *process, uint64_t size, struct tri_buf **buf, trp_error *error)
{
    *buf = NULL;
    if (size > TRI_INLINE_MAX)
        TRP_TRY(tri_stored_take(process, size, buf, error));
    if (*buf == NULL)
        *buf = tri_buf_new(size);
    return *buf != NULL ? TRP_OK : TRI_FAIL(error, TRP_ENOMEM, "there is no memory for %" PRIu64 " bytes", size);
}

/* With the lock. What was read is looked at as if it had come from a peer. */
static trp_err
read_value(struct tri_process *process, struct tri_kept_file *file, struct tri_buf **buf, struct tri_ref **made,
           trp_error *error)
{
    struct tri_packed packed = {0};
    struct tri_view view;

    TRP_TRY(take_room(process, file->size, buf, error));
    TRP_TRY(tri_kept_read(file, (*buf)->data, error));
    tri_store_written(*buf);
    packed.section =
        (struct tri_section){.meta_size = file->meta_size, .size = file->size, .data = (*buf)->data, .frame = *buf};
    TRP_TRY(tri_view_open(&view, &packed.section, error));
    tri_view_close(&view);
    return tri_proc_put(process->proc, &packed, made, error);
}

trp_err
tri_kept_load(int directory, const char *name, trp_runtime *runtime, trp_ref **ref, trp_error *error)
{
    struct tri_process *process = runtime->process;
    struct tri_kept_file file;
    struct tri_buf *buf = NULL;
    struct tri_ref *made = NULL;
    trp_error why;
    trp_err err = tri_kept_find(directory, name, &file, &why);

    if (err == TRP_OK) {
        tri_process_lock(process);
        err = read_value(process, &file, &buf, &made, &why);
        if (err == TRP_OK)
            *ref = tri_handle_give(process, runtime, made);
        tri_process_unlock(process);
        tri_buf_release(&buf);
        tri_kept_close(&file);
    }
    if (err == TRP_ENOENT || err == TRP_EPROTO || err == TRP_EOBJLOST)
        return TRI_FAIL(error, TRP_EOBJLOST, "what was kept as '%s' is lost: %s", name, why.message);
    if (err != TRP_OK && error != NULL)
        *error = why;
    return err;
}
