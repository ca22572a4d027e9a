// All marks of the images shown in one fibre. A canvas, because 50,000 marks must be quick.

const map = { marks: [], scale: 1, unit: 1 };
const MAP_SIDE = 304;
const IN_MEMORY = { willReadFrequently: true }; // thousands of copies are quicker there than on a graphics card

/** Place of a mark in the unit of the map, y up: um, or cladding radii where an image has no scale. */
function mapPlace(mark) {
  const share = map.isMicron ? 1 : 1 / (claddingRadius(mark.row) * (mark.row.scale ?? 1));
  return [mark.x * share, mark.y * share];
}

const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** Median radius of each inspected zone and of the cladding, in the unit of the map. */
function mapRings(rows) {
  const radii = DATA.zones.map(() => []), outlines = [];
  for (const row of rows) {
    const cladding = claddingRadius(row), factor = map.isMicron ? row.scale : 1 / cladding;
    outlines.push(cladding * factor);
    for (const [zone, radius, inspected] of row.zones) if (inspected && radius) radii[zone].push(radius * factor);
  }
  const zones = radii.map((values, zone) => ({ name: DATA.zones[zone], radius: values.length ? median(values) : 0 }));
  return { zones: zones.filter((ring) => ring.radius > 0), outline: median(outlines) };
}

function drawMap(marks) {
  const rows = shownRows.filter((row) => row.fiber !== null);
  map.isMicron = rows.every((row) => row.scale !== null);
  map.marks = marks.filter((mark) => mark.x !== null && mark.y !== null && mark.row.fiber !== null);
  const title = `${plural(map.marks.length, "mark")} in one fibre`;
  byId("map-title").textContent = rows.length ? `${title}, ${map.isMicron ? "µm" : "cladding radii"} from the centre` : title;
  const canvas = byId("map"), pen = canvas.getContext("2d", IN_MEMORY);
  const ratio = Math.max(2, window.devicePixelRatio || 1);
  canvas.width = canvas.height = MAP_SIDE * ratio;
  pen.setTransform(ratio, 0, 0, ratio, (MAP_SIDE / 2) * ratio, (MAP_SIDE / 2) * ratio);
  drawLegend();
  if (!rows.length) return;
  const rings = mapRings(rows), places = map.marks.map(mapPlace);
  const farthest = places.reduce((most, place) => Math.max(most, Math.hypot(...place)), rings.outline);
  const radii = [rings.outline, ...rings.zones.map((ring) => ring.radius)].sort((a, b) => a - b);
  map.scale = (MAP_SIDE / 2 - 4) / (radii.find((radius) => radius >= farthest) ?? radii.at(-1));
  drawRings(pen, rings);
  drawSigns(pen, places, ratio);
  drawRingNames(pen, rings.zones);
}

function drawRings(pen, { zones, outline }) {
  const ring = (radius) => {
    pen.beginPath();
    pen.arc(0, 0, radius * map.scale, 0, 2 * Math.PI);
    pen.stroke();
  };
  pen.strokeStyle = themeColor("--ring");
  pen.lineWidth = 1.2;
  for (const { radius } of zones) ring(radius);
  pen.setLineDash([4, 4]);
  ring(outline);
  pen.setLineDash([]);
}

/** Names and radii of the rings, over the marks; left out where two rings are close. */
function drawRingNames(pen, zones) {
  pen.font = "10px system-ui, sans-serif";
  pen.textAlign = "center";
  pen.lineJoin = "round";
  pen.lineWidth = 3;
  pen.strokeStyle = themeColor("--card");
  pen.fillStyle = themeColor("--text");
  let before = 0;
  for (const { name, radius } of zones) {
    const screen = radius * map.scale;
    const shown = `${name} ${map.isMicron ? radius.toFixed(0) : radius.toFixed(2)}`;
    if (screen - before > 14 && screen < MAP_SIDE / 2) {
      pen.strokeText(shown, 0, -screen + 11);
      pen.fillText(shown, 0, -screen + 11);
      before = screen;
    }
  }
}

/** The sign of a class is drawn once, and then copied for each mark. */
function drawSigns(pen, places, ratio) {
  const number = places.length, radius = number > 5000 ? 1.8 : number > 300 ? 2.6 : 4;
  const side = 2 * radius + 4;
  const stamps = DATA.classes.map((_, kind) => {
    const stamp = el("canvas", { width: Math.ceil(side * ratio), height: Math.ceil(side * ratio) }), ink = stamp.getContext("2d", IN_MEMORY);
    ink.setTransform(ratio, 0, 0, ratio, (side / 2) * ratio, (side / 2) * ratio);
    ink.strokeStyle = themeColor(`--class-${kind}`);
    ink.lineWidth = number > 300 ? 1.2 : 1.8;
    ink.stroke(new Path2D(SIGNS[kind](radius)));
    return stamp;
  });
  pen.save();
  pen.globalAlpha = number > 20000 ? 0.35 : number > 2000 ? 0.6 : 0.9;
  pen.setTransform(1, 0, 0, 1, 0, 0); // whole pixels of the canvas, which are copied and not interpolated
  pen.imageSmoothingEnabled = false;
  const middle = (MAP_SIDE / 2) * ratio, half = (side / 2) * ratio, scale = map.scale * ratio;
  places.forEach(([x, y], index) => {
    pen.drawImage(stamps[map.marks[index].kind], Math.round(middle + x * scale - half), Math.round(middle - y * scale - half));
  });
  pen.restore();
}

function drawLegend() {
  const counts = DATA.classes.map((_, kind) => map.marks.reduce((sum, mark) => sum + (mark.kind === kind), 0));
  byId("legend").replaceChildren(...DATA.classes.map((name, kind) => el("span", {}, signIcon(kind), `${name} ${counts[kind].toLocaleString("en")}`)));
}

/** The mark nearest to a place on the canvas, within a few pixels; else null. */
function markAt(event) {
  const box = byId("map").getBoundingClientRect(), factor = MAP_SIDE / box.width;
  const x = (event.clientX - box.left) * factor - MAP_SIDE / 2, y = (event.clientY - box.top) * factor - MAP_SIDE / 2;
  let best = null, nearest = 8;
  for (const mark of map.marks) {
    const place = mapPlace(mark), distance = Math.hypot(place[0] * map.scale - x, -place[1] * map.scale - y);
    if (distance < nearest) [best, nearest] = [mark, distance];
  }
  return best;
}

function makeMap() {
  byId("map").addEventListener("click", (event) => {
    const mark = markAt(event);
    if (mark) openViewer(mark.row, mark);
  });
  byId("map").addEventListener("pointermove", (event) => {
    const mark = map.marks.length <= 5000 ? markAt(event) : null;
    byId("map").title = mark ? `${mark.id} of ${mark.row.name}: ${DATA.classes[mark.kind]}, ${size(mainSize(mark), mark.row.unit)}` : "Click a mark to open its image";
  });
}
