/* test_files.c - `troupe put --file` and `troupe get -o`: what is in a file, into an object and out of one, whole or not at all. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tools/command.h"

TestSuite(files, .init = command_begin_node, .fini = command_end);

Test(files, what_is_in_a_file_comes_out_as_it_went_in)
{
    static const struct command_row rows[] = {
        {"printf 'a\\0b\\377' >few && head -c 102400 /dev/urandom >inline && head -c 3000000 /dev/urandom >large && : "
         ">none",
         0, "", ""},
        {"for f in few inline large none; do troupe put -f $f -n $f && troupe get $f -o $f.out && cmp $f $f.out || "
         "exit 1; "
         "done",
         0, "\"ref:few\"\n\"ref:inline\"\n\"ref:large\"\n\"ref:none\"\n", ""},
        {"troupe get few", 0, "\"bytes:4:610062ff\"\n", ""},
        {"cat large | troupe put -f - -n pipe && troupe get pipe -o - | cmp - large", 0, "\"ref:pipe\"\n", ""},
        {"head -c 20000000 /dev/zero | troupe put --file=- -n zeros && troupe get zeros -o - | tr -d '\\0' | wc -c", 0,
         "\"ref:zeros\"\n0\n", ""},
        {"(read -r first; troupe put -f - -n rest) <few; troupe get rest -o - | wc -c", 0, "\"ref:rest\"\n0\n", ""},
        {"troupe put -f - -n behind <large && troupe get behind -o - | cmp - large", 0, "\"ref:behind\"\n", ""},
        {"troupe put -f /proc/self/stat -n proc -q && test $(troupe get proc -o - | wc -c) -gt 50", 0, "", ""},
        {"troupe get few -o few.out --json", 0, "{\"file\": \"few.out\", \"bytes\": 4}\n", ""},
        {"troupe get few -o few.out -v", 0, "", "*troupe get: 4 bytes of 'few' are in few.out\n"},
        {"troupe put '\"text\"' -n text -q && troupe get text -o text && cat text", 0, "text", ""},
        {"troupe put '{\"dtype\": \"uint8\", \"shape\": [2, 2], \"data\": [65, 66, 67, 68]}' -n t -q && troupe get t "
         "-o -",
         0, "ABCD", ""},
        {"ls -A | grep troupe-get", 1, "", ""},
    };
    COMMAND_RUN(rows);
}

Test(files, what_cannot_be_read_or_written_is_said_and_nothing_is_left_of_it)
{
    static const struct command_row rows[] = {
        {"troupe put -f none", 1, "", "troupe put: none: No such file or directory\n"},
        {"troupe put -f ''", 1, "", "troupe put: : No such file or directory\n"},
        {"troupe put -f .", 1, "", "troupe put: .: Is a directory\n"},
        {"troupe put -f - <&-", 1, "", "troupe put: *Bad file descriptor\n"},
        {"troupe put -f - <.", 1, "", "troupe put: standard input: Is a directory\n"},
        {"troupe put -f", 2, "", "troupe put: --file needs a value: --file FILE\n"},
        {"troupe put -f x 5", 2, "", "troupe put: there is a VALUE and --file, and one reference\n"},
        {"truncate -s 5T vast && troupe put -f vast", 6, "", "troupe put: a value of more than * bytes\n"},
        {"troupe put 5 -n five -q && troupe put 'hello' -n hello -q && echo before >there", 0, "", ""},
        {"troupe get five -o x; ls x 2>&1", 2, "ls: *\n",
         "troupe get: 'five' is no bytes, string or tensor; without -o it is printed as JSON\n"},
        {"troupe get hello five -o x", 2, "", "troupe get: 2 references for one file\n"},
        {"troupe get hello -o none/x", 1, "", "troupe get: none/x: No such file or directory\n"},
        {"troupe get hello -o ''", 1, "", "troupe get: : No such file or directory\n"},
        {"troupe get hello -o .", 1, "", "troupe get: .: Is a directory\n"},
        {"troupe get hello -o there/x", 1, "", "troupe get: there/x: Not a directory\n"},
        {"troupe get hello -o /dev/full", 1, "", "troupe get: /dev/full: No space left on device\n"},
        {"troupe get hello -o - >/dev/full", 1, "",
         "troupe get: its output cannot be written: No space left on device\n"},
        {"head -c 500000 /dev/zero | troupe put -f - -n half -q && (ulimit -f 200; trap '' XFSZ; troupe get half -o "
         "there); "
         "cat there",
         0, "before\n", "troupe get: there: File too large\n"},
        {"ls -A | grep troupe-get", 1, "", ""},
        {"chmod 640 there && ln -s there link && troupe get hello -o link && cat there && ls -l there | cut -c1-10", 0,
         "hello-rw-r-----\n", ""},
        {"test -L link", 0, "", ""},
    };
    COMMAND_RUN(rows);
}

static const char *
read_only_row(void)
{
    return getuid() == 0 ? NULL : "chmod 400 f && troupe get hello -o f";
}

Test(files, without_the_right_to_a_file_it_stays_as_it_is)
{
    if (read_only_row() == NULL)
        return; /* root may do everything */
    const struct command_row rows[] = {
        {"troupe put hello -n hello -q && echo before >f", 0, "", ""},
        {read_only_row(), 1, "", "troupe get: f: Permission denied\n"},
        {"cat f", 0, "before\n", ""},
        {"chmod 000 f && troupe put -f f", 1, "", "troupe put: f: Permission denied\n"},
    };
    COMMAND_RUN(rows);
}

/* A reader that lives on one file and finds it longer, or shorter, when it has read what it was. */
Test(files, a_file_that_others_change_meanwhile_is_refused)
{
    static const struct command_row rows[] = {
        {"truncate -s 64M f && (troupe put -f f -n f & p=$!; while kill -0 $p 2>/dev/null; do echo >>f; done; wait $p)",
         1, "", "troupe put: f: it had * bytes, and grew while it was read\n"},
        {"troupe get f", 4, "", "troupe get: the node keeps nothing as 'f'; *\n"},
    };
    COMMAND_RUN(rows);
}

/* Memory of its own is bounded: a file of 200 MiB goes through a process that may not have a fifth of that. */
Test(files, neither_has_the_file_in_memory_of_its_own, .timeout = 120)
{
#ifdef __SANITIZE_ADDRESS__
    cr_skip_test("the sanitizer's own memory is counted, too");
#endif
    static const struct command_row rows[] = {
        {"head -c 209715200 /dev/zero | tr '\\0' 'x' >large && echo end >>large", 0, "", ""},
        {"(ulimit -d 80000; troupe put -f large -n large) && (ulimit -d 80000; troupe get large -o copy) && cmp large "
         "copy",
         0, "\"ref:large\"\n", ""},
        {"(ulimit -d 80000; troupe get large -o - | cmp - large)", 0, "", ""},
    };
    COMMAND_RUN(rows);
}
