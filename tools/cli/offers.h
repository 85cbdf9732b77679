/* offers.h - what there is to be called. Private to tools/. */
#ifndef TRI_OFFERS_H
#define TRI_OFFERS_H

#include "tools/cli/cli.h"

/* The broker's lists; zeroed before its first use. Rows are borrowed until tri_offers_fini. */
struct tri_offers {
    trp_ref *actors_ref, *modules_ref;
    trp_value actors, modules;
};
int tri_offers_ask(struct tri_cli *cli, struct tri_offers *offers);
void tri_offers_fini(struct tri_offers *offers);

/* The MAP of what has that name: "name", "namespace/name" or an id; "module" or "module:..."; "module:Class"; "module:function".
 * TRP_NONE: nothing has. */
trp_value tri_offers_actor(const struct tri_cli *cli, const struct tri_offers *offers, const char *text);
trp_value tri_offers_module(const struct tri_offers *offers, const char *text);
trp_value tri_offers_class(const struct tri_offers *offers, const char *text);
trp_value tri_offers_task(const struct tri_offers *offers, const char *text);

/* The row of a LIST of MAPs with that "name"; TRP_NONE: there is none. */
trp_value tri_row_named(trp_value rows, const char *name, size_t size);
/* A name of the directory as it would be typed: without the namespace that is joined. */
const char *tri_typed_name(const struct tri_cli *cli, const char *name);
/* The actor that lives, or the other row, whose name was probably meant; NULL: none is near. An actor of another namespace that
 * has exactly this name is near, too. */
const char *tri_suggest_name(const struct tri_cli *cli, const char *typed, trp_value actors, trp_value others);
/* "did you mean 'increment'?" in `text`, of the rows' names; NULL: none is near. */
const char *tri_suggest_row(const char *typed, trp_value rows, char *text, size_t size);

#endif
