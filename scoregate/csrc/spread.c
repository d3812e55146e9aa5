/* Notes spread over slices of bars and over beats: slices of
 * scoregate.validators.analysis.sounding and voice_sets of scoregate.validators.analysis.chords. */
#include "loops.h"

#include <math.h>
#include <stdint.h>

/* How far a time may lie beyond a slice's or a beat's beginning by rounding. */
static const double NEARLY = 1e-6;

/* Buffers of one call, the first ones read, the last ones written. */
enum { MOST = 9 };
typedef struct {
    Py_buffer each[MOST];
    int count;
} Buffers;

/* Open the buffers of a tuple; `writable` of them, at its end, are written. -1 with an exception. */
static int open_buffers(Buffers *buffers, PyObject *args, int count, int writable) {
    buffers->count = 0;
    if (PyTuple_GET_SIZE(args) < count) {
        PyErr_SetString(PyExc_TypeError, "too few arrays");
        return -1;
    }
    for (; buffers->count < count; buffers->count++) {
        int flags = buffers->count < count - writable ? PyBUF_SIMPLE : PyBUF_WRITABLE;
        PyObject *array = PyTuple_GET_ITEM(args, buffers->count);
        if (PyObject_GetBuffer(array, &buffers->each[buffers->count], flags) < 0) return -1;
    }
    return 0;
}

/* Release the buffers; None where all was in order, else the exception that is set or made here. */
static PyObject *close_buffers(Buffers *buffers, int sound) {
    while (buffers->count) PyBuffer_Release(&buffers->each[--buffers->count]);
    if (sound) Py_RETURN_NONE;
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "the arrays do not belong together");
    return NULL;
}

/* bar, pitch, onset, end, grace, length of each bar; slices of two words. */
PyObject *loops_slices(PyObject *module, PyObject *args) {
    enum { PER_BAR = 16 };
    Buffers buffers;
    if (open_buffers(&buffers, args, 7, 1) < 0) return close_buffers(&buffers, 0);
    const int64_t *bar = buffers.each[0].buf, *pitch = buffers.each[1].buf;
    const double *onset = buffers.each[2].buf, *end = buffers.each[3].buf;
    const char *grace = buffers.each[4].buf;
    const double *length = buffers.each[5].buf;
    uint64_t *slices = buffers.each[6].buf;
    Py_ssize_t notes = buffers.each[4].len, bars = buffers.each[5].len / 8;
    int sound = buffers.each[6].len == bars * PER_BAR * 16;
    for (int index = 0; index < 4; index++) sound = sound && buffers.each[index].len == 8 * notes;
    for (Py_ssize_t note = 0; sound && note < notes; note++) {
        sound = bar[note] >= 0 && bar[note] < bars;
        if (!sound || grace[note] || pitch[note] < 0 || pitch[note] > 127) continue;
        double whole = length[bar[note]] > NEARLY ? length[bar[note]] : NEARLY;
        double scale = PER_BAR / whole;
        double first = ceil(onset[note] * scale - NEARLY), last = ceil(end[note] * scale - NEARLY);
        if (!(first >= 0)) first = 0;
        if (!(last <= PER_BAR)) last = PER_BAR;
        uint64_t *word = slices + bar[note] * PER_BAR * 2 + (pitch[note] >> 6);
        for (int slice = (int)fmin(first, PER_BAR); slice < last; slice++)
            word[2 * slice] |= (uint64_t)1 << (pitch[note] & 63);
    }
    return close_buffers(&buffers, sound);
}

/* voice, bar, pitch, onset, end, length of a beat and first beat by bar (one more than bars);
 * sets and lowest pitches by voice and beat. Grace notes are left out before. */
PyObject *loops_voice_sets(PyObject *module, PyObject *args) {
    Buffers buffers;
    if (open_buffers(&buffers, args, 9, 2) < 0) return close_buffers(&buffers, 0);
    const int64_t *voice = buffers.each[0].buf, *bar = buffers.each[1].buf;
    const int64_t *pitch = buffers.each[2].buf, *first = buffers.each[6].buf;
    const double *onset = buffers.each[3].buf, *end = buffers.each[4].buf;
    const double *beat = buffers.each[5].buf;
    int16_t *sets = buffers.each[7].buf, *lows = buffers.each[8].buf;
    Py_ssize_t notes = buffers.each[0].len / 8, bars = buffers.each[5].len / 8;
    int sound = buffers.each[6].len == 8 * (bars + 1) && buffers.each[7].len == buffers.each[8].len;
    for (int index = 1; index < 5; index++) sound = sound && buffers.each[index].len == 8 * notes;
    Py_ssize_t beats = sound ? first[bars] : 0, cells = buffers.each[7].len / 2;
    sound = sound && beats >= 0;
    for (Py_ssize_t index = 0; sound && index < bars; index++)
        sound = first[index] >= 0 && first[index] <= first[index + 1] && first[index + 1] <= beats;
    for (Py_ssize_t note = 0; sound && note < notes; note++) {
        sound = bar[note] >= 0 && bar[note] < bars && voice[note] >= 0 &&
                (voice[note] + 1) * beats <= cells;
        if (!sound) break;
        int64_t count = first[bar[note] + 1] - first[bar[note]];
        double length = beat[bar[note]];
        double begin = ceil(onset[note] / length - NEARLY), stop = ceil(end[note] / length - NEARLY);
        if (!(begin >= 0)) begin = 0;
        if (!(stop <= (double)count)) stop = (double)count;
        Py_ssize_t row = voice[note] * beats + first[bar[note]];
        for (Py_ssize_t at = begin < stop ? (Py_ssize_t)begin : count; at < stop; at++) {
            sets[row + at] |= (int16_t)(1 << pitch[note] % 12);
            if (pitch[note] < lows[row + at]) lows[row + at] = (int16_t)pitch[note];
        }
    }
    return close_buffers(&buffers, sound);
}
