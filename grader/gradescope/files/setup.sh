#!/usr/bin/env bash
# Runs once, as root, while the platform builds the image: installs Python, the pinned packages and MNIST, and says what to set.
set -euo pipefail
root=${AUTOGRADER_ROOT:-/autograder}
cd "$root/source"
cpu_builds=https://download.pytorch.org/whl/cpu # pytorch.org, "Get started": Linux, pip, CPU
export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_PROGRESS_BAR=off
export PIP_ROOT_USER_ACTION=ignore DEBIAN_FRONTEND=noninteractive

say() { echo "setup: $*"; }

fits() { # a Python that the locks support and that can create environments
  command -v "$1" > /dev/null &&
    "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2> /dev/null
}

of_the_image() {
  for python in python3.13 python3.12 python3.11 python3.14 python3; do
    if fits "$python"; then return; fi
  done
  return 1
}

by_apt() {
  command -v apt-get > /dev/null && apt-get update -qq || return 1
  for python in python3.13 python3.12 python3.11; do
    if apt-get install -y -qq --no-install-recommends "$python" "$python-venv" > /dev/null 2>&1 && fits "$python"; then return; fi
  done
  return 1
}

by_uv() { # uv from PyPI, which downloads a Python
  python3 -m pip --version > /dev/null 2>&1 || python3 -m ensurepip > /dev/null 2>&1 ||
    apt-get install -y -qq --no-install-recommends python3-pip > /dev/null 2>&1 || return 1
  python3 -m pip install -q --target "$root/uv" uv || return 1
  export UV_PYTHON_INSTALL_DIR="$root/python"
  "$root/uv/bin/uv" python install -q 3.12 || return 1
  python=$("$root/uv/bin/uv" python find --managed-python 3.12) && fits "$python"
}

pins() { # the pin of a package in requirements.lock
  sed -n "s/^$1==\([0-9.]*\).*/$1==\1/p" requirements.lock
}

packages() { # into the environment; the locks name every package, so pip resolves no others
  local pip=("$root/venv/bin/python" -m pip install -q)
  local options=()
  read -r -a options < pip_options.txt || true
  if [ "${#options[@]}" = 0 ]; then
    "${pip[@]}" --no-deps --require-hashes -r requirements-cpu.lock -r requirements-student.lock
    if PIP_EXTRA_INDEX_URL=$cpu_builds PIP_RETRIES=1 "${pip[@]}" --no-deps "$(pins torch)+cpu" "$(pins torchvision)+cpu"; then
      say "PyTorch's CPU builds are installed"
    else
      say "PyTorch's index of CPU builds cannot be reached or lacks this version; installing PyTorch with CUDA from PyPI, 5 GB more"
      "${pip[@]}" --no-deps --require-hashes -r requirements.lock
    fi
  fi
  "${pip[@]}" ${options[@]+"${options[@]}"} --constraint pins.txt -r requirements.txt
}

if [ -z "${AUTOGRADER_PYTHON:-}" ]; then
  of_the_image || by_apt || by_uv || {
    say "no Python 3.11 to 3.14 with venv found in the image or with apt, and uv could not download one; choose Ubuntu 22.04 or later as the base image" >&2
    exit 1
  }
  say "$("$python" --version), $(command -v "$python")"
  "$python" -m venv "$root/venv"
  packages
fi
export VAE_GRADER_CACHE="$root/cache"
"${AUTOGRADER_PYTHON:-$root/venv/bin/python}" -m grader.gradescope.on_platform --prepare "$root"
chmod -R go-rwx "$root/source"
