/* Loops over numbers alone: the warping of bars, and the notes of a MIDI track. */
#include "loops.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { WIDEST = 64, COST_BITS = 5, WHOLE = 720720, MOST_KINDS = 2048 };

/* Slices of bars: what sounds in each, as bits of `words` numbers. Equal ones are of one kind. */
typedef struct {
    const uint64_t *bits;
    Py_ssize_t words, count;
    int32_t *kind;   /* of each slice */
    int32_t *first;  /* a slice of each kind */
    int32_t *size;   /* pitches of each kind */
    int32_t kinds;
    int32_t *table;  /* key of each pair of kinds; NULL where they are worked out when needed */
} Slices;

static int count_bits(uint64_t bits) { return __builtin_popcountll(bits); }

/* Return the Jaccard distance of two kinds and one step, in one number:
 * scoregate.validators.analysis.dtw.slice_costs and _keys. */
static int32_t key_of(const Slices *slices, int32_t one, int32_t other) {
    const uint64_t *left = slices->bits + slices->words * slices->first[one];
    const uint64_t *right = slices->bits + slices->words * slices->first[other];
    int32_t both = 0;
    for (Py_ssize_t word = 0; word < slices->words; word++)
        both += count_bits(left[word] & right[word]);
    int32_t either = slices->size[one] + slices->size[other] - both;
    int32_t cost = (either - both) * WHOLE / (either ? either : 1);
    return (cost << COST_BITS) + 1;
}

/* Number the different slices, by a table of hashes; 0 where memory is used up. */
static int number_kinds(Slices *slices) {
    Py_ssize_t places = 16;
    while (places < 2 * slices->count) places *= 2;
    int32_t *known = malloc(places * sizeof *known);
    slices->kind = malloc((slices->count + 1) * sizeof *slices->kind);
    slices->first = malloc((slices->count + 1) * sizeof *slices->first);
    slices->size = malloc((slices->count + 1) * sizeof *slices->size);
    if (!known || !slices->kind || !slices->first || !slices->size) {
        free(known);
        return 0;
    }
    memset(known, -1, places * sizeof *known);
    const size_t bytes = slices->words * sizeof *slices->bits;
    for (Py_ssize_t slice = 0; slice < slices->count; slice++) {
        const uint64_t *bits = slices->bits + slices->words * slice;
        uint64_t hash = 0;
        for (Py_ssize_t word = 0; word < slices->words; word++)
            hash = (hash ^ bits[word]) * 0x9E3779B97F4A7C15u;
        Py_ssize_t place = (hash ^ hash >> 32) & (places - 1);
        while (known[place] >= 0 &&
               memcmp(slices->bits + slices->words * slices->first[known[place]], bits, bytes))
            place = (place + 1) & (places - 1);
        if (known[place] < 0) {
            int32_t size = 0;
            for (Py_ssize_t word = 0; word < slices->words; word++) size += count_bits(bits[word]);
            known[place] = slices->kinds;
            slices->first[slices->kinds] = slice;
            slices->size[slices->kinds++] = size;
        }
        slices->kind[slice] = known[place];
    }
    free(known);
    return 1;
}

/* Work out the keys of all pairs of kinds, if that is less work than those of all cells. */
static void make_table(Slices *slices, Py_ssize_t cells) {
    const Py_ssize_t kinds = slices->kinds;
    if (kinds > MOST_KINDS || kinds * kinds > cells) return;
    if (!(slices->table = malloc(kinds * kinds * sizeof *slices->table))) return;
    for (int32_t one = 0; one < kinds; one++)
        for (int32_t other = 0; other <= one; other++)
            slices->table[one * kinds + other] = slices->table[other * kinds + one] =
                key_of(slices, one, other);
}

/* Return the least key of a path through the table of two bars. */
static int32_t cheapest(const Slices *slices, const int32_t *one, const int32_t *other,
                        Py_ssize_t width) {
    int32_t row[WIDEST] = {0};
    for (Py_ssize_t i = 0; i < width; i++) {
        const int32_t *keys = NULL;
        if (slices->table) keys = slices->table + (Py_ssize_t)slices->kinds * one[i];
        int32_t diagonal = 0;
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
            row[j] = best + (keys ? keys[other[j]] : key_of(slices, one[i], other[j]));
            diagonal = above;
        }
    }
    return row[width - 1];
}

/* Put the key of each pair of bars into `result`; 0 where memory is used up. */
static int compare_bars(Slices *slices, Py_ssize_t width, const int64_t *ones,
                        const int64_t *others, Py_ssize_t pairs, int32_t *result) {
    int whole = number_kinds(slices);
    if (whole) {
        make_table(slices, pairs * width * width);
        for (Py_ssize_t pair = 0; pair < pairs; pair++)
            result[pair] = cheapest(slices, slices->kind + width * ones[pair],
                                    slices->kind + width * others[pair], width);
    }
    free(slices->kind);
    free(slices->first);
    free(slices->size);
    free(slices->table);
    return whole;
}

PyObject *loops_warp(PyObject *module, PyObject *args) {
    Py_buffer bits, left, right, result;
    Py_ssize_t width, words;
    if (!PyArg_ParseTuple(args, "y*nny*y*w*", &bits, &width, &words, &left, &right, &result))
        return NULL;
    Py_ssize_t pairs = left.len / 8, bars = 0;
    int sound = width > 0 && width <= WIDEST && words > 0 && words <= 2 &&
                right.len == left.len && result.len == pairs * (Py_ssize_t)sizeof(int32_t);
    if (sound) bars = bits.len / (8 * width * words);
    const int64_t *ones = left.buf, *others = right.buf;
    for (Py_ssize_t pair = 0; sound && pair < pairs; pair++)
        sound = ones[pair] >= 0 && ones[pair] < bars && others[pair] >= 0 && others[pair] < bars;
    int whole = 0;
    if (sound) {
        Slices slices = {bits.buf, words, bars * width, NULL, NULL, NULL, 0, NULL};
        Py_BEGIN_ALLOW_THREADS;
        whole = compare_bars(&slices, width, ones, others, pairs, result.buf);
        Py_END_ALLOW_THREADS;
    }
    Py_buffer *every[] = {&bits, &left, &right, &result};
    for (int index = 0; index < 4; index++) PyBuffer_Release(every[index]);
    if (!sound) {
        PyErr_SetString(PyExc_ValueError, "the arrays do not belong together");
        return NULL;
    }
    if (!whole) return PyErr_NoMemory();
    Py_RETURN_NONE;
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
