// Zones and marks of one image as SVG in image coordinates, on the plain picture.

const PAD_SHARE = 0.004; // of the picture's longer side, so that an outline does not hide its mark

/** The corners of a rectangle, [x, y, ...], moved outwards by `pad` on every side. */
function paddedBox(box, pad) {
  const [ax, ay, bx, by, , , dx, dy] = box;
  const unit = (x, y, fallback) => (Math.hypot(x, y) > 0 ? [x / Math.hypot(x, y), y / Math.hypot(x, y)] : fallback);
  const u = unit(bx - ax, by - ay, [1, 0]), v = unit(dx - ax, dy - ay, [-u[1], u[0]]);
  const signs = [[-1, -1], [1, -1], [1, 1], [-1, 1]];
  return signs.map(([s, t], corner) => [0, 1].map((axis) => box[2 * corner + axis] + pad * (s * u[axis] + t * v[axis])));
}

function zoneShapes(row) {
  const [x, y, major, minor, angle] = row.fiber;
  return row.zones.flatMap(([zone, radius, inspected]) => {
    const share = radius / claddingRadius(row);
    const ring = svg("ellipse", {
      cx: x, cy: y, rx: 0.5 * major * share, ry: 0.5 * minor * share, transform: `rotate(${angle} ${x} ${y})`,
      class: inspected ? "zone" : "zone skipped",
    });
    const name = svg("text", { class: "zone-name", "text-anchor": "middle" });
    name.textContent = DATA.zones[zone];
    const reach = 0.25 * (major + minor) * share;
    return [ring, label(x - reach * Math.SQRT1_2, y - reach * Math.SQRT1_2, [name])];
  });
}

/** A group that keeps its size on the screen; `rescaleLabels` sees to that. */
function label(x, y, content) {
  return svg("g", { class: "label", "data-x": x, "data-y": y }, ...content);
}

function markShape(mark, number, row) {
  const corners = paddedBox(mark.box, PAD_SHARE * Math.max(...row.size));
  const points = corners.map((corner) => corner.map((value) => value.toFixed(1)).join(",")).join(" ");
  const outline = (className) => svg("polygon", { points, class: className, ...(DASHES[mark.kind] ? { "stroke-dasharray": DASHES[mark.kind] } : {}) });
  const [x, y] = row.fiber;
  const away = ([cornerX, cornerY]) => Math.hypot(cornerX - x, cornerY - y);
  const [labelX, labelY] = corners.reduce((best, corner) => (away(corner) > away(best) ? corner : best));
  const isLeft = labelX < x;
  const text = svg("text", { x: isLeft ? -17 : 17, y: 4, "text-anchor": isLeft ? "end" : "start" });
  text.textContent = mark.id + (mark.marginal ? " ±" : "");
  const sign = svg("path", { d: SIGNS[mark.kind](4.5), transform: `translate(${isLeft ? -8 : 8} 0)`, class: "sign" });
  const group = svg("g", { class: `mark kind-${mark.kind}${mark.violates.length ? " violates" : ""}`, "data-number": number },
    outline("halo"), outline("outline"), label(labelX, labelY, [sign, text]));
  const title = svg("title");
  title.textContent = `${mark.id}: ${DATA.classes[mark.kind]}, ${size(mainSize(mark), row.unit)}${mark.violates.length ? `. Violates: ${mark.violates.join("; ")}` : ""}`;
  group.prepend(title);
  return group;
}

/** The overlay of an image; empty where no fibre was found. */
function overlayShapes(row) {
  if (row.fiber === null) return [];
  return [...zoneShapes(row), ...row.marks.map((mark, number) => (mark.box.length === 8 ? markShape(mark, number, row) : "")).reverse()];
}

/** Keep the size of the labels on the screen; of labels that would cover each other only the first is shown. */
function rescaleLabels(group, zoom) {
  const taken = [];
  const labels = [...group.querySelectorAll(".mark .label")].reverse(); // the first mark is drawn last
  labels.sort((a, b) => b.parentNode.matches(".violates") - a.parentNode.matches(".violates"));
  for (const item of labels) {
    const side = item.lastChild.getAttribute("text-anchor") === "end" ? -1 : 1, width = 18 + 8 * item.textContent.length;
    const x = zoom * item.dataset.x + (side * width) / 2, y = zoom * item.dataset.y;
    const isCrowded = taken.some(([otherX, otherY, other]) => Math.abs(x - otherX) < (width + other) / 2 && Math.abs(y - otherY) < 14);
    item.classList.toggle("crowded", isCrowded);
    if (!isCrowded) taken.push([x, y, width]);
  }
  for (const item of group.querySelectorAll(".label")) {
    item.setAttribute("transform", `translate(${item.dataset.x} ${item.dataset.y}) scale(${1 / zoom})`);
  }
}
