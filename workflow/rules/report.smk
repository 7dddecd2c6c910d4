"""From runs to tables, figures, claims and the page.

INPUTS:  results/runs/**, results/data/**, results/baselines/**, results/measurements/**, results/tables/scores.csv
OUTPUTS: results/studies/{study}.parquet, results/tables/{study}.csv and .tex,
         results/tables/{study}-curves.csv and results/metrics/{study}.json (what `dvc plots` and `metrics` compare),
         results/figures/{study}/, results/claims.json, results/report/index.html, results/manifest.json
"""


rule summarise:
    """Join all curves of a study in one tidy table, and make its table of final values with paired differences."""
    input:
        of_made(runs.run_files, "parquet"),
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
        step=step("summarise"),
    shell:
        "python -P -m wframe --step {params.step:q} summarise {input:q} --out {output.curves} --table {output.table}"
        " --metrics {output.metrics} --means {output.means} 2> {log}"


rule figures:
    """Draw the figures of a study, each as PNG and PDF with its numbers as CSV; `index.json` lists them."""
    input:
        curves="results/studies/{study}.parquet",
        images=of_made(runs.run_files, "safetensors"),
        measurements=of_made(paths.shown_in_figures),
        config="results/config.yaml",
        left_out=ancient(INPUTS_RECORD),
    output:
        "results/figures/{study}/index.json",
    log:
        "results/logs/figures/{study}.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        step=step("figures"),
    shell:
        "python -P -m wframe --step {params.step:q} figures {wildcards.study} --results results 2> {log}"


rule paper_figures:
    """Draw the paper's Figures 1 to 9 in the paper's layout; `index.json` lists them, and why any can't be drawn."""
    input:
        of_made(paths.of_studies, "results/studies/{study}.parquet"),
        of_made(runs.run_files, "safetensors"),
        of_made(paths.baseline_files, "safetensors"),
        config="results/config.yaml",
        left_out=ancient(INPUTS_RECORD),
    output:
        "results/figures/paper/index.json",
    log:
        "results/logs/figures/paper.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        step=step("paper_figures"),
    shell:
        "python -P -m wframe --step {params.step:q} figures --paper --results results 2> {log}"


rule baseline_figures:
    """The loss curves of the baselines with their samples, and reconstructions; `index.json` lists them."""
    input:
        of_made(paths.baseline_files, "safetensors"),
        of_made(paths.baseline_files, "parquet"),
        of_made(paths.reconstructions),
        config="results/config.yaml",
        left_out=ancient(INPUTS_RECORD),
    output:
        "results/figures/baselines/index.json",
    log:
        "results/logs/figures/baselines.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        step=step("baseline_figures"),
    shell:
        "python -P -m wframe --step {params.step:q} figures --baselines --results results 2> {log}"


rule claims:
    """Judge every claim of the paper."""
    input:
        of_made(paths.of_studies, "results/studies/{study}.parquet"),
        of_made(paths.score_tables),
        of_made(runs.run_files, "safetensors"),
        of_made(paths.measurements),
        paths.theory(EDITION),
        config="results/config.yaml",
        left_out=INPUTS_RECORD,
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
        step=step("claims"),
    shell:
        'python -P -m wframe --step {params.step:q} claims --claims "$WFRAME_CLAIMS" --results results 2> {log}'


rule report:
    """Write the page and the manifest."""
    input:
        "results/config.yaml",
        "results/bank.safetensors",
        "results/claims.json",
        "results/figures/paper/index.json",
        paths.theory_figures(EDITION),
        paths.theory(EDITION),
        of_made(paths.of_studies, "results/tables/{study}.csv"),
        of_made(paths.of_studies, "results/figures/{study}/index.json"),
        of_made(runs.run_files, "json"),
        of_made(paths.baseline_files, "json"),
        of_made(paths.baseline_figures),
        of_made(paths.score_tables),
        of_made(paths.score_records),
        of_made(runs.prepared_files, "parquet"),
        left_out=INPUTS_RECORD,
    output:
        page="results/report/index.html",
        manifest="results/manifest.json",
    log:
        "results/logs/report.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        step=step("report"),
    shell:
        "python -P -m wframe --step {params.step:q} report --results results 2> {log}"
