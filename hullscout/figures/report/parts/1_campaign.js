"use strict";
// What the other scripts share: the campaign as it was written into the page, and how things are said.

const campaign = JSON.parse(document.getElementById("campaign").textContent);
const candidates = campaign.candidates;
const N_CANDIDATES = candidates.id.length;
const LAST = campaign.moments.length - 1;
// Colours stand in the style of the page, which has those for the dark too.
const COLOUR = Object.fromEntries(["paper", "ink", "soft", "calculated", "recent", "other", "hull", "truth", "failed", "band", "axis", "grid", "zero", "leader", "under"].map((name) => [name, ""]));
const FONT = { family: 'system-ui, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", Arial, sans-serif', size: 13, color: "" };

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of Object.keys(COLOUR)) COLOUR[name] = style.getPropertyValue(`--${name}`).trim();
  FONT.color = COLOUR.ink;
}

readColours();
const CONFIG = { responsive: true, displaylogo: false, displayModeBar: true, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
// A finger that scrolls the page must not zoom a diagram.
const DRAG = window.matchMedia("(pointer: coarse)").matches ? false : "zoom";

const DARK = window.matchMedia("screen and (prefers-color-scheme: dark)");

// What all diagrams look like, and their axes.
const basis = () => ({
  font: FONT, paper_bgcolor: COLOUR.paper, plot_bgcolor: COLOUR.paper, modebar: { bgcolor: COLOUR.paper, color: COLOUR.leader, activecolor: COLOUR.ink },
  hoverlabel: { bgcolor: COLOUR.paper, bordercolor: COLOUR.leader, font: { ...FONT, size: 12 }, align: "left" },
});
const LEGEND = { orientation: "h", x: 0, y: 1.01, yanchor: "bottom", font: { size: 12 } };
const axis = () => ({ showline: true, linecolor: COLOUR.axis, tickcolor: COLOUR.axis, ticks: "outside", gridcolor: COLOUR.grid });

const byId = (id) => document.getElementById(id);
const isKnown = (value) => value !== null && value !== undefined;
const signed = (text) => text.replace("-", "\u2212");
const UNIT = "\u00a0meV/atom";
const milli = (value, digits = 1) => (isKnown(value) ? signed(value.toFixed(digits)) : "");
const percent = (share) => {
  if (!isKnown(share)) return "";
  if (share > 0 && share < 0.001) return "< 0.1\u00a0%";
  return `${(100 * share).toFixed(share < 0.0995 ? 1 : 0).replace(/\.0$/, "")}\u00a0%`;
};

// Plotly reads a little HTML in its texts; names from a file are no HTML.
const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const shortened = (text) => (text.length > 44 ? `${text.slice(0, 30)}\u2026${text.slice(-12)}` : text);
const formulaText = (formula) => plain(formula).replace(/\d+/g, "<sub>$&</sub>");

function formulaNode(formula) {
  const node = document.createElement("span");
  for (const part of formula.split(/(\d+)/)) node.append(/^\d+$/.test(part) ? element("sub", {}, part) : part);
  return node;
}

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// Height of the lower hull through some candidates at x, linear between them.
function hullAt(hull, x) {
  for (let k = 1; k < hull.length; k++) {
    const [x0, x1] = [candidates.x[hull[k - 1]], candidates.x[hull[k]]];
    if (x <= x1) {
      const [e0, e1] = [candidates.energy[hull[k - 1]], candidates.energy[hull[k]]];
      return e0 + ((e1 - e0) * (x - x0)) / (x1 - x0);
    }
  }
  return candidates.energy[hull[hull.length - 1]];
}

// Height of the hull of a moment at the composition of a candidate: of more than two elements on the highest of its facets' planes.
function hullUnder(i, moment) {
  const { hull, planes } = campaign.moments[moment];
  if (!planes) return hullAt(hull, candidates.x[i]);
  return Math.max(...planes.map((plane) => candidates.fractions.reduce((sum, column, k) => sum + plane[k] * column[i], plane[plane.length - 1])));
}

// The composition of a candidate, as it is said beside its formula; of more than two elements the formula says it.
const compositionText = (i) => (candidates.x ? `x = ${candidates.x[i].toFixed(4)}, ` : "");

const finalHull = campaign.moments[LAST].hull;
const isVertex = new Set(finalHull);

// Why calculations failed, by candidate; they count as unknown.
const hasFailed = (i, moment = LAST) => isKnown(candidates.failed[i]) && candidates.failed[i].round <= campaign.moments[moment].round;

function statusOf(i, moment = LAST) {
  const round = candidates.round[i];
  if (isKnown(round) && round <= campaign.moments[moment].round) {
    const when = round < 0 ? "known beforehand" : `round ${round}`;
    if (campaign.moments[moment].hull.includes(i)) return `on the hull (${when})`;
    return round < 0 ? when : `calculated (${when})`;
  }
  if (hasFailed(i, moment)) return `failed (round ${candidates.failed[i].round}): ${candidates.failed[i].reason}`;
  return candidates.pending.includes(i) && moment === LAST ? "asked for, no answer yet" : "not calculated";
}

// A text as a file, made of what stands in the page.
function download(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

const hasCif = (i) => isKnown(campaign.structures.cifs[i]);

function downloadCif(i) {
  const name = `${candidates.formula[i]}-${candidates.id[i]}`.replace(/[^A-Za-z0-9._+-]+/g, "_");
  download(`${name}.cif`, "chemical/x-cif;charset=utf-8", campaign.structures.cifs[i]);
}

// What is written on the button stands in the style, so that an id is copied without it.
function cifButton(i) {
  const button = element("button", { type: "button", class: "cif", title: "Download as CIF", "aria-label": `Download ${candidates.id[i]} as CIF` });
  button.addEventListener("click", () => downloadCif(i));
  return button;
}

function idNode(i) {
  const node = element("span", {}, candidates.id[i]);
  if (hasCif(i)) node.append(cifButton(i));
  return node;
}

// A structure's prototype and space group in Plotly's HTML, empty where they were not found.
const withIndex = (text) => plain(text).replace(/_(\w+)/g, "<sub>$1</sub>");
const prototypeText = (i) => withIndex(campaign.structures.cells[i]?.prototype ?? "");
const spaceGroupText = (i) => withIndex(candidates.spaceGroup[i] ?? "");

// Half the 95 % interval of what is predicted.
const halfWidth = (i) => (isKnown(candidates.std?.[i]) ? campaign.halfWidthPerStd * candidates.std[i] : null);

// The energy that a candidate is drawn at: calculated, else of the table, else predicted.
const shownEnergy = (i) => candidates.energy[i] ?? candidates.reference?.[i] ?? candidates.predicted?.[i] ?? null;
