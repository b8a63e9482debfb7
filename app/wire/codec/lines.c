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

static void add_count(Buffer *buffer, uint32_t count) {
    char digits[10];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + count % 10);
    while (count /= 10);
    buffer_add(buffer, digits + at, sizeof digits - at);
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

int write_lines(const Codec *codec, Text body, Text head, Text predictions, Buffer *lines) {
    Reading reading;
    Text prediction;
    Step step = NOT_PLAIN;
    int failed = reading_begin(&reading, codec, body.start, body.length);
    if (failed)
        return failed;
    while ((step = reading_next(&reading)) == INSTANCE) {
        if (!next_prediction(&predictions, &prediction))
            break;
        add_text(lines, head);
        ADD(lines, "\"treeserve.request.instance\": ");
        add_count(lines, reading.instance - 1);
        ADD(lines, ", \"treeserve.features.number\": {");
        add_cells(&reading, 0, lines);
        ADD(lines, "}, \"treeserve.features.category\": {");
        add_cells(&reading, 1, lines);
        ADD(lines, "}, \"treeserve.prediction\": ");
        add_text(lines, prediction);
        ADD(lines, "}\n");
    }
    reading_end(&reading);
    if (lines->failed)
        return -1;
    return step == END && !predictions.length ? 0 : 1;
}
