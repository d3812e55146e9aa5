"use strict";
(() => {
  // The player's script lies beside the page; without it the page is complete but silent.
  addEventListener("DOMContentLoaded", () => {
    if (!window.scoregatePlayer) return;
    for (const player of document.querySelectorAll(".player")) player.hidden = false;
    scoregatePlayer.attach(document.body);
  });
  // Paper has no "on demand": what is folded is left out, except further pages of music.
  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details:has(.music)")) fold.open = true;
  });
})();
