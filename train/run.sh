#!/bin/sh
# SPDX-License-Identifier: MIT
# Trains the demo model from nothing: renders -> autoencoder -> UNet -> decoder again -> checkpoint -> model card.
# Stages that are done are skipped and an interrupted one resumes, so the command can be given again at any time.
#
#   train/run.sh                      everything, 160 minutes at most for the autoencoder with its decoder, and for the UNet
#   AE_MINUTES=38 LDM_MINUTES=70 train/run.sh
#   LDM_INIT=models/demo LDM_MINUTES=60 train/run.sh
#                                     goes on from that model, its states being lost: the autoencoder as it is there, the
#                                     UNet for 60 minutes more; give MODEL_DIR a copy of it, if it shall stay
#   AE_INIT=models/demo LDM_MINUTES=60 train/run.sh
#                                     another UNet on that model's autoencoder, from random weights
#
# LDM_TRAIN_DIR  state, some 600 MB (build/train)      MODEL_DIR  result (models/demo)      PYTHON  interpreter (python3)
set -eu
cd "$(dirname "$0")/.."
STATE=${LDM_TRAIN_DIR:-build/train}
MODEL=${MODEL_DIR:-models/demo}
PYTHON=${PYTHON:-python3}
COUNT=${RENDERS:-24576}
WORKERS=${WORKERS:-2}
AE_MINUTES=${AE_MINUTES:-150}
DECODER_MINUTES=${DECODER_MINUTES:-12}
LDM_MINUTES=${LDM_MINUTES:-150}
LDM_INIT=${LDM_INIT:-}
AE_INIT=${AE_INIT:-}
CASCADE=${CASCADE:-/usr/share/opencv4/haarcascades/haarcascade_frontalface_alt2.xml}

command -v "$PYTHON" >/dev/null || {
    echo "make train: there is no $PYTHON; install it (Debian: apt-get install python3-venv), or name one by PYTHON=" >&2
    exit 1
}
missing=$("$PYTHON" -c '
import importlib.util
names = {"numpy": "numpy", "torch": "torch", "cv2": "opencv-python-headless", "yaml": "pyyaml"}
print(*(package for name, package in names.items() if not importlib.util.find_spec(name)))')
[ -z "$missing" ] || {
    echo "make train: $PYTHON lacks $missing; install the packages, best into an environment of their own:" >&2
    echo "    $PYTHON -m venv build/venv && build/venv/bin/pip install -r train/requirements.txt" >&2
    echo "    PYTHON=build/venv/bin/python make train" >&2
    exit 1
}
[ -r "$CASCADE" ] || {
    echo "make train: $CASCADE is not there; run make deps (Debian: opencv-data), or name one by CASCADE=" >&2
    exit 1
}
mkdir -p "$STATE" "$MODEL"
# large tensors come from the heap and stay there; without this every step pays for fresh pages
export MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=8000000000

[ -e "$STATE/renders.npy" ] || "$PYTHON" train/faces.py "$STATE/renders.npy" --count "$COUNT" --seed 1 --workers "$WORKERS"
[ -e "$STATE/heldout.npy" ] || "$PYTHON" train/faces.py "$STATE/heldout.npy" --count 512 --seed 2 --workers "$WORKERS"
[ -z "$LDM_INIT" ] || "$PYTHON" train/restore.py --state "$STATE" --model "$LDM_INIT"
[ -z "$AE_INIT" ] || "$PYTHON" train/restore.py --state "$STATE" --model "$AE_INIT" --first-only
[ -e "$STATE/ae_final.pt" ] || "$PYTHON" train/ae.py --state "$STATE" --logs "$MODEL" --minutes "$AE_MINUTES" --workers "$WORKERS"
"$PYTHON" train/ldm.py --state "$STATE" --logs "$MODEL" --minutes "$LDM_MINUTES" --workers "$WORKERS" --cascade "$CASCADE"
[ -e "$STATE/decoder_final.pt" ] || "$PYTHON" train/decoder.py --state "$STATE" --logs "$MODEL" --minutes "$DECODER_MINUTES" --workers "$WORKERS"
"$PYTHON" train/export.py --state "$STATE" --model "$MODEL" --cascade "$CASCADE"
"$PYTHON" train/card.py --state "$STATE" --model "$MODEL" --cascade "$CASCADE"
