"""Charts of tables: what each shows (Vega-Lite), and how they are drawn as SVG, PNG and PDF."""
