/*
 * {{name}}: counts charges per customer.
 */
#include <inttypes.h>

#include "signalbox.h"

/* Runs for each event of its type. What it writes is committed with its success:
 * an event counts once, however often it is attempted. */
static sb_result count_charge(const sb_event *event) {
    const sb_json *charge;
    const char *id;
    int64_t count;
    SB_TRY(sb_event_object(event, &charge));
    SB_TRY(sb_need_text(charge, "id", &id));
    const char *payer = sb_json_string(sb_json_get(charge, "customer"));
    if (payer == NULL) {
        payer = "guest";
    }
    SB_TRY(sb_kv_add(sb_format("charges/%s", payer), 1, &count));
    sb_log(SB_INFO, (const sb_attribute[]){{"customer", payer}, {0}},
           "charge %s is number %" PRId64 " of %s", id, count, payer);
    return sb_ok();
}

const sb_plugin signalbox_plugin = {
    .name = "{{name}}",
    .version = "0.1.0",
    .description = "Counts charges per customer",
    .receivers =
        (const sb_receiver[]){
            {"charge.succeeded", count_charge},
            {0},
        },
};
