"use strict";
const { runs, categories } = DATA;
function drawRoc() {
  const traces = runs.flatMap((run, i) => run.roc.filter(Boolean).map((roc, seed) => ({ x: roc.x, y: roc.y, name: plain(run.name),
    mode: "lines", legendgroup: String(i), showlegend: !seed, line: { color: tone(i), width: run.roc.length > 1 ? 1 : 2 },
    hovertemplate: "%{x:.4f}, %{y:.4f}" })));
  draw("roc", traces, { showlegend: true, xaxis: { range: [0, 1], title: { text: "false positive rate" } },
    yaxis: { range: [0, 1.01], title: { text: "true positive rate" } } });
}

function fillMeasures() {
  const rows = runs.flatMap((run) => run.classes);
  for (const [key, name] of Object.entries(MEASURES)) {
    if (key === "localization" || !rows.some((row) => row[key] !== undefined)) continue;
    byId("measure").appendChild(new Option(name, key));
  }
}

function drawBars() {
  const key = byId("measure").value;
  const traces = runs.map((run, i) => ({ type: "bar", x: categories.map(plain), name: plain(run.name), marker: { color: tone(i) },
    y: run.classes.map((row) => row[key] === undefined ? null : row[key]) }));
  draw("bars", traces, { barmode: "group", showlegend: true, xaxis: {}, yaxis: { range: [0, 1] } });
}

fillMeasures();
byId("measure").addEventListener("change", drawBars);
drawers.push(drawRoc, drawBars);
start();
