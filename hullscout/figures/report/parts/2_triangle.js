"use strict";
// The phase diagram of three elements: a triangle of compositions coloured by height above the hull, and the hull in three dimensions.

const CORNERS = [[0, 0], [1, 0], [0.5, Math.sqrt(0.75)]];
const solid = byId("solid");
const BESIDE = 0.14;

// The point that divides the triangle as the fractions of the second and third element do.
function pointOf(second, third) {
  return [0, 1].map((axis) => (1 - second - third) * CORNERS[0][axis] + second * CORNERS[1][axis] + third * CORNERS[2][axis]);
}

const PLACES = candidates.id.map((_, i) => pointOf(candidates.fractions[0][i], candidates.fractions[1][i]));
const placeOf = (i) => PLACES[i];
const heightOf = (i, moment) => shownEnergy(i) - hullUnder(i, moment);

// The lowest of one composition is drawn last, on top.
const highestFirst = (indices, moment) => [...indices].sort((i, j) => heightOf(j, moment) - heightOf(i, moment));

function coloured(indices, moment, name, marker, n) {
  const order = highestFirst(indices, moment);
  const trace = points(order, moment, { name, n, type: order.length > MANY_POINTS && HAS_WEBGL ? "scattergl" : "scatter", marker: { ...marker } });
  trace.marker.color = order.map((i) => Math.max(0, heightOf(i, moment)));
  trace.marker.coloraxis = "coloraxis";
  // In the legend a trace of many colours would be black.
  const entry = { type: "scatter", mode: "markers", x: NOTHING, y: NOTHING, name: trace.name, legendgroup: name, hoverinfo: "skip", showlegend: order.length > 0, uid: `${name}, entry` };
  return [{ ...trace, showlegend: false, legendgroup: name }, { ...entry, marker: { ...marker, color: COLOUR.leader } }];
}

// Lines from vertex to vertex, in two dimensions or, with their energies, in three.
function linesOf(pairs, at) {
  const lines = { x: [], y: [], z: [] };
  for (const [a, b] of pairs) {
    for (const end of [at(a), at(b), [null, null, null]]) ["x", "y", "z"].forEach((axis, k) => lines[axis].push(end[k]));
  }
  return lines;
}

const inSpace = (i) => [...placeOf(i), shownEnergy(i)];

function truthAt(moment) {
  const truth = campaign.moments[moment].trueHull ?? campaign.trueHull;
  return truth && linesOf(truth.ties, (k) => [...pointOf(...truth.fractions[k]), truth.energy[k]]);
}

function tracesAt(moment) {
  const { hull, ties } = campaign.moments[moment];
  const { known, recent, waiting, failed } = groupsAt(moment);
  const traces = [{
    type: "scatter", mode: "lines", x: [...CORNERS, CORNERS[0]].map((c) => c[0]), y: [...CORNERS, CORNERS[0]].map((c) => c[1]),
    line: { color: COLOUR.leader, width: 1 }, hoverinfo: "skip", showlegend: false, uid: "frame",
  }];
  const truth = truthAt(moment);
  if (truth) {
    traces.push({ type: "scatter", mode: "lines", x: truth.x, y: truth.y, line: { color: COLOUR.truth, width: 4 }, hoverinfo: "skip", name: "true hull", uid: "truth" });
  }
  const lines = linesOf(ties, placeOf);
  traces.push({ type: "scatter", mode: "lines", x: lines.x, y: lines.y, line: { color: COLOUR.hull, width: 1.4 }, hoverinfo: "skip", name: "hull found", uid: "ties" });
  const name = campaign.isReplay ? "not calculated, true energy" : "not calculated";
  traces.push(...coloured(waiting, moment, name, { symbol: "triangle-up", size: 9 }));
  traces.push(...coloured(known, moment, "calculated", { symbol: "circle", size: 8, line: { color: COLOUR.paper, width: 0.7 } }, known.length + recent.length));
  traces.push(...coloured(recent, moment, RECENT, { symbol: "square", size: 9, line: { color: COLOUR.recent, width: 1.6 } }));
  if (candidates.contenders) {
    const contenders = moment === LAST ? candidates.contenders : [];
    const size = contenders.map((i) => 8 + 10 * Math.sqrt(candidates.onHull[i]));
    traces.push(points(contenders, moment, {
      name: "may be on the hull, by size", type: "scatter", marker: { symbol: "diamond-open", size, color: COLOUR.ink, line: { width: 1.4 } },
    }));
  }
  if (HAS_FAILED) {
    traces.push(points(failed, moment, { name: "failed", type: "scatter", marker: { symbol: "x-thin-open", size: 10, color: COLOUR.failed, line: { width: 2.2 } } }));
  }
  traces.push({
    ...points(hull, moment, { name: "ground states", type: "scatter" }),
    marker: { symbol: "circle-open", size: 13, color: COLOUR.hull, line: { width: 1.6 } },
  });
  return traces;
}

// Directions tried for a label, from the outward one; and distances, in pixels.
const TURNS = [0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6, 7, -7, 8].map((k) => (k * Math.PI) / 8);
const REACHES = [0, 12, 26, 42, 60];

function outward(i) {
  const shares = [1 - candidates.fractions[0][i] - candidates.fractions[1][i], candidates.fractions[0][i], candidates.fractions[1][i]];
  const middle = [0.5, CORNERS[2][1] / 3];
  const missing = [0, 1, 2].filter((k) => Math.abs(shares[k]) < 1e-9);
  const from = missing.length ? [0, 1].map((axis) => missing.reduce((sum, k) => sum + middle[axis] - CORNERS[k][axis], 0)) : [0, 1].map((axis) => placeOf(i)[axis] - middle[axis]);
  return Math.atan2(-from[1], from[0]);  // on the screen y goes down
}

function labelsOf({ hull, ties }) {
  const area = diagram.querySelector(".nsewdrag")?.getBoundingClientRect();
  if (!area) return [];
  const { xaxis, yaxis } = diagram._fullLayout;
  const toX = (x) => xaxis.l2p(x), toY = (y) => yaxis.l2p(y);
  const pixel = (i) => [toX(placeOf(i)[0]), toY(placeOf(i)[1])];
  const lines = ties.flatMap(([a, b]) => {
    const [from, to] = [pixel(a), pixel(b)];
    return [...Array(41).keys()].map((k) => around(from[0] + (k / 40) * (to[0] - from[0]), from[1] + (k / 40) * (to[1] - from[1]), 2, 2));
  });
  return placed(hull.map((i) => {
    const [x, y] = pixel(i), first = outward(i);
    const tried = namesOf(i).flatMap((text) => {
      const rows = text.split("<br>"), width = 4 + Math.max(...rows.map(widthOf)), height = 17 * rows.length;
      return REACHES.flatMap((reach) => TURNS.map((turn) => {
        const [cos, sin] = [Math.cos(first + turn), Math.sin(first + turn)];
        const away = 10 + reach + Math.min(width / 2 / Math.max(Math.abs(cos), 1e-6), height / 2 / Math.max(Math.abs(sin), 1e-6));
        return { text, dx: away * cos, dy: away * sin, box: around(x + away * cos, y + away * sin, width, height) };
      }));
    });
    return { x, y, at: { x: placeOf(i)[0], y: placeOf(i)[1] }, tried };
  }), area, lines);
}

const isWide = () => diagram.clientWidth > 640;

function layoutAt(moment) {
  const unseen = { visible: false, fixedrange: DRAG === false };
  return {
    ...basis(), margin: { l: 8, r: 8, t: 12, b: isWide() ? 8 : 70 }, hovermode: "closest", dragmode: DRAG, uirevision: "kept", showlegend: true, legend: LEGEND,
    xaxis: { ...unseen, range: [-BESIDE, 1 + BESIDE], constrain: "domain" },
    yaxis: { ...unseen, range: [-BESIDE, CORNERS[2][1] + 0.1], scaleanchor: "x", constrain: "domain" },
    coloraxis: {
      colorscale: "Viridis", reversescale: true, cmin: 0, cmax: campaign.view.height,
      colorbar: isWide()
        ? { title: { text: "above the hull<br>(meV/atom)" }, thickness: 14, len: 0.75 }
        : { title: { text: "above the hull (meV/atom)", side: "top" }, orientation: "h", thickness: 12, len: 0.9, y: -0.02, yanchor: "top" },
    },
    annotations: labelsOf(campaign.moments[moment]),
  };
}

// The hull in three dimensions: facets, tie lines, and what is calculated.
function solidAt(moment) {
  const { hull, ties, facets } = campaign.moments[moment];
  const { known, recent, waiting } = groupsAt(moment);
  const place = new Map(hull.map((i, k) => [i, k]));
  const cloud = (indices, name, marker) => {
    const at = indices.filter((i) => isKnown(shownEnergy(i)) && shownEnergy(i) <= campaign.view.energy[1]);
    return {
      type: "scatter3d", mode: "markers", x: at.map((i) => placeOf(i)[0]), y: at.map((i) => placeOf(i)[1]), z: at.map(shownEnergy),
      text: at.map((i) => hoverText(i, moment)), customdata: at, hovertemplate: "%{text}<extra></extra>", name: `${name} (${at.length})`, marker, uid: name,
    };
  };
  const frame = [...CORNERS, CORNERS[0]];
  const traces = [
    {
      type: "mesh3d", x: hull.map((i) => placeOf(i)[0]), y: hull.map((i) => placeOf(i)[1]), z: hull.map(shownEnergy),
      i: facets.map((f) => place.get(f[0])), j: facets.map((f) => place.get(f[1])), k: facets.map((f) => place.get(f[2])),
      color: "#8fbcd8", opacity: 0.55, flatshading: true, hoverinfo: "skip", name: "hull found", uid: "facets",
    },
    { type: "scatter3d", mode: "lines", ...linesOf(ties, inSpace), line: { color: COLOUR.hull, width: 4 }, hoverinfo: "skip", showlegend: false, uid: "ties" },
    { type: "scatter3d", mode: "lines", x: frame.map((c) => c[0]), y: frame.map((c) => c[1]), z: [0, 0, 0, 0], line: { color: COLOUR.leader, width: 2 }, hoverinfo: "skip", showlegend: false, uid: "frame" },
  ];
  const truth = truthAt(moment);
  if (truth) traces.push({ type: "scatter3d", mode: "lines", ...truth, line: { color: COLOUR.truth, width: 3 }, hoverinfo: "skip", name: "true hull", uid: "truth" });
  traces.push(cloud(waiting, "not calculated", { size: 2.2, color: COLOUR.other, opacity: 0.6 }));
  traces.push(cloud([...known, ...recent], "calculated", { size: 3.2, color: COLOUR.calculated }));
  traces.push({
    type: "scatter3d", mode: "markers", x: hull.map((i) => placeOf(i)[0]), y: hull.map((i) => placeOf(i)[1]), z: hull.map(shownEnergy),
    text: hull.map((i) => hoverText(i, moment)), customdata: hull, hovertemplate: "%{text}<extra></extra>",
    marker: { size: 4, color: COLOUR.hull }, name: `ground states (${hull.length})`, uid: "ground states",
  });
  traces.push({
    type: "scatter3d", mode: "text", x: CORNERS.map((c) => c[0]), y: CORNERS.map((c) => c[1]), z: [0, 0, 0], text: campaign.ends,
    textposition: "top center", textfont: { size: 14 }, hoverinfo: "skip", showlegend: false, uid: "elements",
  });
  return traces;
}

const solidLayout = () => ({
  ...basis(), margin: { l: 0, r: 0, t: 0, b: 0 }, uirevision: "kept", showlegend: true, legend: { ...LEGEND, y: 1, yanchor: "top" },
  scene: {
    xaxis: { visible: false }, yaxis: { visible: false }, zaxis: { title: { text: "" }, tickangle: 0, range: campaign.view.energy, nticks: 6, color: COLOUR.soft, gridcolor: COLOUR.line },
    aspectmode: "manual", aspectratio: isWide() ? { x: 1.7, y: 1.47, z: 1.2 } : { x: 1.05, y: 0.91, z: 1.05 }, camera: kept.camera ?? { projection: { type: "orthographic" }, eye: { x: 0.3, y: -1.7, z: 0.6 } },
    dragmode: "turntable",
  },
});

function drawMoment(moment) {
  if (solid.isDrawn) Plotly.react(solid, asNamed(solidAt(moment)), solidLayout(), CONFIG);
  return Plotly.react(diagram, asHidden(tracesAt(moment)), asKept(diagram, layoutAt(moment)), CONFIG);
}

// Labels are placed in pixels, which are known only once the axes are drawn; the view in three dimensions comes last.
function drawFirst() {
  const onClick = (place) => place.on("plotly_click", ({ points: [point] }) => showStructure(point.customdata));
  return Plotly.newPlot(diagram, asHidden(tracesAt(LAST)), { ...asKept(diagram, layoutAt(LAST)), annotations: [] }, CONFIG).then(() => {
    onClick(diagram);
    window.addEventListener("resize", () => setTimeout(() => Plotly.relayout(diagram, layoutAt(shownMoment)), 300));
    setTimeout(() => Plotly.newPlot(solid, asNamed(solidAt(shownMoment)), solidLayout(), CONFIG).then(() => {
      solid.isDrawn = true;
      onClick(solid);
    }));
  });
}
