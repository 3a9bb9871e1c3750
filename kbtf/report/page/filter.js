// Filtering and sorting of modules, and the state in the address after "#".

const defaults = () => ({
  query: "",
  verdicts: new Set(data.verdicts),
  code: "",
  hidden: new Set(), // kernels
  differing: false,
  sort: "verdict", // or "name", or a kernel
  reverse: false,
  open: null, // {module, kernel}; no kernel: all of them
});

let state = defaults();

const shownKernels = () => kernels.filter((kernel) => !state.hidden.has(kernel));

/** The modules that pass the filters, sorted. */
function select() {
  const columns = shownKernels();
  const fits = outcomes.map(
    (outcome) =>
      state.verdicts.has(outcome.verdict) && (!state.code || outcome.codes.includes(state.code)),
  );
  const words = state.query.toLowerCase().split(/\s+/).filter(Boolean);
  const chosen = modules.filter(
    (module) =>
      words.every((word) =>
        (word.includes("/") ? module.lowerPath : module.lowerName).includes(word),
      ) &&
      columns.some((kernel) => fits[module.cells[kernel.at]]) &&
      (!state.differing || differs(module, columns)),
  );
  return sorted(chosen, columns);
}

function differs(module, columns) {
  const verdicts = new Set(columns.map((kernel) => outcomeOf(module, kernel)?.verdict));
  verdicts.delete(undefined);
  return verdicts.size > 1;
}

function sorted(chosen, columns) {
  const sign = state.reverse ? -1 : 1;
  if (state.sort === "name") return chosen.sort((a, b) => sign * (a.byName - b.byName));
  const asked = state.sort === "verdict" ? columns : [state.sort];
  const rank = new Map();
  for (const module of chosen) {
    const ranks = asked.map((kernel) => outcomeOf(module, kernel)?.rank ?? -1);
    // of modules with the same worst verdict, the one that has it on more kernels comes first
    const worst = Math.max(...ranks);
    rank.set(module, worst * 1e6 + ranks.filter((each) => each === worst).length);
  }
  return chosen.sort((a, b) => sign * (rank.get(b) - rank.get(a)) || a.byName - b.byName);
}

/** The state as the part of the address after "#", without defaults. */
function toHash() {
  const words = new URLSearchParams();
  if (state.query) words.set("q", state.query);
  if (state.verdicts.size < data.verdicts.length) {
    words.set("verdicts", data.verdicts.filter((each) => state.verdicts.has(each)).join(","));
  }
  if (state.code) words.set("code", state.code);
  for (const kernel of state.hidden) words.append("hide", kernel.label);
  if (state.differing) words.set("differing", "1");
  if (state.sort !== "verdict") {
    words.set("sort", state.sort === "name" ? "name" : `on ${state.sort.label}`);
  }
  if (state.reverse) words.set("reverse", "1");
  if (state.open) {
    words.set("module", state.open.module.path);
    if (state.open.kernel) words.set("kernel", state.open.kernel.label);
  }
  return words.toString();
}

/** The state from toHash(); names that this report does not have are ignored. */
function fromHash(hash) {
  const words = new URLSearchParams(hash.replace(/^#/, ""));
  const read = defaults();
  const labelled = (label) => kernels.find((kernel) => kernel.label === label);
  read.query = words.get("q") ?? "";
  if (words.has("verdicts")) {
    const named = words.get("verdicts").split(",");
    read.verdicts = new Set(data.verdicts.filter((each) => named.includes(each)));
  }
  const code = words.get("code") ?? "";
  if (outcomes.some((outcome) => outcome.codes.includes(code))) read.code = code;
  read.hidden = new Set(words.getAll("hide").map(labelled).filter(Boolean));
  read.differing = words.get("differing") === "1";
  const sort = words.get("sort") ?? "verdict";
  read.sort = sort === "name" ? "name" : (labelled(sort.replace(/^on /, "")) ?? "verdict");
  read.reverse = words.get("reverse") === "1";
  const module = modules.find((each) => each.path === words.get("module"));
  if (module) read.open = { module, kernel: labelled(words.get("kernel")) ?? null };
  return read;
}
