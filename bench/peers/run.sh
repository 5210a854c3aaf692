#!/bin/sh
# SPDX-License-Identifier: MIT
# Compares ldm with PyTorch, ONNX Runtime and OpenVINO on this machine. The peers are installed, pinned, into an
# environment of their own at the first call (some 7 GB), which is used again afterwards.
#
#   bench/peers/run.sh [--venv DIR] [--sd1] [--rounds N] [--threads T] [--ckpt F] [--out DIR] [--isa avx2] ...
#
# --venv DIR  where the environment lies (build/peers/venv); `--help` lists the other options.
# --sd1       Stable Diffusion 1 with guidance; stable-diffusion.cpp joins the peers (built from source, needs cmake, g++)
# PYTHON      the interpreter that makes the environment (python3)
set -eu
cd "$(dirname "$0")/../.."
HERE=bench/peers
VENV=build/peers/venv
if [ "${1:-}" = --venv ]; then
    VENV=${2:?"--venv needs a folder"}
    shift 2
fi
SD1=
if [ "${1:-}" = --sd1 ]; then
    SD1=1
    shift
fi

# install LIST MARK: what LIST names, unless it has been installed as it stands
install()
{
    cmp -s "$1" "$VENV/$2" && return
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -r "$1" >&2
    cp "$1" "$VENV/$2"
}

if [ ! -x "$VENV/bin/python" ]; then
    "${PYTHON:-python3}" -m venv "$VENV" || {
        echo "run.sh: Python can't make an environment; on Debian: apt-get install python3-venv" >&2
        exit 1
    }
fi
install "$HERE/requirements.txt" installed.txt
if [ "$SD1" ]; then
    install "$HERE/requirements-sd1.txt" installed-sd1.txt
    set -- --config configs/v1-inference.yaml --batch 2 --apart --evals 1 --decodes 1 --rounds 5 --cold 1 \
        --peers eager,channels_last,compile,onnxruntime,openvino,sdcpp-f32,sdcpp-f16 "$@"
fi
exec "$VENV/bin/python" -B "$HERE/compare.py" "$@"
