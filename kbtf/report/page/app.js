// The controls, the address, and the initialisation.

const control = (id) => document.getElementById(id);
let saving = 0;

/** Change the state and update the page. */
function change(changes) {
  const filtersToo = Object.keys(changes).some((key) => key !== "open");
  Object.assign(state, changes);
  if (filtersToo) refreshFilters();
  refreshDetails();
  markActive();
  // browsers limit how often the address may change
  clearTimeout(saving);
  saving = setTimeout(() => history.replaceState(null, "", "#" + toHash()), 200);
}

function refreshFilters() {
  if (control("query").value !== state.query) control("query").value = state.query;
  for (const box of control("verdicts").querySelectorAll("input")) {
    box.checked = state.verdicts.has(box.value);
  }
  control("code").value = state.code;
  control("differing").checked = state.differing;
  const { sort } = state;
  control("sort").value = typeof sort === "string" ? sort : `kernel ${sort.at}`;
  for (const box of control("kernels").querySelectorAll("td input")) {
    box.checked = !state.hidden.has(kernels[Number(box.value)]);
  }
  control("all-kernels").checked = !state.hidden.size;
  control("all-kernels").indeterminate = state.hidden.size % kernels.length > 0;
  scroller.scrollTop = 0;
  refreshGrid();
  const all = modules.length.toLocaleString("en");
  control("status").textContent =
    rows.length === modules.length
      ? `${count(modules.length, "module")}`
      : `${rows.length.toLocaleString("en")} of ${all} modules`;
}

/** The number of modules with each verdict on a kernel. */
function tally(kernel) {
  const counts = new Map(data.verdicts.map((verdict) => [verdict, 0]));
  for (const module of modules) {
    const outcome = outcomeOf(module, kernel);
    if (outcome) counts.set(outcome.verdict, counts.get(outcome.verdict) + 1);
  }
  return counts;
}

function buildKernels(tallies) {
  const table = control("kernels").querySelector("table");
  for (const verdict of data.verdicts) {
    const head = element("th", "count", verdict);
    head.scope = "col";
    table.tHead.rows[0].append(head);
  }
  for (const kernel of kernels) {
    const row = table.tBodies[0].insertRow();
    const box = element("input");
    box.type = "checkbox";
    box.value = kernel.at;
    box.id = `kernel-${kernel.at}`;
    box.addEventListener("change", () => {
      const hidden = new Set(state.hidden);
      if (box.checked) hidden.delete(kernel);
      else hidden.add(kernel);
      change({ hidden, ...(hidden.has(state.sort) && { sort: "verdict", reverse: false }) });
    });
    row.insertCell().append(box);
    const label = element("label", "", kernel.label);
    label.htmlFor = box.id;
    row.insertCell().append(label);
    const source = row.insertCell();
    source.className = "source";
    source.title = source.textContent = kernel.source;
    const share = row.insertCell();
    share.className = "share";
    share.append(bar(tallies[kernel.at]));
    for (const [verdict, number] of tallies[kernel.at]) {
      const cell = row.insertCell();
      cell.dataset.verdict = verdict;
      cell.className = `count ${number ? verdict : "zero"}`;
      cell.append(mark(verdict), number.toLocaleString("en"));
    }
  }
}

function bar(counts) {
  const made = element("div", "bar");
  made.setAttribute("aria-hidden", "true");
  for (const [verdict, number] of counts) {
    if (!number) continue;
    const part = element("span", verdict);
    part.style.flexGrow = number;
    made.append(part);
  }
  return made;
}

function buildVerdicts(tallies) {
  for (const verdict of data.verdicts) {
    const label = element("label", "check");
    const box = element("input");
    box.type = "checkbox";
    box.value = verdict;
    box.addEventListener("change", () => {
      const verdicts = new Set(state.verdicts);
      if (box.checked) verdicts.add(verdict);
      else verdicts.delete(verdict);
      change({ verdicts });
    });
    const sum = tallies.reduce((total, counts) => total + counts.get(verdict), 0);
    label.title = count(sum, "result");
    label.append(box, mark(verdict), element("span", "", verdict));
    control("verdicts").append(label);
  }
}

function buildCodes() {
  const numbers = new Map();
  for (const module of modules) {
    const codes = new Set(module.cells.flatMap((at) => outcomes[at]?.codes ?? []));
    for (const code of codes) numbers.set(code, (numbers.get(code) ?? 0) + 1);
  }
  for (const code of [...numbers.keys()].sort()) {
    const option = element("option", "", `${code} (${count(numbers.get(code), "module")})`);
    option.value = code;
    control("code").append(option);
  }
}

function buildSorts() {
  for (const kernel of kernels) {
    const option = element("option", "", `by verdict on ${kernel.label}`);
    option.value = `kernel ${kernel.at}`;
    control("sort").append(option);
  }
}

control("query").addEventListener("input", () => change({ query: control("query").value }));
control("code").addEventListener("change", () => change({ code: control("code").value }));
control("all-kernels").addEventListener("change", () =>
  change({ hidden: new Set(control("all-kernels").checked ? [] : kernels) }),
);
control("differing").addEventListener("change", () =>
  change({ differing: control("differing").checked }),
);
control("sort").addEventListener("change", () => {
  const { value } = control("sort");
  const sort = value.startsWith("kernel ") ? kernels[Number(value.slice(7))] : value;
  change({ sort, reverse: false });
});
control("reset").addEventListener("click", () => change({ ...defaults(), open: state.open }));
control("export").addEventListener("click", exportCsv);
control("filters").addEventListener("submit", (event) => event.preventDefault());

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const typing = event.target.matches?.("input[type=search], select");
  if (event.key === "/" && !typing) {
    control("query").focus();
    control("query").select();
    event.preventDefault();
  } else if (event.key === "Escape" && state.open && !(typing && event.target.value)) {
    closeDetails();
  }
});

/** Restore the state from the address. */
function restore() {
  state = fromHash(location.hash);
  refreshFilters();
  const { open } = state;
  if (open) {
    const row = rows.indexOf(open.module);
    if (row >= 0) activate(row, open.kernel ? columns.indexOf(open.kernel) + 1 : 0);
  }
  refreshDetails();
  markActive();
}

const tallies = kernels.map(tally);
buildKernels(tallies);
buildVerdicts(tallies);
buildCodes();
buildSorts();
addEventListener("hashchange", restore);
restore();
performance.mark("rows shown");
