"use strict";
const { videos, categories, metrics, curves } = DATA;
const threshold = metrics.alarm_threshold.threshold;
let shown = [];       // indices of the videos that pass the filters, in order
let selected = null;  // index of the video drawn

function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

function categoryName(index) { return index < 0 ? "anomaly" : categories[index]; }

function percent(value) { return value === null ? "–" : `${(100 * value).toFixed(1)} %`; }

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
  if (shown.length) select(shown.includes(selected) ? selected : shown[0]);
}

function select(index) {
  const before = byId(`video-${selected}`), entry = byId(`video-${index}`);
  if (before) before.setAttribute("aria-selected", "false");
  if (entry) {
    entry.setAttribute("aria-selected", "true");
    entry.scrollIntoView({ block: "nearest" });
    byId("list").setAttribute("aria-activedescendant", entry.id);
  }
  selected = index;
  drawSoon();
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
  const best = video.probs ? video.probs.indexOf(Math.max(...video.probs)) : -1;
  byId("video-facts").textContent = [
    video.outcome, `video score ${video.score.toFixed(3)}`, `own frame AUC ${video.auc === null ? "–" : video.auc.toFixed(3)}`,
    best < 0 ? "no categories" : `most probable: ${categories[best]}`, `${video.frames.toLocaleString("en")} frames`,
    video.spans === null ? "stretches not annotated" : "",
  ].filter(Boolean).join(" · ");
}

function drawVideo() {
  const video = videos[selected];
  if (!video) return;
  drawTimeline(video);
  drawDistribution(video);
}

function drawTimeline(video) {
  const scores = unpack(video.scores), frame = video.fps ? 1 / video.fps : 1;
  const length = video.frames / scores.length;
  const unit = video.fps ? "s" : "", spans = video.spans || [];
  const at = Array.from(scores, (_, i) => i * length * frame);
  at.push(video.frames * frame);
  const steps = (values) => [...values, values[values.length - 1]];
  const hover = (name) => `%{x:.1f} ${unit} ${name} %{y:.4f}<extra></extra>`;
  const traces = [{ x: at, y: steps(scores), name: "score", mode: "lines", line: { shape: "hv", color: color("score"), width: 1.6 },
    fill: "tozeroy", fillcolor: color("score") + "22", hovertemplate: hover("score") }];
  const named = [...new Set([...spans.map((s) => s[2]), ...video.events.map((e) => e[2])])];
  const stretches = (rows, name, tone, lift, text) => rows.length && traces.push({
    type: "bar", orientation: "h", name, base: rows.map((r) => r[0] * frame), x: rows.map((r) => (r[1] - r[0]) * frame),
    y: rows.map((r) => named.indexOf(r[2]) + lift), width: 0.34, marker: { color: color(tone) }, yaxis: "y2",
    text: rows.map(text), textposition: "none", hovertemplate: "%{text}<extra></extra>" });
  const range = (r) => `${(r[0] * frame).toFixed(1)} – ${(r[1] * frame).toFixed(1)} ${unit} ${plain(categoryName(r[2]))}`;
  stretches(spans, "annotated", "truth", 0.2, (r) => `annotated ${range(r)}`);
  stretches(video.events, "detected", "event", -0.2, (r) => `detected ${range(r)}, score ${r[3].toFixed(3)}`);
  if (video.shift) {
    traces.push({ x: at, y: steps(unpack(video.shift)), name: "shift ratio", yaxis: "y3", mode: "lines",
      line: { shape: "hv", color: color("shift"), width: 1.2 }, hovertemplate: hover("shift ratio") });
  }
  // Scores that are small by construction would lie on the axis of a range up to 1.
  const largest = Math.max(threshold || 0, ...scores), high = largest > 0 && largest < 0.25 ? 1.1 * largest : Math.max(1, largest), low = Math.min(0, ...scores);
  const shade = spans.map((s) => ({ type: "rect", xref: "x", yref: "y", x0: s[0] * frame, x1: s[1] * frame, y0: low, y1: high,
    fillcolor: color("truth"), opacity: 0.22, line: { width: 0 }, layer: "below" }));
  const line = threshold === null ? [] : [{ type: "line", xref: "paper", yref: "y", x0: 0, x1: 1, y0: threshold, y1: threshold,
    line: { color: color("dim"), width: 1, dash: "dash" } }];
  const foot = video.shift ? 0.24 : 0, rows = named.length ? Math.min(0.09 * named.length + 0.04, 0.3) : 0;
  draw("timeline", traces, {
    shapes: [...shade, ...line], barmode: "overlay", hovermode: "closest", uirevision: video.id,
    xaxis: { range: [0, video.frames * frame], title: { text: video.fps ? "time (s)" : "frame" }, anchor: video.shift ? "y3" : "y2" },
    yaxis: { range: [low, 1.02 * high], domain: [foot + rows + 0.03, 1], title: { text: "score" } },
    yaxis2: { domain: [foot, foot + rows], tickvals: named.map((_, i) => i), ticktext: named.map((n) => plain(categoryName(n))),
      range: [-0.6, Math.max(named.length, 1) - 0.4], visible: named.length > 0, showgrid: false, zeroline: false },
    yaxis3: { domain: [0, Math.max(foot - 0.06, 0.001)], title: { text: "shift" }, visible: Boolean(video.shift), nticks: 3 },
  }, video.id);
}

function drawDistribution(video) {
  byId("distribution").hidden = !video.probs;
  if (!video.probs) return;
  const total = video.probs.reduce((a, b) => a + b, 0) || 1;
  draw("distribution", [{ type: "bar", x: categories.map(plain), y: video.probs, marker: {
    color: categories.map((_, i) => color(video.categories.includes(i) ? "truth" : "score")) },
    customdata: video.probs.map((p) => 100 * p / total),
    hovertemplate: "%{x}: %{y:.4f} (%{customdata:.1f} % of the evidence)<extra></extra>" }],
  { yaxis: { range: [0, Math.max(...video.probs, 0.01) * 1.05], title: { text: "probability" } }, xaxis: {}, margin: { l: 50, r: 12, t: 26, b: 40 } },
  `${video.id}-categories`);
}

// ----------------------------------------------------------------------------------- curves
function drawCurves() {
  if (!curves.roc) {
    byId("curves").hidden = true;
    return;
  }
  const line = (curve, x, y) => ({ x: curve.x, y: curve.y, customdata: curve.threshold, mode: "lines", line: { color: color("score"), width: 2 },
    hovertemplate: `${x} %{x:.4f}<br>${y} %{y:.4f}<br>threshold %{customdata:.4f}<extra></extra>`, showlegend: false });
  const chance = (x, y) => ({ x, y, mode: "lines", line: { color: color("dim"), width: 1, dash: "dash" }, hoverinfo: "skip", showlegend: false });
  const axes = (x, y) => ({ xaxis: { range: [0, 1], title: { text: x } }, yaxis: { range: [0, 1.01], title: { text: y } } });
  draw("roc", [line(curves.roc, "false positive rate", "true positive rate"), chance([0, 1], [0, 1])],
    { title: { text: `ROC, AUC ${metrics.frame_auc.toFixed(4)}`, font: { size: 14 }, x: 0, xanchor: "left" }, ...axes("false positive rate", "true positive rate") });
  draw("pr", [line(curves.pr, "recall", "precision"), chance([0, 1], [curves.positive_share, curves.positive_share])],
    { title: { text: `Precision and recall, AP ${metrics.frame_ap.toFixed(4)}`, font: { size: 14 }, x: 0, xanchor: "left" }, ...axes("recall", "precision") });
}

// ---------------------------------------------------------------------------------- classes
function perClass(rule) {
  const found = metrics.localization[rule];
  return found && found.per_category ? found.per_category.map((row) => row.mean) : null;
}

function fillMeasures() {
  for (const [key, name] of Object.entries(MEASURES)) {
    const has = key === "localization" ? perClass("legacy") : metrics.per_category.categories.some((row) => row[key] !== undefined);
    if (!has) continue;
    byId("measure").appendChild(new Option(name, key));
  }
}

function drawBars() {
  const key = byId("measure").value, x = categories.map(plain);
  const bar = (y, name, tone) => ({ type: "bar", x, y, name, marker: { color: color(tone) }, hovertemplate: "%{x}: %{y:.4f}<extra>" + name + "</extra>",
    customdata: metrics.per_category.categories.map((row) => row.num_videos) });
  const traces = key === "localization"
    ? [bar(perClass("legacy"), "published rule", "score"), bar(perClass("proposals"), "our proposals", "event")]
    : [bar(metrics.per_category.categories.map((row) => row[key]), "", "score")];
  draw("bars", traces, { yaxis: { range: key === "localization" ? undefined : [0, 1], title: { text: key === "localization" ? "AP" : "" } },
    xaxis: {}, showlegend: key === "localization", barmode: "group" }, `classes-${key}`);
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
    name: "prototypes", mode: "markers+text", textposition: "top center", hovertemplate: "%{text}<extra>prototype</extra>",
    marker: { size: 12, symbol: "diamond", color: color("text") } });
  draw("projection", traces, { xaxis: { showticklabels: false }, yaxis: { showticklabels: false }, legend: { orientation: "v" }, showlegend: true });
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
fillMeasures();
byId("measure").addEventListener("change", drawBars);
drawers.push(drawCurves, drawBars, drawProjection, drawVideo);
start();
watchProjection();
fillList();
