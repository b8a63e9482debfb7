# treeserve. `make` alone lists the targets; those that need an environment make .venv themselves.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.NOTPARALLEL:
.DEFAULT_GOAL := help

INSTALL := requirements/install.sh
BIN := .venv/bin
ACTIONLINT := build/delivery/actionlint-v1.7.12

# The Python that .venv is made with: python3, or another one that fits. PYTHON=/path/to/python3 names one.
export PYTHON

# HOST= and PORT= for `make run`; without them the service's own settings and defaults hold.
ifeq ($(origin HOST),command line)
export TREESERVE_HOST := $(HOST)
endif
ifeq ($(origin PORT),command line)
export TREESERVE_PORT := $(PORT)
endif

# For `make up` and `make down`.
# The first that is here and reaches what runs containers.
COMPOSE ?= $(shell { docker compose version && docker info; } >/dev/null 2>&1 && echo docker || \
    { { docker-compose version && docker info; } >/dev/null 2>&1 && echo docker-compose; } || \
    { podman-compose version >/dev/null 2>&1 && echo podman-compose; })
COMPOSE_COMMAND = $(patsubst docker,docker compose,$(COMPOSE)) $(foreach profile,$(PROFILES),--profile $(profile))
ifdef MLFLOW_PORT
export MLFLOW_PORT
endif

.PHONY: help install run train repro retrain tune mlflow-ui up down test test-all elastic-tools k8s-check cluster-tools reliability image image-test materials audit release deploy workflows-check fuzz bench bench-peers year lint typecheck format lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: ## Make .venv and install all that training and serving need
	@$(INSTALL) train

run: ## Train the model that model/names.py names if the registry has none, then serve it; HOST= and PORT= say where
	@$(INSTALL) train
	@own=$$($(BIN)/python -c 'from model.names import CHAMPION_URI; print(CHAMPION_URI)') || exit; \
	export TREESERVE_MODEL_URI="$${TREESERVE_MODEL_URI:-$$own}"; \
	if [ "$$TREESERVE_MODEL_URI" = "$$own" ]; then $(BIN)/python -m model train --if-missing || exit; fi; \
	exec $(BIN)/treeserve serve

train: ## Train that model and register it; options in ARGS="--max-depth 4"
	@$(INSTALL) train
	@$(BIN)/python -m model train $(ARGS)

repro: ## Run what has changed of the pipeline in model/dvc.yaml, from the data to a registered model version
	@$(INSTALL) dvc
	@PATH="$(CURDIR)/$(BIN):$$PATH" dvc --cd model repro $(ARGS)

retrain: ## Go one step on from logs to a new champion; ARGS="payload.log" or ARGS="--elasticsearch URL --since 30d"
	@$(INSTALL) train
	@$(BIN)/python -m model retrain $(ARGS)

tune: ## Search for better training parameters, some minutes, and log every trial; options in ARGS="--trials 80"
	@$(INSTALL) tune
	@$(BIN)/python -m model tune $(ARGS)

mlflow-ui: ## Open MLflow's page on the runs and models, on port 5000 or MLFLOW_PORT=
	@$(INSTALL) train
	@uri=$$($(BIN)/python -c 'import os, app.registry.store as s; print(s.tracking_uri(os.environ))') || exit; \
	case "$$uri" in \
	    http://* | https://*) echo "MLFLOW_TRACKING_URI names a server, which has its own page" ;; \
	    *) mkdir -p .mlflow && port=$(or $(MLFLOW_PORT),5000) && \
	       { $(BIN)/python -c 'import socket, sys; socket.create_server(("127.0.0.1", int(sys.argv[1])))' "$$port" 2>/dev/null || \
	           { echo "port $$port is taken; name another: make mlflow-ui MLFLOW_PORT=5001" >&2; exit 1; }; } && \
	       echo "MLflow's page, in half a minute or so: http://127.0.0.1:$$port" && \
	       export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false MLFLOW_LOGGING_LEVEL=WARNING PYTHONWARNINGS=ignore && \
	       exec $(BIN)/mlflow ui --backend-store-uri "$$uri" --registry-store-uri "$$uri" --host 127.0.0.1 --port "$$port" \
	           --workers 2 --uvicorn-opts "--log-level warning" ;; \
	esac

up: .compose .env image ## Run it with MLflow, PostgreSQL and S3 by Compose; more in PROFILES="monitoring logs", COMPOSE=podman-compose
	@$(COMPOSE_COMMAND) up --detach
	@echo "The service: http://127.0.0.1:$${TREESERVE_PORT:-8080}/docs   MLflow: http://127.0.0.1:$${MLFLOW_PORT:-5000}"

# Before anything is built. Podman waits for what is healthy from 4.6 on.
.compose:
	@case "$(COMPOSE)" in \
	    "") echo "neither Docker with Compose nor podman-compose is here and runs: install one, or name it in COMPOSE=" >&2; exit 1 ;; \
	    podman-compose) version=$$(podman version --format '{{.Client.Version}}') && \
	        printf '4.6\n%s\n' "$$version" | sort --version-sort --check=quiet || \
	        { echo "podman-compose needs Podman 4.6 or later, and this is $${version:-none}" >&2; exit 1; } ;; \
	esac

down: PROFILES = monitoring logs
down: .env ## Stop what `make up` has started; ARGS=--volumes deletes its data too
	@$(COMPOSE_COMMAND) down $(ARGS)

# What docker-compose.yml wants to know and nobody else should. PostgreSQL and Grafana take them when they start for the first
# time, so a new file fits new volumes only.
.env:
	@umask 077; for name in POSTGRES_PASSWORD S3_SECRET_KEY GRAFANA_PASSWORD; do \
	    echo "$$name=$$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')"; \
	done >.env.new && mv .env.new .env && echo "Made .env, with passwords of this machine's own"

test: lint typecheck ## Check format, lint and types, then run the tests; pytest's options in ARGS="-k drift"
	@$(BIN)/python -m pytest -n 2 $(ARGS)

test-all: lint typecheck ## The tests and, for some minutes more, what breaks a service's surroundings under load
	@$(INSTALL) stores build/stores
	@$(INSTALL) delivery build/delivery/environment
	@$(BIN)/python -m pytest -n 2 -m "not cluster and not image and not kubernetes" $(ARGS)

elastic-tools: ## Install the Elasticsearch, Filebeat and Vega that some tests run, 1 GB; needs Maven, Java, Go and npm
	@$(INSTALL) dev
	@$(BIN)/python -m tests.integration.elastic.tools

k8s-check: ## Render k8s/ and check it by the schemas of several Kubernetes versions and by policies; needs Go
	@$(INSTALL) dev
	@$(INSTALL) kubernetes build/kubernetes/environment
	@$(BIN)/python -m tests.integration.kubernetes.tools
	@$(BIN)/python -m pytest -n 0 -m kubernetes tests/integration/kubernetes $(ARGS)

cluster-tools: ## Build the Kubernetes, etcd and containerd that some tests run; needs Go 1.26 and a C compiler
	@$(INSTALL) dev
	@$(BIN)/python -m tests.cluster.tools

reliability: ## Break a service's surroundings under load, and write what is seen into docs/reliability.md
	@$(INSTALL) dev
	@rm -rf build/reliability && mkdir -p build/reliability
	@RELIABILITY_RECORDS=$(CURDIR)/build/reliability $(BIN)/python -m pytest -n 0 -m "faults or cluster" tests/e2e/faults tests/cluster
	@$(BIN)/python -m tests.e2e.faults.page build/reliability

image: ## Build the images with Docker or Podman; DEVICE=cuda for GPUs, MODEL_URI= bakes a model version in
	@$(INSTALL) $(if $(MODEL_URI),train,bootstrap)
	@$(BIN)/python -m delivery image $(if $(MODEL_URI),baked --model-uri "$(MODEL_URI)",serving training mlflow) \
	    $(if $(DEVICE),--device $(DEVICE)) $(if $(BASE_IMAGE),--base-image $(BASE_IMAGE)) \
	    $(if $(BUILD_IMAGE),--build-image $(BUILD_IMAGE))

image-test: ## Build the images and run them as operators do; needs Docker or Podman
	@$(INSTALL) dev
	@$(INSTALL) stores build/stores
	@$(BIN)/python -m pytest -n 0 -m image $(ARGS)

materials: ## List what is in the images, as CycloneDX and by licence, in build/image; DEVICE=cuda for those for GPUs
	@$(INSTALL) dev
	@$(BIN)/python -m delivery materials serving training $(if $(DEVICE),,mlflow) $(if $(DEVICE),--device $(DEVICE))

audit: ## Ask OSV for known vulnerabilities of all locked packages; exceptions are in requirements/advisories.toml
	@$(INSTALL) bootstrap
	@$(INSTALL) delivery build/delivery/environment
	@$(BIN)/python -m delivery audit build/delivery/environment/bin/pip-audit

release: ## Write the version and the changelog, commit and tag: VERSION=1.2.0, or PART=minor
	@$(if $(or $(VERSION),$(PART)),,echo "which? make release VERSION=1.2.0, or PART=major, minor or patch" >&2; exit 2)
	@$(INSTALL) bootstrap
	@$(BIN)/python -m delivery release $(or $(VERSION),$(PART))

deploy: ## Roll IMAGE=…@sha256:… out with kubectl, and back if it does not serve; ARGS="--namespace NAME"
	@$(INSTALL) bootstrap
	@$(BIN)/python -m delivery deploy "$(IMAGE)" $(ARGS)

workflows-check: $(ACTIONLINT) ## Check .github/ with actionlint and zizmor; needs Go
	@$(INSTALL) delivery build/delivery/environment
	@$(ACTIONLINT) -shellcheck build/delivery/environment/bin/shellcheck
	@build/delivery/environment/bin/zizmor --quiet --offline --pedantic .github

$(ACTIONLINT):
	@mkdir -p $(@D)
	@cd $(@D) && GOBIN=$(abspath $(@D)) go install -trimpath github.com/rhysd/actionlint/cmd/actionlint@$(lastword $(subst -, ,$(@F)))
	@mv $(@D)/actionlint $@

fuzz: ## Feed the compiled parts damaged models and bodies under the sanitizers, SECONDS=600 each; SEED= says which
	@$(INSTALL) dev
	@$(BIN)/python -m tests.sanitizers $(or $(SECONDS),600) $(or $(SEED),0)

bench: ## Measure how long predictions take on this machine, ten minutes; ARGS=--quick for rough figures in three
	@$(INSTALL) dev
	@$(INSTALL) serve build/bench/serve
	@$(INSTALL) bench build/bench/evaluators
	@$(BIN)/python -m benchmarks prediction-time $(ARGS)

bench-peers: ## Time the service beside other servers, 15 minutes; ARGS="--quick --only mlserver,kserve" for some in few
	@$(INSTALL) dev
	@$(INSTALL) serve build/bench/serve
	@$(BIN)/python -m benchmarks peers $(ARGS)

year: ## Replay 2013 month by month against the running service, and write docs/year.md; half an hour
	@$(INSTALL) dev
	@$(BIN)/python -m benchmarks year

lint: ## Check format and lint
	@$(INSTALL) dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

typecheck: ## Check types
	@$(INSTALL) dev
	@$(BIN)/mypy

format: ## Format the code and mend what the linter can mend
	@$(INSTALL) dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: ## Compile requirements/*.in into hash-locked *.txt; ARGS=--upgrade takes newer versions
	@$(INSTALL) bootstrap
	@requirements/lock.sh $(ARGS)

clean: ## Remove .venv, builds and caches; the trained models in .mlflow stay
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
