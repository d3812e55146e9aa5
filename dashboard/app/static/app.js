// Keys, local times, the help, messages, folded sections, plots that zoom.
"use strict";

(() => {
  const find = (query) => document.querySelector(query);
  const main = () => find("main");

  function say(text) {
    const live = document.getElementById("live");
    if (live) live.textContent = text;
  }

  function trouble(text) {
    const box = document.getElementById("trouble");
    if (!box) return;
    box.textContent = text;
    box.hidden = !text;
    if (text) setTimeout(() => { box.hidden = true; }, 8000);
  }

  function localTimes(root) {
    const format = new Intl.DateTimeFormat(undefined, {
      day: "numeric", month: "short", hour: "2-digit", minute: "2-digit",
    });
    for (const time of root.querySelectorAll("time[datetime]:not([data-local])")) {
      const moment = new Date(time.dateTime);
      if (Number.isNaN(+moment)) continue;
      time.dataset.local = "yes";
      time.title = moment.toLocaleString();
      time.textContent = format.format(moment);
    }
  }

  function remembered(root) {
    for (const section of root.querySelectorAll("details[data-keep]")) {
      const key = `scoregate.open.${section.dataset.keep}`;
      let state = null;
      try { state = localStorage.getItem(key); } catch { /* Storage may be switched off. */ }
      if (state !== null) section.open = state === "yes";
      section.addEventListener("toggle", () => {
        try { localStorage.setItem(key, section.open ? "yes" : "no"); } catch { /* As above. */ }
      });
    }
  }

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  // Labels of a time axis by the seconds between two of them: the label, and what is added below it
  // where the year, (the month,) or the day is another than at the label before.
  const day = "\n{YYYY}-{MM}-{DD}";
  const TIMES = [
    [31536000, "{YYYY}", null, null, null, null, null, null, 1],
    [2419200, "{YYYY}-{MM}", null, null, null, null, null, null, 1],
    [86400, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1],
    [60, "{HH}:{mm}", day, null, day, null, null, null, 1],
    [0.001, "{HH}:{mm}:{ss}", day, null, day, null, null, null, 1],
  ];

  // Runs over time: a mark for each run with its interval; drag to zoom, double click to see all.
  function charts(root) {
    if (!window.uPlot) return;
    for (const box of root.querySelectorAll("[data-runs]:not([data-drawn])")) {
      box.dataset.drawn = "yes";
      const runs = JSON.parse(box.dataset.runs);
      const data = [runs.map((run) => run.at), runs.map((run) => run.share),
        runs.map((run) => run.low), runs.map((run) => run.high)];
      const intervals = (plot) => {
        const draw = plot.ctx;
        draw.save();
        draw.strokeStyle = colour("--accent");
        draw.lineWidth = 1.5 * devicePixelRatio;
        runs.forEach((run) => {
          const x = plot.valToPos(run.at, "x", true);
          if (x < plot.bbox.left || x > plot.bbox.left + plot.bbox.width) return;
          draw.beginPath();
          draw.moveTo(x, plot.valToPos(run.low, "y", true));
          draw.lineTo(x, plot.valToPos(run.high, "y", true));
          draw.stroke();
        });
        draw.restore();
      };
      // A run that is alone stands in the middle of a day; uPlot would show two years.
      const alone = runs.length > 0 && runs.every((run) => run.at === runs[0].at);
      const span = alone ? { range: [runs[0].at - 43200, runs[0].at + 43200] } : {};
      const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--rule"), width: 1 }, ticks: { stroke: colour("--rule") } };
      const plot = new uPlot({
        width: box.clientWidth, height: 220,
        cursor: { points: { size: 8 } },
        legend: { show: false },
        scales: { x: span, y: { range: [0, 100] } },
        axes: [{ ...axis, values: TIMES }, { ...axis, values: (_, ticks) => ticks.map((tick) => `${tick} %`), size: 52 }],
        series: [{}, {
          stroke: "transparent",
          points: { show: true, size: 9, fill: colour("--accent"), stroke: colour("--accent") },
        }, { show: false }, { show: false }],
        hooks: { draw: [intervals] },
      }, data, box);
      new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height: 220 })).observe(box);
    }
  }

  function attach(root) {
    if (!(root instanceof Element)) return;
    localTimes(root);
    remembered(root);
    charts(root);
    Player.attach(root);
    Score.attach(root);
  }

  const click = (query) => {
    const element = find(query);
    if (element) element.click();
    return Boolean(element);
  };

  function listenTo(deck) {
    for (const other of Player.all()) if (other !== deck) other.pause();
    deck.play();
  }

  // In a comparison: the other piece, from the bar that sounds now.
  function alternate(by) {
    const all = Player.all();
    const now = Math.max(all.findIndex((deck) => deck.playing), 0);
    const next = all[(now + by + all.length) % all.length];
    const bar = all[now].bar;
    const played = all.some((deck) => deck.playing);
    if (next === all[now] && played) return;
    if (played) next.seekBar(bar);
    listenTo(next);
  }

  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const field = event.target.closest?.("input:not([type=range]), textarea, select");
    if (field) {
      if (event.key === "Escape") field.blur();
      return;
    }
    if (find("dialog[open]")) return;
    const page = main()?.dataset.page;
    const comparing = Player.all().length > 1;
    const control = event.target.closest?.("button, summary, [role=button], input");
    const done = () => { event.preventDefault(); return true; };
    switch (event.key) {
      case "?": find("#help")?.showModal(); return done();
      case " ": {
        if (control && event.target.matches(":focus-visible") && !control.matches("[data-play]")) return;
        const deck = Player.current();
        if (deck) { deck.playing ? deck.pause() : listenTo(deck); return done(); }
        return;
      }
      case "ArrowLeft": case "ArrowRight": {
        if (event.target.matches?.("input")) return;
        const by = event.key === "ArrowRight" ? 1 : -1;
        if (comparing) alternate(by); else Player.current()?.step(by);
        return Player.current() ? done() : undefined;
      }
      case "j": return click("a[rel=next]") && done();
      case "k": return click("a[rel=prev]") && done();
      case "u": return click("[data-undo-form] button") && done();
      case "f": Score.step(1); return done();
      case "F": Score.step(-1); return done();
      case "t": case "n": {
        const box = find(event.key === "t" ? "#tag" : "#note");
        if (box) { box.focus(); return done(); }
        return;
      }
      case "y": return click('[data-decide="keep"]') && done();
      case "x": return click('[data-decide="discard"]') && done();
    }
    if (/^[1-5]$/.test(event.key) && click(`[data-rate="${event.key}"]`)) return done();
    if (page === "ab" && click(`[data-outcome-key="${event.key.toLowerCase()}"]`)) return done();
  }

  document.addEventListener("keydown", key);
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-help]")) find("#help")?.showModal();
  });
  document.addEventListener("change", (event) => {
    const form = event.target.closest?.("form[data-auto]");
    if (form) form.requestSubmit();
    const preset = event.target.closest?.("[data-preset]");
    if (preset) {
      const values = JSON.parse(preset.selectedOptions[0].dataset.values || "{}");
      for (const [name, value] of Object.entries(values)) {
        const field = preset.form.elements[name];
        if (field) field.value = value;
      }
    }
  });

  if (window.htmx) {
    htmx.onLoad(attach);
    document.addEventListener("htmx:responseError", (event) => {
      const text = event.detail.xhr.responseText || "";
      trouble(text.length < 400 && !text.startsWith("<") ? text : `The server answered ${event.detail.xhr.status}.`);
    });
    document.addEventListener("htmx:sendError", () =>
      trouble("The server does not answer. Is `scoregate dashboard` still running?"));
    // After a whole page was swapped in, keys work at once and a reader starts at its heading.
    document.addEventListener("htmx:afterSettle", (event) => {
      if (event.detail.target !== document.body) return;
      say(document.title);
      main()?.focus({ preventScroll: true });
    });
  } else {
    document.addEventListener("DOMContentLoaded", () => attach(document.body));
  }
})();
