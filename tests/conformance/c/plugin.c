/*
 * The conformance plugin in C: one receiver for each case that the suite delivers
 * to every language. It is no example; see example-plugins for those.
 */
#include <inttypes.h>
#include <string.h>

#include "signalbox.h"

#define NAME "conformance-c"

static sb_result subscribed(const sb_event *event) {
    return sb_kv_set_text(sb_format("subscribed/%s", event->kind), event->id);
}

static sb_result filtered(const sb_event *event) {
    return sb_kv_set_text(sb_format("filtered/%s", event->id), "seen");
}

static sb_result state(const sb_event *event) {
    (void)event;
    SB_TRY(sb_kv_set_text("kv/a", "1"));
    SB_TRY(sb_kv_set_text("kv/b", "2"));
    SB_TRY(sb_kv_set_text("kv/c", "3"));
    SB_TRY(sb_kv_delete("kv/b"));
    sb_keys keys;
    SB_TRY(sb_kv_keys("kv/", &keys));
    const char *list = "";
    for (size_t i = 0; i < keys.count; i++) {
        list = sb_format("%s%s%s", list, i == 0 ? "" : ",", keys.items[i]);
    }
    SB_TRY(sb_kv_set_text("kv-list", list));
    const char *absent;
    SB_TRY(sb_kv_get_text("kv/b", &absent));
    if (absent != NULL) {
        return sb_reject("kv/b is there: %s", absent);
    }
    return sb_kv_add("kv-count", 1, NULL);
}

static sb_result retry(const sb_event *event) {
    if (event->delivery.attempt == 1) {
        return sb_retry_after(50, "not yet");
    }
    return sb_kv_set_text("retry", sb_format("%" PRIu32, event->delivery.attempt));
}

static sb_result reject(const sb_event *event) {
    (void)event;
    return sb_reject("no such thing 雪");
}

static sb_result uncaught(const sb_event *event) {
    (void)event;
    SB_TRY(sb_kv_set_text("uncaught", "1"));
    sb_panic("boom 雪");
}

static sb_result large(const sb_event *event) {
    const sb_json *object;
    SB_TRY(sb_event_object(event, &object));
    size_t length = sb_json_bytes(sb_json_get(object, "padding")).len;
    return sb_kv_set_text("large", sb_format("%zu:%zu", event->body.len, length));
}

static sb_result unicode(const sb_event *event) {
    const sb_json *object;
    SB_TRY(sb_event_object(event, &object));
    return sb_kv_set("unicode", sb_json_bytes(sb_json_get(object, "text")));
}

static sb_result bigint(const sb_event *event) {
    const sb_json *object;
    int64_t amount;
    SB_TRY(sb_event_object(event, &object));
    SB_TRY(sb_need_int(object, "amount", &amount));
    return sb_kv_set_text("bigint", sb_format("%" PRId64, amount + 1));
}

static sb_result emit(const sb_event *event) {
    (void)event;
    return sb_emit("echo.empty", "text/plain", sb_text(""), 0, NULL);
}

static sb_result empty(const sb_event *event) {
    return sb_kv_set_text("empty", sb_format("%zu", event->body.len));
}

static const sb_attribute plain[] = {{"content-type", "text/plain"}, {0}};

static sb_request to_sink(const char *body) {
    const char *sink = sb_config("sink");
    return (sb_request){
        .method = "POST", .url = sink == NULL ? "" : sink, .headers = plain, .body = sb_text(body)};
}

static sb_result effects(const sb_event *event) {
    sb_request request = to_sink(event->id);
    const char *effect;
    SB_TRY(sb_http(&request, &effect));
    SB_TRY(sb_kv_set_text("effect", effect));
    sb_result refused = sb_emit("forbidden.kind", "text/plain", sb_text(""), 0, NULL);
    if (refused.cause != SB_NOT_GRANTED) {
        return sb_reject("forbidden.kind was not refused");
    }
    return sb_kv_set_text("refused", "not-granted");
}

static sb_result ask(const sb_event *event) {
    (void)event;
    sb_request request = to_sink("ping");
    request.reply_kind = "echo.reply";
    return sb_http(&request, NULL);
}

static sb_result answered(const sb_event *event) {
    sb_reply reply;
    if (!sb_event_reply(event, &reply)) {
        return sb_reject("it is no answer");
    }
    return sb_kv_set_text("reply", sb_format("%d:%.*s", reply.status, (int)reply.body.len,
                                             reply.body.data));
}

static sb_result mirror(const sb_event *event) {
    const sb_json *object;
    const char *id, *name;
    const sb_object *customer, *charge, *absent;
    SB_TRY(sb_event_object(event, &object));
    SB_TRY(sb_need_text(object, "customer", &id));
    SB_TRY(sb_object_get("stripe", "customer", id, &customer));
    if (customer == NULL) {
        return sb_reject("%s is not in the mirror", id);
    }
    SB_TRY(sb_need_text(sb_json_parse(customer->body, NULL), "name", &name));
    SB_TRY(sb_kv_set_text("object", sb_format("%s:%s", customer->id, name)));
    if (sb_object_get("stripe", "charge", "ch_1", &charge).cause != SB_NOT_GRANTED) {
        return sb_reject("a charge was not refused");
    }
    SB_TRY(sb_kv_set_text("object-refused", "not-granted"));
    SB_TRY(sb_object_get("stripe", "customer", "cus_absent", &absent));
    return absent == NULL ? sb_kv_set_text("object-absent", "none")
                          : sb_reject("cus_absent is there");
}

static sb_result setting(const sb_event *event) {
    (void)event;
    const char *greeting = sb_config("greeting");
    return sb_kv_set_text("config", greeting == NULL ? "" : greeting);
}

static sb_result line(const sb_event *event) {
    (void)event;
    sb_log(SB_INFO, (const sb_attribute[]){{"kind", "log"}, {0}}, "hello 雪");
    return sb_ok();
}

static sb_result nothing(const sb_event *event) {
    (void)event;
    return sb_ok();
}

const sb_plugin signalbox_plugin = {
    .name = NAME,
    .version = "0.1.0",
    .description = "Does in C what every language must be able to do",
    .receivers =
        (const sb_receiver[]){
            {"conformance.subscribed", subscribed},
            {"conformance.other", subscribed},
            {"conformance.family.*", subscribed},
            {"conformance.filtered", filtered, .filter = "event.data.object.amount > 100"},
            {"conformance.kv", state},
            {"conformance.retry", retry},
            {"conformance.reject", reject},
            {"conformance.uncaught", uncaught},
            {"conformance.large", large},
            {"conformance.unicode", unicode},
            {"conformance.bigint", bigint},
            {"conformance.emit", emit},
            {"echo.empty", empty, .provider = NAME},
            {"conformance.outbox", effects},
            {"conformance.reply", ask},
            {"echo.reply", answered, .provider = NAME},
            {"conformance.objects", mirror},
            {"conformance.config", setting},
            {"conformance.log", line},
            {"conformance.noop", nothing},
            {0},
        },
    .needs = (const sb_grant[]){{"outbox.emit", "echo.*"}, {"objects", "stripe customer"}, {0}},
};
