/*
 * What the two halves of the test host share: host.c is called by the SDK,
 * deliver.c by tests.
 */
#ifndef SIGNALBOX_TEST_INTERNAL_H
#define SIGNALBOX_TEST_INTERNAL_H

#include <setjmp.h>

#include "../include/signalbox_test.h"
#include "../src/internal.h"

/* An ordered map of texts to bytes that are malloc's. */
typedef struct entry {
    char *key;
    char *data;
    size_t len;
    bool deleted; /* of what a run writes */
    struct entry *next;
} entry;

typedef struct run_state {
    const char *delivery;
    entry *writes;
    size_t operations, written, effect_calls, effect_bytes;
    size_t object_reads;
    sb_record logs[200];
    size_t log_count;
    sb_effect asked[100];
    size_t asked_count;
    const char *cancels[100];
    size_t cancel_count;
    jmp_buf panic;
    const char *message;
} run_state;

extern run_state *running; /* NULL between deliveries */
extern entry *committed;

entry *map_find(entry *map, const char *key);
void map_put(entry **map, const char *key, sb_bytes value, bool deleted);
void map_remove(entry **map, const char *key);
void map_clear(entry **map);
sb_effect *effect_find(const char *id);
void effect_commit(const sb_effect *effect);
void effects_clear(void);

#endif
