/* Predictions as JSON values. */
#include "codec.h"

int write_predictions(const float *values, size_t n_values, size_t n_columns, Buffer *text) {
    char number[MAX_FLOAT];
    for (size_t i = 0; i < n_values; i++) {
        size_t length = write_float(values[i], number);
        if (!length)
            return 1;
        if (i)
            buffer_add(text, ",", 1);
        if (n_columns && i % n_columns == 0)
            buffer_add(text, "[", 1);
        buffer_add(text, number, length);
        if (n_columns && (i + 1) % n_columns == 0)
            buffer_add(text, "]", 1);
    }
    return text->failed ? -1 : 0;
}
