/* test_options.c - troupe-node's command line: what is taken, and each refusal with the word that its sentence must have. */
#include <criterion/criterion.h>

#include "broker/node/root.h"

enum { ARGUMENTS = 10 };

static int
count(const char *const *argv)
{
    int argc = 0;
    while (argv[argc] != NULL)
        argc++;
    return argc;
}

static trp_err
parse(const char *const *argv, struct tri_root_options *options, trp_error *error)
{
    return tri_root_options_parse(count(argv), (char *const *)(uintptr_t)argv, options, error);
}

Test(options, a_service_takes_its_options_in_both_spellings)
{
    const char *argv[] = {"troupe-node", "--service", "--dir",       "/x",    "--module-path=/a:/b",
                          "--num-cpus",  "2.5",       "--log-level", "debug", NULL};
    struct tri_root_options options;
    trp_error error;
    cr_assert_eq(parse(argv, &options, &error), TRP_OK, "%s", error.message);
    cr_expect_eq(options.mode, TRI_ROOT_SERVICE);
    cr_expect_str_eq(options.directory, "/x");
    cr_expect_str_eq(options.module_path, "/a:/b");
    cr_expect_eq(options.num_cpus, 2.5);
    cr_expect_eq(options.log_level, TRI_DEBUG);
    cr_expect_eq(options.parent_fd, -1);
    cr_expect_eq(options.ready_fd, -1);
}

Test(options, a_private_node_is_quiet_and_a_service_says_who_comes)
{
    const char *private_argv[] = {"troupe-node", "--private", "--dir", "/x", "--parent-fd", "3", NULL};
    const char *service_argv[] = {"troupe-node", "--service", NULL};
    struct tri_root_options options;
    trp_error error;
    cr_assert_eq(parse(private_argv, &options, &error), TRP_OK);
    cr_expect_eq(options.log_level, TRI_WARNING);
    cr_expect_eq(options.parent_fd, 3);
    cr_assert_eq(parse(service_argv, &options, &error), TRP_OK);
    cr_expect_eq(options.log_level, TRI_INFO);
}

Test(options, the_store_has_bytes_or_more_of_them_or_there_is_none)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } rows[] = {{"0", 0},
                {"123456789", 123456789},
                {"16M", UINT64_C(16) << 20},
                {"65536K", UINT64_C(64) << 20},
                {"3G", UINT64_C(3) << 30},
                {"2T", UINT64_C(2) << 40}};
    const char *usual[] = {"troupe-node", "--service", NULL};
    struct tri_root_options options;
    trp_error error;
    cr_assert_eq(parse(usual, &options, &error), TRP_OK);
    cr_expect(options.store_bytes == 0 && !options.no_store);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *argv[] = {"troupe-node", "--service", "--store", rows[i].text, NULL};
        cr_assert_eq(parse(argv, &options, &error), TRP_OK, "%s", error.message);
        cr_expect_eq(options.store_bytes, rows[i].bytes, "%s", rows[i].text);
        cr_expect_eq(options.no_store, rows[i].bytes == 0, "%s", rows[i].text);
    }
}

Test(options, each_wrong_command_line_is_refused_with_what_is_wrong)
{
    static const struct {
        const char *argv[ARGUMENTS];
        const char *word;
    } rows[] = {
        {{"troupe-node"}, "--service"},
        {{"troupe-node", "--servise"}, "--servise"},
        {{"troupe-node", "--service", "extra"}, "extra"},
        {{"troupe-node", "--service", "--private"}, "--private"},
        {{"troupe-node", "--service=yes"}, "takes no text"},
        {{"troupe-node", "--service", "--dir"}, "--dir lacks"},
        {{"troupe-node", "--service", "--dir="}, "--dir is empty"},
        {{"troupe-node", "--service", "--num-cpus", "many"}, "many"},
        {{"troupe-node", "--service", "--num-cpus", "-1"}, "-1"},
        {{"troupe-node", "--service", "--num-gpus", "nan"}, "nan"},
        {{"troupe-node", "--service", "--num-gpus", "1e9"}, "1e9"},
        {{"troupe-node", "--service", "--store", "much"}, "much"},
        {{"troupe-node", "--service", "--store", "-1"}, "-1"},
        {{"troupe-node", "--service", "--store", "1.5G"}, "1.5G"},
        {{"troupe-node", "--service", "--store", "1GB"}, "1GB"},
        {{"troupe-node", "--service", "--store", "1P"}, "1P"},
        {{"troupe-node", "--service", "--store", "16777216T"}, "16777216T"},
        {{"troupe-node", "--service", "--store", "99999999999999999999"}, "99999999999999999999"},
        {{"troupe-node", "--service", "--store="}, "--store is"},
        {{"troupe-node", "--service", "--spill-dir="}, "--spill-dir is empty"},
        {{"troupe-node", "--service", "--spill-max", "much"}, "much"},
        {{"troupe-node", "--service", "--spill-at", "0"}, "from 1 to 100"},
        {{"troupe-node", "--service", "--spill-at", "101"}, "from 1 to 100"},
        {{"troupe-node", "--service", "--spill-at", "80%"}, "80%"},
        {{"troupe-node", "--service", "--log-level", "loud"}, "loud"},
        {{"troupe-node", "--service", "--parent-fd", "3"}, "--parent-fd"},
        {{"troupe-node", "--private", "--parent-fd", "3"}, "--dir"},
        {{"troupe-node", "--private", "--dir", "/x"}, "--parent-fd"},
        {{"troupe-node", "--private", "--dir", "/x", "--parent-fd", "three"}, "three"},
        {{"troupe-node", "--private", "--dir", "/x", "--parent-fd", "-3"}, "-3"},
        {{"troupe-node", "--service", "--ready-fd", "three"}, "three"},
        {{"troupe-node", "--private", "--dir", "/x", "--parent-fd", "3", "--ready-fd", "4"}, "--ready-fd"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tri_root_options options = {.mode = TRI_ROOT_HELP};
        trp_error error;
        cr_expect_eq(parse(rows[i].argv, &options, &error), TRP_EINVAL, "row %zu was taken", i);
        cr_expect_not_null(strstr(error.message, rows[i].word), "row %zu says: %s", i, error.message);
        cr_expect_eq(options.mode, TRI_ROOT_HELP, "row %zu changed the options", i);
    }
}

Test(options, every_option_stands_in_the_usage)
{
    static const char *const names[] = {"--service",  "--private",   "--dir",       "--module-path", "--num-cpus",
                                        "--num-gpus", "--log-level", "--log-file",  "--store",       "--parent-fd",
                                        "--help",     "--version",   "--spill-dir", "--spill-max",   "--spill-at"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_expect_not_null(strstr(tri_root_usage, names[i]), "%s", names[i]);
}
