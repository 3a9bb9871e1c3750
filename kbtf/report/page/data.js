// The data of the page, decoded.  Indexes refer to the lists of page_data() in html.py.

const data = JSON.parse(document.getElementById("data").textContent);

const findings = data.findings.map(([severity, code, text, type, hint]) => ({
  severity: data.severities[severity],
  code,
  text,
  type,
  hint,
}));

const outcomes = data.outcomes.map(([verdict, btf, loading, found, error]) => {
  const all = found.map((at) => findings[at]);
  // the codes behind the verdict come first: a cell has room for one or two
  const telling = all.filter((each) => each.severity !== "note");
  return {
    verdict: data.verdicts[verdict],
    rank: data.ranks[verdict],
    btf: data.fates[btf],
    loading: data.loadings[loading],
    findings: all,
    error,
    codes: [...new Set(all.map((each) => each.code))],
    telling: error ? ["bad input"] : [...new Set(telling.map((each) => each.code))],
  };
});

const kernels = data.kernels.map(([label, source], at) => ({ at, label, source }));

const modules = data.modules.map(([path, name, cells], at) => ({
  at,
  path,
  name,
  cells, // the outcome's index for each kernel, or -1
  lowerName: name.toLowerCase(),
  lowerPath: path.toLowerCase(),
  byName: 0,
}));

{
  const collator = new Intl.Collator("en", { numeric: true });
  const sorted = [...modules].sort(
    (a, b) => collator.compare(a.name, b.name) || collator.compare(a.path, b.path),
  );
  sorted.forEach((module, at) => (module.byName = at));
}

/** The directories of the modules without their common prefix. */
const folders = modules.map((module) => module.path.slice(0, module.path.lastIndexOf("/") + 1));
let shared = folders[0] ?? "";
while (!folders.every((folder) => folder.startsWith(shared))) {
  shared = shared.slice(0, shared.lastIndexOf("/", shared.length - 2) + 1);
}
modules.forEach((module, at) => (module.folder = folders[at].slice(shared.length)));

const outcomeOf = (module, kernel) => outcomes[module.cells[kernel.at]]; // undefined for -1

/** An element with a class and text; untrusted text never becomes markup. */
function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/**
 * The mark of a verdict: each has its own shape, so that colour is not needed.  It is copied,
 * because a <use> of the symbol would cost the browser as much as the rest of the row.
 */
function mark(verdict) {
  if (!marks.has(verdict)) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", `mark ${verdict}`);
    svg.setAttribute("viewBox", "0 0 16 16");
    svg.setAttribute("aria-hidden", "true");
    svg.append(...document.getElementById(`mark-${verdict}`).cloneNode(true).children);
    marks.set(verdict, svg);
  }
  return marks.get(verdict).cloneNode(true);
}

const marks = new Map();

const count = (number, noun) =>
  `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
