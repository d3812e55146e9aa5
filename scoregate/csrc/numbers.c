/* Loops over numbers alone: the warping of bars, and the notes of a MIDI track. */
#include "loops.h"

#include <stdint.h>

enum { WIDEST = 64, COST = 5 };

/* Return the least key of a path through the table of two bars: scoregate.validators.analysis.dtw.
 * A key is a cost shifted by five bits, with the number of steps below. */
static int32_t cheapest(const int32_t *table, int64_t kinds, const int64_t *one,
                        const int64_t *other, Py_ssize_t width) {
    int32_t row[WIDEST] = {0};
    for (Py_ssize_t i = 0; i < width; i++) {
        const int32_t *costs = table + kinds * one[i];
        int32_t diagonal = row[0];
        for (Py_ssize_t j = 0; j < width; j++) {
            int32_t above = row[j], best;
            if (!i)
                best = j ? row[j - 1] : 0;
            else if (!j)
                best = above;
            else {
                best = above < row[j - 1] ? above : row[j - 1];
                best = diagonal < best ? diagonal : best;
            }
            row[j] = best + costs[other[j]];
            diagonal = above;
        }
    }
    return row[width - 1];
}

PyObject *loops_warp(PyObject *module, PyObject *args) {
    Py_buffer table, kind, left, right, result;
    Py_ssize_t width;
    if (!PyArg_ParseTuple(args, "y*y*ny*y*w*", &table, &kind, &width, &left, &right, &result))
        return NULL;
    Py_ssize_t pairs = left.len / 8, bars = width > 0 ? kind.len / 8 / width : 0;
    int64_t kinds = 0;
    while ((kinds + 1) * (kinds + 1) * 4 <= table.len) kinds++;
    const int64_t *ones = left.buf, *others = right.buf, *slices = kind.buf;
    int sound = width > 0 && width <= WIDEST && right.len == left.len &&
                result.len == pairs * (Py_ssize_t)sizeof(int32_t);
    for (Py_ssize_t index = 0; sound && index < bars * width; index++)
        sound = slices[index] >= 0 && slices[index] < kinds;
    for (Py_ssize_t pair = 0; sound && pair < pairs; pair++)
        sound = ones[pair] >= 0 && ones[pair] < bars && others[pair] >= 0 && others[pair] < bars;
    if (sound) {
        Py_BEGIN_ALLOW_THREADS;
        for (Py_ssize_t pair = 0; pair < pairs; pair++)
            ((int32_t *)result.buf)[pair] =
                cheapest(table.buf, kinds, slices + width * ones[pair],
                         slices + width * others[pair], width);
        Py_END_ALLOW_THREADS;
    }
    Py_buffer *every[] = {&table, &kind, &left, &right, &result};
    for (int index = 0; index < 5; index++) PyBuffer_Release(every[index]);
    if (sound) Py_RETURN_NONE;
    PyErr_SetString(PyExc_ValueError, "the arrays do not belong together");
    return NULL;
}

/* Read a number of variable length; 0 where the bytes end before it, or it is too long. */
static int read_number(const uint8_t *midi, Py_ssize_t size, Py_ssize_t *place, uint64_t *value) {
    *value = 0;
    for (int digits = 0; digits < 5; digits++) {
        if (*place >= size) return 0;
        uint8_t byte = midi[(*place)++];
        *value = *value << 7 | (byte & 0x7F);
        if (byte < 0x80) return 1;
    }
    return 0;
}

PyObject *loops_count_notes(PyObject *module, PyObject *args) {
    Py_buffer bytes;
    Py_ssize_t place, end, notes = 0;
    if (!PyArg_ParseTuple(args, "y*nn", &bytes, &place, &end)) return NULL;
    const uint8_t *midi = bytes.buf;
    uint64_t ticks = 0, value;
    uint8_t status = 0;
    int whole = place >= 0 && end <= bytes.len;
    while (whole && place < end) {
        whole = read_number(midi, bytes.len, &place, &value) && place < bytes.len;
        if (!whole) break;
        ticks += value;
        if (midi[place] >= 0x80) status = midi[place++];
        if (status >= 0xF0) { /* a meta event has its type before the length */
            place += status == 0xFF;
            whole = read_number(midi, bytes.len, &place, &value);
            place += value < (uint64_t)bytes.len ? (Py_ssize_t)value : bytes.len;
        } else if (status >= 0xC0 && status < 0xE0) {
            place++;
        } else {
            if ((status & 0xF0) == 0x90) {
                whole = place + 1 < bytes.len;
                notes += whole && midi[place + 1];
            }
            place += 2;
        }
    }
    PyBuffer_Release(&bytes);
    if (!whole) Py_RETURN_NONE;
    return Py_BuildValue("nK", notes, (unsigned long long)ticks);
}
