"""From runs to tables, figures, claims and the page.

INPUTS:  results/runs/**, results/data/**, results/baselines/**, results/measurements/**, results/tables/scores.csv
OUTPUTS: results/studies/{study}.parquet, results/tables/{study}.csv and .tex,
         results/tables/{study}-curves.csv and results/metrics/{study}.json (what `dvc plots` and `metrics` compare),
         results/figures/{study}/, results/claims.json, results/report/index.html, results/manifest.json
"""


rule summarise:
    """All curves of a study in one tidy table, and its table of final values with paired differences."""
    input:
        study_files("parquet"),
    output:
        curves="results/studies/{study}.parquet",
        table="results/tables/{study}.csv",
        latex="results/tables/{study}.tex",
        metrics="results/metrics/{study}.json",
        means="results/tables/{study}-curves.csv",
    log:
        "results/logs/summarise/{study}.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        code=code_hash("wframe.results.summarise"),
    shell:
        "python -m wframe summarise {input:q} --out {output.curves} --table {output.table}"
        " --metrics {output.metrics} --means {output.means} 2> {log}"


rule figures:
    """The figures of a study, each as PNG and PDF with its numbers as CSV; `index.json` lists them."""
    input:
        curves="results/studies/{study}.parquet",
        images=study_files("safetensors"),
        config="results/config.yaml",
    output:
        "results/figures/{study}/index.json",
    log:
        "results/logs/figures/{study}.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        code=code_hash("wframe.figures.command"),
    shell:
        "python -m wframe figures {wildcards.study} --results results 2> {log}"


rule paper_figures:
    """The paper's Figures 1 to 9, in its own arrangement; `index.json` lists them, and says which can't be drawn."""
    input:
        expand("results/studies/{study}.parquet", study=EDITION.studies),
        runs.run_files(EDITION, "safetensors"),
        paths.baseline_files(EDITION, "safetensors"),
        config="results/config.yaml",
    output:
        "results/figures/paper/index.json",
    log:
        "results/logs/figures/paper.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        code=code_hash("wframe.figures.command"),
    shell:
        "python -m wframe figures --paper --results results 2> {log}"


rule baseline_figures:
    """The loss curves of the baselines with their samples, and reconstructions; `index.json` lists them."""
    input:
        paths.baseline_files(EDITION, "safetensors"),
        paths.baseline_files(EDITION, "parquet"),
        paths.reconstructions(EDITION),
        config="results/config.yaml",
    output:
        "results/figures/baselines/index.json",
    log:
        "results/logs/figures/baselines.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        code=code_hash("wframe.figures.command"),
    shell:
        "python -m wframe figures --baselines --results results 2> {log}"


rule claims:
    """Every claim of the paper with its verdict."""
    input:
        expand("results/studies/{study}.parquet", study=EDITION.studies),
        SCORE_TABLES,
        runs.run_files(EDITION, "safetensors"),
        paths.measurements(EDITION),
        config="results/config.yaml",
    output:
        claims="results/claims.json",
        metrics="results/metrics/claims.json",
        table="results/tables/claims.csv",
        latex="results/tables/claims.tex",
    log:
        "results/logs/claims.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        claims=sha256_file(CLAIMS),
        code=code_hash("wframe.claims.command", "wframe.claims.judges.*"),
    shell:
        'python -m wframe claims --claims "$WFRAME_CLAIMS" --results results 2> {log}'


rule report:
    """The page."""
    input:
        "results/config.yaml",
        "results/bank.safetensors",
        "results/claims.json",
        "results/figures/paper/index.json",
        expand("results/tables/{study}.csv", study=EDITION.studies),
        expand("results/figures/{study}/index.json", study=EDITION.studies),
        runs.run_files(EDITION, "json"),
        paths.baseline_files(EDITION, "json"),
        paths.baseline_figures(EDITION),
        SCORE_TABLES,
        paths.score_records(EDITION),
        runs.prepared_files(EDITION, "parquet"),
    output:
        page="results/report/index.html",
        manifest="results/manifest.json",
    log:
        "results/logs/report.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        code=code_hash("wframe.report.page"),
    shell:
        "python -m wframe report --results results 2> {log}"
