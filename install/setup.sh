#!/bin/sh
# setup.sh VENV LOCK...: installs the packages of the lock files into the environment. Prints one line; on a terminal,
# the line shows the progress.
set -eu
venv=$1
shift
python=${PYTHON:-python3}
cpu_builds=https://download.pytorch.org/whl/cpu # pytorch.org, "Get started": Linux, pip, CPU

"$python" -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "setup: Python 3.11 or later is needed, this is " + sys.version.split()[0] + "; try make PYTHON=python3.12")'
test -x "$venv/bin/python" || "$python" -m venv "$venv"

pins() { # prints the pin of a package in requirements.lock
    sed -n "s/^$1==\([0-9.]*\).*/$1==\1/p" requirements.lock
}

install() {
    for lock in "$@"; do
        set -- "$@" -r "$lock"
        shift
    done
    "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off -q --no-deps \
        --require-hashes "$@"
    case " $* " in
    *" requirements-cpu.lock "*)
        PIP_EXTRA_INDEX_URL=$cpu_builds "$venv/bin/python" -m pip install --disable-pip-version-check --no-input \
            --progress-bar off -q --no-deps "$(pins torch)+cpu" "$(pins torchvision)+cpu"
        ;;
    esac
}

count=$(cat "$@" | grep -c '^[a-zA-Z0-9].*==')
what="setup: $count pinned packages into $venv"
if [ -t 2 ]; then
    install "$@" &
    work=$!
    trap 'kill $work 2>/dev/null' INT TERM
    start=$(date +%s)
    while kill -0 $work 2>/dev/null; do
        printf '\r%s: %s MB after %s s ' "$what" "$(du -sm "$venv" 2>/dev/null | cut -f1)" "$(($(date +%s) - start))" >&2
        sleep 3
    done
    echo >&2
    wait $work
else
    echo "$what" >&2
    install "$@"
fi
