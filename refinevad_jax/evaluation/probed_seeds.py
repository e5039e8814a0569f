"""Probes of the seeds of a run, as one table; a ladder keeps them beside its evaluations."""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Sequence

import numpy as np
import tqdm

from refinevad_jax.data.bags import Bag, BagsInfo, read_info, read_split
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.probe_claims import block
from refinevad_jax.evaluation.probes import Prober, SeedProbes
from refinevad_jax.evaluation.run import check_features, selection_rule
from refinevad_jax.report.tables import Block, checkpoint_in_words
from refinevad_jax.runs.checkpoints import restore
from refinevad_jax.runs.evaluations import evaluation_folder, read_probes, write_probes
from refinevad_jax.runs.run import read_run, seed_workdirs


def probe_seeds(
    workdir: pathlib.Path, *, split: str, step: str = "best", data_dir: str = "", beside: str = ""
) -> Block:
    """Probes every seed of a run on a split of its data set.

    beside: name of the evaluation of that split and step, in whose folder a seed's probes are kept:
    what is there, of the same data, is not computed again. If not given, nothing is kept.
    Raises UserError for a folder without a run, a run without CORE, or a split that is not there.
    """
    folders = seed_workdirs(workdir) or [workdir]
    run = read_run(folders[0])
    if not run.model_config.has_core:
        raise UserError(f"{folders[0]}: a run without CORE, which the probes are of")
    data_dir = data_dir or run.config.data.data_dir
    info = read_info(data_dir, run.config.data.dataset)
    check_features(run.info, info, allow_mismatch=False)
    bags = read_split(data_dir, info.name, split)
    data = fingerprint(info, bags) if beside else ""
    prober = functools.cache(lambda: Prober(run, info, bags))
    found = []
    for folder in tqdm.tqdm(folders, f"probing {split}", unit="seed"):
        place = evaluation_folder(folder, beside) if beside else None
        kept = read_probes(place, data) if place else None
        if kept is None:
            _, params, _ = restore(read_run(folder), folder, step)
            found.append(prober().probes(params))
            if place:
                write_probes(place, data, dataclasses.asdict(found[-1]))
        else:
            inside = kept["inside"] and tuple(kept["inside"])
            found.append(SeedProbes(kept["numbers"], kept["attention"], inside))
    seeds = f"{len(found)} seeds" if len(found) > 1 else "one seed"
    scored = checkpoint_in_words(step, selection_rule(run))
    return block(found, f"{info.name}, split {split}, {scored}, {seeds}")


def fingerprint(info: BagsInfo, bags: Sequence[Bag]) -> str:
    """SHA-256 of what is known of videos, features included, whatever the data set is called.

    A data set may be packaged again under its name, and provenance may hold names and sizes alone.
    """
    about = dataclasses.replace(info, name="").to_dict()
    digest = hashlib.sha256(repr(about).encode())
    for bag in bags:
        spans = bag.spans.tolist() if bag.has_truth else None
        facts = (bag.video_id, bag.labels.tolist(), bag.num_frames, spans, bag.features.shape)
        digest.update(repr(facts).encode())
        digest.update(np.ascontiguousarray(bag.features[:]).data)
    return digest.hexdigest()
