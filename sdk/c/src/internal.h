/*
 * The seam between the SDK and whoever runs it: the real host (wasm/guest.c, through
 * the contract's bindings) or a test's (test/host.c). Not for authors of plugins.
 */
#ifndef SIGNALBOX_INTERNAL_H
#define SIGNALBOX_INTERNAL_H

#include <stdarg.h>

#include "signalbox.h"

/* A page of keys. */
typedef struct sb_key_page {
    sb_keys keys;
    const char *next; /* NULL on the last */
} sb_key_page;

void sb_host_log(sb_level level, const char *message, const sb_attribute *attributes);
const char *sb_host_config(const char *key);
const sb_attribute *sb_host_config_all(void);
sb_cause sb_host_kv_get(const char *key, sb_bytes *value);
sb_cause sb_host_kv_set(const char *key, sb_bytes value);
sb_cause sb_host_kv_delete(const char *key);
sb_cause sb_host_kv_keys(const char *prefix, const char *after, sb_key_page *page);
sb_cause sb_host_object(const char *provider, const char *kind, const char *id,
                        const sb_object **object);
/* The text says more of what was refused. */
sb_cause sb_host_http(const sb_request *request, const char **effect, const char **text);
sb_cause sb_host_emit(const char *kind, const char *content_type, sb_bytes body, uint64_t delay_ms,
                      const char **effect, const char **text);
sb_cause sb_host_cancel(const char *effect, bool *withdrawn, const char **text);
/* After the message is in the log. */
_Noreturn void sb_host_end(const char *message);

/* No cause: the call succeeded. */
#define SB_NO_CAUSE SB_CAUSE_OTHER

/* A failure that asks for another attempt, or rejects. */
sb_result sb_because(sb_end end, sb_cause cause, const char *format, ...) SB_PRINTF(3, 4);
const char *sb_vformat(const char *format, va_list arguments);
const char *sb_copy(const char *data, size_t len);

/* Run the receivers that take the event, until one fails. */
sb_result sb_dispatch(const sb_event *event);
/* NULL, or what is wrong with what the plugin says of itself. */
const char *sb_mistake(void);
bool sb_holds(const char *pattern, const char *kind);

/* Give back all memory of sb_alloc. A component never does: its instance goes. */
void sb_memory_reset(void);

#endif
