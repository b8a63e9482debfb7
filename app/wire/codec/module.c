/* The Python face of the codec. */
#include <stdlib.h>

#include "types.h"

/* More of them are worth letting the GIL go for. */
#define UNLOCKED_VALUES 256

static PyObject *write_text(const Py_buffer *values, Py_ssize_t n_columns) {
    Buffer text = {0};
    size_t n_values = (size_t)values->len / sizeof(float);
    PyThreadState *unlocked = n_values > UNLOCKED_VALUES ? PyEval_SaveThread() : NULL;
    int failed = write_predictions(values->buf, n_values, (size_t)n_columns, &text);
    if (unlocked)
        PyEval_RestoreThread(unlocked);
    PyObject *answer = failed < 0   ? PyErr_NoMemory()
                       : failed > 0 ? Py_NewRef(Py_None)
                                    : PyUnicode_DecodeASCII(text.start, (Py_ssize_t)text.length, NULL);
    free(text.start);
    return answer;
}

static PyObject *predictions(PyObject *module, PyObject *args) {
    PyObject *answer = NULL;
    Py_buffer values;
    Py_ssize_t n_columns;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*n", &values, &n_columns))
        return NULL;
    if (n_columns < 0 || !values.len || values.len % ((n_columns ? n_columns : 1) * (Py_ssize_t)sizeof(float)))
        PyErr_SetString(PyExc_ValueError, "these are no rows of so many float32");
    else
        answer = write_text(&values, n_columns);
    PyBuffer_Release(&values);
    return answer;
}

static PyMethodDef functions[] = {
    {"predictions", predictions, METH_VARARGS,
     "predictions(values, n_columns): JSON values, in arrays of n_columns if that is not 0; None if one is not plain."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_codec",
    .m_doc = "The compiled codec.",
    .m_size = -1,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__codec(void) {
    if (number_begin() < 0)
        return PyErr_NoMemory();
    if (PyType_Ready(&CodecType) < 0 || PyType_Ready(&FormatType) < 0 || PyType_Ready(&LinesType) < 0)
        return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (module && (PyModule_AddObjectRef(module, "Codec", (PyObject *)&CodecType) < 0 ||
                   PyModule_AddObjectRef(module, "Lines", (PyObject *)&LinesType) < 0))
        Py_CLEAR(module);
    return module;
}
