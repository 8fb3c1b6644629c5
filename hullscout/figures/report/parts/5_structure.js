"use strict";
// One structure in three dimensions, turned with the mouse: the atoms of the cell as shaded spheres, those on its faces repeated, bonds
// between nearest neighbours, and its edges. Plotly draws them, which the page holds anyway: a viewer of molecules would be a second library.

const viewer = byId("viewer");
// Length of the diagonal of a cell in Plotly's scene that fills the view.
const WIDE = 1.6;
// Radius of a sphere over the covalent one, radius of a bond in Angstrom, and into how many sides and rings round bodies are cut.
const SPHERE = 0.4, STICK = 0.09, CORNERS_AROUND = 20, RINGS = 12;
// Light falls from a little above where one looks from at first. Plotly's own gives no shade in a view without perspective, so that each
// corner has its shade as its colour.
const LIGHT = [0.66, 0.2, 0.72], FLAT = { ambient: 1, diffuse: 0, specular: 0, fresnel: 0 };

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
  const { lows, spans, diagonal } = extentOf(structure);
  const traces = campaign.elements.map((symbol, kind) => ({
    ...bodiesOf(structure, kind), type: "mesh3d", name: symbol, color: campaign.structures.colours[kind], hoverinfo: "name", showlegend: true,
    flatshading: false, lighting: FLAT,
  }));
  const edges = structure.edges.flatMap((edge) => [...edge, [null, null, null]]);
  traces.push({
    type: "scatter3d", mode: "lines", x: edges.map((e) => e[0]), y: edges.map((e) => e[1]), z: edges.map((e) => e[2]),
    line: { color: COLOUR.leader, width: 2 }, hoverinfo: "skip", showlegend: false,
  });
  const unseen = (k) => ({ visible: false, range: [lows[k], lows[k] + spans[k]] });
  const layout = {
    ...basis(), margin: { l: 0, r: 0, t: 0, b: 0 }, showlegend: true, legend: { x: 0, y: 1, itemsizing: "constant" },
    scene: { xaxis: unseen(0), yaxis: unseen(1), zaxis: unseen(2), camera: { projection: { type: "orthographic" }, eye: { x: 1.6, y: 0.8, z: 0.5 } },
      aspectmode: "manual", aspectratio: { x: (WIDE * spans[0]) / diagonal, y: (WIDE * spans[1]) / diagonal, z: (WIDE * spans[2]) / diagonal },
    },
  };
  return Plotly.newPlot("structure", traces, layout, CONFIG);
}

// How far a cell and the spheres on it extend along the axes, and from corner to corner, in Angstrom.
function extentOf({ edges }) {
  const ends = edges.flat();
  const beyond = SPHERE * Math.max(...campaign.structures.radii);
  const lows = [0, 1, 2].map((k) => Math.min(...ends.map((e) => e[k])) - beyond);
  const spans = [0, 1, 2].map((k) => Math.max(...ends.map((e) => e[k])) + beyond - lows[k]);
  return { lows, spans, diagonal: Math.hypot(...spans) };
}

// The spheres of one element and its halves of the bonds, as one body of triangles that light falls on.
function bodiesOf({ atoms, bonds }, kind) {
  const body = { x: [], y: [], z: [], i: [], j: [], k: [], vertexcolor: [] };
  const colour = campaign.structures.colours[kind].match(/\w\w/g).map((part) => parseInt(part, 16));
  // Adds rings of points around a line, each ring tied to the one before; ends are rings of no width.
  const add = (rings) => {
    const first = body.x.length;
    for (const { at: [x, y, z], normal } of rings.flat()) {
      body.x.push(x); body.y.push(y); body.z.push(z); body.vertexcolor.push(shaded(colour, normal));
    }
    for (let ring = 1; ring < rings.length; ring += 1) {
      for (let side = 0; side < CORNERS_AROUND; side += 1) {
        const [here, next] = [side, (side + 1) % CORNERS_AROUND].map((n) => first + ring * CORNERS_AROUND + n);
        body.i.push(here - CORNERS_AROUND, next); body.j.push(here, next - CORNERS_AROUND); body.k.push(next - CORNERS_AROUND, here);
      }
    }
  };
  // A ring of some width around a middle; its normals point away from `heart`.
  const ringAt = (middle, across, other, width, heart) => Array.from({ length: CORNERS_AROUND }, (_, side) => {
    const turn = (2 * Math.PI * side) / CORNERS_AROUND;
    const at = middle.map((m, axis) => m + width * (Math.cos(turn) * across[axis] + Math.sin(turn) * other[axis]));
    return { at, normal: unit(at.map((a, axis) => a - heart[axis])) };
  });
  const radius = SPHERE * campaign.structures.radii[kind];
  for (const [other, x, y, z] of atoms) {
    if (other !== kind) continue;
    add(Array.from({ length: RINGS + 1 }, (_, ring) => {
      const angle = (Math.PI * ring) / RINGS;
      return ringAt([x, y, z + radius * Math.cos(angle)], [1, 0, 0], [0, 1, 0], radius * Math.sin(angle), [x, y, z]);
    }));
  }
  for (const pair of bonds) {
    for (const [from, to] of [pair, [pair[1], pair[0]]]) {
      if (atoms[from][0] !== kind) continue;
      const [start, end] = [atoms[from].slice(1), atoms[to].slice(1)];
      const along = end.map((e, axis) => e - start[axis]);
      const [across, other] = aside(along);
      add([0, 0.5].map((share) => {
        const middle = start.map((s, axis) => s + share * along[axis]);
        return ringAt(middle, across, other, STICK, middle);
      }));
    }
  }
  return body;
}

function unit(vector) {
  return vector.map((part) => part / Math.hypot(...vector));
}

// A colour on a face with a normal: darker where it is turned from the light, a highlight where it faces it.
function shaded(colour, normal) {
  const facing = Math.max(0, normal.reduce((sum, part, axis) => sum + part * LIGHT[axis], 0));
  const gleam = 110 * facing ** 24;
  return `rgb(${colour.map((part) => Math.min(255, Math.round(part * (0.5 + 0.55 * facing) + gleam))).join(",")})`;
}

// Two directions of length 1 at right angles to a direction and to each other.
function aside([x, y, z]) {
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const first = unit(cross([x, y, z], Math.abs(z) < 0.9 * Math.hypot(x, y, z) ? [0, 0, 1] : [1, 0, 0]));
  return [first, unit(cross([x, y, z], first))];
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
