/*
 * checks.h - what users hand over, before anything is done with it: names, times, options. What is wrong is TRP_EINVAL at
 * once, in the function that was called; the sentence names the parameter, what it is and what it has to be. Any thread.
 */
#ifndef TRI_CHECKS_H
#define TRI_CHECKS_H

#include <troupe/runtime.h>

#include "schemas/schemas.h"

enum { TRI_MODULE_NAME_MAX = 63 }; /* bytes; as the progress page has room */
/* Names in modules: a C identifier; and of rows 1 to 255 bytes of text without blanks, control characters and ':'. */
bool tri_module_name_ok(const char *name, size_t size);
bool tri_row_name_ok(const char *name, size_t size);

/* 1 to 255 bytes of UTF-8 without control characters. NULL is refused, too, here and below. */
trp_err tri_check_text(const char *what, const char *text, trp_error *error);
/* "module:Class" or "module:function", which is `form`. */
trp_err tri_check_path(const char *what, const char *text, const char *form, trp_error *error);
/* "name" or "namespace/name". */
trp_err tri_check_name(const char *what, const char *text, trp_error *error);
/* What trp_query knows. */
trp_err tri_check_query(const char *what, trp_error *error);

trp_err tri_check_reserved(const char *what, const uint64_t *reserved, size_t count, trp_error *error);
/* A time in ms that is not negative. */
trp_err tri_check_time(const char *what, int64_t ms, trp_error *error);
/* Or it is TRP_FOREVER. */
trp_err tri_refuse_timeout(int64_t timeout_ms, trp_error *error);
static inline trp_err
tri_check_timeout(int64_t timeout_ms, trp_error *error)
{
    return timeout_ms >= TRP_FOREVER ? TRP_OK : tri_refuse_timeout(timeout_ms, error);
}

#endif
