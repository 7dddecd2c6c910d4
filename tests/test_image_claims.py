"""Claims on images: few images, noise and structure, and how alike the methods begin."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import TINY
from safetensors.numpy import save_file
from synthetic import CLAIMS, judged, results

from wframe.claims.evidence import JUDGES, Case
from wframe.claims.verdict import decide
from wframe.config.edition import check
from wframe.measurements.diversity import pairwise_distances, recall, spread
from wframe.measurements.quality import quality
from wframe.results.store import NotAvailable

SCENES = np.random.default_rng(0).integers(0, 256, (63, 8, 8, 3), dtype=np.uint8)


def few(folder: Path, outputs: list[np.ndarray], chains: np.ndarray = SCENES[:27], end: float = 0.3) -> Case:
    """Results of a baseline trained on nine scenes: outputs for each repeat; three groups of wFRAME's, and their R."""
    values = TINY | {
        "datasets": {"faces": TINY["datasets"]["faces"] | {"images": 36, "stands_for": ["sun"]}},
        "studies": {"collapse": {"datasets": ["faces"]}},
        "baselines": {
            "dcgan-few": {"model": "dcgan", "dataset": "faces", "images": 9, "duplicate_to": 90, "steps": 10}
        },
    }
    rows = [("memoriser", 0, i, spread(SCENES[:9][np.random.default_rng(i).integers(9, size=9)])) for i in range(50)]
    rows += [("held-out", 0, i, spread(SCENES[9 * i : 9 * i + 9])) for i in range(1, 4)]
    rows += [
        ("baseline", repeat, i, spread(images[9 * i : 9 * i + 9]))
        for repeat, images in enumerate(outputs)
        for i in range(len(images) // 9)
    ]
    table = pd.DataFrame(rows, columns=["whose", "repeat", "index", "spread"]).assign(R=9.0, recall=0.5, groups=1)
    (folder / "measurements/few-images").mkdir(parents=True)
    table.to_csv(folder / "measurements/few-images/dcgan-few.csv", index=False)
    row = {"dataset": "faces", "class": "all", "setting": "base", "method": "wframe", "repeat": 0, "energy": 1.0}
    curves = pd.DataFrame(
        [row | {"group": g, "iteration": t, "R": 2.0 if t == 1 else end} for g in range(3) for t in (1, 2, 3)]
    )
    (folder / "studies").mkdir()
    curves.to_parquet(folder / "studies/collapse.parquet")
    run = folder / "runs/collapse/faces/all/base/wframe-0"
    run.mkdir(parents=True)
    save_file({"images": chains.reshape(3, 9, *chains.shape[1:]), "snapshots": chains[None]}, run / "0.safetensors")
    return Case(folder, check(values), {})


def few_verdict(case: Case) -> str:
    claim = CLAIMS["fig6-few-images"]
    assert claim.expects
    return decide(claim.expects, JUDGES["few_images"](case, **claim.of)).verdict


def alike(seed: int) -> np.ndarray:
    """One grey scene, 27 times, with a little noise."""
    return np.random.default_rng(seed).integers(120, 136, (27, 8, 8, 3), dtype=np.uint8)


def test_distinct_real_scenes_are_not_collapsed(tmp_path: Path):
    others = [SCENES[9:36], SCENES[18:45], SCENES[27:54]]
    assert few_verdict(few(tmp_path / "real", others)) == "contradicted", "whatever their R"
    assert few_verdict(few(tmp_path / "grey", [alike(seed) for seed in range(3)])) == "reproduced"
    assert few_verdict(few(tmp_path / "one", [alike(0)])) == "undecided", "one training says nothing of another"
    both = few(tmp_path / "both", [alike(seed) for seed in range(3)], chains=alike(9))
    assert few_verdict(both) == "contradicted", "wFRAME's chains are as much alike"
    grey = [alike(seed) for seed in range(3)]
    one = few(tmp_path / "same", grey, chains=np.repeat(SCENES[:1], 27, 0))
    assert few_verdict(one) == "contradicted", "wFRAME's chains are one image"
    exploded = few(tmp_path / "exploded", grey, chains=SCENES[9:36], end=50.0)
    assert few_verdict(exploded) == "undecided", "noise of an explosion is no diversity"
    one_image = [np.repeat(SCENES[n : n + 1], 27, 0) for n in range(3)]
    assert few_verdict(few(tmp_path / "exactly one", one_image)) == "reproduced", "also where nothing varies"


def test_diversity_in_small():
    assert spread(np.repeat(SCENES[:1], 9, 0)) == 0 and spread(SCENES[:1]) == 0
    assert spread(np.stack([np.zeros((2, 2, 3)), np.full((2, 2, 3), 10)])) == 10
    assert recall(SCENES[:9], SCENES[:9]) == 1 and recall(np.repeat(SCENES[:1], 9, 0), SCENES[:9]) == 1 / 9


def test_distances_are_exact_whatever_the_order_of_the_sum():
    """Squares of grey levels are integers, so that the tables don't depend on how they are added up."""
    for seed in range(20):
        x, y = np.random.default_rng(seed).integers(0, 256, (2, 9, 16, 17, 3), dtype=np.uint8)
        apart = x[:, None].astype(float) - y[None]
        at_once = np.sqrt((apart**2).mean((2, 3, 4)))
        assert np.array_equal(pairwise_distances(x, y), at_once)
        nearest = [((image.ravel().astype(float) - y.reshape(9, -1)) ** 2).mean(1).argmin() for image in x]
        assert np.array_equal(pairwise_distances(x, y).argmin(1), nearest), "the root keeps the order"
        ties = np.concatenate([x, x])
        assert np.array_equal(pairwise_distances(x, ties).argmin(1), np.arange(9)), "the first of equal ones"


def test_quality_tells_noise_colour_and_structure():
    smooth = np.broadcast_to(np.linspace(40, 200, 16), (9, 16, 16)).astype(np.uint8)
    colour = np.stack([smooth, 240 - smooth, smooth // 2], 3)
    noisy = (
        (colour.astype(int) + np.random.default_rng(0).integers(-25, 26, colour.shape)).clip(0, 255).astype(np.uint8)
    )
    grey = np.repeat(smooth[..., None], 3, 3)
    assert quality(colour, colour) == pytest.approx((0, 0, 0, 1))
    assert quality(noisy, colour)[0] > 1 and quality(noisy, colour)[3] < 0.9
    assert quality(grey, colour)[2] < -3
    assert all(np.isfinite(quality(np.full_like(colour, 128), colour)))
    copies, distinct = np.repeat(SCENES[:1], 9, 0), SCENES[:9]
    assert quality(copies, distinct)[3] < 0.6 < quality(distinct, distinct)[3] == 1, "nine copies of one image"


def measured(folder: Path, value, R, groups: int = 12) -> Case:
    """Results with a table of quality."""
    case = results(folder, R, groups, 20)
    rows = [
        ("whole", "d", "all", "safe", method, 0, group, *(4 * [value(method, group)]))
        for method in ("frame", "wframe")
        for group in range(groups)
    ]
    names = [
        "study",
        "dataset",
        "class",
        "setting",
        "method",
        "repeat",
        "group",
        "noise",
        "spectrum",
        "chroma",
        "structure",
    ]
    (folder / "measurements").mkdir(exist_ok=True)
    pd.DataFrame(rows, columns=names).to_csv(folder / "measurements/quality.csv", index=False)
    return case


def test_claims_on_quality(tmp_path: Path):
    def R(s, m, r, g, t):
        return 2 / t + 0.05 * g

    better = measured(tmp_path / "a", lambda m, g: -0.1 * g - 0.01 * g**2 + (0.2 if m == "wframe" else 0), R)
    for claim in ("quality-structure", "quality-colour"):
        assert judged(claim, better)[0].verdict == "reproduced"
    noisier = measured(tmp_path / "n", lambda m, g: 3 - 0.1 * g + (0.2 if m == "wframe" else 0), R)
    assert judged("quality-noise", noisier)[0].verdict == "contradicted"
    outcome, evidence = judged("quality-and-R", better)
    assert outcome.verdict == "reproduced" and evidence.value == pytest.approx(-1, abs=1e-3)

    def lost(s, m, r, g, t):
        return np.nan if m == "wframe" and t > 5 else R(s, m, r, g, t)

    for sign, claim in ((-1, "quality-noise"), (1, "quality-colour")):
        beyond = measured(tmp_path / claim, lambda m, g, sign=sign: sign * (2 if m == "wframe" else 0.1), R)
        assert judged(claim, beyond)[0].verdict == "undecided", "blurred or garish beyond the real images"
    missing = measured(tmp_path / "m", lambda m, g: np.nan if m == "wframe" else 0.5, R)
    assert judged("quality-structure", missing)[0].verdict == "contradicted", "what can't be measured is the worst"
    random = np.random.default_rng(0).normal(0, 1, 24)

    def half(s, m, r, g, t):
        return np.nan if g % 2 and t > 5 else R(s, m, r, g, t)

    chance = measured(tmp_path / "h", lambda m, g: random[g], half, 24)
    outcome, evidence = judged("quality-and-R", chance)
    assert outcome.verdict != "reproduced", "that what diverges is bad in both is no correlation"
    assert evidence.n == 12 and "12 of 24 models are left out: diverged, or no images were measured" in evidence.notes
    tiny = measured(tmp_path / "t", lambda m, g: 0.5 - 1e-9 * g, R)
    assert judged("quality-and-R", tiny)[0].verdict == "undecided", "nor is rounding"
    gone = measured(tmp_path / "b", lambda m, g: 0.5, lost)
    assert judged("quality-structure", gone)[0].verdict == "contradicted", "what diverged has no structure"
    same = measured(tmp_path / "c", lambda m, g: 0.5, R)
    assert judged("quality-and-R", same)[0].verdict == "undecided"
    with pytest.raises(NotAvailable, match="no measurement 'quality'"):
        judged("quality-noise", results(tmp_path / "d", R))


def test_claims_on_theta_s_step(tmp_path: Path):
    def R(s, m, r, g, t):
        return 2 / t + 0.01 * g

    def step(s, m, r, g, t):
        return (0.1 if m == "wframe" else 0.2) * (1 + 0.01 * g) / t

    def misfit(s, m, r, g, t):
        return 10 / t**2

    held = {"cosine": lambda s, m, r, g, t: 0.4 + 0.01 * g, "misfit": misfit, "step": step}
    small = results(tmp_path / "a", R, penalty=lambda *of: 1e-3, **held)
    for claim in ("anti-force", "consistency", "theta-stable"):
        assert judged(claim, small)[0].verdict == "reproduced", claim
    idle = results(tmp_path / "idle", R, penalty=lambda *of: 1e-3, **(held | {"misfit": lambda *of: 10.0}))
    outcome, evidence = judged("consistency", idle)
    assert outcome.verdict == "undecided", "θ isn't at rest: next to no pull says nothing of where it will be"
    assert "misfit that is left, over that at the start: 1 (median)" in evidence.notes
    large = results(tmp_path / "b", R, penalty=lambda *of: 0.1, **(held | {"cosine": lambda *of: -0.2}))
    assert judged("consistency", large)[1].value == pytest.approx(60 / 2 * 0.1 / 10)
    assert judged("consistency", large)[0].verdict == judged("anti-force", large)[0].verdict == "contradicted"
    with pytest.raises(NotAvailable, match="have no 'cosine': they are older"):
        judged("anti-force", results(tmp_path / "c", R))


def begin(tmp_path: Path, observed: np.ndarray, apart: int, diverged: int = -1):
    """Judge chains that are so many grey levels apart in the fifth iteration, and as far as noise at the end.

    FRAME's first three groups diverge after so many iterations.
    """
    values = TINY | {
        "datasets": {
            "faces": TINY["datasets"]["faces"] | {"stands_for": ["sun"], "classes": [f"c{n}" for n in range(6)]}
        },
        "learning": {"T": 20},
        "studies": {"collapse": {"datasets": ["faces"], "settings": {"lambda": {}}, "snapshots": [1, 5, 20]}},
    }
    case = Case(tmp_path, check(values), {})
    curves = [
        ("faces", f"c{n}", "lambda", method, 0, 0, t, diverged if method == "frame" and n < 3 and t > diverged else -1)
        for n in range(6)
        for method in ("frame", "wframe")
        for t in range(1, 21)
    ]
    names = ["dataset", "class", "setting", "method", "repeat", "group", "iteration", "diverged"]
    (tmp_path / "studies").mkdir(parents=True)
    pd.DataFrame(curves, columns=names).to_parquet(tmp_path / "studies/collapse.parquet")
    for n in range(6):
        for method in ("frame", "wframe"):
            run = tmp_path / f"runs/collapse/faces/c{n}/lambda/{method}-0"
            run.mkdir(parents=True)
            shots = np.stack([SCENES[:9] // 2] * 3)
            if method == "wframe":
                shots[1] += apart
                shots[2] = SCENES[9:18]
            save_file({"snapshots": shots}, run / "0.safetensors")
        (tmp_path / "data/faces").mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / f"data/faces/c{n}.npy", observed)
    return judged("alike-at-first", case)


def test_methods_that_begin_alike(tmp_path: Path):
    outcome, evidence = begin(tmp_path / "alike", SCENES[:9], 0)
    assert outcome.verdict == "reproduced" and evidence.value == 0 and evidence.n == 6
    outcome, evidence = begin(tmp_path / "apart", SCENES[:9] // 8, 10)
    assert outcome.verdict == "contradicted", "as far apart as two images are, however far they come apart later"
    outcome, evidence = begin(tmp_path / "later", SCENES[:9], 0, diverged=7)
    assert outcome.verdict == "reproduced" and evidence.n == 6, "what diverges later was alike at first"
    outcome, evidence = begin(tmp_path / "before", SCENES[:9], 0, diverged=2)
    assert outcome.verdict == "undecided" and evidence.n == 6, "what diverges alone is not alike"


def test_images_of_one_training_run_are_not_repeats(tmp_path: Path):
    """However many images are farther from ALI's reconstruction: it is one ALI."""
    values = TINY | {"baselines": {"ali": {"model": "ali", "dataset": "large", "images": 9, "steps": 10}}}
    values["datasets"] = TINY["datasets"] | {"large": TINY["datasets"]["faces"] | {"size": 32}}
    (tmp_path / "measurements/reconstructions").mkdir(parents=True)
    rows = [("ali", i, 20.0) for i in range(90)] + [("wframe", i, 10.0) for i in range(90)]
    table = pd.DataFrame(rows, columns=["whose", "index", "distance"])
    table.to_csv(tmp_path / "measurements/reconstructions/ali.csv", index=False)
    found = JUDGES["reconstruction"](Case(tmp_path, check(values), {}), "ali")
    assert found.value == pytest.approx(np.log(2)) and found.n == 1 and found.bounds() == (-np.inf, np.inf)
    claim = CLAIMS["gans-reconstruct"]
    assert claim.expects and decide(claim.expects, found).verdict == "undecided"
