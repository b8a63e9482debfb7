/* The Python face of the kernel: `Forest(...)` checks what it is given, and then answers matrices. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <string.h>

#include "forest.h"

/* Features of so few columns have their block on the stack; more take memory for the length of a call. */
#define STACK_FEATURES 256
/* Rows times trees from which on the GIL is let go: less work is over sooner than another thread would give it back. */
#define UNLOCKED_WORK 20000

typedef struct {
    PyObject_HEAD
    Forest forest;
    Transform transform;
    const Walk *walk;
    PyObject *kept; /* the bytes objects that `forest` points into */
} ForestObject;

static int refuse(const char *what) {
    PyErr_SetString(PyExc_ValueError, what);
    return -1;
}

/* What would let a walk leave the arrays, or go round in them; NULL if every index in them leads on. */
static const char *find_damage(const Forest *forest) {
    size_t n_words = forest->n_codes / 32 + 1;
    for (size_t t = 0; t < forest->n_trees; t++) {
        size_t root = forest->roots[t], end = forest->roots[t + 1];
        if (root >= end || end > forest->n_nodes)
            return "a tree's nodes are not in the forest";
        if (forest->groups[t] >= forest->n_groups)
            return "a tree is added to an output that is not there";
        for (size_t at = root; at < end; at++) {
            uint32_t link = forest->nodes[at].link;
            size_t distance = link_distance(forest, link);
            if (distance == 0) {
                if (link != 0 || forest->nodes[at].value == forest->nodes[at].value)
                    return "a leaf has a feature or a threshold";
                continue;
            }
            if (at + distance + 1 >= end)
                return "a node's children are not in its tree";
            /* The first three levels may be walked in a register of eight nodes. */
            if (at - root < 3 && at - root + distance > (at == root ? 1 : 5))
                return "a tree's nodes do not stand level by level";
            size_t feature = link_feature(forest, link);
            if (feature >= forest->n_features)
                return "a node asks for a feature that is not there";
            if (!(link & IS_CATEGORY) != !forest->is_category[feature])
                return "a node takes a category for a number, or a number for a category";
            if (link & IS_CATEGORY) {
                uint32_t set;
                memcpy(&set, &forest->nodes[at].value, sizeof set);
                if (!forest->has_categories[t] || set > forest->n_sets || forest->n_sets - set < n_words)
                    return "a node's categories are not there";
            } else if (forest->nodes[at].value != forest->nodes[at].value)
                return "a threshold is not a number";
        }
    }
    return forest->roots[forest->n_trees] == forest->n_nodes ? NULL : "there are nodes of no tree";
}

static int take(PyObject *bytes, size_t item_size, void *pointer, size_t *n_items) {
    char *start;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(bytes, &start, &length) < 0)
        return -1;
    if (length % item_size)
        return refuse("an array ends in the middle of an item");
    *(char **)pointer = start;
    *n_items = length / item_size;
    return 0;
}

static PyObject *list_walks(void) {
    PyObject *names = PyTuple_New(n_walks);
    for (size_t i = 0; names && i < n_walks; i++) {
        PyObject *name = PyUnicode_FromString(walks[i]->name);
        if (!name)
            Py_CLEAR(names);
        else
            PyTuple_SET_ITEM(names, i, name);
    }
    return names;
}

static int Forest_init(ForestObject *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"nodes", "leaves", "roots", "groups", "depths", "has_categories", "sets", "is_category",
                            "base_scores",
                            "n_codes", "feature_bits", "transform", "walk", NULL};
    PyObject *nodes, *leaves, *roots, *groups, *depths, *has_categories, *sets, *is_category, *base_scores;
    unsigned int n_codes;
    int feature_bits;
    const char *transform, *walk;
    const float *scores;
    if (self->walk)
        return refuse("a forest is made once");
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "SSSSSSSSSIisz", names, &nodes, &leaves, &roots, &groups, &depths,
                                     &has_categories, &sets, &is_category, &base_scores, &n_codes, &feature_bits,
                                     &transform, &walk))
        return -1;
    Forest *forest = &self->forest;
    size_t n_leaves, n_roots, n_groups_of, n_depths, n_flags;
    if (take(nodes, sizeof(Node), &forest->nodes, &forest->n_nodes) < 0 ||
        take(leaves, sizeof(float), &forest->leaves, &n_leaves) < 0 ||
        take(roots, sizeof(uint32_t), &forest->roots, &n_roots) < 0 ||
        take(groups, sizeof(uint16_t), &forest->groups, &n_groups_of) < 0 ||
        take(depths, sizeof(uint16_t), &forest->depths, &n_depths) < 0 ||
        take(has_categories, sizeof(uint8_t), &forest->has_categories, &n_flags) < 0 ||
        take(sets, sizeof(uint32_t), &forest->sets, &forest->n_sets) < 0 ||
        take(is_category, sizeof(uint8_t), &forest->is_category, &forest->n_features) < 0 ||
        take(base_scores, sizeof(float), &scores, &forest->n_groups) < 0)
        return -1;
    forest->n_trees = n_groups_of;
    forest->n_codes = n_codes;
    forest->feature_bits = feature_bits;
    if (n_roots != forest->n_trees + 1 || n_depths != forest->n_trees || n_flags != forest->n_trees)
        return refuse("the arrays of trees differ in length");
    if (n_leaves != forest->n_nodes)
        return refuse("the arrays of nodes differ in length");
    if (feature_bits < 1 || feature_bits > 29 || n_codes > 1u << 24 || forest->n_nodes > INT32_MAX ||
        forest->n_sets > INT32_MAX || forest->n_features > INT32_MAX / BLOCK || forest->n_groups == 0)
        return refuse("a size is out of range");
    while (self->transform < N_TRANSFORMS && strcmp(transform, transform_names[self->transform]) != 0)
        self->transform++;
    if (self->transform == N_TRANSFORMS)
        return refuse("there is no such transform");
    if (!(self->walk = find_walk(walk)))
        return refuse("this processor has no such walk");
    const char *damage;
    Py_BEGIN_ALLOW_THREADS; /* of a large forest it takes long enough for requests to notice */
    damage = find_damage(forest);
    Py_END_ALLOW_THREADS;
    if (damage)
        return refuse(damage);
    if (!(forest->base = PyMem_Malloc(forest->n_groups * sizeof(float)))) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t group = 0; group < forest->n_groups; group++)
        forest->base[group] = margin_of(self->transform, scores[group]);
    self->kept = PyTuple_Pack(8, nodes, leaves, roots, groups, depths, has_categories, sets, is_category);
    return self->kept ? 0 : -1;
}

static void Forest_dealloc(ForestObject *self) {
    PyMem_Free(self->forest.base);
    Py_XDECREF(self->kept);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* Both arguments are C-contiguous float32: the matrix, and room for the answer. */
static PyObject *answer(ForestObject *self, PyObject *args, int is_margin) {
    const Forest *forest = &self->forest;
    Py_buffer matrix, out;
    if (!self->kept) { /* because it was refused */
        refuse("the forest was not made");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "y*w*", &matrix, &out))
        return NULL;
    PyObject *result = NULL;
    size_t row_size = forest->n_features * sizeof(float);
    size_t n_rows = row_size ? matrix.len / row_size : 0;
    size_t n_columns = !is_margin && self->transform == ARGMAX ? 1 : forest->n_groups;
    float stack[BLOCK * STACK_FEATURES];
    float *columns = stack, *margins = out.buf;
    if (n_rows * row_size != (size_t)matrix.len || (size_t)out.len != n_rows * n_columns * sizeof(float)) {
        refuse("the matrix or the room for the answer has another shape");
        goto end;
    }
    if (forest->n_features > STACK_FEATURES)
        columns = PyMem_Malloc(BLOCK * row_size);
    if (n_columns != forest->n_groups)
        margins = PyMem_Malloc(n_rows * forest->n_groups * sizeof(float));
    if (!columns || !margins) {
        PyErr_NoMemory();
        goto end;
    }
    PyThreadState *unlocked = n_rows * forest->n_trees > UNLOCKED_WORK ? PyEval_SaveThread() : NULL;
    walk_rows(forest, self->walk, matrix.buf, n_rows, columns, margins);
    if (!is_margin)
        transform_rows(self->transform, margins, n_rows, forest->n_groups, out.buf);
    if (unlocked)
        PyEval_RestoreThread(unlocked);
    result = Py_NewRef(Py_None);
end:
    if (columns != stack)
        PyMem_Free(columns);
    if (margins != out.buf)
        PyMem_Free(margins);
    PyBuffer_Release(&matrix);
    PyBuffer_Release(&out);
    return result;
}

static PyObject *Forest_margins(ForestObject *self, PyObject *args) { return answer(self, args, 1); }
static PyObject *Forest_predictions(ForestObject *self, PyObject *args) { return answer(self, args, 0); }

static PyObject *Forest_walk(ForestObject *self, void *closure) {
    (void)closure;
    return PyUnicode_FromString(self->walk ? self->walk->name : "none");
}

static PyMethodDef methods[] = {
    {"margins", (PyCFunction)Forest_margins, METH_VARARGS, "margins(matrix, out): sums of leaves into `out`."},
    {"predictions", (PyCFunction)Forest_predictions, METH_VARARGS, "predictions(matrix, out): transformed margins."},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef properties[] = {
    {"walk", (getter)Forest_walk, NULL, "How it is walked: avx2 or scalar.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyTypeObject ForestType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "app.forest._kernel.Forest",
    .tp_basicsize = sizeof(ForestObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "A packed forest; see app.forest.packing.",
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)Forest_init,
    .tp_dealloc = (destructor)Forest_dealloc,
    .tp_methods = methods,
    .tp_getset = properties,
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_kernel", .m_doc = "The compiled forest kernel.", .m_size = -1,
};

PyMODINIT_FUNC PyInit__kernel(void) {
    find_walks();
    if (PyType_Ready(&ForestType) < 0)
        return NULL;
    PyObject *module = PyModule_Create(&definition), *names = list_walks();
    if (module && (PyModule_AddObjectRef(module, "Forest", (PyObject *)&ForestType) < 0 ||
                   PyModule_AddObjectRef(module, "walks", names) < 0))
        Py_CLEAR(module);
    Py_XDECREF(names);
    return module;
}
