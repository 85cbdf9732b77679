/* test_sh.c - the shell: what its words, variables, conditions, loops and `par` do, and where its errors point. */
#include <criterion/criterion.h>

#include "tests/tools/command.h"

TestSuite(sh, .init = command_begin, .fini = command_end);
TestSuite(sh_node, .init = command_begin_node, .fini = command_end);

Test(sh, words_are_text_or_values)
{
    static const struct command_row rows[] = {
        {"troupe sh -c 'echo a   b'", 0, "a b\n", ""},
        {"troupe sh -c 'echo \"a   b\" # not this'", 0, "a   b\n", ""},
        {"troupe sh -c 'echo a#b'", 0, "a#b\n", ""},
        {"troupe sh -c 'x = 5; echo $x ${x}y \"$x\" \\$x'", 0, "5 5y 5 $x\n", ""},
        {"troupe sh -c \"x = 5; echo '\\$x'\"", 0, "$x\n", ""},
        {"troupe sh -c 'x=7; echo $x'", 0, "7\n", ""},
        {"troupe sh -c 'x = \"5\"; x'", 2, "", "troupe: unknown verb 'x'*\n  -c:1:10: x = \"5\"; x\n*^\n"},
        {"troupe sh -c 'x = \"5\"; $x'", 0, "\"5\"\n", ""},
        {"troupe sh -c 'x = 5; $x'", 0, "5\n", ""},
        {"troupe sh -c 'x = [1, {\"a b\": 2}]; $x; $x[1]; $x[-2]'", 0, "[1, {\"a b\": 2}]\n{\"a b\": 2}\n1\n", ""},
        {"troupe sh -c 'x = {\"k\": [5, {\"l\": null}]}; $x.k[0]; $x.k[1].l'", 0, "5\nnull\n", ""},
        {"troupe sh -c 'x = {}; $x'", 0, "{}\n", ""},
        {"troupe sh -c 'a = 1; b = \"q\\\"\"; x = [$a, $b, {\"k\": \"v$a$b\"}]; $x'", 0,
         "[1, \"q\\\"\", {\"k\": \"v1q\\\"\"}]\n", ""},
        {"troupe sh -c 'echo \"a\\tb\\\\\"; echo a\\\nb'", 0, "a\tb\\\nab\n", ""},
        {"troupe sh -c 'x = é; echo $x'", 2, "", "troupe: unknown verb 'é'*"},
        {"troupe sh -c 'x = \"é\"; echo $x'", 0, "é\n", ""},
        {"troupe sh -c '$args[0]; $args[1]; $args[2]; $args[3]' 7 '[1, \"a\"]' 7a '{'", 0,
         "7\n[1, \"a\"]\n\"7a\"\n\"{\"\n", ""},
        {"WORD=w troupe sh -c 'echo $env.WORD'", 0, "w\n", ""},
        {"troupe sh -c 'echo $args $args[1]' one two", 0, "[\"one\", \"two\"] two\n", ""},
        {"troupe sh -c 'x = 1; vars; unset x args; vars'", 0, "x = 1\nargs = []\n", ""},
        {"echo 'echo in $x' >f; troupe sh -c 'x = 3; source f; echo out'", 0, "in 3\nout\n", ""},
        {"troupe sh -c ''", 0, "", ""},
        {"troupe sh </dev/null", 0, "", ""},
        {"echo 'echo $args' | troupe sh - a b", 0, "[\"a\", \"b\"]\n", ""},
        {"printf '#!/usr/bin/env -S troupe sh\\necho $args[0]\\n' >s; chmod +x s; ./s word", 0, "word\n", ""},
    };
    COMMAND_RUN(rows);
}

Test(sh, conditions_and_loops)
{
    static const struct command_row rows[] = {
        {"troupe sh -c 'if 1 < 2 { echo yes } else { echo no }'", 0, "yes\n", ""},
        {"troupe sh -c 'if 1.5 >= 2 { echo yes }\nelse if \"a\" <= \"b\" { echo or }\nelse { echo no }'", 0, "or\n",
         ""},
        {"troupe sh -c 'if not [1, 2] == [1, 2] { echo yes } else { echo no }'", 0, "no\n", ""},
        {"troupe sh -c 'if 1 == 1.0 && \"a\" != \"b\" { echo yes }'", 0, "yes\n", ""},
        {"troupe sh -c 'if false || null { echo yes } else { echo no }'", 0, "no\n", ""},
        {"troupe sh -c 'x = 2 > 1; $x'", 0, "true\n", ""},
        {"troupe sh -c 'for i in 1..3 { echo $i }'", 0, "1\n2\n3\n", ""},
        {"troupe sh -c 'for i in 3..1 { echo $i }; for i in -1..0 { echo $i }'", 0, "-1\n0\n", ""},
        {"troupe sh -c 'n = 2; for i in 1..$n { echo $i }; for i in $n..3 { echo $i }'", 0, "1\n2\n2\n3\n", ""},
        {"troupe sh -c 'for w in a \"b c\" [1, 2] { echo $w }'", 0, "a\nb c\n1\n2\n", ""},
        {"troupe sh -c 'm = {\"x\": 1, \"y\": 2}; for k in $m { echo $k }'", 0, "x\ny\n", ""},
        {"troupe sh -c 'for i in [] { echo $i }; for i in [1] {}; for i in [1] { }'", 0, "", ""},
        {"troupe sh -c 'x = 1; while $x < 3 { echo $x; if $x == 1 { x = 2 } else { x = 3 } }'", 0, "1\n2\n", ""},
        {"troupe sh -c 'exit 7; echo no'", 7, "", ""},
        {"troupe sh -c 'for i in 1..3 { if $i == 2 { exit 4 }; echo $i }'", 4, "1\n", ""},
        {"troupe sh -c 'source nowhere || echo \"failed with $?\"; echo on'", 0, "failed with 1\non\n",
         "troupe sh: nowhere: No such file or directory\n*"},
        {"troupe sh -c 'source nowhere; echo on'", 1, "", "troupe sh: nowhere: No such file or directory\n*"},
        {"troupe sh -c 'echo a && echo b || echo c'", 0, "a\nb\n", ""},
        {"troupe sh -c 'x = null || 5; y = 6 || 7; z = 1 && [2]; echo $x $y $z'", 0, "5 6 [2]\n", ""},
        {"troupe sh -c 'x = source nowhere || echo \"$?\"'", 0, "1\n", NULL},
        {"troupe sh -c 'if source nowhere { echo yes } else { echo \"$?\" }'", 0, "1\n", NULL},
        {"troupe sh -c 'if echo a > 3 { echo yes }'", 2, "",
         "troupe sh: values are compared, not commands: write x = COMMAND, and $x here; a word is quoted\n  -c:1:11: "
         "*"},
        {"troupe sh -c", 2, "", "troupe sh: -c needs a value: -c TEXT\n"},
        {"echo 'source self' >self; troupe sh self", 2, "", "troupe sh: more than 1000 commands, one in the other*"},
        {"yes not | head -20000 | tr '\\n' ' ' >f; echo true >>f; troupe sh f", 2, "",
         "troupe sh: more than 1000 of *"},
        {"yes 'true &&' | head -20000 | tr '\\n' ' ' >f; echo true >>f; troupe sh f", 2, "",
         "*more than 1000 commands, one in the other*"},
        {"troupe sh -c 'for i in 9223372036854775806..9223372036854775807 { echo $i }'", 0,
         "9223372036854775806\n9223372036854775807\n", ""},
        {"printf 'echo one\\0echo two\\n' >f; troupe sh -c 'source f'", 1, "", "*f: a NUL byte: it is no script\n*"},
        {"troupe sh -c 'x = 5; run echo \"a b\" $x'", 9, "", NULL},
        {"troupe sh -q -c 'echo a; x = 5; $x'", 0, "a\n", ""},
    };
    COMMAND_RUN(rows);
}

Test(sh, errors_point_at_the_word)
{
    static const struct command_row rows[] = {
        {"troupe sh -c 'xs = 1; echo $xx'", 2, "",
         "troupe sh: nothing is called '$xx'; did you mean '$xs'?\n  -c:1:14: xs = 1; echo $xx\n                       "
         " ^~~\n"},
        {"troupe sh -c 'x = [1]; echo $x[1]'", 2, "",
         "troupe sh: nothing is called '$x[1]'; '$x' has [0] to [0]\n  -c:1:15: *\n*^~~~~\n"},
        {"troupe sh -c 'x = {\"a\": [], \"b c\": 2}; echo $x.d'", 2, "",
         "troupe sh: nothing is called '$x.d'; '$x' has a, b c\n  -c:1:*"},
        {"troupe sh -c 'x = {\"a\": []}; echo $x.a[0]'", 2, "",
         "troupe sh: nothing is called '$x.a[0]'; '$x.a' is empty\n  -c:1:*"},
        {"troupe sh -c 'x = 5; echo $x[0]'", 2, "",
         "troupe sh: nothing is called '$x[0]'; '$x' is neither a list nor a map\n  -c:1:*"},
        {"troupe sh -c 'x = 1; y = $x + 1'", 2, "",
         "troupe sh: there is no arithmetic: what computes is an actor or a task\n  -c:1:15: *"},
        {"troupe sh -c 'x = 1; if $x = 5 { echo yes }'", 2, "",
         "troupe sh: values are compared by '==': did you mean that? *\n  -c:1:14: *"},
        {"troupe sh -c 'while $x = 5 { }'", 2, "", "troupe sh: values are compared by '==': did you mean that? *"},
        {"troupe sh -c 'ls actors > out'", 2, "",
         "troupe sh: there is no redirection here: x = COMMAND keeps a result; a word is quoted\n  -c:1:11: *"},
        {"troupe sh -c 'echo hi 2>err'; troupe sh -c 'echo hi 2>&1'", 2, "",
         "troupe sh: there is no redirection here*  -c:1:9: *troupe sh: there is no redirection here*"},
        {"troupe sh -c 'if 1 < 2 { echo a >>out }'", 2, "", "troupe sh: there is no redirection here*"},
        {"troupe sh -c 'echo \">\" \">out\"'", 0, "> >out\n", ""},
        {"troupe sh -c 'echo 1\nech 2'", 2, "1\n", "troupe: unknown verb 'ech'*\n  -c:2:1: ech 2\n          ^~~\n"},
        {"troupe sh -c 'x = [1, 2'", 2, "", "troupe sh: the brackets are not closed\n  -c:1:5: *"},
        {"troupe sh -c 'x = [1, nope]'", 2, "", "*\n  -c:1:5: x = [1, nope]\n              ^~~~~~~~~\n"},
        {"troupe sh -c 'echo \"a'", 2, "", "troupe sh: the quotes are not closed\n  -c:1:6: *"},
        {"troupe sh -c 'echo ${a'", 2, "", "troupe sh: '${' is not closed\n  -c:1:6: *"},
        {"troupe sh -c 'echo $(ls)'", 2, "",
         "troupe sh: there is no $( ... ); write x = COMMAND, and $x here\n  -c:1:6: *"},
        {"troupe sh -c 'if 1 == 1'", 2, "", "troupe sh: a block, { ... }, has to stand here\n*"},
        {"troupe sh -c 'if 1 == { echo }'", 2, "", "troupe sh: a value to compare with is missing\n*"},
        {"troupe sh -c 'if 1 < \"a\" { echo }'", 2, "",
         "troupe sh: only two numbers, or two strings, are one before the other\n  -c:1:6: *"},
        {"troupe sh -c 'ecoh 1'", 2, "", "troupe: unknown verb 'ecoh'; did you mean 'echo'?\n  -c:1:1: ecoh 1\n*"},
        {"troupe sh -c 'for 1 in 2 {}'", 2, "", "troupe sh: a name is missing: for NAME in ...\n  -c:1:5: *"},
        {"troupe sh -c 'for i of 2 {}'", 2, "", "troupe sh: 'in' is missing: for NAME in ...\n  -c:1:7: *"},
        {"troupe sh -c 'for i in { echo }'", 2, "",
         "troupe sh: what to go through is missing: a list, 1..10, or words\n*"},
        {"troupe sh -c 'for i in 1..2 { echo'", 2, "", "troupe sh: a block is not closed: '}' is missing\n*"},
        {"troupe sh -c 'echo a }'", 2, "", "troupe sh: a statement ends with its line, or with ';'\n  -c:1:8: *"},
        {"troupe sh -c '}'", 2, "", "troupe sh: '}' closes nothing\n  -c:1:1: *"},
        {"troupe sh -c 'else { }'", 2, "", "troupe sh: 'else' without an 'if' before it\n  -c:1:1: *"},
        {"troupe sh -c 'x = '", 2, "", "troupe sh: a value or a command is missing after '='\n*"},
        {"troupe sh -c 'x = 1 2'", 2, "", "troupe sh: one word too many: a value stands alone\n  -c:1:7: *"},
        {"troupe sh -c 'echo a |'", 2, "", "troupe sh: a command is missing\n*"},
        {"troupe sh -c 'echo a &'", 2, "", "troupe sh: there is no '&'; --async gives a reference, and par { ... } *"},
        {"troupe sh -c 'echo a | echo b'", 2, "a\n",
         "troupe sh: this has no result that could be handed on\n  -c:1:1: *"},
        {"troupe sh -c 'exit 256'", 2, "", "troupe sh: *256*"},
        {"troupe sh -c 'exit 1 2'", 2, "", "troupe sh: usage: exit [STATUS]\n  -c:1:1: *"},
        {"troupe sh nowhere", 1, "", "troupe sh: nowhere: No such file or directory\n"},
        {"troupe sh .", 1, "", "troupe sh: .: Is a directory\n"},
        {"printf 'echo \\377' >f; troupe sh f", 1, "", "troupe sh: f: not UTF-8, from byte 5 on\n"},
        {"printf 'echo a\\000' >f; troupe sh f", 1, "", "troupe sh: f: a NUL byte: it is no script\n"},
        {"troupe sh -c 'call c get'", 9, "", "troupe call: no node runs at *\n  -c:1:1: call c get\n          ^~~~\n"},
        {"troupe sh -c 'if call c get { echo yes } else { echo no }'", 9, "", "troupe call: no node runs at *"},
        {"troupe sh -c 'if not status { echo none } else { echo one }'", 0, "none\n",
         "troupe status: no node runs at *\n  -c:1:8: *"},
        {"troupe sh -c 'while status { echo on }; echo off'", 0, "off\n", "troupe status: no node runs at *"},
        {"troupe sh -c 'echo a' >/dev/full", 1, "", "*No space left on device*"},
    };
    COMMAND_RUN(rows);
}

Test(sh_node, the_verbs_take_and_give_variables)
{
    static const struct command_row rows[] = {
        {"troupe sh -c 'spawn counter:Counter --name c; x = call c increment 5; call c increment $x; echo $x'", 0,
         "\"actor:*\"\n10\n5\n", ""},
        {"troupe sh -c 'call c get_counter | call c increment'", 0, "20\n", ""},
        {"troupe sh -c 'call c get_counter | call c increment step=$_'", 0, "40\n", ""},
        {"troupe sh -c 'x = 1 | call c increment'", 0, "", ""},
        {"troupe sh -c 'name = \"c\"; method = \"get_counter\"; call $name $method'", 0, "41\n", ""},
        {"troupe sh -c 'a = spawn counter:Counter; call $a increment 3; call $a increment; x = ls actors; for r in $x "
         "{ echo $r.name }'",
         0, "3\n4\n*default/c\n*", ""},
        {"troupe sh -c 'r = call --async c increment 0; wait $r; y = get $r; echo $y; call c increment $r'", 0,
         "*41\n82\n", ""},
        {"troupe sh -c 'if call c get_counter { echo some }'", 0, "some\n", ""},
        {"troupe sh -c 'if call c nothing { echo some } else { echo none }'", 0, "none\n", "troupe call: *"},
        {"troupe sh -c 'spawn play:Stage --name s; call s echo \"5\"; call s echo [1,2]; x = \"7\"; call s echo $x; "
         "call s "
         "echo x=$x; call s echo \"@f\"; call s echo '\\''-'\\'",
         0, "\"actor:*\"\n\"5\"\n[1, 2]\n\"7\"\n\"7\"\n\"@f\"\n\"-\"\n", ""},
        {"troupe sh -c 'x = call s tensor; y = call s echo $x; call s kind $y; a = call s echo actor:c; call $a "
         "get_counter'",
         0, "\"tensor\"\n82\n", ""},
        {"troupe sh -c 'call c incremnt 4'", 4, "",
         "troupe call: *did you mean 'increment'?\n  -c:1:8: *\n*^~~~~~~~\n"},
        {"troupe sh -c 'call d get'", 4, "",
         "troupe call: no actor is called 'd'*\n  -c:1:6: call d get\n               ^\n"},
        {"troupe sh -c 'call s fail 3 oops; echo on'", 7, "", "troupe call: oops\n  -c:1:8: *"},
        {"troupe sh -c 'call s fail 3 oops || echo \"$?\"; echo on'", 0, "7\non\n", "troupe call: oops*"},
    };
    COMMAND_RUN(rows);
}

Test(sh_node, par_calls_at_once_and_waits_for_all)
{
    static const struct command_row rows[] = {
        {"troupe spawn play:Stage -n s >f; troupe spawn counter:Counter -n c >f", 0, "", ""},
        /* One by one the first would wait for ever. */
        {"troupe sh -c 'par { x = call s wait; y = call s go 5 }; echo $x $y'", 0, "5 null\n", ""},
        {"troupe sh -c 'par { a = call c increment; b = call c increment }; echo $a $b'", 0, "1 2\n", ""},
        {"troupe sh -c 'x = par for i in 1..4 { call c increment 0 }; echo $x'", 0, "[2, 2, 2, 2]\n", ""},
        {"troupe sh -c 'par { call c increment; call c increment }'", 0, "3\n4\n", ""},
        {"troupe sh -c 'par { call c increment 0 --quiet; put 5 --quiet }'", 0, "", ""},
        {"troupe sh -c 'x = par for i in 1..2 { spawn counter:Counter }; for a in $x { call $a increment 7 }'", 0,
         "7\n7\n", ""},
        {"troupe sh -c 'x = par { call c increment 0 --async; call s tensor }; y = get $x[0]; echo $y; $x[1]'", 0,
         "4\n{\"dtype\": \"float32\", \"shape\": [2, 2]}\n", ""},
        {"troupe sh -c 'r = call c increment 0 --async; wait $r; d = wait $r; y = get $d[0]; echo $y'", 0, "$r\n4\n",
         ""},
        {"troupe sh -c 'par { call c incremnt }'", 4, "", "troupe call: *"},
        {"echo 'call c incremnt' >f; troupe sh -c 'par { source f }'", 4, "",
         "troupe call: *\n  f:1:8: call c incremnt\n*"},
        {"troupe sh -c 'par { if call c incremnt { echo yes } else { echo no } }'", 0, "no\n", NULL},
        {"troupe sh -c 'par { n = call c increment 0; if $n > 3 { echo big } }'", 2, "",
         "troupe sh: this is a reference, whose value has not been got: y = get $x\n*"},
        {"troupe sh -c 'run echo \"a b\" -x; x = 5; run echo $x ${x}y; run sh -c \"exit 3\"'", 3, "a b -x\n5 5y\n",
         NULL},
        {"troupe sh --namespace other -c 'spawn counter:Counter --name z; call z increment'; troupe call other/z "
         "increment",
         0, "\"actor:*\"\n1\n2\n", ""},
        {"troupe sh -t 1 -c 'call s wait'", 124, "", "troupe call: *"},
        {"troupe sh -c 'par { a = call c increment; b = call c increment $a }; echo $b'", 0, "10\n", ""},
        {"troupe sh -c 'par { call s fail 1 first; a = call c get_counter }; echo no'", 7, "",
         "troupe call: first\n  -c:1:14: *"},
        {"troupe sh -c 'spawn counter:Counter --name w; par { d = watch w; kill w }; echo $d.killed_by'", 0,
         "*\ntrp_kill\n", ""},
        /* What is behind && and || hangs on an outcome, which is waited for. */
        {"troupe sh -c 'par { call s fail 1 first || echo other; call c get_counter }'", 0, "other\n10\n",
         "troupe call: first\n  -c:1:14: *\n*^~~~\n"},
        {"troupe sh -c 'x = par { call s fail 1 first || put 1; call c get_counter && put 2; 3 || put 4 }; $x[1]; "
         "$x[3]; y = par { z = call s fail 1 a || task fib:fib 5 }; $z'",
         0, "10\n3\n5\n", NULL},
        {"troupe sh -c 'par { x = call s fail 1 first }'", 7, "", "troupe call: first\n  -c:1:18: *\n*^~~~\n"},
        {"troupe sh -c 'par { nonsense }'", 2, "", "troupe: unknown verb 'nonsense'*"},
        {"troupe watch nobody", 4, "", "troupe watch: no actor is called 'nobody'*"},
        {"troupe watch s --ready", 0, "", ""},
        {"(troupe watch s >f &) ; troupe kill s --wait; troupe watch s", 4, "", NULL},
    };
    COMMAND_RUN(rows);
}

Test(sh_node, another_node_is_joined_after_a_stop)
{
    static const struct command_row rows[] = {
        {"troupe sh -c 'c = spawn counter:Counter; x = call $c increment 4; y = 5; stop; start -d; spawn "
         "counter:Counter --name d; "
         "call d increment $y; echo $x'",
         2, "*5\n", "*nothing is called '$x'*"},
        {"troupe stop", 0, "*has ended\n", ""}, /* the row's own node */
    };
    COMMAND_RUN(rows);
}

/* What the introduction to actors (a counter, ten counters, a ranking) does, as a script. */
Test(sh_node, the_introduction_to_actors_is_a_script)
{
    static const struct command_row rows[] = {
        {"cat >s <<'END'\n"
         "counter = spawn counter:Counter\n"
         "call $counter increment\n"
         "cs = []\n"
         "for i in 0..9 { spawn counter:Counter --name c$i --quiet }\n"
         "results = par for i in 0..9 { call c$i increment }\n"
         "echo $results\n"
         "results = par for i in 1..5 { call c0 increment }\n"
         "echo $results\n"
         "ranking = spawn ranking:Ranking\n"
         "math = spawn ranking:Ranking minimal_score=80\n"
         "spawn ranking:Ranking --name Chemistry --quiet\n"
         "call Chemistry top\n"
         "call $ranking add Alice 90\n"
         "call $ranking add Bob 60\n"
         "call $ranking top 3\n"
         "call $math add Bob 60\n"
         "call $ranking pop\n"
         "call $ranking pop\n"
         "call $ranking pop || echo \"it lives on:\"\n"
         "call $ranking top\n"
         "END\n"
         "troupe sh s",
         0,
         "1\n[1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n[2, 3, 4, 5, 6]\n[]\n{\"Alice\": 90.0}\n{\"Bob\": 60.0, \"Alice\": 90.0}\n"
         "[[\"Bob\", 60.0], [\"Alice\", 90.0]]\nnull\n{\"Bob\": 60.0}\n{}\nit lives on:\n[]\n",
         "troupe call: The board is empty.\n  s:19:15: *"},
    };
    COMMAND_RUN(rows);
}
