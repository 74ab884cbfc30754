
"use strict";
(() => {
  const comments = [...document.querySelectorAll(".remarks.noted")];
  const bar = document.getElementById("comments");
  const said = document.getElementById("said");
  let at = -1;

  const unfold = (element) => {
    for (let outer = element; outer; outer = outer.parentElement) {
      if (outer.tagName === "DETAILS") outer.open = true;
    }
  };
  const go = (step) => {
    if (!comments.length) return;
    at = at < 0 && step < 0 ? comments.length - 1 : (at + step + comments.length) % comments.length;
    const cell = comments[at].closest(".cell");
    unfold(cell);
    cell.querySelectorAll("details.folded").forEach((one) => { one.open = true; });
    comments[at].focus({ preventScroll: true });
    cell.scrollIntoView({ block: "start" });
    said.textContent = `Comment ${at + 1} of ${comments.length}`;
  };
  const steps = new Map([["n", 1], ["j", 1], ["p", -1], ["k", -1]]);
  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof Element && event.target.closest("input, textarea, select, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !steps.has(event.key)) return;
    event.preventDefault();
    go(steps.get(event.key));
  });
  bar.hidden = comments.length === 0;
  bar.querySelectorAll("button").forEach((button) => {
    button.addEventListener("click", () => go(Number(button.dataset.step)));
  });

  const follow = () => {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (!target) return;
    unfold(target);
    target.scrollIntoView({ block: "start" });
  };
  window.addEventListener("hashchange", follow);
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element && event.target.closest("a[href^='#']");
    if (link && link.hash === location.hash) follow();
  });
  follow();
})();
