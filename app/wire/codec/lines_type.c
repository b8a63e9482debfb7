/*
 * `format.gather()` makes `Lines`. They gather requests and their answers, which costs each of
 * them next to nothing, and make the lines when they are asked for them: piece by piece, in whatever thread, without
 * the GIL.
 */
#include "types.h"

#include <sched.h>
#include <structmember.h>

#define PIECE_BYTES (256 * 1024) /* much less than the caches hold, and large enough to be worth a call */
#define N_KEPT 5                 /* objects an exchange points into */
#define OTHERS 4                 /* which of them has the other predictions */

typedef struct {
    PyObject_HEAD
    PyObject *format;
    Exchange *exchanges;
    PyObject **kept; /* N_KEPT for each exchange */
    size_t n_exchanges, room;
    Py_ssize_t n_bytes;
    int is_begun, is_busy;
    Writing writing;
} LinesObject;

int take_string(PyObject *string, Text *text) {
    *text = (Text){"", 0};
    if (string == Py_None)
        return 0;
    if (!PyUnicode_Check(string) || !PyUnicode_IS_ASCII(string)) {
        PyErr_SetString(PyExc_ValueError, "a string must be ASCII");
        return -1;
    }
    *text = (Text){(const char *)PyUnicode_1BYTE_DATA(string), (size_t)PyUnicode_GET_LENGTH(string)};
    return 0;
}

/* A clock that stands before 1970 costs no line. */
static int take_time(PyObject *number, int64_t *time) {
    *time = PyLong_AsLongLong(number);
    if (*time == -1 && PyErr_Occurred())
        return -1;
    if (*time < 0)
        *time = 0;
    return 0;
}

static int Lines_init(LinesObject *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"format", NULL};
    PyObject *format;
    if (self->format) {
        PyErr_SetString(PyExc_ValueError, "they are made once");
        return -1;
    }
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!", names, &FormatType, &format))
        return -1;
    if (!((FormatObject *)format)->kept) {
        PyErr_SetString(PyExc_ValueError, "the format was not made");
        return -1;
    }
    self->writing.format = &((FormatObject *)format)->format;
    self->format = Py_NewRef(format);
    return 0;
}

static void Lines_dealloc(LinesObject *self) {
    writing_end(&self->writing);
    for (size_t i = 0; i < N_KEPT * self->n_exchanges; i++)
        Py_DECREF(self->kept[i]);
    PyMem_Free(self->kept);
    PyMem_Free(self->exchanges);
    Py_XDECREF(self->format);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static int make_room(LinesObject *self) {
    if (self->n_exchanges < self->room)
        return 0;
    size_t room = 2 * self->room + 1;
    Exchange *exchanges = PyMem_Realloc(self->exchanges, room * sizeof(Exchange));
    if (exchanges)
        self->exchanges = exchanges;
    PyObject **kept = PyMem_Realloc(self->kept, room * N_KEPT * sizeof(PyObject *));
    if (kept)
        self->kept = kept;
    if (!exchanges || !kept) {
        PyErr_NoMemory();
        return -1;
    }
    self->room = room;
    return 0;
}

static PyObject *Lines_add(LinesObject *self, PyObject *const *args, Py_ssize_t n_args) {
    Exchange exchange;
    if (n_args != 6 || !self->format || self->is_begun) {
        PyErr_SetString(PyExc_ValueError, "add() takes six arguments, before the first line was asked for");
        return NULL;
    }
    exchange.others = (Text){"", 0};
    if (take_text(args[0], &exchange.body) < 0 || take_string(args[1], &exchange.predictions) < 0 ||
        take_string(args[2], &exchange.request_id) < 0 || take_string(args[3], &exchange.trace_id) < 0 ||
        take_time(args[4], &exchange.at_us) < 0 || take_time(args[5], &exchange.duration_ns) < 0 ||
        make_room(self) < 0)
        return NULL;
    PyObject **kept = self->kept + N_KEPT * self->n_exchanges;
    for (int i = 0; i < OTHERS; i++)
        kept[i] = Py_NewRef(args[i]);
    kept[OTHERS] = Py_NewRef(Py_None);
    self->exchanges[self->n_exchanges++] = exchange;
    self->n_bytes += (Py_ssize_t)(exchange.body.length + exchange.predictions.length);
    Py_RETURN_NONE;
}

static PyObject *Lines_tell(LinesObject *self, PyObject *others) {
    if (!PyList_Check(others) || (size_t)PyList_GET_SIZE(others) != self->n_exchanges || self->is_begun) {
        PyErr_SetString(PyExc_ValueError, "tell() takes a list with an item for each request, before the first line");
        return NULL;
    }
    for (size_t i = 0; i < self->n_exchanges; i++) {
        PyObject *text = PyList_GET_ITEM(others, (Py_ssize_t)i), **kept = &self->kept[N_KEPT * i + OTHERS];
        Text taken;
        if (take_string(text, &taken) < 0)
            return NULL;
        self->exchanges[i].others = taken;
        Py_SETREF(*kept, Py_NewRef(text));
    }
    Py_RETURN_NONE;
}

static PyObject *Lines_next(LinesObject *self) {
    if (!self->format || self->is_busy) {
        PyErr_SetString(PyExc_ValueError, "they are being made in another thread, or never were");
        return NULL;
    }
    self->is_begun = self->is_busy = 1;
    self->writing.exchanges = self->exchanges;
    self->writing.n_exchanges = self->n_exchanges;
    /* Small requests are written on the event loop, which another thread would make wait for the GIL. */
    PyThreadState *unlocked = self->n_bytes > UNLOCKED_LINES_BYTES ? PyEval_SaveThread() : NULL;
    int failed = writing_next(&self->writing, PIECE_BYTES);
    if (unlocked) {
        sched_yield(); /* a batch gives way to others, as it does in the forest's kernel */
        PyEval_RestoreThread(unlocked);
    }
    self->is_busy = 0;
    if (failed < 0)
        return PyErr_NoMemory();
    if (failed) {
        PyErr_SetString(PyExc_ValueError, "a body is not plain, or has not as many instances as predictions");
        return NULL;
    }
    const Buffer *lines = &self->writing.lines;
    if (!lines->length)
        return NULL; /* there are no more */
    return Py_BuildValue("y#n", lines->start, (Py_ssize_t)lines->length, (Py_ssize_t)self->writing.n_instances);
}

static PyMethodDef methods[] = {
    {"add", (PyCFunction)(void (*)(void))Lines_add, METH_FASTCALL,
     "add(body, predictions, request_id, trace_id, at_us, duration_ns): one request and its answer."},
    {"tell", (PyCFunction)Lines_tell, METH_O,
     "tell(others): what another model version predicts of each request, as its predictions; None where it does not."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"n_bytes", T_PYSSIZET, offsetof(LinesObject, n_bytes), READONLY, "What is kept until the lines are made."},
    {NULL, 0, 0, 0, NULL},
};

PyTypeObject LinesType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "app.wire._codec.Lines",
    .tp_basicsize = sizeof(LinesObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "Iterates over pieces of the payload log: whole lines, and of how many instances they are.",
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)Lines_init,
    .tp_dealloc = (destructor)Lines_dealloc,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = (iternextfunc)Lines_next,
    .tp_methods = methods,
    .tp_members = members,
};
