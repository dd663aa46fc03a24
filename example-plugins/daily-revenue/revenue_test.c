/*
 * The plugin against the SDK's host in memory: `make test`.
 */
#include "signalbox_test.h"

static sb_run refund(const char *body) {
    return sb_deliver_event((sb_event){
        .id = "evt_refund",
        .provider = "stripe",
        .kind = "charge.refunded",
        .occurred_at = 1795564800000, /* 2026-11-25 */
        .body = sb_text(body),
    });
}

int main(void) {
    const char *charge = "{\"id\":\"ch_1\",\"amount\":4611686018427387904,\"currency\":\"eur\"}";
    sb_run run = sb_deliver("charge.succeeded", charge);
    SB_EXPECT_END(run, SB_RUN_OK);
    SB_EXPECT_TEXT(sb_test_get("charged/2026-11-23/eur"), "4611686018427387904");
    SB_EXPECT(sb_logged(run, "charged 4611686018427387904 eur"));

    run = sb_deliver("charge.succeeded", charge);
    SB_EXPECT_END(run, SB_RUN_RETRY);
    SB_EXPECT_TEXT(run.reason, "kv `charged/2026-11-23/eur`: the counter is full");

    SB_EXPECT_END(refund("{\"data\":{\"object\":{\"id\":\"ch_2\",\"amount_refunded\":700,"
                         "\"currency\":\"usd\"},\"previous_attributes\":{\"amount_refunded\":500}}}"),
                  SB_RUN_OK);
    SB_EXPECT_TEXT(sb_test_get("refunded/2026-11-25/usd"), "200");
    SB_EXPECT_END(refund("{\"data\":{\"object\":{\"id\":\"ch_3\",\"amount_refunded\":50,"
                         "\"currency\":\"usd\"}}}"),
                  SB_RUN_OK);
    SB_EXPECT_TEXT(sb_test_get("refunded/2026-11-25/usd"), "250");

    run = sb_deliver("charge.dispute.funds_withdrawn", "{\"id\":\"dp_1\",\"amount\":10.5}");
    SB_EXPECT_END(run, SB_RUN_REJECT);
    SB_EXPECT_TEXT(run.reason, "`amount` is no whole number of 64 bits");
    return sb_test_report();
}
