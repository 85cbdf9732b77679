/*
 * crash_why.c - what a crash comes from, where the files of the process tell: a module that was changed in place while it was
 * loaded, or a mapped file that was cut. Called by the crash handler: it allocates nothing, and asks the system only.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/crash.h"

enum { MODULES_MAX = 64, PATH_SIZE = 256 };

/* As it was when it was loaded. Filled by one thread at a time (modules.c); the handler reads what is complete. */
static struct {
    char path[PATH_SIZE];
    struct stat status;
} loaded[MODULES_MAX];
static _Atomic unsigned loaded_count;

void
tri_crash_loads(const char *path)
{
    const unsigned count = atomic_load(&loaded_count);
    if (count == MODULES_MAX || strlen(path) >= PATH_SIZE || stat(path, &loaded[count].status) != 0)
        return; /* a crash of it is told without this */
    strcpy(loaded[count].path, path);
    atomic_store(&loaded_count, count + 1);
}

/* The path of a module that has been written to, the same file that is mapped; NULL. */
static const char *
changed_module(void)
{
    const unsigned count = atomic_load(&loaded_count);
    for (unsigned i = 0; i < count; i++) {
        const struct stat *was = &loaded[i].status;
        struct stat now;
        if (stat(loaded[i].path, &now) == 0 && now.st_ino == was->st_ino && now.st_dev == was->st_dev &&
            (now.st_size != was->st_size || now.st_mtim.tv_sec != was->st_mtim.tv_sec ||
             now.st_mtim.tv_nsec != was->st_mtim.tv_nsec))
            return loaded[i].path;
    }
    return NULL;
}

static uintptr_t
read_hex(const char **at)
{
    uintptr_t number = 0;
    for (;; (*at)++) {
        if (**at >= '0' && **at <= '9')
            number = number << 4 | (uintptr_t)(**at - '0');
        else if (**at >= 'a' && **at <= 'f')
            number = number << 4 | (uintptr_t)(**at - 'a' + 10);
        else
            return number;
    }
}

/* Of a line of /proc/self/maps, "7f00-7f10 r-xp 00000000 08:01 17 /path": the path, where the address lies in it; else NULL. */
static const char *
path_of(const char *line, uintptr_t address)
{
    const uintptr_t begin = read_hex(&line), end = *line == '-' ? (line++, read_hex(&line)) : 0;
    return address >= begin && address < end ? strchr(line, '/') : NULL;
}

/* The file that is mapped at the address, into `line`; NULL: none. */
static const char *
mapped_file(uintptr_t address, char line[PATH_SIZE + 128])
{
    char data[4096];
    const char *found = NULL;
    size_t length = 0;
    ssize_t size;
    const int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    while (found == NULL && (size = read(fd, data, sizeof data)) > 0)
        for (ssize_t i = 0; i < size && found == NULL; i++) {
            if (data[i] != '\n' && length < PATH_SIZE + 127) {
                line[length++] = data[i];
                continue;
            }
            line[length] = '\0';
            if (data[i] == '\n')
                found = path_of(line, address);
            length = data[i] == '\n' ? 0 : length;
        }
    (void)close(fd);
    return found;
}

void
tri_crash_why(const siginfo_t *info, tri_crash_put_fn *put, void *user)
{
    char line[PATH_SIZE + 128];
    const char *path = changed_module();
    if (path != NULL) {
        put(user, path);
        put(user, " was written to while it was loaded: put a new file in its place instead (install, mv)\n");
        return;
    }
    path = info->si_signo == SIGBUS ? mapped_file((uintptr_t)info->si_addr, line) : NULL;
    if (path == NULL)
        return;
    put(user, path);
    put(user, " was cut while it was mapped, or cannot be read\n");
}
