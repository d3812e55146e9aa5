// The player: one synthesiser for the whole visit, one deck for each player of the page.
// Sound is made in the browser from a piece's MIDI by spessasynth and the font beside it.
// On a page that was opened from disk, `window.scoregateFiles` holds what a server would
// send: `worklet` (text) and `font` (base64). Where the body has `data-scripts`, the
// synthesiser and these files are loaded with the first sound.
"use strict";

const Player = (() => {
  const LOADING_LIMIT = 20000; // Without 'wasm-unsafe-eval' the font would load for ever.
  const decks = new Map();
  let loading = null;
  let active = null;
  let context, synth, sequencer, analyser;

  function bytes(base64) {
    const text = atob(base64);
    const found = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) found[i] = text.charCodeAt(i);
    return found.buffer;
  }

  function withLimit(promise, text) {
    const limit = new Promise((_, fail) =>
      setTimeout(() => fail(new Error(text)), LOADING_LIMIT));
    return Promise.race([promise, limit]);
  }

  async function fetched(address) {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    return answer;
  }

  function script(address) {
    return new Promise((done, fail) => {
      const element = document.createElement("script");
      element.src = address;
      element.onload = done;
      element.onerror = () => fail(new Error(`${address} is missing`));
      document.head.append(element);
    });
  }

  function scriptsLater() {
    return (document.body.dataset.scripts || "").split(" ").filter(Boolean);
  }

  async function prepare() {
    context = new AudioContext({ latencyHint: "interactive" });
    await Promise.all(scriptsLater().map(script));
    const files = window.scoregateFiles;
    const worklet = files
      ? `data:text/javascript;charset=utf-8,${encodeURIComponent(files.worklet)}`
      : document.body.dataset.worklet;
    const font = files
      ? Promise.resolve(bytes(files.font))
      : fetched(document.body.dataset.font).then((answer) => answer.arrayBuffer());
    await context.audioWorklet.addModule(worklet);
    synth = new Spessa.WorkletSynthesizer(context);
    analyser = context.createAnalyser();
    synth.connect(analyser);
    analyser.connect(context.destination);
    await synth.soundBankManager.addSoundBank(await font, "main");
    await synth.isReady;
    sequencer = new Spessa.Sequencer(synth);
    sequencer.loopCount = 0;
  }

  function ready() {
    if (!loading) {
      loading = withLimit(prepare(), "the sound font did not load");
      loading.catch(() => { loading = null; });
    }
    return loading;
  }

  async function timelineOf(element) {
    const given = element.dataset.timeline;
    if (given.startsWith("{")) return JSON.parse(given);
    return (await fetched(given)).json();
  }

  async function midiOf(element) {
    if (element.dataset.midi64) return bytes(element.dataset.midi64);
    return (await fetched(element.dataset.midi)).arrayBuffer();
  }

  class Deck {
    constructor(element) {
      this.element = element;
      this.position = 0;
      this.rate = 1;
      this.bar = 0;
      this.playing = false;
      this.duration = 0;
      this.muted = new Set();
      this.soloed = new Set();
      this.timeline = timelineOf(element).catch(() =>
        ({ bars: [], seconds: 0, staves: {}, voices: {} }));
      this.midi = midiOf(element);
      this.midi.catch(() => {});
      this.bind();
      this.timeline.then((timeline) => this.show(timeline));
    }

    find(name) { return this.element.querySelector(`[data-${name}]`); }

    bind() {
      this.find("play").addEventListener("click", () => this.toggle());
      this.find("seek").addEventListener("input", (event) => this.seek(+event.target.value));
      this.find("tempo").addEventListener("input", (event) => {
        this.rate = event.target.value / 100;
        this.find("tempo-text").textContent = `${event.target.value} %`;
        if (active === this && sequencer) sequencer.playbackRate = this.rate;
      });
    }

    show(timeline) {
      this.bars = timeline.bars;
      this.duration = timeline.seconds;
      this.find("seek").max = timeline.seconds || 1;
      this.find("play").disabled = false;
      const list = this.find("voices");
      for (const name of Object.values(timeline.voices)) {
        const channel = list.children.length;
        const row = document.createElement("div");
        const label = document.createElement("span");
        label.textContent = name;
        row.append(label);
        for (const [kind, chosen] of [["Mute", this.muted], ["Solo", this.soloed]]) {
          const button = document.createElement("button");
          button.type = "button";
          button.textContent = kind;
          button.setAttribute("aria-pressed", "false");
          button.setAttribute("aria-label", `${kind} ${name}`);
          button.addEventListener("click", () => {
            chosen.has(channel) ? chosen.delete(channel) : chosen.add(channel);
            button.setAttribute("aria-pressed", String(chosen.has(channel)));
            this.mix();
          });
          row.append(button);
        }
        list.append(row);
      }
      this.element.dispatchEvent(new CustomEvent("timeline", { bubbles: true, detail: timeline }));
      this.draw();
    }

    // The track of a voice tells its channel; beyond fifteen voices some share one.
    channels() {
      const tracks = (sequencer.midiData && sequencer.midiData.tracks) || [];
      return tracks.slice(1).map((track) => [...track.channels][0]);
    }

    mix() {
      if (active !== this || !sequencer) return;
      const silent = new Map();
      this.channels().forEach((channel, voice) => {
        const quiet = this.muted.has(voice) || (this.soloed.size > 0 && !this.soloed.has(voice));
        silent.set(channel, (silent.has(channel) ? silent.get(channel) : true) && quiet);
      });
      for (const [channel, quiet] of silent) {
        const one = synth.midiChannels[channel];
        if (one) one.setSystemParameter("isMuted", quiet);
      }
    }

    async load() {
      const midi = (await this.midi).slice(0);
      const loaded = new Promise((done, fail) => {
        sequencer.eventHandler.addEvent("songChange", "deck", done);
        sequencer.eventHandler.addEvent("midiError", "deck", fail);
      });
      sequencer.loadNewSongList([{ binary: midi, fileName: "score.mid" }]);
      await withLimit(loaded, "the MIDI file did not load");
      sequencer.eventHandler.addEvent("songEnded", "deck", () => this.ended());
      sequencer.playbackRate = this.rate;
      sequencer.currentTime = this.position;
      if (!this.playing) sequencer.pause();
      this.mix();
    }

    async play() {
      const state = this.find("sound");
      try {
        if (!loading) state.textContent = "Loading the sound …";
        const started = ready();
        // Inside the gesture, or the browser keeps the context silent.
        if (context) context.resume();
        this.playing = true;
        this.draw();
        await started;
        await context.resume();
        if (active !== this) {
          if (active) active.pause();
          active = this;
          this.playing = true;
          await this.load();
        }
        if (!this.playing) return;
        if (this.position >= this.duration - 0.05) this.position = 0;
        sequencer.currentTime = this.position;
        sequencer.play();
        state.textContent = "";
        this.draw();
        requestAnimationFrame(() => this.follow());
      } catch (error) {
        this.playing = false;
        state.textContent = `No sound: ${error.message}.`;
        this.draw();
      }
    }

    pause() {
      if (!this.playing) return;
      this.playing = false;
      if (active === this && sequencer) {
        this.position = sequencer.currentHighResolutionTime;
        sequencer.pause();
      }
      this.draw();
    }

    toggle() { return this.playing ? this.pause() : this.play(); }

    seek(seconds) {
      this.position = Math.min(Math.max(seconds, 0), this.duration);
      if (active === this && sequencer && sequencer.midiData) {
        sequencer.currentTime = this.position;
        if (!this.playing) sequencer.pause();
      }
      this.draw();
    }

    // The next time that a bar is played, counted from here; else its first.
    timeOf(bar) {
      const times = this.bars.filter(([number]) => number === bar).map(([, time]) => time);
      return times.find((time) => time >= this.position - 0.01) ?? times[0];
    }

    seekBar(bar) {
      const time = this.bars && this.timeOf(bar);
      if (time !== undefined) this.seek(time);
      return time !== undefined;
    }

    step(by) {
      const index = this.indexAt(this.position) + by;
      if (this.bars && this.bars.length) {
        this.seek(this.bars[Math.min(Math.max(index, 0), this.bars.length - 1)][1]);
      }
    }

    ended() {
      this.playing = false;
      this.position = 0;
      this.draw();
    }

    indexAt(time) {
      let low = 0, high = (this.bars || []).length - 1;
      while (low < high) {
        const middle = Math.ceil((low + high) / 2);
        if (this.bars[middle][1] <= time + 0.005) low = middle; else high = middle - 1;
      }
      return low;
    }

    follow() {
      if (!this.playing || active !== this || !this.element.isConnected) return;
      this.position = Math.min(sequencer.currentHighResolutionTime, this.duration);
      this.draw();
      requestAnimationFrame(() => this.follow());
    }

    draw() {
      const button = this.find("play");
      button.setAttribute("aria-pressed", String(this.playing));
      this.find("play-text").textContent = this.playing ? "Pause" : "Play";
      const seek = this.find("seek");
      if (document.activeElement !== seek || this.playing) seek.value = this.position;
      const shown = (time) =>
        `${Math.floor(time / 60)}:${String(Math.floor(time % 60)).padStart(2, "0")}`;
      this.find("clock").textContent = `${shown(this.position)} of ${shown(this.duration)}`;
      const at = this.bars && this.bars[this.indexAt(this.position)];
      const bar = at ? at[0] : 0;
      seek.setAttribute("aria-valuetext", `bar ${bar}, ${shown(this.position)}`);
      if (bar !== this.bar || this.playing !== this.shownPlaying) {
        this.bar = bar;
        this.shownPlaying = this.playing;
        this.find("bar").textContent = `bar ${bar}`;
        this.element.dispatchEvent(
          new CustomEvent("cursor", { bubbles: true, detail: { bar, playing: this.playing } }));
      }
    }
  }

  function attach(root) {
    const found = root.matches && root.matches(".player[data-timeline]") ? [root] : [];
    found.push(...root.querySelectorAll(".player[data-timeline]"));
    for (const [element, deck] of decks) {
      if (element.isConnected) continue;
      deck.pause();
      if (active === deck) active = null;
      decks.delete(element);
    }
    for (const element of found) {
      if (!decks.has(element)) decks.set(element, new Deck(element));
    }
    // The font is read ahead, so that the first sound comes at the key.
    if (found.length && window.AudioContext && !scriptsLater().length) ready().catch(() => {});
  }

  function deckOf(element) {
    const own = element && element.closest("[data-deck]");
    const player = (own || document).querySelector(".player[data-timeline]");
    return decks.get(player);
  }

  function level() {
    if (!analyser) return 0;
    const wave = new Float32Array(analyser.fftSize);
    analyser.getFloatTimeDomainData(wave);
    return Math.sqrt(wave.reduce((sum, value) => sum + value * value, 0) / wave.length);
  }

  return {
    attach, deckOf, level,
    isReady: () => ready().then(() => true),
    current: () => (active && active.element.isConnected ? active : decks.values().next().value),
    all: () => [...decks.values()].filter((deck) => deck.element.isConnected),
  };
})();
window.scoregatePlayer = Player;
