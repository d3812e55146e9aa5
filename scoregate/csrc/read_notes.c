/* The loop of scoregate.abc.voice_reader.VoiceReader.music over notes, chords, rests, plain
 * barlines, slurs and what has no effect. It does what the methods note, chord, rest and _add do,
 * and calls the reader's other methods wherever something is rare. It stops before every token
 * that it does not know, and before everything that is no ASCII. */
#include "loops.h"

#include <string.h>

enum {
    VOICE_TOKENS, VOICE_ALTERATIONS, VOICE_ACCIDENTALS, VOICE_SHIFT, VOICE_TIES, VOICE_EVENTS,
    VOICE_POSITION, VOICE_LAST, VOICE_LAST_TICKS, VOICE_BASE, VOICE_OPENED, VOICE_TUPLET_LEFT,
    VOICE_BROKEN, VOICE_LAYER, VOICE_PROPAGATE, VOICE_SLURS, VOICE_SLUR_PLACE, VOICE_ROW,
    VOICE_BARS, VOICE_START_METRE, VOICE_START_KEY, VOICE_LEFT, VOICE_ENDING, VOICE_PLACE,
    VOICE_EVENT_COUNT, VOICE_SLOTS
};
static Py_ssize_t voice_slots[VOICE_SLOTS];
static const char *const voice_names[] = {
    "tokens", "alterations", "accidentals", "shift", "ties", "events", "position", "last",
    "last_ticks", "base", "opened", "tuplet_left", "broken", "layer", "propagate", "slurs",
    "slur_place", "row", "bars", "start_metre", "start_key", "left", "ending", "place",
    "event_count", NULL};
#define VOICE(name) SLOT(voice, voice_slots[VOICE_##name])

enum { TOKENS_NOTES, TOKENS_CHORDS, TOKENS_RESTS, TOKENS_SLOTS };
static Py_ssize_t tokens_slots[TOKENS_SLOTS];
static const char *const tokens_names[] = {"notes", "chords", "rests", NULL};

static PyTypeObject *reader_type;
static PyObject *wholes;
static PyObject *name_open, *name_length, *name_meet, *name_hold, *name_drop_ties, *name_bad_pitch,
    *name_barline, *name_number, *name_begin, *name_ticks, *name_text, *bar_sign, *no_ending,
    *no_pitches;

PyObject *loops_bind_reader(PyObject *module, PyObject *args) {
    PyObject *reader, *tokens, *lengths;
    if (!PyArg_ParseTuple(args, "OOO!", &reader, &tokens, &PyDict_Type, &lengths)) return NULL;
    if (slot_offsets(reader, voice_names, voice_slots) < 0 ||
        slot_offsets(tokens, tokens_names, tokens_slots) < 0)
        return NULL;
    const struct { PyObject **name; const char *text; } names[] = {
        {&name_open, "open"}, {&name_length, "_length"}, {&name_meet, "_meet"},
        {&name_hold, "hold"}, {&name_drop_ties, "drop_ties"}, {&name_bad_pitch, "bad_pitch"},
        {&name_barline, "_barline"}, {&name_number, "number"}, {&name_begin, "begin"},
        {&name_ticks, "ticks"}, {&name_text, "text"}, {&bar_sign, "|"}, {&no_ending, ""}};
    for (size_t index = 0; index < sizeof names / sizeof *names; index++)
        if (!*names[index].name &&
            !(*names[index].name = PyUnicode_InternFromString(names[index].text)))
            return NULL;
    if (!no_pitches && !(no_pitches = PyTuple_New(0))) return NULL;
    Py_INCREF(reader);
    Py_XSETREF(reader_type, (PyTypeObject *)reader);
    Py_INCREF(lengths);
    Py_XSETREF(wholes, lengths);
    Py_RETURN_NONE;
}

/* Return the Fraction of a whole note for ticks: a new reference. */
static PyObject *whole(PyObject *ticks) {
    PyObject *known = PyDict_GetItemWithError(wholes, ticks);
    if (known) return Py_NewRef(known);
    return PyErr_Occurred() ? NULL : PyObject_GetItem(wholes, ticks);
}

/* Call a method of the reader; -1 with an exception. */
static int tell(PyObject *voice, PyObject *name, PyObject *first, PyObject *second,
                PyObject *third) {
    PyObject *done = PyObject_CallMethodObjArgs(voice, name, first, second, third, NULL);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

typedef struct {
    PyObject *text; /* of the token */
    PyObject *line, *column;
} Place;

/* Add an event to a voice: VoiceReader._add and VoiceReader.rest behind their first lines. */
static int add_event(PyObject *voice, PyObject *ticks, PyObject *pitches, PyObject *held,
                     PyObject *visible, const Place *place) {
    if (VOICE(OPENED) != Py_True && tell(voice, name_open, place->line, place->column, NULL) < 0)
        return -1;
    int holds = held && PyDict_GET_SIZE(held);
    PyObject *length, *met = NULL, *event = NULL, *position = NULL;
    if (VOICE(BROKEN) != Py_None || PyObject_IsTrue(VOICE(TUPLET_LEFT))) {
        length = PyObject_CallMethodObjArgs(voice, name_length, ticks, place->line, place->column,
                                            NULL);
        if (!length) return -1;
    } else {
        length = Py_NewRef(ticks);
        put(voice, voice_slots[VOICE_BASE], Py_NewRef(ticks));
    }
    if (PyDict_GET_SIZE(VOICE(TIES)) == 0)
        met = Py_NewRef(no_pitches);
    else if (pitches == no_pitches)
        met = tell(voice, name_drop_ties, NULL, NULL, NULL) < 0 ? NULL : Py_NewRef(no_pitches);
    else
        met = PyObject_CallMethodObjArgs(voice, name_meet, pitches, holds ? Py_True : Py_False,
                                         NULL);
    if (!met || !(event = event_type->tp_alloc(event_type, 0))) goto failed;
    PyObject *onset = whole(VOICE(POSITION)), *duration = onset ? whole(length) : NULL;
    if (!duration) {
        Py_XDECREF(onset);
        goto failed;
    }
    SLOT(event, event_slots[EVENT_ONSET]) = onset;
    SLOT(event, event_slots[EVENT_DURATION]) = duration;
    SLOT(event, event_slots[EVENT_PITCHES]) = Py_NewRef(pitches);
    SLOT(event, event_slots[EVENT_LINE]) = Py_NewRef(place->line);
    SLOT(event, event_slots[EVENT_COLUMN]) = Py_NewRef(place->column);
    SLOT(event, event_slots[EVENT_TIED_FROM]) = PyBool_FromLong(PyTuple_GET_SIZE(met) > 0);
    SLOT(event, event_slots[EVENT_TIED_TO]) = PyBool_FromLong(holds);
    SLOT(event, event_slots[EVENT_GRACE]) = Py_NewRef(Py_False);
    SLOT(event, event_slots[EVENT_VISIBLE]) = Py_NewRef(visible);
    SLOT(event, event_slots[EVENT_OVERLAY]) = Py_NewRef(VOICE(LAYER));
    SLOT(event, event_slots[EVENT_TEXT]) = Py_NewRef(place->text);
    SLOT(event, event_slots[EVENT_TIED_PITCHES]) = met;
    met = NULL;
    /* Numbers and text only: no garbage for the collector to look through. */
    PyObject_GC_UnTrack(event);
    if (PyList_Append(VOICE(EVENTS), event) < 0 ||
        !(position = PyNumber_Add(VOICE(POSITION), length)))
        goto failed;
    put(voice, voice_slots[VOICE_POSITION], position);
    put(voice, voice_slots[VOICE_LAST_TICKS], length);
    put(voice, voice_slots[VOICE_LAST], event);
    return holds ? tell(voice, name_hold, event, held, NULL) : 0;
failed:
    Py_DECREF(length);
    Py_XDECREF(met);
    Py_XDECREF(event);
    return -1;
}

/* Fields of scoregate.abc.note_tokens.Note and Chord. */
enum { NOTE_TICKS, NOTE_STEP, NOTE_LETTER, NOTE_ALTER, NOTE_NATURAL, NOTE_TIE };
enum { CHORD_TICKS, CHORD_NOTES, CHORD_TIE };

/* Return the sounding pitch of a note, VoiceReader.sound; -1 with an exception. */
static long sound(PyObject *voice, PyObject *note, int *beyond) {
    PyObject *step = PyTuple_GET_ITEM(note, NOTE_STEP), *alter = PyTuple_GET_ITEM(note, NOTE_ALTER);
    long natural = PyLong_AsLong(PyTuple_GET_ITEM(note, NOTE_NATURAL));
    long shift = PyLong_AsLong(VOICE(SHIFT)), by;
    if (alter != Py_None) {
        if (PyDict_SetItem(VOICE(ACCIDENTALS), step, alter) < 0) return -1;
        by = PyLong_AsLong(alter);
    } else if ((alter = PyDict_GetItemWithError(VOICE(ACCIDENTALS), step))) {
        by = PyLong_AsLong(alter);
    } else {
        Py_ssize_t letter = PyLong_AsSsize_t(PyTuple_GET_ITEM(note, NOTE_LETTER));
        PyObject *pitch, *tie;
        by = PyLong_AsLong(PyTuple_GET_ITEM(VOICE(ALTERATIONS), letter));
        /* A tie carries the accidental over the barline. */
        for (Py_ssize_t at = 0; PyDict_Next(VOICE(TIES), &at, &pitch, &tie);)
            if (PyLong_AsLong(PyTuple_GET_ITEM(tie, 0)) == PyLong_AsLong(step)) {
                by = PyLong_AsLong(pitch) - shift - natural;
                break;
            }
    }
    if (PyErr_Occurred()) return -1;
    long pitch = natural + by + shift;
    if (pitch >= 0 && pitch <= 127) return pitch;
    *beyond = 1;
    return pitch < 0 ? 0 : 127;
}

/* Read a note or a chord; `notes` are those of the chord, or the note alone. */
static int read_sounding(PyObject *voice, PyObject *ticks, PyObject *const *notes,
                         Py_ssize_t count, int all_tied, const Place *place) {
    int beyond = 0, result = -1;
    PyObject *held = NULL, *pitches = PyTuple_New(count);
    if (!pitches) return -1;
    for (Py_ssize_t index = 0; index < count; index++) {
        long pitch = sound(voice, notes[index], &beyond);
        PyObject *number = pitch < 0 ? NULL : PyLong_FromLong(pitch);
        if (!number) goto done;
        PyTuple_SET_ITEM(pitches, index, number);
    }
    for (Py_ssize_t index = 0; index < count; index++)
        if (all_tied || PyTuple_GET_ITEM(notes[index], NOTE_TIE) == Py_True) {
            if (!held && !(held = PyDict_New())) goto done;
            if (PyDict_SetItem(held, PyTuple_GET_ITEM(pitches, index),
                               PyTuple_GET_ITEM(notes[index], NOTE_STEP)) < 0)
                goto done;
        }
    result = add_event(voice, ticks, pitches, held, Py_True, place);
    if (!result && beyond)
        result = tell(voice, name_bad_pitch, place->text, place->line, place->column);
done:
    Py_DECREF(pitches);
    Py_XDECREF(held);
    return result;
}

/* End a bar at a plain barline: VoiceReader._barline and close where nothing is left open. */
static int end_bar(PyObject *voice) {
    PyObject *metre = VOICE(START_METRE), *events = VOICE(EVENTS), *place = VOICE(PLACE);
    PyObject *bar = bar_type->tp_alloc(bar_type, 0);
    PyObject *text = bar ? PyObject_GetAttr(metre, name_text) : NULL;
    PyObject *ticks = text ? PyObject_GetAttr(metre, name_ticks) : NULL;
    PyObject *full = !ticks ? NULL : ticks == Py_None ? Py_NewRef(Py_None) : whole(ticks);
    PyObject *length = full ? whole(VOICE(POSITION)) : NULL;
    PyObject *number = !length ? NULL
                       : VOICE(ROW) != Py_None
                           ? Py_NewRef(VOICE(ROW))
                           : PyLong_FromSsize_t(PyList_GET_SIZE(VOICE(BARS)) + 1);
    PyObject *count = !number ? NULL
                              : PyLong_FromSsize_t(PyLong_AsSsize_t(VOICE(EVENT_COUNT)) +
                                                   PyList_GET_SIZE(events));
    Py_XDECREF(ticks);
    if (!count) {
        PyObject *const unused[] = {bar, text, full, length, number};
        for (int index = 0; index < 5; index++) Py_XDECREF(unused[index]);
        return -1;
    }
    SLOT(bar, bar_slots[BAR_NUMBER]) = number;
    SLOT(bar, bar_slots[BAR_DURATION]) = length;
    SLOT(bar, bar_slots[BAR_METRE]) = full;
    SLOT(bar, bar_slots[BAR_METRE_TEXT]) = text;
    SLOT(bar, bar_slots[BAR_EVENTS]) = Py_NewRef(events);
    SLOT(bar, bar_slots[BAR_LEFT]) = Py_NewRef(VOICE(LEFT));
    SLOT(bar, bar_slots[BAR_RIGHT]) = Py_NewRef(bar_sign);
    SLOT(bar, bar_slots[BAR_LINE]) = Py_NewRef(PyTuple_GET_ITEM(place, 0));
    SLOT(bar, bar_slots[BAR_COLUMN]) = Py_NewRef(PyTuple_GET_ITEM(place, 1));
    SLOT(bar, bar_slots[BAR_KEY]) = Py_NewRef(VOICE(START_KEY));
    SLOT(bar, bar_slots[BAR_IMPLIED]) = Py_NewRef(Py_False);
    SLOT(bar, bar_slots[BAR_ENDING]) = Py_NewRef(VOICE(ENDING));
    SLOT(bar, bar_slots[BAR_INNER]) = Py_NewRef(no_pitches);
    put(voice, voice_slots[VOICE_EVENT_COUNT], count);
    put(voice, voice_slots[VOICE_ENDING], Py_NewRef(no_ending));
    put(voice, voice_slots[VOICE_LEFT], Py_NewRef(bar_sign));
    int added = PyList_Append(VOICE(BARS), bar);
    Py_DECREF(bar);
    return added < 0 ? -1 : tell(voice, name_begin, NULL, NULL, NULL);
}

/* Read a plain barline. */
static int read_barline(PyObject *voice, PyObject *line, PyObject *column) {
    int open = VOICE(BROKEN) != Py_None || PyObject_IsTrue(VOICE(TUPLET_LEFT)) ||
               PyObject_IsTrue(VOICE(LAYER));
    if (VOICE(OPENED) == Py_True && !open) return end_bar(voice);
    return tell(voice, name_barline, bar_sign, line, column);
}

typedef struct {
    int kind;
    const void *data;
    Py_ssize_t end;
} Text;

/* Return the character at an index; a newline, which no token has, at the end of the stretch. */
static inline Py_UCS4 at(const Text *text, Py_ssize_t index) {
    return index < text->end ? PyUnicode_READ(text->kind, text->data, index) : '\n';
}

static inline int one_of(Py_UCS4 letter, const char *letters) {
    return letter && letter < 128 && strchr(letters, (int)letter) != NULL;
}

static inline int is_digit(Py_UCS4 letter) { return letter >= '0' && letter <= '9'; }

static Py_ssize_t length_end(const Text *text, Py_ssize_t index) {
    while (is_digit(at(text, index))) index++;
    if (at(text, index) == '/') {
        while (at(text, index) == '/') index++;
        while (is_digit(at(text, index))) index++;
    }
    return index;
}

static Py_ssize_t tie_end(const Text *text, Py_ssize_t index) {
    if (at(text, index) == '-') return index + 1;
    return at(text, index) == '.' && at(text, index + 1) == '-' ? index + 2 : index;
}

/* Return the end of the note that begins at an index; -1 where none does. */
static Py_ssize_t note_end(const Text *text, Py_ssize_t index) {
    Py_UCS4 sign = at(text, index);
    if (sign == '^' || sign == '_')
        index += at(text, index + 1) == sign ? 2 : 1;
    else if (sign == '=')
        index++;
    if (!one_of(at(text, index), "ABCDEFGabcdefg")) return -1;
    index++;
    while (at(text, index) == ',' || at(text, index) == '\'') index++;
    return tie_end(text, length_end(text, index));
}

static Py_ssize_t chord_end(const Text *text, Py_ssize_t index) {
    Py_ssize_t next = note_end(text, index + 1);
    if (next < 0) return -1;
    while (next >= 0 && at(text, next) != ']') next = note_end(text, next);
    return next < 0 ? -1 : tie_end(text, length_end(text, next + 1));
}

static Py_ssize_t decoration_end(const Text *text, Py_ssize_t index) {
    for (Py_ssize_t next = index + 1; next <= index + 41; next++) {
        Py_UCS4 letter = at(text, next);
        if (letter == '!') return next > index + 1 ? next + 1 : -1;
        if (letter >= 127 || letter <= ' ' || one_of(letter, "|\"[]")) return -1;
    }
    return -1;
}

static Py_ssize_t quotation_end(const Text *text, Py_ssize_t index) {
    for (index++; index < text->end; index++)
        if (at(text, index) == '"') return index + 1;
    return -1;
}

/* Take a slur's beginning or end; 0 where the end ends none, which the caller leaves alone. */
static int take_slur(PyObject *voice, Py_UCS4 sign, PyObject *line, Py_ssize_t column) {
    long slurs = PyLong_AsLong(VOICE(SLURS));
    if (sign == ')' && !slurs) return 0;
    if (sign == '(' && !slurs) {
        PyObject *number = PyObject_GetAttr(voice, name_number);
        PyObject *place = number ? Py_BuildValue("(NOn)", number, line, column) : NULL;
        if (!place) return -1;
        put(voice, voice_slots[VOICE_SLUR_PLACE], place);
    }
    PyObject *count = PyLong_FromLong(sign == '(' ? slurs + 1 : slurs - 1);
    if (!count) return -1;
    put(voice, voice_slots[VOICE_SLURS], count);
    return 1;
}

/* Read a token whose meaning is known; 0 where it must be read in Python, -1 with an exception. */
static int read_token(PyObject *voice, Py_UCS4 first, const Place *place) {
    int table = first == '[' ? TOKENS_CHORDS : one_of(first, "zx") ? TOKENS_RESTS : TOKENS_NOTES;
    PyObject *known =
        PyDict_GetItemWithError(SLOT(VOICE(TOKENS), tokens_slots[table]), place->text);
    if (!known || known == Py_None) return PyErr_Occurred() ? -1 : 0;
    int result;
    Py_INCREF(known);
    if (table == TOKENS_RESTS) {
        result = add_event(voice, known, no_pitches, NULL, first == 'z' ? Py_True : Py_False, place);
    } else if (table == TOKENS_NOTES) {
        result = read_sounding(voice, PyTuple_GET_ITEM(known, NOTE_TICKS), &known, 1, 0, place);
    } else {
        PyObject *notes = PyTuple_GET_ITEM(known, CHORD_NOTES);
        result = read_sounding(voice, PyTuple_GET_ITEM(known, CHORD_TICKS),
                               ((PyTupleObject *)notes)->ob_item, PyTuple_GET_SIZE(notes),
                               PyTuple_GET_ITEM(known, CHORD_TIE) == Py_True, place);
    }
    Py_DECREF(known);
    return result < 0 ? -1 : 1;
}

PyObject *loops_read_notes(PyObject *module, PyObject *args) {
    PyObject *voice, *string, *line;
    Py_ssize_t index, end;
    if (!PyArg_ParseTuple(args, "OUnnO", &voice, &string, &index, &end, &line)) return NULL;
    if (!event_type || Py_TYPE(voice) != reader_type) {
        PyErr_SetString(PyExc_TypeError, "the first argument is no VoiceReader");
        return NULL;
    }
    if (PyUnicode_CompareWithASCIIString(VOICE(PROPAGATE), "octave"))
        return PyLong_FromSsize_t(index);
    if (end > PyUnicode_GET_LENGTH(string)) end = PyUnicode_GET_LENGTH(string);
    const Text text = {PyUnicode_KIND(string), PyUnicode_DATA(string), end};
    while (index < end) {
        Py_UCS4 first = at(&text, index);
        Py_ssize_t stop = index + 1;
        if (one_of(first, " \t`$~HJLMOPRSTuv")) {
            index++;
            continue;
        }
        if (first == '.') {
            if (one_of(at(&text, stop), ":|")) break;
            index++;
            continue;
        }
        if (first == '!' || first == '"') {
            stop = first == '!' ? decoration_end(&text, index) : quotation_end(&text, index);
            if (stop < 0) break;
            index = stop;
            continue;
        }
        if (first == '(' || first == ')') {
            Py_UCS4 next = at(&text, stop);
            if (first == '(' && (is_digit(next) || next == '&' || next >= 128)) break;
            int taken = take_slur(voice, first, line, index + 1);
            if (taken < 0) return NULL;
            if (!taken) break;
            index++;
            continue;
        }
        if (first == '|') {
            if (at(&text, stop) >= 128 || one_of(at(&text, stop), "|]:123456789")) break;
        } else if (one_of(first, "zx")) {
            stop = length_end(&text, stop);
        } else {
            stop = first == '[' ? chord_end(&text, index) : note_end(&text, index);
        }
        /* A digit of another script may go on behind the token. */
        if (stop < 0 || at(&text, stop) >= 128) break;
        PyObject *column = PyLong_FromSsize_t(index + 1), *token = NULL;
        int taken = -1;
        if (column && first == '|') {
            taken = read_barline(voice, line, column) < 0 ? -1 : 1;
        } else if (column && (token = PyUnicode_Substring(string, index, stop))) {
            const Place place = {token, line, column};
            taken = read_token(voice, first, &place);
        }
        Py_XDECREF(column);
        Py_XDECREF(token);
        if (taken < 0) return NULL;
        if (!taken) break;
        index = stop;
    }
    return PyLong_FromSsize_t(index);
}
