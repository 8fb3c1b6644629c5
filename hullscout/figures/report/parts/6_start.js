"use strict";
// plotly.js is there by now: the diagram first, for which the page was opened, and once that is painted the progress below it.

startDiagram()
  .then(() => {
    byId("still").remove();
    document.documentElement.dataset.ready = String(Math.round(performance.now()));  // ms since the page was asked for
    return new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)));
  })
  .then(startProgress)
  .then(() => DARK.addEventListener("change", () => { readColours(); showMoment(shownMoment); drawProgress(); }))
  .then(startReloading)
  .then(() => { document.documentElement.dataset.whole = "true"; });
