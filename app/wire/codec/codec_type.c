/* `Codec(features)` is made once a signature, and shared. */
#include "types.h"

#include <math.h>
#include <sched.h>
#include <stdlib.h>

int take_text(PyObject *bytes, Text *text) {
    char *start;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(bytes, &start, &length) < 0)
        return -1;
    *text = (Text){start, (size_t)length};
    return 0;
}

static int take_categories(PyObject *names, PyObject *codes, Table *table) {
    Py_ssize_t n = PyTuple_GET_SIZE(names);
    if (PyTuple_GET_SIZE(codes) != n) {
        PyErr_SetString(PyExc_ValueError, "there are not as many codes as categories");
        return -1;
    }
    Text *texts = PyMem_Calloc((size_t)n + 1, sizeof(Text));
    float *values = PyMem_Calloc((size_t)n + 1, sizeof(float));
    int failed = !texts || !values ? PyErr_NoMemory(), -1 : 0;
    for (Py_ssize_t i = 0; i < n && !failed; i++) {
        values[i] = (float)PyFloat_AsDouble(PyTuple_GET_ITEM(codes, i));
        failed = take_text(PyTuple_GET_ITEM(names, i), &texts[i]) < 0 || PyErr_Occurred() ? -1 : 0;
    }
    if (!failed && table_make(table, texts, values, (size_t)n) < 0)
        PyErr_NoMemory(), failed = -1;
    PyMem_Free(texts);
    PyMem_Free(values);
    return failed;
}

static int take_feature(PyObject *item, Feature *feature) {
    PyObject *name, *key, *categories, *codes;
    int kind;
    if (!PyArg_ParseTuple(item, "SSipO!O!", &name, &key, &kind, &feature->is_required, &PyTuple_Type, &categories,
                          &PyTuple_Type, &codes))
        return -1;
    if (kind < 0 || kind >= N_KINDS) {
        PyErr_SetString(PyExc_ValueError, "there is no such kind of feature");
        return -1;
    }
    feature->kind = (Kind)kind;
    if (take_text(name, &feature->name) < 0 || take_text(key, &feature->key) < 0)
        return -1;
    return take_categories(categories, codes, &feature->categories);
}

static int Codec_init(CodecObject *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"features", NULL};
    Codec *codec = &self->codec;
    PyObject *features;
    if (codec->features) {
        PyErr_SetString(PyExc_ValueError, "a codec is made once");
        return -1;
    }
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!", names, &PyTuple_Type, &features))
        return -1;
    size_t n = (size_t)PyTuple_GET_SIZE(features);
    if (n == 0 || n > 1 << 20) {
        PyErr_SetString(PyExc_ValueError, "a codec has 1 to 1,048,576 features");
        return -1;
    }
    Text *texts = PyMem_Calloc(n, sizeof(Text));
    codec->features = PyMem_Calloc(n, sizeof(Feature));
    int failed = !texts || !codec->features ? PyErr_NoMemory(), -1 : 0;
    for (size_t i = 0; i < n && !failed; i++) {
        codec->n_features = i + 1;
        failed = take_feature(PyTuple_GET_ITEM(features, i), &codec->features[i]);
        texts[i] = codec->features[i].name;
        codec->n_required += codec->features[i].is_required;
        codec->n_key_bytes += codec->features[i].key.length;
    }
    if (!failed && table_make(&codec->columns, texts, NULL, n) < 0)
        PyErr_NoMemory(), failed = -1;
    PyMem_Free(texts);
    if (!failed)
        self->kept = Py_NewRef(features);
    return failed;
}

static void Codec_dealloc(CodecObject *self) {
    for (size_t i = 0; i < self->codec.n_features; i++)
        table_free(&self->codec.features[i].categories);
    table_free(&self->codec.columns);
    PyMem_Free(self->codec.features);
    Py_XDECREF(self->kept);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static int is_made(CodecObject *self) {
    if (!self->kept) /* because it was refused */
        PyErr_SetString(PyExc_ValueError, "the codec was not made");
    return self->kept != NULL;
}

/* What a body is read to. */
typedef struct {
    Buffer rows;    /* of the matrix, as float32 */
    Buffer unknown; /* an `Unknown` for each category that is unknown */
} Result;

typedef struct {
    uint32_t instance; /* from 0 */
    Cell cell;
} Unknown;

/* 0, or -1 without memory. */
static int take_row(const Reading *reading, Result *result) {
    size_t n_features = reading->codec->n_features, size = n_features * sizeof(float);
    float *row = (float *)buffer_reserve(&result->rows, size);
    if (!row)
        return -1;
    result->rows.length += size;
    for (size_t i = 0; i < n_features; i++)
        row[i] = NAN;
    for (size_t i = 0; i < reading->n_cells; i++) {
        const Cell *cell = &reading->cells[i];
        row[cell->column] = cell->value;
        if (isnan(cell->value)) {
            Unknown unknown = {reading->instance - 1, *cell};
            buffer_add(&result->unknown, &unknown, sizeof unknown);
        }
    }
    return result->unknown.failed ? -1 : 0;
}

/* A batch gives way to others after so much of its body, as it does in the forest's kernel. */
#define BYTES_AT_A_STRETCH 65536

/* 0, -1 without memory, 1 if the body is not plain. */
static int read_body(const Codec *codec, Text body, size_t max_instances, int unknown_is_missing, Result *result) {
    Reading reading;
    Step step = NOT_PLAIN;
    int failed = reading_begin(&reading, codec, body, unknown_is_missing);
    if (failed)
        return failed;
    const char *stretch = reading.at;
    while (!failed && (step = reading_next(&reading)) == INSTANCE && reading.instance <= max_instances) {
        failed = take_row(&reading, result);
        if (reading.at - stretch > BYTES_AT_A_STRETCH) {
            stretch = reading.at;
            sched_yield();
        }
    }
    reading_end(&reading);
    return failed ? failed : step == END ? 0 : 1;
}

/* Instance, column and text of each unknown category, `n` of them. */
static PyObject *list_unknown(const Unknown *unknown, size_t n) {
    PyObject *list = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; list && i < n; i++) {
        Text token = unknown[i].cell.token;
        PyObject *item = Py_BuildValue("IIs#", unknown[i].instance, unknown[i].cell.column, token.start,
                                       (Py_ssize_t)token.length);
        if (item)
            PyList_SET_ITEM(list, (Py_ssize_t)i, item);
        else
            Py_CLEAR(list);
    }
    return list;
}

/* (rows, how many unknown categories, the first of them); None where the body is not plain. */
static PyObject *to_answer(int failed, const Result *result, size_t max_listed) {
    if (failed < 0)
        return PyErr_NoMemory();
    if (failed)
        Py_RETURN_NONE;
    size_t n_unknown = result->unknown.length / sizeof(Unknown);
    PyObject *rows = PyBytes_FromStringAndSize(result->rows.start, (Py_ssize_t)result->rows.length);
    PyObject *listed =
        list_unknown((const Unknown *)result->unknown.start, n_unknown < max_listed ? n_unknown : max_listed);
    if (!rows || !listed) {
        Py_XDECREF(rows);
        Py_XDECREF(listed);
        return NULL;
    }
    return Py_BuildValue("NnN", rows, (Py_ssize_t)n_unknown, listed);
}

static PyObject *Codec_read(CodecObject *self, PyObject *args) {
    PyObject *body;
    Py_ssize_t max_instances, max_listed;
    int unknown_is_missing;
    Text text;
    Result result = {0};
    if (!is_made(self) || !PyArg_ParseTuple(args, "Snpn", &body, &max_instances, &unknown_is_missing, &max_listed) ||
        take_text(body, &text) < 0)
        return NULL;
    PyThreadState *unlocked = text.length > UNLOCKED_BYTES ? PyEval_SaveThread() : NULL;
    int failed = read_body(&self->codec, text, (size_t)max_instances, unknown_is_missing, &result);
    if (unlocked)
        PyEval_RestoreThread(unlocked);
    PyObject *answer = to_answer(failed, &result, (size_t)max_listed);
    free(result.rows.start);
    free(result.unknown.start);
    return answer;
}

static PyObject *Codec_format(CodecObject *self, PyObject *args) {
    PyObject *codec = PyTuple_Pack(1, self), *all = codec ? PySequence_Concat(codec, args) : NULL;
    PyObject *format = all ? PyObject_CallObject((PyObject *)&FormatType, all) : NULL;
    Py_XDECREF(codec);
    Py_XDECREF(all);
    return format;
}

static PyMethodDef methods[] = {
    {"format", (PyCFunction)Codec_format, METH_VARARGS,
     "format(common, before_other, fields, hashed, key, max_line): what the lines of its bodies look like."},
    {"read", (PyCFunction)Codec_read, METH_VARARGS,
     "read(body, max_instances, unknown_is_missing, max_listed): rows of float32, how many categories are unknown and "
     "which they are; None if the body is not plain."},
    {NULL, NULL, 0, NULL},
};

PyTypeObject CodecType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "app.wire._codec.Codec",
    .tp_basicsize = sizeof(CodecObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "Reads plain bodies for one signature; see app.wire.plain.",
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)Codec_init,
    .tp_dealloc = (destructor)Codec_dealloc,
    .tp_methods = methods,
};
