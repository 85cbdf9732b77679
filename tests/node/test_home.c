/* test_home.c - the node's directory: taken by one, swept when its node died, refused with the remedy. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/node/root.h"
#include "tests/common/scratch.h"

static char scratch[SCRATCH_SIZE], path[128];
static trp_error error;

static void
make_scratch(void)
{
    scratch_make(scratch, "home");
    snprintf(path, sizeof path, "%s/node", scratch);
}

static void
remove_scratch(void)
{
    scratch_remove(scratch);
}

TestSuite(home, .init = make_scratch, .fini = remove_scratch);

static void
touch(const char *directory, const char *name)
{
    char file[256];
    snprintf(file, sizeof file, "%s/%s", directory, name);
    int fd = open(file, O_CREAT | O_WRONLY, 0600);
    cr_assert_geq(fd, 0);
    close(fd);
}

/* As a node that made the directory and took it. */
static void
mark(const char *directory)
{
    char file[256];
    snprintf(file, sizeof file, "%s/lock", directory);
    int fd = open(file, O_CREAT | O_WRONLY, 0600);
    cr_assert_eq(write(fd, "made", 4), 4);
    close(fd);
}

static bool
exists(const char *directory, const char *name)
{
    char file[256];
    snprintf(file, sizeof file, "%s/%s", directory, name);
    return access(file, F_OK) == 0;
}

Test(home, is_made_and_leaves_nothing)
{
    struct tri_home home;
    struct stat status;
    cr_assert_eq(tri_home_open(&home, path, false, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(stat(path, &status), 0);
    cr_expect_eq(status.st_mode & 0777, 0700);
    cr_expect(exists(path, "node.pid") && exists(path, "lock"));
    tri_home_close(&home);
    cr_expect_not(exists(scratch, "node"));
}

Test(home, that_was_there_before_stays)
{
    struct tri_home home;
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_assert_eq(tri_home_open(&home, path, false, &error), TRP_OK, "%s", error.message);
    tri_home_close(&home);
    cr_expect(exists(scratch, "node"));
    cr_expect_eq(rmdir(path), 0, "files were left: %s", strerror(errno));
}

/* The one who was there before leaves late: what has its path now is being taken by another. */
Test(home, that_was_removed_and_made_anew_by_another_is_not_touched)
{
    struct tri_home home;
    char file[256];
    cr_assert_neq(signal(SIGIO, SIG_IGN), SIG_ERR);
    cr_assert_eq(tri_home_open(&home, path, false, &error), TRP_OK, "%s", error.message);
    cr_assert(tri_home_watch(&home));
    snprintf(file, sizeof file, "%s/elsewhere", scratch);
    cr_assert_eq(rename(path, file), 0);
    cr_assert_eq(mkdir(path, 0700), 0);
    tri_home_close(&home);
    cr_expect_eq(rmdir(path), 0, "it was there before, and is: %s", strerror(errno));
    cr_assert_eq(rename(file, path), 0);
    cr_assert_eq(tri_home_open(&home, path, false, &error), TRP_OK, "%s", error.message);
    tri_home_close(&home);
}

Test(home, of_a_living_node_is_refused_with_its_pid)
{
    struct tri_home home, second;
    char pid[32];
    cr_assert_eq(tri_home_open(&home, path, false, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(tri_home_open(&second, path, false, &error), TRP_EALREADY);
    snprintf(pid, sizeof pid, "process %d", (int)getpid());
    cr_expect_not_null(strstr(error.message, pid), "%s", error.message);
    cr_expect(exists(path, "node.pid"));
    tri_home_close(&home);
}

Test(home, of_a_node_that_is_ending_is_waited_for)
{
    struct tri_home home;
    int ready[2], go[2];
    char byte = 0;
    cr_assert(pipe(ready) == 0 && pipe(go) == 0);
    const pid_t child = fork();
    if (child == 0) {
        const bool opened = tri_home_open(&home, path, false, &error) == TRP_OK;
        tri_home_ending(&home);
        const bool said = write(ready[1], "", 1) == 1 && read(go[0], &byte, 1) == 1;
        tri_home_close(&home);
        _exit(opened && said ? 0 : 1);
    }
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    cr_assert_eq(write(go[1], "", 1), 1);
    cr_assert_eq(tri_home_open(&home, path, false, &error), TRP_OK, "%s", error.message);
    cr_expect(exists(path, "node.pid"));
    tri_home_close(&home);
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(status, 0);
}

Test(home, of_a_node_that_does_not_come_to_its_end_is_refused_as_ending)
{
    struct tri_home home, second;
    cr_assert_eq(tri_home_open(&home, path, false, &error), TRP_OK, "%s", error.message);
    tri_home_ending(&home);
    cr_expect_eq(tri_home_open(&second, path, false, &error), TRP_EALREADY);
    cr_expect_not_null(strstr(error.message, "is ending"), "%s", error.message);
    tri_home_close(&home);
}

Test(home, of_a_dead_node_is_swept_and_taken)
{
    struct tri_home home;
    cr_assert_eq(mkdir(path, 0700), 0);
    touch(path, "door");
    touch(path, "broker.sock");
    touch(path, "lock");
    touch(path, "node.pid");
    cr_assert_eq(tri_home_open(&home, path, false, &error), TRP_OK, "%s", error.message);
    cr_expect_not(exists(path, "door"));
    cr_expect_not(exists(path, "broker.sock"));
    tri_home_close(&home);
}

Test(home, private_nodes_that_died_are_removed_and_living_or_new_ones_are_not)
{
    char dead[160], living[160], starting[160], taking[160], other[160], lock[200];
    snprintf(dead, sizeof dead, "%s/troupe-private-dead", scratch);
    snprintf(living, sizeof living, "%s/troupe-private-living", scratch);
    snprintf(starting, sizeof starting, "%s/troupe-private-starting", scratch);
    snprintf(taking, sizeof taking, "%s/troupe-private-taking", scratch);
    snprintf(other, sizeof other, "%s/other", scratch);
    cr_assert(mkdir(dead, 0700) == 0 && mkdir(living, 0700) == 0 && mkdir(starting, 0700) == 0 &&
              mkdir(taking, 0700) == 0 && mkdir(other, 0700) == 0);
    mark(dead);
    touch(dead, "door");
    mark(living);
    touch(taking, "lock"); /* made, and not locked yet */
    touch(other, "lock");
    snprintf(lock, sizeof lock, "%s/lock", living);
    int fd = open(lock, O_RDWR);
    cr_assert_eq(flock(fd, LOCK_EX), 0);
    cr_expect_eq(tri_home_sweep(scratch), 1);
    cr_expect_not(exists(scratch, "troupe-private-dead"));
    cr_expect(exists(scratch, "troupe-private-living"));
    cr_expect(exists(scratch, "troupe-private-starting"));
    cr_expect(exists(scratch, "troupe-private-taking"));
    cr_expect(exists(scratch, "other"));
    close(fd);
}

Test(home, a_path_that_is_too_long_for_sockets_is_refused_and_nothing_is_made)
{
    struct tri_home home;
    char longer[160];
    snprintf(longer, sizeof longer, "%s/%0*d", scratch, 90, 0);
    cr_expect_eq(tri_home_open(&home, longer, false, &error), TRP_EINVAL);
    cr_expect_not_null(strstr(error.message, "--dir"), "%s", error.message);
    cr_expect_not(exists(longer, ""));
    snprintf(longer, sizeof longer, "%s/%0*d", scratch, (int)(107 - strlen("/broker.sock") - strlen(scratch) - 1), 0);
    cr_expect_eq(tri_home_open(&home, longer, false, &error), TRP_OK, "%s", error.message);
    tri_home_close(&home);
}

Test(home, without_permission_is_refused_with_the_remedy)
{
    struct tri_home home;
    const bool root = geteuid() == 0;
    cr_assert_eq(root ? seteuid(65534) : chmod(scratch, 0500), 0);
    trp_err err = tri_home_open(&home, path, false, &error);
    if (root)
        cr_assert_eq(seteuid(0), 0);
    cr_expect_eq(err, TRP_EACCES);
    cr_expect_gt(strlen(error.message), 20, "%s", error.message);
}
