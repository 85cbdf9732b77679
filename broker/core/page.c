/* page.c - see page.h. */
#include "broker/core/page.h"

#include <string.h>

enum { ROWS_MAX = 4096, ROW_ENTRIES = 16 };

bool
tri_page_init(struct tri_page *page, struct tri_core *core, size_t rows)
{
    memset(page, 0, sizeof *page);
    page->core = core;
    page->row_max = ROW_ENTRIES;
    page->limit = rows < ROWS_MAX ? rows : ROWS_MAX;
    page->text_capacity = 512 * (page->limit + 1);
    page->rows = calloc(page->limit + 1, sizeof *page->rows);
    page->entries = calloc(2 * ROW_ENTRIES * (page->limit + 1), sizeof *page->entries);
    page->texts = malloc(page->text_capacity);
    return page->rows != NULL && page->entries != NULL && page->texts != NULL;
}

void
tri_page_fini(struct tri_page *page)
{
    free(page->rows);
    free(page->entries);
    free(page->texts);
    free(page->pins);
}

void
tri_page_put(struct tri_page *page, const char *key, trp_value value)
{
    if (page->entry_count - page->first >= 2 * page->row_max)
        return;
    page->entries[page->entry_count++] = trp_str(key);
    page->entries[page->entry_count++] = value;
}

void
tri_page_text(struct tri_page *page, const char *key, const char *text)
{
    size_t size = strlen(text) + 1;
    char *at = page->texts + page->text_size;
    if (size > page->text_capacity - page->text_size) {
        tri_page_put(page, key, trp_str("..."));
        return;
    }
    memcpy(at, text, size);
    tri_text_clean(at, size - 1); /* some are cut */
    page->text_size += size;
    tri_page_put(page, key, trp_str(at));
}

void
tri_page_id(struct tri_page *page, const char *key, struct tri_id id)
{
    char text[TRI_ID_TEXT_SIZE];
    tri_page_text(page, key, tri_id_format(id, text));
}

void
tri_page_end_row(struct tri_page *page)
{
    page->rows[page->row_count++] = trp_map(page->entries + page->first, (page->entry_count - page->first) / 2);
    page->first = page->entry_count;
}

double
tri_seconds_since(const struct tri_core *core, uint64_t since_ns)
{
    return core->now_ns > since_ns ? (double)(core->now_ns - since_ns) / 1e9 : 0;
}
