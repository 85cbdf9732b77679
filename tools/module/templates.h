/* templates.h - the files of a new module: templates.c has them, new.c writes them. */
#ifndef TRI_MODULE_TEMPLATES_H
#define TRI_MODULE_TEMPLATES_H

#include <stdbool.h>

/* "before", the module's name where `named`, "after": test_counter.c. In the text @name@ is counter, @Name@ is Counter; there
 * is no other @. */
struct tri_template {
    const char *before;
    bool named;
    const char *after;
    const char *text;
};

/* Ended by a row without text. */
extern const struct tri_template tri_class_files[], tri_task_files[];

#endif
