/*
 * home.h - a node as its directory shows it: whether one lives there, its process, its log. Private to tools/. One thread. It
 * asks no broker, so it works where that is gone.
 */
#ifndef TRI_HOME_H
#define TRI_HOME_H

#include <sys/types.h>

#include "tools/cli/cli.h"

struct tri_home {
    char directory[256];
    pid_t pid;     /* of its root; 0: nobody lives there */
    bool is_stale; /* one did, and was killed */
    bool ending;
};

/* --dir and so on, and what is there. 0, or the exit code of a wrong --dir. */
int tri_home_look(struct tri_cli *cli, struct tri_home *home);
/* Whether a node lives in the directory; whether there is a door to knock at, or will be; whether a node was killed there. */
bool tri_node_is_there(const char *directory);
bool tri_node_has_door(const char *directory);
bool tri_node_has_died(const char *directory);
/* Nobody lives there: says so, with what would help; 9. */
int tri_refuse_empty(struct tri_cli *cli, const char *directory);

/* Where the node's log goes, in `path`: a file; "" : where no file is, and `what` says where instead. */
void tri_home_log(const struct tri_home *home, char *path, size_t size, const char **what);
/* Seconds since the process was started; negative: that cannot be known. */
double tri_home_age(const struct tri_home *home);
/* Directories of modules that the node was started with; "": the installed ones. false: that cannot be known. */
bool tri_home_module_path(const struct tri_home *home, char *path, size_t size);
/* The next directory of a module path, behind which *path is set; false: that was the last. `trouble`: why no module
 * comes from there; "": they do. */
bool tri_module_path_next(const char **path, char *directory, size_t size, char *trouble, size_t trouble_size);
/* The node's program: $TROUPE_NODE, beside the command, or where it is installed. 0, or 1, said. */
int tri_node_program(struct tri_cli *cli, char *path, size_t size);

#endif
