/*
 * death.c - failures and death records as a person reads them: what failed, what ran, how the process ended, its backtrace and
 * its last words, and what led to it. One thread.
 */
#include <string.h>

#include "tools/cli/cli.h"

enum { CAUSES_MAX = 16 };

static void
print_block(FILE *out, const char *heading, const char *text)
{
    if (text[0] == '\0')
        return;
    fprintf(out, "  %s\n", heading);
    while (*text != '\0') {
        const size_t size = strcspn(text, "\n");
        fprintf(out, "    %.*s\n", (int)size, text);
        text += size + (text[size] == '\n');
    }
}

static void
print_fate(FILE *out, trp_value death)
{
    const long long pid = (long long)trp_as_i64(trp_field(death, "pid"));
    const int signal = (int)trp_as_i64(trp_field(death, "signal"));
    const int exit_code = (int)trp_as_i64(trp_field(death, "exit_code"));
    const char *killed_by = trp_as_str(trp_field(death, "killed_by"));

    if (pid > 0)
        fprintf(out, "  process   %lld on node %s", pid, trp_as_str(trp_field(death, "node")));
    else
        fprintf(out, "  process   none had been started");
    if (pid > 0 && signal > 0)
        fprintf(out, ", ended by signal %d (%s)", signal, strsignal(signal));
    else if (pid > 0 && exit_code >= 0)
        fprintf(out, ", ended with exit code %d", exit_code);
    fprintf(out, "%s\n", trp_as_i64(trp_field(death, "memory_limit")) != 0 ? "; it was over its memory limit" : "");
    if (killed_by[0] != '\0')
        fprintf(out, "  killed    by %s\n", killed_by);
}

void
tri_show_death(FILE *out, trp_value death)
{
    const char *actor = trp_as_str(trp_field(death, "actor")), *class_name = trp_as_str(trp_field(death, "class"));
    const char *module = trp_as_str(trp_field(death, "module")), *method = trp_as_str(trp_field(death, "method"));

    if (actor[0] != '\0')
        fprintf(out, "  actor     %s%s%s%s\n", actor, strcmp(actor, class_name) != 0 ? " (" : "",
                strcmp(actor, class_name) != 0 ? class_name : "", strcmp(actor, class_name) != 0 ? ")" : "");
    print_fate(out, death);
    if (method[0] != '\0')
        fprintf(out, "  running   %s%s%s", module, module[0] != '\0' && strchr(method, ':') == NULL ? ":" : "",
                strchr(method, ':') == NULL ? method : method + strlen(module));
    if (method[0] != '\0' && trp_as_i64(trp_field(death, "sequence")) > 0)
        fprintf(out, ", its call %lld", (long long)trp_as_i64(trp_field(death, "sequence")));
    fprintf(out, "%s", method[0] != '\0' ? "\n" : "");
    print_block(out, "backtrace", trp_as_str(trp_field(death, "backtrace")));
    print_block(out, "last output", trp_as_str(trp_field(death, "last_output")));
}

void
tri_show_failure(FILE *out, trp_value failure)
{
    static const char *const ran[] = {"it may have run", "it was not run", "it ran"};

    for (int i = 0; i < CAUSES_MAX && failure.kind == TRP_MAP; i++, failure = trp_field(failure, "cause")) {
        const int64_t had_run = trp_as_i64(trp_field(failure, "ran"));
        const trp_value death = trp_field(failure, "death");
        if (i > 0)
            fprintf(out, "because: %s\n", trp_as_str(trp_field(failure, "message")));
        fprintf(out, "  error     %s; %s\n", trp_strerror((trp_err)trp_as_i64(trp_field(failure, "code"))),
                had_run >= 0 && had_run <= 2 ? ran[had_run] : ran[0]);
        if (death.kind == TRP_MAP)
            tri_show_death(out, death);
    }
}
