"use strict";
const DATA = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
const drawers = [];  // each redraws one figure, also after a change of theme

const MEASURES = {
  against_normal_auc: "frame AUC, videos of the class and normal ones", against_normal_ap: "frame AP, videos of the class and normal ones",
  one_vs_rest_auc: "frame AUC, the class against all other frames", one_vs_rest_ap: "frame AP, the class against all other frames",
  video_ap: "video AP of the class", localization: "mAP@IoU, mean over IoU",
};

function color(name) { return getComputedStyle(root).getPropertyValue(`--${name}`).trim(); }

// Plotly reads a little HTML in its labels: names must not be taken for it.
function plain(text) { return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;"); }

const TONES = ["#1f77b4", "#e08214", "#2c9a5b", "#9a5fc0", "#c0392b", "#7f8c8d", "#16a0a0", "#b8860b"];

function tone(number) { return TONES[number % TONES.length]; }

function byId(id) { return document.getElementById(id); }

function layout(extra) {
  const axis = { gridcolor: color("line"), zerolinecolor: color("line"), linecolor: color("line"), automargin: true };
  const merged = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: color("text"), size: 12 },
    margin: { l: 50, r: 12, t: 30, b: 40 }, hoverlabel: { bgcolor: color("panel"), font: { color: color("text") } },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, xanchor: "left" },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: color("dim"), activecolor: color("text") }, ...extra,
  };
  for (const key of Object.keys(merged)) if (/^[xy]axis/.test(key)) merged[key] = { ...axis, ...merged[key] };
  return merged;
}

function draw(id, traces, extra, file) {
  const narrow = window.matchMedia("(max-width: 600px)").matches;  // the bar would lie on the title
  const options = { responsive: true, displayModeBar: narrow ? false : "hover", displaylogo: false, showSendToCloud: false,
    toImageButtonOptions: { format: "svg", filename: file || id }, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
  return Plotly.react(byId(id), traces, layout(extra), options);
}

function setTheme(dark) {
  root.classList.toggle("dark", dark);
  drawers.forEach((drawer) => drawer());
}

// ------------------------------------------------------------------------------------ terms
function explain(term) {
  const tip = byId("tooltip"), place = term.getBoundingClientRect();
  tip.textContent = byId(term.getAttribute("aria-describedby")).textContent;
  tip.hidden = false;
  const below = place.bottom + tip.offsetHeight + 4 < root.clientHeight;
  tip.style.left = `${Math.max(4, Math.min(place.left, root.clientWidth - tip.offsetWidth - 4))}px`;
  tip.style.top = `${below ? place.bottom + 2 : Math.max(0, place.top - tip.offsetHeight - 2)}px`;
}

function hideTooltip() { if (byId("tooltip")) byId("tooltip").hidden = true; }

function watchTerms() {
  const on = (kind, action) => document.addEventListener(kind, (event) => {
    const term = event.target.closest && event.target.closest(".term");
    if (term) action(term);
  });
  on("mouseover", explain);
  on("focusin", explain);
  on("mouseout", hideTooltip);
  on("focusout", hideTooltip);
  document.addEventListener("scroll", hideTooltip, true);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hideTooltip(); });
}

// On paper: light, and with what is folded.
function beforePrint() {
  setTheme(false);
  document.querySelectorAll("details").forEach((node) => { node.open = true; });
}

function start() {
  setTheme(prefersDark.matches);
  watchTerms();
  window.addEventListener("beforeprint", beforePrint);
  prefersDark.addEventListener("change", (event) => setTheme(event.matches));
  byId("theme").addEventListener("click", () => setTheme(!root.classList.contains("dark")));
}
