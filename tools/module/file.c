/*
 * file.c - what a module's file is called. One thread. What is in it, the loader looks at.
 */
#include "tools/module/module.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

bool
tri_is_module_name(const char *name, size_t size)
{
    if (size == 0 || size >= TRI_MODULE_NAME_SIZE)
        return false;
    for (size_t i = 0; i < size; i++) {
        const bool letter = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z') || name[i] == '_';
        if (!letter && (i == 0 || name[i] < '0' || name[i] > '9'))
            return false;
    }
    return true;
}

int
tri_module_file(struct tri_cli *cli, const char *path)
{
    const char *base = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    const size_t length = strlen(base);
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return tri_fail_file(cli, path, errno);
    (void)close(fd);
    if (length <= 3 || strcmp(base + length - 3, ".so") != 0 || !tri_is_module_name(base, length - 3))
        return tri_refuse(
            cli,
            "'%.200s' is not the name of a module's file, which is NAME.so with a C identifier of at most "
            "%d bytes",
            base, TRI_MODULE_NAME_SIZE - 1);
    return TRI_EXIT_OK;
}
