/* files.h - what a node could load: the files in its module path. Private to tools/. */
#ifndef TRI_MODULE_FILES_H
#define TRI_MODULE_FILES_H

#include "tools/cli/cli.h"

/*
 * A LIST of MAPs, kept in `values`: the modules of `loaded` (the broker's list), then each file in the directories of `path` that is
 * none of these: "name", "state" ("loaded", "not loaded", "hidden": one of the same name comes first, "refused"), "file", "version",
 * "about", "classes", "tasks", and "error", why it is refused. Each file is loaded in a process of its own. 0, or the exit code.
 */
int tri_module_files(struct tri_cli *cli, struct tri_values *values, const char *path, trp_value loaded,
                     trp_value *rows);

/* The file that the node would load for a module, in `file`; false: there is none, and the name that was probably meant is in `meant`
 * ("" if none is near). */
bool tri_module_find(const char *path, const char *name, char *file, size_t size, char *meant, size_t meant_size);

/* The module path of the node that was joined; where it was given none, the installed modules. false: it cannot be known. */
bool tri_module_path_of_node(struct tri_cli *cli, char *path, size_t size);

#endif
