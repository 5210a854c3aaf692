#!/bin/sh
# SPDX-License-Identifier: MIT
# Trains the portrait model: renders with facts -> autoencoder -> text encoder -> network that tells facts from latents -> UNet
# -> checkpoint and card.
# Stages that are done are skipped and an interrupted one resumes, so the command can be given again at any time. Where there
# is no state, models/portrait/resume.pt is gone on from.
#
#   train/run_text.sh                       everything
#   TEXT_MINUTES=120 FALL=12 train/run_text.sh     trains until 120 minutes in all, over all runs, the rate falling in the last 12
#
# TEXT_DIR  state (build/text)     MODEL_DIR  result (models/portrait)     PYTHON  interpreter (python3)
set -eu
cd "$(dirname "$0")/.."
STATE=${TEXT_DIR:-build/text}
MODEL=${MODEL_DIR:-models/portrait}
PYTHON=${PYTHON:-python3}
PARTS=${PARTS:-4}                     # files of 4096 renders
WORKERS=${WORKERS:-2}
AE_MINUTES=${AE_MINUTES:-72}
TEXT_MINUTES=${TEXT_MINUTES:-240}
FALL=${FALL:-15}
FACTS=${FACTS:-0.02}
LIKENESS=${LIKENESS:-2}
SHARP_MINUTES=${SHARP_MINUTES:-13}
CASCADE=${CASCADE:-/usr/share/opencv4/haarcascades/haarcascade_frontalface_alt2.xml}
mkdir -p "$STATE"
# large tensors come from the heap and stay there; without this every step pays for fresh pages
export MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=8000000000 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

[ -e "$STATE/heldout.npy" ] || "$PYTHON" train/portraits.py "$STATE/heldout.npy" --count 512 --seed 12 --workers "$WORKERS"
k=0
while [ "$k" -lt "$PARTS" ]; do
    [ -e "$STATE/renders_$k.npy" ] ||
        "$PYTHON" train/portraits.py "$STATE/renders_$k.npy" --count 4096 --first $((k * 4096)) --seed 11 --workers "$WORKERS"
    k=$((k + 1))
done
[ -e "$MODEL/vocab.txt" ] || "$PYTHON" train/captions.py vocab "$MODEL/vocab.txt" --grammar "$MODEL/grammar.txt"
"$PYTHON" train/text_restore.py unpack --state "$STATE" --model "$MODEL"
[ -e "$STATE/kl_final.pt" ] || "$PYTHON" train/kl.py --state "$STATE" --logs "$MODEL" --minutes "$AE_MINUTES" --workers "$WORKERS"
[ -e "$STATE/facts.pt" ] || [ -e "$STATE/text.pt" ] ||
    OMP_NUM_THREADS=$WORKERS "$PYTHON" train/text_facts.py --state "$STATE" --model "$MODEL"
"$PYTHON" train/text.py encode --state "$STATE" --workers "$WORKERS"
[ -e "$STATE/latent_facts.pt" ] || OMP_NUM_THREADS=$WORKERS "$PYTHON" train/latent_facts.py --state "$STATE" --model "$MODEL"
"$PYTHON" train/text.py --state "$STATE" --model "$MODEL" --minutes "$TEXT_MINUTES" --fall "$FALL" --init "$STATE/facts.pt" \
    --facts "$FACTS" --likeness "$LIKENESS" --workers "$WORKERS"
[ -e "$STATE/kl_sharp.pt" ] || "$PYTHON" train/text_decoder.py --state "$STATE" --model "$MODEL" --minutes "$SHARP_MINUTES" --workers "$WORKERS"
[ -x "${LDM:-build/ldm}" ] || make
"$PYTHON" train/text_export.py --state "$STATE" --model "$MODEL" --cascade "$CASCADE"
