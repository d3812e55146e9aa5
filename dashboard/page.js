"use strict";
// Plays the MIDI that a page carries with plain oscillators: enough to hear a piece.
(() => {
  const decode = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

  // A Standard MIDI File as [{time, length, pitch, velocity, program}], in seconds.
  function notesOf(bytes) {
    const view = new DataView(bytes.buffer);
    const division = view.getUint16(12);
    let at = 14;
    const tempos = [], raw = [];
    while (at + 8 <= bytes.length) {
      const end = at + 8 + view.getUint32(at + 4);
      at += 8;
      let tick = 0, status = 0;
      const open = new Map(), program = new Array(16).fill(0);
      const variable = () => {
        let value = 0, byte;
        do { byte = bytes[at++]; value = (value << 7) | (byte & 127); } while (byte & 128);
        return value;
      };
      while (at < end) {
        tick += variable();
        if (bytes[at] & 128) status = bytes[at++];
        if (status === 0xff) {
          const kind = bytes[at++], size = variable();
          if (kind === 0x51) tempos.push([tick, (bytes[at] << 16) | (bytes[at + 1] << 8) | bytes[at + 2]]);
          at += size;
          continue;
        }
        const kind = status >> 4, channel = status & 15;
        if (kind === 12) { program[channel] = bytes[at++]; continue; }
        if (kind === 13) { at++; continue; }
        const pitch = bytes[at++], velocity = bytes[at++], key = channel * 128 + pitch;
        if (kind === 9 && velocity) {
          open.set(key, { tick, pitch, velocity, program: program[channel] });
        } else if ((kind === 8 || kind === 9) && open.has(key)) {
          const note = open.get(key);
          open.delete(key);
          raw.push({ ...note, end: tick });
        }
      }
      at = end;
    }
    tempos.sort((a, b) => a[0] - b[0]);
    const seconds = (tick) => {
      let time = 0, from = 0, pace = 500000;
      for (const [when, next] of tempos) {
        if (when >= tick) break;
        time += (when - from) * pace;
        from = when; pace = next;
      }
      return (time + (tick - from) * pace) / division / 1e6;
    };
    return raw.map((n) => ({ ...n, time: seconds(n.tick), length: seconds(n.end) - seconds(n.tick) }))
      .sort((a, b) => a.time - b.time);
  }

  let playing = null;
  function stop() {
    if (!playing) return;
    clearInterval(playing.timer);
    playing.context.close();
    playing.button.textContent = "Listen";
    playing = null;
  }

  function play(button) {
    const notes = notesOf(decode(button.dataset.midi));
    const context = new AudioContext();
    const out = context.createDynamicsCompressor();
    const level = context.createGain();
    level.gain.value = 0.22;
    level.connect(out).connect(context.destination);
    const start = context.currentTime + 0.1;
    let next = 0;
    const sound = (note) => {
      const tone = context.createOscillator(), gain = context.createGain();
      const plucked = note.program < 16 || (note.program > 23 && note.program < 40);
      tone.type = plucked ? "triangle" : note.program > 39 && note.program < 52 ? "sawtooth" : "triangle";
      tone.frequency.value = 440 * 2 ** ((note.pitch - 69) / 12);
      const from = start + note.time, to = from + Math.max(note.length, 0.05);
      const loud = (note.velocity / 127) * (tone.type === "sawtooth" ? 0.35 : 0.8);
      gain.gain.setValueAtTime(0, from);
      gain.gain.linearRampToValueAtTime(loud, from + 0.02);
      if (plucked) gain.gain.exponentialRampToValueAtTime(loud * 0.25, to);
      gain.gain.setValueAtTime(plucked ? loud * 0.25 : loud, to);
      gain.gain.linearRampToValueAtTime(0, to + 0.06);
      tone.connect(gain).connect(level);
      tone.start(from);
      tone.stop(to + 0.08);
    };
    const ahead = () => {
      while (next < notes.length && start + notes[next].time < context.currentTime + 1.5) sound(notes[next++]);
      if (next >= notes.length && notes.length) {
        const last = notes.reduce((end, n) => Math.max(end, n.time + n.length), 0);
        if (context.currentTime > start + last + 0.5) stop();
      }
    };
    playing = { context, button, timer: setInterval(ahead, 400) };
    ahead();
    button.textContent = "Stop";
  }

  for (const button of document.querySelectorAll("button[data-midi]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const again = playing && playing.button === button;
      stop();
      if (!again) play(button);
    });
  }
  // Paper has no "on demand": what is folded is left out, except further pages of music.
  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details:has(.music)")) fold.open = true;
  });
})();
