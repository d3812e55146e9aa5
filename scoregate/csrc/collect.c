/* The walk of scoregate.validators.analysis.sounding over all events of a score. */
#include "loops.h"

#include <stdint.h>

static Py_ssize_t voice_bars;
static const char *const voice_names[] = {"bars", NULL};

enum { FRACTION_NUMERATOR, FRACTION_DENOMINATOR, FRACTION_SLOTS };
static Py_ssize_t fraction_slots[FRACTION_SLOTS];
static const char *const fraction_names[] = {"_numerator", "_denominator", NULL};
static PyTypeObject *fraction_type, *voice_type;

PyTypeObject *event_type, *bar_type;
Py_ssize_t bar_slots[BAR_SLOTS];
static const char *const bar_names[] = {
    "number", "duration", "metre", "metre_text", "events", "left", "right", "line", "column",
    "key", "implied", "ending", "inner", NULL};
Py_ssize_t event_slots[EVENT_SLOTS];
static const char *const event_names[] = {
    "onset", "duration", "pitches", "line", "column", "tied_from", "tied_to", "grace", "visible",
    "overlay", "text", "tied_pitches", NULL};

PyObject *loops_bind_score(PyObject *module, PyObject *args) {
    PyObject *event, *bar, *voice, *fraction;
    if (!PyArg_ParseTuple(args, "OOOO", &event, &bar, &voice, &fraction)) return NULL;
    if (slot_offsets(event, event_names, event_slots) < 0 ||
        slot_offsets(bar, bar_names, bar_slots) < 0 ||
        slot_offsets(voice, voice_names, &voice_bars) < 0 ||
        slot_offsets(fraction, fraction_names, fraction_slots) < 0)
        return NULL;
    PyTypeObject **const types[] = {&event_type, &bar_type, &voice_type, &fraction_type};
    PyObject *const given[] = {event, bar, voice, fraction};
    for (int index = 0; index < 4; index++) {
        Py_INCREF(given[index]);
        Py_XSETREF(*types[index], (PyTypeObject *)given[index]);
    }
    Py_RETURN_NONE;
}

/* Return a Fraction as Python divides its parts; -1 with an exception, as no duration is. */
static double as_double(PyObject *fraction) {
    if (Py_TYPE(fraction) != fraction_type) {
        PyErr_SetString(PyExc_TypeError, "a duration or an onset is no Fraction");
        return -1;
    }
    PyObject *above = SLOT(fraction, fraction_slots[FRACTION_NUMERATOR]);
    PyObject *below = SLOT(fraction, fraction_slots[FRACTION_DENOMINATOR]);
    int large = 0, larger = 0;
    int64_t top = PyLong_AsLongLongAndOverflow(above, &large);
    int64_t bottom = PyLong_AsLongLongAndOverflow(below, &larger);
    const int64_t exact = (int64_t)1 << 53;
    if (!large && !larger && top > -exact && top < exact && bottom < exact)
        return (double)top / (double)bottom;
    PyObject *quotient = PyNumber_TrueDivide(above, below);
    double value = quotient ? PyFloat_AsDouble(quotient) : -1;
    Py_XDECREF(quotient);
    return value;
}

static int is_of(PyObject *object, PyTypeObject *type) {
    if (Py_TYPE(object) == type) return 1;
    PyErr_Format(PyExc_TypeError, "%R is no %s", object, type->tp_name);
    return 0;
}

static int is_list(PyObject *object) {
    if (PyList_CheckExact(object)) return 1;
    PyErr_Format(PyExc_TypeError, "%R is no list", object);
    return 0;
}

/* Count the notes and the bars, and see that every object is what it should be. */
static int survey(PyObject *voices, Py_ssize_t *notes, Py_ssize_t *longest) {
    *notes = *longest = 0;
    for (Py_ssize_t v = 0; v < PyList_GET_SIZE(voices); v++) {
        PyObject *voice = PyList_GET_ITEM(voices, v);
        if (!is_of(voice, voice_type) || !is_list(SLOT(voice, voice_bars))) return -1;
        PyObject *bars = SLOT(voice, voice_bars);
        for (Py_ssize_t b = 0; b < PyList_GET_SIZE(bars); b++) {
            PyObject *bar = PyList_GET_ITEM(bars, b);
            if (!is_of(bar, bar_type) || !is_list(SLOT(bar, bar_slots[BAR_EVENTS]))) return -1;
            Py_ssize_t number = PyLong_AsSsize_t(SLOT(bar, bar_slots[BAR_NUMBER]));
            if (number < 1 && !PyErr_Occurred())
                PyErr_SetString(PyExc_ValueError, "bars count from 1");
            if (number < 1) return -1;
            if (number > *longest) *longest = number;
            PyObject *events = SLOT(bar, bar_slots[BAR_EVENTS]);
            for (Py_ssize_t e = 0; e < PyList_GET_SIZE(events); e++) {
                PyObject *event = PyList_GET_ITEM(events, e);
                if (!is_of(event, event_type)) return -1;
                PyObject *pitches = SLOT(event, event_slots[EVENT_PITCHES]);
                if (!PyTuple_CheckExact(pitches) ||
                    !PyTuple_CheckExact(SLOT(event, event_slots[EVENT_TIED_PITCHES]))) {
                    PyErr_SetString(PyExc_TypeError, "the pitches of an event are no tuple");
                    return -1;
                }
                *notes += PyTuple_GET_SIZE(pitches);
            }
        }
    }
    return 0;
}

/* The columns of the notes, one behind the other in memory. */
typedef struct {
    int64_t *voice, *bar, *pitch;
    double *onset, *end;
    char *starts, *grace;
    Py_ssize_t count;
} Columns;

static int holds(PyObject *tuple, long pitch) {
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(tuple); index++)
        if (PyLong_AsLong(PyTuple_GET_ITEM(tuple, index)) == pitch) return 1;
    return 0;
}

static int note_event(PyObject *event, Py_ssize_t voice, Py_ssize_t bar, Columns *columns) {
    PyObject *pitches = SLOT(event, event_slots[EVENT_PITCHES]);
    if (!PyTuple_GET_SIZE(pitches)) return 0;
    double onset = as_double(SLOT(event, event_slots[EVENT_ONSET]));
    double length = as_double(SLOT(event, event_slots[EVENT_DURATION]));
    char grace = SLOT(event, event_slots[EVENT_GRACE]) == Py_True;
    PyObject *tied = SLOT(event, event_slots[EVENT_TIED_PITCHES]);
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(pitches); index++) {
        Py_ssize_t row = columns->count++;
        long pitch = PyLong_AsLong(PyTuple_GET_ITEM(pitches, index));
        columns->voice[row] = voice;
        columns->bar[row] = bar;
        columns->pitch[row] = pitch;
        columns->onset[row] = onset;
        columns->end[row] = onset + length;
        columns->starts[row] = !holds(tied, pitch);
        columns->grace[row] = grace;
    }
    return PyErr_Occurred() ? -1 : 0;
}

static int collect(PyObject *voices, Columns *columns, double *lengths) {
    for (Py_ssize_t v = 0; v < PyList_GET_SIZE(voices); v++) {
        PyObject *bars = SLOT(PyList_GET_ITEM(voices, v), voice_bars);
        for (Py_ssize_t b = 0; b < PyList_GET_SIZE(bars); b++) {
            PyObject *bar = PyList_GET_ITEM(bars, b);
            PyObject *events = SLOT(bar, bar_slots[BAR_EVENTS]);
            Py_ssize_t number = PyLong_AsSsize_t(SLOT(bar, bar_slots[BAR_NUMBER])) - 1;
            double length = as_double(SLOT(bar, bar_slots[BAR_DURATION]));
            if (PyErr_Occurred()) return -1;
            if (length > lengths[number]) lengths[number] = length;
            for (Py_ssize_t e = 0; e < PyList_GET_SIZE(events); e++)
                if (note_event(PyList_GET_ITEM(events, e), v, number, columns) < 0) return -1;
        }
    }
    return 0;
}

PyObject *loops_collect(PyObject *module, PyObject *args) {
    PyObject *voices;
    if (!PyArg_ParseTuple(args, "O!", &PyList_Type, &voices)) return NULL;
    Py_ssize_t notes, longest;
    if (!voice_type) {
        PyErr_SetString(PyExc_RuntimeError, "bind_score was not called");
        return NULL;
    }
    if (survey(voices, &notes, &longest) < 0) return NULL;
    PyObject *wide = PyByteArray_FromStringAndSize(NULL, 40 * notes);
    PyObject *narrow = PyByteArray_FromStringAndSize(NULL, 2 * notes);
    PyObject *bars = PyByteArray_FromStringAndSize(NULL, 8 * longest);
    if (wide && narrow && bars) {
        int64_t *numbers = (int64_t *)PyByteArray_AS_STRING(wide);
        double *times = (double *)(numbers + 3 * notes);
        char *flags = PyByteArray_AS_STRING(narrow);
        double *lengths = (double *)PyByteArray_AS_STRING(bars);
        for (Py_ssize_t bar = 0; bar < longest; bar++) lengths[bar] = 0;
        Columns columns = {numbers, numbers + notes, numbers + 2 * notes, times, times + notes,
                           flags, flags + notes, 0};
        if (!collect(voices, &columns, lengths))
            return Py_BuildValue("NNN", wide, narrow, bars);
    }
    Py_XDECREF(wide);
    Py_XDECREF(narrow);
    Py_XDECREF(bars);
    return NULL;
}
