// Charts of the images shown: reasons, sizes, course of the batch. The map of the marks is in map.js.

const MOST_REASONS = 8;
const WIDTH = 320;
const round = (value) => Math.round(value * 10) / 10;

function drawCharts() {
  if (!byId("charts").open) return;
  const marks = shownRows.flatMap((row) => row.marks.filter(markWanted));
  drawPareto();
  drawMap(marks);
  drawSizes(marks);
  drawTrend();
}

let chartsWait = 0;

/** After the table, and once for several letters of a search: 50,000 marks take a moment. */
function drawChartsSoon() {
  clearTimeout(chartsWait);
  chartsWait = setTimeout(drawCharts, 60);
}

const nothing = (text) => el("p", { className: "note", textContent: text });

function chartText(x, y, content, anchor = "start") {
  const text = svg("text", { x, y, "text-anchor": anchor });
  text.textContent = content;
  return text;
}

// --- reasons --------------------------------------------------------------------------------------------------------

function drawPareto() {
  const counted = countedReasons(shownRows);
  if (!counted.length) return byId("pareto").replaceChildren(nothing("No image shown has a reason to fail."));
  const withReason = shownRows.filter((row) => row.reasons.length).length;
  const most = counted[0][1];
  const bars = counted.slice(0, MOST_REASONS).map(([reason, number]) => {
    const share = `${Math.round((100 * number) / withReason)} %`;
    const track = el("i");
    track.style.width = `${(100 * number) / most}%`;
    const isChosen = state.reason === reason;
    const button = el("button", { type: "button", title: reason, "aria-pressed": isChosen, "aria-label": `${reason}: ${plural(number, "image")}` },
      el("span", { textContent: reason }), el("b", { textContent: `${number.toLocaleString("en")} · ${share}` }), el("div", { className: "track" }, track));
    button.addEventListener("click", () => change({ reason: isChosen ? "" : reason }));
    return button;
  });
  const left = counted.length - bars.length;
  byId("pareto").replaceChildren(el("div", { className: "bars" }, ...bars),
    nothing(`${left > 0 ? `${plural(left, "other reason")}. ` : ""}Shares of the ${plural(withReason, "image")} with reasons; an image may have several.`));
}

// --- sizes ----------------------------------------------------------------------------------------------------------

const BINS_PER_DECADE = 6;

/** One row of bars for each class, on one logarithmic axis. */
function drawSizes(marks) {
  const isMicron = marks.some((mark) => mark.row.scale !== null);
  const usable = marks.filter((mark) => (mark.row.scale !== null) === isMicron && mainSize(mark) > 0);
  const left = marks.length - usable.length;
  byId("sizes-title").textContent = `Sizes: length of scratches and cracks, diameter of the others, ${isMicron ? "µm" : "px"}`;
  if (!usable.length) return byId("sizes").replaceChildren(nothing("There are no marks to show."));
  const binOf = (mark) => Math.floor(Math.log10(mainSize(mark)) * BINS_PER_DECADE);
  const bins = usable.map(binOf);
  const first = bins.reduce((a, b) => Math.min(a, b)) - 1, last = bins.reduce((a, b) => Math.max(a, b)) + 2;
  const kinds = DATA.classes.map((_, kind) => kind).filter((kind) => usable.some((mark) => mark.kind === kind));
  const counts = new Map(kinds.map((kind) => [kind, new Array(last - first).fill(0)]));
  usable.forEach((mark, place) => counts.get(mark.kind)[bins[place] - first]++);
  const band = Math.min(64, Math.max(38, 200 / kinds.length)), step = WIDTH / (last - first);
  const height = band * kinds.length + 18;
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": `Histogram of the sizes of ${plural(usable.length, "mark")}` });
  for (let decade = Math.ceil(first / BINS_PER_DECADE); decade * BINS_PER_DECADE <= last; decade++) {
    for (const [digit, isMain] of [[1, true], [2, false], [5, false]]) {
      const x = (Math.log10(digit * 10 ** decade) * BINS_PER_DECADE - first) * step;
      if (x < 0 || x > WIDTH) continue;
      picture.append(svg("path", { class: "axis", d: `M${round(x)},0V${height - 16}`, "stroke-opacity": isMain ? 1 : 0.5 }));
      const anchor = x > WIDTH - 20 ? "end" : x < 20 ? "start" : "middle";
      picture.append(chartText(x, height - 4, String(Number((digit * 10 ** decade).toPrecision(1))), anchor));
    }
  }
  kinds.forEach((kind, place) => {
    const numbers = counts.get(kind), most = Math.max(...numbers), base = band * (place + 1) - 2;
    const bars = numbers.map((number, bin) => (number ? `M${round(bin * step + 0.5)},${base}v${-round((number / most) * (band - 17))}h${round(step - 1)}V${base}Z` : "")).join("");
    picture.append(svg("path", { d: `M0,${base}H${WIDTH}`, class: "axis" }), svg("path", { d: bars, class: `kind-${kind}`, fill: "currentColor" }));
    picture.append(chartText(0, band * place + 11, `${DATA.classes[kind]}: ${numbers.reduce((a, b) => a + b).toLocaleString("en")}, highest bar ${most.toLocaleString("en")}`));
  });
  byId("sizes").replaceChildren(picture, ...(left ? [nothing(`Without ${plural(left, "mark")} of images without a scale.`)] : []));
}

// --- course of the batch --------------------------------------------------------------------------------------------

const MOST_POINTS = 300;
const TREND_LEFT = 42;

/** Means over running windows of `width` items at up to MOST_POINTS places: [place 0..1, mean]; windows with no number are left out. */
function running(values, width) {
  const sums = [0], numbers = [0];
  for (const value of values) {
    sums.push(sums.at(-1) + (value ?? 0));
    numbers.push(numbers.at(-1) + (value === null ? 0 : 1));
  }
  const places = Math.min(MOST_POINTS, values.length);
  const points = [];
  for (let index = 0; index < places; index++) {
    const middle = places === 1 ? 0 : Math.round((index * (values.length - 1)) / (places - 1));
    const from = Math.max(0, middle - Math.floor(width / 2)), to = Math.min(values.length, from + width);
    const number = numbers[to] - numbers[from];
    if (number) points.push([values.length === 1 ? 0.5 : middle / (values.length - 1), (sums[to] - sums[from]) / number]);
  }
  return points;
}

const inspectedTime = (row) => Date.parse(row.at) || 0;

function drawTrend() {
  const rows = shownRows.map((row) => [inspectedTime(row), row.index, row]).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map((item) => item[2]);
  const judged = rows.filter((row) => row.status === "PASS" || row.status === "FAIL");
  const inspected = rows.filter((row) => row.inspected);
  if (!inspected.length) return byId("trend").replaceChildren(nothing("No image shown was inspected."));
  const width = Math.max(1, Math.min(200, Math.round(inspected.length / 10)));
  const marks = running(inspected.map((row) => row.marks.filter(markWanted).length), width);
  const top = Math.max(1, ...marks.map((point) => point[1]));
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} 226`, role: "img", "aria-label": "Yield and marks per image in the order of inspection" });
  curve(picture, 16, 72, running(judged.map((row) => (row.status === "PASS" ? 1 : 0)), width), 1, "Yield", ["100 %", "0 %"]);
  curve(picture, 122, 72, marks, top, "Marks per image", [top.toFixed(top < 10 ? 1 : 0), "0"]);
  const [start, end] = [rows[0], rows.at(-1)].map((row) => row.at.slice(0, 16).replace("T", " "));
  picture.append(chartText(TREND_LEFT, 222, start), chartText(WIDTH, 222, end === start ? "" : end, "end"));
  byId("trend").replaceChildren(picture, nothing(width > 1 ? `Means of ${width} images in a row.` : "Image by image."));
}

function curve(picture, y, height, points, top, title, [high, low]) {
  const left = TREND_LEFT, across = WIDTH - left - 4;
  const at = ([place, value]) => `${round(left + place * across)},${round(y + height * (1 - value / top))}`;
  picture.append(chartText(left, y - 5, title), chartText(left - 4, y + 8, high, "end"), chartText(left - 4, y + height, low, "end"));
  picture.append(svg("path", { class: "axis", d: `M${left},${y}V${y + height}H${WIDTH}M${left},${y}H${WIDTH}` }));
  if (points.length > 1) picture.append(svg("path", { class: "line", d: `M${points.map(at).join("L")}` }));
  if (points.length < 25) for (const point of points) {
    const [cx, cy] = at(point).split(",");
    picture.append(svg("circle", { cx, cy, r: 2.5, fill: themeColor("--accent") }));
  }
}
