for (const table of document.querySelectorAll("table")) {
  table.querySelectorAll("th").forEach((head, place) => head.addEventListener("click", () => {
    const down = head.dataset.d === "1" ? -1 : 1;
    table.querySelectorAll("th").forEach((other) => delete other.dataset.d);
    head.dataset.d = down;
    const key = (row) => row.cells[place].dataset.v === undefined ? row.cells[place].textContent : +row.cells[place].dataset.v;
    const rows = [...table.tBodies[0].rows].sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0) * down);
    table.tBodies[0].append(...rows);
  }));
}
