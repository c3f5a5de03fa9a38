// Writes the rows of a table as CSV when a reader asks for it, from the JSON that lies beside its button.
// The layout of the JSON is that of `page_parts/packed_rows.py`.
{
  // A spreadsheet takes a text that begins like this for a formula; an apostrophe in front keeps it a text.
  const FORMULA = /^(?!-inf$)[=+\-@\t\r]/;

  function field(content) {
    if (content === null) return "";
    const text = typeof content === "string" && FORMULA.test(content) ? `'${content}` : String(content);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  function column(packed, count) {
    if ("rows" in packed) return packed.rows;
    if ("codes" in packed) return packed.codes.map((code) => packed.values[code]);
    return Array(count).fill(packed.all);
  }

  function csv({ names, count, columns }) {
    const unpacked = columns.map((packed) => column(packed, count));
    const rows = Array.from({ length: count }, (_, i) => unpacked.map((values) => values[i]));
    return [names, ...rows].map((row) => `${row.map(field).join(",") || '""'}\n`).join("");
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
