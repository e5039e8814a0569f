"""Self-contained HTML pages: template, style, script and plotly's own JavaScript in one file.

The pages load nothing from elsewhere and say so to the browser (Content-Security-Policy). Text is
escaped by Jinja; data for scripts is JSON without the characters that could end a script element.
"""

import functools
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from refinevad_jax.errors import UserError
from refinevad_jax.files.staged import write_text
from refinevad_jax.report.headline import headline
from refinevad_jax.report.tables import (
    facts,
    localization_rows,
    metric_rows,
    number,
    percent,
    short_percent,
    threshold_text,
)
from refinevad_jax.report.terms import TERMS

FOLDER = pathlib.Path(__file__).parent / "pages"


def write_page(path: pathlib.Path, content: Mapping[str, Any]) -> None:
    """Writes report.html of one evaluation; content: of `evaluation.page_content.page_content`."""
    metrics = content["metrics"]
    rows = metric_rows(metrics)
    write_html(
        path,
        "report",
        title=f"{metrics['dataset']}, {metrics['split']}",
        data=content,
        cards=headline(metrics),
        points=metrics["operating_points"],
        alarm=metrics["alarm_threshold"],
        calibration=metrics.get("calibration"),
        rows=rows,
        undefined=[row["name"] for row in rows if row["value"] is None],
        facts=facts(metrics),
        localization=localization_rows(metrics["localization"]),
        config=json.dumps(metrics.get("config") or metrics.get("scores") or {}, indent=1),
        **content,
    )


def write_html(
    path: pathlib.Path, name: str, *, title: str, data: Any, plots: bool = True, **values: Any
) -> None:
    """Renders pages/<name>.html with pages/<name>.js and the common style, and writes it whole.

    data: JSON values the script reads; plots: whether it draws any. Raises UserError if jinja2 or
    plotly is not installed.
    """
    template = environment(FOLDER).get_template(f"{name}.html")
    text = template.render(
        title=title,
        data=script_json(data),
        style=(FOLDER / "style.css").read_text(encoding="utf-8"),
        common=(FOLDER / "common.js").read_text(encoding="utf-8"),
        script=(FOLDER / f"{name}.js").read_text(encoding="utf-8"),
        plotly=_plotly() if plots else "",
        terms=TERMS,
        **values,
    )
    write_text(path, text)


def script_json(value: Any) -> str:
    """JSON that may be inside a script element: no <, >, & or line separators."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


@functools.cache
def environment(folder: pathlib.Path) -> Any:
    """Jinja for the templates of a folder: escaping on, an undefined name is an error."""
    try:
        import jinja2
    except ImportError as error:
        raise UserError("pages need jinja2: pip install jinja2") from error
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["number"] = number
    made.filters["percent"] = percent
    made.filters["short_percent"] = short_percent
    made.filters["threshold"] = threshold_text
    return made


@functools.cache
def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise UserError("report.html needs plotly: pip install plotly; or --noreport") from error
    return get_plotlyjs()
