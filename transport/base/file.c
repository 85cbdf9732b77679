/*
 * file.c - reading a part of a file whole. Any thread. It knows nothing of what is read.
 */
#include "transport/base/base.h"

#include <errno.h>
#include <unistd.h>

int
tri_read_at(int fd, void *to, size_t size, uint64_t offset, size_t *got)
{
    *got = 0;
    while (*got < size) {
        const ssize_t done = pread(fd, (char *)to + *got, size - *got, (off_t)(offset + *got));
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return errno;
        if (done == 0)
            break;
        *got += (size_t)done;
    }
    return 0;
}
