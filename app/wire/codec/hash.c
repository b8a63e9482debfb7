/* Keyed BLAKE2s, RFC 7693. */
#include <string.h>

#include "codec.h"

#define BLOCK 64
#define N_ROUNDS 10

static const uint32_t START[8] = {
    0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
};

static const uint8_t ORDER[N_ROUNDS][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

static inline uint32_t turn(uint32_t word, int n) { return word >> n | word << (32 - n); }

static inline void mix(uint32_t *v, int a, int b, int c, int d, uint32_t x, uint32_t y) {
    v[a] += v[b] + x;
    v[d] = turn(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = turn(v[b] ^ v[c], 12);
    v[a] += v[b] + y;
    v[d] = turn(v[d] ^ v[a], 8);
    v[c] += v[d];
    v[b] = turn(v[b] ^ v[c], 7);
}

static void compress(uint32_t state[8], const uint8_t block[BLOCK], uint64_t n_bytes, int is_last) {
    uint32_t words[16], v[16];
    for (int i = 0; i < 16; i++)
        words[i] = block[4 * i] | (uint32_t)block[4 * i + 1] << 8 | (uint32_t)block[4 * i + 2] << 16 |
                   (uint32_t)block[4 * i + 3] << 24;
    memcpy(v, state, 8 * sizeof *v);
    memcpy(v + 8, START, sizeof START);
    v[12] ^= (uint32_t)n_bytes;
    v[13] ^= (uint32_t)(n_bytes >> 32);
    v[14] ^= is_last ? 0xFFFFFFFF : 0;
    for (int round = 0; round < N_ROUNDS; round++) {
        const uint8_t *at = ORDER[round];
        for (int i = 0; i < 4; i++)
            mix(v, i, i + 4, i + 8, i + 12, words[at[2 * i]], words[at[2 * i + 1]]);
        for (int i = 0; i < 4; i++)
            mix(v, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, words[at[8 + 2 * i]], words[at[9 + 2 * i]]);
    }
    for (int i = 0; i < 8; i++)
        state[i] ^= v[i] ^ v[i + 8];
}

void write_hash(Text key, Text text, char out[2 * HASH_BYTES]) {
    uint32_t state[8];
    uint8_t block[BLOCK] = {0};
    uint64_t n_bytes = 0;
    memcpy(state, START, sizeof state);
    state[0] ^= 0x01010000 ^ (uint32_t)key.length << 8 ^ HASH_BYTES;
    if (key.length) { /* a block of its own */
        memcpy(block, key.start, key.length);
        compress(state, block, n_bytes = BLOCK, !text.length);
    }
    for (size_t at = 0; at < text.length || (!text.length && !key.length && !at); at += BLOCK) {
        size_t length = text.length - at < BLOCK ? text.length - at : BLOCK;
        memset(block, 0, sizeof block);
        memcpy(block, text.start + at, length);
        n_bytes += length;
        compress(state, block, n_bytes, at + length == text.length);
        if (!text.length)
            break;
    }
    for (int i = 0; i < HASH_BYTES; i++) {
        uint8_t byte = (uint8_t)(state[i / 4] >> 8 * (i % 4));
        out[2 * i] = "0123456789abcdef"[byte >> 4];
        out[2 * i + 1] = "0123456789abcdef"[byte & 15];
    }
}
