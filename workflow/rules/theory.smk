"""The paper's theory, checked numerically; it needs no images, only the bank.

INPUTS:  results/bank.safetensors
OUTPUTS: results/measurements/theory.json, results/figures/theory/
"""


rule theory:
    """Check every statement of the paper's theory numerically: does it hold, as printed or as corrected?"""
    input:
        bank="results/bank.safetensors",
    output:
        findings="results/measurements/theory.json",
        figures="results/figures/theory/index.json",
    log:
        "results/logs/theory.log",
    priority: 1  # the longest job of a small edition: it shouldn't run alone at the end
    conda:
        "../../environment.yml"
    threads: 1
    params:
        seed=EDITION.seed,
        step=step("theory"),
    shell:
        "python -P -m wframe --step {params.step:q} theory --bank {input.bank:q} --seed {params.seed} --threads {threads}"
        " --out {output.findings:q} --figures results/figures/theory 2> {log:q}"
