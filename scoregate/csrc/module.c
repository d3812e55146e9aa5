/* The module scoregate._loops. */
#include "loops.h"

#include <structmember.h>

Py_ssize_t slot_offset(PyObject *type, const char *name) {
    PyObject *found = PyObject_GetAttrString(type, name);
    if (!found) return -1;
    Py_ssize_t offset = -1;
    if (Py_TYPE(found) == &PyMemberDescr_Type)
        offset = ((PyMemberDescrObject *)found)->d_member->offset;
    else
        PyErr_Format(PyExc_TypeError, "%R has no slot %s", type, name);
    Py_DECREF(found);
    return offset;
}

int slot_offsets(PyObject *type, const char *const *names, Py_ssize_t *offsets) {
    for (int index = 0; names[index]; index++)
        if ((offsets[index] = slot_offset(type, names[index])) < 0) return -1;
    return 0;
}

static PyMethodDef methods[] = {
    {"bind_reader", loops_bind_reader, METH_VARARGS,
     "Take the classes VoiceReader, Tokens and Event, and the table of lengths."},
    {"read_notes", loops_read_notes, METH_VARARGS,
     "Read what is ordinary of a stretch of music; return where something else begins."},
    {"bind_score", loops_bind_score, METH_VARARGS,
     "Take the classes Event, Bar, Voice and Fraction."},
    {"collect", loops_collect, METH_VARARGS,
     "Return the notes of voices as arrays of bytes, and the lengths of the bars."},
    {"slices", loops_slices, METH_VARARGS, "Spread notes over the slices of their bars."},
    {"voice_sets", loops_voice_sets, METH_VARARGS, "Spread notes over the beats of the piece."},
    {"warp", loops_warp, METH_VARARGS, "Compute the distances of pairs of bars."},
    {"count_notes", loops_count_notes, METH_VARARGS,
     "Return the notes and the ticks of one track of a MIDI file; None where it breaks off."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_loops", "The innermost loops of the reader and of the gates.", -1,
    methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__loops(void) { return PyModule_Create(&definition); }
