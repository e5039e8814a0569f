"""One evaluation from a workdir to its folder of results."""

import pathlib
import re
from typing import Any

import tqdm

from refinevad_jax import analysis
from refinevad_jax import workdir as workdir_lib
from refinevad_jax.data.bags import BagsInfo, read_info, read_split
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation import results
from refinevad_jax.evaluation.scoring import Scorer
from refinevad_jax.staged_folder import replace_folder, restore_replaced, staging_folder


def evaluate(
    workdir: pathlib.Path,
    *,
    split: str,
    step: str,
    dataset: str = "",
    data_dir: str = "",
    num_segments: int | None = None,
    num_curves: int = 12,
    allow_mismatch: bool = False,
) -> dict[str, Any]:
    """Scores a split with a checkpoint, prints a table and writes the result folder.

    dataset, data_dir and num_segments are those of the run where not given. Returns what
    metrics.json holds. Raises UserError for bad input; earlier results then stay as they were.
    """
    run = workdir_lib.read_run(workdir)
    dataset = dataset or run.config.data.dataset
    data_dir = data_dir or run.config.data.data_dir
    info = read_info(data_dir, dataset)
    check_features(run.info, info, allow_mismatch=allow_mismatch)
    graphdef, params, number = analysis.restore(run, workdir, step)
    bags = read_split(data_dir, dataset, split)
    segments = run.config.eval.num_segments if num_segments is None else num_segments
    scorer = Scorer(graphdef, top_k_divisor=run.config.loss.top_k_divisor)
    with tqdm.tqdm(total=len(bags), desc=f"scoring {split}", unit="video") as bar:
        scored = scorer(
            params, bags, columns=run.columns(), num_segments=segments, progress=bar.update
        )
    evaluation = results.Evaluation(
        info=info,
        bags=bags,
        results=scored,
        resampled=segments > 0,
        has_categories=run.config.model.injection != "none",
    )
    content = results.without_nan(
        results.metrics(evaluation)
        | {
            "dataset": dataset,
            "split": split,
            "step": number,
            "step_chosen_as": step,
            "selection": selection_rule(run),
            "simulated": info.simulated,
            "seed": run.config.seed,
            "num_segments": segments,
            "frames_per_segment": info.frames_per_segment,
            "end_convention": info.end_convention,
            "num_crops": bags[0].features.shape[0],
            "encoder": info.encoder,
        }
    )
    name = f"{dataset}-{split}-{step}" + (
        "" if num_segments is None else f"-{segments or 'full'}segments"
    )
    folder = workdir / "eval" / re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    try:
        restore_replaced(folder)
        with staging_folder(folder) as staging:
            new = staging / "results"
            new.mkdir()
            results.write_files(evaluation, new, num_curves=num_curves)
            workdir_lib.write_json(new / "metrics.json", content)
            replace_folder(new, folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror or error})") from error
    print(table(content))
    print(f"{folder}: metrics.json, scores.npz, videos.csv, curves.png, curves/")
    return content


def check_features(trained: BagsInfo, found: BagsInfo, *, allow_mismatch: bool) -> None:
    """Refuses features that do not fit the checkpoint. Raises UserError with the reason."""
    if trained.modalities != found.modalities:
        raise UserError(
            f"data set {found.name!r} has modalities {_modalities(found)}, the run was trained on "
            f"{_modalities(trained)}; extract features of the same encoders"
        )
    if trained.taxonomy != found.taxonomy:
        raise UserError(
            f"data set {found.name!r} has the categories of {found.taxonomy.name!r}, the run knows "
            f"those of {trained.taxonomy.name!r}; package the data with --taxonomy of the run"
        )
    if trained.encoder != found.encoder and not allow_mismatch:
        raise UserError(
            f"data set {found.name!r} was encoded by {found.encoder!r}, the run was trained on "
            f"{trained.encoder!r}; --allow_mismatch evaluates all the same"
        )


def selection_rule(run: workdir_lib.Run) -> str:
    """How the best checkpoint was chosen, in words."""
    data = run.config.data
    where = (
        f"{data.selection_fraction:.0%} of {data.train_split!r}, held out"
        if data.selection_split == data.train_split
        else f"{data.selection_split!r}"
    )
    return f"{run.config.train.selection_metric} on {where} (video-level labels)"


def table(content: dict[str, Any]) -> str:
    """The headline numbers as text."""
    names = {
        "frame_auc": "frame AUC",
        "frame_ap": "frame AP",
        "anomalous_frame_auc": "frame AUC, anomalous videos",
        "false_alarm_rate": "false alarms on normal videos at 0.5",
        "video_auc": "video AUC",
        "video_ap": "video AP",
        "category_accuracy": "category accuracy",
        "category_map": "category mAP",
    }
    simulated = " (simulated data)" if content["simulated"] else ""
    segments = content["num_segments"]
    resolution = f"{segments} segments a video" if segments else "full sequences"
    lines = [
        f"{content['dataset']}, split {content['split']}{simulated}, step {content['step']} "
        f"({content['step_chosen_as']} by {content['selection']}), {resolution}",
        f"{content['num_videos']} videos ({content['num_anomalous_videos']} anomalous), "
        f"{content['num_videos_with_truth']} with frame truth: {content['num_frames']:,} frames, "
        f"{content['num_positive_frames']:,} anomalous, truth {content['truth_hash'][:12]}",
    ]
    for key, name in names.items():
        value = content[key]
        lines.append(f"  {name:38s} {'not defined' if value is None else f'{value:.4f}'}")
    return "\n".join(lines)


def _modalities(info: BagsInfo) -> str:
    return " + ".join(f"{modality.name} ({modality.width})" for modality in info.modalities)
