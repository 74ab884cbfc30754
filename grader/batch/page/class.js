
"use strict";
(() => {
  const table = document.getElementById("students");
  const search = document.getElementById("search");
  const shown = document.getElementById("shown");
  const filters = [...document.querySelectorAll(".filter")];
  const groups = [...table.tBodies];
  const heads = [...table.tHead.querySelectorAll("th[data-sort]")];
  const columnOf = new Map();
  // The second row of headings lies between the first row's third and last columns.
  const first = [...table.tHead.rows[0].cells].filter((cell) => cell.dataset.sort);
  const second = [...table.tHead.rows[1].cells];
  [...first.slice(0, 3), ...second, ...first.slice(3)].forEach((head, index) => columnOf.set(head, index));

  const value = (group, head) => {
    const text = group.rows[0].cells[columnOf.get(head)].dataset.value || "";
    return head.dataset.sort === "number" ? Number(text) : text.toLocaleLowerCase();
  };
  const sort = (head) => {
    const up = head.getAttribute("aria-sort") !== "ascending" && !(head.dataset.sort === "number" && !head.hasAttribute("aria-sort"));
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const keyed = groups.map((group, index) => [value(group, head), index, group]);
    const order = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
    keyed.sort((a, b) => (up ? 1 : -1) * order(a[0], b[0]) || a[1] - b[1]);
    table.append(...keyed.map((entry) => entry[2]));
  };
  heads.forEach((head) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(head));
  });

  const texts = new Map(groups.map((group) => [group, group.rows[0].cells[0].textContent.toLocaleLowerCase()]));
  const show = () => {
    const wanted = search.value.toLocaleLowerCase().trim();
    const flags = filters.filter((button) => button.getAttribute("aria-pressed") === "true").map((button) => button.dataset.flag);
    let count = 0;
    for (const group of groups) {
      const has = group.dataset.flags.split(" ");
      const fits = texts.get(group).includes(wanted) && flags.every((flag) => has.includes(flag));
      group.hidden = !fits;
      count += fits;
    }
    shown.textContent = `${count} of ${groups.length}`;
  };
  search.addEventListener("input", show);
  filters.forEach((button) => button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    show();
  }));
  const unfold = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const details = target && target.querySelector("details");
    if (details) { target.hidden = false; details.open = true; }
  };
  addEventListener("hashchange", unfold);
  const box = document.getElementById("box");
  const hint = () => { document.getElementById("sideways").hidden = box.scrollWidth <= box.clientWidth; };
  addEventListener("resize", hint);
  document.getElementById("tools").hidden = false;
  show();
  unfold();
  hint();
})();
