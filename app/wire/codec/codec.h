/*
 * Bodies of POST /predict that are plainly right, in one pass from bytes to numbers; predictions to text; and both to
 * lines of the payload log.
 *
 * "Plainly right" is what callers nearly always send. Whatever is not so, such as an escape in a name, is left to the
 * decoder in Python, which accepts all that is valid and tells all that is not: a body that is taken here is one that
 * is valid there, with the same numbers to the last bit. The names and categories that are accepted are known ones,
 * byte for byte, or printable ASCII, so that nothing here needs to know UTF-8.
 */
#ifndef TREESERVE_CODEC_H
#define TREESERVE_CODEC_H

#include <stddef.h>
#include <stdint.h>

/* What a feature's values are: JSON numbers, those without a fraction, booleans, names or codes of categories. */
typedef enum { NUMBER, INTEGER, LONG, BOOLEAN, NAME, CODE, N_KINDS } Kind;

typedef struct {
    const char *start;
    size_t length;
} Text;

#define UNKNOWN_BITS 0x7FC00001u /* as app.wire.exchange has it */

/* Texts to numbers: open addressing, a power of two of places, at most half of them taken. */
typedef struct {
    Text text; /* NULL where the place is free */
    float value;
} Place;

typedef struct {
    Place *places;
    size_t mask;
} Table;

/* Values are 0, 1, 2 … for NULL; 0, or -1 without memory. */
int table_make(Table *, const Text *texts, const float *values, size_t n);
void table_free(Table *);
const float *table_find(const Table *, Text);

typedef struct {
    Text name; /* as JSON has it, without the quotes */
    Text key;  /* the same for a line of the log, escaped, with quotes and colon */
    Kind kind;
    int is_required;
    Table categories;
} Feature;

typedef struct {
    Feature *features;
    size_t n_features, n_required;
    size_t n_key_bytes; /* of all features together */
    Table columns; /* of each feature's name */
} Codec;

/* One member of an instance that is not null. */
typedef struct {
    uint32_t column;
    float value; /* NaN for an unknown category */
    Text token;  /* as the caller wrote it; a name without its quotes */
} Cell;

/* Where a reading of a body stands. */
typedef struct {
    const Codec *codec;
    const char *at, *end;
    int unknown_is_missing; /* else a body with an unknown category is not plain */
    int has_parameters;
    uint32_t instance;  /* the one that is read, from 1 */
    const char *start;  /* of its text, which ends at `at` */
    uint32_t *seen;     /* of each feature, the last instance that named it */
    uint32_t *order;    /* features in the order in which the instance before named them */
    Cell *cells;        /* of the instance that was read */
    size_t n_cells;
} Reading;

typedef enum { INSTANCE, END, NOT_PLAIN } Step;

/* 0; -1 without memory; 1 if the body is not plain. */
int reading_begin(Reading *, const Codec *, Text body, int unknown_is_missing);
Step reading_next(Reading *); /* the next instance, or whether the body ended as it should */
void reading_end(Reading *);

int number_begin(void); /* once; 0, or -1 without memory */

/* A JSON number to what Python's float() makes of it; NULL if it is none or not plain, else where it ends. */
const char *read_number(const char *at, const char *end, double *value, int *is_whole);

#define MAX_FLOAT 32 /* characters; more than a float32 takes */

/* A float32 as Python's repr() writes it as a double; how many characters, 0 if it is not plain. */
size_t write_float(float, char out[MAX_FLOAT]);

char *put_count(char *at, uint64_t, size_t n_digits); /* a number with at least so many digits; where it ends */

/* Bytes that grow. */
typedef struct {
    char *start;
    size_t length, room;
    int failed; /* there was no memory; nothing is appended any more */
} Buffer;

char *buffer_reserve(Buffer *, size_t length); /* where so many bytes have room; NULL without memory */
void buffer_add(Buffer *, const void *bytes, size_t length);

/*
 * Predictions as JSON numbers with commas between, or as arrays of `n_columns` if that is not 0.
 * 0; -1 without memory; 1 if one is not plain.
 */
int write_predictions(const float *values, size_t n_values, size_t n_columns, Buffer *text);

/* Where a line of the log has a feature's values. */
typedef enum { NUMBERS, CATEGORIES, OTHERS, NOWHERE, N_FIELDS } Field;

#define MAX_KEY 32    /* bytes, as BLAKE2s takes them */
#define HASH_BYTES 16 /* of what stands for a value */

/* What the lines of a codec's bodies look like. */
typedef struct {
    const Codec *codec;
    Text common;       /* members that all lines have */
    Text before_other; /* members that come before the other prediction, with its key as the last */
    Text fields;       /* a `Field` for each feature */
    Text hashed;       /* for each feature, 1 if a keyed hash stands for its values */
    Text key;          /* of that hash */
    size_t max_line;   /* a longer line is divided among several; 0 for no limit */
} Format;

/* Keyed BLAKE2s (RFC 7693) of up to so many bytes, in hexadecimal digits. */
void write_hash(Text key, Text text, char out[2 * HASH_BYTES]);

/* One request and its answer. */
typedef struct {
    Text body, predictions; /* JSON values with commas between, one an instance */
    Text request_id, trace_id; /* printable ASCII; no trace if it is empty */
    Text others; /* as `predictions`, of a model version that answered nobody; empty where it has not predicted */
    int64_t at_us, duration_ns;
} Exchange;

/* Adds the line, or the lines, of the instance that was read; `other` is empty where there is no other prediction. */
void add_instance(const Format *, const Reading *, Text head, Text prediction, Text other, Buffer *lines);

/* Where the writing of lines stands. */
typedef struct {
    const Format *format;
    const Exchange *exchanges;
    size_t n_exchanges, n_done;
    int is_reading; /* the exchange after those that are done */
    Reading reading;
    Text predictions, others; /* those of its instances that are still to come */
    Buffer head, lines;
    size_t n_instances; /* in `lines` */
    int failed; /* -1: no memory; 1: a body is not plain or has not as many instances as predictions or others */
} Writing;

/* Writes lines anew until they have so many bytes, or those of all instances are written; `failed`, which stays. */
int writing_next(Writing *, size_t n_bytes);
void writing_end(Writing *);

#endif
