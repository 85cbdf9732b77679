/*
 * processes.c - what a node's processes cost: their memory and processor time, read from /proc. One thread. It must not
 * know what they do.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tools/bench/bench.h"

enum { PROCESSES_MAX = 4096, NODE_MAX = 1024 };

struct process {
    int pid, parent;
};

void
tri_bench_adopt_orphans(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1ul);
}

/* False for zombies and for what is gone. */
static bool
read_process(const char *name, struct process *process)
{
    char path[64], line[512];
    const char *behind_name;
    char state = 0;
    FILE *file;
    bool ok;

    snprintf(path, sizeof path, "/proc/%.20s/stat", name);
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    ok = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    behind_name = ok ? strrchr(line, ')') : NULL;
    process->pid = atoi(name);
    return behind_name != NULL && sscanf(behind_name + 1, " %c %d", &state, &process->parent) == 2 && state != 'Z';
}

static size_t
read_processes(struct process *processes)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    size_t count = 0;

    if (proc == NULL)
        return 0;
    while (count < PROCESSES_MAX && (entry = readdir(proc)) != NULL)
        if (isdigit((unsigned char)entry->d_name[0]) && read_process(entry->d_name, &processes[count]))
            count++;
    closedir(proc);
    return count;
}

static bool
contains(const int *pids, size_t count, int pid)
{
    for (size_t i = 0; i < count; i++)
        if (pids[i] == pid)
            return true;
    return false;
}

size_t
tri_bench_node_pids(const struct tri_bench *bench, int *pids, size_t capacity)
{
    static struct process processes[PROCESSES_MAX];
    int limit[TRI_CHAIN_WORKERS_MAX + 1];
    size_t limit_count = bench->chain != NULL ? (size_t)tri_chain_pids(bench->chain, limit) : 0;
    size_t all = read_processes(processes), found = 0, before;

    do { /* children before their parents were found come with the next pass */
        before = found;
        for (size_t i = 0; i < all && found < capacity; i++) {
            const struct process *p = &processes[i];
            bool is_ours = p->parent == (int)getpid() || contains(pids, found, p->parent);
            if (is_ours && !contains(pids, found, p->pid) && !contains(limit, limit_count, p->pid))
                pids[found++] = p->pid;
        }
    } while (found > before);
    return found;
}

uint64_t
tri_bench_cpu_ns(const struct tri_bench *bench)
{
    int pids[NODE_MAX];
    size_t count = tri_bench_node_pids(bench, pids, NODE_MAX);
    uint64_t sum = tri_limit_cpu_ns((int)getpid());

    for (size_t i = 0; i < count; i++)
        sum += tri_limit_cpu_ns(pids[i]);
    return sum;
}

uint64_t
tri_bench_limit_cpu_ns(const struct tri_bench *bench)
{
    return tri_limit_cpu_ns((int)getpid()) + tri_chain_cpu_ns(bench->chain);
}

static uint64_t
pss_of(int pid)
{
    char path[64], line[256];
    unsigned long long kib = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    file = fopen(path, "re");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Pss: %llu kB", &kib) == 1)
            break;
    fclose(file);
    return (uint64_t)kib * 1024;
}

uint64_t
tri_bench_pss(const struct tri_bench *bench, bool with_driver)
{
    int pids[NODE_MAX];
    size_t count = tri_bench_node_pids(bench, pids, NODE_MAX);
    uint64_t sum = with_driver ? pss_of((int)getpid()) : 0;

    for (size_t i = 0; i < count; i++)
        sum += pss_of(pids[i]);
    return sum;
}
