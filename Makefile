# make demo    install the locked environment and run the default edition: open results/report/index.html
# make test    run all tests
# make lint    check formatting, types and the workflow
# make lock    rerun what is stale in the edition that params.yaml names, and record the results in dvc.lock
# make reference   run the demo and write what it gave to docs/measurements/demo-reference.json, for `wframe compare`
# make bench   compare the engine with a naive PyTorch loop

UV := $(or $(shell command -v uv),.uv/bin/uv)
RUN := $(UV) run --frozen --no-sync

.PHONY: demo test lint lock reference bench env environment.yml

demo: env
	$(RUN) snakemake
	@$(RUN) python -m wframe compare results docs/measurements/demo-reference.json --brief || true
	@echo "Open results/report/index.html"

test: env
	$(RUN) pytest

lint: env
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) snakefmt --check Snakefile workflow
	$(RUN) snakemake --lint
	$(RUN) codespell

lock: env
	$(RUN) dvc repro
	@echo "Commit dvc.lock; dvc push shares the results"

reference: demo
	$(RUN) python -m wframe compare results --write-reference docs/measurements/demo-reference.json

bench: env
	$(RUN) python -m wframe bench

env: $(UV)
	$(UV) sync --frozen

environment.yml: $(UV)
	sed -i '/^  - pip:/q' $@
	$(UV) export --quiet --frozen --no-dev --no-emit-project --no-hashes --no-annotate --no-header | sed 's/^/      - /' >> $@

.uv/bin/uv:
	python3 -m venv .uv
	.uv/bin/pip install --quiet uv
