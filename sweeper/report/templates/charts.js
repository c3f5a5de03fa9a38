// Draws the charts of the page so that a reader can point at them, filter by the legend, and switch quantities.
// vl-convert bundles this script with Vega-Embed, which it calls `vegaEmbed`.

const OPTIONS = {
  mode: "vega-lite",
  renderer: "svg",
  ast: true, // interpret expressions: the page's policy forbids to evaluate text as code
  actions: false,
  defaultStyle: false,
  tooltip: { disableDefaultStyle: true },
};

// Returns the rows of a chart as the objects that Vega-Lite reads.
function chartRows(packed) {
  const columns = unpackedColumns(packed);
  const row = (i) => Object.fromEntries(packed.names.map((name, column) => [name, columns[column][i]]));
  return Array.from({ length: packed.count }, (_, i) => row(i));
}

async function drawChart(figure) {
  const { specification, data } = JSON.parse(figure.querySelector("script").textContent);
  if (data) specification.data = { values: chartRows(data) };
  figure.classList.add("drawing-begun"); // so that the place has a width
  await vegaEmbed(figure.querySelector(".live"), specification, OPTIONS);
  figure.classList.add("drawn"); // hides the drawing beneath
}

// Charts are drawn shortly before they come into view, so that a long page opens at once.
const observer = new IntersectionObserver(
  (entries) => {
    for (const entry of entries.filter((entry) => entry.isIntersecting)) {
      observer.unobserve(entry.target);
      drawChart(entry.target);
    }
  },
  { rootMargin: "800px" },
);
document.querySelectorAll("figure.chart").forEach((figure) => observer.observe(figure));
