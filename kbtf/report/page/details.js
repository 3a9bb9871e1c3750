// The reasons for a verdict, next to the matrix.

const panel = document.getElementById("details");

/** Show the reasons of the open cell, if any. */
function refreshDetails() {
  panel.hidden = !state.open;
  panel.replaceChildren();
  if (!state.open) return;
  const { module, kernel } = state.open;
  const close = element("button", "close", "×");
  close.type = "button";
  close.setAttribute("aria-label", "Close the reasons");
  close.addEventListener("click", closeDetails);
  const title = element("h2");
  title.append(element("bdi", "", module.name));
  panel.append(close, title, element("p", "path", module.path));
  const asked = kernel ? [kernel] : shownKernels();
  const checked = asked.filter((each) => outcomeOf(module, each));
  for (const each of checked) {
    const outcome = outcomeOf(module, each);
    const section = element("section");
    const head = element("h3");
    head.append(element("bdi", "", each.label));
    section.append(head, judgement(outcome), reasons(outcome));
    panel.append(section);
  }
  const others = asked.length - checked.length;
  if (others) panel.append(element("p", "quiet", `Not checked on ${count(others, "kernel")}.`));
  panel.scrollTop = 0;
}

function judgement(outcome) {
  const list = element("dl");
  const verdict = element("dd", `verdict ${outcome.verdict}`);
  verdict.append(mark(outcome.verdict), element("span", "", outcome.verdict));
  list.append(element("dt", "", "Verdict"), verdict);
  if (!outcome.error) {
    list.append(element("dt", "", "BTF"), element("dd", "", outcome.btf));
    list.append(element("dt", "", "Module"), element("dd", "", outcome.loading));
  }
  return list;
}

/** The findings of an outcome. */
function reasons(outcome) {
  const list = element("ul", "findings");
  if (outcome.error) {
    const item = element("li", "error");
    item.append(element("span", "severity", "error"), element("p", "", outcome.error));
    list.append(item);
  }
  for (const finding of outcome.findings) {
    const item = element("li", finding.severity);
    item.append(
      element("span", "severity", finding.severity),
      " ",
      codeLink(finding.code),
    );
    if (finding.type) item.append(" ", element("code", "type", finding.type));
    item.append(element("p", "", finding.text));
    if (finding.hint) item.append(element("p", "hint", finding.hint));
    list.append(item);
  }
  return list.children.length ? list : element("p", "quiet", "Nothing was found.");
}

/** A finding's code, as a link to its entry in the closing section. */
function codeLink(code) {
  const link = element("a", "code", code);
  link.href = `#finding-${code}`;
  link.addEventListener("click", (event) => {
    // the address holds what is shown, so it must not become that of the entry
    event.preventDefault();
    showMeaning(code);
  });
  return link;
}

/** Open the closing section and move the focus to the entry of a code. */
function showMeaning(code) {
  // on a narrow screen the reasons cover the entry
  if (getComputedStyle(panel).position === "fixed") closeDetails();
  document.getElementById("meanings").open = true;
  const entry = document.getElementById(`finding-${code}`);
  entry.focus({ preventScroll: true });
  entry.scrollIntoView({ block: "start" });
}

function closeDetails() {
  change({ open: null });
  grid.focus({ preventScroll: true });
}
