"""`wframe report`: write the page that shows everything, and the manifest that traces every output to its inputs."""

import argparse
import shlex
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from wframe.config.edition import Edition
from wframe.config.learning import METHODS
from wframe.files import atomic_write, read_json, write_json
from wframe.jobs.left_out import load_made
from wframe.record.manifest import build_manifest, page_entry
from wframe.report import views
from wframe.report.claims import OF_THEORY, PAPERS, claims_view, counted
from wframe.results.outcomes import DEFINITION
from wframe.results.statistics import SMALLEST_N
from wframe.results.text import duration, interval, number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe report`."""
    parser.add_argument("--results", type=Path, default=Path("results"), help="the results folder")


def main(args: argparse.Namespace) -> None:
    """Write results/report/index.html and results/manifest.json."""
    edition = load_made(args.results)
    manifest = build_manifest(args.results, edition)
    page = args.results / "report" / "index.html"
    with atomic_write(page) as part:
        part.write_text(render(args.results, edition, manifest), encoding="utf-8")
    manifest["outputs"]["report/index.html"] = page_entry(page, manifest["outputs"])
    write_json(args.results / "manifest.json", manifest)


def render(results: Path, edition: Edition, manifest: dict[str, Any]) -> str:
    """Return the page as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("wframe.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,  # of the templates that the page includes
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "number": number,
        "counted": counted,
        "called": PAPERS.__getitem__,
        "duration": duration,
        "shell": shlex.join,
        "short": lambda text: str(text)[:12],
    }
    studies = [views.study_view(results, edition, name, manifest) for name in edition.studies]
    studies.sort(key=lambda study: not study["first"])
    style = Markup((resources.files("wframe.report") / "page.css").read_text(encoding="utf-8"))
    return environment.get_template("page.html.j2").render(
        style=style,
        edition=edition,
        manifest=manifest,
        about=views.about(edition),
        claims=claims_view(results, edition),
        inputs=views.inputs_view(results),
        paper_figures=read_json(results / "figures" / "paper" / "index.json"),
        theory=read_json(results / "measurements" / "theory.json") if edition.theory else None,
        theory_figures=read_json(results / "figures" / "theory" / "index.json") if edition.theory else [],
        scores=views.scores_view(results, edition),
        baselines=views.baselines_view(results, edition),
        baseline_figures=views.baseline_figures(results, edition),
        jobs=views.jobs_view(edition, manifest["runs"]),
        studies=studies,
        lead=studies[0] if studies[0]["films"] else None,
        datasets=[views.dataset_view(results, edition, name) for name in edition.datasets],
        bank=views.bank_about(results / "bank.safetensors"),
        totals=views.totals(manifest["runs"]),
        names=METHODS,
        interval=interval,
        of_theory=OF_THEORY,
        figure_ids=views.figure_ids(results, edition),
        definition=DEFINITION,
        smallest_n=SMALLEST_N,
    )
