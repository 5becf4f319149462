"use strict";
// Boxes name rows of the tables below (data-b: a buffer, data-s: a step): what the tip shows is
// read from there as text, and boxes of one buffer light up together.
(() => {
  const tip = document.getElementById("tip");
  const boxes = new Map();
  for (const box of document.querySelectorAll("b[data-b]")) {
    const key = box.dataset.b;
    if (!boxes.has(key)) boxes.set(key, []);
    boxes.get(key).push(box);
  }
  let lit = [];
  let shown = null;

  const rowOf = (key) => {
    const row = key && document.getElementById(key);
    if (!row) return null;
    const heads = row.closest("table").tHead.rows[0].cells;
    return Array.from(row.cells, (cell, i) => [heads[i].textContent, cell.textContent.trim()]);
  };

  const add = (parent, tag, text) => {
    const element = document.createElement(tag);
    element.textContent = text;
    return parent.appendChild(element);
  };

  const describe = (key, title) => {
    const cells = rowOf(key);
    if (!cells) return;
    const named = cells.find(([head]) => head === title);
    add(tip, "h3", named ? named[1] : "");
    for (const [head, text] of cells) {
      if (!text || head === title || head === "#") continue;
      const line = add(tip, "div", "");
      add(line, "span", head);
      line.append(text);
    }
  };

  const show = (target) => {
    shown = target;
    for (const box of lit) box.classList.remove("lit");
    lit = (target && boxes.get(target.dataset.b)) || [];
    for (const box of lit) box.classList.add("lit");
    tip.hidden = !target;
    if (!target) return;
    tip.replaceChildren();
    describe(target.dataset.b, "buffer");
    describe(target.dataset.s, "step");
  };

  const place = (event) => {
    const { width, height } = tip.getBoundingClientRect();
    const room = document.documentElement;
    const right = event.clientX + 16;
    const left = right + width + 8 < room.clientWidth ? right : event.clientX - width - 16;
    const top = Math.min(event.clientY + 14, room.clientHeight - height - 8);
    tip.style.left = `${Math.max(8, Math.min(left, room.clientWidth - width - 8))}px`;
    tip.style.top = `${Math.max(8, top)}px`;
  };

  const follow = (event) => {
    const target = event.target.closest ? event.target.closest("[data-b], [data-s]") : null;
    if (target !== shown) show(target);
    if (target) place(event);
  };
  document.addEventListener("pointermove", follow);
  document.addEventListener("pointerdown", follow);
  document.addEventListener("scroll", () => show(null), { passive: true });
})();
