/*
 * config.h - between the command and its plug-in that reads configuration files. Private to tools/.
 */
#ifndef TRI_CONFIG_PLUGIN_H
#define TRI_CONFIG_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>

/* A section (key NULL), or a key of the section and its value; in their order. Borrowed. */
typedef void troupe_config_row_fn(void *user, const char *section, const char *key, const char *value);

/* The plug-in's one symbol. false: `why` says which line, as "(2) missing \"". */
typedef bool troupe_config_read_fn(const char *text, troupe_config_row_fn *row, void *user, char *why, size_t size);
__attribute__((visibility("default"))) troupe_config_read_fn troupe_config_read;

#endif
