// Unpacks the columns that `page_parts/packed_rows.py` has packed, for the two scripts that come after it.
// Returns an array of values for each column.
function unpackedColumns({ count, columns }) {
  return columns.map((column) => {
    if ("rows" in column) return column.rows;
    if ("codes" in column) return column.codes.map((code) => column.values[code]);
    return Array(count).fill(column.all);
  });
}
