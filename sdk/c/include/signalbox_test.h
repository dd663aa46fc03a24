/*
 * Run receivers natively: a plain C program, no WebAssembly and no host.
 *
 *     int main(void) {
 *         sb_run run = sb_deliver("charge.succeeded", "{\"id\":\"ch_1\",\"customer\":\"cus_1\"}");
 *         SB_EXPECT_END(run, SB_RUN_OK);
 *         SB_EXPECT_TEXT(sb_test_get("customer/cus_1"), "1");
 *         return sb_test_report();
 *     }
 *
 * It is compiled with the plugin and the C files of the SDK's src and test, as the
 * Makefile of a new project does.
 *
 * A host in memory treats the plugin's state as the real one does: a failed run
 * leaves no writes, the contract's limits hold. What it does not do: evaluate
 * filters (it delivers as if they held), bound time and memory, and start from a
 * fresh instance (a static keeps its value). What a run returned is valid until
 * the next one begins.
 */
#ifndef SIGNALBOX_TEST_H
#define SIGNALBOX_TEST_H

#include "signalbox.h"

typedef enum sb_run_end {
    SB_RUN_OK,
    SB_RUN_RETRY,
    SB_RUN_REJECT,
    SB_RUN_PANIC,
    SB_RUN_NOT_SUBSCRIBED, /* the host would not have started the plugin */
} sb_run_end;

typedef struct sb_record {
    sb_level level;
    const char *message;
    const sb_attribute *attributes;
} sb_record;

typedef struct sb_effect {
    const char *id;
    bool emitted;         /* an event; otherwise a request */
    const char *kind;     /* of an event */
    const char *method;   /* of a request, as what follows */
    const char *url;
    const sb_attribute *headers;
    const char *reply_kind;
    const char *content_type; /* of an event */
    sb_bytes body;
    uint64_t delay_ms;
    enum { SB_WAITING, SB_PERFORMED, SB_CANCELLED } status;
} sb_effect;

/* What one delivery came to. */
typedef struct sb_run {
    sb_run_end end;
    const char *reason;
    uint64_t after_ms;
    const sb_record *logs;
    size_t log_count;
    const sb_effect *effects; /* none unless it succeeded */
    size_t effect_count;
} sb_run;

/* Deliver Stripe's event of this type about this object; an event as a file holds
 * it; or any event, as this attempt. */
sb_run sb_deliver(const char *kind, const char *object_json);
sb_run sb_deliver_fixture(const char *path);
sb_run sb_deliver_event(sb_event event);

/* Deliver what a run that succeeded asked for: an emitted event or a timer whose
 * delay is over; the answer to a request, status 0 when the host gave it up. */
sb_run sb_fire(const char *effect);
sb_run sb_answer(const char *effect, int status, const char *body);
const char *sb_effect_header(const sb_effect *effect, const char *name);
bool sb_logged(sb_run run, const char *text);

/* The host: empty again; the operator's settings; a grant taken back (outbox.http,
 * outbox.emit, objects); the mirror; the state, NULL where there is nothing. */
void sb_test_reset(void);
void sb_test_setting(const char *key, const char *value);
void sb_test_refuse(const char *capability);
void sb_test_object(const char *provider, const char *kind, const char *id, const char *json);
void sb_test_set(const char *key, const char *text);
const char *sb_test_get(const char *key);
size_t sb_test_count(void);

/* An expectation that fails is told with its place, and the program goes on. */
#define SB_EXPECT(condition) sb_expect((condition), __FILE__, __LINE__, "%s", #condition)
#define SB_EXPECT_TEXT(actual, expected) sb_expect_text(actual, expected, __FILE__, __LINE__)
#define SB_EXPECT_END(run, end) sb_expect_end(run, end, __FILE__, __LINE__)
bool sb_expect(bool condition, const char *file, int line, const char *format, ...)
    SB_PRINTF(4, 5);
bool sb_expect_text(const char *actual, const char *expected, const char *file, int line);
bool sb_expect_end(sb_run run, sb_run_end end, const char *file, int line);

/* Say how many expectations held. What main is to return. */
int sb_test_report(void);

#endif
