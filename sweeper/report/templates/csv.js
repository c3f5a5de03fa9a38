// Writes the rows of a table as CSV when a reader asks for it, from the JSON that lies beside its button.
{
  // A spreadsheet takes a text that begins like this for a formula; an apostrophe in front keeps it a text.
  const FORMULA = /^(?!-inf$)[=+\-@\t\r]/;

  function field(content) {
    if (content === null) return "";
    const text = typeof content === "string" && FORMULA.test(content) ? `'${content}` : String(content);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  function csv(packed) {
    const columns = unpackedColumns(packed);
    const rows = Array.from({ length: packed.count }, (_, i) => columns.map((column) => column[i]));
    return [packed.names, ...rows].map((row) => `${row.map(field).join(",") || '""'}\n`).join("");
  }

  function download(name, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  document.querySelectorAll("button.csv").forEach((button) => {
    const rows = button.closest("section").querySelector("script.rows");
    button.addEventListener("click", () => download(button.dataset.file, csv(JSON.parse(rows.textContent))));
    button.hidden = false; // without JavaScript it would do nothing
  });
}
