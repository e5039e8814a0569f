"""XML of annotation tools: ELAN (.eaf), CVAT for videos and for images, Anvil."""

import re
from typing import Any

import defusedxml.common
import defusedxml.ElementTree as Tree

from data_prep.annotations.images import Image, read_images
from data_prep.annotations.labels import is_marked_normal
from data_prep.annotations.record import Annotations
from data_prep.annotations.rows import Row
from data_prep.annotations.tables import read_rows
from refinevad_jax.errors import UserError, as_damaged


def read_xml(content: str, source: str, stem: str) -> Annotations:
    """Reads an XML file of a known tool. Raises UserError if it is damaged or of another tool.

    stem: the name of the video if the file names none.
    """
    try:
        root = Tree.fromstring(content)
    except (Tree.ParseError, defusedxml.common.DefusedXmlException, ValueError) as error:
        kind = "HTML, a web page" if re.match(r"\s*<(!doctype\s+)?html", content, re.I) else "XML"
        raise UserError(
            f"{source}: {kind} that cannot be read ({str(error)[:80]}); download or export it again"
        ) from error
    # Every reader below looks up what its tool writes.
    with as_damaged(f"{source}: an element lacks what its tool writes; export it again"):
        if root.tag == "ANNOTATION_DOCUMENT":
            return _read_elan(root, source, stem)
        if root.tag == "annotations":
            return _read_cvat(root, source, stem)
        if root.tag == "annotation" and root.find("body") is not None:
            return _read_anvil(root, source, stem)
    raise UserError(
        f"{source}: XML with <{root.tag[:40]}>, which is none of ELAN, CVAT or Anvil; export a "
        "table with columns video, start, end, label"
    )


def _read_elan(root: Any, source: str, stem: str) -> Annotations:
    """ELAN: time slots in milliseconds; the label is the annotation's text, else the tier."""
    media = root.find("HEADER/MEDIA_DESCRIPTOR")
    video = media.get("MEDIA_URL") or media.get("RELATIVE_MEDIA_URL") if media is not None else stem
    slots = {
        slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE")
        for slot in root.iterfind("TIME_ORDER/TIME_SLOT")
    }
    rows: list[Row] = [(source, {"video": video})]
    for tier in root.iterfind("TIER"):
        for entry in tier.iterfind("ANNOTATION/ALIGNABLE_ANNOTATION"):
            place = f"{source}, annotation {entry.get('ANNOTATION_ID')}"
            start, end = (slots[entry.get(f"TIME_SLOT_REF{i}")] for i in (1, 2))
            if start is None or end is None:
                raise UserError(f"{place}: not aligned with a time; align it in ELAN")
            label = entry.findtext("ANNOTATION_VALUE") or tier.get("TIER_ID")
            rows.append((place, _row(video, "ms", start, end, label)))
    rows = rows[1:] or rows
    return read_rows(rows, ["video", "start_ms", "end_ms", "label"], source, "ELAN .eaf")


def _read_cvat(root: Any, source: str, stem: str) -> Annotations:
    """CVAT: a track is anomalous from its first box to the frame where it is outside.

    Boxes with an attribute such as `action: normal` count as outside.
    """
    tasks = {task.findtext("id"): task for task in root.iter("task")}
    names = {
        key: task.findtext("source") or task.findtext("name") or stem for key, task in tasks.items()
    }
    alone = next(iter(names.values()), root.findtext("meta/source") or stem)
    images = [
        Image(
            image.get("name"),
            tuple("normal" if _is_normal(mark) else mark.get("label") for mark in image),
            f"{source}, image {image.get('id')}",
            # Frames of a video that CVAT itself took apart have no name of their own.
            names.get(image.get("task_id"), alone)
            if re.fullmatch("frame_[0-9]+", image.get("name"))
            else "",
        )
        for image in root.iterfind("image")
    ]
    if images:
        return read_images(images, source, "CVAT XML")
    rows: list[Row] = []
    for track in root.iterfind("track"):
        video = names.get(track.get("task_id"), alone)
        place = f"{source}, track {track.get('id')} of {video}"
        shapes = sorted(
            (int(shape.get("frame")), shape.get("outside") == "1" or _is_normal(shape))
            for shape in track
        )
        start = last = None
        for number, (frame, outside) in enumerate(shapes, 1):
            if start is None and not outside:
                start = frame
            if start is not None and (outside or number == len(shapes)):
                last = frame if outside else frame + 1
                rows.append(
                    (
                        f"{place}, frame {start}",
                        _row(video, "frame", start, last, track.get("label")),
                    )
                )
                start = None
    seen = {row["video"] for _, row in rows}
    rows += [(f"{source}, {v}", {"video": v}) for v in names.values() if v not in seen]
    return read_rows(rows, ["video", "start_frame", "end_frame", "label"], source, "CVAT XML")


def _is_normal(mark: Any) -> bool:
    """Whether the attributes of a box or tag say that it is normal."""
    named = {entry.get("name"): entry.text for entry in mark.iterfind("attribute")}
    return bool(is_marked_normal(named))


def _read_anvil(root: Any, source: str, stem: str) -> Annotations:
    """Anvil: elements with seconds; the label is the first attribute, else the track."""
    media = root.find("head/video")
    video = media.get("src") if media is not None else stem
    rows: list[Row] = []
    for track in root.iterfind("body/track"):
        for element in track.iterfind("el"):
            label = element.findtext("attribute") or track.get("name")
            place = f"{source}, element {element.get('index')} of {track.get('name')}"
            rows.append((place, _row(video, "s", element.get("start"), element.get("end"), label)))
    rows = rows or [(source, {"video": video})]
    return read_rows(rows, ["video", "start_s", "end_s", "label"], source, "Anvil XML")


def _row(video: str, unit: str, start: Any, end: Any, label: str | None) -> dict[str, Any]:
    return {"video": video, f"start_{unit}": start, f"end_{unit}": end, "label": label}
