/*
 * cmd_version.c - `troupe version`. One thread.
 */
#include <stdio.h>
#include <string.h>

#include <troupe/troupe.h>

#include "tools/troupe.h"

int
tri_cmd_version(int argc, char **argv)
{
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        printf("usage: troupe version\n\nPrints the version of the library.\n");
        return TRI_EXIT_OK;
    }
    if (argc > 1) {
        fprintf(stderr, "troupe version: takes no arguments, got '%s'\n", argv[1]);
        return TRI_EXIT_USAGE;
    }
    printf("troupe %s\n", trp_version());
    return TRI_EXIT_OK;
}
