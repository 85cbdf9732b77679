/*
 * error.c - fills errors in, and ends the process on a bug of ours. Any thread. Knows nothing of who reports what.
 */
#include "transport/base/base.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One complete line: no control characters, nothing but UTF-8, and dots where it was cut, never half a character. */
static void
format_line(char *text, size_t size, const char *format, va_list arguments)
{
    const int wanted = vsnprintf(text, size, format, arguments);

    if (wanted < 0)
        text[0] = '\0';
    if (wanted >= (int)size) {
        size_t end = size - sizeof "...";
        while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
            end--;
        memcpy(text + end, "...", sizeof "...");
    }
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    tri_text_clean(text, strlen(text));
}

trp_err
tri_fail(trp_error *error, trp_err code, const char *format, ...)
{
    char message[sizeof error->message]; /* the arguments may be of *error itself */
    va_list arguments;

    if (error == NULL)
        return code;
    va_start(arguments, format);
    format_line(message, sizeof message, format, arguments);
    va_end(arguments);
    memset(error, 0, sizeof *error);
    error->code = code;
    error->ran = TRP_NOT_RUN;
    error->rank = -1;
    tri_text_copy(error->message, sizeof error->message, message);
    return code;
}

static void
fail_because(trp_error *error, trp_err code, int errnum, const char *remedy, const char *format, va_list arguments)
{
    char sentence[sizeof error->message], reason[128];

    if (error == NULL)
        return;
    format_line(sentence, sizeof sentence, format, arguments);
    (void)tri_fail(error, code, "%s: %s%s%s", sentence, strerror_r(errnum, reason, sizeof reason),
                   remedy[0] != '\0' ? "; " : "", remedy);
}

trp_err
tri_fail_errno(trp_error *error, trp_err code, int errnum, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fail_because(error, code, errnum, "", format, arguments);
    va_end(arguments);
    return code;
}

/* ------------------------------------------------------------------------------------------- what the system refuses */

static const struct refusal {
    int errnum;
    trp_err code;
    const char *remedy;
} refusals[] = {
    {EACCES, TRP_EACCES, "choose a place that belongs to this user"},
    {EPERM, TRP_EACCES, "choose a place that belongs to this user"},
    {EROFS, TRP_EACCES, "choose a place that can be written"},
    {ENOSPC, TRP_EDISKFULL, "free some room there (df), or remove files (df -i)"},
    {EDQUOT, TRP_EDISKFULL, "free some room there: this user has used up what it may have (quota)"},
    {EFBIG, TRP_EDISKFULL, "allow larger files (ulimit -f)"},
    {EMFILE, TRP_ELIMIT, "allow more open files (ulimit -n)"},
    {ENFILE, TRP_ELIMIT, "the whole machine has too many open files (sysctl fs.file-max)"},
    {EAGAIN, TRP_ELIMIT, "allow more processes and threads (ulimit -u, or pids.max of the control group)"},
    {ENOMEM, TRP_ENOMEM, "free some memory, or allow more address space (ulimit -v)"},
    {ENAMETOOLONG, TRP_EINVAL, "choose a shorter path"},
};

static const struct refusal *
find_refusal(int errnum)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if (refusals[i].errnum == errnum)
            return &refusals[i];
    return NULL;
}

trp_err
tri_errno_code(int errnum, trp_err otherwise)
{
    const struct refusal *refusal = find_refusal(errnum);

    return refusal != NULL ? refusal->code : otherwise;
}

const char *
tri_errno_remedy(int errnum)
{
    const struct refusal *refusal = find_refusal(errnum);

    return refusal != NULL ? refusal->remedy : "";
}

trp_err
tri_fail_system(trp_error *error, trp_err otherwise, int errnum, const char *format, ...)
{
    const trp_err code = tri_errno_code(errnum, otherwise);
    va_list arguments;

    va_start(arguments, format);
    fail_because(error, code, errnum, tri_errno_remedy(errnum), format, arguments);
    va_end(arguments);
    return code;
}

_Noreturn void
tri_assert_failed(const char *file, int line, const char *condition)
{
    tri_log(TRI_ERROR, "bug: %s:%d: not so: %s", file, line, condition);
    abort();
}
