# SPDX-License-Identifier: MIT
"""Frechet distance between two sets of pictures on features of the first stage's encoder.

The features of a picture are the means over the positions of the activations after each level of the encoder
(widths 32, 64 and 128: 224 numbers) and their standard deviations over the positions (another 224).
"""
from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

import common
from nets import FirstStage


@torch.no_grad()
def features(first: FirstStage, pics: np.ndarray, chunk: int = 64) -> np.ndarray:
    """uint8 (N, H, W, 3) -> float64 (N, 448)."""
    rows = []
    for lo in range(0, len(pics), chunk):
        h: Tensor = first.encoder.conv_in(common.batch(pics, np.arange(lo, min(lo + chunk, len(pics)))))
        means, stds = [], []
        for level in first.encoder.down:
            for block in level.block:
                h = block(h)
            means.append(h.mean((2, 3)))
            stds.append(h.std((2, 3), unbiased=False))
            if hasattr(level, "downsample"):
                h = level.downsample(h)
        rows.append(torch.cat(means + stds, 1).double().numpy())
    return np.concatenate(rows)


def moments(f: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return f.mean(0), np.cov(f, rowvar=False)


def frechet(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^1/2); the root's trace is that of (C1^1/2 C2 C1^1/2)^1/2."""
    (m1, c1), (m2, c2) = a, b
    val, vec = np.linalg.eigh(c1)
    root = (vec * np.sqrt(np.maximum(val, 0))) @ vec.T
    inner = np.linalg.eigvalsh(root @ c2 @ root)
    return float(np.square(m1 - m2).sum() + np.trace(c1) + np.trace(c2) - 2 * np.sqrt(np.maximum(inner, 0)).sum())
