"use strict";
// Tables are sorted by their headings, filtered, and copied as CSV.
(() => {
  const LONG = 10; // rows from which a table has a box to filter it
  const order = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const MISSING = new Set(["", "n/a", "\u2013"]);
  const plain = (text) => text.replaceAll("\u2212", "-").replaceAll("\u00a0", " ").trim();
  // The first number counts: of an interval the value, of "<0.001" a little less than it says.
  const number = (text) => {
    const found = /^([<>]?)\s*([+-]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:e[+-]?\d+)?)/i.exec(plain(text));
    if (!found) return NaN;
    const value = parseFloat(found[2].replaceAll(",", ""));
    return value * (found[1] === "<" ? 0.999 : found[1] === ">" ? 1.001 : 1);
  };
  const text = (row, column) => row.cells[column].textContent.trim();

  const sort = (body, original, column, direction) => {
    const rows = [...original];
    if (direction) {
      const there = rows.map((row) => text(row, column)).filter((cell) => !MISSING.has(cell));
      const numeric = there.filter((cell) => !Number.isNaN(number(cell))).length > there.length / 2;
      const key = (row) => (numeric ? number(text(row, column)) : plain(text(row, column)));
      const last = (row) => MISSING.has(text(row, column)) || (numeric && Number.isNaN(key(row)));
      rows.sort((a, b) => {
        if (last(a) || last(b)) return last(a) - last(b);
        return direction * (numeric ? key(a) - key(b) : order.compare(key(a), key(b)));
      });
    }
    body.append(...rows);
  };

  const sortable = (table) => {
    const heads = [...table.tHead.rows[0].cells];
    const original = [...table.tBodies[0].rows];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const was = head.getAttribute("aria-sort");
        for (const each of heads) each.removeAttribute("aria-sort");
        const now = { ascending: "descending", descending: null }[was];
        const next = was === null ? "ascending" : now;
        if (next) head.setAttribute("aria-sort", next);
        sort(table.tBodies[0], original, column, { ascending: 1, descending: -1 }[next] || 0);
      });
    });
  };

  const cell = (value) => {
    const written = plain(value);
    return /[",\n]/.test(written) ? `"${written.replaceAll('"', '""')}"` : written;
  };
  const csv = (table) => {
    const rows = [...table.rows].filter((row) => !row.hidden);
    return rows.map((row) => [...row.cells].map((each) => cell(each.textContent)).join(",")).join("\n") + "\n";
  };
  const copy = async (written) => {
    try {
      await navigator.clipboard.writeText(written);
      return true;
    } catch {
      const area = document.createElement("textarea");
      area.value = written;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  };

  const tools = (table) => {
    const bar = document.createElement("div");
    bar.className = "tools";
    const rows = [...table.tBodies[0].rows];
    const name = document.getElementById(table.closest(".scroll").getAttribute("aria-labelledby")).textContent;
    if (rows.length >= LONG) {
      const box = document.createElement("input");
      const count = document.createElement("span");
      box.type = "search";
      box.placeholder = "Filter rows";
      box.autocomplete = "off";
      box.setAttribute("aria-label", `Filter rows: ${name}`);
      count.setAttribute("role", "status");
      box.addEventListener("input", () => {
        const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
        for (const row of rows) {
          const held = [...row.cells].map((each) => plain(each.textContent)).join(" ").toLowerCase();
          row.hidden = !words.every((word) => held.includes(word));
        }
        const left = rows.filter((row) => !row.hidden).length;
        count.textContent = words.length ? `${left} of ${rows.length} rows` : "";
      });
      bar.append(box, count);
    }
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy as CSV";
    button.setAttribute("aria-label", `Copy as CSV: ${name}`);
    button.addEventListener("click", async () => {
      button.textContent = (await copy(csv(table))) ? "Copied" : "Could not copy";
      setTimeout(() => { button.textContent = "Copy as CSV"; }, 2000);
    });
    bar.append(button);
    table.closest(".scroll").before(bar);
  };

  for (const table of document.querySelectorAll("main table:not([data-plain])")) {
    // Rows that head others lose their sense in another order.
    if (!table.querySelector("tr.group")) sortable(table);
    tools(table);
  }
})();
