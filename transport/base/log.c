/*
 * log.c - one line per event to a descriptor, each with one write(), so that lines of threads and processes never mix.
 * Any thread, after tri_log_setup. Knows nothing of files and their rotation.
 */
#include "transport/base/base.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_SIZE = 2048 };

/* Of the whole process, as standard error is; set once, before there are threads. */
static struct {
    char program[32];
    enum tri_level level;
    int fd;
} log_settings = {"troupe", TRI_INFO, STDERR_FILENO};

void
tri_log_setup(const char *program, enum tri_level level, int fd)
{
    tri_text_copy(log_settings.program, sizeof log_settings.program, program);
    log_settings.level = level;
    log_settings.fd = fd;
}

static size_t
write_prefix(char *line, size_t size, enum tri_level level)
{
    struct timespec now;
    struct tm day;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)localtime_r(&now.tv_sec, &day);
    return (size_t)snprintf(line, size, "%02d:%02d:%02d.%03ld %c %s: ", day.tm_hour, day.tm_min, day.tm_sec,
                            now.tv_nsec / 1000000, "EWID"[level & 3], log_settings.program);
}

const char *
tri_log_text(const char *line, enum tri_level *level)
{
    static const char prefix[] = "00:00:00.000 L troupe", levels[] = "EWID";
    const char *text = line, *found = NULL;

    for (const char *want = prefix; *want != '\0'; want++, text++) {
        const bool fits = *want == '0'   ? *text >= '0' && *text <= '9'
                          : *want == 'L' ? *text != '\0' && (found = strchr(levels, *text)) != NULL
                                         : *text == *want;
        if (!fits)
            return line;
    }
    text += strspn(text, "-abcdefghijklmnopqrstuvwxyz");
    if (text[0] != ':' || text[1] != ' ')
        return line;
    *level = (enum tri_level)(found - levels);
    return text + 2;
}

void
tri_log(enum tri_level level, const char *format, ...)
{
    char line[LINE_SIZE];
    const int errnum = errno; /* a line in the log changes nothing */
    size_t start, end;
    va_list arguments;
    ssize_t written;
    int wanted;

    if (level > log_settings.level)
        return;
    start = write_prefix(line, sizeof line, level);
    va_start(arguments, format);
    wanted = vsnprintf(line + start, sizeof line - start - 1, format, arguments);
    va_end(arguments);
    end = start + (wanted > 0 ? (size_t)wanted : 0);
    if (end > sizeof line - 2)
        end = sizeof line - 2;
    for (size_t i = start; i < end; i++)
        if ((unsigned char)line[i] < ' ' && line[i] != '\t')
            line[i] = ' ';
    line[end] = '\n';
    do
        written = write(log_settings.fd, line, end + 1);
    while (written < 0 && errno == EINTR);
    errno = errnum; /* a log that cannot be written has nowhere to say so */
}
