/*
 * Deliveries as a test makes them, and what it expects of them. Not the host's
 * functions that a receiver calls (host.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

/* What runs that succeeded asked for; its memory is malloc's, and small. */
static sb_effect *effects;
static size_t effect_count;
static unsigned passed, failed;

static const char *keep(const char *text) {
    return text == NULL ? NULL : strdup(text);
}

sb_effect *effect_find(const char *id) {
    for (size_t i = 0; i < effect_count; i++) {
        if (strcmp(effects[i].id, id) == 0) {
            return &effects[i];
        }
    }
    return NULL;
}

void effect_commit(const sb_effect *asked) {
    sb_effect *to = effect_find(asked->id);
    if (to != NULL && to->status == SB_PERFORMED) {
        return; /* A replay does not repeat it. */
    }
    if (to == NULL) {
        effects = realloc(effects, (effect_count + 1) * sizeof *effects);
        to = &effects[effect_count++];
    }
    *to = *asked;
    to->id = keep(asked->id);
    to->kind = keep(asked->kind);
    to->method = keep(asked->method);
    to->url = keep(asked->url);
    to->reply_kind = keep(asked->reply_kind);
    to->content_type = keep(asked->content_type);
    char *body = calloc(1, asked->body.len + 1);
    if (asked->body.len > 0) {
        memcpy(body, asked->body.data, asked->body.len);
    }
    to->body.data = body;
    to->headers = NULL;
}

void effects_clear(void) {
    effect_count = 0;
}

static sb_run finish(run_state *r, sb_run run) {
    run.logs = r->logs;
    run.log_count = r->log_count;
    if (run.end == SB_RUN_OK) {
        for (entry *e = r->writes; e != NULL; e = e->next) {
            if (e->deleted) {
                map_remove(&committed, e->key);
            } else {
                map_put(&committed, e->key, (sb_bytes){e->data, e->len}, false);
            }
        }
        for (size_t i = 0; i < r->cancel_count; i++) {
            effect_find(r->cancels[i])->status = SB_CANCELLED;
        }
        for (size_t i = 0; i < r->asked_count; i++) {
            effect_commit(&r->asked[i]);
        }
        run.effects = r->asked;
        run.effect_count = r->asked_count;
    }
    map_clear(&r->writes);
    return run;
}

sb_run sb_deliver_event(sb_event event) {
    static run_state state;
    const char *mistake = sb_mistake();
    if (mistake != NULL) {
        fprintf(stderr, "the plugin is not well-formed: %s\n", mistake);
        exit(2);
    }
    bool taken = false;
    for (const sb_receiver *r = signalbox_plugin.receivers; r->kind != NULL; r++) {
        const char *provider = r->provider == NULL ? "stripe" : r->provider;
        taken = taken ||
                (strcmp(provider, event.provider) == 0 && sb_holds(r->kind, event.kind));
    }
    if (!taken) {
        return (sb_run){.end = SB_RUN_NOT_SUBSCRIBED, .reason = "it does not subscribe to it"};
    }
    if (event.delivery.attempt == 0) {
        event.delivery.attempt = 1;
    }
    if (event.delivery.id == NULL) {
        event.delivery.id =
            sb_format("%s.%s.%s", event.provider, event.id, signalbox_plugin.name);
    }
    state = (run_state){.delivery = event.delivery.id};
    running = &state;
    sb_run run;
    if (setjmp(state.panic) == 0) {
        sb_result result = sb_dispatch(&event);
        sb_run_end end = result.end == SB_END_OK      ? SB_RUN_OK
                         : result.end == SB_END_RETRY ? SB_RUN_RETRY
                                                      : SB_RUN_REJECT;
        run = (sb_run){.end = end, .reason = result.reason, .after_ms = result.after_ms};
    } else {
        run = (sb_run){.end = SB_RUN_PANIC, .reason = state.message};
    }
    running = NULL;
    return finish(&state, run);
}

static sb_run deliver_body(const char *body, const char *id, const char *kind) {
    static const sb_attribute attributes[] = {{"livemode", "false"}, {0}};
    return sb_deliver_event((sb_event){
        .id = id,
        .provider = "stripe",
        .kind = kind,
        .occurred_at = 1795400000000,
        .received_at = 1795400000000,
        .content_type = "application/json",
        .body = sb_text(body),
        .attributes = attributes,
    });
}

sb_run sb_deliver(const char *kind, const char *object_json) {
    sb_memory_reset();
    const char *body = sb_format("{\"id\":\"evt_test\",\"object\":\"event\",\"type\":%s,\"created\":"
                                 "1795400000,\"livemode\":false,\"data\":{\"object\":%s}}",
                                 sb_quote(kind), object_json);
    return deliver_body(body, "evt_test", kind);
}

sb_run sb_deliver_fixture(const char *path) {
    sb_memory_reset();
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    char *body = sb_alloc((1u << 20) + 1);
    size_t len = fread(body, 1, 1u << 20, file);
    fclose(file);
    const sb_json *json = sb_json_parse((sb_bytes){body, len}, NULL);
    const char *id = sb_json_string(sb_json_get(json, "id"));
    const char *kind = sb_json_string(sb_json_get(json, "type"));
    if (id == NULL || kind == NULL) {
        fprintf(stderr, "%s is no event: it has no `id` or no `type`\n", path);
        exit(2);
    }
    return deliver_body(body, id, kind);
}

static sb_effect *perform(const char *id) {
    sb_effect *effect = effect_find(id);
    if (effect == NULL || effect->status != SB_WAITING) {
        fprintf(stderr, "no effect %s waits\n", id);
        exit(2);
    }
    effect->status = SB_PERFORMED;
    return effect;
}

sb_run sb_fire(const char *id) {
    sb_effect *effect = perform(id);
    sb_memory_reset();
    return sb_deliver_event((sb_event){
        .id = sb_format("evt_%s", effect->id),
        .provider = signalbox_plugin.name,
        .kind = effect->kind,
        .content_type = effect->content_type,
        .body = effect->body,
    });
}

sb_run sb_answer(const char *id, int status, const char *body) {
    sb_effect *effect = perform(id);
    sb_memory_reset();
    sb_attribute attributes[] = {
        {"status", sb_format("%d", status)}, {"effect-id", effect->id}, {0}};
    return sb_deliver_event((sb_event){
        .id = sb_format("evt_%s", effect->id),
        .provider = signalbox_plugin.name,
        .kind = effect->reply_kind,
        .content_type = "application/json",
        .body = sb_text(body),
        .attributes = attributes,
    });
}

const char *sb_effect_header(const sb_effect *effect, const char *name) {
    for (const sb_attribute *h = effect->headers; h != NULL && h->name != NULL; h++) {
        if (strcmp(h->name, name) == 0) {
            return h->value;
        }
    }
    return NULL;
}

bool sb_logged(sb_run run, const char *text) {
    for (size_t i = 0; i < run.log_count; i++) {
        if (strstr(run.logs[i].message, text) != NULL) {
            return true;
        }
    }
    return false;
}

void sb_test_set(const char *key, const char *text) {
    map_put(&committed, key, sb_text(text), false);
}

const char *sb_test_get(const char *key) {
    entry *found = map_find(committed, key);
    return found == NULL ? NULL : found->data;
}

size_t sb_test_count(void) {
    size_t n = 0;
    for (entry *e = committed; e != NULL; e = e->next) {
        n++;
    }
    return n;
}

bool sb_expect(bool condition, const char *file, int line, const char *format, ...) {
    if (condition) {
        passed++;
        return true;
    }
    failed++;
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s:%d: expected ", file, line);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return false;
}

bool sb_expect_text(const char *actual, const char *expected, const char *file, int line) {
    bool same = actual == expected ||
                (actual != NULL && expected != NULL && strcmp(actual, expected) == 0);
    return sb_expect(same, file, line, "\"%s\", got \"%s\"", expected == NULL ? "(none)" : expected,
                     actual == NULL ? "(none)" : actual);
}

bool sb_expect_end(sb_run run, sb_run_end end, const char *file, int line) {
    static const char *const names[] = {"ok", "retry", "reject", "panic", "not subscribed"};
    return sb_expect(run.end == end, file, line, "the run to end with %s, it ended with %s: %s",
                     names[end], names[run.end], run.reason == NULL ? "" : run.reason);
}

int sb_test_report(void) {
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0;
}
