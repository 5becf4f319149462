"use strict";
// Boxes name rows of the tables below (data-b: a buffer, data-s: a step): what the tip shows is
// read from there as text, and boxes of one buffer light up together.
(() => {
  const tip = document.getElementById("tip");
  const boxes = new Map();
  for (const box of document.querySelectorAll(".plot [data-b]")) {
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

  // In a map of rows a path has many boxes: which one is under the pointer, and what it is.
  const boxesOf = new WeakMap();
  const cellAt = (path, event) => {
    if (!path || !path.dataset.cells) return "";
    if (!boxesOf.has(path)) {
      const numbers = /M(\d+) (\d+)h(\d+)v(\d+)/g;
      const drawn = Array.from(path.getAttribute("d").matchAll(numbers), (m) => m.slice(1).map(Number));
      const cells = path.dataset.cells.split(",").map((cell) => cell.split(":").map(Number));
      boxesOf.set(path, drawn.map((box, i) => [...box, ...cells[i]]));
    }
    const svg = path.ownerSVGElement;
    const view = svg.viewBox.baseVal;
    const frame = svg.getBoundingClientRect();
    const x = ((event.clientX - frame.left) / frame.width) * view.width;
    const y = ((event.clientY - frame.top) / frame.height) * view.height;
    const away = ([left, top, width, height]) =>
      Math.max(left - x, x - left - width, 0) / view.width + Math.max(top - y, y - top - height, 0) / view.height;
    let best = null;
    for (const box of boxesOf.get(path)) if (!best || away(box) < away(best)) best = box;
    const [, top, , height, row, rows, first, last] = best;
    const from = view.height - top - height;
    const count = (number) => number.toLocaleString("en");
    return [
      ["row", rows > 1 ? `${row} to ${row + rows - 1}` : `${row}`],
      ["address", `${count(from)} to ${count(from + height - 1)}`],
      ["life", `call ${count(first)} to ${count(last)}`],
    ];
  };

  const show = (target, event) => {
    shown = target;
    for (const box of lit) box.classList.remove("lit");
    lit = (target && boxes.get(target.dataset.b)) || [];
    for (const box of lit) box.classList.add("lit");
    tip.hidden = !target;
    if (!target) return;
    tip.replaceChildren();
    describe(target.dataset.b, "buffer");
    for (const [head, text] of cellAt(target, event)) {
      const line = add(tip, "div", "");
      add(line, "span", head);
      line.append(text);
    }
    describe(target.dataset.s, "step");
    tip.hidden = !tip.hasChildNodes();
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

  // Pointing at an operator of the graph shows the tensors that it reads and makes.
  const graph = document.querySelector(".graph");
  const operators = graph ? Array.from(graph.querySelectorAll("li")) : [];
  const arcs = graph ? Array.from(graph.querySelectorAll(".arc")) : [];
  let pointed = null;
  const point = (item) => {
    if (item === pointed) return;
    pointed = item;
    const number = `${operators.indexOf(item)}`;
    const near = arcs.filter((arc) => item && arc.dataset.ends.split(" ").includes(number));
    const ends = new Set(near.flatMap((arc) => arc.dataset.ends.split(" ")));
    arcs.forEach((arc) => arc.classList.toggle("lit", near.includes(arc)));
    operators.forEach((other, i) => other.classList.toggle("lit", ends.has(`${i}`)));
    graph.classList.toggle("pointed", near.length > 0);
  };
  if (graph) {
    graph.addEventListener("pointermove", (event) => point(event.target.closest("li")));
    graph.addEventListener("pointerleave", () => point(null));
  }

  // Time is made larger by the wheel, by two fingers, and by buttons; what is pointed at stays.
  const LARGEST = 32;
  let scrolled = -Infinity;
  addEventListener("scroll", () => { scrolled = performance.now(); }, { passive: true });
  for (const zoom of document.querySelectorAll(".zoom")) {
    const view = zoom.querySelector(".window");
    let factor = 1;
    const enlarge = (by, x) => {
      const plot = zoom.querySelector(".plot");
      const edge = () => plot.getBoundingClientRect().left - view.getBoundingClientRect().left + view.scrollLeft;
      const wanted = by ? Math.min(LARGEST, Math.max(1, factor * by)) : 1;
      if (wanted === factor) return false;
      const before = edge();
      const at = (view.scrollLeft + x - before) / plot.clientWidth;
      factor = wanted;
      zoom.style.setProperty("--zoom", factor);
      view.scrollLeft = at * plot.clientWidth + before - x;
      show(null);
      return true;
    };
    const middle = () => view.clientWidth / 2;
    for (const button of zoom.querySelectorAll("button"))
      button.addEventListener("click", () => enlarge(Number(button.dataset.zoom), middle()));
    view.addEventListener("wheel", (event) => {
      if (!event.deltaY || event.shiftKey) return;
      if (performance.now() - scrolled < 300) return; // the page runs past
      const x = event.clientX - view.getBoundingClientRect().left;
      if (enlarge(Math.exp(-event.deltaY / 300), x)) event.preventDefault();
    }, { passive: false });
    let apart = 0;
    const fingers = (event) => {
      if (event.touches.length !== 2) { apart = 0; return; }
      const [a, b] = event.touches;
      const now = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
      const x = (a.clientX + b.clientX) / 2 - view.getBoundingClientRect().left;
      if (apart) enlarge(now / apart, x);
      apart = now;
      event.preventDefault();
    };
    view.addEventListener("touchstart", fingers, { passive: false });
    view.addEventListener("touchmove", fingers, { passive: false });
    view.addEventListener("touchend", () => { apart = 0; });
  }

  const follow = (event) => {
    const target = event.target.closest ? event.target.closest("[data-b], [data-s]") : null;
    if (target !== shown || (target && target.dataset.cells)) show(target, event);
    if (target) place(event);
  };
  document.addEventListener("pointermove", follow);
  document.addEventListener("pointerdown", follow);
  document.addEventListener("scroll", () => show(null), { passive: true });
})();
