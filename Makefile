# make demo    the environment from the lock, then the default edition: open results/report/index.html
# make test    all tests
# make lint    formatting, types, the workflow's own linter
# make lock    the demo edition's results as this tree makes them, recorded in dvc.lock
# make bench   the engine against the straightforward way

UV := $(or $(shell command -v uv),.uv/bin/uv)
RUN := $(UV) run --frozen --no-sync

.PHONY: demo test lint lock bench env

demo: env
	$(RUN) snakemake
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

bench: env
	$(RUN) python -m wframe bench

env: $(UV)
	$(UV) sync --frozen

.uv/bin/uv:
	python3 -m venv .uv
	.uv/bin/pip install --quiet uv
