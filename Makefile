# The platform's commands. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: bench chaos help new-service up down logs token status demo dev trust test fuzz check format lock sbom licences base-images clean
SHELL := /bin/bash

python := .venv/bin/python
fountain := .venv/bin/fountain
ready := .venv/.ready

$(ready): requirements-dev.txt shared/pyproject.toml scripts/venv.sh
	@scripts/venv.sh

##@ The platform on this machine

up: $(ready) ## Start the platform and wait until it is well (scale=3: three example-consumers; observe=1: Prometheus too; verbose=1: show how images are built; yes=1: ask nothing)
	@$(fountain) up $(if $(scale),--scale example-consumer=$(scale)) $(if $(observe),--observe) $(if $(verbose),--verbose) $(if $(yes),--yes)

down: $(ready) ## Stop the platform; keys and data stay (yes=1: ask nothing)
	@$(fountain) down $(if $(yes),--yes)

status: $(ready) ## Show what runs and how it is
	@$(fountain) status

logs: $(ready) ## Follow the logs (service=notification: of one service)
	@$(fountain) logs $(service)

token: $(ready) ## Print an access token and nothing else (service=example-consumer: for that service)
	@$(fountain) token $(service)

demo: $(ready) ## Rotate a secret under the eyes of every instance, step by step
	@$(fountain) demo

trust: $(ready) ## Let this machine trust the platform's local certificates
	@$(fountain) trust

clean: $(ready) ## Stop the platform and forget all its keys and data; asks first (yes=1: does not)
	@$(fountain) down --remove $(if $(yes),--yes)

##@ A service of your own

new-service: $(ready) ## Make a service from the template (name=stories)
	@$(fountain) new $(if $(name),$(name),$(error say its name: make new-service name=stories))

dev: $(ready) ## Start in containers with hot reload, service ports on loopback (yes=1: ask nothing)
	@$(fountain) up --dev $(if $(yes),--yes)

##@ Tests and measurements

check: $(ready) ## Lint, types, Compose, Caddy, Dockerfiles, migrations, locked requirements
	@scripts/check.sh

test: $(ready) ## Run every suite that this machine can run (only=unit, service=notification, thorough=1)
	@$(python) scripts/test.py $(only) $(if $(service),--service $(service)) $(if $(thorough),--thorough)

fuzz: $(ready) ## Ask every service what no good client would (examples=25; seed=7: the same again; running=1: a platform, by its edge)
	@$(if $(running),unshare --map-root-user --net sh -c 'ip link set lo up && exec "$$@"' sh) $(python) -m pytest -p no:cacheprovider \
	  tests/fuzz --examples $(or $(examples),25) --fuzz-seed $(or $(seed),random) $(if $(running),--running)

chaos: $(ready) ## Break every part at random, and look whether anything was lost (minutes=10 seed=7 runtime=local)
	@$(python) -m chaos --minutes $(or $(minutes),10) $(if $(seed),--seed $(seed)) $(if $(runtime),--runtime $(runtime))

bench: $(ready) ## Measure every budget against its peer (rounds=5 only=lookup document=1)
	@PYTHONPATH=. $(python) -m benchmarks $(if $(rounds),--rounds $(rounds)) $(if $(only),--only "$(only)") $(if $(document),--document)

##@ The repository

format: $(ready) ## Format the code
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix --quiet .

lock: $(ready) ## Pin all dependencies anew, with hashes (upgrade=1: to the newest that fit)
	@scripts/lock.sh $(if $(upgrade),--upgrade)

sbom: $(ready) ## Write what every built image is made of (CycloneDX) into build/sbom
	@$(python) scripts/sbom.py

licences: $(ready) ## Print the licence of everything that gets into an image
	@$(python) scripts/check_licences.py --table

base-images: $(ready) ## Make the base images without an image registry
	@scripts/base-images.sh

help: ## Show this list
	@awk -F ':.*## ' '/^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  \033[36mmake %-14s\033[0m %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
