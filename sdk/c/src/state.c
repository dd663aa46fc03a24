/*
 * The plugin's state, the mirror and the outbox, with failures that say what was
 * asked for. Not the host's side of them.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static const char *meaning(sb_cause cause) {
    switch (cause) {
    case SB_KEY_SIZE:
        return "the key is empty or longer than 512 bytes";
    case SB_VALUE_SIZE:
        return "the value is larger than the host allows";
    case SB_QUOTA:
        return "the plugin holds as many bytes as the operator granted";
    case SB_OPERATIONS:
        return "the delivery reads or writes more than the host allows";
    default:
        return "it did not succeed";
    }
}

static sb_result kv(const char *key, sb_cause cause) {
    return cause == SB_NO_CAUSE
               ? sb_ok()
               : sb_because(SB_END_RETRY, cause, "kv `%s`: %s", key, meaning(cause));
}

sb_result sb_kv_get(const char *key, sb_bytes *value) {
    *value = (sb_bytes){0};
    return kv(key, sb_host_kv_get(key, value));
}

sb_result sb_kv_get_text(const char *key, const char **text) {
    sb_bytes value;
    *text = NULL;
    SB_TRY(sb_kv_get(key, &value));
    if (value.data != NULL) {
        *text = sb_copy(value.data, value.len);
    }
    return sb_ok();
}

sb_result sb_kv_set(const char *key, sb_bytes value) {
    return kv(key, sb_host_kv_set(key, value));
}

sb_result sb_kv_set_text(const char *key, const char *text) {
    return sb_kv_set(key, sb_text(text));
}

sb_result sb_kv_delete(const char *key) {
    return kv(key, sb_host_kv_delete(key));
}

sb_result sb_kv_count(const char *key, int64_t *count) {
    sb_bytes value;
    *count = 0;
    SB_TRY(sb_kv_get(key, &value));
    if (value.data == NULL || sb_json_int(sb_json_parse(value, NULL), count)) {
        return sb_ok();
    }
    return sb_because(SB_END_RETRY, SB_SHAPE, "kv `%s`: the value is no whole number", key);
}

sb_result sb_kv_add(const char *key, int64_t n, int64_t *sum) {
    int64_t count;
    SB_TRY(sb_kv_count(key, &count));
    if (__builtin_add_overflow(count, n, &count)) {
        return sb_because(SB_END_RETRY, SB_INVALID, "kv `%s`: the counter is full", key);
    }
    SB_TRY(sb_kv_set_text(key, sb_format("%" PRId64, count)));
    if (sum != NULL) {
        *sum = count;
    }
    return sb_ok();
}

sb_result sb_kv_keys(const char *prefix, sb_keys *keys) {
    const char *after = NULL;
    *keys = (sb_keys){0};
    do {
        sb_key_page page = {0};
        SB_TRY(kv(prefix, sb_host_kv_keys(prefix, after, &page)));
        size_t count = keys->count + page.keys.count;
        const char **items = sb_alloc((count + 1) * sizeof *items);
        if (keys->count > 0) {
            memcpy(items, keys->items, keys->count * sizeof *items);
        }
        if (page.keys.count > 0) {
            memcpy(items + keys->count, page.keys.items, page.keys.count * sizeof *items);
        }
        *keys = (sb_keys){items, count};
        after = page.next;
    } while (after != NULL);
    return sb_ok();
}

sb_result sb_object_get(const char *provider, const char *kind, const char *id,
                        const sb_object **object) {
    *object = NULL;
    sb_cause cause = sb_host_object(provider, kind, id, object);
    if (cause == SB_NOT_GRANTED) {
        return sb_because(SB_END_RETRY, cause, "objects: not granted: objects `%s %s`", provider,
                          kind);
    }
    return cause == SB_NO_CAUSE
               ? sb_ok()
               : sb_because(SB_END_RETRY, cause, "objects: %s", meaning(cause));
}

static sb_result refused(sb_cause cause, const char *text) {
    switch (cause) {
    case SB_NO_CAUSE:
        return sb_ok();
    case SB_NOT_GRANTED:
        return sb_because(SB_END_RETRY, cause, "outbox: not granted: %s", text);
    case SB_INVALID:
        return sb_because(SB_END_RETRY, cause, "outbox: %s", text);
    default:
        return sb_because(SB_END_RETRY, cause,
                          "outbox: the delivery asks for more than the host allows");
    }
}

sb_result sb_http(const sb_request *request, const char **effect) {
    const char *id = NULL, *text = NULL;
    sb_cause cause = sb_host_http(request, &id, &text);
    if (effect != NULL) {
        *effect = id;
    }
    return refused(cause, text);
}

sb_result sb_emit(const char *kind, const char *content_type, sb_bytes body, uint64_t delay_ms,
                  const char **effect) {
    const char *id = NULL, *text = NULL;
    sb_cause cause = sb_host_emit(kind, content_type, body, delay_ms, &id, &text);
    if (effect != NULL) {
        *effect = id;
    }
    return refused(cause, text);
}

sb_result sb_cancel(const char *effect, bool *withdrawn) {
    bool did = false;
    const char *text = NULL;
    sb_cause cause = sb_host_cancel(effect, &did, &text);
    if (withdrawn != NULL) {
        *withdrawn = did;
    }
    return refused(cause, text);
}
