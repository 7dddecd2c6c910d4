"""`wframe quality`: noise, colour and structure of the chains, by measures that know nothing of R or the bank.

For each group of a study's first repeats and first shards, of both methods, against the group's observed images:

    noise       log of the power above half the highest frequency, over that of the observed images
    spectrum    mean |log| of the same ratio over all frequencies
    chroma      log of the mean distance from grey, over that of the observed images
    structure   mean structural similarity (SSIM, scikit-image) of a chain to the observed image nearest to it, and of
                an observed image to the chain nearest to it: nine copies of one image have one image's structure

SSIM against the nearest image rewards a copy: the distance to it is a column of the curves. Perceptual measures of
other libraries would add nothing here: MS-SSIM's five scales take images of more than 160 pixels a side (ours have 32
or 64), and LPIPS compares responses of a VGG network, which is what R does, with weights that would have to be fetched.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from skimage.metrics import structural_similarity

from wframe.files import atomic_write
from wframe.jobs.left_out import load_made
from wframe.measurements.diversity import pairwise_distances
from wframe.results.store import Store

MEASURES = ("noise", "spectrum", "chroma", "structure")
GROUPS = 50  # of each run, at most


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe quality`."""
    add = parser.add_argument
    add("--study", help="the study; default: the first one that this run has")
    add("--results", type=Path, default=Path("results"), help="the results folder")
    add("--out", type=Path, required=True, help="the table to write (.csv): a row per run and group")


def main(args: argparse.Namespace) -> None:
    """Write the table."""
    store = Store(args.results, load_made(args.results))
    study = args.study or next(iter(store.edition.studies))
    rows = []
    for run in store.runs(study):
        for group, chains in enumerate(store.images(run)[:GROUPS]):
            values = quality(chains, store.observed(run, group))
            rows.append((study, run.dataset, run.class_, run.setting, run.method, run.repeat, group, *values))
    names = ["study", "dataset", "class", "setting", "method", "repeat", "group", *MEASURES]
    with atomic_write(args.out) as part:
        pd.DataFrame(rows, columns=names).to_csv(part, index=False)


def quality(chains: np.ndarray, observed: np.ndarray) -> tuple[float, float, float, float]:
    """Return the four measures of a group's chains (M, H, W, 3), against its observed images, all uint8."""
    ours, real = power(chains), power(observed)
    half = len(ours) // 2
    noise = np.log(ours[half:].sum() / real[half:].sum())
    spectrum = np.abs(np.log(ours / real)).mean()
    colour = np.log(chroma(chains) / chroma(observed))
    return float(noise), float(spectrum), float(colour), structure(chains, observed)


def power(images: np.ndarray) -> np.ndarray:
    """Return the mean power of images' brightness in rings of equal frequency, without the mean's."""
    grey = images.astype(float).mean(3)
    grey = grey - grey.mean((1, 2), keepdims=True)
    squared = np.abs(np.fft.fft2(grey)) ** 2
    rows, columns = (np.abs(np.fft.fftfreq(side)) * 2 for side in grey.shape[1:])
    rings = max(4, min(grey.shape[1:]) // 4)
    ring = np.minimum((np.hypot(rows[:, None], columns[None, :]) * rings).astype(int), rings - 1)
    total = np.bincount(ring.ravel(), squared.mean(0).ravel(), minlength=rings)
    return total / np.bincount(ring.ravel(), minlength=rings) + 1e-6  # a flat image has none


def chroma(images: np.ndarray) -> float:
    """Return the mean distance of pixels from grey, in grey levels; next to 0 for grey images."""
    pixels = images.astype(float)
    return float(np.sqrt(((pixels - pixels.mean(3, keepdims=True)) ** 2).sum(3)).mean()) + 1e-3


def structure(chains: np.ndarray, observed: np.ndarray) -> float:
    """Return the mean SSIM of each chain and its nearest observed image, and of each observed image and its chain."""
    return float(np.mean([_to_nearest(chains, observed), _to_nearest(observed, chains)]))


def _to_nearest(images: np.ndarray, others: np.ndarray) -> float:
    pairs = zip(images, others[pairwise_distances(images, others).argmin(1)], strict=True)
    return float(np.mean([structural_similarity(a, b, channel_axis=2, data_range=255) for a, b in pairs]))
