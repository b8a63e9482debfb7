/* Finds the quickest way of walking by trying each on a small forest: a processor's name does not say which it is. */
#define _POSIX_C_SOURCE 199309L
#include <math.h>
#include <string.h>
#include <time.h>

#include "forest.h"

#define DEPTH 8
#define NODES ((1 << (DEPTH + 1)) - 1)
#define TREES 16
#define FEATURE_BITS 4
#define FEATURES (1 << FEATURE_BITS)
#define TURNS 20
/* By so much quicker without gathers is no chance: it is to be the same way at every start. */
#define CLEARLY 0.9

const Walk *walks[N_WALKS];
size_t n_walks;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* How long the small forest takes at best. */
static double trial_seconds(const Walk *walk) {
    /* A full tree, many times; what it asks and what rows have is mixed well enough to take them everywhere. */
    static Node nodes[TREES * NODES];
    static float leaves[TREES * NODES], features[FEATURES * BLOCK];
    uint32_t roots[TREES + 1];
    uint16_t groups[TREES] = {0}, depths[TREES];
    uint8_t has_categories[TREES] = {0}, is_category[FEATURES] = {0};
    float base = 0, sums[BLOCK];
    uint32_t mixed = 1;
    for (size_t t = 0; t < TREES; t++) {
        roots[t] = (uint32_t)(t * NODES);
        depths[t] = DEPTH;
        for (uint32_t at = 0; at < NODES; at++) {
            mixed = mixed * 1664525u + 1013904223u;
            Node node = {(float)(mixed >> 8) / (1 << 24), (at + 1) << FEATURE_BITS | mixed >> (32 - FEATURE_BITS)};
            nodes[t * NODES + at] = at < NODES / 2 ? node : (Node){NAN, 0};
        }
    }
    roots[TREES] = TREES * NODES;
    for (size_t i = 0; i < FEATURES * BLOCK; i++) {
        mixed = mixed * 1664525u + 1013904223u;
        features[i] = (float)(mixed >> 8) / (1 << 24);
    }
    Forest forest = {
        .nodes = nodes, .leaves = leaves, .roots = roots, .groups = groups, .depths = depths,
        .has_categories = has_categories, .is_category = is_category, .base = &base, .n_nodes = TREES * NODES,
        .n_trees = TREES, .n_features = FEATURES, .n_groups = 1, .feature_bits = FEATURE_BITS,
    };
    double best = INFINITY;
    for (int turn = 0; turn < TURNS; turn++) {
        for (size_t row = 0; row < BLOCK; row++)
            sums[row] = 0;
        double begun = seconds();
        walk->block(&forest, features, BLOCK, sums);
        double took = seconds() - begun;
        best = took < best ? took : best;
    }
    return best;
}

void find_walks(void) {
    const Walk *gathers = avx2_walk(), *loads = avx2_loads_walk();
    n_walks = 0;
    if (gathers) {
        int loads_first = trial_seconds(loads) < CLEARLY * trial_seconds(gathers);
        walks[n_walks++] = loads_first ? loads : gathers;
        walks[n_walks++] = loads_first ? gathers : loads;
    }
    walks[n_walks++] = &scalar_walk;
}

const Walk *find_walk(const char *name) {
    for (size_t i = 0; i < n_walks; i++)
        if (!name || strcmp(walks[i]->name, name) == 0)
            return walks[i];
    return NULL;
}
