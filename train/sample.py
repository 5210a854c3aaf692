# SPDX-License-Identifier: MIT
"""Samples pictures from an exported model in Python, to look at or to measure.

    python sample.py grid.png --count 64 --steps 50        # a contact sheet, and how many faces the detector finds
"""
from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import torch
import yaml

import common
import diffusion
import export
import faces
import study

CHUNK = 50


def job(args: tuple) -> np.ndarray:
    model, count, steps, eta, seed, fast = args
    torch.set_num_threads(1)
    with open(Path(model) / "config.yaml") as f:
        unet, first = export.read(Path(model) / "model.ckpt", yaml.safe_load(f))
    with common.autocast(fast):
        return common.to_uint8(diffusion.sample(unet, first, count, steps, eta, seed).float())


def many(model: Path, count: int, steps: int, seed: int, workers: int = 2, eta: float = 0.0, fast: bool = True) -> np.ndarray:
    """count pictures (count, S, S, 3) uint8 in chunks with seeds seed, seed + 1, ...; fast: in bfloat16."""
    jobs = [(str(model), min(CHUNK, count - lo), steps, eta, seed + lo // CHUNK, fast) for lo in range(0, count, CHUNK)]
    if workers < 2:
        return np.concatenate([job(j) for j in jobs])
    with torch.multiprocessing.get_context("spawn").Pool(workers) as pool:
        return np.concatenate(pool.map(job, jobs, chunksize=1))


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out", help="file.png (contact sheet) or file.npy (uint8)")
    ap.add_argument("--model", type=Path, default=common.MODEL)
    ap.add_argument("--count", type=int, default=64)
    ap.add_argument("--steps", type=int, default=50)
    ap.add_argument("--eta", type=float, default=0.0)
    ap.add_argument("--seed", type=int, default=42)
    ap.add_argument("--workers", type=int, default=2)
    ap.add_argument("--fast", type=int, default=0, help="1: bfloat16")
    ap.add_argument("--cascade", default=study.CASCADE)
    a = ap.parse_args()
    began = time.time()
    pics = many(a.model, a.count, a.steps, a.seed, a.workers, a.eta, bool(a.fast))
    if a.out.endswith(".npy"):
        np.save(a.out, pics)
    else:
        cv2.imwrite(a.out, faces.sheet(pics, max(1, int(a.count ** 0.5)), 2)[..., ::-1])
    print(f"{a.out}: {a.count} samples, faces in {int(study.hits(pics, study.detector(a.cascade)).sum())}, {time.time() - began:.0f} s")


if __name__ == "__main__":
    main()
