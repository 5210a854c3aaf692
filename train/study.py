# SPDX-License-Identifier: MIT
"""Face detection by OpenCV's Haar cascade frontalface_alt2, the measure of renders and of samples.

    python study.py renders --count 512        # share of renders in which the detector finds a face
    python study.py pictures FILE.npy          # the same of stored uint8 pictures (N, H, W, 3)
"""
from __future__ import annotations

import argparse
import os

import cv2
import numpy as np

import faces

CASCADE = "/usr/share/opencv4/haarcascades/haarcascade_frontalface_alt2.xml"


def detector(path: str = CASCADE) -> cv2.CascadeClassifier:
    if not os.path.exists(path):
        raise SystemExit(f"{path} is missing: install Debian's package opencv-data or name the file with --cascade")
    return cv2.CascadeClassifier(path)


def hits(pics: np.ndarray, cascade: cv2.CascadeClassifier) -> np.ndarray:
    """Which of the pictures (N, H, W, 3) uint8 contain a detected face, (N,) bool.

    Small ones are enlarged to 192 pixels (bicubic); scale step 1.1, three neighbours."""
    out = []
    for pic in pics:
        grey = cv2.cvtColor(pic, cv2.COLOR_RGB2GRAY)
        if grey.shape[0] < 192:
            grey = cv2.resize(grey, (192, 192), interpolation=cv2.INTER_CUBIC)
        out.append(len(cascade.detectMultiScale(grey, scaleFactor=1.1, minNeighbors=3)) > 0)
    return np.asarray(out)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("what", choices=["renders", "pictures"])
    ap.add_argument("file", nargs="?")
    ap.add_argument("--count", type=int, default=512)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--cascade", default=CASCADE)
    ap.add_argument("--misses", help="write a contact sheet of the pictures without a detection")
    a = ap.parse_args()
    pics = faces.series(a.seed, a.count) if a.what == "renders" else np.load(a.file)[:a.count]
    found = hits(pics, detector(a.cascade))
    print(f"faces detected in {found.sum()} of {len(found)} ({100 * found.mean():.1f} %)")
    if a.misses and not found.all():
        cv2.imwrite(a.misses, faces.sheet(pics[~found][:64], 8, 2)[..., ::-1])


if __name__ == "__main__":
    main()
