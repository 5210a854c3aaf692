# SPDX-License-Identifier: MIT
"""Line charts as PNG with nothing but OpenCV: enough for a loss curve."""
from __future__ import annotations

import cv2
import numpy as np

INK, GRID, PAPER = (60, 60, 60), (226, 226, 226), (255, 255, 255)
COLOURS = [(180, 90, 20), (40, 120, 220), (60, 150, 60), (150, 60, 150), (30, 170, 190), (90, 90, 200), (120, 120, 120), (20, 90, 130)]
FONT = cv2.FONT_HERSHEY_SIMPLEX


def _text(img: np.ndarray, s: str, x: int, y: int, scale: float = 0.42, colour=INK) -> None:
    cv2.putText(img, s, (int(x), int(y)), FONT, scale, colour, 1, cv2.LINE_AA)


def chart(title: str, x: np.ndarray, series: dict[str, np.ndarray], log: bool, unit: str, width: int = 760, height: int = 300) -> np.ndarray:
    """One panel, (height, width, 3) BGR uint8; x in minutes, one line a series."""
    img = np.full((height, width, 3), PAPER, np.uint8)
    left, right, top, bottom = 64, 170, 34, 36
    ys = np.concatenate([np.asarray(v, float) for v in series.values()])
    ys = ys[np.isfinite(ys) & ((ys > 0) | (not log))]
    f = np.log10 if log else (lambda v: v)
    lo, hi = f(ys.min()), f(ys.max())
    pad = (hi - lo) * 0.06 or 0.5
    lo, hi = lo - pad, hi + pad
    x0, x1 = 0.0, max(float(np.max(x)), 1e-6)

    def px(v):
        return left + (np.asarray(v, float) - x0) / (x1 - x0) * (width - left - right)

    def py(v):
        return height - bottom - (f(np.asarray(v, float)) - lo) / (hi - lo) * (height - top - bottom)

    for k in range(6):
        level = lo + (hi - lo) * k / 5
        y = int(height - bottom - (height - top - bottom) * k / 5)
        cv2.line(img, (left, y), (width - right, y), GRID, 1)
        _text(img, f"{10 ** level if log else level:.3g}", 8, y + 4)
        v = x0 + (x1 - x0) * k / 5
        _text(img, f"{v:.0f}", px(v) - 8, height - bottom + 18)
    _text(img, title, left, 20, 0.5)
    _text(img, unit, width - right - 60, height - 4)
    for n, (name, v) in enumerate(series.items()):
        c = COLOURS[n % len(COLOURS)]
        pts = np.stack([px(x), py(np.maximum(v, 1e-12) if log else v)], 1).round().astype(np.int32)
        cv2.polylines(img, [pts[:, None]], False, c, 2, cv2.LINE_AA)
        _text(img, name, width - right + 12, top + 14 + 18 * n, 0.42, c)
    return img


def save(path: str, panels: list[np.ndarray]) -> None:
    cv2.imwrite(path, np.concatenate(panels, 0))
