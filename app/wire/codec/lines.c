/* Writes the lines of the payload log that a body and its predictions make. */
#include <stdlib.h>
#include <string.h>

#include "codec.h"

void buffer_add(Buffer *buffer, const void *bytes, size_t length) {
    if (buffer->failed)
        return;
    if (buffer->room - buffer->length < length) {
        size_t room = 2 * buffer->room + length + 256;
        char *start = realloc(buffer->start, room);
        if (!start) {
            buffer->failed = 1;
            return;
        }
        buffer->start = start;
        buffer->room = room;
    }
    memcpy(buffer->start + buffer->length, bytes, length);
    buffer->length += length;
}

#define ADD(buffer, literal) buffer_add(buffer, literal, sizeof(literal) - 1)

static void add_text(Buffer *buffer, Text text) { buffer_add(buffer, text.start, text.length); }

/* A number with at least so many digits. */
static void add_count(Buffer *buffer, uint64_t count, size_t n_digits) {
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + count % 10);
    while ((count /= 10) || sizeof digits - at < n_digits);
    buffer_add(buffer, digits + at, sizeof digits - at);
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
 * As `app.ecs.timestamp` writes it. The C library would look for a time zone's file for each line; the date of a day since
 * 1970 is counted in eras of 400 years that begin in March, so that a leap day is the last of its year.
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

static int is_category(const Feature *feature) { return feature->kind == NAME || feature->kind == CODE; }

/* The cells that are categories, or those that are not, as members of an object. */
static void add_cells(const Reading *reading, int categories, Buffer *lines) {
    int is_first = 1;
    for (size_t i = 0; i < reading->n_cells; i++) {
        const Cell *cell = &reading->cells[i];
        const Feature *feature = &reading->codec->features[cell->column];
        if (is_category(feature) != categories)
            continue;
        if (!is_first)
            ADD(lines, ", ");
        is_first = 0;
        add_text(lines, feature->key);
        if (categories) {
            ADD(lines, "\"");
            add_text(lines, cell->token);
            ADD(lines, "\"");
        } else if (feature->kind == BOOLEAN) { /* true would not fit where other features are numbers */
            buffer_add(lines, cell->value ? "1" : "0", 1);
        } else {
            add_text(lines, cell->token);
        }
    }
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

static void add_line(const Reading *reading, Text head, Text prediction, Buffer *lines) {
    add_text(lines, head);
    ADD(lines, ", \"treeserve.request.instance\": ");
    add_count(lines, reading->instance - 1, 1);
    ADD(lines, ", \"treeserve.features.number\": {");
    add_cells(reading, 0, lines);
    ADD(lines, "}, \"treeserve.features.category\": {");
    add_cells(reading, 1, lines);
    ADD(lines, "}, \"treeserve.prediction\": ");
    add_text(lines, prediction);
    ADD(lines, "}\n");
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

int write_lines(const Codec *codec, Text common, const Exchange *exchange, Buffer *lines) {
    Reading reading;
    Text rest = exchange->predictions, prediction;
    Buffer head = {0};
    Step step = NOT_PLAIN;
    int failed = reading_begin(&reading, codec, exchange->body.start, exchange->body.length);
    if (failed)
        return failed;
    write_head(common, exchange, &head);
    while ((step = reading_next(&reading)) == INSTANCE && next_prediction(&rest, &prediction))
        add_line(&reading, (Text){head.start, head.length}, prediction, lines);
    failed = lines->failed || head.failed;
    reading_end(&reading);
    free(head.start);
    if (failed)
        return -1;
    return step == END && !rest.length ? 0 : 1;
}
