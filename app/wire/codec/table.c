/* A hash table of texts that is made once. */
#include <stdlib.h>
#include <string.h>

#include "codec.h"

/* FNV-1a: short texts, none of which the callers choose; what they send is only looked up. */
static size_t hash(Text text) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < text.length; i++)
        hash = (hash ^ (unsigned char)text.start[i]) * UINT64_C(0x100000001b3);
    return (size_t)(hash ^ hash >> 32);
}

static Place *find_place(const Table *table, Text text) {
    for (size_t at = hash(text);; at++) {
        Place *place = &table->places[at & table->mask];
        if (!place->text.start ||
            (place->text.length == text.length && memcmp(place->text.start, text.start, text.length) == 0))
            return place;
    }
}

int table_make(Table *table, const Text *texts, const float *values, size_t n) {
    size_t n_places = 2;
    while (n_places < 2 * n)
        n_places *= 2;
    if (!(table->places = calloc(n_places, sizeof(Place))))
        return -1;
    table->mask = n_places - 1;
    for (size_t i = 0; i < n; i++)
        *find_place(table, texts[i]) = (Place){texts[i], values ? values[i] : (float)i};
    return 0;
}

void table_free(Table *table) {
    free(table->places);
    table->places = NULL;
}

const float *table_find(const Table *table, Text text) {
    Place *place = find_place(table, text);
    return place->text.start ? &place->value : NULL;
}
