/* Takes a matrix through the forest: row by row, or a block of rows at a time. */
#include <sched.h>
#include <string.h>

#include "forest.h"

/* A category that no set can have is looked up as one that none has; XGBoost sends it left as well. */
static inline float known(const Forest *forest, size_t feature, float x) {
    return !forest->is_category[feature] || x != x || (x >= 0 && x < forest->n_codes) ? x : (float)forest->n_codes;
}

/*
 * A batch gives way to whatever else wants its core after so many rows times trees, about a sixth of a millisecond.
 * Linux would not take the core from it before the next tick, some four milliseconds, whatever the priorities.
 */
#define WORK_AT_A_STRETCH 50000

void walk_rows(const Forest *forest, const Walk *walk, const float *rows, size_t n_rows, float *columns, float *sums) {
    size_t work = 0;
    for (size_t row = 0; row < n_rows; row++)
        memcpy(sums + row * forest->n_groups, forest->base, forest->n_groups * sizeof(float));
    if (n_rows < walk->rows_for_block) {
        for (size_t row = 0; row < n_rows; row++) {
            for (size_t feature = 0; feature < forest->n_features; feature++)
                columns[feature] = known(forest, feature, rows[row * forest->n_features + feature]);
            walk->row(forest, columns, sums + row * forest->n_groups);
        }
        return;
    }
    for (size_t first = 0; first < n_rows; first += BLOCK) {
        size_t n = n_rows - first < BLOCK ? n_rows - first : BLOCK;
        for (size_t feature = 0; feature < forest->n_features; feature++)
            for (size_t row = 0; row < BLOCK; row++)
                columns[feature * BLOCK + row] =
                    row < n ? known(forest, feature, rows[(first + row) * forest->n_features + feature]) : 0.0f;
        walk->block(forest, columns, n, sums + first * forest->n_groups);
        if ((work += n * forest->n_trees) >= WORK_AT_A_STRETCH) {
            work = 0;
            sched_yield();
        }
    }
}
