
"use strict";
(() => {
  const MAP = 1000;
  const start = (plane) => {
    const side = Number(plane.dataset.side), reach = Number(plane.dataset.reach), perRow = Number(plane.dataset.perRow);
    const find = (selector) => plane.querySelector(selector);
    const sheet = find("img"), map = find(".plane-map"), cursor = find(".cursor"), where = find("output");
    const sliders = { x: find(".x"), y: find(".y") };
    const tile = sheet.naturalWidth / (perRow * side), canvas = find("canvas");
    canvas.width = canvas.height = tile;
    const paper = canvas.getContext("2d");
    const choices = [...plane.querySelectorAll("input[type=radio]")];
    const at = { x: (side - 1) >> 1, y: (side - 1) >> 1 };

    const text = (axis) => {
      const rounded = ((2 * at[axis] / (side - 1) - 1) * reach).toFixed(1);
      return `${axis} = ${Number(rounded) === 0 ? "0.0" : rounded.replace("-", "\u2212")}`;
    };
    const draw = () => {
      const chosen = choices.findIndex((choice) => choice.checked);
      const block = Math.max(chosen, 0);
      const column = (block % perRow) * side + at.x, row = Math.floor(block / perRow) * side + side - 1 - at.y;
      paper.drawImage(sheet, column * tile, row * tile, tile, tile, 0, 0, tile, tile);
      cursor.setAttribute("x", at.x * MAP / side);
      cursor.setAttribute("y", (side - 1 - at.y) * MAP / side);
      for (const axis of ["x", "y"]) {
        sliders[axis].value = at[axis];
        sliders[axis].setAttribute("aria-valuetext", text(axis));
      }
      where.textContent = `${text("x")}, ${text("y")}`;
    };
    const go = (x, y) => {
      at.x = Math.min(Math.max(x, 0), side - 1);
      at.y = Math.min(Math.max(y, 0), side - 1);
      draw();
    };

    const follow = (event) => {
      const box = map.getBoundingClientRect();
      const cell = (from, length) => Math.floor(from / length * side);
      go(cell(event.clientX - box.left, box.width), side - 1 - cell(event.clientY - box.top, box.height));
    };
    map.addEventListener("pointerdown", (event) => {
      if (event.button === 0) { map.setPointerCapture(event.pointerId); follow(event); }
    });
    map.addEventListener("pointermove", (event) => { if (map.hasPointerCapture(event.pointerId)) follow(event); });
    map.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] }[event.key];
      if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      go(at.x + step[0], at.y + step[1]);
    });
    for (const axis of ["x", "y"]) {
      sliders[axis].addEventListener("input", () => { at[axis] = Number(sliders[axis].value); draw(); });
    }
    choices.forEach((choice) => choice.addEventListener("change", draw));
    find(".plane-tools").hidden = false;
    find("details").open = false;
    draw();
  };
  for (const plane of document.querySelectorAll(".plane")) {
    const sheet = plane.querySelector("img");
    sheet.decode().then(() => start(plane), () => {}); // a sheet that cannot be shown has no tools
  }
})();
