"""Evaluates a run, all seeds of a run, or a file of scores; each into its evaluation folder."""

import dataclasses
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tqdm
from flax import nnx

from refinevad_jax.data.bags import Bag, BagsInfo, read_info, read_split
from refinevad_jax.data.taxonomy import in_words, mapped, matching
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation import page_content, score_files
from refinevad_jax.evaluation.numbers import measure
from refinevad_jax.evaluation.outcomes import event_list, outcomes, video_rows
from refinevad_jax.evaluation.score_formats import content_sha256
from refinevad_jax.evaluation.scored_split import ScoredSplit, stored_arrays
from refinevad_jax.evaluation.scoring import Pooling, Scorer, VideoScores
from refinevad_jax.report import drawing, tables
from refinevad_jax.report.page import write_page
from refinevad_jax.runs import evaluations
from refinevad_jax.runs.checkpoints import restore
from refinevad_jax.runs.run import Run, is_published, read_run, seed_workdirs, versions
from refinevad_jax.runs.scoring_rule import (
    DEFAULT_RATE,
    FALSE_ALARM_RATES,
    ScoringRule,
    Threshold,
    override_note,
    point_threshold,
    scoring_rule,
    stored_threshold,
)
from refinevad_jax.runtime.command_line import one_line

# From so many on, measuring takes as long as it takes other processes to start.
MANY_VIDEOS = 100


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a user may choose in addition to what is evaluated.

    Attributes:
        num_curves: score curves to draw; with 0 no figures are drawn either.
        false_alarm_rate: share of the segments of normal videos that may be flagged. Events are
            those at the threshold for it, which is stored beside those of FALSE_ALARM_RATES.
        report: whether report.html is written.
        verbose: whether the table is printed.
        apart: whether figures may be drawn in other processes, see `report.drawing`.
    """

    num_curves: int = 12
    false_alarm_rate: float = DEFAULT_RATE
    report: bool = True
    verbose: bool = True
    apart: bool = False


def evaluate_seeds(workdir: pathlib.Path, **options: Any) -> list[dict[str, Any]]:
    """Evaluates the run in workdir, or every seed of it; options as of `evaluate`.

    Returns what metrics.json holds, by seed. Raises UserError if the folder has no run.
    """
    folders = seed_workdirs(workdir)
    if not folders:
        read_run(workdir)  # says what is missing
    contents = [evaluate(folder, **options) for folder in folders]
    if len(contents) > 1:
        print(f"\n{tables.seeds_table(contents)}", flush=True)
    return contents


def evaluate(
    workdir: pathlib.Path,
    *,
    split: str,
    step: str,
    dataset: str = "",
    data_dir: str = "",
    num_segments: int | None = None,
    allow_mismatch: bool = False,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Scores a split with a checkpoint, prints a table and writes the result folder.

    dataset, data_dir and num_segments are those of the run if not given. Returns what metrics.json
    holds. Raises UserError for bad input; earlier results then stay as they were.
    """
    run = read_run(workdir)
    dataset = dataset or run.config.data.dataset
    name = f"{dataset}-{split}-{step}" + (
        "" if num_segments is None else f"-{num_segments or 'full'}segments"
    )
    folder = evaluations.evaluation_folder(workdir, re.sub(r"[^A-Za-z0-9_.-]", "_", name))
    if is_published(workdir):
        print(f"{workdir} is a published run, which stays as it is: results go to {folder}")
    data_dir = data_dir or run.config.data.data_dir
    info = read_info(data_dir, dataset)
    check_features(run.info, info, allow_mismatch=allow_mismatch)
    note = override_note(run, num_segments)
    if note:
        print(note, flush=True)
    scored, rule = score(run, workdir, step, info, data_dir, split, num_segments)
    protocol = {
        "dataset": dataset,
        "split": split,
        "step": rule.step,
        "step_chosen_as": step,
        "selection": selection_rule(run),
        "scored_by": scored_by(run, rule.step, step),
        "inputs": run.inputs_words(scored.bags),
        "seed": run.config.seed,
        "commit": run.versions.get("commit", ""),
        "trained_versions": dict(run.versions),
        "num_segments": rule.num_segments,
        "config": run.config.to_dict(),
    }

    def threshold(content: Mapping[str, Any], rate: float) -> Threshold | None:
        found = evaluations.all_metrics(workdir) | {folder.name: dict(content)}
        return stored_threshold(workdir, run, rule, rate, evaluations=found)

    return write_evaluation(scored, protocol, folder, settings or Settings(), threshold)


def evaluate_scores(
    path: pathlib.Path,
    info: BagsInfo,
    bags: Sequence[Bag],
    *,
    split: str,
    folder: pathlib.Path,
    length_rules: Mapping[str, np.ndarray] | None = None,
    key: Callable[[str], str] = str,
    provenance: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """The same report for a file of anybody's scores, see `score_files`.

    Args:
        path: the file of scores.
        info: the data set.
        bags: the videos of the split, with or without features.
        split: its name.
        folder: of the evaluation.
        length_rules: as of `score_files.read_scores`.
        key: likewise.
        provenance: where the videos come from, if not from a packaged data set.
        settings: what else a user may choose.

    Raises UserError for bad input, and if the folder exists: nothing is overwritten.
    """
    refuse_existing(folder)
    scored = score_files.read_scores(path, info, bags, length_rules=length_rules, key=key)
    for note in [*scored.notes, f"one score per {scored.resolution}"]:
        print(one_line(f"{path.name}: {note}"))
    protocol = {
        "dataset": info.name,
        "split": split,
        "step": None,
        "step_chosen_as": None,
        "selection": "not known: the scores were given",
        "scored_by": f"scores of {path.name}",
        "seed": None,
        "commit": None,
        "trained_versions": None,
        "num_segments": scored.num_segments,
        "scores": {
            "file": path.name,
            "sha256": content_sha256(path),
            "per": scored.resolution,
            "notes": scored.notes,
            **(provenance or {}),
        },
    }
    return write_evaluation(scored.split, protocol, folder, settings or Settings())


def refuse_existing(folder: pathlib.Path) -> None:
    """Raises UserError if the folder for the result exists."""
    if folder.exists():
        raise UserError(f"{folder} exists; choose another folder by --output, or remove it")


def score(
    run: Run,
    workdir: pathlib.Path,
    step: str,
    info: BagsInfo,
    data_dir: str,
    split: str,
    num_segments: int | None = None,
) -> tuple[ScoredSplit, ScoringRule]:
    """A split scored with a checkpoint, and the rule that made its scores.

    num_segments: another resolution than that of the run.
    """
    graphdef, params, number = restore(run, workdir, step)
    rule = scoring_rule(run, workdir, number, num_segments)
    bags = read_split(data_dir, info.name, split)
    if words := run.inputs_note(bags, split):
        print(words, flush=True)
    pooling = Pooling.of(run.config.loss)
    scorer = Scorer(graphdef, pooling=pooling, with_mixture=has_mixture_loss(run))
    with tqdm.tqdm(total=len(bags), desc=f"scoring {split}", unit="video") as bar:
        scored = scorer(
            params,
            run.inputs(bags),
            columns=run.columns(),
            num_segments=rule.num_segments,
            calibration=rule.calibration,
            progress=bar.update,
        )
    prototypes = None  # those of other categories say nothing of these
    if run.model_config.has_core:
        if run.info.taxonomy == info.taxonomy:
            prototypes = np.asarray(nnx.merge(graphdef, params).core.embedded())
        else:
            scored = [in_categories_of(info, run.info, result) for result in scored]
            print(f"categories: {in_words(run.info.taxonomy, info.taxonomy)}")
    resampled = rule.num_segments > 0
    note = rule.note or run.chosen_on
    return ScoredSplit(info, bags, scored, resampled, prototypes, rule.calibration, note), rule


def has_mixture_loss(run: Run) -> bool:
    """Whether L_GMM was part of the run's loss, so that its target means something."""
    loss = run.config.loss
    trained = loss.smoothing == "mixture" and loss.smoothing_weight > 0
    return trained and run.model_config.has_core


def in_categories_of(info: BagsInfo, trained: BagsInfo, result: VideoScores) -> VideoScores:
    """What a network says of the categories of another data set, matched by name."""
    found = matching(trained.taxonomy, info.taxonomy)
    return dataclasses.replace(
        result,
        category_probs=mapped(result.category_probs, found),
        category_weights=mapped(result.category_weights, found),
    )


def write_evaluation(
    split: ScoredSplit,
    protocol: dict[str, Any],
    folder: pathlib.Path,
    settings: Settings,
    threshold: Callable[[Mapping[str, Any], float], Threshold | None] = lambda content, rate: None,
) -> dict[str, Any]:
    """Measures, writes the folder whole or not at all, prints; what metrics.json holds.

    threshold: the one that detection takes, given these numbers and a false-alarm rate. If there is
    none, events are those at the threshold of this split.
    """
    apart = settings.apart and settings.num_curves > 0 and len(split.bags) >= MANY_VIDEOS
    with drawing.started(apart=apart) as figures:
        return _written(split, protocol, folder, settings, threshold, figures)


def _written(
    split: ScoredSplit,
    protocol: dict[str, Any],
    folder: pathlib.Path,
    settings: Settings,
    threshold: Callable[[Mapping[str, Any], float], Threshold | None],
    figures: drawing.Drawing,
) -> dict[str, Any]:
    rate = settings.false_alarm_rate
    content = measure(split, false_alarm_rates=(*FALSE_ALARM_RATES, rate)) | protocol
    content["versions"] = versions()
    alarm = threshold(content, rate) or point_threshold(
        content["operating_points"], rate, f"{content['split']}, these videos"
    )
    content["alarm_threshold"] = {
        "threshold": alarm.value if alarm else None,
        "source": alarm.source if alarm else "no normal video, so no threshold",
    }
    found = outcomes(split, content["alarm_threshold"]["threshold"])

    def draw(new: pathlib.Path) -> None:
        curves = page_content.curves(split) if settings.report or settings.num_curves else {}
        with figures.finished():
            if settings.num_curves:
                count = settings.num_curves
                page_content.draw_score_curves(split, found, new, figures, num_curves=count)
                page_content.draw_metrics(content, curves, new / "figures", figures)
            if settings.report:
                page = page_content.page_content(split, found, content, curves)
                write_page(new / "report.html", page)

    names = evaluations.write_evaluation(
        folder,
        content,
        stored_arrays(split),
        rows=video_rows(split, found),
        events=event_list(split, found, content),
        draw=draw,
    )
    if settings.verbose:
        print(tables.evaluation_table(content))
        if note := page_content.lost_truth(split):
            print(one_line(f"warning: {note}"))
        print(f"{folder}: {', '.join(names)}")
    return content


def check_features(trained: BagsInfo, found: BagsInfo, *, allow_mismatch: bool) -> None:
    """Refuses features that do not fit the checkpoint. Raises UserError with the reason."""
    if trained.modalities != found.modalities:
        raise UserError(
            f"data set {found.name!r} has modalities {_modalities(found)}, the run was trained on "
            f"{_modalities(trained)}; extract features of the same encoders"
        )
    if trained.taxonomy != found.taxonomy and not allow_mismatch:
        raise UserError(
            f"data set {found.name!r} has the categories of {found.taxonomy.name!r}, the run knows "
            f"those of {trained.taxonomy.name!r}; package the data with --taxonomy of the run, or "
            "evaluate zero-shot with --allow_mismatch: categories are then matched by name"
        )
    if trained.encoder != found.encoder and not allow_mismatch:
        raise UserError(
            f"data set {found.name!r} was encoded by {found.encoder!r}, the run was trained on "
            f"{trained.encoder!r}; --allow_mismatch evaluates all the same"
        )
    for modality, norm in found.normalization.items():  # empty if it was never measured
        before = trained.normalization.get(modality, norm)
        if norm != before and not allow_mismatch:
            raise UserError(
                f"data set {found.name!r} has {modality} rows normalised as {norm!r}, the run was "
                f"trained on {before!r}; --allow_mismatch evaluates all the same"
            )


def selection_rule(run: Run) -> str:
    """How the best checkpoint was chosen, in words."""
    metric = run.config.train.selection_metric
    if metric == "step":
        return tables.LAST_STEP
    return f"{metric} on {run.chosen_on} (video-level labels)"


def scored_by(run: Run, step: int, chosen: str) -> str:
    """The checkpoint that scored, in words. chosen: "best", "last" or the number of a step."""
    words = tables.checkpoint_in_words(chosen, selection_rule(run))
    return f"step {step}" + ("" if words == f"step {step}" else f" ({words})")


def _modalities(info: BagsInfo) -> str:
    return " + ".join(f"{modality.name} ({modality.width})" for modality in info.modalities)
