"""JSON exports of annotation tools: COCO, VIA (VGG Image Annotator) 2 and 3, Label Studio."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from data_prep.annotations.columns import understand
from data_prep.annotations.images import Image, read_images
from data_prep.annotations.labels import is_marked_normal
from data_prep.annotations.record import Annotations
from data_prep.annotations.rows import Row
from data_prep.annotations.tables import read_rows
from data_prep.catalogue.video_names import is_video_path
from refinevad_jax.errors import UserError

Export = Callable[[Any, str], Annotations]


def find_export(content: Any) -> Export | None:
    """The reader of the tool that wrote a parsed JSON file, None if it is of no known tool."""
    if isinstance(content, dict):
        if isinstance(content.get("images"), list) and "annotations" in content:
            return _read_coco
        if isinstance(content.get("file"), dict) and isinstance(content.get("metadata"), dict):
            return _read_via
        entries = content.get("_via_img_metadata", content)
        if isinstance(entries, dict) and entries and all(map(_is_via_image, entries.values())):
            return _read_via_images
    if isinstance(content, list) and content and all(map(_is_task, content)):
        return _read_label_studio
    return None


def _is_via_image(entry: Any) -> bool:
    return isinstance(entry, dict) and {"filename", "regions"} <= set(entry)


def _is_task(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    given = _given(entry)
    return isinstance(given, list) and all(isinstance(g, dict) and "result" in g for g in given)


# --- COCO ---


def _read_coco(content: dict[str, Any], source: str) -> Annotations:
    """Images with annotations; the image, or a list `videos`, may state video and frame."""
    names = {entry["id"]: str(entry["name"]) for entry in content.get("categories", ())}
    videos = {
        entry["id"]: str(entry.get("name") or entry["file_name"])
        for entry in content.get("videos", ())
    }
    marks: dict[Any, list[str]] = {}
    for number, entry in enumerate(content["annotations"], 1):
        if "image_id" not in entry:
            raise UserError(
                f"{source}, annotation {number}: no image_id; export the frames as images, or "
                "write a table video,start,end,label"
            )
        label = names.get(entry.get("category_id"), str(entry.get("category_id", "1")))
        # An attribute such as `anomaly: false` says which objects do not count.
        normal = is_marked_normal(entry.get("attributes") or {})
        marks.setdefault(entry["image_id"], []).append("normal" if normal else label)
    images = []
    for number, entry in enumerate(content["images"], 1):
        attributes = entry.get("attributes") or {}
        frame = next(
            (
                values[key]
                for values in (entry, attributes)
                for key in ("frame_index", "frame_id", "frame_number", "frame")
                if isinstance(values.get(key), int)
            ),
            None,
        )
        video = videos.get(entry.get("video_id")) or entry.get("video") or attributes.get("video")
        place = f"{source}, image {number}"
        labels = tuple(marks.pop(entry["id"], ()))
        normal = is_marked_normal(attributes)
        if normal is not None or (named := understand(list(attributes)).labels):
            own = "normal" if normal else "1" if normal is False else str(attributes[named[0]])
            labels = labels if normal is False and labels else (own,)
        images.append(Image(str(entry["file_name"]), labels, place, str(video or ""), frame))
    for image in marks:
        raise UserError(f"{source}: annotations of image {image!r}, which is not in 'images'")
    return read_images(images, source, "COCO JSON")


# --- VIA ---


def _read_via(content: dict[str, Any], source: str) -> Annotations:
    """VIA 3: times in seconds in `z`, the file by `vid`, the label by the first attribute."""
    files = {str(key): str(entry["fname"]) for key, entry in content["file"].items()}
    options = {
        str(key): entry.get("options") or {} for key, entry in content.get("attribute", {}).items()
    }
    views = {str(key): entry["fid_list"] for key, entry in content.get("view", {}).items()}
    rows: list[Row] = []
    stills = 0
    seen = set()
    for key, entry in content["metadata"].items():
        place = f"{source}, metadata {key}"
        view = str(entry["vid"])
        file = files.get(str(views.get(view, [view])[0]))
        if file is None:
            raise UserError(
                f"{place}: vid {view} is not a view of a file; export the project again"
            )
        if len(entry["z"]) != 2:
            stills += bool(entry["z"])
            continue
        label = next(
            (options.get(str(k), {}).get(str(v), v) for k, v in (entry.get("av") or {}).items()), ""
        )
        seen.add(file)
        rows.append((place, _row(file, entry["z"][0], entry["z"][1], label)))
    rows += [(f"{source}, file {file}", _row(file)) for file in files.values() if file not in seen]
    notes = [f"marks at a single moment are not spans and were left out: {stills}"] * bool(stills)
    return _of_rows(rows, source, "VIA 3 JSON", notes)


def _read_via_images(content: dict[str, Any], source: str) -> Annotations:
    """VIA 2: images with regions."""
    images = []
    for key, entry in content.get("_via_img_metadata", content).items():
        regions = entry["regions"]
        regions = list(regions.values()) if isinstance(regions, dict) else regions
        labels = tuple(
            str(next(iter((region.get("region_attributes") or {}).values()), "1"))
            for region in regions
        )
        images.append(Image(str(entry["filename"]), labels, f"{source}, image {key}"))
    return read_images(images, source, "VIA 2 JSON")


# --- Label Studio ---


def _read_label_studio(tasks: list[dict[str, Any]], source: str) -> Annotations:
    """Regions with times, a timeline with frames, or boxes followed through frames."""
    rows: list[Row] = []
    several: list[str] = []
    for number, task in enumerate(tasks, 1):
        place = f"{source}, task {number}"
        video = _task_video(task, place)
        given = [entry for entry in _given(task) if not entry.get("was_cancelled")]
        if len(given) > 1:
            several.append(video)
        found = [
            (f"{place}, result {i}.{j}", row)
            for i, entry in enumerate(given, 1)
            for j, result in enumerate(entry["result"], 1)
            for row in _regions(result["value"], video, f"{place}, result {i}.{j}")
        ]
        # Only what somebody looked at and left without a mark is normal.
        rows += found or ([(place, _row(video))] if given else [])
    units = {"frames" if "start_frame" in row else "seconds" for _, row in rows if len(row) > 2}
    if len(units) > 1:
        raise UserError(f"{source}: some regions are in frames, others in seconds; export one kind")
    notes = ["Label Studio counts frames from 1 and includes the last"] * ("frames" in units)
    if several:
        notes.append(
            f"{len(several)} videos have the results of several people, first {several[0]}; all "
            "are taken together"
        )
    return _of_rows(rows, source, "Label Studio JSON", notes)


def _given(task: dict[str, Any]) -> Any:
    """What people marked in a task; earlier releases have another name for it."""
    return task["annotations"] if "annotations" in task else task.get("completions")


def _task_video(task: dict[str, Any], place: str) -> str:
    data = task.get("data") or {}
    named = [value for value in data.values() if isinstance(value, str)]
    file = task.get("file_upload") or next(filter(is_video_path, named), named[0] if named else "")
    if not file:
        raise UserError(f"{place}: names no video in 'data'; export the project again")
    # An upload gets eight digits before its name.
    return re.sub(r"^[0-9a-f]{8}-", "", re.split(r"[/\\]", str(file))[-1])


def _regions(value: dict[str, Any], video: str, place: str) -> Iterator[dict[str, Any]]:
    words = [entry for entry in value.values() if isinstance(entry, list) and entry]
    labels = next((entry for entry in words if all(isinstance(w, str) for w in entry)), [""])
    for label in labels:
        if "ranges" in value:
            for part in value["ranges"]:
                yield _frames(video, part["start"], part["end"], label)
        elif "sequence" in value:
            shown = sorted(value["sequence"], key=lambda entry: entry["frame"])
            for start, end in _shown(shown, value.get("framesCount")):
                yield _frames(video, start, end, label)
        elif "start" in value and "end" in value:
            yield _row(video, value["start"], value["end"], label)
        elif "choices" in value:
            raise UserError(
                f"{place}: labels of the whole video, without times; write them into a list "
                "video,label"
            )
        else:
            raise UserError(f"{place}: a region without times ({', '.join(value)})")


def _shown(sequence: list[dict[str, Any]], last: int | None) -> Iterator[tuple[int, int]]:
    """First and last frames in which a box is enabled; a keyframe holds until the next one."""
    start = None
    for entry in sequence:
        if start is None:
            start = entry["frame"]
        if not entry.get("enabled", True):
            yield start, entry["frame"]
            start = None
    if start is not None:
        yield start, last or sequence[-1]["frame"]


def _frames(video: str, start: int, end: int, label: str) -> dict[str, Any]:
    return {"video": video, "start_frame": start - 1, "end_frame": end, "label": label}


def _row(video: str, *event: Any) -> dict[str, Any]:
    return {"video": video} | dict(zip(("start_s", "end_s", "label"), event, strict=False))


def _of_rows(rows: list[Row], source: str, kind: str, notes: list[str]) -> Annotations:
    framed = any("start_frame" in row for _, row in rows)
    times = ("start_frame", "end_frame") if framed else ("start_s", "end_s")
    return read_rows(rows, ["video", *times, "label"], source, kind, notes=notes)
