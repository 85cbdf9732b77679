/* stage.c - see stage.h. Each test is a process of its own, so the state here is one row's. */
#include "tests/conformance/stage.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "tests/common/child.h"
#include "tests/common/scratch.h"

TRP_MODULE_DECLARE(conformance);
TRP_MODULE_DECLARE(counter);
TRP_MODULE_DECLARE(ranking);

static const trp_module *const linked[] = {&troupe_module_conformance, &troupe_module_counter, &troupe_module_ranking,
                                           NULL};

static enum stage_mode current_mode;
static char scratch[SCRATCH_SIZE];
static char node_directory[80];
static pid_t service_pid;
static trp_runtime *runtime;
static long store_bytes; /* 0: what a node takes by itself */

enum stage_mode
stage_mode(void)
{
    return current_mode;
}

const char *
stage_directory(void)
{
    return scratch;
}

const char *
stage_node_directory(void)
{
    return current_mode == STAGE_SERVICE ? node_directory : NULL;
}

static void
start_service(void)
{
    char line[512], store[32];
    const char *const more[] = {"--num-cpus", "2", store_bytes > 0 ? "--store" : NULL, store, NULL};
    snprintf(store, sizeof store, "%ldM", store_bytes >> 20);
    snprintf(node_directory, sizeof node_directory, "%s/node", scratch);
    service_pid = child_start_node(node_directory, more, line, sizeof line);
    cr_assert_gt(service_pid, 0, "the node service is not ready: %s", line);
}

static void
start_runtime(void)
{
    trp_error error;
    trp_config config = {.node = {.num_cpus = 2, .store_bytes = store_bytes}};
    if (current_mode == STAGE_LOCAL) {
        config.mode = TRP_MODE_LOCAL;
        config.modules = linked;
    } else if (current_mode == STAGE_SERVICE) {
        config.address = node_directory;
    } else {
        setenv("TROUPE_DIR", scratch, 1); /* nobody's node lives there: a private one is started */
    }
    cr_assert_eq(trp_init(&config, &runtime, &error), TRP_OK, "%s", error.message);
}

void
stage_shutdown(void)
{
    trp_shutdown(&runtime);
    cr_expect_null(runtime);
}

/* How many processes have our scratch directory or a private node of ours in their command line or are our descendants. */
static int
count_children(void)
{
    char path[64], line[512];
    int count = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *entry = readdir(proc); entry != NULL; entry = readdir(proc)) {
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
            continue;
        snprintf(path, sizeof path, "/proc/%.20s/stat", entry->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL)
            continue;
        if (fgets(line, sizeof line, file) != NULL) {
            const char *after = strrchr(line, ')');
            int parent = 0;
            if (after != NULL && sscanf(after, ") %*c %d", &parent) == 1 && parent == getpid())
                count++;
        }
        fclose(file);
    }
    closedir(proc);
    return count;
}

void
stage_run_with_store(enum stage_mode mode, long store, void (*row)(trp_runtime *rt))
{
    struct statvfs room;
    if (mode != STAGE_LOCAL && statvfs("/dev/shm", &room) == 0 &&
        (long)(room.f_bavail * room.f_frsize) < store + (store >> 3)) {
        fprintf(stderr, "SKIP: /dev/shm has no room for a store of %ld bytes\n", store);
        cr_skip_test("/dev/shm has not room enough");
    }
    store_bytes = store;
    stage_run(mode, row);
}

void
stage_run(enum stage_mode mode, void (*row)(trp_runtime *rt))
{
    char spill[80];
    current_mode = mode;
    scratch_make(scratch, "rows");
    snprintf(spill, sizeof spill, "%s/spill", scratch);
    setenv("TROUPE_SPILL_DIR", spill, 1);
    if (mode == STAGE_SERVICE)
        start_service();
    start_runtime();
    row(runtime);
    stage_shutdown();
    if (mode == STAGE_SERVICE)
        cr_expect(child_end(service_pid), "the node service did not end in order");
    cr_expect_eq(count_children(), 0, "processes were left behind");
    if (mode == STAGE_SERVICE)
        cr_expect_eq(rmdir(node_directory) == 0 || errno == ENOENT, 1, "files were left in %s: %s", node_directory,
                     strerror(errno));
    cr_expect(rmdir(spill) == 0 || errno == ENOENT, "files were left in %s: %s", spill, strerror(errno));
    scratch_remove(scratch);
}

trp_actor *
stage_spawn(trp_runtime *rt, const char *class_name, trp_value args, const char *name)
{
    trp_actor *actor = NULL;
    trp_error error;
    trp_actor_options options = {.name = name};
    cr_assert_eq(trp_spawn(rt, class_name, args, &options, &actor, &error), TRP_OK, "%s", error.message);
    return actor;
}

trp_ref *
stage_call(trp_actor *actor, const char *method, trp_value args)
{
    trp_ref *ref = NULL;
    trp_error error;
    cr_assert_eq(trp_call(actor, method, args, &ref, &error), TRP_OK, "%s", error.message);
    return ref;
}

trp_ref *
stage_task(trp_runtime *rt, const char *function, trp_value args)
{
    trp_ref *ref = NULL;
    trp_error error;
    cr_assert_eq(trp_task(rt, function, args, &ref, &error), TRP_OK, "%s", error.message);
    return ref;
}

trp_ref *
stage_put(trp_runtime *rt, trp_value value)
{
    trp_ref *ref = NULL;
    trp_error error;
    cr_assert_eq(trp_put(rt, value, &ref, &error), TRP_OK, "%s", error.message);
    return ref;
}

void
stage_expect(trp_ref *ref, const char *text)
{
    char found[1024];
    trp_value value;
    trp_error error;
    cr_assert_eq(trp_get(ref, 20000, &value, &error), TRP_OK, "wanted %s, got: %s", text, error.message);
    trp_format(value, found, sizeof found);
    cr_assert_str_eq(found, text);
    trp_ref_release(&ref);
}

void
stage_expect_error(trp_ref *ref, trp_err err, trp_error *error)
{
    cr_assert_eq(trp_get(ref, 20000, NULL, error), err, "wanted %s, got: %s", trp_strerror(err), error->message);
    cr_assert_eq(error->code, err);
    trp_ref_release(&ref);
}

void
stage_says(trp_actor *actor, const char *method, trp_value args, const char *text)
{
    stage_expect(stage_call(actor, method, args), text);
}
