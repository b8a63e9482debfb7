/*
 * A forest as the kernel walks it, and what each way of walking it offers.
 *
 * Nodes of 8 bytes, each tree level by level, so that the two children of a node are neighbours and a tree's first
 * seven nodes are its first three levels. A leaf is its own left child, and nothing goes right there, because its
 * threshold is no number: a walk that goes on past it stays there, and a tree is walked in a fixed number of steps,
 * without a branch that a processor could guess wrongly.
 */
#ifndef TREESERVE_FOREST_H
#define TREESERVE_FOREST_H

#include <stddef.h>
#include <stdint.h>

/*
 * A node's link, from its highest bit: whether a missing value goes right, whether the node asks for a category, the
 * distance to its left child, and the feature in the lowest `feature_bits`.
 */
#define RIGHT_IF_MISSING 0x80000000u
#define IS_CATEGORY 0x40000000u

/* Rows that are walked together through one tree: its nodes are then read from memory once. */
#define BLOCK 64

typedef struct {
    float value; /* from it on, a number goes right; NaN in a leaf; for a category the bits are an index into `sets` */
    uint32_t link;
} Node;

typedef struct {
    Node *nodes;
    float *leaves;           /* of each node, what a row is given that ends there */
    uint32_t *roots;         /* of tree t: nodes[roots[t]]; n_trees + 1 of them */
    uint16_t *groups;        /* to which output tree t is added */
    uint16_t *depths;        /* steps from the root to the deepest leaf */
    uint8_t *has_categories; /* whether tree t has a node that asks for a category */
    uint32_t *sets;          /* categories that go right, one bit each */
    uint8_t *is_category;    /* of each feature */
    float *base;             /* margin that a row begins with, for each output */
    size_t n_nodes, n_trees, n_features, n_groups, n_sets;
    uint32_t n_codes;        /* categories are 0 to n_codes - 1; any other is looked up as n_codes, in no set */
    int feature_bits;
} Forest;

static inline uint32_t link_feature(const Forest *forest, uint32_t link) {
    return link & ((1u << forest->feature_bits) - 1);
}

static inline uint32_t link_distance(const Forest *forest, uint32_t link) {
    return (link & ~(RIGHT_IF_MISSING | IS_CATEGORY)) >> forest->feature_bits;
}

/*
 * One way of walking a forest. Every way gives the same bits: a row's leaves are added in the order of the trees.
 *
 * row:   adds one row's leaves to sums[n_groups]; features[n_features].
 * block: the same for up to BLOCK rows; features by column, features[feature * BLOCK + row], and sums by row. Columns
 *        are filled up to BLOCK rows with any numbers.
 */
typedef struct {
    const char *name;
    void (*row)(const Forest *, const float *features, float *sums);
    void (*block)(const Forest *, const float *features, size_t n_rows, float *sums);
    size_t rows_for_block; /* from how many rows on `block` is the quicker one */
} Walk;

extern const Walk scalar_walk;
void scalar_add_trees(const Forest *, const float *features, size_t first, size_t n, float *sums);
const Walk *avx2_walk(void); /* NULL where this processor has no AVX2 */
const Walk *avx2_loads_walk(void); /* the same without gathers, which not every processor is quick at */

/* The ways that this processor can walk, the quickest first; found once, when the module is loaded. */
#define N_WALKS 3
extern const Walk *walks[N_WALKS];
extern size_t n_walks;
void find_walks(void);
const Walk *find_walk(const char *name); /* of this name, or the quickest for NULL; NULL if there is none */

/*
 * Margins of rows[n_rows][n_features] into sums[n_rows][n_groups]; columns has room for a block's features. It calls
 * nothing of Python's.
 */
void walk_rows(const Forest *, const Walk *, const float *rows, size_t n_rows, float *columns, float *sums);

/* Output transforms of XGBoost's objectives: margins[n_rows][n_groups] to predictions, which may be the same place. */
typedef enum { IDENTITY, SIGMOID, EXPONENTIAL, EXPONENTIAL_IN_DOUBLE, SOFTMAX, ARGMAX, HINGE, N_TRANSFORMS } Transform;
extern const char *const transform_names[N_TRANSFORMS];
void transform_rows(Transform, const float *margins, size_t n_rows, size_t n_groups, float *predictions);
float margin_of(Transform, float base_score); /* the way back, for the base score, which is a prediction */

#endif
