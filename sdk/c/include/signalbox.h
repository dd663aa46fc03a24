/*
 * Plugins of signalbox in C: functions on webhooks, run in a sandbox, whose
 * work is committed once or not at all.
 *
 *     static sb_result count_charge(const sb_event *event) {
 *         const sb_json *charge;
 *         const char *customer;
 *         SB_TRY(sb_event_object(event, &charge));
 *         SB_TRY(sb_need_text(charge, "customer", &customer));
 *         return sb_kv_add(sb_format("customer/%s", customer), 1, NULL);
 *     }
 *
 *     const sb_plugin signalbox_plugin = {
 *         .name = "charge-counter",
 *         .version = "0.1.0",
 *         .receivers = (const sb_receiver[]){{"charge.succeeded", count_charge}, {0}},
 *     };
 *
 * Memory has one rule: whatever a function here returns or fills in is valid
 * until the receiver returns, and nothing is ever freed. Use sb_alloc and
 * sb_format for memory of your own and there is nothing to leak; malloc and
 * free work too. Every event meets a fresh instance, so statics and globals
 * are as the compiler laid them out.
 *
 * This header is all of the interface but for tests: signalbox_test.h.
 */
#ifndef SIGNALBOX_H
#define SIGNALBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SB_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#define SB_USED __attribute__((warn_unused_result))

/* Bytes of a known length, which need not end in NUL. Absent: data is NULL. */
typedef struct sb_bytes {
    const char *data;
    size_t len;
} sb_bytes;

/* A name and a value. Lists of them end with one whose name is NULL. */
typedef struct sb_attribute {
    const char *name;
    const char *value;
} sb_attribute;

/* The bytes of a text, without its NUL. */
sb_bytes sb_text(const char *text);

/* ---- Memory ------------------------------------------------------------ */

/* Zeroed memory until the receiver returns. Never NULL: a plugin that is out of
 * memory ends. */
void *sb_alloc(size_t size);

/* A text like sprintf's, of whatever length. */
const char *sb_format(const char *format, ...) SB_PRINTF(1, 2);

/* A text as a JSON string, quotes included: sb_format("{\"to\":%s}", sb_quote(name)). */
const char *sb_quote(const char *text);

/* ---- How a receiver ends ----------------------------------------------- */

typedef enum sb_end {
    SB_END_UNSET, /* not a result: the host is told to reject the event */
    SB_END_OK,
    SB_END_RETRY,
    SB_END_REJECT,
} sb_end;

/* Why a function of this header failed, for receivers that go on. */
typedef enum sb_cause {
    SB_CAUSE_OTHER,
    SB_KEY_SIZE,    /* the key is empty or longer than 512 bytes */
    SB_VALUE_SIZE,  /* the value is larger than the host allows */
    SB_QUOTA,       /* the plugin holds, or asks for, more than it may */
    SB_OPERATIONS,  /* the delivery reads or writes more than it may */
    SB_NOT_GRANTED, /* the operator did not grant it */
    SB_INVALID,     /* it is not well-formed */
    SB_SHAPE,       /* the data is not what was asked for */
} sb_cause;

/* Made by sb_ok and its siblings, never by hand. */
typedef struct sb_result {
    sb_end end;
    sb_cause cause;
    const char *reason;
    uint64_t after_ms;
} sb_result;

/* The event is handled: what was written and asked for becomes durable with it. */
sb_result sb_ok(void);

/* It may succeed later: the host delivers the event again, by its own backoff or
 * no earlier than after_ms from now. */
sb_result sb_retry(const char *reason, ...) SB_PRINTF(1, 2);
sb_result sb_retry_after(uint64_t after_ms, const char *reason, ...) SB_PRINTF(2, 3);

/* It never will: the host gives the delivery up; an operator can replay it. */
sb_result sb_reject(const char *reason, ...) SB_PRINTF(1, 2);

bool sb_failed(sb_result result);

/* Return from the receiver with the failure of a call, if it is one. The failures
 * of this header choose by one rule: where the event is at fault it is rejected,
 * where anything else is, there is another attempt. */
#define SB_TRY(call)                          \
    do {                                      \
        sb_result sb_try_result_ = (call);    \
        if (sb_failed(sb_try_result_)) {      \
            return sb_try_result_;            \
        }                                     \
    } while (0)

/* End at once: a mistake of the program's own. The message, the file and the line
 * are in the log at error level; it counts against the plugin, and the host tries
 * again. A failed assert does the same. */
#define sb_panic(...) sb_panic_at(__FILE__, __LINE__, __VA_ARGS__)
_Noreturn void sb_panic_at(const char *file, int line, const char *format, ...) SB_PRINTF(3, 4);

/* ---- Events ------------------------------------------------------------ */

/* One webhook, its signature verified, or an event made by the host. */
typedef struct sb_event {
    const char *id;       /* the provider's: evt_1Nx... */
    const char *provider; /* stripe; a plugin's name or signalbox for one made by the host */
    const char *kind;     /* invoice.paid */
    uint64_t occurred_at; /* milliseconds since 1970, as the provider says */
    uint64_t received_at; /* the same at every attempt: the clock to use */
    const char *content_type;
    sb_bytes body;                  /* the very bytes the signature covers */
    const sb_attribute *attributes; /* of Stripe: account, api-version, livemode, request-id */
    struct {
        const char *id;   /* the same at every attempt */
        uint32_t attempt; /* 1 for the first */
        bool replay;      /* an operator had it delivered again */
    } delivery;
} sb_event;

/* NULL where there is none. */
const char *sb_event_attribute(const sb_event *event, const char *name);

typedef struct sb_json sb_json;

/* The body as JSON, and in it data.object: what Stripe's event is about. They
 * reject what is not JSON, or has no object. */
SB_USED sb_result sb_event_json(const sb_event *event, const sb_json **json);
SB_USED sb_result sb_event_object(const sb_event *event, const sb_json **object);

/* The answer to a request of the outbox's. */
typedef struct sb_reply {
    int status; /* 0 when the host gave the request up, and the body says why */
    const char *effect;
    sb_bytes body;
} sb_reply;

/* False where the event is no answer. Headers are the attributes header-NAME. */
bool sb_event_reply(const sb_event *event, sb_reply *reply);

/* ---- JSON -------------------------------------------------------------- */

/* Every function takes NULL for a value that is not there, so that they nest. */

typedef enum sb_json_type {
    SB_JSON_ABSENT,
    SB_JSON_NULL,
    SB_JSON_BOOL,
    SB_JSON_NUMBER,
    SB_JSON_STRING,
    SB_JSON_ARRAY,
    SB_JSON_OBJECT,
} sb_json_type;

/* NULL where the text is not JSON; *error, if it is wanted, then says why. */
const sb_json *sb_json_parse(sb_bytes text, const char **error);

sb_json_type sb_json_kind(const sb_json *json);

/* A member by its name, and one further down: "data.object.amount". */
const sb_json *sb_json_get(const sb_json *object, const char *name);
const sb_json *sb_json_at(const sb_json *json, const char *path);

/* What is in an array or an object, in the order of the text. */
size_t sb_json_count(const sb_json *json);
const sb_json *sb_json_first(const sb_json *json);
const sb_json *sb_json_next(const sb_json *item);
const char *sb_json_name(const sb_json *member);

/* NULL where it is no string. sb_json_bytes is for strings that hold a NUL. */
const char *sb_json_string(const sb_json *json);
sb_bytes sb_json_bytes(const sb_json *json);

/* Whole numbers are exact to 64 bits: false where it is none, or greater. */
bool sb_json_int(const sb_json *json, int64_t *value);
double sb_json_double(const sb_json *json);
bool sb_json_true(const sb_json *json);

/* A value as it stands in the text: a number of any size, a whole object. */
sb_bytes sb_json_raw(const sb_json *json);

/* A member that must be there: they reject the event where it is not. */
SB_USED sb_result sb_need_text(const sb_json *object, const char *name, const char **text);
SB_USED sb_result sb_need_int(const sb_json *object, const char *name, int64_t *value);

/* ---- State: an ordered map of the plugin's own -------------------------- */

/* value->data is NULL, *text is NULL, where there is nothing. */
SB_USED sb_result sb_kv_get(const char *key, sb_bytes *value);
SB_USED sb_result sb_kv_get_text(const char *key, const char **text);
SB_USED sb_result sb_kv_set(const char *key, sb_bytes value);
SB_USED sb_result sb_kv_set_text(const char *key, const char *text);
SB_USED sb_result sb_kv_delete(const char *key);

/* The whole number under key, 0 until it is first added to. sum may be NULL. */
SB_USED sb_result sb_kv_count(const char *key, int64_t *count);
SB_USED sb_result sb_kv_add(const char *key, int64_t n, int64_t *sum);

/* The keys that start with prefix, in ascending order of their bytes. */
typedef struct sb_keys {
    const char **items;
    size_t count;
} sb_keys;
SB_USED sb_result sb_kv_keys(const char *prefix, sb_keys *keys);

/* ---- The log ------------------------------------------------------------ */

typedef enum sb_level { SB_TRACE, SB_DEBUG, SB_INFO, SB_WARN, SB_ERROR } sb_level;

/* Attributes may be NULL. Records are kept when the delivery fails. */
void sb_log(sb_level level, const sb_attribute *attributes, const char *format, ...)
    SB_PRINTF(3, 4);
#define sb_info(...) sb_log(SB_INFO, NULL, __VA_ARGS__)
#define sb_warn(...) sb_log(SB_WARN, NULL, __VA_ARGS__)
#define sb_error(...) sb_log(SB_ERROR, NULL, __VA_ARGS__)

/* ---- Settings the operator gave ----------------------------------------- */

/* NULL where it is not set. Secrets are no settings: they never enter a plugin. */
const char *sb_config(const char *key);
const sb_attribute *sb_config_all(void);

/* ---- The host's mirror of the provider's objects ------------------------ */

typedef struct sb_object {
    const char *id, *kind;
    uint64_t as_of;       /* milliseconds since 1970 */
    const char *event_id; /* empty for a state fetched from the provider */
    bool deleted;         /* body is then the last state before that */
    sb_bytes body;
} sb_object;

/* *object is NULL when no accepted event has shown it. */
SB_USED sb_result sb_object_get(const char *provider, const char *kind, const char *id,
                                const sb_object **object);

/* ---- Effects, performed once the delivery has committed ------------------ */

/* Each has an identifier: the delivery's, and the place of the call in it. So
 * make the same calls in the same order when the same event comes again. */

typedef struct sb_request {
    const char *method; /* POST */
    const char *url;
    /* Names in lower case. {{secret:NAME}} in a value becomes the operator's
     * secret as the request is sent. May be NULL. */
    const sb_attribute *headers;
    sb_bytes body;
    const char *reply_kind; /* bring the answer back as an event of this type, or NULL */
    uint64_t delay_ms;
} sb_request;

/* effect, if it is not NULL, is given the identifier, to cancel it later. */
SB_USED sb_result sb_http(const sb_request *request, const char **effect);

/* An event of the plugin's own; with a delay it is a durable timer. */
SB_USED sb_result sb_emit(const char *kind, const char *content_type, sb_bytes body,
                          uint64_t delay_ms, const char **effect);

/* Withdraw what an earlier delivery asked for; *withdrawn is false when it is too
 * late. withdrawn may be NULL. */
SB_USED sb_result sb_cancel(const char *effect, bool *withdrawn);

/* ---- The plugin ---------------------------------------------------------- */

typedef struct sb_receiver {
    const char *kind; /* invoice.paid; invoice.*; or * */
    sb_result (*run)(const sb_event *event);
    const char *provider; /* stripe unless set */
    /* A CEL expression, which the host evaluates without starting the plugin:
     * event.data.object.amount > 100000 */
    const char *filter;
} sb_receiver;

/* What the operator is asked to grant: outbox.http, `POST https://api.example.com/x`;
 * outbox.emit, `reminder.*`; objects, `stripe customer`; secret, its name. */
typedef struct sb_grant {
    const char *capability;
    const char *scope;
} sb_grant;

/* Every plugin defines one, as signalbox_plugin. */
typedef struct sb_plugin {
    const char *name; /* lower-case kebab-case; the same in every version */
    const char *version;
    const char *description;
    const sb_receiver *receivers; /* ends with {0}; they run in this order */
    const sb_grant *needs;        /* ends with {0}; NULL for none */
    /* ordering, concurrency, limit-cpu, limit-wall, limit-memory; NULL for none */
    const sb_attribute *attributes;
} sb_plugin;

extern const sb_plugin signalbox_plugin;

#ifdef __cplusplus
}
#endif
#endif
