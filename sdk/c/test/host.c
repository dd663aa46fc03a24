/*
 * The host as the SDK calls it, in memory, with the contract's rules and the real
 * host's default limits. Not what tests call (deliver.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

#define VALUE (256u << 10)
#define WRITES (1u << 20)
#define OPERATIONS 1000
#define EFFECT_BYTES (1u << 20)
#define OBJECT_READS 100
/* Few, so that a test crosses from one page to the next. */
#define PAGE 16

run_state *running;
entry *committed;
static entry *settings, *mirror, *refused;

entry *map_find(entry *map, const char *key) {
    while (map != NULL && strcmp(map->key, key) != 0) {
        map = map->next;
    }
    return map;
}

void map_remove(entry **map, const char *key) {
    while (*map != NULL && strcmp((*map)->key, key) != 0) {
        map = &(*map)->next;
    }
    if (*map != NULL) {
        entry *gone = *map;
        *map = gone->next;
        free(gone->key);
        free(gone->data);
        free(gone);
    }
}

void map_put(entry **map, const char *key, sb_bytes value, bool deleted) {
    map_remove(map, key);
    while (*map != NULL && strcmp((*map)->key, key) < 0) {
        map = &(*map)->next;
    }
    entry *made = calloc(1, sizeof *made);
    made->key = strdup(key);
    made->data = calloc(1, value.len + 1);
    if (value.len > 0) {
        memcpy(made->data, value.data, value.len);
    }
    made->len = value.len;
    made->deleted = deleted;
    made->next = *map;
    *map = made;
}

void map_clear(entry **map) {
    while (*map != NULL) {
        map_remove(map, (*map)->key);
    }
}

void sb_test_reset(void) {
    map_clear(&committed);
    map_clear(&settings);
    map_clear(&mirror);
    map_clear(&refused);
    effects_clear();
}

void sb_test_setting(const char *key, const char *value) {
    map_put(&settings, key, sb_text(value), false);
}

void sb_test_refuse(const char *capability) {
    map_put(&refused, capability, sb_text(""), false);
}

void sb_test_object(const char *provider, const char *kind, const char *id, const char *json) {
    map_put(&mirror, sb_format("%s\n%s\n%s", provider, kind, id), sb_text(json), false);
}

static const char *kept(const char *text) {
    return text == NULL ? NULL : sb_copy(text, strlen(text));
}

/* The real host has read a request when the call returns: what it was made of may
 * be gone by the time the test looks. */
static sb_effect copied(sb_effect from) {
    size_t n = 0;
    while (from.headers != NULL && from.headers[n].name != NULL) {
        n++;
    }
    sb_attribute *headers = sb_alloc((n + 1) * sizeof *headers);
    for (size_t i = 0; i < n; i++) {
        headers[i] = (sb_attribute){kept(from.headers[i].name), kept(from.headers[i].value)};
    }
    from.headers = headers;
    from.kind = kept(from.kind);
    from.method = kept(from.method);
    from.url = kept(from.url);
    from.reply_kind = kept(from.reply_kind);
    from.content_type = kept(from.content_type);
    from.body.data = sb_copy(from.body.data, from.body.len);
    return from;
}

static run_state *run(const char *call) {
    if (running == NULL) {
        fprintf(stderr, "%s was called outside a delivery: use sb_deliver and its siblings\n", call);
        exit(2);
    }
    return running;
}

void sb_host_log(sb_level level, const char *message, const sb_attribute *attributes) {
    run_state *r = run("sb_log");
    if (r->log_count < sizeof r->logs / sizeof *r->logs) {
        sb_effect record = copied((sb_effect){.headers = attributes});
        r->logs[r->log_count++] = (sb_record){level, message, record.headers};
    }
}

void sb_host_end(const char *message) {
    run_state *r = run("sb_panic");
    r->message = message;
    longjmp(r->panic, 1);
}

const char *sb_host_config(const char *key) {
    run("sb_config");
    entry *found = map_find(settings, key);
    return found == NULL ? NULL : found->data;
}

const sb_attribute *sb_host_config_all(void) {
    run("sb_config_all");
    size_t n = 0;
    for (entry *e = settings; e != NULL; e = e->next) {
        n++;
    }
    sb_attribute *all = sb_alloc((n + 1) * sizeof *all), *at = all;
    for (entry *e = settings; e != NULL; e = e->next) {
        *at++ = (sb_attribute){e->key, e->data};
    }
    return all;
}

static sb_cause operation(const char *key) {
    if (++run("sb_kv")->operations > OPERATIONS) {
        return SB_OPERATIONS;
    }
    return *key == 0 || strlen(key) > 512 ? SB_KEY_SIZE : SB_NO_CAUSE;
}

static entry *seen(const char *key) {
    entry *own = map_find(running->writes, key);
    own = own == NULL ? map_find(committed, key) : own;
    return own == NULL || own->deleted ? NULL : own;
}

static sb_cause put(const char *key, sb_bytes value, bool deleted) {
    running->written += strlen(key) + value.len;
    if (running->written > WRITES) {
        return SB_OPERATIONS;
    }
    map_put(&running->writes, key, value, deleted);
    return SB_NO_CAUSE;
}

sb_cause sb_host_kv_get(const char *key, sb_bytes *value) {
    sb_cause cause = operation(key);
    entry *found = cause == SB_NO_CAUSE ? seen(key) : NULL;
    if (found != NULL) {
        *value = (sb_bytes){sb_copy(found->data, found->len), found->len};
    }
    return cause;
}

sb_cause sb_host_kv_set(const char *key, sb_bytes value) {
    sb_cause cause = operation(key);
    if (cause != SB_NO_CAUSE) {
        return cause;
    }
    return value.len > VALUE ? SB_VALUE_SIZE : put(key, value, false);
}

sb_cause sb_host_kv_delete(const char *key) {
    sb_cause cause = operation(key);
    return cause == SB_NO_CAUSE ? put(key, (sb_bytes){0}, true) : cause;
}

sb_cause sb_host_kv_keys(const char *prefix, const char *after, sb_key_page *page) {
    sb_cause cause = operation("a page");
    if (cause != SB_NO_CAUSE) {
        return cause;
    }
    entry *visible = NULL;
    for (entry *e = committed; e != NULL; e = e->next) {
        map_put(&visible, e->key, (sb_bytes){0}, false);
    }
    for (entry *e = running->writes; e != NULL; e = e->next) {
        if (e->deleted) {
            map_remove(&visible, e->key);
        } else {
            map_put(&visible, e->key, (sb_bytes){0}, false);
        }
    }
    page->keys.items = sb_alloc(PAGE * sizeof *page->keys.items);
    for (entry *e = visible; e != NULL; e = e->next) {
        if (strncmp(e->key, prefix, strlen(prefix)) != 0 ||
            (after != NULL && strcmp(e->key, after) <= 0)) {
            continue;
        }
        if (page->keys.count == PAGE) {
            page->next = page->keys.items[PAGE - 1];
            break;
        }
        page->keys.items[page->keys.count++] = sb_copy(e->key, strlen(e->key));
    }
    map_clear(&visible);
    return SB_NO_CAUSE;
}

sb_cause sb_host_object(const char *provider, const char *kind, const char *id,
                        const sb_object **object) {
    if (map_find(refused, "objects") != NULL) {
        return SB_NOT_GRANTED;
    }
    if (++run("sb_object_get")->object_reads > OBJECT_READS) {
        return SB_OPERATIONS;
    }
    entry *found = map_find(mirror, sb_format("%s\n%s\n%s", provider, kind, id));
    if (found != NULL) {
        sb_object *to = sb_alloc(sizeof *to);
        *to = (sb_object){
            id, kind, 0, "evt_test", false, {sb_copy(found->data, found->len), found->len}};
        *object = to;
    }
    return SB_NO_CAUSE;
}

static sb_cause ask(const char *capability, sb_effect effect, size_t bytes, const char **id,
                    const char **text) {
    run_state *r = run("the outbox");
    if (map_find(refused, capability) != NULL) {
        *text = effect.emitted
                    ? sb_format("%s `%s`", capability, effect.kind)
                    : sb_format("%s `%s %s`", capability, effect.method, effect.url);
        return SB_NOT_GRANTED;
    }
    if (r->effect_calls == sizeof r->asked / sizeof *r->asked ||
        r->effect_bytes + bytes > EFFECT_BYTES) {
        return SB_QUOTA;
    }
    r->effect_calls++;
    r->effect_bytes += bytes;
    *id = effect.id = sb_format("%s.%zu", r->delivery, r->asked_count);
    r->asked[r->asked_count++] = copied(effect);
    return SB_NO_CAUSE;
}

sb_cause sb_host_http(const sb_request *request, const char **effect, const char **text) {
    const char *method = request->method, *url = request->url;
    size_t bytes = strlen(method) + strlen(url) + request->body.len;
    if (*method == 0 || strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(method)) {
        *text = sb_format("`%s` is no upper-case method such as `POST`", method);
        return SB_INVALID;
    }
    if (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0) {
        *text = sb_format("the URL `%s` is not an absolute `https` URL", url);
        return SB_INVALID;
    }
    for (const sb_attribute *h = request->headers; h != NULL && h->name != NULL; h++) {
        bytes += strlen(h->name) + strlen(h->value);
        for (const char *c = h->name; *c != 0; c++) {
            if (*c >= 'A' && *c <= 'Z') {
                *text = sb_format("`%s` is no header name in lower case", h->name);
                return SB_INVALID;
            }
        }
    }
    sb_effect asked = {.method = method,
                       .url = url,
                       .headers = request->headers,
                       .reply_kind = request->reply_kind,
                       .body = request->body,
                       .delay_ms = request->delay_ms};
    return ask("outbox.http", asked, bytes, effect, text);
}

sb_cause sb_host_emit(const char *kind, const char *content_type, sb_bytes body, uint64_t delay_ms,
                      const char **effect, const char **text) {
    size_t len = strlen(kind);
    if (len == 0 || strchr(kind, '*') != NULL || kind[0] == '.' || kind[len - 1] == '.' ||
        strstr(kind, "..") != NULL) {
        *text = sb_format("`%s` is no event type such as `reminder.due`", kind);
        return SB_INVALID;
    }
    sb_effect asked = {.emitted = true,
                       .kind = kind,
                       .content_type = content_type,
                       .body = body,
                       .delay_ms = delay_ms};
    return ask("outbox.emit", asked, len + strlen(content_type) + body.len, effect, text);
}

sb_cause sb_host_cancel(const char *id, bool *withdrawn, const char **text) {
    run_state *r = run("sb_cancel");
    const char *dot = strrchr(id, '.');
    if (dot == NULL) {
        *text = sb_format("`%s` is not an effect id", id);
        return SB_INVALID;
    }
    if (strcmp(sb_copy(id, (size_t)(dot - id)), r->delivery) == 0) {
        *text = sb_format("`%s` is an effect of this very delivery", id);
        return SB_INVALID;
    }
    if (r->cancel_count == sizeof r->cancels / sizeof *r->cancels) {
        return SB_QUOTA;
    }
    sb_effect *effect = effect_find(id);
    *withdrawn = effect != NULL && effect->status == SB_WAITING;
    if (*withdrawn) {
        r->cancels[r->cancel_count++] = effect->id;
    }
    return SB_NO_CAUSE;
}
