/* The innermost loops of the reader and of the gates. Each stands beside the same loop in Python,
 * which works where nothing was compiled; tests/test_abc_loops.py holds the two equal. */
#ifndef SCOREGATE_LOOPS_H
#define SCOREGATE_LOOPS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Where an object of a class with __slots__ keeps an attribute. */
#define SLOT(object, offset) (*(PyObject **)((char *)(object) + (offset)))

/* Put a value, whose reference is taken over, into a slot. */
static inline void put(PyObject *object, Py_ssize_t offset, PyObject *value) {
    PyObject *old = SLOT(object, offset);
    SLOT(object, offset) = value;
    Py_XDECREF(old);
}

/* Return the offset of a slot of a class; -1 with an exception where there is no such slot. */
Py_ssize_t slot_offset(PyObject *type, const char *name);

/* Fill a list of offsets by names that end with NULL; -1 with an exception. */
int slot_offsets(PyObject *type, const char *const *names, Py_ssize_t *offsets);

/* Slots of scoregate.abc.score.Event, in the order of its fields. */
enum {
    EVENT_ONSET, EVENT_DURATION, EVENT_PITCHES, EVENT_LINE, EVENT_COLUMN, EVENT_TIED_FROM,
    EVENT_TIED_TO, EVENT_GRACE, EVENT_VISIBLE, EVENT_OVERLAY, EVENT_TEXT, EVENT_TIED_PITCHES,
    EVENT_SLOTS
};
/* Slots of scoregate.abc.score.Bar. */
enum {
    BAR_NUMBER, BAR_DURATION, BAR_METRE, BAR_METRE_TEXT, BAR_EVENTS, BAR_LEFT, BAR_RIGHT, BAR_LINE,
    BAR_COLUMN, BAR_KEY, BAR_IMPLIED, BAR_ENDING, BAR_INNER, BAR_SLOTS
};
extern PyTypeObject *event_type, *bar_type;
extern Py_ssize_t bar_slots[BAR_SLOTS];
extern Py_ssize_t event_slots[EVENT_SLOTS];

PyObject *loops_bind_reader(PyObject *module, PyObject *args);
PyObject *loops_read_notes(PyObject *module, PyObject *args);
PyObject *loops_bind_score(PyObject *module, PyObject *args);
PyObject *loops_collect(PyObject *module, PyObject *args);
PyObject *loops_slices(PyObject *module, PyObject *args);
PyObject *loops_voice_sets(PyObject *module, PyObject *args);
PyObject *loops_warp(PyObject *module, PyObject *args);
PyObject *loops_count_notes(PyObject *module, PyObject *args);

#endif
