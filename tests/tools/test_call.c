/* test_call.c - the verbs that call, send and start tasks: which values they take and print, what they refuse, their exit codes. */
#include <criterion/criterion.h>

#include "tests/tools/command.h"

TestSuite(call, .init = command_begin_node, .fini = command_end);

Test(call, call_takes_json_and_gives_json)
{
    static const struct command_row rows[] = {
        {"troupe spawn play:Stage --name s", 0, "\"actor:*\"\n", ""},
        {"troupe call s echo 5", 0, "5\n", ""},
        {"troupe call s echo -5", 0, "-5\n", ""},
        {"troupe call s echo -- -5", 0, "-5\n", ""},
        {"troupe call s echo 2.0", 0, "2.0\n", ""},
        {"troupe call s echo 9223372036854775807", 0, "9223372036854775807\n", ""},
        {"troupe call s echo Alice", 0, "\"Alice\"\n", ""},
        {"troupe call s echo 'two words'", 0, "\"two words\"\n", ""},
        {"troupe call s echo ''", 0, "\"\"\n", ""},
        {"troupe call s echo é", 0, "\"é\"\n", ""},
        {"troupe call s echo true", 0, "true\n", ""},
        {"troupe call s echo null", 0, "null\n", ""},
        {"troupe call s echo '[1, {\"a\": [2.5, null]}, \"x\"]'", 0, "[1, {\"a\": [2.5, null]}, \"x\"]\n", ""},
        {"troupe call s echo x=7", 0, "7\n", ""},
        {"troupe call s echo x=word", 0, "\"word\"\n", ""},
        {"troupe call s echo @@home", 0, "\"@home\"\n", ""},
        {"echo '[1,\n2]' >f; troupe call s echo @f", 0, "[1, 2]\n", ""},
        {"echo '{\"a\": 1}' | troupe call s echo -", 0, "{\"a\": 1}\n", ""},
        {"echo 3 | troupe call s echo x=-", 0, "3\n", ""},
        {"troupe call s echo bytes:2:00ff", 0, "\"bytes:2:00ff\"\n", ""},
        {"troupe call s kind bytes:0:", 0, "\"bytes\"\n", ""},
        {"troupe call s kind actor:s", 0, "\"actor\"\n", ""},
        {"troupe call s kind f64:NaN", 0, "\"f64\"\n", ""},
        {"troupe call s echo str:bytes:2:00ff", 0, "\"str:bytes:2:00ff\"\n", ""},
        {"troupe call s odd", 0,
         "[\"f64:NaN\", \"f64:-Infinity\", 0.1, 1e+300, \"str:ref:it\", \"a\\nb\\\"c\\\\\", null, true]\n", ""},
        {"troupe call s odd >f && troupe call s echo @f | cmp - f", 0, "", ""},
        {"troupe call s bytes 65", 0, "\"bytes:65:0001*3e3f...\"\n", ""},
        {"troupe call s bytes 1000 --full >f && troupe call s echo @f --full | cmp - f", 0, "", ""},
        {"troupe call s tensor", 0, "{\"dtype\": \"float32\", \"shape\": [2, 2]}\n", ""},
        {"troupe call s tensor --full", 0,
         "{\"dtype\": \"float32\", \"shape\": [2, 2], \"data\": [1.0, 2.5, -3.0, 4.0]}\n", ""},
        {"troupe call s tensor --full >f && troupe call s echo @f --full | cmp - f", 0, "", ""},
        {"troupe call s kind '{\"dtype\": \"int8\", \"shape\": [1], \"data\": [-128]}'", 0, "\"tensor\"\n", ""},
        {"troupe call s echo 5 -q", 0, "", ""},
        {"troupe call s echo 5 -v", 0, "5\n", "troupe call: joined the node at */node\n"},
        {"troupe call default/s echo 5", 0, "5\n", ""},
        {"troupe call actor:s echo 5", 0, "5\n", ""},
        {"troupe call \"$(troupe spawn play:Stage -n t)\" echo 6", 0, "6\n", ""},
        {"troupe --version call", 2, "", "troupe version: takes no arguments, got 'call'\n"},
    };
    COMMAND_RUN(rows);
}

Test(call, call_refuses_whom_it_does_not_find_and_what_does_not_fit)
{
    static const struct command_row rows[] = {
        {"troupe spawn play:Stage --name stage", 0, NULL, ""},
        {"troupe call", 2, "", "troupe call: ACTOR is missing; usage: troupe call ACTOR METHOD [ARG...]\n"},
        {"troupe call stage", 2, "", "troupe call: METHOD is missing; usage: troupe call ACTOR METHOD [ARG...]\n"},
        {"troupe call stgae echo 1", 4, "", "troupe call: no actor is called 'stgae'; did you mean 'stage'?\n"},
        {"troupe call actor:who echo 1", 4, "",
         "troupe call: no actor is called 'who', or has that id: 'actor:who' is taken for a handle, 'str:actor:who' "
         "for a string; `troupe ls actors` lists them\n"},
        {"troupe call stage echo str:actor:who", 0, "\"str:actor:who\"\n", ""},
        {"troupe call ref:1 echo 1", 2, "",
         "troupe call: 'ref:1' is taken for a reference, not for an actor; `troupe get` gets its value\n"},
        {"troupe call stage echo ref:1", 4, "",
         "troupe call: the node keeps nothing as '1': 'ref:1' is taken for a reference, 'str:ref:1' for a string; *\n"},
        {"troupe call stage echo 1 --name actor:x", 2, "",
         "troupe call: 'actor:x' is how a handle is written, and would be taken for one; another name is needed\n"},
        {"troupe call who echo 1", 4, "", "troupe call: no actor is called 'who'; `troupe ls actors` lists them\n"},
        {"troupe call '' echo 1", 3, "", "troupe call: name is empty\n"},
        {"troupe call stage eco 1", 4, "",
         "troupe call: class Stage has no method 'eco'; it has bytes, count, crash, echo, fail, go, kind, last, odd, "
         "tensor, wait; "
         "did you "
         "mean 'echo'?\n"},
        {"troupe call stage echo", 3, "", "troupe call: echo: parameter 'x' is missing; it wants a value\n"},
        {"troupe call stage echo 1 2", 3, "", "troupe call: *"},
        {"troupe call stage echo y=2", 3, "", "troupe call: *"},
        {"troupe call stage echo x=1 x=2", 3, "", "troupe call: *"},
        {"troupe call stage echo x=1 2", 2, "", "troupe call: '2' stands after an argument by name; those come last\n"},
        {"troupe call stage bytes five", 3, "",
         "troupe call: bytes: parameter 'size' wants an int64, found a string\n"},
    };
    COMMAND_RUN(rows);
}

Test(call, call_refuses_words_that_are_no_values)
{
    static const struct command_row rows[] = {
        {"troupe spawn play:Stage --name stage", 0, NULL, ""},
        {"troupe call stage echo '{'", 2, "",
         "troupe call: '{' is not JSON: string or '}' expected near end of file, at column 1\n"},
        {"troupe call stage echo '{\"a\": 1, \"a\": 2}'", 2, "",
         "troupe call: '{\"a\": 1, \"a\": 2}' is not JSON: duplicate object key near '\"a\"', at column 12\n"},
        {"troupe call stage echo '\"x'", 2, "",
         "troupe call: '\"x' is not JSON: premature end of input near '\"x', at column 2\n"},
        {"troupe call stage echo '[1,]'", 2, "",
         "troupe call: '[1,]' is not JSON: unexpected token near ']', at column 4\n"},
        {"troupe call stage echo 12monkeys", 2, "",
         "troupe call: '12monkeys' is not JSON: end of file expected near 'monkeys', at column 9; a string is written "
         "'\"12monkeys\"'\n"},
        {"troupe call stage echo 9223372036854775808", 2, "",
         "troupe call: '9223372036854775808' is too large for an int64, -9223372036854775808 to 9223372036854775807; a "
         "string is written '\"9223372036854775808\"'\n"},
        {"troupe call stage echo '[1, -9223372036854775809]'", 2, "",
         "troupe call: '[1, -9223372036854775809]' has a number that is too large for an int64, "
         "-9223372036854775808 to 9223372036854775807, at line 1, column 24\n"},
        {"troupe call stage echo 1e999", 2, "",
         "troupe call: '1e999' is too large for a float64, 1.8e308 at most; a string is written '\"1e999\"'\n"},
        {"troupe call stage echo '\"\\u0000\"'", 2, "",
         "troupe call: '\"\\u0000\"' is not JSON: \\u0000 is no character of a string, at column 8\n"},
        {"troupe call stage echo \"$(printf '\\377')\"", 2, "",
         "troupe call: argument 3 is not UTF-8, from its byte 0 on; bytes are written \"bytes:N:HEX\"\n"},
        {"troupe call stage echo \"$(printf '%65s' | tr ' ' '[')1$(printf '%65s' | tr ' ' ']')\"", 2, "",
         "troupe call: a value has more than 64 levels of lists and objects\n"},
        {"troupe call stage echo bytes:2:0", 2, "", "troupe call: 'bytes:2:0' has 1 hex digits for 2 bytes\n"},
        {"troupe call stage echo bytes:1:xx", 2, "",
         "troupe call: 'bytes:1:xx' has 'xx' where hex digits have to be\n"},
        {"troupe call stage echo bytes:", 2, "",
         "troupe call: 'bytes:' has to be \"bytes:N:HEX\", N their number; a string is \"str:bytes:\"\n"},
        {"troupe call stage echo bytes:9:00...", 2, "",
         "troupe call: 'bytes:9:00......' has only the first of its 9 bytes; --full prints all\n"},
        {"troupe call stage echo f64:x", 2, "",
         "troupe call: 'f64:x' has to be a number after \"f64:\"; a string is \"str:f64:x\"\n"},
        {"troupe call stage echo actor:nobody", 4, "",
         "troupe call: no actor is called 'nobody', or has that id: 'actor:nobody' is taken for a handle, "
         "'str:actor:nobody' for a string; `troupe ls actors` lists them\n"},
        {"troupe call stage echo %", 2, "", "troupe call: '%' needs a name; a string is written '\"%\"'\n"},
        {"troupe call stage echo @", 2, "", "troupe call: '@' needs the path of a file; a string is written '\"@\"'\n"},
        {"troupe call stage echo @none", 1, "", "troupe call: none: No such file or directory\n"},
        {"troupe call stage echo @/tmp", 1, "", "troupe call: /tmp: Is a directory\n"},
        {"troupe call stage echo - - </dev/null", 2, "", "troupe call: standard input is not JSON: *\n"},
        {"echo 1 | troupe call stage echo - -", 2, "",
         "troupe call: '-' stands for standard input, which can be read once\n"},
        {"printf '1\\n 2' >f; troupe call stage echo @f", 2, "",
         "troupe call: f is not JSON: end of file expected near '2', at line 2, column 2\n"},
        {"head -c 300000000 /dev/zero >f; troupe call stage echo @f; e=$?; rm f; exit $e", 1, "",
         "troupe call: f: more than 256 MiB\n"},
        {"python3 -c 'print(\"[\" + \"1,\" * 5000000 + \"1]\")' >f; troupe call stage echo @f; e=$?; rm f; exit $e", 6,
         "", "troupe call: *\n"},
        {"troupe call stage echo '{\"dtype\": \"int9\", \"shape\": [1], \"data\": [1]}'", 2, "",
         "troupe call: a tensor's dtype is 'int9', which is none; there is int8 to uint64, float16 to float64, "
         "bfloat16, bool\n"},
        {"troupe call stage echo '{\"dtype\": \"int8\", \"shape\": [2], \"data\": [1]}'", 2, "",
         "troupe call: a tensor's data has 1 numbers, its shape takes 2\n"},
        {"troupe call stage echo '{\"dtype\": \"int8\", \"shape\": [1], \"data\": [128]}'", 2, "",
         "troupe call: number 0 of a tensor's data is not one that int8 holds\n"},
        {"troupe call stage echo '{\"dtype\": \"int8\", \"shape\": [-1], \"data\": []}'", 2, "",
         "troupe call: a tensor's shape has to be a list of numbers from 0 on\n"},
    };
    COMMAND_RUN(rows);
}

Test(call, call_refuses_options_that_it_does_not_have)
{
    static const struct command_row rows[] = {
        {"troupe spawn play:Stage --name stage", 0, NULL, ""},
        {"troupe call stage echo 1 --jsn", 2, "", "troupe call: unknown option '--jsn'; did you mean '--json'?\n"},
        {"troupe call stage echo 1 --frobnicate", 2, "",
         "troupe call: unknown option '--frobnicate'; `troupe call --help` lists them\n"},
        {"troupe call stage echo 1 -x", 2, "", "troupe call: unknown option '-x'; `troupe call --help` lists them\n"},
        {"troupe call stage echo 1 --json=yes", 2, "", "troupe call: --json takes no value, got 'yes'\n"},
        {"troupe call stage echo 1 --timeout", 2, "", "troupe call: --timeout needs a value: --timeout TIME\n"},
        {"troupe call stage echo 1 --timeout -1", 2, "",
         "troupe call: --timeout needs a time such as 5 (seconds), 200ms, 2m or 1h, got '-1'\n"},
        {"troupe call stage echo 1 --timeout 5y", 2, "",
         "troupe call: --timeout needs a time such as 5 (seconds), 200ms, 2m or 1h, got '5y'\n"},
    };
    COMMAND_RUN(rows);
}

Test(call, a_call_that_fails_says_how_and_by_its_exit_code)
{
    static const struct command_row rows[] = {
        {"troupe spawn play:Stage --name stage", 0, NULL, ""},
        {"troupe call stage wait --timeout 20ms", 124, "",
         "troupe call: wait() of actor 'stage' on node '*' did not answer before its deadline of 20 ms; a longer "
         "--timeout gives "
         "it more "
         "time\n"},
        {"troupe call stage fail 5 'no luck'", 7, "", "troupe call: no luck\n"},
        {"troupe call stage fail 5 'no luck' --json", 7, "",
         "{\"error\": {\"verb\": \"call\", \"exit\": 7, \"message\": \"no luck\", \"remedy\": null, \"code\": "
         "\"TRP_ETASK\", "
         "\"cause\": 5, \"ran\": \"yes\", \"actor\": \"stage\", \"method\": \"fail\", \"node\": \"*\"}}\n"},
        {"troupe call stage fail 5 '\"a\\u001b[31m\\nb\"'", 7, "", "troupe call: a [31m b\n"},
        {"troupe call --namespace a/b stage echo 1", 3, "", "troupe call: *'/'*\n"},
        {"troupe call --namespace other stage echo 1", 4, "",
         "troupe call: no actor is called 'stage'; did you mean 'default/stage'?\n"},
        {"troupe call default/stgae echo 1", 4, "",
         "troupe call: no actor is called 'default/stgae'; did you mean 'stage'?\n"},
        {"troupe call stage crash -v", 8, "",
         "*troupe call: actor 'stage' on node '*' died: its process * ended by signal 6 "
         "(SIGABRT)*backtrace\n*play.so*last "
         "output\n    the last line\n"},
    };
    COMMAND_RUN(rows);
}

Test(call, what_cannot_be_kept_is_not_called)
{
    static const struct command_row rows[] = {
        {"troupe spawn play:Stage --name s && troupe put 5 -n five", 0, NULL, ""},
        {"troupe call s count --async -n five", 4, "",
         "troupe call: the node keeps something as 'five' already; `troupe drop` frees the name\n"},
        {"troupe task play:die -n five", 4, "",
         "troupe task: the node keeps something as 'five' already; `troupe drop` frees the name\n"},
        {"troupe call s count --ttl 0", 2, "", "troupe call: --ttl is 0, and nothing would be kept\n"},
        {"troupe call s count --ttl soon", 2, "", "troupe call: --ttl needs a time *, got 'soon'\n"},
        {"troupe call s count -n ''", 3, "", "troupe call: name is empty\n"},
        {"troupe get five && troupe call s count", 0, "5\n1\n", ""},
    };
    COMMAND_RUN(rows);
}

Test(call, a_result_that_is_late_is_told_with_the_time_that_was_given)
{
    static const struct command_row rows[] = {
        {"troupe spawn play:Stage --name s", 0, NULL, ""},
        {"for i in 1 2 3 4 5 6 7 8; do troupe call s wait --timeout 200ms 2>&1 | grep -o '[0-9]* ms'; done | uniq", 0,
         "200 ms\n", ""},
    };
    COMMAND_RUN(rows);
}

Test(call, send_and_task_answer_as_call_does)
{
    static const struct command_row rows[] = {
        {"troupe spawn play:Stage --name s", 0, NULL, ""},
        {"troupe send s echo 1", 0, "", ""},
        {"troupe send s nosuch", 4, "",
         "troupe send: actor 's' has no method 'nosuch'; it has bytes, count, crash, echo, fail, go, kind, last, odd, "
         "tensor, wait\n"},
        {"troupe send s eco 1", 4, "", "troupe send: actor 's' has no method 'eco'; did you mean 'echo'?\n"},
        {"troupe send s fail 1 x", 0, "", ""},
        {"timeout 20 sh -c \"until grep 'nobody waits' log; do :; done\"", 0,
         "*:*:*.* W troupe-broker: (s pid=*) s.fail failed, and nobody waits for it: x\n", ""},
        {"troupe task play:echo '[1]'", 0, "[1]\n", ""},
        {"troupe task play:ehco 1", 4, "",
         "troupe task: module 'play' has no task 'ehco'; it has die, echo; did you mean 'echo'?\n"},
        {"troupe task play 1", 2, "", "troupe task: 'play' has to be MODULE:FUNCTION\n"},
        {"troupe task dir/play.so:echo 1", 2, "",
         "troupe task: 'dir/play.so:echo' has a file where a module's name has to be; write play:echo\n"},
        {"troupe task play: 1", 2, "", "troupe task: 'play:' has to be MODULE:FUNCTION\n"},
        {"troupe task nope:f", 4, "", "troupe task: there is no module 'nope' in *"},
        {"troupe task play:die", 8, "", "*troupe task: *died*; --verbose shows its death record\n"},
        {"troupe task", 2, "",
         "troupe task: MODULE:FUNCTION is missing; usage: troupe task MODULE:FUNCTION [ARG...]\n"},
    };
    COMMAND_RUN(rows);
}
