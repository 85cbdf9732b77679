/*
 * restore.c - reads spilled objects, block by block, to where the caller wants them. Nothing that is in a file is believed before
 * its checksum was seen to fit. One thread.
 */
#include "store/spill/inside.h"

#include <errno.h>
#include <inttypes.h>

/* The object cannot be read, and why: `cause` gets its name and where it was. */
static trp_err
lost(const struct tri_spill *spill, const struct object *object, const trp_error *cause, trp_error *error)
{
    char id[TRI_ID_TEXT_SIZE], name[TRI_SPILL_NAME_SIZE];
    return TRI_FAIL(error, cause->code, "object %s, spilled to %s in %.300s: %s", tri_id_format(object->entry.id, id),
                    tri_spill_name(object->file->number, name), spill->backend->where, cause->message);
}

trp_err
tri_spill_fetch(struct tri_spill *spill, struct object *object, uint64_t at, void *to, size_t size, trp_error *error)
{
    size_t got;
    if (size > object->stored_size || at > object->stored_size - size)
        return TRI_FAIL(error, TRP_EOBJLOST, "it is longer than it was when it was written");
    const trp_err err = tri_spill_file_open(spill, object->file, TRP_EOBJLOST, error);
    if (err != TRP_OK)
        return err;
    const int failed =
        spill->backend->ops->read(spill->backend, object->file->handle, object->offset + at, to, size, &got);
    if (failed != 0)
        return tri_fail_errno(error, failed == ENOMEM ? TRP_ENOMEM : TRP_EOBJLOST, failed, "it cannot be read");
    if (got < size)
        return TRI_FAIL(error, TRP_EOBJLOST, "the file ends %zu bytes too early", size - got);
    return TRP_OK;
}

trp_err
tri_spill_read_begin(struct tri_spill *spill, struct tri_id id, struct tri_spill_reader *reader, trp_error *error)
{
    char text[TRI_ID_TEXT_SIZE];
    struct tri_spill_header header;
    trp_error cause;
    struct object *object = tri_spill_object_find(spill, id);
    if (object == NULL)
        return TRI_FAIL(error, TRP_ENOENT, "object %s is not spilled", tri_id_format(id, text));
    trp_err err = tri_spill_fetch(spill, object, 0, &header, sizeof header, &cause);
    if (err == TRP_OK)
        err = tri_spill_object_check(&header, id, object->raw_size, &cause);
    if (err != TRP_OK)
        return lost(spill, object, &cause, error);
    *reader =
        (struct tri_spill_reader){.id = id, .raw_size = object->raw_size, .blocks = header.index, .at = sizeof header};
    return TRP_OK;
}

/* The block behind `reader->at`, to `raw`. */
static trp_err
read_block(struct tri_spill *spill, struct object *object, struct tri_spill_reader *reader, uint8_t *raw,
           trp_error *error)
{
    struct tri_spill_header header;
    trp_err err = tri_spill_fetch(spill, object, reader->at, &header, sizeof header, error);
    if (err != TRP_OK)
        return err;
    const uint64_t at = reader->at + sizeof header;
    err = tri_spill_block_check(&header, object->entry.id, reader->index, object->raw_size, object->stored_size - at,
                                error);
    if (err != TRP_OK)
        return err;
    uint8_t *stored = header.form == TRI_SPILL_RAW ? raw : spill->scratch;
    err = tri_spill_fetch(spill, object, at, stored, header.stored_size, error);
    if (err == TRP_OK)
        err = tri_spill_block_decode(&header, stored, raw, error);
    if (err != TRP_OK)
        return err;
    reader->at = at + header.stored_size;
    reader->index++;
    spill->stat.restored_raw += header.raw_size;
    return TRP_OK;
}

trp_err
tri_spill_read_block(struct tri_spill *spill, struct tri_spill_reader *reader, void *object, trp_error *error)
{
    char text[TRI_ID_TEXT_SIZE];
    trp_error cause;
    struct object *spilled = tri_spill_object_find(spill, reader->id);
    TRI_ASSERT(reader->index < reader->blocks);
    if (spilled == NULL || reader->raw_size != spilled->raw_size)
        return TRI_FAIL(error, TRP_ENOENT, "object %s is not spilled any more", tri_id_format(reader->id, text));
    const trp_err err = read_block(spill, spilled, reader, (uint8_t *)object + reader->index * TRI_SPILL_BLOCK, &cause);
    return err == TRP_OK ? TRP_OK : lost(spill, spilled, &cause, error);
}

trp_err
tri_spill_read(struct tri_spill *spill, struct tri_id id, void *to, uint64_t size, trp_error *error)
{
    char text[TRI_ID_TEXT_SIZE];
    struct tri_spill_reader reader;
    const struct object *object = tri_spill_object_find(spill, id);
    if (object != NULL && object->raw_size != size)
        return TRI_FAIL(error, TRP_EINVAL, "object %s has %" PRIu64 " bytes, and there is room for %" PRIu64,
                        tri_id_format(id, text), object->raw_size, size);
    trp_err err = tri_spill_read_begin(spill, id, &reader, error);
    while (err == TRP_OK && reader.index < reader.blocks)
        err = tri_spill_read_block(spill, &reader, to, error);
    return err;
}
