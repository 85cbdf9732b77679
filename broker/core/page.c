/* page.c - see page.h. */
#include "broker/core/page.h"

#include <string.h>

enum { ROWS_MAX = 4096, ROW_ENTRIES = 16, BLOCK_SIZE = 16 * 1024 };

/* Memory that lives as long as the page. */
struct tri_page_block {
    struct tri_page_block *next;
    size_t size, used;
    _Alignas(16) char data[];
};

static void *
take(struct tri_page *page, size_t size)
{
    const size_t rounded = (size + 15) & ~(size_t)15;
    struct tri_page_block *block = page->blocks;
    if (block == NULL || rounded > block->size - block->used) {
        const size_t room = rounded > BLOCK_SIZE ? rounded : BLOCK_SIZE;
        block = malloc(sizeof *block + room);
        if (block == NULL)
            return NULL;
        *block = (struct tri_page_block){.next = page->blocks, .size = room};
        page->blocks = block;
    }
    void *taken = block->data + block->used;
    block->used += rounded;
    return taken;
}

bool
tri_page_init(struct tri_page *page, struct tri_core *core, size_t rows)
{
    memset(page, 0, sizeof *page);
    page->core = core;
    page->row_max = ROW_ENTRIES;
    page->limit = rows < ROWS_MAX ? rows : ROWS_MAX;
    page->rows = calloc(page->limit + 1, sizeof *page->rows);
    page->entries = calloc(2 * ROW_ENTRIES * (page->limit + 1), sizeof *page->entries);
    return page->rows != NULL && page->entries != NULL;
}

void
tri_page_fini(struct tri_page *page)
{
    free(page->rows);
    free(page->entries);
    free(page->held);
    free(page->pins);
    while (page->blocks != NULL) {
        struct tri_page_block *block = page->blocks;
        page->blocks = block->next;
        free(block);
    }
}

void
tri_page_put(struct tri_page *page, const char *key, trp_value value)
{
    if (page->entry_count - page->first >= 2 * page->row_max)
        return;
    page->entries[page->entry_count++] = trp_str(key);
    page->entries[page->entry_count++] = value;
}

trp_value *
tri_page_values(struct tri_page *page, size_t count)
{
    return take(page, (count > 0 ? count : 1) * sizeof(trp_value));
}

trp_value
tri_page_string(struct tri_page *page, const char *text)
{
    const size_t size = strlen(text);
    char *copy = take(page, size + 1);
    if (copy == NULL)
        return trp_str("...");
    memcpy(copy, text, size + 1);
    tri_text_clean(copy, size); /* some are cut */
    return trp_str(copy);
}

void
tri_page_text(struct tri_page *page, const char *key, const char *text)
{
    tri_page_put(page, key, tri_page_string(page, text));
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
