/* Bytes that grow. */
#include <stdlib.h>
#include <string.h>

#include "codec.h"

#define LEAST_ROOM 256

char *buffer_reserve(Buffer *buffer, size_t length) {
    if (buffer->failed)
        return NULL;
    if (buffer->room - buffer->length < length) {
        size_t room = 2 * buffer->room + length + LEAST_ROOM;
        char *start = realloc(buffer->start, room);
        if (!start) {
            buffer->failed = 1;
            return NULL;
        }
        buffer->start = start;
        buffer->room = room;
    }
    return buffer->start + buffer->length;
}

void buffer_add(Buffer *buffer, const void *bytes, size_t length) {
    char *at = buffer_reserve(buffer, length);
    if (at) {
        memcpy(at, bytes, length);
        buffer->length += length;
    }
}
