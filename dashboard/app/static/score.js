// The engraved score: boxes for the findings, links both ways, the cursor, starting from a bar.
"use strict";

const Score = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const timelines = new WeakMap();
  const PAD = 110; // In the engraving's units: a fifth of a staff's height.

  const sectionOf = (element) => element.closest("[data-deck], article, main, body");
  const bars = (section, number) => section.querySelectorAll(`.measure[data-bar="${number}"]`);

  function rectangle(name, box) {
    const rect = document.createElementNS(SVG, "rect");
    rect.setAttribute("class", name);
    for (const key of ["x", "y", "width", "height"]) rect.setAttribute(key, box[key]);
    return rect;
  }

  function union(boxes) {
    const x = Math.min(...boxes.map((box) => box.x));
    const y = Math.min(...boxes.map((box) => box.y));
    return {
      x, y,
      width: Math.max(...boxes.map((box) => box.x + box.width)) - x,
      height: Math.max(...boxes.map((box) => box.y + box.height)) - y,
    };
  }

  // As wide as the staff's lines, as high as all that is drawn on the staff.
  function extent(staff) {
    const all = staff.getBBox();
    const lines = staff.querySelector(":scope > path");
    const wide = lines ? lines.getBBox() : all;
    return {
      x: wide.x, width: wide.width,
      y: Math.min(all.y, wide.y) - PAD, height: Math.max(all.height, wide.height) + 2 * PAD,
    };
  }

  const staves = (measure) => [...measure.querySelectorAll(":scope > .staff")];

  function addTargets(sheet) {
    for (const measure of sheet.querySelectorAll(".measure:not([data-ready])")) {
      const own = staves(measure);
      if (!own.length) continue;
      measure.dataset.ready = "yes";
      measure.insertBefore(rectangle("bar-target", union(own.map(extent))), measure.firstChild);
    }
  }

  function drawBoxes(section) {
    const timeline = timelines.get(section);
    const list = section.querySelector("#findings");
    if (!timeline || !list) return;
    for (const old of section.querySelectorAll(".box")) old.remove();
    const boxes = new Map();
    for (const item of list.querySelectorAll("li[data-bar]")) {
      const { bar, voice, severity, finding } = item.dataset;
      if (severity === "info") continue;
      for (const measure of bars(section, bar)) {
        const own = staves(measure);
        // A voice that is on no staff of its own, or a finding of all voices: the whole bar.
        const staff = voice === "" ? undefined : own[timeline.staves[voice]];
        const key = `${bar}/${staff ? timeline.staves[voice] : "all"}`;
        const box = boxes.get(key) ||
          { measure, area: staff ? extent(staff) : union(own.map(extent)), numbers: [], critical: false };
        box.numbers.push(finding);
        box.critical = box.critical || severity === "critical";
        boxes.set(key, box);
      }
    }
    for (const { measure, area, numbers, critical } of boxes.values()) {
      const rect = rectangle(critical ? "box critical" : "box warning", area);
      rect.setAttribute("rx", 90);
      rect.setAttribute("tabindex", "0");
      rect.setAttribute("role", "button");
      rect.dataset.findings = numbers.join(" ");
      const said = numbers.map((number) => sentence(section, number)).join("; ");
      rect.setAttribute("aria-label", `Finding: ${said}`);
      const title = document.createElementNS(SVG, "title");
      title.textContent = said;
      rect.append(title);
      const target = measure.querySelector(":scope > .bar-target");
      measure.insertBefore(rect, target ? target.nextSibling : measure.firstChild);
    }
    // Criticals are asked for last, so that they lie above the warnings of the same bar.
    for (const rect of section.querySelectorAll(".box.critical")) {
      rect.parentNode.insertBefore(rect, [...rect.parentNode.querySelectorAll(".box")].pop().nextSibling);
    }
  }

  function sentence(section, number) {
    const item = section.querySelector(`#finding-${number}`);
    if (!item) return "";
    const place = item.querySelector("a, b");
    return `${place ? place.textContent.trim() + ": " : ""}${item.querySelector(".said").textContent.trim()}`;
  }

  function intoView(element) {
    const area = element.getBoundingClientRect();
    const sheet = element.closest(".sheet");
    if (sheet && sheet.scrollWidth > sheet.clientWidth) {
      const frame = sheet.getBoundingClientRect();
      if (area.left < frame.left || area.right > frame.right) {
        sheet.scrollBy({ left: area.left - frame.left - 40 });
      }
    }
    const top = 110, bottom = window.innerHeight - 60;
    if (area.top < top || area.bottom > bottom) {
      window.scrollBy({ top: area.top - Math.max(top, window.innerHeight * 0.3) });
    }
  }

  // Light a finding and its bar. `from` says what was activated: the other side is shown.
  function open(number, from) {
    const item = document.getElementById(`finding-${number}`);
    if (!item) return;
    const section = sectionOf(item);
    for (const old of section.querySelectorAll(".lit")) old.classList.remove("lit");
    item.classList.add("lit");
    const box = section.querySelector(`.box[data-findings~="${number}"]`);
    if (box) box.classList.add("lit");
    const line = item.querySelector("[data-line]");
    const cited = line && section.querySelector(`#line-${line.dataset.line}`);
    if (cited) cited.classList.add("lit");
    section.dataset.open = number;
    if (from === "load") return;
    if (from === "list" && box) intoView(box);
    if (from === "score" || from === "text") {
      const list = item.closest(".findings");
      if (getComputedStyle(item.closest(".margin") || list).position === "sticky" || from === "text") {
        item.scrollIntoView({ block: "nearest" });
      }
    }
    const card = section.querySelector("[data-card]");
    if (card && from !== "list") {
      card.replaceChildren();
      const text = document.createElement("p");
      text.textContent = sentence(section, number);
      const close = document.createElement("button");
      close.type = "button";
      close.textContent = "Close";
      close.addEventListener("click", () => { card.hidden = true; });
      card.append(text, close);
      card.className = `finding-card ${item.dataset.severity}`;
      card.hidden = false;
    }
  }

  function step(by) {
    const items = [...document.querySelectorAll("#findings li[data-bar]")]
      .sort((one, other) => one.dataset.bar - other.dataset.bar);
    if (!items.length) return;
    const section = sectionOf(items[0]);
    const now = items.findIndex((item) => item.dataset.finding === section.dataset.open);
    const next = items[(now + by + items.length + (now < 0 && by < 0 ? 1 : 0)) % items.length];
    open(next.dataset.finding, "list");
    announce(sentence(section, next.dataset.finding));
  }

  function announce(text) {
    const live = document.getElementById("live");
    if (live) live.textContent = text;
  }

  function activateBox(box) {
    open(box.dataset.findings.split(" ")[0], "score");
    for (const number of box.dataset.findings.split(" ").slice(1)) {
      const item = document.getElementById(`finding-${number}`);
      if (item) item.classList.add("lit");
    }
    const deck = Player.deckOf(box);
    if (deck) deck.seekBar(+box.closest(".measure").dataset.bar);
  }

  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element)) return;
    const link = event.target.closest("[data-goto]");
    if (link) {
      event.preventDefault();
      open(link.closest("li").dataset.finding, "list");
      return;
    }
    const cite = event.target.closest("[data-open]");
    if (cite && cite.matches("a")) {
      event.preventDefault();
      open(cite.dataset.open, "text");
      return;
    }
    const line = event.target.closest("[data-line]");
    if (line) {
      const section = sectionOf(line);
      const found = section.querySelector(`#line-${line.dataset.line}`);
      if (found) {
        event.preventDefault();
        found.closest("details")?.setAttribute("open", "");
        open(line.closest("li").dataset.finding, "load");
        found.scrollIntoView({ block: "center" });
      }
      return;
    }
    const box = event.target.closest(".box");
    if (box) { activateBox(box); return; }
    const measure = event.target.closest(".measure[data-bar]");
    const deck = measure && Player.deckOf(measure);
    if (deck && deck.seekBar(+measure.dataset.bar) && !deck.playing) deck.play();
  });

  document.addEventListener("keydown", (event) => {
    if ((event.key === "Enter" || event.key === " ") && event.target.classList?.contains("box")) {
      event.preventDefault();
      event.stopPropagation();
      activateBox(event.target);
      const item = document.getElementById(`finding-${event.target.dataset.findings.split(" ")[0]}`);
      item?.querySelector("a")?.focus({ preventScroll: true });
      announce(item ? item.textContent.replace(/\s+/g, " ") : "");
    }
  }, true);

  document.addEventListener("timeline", (event) => {
    const section = sectionOf(event.target);
    timelines.set(section, event.detail);
    drawBoxes(section);
    openFirst(section);
  });

  document.addEventListener("cursor", (event) => {
    const section = sectionOf(event.target);
    for (const old of section.querySelectorAll(".now")) old.classList.remove("now");
    const { bar, playing } = event.detail;
    for (const measure of bars(section, bar)) {
      const target = measure.querySelector(":scope > .bar-target");
      if (!target) continue;
      target.classList.add("now");
      if (playing) intoView(target);
    }
  });

  function openFirst(section) {
    const score = section.querySelector("[data-score]");
    if (!score || section.dataset.open) return;
    const hash = /^#finding-(\d+)$/.exec(location.hash);
    const wanted = new URLSearchParams(location.search).get("finding");
    const asked = wanted && [...section.querySelectorAll("#findings li")]
      .find((item) => item.querySelector(".code")?.textContent.trim().startsWith(wanted));
    const number = hash ? hash[1] : asked ? asked.dataset.finding : score.dataset.first;
    if (!number) return;
    const jump = hash || asked || document.body.dataset.openFirst;
    open(number, jump ? "list" : "load");
  }

  function attach(root) {
    const sheets = root.matches && root.closest(".sheet") ? [root.closest(".sheet")] : [];
    sheets.push(...root.querySelectorAll(".sheet"));
    for (const sheet of sheets) addTargets(sheet);
    const sections = new Set(sheets.map(sectionOf));
    for (const section of sections) drawBoxes(section);
  }

  return { attach, step, open };
})();
