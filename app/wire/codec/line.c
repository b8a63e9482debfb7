/* Writes the line of one instance, or several where one would be too long. */
#include <math.h>
#include <string.h>

#include "codec.h"

#define MAX_CHARACTERS 256 /* of a name; more are cut off, and its feature is told */

/* A line is written where there is room for the longest that it can be, without asking again for each piece. */
static inline char *put(char *at, const char *bytes, size_t length) {
    memcpy(at, bytes, length);
    return at + length;
}

static inline char *put_text(char *at, Text text) { return put(at, text.start, text.length); }

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

static inline int is_name(Kind kind) { return kind == NAME || kind == CODE; }

/* The first characters of a name in UTF-8. */
static Text cut(Text name) {
    size_t length = 0, n = 0;
    if (name.length <= MAX_CHARACTERS)
        return name;
    for (; length < name.length; length++)
        if (((unsigned char)name.start[length] & 0xC0) != 0x80 && n++ == MAX_CHARACTERS)
            break;
    return (Text){name.start, length};
}

static inline const Feature *feature_of(const Format *format, const Cell *cell) {
    return &format->codec->features[cell->column];
}

/* What stands for a value that nobody is to read: of a number that of its float32, of a name that of its text. */
static char *put_hash(const Format *format, const Cell *cell, char *at) {
    float value = cell->value + 0.0f; /* -0 is 0 */
    Text text = is_name(feature_of(format, cell)->kind) ? cell->token : (Text){(const char *)&value, sizeof value};
    write_hash(format->key, text, at);
    return at + 2 * HASH_BYTES;
}

static char *put_value(const Format *format, const Cell *cell, char *at) {
    Kind kind = feature_of(format, cell)->kind;
    int is_hashed = format->hashed.start[cell->column], is_text = is_hashed || is_name(kind);
    if (is_text)
        *at++ = '"';
    if (is_hashed)
        at = put_hash(format, cell, at);
    else if (kind == BOOLEAN) /* true would not fit where other features are numbers */
        *at++ = cell->value ? '1' : '0';
    else
        at = put_text(at, is_text ? cut(cell->token) : cell->token);
    if (is_text)
        *at++ = '"';
    return at;
}

/* Those of the cells that one field has, as members of an object. */
static inline char *put_cells(const Format *format, const Cell *cells, size_t n_cells, Field field, char *at) {
    const char *start = at;
    for (size_t i = 0; i < n_cells; i++) {
        if (format->fields.start[cells[i].column] != (char)field)
            continue;
        if (at != start)
            at = PUT(at, ", ");
        at = put_text(at, feature_of(format, &cells[i])->key);
        at = put_value(format, &cells[i], at);
    }
    return at;
}

static char *put_fields(const Format *format, const Cell *cells, size_t n_cells, char *at) {
    at = PUT(at, ", \"treeserve.features.number\": {");
    at = put_cells(format, cells, n_cells, NUMBERS, at);
    at = PUT(at, "}, \"treeserve.features.category\": {");
    at = put_cells(format, cells, n_cells, CATEGORIES, at);
    char *before = at, *start = at = PUT(at, "}, \"treeserve.features.other\": {");
    at = put_cells(format, cells, n_cells, OTHERS, at);
    return at == start ? PUT(before, "}") : PUT(at, "}");
}

static inline int is_unknown(const Format *format, const Cell *cell) {
    (void)format;
    return isnan(cell->value);
}

static inline int is_cut(const Format *format, const Cell *cell) {
    return cell->token.length > MAX_CHARACTERS && is_name(feature_of(format, cell)->kind) &&
           !format->hashed.start[cell->column] && format->fields.start[cell->column] != NOWHERE &&
           cut(cell->token).length < cell->token.length;
}

#define TEXT(literal) ((Text){literal, sizeof(literal) - 1})

/* The names of the features that have something about them, if there are any, as a member with a comma before it. */
static inline char *put_names(const Format *format, const Cell *cells, size_t n_cells,
                              int (*has)(const Format *, const Cell *), Text member, char *at) {
    int is_first = 1;
    for (size_t i = 0; i < n_cells; i++)
        if (has(format, &cells[i])) {
            Text key = feature_of(format, &cells[i])->key;
            at = is_first ? put_text(at, member) : PUT(at, ", ");
            at = put(at, key.start, key.length - 2); /* without the colon and the space */
            is_first = 0;
        }
    return is_first ? at : PUT(at, "]");
}

/* What some cells of an instance say. */
static inline char *put_instance(const Format *format, const Cell *cells, size_t n_cells, char *at) {
    at = put_fields(format, cells, n_cells, at);
    at = put_names(format, cells, n_cells, is_unknown, TEXT(", \"treeserve.features.unknown\": ["), at);
    return put_names(format, cells, n_cells, is_cut, TEXT(", \"treeserve.features.cut\": ["), at);
}

/* What is said of an instance as a whole; `other` is empty where there is no other prediction. */
typedef struct {
    Text head, prediction, before_other, other;
    size_t number;
} Whole;

static size_t bytes_of_answer(const Whole *whole) {
    return whole->prediction.length + whole->before_other.length + whole->other.length;
}

static inline char *put_place(const Whole *whole, char *at) {
    at = put_text(at, whole->head);
    at = PUT(at, ", \"treeserve.request.instance\": ");
    return put_count(at, whole->number, 1);
}

static inline char *put_answer(const Whole *whole, char *at) {
    at = PUT(at, ", \"treeserve.prediction\": ");
    at = put_text(at, whole->prediction);
    if (!whole->other.length)
        return at;
    at = PUT(at, ", ");
    at = put_text(at, whole->before_other);
    return put_text(at, whole->other);
}

#define FIXED_BYTES 384                 /* more than all that a line has beside its head, its cells and its answer */
#define CELL_BYTES (4 + 2 * HASH_BYTES) /* two quotes, a comma with its space, and what may stand for the token */

static size_t bytes_of(const Format *format, const Cell *cell) {
    size_t n_names = 1 + (size_t)is_unknown(format, cell) + (size_t)is_cut(format, cell);
    return n_names * (feature_of(format, cell)->key.length + 2) + CELL_BYTES + cell->token.length;
}

/* How many of the cells a line has room for that has so many bytes already, but at least some; and their bytes. */
static size_t count_fitting(const Format *format, const Cell *cells, size_t n_cells, size_t at_least, size_t *taken) {
    size_t n = 0;
    for (; n < n_cells; n++) {
        size_t more = bytes_of(format, &cells[n]);
        if (*taken + more > format->max_line && n >= at_least)
            break;
        *taken += more;
    }
    return n;
}

/* Several lines of one instance, each with some of its cells; the answer stands in the first, alone if it is long. */
static void add_parts(const Format *format, const Cell *cells, size_t n_cells, const Whole *whole, Buffer *lines) {
    size_t fixed = whole->head.length + FIXED_BYTES, n_parts = 0;
    for (size_t i = 0, n = 0; !n_parts || i < n_cells; i += n, n_parts++) {
        size_t taken = fixed + (n_parts ? 0 : bytes_of_answer(whole));
        n = count_fitting(format, cells + i, n_cells - i, n_parts > 0, &taken);
    }
    for (size_t i = 0, n = 0, part = 0; part < n_parts; i += n, part++) {
        size_t taken = fixed + (part ? 0 : bytes_of_answer(whole));
        n = count_fitting(format, cells + i, n_cells - i, part > 0, &taken);
        char *at = buffer_reserve(lines, taken);
        if (!at)
            return;
        at = put_place(whole, at);
        at = PUT(at, ", \"treeserve.part\": ");
        at = put_count(at, part, 1);
        at = PUT(at, ", \"treeserve.parts\": ");
        at = put_count(at, n_parts, 1);
        at = put_instance(format, cells + i, n, at);
        if (!part)
            at = put_answer(whole, at);
        at = PUT(at, "}\n");
        lines->length = (size_t)(at - lines->start);
    }
}

void add_instance(const Format *format, const Reading *reading, Text head, Text prediction, Text other,
                  Buffer *lines) {
    const Whole whole = {head, prediction, format->before_other, other, reading->instance - 1};
    size_t text = (size_t)(reading->at - reading->start), before = lines->length;
    char *at = buffer_reserve(lines, head.length + FIXED_BYTES + 3 * format->codec->n_key_bytes +
                                         CELL_BYTES * reading->n_cells + text + bytes_of_answer(&whole));
    if (!at)
        return;
    at = put_place(&whole, at);
    at = put_instance(format, reading->cells, reading->n_cells, at);
    at = put_answer(&whole, at);
    at = PUT(at, "}\n");
    lines->length = (size_t)(at - lines->start);
    if (format->max_line && lines->length - before > format->max_line) {
        lines->length = before;
        add_parts(format, reading->cells, reading->n_cells, &whole, lines);
    }
}
