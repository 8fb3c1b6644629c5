"use strict";
// One structure in three dimensions, turned with the mouse: the atoms of the cell, those on its faces repeated, and its edges.

const viewer = byId("viewer");
// Length of the diagonal of a cell in Plotly's scene that fills the view.
const WIDE = 1.6;

function showStructure(i) {
  const structure = campaign.structures.cells[i];
  if (!structure) return;
  byId("viewer-title").replaceChildren(formulaNode(candidates.formula[i]), ` \u2014 ${candidates.id[i]}`);
  const [head, index] = structure.prototype.split("_");
  const name = structure.prototype ? [head, element("sub", {}, index ?? ""), ", "] : [];
  const group = structure.spaceGroup ? `space group ${structure.spaceGroup}, conventional cell` : "no symmetry found, cell as given";
  byId("viewer-text").replaceChildren(...name, `${group} of ${structure.n} atoms; ${statusOf(i)}`);
  byId("cif").hidden = !hasCif(i);
  byId("cif").onclick = () => downloadCif(i);
  viewer.showModal();
  const { spans, diagonal } = extentOf(structure);
  const pixels = Math.min(byId("structure").clientWidth, byId("structure").clientHeight);
  // Plotly sizes markers in pixels: as many per Angstrom of radius as the cell takes in the view.
  const size = (0.36 * pixels) / diagonal;
  const traces = campaign.elements.map((symbol, kind) => {
    const at = structure.atoms.filter(([other]) => other === kind);
    return {
      type: "scatter3d", mode: "markers", name: symbol, x: at.map((a) => a[1]), y: at.map((a) => a[2]), z: at.map((a) => a[3]), hoverinfo: "name",
      marker: { size: size * campaign.structures.radii[kind], color: campaign.structures.colours[kind], opacity: 1, line: { color: "#333333", width: 1 } },
    };
  });
  const edges = structure.edges.flatMap((edge) => [...edge, [null, null, null]]);
  traces.push({
    type: "scatter3d", mode: "lines", x: edges.map((e) => e[0]), y: edges.map((e) => e[1]), z: edges.map((e) => e[2]),
    line: { color: COLOUR.leader, width: 2 }, hoverinfo: "skip", showlegend: false,
  });
  const unseen = { visible: false };
  const layout = {
    ...basis(), margin: { l: 0, r: 0, t: 0, b: 0 }, showlegend: true, legend: { x: 0, y: 1, itemsizing: "constant" },
    scene: { xaxis: unseen, yaxis: unseen, zaxis: unseen, camera: { projection: { type: "orthographic" }, eye: { x: 1.6, y: 0.8, z: 0.5 } },
      aspectmode: "manual", aspectratio: { x: (WIDE * spans[0]) / diagonal, y: (WIDE * spans[1]) / diagonal, z: (WIDE * spans[2]) / diagonal },
    },
  };
  return Plotly.newPlot("structure", traces, layout, CONFIG);
}

// How far a cell extends along the axes, and from corner to corner, in Angstrom.
function extentOf({ edges }) {
  const ends = edges.flat();
  const spans = [0, 1, 2].map((k) => Math.max(...ends.map((e) => e[k])) - Math.min(...ends.map((e) => e[k])));
  return { spans, diagonal: Math.hypot(...spans) };
}

function startStructures() {
  // Graphics contexts are few: each is given back when its view closes.
  viewer.addEventListener("close", () => Plotly.purge("structure"));
  for (const place of document.querySelectorAll("td[data-cif]")) place.append(cifButton(Number(place.dataset.cif)));
  viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); });
  for (const button of document.querySelectorAll("button[data-structure]")) {
    button.addEventListener("click", () => showStructure(Number(button.dataset.structure)));
  }
}

startTables();
startStructures();
