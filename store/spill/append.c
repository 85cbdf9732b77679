/*
 * append.c - puts bytes at the ends of files: batches of objects, and objects that leave a file that is mostly gaps.
 * One thread.
 */
#include "store/spill/inside.h"

#include <inttypes.h>
#include <stdlib.h>

/* ----------------------------------------------------------------------------------------------- the end of a file */

static void
forget_gathered(struct tri_spill *spill)
{
    spill->piece_count = 0;
    spill->header_count = 0;
    spill->scratch_used = 0;
    spill->gathered = 0;
}

static trp_err
failed_to_write(struct tri_spill *spill, int errnum, uint64_t size, trp_error *error)
{
    uint64_t room = 0;
    const trp_err err = tri_spill_errno(errnum);
    if (err == TRP_EDISKFULL && spill->backend->ops->room(spill->backend, &room) == 0)
        return tri_fail_errno(error, err, errnum,
                              "cannot spill %" PRIu64 " bytes to %.300s, where %" PRIu64 " are free", size,
                              spill->backend->where, room);
    return tri_fail_errno(error, err, errnum, "cannot spill to %.300s", spill->backend->where);
}

/* Writes what was gathered to the end of the current file, which ends behind it, whether it could be written or not. */
static trp_err
flush(struct tri_spill *spill, trp_error *error)
{
    struct file *file = spill->current;
    const uint64_t size = spill->gathered;
    const int count = spill->piece_count;
    forget_gathered(spill);
    if (count == 0)
        return TRP_OK;
    const trp_err err = tri_spill_file_open(spill, file, TRP_EUNAVAILABLE, error);
    if (err != TRP_OK)
        return err;
    const int failed = spill->backend->ops->write(spill->backend, file->handle, file->size, spill->pieces, count);
    tri_spill_file_grow(spill, file, file->size + size);
    return failed == 0 ? TRP_OK : failed_to_write(spill, failed, size, error);
}

static trp_err
sync_current(struct tri_spill *spill, trp_error *error)
{
    if (!spill->options.sync || spill->current == NULL)
        return TRP_OK;
    const trp_err err = tri_spill_file_open(spill, spill->current, TRP_EUNAVAILABLE, error);
    if (err != TRP_OK)
        return err;
    const int failed = spill->backend->ops->sync(spill->backend, spill->current->handle);
    return failed == 0 ? TRP_OK : failed_to_write(spill, failed, 0, error);
}

/* Before an object: goes on to the next file if the current one has enough. */
static trp_err
settle_file(struct tri_spill *spill, trp_error *error)
{
    if (spill->current != NULL && spill->current->size + spill->gathered < spill->options.file_bytes)
        return TRP_OK;
    trp_err err = spill->current != NULL ? flush(spill, error) : TRP_OK;
    if (err == TRP_OK)
        err = sync_current(spill, error);
    return err == TRP_OK ? tri_spill_file_begin(spill, error) : err;
}

/* The current file ends at `size` again. If it cannot be cut nothing is appended to it any more. */
static void
cut_back(struct tri_spill *spill, struct file *file, uint64_t size)
{
    spill->current = NULL;
    if (tri_spill_file_open(spill, file, TRP_EUNAVAILABLE, NULL) != TRP_OK)
        return;
    if (file->size != size && spill->backend->ops->cut(spill->backend, file->handle, size) != 0)
        return;
    tri_spill_file_grow(spill, file, size);
    spill->current = file;
}

/* ---------------------------------------------------------------------------------------------------------- objects */

static void
gather(struct tri_spill *spill, const void *data, uint64_t size)
{
    TRI_ASSERT(spill->piece_count < PIECES);
    spill->pieces[spill->piece_count++] = (struct iovec){.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    spill->gathered += size;
}

static void
gather_header(struct tri_spill *spill, struct tri_spill_header header)
{
    TRI_ASSERT(spill->header_count < HEADERS);
    spill->headers[spill->header_count] = header;
    gather(spill, &spill->headers[spill->header_count++], sizeof header);
}

/* Room for a header, and for a block that takes up to `size` bytes of scratch; what stands in the way is written. */
static trp_err
make_room(struct tri_spill *spill, uint64_t size, trp_error *error)
{
    const bool room = spill->piece_count + 2 <= PIECES && spill->header_count < HEADERS &&
                      spill->scratch_used + size <= TRI_SPILL_SCRATCH && spill->gathered < TRI_SPILL_BLOCK;
    return room ? TRP_OK : flush(spill, error);
}

static trp_err
write_object(struct tri_spill *spill, const struct tri_spill_item *item, struct object *object, trp_error *error)
{
    const uint8_t *stored;
    trp_err err = settle_file(spill, error);
    if (err == TRP_OK)
        err = make_room(spill, 0, error);
    if (err != TRP_OK)
        return err;
    object->file = spill->current;
    object->offset = spill->current->size + spill->gathered;
    object->stored_size = TRI_SPILL_HEADER;
    gather_header(spill, tri_spill_object_header(item->id, item->size));
    for (uint32_t index = 0; index < tri_spill_blocks(item->size); index++) {
        const uint64_t size = tri_spill_block_size(item->size, index);
        err = make_room(spill, size, error);
        if (err != TRP_OK)
            return err;
        uint8_t *scratch = spill->scratch + spill->scratch_used;
        const struct tri_spill_header header = tri_spill_block_encode(
            item->id, index, (const uint8_t *)item->data + index * TRI_SPILL_BLOCK, size, scratch, &stored);
        gather_header(spill, header);
        gather(spill, stored, header.stored_size);
        if (stored == scratch)
            spill->scratch_used += header.stored_size;
        object->stored_size += TRI_SPILL_HEADER + header.stored_size;
    }
    return TRP_OK;
}

/* ----------------------------------------------------------------------------------------------------------- batches */

/* What all of them take at most. TRP_EINVAL, TRP_EEXIST, TRP_ELIMIT. */
static trp_err
check_items(const struct tri_spill *spill, const struct tri_spill_item *items, size_t count, uint64_t *most,
            trp_error *error)
{
    char id[TRI_ID_TEXT_SIZE];
    *most = 0;
    for (size_t i = 0; i < count; i++) {
        if (tri_id_is_none(items[i].id))
            return TRI_FAIL(error, TRP_EINVAL, "an object without an id cannot be spilled");
        if (tri_spill_object_find(spill, items[i].id) != NULL)
            return TRI_FAIL(error, TRP_EEXIST, "object %s is spilled already", tri_id_format(items[i].id, id));
        if (items[i].size > TRI_SPILL_OBJECT_MAX)
            return TRI_FAIL(error, TRP_ELIMIT, "object %s of %" PRIu64 " bytes is larger than %" PRIu64,
                            tri_id_format(items[i].id, id), items[i].size, TRI_SPILL_OBJECT_MAX);
        *most += tri_spill_most(items[i].size);
        if (*most > UINT64_MAX / 4)
            return TRI_FAIL(error, TRP_ELIMIT, "too much to be spilled at once");
    }
    return TRP_OK;
}

static trp_err
check_budget(const struct tri_spill *spill, uint64_t most, trp_error *error)
{
    const uint64_t kept = spill->options.file_bytes, used = spill->stat.file_bytes, budget = spill->options.max_bytes;
    if (used + most + kept <= budget)
        return TRP_OK;
    return TRI_FAIL(error, TRP_EDISKFULL,
                    "%" PRIu64 " bytes to be spilled to %.300s do not fit: %" PRIu64 " of its budget of %" PRIu64
                    " (spill_max_bytes) are used, and %" PRIu64 " kept for compacting",
                    most, spill->backend->where, used, budget, kept);
}

static void
free_batch(struct tri_spill *spill, struct tri_node *batch)
{
    while (!tri_list_empty(batch)) {
        struct object *object = TRI_OWNER(batch->next, struct object, place);
        tri_list_remove(&object->place);
        tri_table_remove(&spill->objects, &object->entry);
        free(object);
    }
}

/* An object for each, in the table and in `batch`, not in a file yet. TRP_ENOMEM, TRP_EINVAL. */
static trp_err
make_batch(struct tri_spill *spill, const struct tri_spill_item *items, size_t count, struct tri_node *batch,
           trp_error *error)
{
    char id[TRI_ID_TEXT_SIZE];
    if (tri_table_reserve(&spill->objects, count) != TRP_OK)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for %zu spilled objects", count);
    for (size_t i = 0; i < count; i++) {
        if (tri_spill_object_find(spill, items[i].id) != NULL)
            return TRI_FAIL(error, TRP_EINVAL, "object %s is to be spilled twice", tri_id_format(items[i].id, id));
        struct object *object = calloc(1, sizeof *object);
        if (object == NULL)
            return TRI_FAIL(error, TRP_ENOMEM, "no memory for %zu spilled objects", count);
        object->entry.id = items[i].id;
        object->raw_size = items[i].size;
        tri_table_insert(&spill->objects, &object->entry);
        tri_list_append(batch, &object->place);
    }
    return TRP_OK;
}

static trp_err
write_batch(struct tri_spill *spill, const struct tri_spill_item *items, struct tri_node *batch, trp_error *error)
{
    trp_err err = TRP_OK;
    for (struct tri_node *node = batch->next; node != batch && err == TRP_OK; node = node->next)
        err = write_object(spill, items++, TRI_OWNER(node, struct object, place), error);
    if (err == TRP_OK)
        err = flush(spill, error);
    return err == TRP_OK ? sync_current(spill, error) : err;
}

/* Nothing of a batch stays: files that it began go, the one that it went on with ends where it did. */
static void
undo_batch(struct tri_spill *spill, struct tri_node *last, struct file *file, uint64_t size)
{
    forget_gathered(spill);
    for (struct tri_node *node = last->next, *next; node != &spill->in_order; node = next) {
        next = node->next;
        /* One that cannot be removed is empty, and tried again. */
        (void)tri_spill_file_end(spill, TRI_OWNER(node, struct file, order));
    }
    spill->current = NULL;
    if (file != NULL)
        cut_back(spill, file, size);
}

static void
take_batch(struct tri_spill *spill, struct tri_node *batch)
{
    while (!tri_list_empty(batch)) {
        struct object *object = TRI_OWNER(batch->next, struct object, place);
        tri_list_remove(&object->place);
        tri_spill_object_link(spill, object, object->file, object->offset);
        spill->stat.objects++;
        spill->stat.raw_bytes += object->raw_size;
        spill->stat.appended++;
        spill->stat.appended_raw += object->raw_size;
    }
}

trp_err
tri_spill_append(struct tri_spill *spill, const struct tri_spill_item *items, size_t count, trp_error *error)
{
    struct tri_node batch, *last = spill->in_order.prev;
    struct file *file = spill->current;
    const uint64_t size = file != NULL ? file->size : 0;
    uint64_t most;
    tri_list_init(&batch);
    trp_err err = check_items(spill, items, count, &most, error);
    if (err == TRP_OK)
        err = check_budget(spill, most, error);
    if (err != TRP_OK)
        return err;
    err = make_batch(spill, items, count, &batch, error);
    if (err == TRP_OK) {
        err = write_batch(spill, items, &batch, error);
        if (err != TRP_OK)
            undo_batch(spill, last, file, size);
    }
    if (err == TRP_OK)
        take_batch(spill, &batch);
    else
        free_batch(spill, &batch);
    return err;
}

/* -------------------------------------------------------------------------------------------------------- compacting */

/* The file with the most gaps among those that are mostly gaps; NULL: none. */
static struct file *
find_victim(const struct tri_spill *spill)
{
    struct file *victim = NULL;
    for (struct tri_node *node = spill->in_order.next; node != &spill->in_order; node = node->next) {
        struct file *file = TRI_OWNER(node, struct file, order);
        const bool full = file != spill->current || file->size >= spill->options.file_bytes / 2;
        if (full && !file->unreadable && file->live_count > 0 && file->live_bytes < file->size / 2 &&
            (victim == NULL || file->size - file->live_bytes > victim->size - victim->live_bytes))
            victim = file;
    }
    return victim;
}

/* Its stored bytes, as they are, to the end of the current file. */
static trp_err
copy_object(struct tri_spill *spill, struct object *object, trp_error *error)
{
    for (uint64_t at = 0; at < object->stored_size;) {
        const uint64_t left = object->stored_size - at;
        const size_t size = left < TRI_SPILL_SCRATCH ? left : TRI_SPILL_SCRATCH;
        trp_err err = tri_spill_fetch(spill, object, at, spill->scratch, size, error);
        if (err == TRP_EOBJLOST)
            object->file->unreadable = true;
        if (err != TRP_OK)
            return err;
        gather(spill, spill->scratch, size);
        err = flush(spill, error);
        if (err != TRP_OK)
            return err;
        at += size;
    }
    return sync_current(spill, error);
}

static trp_err
move_object(struct tri_spill *spill, struct object *object, trp_error *error)
{
    struct tri_spill_place place;
    trp_err err = settle_file(spill, error);
    if (err != TRP_OK)
        return err;
    const uint64_t offset = spill->current->size;
    err = copy_object(spill, object, error);
    if (err != TRP_OK) {
        cut_back(spill, spill->current, offset);
        return err;
    }
    tri_spill_object_unlink(spill, object);
    tri_spill_object_link(spill, object, spill->current, offset);
    (void)tri_spill_find(spill, object->entry.id, &place);
    if (spill->options.moved != NULL)
        spill->options.moved(spill->options.user, object->entry.id, &place);
    return TRP_OK;
}

static trp_err
compact_file(struct tri_spill *spill, struct file *victim, trp_error *error)
{
    if (spill->stat.file_bytes + victim->live_bytes > spill->options.max_bytes)
        return TRI_FAIL(error, TRP_EDISKFULL,
                        "%" PRIu64 " bytes cannot be compacted in %.300s: %" PRIu64 " of its budget of %" PRIu64
                        " (spill_max_bytes) are used",
                        victim->live_bytes, spill->backend->where, spill->stat.file_bytes, spill->options.max_bytes);
    if (spill->current == victim)
        spill->current = NULL;
    while (victim->live_count > 0) {
        const trp_err err = move_object(spill, TRI_OWNER(victim->objects.next, struct object, place), error);
        if (err != TRP_OK)
            return err;
    }
    spill->stat.compacted++;
    /* If it cannot be removed the next call tries again, and says why. */
    (void)tri_spill_file_end(spill, victim);
    return TRP_OK;
}

trp_err
tri_spill_compact(struct tri_spill *spill, bool *did, trp_error *error)
{
    uint64_t removed;
    const trp_err stuck = tri_spill_remove_empty(spill, &removed, error);
    struct file *victim = find_victim(spill);
    *did = victim != NULL;
    const trp_err err = victim != NULL ? compact_file(spill, victim, error) : TRP_OK;
    return err != TRP_OK ? err : stuck;
}
