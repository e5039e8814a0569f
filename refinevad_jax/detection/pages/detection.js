"use strict";
// The timeline is drawn in units of 1000 x 100 and stretched to its box; times are seconds.
const data = JSON.parse(document.getElementById("data").textContent);
const video = document.getElementById("video");
const timeline = document.getElementById("timeline");
const reading = document.getElementById("reading");
const buttons = [...document.querySelectorAll("#events button")];
const duration = data.duration;
const scored = data.seconds[data.seconds.length - 1];  // the last frames may fill no segment
let now = 0;

function element(name, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}
function label(text, side, percent) {
  const node = document.createElement("span");
  node.textContent = text;
  node.style[side] = `${percent}%`;
  return node;
}
const across = seconds => 1000 * seconds / duration;
// Scores that are near 0 or 1 alike are told apart by their log-odds.
const saturated = data.threshold < 0.02 || data.threshold > 0.98;
const CLOSEST = 1e-6;  // to 0 and 1 that log-odds are drawn
const odds = score => {
  const kept = Math.min(Math.max(score, CLOSEST), 1 - CLOSEST);
  return Math.log(kept / (1 - kept));
};
const level = score => saturated ? (1 + odds(score) / odds(1)) / 2 : score;
const up = score => 97 - 94 * level(score);

const svg = element("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none", "aria-hidden": "true" });
for (const event of data.events) {
  const width = Math.max(1, across(event.end_seconds - event.start_seconds));
  svg.append(element("rect", { class: "event", x: across(event.start_seconds), y: 0, width, height: 100 }));
}
for (const score of saturated ? [0.001, 0.5, 0.999] : [0, 0.5, 1]) {
  svg.append(element("line", { class: "grid", x1: 0, x2: 1000, y1: up(score), y2: up(score) }));
  document.getElementById("scores").append(label(score, "top", up(score)));
}
svg.append(element("line", { class: "threshold", x1: 0, x2: 1000, y1: up(data.threshold), y2: up(data.threshold) }));
const points = data.scores.flatMap((score, i) =>
  [[data.seconds[i], score], [data.seconds[i + 1], score]]);
svg.append(element("polyline", { class: "score",
  points: points.map(([seconds, score]) => `${across(seconds).toFixed(2)},${up(score).toFixed(2)}`).join(" ") }));
const cursor = element("line", { class: "cursor", y1: 0, y2: 100 });
svg.append(cursor);
timeline.append(svg);

const named = label(`threshold ${data.threshold_text}${saturated ? " (axis of log-odds)" : ""}`, "top", up(data.threshold));
named.id = "threshold";
named.className = level(data.threshold) < 0.6 ? "above" : "";
timeline.append(named);

// A tick about every 80 pixels, at 1, 2 or 5 times a power of ten seconds.
function drawSeconds() {
  const axis = document.getElementById("seconds");
  const least = duration * 80 / Math.max(80, axis.clientWidth);
  const power = 10 ** Math.floor(Math.log10(least));
  const step = power * [1, 2, 5, 10].find(times => times * power >= least);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  axis.replaceChildren();
  for (let tick = 0; tick * step < duration - step / 2; tick += 1) {
    axis.append(label((tick * step).toFixed(digits), "left", across(tick * step) / 10));
  }
  const last = label(duration.toFixed(2), "left", 100);
  last.className = "last";
  const title = label("seconds", "left", 50);
  title.className = "title";
  axis.append(last, title);
}
drawSeconds();
addEventListener("resize", drawSeconds);
timeline.setAttribute("aria-valuemax", duration.toFixed(2));

// The segment that holds a time, by bisection.
function segment(seconds) {
  let low = 0, high = data.scores.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (data.seconds[middle] <= seconds) low = middle; else high = middle - 1;
  }
  return low;
}

function show(seconds) {
  now = Math.min(Math.max(seconds, 0), duration);
  cursor.setAttribute("x1", across(now));
  cursor.setAttribute("x2", across(now));
  const score = now > scored ? "no score, since the last frames fill no segment"
    : `score ${data.scores[segment(now)].toFixed(3)}`;
  reading.textContent = `${now.toFixed(2)} of ${duration.toFixed(2)} s, ${score}`;
  timeline.setAttribute("aria-valuenow", now.toFixed(2));
  timeline.setAttribute("aria-valuetext", reading.textContent);
  buttons.forEach((button, i) => {
    const event = data.events[i];
    button.classList.toggle("now", event.start_seconds <= now && now < event.end_seconds);
  });
}

function seek(seconds) {
  show(seconds);
  if (video) video.currentTime = now;
}

function pointed(event) {
  const box = timeline.getBoundingClientRect();
  seek(duration * (event.clientX - box.left) / box.width);
}
timeline.addEventListener("pointerdown", event => {
  timeline.setPointerCapture(event.pointerId);
  pointed(event);
});
timeline.addEventListener("pointermove", event => { if (event.buttons & 1) pointed(event); });
timeline.addEventListener("keydown", event => {
  const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };
  if (event.key === "Home") seek(0);
  else if (event.key === "End") seek(duration);
  else if (event.key in steps) seek(now + steps[event.key] * duration / data.scores.length);
  else return;
  event.preventDefault();
});
buttons.forEach((button, i) => button.addEventListener("click", () => seek(data.events[i].start_seconds)));

if (video) {
  for (const name of ["timeupdate", "seeked"]) video.addEventListener(name, () => show(video.currentTime));
  const follow = () => { show(video.currentTime); if (!video.paused) requestAnimationFrame(follow); };
  video.addEventListener("play", follow);
  video.addEventListener("error", () => {
    reading.textContent = `The video cannot be played from ${decodeURIComponent(video.getAttribute("src"))}.`;
  });
}
show(0);
