"""`wframe score`: one row of the score table.

The score is torch-fidelity's (Salimans et al. 2016): exp of the mean divergence KL(p(y|x) ‖ p(y)) in each split of the
shuffled set, averaged over splits. Its spread over splits, its spread over repeats (seeds) and, for FRAME and wFRAME,
its standard error over groups are separate numbers.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_fidelity import FeatureExtractorBase
from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD, isc_features_to_metric

from wframe.data.arrays import load_all
from wframe.data.registry import data_folder
from wframe.errors import UserError
from wframe.files import read_json, sha256_file, write_json
from wframe.runtime.code import code_hash, module_names
from wframe.runtime.machine import made_by
from wframe.runtime.process import choose_device, configure_process
from wframe.scores.classify import class_logits, load_classifier
from wframe.scores.extractors import check_weights, extractor
from wframe.scores.jackknife import jackknife_error, log_scores
from wframe.scores.nearest import distance_to_nearest, summary, unseen
from wframe.weights import POCKET

# The gate: the score of real images in the paper's Table 1, and the size of CIFAR-10's training set.
# torch-fidelity's port of the 2015 Inception gives 11.237 ± 0.095 on them; torchvision's Inception about 9.7.
GATE, GATE_ERROR, GATE_IMAGES = 11.24, 0.11, 50_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe score`."""
    add = parser.add_argument
    add(
        "--samples",
        type=Path,
        nargs="+",
        action="append",
        default=[],
        metavar="FILE",
        help="the set (.safetensors with `images`, or .npy); once per repeat. Default: the training images",
    )
    add("--training", type=Path, nargs="+", required=True, help="the prepared training images (.npy)")
    add("--learned", type=int, help="only the first LEARNED images of each file were trained on; default: all")
    add(
        "--held-out",
        type=Path,
        nargs="*",
        default=[],
        help="held-out real images; training images among them are ignored",
    )
    add("--extractor", choices=module_names("wframe.scores.extractors"), default="inception")
    add("--weights", type=Path, help="the classifier's weights, or the record of `wframe weights`")
    add("--data", type=Path, help="the data folder that the record refers to; default: WFRAME_DATA, else data")
    add("--splits", type=int, default=10)
    add("--group-size", type=int, help="images of a group, where each group is a training of its own; default: none is")
    add("--limit", type=int, help="maximum images of a set, evenly spread; default: all")
    add("--nearest", type=int, help="maximum images of a set to compare with all training images; default: all")
    add("--gate", type=Path, help="inception: the record of the row with CIFAR-10's real images")
    add("--is-gate", action="store_true", help="inception: this row is the gate")
    add("--about", type=json.loads, default={}, help="JSON for the record: row, title, dataset, method, ...")
    add("--batch", type=int, default=64, help="batch size of the classifier")
    add("--device", choices=["auto", "cpu", "cuda"], default="auto")
    add("--threads", type=int, help="CPU threads; default: all cores this process may use")
    add("--out", type=Path, required=True, help="the row's record (.json)")


def main(args: argparse.Namespace) -> None:
    """Score every repeat's set, measure its distance to the training images, and write the record."""
    begin = time.monotonic()
    configure_process(args.threads)
    device = choose_device(args.device)
    weights, status = find_weights(args)
    gate = find_gate(args)
    if status == "ok" and gate.startswith("not passed"):
        status = f"gate {gate}"
    classifier = load_classifier(args.extractor, weights, device) if status == "ok" else None
    training = load_all(args.training, args.learned)
    repeats = [score_repeat(args, repeat, training, classifier, device) for repeat in range(max(1, len(args.samples)))]
    record = {
        "row": args.out.stem,
        "title": args.out.stem,
        **args.about,
        "score_name": extractor(args.extractor).SCORE,
        "extractor": args.extractor,
        "splits": args.splits,
        "status": status,
        "gate": gate,
        "n": repeats[0]["n"],
        "repeats": repeats,
        **over_repeats(repeats),
        "training_images": len(training),
        "nearest_real": real_distances(args, training, device),
    }
    if args.is_gate:
        record["gate"] = gate_outcome(record)
    process = made_by(begin, device, "torch", "torchvision", "torch-fidelity", "numpy")
    write_json(args.out, record | _source(args, weights, device) | process)
    number = "" if record["score"] is None else f" {record['score']:.3f} ± {record['std_splits']:.3f} over splits"
    print(f"{record['row']}: {record['score_name']}{number or ': ' + status}", file=sys.stderr)


def score_repeat(
    args: argparse.Namespace,
    repeat: int,
    training: np.ndarray,
    classifier: FeatureExtractorBase | None,
    device: torch.device,
) -> dict[str, Any]:
    """Return one repeat's score (none without a classifier), and its distance to the training images (N, H, W, 3).

    Without samples the set is the training images, whose distance to themselves says nothing.
    """
    images = load_all(args.samples[repeat]) if args.samples else training
    about: dict[str, Any] = {"repeat": repeat, "n": min(len(images), args.limit or len(images))}
    if classifier:
        title = f"{args.extractor} on {args.about.get('row', 'the set')}, repeat {repeat}"
        logits = class_logits(classifier, evenly(images, args.limit), device, title, args.batch)
        about |= inception_score(logits, args.splits)
        if args.group_size:
            group = evenly(np.arange(len(images)) // args.group_size, args.limit)
            about |= error_over_groups(logits, about["score"], group)
    if args.samples:
        some = evenly(images, args.nearest)
        about["nearest"] = summary(distance_to_nearest(some, training, device, "samples to training images"))
    return about


def _source(args: argparse.Namespace, weights: Path | None, device: torch.device) -> dict[str, Any]:
    """Return what a row comes from: the hashes of its files and of its code, and the kind of device."""
    files = sorted({path for part in (*args.samples, args.training, args.held_out) for path in part})
    hashes = {_name(path): sha256_file(path) for path in files}
    return {
        "inputs": hashes | ({"weights": sha256_file(weights)} if weights else {}),
        "code": code_hash("wframe.scores.score", f"wframe.scores.extractors.{args.extractor}"),
        "device": device.type,
    }


def find_weights(args: argparse.Namespace) -> tuple[Path | None, str]:
    """Return the weights file and "ok", or None and why there is none.

    Raises:
        UserError: the file is another network's, or not the one in the record.
    """
    path: Path | None = args.weights
    if path is None and args.extractor != "pocket":
        raise UserError(f"--weights: {args.extractor} needs a weights file")
    if path is not None and path.suffix == ".json":
        record = read_json(path)
        if record["status"] != "ok":
            return None, record["status"]
        path = data_folder(args.data) / record["path"] if record["path"] else None
        if path and (not path.is_file() or sha256_file(path) != record["sha256"]):
            raise UserError(f"{path}: not the file recorded in {args.weights}. Rerun `wframe weights`.")
    path = path or POCKET
    check_weights(args.extractor, path)
    return path, "ok"


def find_gate(args: argparse.Namespace) -> str:
    """Return "passed", "not passed: " and the reason, "this row", or "none" where a score has no gate."""
    if args.extractor != "inception":
        return "none"
    if args.is_gate:
        return "this row"
    if args.gate is None:
        return "not passed: no row of CIFAR-10's real images is given (--gate)"
    return read_json(args.gate)["gate"]


def gate_outcome(record: dict[str, Any]) -> str:
    """Judge the gate's own row: other scores are valid only if real CIFAR-10 scores as expected."""
    if record["status"] != "ok":
        return f"not passed: {record['status']}"
    if record["n"] != GATE_IMAGES:
        return f"not passed: {record['n']:,} images, but the gate is all {GATE_IMAGES:,} of CIFAR-10's training set"
    if not abs(record["score"] - GATE) <= GATE_ERROR:
        return f"not passed: real CIFAR-10 scores {record['score']:.2f}, expected {GATE} ± {GATE_ERROR}"
    return "passed"


def evenly(images: np.ndarray, limit: int | None) -> np.ndarray:
    """Return `limit` images, spread evenly over the set; all if there are no more."""
    if limit is None or len(images) <= limit:
        return images
    return images[np.arange(limit) * len(images) // limit]


def inception_score(logits: Tensor, splits: int) -> dict[str, float]:
    """Return torch-fidelity's score of a set with these logits (N, classes), and its standard deviation over splits.

    The set is shuffled (with torch-fidelity's own seed): images sorted by class would give splits of one class each.

    Raises:
        UserError: fewer images than splits.
    """
    if len(logits) < splits:
        raise UserError(f"{len(logits)} images can't be cut into {splits} splits: set scores.splits lower")
    metrics = isc_features_to_metric(logits, splits)
    return {"score": metrics[KEY_METRIC_ISC_MEAN], "std_splits": metrics[KEY_METRIC_ISC_STD]}


def error_over_groups(logits: Tensor, score: float, group: np.ndarray) -> dict[str, float]:
    """Return the standard error of a score over groups (N,), by the jackknife, and how many there are.

    It is that of the set in one split, relative to its score: the mean over splits has the same but for its bias.
    """
    _, without = log_scores(logits.double().softmax(1).numpy(), group)
    return {"error_groups": score * jackknife_error(without), "groups": len(without)}


def over_repeats(repeats: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the means over repeats, and the standard deviation of the score over repeats (None for one repeat)."""
    scores = [about["score"] for about in repeats if "score" in about]
    nearest = [about["nearest"]["median"] for about in repeats if "nearest" in about]
    return {
        "score": float(np.mean(scores)) if scores else None,
        "std_splits": float(np.mean([about["std_splits"] for about in repeats])) if scores else None,
        "std_seeds": float(np.std(scores, ddof=1)) if len(scores) > 1 else None,
        "error_groups": repeats[0].get("error_groups"),
        "groups": repeats[0].get("groups"),
        "nearest": float(np.mean(nearest)) if nearest else None,
        "copies": sum(about["nearest"]["copies"] for about in repeats) if nearest else None,
    }


def real_distances(args: argparse.Namespace, training: np.ndarray, device: torch.device) -> dict[str, Any] | None:
    """Return the distances of held-out real images to the training images; None if there are none."""
    held_out = unseen(load_all(args.held_out), training) if args.held_out else training[:0]
    if not len(held_out):
        return None
    some = evenly(held_out, args.nearest)
    return summary(distance_to_nearest(some, training, device, "held-out to training images"))


def _name(path: Path) -> str:
    """Return a file's name for the record: its path in the results folder, or else its file name."""
    parts = path.parts
    return "/".join(parts[parts.index("results") + 1 :]) if "results" in parts else path.name
