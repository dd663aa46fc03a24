/*
 * Adds up what came in and went out, per day and currency, in the currency's
 * smallest unit: exact, in whole numbers of 64 bits.
 *
 * A day is UTC's, by the time the provider says it happened: an event that comes
 * late counts for its own day.
 */
#include <inttypes.h>
#include <time.h>

#include "signalbox.h"

/* Add to a day's sum of one kind, say `charged/2026-11-24/eur`. */
static sb_result book(const sb_event *event, const sb_json *object, const char *kind,
                      int64_t amount) {
    const char *id, *currency;
    SB_TRY(sb_need_text(object, "id", &id));
    SB_TRY(sb_need_text(object, "currency", &currency));
    time_t seconds = (time_t)(event->occurred_at / 1000);
    struct tm when;
    char day[sizeof "2026-11-24"];
    if (gmtime_r(&seconds, &when) == NULL ||
        strftime(day, sizeof day, "%Y-%m-%d", &when) != sizeof day - 1) {
        return sb_reject("%s happened at no time of the calendar", event->id);
    }
    int64_t sum;
    SB_TRY(sb_kv_add(sb_format("%s/%s/%s", kind, day, currency), amount, &sum));
    sb_info("%s: %s %" PRId64 " %s, %" PRId64 " that day", id, kind, amount, currency, sum);
    return sb_ok();
}

static sb_result charged(const sb_event *event) {
    const sb_json *charge;
    int64_t amount;
    SB_TRY(sb_event_object(event, &charge));
    SB_TRY(sb_need_int(charge, "amount", &amount));
    return book(event, charge, "charged", amount);
}

/* The charge says what was refunded in all; what was before says how much is new. */
static sb_result refunded(const sb_event *event) {
    const sb_json *json, *charge;
    int64_t all, before = 0;
    SB_TRY(sb_event_json(event, &json));
    SB_TRY(sb_event_object(event, &charge));
    SB_TRY(sb_need_int(charge, "amount_refunded", &all));
    const sb_json *previous = sb_json_at(json, "data.previous_attributes.amount_refunded");
    if (previous != NULL && !sb_json_int(previous, &before)) {
        return sb_reject("the amount refunded before is no whole number");
    }
    return book(event, charge, "refunded", all - before);
}

static sb_result lost(const sb_event *event) {
    const sb_json *dispute;
    int64_t amount;
    SB_TRY(sb_event_object(event, &dispute));
    SB_TRY(sb_need_int(dispute, "amount", &amount));
    return book(event, dispute, "disputed", amount);
}

const sb_plugin signalbox_plugin = {
    .name = "daily-revenue",
    .version = "0.1.0",
    .description = "Adds up charges, refunds and lost disputes per day and currency",
    .receivers =
        (const sb_receiver[]){
            {"charge.succeeded", charged},
            {"charge.refunded", refunded},
            {"charge.dispute.funds_withdrawn", lost},
            {0},
        },
    .attributes = (const sb_attribute[]){{"limit-cpu", "100ms"}, {"limit-memory", "8MiB"}, {0}},
};
