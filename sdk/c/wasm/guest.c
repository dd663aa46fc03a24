/*
 * The real host, through the contract's bindings, and the component's exports.
 * It is compiled for WebAssembly alone; a test has test/host.c in its place.
 */
#include <string.h>

#include "plugin.h"
#include "../src/internal.h"

/* Text for the host, which must be UTF-8: what is not becomes U+FFFD, since a
 * plugin that passes on what it was sent must not end for it. */
static plugin_string_t text(const char *from) {
    size_t len = from == NULL ? 0 : strlen(from);
    const unsigned char *at = (const unsigned char *)from, *end = at + len;
    unsigned char *clean = NULL, *to = NULL;
    while (at < end) {
        size_t size = *at < 0x80 ? 1 : *at >= 0xC2 && *at < 0xE0 ? 2 : *at >= 0xE0 && *at < 0xF0 ? 3
                      : *at >= 0xF0 && *at < 0xF5 ? 4
                                                  : 0;
        bool good = size > 0 && (size_t)(end - at) >= size;
        for (size_t i = 1; good && i < size; i++) {
            good = (at[i] & 0xC0) == 0x80;
        }
        if (good && size > 2) {
            /* Too long a form, half a pair, or beyond the last character. */
            good = !(*at == 0xE0 && at[1] < 0xA0) && !(*at == 0xED && at[1] > 0x9F) &&
                   !(*at == 0xF0 && at[1] < 0x90) && !(*at == 0xF4 && at[1] > 0x8F);
        }
        if (!good && clean == NULL) {
            clean = sb_alloc(len * 3 + 1);
            to = clean + (at - (const unsigned char *)from);
            memcpy(clean, from, (size_t)(to - clean));
        }
        if (clean != NULL) {
            memcpy(to, good ? at : (const unsigned char *)"\xEF\xBF\xBD", good ? size : 3);
            to += good ? size : 3;
        }
        at += good ? size : 1;
    }
    if (clean != NULL) {
        return (plugin_string_t){clean, (size_t)(to - clean)};
    }
    return (plugin_string_t){(uint8_t *)from, len};
}

static const char *copy(plugin_string_t from) {
    return sb_copy((const char *)from.ptr, from.len);
}

static plugin_list_u8_t bytes(sb_bytes from) {
    return (plugin_list_u8_t){(uint8_t *)from.data, from.len};
}

/* Bytes of none are not absent. */
static sb_bytes present(plugin_list_u8_t from) {
    return (sb_bytes){from.len == 0 ? "" : (const char *)from.ptr, from.len};
}

static size_t count(const sb_attribute *attributes) {
    size_t n = 0;
    while (attributes != NULL && attributes[n].name != NULL) {
        n++;
    }
    return n;
}

static signalbox_plugin_types_list_attribute_t list(const sb_attribute *attributes) {
    size_t n = count(attributes);
    signalbox_plugin_types_list_attribute_t to = {sb_alloc(n * sizeof *to.ptr), n};
    for (size_t i = 0; i < n; i++) {
        to.ptr[i].f0 = text(attributes[i].name);
        to.ptr[i].f1 = text(attributes[i].value);
    }
    return to;
}

void sb_host_log(sb_level level, const char *message, const sb_attribute *attributes) {
    plugin_string_t words = text(message);
    signalbox_plugin_types_list_attribute_t from = list(attributes);
    signalbox_plugin_log_list_attribute_t to = {from.ptr, from.len};
    signalbox_plugin_log_write((signalbox_plugin_log_level_t)level, &words, &to);
}

const char *sb_host_config(const char *key) {
    plugin_string_t name = text(key), value;
    return signalbox_plugin_config_get(&name, &value) ? copy(value) : NULL;
}

const sb_attribute *sb_host_config_all(void) {
    plugin_list_tuple2_string_string_t all;
    signalbox_plugin_config_get_all(&all);
    sb_attribute *to = sb_alloc((all.len + 1) * sizeof *to);
    for (size_t i = 0; i < all.len; i++) {
        to[i] = (sb_attribute){copy(all.ptr[i].f0), copy(all.ptr[i].f1)};
    }
    return to;
}

static sb_cause limit(bool ok, signalbox_plugin_kv_limit_t limit) {
    if (ok) {
        return SB_NO_CAUSE;
    }
    switch (limit) {
    case SIGNALBOX_PLUGIN_KV_LIMIT_KEY_SIZE:
        return SB_KEY_SIZE;
    case SIGNALBOX_PLUGIN_KV_LIMIT_VALUE_SIZE:
        return SB_VALUE_SIZE;
    case SIGNALBOX_PLUGIN_KV_LIMIT_QUOTA:
        return SB_QUOTA;
    default:
        return SB_OPERATIONS;
    }
}

sb_cause sb_host_kv_get(const char *key, sb_bytes *value) {
    plugin_string_t name = text(key);
    plugin_option_list_u8_t found = {0};
    signalbox_plugin_kv_limit_t why = 0;
    bool ok = signalbox_plugin_kv_get(&name, &found, &why);
    if (ok && found.is_some) {
        *value = present(found.val);
    }
    return limit(ok, why);
}

sb_cause sb_host_kv_set(const char *key, sb_bytes value) {
    plugin_string_t name = text(key);
    plugin_list_u8_t to = bytes(value);
    signalbox_plugin_kv_limit_t why = 0;
    return limit(signalbox_plugin_kv_set(&name, &to, &why), why);
}

sb_cause sb_host_kv_delete(const char *key) {
    plugin_string_t name = text(key);
    signalbox_plugin_kv_limit_t why = 0;
    return limit(signalbox_plugin_kv_delete(&name, &why), why);
}

sb_cause sb_host_kv_keys(const char *prefix, const char *after, sb_key_page *page) {
    plugin_string_t start = text(prefix), from = text(after);
    signalbox_plugin_kv_key_page_t found = {0};
    signalbox_plugin_kv_limit_t why = 0;
    bool ok = signalbox_plugin_kv_keys(&start, after == NULL ? NULL : &from, &found, &why);
    if (ok) {
        page->keys.count = found.keys.len;
        page->keys.items = sb_alloc((found.keys.len + 1) * sizeof *page->keys.items);
        for (size_t i = 0; i < found.keys.len; i++) {
            page->keys.items[i] = copy(found.keys.ptr[i]);
        }
        page->next = found.next.is_some ? copy(found.next.val) : NULL;
    }
    return limit(ok, why);
}

sb_cause sb_host_object(const char *provider, const char *kind, const char *id,
                        const sb_object **object) {
    plugin_string_t of = text(provider), type = text(kind), name = text(id);
    signalbox_plugin_objects_option_object_t found = {0};
    signalbox_plugin_objects_refusal_t why = 0;
    if (!signalbox_plugin_objects_get(&of, &type, &name, &found, &why)) {
        return why == SIGNALBOX_PLUGIN_OBJECTS_REFUSAL_NOT_GRANTED ? SB_NOT_GRANTED : SB_OPERATIONS;
    }
    if (found.is_some) {
        sb_object *to = sb_alloc(sizeof *to);
        *to = (sb_object){
            .id = copy(found.val.id),
            .kind = copy(found.val.kind),
            .as_of = found.val.as_of,
            .event_id = copy(found.val.event_id),
            .deleted = found.val.deleted,
            .body = present(found.val.body),
        };
        *object = to;
    }
    return SB_NO_CAUSE;
}

static sb_cause refusal(bool ok, signalbox_plugin_outbox_refusal_t why, const char **words) {
    if (ok) {
        return SB_NO_CAUSE;
    }
    switch (why.tag) {
    case SIGNALBOX_PLUGIN_OUTBOX_REFUSAL_NOT_GRANTED:
        *words = copy(why.val.not_granted);
        return SB_NOT_GRANTED;
    case SIGNALBOX_PLUGIN_OUTBOX_REFUSAL_INVALID:
        *words = copy(why.val.invalid);
        return SB_INVALID;
    default:
        return SB_QUOTA;
    }
}

sb_cause sb_host_http(const sb_request *request, const char **effect, const char **words) {
    signalbox_plugin_types_list_attribute_t headers = list(request->headers);
    signalbox_plugin_outbox_http_request_t to = {
        .method = text(request->method),
        .url = text(request->url),
        .headers = {headers.ptr, headers.len},
        .body = bytes(request->body),
    };
    plugin_string_t reply = text(request->reply_kind), id = {0};
    uint64_t delay = request->delay_ms, *after = delay == 0 ? NULL : &delay;
    signalbox_plugin_outbox_refusal_t why = {0};
    bool ok = request->reply_kind == NULL
                  ? signalbox_plugin_outbox_http(&to, after, &id, &why)
                  : signalbox_plugin_outbox_http_with_reply(&to, &reply, after, &id, &why);
    if (ok) {
        *effect = copy(id);
    }
    return refusal(ok, why, words);
}

sb_cause sb_host_emit(const char *kind, const char *content_type, sb_bytes body, uint64_t delay_ms,
                      const char **effect, const char **words) {
    plugin_string_t type = text(kind), media = text(content_type), id = {0};
    plugin_list_u8_t to = bytes(body);
    signalbox_plugin_outbox_refusal_t why = {0};
    uint64_t *after = delay_ms == 0 ? NULL : &delay_ms;
    bool ok = signalbox_plugin_outbox_emit(&type, &media, &to, after, &id, &why);
    if (ok) {
        *effect = copy(id);
    }
    return refusal(ok, why, words);
}

sb_cause sb_host_cancel(const char *effect, bool *withdrawn, const char **words) {
    plugin_string_t id = text(effect);
    signalbox_plugin_outbox_refusal_t why = {0};
    bool ok = signalbox_plugin_outbox_cancel(&id, withdrawn, &why);
    return refusal(ok, why, words);
}

void sb_host_end(const char *message) {
    (void)message;
    __builtin_trap();
}

/* What assert calls: its message belongs in the log like any other. */
_Noreturn void __assert_fail(const char *expression, const char *file, int line, const char *in) {
    sb_panic_at(file, line, "assertion failed in %s: %s", in, expression);
}

void exports_signalbox_plugin_handler_describe(exports_signalbox_plugin_handler_manifest_t *to) {
    const char *mistake = sb_mistake();
    if (mistake != NULL) {
        sb_panic("the plugin is not well-formed: %s", mistake);
    }
    const sb_plugin *p = &signalbox_plugin;
    *to = (exports_signalbox_plugin_handler_manifest_t){
        .name = text(p->name), .version = text(p->version)};
    while (p->receivers[to->subscriptions.len].kind != NULL) {
        to->subscriptions.len++;
    }
    to->subscriptions.ptr = sb_alloc(to->subscriptions.len * sizeof *to->subscriptions.ptr);
    for (size_t i = 0; i < to->subscriptions.len; i++) {
        const sb_receiver *r = &p->receivers[i];
        to->subscriptions.ptr[i] = (exports_signalbox_plugin_handler_subscription_t){
            .provider = text(r->provider == NULL ? "stripe" : r->provider),
            .kind = text(r->kind),
            .filter = {r->filter != NULL, text(r->filter)},
        };
    }
    while (p->needs != NULL && p->needs[to->requests.len].capability != NULL) {
        to->requests.len++;
    }
    to->requests.ptr = sb_alloc(to->requests.len * sizeof *to->requests.ptr);
    for (size_t i = 0; i < to->requests.len; i++) {
        to->requests.ptr[i].capability = text(p->needs[i].capability);
        to->requests.ptr[i].scope = text(p->needs[i].scope);
    }
    size_t facts = count(p->attributes);
    sb_attribute *all = sb_alloc((facts + 2) * sizeof *all);
    if (facts > 0) {
        memcpy(all, p->attributes, facts * sizeof *all);
    }
    if (p->description != NULL) {
        all[facts] = (sb_attribute){"description", p->description};
    }
    signalbox_plugin_types_list_attribute_t attributes = list(all);
    to->attributes.ptr = attributes.ptr;
    to->attributes.len = attributes.len;
}

/* In place of those of the bindings, which would give back memory that is not
 * malloc's when the host has read the answer. The instance goes then anyway. */
__attribute__((export_name("cabi_post_signalbox:plugin/handler@0.1.0#describe"))) void
__wasm_export_exports_signalbox_plugin_handler_describe_post_return(uint8_t *answer) {
    (void)answer;
}
__attribute__((export_name("cabi_post_signalbox:plugin/handler@0.1.0#handle"))) void
__wasm_export_exports_signalbox_plugin_handler_handle_post_return(uint8_t *answer) {
    (void)answer;
}

/* The bindings want the object file that holds the contract. There is none:
 * `signalbox build` puts the contract into the module. */
void __component_type_object_force_link_plugin(void);
void __component_type_object_force_link_plugin(void) {}

bool exports_signalbox_plugin_handler_handle(exports_signalbox_plugin_handler_event_t *from,
                                             exports_signalbox_plugin_handler_delivery_t *delivery,
                                             exports_signalbox_plugin_handler_failure_t *why) {
    sb_attribute *attributes = sb_alloc((from->attributes.len + 1) * sizeof *attributes);
    for (size_t i = 0; i < from->attributes.len; i++) {
        attributes[i] =
            (sb_attribute){copy(from->attributes.ptr[i].f0), copy(from->attributes.ptr[i].f1)};
    }
    const sb_event event = {
        .id = copy(from->id),
        .provider = copy(from->provider),
        .kind = copy(from->kind),
        .occurred_at = from->occurred_at,
        .received_at = from->received_at,
        .content_type = copy(from->content_type),
        .body = present(from->body),
        .attributes = attributes,
        .delivery = {copy(delivery->id), delivery->attempt, delivery->replay},
    };
    sb_result result = sb_dispatch(&event);
    if (result.end == SB_END_OK) {
        return true;
    }
    if (result.end == SB_END_REJECT) {
        why->tag = SIGNALBOX_PLUGIN_TYPES_FAILURE_REJECT;
        why->val.reject = text(result.reason);
    } else {
        why->tag = SIGNALBOX_PLUGIN_TYPES_FAILURE_RETRY;
        why->val.retry.reason = text(result.reason);
        why->val.retry.after.is_some = result.after_ms > 0;
        why->val.retry.after.val = result.after_ms;
    }
    return false;
}
