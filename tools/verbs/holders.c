/*
 * holders.c - who holds an object, in words. One thread.
 */
#include "tools/verbs/verbs.h"

#include <string.h>

/* "driver sort (1234)", "actor counter (1240)", "tasks (1241)". */
static void
process_text(trp_value holder, char *text, size_t size)
{
    const char *role = trp_as_str(trp_field(holder, "role")), *name = trp_as_str(trp_field(holder, "name"));

    if (strncmp(name, "default/", 8) == 0)
        name += 8;
    (void)snprintf(text, size, "%s%s%s (%lld)", role, name[0] != '\0' ? " " : "", name,
                   (long long)trp_as_i64(trp_field(holder, "pid")));
}

void
tri_holder_text(trp_value holder, char *text, size_t size)
{
    const char *kind = trp_as_str(trp_field(holder, "kind")), *name = trp_as_str(trp_field(holder, "name"));

    if (strcmp(kind, "process") == 0 || strcmp(kind, "pin") == 0)
        process_text(holder, text, size);
    else if (strcmp(kind, "call") == 0)
        (void)snprintf(text, size, "call%s%s (%s)", name[0] != '\0' ? " " : "", name,
                       trp_as_str(trp_field(holder, "state")));
    else if (strcmp(kind, "object") == 0)
        (void)snprintf(text, size, "object %s", trp_as_str(trp_field(holder, "id")));
    else
        (void)snprintf(text, size, "a call whose caller has ended");
}
