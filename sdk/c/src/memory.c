/*
 * The memory of one delivery: given out, never taken back, let go of whole.
 * Not malloc's, which a plugin may use as well.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* Small pieces share blocks of this size; a larger piece has one of its own. */
#define BLOCK 8192

typedef struct block {
    struct block *before;
    _Alignas(max_align_t) char bytes[];
} block;

static block *blocks;
static size_t used = BLOCK;

static block *grow(size_t size) {
    block *next = calloc(1, sizeof(block) + size);
    if (next == NULL) {
        sb_panic("the plugin is out of memory: %zu bytes more are not to be had", size);
    }
    return next;
}

void *sb_alloc(size_t size) {
    const size_t align = _Alignof(max_align_t);
    if (size > SIZE_MAX - align) {
        sb_panic("sb_alloc of %zu bytes", size);
    }
    size = (size + align - 1) / align * align;
    if (size > BLOCK / 4) {
        block *own = grow(size);
        /* Behind the block that still has room. */
        if (blocks == NULL) {
            blocks = own;
            used = BLOCK;
        } else {
            own->before = blocks->before;
            blocks->before = own;
        }
        return own->bytes;
    }
    if (used + size > BLOCK) {
        block *next = grow(BLOCK);
        next->before = blocks;
        blocks = next;
        used = 0;
    }
    void *piece = blocks->bytes + used;
    used += size;
    return piece;
}

void sb_memory_reset(void) {
    while (blocks != NULL) {
        block *before = blocks->before;
        free(blocks);
        blocks = before;
    }
    used = BLOCK;
}

const char *sb_copy(const char *data, size_t len) {
    char *copy = sb_alloc(len + 1);
    if (len > 0) {
        memcpy(copy, data, len);
    }
    return copy;
}

sb_bytes sb_text(const char *text) {
    return (sb_bytes){text, text == NULL ? 0 : strlen(text)};
}

const char *sb_vformat(const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (len < 0) {
        return format;
    }
    char *text = sb_alloc((size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, format, arguments);
    return text;
}

const char *sb_format(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const char *text = sb_vformat(format, arguments);
    va_end(arguments);
    return text;
}
