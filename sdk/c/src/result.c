/*
 * How a receiver ends, and the log. Not what the host makes of it.
 */
#include <string.h>

#include "internal.h"

sb_result sb_ok(void) {
    return (sb_result){.end = SB_END_OK};
}

bool sb_failed(sb_result result) {
    return result.end != SB_END_OK;
}

sb_result sb_retry(const char *reason, ...) {
    va_list arguments;
    va_start(arguments, reason);
    sb_result result = {.end = SB_END_RETRY, .reason = sb_vformat(reason, arguments)};
    va_end(arguments);
    return result;
}

sb_result sb_retry_after(uint64_t after_ms, const char *reason, ...) {
    va_list arguments;
    va_start(arguments, reason);
    sb_result result = {
        .end = SB_END_RETRY, .reason = sb_vformat(reason, arguments), .after_ms = after_ms};
    va_end(arguments);
    return result;
}

sb_result sb_reject(const char *reason, ...) {
    va_list arguments;
    va_start(arguments, reason);
    sb_result result = {.end = SB_END_REJECT, .reason = sb_vformat(reason, arguments)};
    va_end(arguments);
    return result;
}

sb_result sb_because(sb_end end, sb_cause cause, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    sb_result result = {.end = end, .cause = cause, .reason = sb_vformat(format, arguments)};
    va_end(arguments);
    return result;
}

void sb_log(sb_level level, const sb_attribute *attributes, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    sb_host_log(level, sb_vformat(format, arguments), attributes);
    va_end(arguments);
}

void sb_panic_at(const char *file, int line, const char *format, ...) {
    static bool panicking;
    if (panicking) {
        /* No memory to say it with. */
        sb_host_end("the plugin is out of memory");
    }
    panicking = true;
    va_list arguments;
    va_start(arguments, format);
    const char *message = sb_vformat(format, arguments);
    va_end(arguments);
    const char *name = strrchr(file, '/');
    const sb_attribute place[] = {
        {"place", sb_format("%s:%d", name == NULL ? file : name + 1, line)}, {0}};
    sb_host_log(SB_ERROR, message, place);
    panicking = false;
    sb_host_end(message);
}

const char *sb_config(const char *key) {
    return sb_host_config(key);
}

const sb_attribute *sb_config_all(void) {
    return sb_host_config_all();
}
