// Export of the shown results for a spreadsheet.

const HEAD = [
  "module", "name", "kernel", "source", "verdict", "btf", "loading",
  "severity", "code", "type", "text", "hint",
];

/** One line for each shown finding, and one for each cell without any. */
function toCsv() {
  const lines = [HEAD];
  for (const module of rows) {
    for (const kernel of columns) {
      const outcome = outcomeOf(module, kernel);
      if (!outcome) continue;
      const { verdict, btf, loading, error } = outcome;
      const cell = [module.path, module.name, kernel.label, kernel.source, verdict, btf, loading];
      for (const each of outcome.findings) {
        lines.push([...cell, each.severity, each.code, each.type, each.text, each.hint]);
      }
      if (error) lines.push([...cell, "error", "", "", error, ""]);
      else if (!outcome.findings.length) lines.push([...cell, "", "", "", "", ""]);
    }
  }
  return lines.map((line) => line.map(csvField).join(",") + "\r\n").join("");
}

function csvField(value) {
  let text = value ?? "";
  // a spreadsheet would evaluate a name that looks like a formula
  if (/^[=+\-@]/.test(text)) text = "'" + text;
  return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function exportCsv() {
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([toCsv()], { type: "text/csv;charset=utf-8" }));
  link.download = "kbtf-check.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
