/*
 * Events, and which receivers take them.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

const char *sb_event_attribute(const sb_event *event, const char *name) {
    for (const sb_attribute *a = event->attributes; a != NULL && a->name != NULL; a++) {
        if (strcmp(a->name, name) == 0) {
            return a->value;
        }
    }
    return NULL;
}

sb_result sb_event_json(const sb_event *event, const sb_json **json) {
    const char *error;
    *json = sb_json_parse(event->body, &error);
    return *json != NULL ? sb_ok()
                         : sb_because(SB_END_REJECT, SB_SHAPE, "the body of `%s` is no JSON: %s",
                                      event->kind, error);
}

sb_result sb_event_object(const sb_event *event, const sb_json **object) {
    const sb_json *json;
    *object = NULL;
    SB_TRY(sb_event_json(event, &json));
    *object = sb_json_get(sb_json_get(json, "data"), "object");
    return sb_json_kind(*object) == SB_JSON_OBJECT
               ? sb_ok()
               : sb_because(SB_END_REJECT, SB_SHAPE, "`%s` has no data.object", event->kind);
}

bool sb_event_reply(const sb_event *event, sb_reply *reply) {
    const char *status = sb_event_attribute(event, "status");
    const char *effect = sb_event_attribute(event, "effect-id");
    if (status == NULL || effect == NULL) {
        return false;
    }
    *reply = (sb_reply){atoi(status), effect, event->body};
    return true;
}

bool sb_holds(const char *pattern, const char *kind) {
    size_t len = strlen(pattern);
    if (len > 0 && pattern[len - 1] == '*') {
        return strlen(kind) > len - 1 && strncmp(pattern, kind, len - 1) == 0;
    }
    return strcmp(pattern, kind) == 0;
}

static const char *provider(const sb_receiver *receiver) {
    return receiver->provider == NULL ? "stripe" : receiver->provider;
}

sb_result sb_dispatch(const sb_event *event) {
    bool taken = false;
    for (const sb_receiver *r = signalbox_plugin.receivers; r->kind != NULL; r++) {
        if (strcmp(provider(r), event->provider) != 0 || !sb_holds(r->kind, event->kind)) {
            continue;
        }
        taken = true;
        sb_result result = r->run(event);
        if (result.end == SB_END_UNSET) {
            return sb_reject("the receiver of `%s` returned a result that was never set: return "
                             "sb_ok(), sb_retry(...) or sb_reject(...)",
                             r->kind);
        }
        if (result.end != SB_END_OK) {
            return result;
        }
    }
    /* Otherwise it was accepted for an older version of the plugin. */
    return taken ? sb_ok()
                 : sb_reject("no receiver of %s %s takes `%s` of `%s`", signalbox_plugin.name,
                             signalbox_plugin.version, event->kind, event->provider);
}

/* Whether some type is in both patterns. */
static bool overlap(const char *a, const char *b) {
    for (; *a != 0 && *b != 0; a++, b++) {
        if (*a == '*' || *b == '*') {
            return true;
        }
        if (*a != *b) {
            return false;
        }
    }
    return *a == *b;
}

const char *sb_mistake(void) {
    const sb_plugin *p = &signalbox_plugin;
    if (p->name == NULL || p->version == NULL) {
        return "signalbox_plugin has no name or no version";
    }
    if (p->receivers == NULL || p->receivers->kind == NULL) {
        return "signalbox_plugin has no receivers: it takes no events";
    }
    for (const sb_receiver *r = p->receivers; r->kind != NULL; r++) {
        size_t len = strlen(r->kind);
        const char *star = strchr(r->kind, '*');
        if (r->run == NULL) {
            return sb_format("the receiver of `%s` has no function", r->kind);
        }
        if (star != NULL && (star != r->kind + len - 1 || (len > 1 && star[-1] != '.'))) {
            return sb_format("`%s` is no event type: write `invoice.paid`, `invoice.*` or `*`",
                             r->kind);
        }
        for (const sb_receiver *other = p->receivers; other != r; other++) {
            const char *a = r->filter == NULL ? "" : r->filter;
            const char *b = other->filter == NULL ? "" : other->filter;
            if (strcmp(provider(r), provider(other)) == 0 && strcmp(a, b) != 0 &&
                overlap(r->kind, other->kind)) {
                return sb_format("`%s` and `%s` have events in common and different filters. The "
                                 "host applies filters before it starts the plugin, once for all "
                                 "its receivers: give both the same filter, or make two plugins "
                                 "of them",
                                 other->kind, r->kind);
            }
        }
    }
    return NULL;
}
