/* test_directory.c - where a node lives, and who else could write there. */
#include "helpers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

Test(directory, is_looked_for_in_this_order)
{
    static const struct {
        bool given, troupe, run_time;
        const char *expected;
    } rows[] = {
        {true, true, true, "given"},
        {false, true, true, "troupe-dir"},
        {false, false, true, "run/troupe"},
        {true, false, false, "given"},
    };
    char base[64], given[128], troupe[128], run_time[128], path[256], expected[128];

    scratch_make(base, "transport");
    (void)snprintf(given, sizeof given, "%s/given", base);
    (void)snprintf(troupe, sizeof troupe, "%s/troupe-dir", base);
    (void)snprintf(run_time, sizeof run_time, "%s/run", base);
    cr_assert_eq(mkdir(run_time, 0700), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct stat status;
        (void)(rows[i].troupe ? setenv("TROUPE_DIR", troupe, 1) : setenv("TROUPE_DIR", "", 1));
        (void)(rows[i].run_time ? setenv("XDG_RUNTIME_DIR", run_time, 1) : unsetenv("XDG_RUNTIME_DIR"));
        (void)snprintf(expected, sizeof expected, "%s/%s", base, rows[i].expected);
        EXPECT(TRP_OK, tri_directory(rows[i].given ? given : NULL, true, path, sizeof path, &why));
        cr_assert_str_eq(path, expected);
        cr_assert_eq(stat(path, &status), 0);
        cr_assert_eq(status.st_mode & 0777, 0700);
        EXPECT(TRP_OK, tri_directory(rows[i].given ? given : NULL, false, path, sizeof path, &why));
    }
    (void)unsetenv("TROUPE_DIR");
    (void)tri_directory(NULL, false, path, sizeof path, &why);
    (void)snprintf(expected, sizeof expected, "/tmp/troupe-%u", (unsigned)geteuid());
    cr_assert_str_eq(path, expected);
    (void)rmdir(given);
    (void)rmdir(troupe);
    (void)snprintf(path, sizeof path, "%s/troupe", run_time);
    (void)rmdir(path);
    scratch_remove(base);
}

Test(directory, given_relatively_is_the_same_from_everywhere)
{
    char base[64], path[256], expected[128];

    scratch_make(base, "transport");
    cr_assert_eq(chdir(base), 0);
    EXPECT(TRP_OK, tri_directory("node", true, path, sizeof path, &why));
    (void)snprintf(expected, sizeof expected, "%s/node", base);
    cr_assert_str_eq(path, expected);
    cr_assert_eq(rmdir(path), 0);
    cr_assert_eq(chdir("/"), 0);
    scratch_remove(base);
}

Test(directory, that_others_could_write_to_is_refused_with_the_remedy)
{
    static const struct {
        const char *name;
        bool make;
        trp_err err;
        const char *remedy;
    } rows[] = {
        {"missing", false, TRP_ENOENT, "there is no node's directory"},
        {"missing/deeper", true, TRP_EACCES, "set TROUPE_DIR"},
        {"open", true, TRP_EACCES, "a directory of your own"},
        {"group", true, TRP_EACCES, "a directory of your own"},
        {"link", true, TRP_EACCES, "symbolic link"},
        {"file", true, TRP_EACCES, "a directory of your own"},
        {"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789", true,
         TRP_EINVAL, "set TROUPE_DIR to a shorter one"},
    };
    char base[64], path[512], given[256];

    scratch_make(base, "transport");
    (void)snprintf(path, sizeof path, "%s/open", base);
    cr_assert(mkdir(path, 0700) == 0 && chmod(path, 0755) == 0);
    (void)snprintf(path, sizeof path, "%s/group", base);
    cr_assert(mkdir(path, 0700) == 0 && chmod(path, 0720) == 0);
    (void)snprintf(path, sizeof path, "%s/link", base);
    cr_assert_eq(symlink("open", path), 0);
    (void)snprintf(path, sizeof path, "%s/file", base);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    (void)fclose(file);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)snprintf(given, sizeof given, "%s/%s", base, rows[i].name);
        EXPECT(rows[i].err, tri_directory(given, rows[i].make, path, sizeof path, &why));
        cr_assert_not_null(strstr(why.message, rows[i].remedy), "'%s' lacks '%s'", why.message, rows[i].remedy);
    }
    EXPECT(TRP_EINVAL, tri_directory(base, false, path, 10, &why));
    scratch_remove(base);
}

Test(directory, of_another_user_is_refused)
{
    char base[64], path[256];

    scratch_make(base, "transport");
    if (geteuid() == 0)
        cr_assert_eq(chown(base, 65534, 65534), 0);
    EXPECT(TRP_EACCES, tri_directory(geteuid() == 0 ? base : "/usr", false, path, sizeof path, &why));
    cr_assert_not_null(strstr(why.message, "belongs to user"));
    scratch_remove(base);
}
