/* Walks eight rows, or eight trees of one row, in each AVX2 register. */
#include "forest.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2")))
#define LANES 8

/*
 * A gather keeps what its register held before in lanes that are masked out, so it waits for that even if no lane is;
 * compilers leave there whatever the register had. Zeros make gathers independent, and a block twice as quick.
 */
AVX2 static inline __m256 gather_floats(const float *base, __m256i at) {
    __m256 all = _mm256_castsi256_ps(_mm256_set1_epi32(-1));
    return _mm256_mask_i32gather_ps(_mm256_setzero_ps(), base, at, all, 4);
}

typedef struct {
    __m256i feature_mask;
    __m128i feature_bits;
    const int *sets;
} Fields;

AVX2 static inline Fields fields_of(const Forest *forest) {
    return (Fields){
        _mm256_set1_epi32((1 << forest->feature_bits) - 1),
        _mm_cvtsi32_si128(forest->feature_bits),
        (const int *)forest->sets,
    };
}

/* Where rows that have `x` go on from nodes of this value and link. */
AVX2 static inline __m256i next(const Fields *fields, __m256i at, __m256 x, __m256 value, __m256i link,
                                int has_categories) {
    __m256 right = _mm256_cmp_ps(x, value, _CMP_GE_OQ); /* only the sign counts, of this and of what follows */
    __m256 missing = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
    if (has_categories) {
        __m256i is_category = _mm256_slli_epi32(link, 1);
        __m256i asked = _mm256_andnot_si256(_mm256_castps_si256(missing), is_category);
        __m256i code = _mm256_cvttps_epi32(x);
        __m256i word = _mm256_add_epi32(_mm256_castps_si256(value), _mm256_srli_epi32(code, 5));
        __m256i set = _mm256_mask_i32gather_epi32(_mm256_setzero_si256(), fields->sets, word, asked, 4);
        __m256i in_set = _mm256_slli_epi32(_mm256_srlv_epi32(set, _mm256_and_si256(code, _mm256_set1_epi32(31))), 31);
        right = _mm256_blendv_ps(right, _mm256_castsi256_ps(in_set), _mm256_castsi256_ps(is_category));
    }
    right = _mm256_or_ps(right, _mm256_and_ps(missing, _mm256_castsi256_ps(link)));
    __m256i distance = _mm256_srl_epi32(_mm256_and_si256(link, _mm256_set1_epi32(~(RIGHT_IF_MISSING | IS_CATEGORY))),
                                        fields->feature_bits);
    return _mm256_add_epi32(_mm256_add_epi32(at, distance), _mm256_srli_epi32(_mm256_castps_si256(right), 31));
}

AVX2 static inline __m128 load_two(const Node *first, const Node *second) {
    return _mm_loadh_pi(_mm_castpd_ps(_mm_load_sd((const double *)first)), (const __m64 *)second);
}

/*
 * The values and links of eight nodes, each of which is read at once. Eight loads take a processor whose gathers are quick
 * as long as two gathers of four; one that gathers by microcode, as AMD's, takes far longer for those.
 */
AVX2 static inline void read_nodes(const Node *nodes, __m256i at, __m256 *value, __m256i *link) {
    _Alignas(32) uint32_t i[LANES];
    _mm256_store_si256((__m256i *)i, at);
    __asm__("" : "+m"(i)); /* else compilers take the indices out of the register one by one, which is slower */
    __m256 a = _mm256_set_m128(load_two(nodes + i[4], nodes + i[5]), load_two(nodes + i[0], nodes + i[1]));
    __m256 b = _mm256_set_m128(load_two(nodes + i[6], nodes + i[7]), load_two(nodes + i[2], nodes + i[3]));
    *value = _mm256_shuffle_ps(a, b, 0x88);
    *link = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xDD));
}

AVX2 static inline __m256 load_floats(const float *base, __m256i at) {
    _Alignas(32) uint32_t i[LANES];
    _mm256_store_si256((__m256i *)i, at);
    __asm__("" : "+m"(i));
    __m128 low = _mm_insert_ps(_mm_load_ss(base + i[0]), _mm_load_ss(base + i[1]), 0x10);
    low = _mm_insert_ps(_mm_insert_ps(low, _mm_load_ss(base + i[2]), 0x20), _mm_load_ss(base + i[3]), 0x30);
    __m128 high = _mm_insert_ps(_mm_load_ss(base + i[4]), _mm_load_ss(base + i[5]), 0x10);
    high = _mm_insert_ps(_mm_insert_ps(high, _mm_load_ss(base + i[6]), 0x20), _mm_load_ss(base + i[7]), 0x30);
    return _mm256_set_m128(high, low);
}

/* Eight features; `gathers` is known where this is compiled. */
AVX2 static inline __m256 read_floats(const float *base, __m256i at, int gathers) {
    return gathers ? gather_floats(base, at) : load_floats(base, at);
}

/* What eight rows of a block have of the features that their nodes ask for. */
AVX2 static inline __m256 read_features(const Fields *fields, const float *features, __m256i link, int gathers) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256i feature = _mm256_and_si256(link, fields->feature_mask);
    return read_floats(features, _mm256_or_si256(_mm256_slli_epi32(feature, 6), lane), gathers);
}

#define VECTORS (BLOCK / LANES)

AVX2 static inline void walk_tree(const Forest *forest, const Fields *fields, size_t t, const float *features,
                                  size_t n_vectors, int has_categories, int gathers, float *leaves) {
    const Node *tree = forest->nodes + forest->roots[t];
    size_t n_nodes = forest->roots[t + 1] - forest->roots[t];
    unsigned depth = forest->depths[t];
    __m256i at[VECTORS];

    /* The first three levels are seven nodes, which two registers hold. */
    Node top[LANES] = {{0}};
    memcpy(top, tree, sizeof(Node) * (n_nodes < LANES ? n_nodes : LANES));
    __m256 top_values;
    __m256i top_links;
    read_nodes(top, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), &top_values, &top_links);
    /* All rows ask the root for the same feature. */
    const float *first = features + link_feature(forest, tree->link) * BLOCK;
    __m256 root_value = _mm256_set1_ps(tree->value);
    __m256i root_link = _mm256_set1_epi32(tree->link);
    for (size_t v = 0; v < n_vectors; v++)
        at[v] = next(fields, _mm256_setzero_si256(), _mm256_loadu_ps(first + v * LANES), root_value, root_link,
                     has_categories);
    for (unsigned level = 1; level < depth && level < 3; level++)
        for (size_t v = 0; v < n_vectors; v++) {
            __m256 value = _mm256_permutevar8x32_ps(top_values, at[v]);
            __m256i link = _mm256_permutevar8x32_epi32(top_links, at[v]);
            __m256 x = read_features(fields, features + v * LANES, link, gathers);
            at[v] = next(fields, at[v], x, value, link, has_categories);
        }
    for (unsigned level = 3; level < depth; level++)
        for (size_t v = 0; v < n_vectors; v++) {
            __m256 value;
            __m256i link;
            read_nodes(tree, at[v], &value, &link);
            __m256 x = read_features(fields, features + v * LANES, link, gathers);
            at[v] = next(fields, at[v], x, value, link, has_categories);
        }
    for (size_t v = 0; v < n_vectors; v++)
        _mm256_storeu_ps(leaves + v * LANES, read_floats(forest->leaves + forest->roots[t], at[v], gathers));
}

AVX2 static inline void add_rows(const Forest *forest, const float *features, size_t n_rows, int gathers,
                                 float *sums) {
    Fields fields = fields_of(forest);
    float leaves[BLOCK];
    size_t n_vectors = (n_rows + LANES - 1) / LANES;
    for (size_t t = 0; t < forest->n_trees; t++) {
        if (n_vectors == VECTORS) {
            if (forest->has_categories[t])
                walk_tree(forest, &fields, t, features, VECTORS, 1, gathers, leaves);
            else
                walk_tree(forest, &fields, t, features, VECTORS, 0, gathers, leaves);
        } else if (forest->has_categories[t])
            walk_tree(forest, &fields, t, features, n_vectors, 1, gathers, leaves);
        else
            walk_tree(forest, &fields, t, features, n_vectors, 0, gathers, leaves);
        for (size_t row = 0; row < n_rows; row++)
            sums[row * forest->n_groups + forest->groups[t]] += leaves[row];
    }
}

/* Registers of trees that are walked at once. */
#define TREE_VECTORS 4
#define TREES (TREE_VECTORS * LANES)

AVX2 static inline void walk_trees(const Forest *forest, const Fields *fields, const float *features, size_t first,
                                   unsigned depth, int gathers, float *leaves) {
    __m256i at[TREE_VECTORS];
    for (size_t v = 0; v < TREE_VECTORS; v++)
        at[v] = _mm256_loadu_si256((const __m256i *)(forest->roots + first + v * LANES));
    for (unsigned level = 0; level < depth; level++) {
        for (size_t v = 0; v < TREE_VECTORS; v++) {
            __m256 value;
            __m256i link;
            read_nodes(forest->nodes, at[v], &value, &link);
            __m256 x = read_floats(features, _mm256_and_si256(link, fields->feature_mask), gathers);
            at[v] = next(fields, at[v], x, value, link, 0);
        }
    }
    for (size_t v = 0; v < TREE_VECTORS; v++)
        _mm256_storeu_ps(leaves + v * LANES, read_floats(forest->leaves, at[v], gathers));
}

AVX2 static inline void add_one(const Forest *forest, const float *features, int gathers, float *sums) {
    Fields fields = fields_of(forest);
    float leaves[TREES];
    for (size_t first = 0; first < forest->n_trees; first += TREES) {
        size_t n_trees = forest->n_trees - first < TREES ? forest->n_trees - first : TREES;
        unsigned depth = 0;
        int has_categories = 0;
        for (size_t t = first; t < first + n_trees; t++) {
            depth = forest->depths[t] > depth ? forest->depths[t] : depth;
            has_categories |= forest->has_categories[t];
        }
        if (has_categories || n_trees < TREES) { /* a third gather a step makes registers the slower way */
            scalar_add_trees(forest, features, first, n_trees, sums);
            continue;
        }
        walk_trees(forest, &fields, features, first, depth, gathers, leaves);
        for (size_t t = 0; t < TREES; t++)
            sums[forest->groups[first + t]] += leaves[t];
    }
}

AVX2 static void add_row_by_gathers(const Forest *forest, const float *features, float *sums) {
    add_one(forest, features, 1, sums);
}

AVX2 static void add_block_by_gathers(const Forest *forest, const float *features, size_t n_rows, float *sums) {
    add_rows(forest, features, n_rows, 1, sums);
}

AVX2 static void add_row_by_loads(const Forest *forest, const float *features, float *sums) {
    add_one(forest, features, 0, sums);
}

AVX2 static void add_block_by_loads(const Forest *forest, const float *features, size_t n_rows, float *sums) {
    add_rows(forest, features, n_rows, 0, sums);
}

static const Walk by_gathers = {"avx2", add_row_by_gathers, add_block_by_gathers, 24};
static const Walk by_loads = {"avx2-loads", add_row_by_loads, add_block_by_loads, 24};

static int has_avx2(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2");
}

const Walk *avx2_walk(void) { return has_avx2() ? &by_gathers : NULL; }
const Walk *avx2_loads_walk(void) { return has_avx2() ? &by_loads : NULL; }

#else

const Walk *avx2_walk(void) { return NULL; }
const Walk *avx2_loads_walk(void) { return NULL; }

#endif
