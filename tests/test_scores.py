"""Scores: they equal torch-fidelity's; the gate, missing weights, the nearest training image."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch_fidelity
import yaml
from conftest import run
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_isc import isc_features_to_metric
from torchvision.models import squeezenet1_0

from wframe.__main__ import main
from wframe.config import edition as config
from wframe.errors import UserError
from wframe.files import sha256_file
from wframe.jobs import runs as plan
from wframe.scores import nearest
from wframe.scores.classify import class_logits, load_classifier
from wframe.scores.extractors import check_weights, extractor
from wframe.scores.extractors.squeezenet import SqueezeNet
from wframe.scores.nearest import distance_to_nearest, unseen
from wframe.scores.score import error_over_groups, evenly, gate_outcome, inception_score, over_repeats
from wframe.weights import POCKET

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """All zeros, threes and eights, prepared by `wframe prepare`."""
    folder = tmp_path_factory.mktemp("digits")
    files = {class_: folder / "digits" / f"{class_}.npy" for class_ in "038"}
    for class_, file in files.items():
        main(["prepare", "--source", "embedded", "--path", "digits", "--class", class_, "--out", str(file)])
    return files


@pytest.fixture(scope="module")
def by_class(digits: dict[str, Path]) -> np.ndarray:
    """Sixty of each digit, sorted by class."""
    return np.concatenate([np.load(file)[:60] for file in digits.values()])


def pocket_logits(images: np.ndarray) -> torch.Tensor:
    return class_logits(load_classifier("pocket", POCKET, CPU), images, CPU, "pocket")


def pocket(images: np.ndarray, splits: int = 3) -> float:
    return inception_score(pocket_logits(images), splits)["score"]


# --- the number ------------------------------------------------------------------------------------------------


def test_the_score_equals_torch_fidelitys_on_a_folder(by_class: np.ndarray, tmp_path: Path):
    for index, image in enumerate(by_class):
        Image.fromarray(image).save(tmp_path / f"{index:04}.png")
    by_hand = torch_fidelity.calculate_metrics(
        input1=str(tmp_path),
        isc=True,
        feature_extractor=extractor("pocket").REGISTERED,
        feature_extractor_weights_path=str(POCKET),
        isc_splits=3,
        cuda=False,
        verbose=False,
    )
    ours = inception_score(pocket_logits(by_class), 3)
    assert ours == {"score": by_hand["inception_score_mean"], "std_splits": by_hand["inception_score_std"]}


def test_the_order_of_the_images_does_not_matter(by_class: np.ndarray):
    """Any order gives the same score within the spread over splits; unshuffled, one class per split would score 1."""
    sorted_ = inception_score(pocket_logits(by_class), 3)
    mixed = [pocket(by_class[np.random.default_rng(seed).permutation(len(by_class))]) for seed in (1, 2)]
    assert np.allclose(mixed, sorted_["score"], atol=2 * sorted_["std_splits"] + 0.02)
    unshuffled = isc_features_to_metric(pocket_logits(by_class), 3, shuffle=False)
    assert unshuffled["inception_score_mean"] < 1.3 < 2 < sorted_["score"]


def test_the_error_over_groups_is_the_spread_of_scores_between_trainings(by_class: np.ndarray):
    """Drawn again and again, sets of 20 groups spread as much as the jackknife of one set says; the images don't."""
    p, random = pocket_logits(by_class), np.random.default_rng(0)
    group = np.arange(20).repeat(9)
    scores, errors = [], []
    for _ in range(200):  # a group is nine times one image: its training has collapsed to it
        logits = p[torch.from_numpy(random.integers(len(p), size=20))].repeat_interleave(9, 0)
        scores.append(inception_score(logits, 1)["score"])
        errors.append(error_over_groups(logits, scores[-1], group)["error_groups"])
        assert error_over_groups(logits, scores[-1], group)["groups"] == 20
    assert 0.6 < np.mean(errors) / np.std(scores) < 1.7
    alone = error_over_groups(logits, scores[-1], np.arange(180))["error_groups"]
    assert alone < 0.6 * errors[-1], "to take images for independent makes it three times too small"


def test_one_image_repeated_scores_one(by_class: np.ndarray):
    assert pocket(by_class[:1].repeat(30, 0)) == pytest.approx(1, abs=1e-6)


def test_the_pocket_score_distinguishes_real_images_from_noise_and_grey(digits: dict[str, Path]):
    """Score every fifth image: the classifier wasn't trained on these."""
    real = np.concatenate([np.load(file)[4::5] for file in digits.values()])
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, real.shape, dtype=np.uint8)
    grey = np.broadcast_to(rng.integers(0, 256, (len(real), 1, 1, 1), dtype=np.uint8), real.shape)
    assert pocket(real) > 2.5
    assert pocket(noise) < 1.3 and pocket(np.ascontiguousarray(grey)) < 1.8  # some skies are as plain as grey


def test_the_pocket_classifier_has_its_record(digits: dict[str, Path]):
    assert POCKET.stat().st_size <= 300_000
    with safe_open(POCKET, "np") as file:
        about = json.loads(file.metadata()["wframe"])
    assert about["held_out_accuracy"] > 0.9 and about["command"].startswith("wframe pocket")
    for class_, file in digits.items():
        assert about["data"][f"digits/{class_}"] == sha256_file(file)


def test_spread_over_splits_and_spread_over_seeds_are_separate():
    repeats = [{"score": 4.0, "std_splits": 0.1}, {"score": 5.0, "std_splits": 0.3}]
    both = over_repeats(repeats)
    assert both["score"] == 4.5 and both["std_splits"] == pytest.approx(0.2)
    assert both["std_seeds"] == pytest.approx(np.sqrt(0.5))
    assert over_repeats(repeats[:1])["std_seeds"] is None


def test_a_limited_set_is_evenly_spread():
    assert evenly(np.arange(50_004), 50_000)[-1] == 50_002 and len(evenly(np.arange(10), 50)) == 10
    assert list(evenly(np.arange(10), 4)) == [0, 2, 5, 7]


# --- the nearest training image ---------------------------------------------------------------------------------


def test_distances_match_a_direct_computation_and_a_copy_has_zero(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(nearest, "ROWS", 3)
    monkeypatch.setattr(nearest, "TRAINING", 4)
    rng = np.random.default_rng(0)
    training = rng.integers(0, 256, (11, 8, 8, 3), dtype=np.uint8)
    images = np.concatenate([rng.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8), training[9:10]])
    differences = images[:, None].astype(float) - training[None]
    by_hand = np.sqrt(np.square(differences).mean((2, 3, 4))).min(1)
    found = distance_to_nearest(images, training, CPU)
    np.testing.assert_allclose(found, by_hand, rtol=1e-5)
    assert found[-1] == 0 and nearest.summary(found)["copies"] == 1
    assert len(unseen(images, training)) == 6


def test_copies_are_detected(digits: dict[str, Path], tmp_path: Path):
    """Training images returned as samples score like real images; the distance reveals them."""
    np.save(tmp_path / "samples.npy", np.concatenate([np.load(file)[:20] for file in digits.values()]))
    record = scored(digits, tmp_path / "copy.json", "--samples", str(tmp_path / "samples.npy"), "--learned", "20")
    assert record["score"] > 2.3 and record["copies"] == 60 and record["nearest"] == 0
    assert record["nearest_real"]["median"] > 10 and record["nearest_real"]["n"] == 535 - 60


def scored(digits: dict[str, Path], out: Path, *options: str) -> dict:
    files = [str(file) for file in digits.values()]
    chosen = () if "--extractor" in options else ("--extractor", "pocket")
    argv = [
        "score",
        "--training",
        *files,
        "--held-out",
        *files,
        "--splits",
        "2",
        "--device",
        "cpu",
        "--out",
        str(out),
    ]
    assert not main([*argv, *chosen, *options])
    return json.loads(out.read_text())


# --- the gate, and weights ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({}, "passed"),
        ({"score": 11.136}, "passed"),
        ({"score": 9.71}, "real CIFAR-10 scores 9.71, expected 11.24 ± 0.11"),  # torchvision's Inception
        ({"score": float("nan")}, "scores nan"),
        ({"n": 8068}, "8,068 images, but the gate is all 50,000"),
        ({"status": "inception's weights are missing", "score": None}, "not passed: inception's weights are missing"),
    ],
)
def test_the_gate(change: dict, outcome: str):
    """torch-fidelity's authors measured 11.23678."""
    assert outcome in gate_outcome({"status": "ok", "n": 50_000, "score": 11.23678} | change)


def test_inception_with_random_weights_stops_at_the_gate(
    digits: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """With random weights of Inception's shapes, the whole path runs, the gate fails, and no other row is scored."""
    torch.manual_seed(0)
    monkeypatch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
    monkeypatch.setattr(torch, "load", lambda *a, **k: {})
    network = FeatureExtractorInceptionV3("random", ["logits_unbiased"], "none")
    monkeypatch.undo()
    torch.save(network.state_dict(), tmp_path / "inception.pth")
    options = ["--extractor", "inception", "--weights", str(tmp_path / "inception.pth"), "--limit", "8"]
    gate = scored(digits, tmp_path / "real.json", *options, "--is-gate")
    assert gate["status"] == "ok" and gate["score"] >= 1 - 1e-6
    assert gate["gate"].startswith("not passed: 8 images, but the gate is all 50,000")
    np.save(tmp_path / "samples.npy", np.load(digits["3"])[:20])
    more = ["--samples", str(tmp_path / "samples.npy"), "--gate", str(tmp_path / "real.json")]
    row = scored(digits, tmp_path / "frame.json", *options, *more)
    assert row["score"] is None and row["status"].startswith("gate not passed: 8 images") and row["nearest"] == 0

    main(["score-table", str(tmp_path / "real.json"), str(tmp_path / "frame.json"), "--out", str(tmp_path / "t.csv")])
    table = pd.read_csv(tmp_path / "t.csv")
    assert table["score"].isna().tolist() == [False, True] and "gate not passed" in table["status"][1]
    (tmp_path / "cut.pth").write_bytes((tmp_path / "inception.pth").read_bytes()[:100_000])
    with pytest.raises(UserError, match="can't be read"):
        check_weights("inception", tmp_path / "cut.pth")
    with pytest.raises(UserError, match="not squeezenet's weights"):
        check_weights("squeezenet", tmp_path / "inception.pth")


def test_missing_weights_are_reported_and_stop_nothing(digits: dict[str, Path], tmp_path: Path):
    registry = tmp_path / "inputs.yaml"
    entry = {"title": "Inception", "terms": "-", "link": "-", "reader": "-"}
    name = "weights-inception.pth"
    registry.write_text(yaml.safe_dump({"inception": entry | {"files": [{"name": name, "sources": []}]}}))
    argv = ["weights", "inception", "--path", f"inception/{name}", "--fetch", "inception", "--data", str(tmp_path)]
    argv += ["--registry", str(registry), "--out", str(tmp_path / "weights.json")]
    assert not main(argv)
    options = ["--extractor", "inception", "--weights", str(tmp_path / "weights.json"), "--data", str(tmp_path)]
    record = scored(digits, tmp_path / "real.json", *options, "--is-gate")
    assert record["status"] == (
        f"inception's weights are missing (inception/{name}): run `wframe fetch inception` to see what to do"
    )
    assert record["score"] is None and record["gate"] == f"not passed: {record['status']}"

    (tmp_path / "inception" / name).write_bytes(b"not weights")  # put there by hand: fetch checks and accepts it
    assert not main(argv)
    assert json.loads((tmp_path / "weights.json").read_text())["status"] == "ok"
    files = [str(file) for file in digits.values()]
    assert main(["score", "--training", *files, *options, "--out", str(tmp_path / "x.json")]) == 2


def test_bad_sets_are_refused(digits: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture):
    def refused(*options: str) -> str:
        argv = ["score", "--training", str(digits["3"]), "--extractor", "pocket", "--out", str(tmp_path / "x.json")]
        assert main([*argv, *options]) == 2 and not (tmp_path / "x.json").exists()
        return capsys.readouterr().err

    assert "10 splits" in refused("--limit", "9")
    save_file({"chains": np.zeros((9, 8, 8, 3), np.uint8)}, tmp_path / "a.safetensors")
    assert "not a whole array of images" in refused("--samples", str(tmp_path / "a.safetensors"))
    np.save(tmp_path / "b.npy", np.zeros((9, 8, 8, 3), np.float32))
    assert "expected uint8" in refused("--samples", str(tmp_path / "b.npy"))
    assert "there are no such images" in refused("--samples", str(tmp_path / "c.npy"))


# --- in the workflow ----------------------------------------------------------------------------------------------

EDITION = {
    "edition": "test",
    "theory": False,
    "device": "cpu",
    "learning": {"T": 1, "L": 1},
    "datasets": {"faces": {"source": "embedded", "path": "faces", "size": 16}},
    "studies": {"whole": {"datasets": ["faces"], "methods": ["wframe"], "groups": 2, "repeats": 2}},
    "baselines": {
        "gan": {"model": "dcgan", "dataset": "faces", "images": 20, "steps": 2, "batch": 8, "width": 4, "samples": 9}
    },
    "scores": {
        "extractor": "squeezenet",
        "weights": "net.npz",
        "splits": 2,
        "rows": {
            "real": {"dataset": "faces"},
            "wframe": {"study": "whole", "dataset": "faces", "method": "wframe", "title": "wFRAME (50 %)"},
            "gan": {"baseline": "gan"},
        },
    },
}


def test_weights_added_later_are_noticed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WFRAME_DATA", str(tmp_path))
    target = "results/tables/scores.csv"
    rows = {name: row for name, row in EDITION["scores"]["rows"].items() if name != "gan"}
    edition = EDITION | {"baselines": {}, "scores": EDITION["scores"] | {"rows": rows}}
    run(tmp_path, edition, "--", target)
    table = pd.read_csv(tmp_path / target).set_index("row")
    assert table["status"].str.startswith("squeezenet's weights are missing").all() and table["score"].isna().all()
    assert table.loc["wframe", "n"] == 18 and table.loc["wframe", "training_images"] == 18
    assert table.loc["wframe", "nearest_real_n"] == 82
    assert table.loc["wframe", "nearest"] > 0 and table.loc["wframe", "repeats"] == 2
    assert "Nothing to be done" in run(tmp_path, edition, "--dry-run", "--", target).stdout

    torch.manual_seed(0)
    weights = {name: value.numpy() for name, value in squeezenet1_0().state_dict().items()}
    np.savez(tmp_path / "net.npz", **weights)
    again = run(tmp_path, edition, "--", target)
    done = re.findall(r"^\S+  \d+/\d+  (\w+)", again.stderr + again.stdout, re.MULTILINE)
    assert set(done) == {"weights", "score", "score_table"}
    table = pd.read_csv(tmp_path / target).set_index("row")
    assert (table["status"] == "ok").all() and (table["score"] >= 1 - 1e-6).all()
    assert table["std_seeds"].notna().to_dict() == {"real": False, "wframe": True}
    assert r"wFRAME (50 \%)" in (tmp_path / "results/tables/scores.tex").read_text()
    assert "Nothing to be done" in run(tmp_path, edition, "--dry-run", "--", target).stdout
    (tmp_path / "net.npz").unlink()
    assert "Nothing to be done" in run(tmp_path, edition, "--dry-run", "--", target).stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extractor": "pocket"}, "the pocket classifier comes with the package"),
        ({"weights": None}, "squeezenet needs a weights file"),
        ({"extractor": "inception"}, "the Inception score needs a gate"),
        ({"extractor": "inception", "gate": "wframe"}, "must be a row of real images"),
        ({"extractor": "inception", "gate": "real"}, "the gate is CIFAR-10, not embedded"),
        ({"rows": {"a": {"dataset": "dogs"}}}, "scores.rows.a.dataset: there is no dataset 'dogs' (known: faces)"),
        ({"rows": {"a": {"dataset": "faces", "method": "frame"}}}, "a row has `dataset`; or"),
        ({"rows": {"a": {"study": "whole", "dataset": "faces", "method": "frame"}}}, "no method 'frame'"),
        ({"rows": {"a": {"baseline": "vae"}}}, "there is no baseline 'vae' (known: gan)"),
        ({"rows": {"weights": {"dataset": "faces"}}}, "rename this row"),
        ({"splits": 0}, "scores.splits = 0"),
        ({"held_out": {"faces": "dogs"}}, "scores.held_out: there is no dataset 'dogs'"),
    ],
)
def test_invalid_scores_are_refused(change: dict, message: str):
    with pytest.raises(UserError, match=re.escape(message)):
        config.check(EDITION | {"scores": EDITION["scores"] | change})


def test_the_papers_rows_are_table_1():
    edition = config.load(Path(__file__).parent.parent / "config" / "paper.yaml")
    rows = {name: plan.score_row(edition, name) for name in edition.scores.rows}
    gans = ["dcgan", "improved-gan", "improved-gan-wl", "ali", "winn"]
    assert list(rows) == ["real", *gans, "frame-wl", "frame", "wframe-wl", "wframe"]
    assert rows["real"].samples == [] and rows["real"].training == ["results/data/cifar10-unlabelled/all.npy"]
    assert len(rows["frame-wl"].training) == 10 and rows["frame-wl"].learned is None
    assert all(row.held_out == ["results/data/cifar10-test/all.npy"] for row in rows.values())


# --- on real images --------------------------------------------------------------------------------------------


@pytest.mark.real
def test_squeezenet_recognises_real_images(real_data: Path, tmp_path: Path):
    """ImageNet's class 973 is coral reef, 582 grocery store; the data's README reports 23 and 18 of 30 correct."""
    weights = real_data / "squeezenet/squeezenet1_0_deepcompressed_caffe_bgr.npz"
    network = SqueezeNet("squeezenet", ["logits"], feature_extractor_weights_path=str(weights))
    for class_, index, least in (("underwater", 973, 20), ("store", 582, 15)):
        out = tmp_path / f"{class_}.npy"
        argv = ["prepare", "--source", "sun", "--path", str(real_data / "sun15"), "--class", class_, "--size", "227"]
        main([*argv, "--images", "30", "--out", str(out)])
        with torch.no_grad():
            logits = network(torch.from_numpy(np.load(out).transpose(0, 3, 1, 2).copy()))[0]
        assert (logits.argmax(1) == index).sum() >= least

    argv = ["prepare", "--source", "cifar10", "--path", str(real_data / "cifar10-partial"), "--images", "200"]
    main([*argv, "--size", "32", "--out", str(tmp_path / "cifar.npy")])
    real = np.load(tmp_path / "cifar.npy")
    noise = np.random.default_rng(0).integers(0, 256, real.shape, dtype=np.uint8)
    network = load_classifier("squeezenet", weights, CPU)
    logits = [class_logits(network, images, CPU, "squeezenet") for images in (real, noise)]
    scores = [inception_score(each, 2)["score"] for each in logits]
    assert scores[0] > 2 * scores[1], scores
