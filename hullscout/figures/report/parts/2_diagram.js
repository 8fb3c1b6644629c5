"use strict";
// The phase diagram and the slider that replays the campaign on it; how it is laid out is said by the file for this many elements.

// Browsers draw some thousand points as vectors; more go to the graphics card, where there is one.
const MANY_POINTS = 3000;
const HAS_WEBGL = N_CANDIDATES > MANY_POINTS && document.createElement("canvas").getContext("webgl") !== null;
const kindOfTrace = (n) => (HAS_WEBGL && n > MANY_POINTS ? "scattergl" : "scatter");
const MANY = kindOfTrace(N_CANDIDATES);
const KNOWN = kindOfTrace(campaign.moments[LAST].known);

const diagram = byId("diagram");
const slider = byId("moment");
const saying = byId("moment-text");

function hoverText(i, moment) {
  const isCalculated = isKnown(candidates.round[i]) && candidates.round[i] <= campaign.moments[moment].round;
  const lines = [
    `<b>${plain(shortened(candidates.id[i]))}</b>`,
    `${formulaText(candidates.formula[i])}, ${compositionText(i)}${candidates.atoms[i]} atoms${candidates.lattice ? `, lattice: ${candidates.lattice[i]}` : ""}`,
  ];
  const structure = [prototypeText(i), spaceGroupText(i) && `space group ${spaceGroupText(i)}`].filter(Boolean);
  if (structure.length) lines.push(structure.join(", "));
  const energy = candidates.energy[i] ?? candidates.reference?.[i];
  if (isKnown(energy)) {
    lines.push(`${isCalculated ? "formation energy" : "true energy"}: ${milli(energy)}${UNIT}`);
    const above = energy - hullUnder(i, moment);
    lines.push(`above the hull: ${milli(Math.abs(above) < 5e-4 ? 0 : above)}${UNIT}`);
  }
  if (moment === LAST) {
    if (!isCalculated && isKnown(candidates.predicted?.[i])) {
      lines.push(`predicted: ${milli(candidates.predicted[i])} \u00b1 ${milli(halfWidth(i))}${UNIT} (95\u00a0% interval)`);
    }
    if (candidates.onHull) lines.push(`P(on hull): ${percent(candidates.onHull[i])}`);
  }
  lines.push(plain(statusOf(i, moment)));
  if (hasFailed(i, moment)) lines.push(...wrapped(candidates.failed[i].sentence).map(plain));
  return lines.join("<br>");
}

// A sentence in lines that a label has room for.
const wrapped = (text) => text.slice(0, 240).match(/.{1,60}(?=\s|$)|.{60}/g)?.map((line) => line.trim()) ?? [];

const HAS_FAILED = Object.keys(candidates.failed).length > 0;
const HAS_BANDS = campaign.moments.some((at) => at.band);

// Plotly forgets of a trace without any point whether it was switched off.
const NOTHING = [null];

// By lattice, where the page tells it.
const FILLED = { fcc: "circle", bcc: "square", hcp: "triangle-down", other: "triangle-up" };
const OPEN = Object.fromEntries(Object.entries(FILLED).map(([lattice, symbol]) => [lattice, `${symbol}-open`]));

function points(indices, moment, options) {
  const trace = { mode: "markers", x: [], y: [], text: [], customdata: [], hovertemplate: "%{text}<extra></extra>" };
  for (const i of indices) {
    const [x, y] = placeOf(i, options.height ?? shownEnergy);
    trace.x.push(x);
    trace.y.push(y);
    trace.text.push(hoverText(i, moment));
    trace.customdata.push(i);
  }
  if (!indices.length) [trace.x, trace.y] = [NOTHING, NOTHING];
  if (options.symbols && candidates.lattice) options.marker.symbol = indices.map((i) => options.symbols[candidates.lattice[i]]);
  return { ...trace, ...options, height: undefined, symbols: undefined, n: undefined, name: `${options.name} (${options.n ?? indices.length})`, uid: options.name };
}

// Counted among what is calculated, as in the figures.
const RECENT = "of these in this round";

// Candidates by what is known of them at a moment; of what failed or waits, those that have an energy to be drawn at.
function groupsAt(moment) {
  const now = campaign.moments[moment].round;
  const groups = { known: [], recent: [], waiting: [], failed: [] };
  for (let i = 0; i < campaign.moments[moment].shown; i++) {  // those that were added later come after these
    const round = candidates.round[i] ?? Infinity;
    if (round < now) groups.known.push(i);
    else if (round === now) groups.recent.push(i);
    else if (hasFailed(i, moment)) groups.failed.push(i);
    else if (isKnown(shownEnergy(i))) groups.waiting.push(i);
  }
  return groups;
}

function around(x, y, width, height) {
  return { left: x - width / 2, right: x + width / 2, top: y - height / 2, bottom: y + height / 2 };
}

const meets = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

// About as many pixels as a line of a label takes; its indices are small.
const widthOf = (text) => [...text.replace(/<sub>(.*?)<\/sub>/g, "$1").replace(/<.*?>/g, "")].reduce((sum, sign) => sum + (/\d/.test(sign) ? 6 : 9), 0);

// What a ground state may be called: with the prototype or the space group below it where there is room, else the formula alone.
function namesOf(i) {
  const structure = prototypeText(i) || spaceGroupText(i);
  return [structure && `${formulaText(candidates.formula[i])}<br>${structure}`, formulaText(candidates.formula[i])].filter(Boolean);
}

// Whether two lines between points [x, y] cross.
function cross([a, b], [c, d]) {
  const side = ([x0, y0], [x1, y1], [x, y]) => Math.sign((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0));
  return side(a, b, c) !== side(a, b, d) && side(c, d, a) !== side(c, d, b);
}

const meetsLine = (box, line) => {
  const corners = [[box.left, box.top], [box.right, box.top], [box.right, box.bottom], [box.left, box.bottom]];
  return corners.some((corner, k) => cross([corner, corners[(k + 1) % 4]], line));
};

// Labels, each at the first place that is inside, on no other label, point or line, and whose leader crosses neither a label nor a
// leader; where it has none it is left out, as the mouse tells the same. Wanted: points in pixels,
// and what is tried for each: a text, its offset and box.
function placed(wanted, area, lines) {
  const taken = wanted.map(({ x, y }) => around(x, y, 12, 12)), boxes = [], leaders = [];
  return wanted.flatMap(({ x, y, at, tried }) => {
    const label = tried.find(({ dx, dy, box }) => {
      const leader = [[x, y], [x + dx, y + dy]];
      return box.left >= 3 && box.right <= area.width - 3 && box.top >= 0 && box.bottom <= area.height
        && ![...taken, ...boxes, ...lines].some((other) => meets(box, other))
        && !boxes.some((other) => meetsLine(other, leader)) && !leaders.some((other) => meetsLine(box, other) || cross(leader, other));
    });
    if (!label) return [];
    boxes.push(label.box);
    leaders.push([[x, y], [x + label.dx, y + label.dy]]);
    const leader = { showarrow: true, arrowhead: 0, arrowwidth: 0.7, arrowcolor: COLOUR.leader, standoff: 7 };
    return [{ ...leader, bgcolor: COLOUR.under, borderpad: 0, font: { size: 13 }, ax: label.dx, ay: label.dy, text: label.text, ...at }];
  });
}

function sentenceAt(moment) {
  const at = campaign.moments[moment];
  const parts = [`Round ${at.round} of ${campaign.moments[LAST].round}: ${at.known} of ${at.candidates} ${campaign.given ? "known" : "calculated"}, ${at.hull.length} structures on the hull`];
  if (isKnown(at.error)) parts.push(`hull error ${milli(at.error, 2)}${UNIT}`);
  const probability = at.stated ?? at.probability;
  if (isKnown(probability)) parts.push(`P(wrong by more than ${campaign.tolerance}${UNIT}) ${percent(probability)}`);
  if (isKnown(at.modelError)) parts.push(`${campaign.modelErrorName} of the model ${milli(at.modelError)}${UNIT}`);
  return `${parts.join("; ")}.`;
}

let shownMoment = LAST;

function showMoment(moment) {
  shownMoment = moment;
  slider.value = moment;
  const sentence = sentenceAt(moment);
  saying.textContent = sentence;
  slider.setAttribute("aria-valuetext", sentence);
  byId("back").disabled = moment === 0;
  byId("on").disabled = moment === LAST;
  markMoment(moment);
  return drawMoment(moment);
}

let playing = null;

function play(isOn) {
  clearInterval(playing);
  playing = null;
  byId("play").textContent = isOn ? "Pause" : "Play";
  if (!isOn) return;
  if (shownMoment === LAST) showMoment(0);
  playing = setInterval(() => (shownMoment < LAST ? showMoment(shownMoment + 1) : play(false)), Math.max(120, Math.min(500, 12000 / (LAST + 1))));
}

function startDiagram() {
  slider.max = LAST;
  byId("play").disabled = LAST === 0;
  slider.addEventListener("input", () => { play(false); showMoment(Number(slider.value)); });
  byId("back").addEventListener("click", () => { play(false); showMoment(shownMoment - 1); });
  byId("on").addEventListener("click", () => { play(false); showMoment(shownMoment + 1); });
  byId("play").addEventListener("click", () => play(playing === null));
  return drawFirst().then(() => keepRanges(diagram, () => drawMoment(shownMoment))).then(() => showMoment(momentKept()));
}
