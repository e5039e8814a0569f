"use strict";
// Draws what /stream tells: first everything, then what changed. Charts are drawn in units of 1000 x 100
// and stretched to their box. Names and categories become text, never HTML.
const SILENT_MS = 15000;  // the server says something every 5 s
const RETRY_MS = 4000;
const LATE_S = 30;  // a live camera without a score for so long is worth a word
const BEHIND_S = 2;  // pictures that come so much later than their time stamps are worth a word
const MOST_SHOWN = 60, LATEST = 3;  // events in the list, and on a card
const STATES = { connecting: "connecting", live: "live", lost: "lost", ended: "ended" };
const ENDED_BY = { lost: "ended because the camera was lost", stop: "ended because watching stopped" };
const SVG = "http://www.w3.org/2000/svg";

let cameras = [], events = new Map(), threshold = 1, history_s = 600, mostEvents = 20;
let offset = 0;  // seconds that the server's clock is ahead of this browser's
let source = null, heard = 0, lostContact = null;

const now = () => Date.now() / 1000 + offset;
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

function timeText(seconds) {
  const time = new Date(seconds * 1000), today = new Date(now() * 1000);
  return time.toDateString() === today.toDateString() ? clock.format(time) : `${day.format(time)}, ${clock.format(time)}`;
}

function lasting(seconds) {
  const rounded = Math.max(0, Math.round(seconds));
  if (rounded < 60) return `${rounded}\u00a0s`;
  if (rounded < 3600) return `${Math.floor(rounded / 60)}\u00a0min ${rounded % 60}\u00a0s`;
  if (rounded < 86400) return `${Math.floor(rounded / 3600)}\u00a0h ${Math.floor(rounded % 3600 / 60)}\u00a0min`;
  return `${Math.floor(rounded / 86400)}\u00a0d ${Math.floor(rounded % 86400 / 3600)}\u00a0h`;
}

function counted(count, word) { return `${count} ${word}${count === 1 ? "" : "s"}`; }

function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  Object.assign(node, attributes);
  node.append(...children);
  return node;
}

function drawn(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

// ------------------------------------------------------------------------------------ scale
// Scores that are near 0 or 1 alike are told apart by their log-odds, as on the pages of detect.
const CLOSEST = 1e-6;
const saturated = () => threshold < 0.02 || threshold > 0.98;
function odds(score) {
  const kept = Math.min(Math.max(score, CLOSEST), 1 - CLOSEST);
  return Math.log(kept / (1 - kept));
}
const up = (score) => 97 - 94 * (saturated() ? (1 + odds(score) / odds(1)) / 2 : score);
const across = (time) => 1000 * (1 + (time - now()) / history_s);

// ------------------------------------------------------------------------------------ messages
function take(message) {
  offset = message.now - Date.now() / 1000;
  if (message.names) begin(message);
  if (message.threshold !== undefined) { threshold = message.threshold; cameras.forEach(drawScale); drawLegend(); }
  for (const found of message.cameras) {
    const camera = cameras[found.number];
    if (found.state) camera.health = found;
    if (found.points) addPoints(camera, found.points);
  }
  if (message.events.length) {
    for (const event of message.events) events.set(event.key, event);
    forgetEvents();
    drawEvents();
  }
  drawAll();
}

function begin(message) {
  history_s = message.history_seconds;
  mostEvents = message.max_events;
  events = new Map();
  cameras = message.names.map(newCamera);
  byId("cameras").replaceChildren(...cameras.map((camera) => camera.card));
  byId("cameras").classList.toggle("few", cameras.length <= 2);
  document.body.classList.toggle("many", cameras.length > 16);
  const chosen = byId("camera").value;
  byId("camera").replaceChildren(make("option", { value: "", textContent: "all" }),
    ...cameras.map((camera) => make("option", { value: String(camera.number), textContent: camera.name })));
  if (chosen < cameras.length) byId("camera").value = chosen;
  drawEvents();
}

// A point at or before the last one replaces what comes after it: the clock was set back.
function addPoints(camera, points) {
  const kept = camera.points, from = points[0][0];
  while (kept.length && kept[kept.length - 1][0] >= from) kept.pop();
  kept.push(...points);
  const first = kept.findIndex(([second]) => second > kept[kept.length - 1][0] - history_s);
  kept.splice(0, first);
}

function forgetEvents() {
  const counts = new Map();
  for (const event of [...events.values()].sort((a, b) => b.key - a.key)) {
    const count = (counts.get(event.camera) || 0) + 1;
    counts.set(event.camera, count);
    if (count > mostEvents) events.delete(event.key);
  }
}

// ------------------------------------------------------------------------------------ cards
function newCamera(name, number) {
  const card = byId("camera-card").content.firstElementChild.cloneNode(true);
  const find = (selector) => card.querySelector(selector);
  card.id = `camera-${number}`;
  find(".name").textContent = name;
  find(".name").title = name;
  const [from, middle] = find(".times").children;
  from.textContent = `${history_s / 60} min ago`;
  middle.textContent = `${history_s / 120} min ago`;
  const camera = { name, number, card, points: [], health: { state: "connecting", dropped: 0 }, visible: true,
    svg: find("svg"), levels: find(".levels"), health_line: find(".health"), state: find(".state"), latest: find(".latest") };
  camera.scale = drawn("g", {});
  camera.spans = drawn("g", {});
  camera.curve = drawn("path", { class: "score" });
  camera.svg.append(camera.spans, camera.scale, camera.curve);
  seen.observe(card);
  return camera;
}

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const camera = cameras[Number(entry.target.id.slice("camera-".length))];
    if (!camera || camera.card !== entry.target) continue;
    camera.visible = entry.isIntersecting;
    if (camera.visible) drawCurve(camera);
  }
}, { rootMargin: "200px" });

function drawScale(camera) {
  const ticks = saturated() ? [0.001, 0.5, 0.999] : [0, 0.5, 1];
  const line = (score, name) => drawn("line", { class: name, x1: 0, x2: 1000, y1: up(score), y2: up(score) });
  camera.scale.replaceChildren(...ticks.map((score) => line(score, "grid")), line(threshold, "threshold"));
  camera.levels.replaceChildren(...ticks.map((score) => make("span", { textContent: String(score) })));
  [...camera.levels.children].forEach((node, i) => { node.style.top = `${up(ticks[i])}%`; });
}

function drawLegend() {
  byId("legend").hidden = false;
  byId("legend").textContent = `Highest score of every second, from 0 to 1. Dashed: threshold ${Number(threshold.toPrecision(4))}`
    + `${saturated() ? " (axis of log-odds)" : ""}. Shaded: events.`;
}

// Breaks the line where there was no score for much longer than between others.
function drawCurve(camera) {
  const points = camera.points, gaps = points.slice(-40).map(([second], i, all) => (i ? second - all[i - 1][0] : Infinity));
  const usual = gaps.sort((a, b) => a - b)[Math.floor((gaps.length - 1) / 2)];
  const longest = Math.max(5, Number.isFinite(usual) ? 3 * usual : 0);
  let path = "", last = -Infinity;
  for (const [second, score] of points) {
    path += `${second - last > longest ? "M" : "L"}${across(second).toFixed(1)},${up(score).toFixed(1)}`;
    last = second;
  }
  camera.curve.setAttribute("d", path);
  const spans = [...events.values()].filter((event) => event.camera === camera.number && across(event.end ?? now()) > 0);
  camera.spans.replaceChildren(...spans.map((event) => {
    const from = Math.max(0, across(event.start)), to = Math.min(1000, across(event.end ?? now()));
    return drawn("rect", { class: "event", x: from.toFixed(1), y: 0, width: Math.max(2, to - from).toFixed(1), height: 100 });
  }));
  const latest = points.length ? `, the last ${points[points.length - 1][1].toFixed(3)}` : "";
  camera.svg.setAttribute("aria-label", `scores of the last ${history_s / 60} minutes${latest}; ${counted(spans.length, "event")}`);
}

function drawHealth(camera) {
  const { state, frames_per_second: rate, dropped, late_seconds: late, last_seen: last } = camera.health;
  const going = [...events.values()].some((event) => event.camera === camera.number && event.end === null);
  camera.card.dataset.state = state;
  camera.card.classList.toggle("event-now", going && state !== "lost");
  camera.state.textContent = going && state === "live" ? "event now" : STATES[state] || state;
  const words = [];
  if (state === "lost") words.push(make("b", { textContent: "no picture" }), ", ");
  words.push(last === null || last === undefined ? "not seen yet"
    : state === "live" && now() - last < 5 ? `seen ${timeText(last)}` : `last seen ${timeText(last)}, ${lasting(now() - last)} ago`);
  if (state === "live" && rate !== null && rate !== undefined) words.push(`, ${rate.toFixed(1)} frames per second`);
  words.push(", ", dropped ? make("b", { textContent: `${counted(dropped, "frame")} dropped` }) : "none dropped");
  if (late >= BEHIND_S) words.push(", ", make("b", { textContent: `${late.toFixed(1)}\u00a0s behind` }));
  const newest = camera.points.length ? camera.points[camera.points.length - 1][0] : null;
  if (state === "live" && (newest === null || now() - newest > LATE_S)) {
    words.push(", ", make("b", { textContent: newest === null ? "no score yet" : `no score for ${lasting(now() - newest)}` }));
  }
  camera.health_line.replaceChildren(...words);
}

function drawAll() {
  for (const camera of cameras) {
    drawHealth(camera);
    if (camera.visible) drawCurve(camera);
  }
  const states = Object.keys(STATES).map((state) => [state, cameras.filter((camera) => camera.health.state === state).length]);
  const going = [...events.values()].filter((event) => event.end === null).length;
  const text = `${cameras.length}: ${states.filter(([, count]) => count).map(([state, count]) => `${count} ${STATES[state]}`).join(", ")}`
    + `; ${going ? counted(going, "event") : "no event"} now`;
  if (byId("counts").textContent !== text) byId("counts").textContent = text;
  const lost = cameras.filter((camera) => camera.health.state === "lost");
  document.title = `${lost.length ? `${lost.length} lost, ` : ""}${going ? `${counted(going, "event")}, ` : ""}cameras`;
  drawLost(lost);
}

function drawLost(lost) {
  const key = lost.map((camera) => camera.number).join(",");
  if (byId("lost").dataset.key === key) return;
  byId("lost").dataset.key = key;
  byId("lost").hidden = !lost.length;
  const links = lost.map((camera) => make("a", { href: `#${camera.card.id}` }, make("bdi", { textContent: camera.name })));
  byId("lost").replaceChildren("Lost: ", ...links.flatMap((link, i) => (i ? [", ", link] : [link])));
}

// ------------------------------------------------------------------------------------ events
const pictures = new Map();  // address to its element: what is shown is not fetched again

function picture(event, place) {
  const blank = () => make("span", { className: "blank", textContent: "no picture" });
  if (!event.picture) return blank();
  const address = `pictures/${event.picture.join("/")}`, key = `${place} ${address}`;
  if (!pictures.has(key)) {
    const image = make("img", { className: "picture", loading: "lazy", decoding: "async", src: address, alt: "" });
    image.addEventListener("error", () => {
      pictures.set(key, blank());
      image.replaceWith(pictures.get(key));
    });
    pictures.set(key, image);
  }
  return pictures.get(key);
}

function drawEvents() {
  const chosen = byId("camera").value;
  const sorted = [...events.values()].sort((a, b) => b.key - a.key);
  const found = sorted.filter((event) => chosen === "" || event.camera === Number(chosen));
  const shown = found.slice(0, MOST_SHOWN);
  byId("events").replaceChildren(...shown.map(eventItem));
  byId("shown").textContent = !found.length ? "none since watching began"
    : shown.length < found.length ? `the latest ${shown.length} of ${found.length} that are kept`
      : `${counted(found.length, "event")}, the latest first; of each camera the last ${mostEvents} are kept`;
  for (const camera of cameras) {
    const latest = sorted.filter((event) => event.camera === camera.number).slice(0, LATEST);
    const known = JSON.stringify(latest.map((event) => [event.key, event.category, event.picture]));
    if (camera.latest.dataset.known === known) continue;  // a button may have the focus
    camera.latest.dataset.known = known;
    camera.latest.replaceChildren(...latest.map((event) => latestItem(camera, event)));
  }
  const current = new Set(sorted.flatMap((event) => event.picture ? ["list", "card"].map((place) => `${place} pictures/${event.picture.join("/")}`) : []));
  for (const key of pictures.keys()) if (!current.has(key)) pictures.delete(key);
}

function eventItem(event) {
  const item = make("li", { id: `event-${event.key}` });
  item.classList.toggle("now", event.end === null);
  const times = event.end === null ? `${timeText(event.start)}, ` : `${timeText(event.start)}, ${lasting(event.end - event.start)}`;
  const text = make("span", {}, make("b", { textContent: event.category || "anomaly" }), make("bdi", { textContent: cameras[event.camera].name }),
    make("small", {}, times, ...(event.end === null ? [make("span", { className: "going", textContent: "going on" })] : [])),
    make("small", { textContent: `highest score ${event.score === null ? "not known" : event.score.toFixed(3)}` }));
  if (ENDED_BY[event.ended_by]) text.append(make("small", { textContent: ENDED_BY[event.ended_by] }));
  item.append(make("div", { className: "frame" }, picture(event, "list")), text);
  return item;
}

function latestItem(camera, event) {
  const words = `${event.category || "anomaly"}, ${timeText(event.start)}`;
  const button = make("button", { type: "button", title: words, ariaLabel: `event: ${words}` }, picture(event, "card"));
  button.addEventListener("click", () => {
    byId("camera").value = String(camera.number);
    drawEvents();
    location.hash = "";
    location.hash = `event-${event.key}`;
  });
  return make("li", {}, button);
}

// ------------------------------------------------------------------------------------ connection
function connect() {
  if (source) source.close();
  heard = Date.now();
  source = new EventSource("stream");
  source.onmessage = (message) => {
    heard = Date.now();
    offline(false);
    take(JSON.parse(message.data));
  };
  source.onerror = () => {
    offline(true);
    // The browser tries again by itself, unless it got an answer that is not a stream.
    if (source.readyState === EventSource.CLOSED) setTimeout(askWhy, RETRY_MS);
  };
}

async function askWhy() {
  if (document.hidden) return;
  const answer = await fetch("state").catch(() => null);
  if (answer && answer.status === 401) location.assign("login");
  else connect();
}

function offline(is) {
  if (is && lostContact === null) lostContact = heard;
  if (!is) lostContact = null;
  byId("offline").hidden = !is;
  document.body.classList.toggle("stale", is);
  if (is) byId("offline").textContent = `No connection to refinevad watch since ${timeText(lostContact / 1000 + offset)}; `
    + "trying again. What is shown is old.";
}

// A hidden page reads nothing, so it is not connected either; shown again, it gets everything anew.
function follow() {
  if (document.hidden) {
    if (source) source.close();
    source = null;
  } else if (!source) connect();
}

setInterval(() => {
  if (document.hidden || !source) return;
  if (Date.now() - heard > SILENT_MS) { offline(true); connect(); }
  if (cameras.length && Date.now() - heard > 900) drawAll();
}, 1000);
document.addEventListener("visibilitychange", follow);
byId("camera").addEventListener("change", drawEvents);
start();
follow();
