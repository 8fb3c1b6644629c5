"use strict";
// The phase diagram and the slider that replays the campaign on it.

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
  const hull = campaign.moments[moment].hull;
  const isCalculated = isKnown(candidates.round[i]) && candidates.round[i] <= campaign.moments[moment].round;
  const lines = [
    `<b>${plain(shortened(candidates.id[i]))}</b>`,
    `${formulaText(candidates.formula[i])}, x = ${candidates.x[i].toFixed(4)}, ${candidates.atoms[i]} atoms${candidates.lattice ? `, lattice: ${candidates.lattice[i]}` : ""}`,
  ];
  const structure = [prototypeText(i), spaceGroupText(i) && `space group ${spaceGroupText(i)}`].filter(Boolean);
  if (structure.length) lines.push(structure.join(", "));
  const energy = candidates.energy[i] ?? candidates.reference?.[i];
  if (isKnown(energy)) {
    lines.push(`${isCalculated ? "formation energy" : "true energy"}: ${milli(energy)}${UNIT}`);
    const above = energy - hullAt(hull, candidates.x[i]);
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

// Plotly takes a trace without any point out of the legend, and forgets whether it was switched off.
const NOTHING = [null];

// By lattice, where the page tells it.
const FILLED = { fcc: "circle", bcc: "square", hcp: "triangle-down", other: "triangle-up" };
const OPEN = Object.fromEntries(Object.entries(FILLED).map(([lattice, symbol]) => [lattice, `${symbol}-open`]));

function points(indices, moment, options) {
  const trace = { mode: "markers", x: [], y: [], text: [], customdata: [], hovertemplate: "%{text}<extra></extra>" };
  for (const i of indices) {
    trace.x.push(candidates.x[i]);
    trace.y.push(options.height ? options.height(i) : shownEnergy(i));
    trace.text.push(hoverText(i, moment));
    trace.customdata.push(i);
  }
  if (!indices.length) [trace.x, trace.y] = [NOTHING, NOTHING];
  if (options.symbols && candidates.lattice) options.marker.symbol = indices.map((i) => options.symbols[candidates.lattice[i]]);
  return { ...trace, ...options, height: undefined, symbols: undefined, name: `${options.name} (${indices.length})`, uid: options.name };
}

function tracesAt(moment) {
  const { hull, round: now } = campaign.moments[moment];
  const known = [], recent = [], waiting = [], failed = [];
  for (let i = 0; i < campaign.moments[moment].candidates; i++) {  // those that were added later come after these
    const round = candidates.round[i] ?? Infinity;
    if (round < now) known.push(i);
    else if (round === now) recent.push(i);
    else if (hasFailed(i, moment)) failed.push(i);
    else if (isKnown(shownEnergy(i))) waiting.push(i);
  }
  const traces = [];
  if (HAS_BANDS) {
    const { band } = campaign.moments[moment], x = campaign.bandAt;
    const [around, edge] = band ? [[...x, ...[...x].reverse()], [...band.low, ...[...band.high].reverse()]] : [NOTHING, NOTHING];
    traces.push({
      type: "scatter", mode: "lines", x: around, y: edge,
      fill: "toself", fillcolor: COLOUR.band, line: { width: 0 }, hoverinfo: "skip", name: "hull, 95 % band", uid: "band",
    });
  }
  const name = campaign.isReplay ? "not calculated, true energy" : "not calculated";
  traces.push(points(waiting, moment, { name, type: MANY, symbols: OPEN, marker: { symbol: "triangle-up", size: 6, color: COLOUR.other, opacity: 0.75 } }));
  traces.push(points(known, moment, { name: "calculated", type: KNOWN, symbols: FILLED, marker: { size: 7, color: COLOUR.calculated, opacity: 0.85 } }));
  traces.push(points(recent, moment, {
    name: "calculated in this round", type: "scatter", symbols: FILLED, marker: { symbol: "square", size: 9, color: COLOUR.recent, line: { color: "#ffffff", width: 1 } },
  }));
  if (candidates.contenders) {
    const contenders = moment === LAST ? candidates.contenders : [];
    traces.push({
      ...points(contenders, moment, {
        name: "prediction, 95 % interval", type: "scatter", height: (i) => candidates.predicted[i],
        marker: { symbol: "diamond", size: 8, color: "#ffffff", line: { color: "#333333", width: 1.4 } },
      }),
      error_y: { type: "data", array: contenders.map(halfWidth), thickness: 1, width: 3, color: "#555555" },
    });
  }
  if (HAS_FAILED) {
    traces.push(points(failed, moment, {
      name: "failed", type: "scatter", height: (i) => shownEnergy(i) ?? campaign.view.energy[1],
      marker: { symbol: "x-thin-open", size: 10, color: COLOUR.failed, line: { width: 2.2 } },
    }));
  }
  traces.push({
    ...points(hull, moment, { name: "hull found", type: "scatter", mode: "lines+markers" }),
    line: { color: COLOUR.hull, width: 1.6 }, marker: { symbol: "circle-open", size: 12, color: COLOUR.hull, line: { width: 1.6 } },
  });
  // Dashes upon the line of the hull found: where they agree, both are seen.
  const truth = campaign.moments[moment].trueHull ?? campaign.trueHull;
  if (truth) {
    traces.push({
      type: "scatter", mode: "lines", x: truth.x, y: truth.energy, hoverinfo: "skip",
      line: { color: COLOUR.truth, width: 2, dash: "dash" }, name: "true hull", uid: "truth",
    });
  }
  return traces;
}

// Offsets tried for the label of a ground state, in pixels: below it first, then further away and to the sides.
const SIDES = [0, -22, 22, -44, 44];
const PLACES = [18, 33, 48, 63, 78].flatMap((dy) => SIDES.map((dx) => [dx, dy]));
const meets = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

// About as many pixels as a line of a label takes; its indices are small.
const widthOf = (text) => [...text.replace(/<sub>(.*?)<\/sub>/g, "$1").replace(/<.*?>/g, "")].reduce((sum, sign) => sum + (/\d/.test(sign) ? 6 : 9), 0);

function labelsOf(hull) {
  const area = diagram.querySelector(".nsewdrag")?.getBoundingClientRect();
  if (!area) return [];
  const [left, right] = campaign.view.x, [low, high] = campaign.view.energy;
  const toX = (x) => ((x - left) / (right - left)) * area.width;
  const toY = (energy) => ((high - energy) / (high - low)) * area.height;
  const taken = hull.map((i) => around(toX(candidates.x[i]), toY(candidates.energy[i]), 12, 12));
  const line = [];
  for (let step = 0; step <= 200; step++) line.push(around(toX(step / 200), toY(hullAt(hull, step / 200)), 2, 2));
  return hull.map((i) => {
    const [x, y] = [toX(candidates.x[i]), toY(candidates.energy[i])];
    // With the prototype or the space group below it where there is room, else the formula alone.
    const structure = prototypeText(i) || spaceGroupText(i);
    const texts = [structure && `${formulaText(candidates.formula[i])}<br>${structure}`, formulaText(candidates.formula[i])].filter(Boolean);
    const isEnd = candidates.x[i] === 0 || candidates.x[i] === 1;
    const places = PLACES.map(([dx, dy]) => [dx, isEnd ? -dy : dy]);
    const isFree = (box) => box.bottom < area.height && ![...taken, ...line].some((other) => meets(box, other));
    const tried = texts.flatMap((text) => {
      const rows = text.split("<br>"), grown = 8 * (rows.length - 1);
      const width = 4 + Math.max(...rows.map(widthOf));
      return places.map(([dx, dy]) => ({ text, dx, dy: dy + Math.sign(dy) * grown, box: around(x + dx, y + dy + Math.sign(dy) * grown, width, 17 * rows.length) }));
    });
    const label = tried.find(({ box }) => isFree(box)) ?? tried[tried.length - places.length];
    taken.push(label.box);
    return {
      x: candidates.x[i], y: candidates.energy[i], ax: label.dx, ay: label.dy, text: label.text,
      showarrow: true, arrowhead: 0, arrowwidth: 0.7, arrowcolor: "#888888", standoff: 7, bgcolor: "rgba(255,255,255,0.8)", borderpad: 0,
      font: { size: 13 },
    };
  });
}

function around(x, y, width, height) {
  return { left: x - width / 2, right: x + width / 2, top: y - height / 2, bottom: y + height / 2 };
}

function layoutAt(moment) {
  const [first, second] = campaign.elements;
  const { view } = campaign;
  return {
    font: FONT, margin: { l: 62, r: 12, t: 12, b: 52 }, hovermode: "closest", dragmode: DRAG, uirevision: "kept", showlegend: true,
    legend: { orientation: "h", x: 0, y: 1.01, yanchor: "bottom", font: { size: 12 } },
    hoverlabel: { bgcolor: "#ffffff", bordercolor: "#888888", font: { ...FONT, size: 12 }, align: "left" },
    xaxis: {
      title: { text: `x in ${first}<sub>1\u2212x</sub>${second}<sub>x</sub> (atomic fraction)` }, range: view.x, zeroline: false,
      showline: true, linecolor: "#444444", ticks: "outside", gridcolor: "#f0f0f0",
    },
    yaxis: {
      title: { text: "formation energy (meV/atom)" }, range: view.energy, zerolinecolor: "#bbbbbb", showline: true, linecolor: "#444444",
      ticks: "outside", gridcolor: "#f0f0f0",
    },
    annotations: labelsOf(campaign.moments[moment].hull),
  };
}

function sentenceAt(moment) {
  const at = campaign.moments[moment];
  const parts = [`Round ${at.round} of ${campaign.moments[LAST].round}: ${at.known} of ${at.candidates} calculated, ${at.hull.length} structures on the hull`];
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
  return Plotly.react(diagram, tracesAt(moment), layoutAt(moment), CONFIG);
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
  // Labels are placed in pixels, which are known only once the axes are drawn: first those, then the points.
  const axesOnly = tracesAt(LAST).map((trace) => ({ ...trace, x: NOTHING, y: NOTHING, text: [], customdata: [] }));
  return Plotly.newPlot(diagram, axesOnly, layoutAt(LAST), CONFIG).then(() => showMoment(LAST)).then(() => {
    const relabel = () => Plotly.relayout(diagram, { annotations: labelsOf(campaign.moments[shownMoment].hull) });
    diagram.on("plotly_click", ({ points: [point] }) => showStructure(point.customdata));
    window.addEventListener("resize", () => setTimeout(relabel, 300));
  });
}
