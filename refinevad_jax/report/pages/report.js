"use strict";
const { videos, categories, metrics, curves, threshold } = DATA;
const [lowest, highest] = DATA.score_range;  // of the score axis of every video
let shown = [];       // indices of the videos that pass the filters, in order
let selected = null;  // index of the video drawn

function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

function categoryName(index) { return index < 0 ? "anomaly" : categories[index]; }

// ------------------------------------------------------------------------------------- list
function passes(video) {
  const name = byId("filter-name").value.trim().toLowerCase();
  const kind = byId("filter-class").value, outcome = byId("filter-outcome").value;
  if (name && !video.id.toLowerCase().includes(name)) return false;
  if (outcome && video.outcome !== outcome) return false;
  if (kind === "normal") return !video.categories.length;
  return kind === "" || video.categories.includes(Number(kind));
}

const ORDERS = {
  error: (a, b) => b.error - a.error,
  "-error": (a, b) => a.error - b.error,
  score: (a, b) => b.score - a.score,
  auc: (a, b) => (a.auc === null) - (b.auc === null) || a.auc - b.auc,
  id: (a, b) => (a.id < b.id ? -1 : 1),
  list: () => 0,
};

const entries = new Map();  // index to its list entry, made once

function item(index) {
  if (!entries.has(index)) entries.set(index, newItem(index));
  return entries.get(index);
}

function newItem(index) {
  const video = videos[index], entry = document.createElement("li");
  entry.id = `video-${index}`;
  entry.dataset.index = index;
  entry.setAttribute("role", "option");
  const name = document.createElement("b"), facts = document.createElement("small");
  name.textContent = video.id;
  name.title = video.id;
  for (const text of [video.label, video.outcome, `error ${video.error.toFixed(3)}`]) {
    facts.appendChild(document.createElement("span")).textContent = text;
  }
  entry.append(name, facts);
  return entry;
}

function fillList() {
  const order = ORDERS[byId("sort").value];
  shown = videos.map((_, index) => index).filter((index) => passes(videos[index]));
  shown.sort((a, b) => order(videos[a], videos[b]) || a - b);
  byId("list").replaceChildren(...shown.map(item));
  byId("count").textContent = `${shown.length} of ${videos.length} videos`;
  byId("none").hidden = shown.length > 0;
  byId("browser").hidden = !shown.length;
  if (shown.length) select(shown.includes(selected) ? selected : shown[0]);
}

function clearFilters() {
  for (const id of ["filter-name", "filter-class", "filter-outcome"]) byId(id).value = "";
  fillList();
  byId("list").focus();
}

function select(index) {
  const before = byId(`video-${selected}`), entry = byId(`video-${index}`);
  if (before) before.setAttribute("aria-selected", "false");
  if (entry) {
    entry.setAttribute("aria-selected", "true");
    reveal(entry);
    byId("list").setAttribute("aria-activedescendant", entry.id);
  }
  selected = index;
  drawSoon();
}

// Scrolls the list alone: scrollIntoView would move the page too.
function reveal(entry) {
  const list = byId("list"), inside = entry.getBoundingClientRect(), view = list.getBoundingClientRect();
  if (inside.top < view.top) list.scrollTop -= view.top - inside.top;
  else if (inside.bottom > view.bottom) list.scrollTop += inside.bottom - view.bottom;
}

// A key held down draws once a frame, not once a key.
let drawing = 0;
function drawSoon() {
  writeFacts();
  if (!drawing) drawing = requestAnimationFrame(() => { drawing = 0; drawVideo(); });
}

function step(offset) {
  if (!shown.length) return;
  const place = Math.min(Math.max(shown.indexOf(selected) + offset, 0), shown.length - 1);
  select(shown[place]);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = /INPUT|SELECT|TEXTAREA/.test(event.target.tagName);
  if (event.key === "/" && !typing) byId("filter-name").focus();
  else if (event.key === "Escape" && typing) byId("list").focus();
  else if (typing) return;
  else if (event.key === "j" || (event.key === "ArrowDown" && event.target.id === "list")) step(1);
  else if (event.key === "k" || (event.key === "ArrowUp" && event.target.id === "list")) step(-1);
  else if (event.key === "Home" && event.target.id === "list") step(-videos.length);
  else if (event.key === "End" && event.target.id === "list") step(videos.length);
  else return;
  event.preventDefault();
}

// --------------------------------------------------------------------------------- timeline
function writeFacts() {
  const video = videos[selected];
  byId("video-name").textContent = `${video.id} (${video.label})`;
  byId("verdict").textContent = video.verdict;
  const best = video.probs && categories.length > 1 ? video.probs.indexOf(Math.max(...video.probs)) : -1;
  byId("video-facts").replaceChildren(...[
    [`highest score ${precise(video.highest)}`], [` ${video.score.toFixed(3)}`, "video score"],
    video.auc !== null && [` ${video.auc.toFixed(3)}`, "own frame AUC"],
    best >= 0 && [`most probable category ${categories[best]}`],
    [`${video.frames.toLocaleString("en")} frames${video.fps ? `, ${(video.frames / video.fps).toFixed(1)} s` : ", frame rate not known"}`],
    video.spans === null && ["no frame truth"],
  ].filter(Boolean).flatMap(([text, name], i) => [i ? " · " : "", ...(name ? [termNode(name)] : []), text]));
}

function termNode(name) {
  const node = document.createElement("dfn");
  node.className = "term";
  node.tabIndex = 0;
  node.textContent = name;
  node.setAttribute("aria-describedby", `term-${name.replace(/ /g, "-")}`);
  return node;
}

// So many digits, or as many as it takes to tell a score from 0 and 1.
function precise(score, digits = 3) {
  while (digits < 9 && [0, 1].includes(Number(score.toFixed(digits))) && score !== Math.round(score)) digits += 1;
  return score.toFixed(digits);
}

const CLOSEST = 1e-6;  // to 0 and 1 that log-odds are drawn
const ODDS_TICKS = [1e-6, 1e-4, 0.01, 0.1, 0.5, 0.9, 0.99, 0.9999, 0.999999];

function odds(score) {
  const inside = Math.min(Math.max(score, CLOSEST), 1 - CLOSEST);
  return Math.log(inside / (1 - inside));
}

function scoreAxis() {
  if (byId("scale").value === "odds") {
    const end = 1.03 * odds(1);
    return { place: odds, low: -end, high: end, axis: { tickvals: ODDS_TICKS.map(odds), ticktext: ODDS_TICKS.map(String), title: { text: "score, log-odds" } } };
  }
  return { place: (score) => score, low: lowest, high: highest + 0.02 * (highest - lowest), axis: { title: { text: "score" } } };
}

function fillScale() {
  // Of scores that are no probabilities, log-odds are not defined.
  byId("scale-label").hidden = lowest < 0 || highest > 1;
  const unreadable = threshold !== null && (threshold < 0.02 || threshold > 0.98);
  if (!byId("scale-label").hidden && unreadable) byId("scale").value = "odds";
}

function drawVideo() {
  const video = videos[selected];
  if (!video) return;
  drawTimeline(video);
  drawDistribution(video);
}

// The edges of T segments in seconds, or in frames if the rate is not known.
function edges(video, count) {
  const whole = video.fps ? video.frames / video.fps : video.frames;
  return Array.from({ length: count + 1 }, (_, i) => (i * whole) / count);
}

function drawTimeline(video) {
  const scores = unpack(video.scores), frame = video.fps ? 1 / video.fps : 1;
  const unit = video.fps ? "s" : "", spans = video.spans || [], { place, low, high, axis } = scoreAxis();
  const at = edges(video, scores.length);
  const steps = (values) => [...values, values[values.length - 1]];
  const hover = (name) => `%{x:.1f} ${unit} ${name} %{customdata}<extra></extra>`;
  const traces = [{ x: at, y: steps(Array.from(scores, place)), customdata: steps(Array.from(scores, (score) => precise(score, 4))), name: "score", mode: "lines",
    line: { shape: "hv", color: color("score"), width: 1.6 }, fill: low === 0 ? "tozeroy" : "none", fillcolor: color("score") + "22", hovertemplate: hover("score") }];
  const named = [...new Set([...spans.map((s) => s[2]), ...video.events.map((e) => e[2])])];
  const stretches = (rows, name, tone, lift, text) => rows.length && traces.push({
    type: "bar", orientation: "h", name, base: rows.map((r) => r[0] * frame), x: rows.map((r) => (r[1] - r[0]) * frame),
    y: rows.map((r) => named.indexOf(r[2]) + lift), width: 0.34, marker: { color: color(tone) }, yaxis: "y2",
    text: rows.map(text), textposition: "none", hovertemplate: "%{text}<extra></extra>" });
  const digits = video.fps ? 1 : 0;
  const range = (r) => `${(r[0] * frame).toFixed(digits)} – ${(r[1] * frame).toFixed(digits)} ${unit} ${plain(categoryName(r[2]))}`;
  stretches(spans, "annotated", "truth", 0.2, (r) => `annotated ${range(r)}`);
  stretches(video.events, "detected", "event", -0.2, (r) => `detected ${range(r)}, score ${precise(r[3])}`);
  if (video.shift) {
    const shift = unpack(video.shift);
    traces.push({ x: at, y: steps(shift), customdata: steps(Array.from(shift, (ratio) => precise(ratio, 4))), name: "shift ratio", yaxis: "y3", mode: "lines",
      line: { shape: "hv", color: color("shift"), width: 1.2 }, hovertemplate: hover("shift ratio") });
  }
  const shade = spans.map((s) => ({ type: "rect", xref: "x", yref: "y", x0: s[0] * frame, x1: s[1] * frame, y0: low, y1: high,
    fillcolor: color("truth"), opacity: 0.22, line: { width: 0 }, layer: "below" }));
  const mark = threshold === null ? null : place(threshold);
  const line = mark === null ? [] : [{ type: "line", xref: "paper", yref: "y", x0: 0, x1: 1, y0: mark, y1: mark,
    line: { color: color("dim"), width: 1, dash: "dash" } }];
  const label = mark === null ? [] : [{ xref: "paper", yref: "y", x: 1, y: mark, text: `threshold ${precise(threshold)}`, showarrow: false,
    xanchor: "right", yanchor: mark > low + 0.88 * (high - low) ? "top" : "bottom", font: { size: 11, color: color("dim") }, bgcolor: color("ground") + "cc", borderpad: 0 }];
  const map = video.by_segment && segmentCategories(video);
  if (map) traces.push(map);
  const domains = stacked(SCORE_HEIGHT, [["yaxis3", video.shift ? 64 : 0], ["yaxis4", map ? 18 * categories.length : 0],
    ["yaxis2", named.length && Math.min(26 * named.length + 10, 100)]], map ? 18 * categories.length : 0);
  const lowest_part = ["yaxis3", "yaxis4", "yaxis2", "yaxis"].find((key) => domains[key]);
  const layout = {
    shapes: [...shade, ...line], annotations: label, barmode: "overlay", hovermode: "closest", uirevision: `${video.id}-${byId("scale").value}`,
    xaxis: { range: [0, at[at.length - 1]], title: { text: video.fps ? "time (s)" : "frame" }, anchor: lowest_part.replace("axis", "") },
    yaxis: { range: [low, high], ...axis },
    yaxis2: { tickvals: named.map((_, i) => i), ticktext: named.map((n) => plain(categoryName(n))),
      range: [-0.6, named.length - 0.4], showgrid: false, zeroline: false },
    yaxis3: { title: { text: "shift" }, range: [0, 1], tickvals: [0, 0.5, 1] },
    yaxis4: { autorange: "reversed", dtick: 1, showgrid: false },
  };
  for (const key of Object.keys(layout).filter((name) => name.startsWith("yaxis"))) {
    if (domains[key]) layout[key].domain = domains[key];
    else delete layout[key];
  }
  draw("timeline", traces, layout, video.id);
}

const SCORE_HEIGHT = 330;  // pixels of the timeline, margins and categories by segment left out
const GAP = 12;

// The share of the figure's height for each axis: `parts` from the bottom with their pixels, the score axis above them.
function stacked(height, parts, more) {
  const whole = height + more, domains = {};
  byId("timeline").style.height = `${whole + 70}px`;
  let from = 0;
  for (const [key, pixels] of parts.filter((part) => part[1])) {
    domains[key] = [from / whole, (from + pixels) / whole];
    from += pixels + GAP;
  }
  domains.yaxis = [from / whole, 1];
  return domains;
}

// The categories of every segment, if the scores name them: the darker, the more probable.
function segmentCategories(video) {
  const bytes = Uint8Array.from(atob(video.by_segment), (letter) => letter.charCodeAt(0)), count = categories.length;
  const length = bytes.length / count;
  const z = categories.map((_, c) => Array.from({ length }, (_, t) => bytes[t * count + c] / 255));
  return { type: "heatmap", name: "categories", x: edges(video, length), y: categories.map(plain), z, zmin: 0, zmax: 1, showscale: false, yaxis: "y4",
    colorscale: [[0, color("panel")], [1, color("event")]], hovertemplate: `%{x:.1f} ${video.fps ? "s" : ""} %{y} %{z:.2f}<extra></extra>` };
}

// A few bars are not as wide as many.
function bars() { return { bargap: Math.max(0.2, 1 - 0.1 * categories.length) }; }

function drawDistribution(video) {
  byId("distribution").hidden = !video.probs;
  if (!video.probs) return;
  draw("distribution", [{ type: "bar", x: categories.map(plain), y: video.probs, marker: {
    color: categories.map((_, i) => color(video.categories.includes(i) ? "truth" : "score")) },
    hovertemplate: "%{x}: %{y:.4f}<extra></extra>" }],
  { title: { text: "categories of the video", font: { size: 13 }, x: 0, xanchor: "left" }, yaxis: { range: [0, 1], title: { text: "probability" } }, xaxis: {}, ...bars() },
  `${video.id}-categories`);
}

// ----------------------------------------------------------------------------------- curves
function drawCurves() {
  if (!curves.roc) return;
  const over = DATA.curves_over, [auc, ap] = over === "frames" ? [metrics.frame_auc, metrics.frame_ap] : [metrics.video_auc, metrics.video_ap];
  const line = (curve, x, y) => ({ x: curve.x, y: curve.y, customdata: curve.threshold.map((value) => value === null ? "–" : precise(value)), mode: "lines",
    line: { color: color("score"), width: 2 }, hovertemplate: `${x} %{x:.4f}<br>${y} %{y:.4f}<br>threshold %{customdata}<extra></extra>`, showlegend: false });
  const chance = (x, y) => ({ x, y, mode: "lines", line: { color: color("dim"), width: 1, dash: "dash" }, hoverinfo: "skip", showlegend: false });
  const layoutOf = (text, x, y) => ({ title: { text, font: { size: 14 }, x: 0, xanchor: "left" },
    xaxis: { range: [0, 1], title: { text: x } }, yaxis: { range: [0, 1.01], title: { text: y } } });
  draw("roc", [line(curves.roc, "false positive rate", "true positive rate"), chance([0, 1], [0, 1])],
    layoutOf(`ROC over ${over}, AUC ${auc.toFixed(4)}`, "false positive rate", "true positive rate"));
  draw("pr", [line(curves.pr, "recall", "precision"), chance([0, 1], [curves.positive_share, curves.positive_share])],
    layoutOf(`Precision and recall over ${over}, AP ${ap.toFixed(4)}`, "recall", "precision"));
}

function drawReliability() {
  const found = metrics.calibration;
  if (!found || !found.before) return;
  const bins = ({ reliability }, name, tone) => {
    const rows = reliability.filter((row) => row.num_videos);
    return { x: rows.map((row) => row.mean_score), y: rows.map((row) => row.anomalous_share), customdata: rows.map((row) => row.num_videos), name,
      mode: "lines+markers", cliponaxis: false, line: { color: color(tone), width: 1 }, marker: { color: color(tone), size: rows.map((row) => 5 + Math.min(2 * Math.sqrt(row.num_videos), 20)), opacity: 0.7 },
      hovertemplate: `mean video score %{x:.3f}<br>anomalous %{y:.3f}<br>%{customdata} videos<extra>${name}</extra>` };
  };
  const traces = found.after ? [bins(found.before, "without calibration", "dim"), bins(found.after, "with calibration", "score")] : [bins(found.before, "video scores", "score")];
  traces.push({ x: [0, 1], y: [0, 1], mode: "lines", line: { color: color("dim"), width: 1, dash: "dash" }, hoverinfo: "skip", showlegend: false });
  draw("reliability", traces, { showlegend: true, xaxis: { range: [0, 1], title: { text: "mean video score of a bin" } },
    yaxis: { range: [0, 1], title: { text: "share of anomalous videos" } } });
}

// ---------------------------------------------------------------------------------- classes
function perClass(rule) {
  const found = metrics.localization[rule];
  return found && found.per_category ? found.per_category.map((row) => row.mean) : null;
}

function fillMeasures() {
  for (const [key, name] of Object.entries(MEASURES)) {
    const has = key === "localization" ? perClass("legacy") : metrics.per_category.categories.some((row) => typeof row[key] === "number");
    if (!has) continue;
    byId("measure").appendChild(new Option(name, key));
  }
  byId("classes").hidden = categories.length < 2;  // of one alone, it repeats what is above
  byId("no-measure").hidden = byId("measure").length > 0;
  byId("measure").parentNode.hidden = byId("bars").hidden = !byId("measure").length;
}

function drawBars() {
  const key = byId("measure").value, x = categories.map(plain);
  if (!key) return;
  const bar = (y, name, tone) => ({ type: "bar", x, y, name, marker: { color: color(tone) }, hovertemplate: "%{x}: %{y:.4f}<extra>" + name + "</extra>",
    customdata: metrics.per_category.categories.map((row) => row.num_videos) });
  const traces = key === "localization"
    ? [bar(perClass("legacy"), "published rule", "score"), bar(perClass("proposals"), "our proposals", "event")]
    : [bar(metrics.per_category.categories.map((row) => row[key]), "", "score")];
  draw("bars", traces, { yaxis: { range: [0, 1], title: { text: key === "localization" ? "AP" : "" } },
    xaxis: {}, showlegend: key === "localization", barmode: "group", ...bars() }, `classes-${key}`);
}

// ------------------------------------------------------------------------------- projection
const SYMBOLS = ["circle", "square", "triangle-up", "cross"];

function drawProjection() {
  const { projection } = DATA;
  if (projection.reason) return;
  const groups = [...categories.keys(), -1].map((kind) => [kind, videos.flatMap((video, index) =>
    (video.categories.length ? video.categories[0] : -1) === kind ? [index] : [])]);
  const traces = groups.filter(([, members]) => members.length).map(([kind, members]) => ({
    x: members.map((i) => projection.videos[i][0]), y: members.map((i) => projection.videos[i][1]), customdata: members,
    text: members.map((i) => plain(`${videos[i].id} (${videos[i].label})`)), name: kind < 0 ? "normal" : plain(categories[kind]),
    mode: "markers", hovertemplate: "%{text}<extra></extra>",
    marker: { size: 7, opacity: 0.8, color: kind < 0 ? color("dim") : tone(kind), symbol: kind < 0 ? "circle-open" : SYMBOLS[Math.floor(kind / 8) % 4] },
  }));
  traces.push({ x: projection.categories.map((p) => p[0]), y: projection.categories.map((p) => p[1]), text: categories.map(plain),
    name: "prototype", mode: "markers+text", textposition: "top center", hovertemplate: "%{text}<extra>prototype</extra>",
    marker: { size: 12, symbol: "diamond", color: color("text") } });
  // Room for the names at the sides.
  const across = traces.flatMap((trace) => trace.x), left = Math.min(...across), right = Math.max(...across), room = 0.2 * (right - left) || 1;
  draw("projection", traces, { xaxis: { showticklabels: false, range: [left - room, right + room] }, yaxis: { showticklabels: false },
    legend: { orientation: "h", y: -0.02, yanchor: "top" }, showlegend: true });
}

function watchProjection() {
  if (DATA.projection.reason) return;
  byId("projection").on("plotly_click", ({ points }) => {
    if (points[0].customdata === undefined) return;
    select(points[0].customdata);
    byId("videos").scrollIntoView();
  });
}

// ------------------------------------------------------------------------------------ start
for (const id of ["filter-class", "filter-outcome", "sort"]) byId(id).addEventListener("change", fillList);
byId("filter-name").addEventListener("input", fillList);
byId("list").addEventListener("click", (event) => {
  const entry = event.target.closest("li");
  if (entry) select(Number(entry.dataset.index));
});
document.addEventListener("keydown", onKey);
byId("clear").addEventListener("click", clearFilters);
byId("scale").addEventListener("change", drawVideo);
fillMeasures();
fillScale();
byId("measure").addEventListener("change", drawBars);
drawers.push(drawCurves, drawReliability, drawBars, drawProjection, drawVideo);
start();
watchProjection();
fillList();
