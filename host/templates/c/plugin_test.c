/*
 * The plugin against the SDK's host in memory: `make test`.
 */
#include "signalbox_test.h"

int main(void) {
    SB_EXPECT_END(sb_deliver("charge.succeeded", "{\"id\":\"ch_1\",\"customer\":\"cus_1\"}"),
                  SB_RUN_OK);
    SB_EXPECT_END(sb_deliver("charge.succeeded", "{\"id\":\"ch_2\",\"customer\":null}"),
                  SB_RUN_OK);
    SB_EXPECT_TEXT(sb_test_get("charges/cus_1"), "1");
    SB_EXPECT_TEXT(sb_test_get("charges/guest"), "1");

    sb_run run = sb_deliver("charge.succeeded", "{\"id\":1}");
    SB_EXPECT_END(run, SB_RUN_REJECT);
    SB_EXPECT_TEXT(run.reason, "`id` is no text");

    run = sb_deliver_fixture("fixtures/charge.succeeded.json");
    SB_EXPECT_END(run, SB_RUN_OK);
    SB_EXPECT(sb_logged(run, "is number 1 of cus_fixture"));
    return sb_test_report();
}
