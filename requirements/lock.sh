#!/usr/bin/env bash
# Compile requirements/*.in into the hash-locked *.txt: `make lock`, and `make lock ARGS=--upgrade` for newer versions.
#
# The largest set is solved first and binds the smaller ones, so a package has one version in all of them, whatever
# the Python from 3.11 on. Nothing of where the packages came from is written down.
set -euo pipefail
cd "$(dirname "$0")/.."

unset UV_FIND_LINKS UV_EXTRA_INDEX_URL UV_INDEX

compile() {
    local name=$1
    shift
    echo "requirements/$name.txt"
    .venv/bin/uv pip compile "requirements/$name.in" --output-file "requirements/$name.txt" "$@" \
        --quiet --no-config --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
        --no-emit-index-url --no-emit-find-links --annotation-style line --custom-compile-command "make lock"
}

compile dev "$@"
compile train --constraint requirements/dev.txt
compile dvc --constraint requirements/dev.txt
compile tune --constraint requirements/dev.txt
compile dask --constraint requirements/dev.txt
compile serve --constraint requirements/dev.txt
compile otel requirements/serve.in --constraint requirements/dev.txt
compile bench --constraint requirements/dev.txt "$@"
compile kubernetes --constraint requirements/dev.txt "$@"
compile delivery --constraint requirements/dev.txt "$@"
compile stores --constraint requirements/dev.txt "$@"
compile mlflow-server --constraint requirements/dev.txt --constraint requirements/stores.txt
compile bootstrap --constraint requirements/dev.txt "$@"
compile cuda --no-deps --constraint requirements/dev.txt
