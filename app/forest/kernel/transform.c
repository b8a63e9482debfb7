/*
 * From margins to predictions, bit for bit as XGBoost does it: the same operations in the same order, in float32,
 * with the C library's own expf. Source: XGBoost 3.2, src/common/math.h and src/objective.
 */
#include <math.h>

#include "forest.h"

const char *const transform_names[N_TRANSFORMS] = {"identity", "sigmoid", "exponential", "exponential in double",
                                                    "softmax", "argmax", "hinge"};

static float sigmoid(float margin) {
    float x = -margin < 88.7f ? -margin : 88.7f; /* or expf would overflow */
    return 1.0f / (expf(x) + 1.0f + 1e-16f);
}

static size_t largest(const float *margins, size_t n) {
    size_t at = 0;
    for (size_t i = 1; i < n; i++)
        if (margins[i] > margins[at])
            at = i;
    return at;
}

static void softmax(const float *margins, size_t n, float *predictions) {
    float most = margins[largest(margins, n)];
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        predictions[i] = expf(margins[i] - most);
        sum += predictions[i];
    }
    for (size_t i = 0; i < n; i++)
        predictions[i] /= (float)sum;
}

float margin_of(Transform transform, float base_score) {
    switch (transform) {
    case SIGMOID:
        return -logf(1.0f / base_score - 1.0f);
    case EXPONENTIAL:
    case EXPONENTIAL_IN_DOUBLE:
        return logf(base_score);
    default:
        return base_score;
    }
}

void transform_rows(Transform transform, const float *margins, size_t n_rows, size_t n_groups, float *predictions) {
    size_t n = n_rows * n_groups;
    switch (transform) {
    case IDENTITY:
        for (size_t i = 0; i < n; i++)
            predictions[i] = margins[i];
        break;
    case SIGMOID:
        for (size_t i = 0; i < n; i++)
            predictions[i] = sigmoid(margins[i]);
        break;
    case EXPONENTIAL:
        for (size_t i = 0; i < n; i++)
            predictions[i] = expf(margins[i]);
        break;
    case EXPONENTIAL_IN_DOUBLE:
        for (size_t i = 0; i < n; i++)
            predictions[i] = (float)exp(margins[i]);
        break;
    case HINGE:
        for (size_t i = 0; i < n; i++)
            predictions[i] = margins[i] > 0.0f ? 1.0f : 0.0f;
        break;
    case SOFTMAX:
        for (size_t row = 0; row < n_rows; row++)
            softmax(margins + row * n_groups, n_groups, predictions + row * n_groups);
        break;
    case ARGMAX:
        for (size_t row = 0; row < n_rows; row++)
            predictions[row] = (float)largest(margins + row * n_groups, n_groups);
        break;
    case N_TRANSFORMS:
        break;
    }
}
