// Findings over the batch, before and after, keys, theme, paper; and the start.

const MOST_NAMES = 12;
const MOST_FACES = 50;

function imageLink(name) {
  const row = ROW_BY_NAME.get(name);
  if (!row) return el("span", { textContent: name });
  const link = el("button", { type: "button", className: "link", textContent: name });
  link.addEventListener("click", () => openViewer(row));
  return link;
}

function imageLinks(names, only) {
  const shown = names.slice(0, MOST_NAMES).flatMap((name, index) => (index ? [", ", imageLink(name)] : [imageLink(name)]));
  const all = el("button", { type: "button", className: "link", textContent: names.length > MOST_NAMES ? `and ${names.length - MOST_NAMES} more: show in the table` : "show in the table" });
  all.addEventListener("click", () => {
    change({ ...DEFAULTS, only, overlay: state.overlay });
    byId("images").scrollIntoView();
  });
  return [...shown, names.length > 1 ? " · " : "", names.length > 1 ? all : ""];
}

function spotMap(spots) {
  const row = ROW_BY_NAME.get(spots[0].images[0]);
  if (!row || !row.size[0]) return null;
  const [width, height] = row.size;
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "spots", role: "img", "aria-label": "Places of the spots in the picture" });
  for (const spot of spots) {
    picture.append(svg("circle", { cx: spot.x, cy: spot.y, r: Math.max(spot.diameter / 2, width / 60), fill: "none", stroke: themeColor("--fail"), "stroke-width": width / 120 }));
  }
  return picture;
}

function drawFindings() {
  const { optics, sameFaces } = DATA.findings;
  const items = [];
  for (const spot of optics) {
    const titleEnd = spot.sentence.indexOf(": ") + 2;
    items.push(el("li", {}, el("b", { textContent: spot.sentence.slice(0, titleEnd) }), `${spot.sentence.slice(titleEnd)} `, ...imageLinks(spot.images, "optics")));
  }
  for (const face of sameFaces) {
    const how = face.similarity === 1 ? "the same picture" : `similarity ${face.similarity.toFixed(2)}`;
    items.push(el("li", {}, el("b", { textContent: "One end face in several images: " }), `${how}. `, ...imageLinks(face.images, "copies")));
  }
  const listed = [
    ["marginal", "Marginal verdicts: ", (number) => `${plural(number, "verdict")} would turn within the uncertainty of a size; look again. `],
    ["blurred", "Out of focus: ", (number) => `${plural(number, "image")}; take ${number === 1 ? "it" : "them"} again. `],
  ];
  for (const [only, title, text] of listed) {
    const names = ROWS.filter(ONLY[only][1]).map((row) => row.name);
    if (names.length) items.push(el("li", {}, el("b", { textContent: title }), text(names.length), ...imageLinks(names, only)));
  }
  byId("findings").hidden = !items.length;
  const spots = optics.length ? spotMap(optics) : null;
  byId("findings").replaceChildren(...(spots ? [spots] : []), el("h2", { textContent: "For a second look" }), el("ul", {}, ...items));
}

// --- before and after -----------------------------------------------------------------------------------------------

const CHANGES = { removed: ["removed", "○"], stayed: ["stayed", "■"], new: ["new", "▲"] };

/** Marks by what became of them, in the later image's frame: earlier places are turned along. */
function changeMap(face, row) {
  const turn = ((face.turned || 0) * Math.PI) / 180;
  const placed = face.marks.map(({ change: kind, old: before, new: after }) => {
    if (after) return [kind, named(DATA.markFields, after)];
    const mark = named(DATA.markFields, before);
    return [kind, { ...mark, x: mark.x * Math.cos(turn) - mark.y * Math.sin(turn), y: mark.x * Math.sin(turn) + mark.y * Math.cos(turn) }];
  });
  const known = placed.filter(([, mark]) => mark.x !== null && mark.y !== null);
  const cladding = row && row.fiber ? claddingRadius(row) * (row.scale ?? 1) : 0;
  const limit = 1.08 * known.reduce((most, [, mark]) => Math.max(most, Math.hypot(mark.x, mark.y)), cladding || 1);
  const picture = svg("svg", { viewBox: "-100 -100 200 200", class: "faces", role: "img", "aria-label": "Marks by what became of them" });
  if (cladding) picture.append(svg("circle", { r: (100 * cladding) / limit, fill: "none", stroke: themeColor("--faint") }));
  const shapes = {
    removed: { d: SIGNS[1](4.5), fill: "none", stroke: themeColor("--pass"), "stroke-width": 1.6 },
    stayed: { d: SIGNS[2](4), fill: themeColor("--fail") },
    new: { d: SIGNS[3](5), fill: themeColor("--class-4") },
  };
  for (const [kind, mark] of known) {
    const shape = svg("path", { ...shapes[kind], transform: `translate(${round((100 * mark.x) / limit)} ${round((-100 * mark.y) / limit)})` });
    const title = svg("title");
    title.textContent = `${mark.id}: ${DATA.classes[mark.kind]}, ${CHANGES[kind][0]}`;
    shape.append(title);
    picture.append(shape);
  }
  return picture;
}

function faceEntry(face) {
  const row = ROW_BY_NAME.get(face.newImage);
  const counts = Object.entries(CHANGES).map(([kind, [word, sign]]) => `${sign} ${face.marks.filter((mark) => mark.change === kind).length} ${word}`).join(", ");
  return el("div", { className: "face" }, row ? thumbnail(row, 128, 128) : el("span"),
    el("div", {}, el("h3", { textContent: face.key }), el("p", {}, badge(face.oldStatus), " → ", badge(face.newStatus)),
      el("p", { textContent: face.problem || counts }), el("p", { className: "note" }, `Before: ${face.oldImage}. After: `, imageLink(face.newImage))),
    face.problem ? null : changeMap(face, row));
}

function drawComparison(number = MOST_FACES) {
  const comparison = DATA.comparison;
  byId("comparison").hidden = !comparison;
  if (!comparison) return;
  const { faces, onlyOld, onlyNew, oldFolder } = comparison;
  const left = faces.length - number;
  const more = el("button", { type: "button", textContent: `Show ${Math.min(left, MOST_FACES)} more` });
  more.addEventListener("click", () => drawComparison(number + MOST_FACES));
  const alone = [["Only before", onlyOld], ["Only now", onlyNew]].filter((item) => item[1].length);
  const total = (kind) => faces.reduce((sum, face) => sum + face.marks.filter((mark) => mark.change === kind).length, 0);
  byId("comparison").replaceChildren(
    el("h2", { textContent: "Before and after" }),
    el("p", { textContent: `${plural(faces.length, "end face")} compared with ${oldFolder}: of the marks ${total("removed")} were removed, ${total("stayed")} stayed, ${total("new")} are new.` }),
    el("p", { className: "note", textContent: "○ removed: it was contamination. ■ stayed: cleaning did not help. ▲ new." }),
    ...faces.slice(0, number).map(faceEntry), ...(left > 0 ? [more] : []),
    ...alone.map(([title, names]) => el("p", { className: "note", textContent: `${title}: ${names.slice(0, 100).join(", ")}${names.length > 100 ? ` and ${names.length - 100} more` : ""}.` })));
}

// --- theme, paper, keys ---------------------------------------------------------------------------------------------

const STORED_THEME = "d-scope-blink-theme";

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  drawCharts();
  drawFindings();
  drawComparison();
}

function storedTheme() {
  try {
    return localStorage.getItem(STORED_THEME);
  } catch {
    return null; // some browsers keep nothing for pages that are files
  }
}

function makeTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const preferred = () => storedTheme() || (system.matches ? "dark" : "light");
  system.addEventListener("change", () => setTheme(preferred()));
  byId("theme").addEventListener("click", () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    try {
      localStorage.setItem(STORED_THEME, theme);
    } catch {
      // it holds for this visit
    }
    setTheme(theme);
  });
  window.addEventListener("beforeprint", () => {
    byId("charts").open = true;
    setTheme("light");
    drawTable(true);
  });
  window.addEventListener("afterprint", () => {
    setTheme(preferred());
    drawTable();
  });
  document.documentElement.dataset.theme = preferred();
}

const VIEWER_KEYS = {
  ArrowRight: () => go(1), ArrowLeft: () => go(-1), f: () => go(1, isFailure), o: toggleOverlay,
  "+": () => zoomBy(1.3), "=": () => zoomBy(1.3), "-": () => zoomBy(1 / 1.3), 0: fitPicture,
};

function moveFocus(step, test) {
  const row = neighbour(focusedRow(), step, test);
  if (row) focusRow(row);
}

const TABLE_KEYS = {
  ArrowDown: () => moveFocus(1), ArrowUp: () => moveFocus(-1), ArrowRight: () => moveFocus(1), ArrowLeft: () => moveFocus(-1),
  f: () => moveFocus(1, isFailure), "/": () => byId("search").focus(),
};

function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const tag = event.target.tagName;
  if (tag === "SELECT" || (tag === "INPUT" && event.key !== "Escape")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const isOpen = byId("viewer").open;
  if (isOpen && event.target.closest?.("tr[data-number]") && ["ArrowDown", "ArrowUp"].includes(key)) {
    const line = event.target.closest("tr");
    (key === "ArrowDown" ? line.nextElementSibling : line.previousElementSibling)?.focus();
    event.preventDefault();
    return;
  }
  const action = (isOpen ? VIEWER_KEYS : TABLE_KEYS)[key];
  if (!action) return;
  event.preventDefault();
  action();
}

function makeViewer() {
  const actions = {
    previous: () => go(-1), next: () => go(1), "next-failure": () => go(1, isFailure), overlay: toggleOverlay,
    "zoom-in": () => zoomBy(1.3), "zoom-out": () => zoomBy(1 / 1.3), fit: fitPicture, close: () => byId("viewer").close(),
  };
  for (const [id, action] of Object.entries(actions)) byId(id).addEventListener("click", action);
  byId("viewer").addEventListener("close", closeViewer);
  makeStage();
}

/** Show what the address says. */
function start() {
  readAddress();
  selectRows();
  drawTable();
  drawChartsSoon();
  const row = state.open === "" ? undefined : ROWS[Number(state.open)];
  if (row) openViewer(row);
  else if (byId("viewer").open) byId("viewer").close();
}

/** The name of the folder that the page lies in; its bytes may be no Unicode. */
function nameBatch() {
  const part = location.pathname.split("/").at(-2) || "";
  let folder = part;
  try {
    folder = decodeURIComponent(part);
  } catch {
    // as the address has it
  }
  byId("folder").textContent = folder;
  if (folder) document.title = `${folder}: inspection report`;
}

nameBatch();
makeTheme();
makeFilters();
makeViewer();
makeMap();
drawFindings();
drawComparison();
byId("charts").addEventListener("toggle", drawCharts);
document.addEventListener("keydown", onKey);
window.addEventListener("hashchange", start);
start();
