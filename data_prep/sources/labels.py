"""What the labels of lists say, by a taxonomy or by the words of the field, and what is wrong."""

import collections
import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence

from data_prep.annotations import Annotations
from data_prep.annotations.labels import category_word
from data_prep.catalogue.lookup import data_set_named, data_set_of, labels_from_names
from data_prep.catalogue.video_names import is_normal_label, label_tokens, match_key
from data_prep.dataset.videos import Span, one_kind
from data_prep.sources.faults import Fault, Weight
from data_prep.sources.lists import TRAIN, ListEntry, VideoList
from refinevad_jax.data.taxonomy import Taxonomy, fault_of_name, shown
from refinevad_jax.errors import UserError

IsNormal = Callable[[str | None], bool]


def normal_by(taxonomy: Taxonomy | None) -> IsNormal:
    """Whether a label means "no anomaly": by the taxonomy, or in any of the released lists.

    A label that the taxonomy cannot read does not.
    """
    if taxonomy is None:
        return is_normal_label

    def is_normal(label: str | None) -> bool:
        try:
            return label is not None and not taxonomy.multi_hot(label).any()
        except UserError:
            return False

    return is_normal


def classes_of(label: str, taxonomy: Taxonomy | None) -> list[str]:
    """The categories of a label, [] of a normal one or one that the taxonomy cannot read."""
    if taxonomy is None:
        return [] if is_normal_label(label) else label_tokens(label) or [label]
    try:
        found = taxonomy.multi_hot(label)
    except UserError:
        return []
    return [name for name, there in zip(taxonomy.categories, found, strict=True) if there]


def in_words_of(read: VideoList, taxonomy: Taxonomy) -> VideoList:
    """A list whose labels are 0 and 1, True and False or such words, in those of the taxonomy.

    A word for "anomalous" names a category only if there is one. What was read as what is a note of
    the list.
    """
    words = {}
    for label in sorted({label for label in read.labels.values() if label is not None}):
        if not _fault_of(label, taxonomy):
            continue
        if _is_no(label) and taxonomy.normal and not _is_numbered(taxonomy):
            words[label] = taxonomy.normal[0]
        elif category_word(label) is None and len(taxonomy.categories) == 1:
            words[label] = taxonomy.categories[0]
    if not words:
        return read
    rows = (
        dataclasses.replace(row, label=row.label and words.get(row.label, row.label))
        for row in read.entries
    )
    said = ", ".join(f"{label} as {word}" for label, word in words.items())
    return dataclasses.replace(
        read, entries=tuple(rows), notes=(*read.notes, f"the labels were read: {said}")
    )


def _is_no(label: str) -> bool:
    """Whether a label means normal whatever the classes are; `A` may be one of them."""
    return label.lower() == "no" or (is_normal_label(label) and label != "A")


def _is_numbered(taxonomy: Taxonomy) -> bool:
    """Whether categories are numbers, so that 0 may be one that was forgotten."""
    return len(taxonomy.categories) > 1 and all(name.isdecimal() for name in taxonomy.categories)


def label_faults(read: VideoList, taxonomy: Taxonomy | None) -> list[Fault]:
    """What is wrong with the rows of one list: labels and repetitions.

    taxonomy: None if it is not known, so that every label is good.
    """
    missing, twice, differing, named, unusable = [], [], [], [], []
    unknown: dict[str, list[str]] = {}
    from_names = labels_from_names(read.videos)
    for video, rows in read.videos.items():
        if fault := fault_of_name(video, of_file=True):
            unusable.append(f"{read.source}:{rows[0].line}: video {shown(video)} {fault}")
        crops: set[int] = set()
        for row in rows:
            place = f"{read.source}:{row.line}: video {video}"
            if row.label is None:
                missing.append(f"{place} has no label, and its name states none")
                break
            if row.label != rows[0].label:
                first = f"{rows[0].label!r} in line {rows[0].line}"
                differing.append(f"{place} is {row.label!r} here, {first}{_written(row, rows[0])}")
                break
            if (row.crop or 0) in crops:  # crop 0 of Roc-Ng's files carries no number
                of_crop = "" if row.crop is None else f", crop {row.crop}"
                twice.append(f"{place}{of_crop} appears twice{_written(row, rows[0])}")
                break
            crops.add(row.crop or 0)
        label = rows[0].label
        if label is None:
            continue
        if _contradicts_name(video, from_names[video], label, taxonomy):
            named.append(f"{read.source}:{rows[0].line}: video {video} is labelled {label}")
        if taxonomy is not None:
            unknown.setdefault(label, []).append(f"{read.source}:{rows[0].line}: video {video}")
    unreadable = [
        f"{places[0]}{f' and {len(places) - 1} more' if places[1:] else ''}: {fault}"
        for label, places in unknown.items()
        if taxonomy is not None and (fault := _fault_of(label, taxonomy))
    ]
    refused = Weight.REFUSED
    return [
        Fault("names", tuple(unusable), "rename it in the list and its files", refused),
        Fault("no label", tuple(missing), "add a label column: path,label", refused),
        Fault("labels differ", tuple(differing), "correct one", refused),
        Fault("rows twice", tuple(twice), "remove one", refused),
        Fault(
            "unknown labels",
            tuple(unreadable),
            "correct the list, or give a taxonomy that has the label",
            refused,
            "label",
        ),
        Fault(
            "label against name",
            tuple(named),
            "the label is not the one in the name",
            Weight.WARNED,
        ),
    ]


def split_faults(lists: Sequence[VideoList], taxonomy: Taxonomy | None) -> list[Fault]:
    """What is wrong with lists beside each other.

    If no list is said to be that of training, each class should be in two lists.
    """
    is_normal = normal_by(taxonomy)
    counts: dict[int, collections.Counter[str]] = {}
    faults = [_overlap(lists)]
    for place, read in enumerate(lists):
        labels = [label for label in read.labels.values() if label is not None]
        normal = sum(map(is_normal, labels))
        found, means = one_kind(read.split, normal, len(labels) - normal, taxonomy)
        if labels and normal in (0, len(labels)):
            name = f"split {read.split}" if read.split else read.source
            weight = Weight.REFUSED if read.split == TRAIN else Weight.NOTED
            faults.append(Fault("one kind of videos", (f"{name}: {found}",), means, weight, "list"))
        counts[place] = collections.Counter(
            name for label in labels for name in classes_of(label, taxonomy)
        )
    trained = [place for place, read in enumerate(lists) if read.split == TRAIN]
    if trained:
        total = sum((counts[place] for place in trained), collections.Counter[str]())
        single = tuple(name for name, count in total.items() if count == 1)
        faults.append(
            Fault(
                "classes with one training video",
                single,
                "one video is too few to learn from",
                Weight.NOTED,
                "class",
            )
        )
    lost = []
    for name in dict.fromkeys(name for count in counts.values() for name in count):
        places = [place for place, count in counts.items() if count[name]]
        if len(lists) > 1 and (not set(places) & set(trained) if trained else len(places) == 1):
            where = ", ".join(f"{counts[i][name]} in {lists[i].source}" for i in places)
            lost.append(f"{name}: {where}")
    faults.append(
        Fault(
            "classes without training videos" if trained else "classes in one list only",
            tuple(lost),
            "such events cannot be learnt" if trained else "learnt only if it is the training list",
            Weight.WARNED if trained else Weight.NOTED,
            "class",
        )
    )
    return faults


def in_classes_of(truth: Annotations, taxonomy: Taxonomy | None) -> Annotations:
    """A truth whose spans have no category if theirs says no more than "an anomaly".

    Names of ShanghaiTech's videos say `Abnormal`, tables say 1; a taxonomy may have such a class.
    """
    if taxonomy is None:
        return truth

    def stripped(span: Span) -> Span:
        word = span.category
        if word is None or category_word(word) is not None or classes_of(word, taxonomy):
            return span
        return dataclasses.replace(span, category=None)

    spans = {video: tuple(map(stripped, found)) for video, found in truth.spans.items()}
    return dataclasses.replace(truth, spans=spans)


def span_faults(
    truth: Annotations, labels: Mapping[str, str | None], taxonomy: Taxonomy | None
) -> list[Fault]:
    """Categories of spans that the taxonomy does not know, or that the labels contradict.

    labels: of each listed video.
    """
    if taxonomy is None:
        return []
    unknown: dict[str, list[str]] = {}
    others = []
    for video, label in labels.items():
        listed = classes_of(label or "", taxonomy)
        for name in dict.fromkeys(span.category for span in truth.spans_of(video) or ()):
            if name is None:
                continue
            unknown.setdefault(name, []).append(video)
            meant = classes_of(name, taxonomy)
            if listed and meant and not set(meant) <= set(listed):
                others.append(f"{video}: annotated as {name}, listed as {label}")
    places = []
    for name, found in unknown.items():
        try:
            taxonomy.span_index(name)
        except UserError as error:
            more = f" and {len(found) - 1} more" if found[1:] else ""
            places.append(f"{truth.source}: a span of video {found[0]}{more}: {error}")
    advice = "correct it, or give a --taxonomy that has it"
    return [
        Fault("unknown spans", tuple(places), advice, Weight.REFUSED, "category"),
        Fault("class of spans", tuple(others), "correct the truth or the list", Weight.WARNED),
    ]


def twin_faults(
    digests: Mapping[pathlib.Path, str], sources: Mapping[pathlib.Path, str]
) -> list[Fault]:
    """Feature files of equal content: one video under two names, or copied by mistake.

    digests: of the files; sources: the list of each.
    """
    groups: dict[str, list[pathlib.Path]] = {}
    for path, digest in digests.items():
        groups.setdefault(digest, []).append(path)
    groups = {digest: paths for digest, paths in groups.items() if len(paths) > 1}
    across, within = [], []
    for paths in groups.values():
        found = {sources.get(path, "") for path in paths}
        if len(found) > 1:
            across.append(", ".join(f"{path.name} ({sources[path]})" for path in paths))
        else:
            within.append(", ".join(path.name for path in paths))
    return [
        Fault(
            "features in two lists",
            tuple(across),
            "the same bytes under two names: a test video must not be trained on",
            Weight.WARNED,
            "group",
        ),
        Fault(
            "features twice",
            tuple(within),
            "files that hold the same bytes",
            Weight.WARNED,
            "group",
        ),
    ]


def _written(row: ListEntry, first: ListEntry) -> str:
    """How two rows of one video write it, if they are not of two crops."""
    if row.path == first.path or row.crop != first.crop:
        return ""
    return f" ({row.path} and {first.path} have one name)"


def _fault_of(label: str, taxonomy: Taxonomy) -> str:
    try:
        taxonomy.multi_hot(label)
    except UserError as error:
        named = category_word(label) is not None
        return f"{error}{'' if named else '; it names no category: write that of each video'}"
    return ""


def _contradicts_name(
    video: str, stated: str | None, label: str, taxonomy: Taxonomy | None
) -> bool:
    """Whether a label cannot be meant for a video whose name states another."""
    if stated is None:
        return False
    if is_normal_label(stated) != normal_by(taxonomy)(label):
        return True
    data_set = data_set_named(data_set_of(video))
    if is_normal_label(stated) or data_set is None or not data_set.names_state_category:
        return False
    if taxonomy is not None and _fault_of(stated, taxonomy):
        return False  # own classes of videos that are named like a release's
    tokens = [{token.lower() for token in label_tokens(text)} for text in (stated, label)]
    return tokens[0] != tokens[1]


def _overlap(lists: Sequence[VideoList]) -> Fault:
    """Videos that are in two lists, whichever way these write their names."""
    seen: dict[str, tuple[int, str]] = {}
    common = []
    for place, read in enumerate(lists):
        for video, rows in read.videos.items():
            here = f"{read.source}:{rows[0].line}"
            earlier = seen.setdefault(match_key(video), (place, here))
            if earlier != (place, here):
                common.append(f"{here}: video {video} appears twice, first at {earlier[1]}")
    return Fault(
        "videos in two lists",
        tuple(common),
        "a test video must not be trained on; remove one",
        Weight.REFUSED,
    )
