"use strict";
// ---- tables that sort

for (const table of document.querySelectorAll("table")) {
  const titles = [...table.querySelectorAll("th")];
  titles.forEach((head, place) => head.addEventListener("click", () => {
    const down = head.ariaSort === "ascending" ? -1 : 1;
    titles.forEach((other) => { other.ariaSort = null; });
    head.ariaSort = down === 1 ? "ascending" : "descending";
    const key = (row) => row.cells[place].dataset.v === undefined ? row.cells[place].textContent : +row.cells[place].dataset.v;
    const keyed = [...table.tBodies[0].rows].map((row) => [key(row), row]);
    keyed.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0) * down);
    table.tBodies[0].append(...keyed.map(([, row]) => row));
  }));
}
