/*
 * report.c - what went wrong, as one line on stderr and an exit code. One thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli/cli.h"

enum { LINE_SIZE = 2048 };

static const struct {
    int first, last; /* numbers of TRP_ERRORS */
    int exit_code;
} classes[] = {
    {TRP_OK, TRP_OK, TRI_EXIT_OK},
    {TRP_ETIMEDOUT, TRP_ETIMEDOUT, TRI_EXIT_TIME},
    {1, 9, TRI_EXIT_CORRECT},
    {10, 19, TRI_EXIT_NAME},
    {20, 29, TRI_EXIT_AGAIN},
    {30, 39, TRI_EXIT_ROOM},
    {TRP_ETASK, TRP_ETASK, TRI_EXIT_METHOD},
    {41, 49, TRI_EXIT_DIED},
    {50, 59, TRI_EXIT_NODE},
};

int
tri_exit_of(trp_err err)
{
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if ((int)err >= classes[i].first && (int)err <= classes[i].last)
            return classes[i].exit_code;
    return TRI_EXIT_OTHER;
}

/* What to do about it, where the message does not say so and the code is enough to know. */
static const char *
remedy_of(const trp_error *error)
{
    switch (error->code) {
    case TRP_EBROKER:
        return "`troupe status` says whether it comes back";
    case TRP_EPROTO:
        return "node and command have to be of one version: start the node anew";
    case TRP_ETIMEDOUT:
        return "a longer --timeout gives it more time";
    case TRP_EACTORDIED:
        return "--verbose shows its death record";
    case TRP_EAGAIN:
    case TRP_ENOWORKER:
    case TRP_EUNAVAILABLE:
        return "try again";
    default:
        return NULL;
    }
}

/* One line that a terminal can be shown: no control characters, no broken UTF-8. */
static void
clean(char *line)
{
    size_t size = strlen(line), good;

    while ((good = tri_utf8_end(line, size)) < size)
        line[good] = '?';
    for (; *line != '\0'; line++)
        if ((unsigned char)*line < 0x20 || *line == 0x7f)
            *line = ' ';
}

static void
print_object(struct tri_cli *cli, const trp_error *error, const char *message, const char *remedy, int exit_code)
{
    FILE *err = cli->err;

    fprintf(err, "{\"error\": {\"verb\": ");
    tri_json_write(err, trp_str(cli->verb != NULL ? cli->verb->name : NULL), true);
    fprintf(err, ", \"exit\": %d, \"message\": ", exit_code);
    tri_json_write(err, trp_str(message), true);
    fprintf(err, ", \"remedy\": ");
    tri_json_write(err, trp_str(remedy), true);
    if (error != NULL) {
        static const char *const ran[] = {"maybe", "no", "yes"};
        const char *name = trp_strerror(error->code);
        fprintf(err, ", \"code\": \"%.*s\", \"cause\": %d, \"ran\": \"%s\", \"actor\": ", (int)strcspn(name, ":"), name,
                (int)error->cause, (unsigned)error->ran < 3 ? ran[error->ran] : "maybe");
        tri_json_write(err, trp_str(error->actor), true);
        fprintf(err, ", \"method\": ");
        tri_json_write(err, trp_str(error->method), true);
        fprintf(err, ", \"node\": ");
        tri_json_write(err, trp_str(error->node), true);
    }
    fprintf(err, "}}\n");
}

static int
report(struct tri_cli *cli, const trp_error *error, char *message, const char *remedy, int exit_code)
{
    const bool colours = tri_has_colours(cli, cli->err);

    if (cli->hushed)
        return exit_code;
    clean(message);
    if (fflush(cli->out) != 0 && cli->write_errno == 0)
        cli->write_errno = errno; /* tri_flush says it; what was printed comes first */
    if (cli->json)
        print_object(cli, error, message, remedy, exit_code);
    else
        fprintf(cli->err, "%stroupe%s%s:%s %s%s%s\n", colours ? "\033[31m" : "", cli->verb != NULL ? " " : "",
                cli->verb != NULL ? cli->verb->name : "", colours ? "\033[0m" : "", message, remedy != NULL ? "; " : "",
                remedy != NULL ? remedy : "");
    (void)fflush(cli->err);
    return exit_code;
}

struct tri_hush
tri_hush(struct tri_cli *cli)
{
    const struct tri_hush before = {cli->hushed, cli->timeout_ms};

    cli->hushed = true;
    cli->timeout_ms = 1000;
    return before;
}

void
tri_unhush(struct tri_cli *cli, struct tri_hush before)
{
    cli->hushed = before.hushed;
    cli->timeout_ms = before.timeout_ms;
}

int
tri_fail(struct tri_cli *cli, const trp_error *error, const char *remedy)
{
    char message[sizeof error->message + 1];
    size_t size;

    (void)snprintf(message, sizeof message, "%s",
                   error->message[0] != '\0' ? error->message : trp_strerror(error->code));
    size = strlen(message);
    if (remedy == NULL)
        remedy = remedy_of(error);
    if (remedy != NULL && remedy[0] == '\0')
        remedy = NULL;
    if (size > 0 && message[size - 1] == '.' && remedy != NULL)
        message[size - 1] = '\0';
    if (error->code == TRP_ECANCELLED && tri_stopped() && cli->has_cancelled && !cli->json)
        return TRI_EXIT_STOPPED; /* it was said when it was done */
    if (error->code == TRP_ECANCELLED && tri_stopped())
        return report(cli, error, message, remedy, TRI_EXIT_STOPPED);
    return report(cli, error, message, remedy, tri_exit_of(error->code));
}

const char *
tri_remedy_of_wait(const trp_ref *ref, const char *name, const trp_error *error, char *text, size_t size)
{
    if (error->code != TRP_ETIMEDOUT || trp_ref_location(ref) == TRP_FAILED)
        return NULL;
    (void)snprintf(text, size, "`troupe why %.255s` says what it waits for, a longer --timeout gives it more time",
                   name);
    return text;
}

int
tri_fail_ref(struct tri_cli *cli, trp_ref *ref, const trp_error *error, const char *remedy)
{
    const trp_value failure = trp_failure(ref);
    const bool shows = cli->verbose && !cli->json && failure.kind == TRP_MAP;
    const int exit_code = tri_fail(cli, error, remedy == NULL && shows ? "" : remedy);

    if (shows)
        tri_show_failure(cli->err, failure);
    return exit_code;
}

static int
report_text(struct tri_cli *cli, int exit_code, const char *format, va_list list)
{
    char line[LINE_SIZE];

    (void)vsnprintf(line, sizeof line, format, list);
    return report(cli, NULL, line, NULL, exit_code);
}

void
tri_say(struct tri_cli *cli, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    (void)report_text(cli, TRI_EXIT_OK, format, list);
    va_end(list);
}

int
tri_refuse(struct tri_cli *cli, const char *format, ...)
{
    va_list list;
    int exit_code;

    va_start(list, format);
    exit_code = report_text(cli, TRI_EXIT_USAGE, format, list);
    va_end(list);
    return exit_code;
}

int
tri_fail_text(struct tri_cli *cli, const char *format, ...)
{
    va_list list;
    int exit_code;

    va_start(list, format);
    exit_code = report_text(cli, TRI_EXIT_FAILED, format, list);
    va_end(list);
    return exit_code;
}

int
tri_fail_file(struct tri_cli *cli, const char *path, int err)
{
    return tri_fail_text(cli, "%.500s: %s", path, strerror(err));
}

int
tri_unknown(struct tri_cli *cli, const char *kind, const char *typed, const char *const *words)
{
    const char *meant = tri_suggest(typed, words);
    const char *verb = cli->verb != NULL ? cli->verb->name : NULL;

    if (meant != NULL)
        return tri_refuse(cli, "unknown %s '%.100s'; did you mean '%s'?", kind, typed, meant);
    if (verb != NULL)
        return tri_refuse(cli, "unknown %s '%.100s'; `troupe %s --help` lists them", kind, typed, verb);
    return tri_refuse(cli, "unknown %s '%.100s'; `troupe help` lists them", kind, typed);
}
