/* What the Python types of the module share. */
#ifndef TREESERVE_CODEC_TYPES_H
#define TREESERVE_CODEC_TYPES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "codec.h"

typedef struct {
    PyObject_HEAD
    Codec codec;
    PyObject *kept; /* the tuple whose bytes objects `codec` points into; NULL while there is no codec */
} CodecObject;

/* A larger body is worth letting the GIL go for while it is read, and larger ones while their lines are written. */
#define UNLOCKED_BYTES (16 * 1024)
#define UNLOCKED_LINES_BYTES (64 * 1024)

typedef struct {
    PyObject_HEAD
    Format format;
    PyObject *kept; /* the codec and the objects that `format` points into; NULL while there is none */
} FormatObject;

extern PyTypeObject CodecType, FormatType, LinesType;

/* As long as the object lives; 0, or -1 with an error. */
int take_text(PyObject *bytes, Text *);
int take_string(PyObject *string, Text *); /* ASCII; None is empty */

#endif
