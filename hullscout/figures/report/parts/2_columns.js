"use strict";
// Of four and more elements no plane has room for the hull: heights above that of the moment, a column for each system of elements.

const placeOf = (i, height) => [candidates.place[i], height(i)];

// A candidate's height above the hull of a moment, from the energy that it is drawn at.
const above = (energy, moment) => (i) => (isKnown(energy(i)) ? energy(i) - hullUnder(i, moment) : null);

function tracesAt(moment) {
  const { hull } = campaign.moments[moment];
  const { known, recent, waiting, failed } = groupsAt(moment);
  const height = above(shownEnergy, moment);
  const name = campaign.isReplay ? "not calculated, true energy" : "not calculated";
  const traces = [
    points(waiting, moment, { name, type: MANY, height, symbols: OPEN, marker: { symbol: "triangle-up", size: 6, color: COLOUR.other, opacity: 0.75 } }),
    points(known, moment, { name: "calculated", n: known.length + recent.length, type: KNOWN, height, symbols: FILLED, marker: { size: 7, color: COLOUR.calculated, opacity: 0.85 } }),
    points(recent, moment, {
      name: RECENT, type: "scatter", height, symbols: FILLED,
      marker: { symbol: "square", size: 9, color: COLOUR.recent, line: { color: COLOUR.paper, width: 1 } },
    }),
  ];
  if (candidates.contenders) {
    const contenders = moment === LAST ? candidates.contenders : [];
    traces.push({
      ...points(contenders, moment, {
        name: "prediction, 95 % interval", type: "scatter", height: above((i) => candidates.predicted[i], moment),
        marker: { symbol: "diamond", size: 8, color: COLOUR.paper, line: { color: COLOUR.ink, width: 1.4 } },
      }),
      error_y: { type: "data", array: contenders.map(halfWidth), thickness: 1, width: 3, color: COLOUR.soft },
    });
  }
  if (HAS_FAILED) {
    traces.push(points(failed, moment, {
      name: "failed", type: "scatter", height: (i) => height(i) ?? campaign.view.height,
      marker: { symbol: "x-thin-open", size: 10, color: COLOUR.failed, line: { width: 2.2 } },
    }));
  }
  traces.push(points(hull, moment, {
    name: "ground states", type: "scatter", height, marker: { symbol: "circle-open", size: 12, color: COLOUR.hull, line: { width: 1.6 } },
  }));
  return traces;
}

function layoutAt() {
  const { columns, height } = campaign.view;
  return {
    ...basis(), margin: { l: 62, r: 12, t: 12, b: 110 }, hovermode: "closest", dragmode: DRAG, uirevision: "kept", showlegend: true, legend: LEGEND,
    xaxis: {
      ...axis(), ticks: "", range: [-0.6, columns.length - 0.4], tickvals: columns.map((_, place) => place), ticktext: columns, tickangle: columns.length > 5 ? -90 : 0,
      zeroline: false, showgrid: false,
    },
    yaxis: {
      ...axis(), title: { text: "height above the hull (meV/atom)" }, range: [-0.08 * height, height], zerolinecolor: COLOUR.hull,
    },
  };
}

const drawMoment = (moment) => Plotly.react(diagram, asHidden(tracesAt(moment)), asKept(diagram, layoutAt()), CONFIG);

function drawFirst() {
  return drawMoment(LAST).then(() => {
    diagram.on("plotly_click", ({ points: [point] }) => showStructure(point.customdata));
  });
}
