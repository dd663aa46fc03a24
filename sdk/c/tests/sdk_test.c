/*
 * The SDK against its test host. `make -C sdk/c/tests` runs it.
 */
#include <string.h>

#include "../src/internal.h"
#include "signalbox_test.h"

static sb_result first(const sb_event *event) {
    (void)event;
    return sb_kv_set_text("ran", "first");
}

static sb_result second(const sb_event *event) {
    (void)event;
    const char *ran;
    SB_TRY(sb_kv_get_text("ran", &ran));
    return sb_kv_set_text("ran", sb_format("%s second", ran));
}

static sb_result unset(const sb_event *event) {
    (void)event;
    sb_result nothing = {0};
    return nothing;
}

static sb_result panics(const sb_event *event) {
    (void)event;
    SB_TRY(sb_kv_set_text("panicked", "1"));
    sb_panic("boom %d", 1);
}

static sb_result pages(const sb_event *event) {
    (void)event;
    for (int i = 0; i < 40; i++) {
        SB_TRY(sb_kv_set_text(sb_format("k/%02d", i), ""));
    }
    SB_TRY(sb_kv_delete("k/07"));
    sb_keys keys;
    SB_TRY(sb_kv_keys("k/", &keys));
    SB_EXPECT(keys.count == 39);
    for (size_t i = 1; i < keys.count; i++) {
        SB_EXPECT(strcmp(keys.items[i - 1], keys.items[i]) < 0);
    }
    sb_bytes value;
    SB_TRY(sb_kv_get("k/00", &value));
    SB_EXPECT(value.data != NULL && value.len == 0);
    SB_TRY(sb_kv_get("k/07", &value));
    SB_EXPECT(value.data == NULL);
    SB_EXPECT(sb_kv_set_text("", "").cause == SB_KEY_SIZE);
    SB_EXPECT(sb_kv_set("big", (sb_bytes){sb_alloc(300000), 300000}).cause == SB_VALUE_SIZE);
    SB_TRY(sb_kv_add("n", INT64_MAX, NULL));
    SB_EXPECT(sb_failed(sb_kv_add("n", 1, NULL)));
    return sb_ok();
}

static sb_result numbers(const sb_event *event) {
    const sb_json *object;
    int64_t n;
    SB_TRY(sb_event_object(event, &object));
    SB_TRY(sb_need_int(object, "amount", &n));
    SB_EXPECT(n + 1 == 9007199254740994);
    SB_EXPECT(sb_json_int(sb_json_get(object, "least"), &n) && n == INT64_MIN);
    SB_EXPECT(!sb_json_int(sb_json_get(object, "more"), &n));
    SB_EXPECT(sb_json_raw(sb_json_get(object, "more")).len == 19);
    SB_EXPECT(!sb_json_int(sb_json_get(object, "half"), &n));
    SB_EXPECT(sb_json_double(sb_json_get(object, "half")) == 0.5);
    return sb_need_int(object, "half", &n);
}

static sb_result effects(const sb_event *event) {
    (void)event;
    const char *timer;
    sb_request request = {.method = "POST",
                          .url = "https://example.com/",
                          .headers = (sb_attribute[]){{"x", "{{secret:KEY}}"}, {0}},
                          .body = sb_text("body"),
                          .reply_kind = "answered"};
    SB_TRY(sb_http(&request, NULL));
    SB_TRY(sb_emit("due", "text/plain", sb_text("x"), 1000, &timer));
    request.url = "ftp://example.com/";
    SB_EXPECT(sb_http(&request, NULL).cause == SB_INVALID);
    SB_EXPECT(sb_cancel(timer, NULL).cause == SB_INVALID);
    return sb_kv_set_text("timer", timer);
}

static sb_result cancels(const sb_event *event) {
    (void)event;
    const char *timer;
    bool withdrawn;
    SB_TRY(sb_kv_get_text("timer", &timer));
    SB_TRY(sb_cancel(timer, &withdrawn));
    return sb_kv_set_text("withdrawn", withdrawn ? "yes" : "no");
}

static sb_result answered(const sb_event *event) {
    sb_reply reply;
    SB_EXPECT(sb_event_reply(event, &reply));
    return sb_kv_set_text("answer", sb_format("%d %.*s", reply.status, (int)reply.body.len,
                                              reply.body.data));
}

static sb_result mirror(const sb_event *event) {
    (void)event;
    const sb_object *object;
    SB_TRY(sb_object_get("stripe", "customer", "cus_2", &object));
    SB_EXPECT(object == NULL);
    SB_TRY(sb_object_get("stripe", "customer", "cus_1", &object));
    SB_EXPECT_TEXT(object->body.data, "{\"name\":\"Jenny\"}");
    SB_EXPECT_TEXT(sb_config("greeting"), "hi");
    SB_EXPECT_TEXT(sb_config("other"), NULL);
    SB_EXPECT_TEXT(sb_config_all()[0].name, "greeting");
    return sb_ok();
}

const sb_plugin signalbox_plugin = {
    .name = "tested",
    .version = "0.1.0",
    .receivers =
        (const sb_receiver[]){
            {"a.b", first},
            {"a.*", second},
            {"unset", unset},
            {"panics", panics},
            {"pages", pages},
            {"numbers", numbers},
            {"effects", effects},
            {"cancels", cancels},
            {"mirror", mirror},
            {"answered", answered, .provider = "tested"},
            {"due", first, .provider = "tested"},
            {0},
        },
};

static void json(void) {
    const char *error;
    const char *bad[] = {"",        "{",        "[1,]",    "{\"a\":1,}", "01",     "1.",    "-",
                         "\"\\x\"", "\"\\u12\"", "\"\n\"", "nul",        "1 2",    "{a:1}", "\"",
                         "1e",      "\"\\",      "[1 2]",  "{\"a\"}",    "+1",     "NaN"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sb_expect(sb_json_parse(sb_text(bad[i]), &error) == NULL && error != NULL, __FILE__,
                  __LINE__, "%s to be refused", bad[i]);
    }
    const char *deep = sb_format("%0200d", 0);
    memset((char *)deep, '[', 200);
    SB_EXPECT(sb_json_parse(sb_text(deep), &error) == NULL && strstr(error, "too deep") != NULL);

    const sb_json *all = sb_json_parse(
        sb_text(" {\"a\":{\"b\":[true,null,-1.5e3,\"x\"]},\"a.b\":2,\"e\":\"\\u00fc\\ud83c\\udf89"
                "\\ud800\\u0000\\\"\\n\"} "),
        &error);
    SB_EXPECT_TEXT(error, NULL);
    const sb_json *items = sb_json_at(all, "a.b");
    SB_EXPECT(sb_json_count(items) == 4 && sb_json_true(sb_json_first(items)));
    SB_EXPECT(sb_json_kind(sb_json_next(sb_json_first(items))) == SB_JSON_NULL);
    SB_EXPECT(sb_json_double(sb_json_next(sb_json_next(sb_json_first(items)))) == -1500);
    SB_EXPECT(sb_json_kind(sb_json_get(all, "a.b")) == SB_JSON_NUMBER);
    sb_bytes text = sb_json_bytes(sb_json_get(all, "e"));
    SB_EXPECT(text.len == 12 && memcmp(text.data, "ü🎉\xEF\xBF\xBD\0\"\n", 12) == 0);
    SB_EXPECT(sb_json_kind(sb_json_at(NULL, "a")) == SB_JSON_ABSENT);
    SB_EXPECT_TEXT(sb_quote("a\"\\\n\x01雪"), "\"a\\\"\\\\\\u000a\\u0001雪\"");
    SB_EXPECT_TEXT(sb_json_string(sb_json_parse(sb_text(sb_quote("a\"\n")), NULL)), "a\"\n");
}

int main(void) {
    json();
    SB_EXPECT_END(sb_deliver("a.b", "{}"), SB_RUN_OK);
    SB_EXPECT_TEXT(sb_test_get("ran"), "first second");
    SB_EXPECT_END(sb_deliver("a", "{}"), SB_RUN_NOT_SUBSCRIBED);
    sb_run run = sb_deliver("unset", "{}");
    SB_EXPECT_END(run, SB_RUN_REJECT);
    SB_EXPECT(strstr(run.reason, "never set") != NULL);

    run = sb_deliver("panics", "{}");
    SB_EXPECT_END(run, SB_RUN_PANIC);
    SB_EXPECT_TEXT(run.reason, "boom 1");
    SB_EXPECT(run.log_count == 1 && run.logs[0].level == SB_ERROR);
    SB_EXPECT(strncmp(run.logs[0].attributes[0].value, "sdk_test.c:", 11) == 0);
    SB_EXPECT_TEXT(sb_test_get("panicked"), NULL);

    SB_EXPECT_END(sb_deliver("pages", "{}"), SB_RUN_OK);
    run = sb_deliver("numbers", "{\"amount\":9007199254740993,\"least\":-9223372036854775808,"
                                "\"more\":9223372036854775808,\"half\":0.5}");
    SB_EXPECT_END(run, SB_RUN_REJECT);
    SB_EXPECT_TEXT(run.reason, "`half` is no whole number of 64 bits");

    run = sb_deliver("effects", "{}");
    SB_EXPECT_END(run, SB_RUN_OK);
    SB_EXPECT(run.effect_count == 2 && run.effects[1].delay_ms == 1000);
    SB_EXPECT_TEXT(sb_effect_header(&run.effects[0], "x"), "{{secret:KEY}}");
    SB_EXPECT_END(sb_answer("stripe.evt_test.tested.0", 201, "fine"), SB_RUN_OK);
    SB_EXPECT_TEXT(sb_test_get("answer"), "201 fine");
    sb_event later = {.id = "evt_2", .provider = "stripe", .kind = "cancels", .body = sb_text("{}")};
    SB_EXPECT_END(sb_deliver_event(later), SB_RUN_OK);
    SB_EXPECT_TEXT(sb_test_get("withdrawn"), "yes");
    sb_test_refuse("outbox.http");
    run = sb_deliver("effects", "{}");
    SB_EXPECT_TEXT(run.reason,
                   "outbox: not granted: outbox.http `POST https://example.com/`");

    sb_test_reset();
    SB_EXPECT(sb_test_count() == 0);
    sb_test_setting("greeting", "hi");
    sb_test_object("stripe", "customer", "cus_1", "{\"name\":\"Jenny\"}");
    SB_EXPECT_END(sb_deliver("mirror", "{}"), SB_RUN_OK);
    sb_test_refuse("objects");
    run = sb_deliver("mirror", "{}");
    SB_EXPECT_TEXT(run.reason, "objects: not granted: objects `stripe customer`");
    return sb_test_report();
}
