// The matrix.  Only the visible rows are in the document, so that its size does not depend on the
// number of modules.  The table keeps the focus and names the active cell in
// aria-activedescendant: a focused cell would be lost when it is scrolled out of view.

const OVERSCAN = 8; // rows above and below the visible ones
const ROOMY = 6; // kernels; with more, cells only have marks

const scroller = document.getElementById("scroller");
const grid = document.getElementById("grid");
const body = grid.tBodies[0];

let rows = []; // modules, from select()
let columns = null; // kernels
let rendered = new Map(); // row number -> tr
let painted = {}; // the first row in the document, and the one after the last
let rowHeight = 28; // pixels, until measured
let active = { row: 0, column: 1 }; // column 0 is the module
let printing = false;

/** Show the rows that pass the filters. */
function refreshGrid() {
  const kept = rows[active.row];
  rows = select();
  const now = shownKernels();
  if (now.length !== columns?.length || now.some((kernel, at) => kernel !== columns[at])) {
    columns = now;
    buildHead();
  }
  active.row = Math.max(0, rows.indexOf(kept));
  active.column = Math.min(active.column, columns.length);
  markSorted();
  grid.setAttribute("aria-rowcount", rows.length + 1);
  document.getElementById("empty").hidden = rows.length > 0;
  repaint();
  measure();
}

function buildHead() {
  grid.classList.toggle("dense", columns.length > ROOMY);
  grid.tHead.replaceChildren();
  const head = grid.tHead.insertRow();
  head.append(headCell("Module", "name"));
  for (const kernel of columns) head.append(headCell(kernel.label, kernel));
  const widths = [element("col", "module"), ...columns.map(() => element("col", "kernel"))];
  grid.querySelector("colgroup").replaceChildren(...widths);
  grid.style.setProperty("--columns", columns.length);
}

function headCell(text, sort) {
  const cell = element("th");
  cell.scope = "col";
  const button = element("button", "", text);
  button.type = "button";
  button.title = sort === "name" ? "Sort by name" : `Sort by the verdict on ${text}`;
  button.addEventListener("click", () => {
    if (state.sort === sort) change({ reverse: !state.reverse });
    else change({ sort, reverse: false });
  });
  cell.append(button);
  cell.sort = sort;
  return cell;
}

function markSorted() {
  for (const cell of grid.tHead.rows[0].cells) {
    if (cell.sort !== state.sort) cell.removeAttribute("aria-sort");
    else {
      const ascending = (state.sort === "name") !== state.reverse;
      cell.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    }
  }
}

/** Rebuild all rows. */
function repaint() {
  rendered = new Map();
  painted = {};
  paint();
}

/** Put the visible rows into the document, and remove the others. */
function paint() {
  const inSight = Math.ceil(scroller.clientHeight / rowHeight);
  const top = Math.floor(scroller.scrollTop / rowHeight);
  const first = printing ? 0 : Math.max(0, Math.min(top, rows.length - inSight) - OVERSCAN);
  const last = printing ? rows.length : Math.min(rows.length, top + inSight + OVERSCAN);
  if (first === painted.first && last === painted.last) return;
  painted = { first, last };
  const now = new Map();
  for (let at = first; at < last; at++) now.set(at, rendered.get(at) ?? buildRow(at));
  rendered = now;
  const shown = [];
  for (const row of now.values()) {
    shown.push(row);
    if (printing) shown.push(...reasonRows(row.module));
  }
  body.replaceChildren(space(first), ...shown, space(rows.length - last));
  markActive();
}

/** The height of a row follows the size of the text, which the user can change. */
function measure() {
  const [row] = rendered.values();
  const height = row?.getBoundingClientRect().height;
  if (!height || height === rowHeight) return;
  rowHeight = height;
  painted = {}; // the space above and below has changed
  paint();
}

function space(missing) {
  const row = element("tr", "space");
  row.setAttribute("aria-hidden", "true");
  row.style.height = `${missing * rowHeight}px`;
  return row;
}

function buildRow(at) {
  const module = rows[at];
  const row = element("tr");
  row.module = module;
  row.setAttribute("aria-rowindex", at + 2);
  const head = element("th", "module");
  head.scope = "row";
  head.id = `cell-${at}-0`;
  head.title = module.path;
  head.append(element("bdi", "name", module.name), " ", element("bdi", "path", module.folder));
  row.append(head);
  columns.forEach((kernel, column) => row.append(buildCell(at, column, module, kernel)));
  return row;
}

function buildCell(at, column, module, kernel) {
  const outcome = outcomeOf(module, kernel);
  const cell = element("td", outcome ? outcome.verdict : "none");
  cell.id = `cell-${at}-${column + 1}`;
  if (!outcome) {
    cell.textContent = "–";
    cell.title = "not checked";
    return cell;
  }
  const codes = state.code && outcome.codes.includes(state.code) ? [state.code] : outcome.telling;
  cell.title = [outcome.verdict, ...outcome.codes].join(", ");
  cell.append(mark(outcome.verdict), element("span", "verdict", outcome.verdict));
  if (codes.length) {
    const more = codes.length > 1 ? ` +${codes.length - 1}` : "";
    cell.append(" ", element("span", "code", codes[0] + more));
  }
  return cell;
}

/** In print, the reasons are below the module. */
function reasonRows(module) {
  return columns
    .filter((kernel) => {
      const outcome = outcomeOf(module, kernel);
      return outcome && (outcome.error || outcome.telling.length);
    })
    .map((kernel) => {
      const row = element("tr", "reasons");
      const cell = row.insertCell();
      cell.colSpan = columns.length + 1;
      cell.append(element("strong", "", kernel.label), reasons(outcomeOf(module, kernel)));
      return row;
    });
}

function markActive() {
  for (const old of body.querySelectorAll(".active, .open")) old.classList.remove("active", "open");
  const cell = document.getElementById(`cell-${active.row}-${active.column}`);
  if (cell) {
    cell.classList.add("active");
    grid.setAttribute("aria-activedescendant", cell.id);
  } else grid.removeAttribute("aria-activedescendant");
  if (!state.open) return;
  const column = state.open.kernel ? columns.indexOf(state.open.kernel) + 1 : 0;
  const row = rows.indexOf(state.open.module);
  if (row < 0 || (state.open.kernel && !column)) return;
  document.getElementById(`cell-${row}-${column}`)?.classList.add("open");
}

/** Make a cell the active one, and scroll it into view. */
function activate(row, column) {
  active.row = Math.max(0, Math.min(row, rows.length - 1));
  active.column = Math.max(0, Math.min(column, columns.length));
  const top = active.row * rowHeight;
  const room = scroller.clientHeight - grid.tHead.offsetHeight - rowHeight;
  if (top < scroller.scrollTop) scroller.scrollTop = top;
  else if (top > scroller.scrollTop + room) scroller.scrollTop = top - room;
  paint();
  markActive();
  const cell = document.getElementById(`cell-${active.row}-${active.column}`);
  if (cell && active.column) {
    const left = cell.offsetLeft - grid.tHead.rows[0].cells[0].offsetWidth;
    const right = cell.offsetLeft + cell.offsetWidth - scroller.clientWidth;
    scroller.scrollLeft = Math.min(left, Math.max(right, scroller.scrollLeft));
  }
}

function openActive() {
  const module = rows[active.row];
  if (module) change({ open: { module, kernel: columns[active.column - 1] ?? null } });
}

scroller.addEventListener("scroll", () => paint(), { passive: true });
new ResizeObserver(() => {
  paint();
  measure();
}).observe(scroller);

body.addEventListener("click", (event) => {
  const cell = event.target.closest("th, td");
  const row = cell?.closest("tr");
  if (!row?.module || getSelection().toString()) return;
  activate(rows.indexOf(row.module), cell.cellIndex);
  grid.focus({ preventScroll: true });
  openActive();
});

grid.addEventListener("keydown", (event) => {
  if (event.target !== grid || event.altKey || event.metaKey) return;
  const page = Math.max(1, Math.floor(scroller.clientHeight / rowHeight) - 2);
  const { row, column } = active;
  const moves = {
    ArrowUp: [row - 1, column],
    ArrowDown: [row + 1, column],
    ArrowLeft: [row, column - 1],
    ArrowRight: [row, column + 1],
    PageUp: [row - page, column],
    PageDown: [row + page, column],
    Home: [event.ctrlKey ? 0 : row, 0],
    End: [event.ctrlKey ? rows.length - 1 : row, columns.length],
  };
  if (event.key === "Enter" || event.key === " ") openActive();
  else if (event.key in moves) {
    activate(...moves[event.key]);
    if (state.open) openActive(); // update the open panel
  } else return;
  event.preventDefault();
});

const meanings = document.getElementById("meanings");
let meaningsOpen = false;

addEventListener("beforeprint", () => {
  printing = true;
  meaningsOpen = meanings.open;
  meanings.open = true;
  repaint();
});
addEventListener("afterprint", () => {
  printing = false;
  meanings.open = meaningsOpen;
  repaint();
});
