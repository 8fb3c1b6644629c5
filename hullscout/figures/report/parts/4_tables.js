"use strict";
// The table of all candidates: filtered, sorted, paged, and downloaded as CSV.

const ROWS_PER_PAGE = 25;
function aboveFinalHull(i) {
  if (!isKnown(candidates.energy[i])) return null;
  return isVertex.has(i) ? 0 : Math.round(1000 * (candidates.energy[i] - hullUnder(i, LAST))) / 1000;
}

// label: on the page; name: in the file; value: sorted by and written to the file; show: on the page, if not the value.
const COLUMNS = [
  { label: "id", name: "id", value: (i) => candidates.id[i], show: idNode, style: "id" },
  { label: "formula", name: "formula", value: (i) => candidates.formula[i], show: (i) => formulaNode(candidates.formula[i]) },
  energyColumn("formation energy (meV/atom)", "formation_energy_mev_per_atom", (i) => candidates.energy[i]),
  energyColumn("above the hull (meV/atom)", "above_hull_mev_per_atom", (i) => aboveFinalHull(i)),
  candidates.onHull && { label: "P(on hull)", name: "probability_on_hull", value: (i) => candidates.onHull[i], show: (i) => percent(candidates.onHull[i]), style: "number" },
  ...(candidates.x
    ? [fractionColumn(`x (${campaign.ends[1]})`, "x", candidates.x)]
    : candidates.fractions.map((column, k) => fractionColumn(`x (${campaign.ends[k + 1]})`, `x_${campaign.ends[k + 1]}`, column))),
  { label: "atoms", name: "n_atoms", value: (i) => candidates.atoms[i], style: "number" },
  { label: "space group", name: "space_group", value: (i) => candidates.spaceGroup[i] },
  candidates.relaxedVolume && volumeColumn("start (\u00c5\u00b3/atom)", "start_volume_a3_per_atom", (i) => candidates.startVolume[i]),
  candidates.relaxedVolume && volumeColumn("relaxed (\u00c5\u00b3/atom)", "relaxed_volume_a3_per_atom", (i) => candidates.relaxedVolume[i]),
  { label: "status", name: "status", value: (i) => statusOf(i), style: "status" },
  candidates.reference && energyColumn("true energy (meV/atom)", "reference_formation_energy_mev_per_atom", (i) => candidates.reference[i]),
  candidates.predicted && energyColumn("predicted (meV/atom)", "predicted_formation_energy_mev_per_atom", (i) => candidates.predicted[i]),
  candidates.predicted && { ...energyColumn("95\u00a0% interval, \u00b1 (meV/atom)", "predicted_std_mev_per_atom", (i) => candidates.std[i]), show: (i) => milli(halfWidth(i)) },
].filter(Boolean);

function fractionColumn(label, name, column) {
  return { label, name, value: (i) => column[i], show: (i) => column[i].toFixed(4), style: "number" };
}

function energyColumn(label, name, value) {
  return { label, name, value, show: (i) => milli(value(i)), style: "number" };
}

function volumeColumn(label, name, value) {
  return { label, name, value, show: (i) => (isKnown(value(i)) ? value(i).toFixed(2) : ""), style: "number" };
}

// Nearest to the hull first.
const AT_FIRST = COLUMNS.findIndex(({ name }) => name === "above_hull_mev_per_atom");
const listing = { rows: [], column: AT_FIRST, isDescending: false, page: 0 };

function compare(a, b) {
  return typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
}

// Where a candidate is drawn above the hull, known, true or predicted; beyond everything where nothing says it.
const drawnHeight = candidates.id.map((_, i) => (isKnown(shownEnergy(i)) ? shownEnergy(i) - hullUnder(i, LAST) : Infinity));

// Candidates without a value stand last, whichever way is up; those of one value by what is drawn of them.
function sortRows() {
  const { value } = COLUMNS[listing.column];
  const sign = listing.isDescending ? -1 : 1;
  listing.rows.sort((i, j) => {
    const [a, b] = [value(i), value(j)];
    const order = isKnown(a) && isKnown(b) ? sign * compare(a, b) : Number(!isKnown(a)) - Number(!isKnown(b));
    return order || (drawnHeight[i] < drawnHeight[j] ? -1 : Number(drawnHeight[i] > drawnHeight[j]));
  });
}

const WHICH = {
  all: () => true,
  hull: (i) => isVertex.has(i),
  calculated: (i) => isKnown(candidates.energy[i]),
  "not calculated": (i) => !isKnown(candidates.energy[i]) && !hasFailed(i),
  failed: (i) => hasFailed(i),
};

function filterRows() {
  const wanted = byId("find").value.trim().toLowerCase();
  const which = WHICH[byId("which").value];
  listing.rows = [...candidates.id.keys()].filter(
    (i) => which(i) && (candidates.id[i].toLowerCase().includes(wanted) || candidates.formula[i].toLowerCase() === wanted),
  );
  listing.page = 0;
  sortRows();
  showRows();
}

function showRows() {
  const nPages = Math.max(1, Math.ceil(listing.rows.length / ROWS_PER_PAGE));
  listing.page = Math.min(Math.max(listing.page, 0), nPages - 1);
  const shown = listing.rows.slice(listing.page * ROWS_PER_PAGE, (listing.page + 1) * ROWS_PER_PAGE);
  byId("rows").replaceChildren(
    ...shown.map((i) => element("tr", {}, ...COLUMNS.map(({ value, show, style }) => element("td", { class: style ?? "" }, (show ?? value)(i) ?? "")))),
  );
  byId("page").textContent = `${listing.rows.length} candidates, page ${listing.page + 1} of ${nPages}`;
  byId("previous").disabled = listing.page === 0;
  byId("next").disabled = listing.page === nPages - 1;
}

function turnPage(step) {
  listing.page += step;
  showRows();
}

function sortBy(column, isDescending = listing.column === column && !listing.isDescending) {
  Object.assign(listing, { column, isDescending, page: 0 });
  [...byId("heads").children].forEach((head, k) => {
    if (k === column) head.setAttribute("aria-sort", listing.isDescending ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  });
  sortRows();
  showRows();
}

const quoted = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

function csvText() {
  const lines = [COLUMNS.map(({ name }) => name), ...listing.rows.map((i) => COLUMNS.map(({ value }) => quoted(String(value(i) ?? ""))))];
  return lines.map((cells) => `${cells.join(",")}\r\n`).join("");
}

const downloadCsv = () => download(`${campaign.fileName}-candidates.csv`, "text/csv;charset=utf-8", csvText());

function startTables() {
  byId("heads").append(...COLUMNS.map(({ label, style }, k) => {
    const button = element("button", { type: "button" }, label);
    button.addEventListener("click", () => sortBy(k));
    return element("th", { scope: "col", class: style ?? "" }, button);
  }));
  byId("find").addEventListener("input", filterRows);
  byId("which").addEventListener("change", filterRows);
  byId("previous").addEventListener("click", () => turnPage(-1));
  byId("next").addEventListener("click", () => turnPage(1));
  byId("csv").addEventListener("click", downloadCsv);
  if (kept.table) {
    byId("find").value = kept.table.find;
    byId("which").value = kept.table.which;
  }
  filterRows();
  const column = COLUMNS.findIndex(({ name }) => name === kept.table?.name);
  sortBy(column < 0 ? AT_FIRST : column, kept.table?.isDescending ?? false);
  turnPage(kept.table?.page ?? 0);
}
