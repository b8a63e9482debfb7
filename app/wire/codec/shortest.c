/*
 * float32 to the decimal that Python's repr() gives of it as a double: the shortest that reads back as that double, and
 * of those the nearest.
 *
 * Every decimal of up to 15 digits survives a double, and no double needs more than 17: three roundings are looked at.
 * A float32 has but 24 bits: for the sizes that predictions have, it and what it is rounded to are whole numbers of at
 * most 128 bits after one multiplication by a power of ten, so that nothing here is approximate.
 */
#include <math.h>
#include <string.h>

#include "codec.h"

__extension__ typedef unsigned __int128 Wide;

#define BITS 24   /* of a float32's mantissa */
#define DIGITS 17 /* of a double */
#define LEAST UINT64_C(10000000000000000) /* number of 17 digits */
#define MAX_SCALE 31 /* 10^31 has 103 bits, which leaves 24 of 127 */
#define HALF_ULP 30  /* of the double: 2^-30 of the float32's unit in the last place */

static const uint64_t TENS[] = {1,
                                10,
                                100,
                                1000,
                                10000,
                                100000,
                                1000000,
                                10000000,
                                100000000,
                                1000000000,
                                10000000000,
                                100000000000,
                                1000000000000,
                                10000000000000,
                                100000000000000,
                                1000000000000000};

/* A number with 17 digits before its point, times 2^shift. */
typedef struct {
    Wide value, tolerance; /* how far away the double that it came from is still the nearest */
    int shift;
} Scaled;

/* value = scaled / 10^scale; 0 if it is too large or too small for this. */
static int scale_up(uint64_t mantissa, int exponent, Scaled *scaled, int *scale) {
    *scale = DIGITS - 1 - (((exponent + BITS - 1) * 1233) >> 12); /* 1233 / 4096 is log10(2), so it may be one off */
    for (int tries = 0; tries < 2; tries++) {
        if (*scale < 1 || *scale > MAX_SCALE)
            return 0;
        Wide unit = (*scale < 16 ? TENS[*scale] : (Wide)TENS[*scale - 16] * LEAST) << (exponent > 0 ? exponent : 0);
        int shift = exponent < 0 ? -exponent : 0;
        *scaled = (Scaled){unit * mantissa, unit >> HALF_ULP, shift};
        uint64_t whole = (uint64_t)(scaled->value >> shift);
        if (whole >= LEAST && whole < 10 * LEAST)
            return 1;
        *scale += whole < LEAST ? 1 : -1;
    }
    return 0;
}

/* To so many digits, half to even; the digits that fall away are zeros. */
static uint64_t round_to(const Scaled *scaled, int n_digits) {
    uint64_t unit = TENS[DIGITS - n_digits], n_units = (uint64_t)(scaled->value >> scaled->shift) / unit;
    Wide one = (Wide)unit << scaled->shift, rest = scaled->value - one * n_units;
    n_units += 2 * rest > one || (2 * rest == one && n_units % 2);
    return n_units * unit;
}

static int is_near(const Scaled *scaled, uint64_t whole) {
    Wide found = (Wide)whole << scaled->shift;
    return (found > scaled->value ? found - scaled->value : scaled->value - found) <= scaled->tolerance;
}

/* Digits, the first of which is 10^(point - 1), as repr() arranges them. */
static char *arrange(const char *digits, int n_digits, int point, char *out) {
    if (point > -4 && point <= 0) {
        *out++ = '0';
        *out++ = '.';
        for (; point < 0; point++)
            *out++ = '0';
        memcpy(out, digits, (size_t)n_digits);
        return out + n_digits;
    }
    if (point > 0 && point < DIGITS) {
        for (int i = 0; i < n_digits || i <= point; i++) {
            if (i == point)
                *out++ = '.';
            *out++ = i < n_digits ? digits[i] : '0';
        }
        return out;
    }
    int power = point - 1; /* -5 or less: what has more than 16 digits before its point is not taken */
    *out++ = digits[0];
    if (n_digits > 1)
        *out++ = '.';
    memcpy(out, digits + 1, (size_t)n_digits - 1);
    out += n_digits - 1;
    *out++ = 'e';
    *out++ = '-';
    *out++ = (char)('0' - power / 10);
    *out++ = (char)('0' - power % 10);
    return out;
}

size_t write_float(float value, char out[MAX_FLOAT]) {
    char digits[DIGITS], *at = out;
    int exponent, scale, n_digits = DIGITS - 2;
    Scaled scaled;
    if (!isfinite(value))
        return 0;
    if (signbit(value))
        *at++ = '-';
    if (value == 0) {
        memcpy(at, "0.0", 3);
        return (size_t)(at + 3 - out);
    }
    uint64_t mantissa = (uint64_t)ldexpf(frexpf(fabsf(value), &exponent), BITS);
    if (!scale_up(mantissa, exponent - BITS, &scaled, &scale))
        return 0;
    uint64_t whole = round_to(&scaled, n_digits);
    while (!is_near(&scaled, whole) && n_digits < DIGITS)
        whole = round_to(&scaled, ++n_digits);
    /* The double below a power of two is nearer than the one above, and the shortest perhaps not the nearest. */
    if (n_digits > DIGITS - 2 && mantissa == UINT64_C(1) << (BITS - 1))
        return 0;
    /* No float32 is so near below a power of ten that it is rounded to it: there are always 17 digits. */
    for (int i = DIGITS; i--; whole /= 10)
        digits[i] = (char)('0' + whole % 10);
    while (n_digits > 1 && digits[n_digits - 1] == '0')
        n_digits--;
    return (size_t)(arrange(digits, n_digits, DIGITS - scale, at) - out);
}
