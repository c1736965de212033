# The commands of the checkout; `make` alone lists them. What is slow to build is kept in REEVE_CACHE.

SHELL := /bin/bash
.DEFAULT_GOAL := help

export REEVE_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/reeve
export CARGO_TARGET_DIR ?= $(REEVE_CACHE)/target
# For demo and demo-down: `existing` takes the cluster of KUBECONFIG, and asks first.
export CLUSTER ?= local

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

.PHONY: setup
setup: ## Install the Debian packages that the local cluster needs (root), or list them
	hack/setup.sh

.PHONY: build
build: ## Compile everything for this machine
	cargo build --locked --workspace

.PHONY: generate
generate: ## Write the files made from the API types: CRDs, their copy in the chart, reference pages
	hack/generate.sh

.PHONY: lint
lint: ## Check format, clippy's lints, shell scripts and dependencies
	hack/lint.sh

.PHONY: test-unit
test-unit: lint ## Lint, then the tests that need neither root nor a server
	hack/test-unit.sh

.PHONY: chart-test
chart-test: ## Lint, render and test the Helm chart without a cluster
	hack/chart-test.sh

.PHONY: test
test: ## Everything that CI runs: the above, images, and the tests on real clusters (root)
	hack/test.sh

.PHONY: images
images: ## Build the container images as archives in the cache
	cargo run --quiet --locked --bin reeve-cluster -- images

.PHONY: demo
demo: ## Bring up a real Kubernetes with Reeve and a site agent in it (root)
	hack/demo.sh up

.PHONY: demo-down
demo-down: ## Remove all that demo made, but the cache
	hack/demo.sh down

.PHONY: clean
clean: ## Remove everything compiled; the rest of the cache stays
	cargo clean
