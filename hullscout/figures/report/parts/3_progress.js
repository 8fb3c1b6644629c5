"use strict";
// How the campaign came to its hull: errors and probabilities against the number of calculations.

const progress = byId("progress");
const GAP = 0.1;

// On a logarithmic axis nothing has a place: what is none is drawn half a decade below the least that is something, and called 0.
function logarithmic(values, mark) {
  const least = Math.min(mark, ...values.filter((value) => value > 0)), most = Math.max(mark, ...values);
  const [low, high] = [Math.floor(Math.log10(least)), Math.ceil(Math.log10(most) + 0.05)];
  const nothing = 10 ** (low - 0.5), decades = [];
  for (let k = low; k <= high; k++) decades.push(10 ** k);
  const hasNothing = values.some((value) => value <= 0);
  const ticks = hasNothing ? [nothing, ...decades] : decades;
  return {
    drawn: values.map((value) => Math.max(value, nothing)),
    axis: { type: "log", range: [hasNothing ? low - 0.7 : low - 0.1, high], tickvals: ticks, ticktext: ticks.map((tick) => (tick === nothing ? "0" : String(Number(tick.toPrecision(1))))) },
  };
}

function panels() {
  const known = campaign.moments.map((at) => at.known);
  const of = (key) => campaign.moments.map((at) => at[key] ?? null);
  const has = (key) => campaign.moments.some((at) => isKnown(at[key]));
  const line = (key, name, colour, options = {}) => ({
    type: "scatter", mode: "lines+markers", x: known, y: of(key), name, connectgaps: false, marker: { size: 4, color: colour },
    line: { color: colour, width: 1.6 }, hovertemplate: "%{y:.2f}", ...options,
  });
  const all = [];
  if (has("error")) {
    const { drawn, axis: scale } = logarithmic(of("error"), campaign.tolerance);
    const steps = { y: drawn, customdata: of("error"), hovertemplate: "%{customdata:.2f}", line: { color: COLOUR.calculated, width: 1.6, shape: "hv" } };
    all.push({ title: "hull error (meV/atom)", traces: [line("error", "hull error", COLOUR.calculated, steps)], mark: campaign.tolerance, says: `tolerance, ${campaign.tolerance}${UNIT}`, scale });
  }
  if (has("probability")) {
    const share = { hovertemplate: "%{y:.1%}" };
    all.push({
      title: `P(wrong by more than ${campaign.tolerance}${UNIT})`, scale: { tickformat: ".0%" }, mark: campaign.accepted, says: `accepted, ${percent(campaign.accepted)}`,
      traces: [line("probability", "P, of this round", COLOUR.leader, { ...share, line: { color: COLOUR.leader, width: 1, dash: "dot" } }), ...(has("stated") ? [line("stated", "P, stated", COLOUR.calculated, share)] : [])],
    });
  }
  if (has("modelError")) all.push({ title: "error of the model, RMSE (meV/atom)", traces: [line("modelError", `${campaign.modelErrorName} of the model`, COLOUR.calculated)] });
  all.push({ title: "hull lowered by (meV/atom)", traces: [{ type: "bar", x: known, y: of("lowering"), name: "hull lowered by", marker: { color: COLOUR.calculated }, hovertemplate: "%{y:.2f}" }] });
  return all;
}

// Where the label of a panel's line stands at the right end: above it, or below where data would be covered; none where both would.
const LABEL = { size: 11, height: 17 };
function sideOf(panel, area, most) {
  const isLog = panel.scale.type === "log", at = (value) => (isLog ? Math.log10(value) : value);
  const values = panel.traces.flatMap(({ y }) => y).filter((value) => isKnown(value) && (!isLog || value > 0));
  const [low, high] = panel.scale.range ?? [0, 1.06 * Math.max(panel.mark, ...values)];
  const left = most * (1 - (0.62 * LABEL.size * panel.says.length) / area.width);
  const near = panel.traces.flatMap(({ x, y }) => y.filter((value, k) => isKnown(value) && (x[k + 1] ?? x[k]) >= left));
  const heights = near.map((value) => (area.height * (at(value) - at(panel.mark))) / (high - low));
  if (!heights.some((height) => height > -3 && height < LABEL.height)) return "bottom";
  return heights.some((height) => height < 3 && height > -LABEL.height) ? null : "top";
}

function drawProgress() {
  const all = panels();
  const traces = [], marks = [], titles = [];
  const layout = {
    ...basis(), font: { ...FONT, size: 12 }, margin: { l: 54, r: 12, t: 22, b: 48 }, showlegend: false, hovermode: "x", dragmode: DRAG, bargap: 0, uirevision: "kept",
    xaxis: { ...axis(), title: { text: "calculations" }, rangemode: "tozero", minallowed: 0, anchor: `y${all.length > 1 ? all.length : ""}`, zeroline: false },
  };
  layout.hoverlabel.namelength = -1;
  const height = (1 - GAP * (all.length - 1)) / all.length;
  const { l, r, t, b } = layout.margin, most = campaign.moments[LAST].known;
  const area = { width: Math.max(progress.clientWidth - l - r, 1), height: (progress.clientHeight - t - b) * height };
  all.forEach((panel, k) => {
    const suffix = k ? String(k + 1) : "";
    const top = 1 - k * (height + GAP);
    layout[`yaxis${suffix}`] = { ...axis(), domain: [Math.max(0, top - height), top], rangemode: "tozero", nticks: 4, zerolinecolor: COLOUR.zero, ...panel.scale };
    titles.push({ text: panel.title, xref: "paper", x: 0, xanchor: "left", yref: "paper", y: top, yanchor: "bottom", showarrow: false, font: { size: 12, color: COLOUR.soft } });
    for (const trace of panel.traces) traces.push({ ...trace, xaxis: "x", yaxis: `y${suffix}` });
    if (isKnown(panel.mark)) {
      const line = { color: COLOUR.truth, width: 1.2, dash: "dash" };
      const side = sideOf(panel, area, most);
      if (!side) layout.xaxis.range = [0, most / Math.max(1 - (0.62 * LABEL.size * panel.says.length) / area.width, 0.5)];  // room beside the data
      const label = { text: panel.says, textposition: "end", font: { size: LABEL.size, color: COLOUR.truth }, yanchor: side ?? "bottom", padding: 1 };
      marks.push({ type: "line", xref: "paper", x0: 0, x1: 1, yref: `y${suffix}`, y0: panel.mark, y1: panel.mark, line, label });
    }
  });
  progress.marks = marks;
  return Plotly.react(progress, traces, asKept(progress, { ...layout, annotations: titles, shapes: [...marks, momentLine(shownMoment)] }), CONFIG);
}

function startProgress() {
  return drawProgress().then(() => {
    progress.isDrawn = true;
    keepRanges(progress, drawProgress);
    progress.on("plotly_click", ({ points: [point] }) => showMoment(point.pointIndex));
    return markMoment(shownMoment);
  });
}

// A line at the calculations that the phase diagram shows.
function momentLine(moment) {
  const at = campaign.moments[moment].known;
  return { type: "line", xref: "x", x0: at, x1: at, yref: "paper", y0: 0, y1: 1, line: { color: COLOUR.leader, width: 1 } };
}

const markMoment = (moment) => (progress.isDrawn ? Plotly.relayout(progress, { shapes: [...progress.marks, momentLine(moment)] }) : undefined);
