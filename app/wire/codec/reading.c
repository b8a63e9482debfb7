/* Reads a body instance by instance. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"

/* Beyond it a number may be too large for float32, by a margin that the decoder in Python decides exactly. */
#define MAX_NUMBER 1e38

static inline void skip_space(Reading *reading) {
    while (reading->at < reading->end &&
           (*reading->at == ' ' || *reading->at == '\n' || *reading->at == '\r' || *reading->at == '\t'))
        reading->at++;
}

/* Takes one character, with white space before it. */
static inline int take(Reading *reading, char wanted) {
    skip_space(reading);
    if (reading->at == reading->end || *reading->at != wanted)
        return 0;
    reading->at++;
    return 1;
}

static inline int take_word(Reading *reading, const char *word, size_t length) {
    if ((size_t)(reading->end - reading->at) < length || memcmp(reading->at, word, length) != 0)
        return 0;
    reading->at += length;
    return 1;
}

/* A string without escapes; what is in it is looked up, never believed. */
static inline int take_string(Reading *reading, Text *text) {
    if (!take(reading, '"'))
        return 0;
    text->start = reading->at;
    for (; reading->at < reading->end; reading->at++) {
        if (*reading->at == '"') {
            text->length = (size_t)(reading->at++ - text->start);
            return 1;
        }
        if (*reading->at == '\\')
            return 0;
    }
    return 0;
}

/* "parameters" may be null or empty, once. */
static int take_parameters(Reading *reading) {
    if (reading->has_parameters++ || !take(reading, ':'))
        return 0;
    skip_space(reading);
    return take_word(reading, "null", 4) || (take(reading, '{') && take(reading, '}'));
}

static int is(Text text, const char *word) {
    return text.length == strlen(word) && memcmp(text.start, word, text.length) == 0;
}

/* What follows the instances. */
static Step take_end(Reading *reading) {
    Text name;
    if (take(reading, ',') && !(take_string(reading, &name) && is(name, "parameters") && take_parameters(reading)))
        return NOT_PLAIN;
    if (!take(reading, '}'))
        return NOT_PLAIN;
    skip_space(reading);
    return reading->at == reading->end ? END : NOT_PLAIN;
}

int reading_begin(Reading *reading, const Codec *codec, Text body, int unknown_is_missing) {
    Text name;
    *reading = (Reading){.codec = codec,
                         .at = body.start,
                         .end = body.start + body.length,
                         .unknown_is_missing = unknown_is_missing};
    if (!take(reading, '{') || !take_string(reading, &name))
        return 1;
    if (is(name, "parameters") && !(take_parameters(reading) && take(reading, ',') && take_string(reading, &name)))
        return 1;
    if (!is(name, "instances") || !take(reading, ':') || !take(reading, '['))
        return 1;
    size_t n = codec->n_features;
    if (!(reading->seen = malloc(n * (2 * sizeof(uint32_t) + sizeof(Cell)))))
        return -1;
    reading->order = reading->seen + n;
    reading->cells = (Cell *)(reading->order + n); /* aligned by two for each, and last for the sanitizers */
    for (size_t i = 0; i < n; i++) {
        reading->seen[i] = 0;
        reading->order[i] = (uint32_t)i;
    }
    return 0;
}

void reading_end(Reading *reading) { free(reading->seen); }

/* The column of the member that comes `nth`; callers nearly always name features in one order. */
static inline int take_column(Reading *reading, size_t nth, uint32_t *column) {
    const Codec *codec = reading->codec;
    Text name;
    if (nth >= codec->n_features || !take_string(reading, &name)) /* there is a cell for each feature, and no more */
        return 0;
    uint32_t expected = reading->order[nth];
    const Text *known = &codec->features[expected].name;
    if (known->length == name.length && memcmp(known->start, name.start, name.length) == 0) {
        *column = expected;
    } else {
        const float *found = table_find(&codec->columns, name);
        if (!found)
            return 0;
        *column = reading->order[nth] = (uint32_t)*found;
    }
    if (reading->seen[*column] == reading->instance)
        return 0; /* a name twice */
    reading->seen[*column] = reading->instance;
    return 1;
}

static int is_printable(Text text) {
    for (size_t i = 0; i < text.length; i++)
        if (text.start[i] < ' ' || text.start[i] > '~')
            return 0;
    return 1;
}

/* A NaN that whoever counts tells from a missing value. */
static inline float unknown_value(void) {
    const uint32_t bits = UNKNOWN_BITS;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The code of the category that the cell's token names. */
static inline int take_category(const Reading *reading, const Feature *feature, Cell *cell) {
    const float *code = table_find(&feature->categories, cell->token);
    if (!code && !(reading->unknown_is_missing && is_printable(cell->token)))
        return 0;
    cell->value = code ? *code : unknown_value();
    return 1;
}

static inline int take_value(Reading *reading, const Feature *feature, Cell *cell) {
    double number;
    int is_whole;
    cell->token.start = reading->at;
    switch (feature->kind) {
    case NAME:
        return take_string(reading, &cell->token) && take_category(reading, feature, cell);
    case BOOLEAN:
        cell->value = reading->at < reading->end && *reading->at == 't';
        if (!(cell->value ? take_word(reading, "true", 4) : take_word(reading, "false", 5)))
            return 0;
        break;
    default:
        if (!(reading->at = read_number(reading->at, reading->end, &number, &is_whole)))
            return 0;
        if (!(fabs(number) < MAX_NUMBER))
            return 0;
        if (feature->kind == INTEGER && !(number >= -2147483648.0 && number <= 2147483647.0 && number == trunc(number)))
            return 0;
        if (feature->kind == LONG && !(fabs(number) < 9007199254740992.0 && number == trunc(number)))
            return 0;
        cell->value = (float)number;
    }
    cell->token.length = (size_t)(reading->at - cell->token.start);
    if (feature->kind == CODE) /* only as a known one is written: 10.0, 1e1 and -0 are codes to the other decoder */
        return is_whole && (number != 0 || *cell->token.start == '0') && take_category(reading, feature, cell);
    return 1;
}

static int take_instance(Reading *reading) {
    const Codec *codec = reading->codec;
    size_t n_required = 0;
    reading->instance++;
    reading->start = reading->at;
    reading->n_cells = 0;
    if (!take(reading, '{'))
        return 0;
    if (!take(reading, '}'))
        for (size_t nth = 0;; nth++) {
            Cell *cell = &reading->cells[reading->n_cells];
            skip_space(reading);
            if (!take_column(reading, nth, &cell->column) || !take(reading, ':'))
                return 0;
            const Feature *feature = &codec->features[cell->column];
            n_required += feature->is_required;
            skip_space(reading);
            if (!take_word(reading, "null", 4)) {
                if (!take_value(reading, feature, cell))
                    return 0;
                reading->n_cells++;
            }
            if (take(reading, ','))
                continue;
            if (!take(reading, '}'))
                return 0;
            break;
        }
    return n_required == codec->n_required;
}

Step reading_next(Reading *reading) {
    if (reading->instance) {
        if (take(reading, ']'))
            return take_end(reading);
        if (!take(reading, ','))
            return NOT_PLAIN;
    }
    return reading->instance < UINT32_MAX && take_instance(reading) ? INSTANCE : NOT_PLAIN;
}
