// Which images are shown, in which order, and what of that the address keeps.

const DEFAULTS = {
  q: "", status: "", kind: "", zone: "", reason: "", only: "",
  sort: "name", down: "", page: "1", rows: "50", open: "", overlay: "1",
};
const state = { ...DEFAULTS };

const ONLY = {
  marginal: ["marginal verdict", (row) => row.marginal],
  "marginal-mark": ["marginal mark", (row) => row.marks.some((mark) => mark.marginal)],
  blurred: ["out of focus", (row) => row.blurred],
  warning: ["with warning", (row) => row.warnings.length > 0],
  disputed: ["networks disagree", (row) => row.disagreements.length > 0],
  copies: ["same face twice", (row) => SAME_FACE_NAMES.has(row.name)],
  optics: ["optics dirt", (row) => OPTICS_NAMES.has(row.name)],
};
const SAME_FACE_NAMES = new Set(DATA.findings.sameFaces.flatMap((face) => face.images));
const OPTICS_NAMES = new Set(DATA.findings.optics.flatMap((spot) => spot.images));

const NAME_ORDER = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
const countOf = (row, test) => (row.inspected ? row.marks.filter(test).length : -1);

/** What rows are sorted by; numbers and texts, undefined ones first. The rows themselves come in natural order. */
const SORT_KEYS = {
  name: (row) => row.index,
  serial: (row) => row.serial,
  port: (row) => row.port,
  status: (row) => DATA.statuses.indexOf(row.status),
  marks: (row) => countOf(row, () => true),
  focus: (row) => row.focus ?? -1,
  at: (row) => row.at,
  reasons: (row) => row.reasons.join("; "),
  warnings: (row) => row.warnings.join("; "),
  ...Object.fromEntries(DATA.classes.map((_, kind) => [`class${kind}`, (row) => countOf(row, (m) => m.kind === kind)])),
  ...Object.fromEntries(DATA.zones.map((_, zone) => [`zone${zone}`, (row) => countOf(row, (m) => m.zone === zone)])),
};

/** Whether a mark is of the class and zone that are asked for. */
function markWanted(mark) {
  return (state.kind === "" || mark.kind === Number(state.kind)) && (state.zone === "" || mark.zone === Number(state.zone));
}

function rowWanted(row, words) {
  return (
    (state.status === "" || row.status === state.status) &&
    (state.reason === "" || row.reasons.includes(state.reason)) &&
    (!(state.only in ONLY) || ONLY[state.only][1](row)) &&
    ((state.kind === "" && state.zone === "") || row.marks.some(markWanted)) &&
    words.every((word) => row.searched.includes(word))
  );
}

let shownRows = ROWS;

function selectRows() {
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = ROWS.filter((row) => rowWanted(row, words));
  const key = SORT_KEYS[state.sort] || SORT_KEYS.name;
  const keyed = rows.map((row) => ({ row, key: key(row) }));
  const compare = (a, b) => (typeof a === "number" ? a - b : NAME_ORDER.compare(a, b));
  const direction = state.down ? -1 : 1;
  keyed.sort((a, b) => direction * compare(a.key, b.key) || a.row.index - b.row.index);
  shownRows = keyed.map((item) => item.row);
}

const rowsPerPage = () => Math.max(1, Number(state.rows) || 50);
const pageCount = () => Math.max(1, Math.ceil(shownRows.length / rowsPerPage()));
const currentPage = () => Math.min(Math.max(1, Math.trunc(Number(state.page)) || 1), pageCount());

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const [name, value] of Object.entries(DEFAULTS)) state[name] = given.get(name) ?? value;
}

function writeAddress() {
  const changed = Object.entries(state).filter(([name, value]) => value !== DEFAULTS[name]);
  const hash = new URLSearchParams(changed).toString();
  if (location.hash.slice(1) !== hash) history.replaceState(null, "", `#${hash}`);
}

/** Change what is shown. A changed filter or order begins at the first page again. */
function change(values) {
  const keepsPage = Object.keys(values).every((name) => ["page", "open", "overlay"].includes(name));
  Object.assign(state, keepsPage ? {} : { page: "1" }, values);
  writeAddress();
  if (Object.keys(values).every((name) => ["open", "overlay"].includes(name))) return;
  if (!keepsPage) selectRows();
  drawTable();
  if (!keepsPage) drawChartsSoon();
}
