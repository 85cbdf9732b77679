/*
 * examples.h - what the drivers here share: they find their modules beside themselves, so that they run from where they
 * were built.
 */
#ifndef EXAMPLES_H
#define EXAMPLES_H

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* For trp_config.node.module_path: NULL, if the environment has one; else the directory of this program. */
static inline const char *
module_path(void)
{
    static char path[PATH_MAX];
    if (getenv("TRP_MODULE_PATH") != NULL)
        return NULL;
    ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
    if (size <= 0)
        return NULL;
    path[size] = '\0';
    char *slash = strrchr(path, '/');
    if (slash != NULL && slash != path)
        *slash = '\0';
    return path;
}

/* "--help" or "-h" is among the arguments. */
static inline int
wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return 1;
    return 0;
}

#endif
