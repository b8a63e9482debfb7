/*
 * Counts rows of matrices in the bins of their columns; see app.observed.counts.
 *
 * A number's bin is how many edges it has reached, found by comparing it with each: there are about ten, and a search
 * that divides them takes longer.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { NUMBER, CATEGORY };

#define UNKNOWN_BITS 0x7FC00001u    /* as app.wire.exchange has it */
#define UNLOCKED_CELLS (64 * 1024) /* worth letting the GIL go for */

typedef struct {
    uint32_t column, kind, first, n, n_bins; /* `first` of the edges or codes */
} Column;

typedef struct {
    const Column *columns;
    size_t n_columns, n_edges, n_codes, n_bins;
    const float *edges;
    const int32_t *codes;
} Layout;

static inline uint32_t find_number(const float *edges, uint32_t n, float value) {
    uint32_t reached = 0;
    for (uint32_t i = 0; i < n; i++)
        reached += value >= edges[i];
    return reached;
}

static inline uint32_t find_category(const Layout *layout, const Column *column, float code) {
    return code >= 0 && code < (float)column->n ? (uint32_t)layout->codes[column->first + (uint32_t)code]
                                                : column->n_bins - 2;
}

static inline uint32_t find_bin(const Layout *layout, const Column *column, float value) {
    if (isnan(value)) {
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        return column->n_bins - 1 - (column->kind == CATEGORY && bits == UNKNOWN_BITS);
    }
    return column->kind == NUMBER ? find_number(layout->edges + column->first, column->n, value)
                                  : find_category(layout, column, value);
}

static void count_rows(const Layout *layout, const float *rows, size_t n_rows, size_t n_columns, int64_t *counts) {
    for (size_t row = 0; row < n_rows; row++, rows += n_columns) {
        int64_t *at = counts;
        for (size_t i = 0; i < layout->n_columns; at += layout->columns[i++].n_bins)
            at[find_bin(layout, &layout->columns[i], rows[layout->columns[i].column])]++;
    }
}

/* Whether all that the columns name is there, for matrices of so many columns. */
static int is_sound(const Layout *layout, size_t n_columns) {
    size_t n_bins = 0;
    for (size_t i = 0; i < layout->n_columns; i++) {
        const Column *column = &layout->columns[i];
        size_t end = (size_t)column->first + column->n;
        n_bins += column->n_bins;
        if (column->column >= n_columns || column->kind > CATEGORY)
            return 0;
        if (column->kind == NUMBER && (end > layout->n_edges || column->n_bins != column->n + 2))
            return 0;
        if (column->kind == CATEGORY && (end > layout->n_codes || column->n_bins < 3))
            return 0;
        for (size_t code = column->first; column->kind == CATEGORY && code < end; code++)
            if (layout->codes[code] < 0 || (uint32_t)layout->codes[code] >= column->n_bins - 2)
                return 0;
    }
    return n_bins == layout->n_bins;
}

/* Counts one matrix; 0, or -1 with an error. */
static int count_matrix(const Layout *layout, PyObject *matrix, int64_t *counts) {
    Py_buffer rows;
    int failed = -1;
    if (PyObject_GetBuffer(matrix, &rows, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) < 0)
        return -1;
    if (rows.itemsize != sizeof(float) || strcmp(rows.format ? rows.format : "", "f") || rows.ndim < 1 || rows.ndim > 2) {
        PyErr_SetString(PyExc_ValueError, "a matrix has rows of float32");
        goto end;
    }
    size_t n_rows = (size_t)rows.shape[0], n_columns = rows.ndim == 2 ? (size_t)rows.shape[1] : 1;
    if (!is_sound(layout, n_columns)) {
        PyErr_SetString(PyExc_ValueError, "the columns name what is not there");
        goto end;
    }
    if (n_rows * layout->n_columns < UNLOCKED_CELLS) {
        count_rows(layout, rows.buf, n_rows, n_columns, counts);
    } else {
        Py_BEGIN_ALLOW_THREADS
        count_rows(layout, rows.buf, n_rows, n_columns, counts);
        Py_END_ALLOW_THREADS
    }
    failed = 0;
end:
    PyBuffer_Release(&rows);
    return failed;
}

static int count_matrices(const Layout *layout, PyObject *matrices, int64_t *counts) {
    PyObject *list = PySequence_Fast(matrices, "matrices are a sequence");
    int failed = list ? 0 : -1;
    for (Py_ssize_t i = 0; !failed && i < PySequence_Fast_GET_SIZE(list); i++)
        failed = count_matrix(layout, PySequence_Fast_GET_ITEM(list, i), counts);
    Py_XDECREF(list);
    return failed;
}

static PyObject *count(PyObject *module, PyObject *args) {
    Py_buffer columns, edges, codes, counts;
    PyObject *matrices;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*y*y*Ow*", &columns, &edges, &codes, &matrices, &counts))
        return NULL;
    Layout layout = {
        .columns = columns.buf,
        .n_columns = (size_t)columns.len / sizeof(Column),
        .edges = edges.buf,
        .n_edges = (size_t)edges.len / sizeof(float),
        .codes = codes.buf,
        .n_codes = (size_t)codes.len / sizeof(int32_t),
        .n_bins = (size_t)counts.len / sizeof(int64_t),
    };
    int failed = count_matrices(&layout, matrices, counts.buf);
    PyBuffer_Release(&columns);
    PyBuffer_Release(&edges);
    PyBuffer_Release(&codes);
    PyBuffer_Release(&counts);
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"count", count, METH_VARARGS,
     "count(columns, edges, codes, matrices, counts): add the rows of float32 matrices to counts of int64; the caller "
     "lets no other thread do so meanwhile."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_counting",
    .m_doc = "Counts rows in bins.",
    .m_size = -1,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__counting(void) { return PyModule_Create(&definition); }
