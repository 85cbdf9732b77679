/* test_trace.c - `troupe trace`: what is in the file, of which nodes, and what becomes of it where things go wrong. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/tools/command.h"

TestSuite(trace, .init = command_begin_stage, .fini = command_end, .timeout = 120);
TestSuite(private_nodes, .init = command_begin, .fini = command_end, .timeout = 120);

#define CHECK "python3 \"$TRACE_CHECK\" trace.json"

Test(private_nodes, every_call_and_what_it_calls_has_its_times)
{
    static const struct command_row rows[] = {
        {"troupe trace \"$EXAMPLES/fib\" 10 >/dev/null && " CHECK, 0, "177 calls, 176 nested, * processes\n",
         "troupe trace: 177 calls are in trace.json\n"},
        {"troupe trace \"$EXAMPLES/counter\" >/dev/null && " CHECK, 0, "* calls, 0 nested, * processes\n",
         "*troupe trace: * calls are in trace.json\n"},
        {"troupe trace -o - -q \"$EXAMPLES/fib\" 1 | tail -n +3 >t; head -c 18 t", 0, "{\"displayTimeUnit\"", ""},
    };
    COMMAND_RUN(rows);
}

Test(trace, calls_on_a_node_that_runs_are_traced_with_what_they_call)
{
    static const struct command_row rows[] = {
        {"troupe trace -o t.json troupe task fib:fib 5 && mv t.json trace.json && " CHECK, 0,
         "5\n15 calls, 14 nested, * processes\n", "troupe trace: 15 calls are in t.json\n"},
        {"troupe trace troupe call s echo 1 && " CHECK, 0, "1\n1 calls, 0 nested, 1 processes\n",
         "troupe trace: 1 calls are in trace.json\n"},
        {"troupe trace sh -c 'troupe send s echo 1; troupe call s echo 2' && " CHECK, 0,
         "2\n2 calls, 0 nested, 1 processes\n", NULL},
        {"grep -c '\"name\":\"s.echo\"' trace.json; grep -c '\"args\":{\"name\":\"troupe\"}' trace.json", 0, "4\n2\n",
         ""},
        {"troupe task fib:fib 5", 0, "5\n", ""},
        {"troupe trace -q -o a.json troupe task fib:fib 6 & troupe trace -q troupe task fib:fib 5; wait; " CHECK
         "; mv a.json trace.json; " CHECK,
         0, "*15 calls, 14 nested, * processes\n25 calls, 24 nested, * processes\n", ""},
        {"troupe put 7 -n kept >/dev/null; troupe trace troupe call s echo %kept && " CHECK, 0, "7\n2 calls, *", NULL},
        {"troupe trace -q troupe call s echo 1", 0, "1\n", ""},
    };
    COMMAND_RUN(rows);
}

Test(trace, a_program_that_fails_or_is_killed_keeps_its_exit_code_and_leaves_a_trace)
{
    static const struct command_row rows[] = {
        {"troupe trace sh -c 'exit 7'", 7, "", "troupe trace: no call was made on a node, and trace.json is empty\n"},
        {CHECK, 0, "0 calls, 0 nested, 0 processes\n", ""},
        {"troupe trace sh -c 'troupe call s echo 1; kill -9 $$' && true", 137, "1\n",
         "troupe trace: sh was ended by signal 9 (Killed)\ntroupe trace: 1 calls are in trace.json\n"},
        {CHECK, 0, "1 calls, 0 nested, 1 processes\n", ""},
        {"troupe trace troupe call s fail 5 x", 7, "", "troupe call: x\ntroupe trace: 1 calls are in trace.json\n"},
        {"grep -c '\"ended\":\"failure\"' trace.json", 0, "1\n", ""},
        {"troupe trace troupe call s crash", 8, "",
         "*troupe call: *\ntroupe trace: 1 calls, of which 1 have not ended, are in trace.json\n"},
        {CHECK " && grep -c '\"ended\":\"unfinished\"' trace.json", 0, "1 calls, 0 nested, 1 processes\n1\n", ""},
    };
    COMMAND_RUN(rows);
}

Test(trace, what_is_wrong_is_refused_and_nothing_is_left_behind)
{
    static const struct command_row rows[] = {
        {"troupe trace", 2, "", "troupe trace: PROGRAM is missing; usage: troupe trace PROGRAM [ARG...]\n"},
        {"troupe trace ''", 2, "", "troupe trace: PROGRAM is empty\n"},
        {"troupe trace no-such-program", 127, "",
         "troupe trace: no program is called 'no-such-program'; one that is not in $PATH is named with its "
         "directory\n"},
        {"troupe trace ./none", 127, "", "troupe trace: ./none: No such file or directory\n"},
        {"troupe trace /", 126, "", "*"},
        {"troupe trace -o", 2, "", "troupe trace: --output needs a value: --output FILE\n"},
        {"troupe trace -o '' true", 2, "", "troupe trace: --output needs a file, got ''\n"},
        {"troupe trace -o none/t.json true", 1, "", "troupe trace: none/t.json: No such file or directory\n"},
        {"troupe trace -o /tmp true", 1, "", "troupe trace: /tmp: Is a directory\n"},
        {"troupe trace --out t.json true", 2, "", "troupe trace: unknown option '--out'; *\n"},
        {"troupe trace -o /dev/full troupe call s echo 1", 1, "1\n",
         "troupe trace: /dev/full: No space left on device\n"},
        {"troupe trace -o /dev/full sh -c 'exit 3'", 3, "", "troupe trace: /dev/full: No space left on device\n"},
        {"TMPDIR=/nowhere troupe trace true", 1, "", "troupe trace: /nowhere: No such file or directory\n"},
        {"TMPDIR=$(printf '/%200s' | tr ' ' x) troupe trace true", 1, "", "troupe trace: $TMPDIR has more than *\n"},
        {"mkdir tmp; export TMPDIR=$PWD/tmp; troupe trace -q troupe call s echo 1; troupe trace -q troupe call s "
         "crash; ls "
         "tmp",
         0, "1\n", "*"},
        {"TROUPE_TRACE=here troupe ls actors", 3, "",
         "troupe ls: TROUPE_TRACE is 'here'; it has to be the absolute path of a directory, of at most 200 bytes\n"},
        {"TROUPE_TRACE=/nowhere troupe ls actors", 0, NULL, NULL},
    };
    COMMAND_RUN(rows);
}

Test(trace, a_full_disk_is_said_and_disturbs_no_call)
{
    static const struct command_row rows[] = {
        {"mkdir m && unshare -m sh -c 'mount -t tmpfs -o size=16k none m && head -c 16k /dev/zero >m/full; "
         "TMPDIR=$PWD/m troupe trace \"$EXAMPLES/fib\" 10 >out2; e=$?; umount m; exit $e'",
         1, "", "*troupe trace: the trace is not complete: a process could not write all of it, or was killed\n"},
        {"head -1 out2", 0, "fib(10) = 55, *\n", ""},
    };

    if (getuid() != 0 || system("unshare -m true >/dev/null 2>&1") != 0)
        cr_skip_test("only root can make a disk that is full");
    COMMAND_RUN(rows);
}
