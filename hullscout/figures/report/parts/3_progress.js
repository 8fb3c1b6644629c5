"use strict";
// How the campaign came to its hull: errors and probabilities against the number of calculations.

const progress = byId("progress");

function panels() {
  const known = campaign.moments.map((at) => at.known);
  const of = (key) => campaign.moments.map((at) => at[key] ?? null);
  const has = (key) => campaign.moments.some((at) => isKnown(at[key]));
  const line = (key, name, colour, options = {}) => ({
    type: "scatter", mode: "lines+markers", x: known, y: of(key), name, connectgaps: false, marker: { size: 4, color: colour },
    line: { color: colour, width: 1.6 }, hovertemplate: "%{y:.2f}", ...options,
  });
  const all = [];
  if (has("error")) all.push({ title: "hull error<br>(meV/atom)", traces: [line("error", "hull error", COLOUR.calculated, { line: { color: COLOUR.calculated, width: 1.6, shape: "hv" } })], mark: campaign.tolerance });
  if (has("probability")) {
    const share = { hovertemplate: "%{y:.1%}" };
    all.push({
      title: `P(wrong by more<br>than ${campaign.tolerance}${UNIT})`, format: ".0%", mark: campaign.accepted,
      traces: [line("probability", "P, of this round", "#777777", { ...share, line: { color: "#777777", width: 1, dash: "dot" } }), ...(has("stated") ? [line("stated", "P, stated", COLOUR.calculated, share)] : [])],
    });
  }
  if (has("modelError")) all.push({ title: "model, RMSE<br>(meV/atom)", traces: [line("modelError", `${campaign.modelErrorName} of the model`, COLOUR.calculated)] });
  all.push({ title: "hull lowered by<br>(meV/atom)", traces: [{ type: "bar", x: known, y: of("lowering"), name: "hull lowered by", marker: { color: COLOUR.calculated }, hovertemplate: "%{y:.2f}" }] });
  return all;
}

function startProgress() {
  const all = panels();
  const traces = [], marks = [];
  const layout = {
    font: { ...FONT, size: 12 }, margin: { l: 74, r: 12, t: 8, b: 48 }, showlegend: false, hovermode: "x", dragmode: DRAG, bargap: 0,
    hoverlabel: { font: { ...FONT, size: 12 }, namelength: -1 },
    xaxis: { title: { text: "calculations" }, rangemode: "tozero", minallowed: 0, anchor: `y${all.length > 1 ? all.length : ""}`, showline: true, linecolor: "#444444", ticks: "outside", gridcolor: "#f0f0f0", zeroline: false },
  };
  const gap = 0.05, height = (1 - gap * (all.length - 1)) / all.length;
  all.forEach((panel, k) => {
    const suffix = k ? String(k + 1) : "";
    const top = 1 - k * (height + gap);
    layout[`yaxis${suffix}`] = {
      domain: [Math.max(0, top - height), top], title: { text: panel.title, font: { size: 11 } }, rangemode: "tozero", tickformat: panel.format, nticks: 4,
      showline: true, linecolor: "#444444", ticks: "outside", gridcolor: "#f0f0f0", zerolinecolor: "#dddddd",
    };
    for (const trace of panel.traces) traces.push({ ...trace, xaxis: "x", yaxis: `y${suffix}` });
    if (isKnown(panel.mark)) {
      marks.push({ type: "line", xref: "paper", x0: 0, x1: 1, yref: `y${suffix}`, y0: panel.mark, y1: panel.mark, line: { color: COLOUR.truth, width: 1.2, dash: "dash" } });
    }
  });
  progress.marks = marks;
  return Plotly.newPlot(progress, traces, layout, CONFIG).then(() => {
    progress.isDrawn = true;
    progress.on("plotly_click", ({ points: [point] }) => showMoment(point.pointIndex));
    return markMoment(shownMoment);
  });
}

// A line at the calculations that the phase diagram shows.
function markMoment(moment) {
  if (!progress.isDrawn) return undefined;
  const at = campaign.moments[moment].known;
  const line = { type: "line", xref: "x", x0: at, x1: at, yref: "paper", y0: 0, y1: 1, line: { color: "#999999", width: 1 } };
  return Plotly.relayout(progress, { shapes: [...progress.marks, line] });
}
