"use strict";
// The data of the page, and what all other parts share. Text from the batch reaches the page by textContent only.

const DATA = JSON.parse(document.getElementById("data").textContent);
const STATUS_SIGNS = { PASS: "✓", FAIL: "✕", UNGRADED: "?", "Localization Failed": "!", Unreadable: "–" };
const DASHES = ["", "2 3", "7 3", "9 3 2 3", "16 4"]; // outlines of the classes, in their order

const texts = (numbers) => numbers.map((number) => DATA.texts[number]);

function named(fields, values) {
  const result = {};
  for (let index = 0; index < fields.length; index++) result[fields[index]] = values[index];
  return result;
}

function toMark(values, row) {
  const mark = named(DATA.markFields, values);
  mark.violates = texts(mark.violates);
  mark.row = row;
  return mark;
}

function toRow(values, index) {
  const row = named(DATA.rowFields, values);
  row.index = index;
  row.status = DATA.statuses[row.status];
  for (const field of ["reasons", "warnings", "files", "disagreements"]) row[field] = texts(row[field]);
  for (const field of ["scaleSource", "ruleSet", "profile", "operator"]) row[field] = DATA.texts[row[field]];
  row.unit = row.scale === null ? "px" : "µm";
  row.inspected = row.status !== "Unreadable" && row.status !== "Localization Failed";
  row.marks = row.marks.map((mark) => toMark(mark, row));
  row.searched = [row.name, row.serial, row.port, row.status, ...row.reasons, ...row.warnings, ...row.disagreements].join("\n").toLowerCase();
  return row;
}

const ROWS = DATA.rows.map(toRow);
const ROW_BY_NAME = new Map(ROWS.map((row) => [row.name, row]));
DATA.rows = null;

/** Radius of the circle that has the area of the cladding, in px of the fibre frame. */
const claddingRadius = (row) => 0.5 * Math.sqrt(row.fiber[2] * row.fiber[3]);

/** Scratches and cracks are known by their length, everything else by its enclosing circle, as in the labels. */
const isLong = (mark) => ["Scratch", "Crack"].includes(DATA.classes[mark.kind]);
const mainSize = (mark) => (isLong(mark) ? mark.length : mark.diameter);

const size = (value, unit) => (value === null ? "–" : `${value.toFixed(1)} ${unit}`);
const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

/** Address of a file of an image. Half of a surrogate pair in a name stands for a byte that is no Unicode. */
function fileUrl(row, ending) {
  const encoded = Array.from(row.stem + ending, (character) => {
    const code = character.codePointAt(0);
    if (code >= 0xdc80 && code <= 0xdcff) return `%${(code & 0xff).toString(16)}`;
    return code >= 0xd800 && code <= 0xdfff ? "%EF%BF%BD" : encodeURIComponent(character);
  });
  return `details/${encoded.join("")}`;
}

/** The plain picture, else the annotated one, else null. */
function pictureOf(row) {
  const ending = ["_face.jpg", "_annotated.png"].find((name) => row.files.includes(name));
  return ending ? { url: fileUrl(row, ending), plain: ending === "_face.jpg" } : null;
}

/** Make an element. Properties are set as they are, "data-", "aria-" and other names with a dash as attributes. */
function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const byId = (id) => document.getElementById(id);

function badge(status) {
  const sign = STATUS_SIGNS[status] || "";
  const name = status.toLowerCase().replaceAll(" ", "-");
  return el("span", { className: `badge ${name}` }, el("i", { "aria-hidden": "true", textContent: sign }), status);
}

const themeColor = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Path data of the sign of a class about (0, 0): stroke, circle, square, triangle, cross. */
const SIGNS = [
  (r) => `M${-r},${r}L${r},${-r}`,
  (r) => `M${-r},0a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0Z`,
  (r) => `M${-r},${-r}H${r}V${r}H${-r}Z`,
  (r) => `M0,${-1.1 * r}L${1.1 * r},${0.9 * r}H${-1.1 * r}Z`,
  (r) => `M${-r},${-r}L${r},${r}M${-r},${r}L${r},${-r}`,
];

function signIcon(kind) {
  const path = svg("path", { d: SIGNS[kind](4), class: `sign kind-${kind}` });
  return svg("svg", { viewBox: "-7 -7 14 14", class: "icon", "aria-hidden": "true" }, path);
}
