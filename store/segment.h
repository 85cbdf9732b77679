/*
 * segment.h - memory that the processes of a node share: one POSIX shared-memory object, mapped whole, with memory behind the
 * parts of it that were asked for. It must not know what lies in it.
 *
 * A file in shared memory is sparse, and a page for which the system has no memory left kills who touches it (SIGBUS). So no part
 * is touched before tri_segment_back has reserved it; that fails in time, with an error.
 *
 * It has no name, and is gone when the last process that has it is: who is to have it is given a descriptor.
 *
 * Errors: TRP_ESTOREFULL the memory behind it is used up; TRP_EINVAL whatever else the system does not like, where its errno says
 * nothing better. Any thread; each segment one at a time.
 */
#ifndef TRI_SEGMENT_H
#define TRI_SEGMENT_H

#include "transport/base/base.h"

struct tri_segment {
    int fd;      /* can be written; -1: not here */
    int read_fd; /* for those who may only read; -1 */
    uint8_t *base;
    uint64_t size;
};

/* A new one of `size` bytes (a multiple of 4096), mapped to be written, without memory behind it. */
trp_err tri_segment_create(uint64_t size, struct tri_segment *segment, trp_error *error);
/* One whose descriptor came from its owner; takes `fd` over on success. TRP_EPROTO: it is not of that size, or no such thing. */
trp_err tri_segment_map(int fd, uint64_t size, bool writable, struct tri_segment *segment, trp_error *error);
/* The same, of a descriptor that stays its owner's, and that the mapping does not need any more. */
trp_err tri_segment_view(int fd, uint64_t size, bool writable, struct tri_segment *segment, trp_error *error);
/* Its descriptors stay, to be handed on. */
void tri_segment_unmap(struct tri_segment *segment);
void tri_segment_close(struct tri_segment *segment); /* zero-initialised and closed ones pass */

/* Memory behind [offset, offset + size), which may have some: TRP_ESTOREFULL, and then nothing has changed. */
trp_err tri_segment_back(struct tri_segment *segment, uint64_t offset, uint64_t size, trp_error *error);
/* None any more: it reads as zero, and must not be touched. */
trp_err tri_segment_unback(struct tri_segment *segment, uint64_t offset, uint64_t size, trp_error *error);

#endif
