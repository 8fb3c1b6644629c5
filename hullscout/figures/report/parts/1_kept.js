"use strict";
// What its reader chose on the page is kept over a reload, in the browser's own history: round, ranges, what is switched off, the table.
// A page that is written again as the campaign goes on loads itself again.

const kept = history.state?.hullscout ?? { ranges: {}, hidden: [] };

// A layout with the ranges that were chosen on it; traces with what was switched off.
function asKept(plot, layout) {
  for (const [axis, range] of Object.entries(kept.ranges[plot.id] ?? {})) if (layout[axis]) Object.assign(layout[axis], { range, autorange: false });
  return layout;
}

// The legend names what is drawn.
const isDrawn = ({ x, y }) => x.some((place, k) => isKnown(place) && isKnown(y[k]));
const asNamed = (traces) => traces.map((trace) => ({ ...trace, showlegend: trace.showlegend ?? isDrawn(trace) }));
const asHidden = (traces) => asNamed(traces).map((trace) => (kept.hidden.includes(trace.uid) ? { ...trace, visible: "legendonly" } : trace));

function rangesOf(plot) {
  const axes = Object.entries(plot._fullLayout).filter(([name, axis]) => /^[xy]axis\d*$/.test(name) && axis.range);
  return Object.fromEntries(axes.map(([name, { range }]) => [name, [...range]]));
}

// Called when a plot was drawn for the first time. A double click gives back the ranges that it would have without a choice.
function keepRanges(plot, redraw) {
  plot.first = rangesOf(plot);
  plot.on("plotly_doubleclick", () => {
    if (!kept.ranges[plot.id]) return;
    delete kept.ranges[plot.id];
    Plotly.relayout(plot, Object.fromEntries(Object.keys(plot.first).map((axis) => [`${axis}.autorange`, true]))).then(redraw);
  });
}

// The ranges of a plot that are none of its own.
function chosenRanges(plot) {
  if (!plot.first) return kept.ranges[plot.id];
  const now = rangesOf(plot), before = kept.ranges[plot.id] ?? {};
  const isChosen = ([axis, range]) => axis in before || range.some((end, k) => end !== plot.first[axis][k]);
  const chosen = Object.entries(now).filter(isChosen);
  return chosen.length ? Object.fromEntries(chosen) : undefined;
}

function keep() {
  const { column, isDescending, page } = listing;
  history.replaceState({
    hullscout: {
      round: shownMoment === LAST ? null : campaign.moments[shownMoment].round,
      ranges: { diagram: chosenRanges(diagram), progress: chosenRanges(progress) },
      camera: byId("solid")?.layout?.scene?.camera,
      hidden: (diagram.data ?? []).filter(({ visible }) => visible === "legendonly").map(({ uid }) => uid),
      table: { find: byId("find").value, which: byId("which").value, name: COLUMNS[column].name, isDescending, page },
    },
  }, "");
}

// The round that was chosen; the last one, whichever that is now, where none was.
function momentKept() {
  const moment = campaign.moments.findIndex(({ round }) => round === kept.round);
  return moment < 0 ? LAST : moment;
}

// Somebody who looks at a structure, plays or writes is not disturbed.
function reloadWhenIdle() {
  if (viewer.open || playing !== null || document.activeElement === byId("find")) return;
  keep();
  location.reload();
}

function startReloading() {
  window.addEventListener("pagehide", keep);
  const { reload } = document.documentElement.dataset;
  if (reload) setInterval(reloadWhenIdle, 1000 * Number(reload));
}
