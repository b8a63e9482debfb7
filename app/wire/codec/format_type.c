/* `codec.format(common, before_other, fields, hashed, key, max_line)`: what the lines of its bodies look like. */
#include "types.h"

static int is_wrong(const Format *format) {
    size_t n_features = format->codec->n_features;
    if (format->fields.length != n_features || format->hashed.length != n_features)
        return 1;
    for (size_t i = 0; i < n_features; i++)
        if (format->fields.start[i] < 0 || format->fields.start[i] >= N_FIELDS ||
            (format->hashed.start[i] && format->fields.start[i] == NUMBERS))
            return 1;
    return format->key.length > MAX_KEY;
}

static int Format_init(FormatObject *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"codec", "common", "before_other", "fields", "hashed", "key", "max_line", NULL};
    PyObject *codec, *common, *before_other, *fields, *hashed, *key;
    Py_ssize_t max_line;
    if (self->kept) {
        PyErr_SetString(PyExc_ValueError, "a format is made once");
        return -1;
    }
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!UUSSSn", names, &CodecType, &codec, &common, &before_other,
                                     &fields, &hashed, &key, &max_line))
        return -1;
    Format format = {.codec = &((CodecObject *)codec)->codec, .max_line = (size_t)max_line};
    if (take_string(common, &format.common) < 0 || take_string(before_other, &format.before_other) < 0 ||
        take_text(fields, &format.fields) < 0 || take_text(hashed, &format.hashed) < 0 ||
        take_text(key, &format.key) < 0)
        return -1;
    if (!((CodecObject *)codec)->kept || max_line < 0 || is_wrong(&format)) {
        PyErr_SetString(PyExc_ValueError, "a field for each feature, what is hashed as text, a key of 32 bytes at most");
        return -1;
    }
    self->format = format;
    self->kept = PyTuple_Pack(6, codec, common, before_other, fields, hashed, key);
    return self->kept ? 0 : -1;
}

static void Format_dealloc(FormatObject *self) {
    Py_XDECREF(self->kept);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *Format_gather(PyObject *self, PyObject *none) {
    (void)none;
    return PyObject_CallOneArg((PyObject *)&LinesType, self);
}

static PyMethodDef methods[] = {
    {"gather", Format_gather, METH_NOARGS, "gather(): no lines yet, that will look so."},
    {NULL, NULL, 0, NULL},
};

PyTypeObject FormatType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "app.wire._codec.Format",
    .tp_basicsize = sizeof(FormatObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "What lines look like; see app.wire.line_format.",
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)Format_init,
    .tp_dealloc = (destructor)Format_dealloc,
    .tp_methods = methods,
};
