/* Walks a forest one step at a time, on any processor. */
#include "forest.h"

static inline uint32_t step(const Forest *forest, const Node *tree, uint32_t at, const float *features, size_t stride) {
    Node node = tree[at];
    float x = features[link_feature(forest, node.link) * stride];
    uint32_t right;
    if (x != x) {
        right = node.link >> 31;
    } else if (node.link & IS_CATEGORY) {
        union { float value; uint32_t bits; } set = {node.value};
        uint32_t code = (uint32_t)x;
        right = forest->sets[set.bits + (code >> 5)] >> (code & 31) & 1;
    } else {
        right = x >= node.value;
    }
    return at + link_distance(forest, node.link) + right;
}

/* Trees that are walked at once, so that waiting for the memory of one overlaps with that of the others. */
#define TREES 8

void scalar_add_trees(const Forest *forest, const float *features, size_t first, size_t n, float *sums) {
    for (size_t end = first + n; first < end; first += TREES) {
        size_t n_trees = end - first < TREES ? end - first : TREES;
        uint32_t at[TREES] = {0};
        unsigned depth = 0;
        for (size_t t = 0; t < n_trees; t++)
            if (forest->depths[first + t] > depth)
                depth = forest->depths[first + t];
        for (unsigned level = 0; level < depth; level++)
            for (size_t t = 0; t < n_trees; t++)
                at[t] = step(forest, forest->nodes + forest->roots[first + t], at[t], features, 1);
        for (size_t t = 0; t < n_trees; t++)
            sums[forest->groups[first + t]] += forest->leaves[forest->roots[first + t] + at[t]];
    }
}

static void add_row(const Forest *forest, const float *features, float *sums) {
    scalar_add_trees(forest, features, 0, forest->n_trees, sums);
}

static void add_block(const Forest *forest, const float *features, size_t n_rows, float *sums) {
    for (size_t t = 0; t < forest->n_trees; t++) {
        const Node *tree = forest->nodes + forest->roots[t];
        uint32_t at[BLOCK] = {0};
        for (unsigned level = 0; level < forest->depths[t]; level++)
            for (size_t row = 0; row < n_rows; row++)
                at[row] = step(forest, tree, at[row], features + row, BLOCK);
        for (size_t row = 0; row < n_rows; row++)
            sums[row * forest->n_groups + forest->groups[t]] += forest->leaves[forest->roots[t] + at[row]];
    }
}

const Walk scalar_walk = {"scalar", add_row, add_block, 8};
