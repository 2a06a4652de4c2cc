# Thin aliases; everything also runs without make.
.PHONY: demo test lint bench

demo:
	@./scripts/demo

test:
	@./scripts/test

lint:
	@./scripts/setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/pyright

bench:
	@./scripts/setup
	@for benchmark in benchmarks/*.py; do echo "== $$benchmark" && .venv/bin/python "$$benchmark" || exit 1; done
