/* test_settings.c - configuration files: what they may hold, who comes before whom, and what is said of those that are wrong. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "tests/tools/command.h"

static void
end(void)
{
    (void)system("[ ! -e node ] || troupe stop --force >/dev/null 2>&1"); /* a test that failed has left it */
    command_end();
}

TestSuite(settings, .init = command_begin, .fini = end, .timeout = 120);

Test(settings, config_show_says_where_each_value_is_from)
{
    static const struct command_row rows[] = {
        {"troupe config show", 0,
         "SECTION *SETTING *VALUE *FROM\nnode *dir */node *$TROUPE_DIR\nnode *module-path *$TRP_MODULE_PATH\n"
         "node *num-cpus *(as many as the process may use) *default\nnode *num-gpus *(0) *default\n"
         "node *store *(30 % of the memory) *default\nnode *spill-dir *(/var/tmp/troupe-UID) *default\n"
         "node *spill-max *(half of what is free there) *default\nnode *spill-at *(80) *default\n"
         "node *log-level *(info) *default\nnode *log-file *(stderr; DIR/log of a daemon) *default\n"
         "command *namespace *(default) *default\ncommand *timeout *(as long as it takes) *default\n"
         "command *color *never *$NO_COLOR\n",
         ""},
        {"printf 'node\\n    dir = /a\\n    num-cpus = 3 # three\\n    log-file = \"/a b/log\"\\ncommand\\n    "
         "namespace = lab\\n' >c",
         0, "", ""},
        {"TROUPE_CONFIG=c troupe config show", 0,
         "*dir */node *$TROUPE_DIR\n*num-cpus *3 *c\n*log-file */a b/log *c\ncommand *namespace *lab *c\n*", ""},
        {"TROUPE_DIR= TROUPE_CONFIG=c troupe config show --json", 0,
         "[{\"section\": \"node\", \"setting\": \"dir\", \"value\": \"/a\", \"from\": \"c\", \"default\": *}, *]\n",
         ""},
        {"TROUPE_DIR= TROUPE_CONFIG=c troupe status", 9, "", "troupe status: no node runs at /a; *\n"},
        {"TROUPE_DIR= TROUPE_CONFIG=c troupe status --dir /b", 9, "", "troupe status: no node runs at /b; *\n"},
        {"mkdir -p .config/troupe own/troupe; printf 'command\\n    namespace = home\\n    timeout = 5s\\n' "
         ">.config/troupe/troupe.cfg; printf 'command\\n    timeout = 7s\\n' >own/troupe/troupe.cfg",
         0, "", ""},
        {"unset TROUPE_CONFIG XDG_CONFIG_HOME; HOME=$PWD troupe config show | grep command", 0,
         "command *namespace *home */.config/troupe/troupe.cfg\ncommand *timeout *5s */.config/troupe/troupe.cfg\n*",
         ""},
        {"unset TROUPE_CONFIG; HOME=$PWD XDG_CONFIG_HOME=$PWD/own troupe config show | grep timeout", 0,
         "command *timeout *7s */own/troupe/troupe.cfg\n", ""},
        {"HOME=$PWD TROUPE_CONFIG=c troupe config show | grep command", 0,
         "command *namespace *lab *c\ncommand *timeout *5s */.config/troupe/troupe.cfg\n*", ""},
        {"HOME=$PWD TROUPE_CONFIG= troupe config show | grep -c default$", 0, "10\n", ""},
        {": >empty; printf '# nothing\\n\\n' >comments; TROUPE_CONFIG=empty troupe config show -q && "
         "TROUPE_CONFIG=comments "
         "troupe config show -q",
         0, "", ""},
        {"troupe config", 2, "", "troupe: 'troupe config' needs one of: show\n"},
        {"troupe config shwo", 2, "", "troupe: there is no 'troupe config shwo'; did you mean 'show'?\n"},
        {"troupe config show all", 2, "", "troupe config show: takes no arguments, got 'all'\n"},
    };
    COMMAND_RUN(rows);
}

/* Each row writes c and has it read. */
#define WITH(text, rest) "printf '" text "' >c; TROUPE_CONFIG=c troupe " rest

Test(settings, files_that_are_wrong_are_refused_with_the_place)
{
    static const struct command_row rows[] = {
        {"TROUPE_CONFIG=/no/such troupe config show", 1, "",
         "troupe config show: /no/such: No such file or directory\n"},
        {"TROUPE_CONFIG=. troupe config show", 1, "", "troupe config show: .: not a file\n"},
        {"mkfifo p; TROUPE_CONFIG=p troupe config show", 1, "", "troupe config show: p: not a file\n"},
        {"touch w; chmod 666 w; TROUPE_CONFIG=w troupe config show", 1, "",
         "troupe config show: w: can be written by others (mode 0666): chmod go-w it\n"},
        {"head -c 70000 /dev/zero >z; TROUPE_CONFIG=z troupe config show", 1, "",
         "troupe config show: z: more than 65536 bytes\n"},
        {WITH("node\\n    dir = /a\\0b\\n", "config show"), 1, "", "troupe config show: c: not text, at its byte 17\n"},
        {WITH("node\\n    dir = /\\377\\n", "config show"), 1, "", "troupe config show: c: not text, at its byte 16\n"},
        {WITH("node\\n  dir = /a\\n", "config show"), 1, "",
         "troupe config show: c: line 2: it begins with 2 spaces; a setting begins with four\n"},
        {WITH("node\\n    dir = \"/a\\n", "config show"), 1, "",
         "troupe config show: c: line 2: the quotes are not closed\n"},
        {WITH("node\\n\\tdir = /a\\n", "config show"), 1, "",
         "troupe config show: c: line 2: it begins with a tab; a setting begins with four spaces\n"},
        {WITH("= 5\\n", "config show"), 1, "", "troupe config show: c: line 1: invalid syntax '= 5'\n"},
        {WITH("nodes\\n    dir = /a\\n", "config show"), 1, "",
         "troupe config show: c: line 1: there is no section 'nodes'; did you mean 'node'?\n"},
        {WITH("logging\\n    dir = /a\\n", "config show"), 1, "",
         "troupe config show: c: line 1: there is no section 'logging'; there is node and command\n"},
        {WITH("node\\n     dir = /a\\n", "config show"), 1, "",
         "troupe config show: c: line 2: it begins with 5 spaces; a setting begins with four\n"},
        {WITH("node\\ndir = /a\\n", "config show"), 1, "",
         "troupe config show: c: line 2: 'dir' is a setting; it stands below a line 'node', indented by four spaces\n"},
        {WITH("[node]\\n    dir = /a\\n", "config show"), 1, "",
         "troupe config show: c: line 1: a section's name stands by itself: node\n"},
        {WITH("node:\\n    dir = /a\\n", "config show"), 1, "",
         "troupe config show: c: line 1: a section's name stands by itself: node\n"},
        {WITH("    dir = /a\\n", "config show"), 1, "",
         "troupe config show: c: line 1: there is no section above it; a line with a section's name, not indented, has "
         "to be there\n"},
        {WITH("node\\n    dir: /a\\n", "config show"), 1, "",
         "troupe config show: c: line 2: a setting is written NAME = VALUE: dir = ...\n"},
        {WITH("; mine\\nnode\\n", "config show"), 1, "", "troupe config show: c: line 1: a comment begins with '#'\n"},
        {WITH("node = 5\\n", "config show"), 1, "",
         "troupe config show: c: line 1: 'node' is a section, and has no value of its own\n"},
        {WITH("node\\n    num-cpu = 5\\n", "config show"), 1, "",
         "troupe config show: c: line 2: section 'node' has no 'num-cpu'; did you mean 'num-cpus'?\n"},
        {WITH("node\\n    timeout = 5\\n", "config show"), 1, "",
         "troupe config show: c: line 2: section 'node' has no 'timeout'; troupe.cfg(5) lists them\n"},
        {WITH("node\\n    dir = /a\\n    dir = /b\\n", "config show"), 1, "",
         "troupe config show: c: line 3: 'dir' of section 'node' is there twice\n"},
        {WITH("node\\n    dir =\\n", "config show"), 1, "",
         "troupe config show: c: line 2: 'dir' of section 'node' is empty; it is written dir = VALUE\n"},
        {WITH("node\\n    dir = /a\\n        more = 1\\n", "config show"), 1, "",
         "troupe config show: c: line 3: 'more' stands below a setting; four spaces are enough\n"},
        {WITH("node\\n    dir = here\\n", "config show"), 1, "",
         "troupe config show: c: 'dir' is 'here'; in a file it has to be a full path\n"},
        {WITH("command\\n    color = red\\n", "config show"), 1, "",
         "troupe config show: c: 'color' is 'red'; it has to be auto or never\n"},
        {WITH("node\\n    num-cpus = many\\n", "config show"), 1, "",
         "troupe config show: num-cpus in c needs a number from 0 to 1000000, got 'many'\n"},
        {WITH("node\\n    num-cpus = many\\n", "doctor"), 1,
         "*settings*wrong*num-cpus in c needs a number from 0 to 1000000, got 'many'\n*", ""},
        {WITH("command\\n    timeout = soon\\n", "config show"), 1, "",
         "troupe config show: timeout in c needs a time such as 5 (seconds), 200ms, 2m or 1h, got 'soon'\n"},
        {WITH("node\\n    num-cpus = many\\n", "start"), 2, "",
         "troupe start: num-cpus in c needs a number from 0 to 1000000, got 'many'\n"},
        {WITH("node\\n    log-level = loud\\n", "start"), 2, "",
         "troupe start: log-level in c needs error, warning, info or debug, got 'loud'\n"},
        {WITH("command\\n    timeout = soon\\n", "ls actors"), 2, "",
         "troupe ls: timeout in c needs a time such as 5 (seconds), 200ms, 2m or 1h, got 'soon'\n"},
        {WITH("nonsense", "version"), 0, "troupe *\n", ""}, /* which needs none of it */
    };
    COMMAND_RUN(rows);
}

Test(settings, a_node_is_started_with_what_the_file_says)
{
    static const struct command_row rows[] = {
        {"printf 'node\\n    num-cpus = 7\\n    log-file = %s/mine\\n' $PWD >c; export TROUPE_CONFIG=c; troupe start "
         "-d",
         0, "a node runs at */node (process *), its log is */mine\n", ""},
        {"troupe status | grep CPUs", 0, "resources  0 of 7 CPUs, 0 of 0 GPUs taken\n", ""},
        {"printf 'command\\n    namespace = lab\\n' >n; TROUPE_CONFIG=n troupe spawn play:Stage --name s -q && troupe "
         "call lab/s "
         "echo 5",
         0, "5\n", ""},
        {"troupe logs -n 1000 | grep -c 'a node starts'", 0, "1\n", ""},
        /* The library that reads files installs no handlers: Ctrl-C's is ours, and nothing else is caught. */
        {"for c in '' c; do rm -f f; TROUPE_CONFIG=$c troupe logs -f >f & p=$!; i=0; until [ -s f ] || [ $((i = i + "
         "1)) -gt 3000000 ]; do :; done; grep "
         "SigCgt "
         "/proc/$p/status; "
         "kill -INT $p; wait $p; done | uniq | wc -l",
         0, "1\n", ""},
        {"troupe stop -q", 0, "", ""},
    };
    COMMAND_RUN(rows);
}
