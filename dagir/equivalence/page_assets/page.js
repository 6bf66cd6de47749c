"use strict";
const byId = (name) => document.getElementById(name);
const make = (name, content, classes) => {
  const element = document.createElement(name);
  if (content !== undefined) element.textContent = content;
  if (classes) element.className = classes;
  return element;
};
const rows = [...document.querySelectorAll(".nodes tbody tr")];
const boxes = [...document.querySelectorAll(".box")];
const heads = [...document.querySelectorAll(".nodes th")].map((head) => head.textContent);
const graph = byId("graph"), details = byId("details"), find = byId("find");
const boxOf = (row) => (row.dataset.part === undefined ? null : byId("part" + row.dataset.part));

// ---- the graph: panzoom moves a frame around the drawing, which keeps its own transform

let view = null;
if (graph && window.Panzoom) {
  const svg = graph.querySelector("svg"), drawn = svg.querySelector("g");
  const frame = document.createElementNS(svg.namespaceURI, "g");
  svg.append(frame);
  frame.append(drawn);
  for (const name of ["viewBox", "width", "height"]) svg.removeAttribute(name);
  graph.classList.add("live");
  const place = drawn.transform.baseVal.consolidate().matrix, all = drawn.getBBox();
  const fitting = () => Math.min(graph.clientWidth / (all.width + 40), graph.clientHeight / (all.height + 40), 1);
  const panzoom = Panzoom(frame, { canvas: true, cursor: "grab", minScale: fitting() / 2, maxScale: 4, step: 0.25 });
  const show = (area, scale) => {
    panzoom.zoom(scale, { animate: false });
    const x = graph.clientWidth / 2 / scale - place.e - area.x - area.width / 2;
    const y = graph.clientHeight / 2 / scale - place.f - area.y - area.height / 2;
    panzoom.pan(x, y, { animate: false });
  };
  const zoomed = (by) => {
    const middle = graph.getBoundingClientRect();
    const point = { clientX: middle.x + middle.width / 2, clientY: middle.y + middle.height / 2 };
    panzoom.zoomToPoint(panzoom.getScale() * by, point);
  };
  const move = (x, y) => panzoom.pan(x / panzoom.getScale(), y / panzoom.getScale(), { relative: true });
  view = {
    box: (box) => show(box.getBBox(), Math.max(panzoom.getScale(), graph.clientWidth < 500 ? 0.8 : 1)),
    whole: () => show(all, fitting()),
    start: () => show({ x: all.x, y: all.y, width: all.width, height: graph.clientHeight - 40 }, Math.max(fitting(), 0.8)),
  };
  graph.addEventListener("wheel", (event) => panzoom.zoomWithWheel(event), { passive: false });
  byId("closer").addEventListener("click", () => zoomed(1.4));
  byId("farther").addEventListener("click", () => zoomed(1 / 1.4));
  byId("whole").addEventListener("click", view.whole);
  const keys = {
    ArrowUp: () => move(0, 80), ArrowDown: () => move(0, -80), ArrowLeft: () => move(80, 0), ArrowRight: () => move(-80, 0),
    "+": () => zoomed(1.4), "=": () => zoomed(1.4), "-": () => zoomed(1 / 1.4), 0: view.whole,
  };
  graph.addEventListener("keydown", (event) => {
    if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  let down = null;
  graph.addEventListener("pointerdown", (event) => { down = event; }, true);
  graph.addEventListener("click", (event) => {
    const box = event.target.closest(".box");
    if (!box || (down && Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) > 6)) return;
    const inside = rows.filter((row) => row.dataset.part === box.id.slice(4));
    if (inside.length) choose(worst(inside), false);
    else tell(box, []);
  });
}

// ---- what is chosen: a row of the table, its box, its place along the network

const coloured = (cell) => /(^| )([bp]\d|over|none)( |$)/.test(cell.className);
const used = (row) => Math.max(...[...row.cells].filter(coloured).map((cell) => +cell.dataset.v));
const worst = (some) => some.reduce((most, row) => (used(row) > used(most) ? row : most));
const mark = (box, row) => {
  document.querySelectorAll(".chosen").forEach((element) => element.classList.remove("chosen"));
  for (const element of [box, row]) if (element) element.classList.add("chosen");
  if (row) byId("here").setAttribute("x", +row.id.slice(3));
};
const fact = (title, cell) => {
  const told = make("dd");
  if (coloured(cell)) told.append(make("span", cell.textContent, "mark " + cell.className.replace("n ", "")));
  else told.append(...[...cell.cloneNode(true).childNodes].map((child) => (child.nodeName === "A" ? child.textContent : child)));
  const pair = make("div");
  pair.append(make("dt", title), told);
  return pair;
};
const step = (row, by, text) => {
  const there = byId("row" + (+row.id.slice(3) + by)), button = make("button", text);
  button.type = "button";
  button.disabled = !there;
  button.addEventListener("click", () => choose(there, true));
  return button;
};
const tell = (box, inside, row) => {
  mark(box, row);
  const name = box ? box.querySelector("title").textContent : row.cells[1].textContent;
  details.replaceChildren(make("h3", name));
  if (!row) return details.append(make("p", "Nothing is computed here, or nothing was observed.", "quiet"));
  const steps = make("p", undefined, "steps"), list = make("dl");
  steps.append(step(row, -1, "← Before"), step(row, 1, "After →"));
  [...row.cells].forEach((cell, place) => { if (cell.textContent || cell.firstElementChild) list.append(fact(heads[place], cell)); });
  details.append(steps, list);
  if (inside.length < 2) return undefined;
  const others = make("ul");
  inside.slice(0, 60).forEach((each) => {
    const item = make("li"), link = make("a", each.cells[1].textContent);
    link.href = "#" + each.id;
    item.append(link);
    others.append(item);
  });
  return details.append(make("p", `${inside.length} nodes are in this box:`, "quiet"), others);
};
function choose(row, moves) {
  const box = boxOf(row);
  tell(box, rows.filter((each) => row.dataset.part !== undefined && each.dataset.part === row.dataset.part), row);
  if (box && view && moves) view.box(box);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#row"]');
  if (!link) return;
  event.preventDefault();
  choose(byId(link.hash.slice(1)), true);
  if (!link.closest("#network")) byId("network").scrollIntoView();
});
byId("course").addEventListener("click", (event) => {
  const area = event.currentTarget.getBoundingClientRect();
  const row = byId("row" + Math.min(rows.length - 1, Math.floor(((event.clientX - area.x) / area.width) * rows.length)));
  if (row) choose(row, true);
});

// ---- search: the rows and the boxes that hold the text; Enter goes from one to the next

let hits = [], at = -1;
const searched = rows.map((row) => [...row.cells].slice(1, 4).map((cell) => cell.textContent).join("\n").toLowerCase());
const onward = (by) => {
  if (!hits.length) return;
  at = (at + by + hits.length) % hits.length;
  byId("found").textContent = `${at + 1} of ${hits.length}`;
  choose(hits[at], true);
};
find.addEventListener("input", () => {
  const wanted = find.value.trim().toLowerCase();
  hits = wanted ? rows.filter((row, place) => searched[place].includes(wanted)) : [];
  at = -1;
  byId("found").textContent = wanted ? (hits.length ? `${hits.length} found` : "none") : "";
  const shown = new Set(hits);
  rows.forEach((row) => row.classList.toggle("aside", Boolean(wanted) && !shown.has(row)));
  const held = new Set(hits.map((row) => row.dataset.part));
  boxes.forEach((box) => box.classList.toggle("found", held.has(box.id.slice(4))));
});
find.addEventListener("keydown", (event) => { if (event.key === "Enter") onward(event.shiftKey ? -1 : 1); });
byId("next").addEventListener("click", () => onward(1));

// ---- the page opens at the first divergence

const first = document.querySelector("a[data-graph]");
const guilty = first && byId(first.hash.slice(1));
if (guilty) choose(guilty, false);
if (view) setTimeout(() => (guilty && boxOf(guilty) ? view.box(boxOf(guilty)) : view.start()));  // after panzoom's own start
