#!/bin/sh
# SPDX-License-Identifier: MIT
# Compares ldm with PyTorch, ONNX Runtime and OpenVINO on this machine. The peers are installed, pinned, into an
# environment of their own at the first call (some 7 GB), which is used again afterwards.
#
#   bench/peers/run.sh [--venv DIR] [--rounds N] [--threads T] [--ckpt F] [--out DIR] [--isa avx2] ...
#
# --venv DIR  where the environment lies (build/peers/venv); `--help` lists the other options.
# PYTHON      the interpreter that makes the environment (python3)
set -eu
cd "$(dirname "$0")/../.."
HERE=bench/peers
VENV=build/peers/venv
if [ "${1:-}" = --venv ]; then
    VENV=${2:?"--venv needs a folder"}
    shift 2
fi
if ! cmp -s "$HERE/requirements.txt" "$VENV/installed.txt"; then
    "${PYTHON:-python3}" -m venv "$VENV" || {
        echo "run.sh: Python can't make an environment; on Debian: apt-get install python3-venv" >&2
        exit 1
    }
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -r "$HERE/requirements.txt" >&2
    cp "$HERE/requirements.txt" "$VENV/installed.txt"
fi
exec "$VENV/bin/python" -B "$HERE/compare.py" "$@"
