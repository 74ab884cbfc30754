#!/usr/bin/env bash
# Runs once, as root, while the platform builds the image: Python, the pinned packages, MNIST.
set -euo pipefail
root=${AUTOGRADER_ROOT:-/autograder}
cd "$root/source"
if [ -z "${AUTOGRADER_PYTHON:-}" ]; then
  for python in python3.13 python3.12 python3.11 python3; do
    if command -v "$python" > /dev/null && "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'; then break; fi
    python=
  done
  if [ -z "$python" ]; then
    apt-get update
    apt-get install -y --no-install-recommends python3.11 python3.11-venv
    python=python3.11
  fi
  "$python" -m venv "$root/venv"
  read -r -a options < pip_options.txt || true
  "$root/venv/bin/python" -m pip install --no-cache-dir "${options[@]}" -r requirements.txt
fi
export VAE_GRADER_CACHE="$root/cache"
"${AUTOGRADER_PYTHON:-$root/venv/bin/python}" -m grader.gradescope.on_platform --prepare "$root"
chmod -R go-rwx "$root/source"
