/*
 * files.c - which spilled object is in which file: taking over, dropping, compacting. Writing is append.c, reading restore.c.
 * One thread.
 */
#include "store/spill/inside.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* Files are found by their number in a table of ids. */
static struct tri_id
id_of_file(uint64_t number)
{
    return (struct tri_id){.space = 1, .number = number};
}

trp_err
tri_spill_errno(int errnum)
{
    return tri_errno_code(errnum, TRP_EUNAVAILABLE);
}

/* ----------------------------------------------------------------------------------------------------------- files */

/* NULL: absent. */
static struct file *
find_file(const struct tri_spill *spill, uint64_t number)
{
    struct tri_entry *entry = tri_table_find(&spill->files, id_of_file(number));
    return entry != NULL ? TRI_OWNER(entry, struct file, entry) : NULL;
}

void
tri_spill_file_grow(struct tri_spill *spill, struct file *file, uint64_t size)
{
    spill->stat.file_bytes += size - file->size;
    file->size = size;
}

/* NULL: no memory. */
static struct file *
add_file(struct tri_spill *spill, uint64_t number, uint64_t size)
{
    struct file *file = calloc(1, sizeof *file);
    if (file == NULL || tri_table_reserve(&spill->files, 1) != TRP_OK) {
        free(file);
        return NULL;
    }
    file->number = number;
    file->entry.id = id_of_file(number);
    tri_list_init(&file->objects);
    tri_list_init(&file->recent);
    tri_list_append(&spill->in_order, &file->order);
    tri_table_insert(&spill->files, &file->entry);
    spill->stat.files++;
    tri_spill_file_grow(spill, file, size);
    if (number >= spill->next_number)
        spill->next_number = number + 1;
    return file;
}

static void
close_file(struct tri_spill *spill, struct file *file)
{
    if (file->handle == NULL)
        return;
    spill->backend->ops->close(spill->backend, file->handle);
    file->handle = NULL;
    tri_list_remove(&file->recent);
    spill->open_count--;
}

static void
forget_file(struct tri_spill *spill, struct file *file)
{
    TRI_ASSERT(file->live_count == 0 && tri_list_empty(&file->objects));
    close_file(spill, file);
    if (spill->current == file)
        spill->current = NULL;
    tri_spill_file_grow(spill, file, 0);
    spill->stat.files--;
    tri_list_remove(&file->order);
    tri_table_remove(&spill->files, &file->entry);
    free(file);
}

int
tri_spill_file_end(struct tri_spill *spill, struct file *file)
{
    const int failed = spill->backend->ops->remove(spill->backend, file->number);
    if (failed == 0 || failed == ENOENT) {
        forget_file(spill, file);
        return 0;
    }
    if (spill->current == file)
        spill->current = NULL;
    return failed;
}

/* It is open now: the one most recently used, and another one is closed where that makes too many. */
static void
note_open(struct tri_spill *spill, struct file *file, struct tri_spill_handle *handle)
{
    file->handle = handle;
    tri_list_append(&spill->open_files, &file->recent);
    if (++spill->open_count > TRI_SPILL_OPEN_MAX)
        close_file(spill, TRI_OWNER(spill->open_files.next, struct file, recent));
}

trp_err
tri_spill_file_open(struct tri_spill *spill, struct file *file, trp_err lost, trp_error *error)
{
    char name[TRI_SPILL_NAME_SIZE];
    struct tri_spill_handle *handle;
    if (file->handle != NULL) {
        tri_list_remove(&file->recent);
        tri_list_append(&spill->open_files, &file->recent);
        return TRP_OK;
    }
    const int failed = spill->backend->ops->open(spill->backend, file->number, false, &handle);
    if (failed == 0) {
        note_open(spill, file, handle);
        return TRP_OK;
    }
    const trp_err err = tri_spill_errno(failed);
    return tri_fail_errno(error, err == TRP_ENOMEM || err == TRP_ELIMIT ? err : lost, failed,
                          "cannot open %s in %.300s", tri_spill_name(file->number, name), spill->backend->where);
}

trp_err
tri_spill_file_begin(struct tri_spill *spill, trp_error *error)
{
    struct tri_spill_handle *handle;
    int failed = EEXIST;
    /* What lies there under a name of ours and is not ours is left alone. */
    for (int tries = 0; failed == EEXIST && tries < 100; tries++)
        failed = spill->backend->ops->open(spill->backend, spill->next_number++, true, &handle);
    if (failed != 0)
        return tri_fail_errno(error, tri_spill_errno(failed), failed, "cannot make a file to spill to in %.300s",
                              spill->backend->where);
    const uint64_t number = spill->next_number - 1;
    struct file *file = add_file(spill, number, 0);
    if (file == NULL) {
        spill->backend->ops->close(spill->backend, handle);
        (void)spill->backend->ops->remove(spill->backend, number); /* else the next sweep does */
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a file to spill to");
    }
    note_open(spill, file, handle);
    spill->current = file;
    return TRP_OK;
}

/* --------------------------------------------------------------------------------------------------------- objects */

struct object *
tri_spill_object_find(const struct tri_spill *spill, struct tri_id id)
{
    struct tri_entry *entry = tri_table_find(&spill->objects, id);
    return entry != NULL ? TRI_OWNER(entry, struct object, entry) : NULL;
}

void
tri_spill_object_link(struct tri_spill *spill, struct object *object, struct file *file, uint64_t offset)
{
    object->file = file;
    object->offset = offset;
    tri_list_append(&file->objects, &object->place);
    file->live_count++;
    file->live_bytes += object->stored_size;
    spill->stat.live_bytes += object->stored_size;
}

void
tri_spill_object_unlink(struct tri_spill *spill, struct object *object)
{
    struct file *file = object->file;
    tri_list_remove(&object->place);
    file->live_count--;
    file->live_bytes -= object->stored_size;
    spill->stat.live_bytes -= object->stored_size;
}

static struct tri_spill_place
place_of(const struct object *object)
{
    return (struct tri_spill_place){object->file->number, object->offset, object->stored_size, object->raw_size};
}

/* Out of all tables, and freed. Returns its file. */
static struct file *
forget_object(struct tri_spill *spill, struct object *object)
{
    struct file *file = object->file;
    tri_spill_object_unlink(spill, object);
    tri_table_remove(&spill->objects, &object->entry);
    spill->stat.objects--;
    spill->stat.raw_bytes -= object->raw_size;
    free(object);
    return file;
}

bool
tri_spill_find(const struct tri_spill *spill, struct tri_id id, struct tri_spill_place *place)
{
    const struct object *object = tri_spill_object_find(spill, id);
    if (object != NULL && place != NULL)
        *place = place_of(object);
    return object != NULL;
}

bool
tri_spill_next(const struct tri_spill *spill, struct tri_id id, struct tri_id *next)
{
    const struct object *object = tri_spill_object_find(spill, id);
    if (object == NULL || object->place.next == &object->file->objects)
        return false;
    *next = TRI_OWNER(object->place.next, struct object, place)->entry.id;
    return true;
}

trp_err
tri_spill_drop(struct tri_spill *spill, struct tri_id id)
{
    struct object *object = tri_spill_object_find(spill, id);
    if (object == NULL)
        return TRP_ENOENT;
    struct file *file = forget_object(spill, object);
    /* One that cannot be removed is counted, and compact tries again and says why. */
    if (file->live_count == 0)
        (void)tri_spill_file_end(spill, file);
    return TRP_OK;
}

/* ------------------------------------------------------------------------------------------------- start and end */

struct taking_over {
    struct tri_spill *spill;
    bool no_memory;
};

static void
take_over(void *user, uint64_t number, uint64_t size)
{
    struct taking_over *taking = user;
    if (add_file(taking->spill, number, size) == NULL)
        taking->no_memory = true;
}

/* What options leave open; needs to know what lies there. */
static trp_err
settle_options(struct tri_spill *spill, trp_error *error)
{
    struct tri_spill_options *options = &spill->options;
    uint64_t room = 0;
    if (options->max_bytes == 0) {
        const int failed = spill->backend->ops->room(spill->backend, &room);
        if (failed != 0)
            return tri_fail_errno(error, tri_spill_errno(failed), failed, "cannot learn how much is free in %.300s",
                                  spill->backend->where);
        options->max_bytes = (room + spill->stat.file_bytes) / 2;
    }
    if (options->file_bytes == 0)
        options->file_bytes = TRI_SPILL_FILE_BYTES;
    if (options->file_bytes > options->max_bytes / 8)
        options->file_bytes = options->max_bytes / 8;
    spill->stat.max_bytes = options->max_bytes;
    return TRP_OK;
}

static trp_err
start(struct tri_spill *spill, trp_error *error)
{
    struct taking_over taking = {.spill = spill};
    uint64_t foreign;
    const int failed = spill->backend->ops->list(spill->backend, take_over, &taking, &foreign);
    if (failed != 0)
        return tri_fail_errno(error, tri_spill_errno(failed), failed, "cannot list what is in %.300s",
                              spill->backend->where);
    if (taking.no_memory)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for the list of spilled files");
    return settle_options(spill, error);
}

trp_err
tri_spill_create(struct tri_spill_backend *backend, const struct tri_spill_options *options, struct tri_spill **made,
                 trp_error *error)
{
    struct tri_spill *spill = calloc(1, sizeof *spill);
    uint8_t *scratch = malloc(TRI_SPILL_SCRATCH);
    if (spill == NULL || scratch == NULL || tri_table_init(&spill->objects, options->seed) != TRP_OK) {
        free(spill);
        free(scratch);
        return TRI_FAIL(error, TRP_ENOMEM, "no memory to spill with");
    }
    spill->backend = backend;
    spill->options = *options;
    spill->scratch = scratch;
    tri_list_init(&spill->in_order);
    tri_list_init(&spill->open_files);
    trp_err err = tri_table_init(&spill->files, options->seed);
    if (err != TRP_OK)
        err = TRI_FAIL(error, TRP_ENOMEM, "no memory to spill with");
    else
        err = start(spill, error);
    if (err == TRP_OK)
        *made = spill;
    else
        tri_spill_destroy(&spill);
    return err;
}

static void
forget_objects(struct tri_spill *spill, struct file *file)
{
    while (!tri_list_empty(&file->objects))
        forget_object(spill, TRI_OWNER(file->objects.next, struct object, place));
}

void
tri_spill_destroy(struct tri_spill **made)
{
    struct tri_spill *spill = *made;
    *made = NULL;
    if (spill == NULL)
        return;
    while (!tri_list_empty(&spill->in_order)) {
        struct file *file = TRI_OWNER(spill->in_order.next, struct file, order);
        forget_objects(spill, file);
        forget_file(spill, file);
    }
    tri_table_fini(&spill->objects);
    tri_table_fini(&spill->files);
    free(spill->scratch);
    free(spill);
}

trp_err
tri_spill_remove_empty(struct tri_spill *spill, uint64_t *removed, trp_error *error)
{
    char name[TRI_SPILL_NAME_SIZE];
    trp_err err = TRP_OK;
    *removed = 0;
    for (struct tri_node *node = spill->in_order.next, *next; node != &spill->in_order; node = next) {
        struct file *file = TRI_OWNER(node, struct file, order);
        next = node->next;
        if (file->live_count > 0)
            continue;
        const uint64_t number = file->number;
        const int failed = tri_spill_file_end(spill, file);
        if (failed == 0)
            ++*removed;
        else if (err == TRP_OK)
            err = tri_fail_errno(error, tri_spill_errno(failed), failed, "cannot remove %s from %.300s",
                                 tri_spill_name(number, name), spill->backend->where);
    }
    return err;
}

trp_err
tri_spill_clear(struct tri_spill *spill, trp_error *error)
{
    uint64_t removed;
    for (struct tri_node *node = spill->in_order.next; node != &spill->in_order; node = node->next)
        forget_objects(spill, TRI_OWNER(node, struct file, order));
    return tri_spill_remove_empty(spill, &removed, error);
}

static void
pass_over(void *user, uint64_t number, uint64_t size)
{
    (void)user;
    (void)number;
    (void)size;
}

/* What is behind a file's last object: an append that its process did not live to end. */
static trp_err
cut_rest(struct tri_spill *spill, struct file *file, trp_error *error)
{
    char name[TRI_SPILL_NAME_SIZE];
    uint64_t end = 0;
    for (struct tri_node *node = file->objects.next; node != &file->objects; node = node->next) {
        const struct object *object = TRI_OWNER(node, struct object, place);
        if (object->offset + object->stored_size > end)
            end = object->offset + object->stored_size;
    }
    if (file == spill->current || end == file->size)
        return TRP_OK;
    const trp_err err = tri_spill_file_open(spill, file, TRP_EUNAVAILABLE, error);
    if (err != TRP_OK)
        return err;
    const int failed = spill->backend->ops->cut(spill->backend, file->handle, end);
    if (failed != 0)
        return tri_fail_errno(error, tri_spill_errno(failed), failed, "cannot cut %s in %.300s",
                              tri_spill_name(file->number, name), spill->backend->where);
    tri_spill_file_grow(spill, file, end);
    return TRP_OK;
}

trp_err
tri_spill_sweep(struct tri_spill *spill, uint64_t *removed, uint64_t *foreign, trp_error *error)
{
    const int failed = spill->backend->ops->list(spill->backend, pass_over, NULL, foreign);
    if (failed != 0)
        return tri_fail_errno(error, tri_spill_errno(failed), failed, "cannot list what is in %.300s",
                              spill->backend->where);
    trp_err first = tri_spill_remove_empty(spill, removed, error);
    for (struct tri_node *node = spill->in_order.next; node != &spill->in_order; node = node->next) {
        struct file *file = TRI_OWNER(node, struct file, order);
        const trp_err err = file->live_count > 0 ? cut_rest(spill, file, first == TRP_OK ? error : NULL) : TRP_OK;
        if (first == TRP_OK)
            first = err;
    }
    return first;
}

/* Whether a place can be one in this file, as far as numbers tell. */
static bool
is_possible(const struct file *file, const struct tri_spill_place *place)
{
    return file != NULL && place->raw_size <= TRI_SPILL_OBJECT_MAX &&
           place->stored_size >= (1 + (uint64_t)tri_spill_blocks(place->raw_size)) * TRI_SPILL_HEADER &&
           place->stored_size <= tri_spill_most(place->raw_size) && place->offset <= file->size &&
           place->stored_size <= file->size - place->offset && place->stored_size <= file->size - file->live_bytes;
}

trp_err
tri_spill_claim(struct tri_spill *spill, struct tri_id id, const struct tri_spill_place *place, trp_error *error)
{
    char name[TRI_SPILL_NAME_SIZE], text[TRI_ID_TEXT_SIZE];
    struct tri_spill_reader reader;
    struct file *file = find_file(spill, place->file);
    if (tri_id_is_none(id))
        return TRI_FAIL(error, TRP_EINVAL, "an object without an id cannot be spilled");
    if (tri_spill_object_find(spill, id) != NULL)
        return TRI_FAIL(error, TRP_EEXIST, "object %s was claimed before", tri_id_format(id, text));
    if (!is_possible(file, place))
        return TRI_FAIL(error, TRP_EOBJLOST,
                        "object %s of %" PRIu64 " bytes cannot be in %s of %.300s, at %" PRIu64 " in %" PRIu64
                        " bytes: the file has %" PRIu64,
                        tri_id_format(id, text), place->raw_size, tri_spill_name(place->file, name),
                        spill->backend->where, place->offset, place->stored_size, file != NULL ? file->size : 0);
    struct object *object = calloc(1, sizeof *object);
    if (object == NULL || tri_table_reserve(&spill->objects, 1) != TRP_OK) {
        free(object);
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a spilled object");
    }
    object->entry.id = id;
    object->stored_size = place->stored_size;
    object->raw_size = place->raw_size;
    tri_table_insert(&spill->objects, &object->entry);
    tri_spill_object_link(spill, object, file, place->offset);
    spill->stat.objects++;
    spill->stat.raw_bytes += object->raw_size;
    const trp_err err = tri_spill_read_begin(spill, id, &reader, error);
    if (err != TRP_OK)
        forget_object(spill, object);
    return err;
}

/* ------------------------------------------------------------------------------------------------------ what there is */

struct tri_spill_stat
tri_spill_stat(const struct tri_spill *spill)
{
    struct tri_spill_stat stat = spill->stat;
    stat.empty_files = 0;
    for (const struct tri_node *node = spill->in_order.next; node != &spill->in_order; node = node->next)
        stat.empty_files += TRI_OWNER(node, struct file, order)->live_count == 0;
    return stat;
}

/* What of a file does not hold, and what it adds to `sum`. */
static const char *
check_file(const struct tri_spill *spill, const struct file *file, struct tri_spill_stat *sum)
{
    uint64_t count = 0, bytes = 0;
    for (const struct tri_node *node = file->objects.next; node != &file->objects; node = node->next) {
        const struct object *object = TRI_OWNER(node, struct object, place);
        if (object->file != file || tri_spill_object_find(spill, object->entry.id) != object)
            return "an object is in a file that it does not name";
        if (object->offset + object->stored_size > file->size)
            return "an object ends behind its file";
        sum->raw_bytes += object->raw_size;
        bytes += object->stored_size;
        count++;
    }
    if (count != file->live_count || bytes != file->live_bytes || bytes > file->size)
        return "a file has other objects than it says";
    sum->files++;
    sum->objects += count;
    sum->live_bytes += bytes;
    sum->file_bytes += file->size;
    return NULL;
}

const char *
tri_spill_check(const struct tri_spill *spill)
{
    const struct tri_spill_stat *stat = &spill->stat;
    struct tri_spill_stat sum = {0};
    uint32_t open_count = 0;
    for (const struct tri_node *node = spill->in_order.next; node != &spill->in_order; node = node->next) {
        const struct file *file = TRI_OWNER(node, struct file, order);
        const char *wrong = check_file(spill, file, &sum);
        if (wrong != NULL)
            return wrong;
        open_count += file->handle != NULL;
    }
    if (sum.objects != spill->objects.count || sum.objects != stat->objects || sum.raw_bytes != stat->raw_bytes)
        return "the table has other objects than the files";
    if (sum.files != spill->files.count || sum.files != stat->files || sum.file_bytes != stat->file_bytes ||
        sum.live_bytes != stat->live_bytes)
        return "the sums of the files are not those that are kept";
    if (open_count != spill->open_count || open_count > TRI_SPILL_OPEN_MAX)
        return "there are other open files than counted";
    return spill->piece_count == 0 && spill->gathered == 0 ? NULL : "something that was gathered was not written";
}
