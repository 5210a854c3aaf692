"""Makes this folder's pictures, the synthetic cascade and OpenCV's own detections on them.

    python tests/data/haar/make.py        # needs numpy, opencv-python-headless < 4.12, and train/faces.py

expected.txt: one line per search: cascade, sheet, x y width height of the tile, min_neighbours, number
of rectangles, then x y width height of each, sorted by y, x, width. Cascade "face" is
haarcascade_frontalface_alt2.xml, "synthetic" the file beside this one.
"""
import os
import sys

import cv2
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path.insert(0, os.path.join(ROOT, "train"))
from faces import portrait  # noqa: E402

TILE = 96


def sheet(tiles, columns):
    rows = [np.concatenate(tiles[i:i + columns], 1) for i in range(0, len(tiles), columns)]
    return np.concatenate(rows, 0)


def faces():
    return sheet([cv2.cvtColor(portrait(11, i, TILE), cv2.COLOR_RGB2GRAY) for i in range(24)], 6)


def fields(rng):
    """Noise of every coarseness: white, blurred, and enlarged blocks."""
    tiles = []
    for i in range(8):
        n = rng.integers(0, 256, (TILE, TILE), dtype=np.uint8)
        if i % 4 == 1:
            n = cv2.normalize(cv2.GaussianBlur(n, (0, 0), 1 + i), None, 0, 255, cv2.NORM_MINMAX)
        if i % 4 >= 2:
            n = cv2.resize(n[:TILE // (2 * i), :TILE // (2 * i)], (TILE, TILE), interpolation=cv2.INTER_CUBIC)
        tiles.append(n)
    return sheet(tiles, 4)


def synthetic(rng):
    """Three stages of two trees with one to three nodes each, in a 14 x 12 window; it finds nothing in
    particular, but often enough."""
    width, height = 14, 12
    features, stages = [], []

    def feature(three):
        while True:
            w, h = int(rng.integers(4, width)), int(rng.integers(4, height))
            x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
            if w % 4 == 0 or h % 4 == 0:
                break
        inner = (x + w // 4, y, w // 2, h) if w % 4 == 0 else (x, y + h // 4, w, h // 2)
        rects = [(x, y, w, h, -1), (*inner, 2)]
        if three:
            rects[1] = (*inner, 1)
            rects.append((*inner, 1))
        features.append(rects)
        return len(features) - 1

    for s in range(3):
        trees = []
        for t in range(2):
            n = int(rng.integers(1, 4))
            nodes = []
            for k in range(n):
                left = k + 1 if k + 1 < n else -(n - 1)
                right = -k if k + 1 < n else -n
                nodes.append((left, right, feature((s + t + k) % 3 == 0), float(rng.normal(0, 0.01))))
            trees.append((nodes, [float(v) for v in rng.normal(0, 1, n + 1)]))
        stages.append((trees, -0.2))
    lines = ["<?xml version=\"1.0\"?>", "<opencv_storage>",
             "<cascade type_id=\"opencv-cascade-classifier\"><stageType>BOOST</stageType>",
             "<featureType>HAAR</featureType>", f"<height>{height}</height>", f"<width>{width}</width>",
             "<stageParams><maxWeakCount>2</maxWeakCount></stageParams>",
             "<featureParams><maxCatCount>0</maxCatCount></featureParams>", "<stageNum>3</stageNum>", "<stages>"]
    for trees, threshold in stages:
        lines.append(f"<_><maxWeakCount>2</maxWeakCount><stageThreshold>{threshold:.6e}</stageThreshold>"
                     "<weakClassifiers>")
        for nodes, leaves in trees:
            lines.append("<_><internalNodes>" + " ".join(f"{a} {b} {f} {v:.6e}" for a, b, f, v in nodes)
                         + "</internalNodes><leafValues>" + " ".join(f"{v:.6e}" for v in leaves)
                         + "</leafValues></_>")
        lines.append("</weakClassifiers></_>")
    lines.append("</stages><features>")
    for rects in features:
        lines.append("<_><rects>" + "".join(f"<_>{x} {y} {w} {h} {v}.</_>" for x, y, w, h, v in rects)
                     + "</rects><tilted>0</tilted></_>")
    lines.append("</features></cascade></opencv_storage>")
    return "\n".join(lines) + "\n"


def write_synthetic(path, pixels):
    """The first random cascade that has 100 to 1000 hits on the sheet, in several groups."""
    for seed in range(1000):
        with open(path, "w") as f:
            f.write(synthetic(np.random.default_rng(seed)))
        cascade = cv2.CascadeClassifier(path)
        if 100 <= len(cascade.detectMultiScale(pixels, scaleFactor=1.1, minNeighbors=0)) <= 1000:
            if len(cascade.detectMultiScale(pixels, scaleFactor=1.1, minNeighbors=3)) > 10:
                return
    raise SystemExit("no seed gives a useful cascade")


def main():
    cascades = {"synthetic": os.path.join(HERE, "synthetic.xml"),
                "face": os.path.join(cv2.data.haarcascades, "haarcascade_frontalface_alt2.xml")}
    sheets = {"faces": faces(), "fields": fields(np.random.default_rng(5))}
    write_synthetic(cascades["synthetic"], sheets["faces"])
    lines = []
    for name, pixels in sheets.items():
        cv2.imwrite(os.path.join(HERE, name + ".png"), pixels, [cv2.IMWRITE_PNG_COMPRESSION, 9])
        tiles = [(0, 0, pixels.shape[1], pixels.shape[0])]
        tiles += [(x, y, TILE, TILE) for y in range(0, pixels.shape[0], TILE) for x in range(0, pixels.shape[1], TILE)]
        tiles.append((5, 3, 71, 64))
        for cascade, path in cascades.items():
            for x, y, w, h in tiles:
                for neighbours in (3, 0):
                    found = cv2.CascadeClassifier(path).detectMultiScale(
                        np.ascontiguousarray(pixels[y:y + h, x:x + w]), scaleFactor=1.1, minNeighbors=neighbours)
                    if neighbours == 0 and len(found) > 60:
                        continue
                    rects = sorted((tuple(map(int, r)) for r in found), key=lambda r: (r[1], r[0], r[2]))
                    numbers = [x, y, w, h, neighbours, len(rects)] + [v for r in rects for v in r]
                    lines.append(f"{cascade} {name} " + " ".join(map(str, numbers)))
    with open(os.path.join(HERE, "expected.txt"), "w") as f:
        f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
