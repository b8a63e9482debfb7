/* The Python face of the codec: `Codec(features)` is made once a signature, and shared. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdlib.h>

#include "codec.h"

/* A larger body is worth letting the GIL go for. */
#define UNLOCKED_BYTES 16384

typedef struct {
    PyObject_HEAD
    Codec codec;
    PyObject *kept; /* the tuple whose bytes objects `codec` points into */
} CodecObject;

static int take_text(PyObject *bytes, Text *text) {
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

/* Rows of the matrix into `rows`; 0, -1 without memory, 1 if the body is not plain. */
static int read_rows(const Codec *codec, Text body, size_t max_instances, Buffer *rows) {
    Reading reading;
    Step step = NOT_PLAIN;
    size_t row_size = codec->n_features * sizeof(float);
    int failed = reading_begin(&reading, codec, body.start, body.length);
    if (failed)
        return failed;
    float *row = malloc(row_size);
    rows->failed = !row;
    while (!rows->failed && (step = reading_next(&reading)) == INSTANCE && reading.instance <= max_instances) {
        for (size_t i = 0; i < codec->n_features; i++)
            row[i] = NAN;
        for (size_t i = 0; i < reading.n_cells; i++)
            row[reading.cells[i].column] = reading.cells[i].value;
        buffer_add(rows, row, row_size);
    }
    free(row);
    reading_end(&reading);
    return rows->failed ? -1 : step == END ? 0 : 1;
}

/* bytes, None where the body is not plain, or an error; frees the buffer. */
static PyObject *to_answer(int failed, Buffer *buffer) {
    PyObject *answer = NULL;
    if (failed < 0)
        PyErr_NoMemory();
    else if (failed)
        answer = Py_NewRef(Py_None);
    else
        answer = PyBytes_FromStringAndSize(buffer->start, (Py_ssize_t)buffer->length);
    free(buffer->start);
    return answer;
}

static PyObject *Codec_read(CodecObject *self, PyObject *args) {
    PyObject *body;
    Py_ssize_t max_instances;
    Text text;
    Buffer rows = {0};
    if (!is_made(self) || !PyArg_ParseTuple(args, "Sn", &body, &max_instances) || take_text(body, &text) < 0)
        return NULL;
    PyThreadState *unlocked = text.length > UNLOCKED_BYTES ? PyEval_SaveThread() : NULL;
    int failed = read_rows(&self->codec, text, (size_t)max_instances, &rows);
    if (unlocked)
        PyEval_RestoreThread(unlocked);
    return to_answer(failed, &rows);
}

/* ASCII; None is empty. */
static int take_string(PyObject *string, Text *text) {
    Py_ssize_t length = 0;
    text->start = string == Py_None ? "" : PyUnicode_AsUTF8AndSize(string, &length);
    text->length = (size_t)length;
    return text->start ? 0 : -1;
}

/* What it points to lives as long as the tuple. */
static int take_exchange(PyObject *item, Exchange *exchange) {
    PyObject *body, *predictions, *request_id, *trace_id;
    long long at_us, duration_ns;
    if (!PyTuple_Check(item)) {
        PyErr_SetString(PyExc_TypeError, "an exchange is a tuple");
        return -1;
    }
    if (!PyArg_ParseTuple(item, "SUUOLL", &body, &predictions, &request_id, &trace_id, &at_us, &duration_ns) ||
        take_text(body, &exchange->body) < 0 || take_string(predictions, &exchange->predictions) < 0 ||
        take_string(request_id, &exchange->request_id) < 0 || take_string(trace_id, &exchange->trace_id) < 0)
        return -1;
    exchange->at_us = at_us;
    exchange->duration_ns = duration_ns;
    return 0;
}

static int write_one(const Codec *codec, Text common, const Exchange *exchange, Buffer *lines) {
    PyThreadState *unlocked = exchange->body.length > UNLOCKED_BYTES ? PyEval_SaveThread() : NULL;
    int failed = write_lines(codec, common, exchange, lines);
    if (unlocked)
        PyEval_RestoreThread(unlocked);
    return failed;
}

static PyObject *Codec_lines(CodecObject *self, PyObject *args) {
    PyObject *members, *given, *exchanges;
    Text common;
    Buffer lines = {0};
    int failed = 0;
    if (!is_made(self) || !PyArg_ParseTuple(args, "UO", &members, &given) ||
        take_string(members, &common) < 0 || !(exchanges = PySequence_Tuple(given))) /* so that no one changes it meanwhile */
        return NULL;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(exchanges) && !failed; i++) {
        Exchange exchange;
        if (take_exchange(PyTuple_GET_ITEM(exchanges, i), &exchange) < 0) {
            free(lines.start);
            Py_DECREF(exchanges);
            return NULL;
        }
        failed = write_one(&self->codec, common, &exchange, &lines);
    }
    Py_DECREF(exchanges);
    return to_answer(failed, &lines);
}

static PyMethodDef methods[] = {
    {"read", (PyCFunction)Codec_read, METH_VARARGS, "read(body, max_instances): rows of float32, or None."},
    {"lines", (PyCFunction)Codec_lines, METH_VARARGS, "lines(common, exchanges): the payload log's lines, or None."},
    {NULL, NULL, 0, NULL},
};
static PyTypeObject CodecType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "app.wire._codec.Codec",
    .tp_basicsize = sizeof(CodecObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "Reads plain bodies for one signature; see app.wire.plain.",
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)Codec_init,
    .tp_dealloc = (destructor)Codec_dealloc,
    .tp_methods = methods,
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_codec", .m_doc = "The compiled codec.", .m_size = -1,
};

PyMODINIT_FUNC PyInit__codec(void) {
    if (number_begin() < 0)
        return PyErr_NoMemory();
    if (PyType_Ready(&CodecType) < 0)
        return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (module && PyModule_AddObjectRef(module, "Codec", (PyObject *)&CodecType) < 0)
        Py_CLEAR(module);
    return module;
}
