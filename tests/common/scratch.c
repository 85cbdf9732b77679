/* scratch.c - see scratch.h. */
#include "tests/common/scratch.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
scratch_make(char path[SCRATCH_SIZE], const char *what)
{
    (void)snprintf(path, SCRATCH_SIZE, "/tmp/troupe-%s-XXXXXX", what);
    cr_assert_not_null(mkdtemp(path), "%s: %s", path, strerror(errno));
}

void
scratch_remove(const char *path)
{
    char command[2 * SCRATCH_SIZE + 40];

    (void)snprintf(command, sizeof command, "chmod -R u+rwx '%s'; rm -rf '%s'", path, path);
    cr_expect_eq(system(command), 0, "%s is left", path);
}
