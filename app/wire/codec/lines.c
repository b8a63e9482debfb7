/* Writes the lines of the payload log that bodies and their predictions make. */
#include <stdlib.h>
#include <string.h>

#include "codec.h"

#define ADD(buffer, literal) buffer_add(buffer, literal, sizeof(literal) - 1)

static void add_text(Buffer *buffer, Text text) { buffer_add(buffer, text.start, text.length); }

#define MAX_DIGITS 20

char *put_count(char *at, uint64_t count, size_t n_digits) {
    char digits[MAX_DIGITS];
    size_t first = sizeof digits;
    do
        digits[--first] = (char)('0' + count % 10);
    while ((count /= 10) || sizeof digits - first < n_digits);
    memcpy(at, digits + first, sizeof digits - first);
    return at + sizeof digits - first;
}

static void add_count(Buffer *buffer, uint64_t count, size_t n_digits) {
    char digits[MAX_DIGITS];
    buffer_add(buffer, digits, (size_t)(put_count(digits, count, n_digits) - digits));
}

/* Printable ASCII between quotes. */
static void add_string(Buffer *buffer, Text text) {
    size_t from = 0;
    ADD(buffer, "\"");
    for (size_t i = 0; i < text.length; i++)
        if (text.start[i] == '"' || text.start[i] == '\\') {
            buffer_add(buffer, text.start + from, i - from);
            ADD(buffer, "\\");
            from = i;
        }
    buffer_add(buffer, text.start + from, text.length - from);
    ADD(buffer, "\"");
}

/*
 * As `app.ecs.timestamp` writes it. The C library would look for a time zone's file for each line; the date of a day
 * since 1970 is counted in eras of 400 years that begin in March, so that a leap day is the last of its year.
 */
static void add_timestamp(Buffer *buffer, int64_t micros) {
    uint64_t seconds = (uint64_t)micros / 1000000, days = seconds / 86400 + 719468;
    uint64_t of_era = days % 146097;
    uint64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t month = (5 * of_year + 2) / 153; /* 0 is March */
    ADD(buffer, "\"");
    add_count(buffer, days / 146097 * 400 + year_of_era + (month >= 10), 4);
    ADD(buffer, "-");
    add_count(buffer, month < 10 ? month + 3 : month - 9, 2);
    ADD(buffer, "-");
    add_count(buffer, of_year - (153 * month + 2) / 5 + 1, 2);
    ADD(buffer, "T");
    add_count(buffer, seconds / 3600 % 24, 2);
    ADD(buffer, ":");
    add_count(buffer, seconds / 60 % 60, 2);
    ADD(buffer, ":");
    add_count(buffer, seconds % 60, 2);
    ADD(buffer, ".");
    add_count(buffer, (uint64_t)micros % 1000000, 6);
    ADD(buffer, "Z\"");
}

/* The next of the numbers or arrays that commas divide. */
static int next_prediction(Text *rest, Text *prediction) {
    size_t depth = 0, at = 0;
    if (!rest->length)
        return 0;
    for (; at < rest->length && (depth || rest->start[at] != ','); at++)
        depth += (rest->start[at] == '[') - (rest->start[at] == ']');
    *prediction = (Text){rest->start, at};
    at += at < rest->length;
    *rest = (Text){rest->start + at, rest->length - at};
    return 1;
}

/* How each line of an exchange begins. */
static void write_head(Text common, const Exchange *exchange, Buffer *head) {
    ADD(head, "{\"@timestamp\": ");
    add_timestamp(head, exchange->at_us);
    if (exchange->trace_id.length) {
        ADD(head, ", \"trace.id\": ");
        add_string(head, exchange->trace_id);
    }
    ADD(head, ", \"event.duration\": ");
    add_count(head, (uint64_t)exchange->duration_ns, 1);
    ADD(head, ", \"http.request.id\": ");
    add_string(head, exchange->request_id);
    ADD(head, ", ");
    add_text(head, common);
}

/* The reading of the next exchange's body; `failed`. */
static int begin_exchange(Writing *writing) {
    const Exchange *exchange = &writing->exchanges[writing->n_done];
    int failed = reading_begin(&writing->reading, writing->format->codec, exchange->body, 1);
    if (failed)
        return failed;
    writing->is_reading = 1;
    writing->predictions = exchange->predictions;
    writing->others = exchange->others;
    writing->head.length = 0;
    write_head(writing->format->common, exchange, &writing->head);
    return writing->head.failed ? -1 : 0;
}

/* The lines of one instance, or the end of an exchange; `failed`. */
static int write_some(Writing *writing) {
    Text prediction = {0}, other = {0};
    int has_others = writing->exchanges[writing->n_done].others.length > 0;
    Step step = reading_next(&writing->reading);
    if (step == NOT_PLAIN || (step == INSTANCE) != next_prediction(&writing->predictions, &prediction) ||
        (has_others && (step == INSTANCE) != next_prediction(&writing->others, &other)))
        return 1;
    if (step == END) {
        reading_end(&writing->reading);
        writing->is_reading = 0;
        writing->n_done++;
        return 0;
    }
    writing->n_instances++;
    Text head = {writing->head.start, writing->head.length};
    add_instance(writing->format, &writing->reading, head, prediction, other, &writing->lines);
    return writing->lines.failed ? -1 : 0;
}

int writing_next(Writing *writing, size_t n_bytes) {
    writing->lines.length = writing->n_instances = 0;
    while (!writing->failed && writing->lines.length < n_bytes && writing->n_done < writing->n_exchanges)
        writing->failed = writing->is_reading ? write_some(writing) : begin_exchange(writing);
    return writing->failed;
}

void writing_end(Writing *writing) {
    if (writing->is_reading)
        reading_end(&writing->reading);
    free(writing->head.start);
    free(writing->lines.start);
}
