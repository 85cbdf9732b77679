/* test_verbs.c - the verbs that talk to a node, but for those that call: what they print, what they refuse, and their exit codes. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tools/command.h"

TestSuite(verbs, .init = command_begin_node, .fini = command_end);

Test(verbs, spawn_and_kill_say_what_is_wrong)
{
    static const struct command_row rows[] = {
        {"troupe spawn play:Stage", 2, "",
         "troupe spawn: --name NAME is missing; without one nobody could find the actor again\n"},
        {"troupe spawn", 2, "", "troupe spawn: MODULE:CLASS is missing; usage: troupe spawn MODULE:CLASS [ARG...]\n"},
        {"troupe spawn Stage --name s", 2, "", "troupe spawn: 'Stage' has to be MODULE:CLASS\n"},
        {"troupe spawn :Stage --name s", 2, "", "troupe spawn: ':Stage' has to be MODULE:CLASS\n"},
        {"troupe spawn play.so:Stage --name s", 2, "",
         "troupe spawn: 'play.so:Stage' has a file where a module's name has to be; write play:Stage\n"},
        {"troupe spawn ./a.b/play.c --name s", 2, "",
         "troupe spawn: './a.b/play.c' has a file where a module's name has to be; write play:CLASS\n"},
        {"troupe spawn play:Stage --name actor:s", 2, "",
         "troupe spawn: 'actor:s' is how a handle is written, and would be taken for one; another name is needed\n"},
        {"troupe spawn play:Stage --name ref:s", 2, "",
         "troupe spawn: 'ref:s' is how a reference is written, and would be taken for one; another name is needed\n"},
        {"troupe spawn play:Stage --name s", 0, "\"actor:*\"\n", ""},
        {"troupe spawn play:Stage --name s", 4, "",
         "troupe spawn: an actor called 's' lives already; --get-if-exists takes that one, `troupe kill` ends it\n"},
        {"troupe spawn play:Stage --name s --get-if-exists", 0, "\"actor:*\"\n", ""},
        {"troupe spawn play:Stage --name ''", 3, "", "troupe spawn: name is empty\n"},
        {"troupe spawn play:Stage --name \"$(printf '%256s' | tr ' ' x)\"", 3, "",
         "troupe spawn: name has 256 bytes; at most 255 are allowed\n"},
        {"troupe spawn play:Stagr --name t", 4, "",
         "troupe spawn: module 'play' has no class 'Stagr'; it has Stage, Picky; did you mean 'Stage'?\n"},
        {"troupe spawn play:Picky --name t", 7, "", "troupe spawn: *not with me*\n"},
        {"troupe spawn play:Stage --name t 5", 3, "", "troupe spawn: *takes no arguments; found 1\n"},
        {"troupe spawn play:Stage --name t --cpus 1000", 6, "", "troupe spawn: asks for 1000 CPUs; node '*' has 2\n"},
        {"troupe spawn play:Stage --name t --cpus -1", 2, "",
         "troupe spawn: --cpus needs a number from 0 on, got '-1'\n"},
        {"troupe spawn play:Stage --name t --cpus x", 2, "",
         "troupe spawn: --cpus needs a number from 0 on, got 'x'\n"},
        {"troupe spawn play:Stage --name t --memory 5x", 2, "",
         "troupe spawn: --memory needs bytes, such as 1000000, 512M or 2G, got '5x'\n"},
        {"troupe spawn play:Stage --name t --memory 99999999999999999999", 2, "",
         "troupe spawn: --memory needs bytes, *\n"},
        {"troupe spawn play:Stage --name t --env 5", 2, "", "troupe spawn: --env needs a JSON object, got '5'\n"},
        {"troupe spawn play:Stage --name t --max-pending 0", 2, "",
         "troupe spawn: --max-pending needs a number from 1 to 2147483647, got '0'\n"},
        {"troupe spawn play:Stage --name t --start-timeout soon", 2, "",
         "troupe spawn: --start-timeout needs a time *\n"},
        {"troupe kill", 2, "", "troupe kill: ACTOR is missing; usage: troupe kill ACTOR...\n"},
        {"troupe kill nobody s", 4, "", "troupe kill: no actor is called 'nobody'; `troupe ls actors` lists them\n"},
        {"troupe kill s", 4, "", "troupe kill: no actor is called 's'; `troupe ls actors` lists them\n"},
        {"troupe spawn play:Stage --name s && troupe kill s --wait --drain 1s", 0, NULL, ""},
        {"troupe ls actors", 0, "", "no actors\n"},
    };
    COMMAND_RUN(rows);
}

Test(verbs, ls_and_describe_show_what_there_is)
{
    static const struct command_row rows[] = {
        {"troupe ls", 2, "", "troupe ls: WHAT is missing; usage: troupe ls WHAT\n"},
        {"troupe ls actors x", 2, "", "troupe ls: 'x' is one argument too many; usage: troupe ls WHAT\n"},
        {"troupe ls actrs", 2, "", "troupe ls: there is no list of 'actrs'; did you mean 'actors'?\n"},
        {"troupe ls things", 2, "",
         "troupe ls: there is no list of 'things'; there is: actors, processes, modules, calls, nodes, objects, store, "
         "kept\n"},
        {"troupe ls actors", 0, "", "no actors\n"},
        {"troupe ls actors --json", 0, "[]\n", ""},
        {"troupe ls actors -q", 0, "", ""},
        {"troupe ls calls", 0, "", "no calls under way\n"},
        {"troupe ls modules", 0, "",
         "no modules: one is listed when a process has loaded it; --all has those that could be\n"},
        {"troupe spawn play:Stage --name s", 0, NULL, ""},
        {"troupe ls actors", 0, "NAME  CLASS       STATE  *PID*\ns     play:Stage  ready  *\n", ""},
        {"troupe ls actors --json", 0, "[{\"id\": \"*\", \"name\": \"default/s\", \"class\": \"play:Stage\", *}]\n",
         ""},
        {"troupe ls modules", 0,
         "NAME  VERSION  CLASSES      TASKS     ABOUT\nplay  1        Stage Picky  die echo  for tests of the "
         "command\n",
         ""},
        {"troupe ls nodes", 0, "NAME *CPUS *\n*0 of 2*\n", ""},
        {"troupe ls processes", 0, "KIND *\n*broker *  troupe-broker\nactor *ready *0 *0 *0  s\n*", ""},
        {"troupe describe play:Stage", 0,
         "class play:Stage(): for tests\n  wait(): until somebody says go\n  go(value: any = null)\n  crash()\n  "
         "fail(cause: int64, "
         "text: string)\n*",
         ""},
        {"troupe describe play:echo", 0, "task play:echo(x: any): gives back what it gets\n", ""},
        {"troupe describe play", 0, "module play, version 1: for tests of the command\n\nclass play:Stage()*", ""},
        {"troupe describe s", 0, "actor default/s\n  id       *\n  state    ready, for * s\n*class play:Stage()*", ""},
        {"troupe describe s --json", 0, "{\"actor\": {\"id\": *}, \"class\": {\"name\": \"Stage\", *}}\n", ""},
        {"troupe describe play:Stag", 4, "",
         "troupe describe: module 'play' has neither class nor task 'Stag'; did you mean 'Stage'?\n"},
        {"troupe describe other:Stage", 4, "",
         "troupe describe: no process has loaded a module 'other'; `troupe ls modules --all` lists those that could "
         "be\n"},
        {"troupe describe who", 4, "",
         "troupe describe: no actor is called 'who', and no host has loaded a module of that name; `troupe ls "
         "modules --all` lists those that could be\n"},
        {"troupe describe plya", 4, "", "troupe describe: no actor is called 'plya', *; did you mean 'play'?\n"},
        {"troupe describe plya:Stage", 4, "",
         "troupe describe: no process has loaded a module 'plya'; did you mean 'play'?\n"},
        {"troupe describe play:ecoh", 4, "",
         "troupe describe: module 'play' has neither class nor task 'ecoh'; did you mean 'echo'?\n"},
    };
    COMMAND_RUN(rows);
}

Test(verbs, what_the_node_keeps_is_got_waited_for_and_dropped)
{
    static const struct command_row rows[] = {
        {"troupe ls kept", 0, "", "nothing is kept\n"},
        {"troupe get actor:x", 2, "",
         "troupe get: 'actor:x' is taken for an actor, not for an object; `troupe call` calls its methods\n"},
        {"troupe put 5 --name ref:x", 2, "",
         "troupe put: 'ref:x' is how a reference is written, and would be taken for one; another name is needed\n"},
        {"troupe describe play.so:Stage", 2, "",
         "troupe describe: 'play.so:Stage' is a file, which `troupe module inspect` shows; here play stands for the "
         "module\n"},
        {"troupe get x", 4, "", "troupe get: the node keeps nothing as 'x'; `troupe ls kept` lists what it does\n"},
        {"troupe put '[1, 2]' --name list", 0, "\"ref:list\"\n", ""},
        {"troupe put 5 -n list", 4, "",
         "troupe put: object * is kept under the name 'list' already; `troupe drop` frees the name\n"},
        {"troupe put", 2, "", "troupe put: VALUE is missing, or --file FILE; usage: troupe put [VALUE]\n"},
        {"troupe put 1 2", 2, "", "troupe put: '2' is one argument too many; usage: troupe put [VALUE]\n"},
        {"troupe put 1 --name ''", 3, "", "troupe put: name is empty\n"},
        {"troupe put 1 --ttl 0", 2, "", "troupe put: --ttl is 0, and nothing would be kept\n"},
        {"troupe put 1 --ttl x", 2, "", "troupe put: --ttl needs a time *, got 'x'\n"},
        {"troupe put %list -n again", 0, "\"ref:again\"\n", ""},
        {"troupe get list %list ref:list '\"ref:list\"' again", 0, "[1, 2]\n[1, 2]\n[1, 2]\n[1, 2]\n[1, 2]\n", ""},
        {"troupe put 5 -n 'q\"\\x'", 0, "\"ref:q\\\"\\\\x\"\n", ""},
        {"troupe get '\"ref:q\\\"\\\\x\"' 'ref:q\"\\x'", 0, "5\n5\n", ""},
        {"troupe put 5 -r -n 'q\"y'", 0, "ref:q\"y\n", ""},
        {"troupe drop 'q\"\\x' 'q\"y'", 0, "", ""},
        {"troupe get lst -t 0", 4, "", "troupe get: the node keeps nothing as 'lst'; did you mean 'list'?\n"},
        {"troupe get lst", 4, "", "troupe get: the node keeps nothing as 'lst'; did you mean 'list'?\n"},
        {"troupe get \"$(printf '%400s' | tr ' ' x)\"", 2, "", "troupe get: a name has at most 255 bytes, got 400\n"},
        {"troupe get", 2, "", "troupe get: REF is missing; usage: troupe get REF...\n"},
        {"troupe task play:echo %list", 0, "[1, 2]\n", ""},
        {"troupe task play:echo '[\"ref:list\"]'", 0, "[\"ref:*\"]\n", ""},
        {"troupe get $(troupe task play:echo '\"x\"' --async)", 0, "\"x\"\n", ""},
        {"troupe get -r $(troupe task play:echo '\"x\"' --async -r)", 0, "x\n", ""},
        {"troupe spawn play:Stage --name s", 0, NULL, ""},
        {"troupe call s wait --name w", 0, "\"ref:w\"\n", ""},
        {"troupe get w -t 20ms", 124, "",
         "troupe get: w is not there after 0.02 s, and may still come; `troupe why w` says what it waits for, a longer "
         "--timeout gives it more time\n"},
        {"troupe wait w list -t 20ms", 124, "list\n",
         "troupe wait: 1 of 2 have ended, 2 were waited for; a longer --timeout gives it more time\n"},
        {"troupe wait w list -c 1", 0, "list\n", ""},
        {"troupe wait w list -c 1 --json", 0, "[\"list\"]\n", ""},
        {"troupe wait w list -c 3", 2, "", "troupe wait: --count needs a number from 1 to 2, got '3'\n"},
        {"troupe wait w w", 2, "", "troupe wait: 'w' is there twice\n"},
        {"troupe wait w ref:w", 2, "", "troupe wait: 'ref:w' is the same as 'w'\n"},
        {"troupe kill troupe/kept", 2, "",
         "troupe kill: 'troupe/kept' holds all that the node keeps, which would be lost; `troupe drop` lets go of "
         "one\n"},
        {"troupe ls kept", 0, "NAME *\n*\nw *pending *for ever *\n", ""},
        {"troupe call s go 7", 0, "null\n", ""},
        {"troupe wait w && troupe get w", 0, "w\n7\n", ""},
        {"troupe call s fail 3 sorry --name f && troupe wait f", 0, "\"ref:f\"\nf\n", ""},
        {"troupe get f", 7, "", "troupe get: sorry\n"},
        {"troupe drop w f nope", 4, "",
         "troupe drop: the node keeps nothing as 'nope'; `troupe ls kept` lists what it does\n"},
        {"troupe get w", 4, "", NULL},
        {"troupe drop", 2, "", "troupe drop: REF is missing; usage: troupe drop REF...\n"},
    };
    COMMAND_RUN(rows);
}

Test(verbs, objects_are_listed_with_what_they_are_kept_as_and_who_holds_them)
{
    static const struct command_row rows[] = {
        {"troupe ls objects", 0, "", "no objects\n"},
        {"troupe put '[1, 2]' --name list -q && head -c 300000 /dev/zero >file && troupe put --file file --name file "
         "-q",
         0, "", ""},
        {"troupe ls objects", 0,
         "ID *NAME *STATE *BYTES *LIES *PINS *WAITING *AGE *HELD BY\n*  file  *ready *300* shared memory * actor "
         "troupe/kept (*)*",
         ""},
        {"troupe ls objects --json", 0,
         "[*\"held_by\": [{\"kind\": \"process\", \"role\": \"actor\", \"name\": "
         "\"troupe/kept\", \"pid\": *}*\"name\": \"file\"*]\n",
         ""},
        {"troupe why file", 0,
         "file\n  is ready: 300* bytes in shared memory\n    known for * s, on node *\n  held by actor troupe/kept "
         "(*)\n",
         ""},
        {"troupe why file --json", 0,
         "[{\"waits\": \"* is ready: *\", *\"bytes\": 300*, \"location\": \"shared memory\", *\"held_by\": *}]\n", ""},
        {"troupe ls store", 0,
         "WHAT *VALUE  ABOUT\nlimit *\nsealed *30*\nfragmentation *\npins *\ninline *\nobjects  *1  *\nwaiting *0 *\n"
         "spilled *0 *\nspill_rate *0 *\nrestore_rate *0 *",
         ""},
        {"troupe ls store --json | grep -c '\"fragmentation\": .*\"spill_rate\": 0'", 0, "1\n", ""},
        {"troupe drop file && troupe ls objects --json | grep -c shared", 1, "0\n", ""},
    };
    COMMAND_RUN(rows);
}

Test(verbs, all_that_is_kept_is_listed)
{
    static const struct command_row rows[] = {
        {"troupe sh -c 'for i in 1..4100 { put $i }' | wc -l", 0, "4100\n", ""},
        {"troupe ls kept >said; wc -l <said", 0, "4101\n", ""},
    };
    COMMAND_RUN(rows);
}

Test(verbs, why_tells_what_is_waited_for_and_how_it_failed)
{
    static const struct command_row rows[] = {
        {"troupe spawn play:Stage --name s", 0, NULL, ""},
        {"troupe why s", 0,
         "actor s\n  actor 's' has 0 calls pending, and is ready in process *\n    for * s, on node *\n", ""},
        {"troupe call s wait --name w", 0, "\"ref:w\"\n", ""},
        {"troupe task play:echo %w --name t", 0, "\"ref:t\"\n", ""},
        {"troupe why t", 0,
         "t\n  its call of play:echo waits for 1 of its arguments\n    for * s, on node *\n  then w: its call of wait "
         "to actor "
         "'s' is at process *, which runs it or answers it later\n    for * s, on node *\n",
         ""},
        {"troupe why ref:t --json", 0, "[{\"waits\": \"*\", \"node\": \"*\", \"since_s\": *}, {*}]\n", ""},
        {"troupe why s", 0,
         "actor s\n  actor 's' has 1 call pending, *\n  then w: its call of wait to actor 's' is at *\n", ""},
        {"troupe ls calls", 0, "RESULT *CALL *\n*call  s.wait *-  *  accepted\n*", ""},
        {"p=$(troupe describe s | sed -n 's/^  process *//p'); kill -STOP $p; for i in 1 2; do troupe call s echo $i "
         "-n e$i "
         "-q; "
         "done; troupe why e2; kill -CONT $p",
         0, "e2\n  its call of echo to actor 's' is at process *, behind 2 more\n    for *\n  then w: its call *\n",
         ""},
        {"troupe spawn play:Stage -n greedy --cpus 2 -q && troupe spawn play:Stage -n second -t 20ms", 124, "",
         "troupe spawn: actor 'second' is not there after 0.02 s, and may still come; `troupe why second` says what it "
         "waits for, a longer --timeout gives it more time\n"},
        {"troupe why second; troupe kill greedy second --wait", 0,
         "actor second\n  actor 'second' waits for 1 CPU (2 of 2 are taken)\n    for *\n  then actor 'greedy' holds 2 "
         "CPUs and 0 GPUs\n    for *\n",
         ""},
        {"troupe spawn play:Stage -n greedy --cpus 2 -q && troupe task play:echo 1 -n late -q && troupe why late; "
         "troupe "
         "kill greedy",
         0, "late\n  its call of play:echo waits in the queue of tasks (1, with 2 of 2 CPUs taken)\n*", ""},
        {"troupe why nope", 4, "",
         "troupe why: no actor is called 'nope', and nothing is kept under that name; `troupe ls actors` and `troupe "
         "ls kept` "
         "list them\n"},
        {"troupe why tt; troupe spawn play:Stage -n stage -q; troupe why stgae", 4, "",
         "*troupe why: no actor is called 'stgae', and nothing is kept under that name; did you mean 'stage'?\n"},
        {"troupe why", 2, "", "troupe why: WHAT is missing; usage: troupe why WHAT\n"},
        {"troupe why 01230123012301230123012301230123", 0, "*nothing of that name is known here*", ""},
        {"troupe call s crash --name c && troupe wait c t", 0, "\"ref:c\"\nc\nt\n", ""},
        {"troupe why c", 0,
         "c has failed\n  actor 's' on node '*' died: *\n  error     TRP_EACTORDIED: the process that ran it died; it "
         "may have "
         "run\n  actor     s (play:Stage)\n  process   * on node *, ended by signal 6 (Aborted)\n  running   "
         "play:crash, its "
         "call 1\n  backtrace\n*  last output\n    the last line\n",
         ""},
        {"troupe why c --json", 0, "{\"code\": 41, *\"death\": {\"actor\": \"s\", *}*}\n", ""},
        {"troupe why t", 0, "t has failed\n  *because: *", ""},
    };
    COMMAND_RUN(rows);
}

Test(verbs, completion_knows_verbs_options_actors_and_methods)
{
    static const struct command_row rows[] = {
        {"troupe spawn play:Stage --name stage && troupe put 5 -n five", 0, NULL, ""},
        {"troupe __complete -- sp", 0, "spawn\n", ""},
        {"troupe __complete", 0, "start\nstop\nstatus\n*", ""},
        {"troupe __complete -- nothing ''", 0, "", ""},
        {"troupe __complete -- call ''", 0, "stage\n", ""},
        {"troupe __complete -- call stage e", 0, "echo\n", ""},
        {"troupe __complete -- call --timeout 5 stage e", 0, "echo\n", ""},
        {"troupe __complete -- call stage echo ''", 0, "", ""},
        {"troupe __complete -- call nobody ''", 0, "", ""},
        {"troupe __complete -- call --time", 0, "--timeout\n", ""},
        {"troupe __complete -- call --timeout ''", 0, "", ""},
        {"troupe __complete -- call -- --time", 0, "", ""},
        {"troupe __complete -- call --dir /", 0, ":directories\n", ""},
        {"troupe __complete -- call --dir /nowhere ''", 0, "", ""},
        {"troupe __complete -- spawn play:S", 0, "play:Stage\n", ""},
        {"troupe __complete -- task play:e", 0, "play:echo\n", ""},
        {"troupe __complete -- ls mod", 0, "modules\n", ""},
        {"troupe __complete -- kill a b ''", 0, "stage\n", ""},
        {"troupe __complete -- get ref:", 0, "ref:five\n", ""},
        {"troupe __complete -- why ''", 0, "stage\nfive\n", ""},
        {"troupe __complete -- help ver", 0, "version\n", ""},
        {"troupe __complete -- top --sort=m", 0, "--sort=memory\n", ""},
        {"troupe __complete -- top -- --sort=m", 0, "", ""},
        {"troupe __complete -- top --sorted=m", 0, "", ""},
        {"troupe __complete -- start --log-file=", 0, "--log-file=:files\n", ""},
        {"troupe __complete -- run mk", 0, ":programs\n", ""},
        {"troupe __complete -- run cat some", 0, ":files\n", ""},
    };
    COMMAND_RUN(rows);
}

/* What a person would write, in the shell that is there anyway. */
static const char script[] = "set -eu\n"
                             "names='a b c d'\n"
                             "for name in $names; do\n"
                             "    troupe spawn counter:Counter --name $name --quiet\n"
                             "done\n"
                             "step=1\n"
                             "for name in $names; do # at once: nobody waits for a result\n"
                             "    for i in 1 2 3; do\n"
                             "        troupe call $name increment $step --async --quiet --ttl 1m\n"
                             "    done\n"
                             "    troupe call $name get_counter --name total-$name --quiet\n"
                             "    step=$((step * 10))\n"
                             "done\n"
                             "troupe wait total-a total-b total-c total-d --timeout 20 >/dev/null\n"
                             "sum=0\n"
                             "for name in $names; do\n"
                             "    sum=$((sum + $(troupe get total-$name)))\n"
                             "    troupe drop total-$name\n"
                             "done\n"
                             "echo \"sum: $sum\"\n"
                             "troupe kill $names\n"
                             "if troupe call a get_counter 2>/dev/null; then\n"
                             "    exit 1\n"
                             "else\n"
                             "    echo \"exit status: $?\"\n"
                             "fi\n"
                             "test \"$(troupe ls actors --json | tr -d ' ' | grep -c counter:Counter)\" = 0\n";

Test(verbs, a_script_spawns_calls_in_parallel_waits_and_sums)
{
    static const struct command_row rows[] = {{script, 0, "sum: 3333\nexit status: 4\n", ""}};

    COMMAND_RUN(rows);
}

/* What is said where there is no node, or not this one. */
Test(nodes, a_verb_that_needs_a_node_says_so_and_starts_none, .init = command_begin, .fini = command_end)
{
    static const struct command_row rows[] = {
        {"troupe call s echo 1", 9, "", "troupe call: no node runs at */node; start one with `troupe start`\n"},
        {"troupe call s echo 1 --json", 9, "",
         "{\"error\": {\"verb\": \"call\", \"exit\": 9, \"message\": \"no node runs at */node\", \"remedy\": \"start "
         "one with "
         "`troupe start`\", \"code\": \"TRP_EBROKER\", *}}\n"},
        {"troupe ls actors --dir nowhere", 9, "",
         "troupe ls: no node runs at nowhere; start one with `troupe start`\n"},
        {"troupe ls actors --dir ''", 2, "", "troupe ls: --dir needs a directory, got ''\n"},
        {"troupe ls actors --dir \"$(printf '%300s' | tr ' ' x)\"", 2, "",
         "troupe ls: a node's directory has at most 255 bytes, got 300\n"},
        {"mkdir dead; touch dead/door; troupe ls actors --dir dead", 9, "", "troupe ls: *\n"},
        {"ls node", 2, NULL, NULL},
    };
    COMMAND_RUN(rows);
}

Test(nodes, another_node_that_runs_is_named, .init = command_begin_node, .fini = command_end)
{
    static const struct command_row rows[] = {
        {"mkdir run; ln -s \"$TROUPE_DIR\" run/troupe; XDG_RUNTIME_DIR=$PWD/run troupe ls actors --dir other", 9, "",
         "troupe ls: no node runs at other; one runs at */run/troupe, which --dir can name\n"},
        {"troupe ls actors --dir \"$TROUPE_DIR\"", 0, "", "no actors\n"},
    };
    COMMAND_RUN(rows);
}

/* What stdout can do. */
Test(outputs, a_write_that_fails_is_said, .init = command_begin_node, .fini = command_end)
{
    static const struct command_row rows[] = {
        {"troupe version >/dev/full", 1, "", "troupe version: its output cannot be written: No space left on device\n"},
        {"troupe version >&-", 1, "", "troupe version: its output cannot be written: Bad file descriptor\n"},
        {"troupe ls nodes >/dev/full", 1, "", "troupe ls: its output cannot be written: No space left on device\n"},
        {"troupe spawn play:Stage --name s && troupe call s bytes 100000 --full >/dev/full", 1, NULL,
         "troupe call: its output cannot be written: No space left on device\n"},
        {"troupe call s bytes 100000 --full >&-", 1, "",
         "troupe call: its output cannot be written: Bad file descriptor\n"},
        {"troupe ls nodes >&-", 1, "", "troupe ls: its output cannot be written: Bad file descriptor\n"},
        {"troupe ls nodes 2>&- >/dev/full", 1, "", ""},
        {"mkfifo p; exec 3<>p 4>p 3<&-; troupe help >&4; exit $?", 141, "", ""},
        {"exec 3<>p 4>p 3<&-; troupe ls nodes --json >&4; exit $?", 141, "", ""},
        {"troupe task play:echo 1 <&-", 0, "1\n", ""},
        {"troupe task play:echo - <&-", 1, "", "troupe task: standard input: Bad file descriptor\n"},
    };
    COMMAND_RUN(rows);
}

/* ------------------------------------------------------------------------------------------------------- every verb */

/* What holds for all verbs, also for those that come later: VERB is each of them, as the command itself lists them. */
static void
for_each_verb(const struct command_row *rows, size_t count)
{
    static char verbs[4096];
    FILE *list = popen("troupe __complete -- ''", "r");
    char *verb;

    cr_assert_not_null(list);
    verbs[fread(verbs, 1, sizeof verbs - 1, list)] = '\0';
    cr_assert_eq(pclose(list), 0);
    cr_assert(strstr(verbs, "call\n") != NULL && strstr(verbs, "why\n") != NULL, "%s", verbs);
    for (verb = strtok(verbs, "\n"); verb != NULL; verb = strtok(NULL, "\n")) {
        if (strcmp(verb, "module") == 0 || strcmp(verb, "config") == 0)
            continue; /* these have a second word */
        (void)setenv("VERB", verb, 1);
        command_run(rows, count);
    }
}

Test(every_verb, refuses_what_no_verb_takes, .init = command_begin, .fini = command_end, .timeout = 120)
{
    static const struct command_row rows[] = {
        {"troupe $VERB --help", 0, "usage: troupe *", ""},
        {"troupe $VERB -h x y z", 0, "usage: troupe *", ""},
        {"troupe help $VERB", 0, "usage: troupe *", ""},
        {"troupe $VERB --frobnicate", 2, "", "troupe *: unknown option '--frobnicate'; `troupe * --help` lists them\n"},
        {"troupe $VERB --frobnicate=1 --json", 2, "", "{\"error\": {\"verb\": \"*\", \"exit\": 2, *}}\n"},
        {"troupe $VERB -Z", 2, "", "troupe *: unknown option '-Z'; `troupe * --help` lists them\n"},
        {"troupe $VERB -qv", 2, "", "troupe *: unknown option '-qv'; `troupe * --help` lists them\n"},
        {"troupe $VERB --jsom", 2, "", "troupe *: unknown option '--jsom'; did you mean '--json'?\n"},
        {"troupe $VERB --quiet=yes", 2, "", "troupe *: --quiet takes no value, got 'yes'\n"},
        {"troupe $VERB --help >/dev/full", 1, "", "troupe *: its output cannot be written: No space left on device\n"},
        {"troupe $VERB --help >&-", 1, "", "troupe *: its output cannot be written: Bad file descriptor\n"},
        {"mkfifo pipe; exec 3<>pipe 4>pipe 3<&-; troupe $VERB --help >&4; e=$?; rm pipe; exit $e", 141, "", ""},
        {"setsid troupe $VERB --help </dev/null", 0, "usage: troupe *", ""},
    };
    for_each_verb(rows, sizeof rows / sizeof *rows);
}

/* Those that talk to a node, with as many arguments as they want. */
Test(every_verb, of_those_that_need_a_node_says_that_there_is_none, .init = command_begin, .fini = command_end,
     .timeout = 60)
{
    static const struct command_row rows[] = {
        {"for v in 'call a b' 'send a b' 'task m:f' 'spawn m:C --name a' 'kill a' 'put 1' 'get a' 'wait a' 'drop a' "
         "'ls actors' "
         "'describe a' 'why a'; do troupe $v; [ $? = 9 ] || exit 1; done",
         0, "", "troupe call: no node runs at */node; start one with `troupe start`\n*why: no node *\n"},
        {"for v in 'call a b' 'send a b' 'task m:f' 'spawn m:C --name a' 'kill a' 'put 1' 'get a' 'wait a' 'drop a' "
         "'ls actors' "
         "'describe a' 'why a'; do troupe $v --timeout soon; [ $? = 2 ] || exit 1; done",
         0, "", "troupe call: --timeout needs a time such as 5 (seconds), 200ms, 2m or 1h, got 'soon'\n*"},
        {"ls node", 2, NULL, NULL},
    };
    COMMAND_RUN(rows);
}

Test(verbs, huge_arguments_arrive_or_are_refused)
{
    static const struct command_row rows[] = {
        {"troupe spawn play:Stage --name s", 0, NULL, ""},
        {"x=$(head -c 120000 /dev/zero | tr '\\0' x); troupe call s echo $x | wc -c", 0, "120003\n", ""},
        {"troupe call s echo \"[$(seq -s, 20000)]\" | tr -cd , | wc -c", 0, "19999\n", ""},
        {"troupe call s echo $(seq 20000)", 3, "", "troupe call: *\n"},
        {"troupe call s $(head -c 100000 /dev/zero | tr '\\0' x)", 3, "",
         "troupe call: method has 100000 bytes, at most 255 are allowed\n"},
        {"troupe call $(head -c 300 /dev/zero | tr '\\0' x) m", 3, "",
         "troupe call: name has 300 bytes; at most 255 are allowed\n"},
        {"troupe $(head -c 100000 /dev/zero | tr '\\0' x)", 2, "",
         "troupe: unknown verb 'xxx*x'; `troupe help` lists them\n"},
        {"head -c 70000000 /dev/zero | tr '\\0' x | sed 's/^/\"/; s/$/\"/' >f; troupe call s echo @f | wc -c", 0,
         "70000003\n", ""},
        {"(printf '[' && cat f && printf ']') >g; rm f; troupe call s echo @g | wc -c; rm g", 0, "70000005\n", ""},
    };
    COMMAND_RUN(rows);
}
