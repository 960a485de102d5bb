# Thin names for what ./tunery does. `make` alone lists them.

.DEFAULT_GOAL := help
.PHONY: help demo up test lint migration lock

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## run a whole fine-tuning job on this machine, in seconds
	@./tunery demo

up: ## start everything, and stay until Ctrl-C
	@./tunery up

test: ## run the test suite; ARGS="tests/cli -x" goes to pytest
	@./tunery test $(ARGS)

lint: ## check style, types, imports, locks, migrations and the release
	@./tunery lint

migration: ## write a migration of what the models have changed; MESSAGE="add a column"
	@./tunery migration "$(MESSAGE)"

lock: ## write both locks anew, after a change of pyproject.toml
	@./tunery lock
