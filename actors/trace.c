/*
 * trace.c - see trace.h. Any thread: its own lock, which is held while a line is written and never else. It must not know how
 * calls travel, nor what becomes of the lines.
 */
#include "actors/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD_SIZE = offsetof(struct tri_trace_mark, directory) - offsetof(struct tri_trace_mark, submitted_ns) };
#define LOOK_NS UINT64_C(100000000) /* how often we look whether our file is still there */

struct tri_trace {
    pthread_mutex_t lock;
    char own[TRI_TRACE_DIRECTORY_MAX + 1];       /* a driver's */
    char directory[TRI_TRACE_DIRECTORY_MAX + 1]; /* of `fd`: hosts serve several, one after the other */
    int fd;                                      /* -1: none */
    uint64_t looked_ns, number;
};

struct tri_trace *
tri_trace_new(void)
{
    struct tri_trace *trace = calloc(1, sizeof *trace);

    if (trace == NULL)
        return NULL;
    (void)pthread_mutex_init(&trace->lock, NULL);
    trace->fd = -1;
    return trace;
}

/* -------------------------------------------------------------------------------------------------------------- writing */

static void
close_file(struct tri_trace *trace)
{
    if (trace->fd >= 0)
        (void)close(trace->fd);
    trace->fd = -1;
}

/* Whether our file in that directory is open; it is removed when the trace has been collected. */
static bool
open_file(struct tri_trace *trace, const char *directory, uint64_t now_ns)
{
    char path[TRI_TRACE_DIRECTORY_MAX + 32];
    struct stat stat;

    if (trace->fd >= 0 && strcmp(trace->directory, directory) == 0) {
        if (now_ns < trace->looked_ns + LOOK_NS)
            return true;
        trace->looked_ns = now_ns;
        if (fstat(trace->fd, &stat) == 0 && stat.st_nlink > 0)
            return true;
    }
    close_file(trace);
    (void)snprintf(path, sizeof path, "%s/%d.trace", directory, (int)getpid());
    trace->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (trace->fd < 0 && errno != ENOENT)
        (void)chmod(directory, 0710);
    (void)tri_text_copy(trace->directory, sizeof trace->directory, directory);
    trace->looked_ns = now_ns;
    return trace->fd >= 0;
}

/* A field of a line: what would part fields or lines is not in it. */
static const char *
field(const char *text, char *copy, size_t size)
{
    (void)tri_text_copy(copy, size, text);
    for (char *at = copy; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
    return copy;
}

static void write_line(struct tri_trace *trace, const char *directory, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* In one write, so that what a process leaves behind that is killed are whole lines. With the lock. */
static void
write_line(struct tri_trace *trace, const char *directory, const char *format, ...)
{
    char line[1024];
    va_list list;
    int size;

    if (!open_file(trace, directory, tri_now_ns()))
        return;
    va_start(list, format);
    size = vsnprintf(line, sizeof line, format, list);
    va_end(list);
    if (write(trace->fd, line, (size_t)size) != size)
        (void)chmod(directory, 0710); /* what is collected is not all */
}

/* -------------------------------------------------------------------------------------------------------------- drivers */

trp_err
tri_trace_begin(const char *program, struct tri_trace **trace, trp_error *error)
{
    const char *directory = getenv("TROUPE_TRACE");
    struct tri_trace *made;
    char copy[64];

    if (directory == NULL || directory[0] == '\0' || *trace != NULL)
        return TRP_OK;
    if (directory[0] != '/' || strlen(directory) > TRI_TRACE_DIRECTORY_MAX)
        return TRI_FAIL(error, TRP_EINVAL,
                        "TROUPE_TRACE is '%.100s'; it has to be the absolute path of a directory, of at most %d bytes",
                        directory, TRI_TRACE_DIRECTORY_MAX);
    if (access(directory, F_OK) != 0)
        return TRP_OK; /* that trace is over, and this program outlived it */
    made = tri_trace_new();
    if (made == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a trace");
    (void)tri_text_copy(made->own, sizeof made->own, directory);
    (void)pthread_mutex_lock(&made->lock);
    write_line(made, directory, "D\t%d\t%" PRIu64 "\t%s\n", (int)getpid(), tri_now_ns(),
               field(program, copy, sizeof copy));
    (void)pthread_mutex_unlock(&made->lock);
    *trace = made;
    return TRP_OK;
}

void
tri_trace_end(struct tri_trace **trace)
{
    struct tri_trace *had = *trace;

    if (had == NULL)
        return;
    *trace = NULL;
    (void)pthread_mutex_lock(&had->lock);
    if (had->own[0] != '\0')
        write_line(had, had->own, "E\t%d\t%" PRIu64 "\n", (int)getpid(), tri_now_ns());
    close_file(had);
    (void)pthread_mutex_unlock(&had->lock);
    (void)pthread_mutex_destroy(&had->lock);
    free(had);
}

const char *
tri_trace_directory(const struct tri_trace *trace)
{
    return trace != NULL && trace->own[0] != '\0' ? trace->own : NULL;
}

const struct tri_section *
tri_trace_submitted(const char *directory, struct tri_trace_mark *mark)
{
    mark->submitted_ns = tri_now_ns();
    mark->pid = (uint32_t)getpid();
    mark->tid = (uint32_t)gettid();
    (void)tri_text_copy(mark->directory, sizeof mark->directory, directory);
    mark->section = (struct tri_section){
        .place = TRI_PLACE_TRACE,
        .size = HEAD_SIZE + strlen(mark->directory) + 1,
        .data = (const uint8_t *)&mark->submitted_ns,
    };
    return &mark->section;
}

/* ---------------------------------------------------------------------------------------------------------------- hosts */

static trp_err
read_mark(const struct tri_section *section, struct tri_trace_mark *mark, trp_error *error)
{
    if (section->ref_count > 0 || section->frame != NULL || section->size < HEAD_SIZE + 2 ||
        section->size > HEAD_SIZE + sizeof mark->directory || section->data[section->size - 1] != '\0' ||
        memchr(section->data + HEAD_SIZE, '\0', (size_t)section->size - HEAD_SIZE - 1) != NULL ||
        section->data[HEAD_SIZE] != '/')
        return TRI_FAIL(error, TRP_EPROTO, "a call carries a mark of a trace that is none");
    memcpy(&mark->submitted_ns, section->data, (size_t)section->size);
    return TRP_OK;
}

trp_err
tri_trace_started(struct tri_trace *trace, const struct tri_section *section, const char *actor, const char *method,
                  struct tri_trace_run *run, trp_error *error)
{
    char names[2][TRI_NAME_MAX + 1];

    TRP_TRY(read_mark(section, &run->mark, error));
    run->trace = trace;
    if (trace == NULL)
        return TRP_OK;
    (void)pthread_mutex_lock(&run->trace->lock);
    run->number = ++run->trace->number;
    write_line(run->trace, run->mark.directory,
               "S\t%" PRIu64 "\t%d\t%d\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu32 "\t%" PRIu32 "\t%s\t%s\n", run->number,
               (int)getpid(), (int)gettid(), tri_now_ns(), run->mark.submitted_ns, run->mark.pid, run->mark.tid,
               field(actor, names[0], sizeof names[0]), field(method, names[1], sizeof names[1]));
    (void)pthread_mutex_unlock(&run->trace->lock);
    return TRP_OK;
}

void
tri_trace_finished(const struct tri_trace_run *run, enum tri_outcome outcome)
{
    static const char *const words[] = {"value", "failure", "delegated", "deferred"};

    if (run->trace == NULL)
        return;
    (void)pthread_mutex_lock(&run->trace->lock);
    write_line(run->trace, run->mark.directory, "F\t%" PRIu64 "\t%" PRIu64 "\t%s\n", run->number, tri_now_ns(),
               words[outcome]);
    (void)pthread_mutex_unlock(&run->trace->lock);
}
