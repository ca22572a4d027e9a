// One image at a time: picture with zoom, overlay, verdict, and a table whose rows and the marks point to each other.

const viewer = { row: null, zoom: 1, x: 0, y: 0, width: 1, height: 1, group: null, shapes: null, chosen: null };
const stage = byId("stage");

function openViewer(row, mark = null) {
  viewer.row = row;
  if (!byId("viewer").open) {
    byId("viewer").showModal();
    stage.focus();
  }
  change({ open: String(row.index) });
  byId("viewer-status").replaceChildren(badge(row.status));
  byId("viewer-name").textContent = byId("viewer-name").title = row.name;
  const place = shownRows.indexOf(row);
  byId("viewer-place").textContent = place < 0 ? "not in the table as filtered" : `${place + 1} of ${shownRows.length}`;
  drawPanel(row);
  drawStage(row);
  if (mark) chooseMark(row.marks.indexOf(mark), true);
}

function closeViewer() {
  const row = viewer.row;
  viewer.row = null;
  change({ open: "" });
  if (row) focusRow(row);
}

/** The next image in the table's order for which the test holds, from `row` in steps of 1 or -1; around the end. */
function neighbour(row, step, test = () => true) {
  const place = shownRows.indexOf(row), number = shownRows.length;
  const start = place < 0 ? (step > 0 ? -1 : number) : place;
  for (let distance = 1; distance <= number; distance++) {
    const found = shownRows[(((start + step * distance) % number) + number) % number];
    if (test(found)) return found;
  }
  return null;
}

const isFailure = (row) => row.status === "FAIL";

function go(step, test) {
  const found = neighbour(viewer.row, step, test);
  if (found) openViewer(found);
}

// --- picture --------------------------------------------------------------------------------------------------------

function drawStage(row) {
  const picture = pictureOf(row);
  const group = svg("g"), shapes = svg("g", { id: "shapes" });
  viewer.group = group;
  viewer.shapes = shapes;
  viewer.chosen = null;
  stage.dataset.picture = picture ? "loading" : "none";
  byId("overlay").disabled = !picture || !picture.plain || row.fiber === null;
  if (!picture) {
    stage.replaceChildren(el("p", { className: "note", textContent: "There is no picture of this image." }));
    return;
  }
  const image = svg("image", { href: picture.url, preserveAspectRatio: "none" });
  const fail = () => {
    stage.dataset.picture = "missing";
    stage.replaceChildren(el("p", { className: "note", textContent: "The picture is no longer in the folder details." }));
  };
  const place = (width, height) => {
    Object.assign(viewer, { width, height });
    image.setAttribute("x", -0.5); // pixel centres are whole numbers
    image.setAttribute("y", -0.5);
    image.setAttribute("width", width);
    image.setAttribute("height", height);
    showInspected();
  };
  const probe = new Image(); // an SVG image does not tell its size
  probe.addEventListener("load", () => {
    if (viewer.row !== row) return;
    const [width, height] = picture.plain && row.size[0] ? row.size : [probe.naturalWidth, probe.naturalHeight];
    place(width, height);
    stage.dataset.picture = "loaded";
  });
  probe.addEventListener("error", () => viewer.row === row && fail());
  group.append(image);
  if (picture.plain) {
    shapes.append(...overlayShapes(row));
    group.append(shapes);
  }
  stage.replaceChildren(svg("svg", { width: "100%", height: "100%" }, group));
  stage.setAttribute("aria-label", `Picture of ${row.name}, ${plural(row.marks.length, "mark")}`);
  if (picture.plain && row.size[0]) place(...row.size);
  probe.src = picture.url;
  showOverlay();
  preload(neighbour(row, 1));
}

function preload(row) {
  const picture = row && pictureOf(row);
  if (picture) new Image().src = picture.url;
}

function showOverlay() {
  byId("overlay").setAttribute("aria-pressed", state.overlay === "1");
  viewer.shapes.style.display = state.overlay === "1" ? "" : "none";
}

function toggleOverlay() {
  if (byId("overlay").disabled) return;
  change({ overlay: state.overlay === "1" ? "0" : "1" });
  showOverlay();
}

function applyView() {
  viewer.group.setAttribute("transform", `translate(${viewer.x} ${viewer.y}) scale(${viewer.zoom})`);
  viewer.group.firstChild.style.imageRendering = viewer.zoom > 4 ? "pixelated" : "auto";
  rescaleLabels(viewer.shapes, viewer.zoom);
}

/** Show the part of the picture around (x, y) that is `width` by `height` px in size as large as it goes. */
function showPart(x, y, width, height) {
  const box = stage.getBoundingClientRect();
  if (!box.width || !box.height) return;
  viewer.zoom = Math.min(40, box.width / width, box.height / height);
  viewer.x = box.width / 2 - x * viewer.zoom;
  viewer.y = box.height / 2 - y * viewer.zoom;
  applyView();
}

const fitPicture = () => showPart((viewer.width - 1) / 2, (viewer.height - 1) / 2, viewer.width, viewer.height);

/** The inspected zones, or the whole picture where they fill most of it. */
function showInspected() {
  const { fiber, zones, files } = viewer.row;
  fitPicture();
  if (fiber === null || !files.includes("_face.jpg")) return;
  const whole = viewer.zoom;
  const reach = Math.max(claddingRadius(viewer.row), ...zones.filter((zone) => zone[2]).map((zone) => zone[1]));
  showPart(fiber[0], fiber[1], 2.06 * reach, 2.06 * reach);
  if (viewer.zoom < whole) fitPicture();
}

function fitFiber() {
  const { fiber, files } = viewer.row;
  if (fiber === null || !files.includes("_face.jpg")) return fitPicture();
  showPart(fiber[0], fiber[1], 1.08 * fiber[2], 1.08 * fiber[2]);
}

/** Zoom by a factor about a point of the stage, its middle unless told. */
function zoomBy(factor, at = null) {
  if (!viewer.group || stage.dataset.picture === "none") return;
  const box = stage.getBoundingClientRect();
  const [x, y] = at || [box.width / 2, box.height / 2];
  const zoom = Math.min(60, Math.max(0.05, viewer.zoom * factor));
  viewer.x = x - ((x - viewer.x) * zoom) / viewer.zoom;
  viewer.y = y - ((y - viewer.y) * zoom) / viewer.zoom;
  viewer.zoom = zoom;
  applyView();
}

function makeStage() {
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = stage.getBoundingClientRect();
    zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), [event.clientX - box.left, event.clientY - box.top]);
  }, { passive: false });
  let dragged = null;
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    dragged = { x: event.clientX - viewer.x, y: event.clientY - viewer.y, from: [event.clientX, event.clientY] };
  });
  stage.addEventListener("pointermove", (event) => {
    if (!dragged || !(event.buttons & 1) || !viewer.group) return;
    if (!stage.hasPointerCapture(event.pointerId) && Math.hypot(event.clientX - dragged.from[0], event.clientY - dragged.from[1]) < 4) return;
    stage.setPointerCapture(event.pointerId); // only now, so that a click still reaches a mark
    viewer.x = event.clientX - dragged.x;
    viewer.y = event.clientY - dragged.y;
    applyView();
  });
  stage.addEventListener("pointerup", () => (dragged = null));
  stage.addEventListener("dblclick", fitFiber);
  const numberOf = (event) => event.target.closest?.(".mark")?.dataset.number;
  stage.addEventListener("click", (event) => numberOf(event) && chooseMark(Number(numberOf(event)), false));
  stage.addEventListener("pointerover", (event) => pointAt(numberOf(event)));
  stage.addEventListener("pointerleave", () => pointAt(undefined));
  new ResizeObserver(() => viewer.row && stage.dataset.picture === "loaded" && showInspected()).observe(stage);
}

// --- verdict and marks -----------------------------------------------------------------------------------------------

function drawPanel(row) {
  const list = (title, items, className) => (items.length ? [el("h3", { textContent: title }), el("ul", { className }, ...items.map((text) => el("li", { textContent: text })))] : []);
  const facts = [
    ["Serial number", row.serial], ["Port", row.port], ["Rule set", row.ruleSet],
    ["Scale", row.fiber === null ? "" : row.scale === null ? "none: sizes in pixels" : `${row.scale.toPrecision(4)} µm per px (${row.scaleSource})`],
    ["Focus score", row.focus === null ? "" : row.focus.toFixed(2)], ["Inspected", row.at.replace("T", " ")],
    ["Operator", row.operator], ["Profile", row.profile], ["Quality network", row.quality],
    ["Model", row.model],
    ["On the optics", row.onOptics ? `${plural(row.onOptics, "mark")}, neither counted nor judged` : ""],
    ["Image", row.size[0] ? `${row.size[0]} × ${row.size[1]} px` : ""],
  ].filter((item) => item[1]);
  const files = row.files.map((ending) => el("a", { href: fileUrl(row, ending), target: "_blank", rel: "noopener", textContent: ending.slice(1) }));
  byId("panel").replaceChildren(
    ...(row.marginal ? [el("p", { className: "flag", textContent: "± Marginal: the verdict would turn within the uncertainty of a size." })] : []),
    ...list("Reasons", row.reasons, "reasons"), ...list("Warnings", row.warnings, "warnings"),
    ...list("Rules and networks", row.disagreements, "warnings"),
    el("h3", { textContent: row.inspected ? plural(row.marks.length, "mark") : "Marks" }),
    ...(row.marks.length ? [markTable(row)] : [el("p", { className: "note", textContent: row.inspected ? "None." : "Not inspected." })]),
    el("h3", { textContent: "Image" }), el("dl", { className: "facts" }, ...facts.flatMap(([name, value]) => [el("dt", { textContent: name }), el("dd", { textContent: value })])),
    ...(files.length ? [el("h3", { textContent: "Files" }), el("p", { className: "files" }, ...files)] : []));
}

function markTable(row) {
  const head = ["", "Mark", "Class", "Zone", `Size, ${row.unit}`, "Contrast"].map((textContent) => el("th", { scope: "col", textContent }));
  const lines = row.marks.map((mark, number) => {
    const shown = isLong(mark) ? `${size(mark.length, "").trim()} × ${size(mark.width, "").trim()}` : `⌀ ${size(mark.diameter, "").trim()}`;
    const cells = [mark.id + (mark.marginal ? " ±" : ""), DATA.classes[mark.kind], DATA.zones[mark.zone], shown, mark.contrast === null ? "" : mark.contrast.toFixed(0)];
    const line = el("tr", { tabIndex: 0, "data-number": number, className: mark.violates.length ? "violates" : "" },
      el("td", {}, signIcon(mark.kind)), ...cells.map((textContent) => el("td", { textContent })));
    if (mark.network) line.children[2].append(el("div", { className: "faint", textContent: `network: ${mark.network}` }));
    if (mark.violates.length) line.children[2].append(el("small", { textContent: `✕ ${mark.violates.join("; ")}` }));
    line.addEventListener("click", () => chooseMark(number, true));
    line.addEventListener("focus", () => line.matches(":focus-visible") && chooseMark(number, false));
    line.addEventListener("keydown", (event) => event.key === "Enter" && chooseMark(number, true));
    line.addEventListener("pointerenter", () => pointAt(number));
    line.addEventListener("pointerleave", () => pointAt(undefined));
    return line;
  });
  return el("table", { className: "marks" }, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...lines));
}

/** Light up the mark and the row of this number, and no others; `undefined` goes back to the chosen one. */
function pointAt(number) {
  const wanted = String(number ?? viewer.chosen ?? "");
  for (const item of byId("viewer").querySelectorAll("[data-number]")) item.classList.toggle("on", item.dataset.number === wanted);
}

function chooseMark(number, zooms) {
  const mark = viewer.row.marks[number];
  viewer.chosen = number;
  pointAt(undefined);
  byId("panel").querySelector(`tr[data-number="${number}"]`).scrollIntoView({ block: "nearest" });
  if (!zooms || mark.box.length !== 8 || !viewer.row.files.includes("_face.jpg")) return;
  const xs = [0, 2, 4, 6].map((place) => mark.box[place]), ys = [1, 3, 5, 7].map((place) => mark.box[place]);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const side = Math.max(3 * (right - left), 3 * (bottom - top), 0.2 * Math.min(viewer.width, viewer.height));
  showPart((left + right) / 2, (top + bottom) / 2, side, side);
}
