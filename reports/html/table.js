// The table of images, its filters and pages.

const MOST_PRINTED = 2000;
const usedZones = DATA.zones.map((_, zone) => zone).filter((zone) =>
  ROWS.some((row) => row.zones.some((item) => item[0] === zone && item[2]) || row.marks.some((mark) => mark.zone === zone)));

const count = (number) => el("td", { className: number > 0 ? "number" : "number zero", textContent: number < 0 ? "" : number });
const textList = (items, className) => el("td", { className }, ...items.map((item) => el("div", { textContent: item })));

/** Columns: key to sort by, title, long title, cell. */
const COLUMNS = [
  ["name", "Image", "Image", nameCell],
  ...(ROWS.some((row) => row.serial) ? [["serial", "Serial", "Serial number", (row) => el("td", { textContent: row.serial })]] : []),
  ...(ROWS.some((row) => row.port) ? [["port", "Port", "Port", (row) => el("td", { textContent: row.port })]] : []),
  ["status", "Status", "Status", statusCell],
  ["reasons", "Reasons", "Reasons", (row) => textList(row.reasons, "words")],
  ["warnings", "Warnings", "Warnings", (row) => textList(row.warnings, "words faint")],
  ["marks", "Marks", "Number of marks", (row) => count(SORT_KEYS.marks(row))],
  ...DATA.classes.map((name, kind) => [`class${kind}`, DATA.letters[kind], name, (row) => count(SORT_KEYS[`class${kind}`](row))]),
  ...usedZones.map((zone) => [`zone${zone}`, DATA.zones[zone], DATA.zones[zone], (row) => count(SORT_KEYS[`zone${zone}`](row))]),
  ["focus", "Focus", "Focus score", (row) => el("td", { className: "number", textContent: row.focus === null ? "" : row.focus.toFixed(2) })],
];

function nameCell(row) {
  return el("td", { className: "name" }, el("span", { textContent: row.name, title: row.name }), el("small", { textContent: row.at.slice(0, 16).replace("T", " ") }));
}

function statusCell(row) {
  const marginal = row.marginal ? el("span", { className: "flag", title: "The verdict would turn within the uncertainty of a size", textContent: "± marginal" }) : null;
  return el("td", {}, badge(row.status), marginal);
}

/** A button with a small picture, of the fibre where its place is known, that opens the image. */
function thumbnail(row, width, height) {
  const picture = pictureOf(row);
  const image = picture && el("img", { loading: "lazy", decoding: "async", alt: "", src: picture.url });
  if (picture && picture.plain && row.fiber !== null) {
    const [x, y, major] = row.fiber;
    const scale = Math.max(width / row.size[0], height / row.size[1], Math.min(width, height) / (1.2 * major));
    const shift = (place, side, whole) => Math.min(0, Math.max(side - whole * scale, side / 2 - (place + 0.5) * scale));
    Object.assign(image.style, {
      position: "absolute", width: `${row.size[0] * scale}px`, height: `${row.size[1] * scale}px`,
      left: `${shift(x, width, row.size[0])}px`, top: `${shift(y, height, row.size[1])}px`,
    });
  }
  const button = el("button", { type: "button", className: "thumb", "aria-label": `Open ${row.name}` },
    image || el("span", { className: "no-picture", textContent: "no picture" }));
  Object.assign(button.style, { width: `${width}px`, height: `${height}px` });
  button.addEventListener("click", () => openViewer(row));
  return button;
}

function tableRow(row) {
  const line = el("tr", { "data-index": row.index }, el("td", { className: "picture" }, thumbnail(row, 76, 60)), ...COLUMNS.map((column) => column[3](row)));
  line.addEventListener("dblclick", () => openViewer(row));
  return line;
}

function drawHead() {
  const cells = COLUMNS.map(([key, title, long]) => {
    const isSorted = state.sort === key;
    const arrow = el("i", { "aria-hidden": "true", textContent: isSorted ? (state.down ? "▾" : "▴") : "" });
    const button = el("button", { type: "button", title: `Sort by: ${long}`, "aria-label": `Sort by ${long}` },
      ...(key.startsWith("class") ? [signIcon(Number(key.slice(5))), " "] : []), title, arrow);
    button.addEventListener("click", () => {
      change({ sort: key, down: isSorted ? (state.down ? "" : "1") : /^(marks|class|zone)/.test(key) ? "1" : "" });
      byId("images").querySelector(`th[data-key="${key}"] button`).focus();
    });
    const sorted = isSorted ? (state.down ? "descending" : "ascending") : "none";
    return el("th", { scope: "col", "aria-sort": sorted, "data-key": key }, button);
  });
  byId("images").tHead.replaceChildren(el("tr", {}, el("th", { scope: "col" }, el("span", { className: "sr", textContent: "Picture" })), ...cells));
}

/** Draw the rows of the current page, or all of them for paper. */
function drawTable(forPaper = false) {
  const first = (currentPage() - 1) * rowsPerPage();
  const rows = forPaper ? shownRows.slice(0, MOST_PRINTED) : shownRows.slice(first, first + rowsPerPage());
  drawHead();
  byId("images").tBodies[0].replaceChildren(...rows.map(tableRow));
  byId("nothing").hidden = shownRows.length > 0;
  byId("shown").textContent = shownRows.length === ROWS.length ? plural(ROWS.length, "image") : `${shownRows.length.toLocaleString("en")} of ${plural(ROWS.length, "image")}`;
  drawPager(forPaper);
  drawFilters();
}

function drawPager(forPaper) {
  const page = currentPage(), last = pageCount();
  if (forPaper) {
    const left = shownRows.length - MOST_PRINTED;
    byId("pager").replaceChildren(...(left > 0 ? [`${plural(left, "more image")}: filter the table to print them.`] : []));
    return;
  }
  const go = (label, name, target) => {
    const button = el("button", { type: "button", className: "quiet", textContent: label, "aria-label": name, disabled: target < 1 || target > last || target === page });
    button.addEventListener("click", () => {
      change({ page: String(target) });
      byId("images").scrollIntoView();
    });
    return button;
  };
  const sizes = el("select", { "aria-label": "Images per page" }, ...["25", "50", "100", "250"].map((value) => el("option", { value, textContent: `${value} per page`, selected: value === state.rows })));
  sizes.addEventListener("change", () => change({ rows: sizes.value }));
  byId("pager").replaceChildren(
    go("«", "First page", last > 1 ? 1 : 0), go("‹", "Previous page", page - 1), el("span", { textContent: `Page ${page} of ${last}` }),
    go("›", "Next page", page + 1), go("»", "Last page", last), sizes);
}

function options(select, choices, value) {
  select.replaceChildren(...choices.map(([key, text]) => el("option", { value: key, textContent: text })));
  select.value = value;
}

function drawFilters() {
  const search = byId("search");
  if (search.value !== state.q) search.value = state.q;
  byId("class-filter").value = state.kind;
  byId("zone-filter").value = state.zone;
  byId("reason-filter").value = state.reason;
  byId("only-filter").value = state.only;
  for (const chip of byId("status-filter").children) chip.setAttribute("aria-pressed", chip.dataset.status === state.status);
}

function countedReasons(rows) {
  const counts = new Map();
  for (const row of rows) for (const reason of new Set(row.reasons)) counts.set(reason, (counts.get(reason) || 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || NAME_ORDER.compare(a[0], b[0]));
}

function makeFilters() {
  options(byId("class-filter"), [["", "all"], ...DATA.classes.map((name, kind) => [String(kind), name])], state.kind);
  options(byId("zone-filter"), [["", "all"], ...usedZones.map((zone) => [String(zone), DATA.zones[zone]])], state.zone);
  options(byId("reason-filter"), [["", "all"], ...countedReasons(ROWS).map(([text, number]) => [text, `${text} (${number})`])], state.reason);
  const only = Object.entries(ONLY).map(([key, [text, test]]) => [key, text, ROWS.filter(test).length]);
  options(byId("only-filter"), [["", "everything"], ...only.filter((item) => item[2]).map(([key, text, number]) => [key, `${text} (${number})`])], state.only);
  const chips = DATA.statuses.map((status) => [status, ROWS.filter((row) => row.status === status).length]).filter((item) => item[1]);
  byId("status-filter").replaceChildren(...chips.map(([status, number]) => {
    const chip = el("button", { type: "button", "data-status": status, "aria-pressed": "false" }, badge(status), el("b", { textContent: number.toLocaleString("en") }));
    chip.addEventListener("click", () => change({ status: state.status === status ? "" : status }));
    return chip;
  }));
  for (const [id, name] of [["class-filter", "kind"], ["zone-filter", "zone"], ["reason-filter", "reason"], ["only-filter", "only"]]) {
    byId(id).addEventListener("change", (event) => change({ [name]: event.target.value }));
  }
  byId("search").addEventListener("input", (event) => change({ q: event.target.value }));
  byId("reset").addEventListener("click", () => change({ ...DEFAULTS, sort: state.sort, down: state.down, rows: state.rows, overlay: state.overlay }));
}

/** Put the focus on the picture of an image, on whichever page it is. */
function focusRow(row) {
  const place = shownRows.indexOf(row);
  if (place < 0) return;
  const page = 1 + Math.floor(place / rowsPerPage());
  if (page !== currentPage()) change({ page: String(page) });
  const button = byId("images").querySelector(`tr[data-index="${row.index}"] .thumb`);
  button.focus({ preventScroll: true });
  button.scrollIntoView({ block: "nearest" });
}

function focusedRow() {
  const line = document.activeElement.closest("tr[data-index]");
  return line ? ROWS[Number(line.dataset.index)] : null;
}
