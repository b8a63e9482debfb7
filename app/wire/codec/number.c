/* JSON numbers, correctly rounded: most of them by one exact operation, the rest by the C library. */
#define _GNU_SOURCE /* strtod_l */
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif

#include "codec.h"

#define MAX_DIGITS 19     /* that surely fit into 64 bits */
#define MAX_CHARACTERS 64 /* longer ones are not plain */

static const double POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
#define MAX_POWER 22                   /* the largest power of ten that a double holds exactly */
#define MAX_EXACT (UINT64_C(1) << 53) /* up to it, so are whole numbers */

static inline int is_digit(char c) { return c >= '0' && c <= '9'; }

static locale_t plain; /* no language's own way of writing numbers */

int number_begin(void) { return (plain = newlocale(LC_ALL_MASK, "C", (locale_t)0)) ? 0 : -1; }

static double read_slowly(const char *start, size_t length) {
    char text[MAX_CHARACTERS + 1];
    memcpy(text, start, length);
    text[length] = 0;
    return strtod_l(text, NULL, plain);
}

const char *read_number(const char *at, const char *end, double *value, int *is_whole) {
    const char *start = at;
    int is_negative = at < end && *at == '-';
    uint64_t digits = 0;
    long exponent = 0, n_digits = 0;
    at += is_negative;
    if (at == end || !is_digit(*at))
        return NULL;
    if (*at == '0') {
        at++; /* JSON has no leading zeros */
    } else {
        for (; at < end && is_digit(*at); at++, n_digits++)
            digits = digits * 10 + (uint64_t)(*at - '0');
    }
    *is_whole = 1;
    if (at < end && *at == '.') {
        const char *point = at++;
        for (; at < end && is_digit(*at); at++) {
            digits = digits * 10 + (uint64_t)(*at - '0');
            n_digits += n_digits || *at != '0';
        }
        exponent = -(at - point - 1);
        if (!exponent)
            return NULL;
        *is_whole = 0;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        int is_small = at < end && *at == '-';
        at += at < end && (*at == '-' || *at == '+');
        const char *first = at;
        long power = 0;
        for (; at < end && is_digit(*at) && power < 10000; at++)
            power = power * 10 + (*at - '0');
        if (at == first)
            return NULL;
        exponent += is_small ? -power : power;
        *is_whole = 0;
    }
    if (at - start > MAX_CHARACTERS || (at < end && is_digit(*at)))
        return NULL;
    if (n_digits <= MAX_DIGITS && digits <= MAX_EXACT && exponent >= -MAX_POWER && exponent <= MAX_POWER) {
        double whole = (double)digits;
        *value = exponent < 0 ? whole / POWERS[-exponent] : whole * POWERS[exponent];
    } else {
        *value = read_slowly(start + is_negative, (size_t)(at - start) - (size_t)is_negative);
    }
    if (is_negative && !(*is_whole && *value == 0)) /* -0 is the whole number 0 to Python, -0.0 is not */
        *value = -*value;
    return at;
}
