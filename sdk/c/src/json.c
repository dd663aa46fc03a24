/*
 * A reader of JSON into the memory of the delivery. Not a writer: sb_format and
 * sb_quote make what a plugin sends.
 *
 * It is the SDK's own because of numbers: the text of each is kept, so whole
 * numbers are exact and none is rounded by being read.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* Nesting beyond this is refused, as the host refuses it of Stripe's events. */
#define DEEPEST 128

struct sb_json {
    sb_json_type type;
    const char *name; /* of a member */
    sb_bytes raw;
    sb_bytes string;
    sb_json *first, *next;
    size_t count;
};

typedef struct reader {
    const char *start, *at, *end;
    const char *error;
} reader;

static sb_json *value(reader *r, int depth);

static sb_json *wrong(reader *r, const char *what) {
    if (r->error == NULL) {
        r->error = sb_format("%s at byte %zu", what, (size_t)(r->at - r->start));
    }
    return NULL;
}

static void space(reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')) {
        r->at++;
    }
}

static bool take(reader *r, char c) {
    space(r);
    if (r->at < r->end && *r->at == c) {
        r->at++;
        return true;
    }
    return false;
}

static bool hex(reader *r, uint32_t *code) {
    *code = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        char c = r->at < r->end ? *r->at : 0;
        uint32_t digit;
        if (c >= '0' && c <= '9') {
            digit = (uint32_t)(c - '0');
        } else if ((c | 32) >= 'a' && (c | 32) <= 'f') {
            digit = (uint32_t)((c | 32) - 'a' + 10);
        } else {
            return false;
        }
        *code = *code << 4 | digit;
    }
    return true;
}

static char *utf8(char *to, uint32_t code) {
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xC0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        *to++ = (char)(0xE0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3F));
        *to++ = (char)(0x80 | (code & 0x3F));
    } else {
        *to++ = (char)(0xF0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3F));
        *to++ = (char)(0x80 | (code >> 6 & 0x3F));
        *to++ = (char)(0x80 | (code & 0x3F));
    }
    return to;
}

/* What follows `\u`. A half of a pair alone becomes U+FFFD, as text has none. */
static bool unicode(reader *r, char **to) {
    uint32_t code, low;
    if (!hex(r, &code)) {
        return false;
    }
    if (code >= 0xD800 && code < 0xDC00 && r->end - r->at >= 6 && r->at[0] == '\\' &&
        r->at[1] == 'u') {
        const char *pair = r->at;
        r->at += 2;
        if (!hex(r, &low)) {
            return false;
        }
        if (low >= 0xDC00 && low < 0xE000) {
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        } else {
            r->at = pair;
        }
    }
    *to = utf8(*to, code >= 0xD800 && code < 0xE000 ? 0xFFFD : code);
    return true;
}

/* The place is after the opening quote. What an escape stands for is never longer
 * than the escape. */
static bool string(reader *r, sb_bytes *text) {
    const char *close = r->at;
    while (close < r->end && *close != '"') {
        close += *close == '\\' ? 2 : 1;
    }
    if (close >= r->end) {
        wrong(r, "a string that does not end");
        return false;
    }
    char *start = sb_alloc((size_t)(close - r->at) + 1), *to = start;
    while (r->at < close) {
        char c = *r->at++;
        if ((unsigned char)c < 0x20) {
            wrong(r, "a control character in a string");
            return false;
        }
        if (c != '\\') {
            *to++ = c;
            continue;
        }
        static const char escapes[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
        const char *known = strchr(escapes, c = *r->at++);
        if (c == 'u' ? !unicode(r, &to) : c == 0 || known == NULL) {
            wrong(r, "an escape that is none");
            return false;
        }
        if (c != 'u') {
            *to++ = meant[known - escapes];
        }
    }
    r->at++;
    *text = (sb_bytes){start, (size_t)(to - start)};
    return true;
}

static bool digits(reader *r) {
    const char *first = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9') {
        r->at++;
    }
    return r->at > first;
}

static sb_json *number(reader *r, sb_json *json) {
    const char *first = r->at;
    r->at += *r->at == '-';
    bool zero = r->at < r->end && *r->at == '0';
    const char *whole = r->at;
    bool good = digits(r) && (!zero || r->at == whole + 1);
    if (good && r->at < r->end && *r->at == '.') {
        r->at++;
        good = digits(r);
    }
    if (good && r->at < r->end && (*r->at | 32) == 'e') {
        r->at++;
        r->at += r->at < r->end && (*r->at == '+' || *r->at == '-');
        good = digits(r);
    }
    json->type = SB_JSON_NUMBER;
    json->raw = (sb_bytes){first, (size_t)(r->at - first)};
    return good ? json : wrong(r, "a number that is none");
}

static bool word(reader *r, const char *text) {
    size_t len = strlen(text);
    if ((size_t)(r->end - r->at) < len || memcmp(r->at, text, len) != 0) {
        return false;
    }
    r->at += len;
    return true;
}

static sb_json *items(reader *r, sb_json *json, int depth, char close) {
    sb_json **last = &json->first;
    if (depth == DEEPEST) {
        return wrong(r, "nesting that is too deep");
    }
    if (take(r, close)) {
        return json;
    }
    do {
        sb_bytes name = {0};
        if (close == '}' && (!take(r, '"') || !string(r, &name) || !take(r, ':'))) {
            return wrong(r, "a member without a name");
        }
        sb_json *item = value(r, depth + 1);
        if (item == NULL) {
            return NULL;
        }
        item->name = name.data;
        *last = item;
        last = &item->next;
        json->count++;
    } while (take(r, ','));
    return take(r, close) ? json : wrong(r, close == '}' ? "no `}`" : "no `]`");
}

static sb_json *value(reader *r, int depth) {
    space(r);
    if (r->at == r->end) {
        return wrong(r, "nothing");
    }
    const char *first = r->at;
    sb_json *json = sb_alloc(sizeof *json);
    switch (*r->at) {
    case '{':
    case '[':
        json->type = *r->at == '{' ? SB_JSON_OBJECT : SB_JSON_ARRAY;
        r->at++;
        json = items(r, json, depth, json->type == SB_JSON_OBJECT ? '}' : ']');
        break;
    case '"':
        json->type = SB_JSON_STRING;
        r->at++;
        json = string(r, &json->string) ? json : NULL;
        break;
    case 't':
    case 'f':
        json->type = SB_JSON_BOOL;
        json = word(r, *r->at == 't' ? "true" : "false") ? json : wrong(r, "no value");
        break;
    case 'n':
        json->type = SB_JSON_NULL;
        json = word(r, "null") ? json : wrong(r, "no value");
        break;
    default:
        if (*r->at != '-' && (*r->at < '0' || *r->at > '9')) {
            return wrong(r, "no value");
        }
        json = number(r, json);
    }
    if (json != NULL) {
        json->raw = (sb_bytes){first, (size_t)(r->at - first)};
    }
    return json;
}

const sb_json *sb_json_parse(sb_bytes text, const char **error) {
    reader r = {text.data, text.data, text.data + text.len, NULL};
    const sb_json *json = value(&r, 0);
    space(&r);
    if (json != NULL && r.at != r.end) {
        json = wrong(&r, "something after the end");
    }
    if (error != NULL) {
        *error = r.error;
    }
    return json;
}

sb_json_type sb_json_kind(const sb_json *json) {
    return json == NULL ? SB_JSON_ABSENT : json->type;
}

const sb_json *sb_json_get(const sb_json *object, const char *name) {
    const sb_json *found = NULL;
    if (sb_json_kind(object) == SB_JSON_OBJECT) {
        for (const sb_json *member = object->first; member != NULL; member = member->next) {
            /* Of a name that stands twice the last holds, as elsewhere. */
            found = strcmp(member->name, name) == 0 ? member : found;
        }
    }
    return found;
}

const sb_json *sb_json_at(const sb_json *json, const char *path) {
    while (json != NULL && *path != 0) {
        size_t len = strcspn(path, ".");
        json = sb_json_get(json, sb_copy(path, len));
        path += len + (path[len] == '.');
    }
    return json;
}

size_t sb_json_count(const sb_json *json) {
    return json == NULL ? 0 : json->count;
}

const sb_json *sb_json_first(const sb_json *json) {
    return json == NULL ? NULL : json->first;
}

const sb_json *sb_json_next(const sb_json *item) {
    return item == NULL ? NULL : item->next;
}

const char *sb_json_name(const sb_json *member) {
    return member == NULL ? NULL : member->name;
}

sb_bytes sb_json_bytes(const sb_json *json) {
    return sb_json_kind(json) == SB_JSON_STRING ? json->string : (sb_bytes){0};
}

const char *sb_json_string(const sb_json *json) {
    return sb_json_bytes(json).data;
}

sb_bytes sb_json_raw(const sb_json *json) {
    return json == NULL ? (sb_bytes){0} : json->raw;
}

bool sb_json_int(const sb_json *json, int64_t *result) {
    if (sb_json_kind(json) != SB_JSON_NUMBER) {
        return false;
    }
    const char *at = json->raw.data, *end = at + json->raw.len;
    bool negative = *at == '-';
    int64_t sum = 0;
    for (at += negative; at < end; at++) {
        /* Counted below zero, where there is one number more. */
        if (*at < '0' || *at > '9' || __builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_sub_overflow(sum, *at - '0', &sum)) {
            return false;
        }
    }
    if (!negative && __builtin_sub_overflow((int64_t)0, sum, &sum)) {
        return false;
    }
    *result = sum;
    return true;
}

double sb_json_double(const sb_json *json) {
    if (sb_json_kind(json) != SB_JSON_NUMBER) {
        return 0;
    }
    return strtod(sb_copy(json->raw.data, json->raw.len), NULL);
}

bool sb_json_true(const sb_json *json) {
    return sb_json_kind(json) == SB_JSON_BOOL && *json->raw.data == 't';
}

sb_result sb_need_text(const sb_json *object, const char *name, const char **text) {
    *text = sb_json_string(sb_json_get(object, name));
    return *text != NULL ? sb_ok() : sb_because(SB_END_REJECT, SB_SHAPE, "`%s` is no text", name);
}

sb_result sb_need_int(const sb_json *object, const char *name, int64_t *result) {
    return sb_json_int(sb_json_get(object, name), result)
               ? sb_ok()
               : sb_because(SB_END_REJECT, SB_SHAPE, "`%s` is no whole number of 64 bits", name);
}

const char *sb_quote(const char *text) {
    static const char digit[] = "0123456789abcdef";
    char *quoted = sb_alloc(strlen(text) * 6 + 3), *to = quoted;
    *to++ = '"';
    for (; *text != 0; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            *to++ = '\\';
            *to++ = (char)c;
        } else if (c < 0x20) {
            memcpy(to, "\\u00", 4);
            to[4] = digit[c >> 4];
            to[5] = digit[c & 15];
            to += 6;
        } else {
            *to++ = (char)c;
        }
    }
    *to++ = '"';
    return quoted;
}
