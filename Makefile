# The verbs of this repository; `make` lists them.
SHELL := /bin/bash
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
ENGINE ?= $(firstword $(notdir $(shell command -v docker podman buildah 2>/dev/null)))
# the format that keeps the image's health check
FORMAT := $(if $(filter podman buildah,$(ENGINE)),--format docker)

.DEFAULT_GOAL := help
.PHONY: help run build test check clients lint-packaging bench image clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## Build and serve on http://localhost:8080; no vendor key is needed (ARGS="--config my.yaml")
	@exec ./bin/ferrogw $(ARGS)

build: export FERROGW_COMMIT := $(shell git rev-parse --short HEAD 2>/dev/null)
build: export FERROGW_RUST := $(shell rustc --version 2>/dev/null)
build: ## Build the optimised binary: ./bin/ferrogw
	cargo build --locked --release --bin ferrogw
	@mkdir -p bin && install "$(TARGET_DIR)/release/ferrogw" bin/ferrogw

test: ## Run every test of the crate
	cargo test --locked

check: ## Check format and lints
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings

clients: ## Run real SDKs and foreign emulators against the gateway
	cargo build --locked --bin ferrogw
	tests/clients/run.sh "$(TARGET_DIR)/debug/ferrogw"

lint-packaging: ## Check the Dockerfile, the compose files and render.yaml
	.ci/lint-packaging

bench: ## Measure the gateway beside a bare proxy
	cargo bench --locked --bench gateway

image: ## Build the container image ferrogw:VERSION with docker, podman or buildah
	@test -n "$(ENGINE)" || { echo "no docker, podman or buildah found" >&2; exit 1; }
	$(ENGINE) build $(FORMAT) --tag "ferrogw:$(VERSION)" --tag ferrogw:latest --build-arg "VERSION=$(VERSION)" \
	  --build-arg "REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown)" \
	  --build-arg "CREATED=$$(date -u +%Y-%m-%dT%H:%M:%SZ)" .

clean: ## Remove what was built and installed
	cargo clean
	rm -rf bin tests/clients/.venv tests/clients/.venv-litellm tests/clients/node_modules .ci/.venv .ci/node_modules
