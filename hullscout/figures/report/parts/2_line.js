"use strict";
// The phase diagram of two elements: energy over composition.

const placeOf = (i, height) => [candidates.x[i], height(i)];

function tracesAt(moment) {
  const { hull } = campaign.moments[moment];
  const { known, recent, waiting, failed } = groupsAt(moment);
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
  traces.push(points(known, moment, { name: "calculated", n: known.length + recent.length, type: KNOWN, symbols: FILLED, marker: { size: 7, color: COLOUR.calculated, opacity: 0.85 } }));
  traces.push(points(recent, moment, {
    name: RECENT, type: "scatter", symbols: FILLED, marker: { symbol: "square", size: 9, color: COLOUR.recent, line: { color: COLOUR.paper, width: 1 } },
  }));
  if (candidates.contenders) {
    const contenders = moment === LAST ? candidates.contenders : [];
    traces.push({
      ...points(contenders, moment, {
        name: "prediction, 95 % interval", type: "scatter", height: (i) => candidates.predicted[i],
        marker: { symbol: "diamond", size: 8, color: COLOUR.paper, line: { color: COLOUR.ink, width: 1.4 } },
      }),
      error_y: { type: "data", array: contenders.map(halfWidth), thickness: 1, width: 3, color: COLOUR.soft },
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
const PLACES = [18, 33, 48, 63, 78, 93, 108, 123].flatMap((dy) => SIDES.map((dx) => [dx, dy]));
function labelsOf(hull) {
  const area = diagram.querySelector(".nsewdrag")?.getBoundingClientRect();
  if (!area) return [];
  const [left, right] = campaign.view.x, [low, high] = campaign.view.energy;
  const toX = (x) => ((x - left) / (right - left)) * area.width;
  const toY = (energy) => ((high - energy) / (high - low)) * area.height;
  const line = [];
  for (let step = 0; step <= 200; step++) line.push(around(toX(step / 200), toY(hullAt(hull, step / 200)), 2, 2));
  return placed(hull.map((i) => {
    const [x, y] = [toX(candidates.x[i]), toY(candidates.energy[i])];
    const isEnd = candidates.x[i] === 0 || candidates.x[i] === 1;
    const tried = namesOf(i).flatMap((text) => {
      const rows = text.split("<br>"), grown = 8 * (rows.length - 1);
      const width = 4 + Math.max(...rows.map(widthOf));
      return PLACES.map(([aside, below]) => {
        const dx = Math.min(Math.max(aside, 4 + width / 2 - x), area.width - 4 - width / 2 - x), dy = (isEnd ? -1 : 1) * (below + grown);
        return { text, dx, dy, box: around(x + dx, y + dy, width, 17 * rows.length) };
      });
    });
    return { x, y, at: { x: candidates.x[i], y: candidates.energy[i] }, tried };
  }), area, line);
}

function layoutAt(moment) {
  const isElement = (end) => /^[A-Z][a-z]?$/.test(end);
  const [first, second] = campaign.ends.map((end) => (isElement(end) ? end : `(${end})`));
  const { view } = campaign;
  return {
    ...basis(), margin: { l: 62, r: 12, t: 12, b: 52 }, hovermode: "closest", dragmode: DRAG, uirevision: "kept", showlegend: true, legend: LEGEND,
    xaxis: {
      ...axis(), title: { text: `x in ${first}<sub>1\u2212x</sub>${second}<sub>x</sub> (${campaign.ends.every(isElement) ? "atomic fraction" : "share of the atoms"})` }, range: view.x, zeroline: false,
    },
    yaxis: {
      ...axis(), title: { text: "formation energy (meV/atom)" }, range: view.energy, zerolinecolor: COLOUR.zero,
    },
    annotations: labelsOf(campaign.moments[moment].hull),
  };
}

const drawMoment = (moment) => Plotly.react(diagram, asHidden(tracesAt(moment)), asKept(diagram, layoutAt(moment)), CONFIG);

// Labels are placed in pixels, which are known only once the axes are drawn: first those, then the points.
function drawFirst() {
  const axesOnly = asHidden(tracesAt(LAST)).map((trace) => ({ ...trace, x: NOTHING, y: NOTHING, text: [], customdata: [] }));
  return Plotly.newPlot(diagram, axesOnly, asKept(diagram, layoutAt(LAST)), CONFIG).then(() => {
    const relabel = () => Plotly.relayout(diagram, { annotations: labelsOf(campaign.moments[shownMoment].hull) });
    diagram.on("plotly_click", ({ points: [point] }) => showStructure(point.customdata));
    window.addEventListener("resize", () => setTimeout(relabel, 300));
  });
}
