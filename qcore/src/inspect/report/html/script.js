// A click on a title sorts its table, a second one the other way round.
for (const table of document.querySelectorAll("table")) {
  const titles = [...table.tHead.rows[0].cells];
  titles.forEach((title, column) => title.querySelector("button").addEventListener("click", () => {
    const ascending = title.getAttribute("aria-sort") !== "ascending";
    const direction = ascending ? 1 : -1;
    const key = (row) => row.cells[column].dataset.key ?? row.cells[column].textContent.trim();
    const compare = (a, b) => {
      const [x, y] = [key(a), key(b)];
      // Cells without a value come last.
      if (x === "" || y === "") return (x === "") - (y === "");
      const difference = Number(x) - Number(y);
      return direction * (Number.isNaN(difference) ? x.localeCompare(y) : difference);
    };
    titles.forEach((other) => other.removeAttribute("aria-sort"));
    title.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const body = table.tBodies[0];
    body.append(...[...body.rows].sort(compare));
    // The lines between the operations are those of the order in which they run.
    table.classList.toggle("sorted", !(ascending && title.textContent === "Graph"));
  }));
}
