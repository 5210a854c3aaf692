# SPDX-License-Identifier: MIT
"""Portraits for the text model: what `persons.draw` gives, with more to describe, and the facts of every picture.

A picture and its facts are functions of (seed, index). The facts are a dictionary of short words; what is drawn but
hardly seen at 64x64 has no fact. `grammar.txt` names the same facts, `captions.py` makes sentences of them.

    python portraits.py renders.npy --count 40000 --seed 11     # renders.npy and renders.facts.json
    python portraits.py sheet.png --count 64                    # a contact sheet
"""
from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import cv2
import numpy as np

import faces
import persons
from persons import Person, lin

F = np.float32
HELD_SEED = 12               # series of heldout.npy, see run_text.sh
HAIR = {"black": ["black"], "brown": ["brown", "brown", "chestnut"], "red": ["copper", "copper", "red"], "blond": ["blond", "blond", "pale"],
        "grey": ["grey"], "white": ["white"], "blue": ["blue"], "pink": ["pink"], "green": ["green"], "purple": ["purple"]}
HAIR_ODDS = {"black": 0.19, "brown": 0.21, "red": 0.16, "blond": 0.18, "grey": 0.09, "white": 0.08, "blue": 0.025, "pink": 0.025,
             "green": 0.02, "purple": 0.02}
STYLE = {"short": "short", "bob": "medium", "long": "long", "afro": "afro", "bun": "bun", "none": "bald"}
CLOTH = {"black": (30, 30, 34), "white": (226, 224, 218), "grey": (138, 142, 148), "red": (176, 40, 40), "blue": (44, 88, 168),
         "green": (44, 116, 72), "yellow": (216, 172, 48), "purple": (108, 60, 132), "pink": (222, 132, 150), "brown": (112, 76, 52),
         "orange": (218, 116, 44)}
# hue, saturation and value, each drawn between two bounds
PLAIN = {"grey": ((0, 1), (0.0, 0.05), (0.36, 0.62)), "white": ((0, 1), (0.0, 0.05), (0.86, 0.96)), "black": ((0, 1), (0.0, 0.2), (0.05, 0.15)),
         "blue": ((0.57, 0.64), (0.40, 0.70), (0.45, 0.82)), "green": ((0.30, 0.40), (0.32, 0.60), (0.38, 0.70)),
         "red": ((-0.02, 0.015), (0.58, 0.78), (0.48, 0.72)), "pink": ((0.90, 0.96), (0.26, 0.42), (0.82, 0.94)),
         "purple": ((0.73, 0.79), (0.35, 0.58), (0.42, 0.70)), "yellow": ((0.125, 0.155), (0.45, 0.68), (0.80, 0.94)),
         "orange": ((0.06, 0.085), (0.58, 0.78), (0.78, 0.92)), "brown": ((0.05, 0.085), (0.38, 0.55), (0.28, 0.44)),
         "teal": ((0.47, 0.52), (0.40, 0.62), (0.42, 0.68))}
# colours above and below the horizon
SCENE = {"meadow": ((104, 162, 216), (86, 142, 62)), "sea": ((128, 184, 226), (28, 82, 128)), "desert": ((126, 178, 220), (212, 172, 112)),
         "snow": ((150, 178, 206), (238, 242, 246)), "sunset": ((232, 122, 62), (74, 48, 82)), "night": ((18, 24, 54), (10, 12, 20))}


def person(seed: int, index: int) -> tuple[Person, dict]:
    """The person of picture `index` of the series `seed`, and its facts."""
    g = np.random.default_rng([seed, index, 1])

    def u(lo: float, hi: float) -> float:
        return float(g.uniform(lo, hi))

    def one(odds: dict):
        p = np.array(list(odds.values()), float)
        return list(odds)[int(g.choice(len(p), p=p / p.sum()))]

    f: dict[str, str] = {}
    f["sex"] = one({"man": 1, "woman": 1})
    man = f["sex"] == "man"
    f["age"] = one({"young": 0.3, "middle": 0.42, "old": 0.28})
    age = {"young": u(0, 0.2), "middle": u(0.3, 0.6), "old": u(0.85, 1)}[f["age"]]
    f["skin"] = one({"light": 0.42, "medium": 0.26, "dark": 0.32})
    tone = {"light": u(0, 2.3), "medium": u(3.2, 5.2), "dark": u(5.9, 7.5)}[f["skin"]]
    odds = dict(HAIR_ODDS)
    if f["skin"] == "dark":
        odds.update(black=0.34, red=0.08, blond=0.07)
    if f["age"] == "old":
        odds.update(grey=0.36, white=0.34 if f["skin"] == "light" else 0.2)
    elif f["age"] == "young":
        odds.update(grey=0.03, white=0.02)
    f["hair_colour"] = one(odds)
    shade = HAIR[f["hair_colour"]][int(g.integers(len(HAIR[f["hair_colour"]])))]
    styles = {"short": 0.54, "none": 0.16, "afro": 0.09, "long": 0.11, "bob": 0.06, "bun": 0.04} if man else \
        {"short": 0.12, "none": 0.015, "afro": 0.10, "long": 0.40, "bob": 0.23, "bun": 0.135}
    style = one(styles)
    f["hair"] = STYLE[style]
    p = persons.draw(np.random.default_rng([seed, index]), u(0.0, 0.28) if man else u(0.72, 1.0), age, tone, shade, style)
    dark = tone / 9
    if style == "none":
        f["hair_colour"], p.stubble = "none", 0.0
    if style == "afro" or p.curl > 0:
        f["texture"] = "curly"
        p.curl = max(p.curl, 0.016)
    else:
        f["texture"] = "straight"
    p.yaw *= 0.85
    # eyes darker than cheeks: what detectors of faces look for, and what dark skin under one light lacks
    p.socket_dark += 0.02 + 0.16 * dark
    p.brow_col = p.brow_col * F(1 - 0.5 * dark)
    p.sclera = p.sclera * F(1 - 0.3 * dark)
    if f["skin"] == "dark":
        p.exposure *= 1.1

    # beard
    f["beard"] = one({"none": 0.48, "full": 0.32, "moustache": 0.13, "stubble": 0.07}) if man else "none"
    kind = {"none": (0, 1, 1, 1), "full": (u(0.85, 0.97), 1, 1, 1.0 if style != "none" else 0.3), "moustache": (u(0.88, 0.98), 0, 1, 0.3),
            "stubble": (u(0.30, 0.42), 1, 0.9, 1.0 if style != "none" else 0.3)}[f["beard"]]
    p.beard, p.beard_low, p.tache, p.sideburn = kind
    hair = np.array({**persons.HAIR, **persons.DYED}[shade], F) / 255
    skin = np.power(p.skin, F(1 / 2.2))
    p.beard_col = lin(hair * 0.92 if f["hair_colour"] in ("grey", "white", "blond") else np.minimum(hair * 0.88, skin * 0.8))

    # glasses
    f["glasses"] = one({"none": 0.71, "glasses": 0.25, "sunglasses": 0.04})
    frames = {"black": (18, 18, 20), "brown": (70, 38, 22), "red": (150, 30, 30), "blue": (34, 60, 120), "silver": (170, 172, 176)}
    p.glasses = 0.0
    f["frame"] = "none"
    if f["glasses"] != "none":
        # black frames on dark skin hide the eyes, from detectors as well
        odds = {"black": 0.5, "brown": 0.2, "red": 0.1, "blue": 0.1, "silver": 0.1} if f["skin"] != "dark" else \
            {"black": 0.2, "brown": 0.15, "red": 0.15, "blue": 0.15, "silver": 0.35}
        f["frame"] = one(odds) if f["glasses"] == "glasses" else "black"
        p.glasses, p.glass_col = 1.0, lin(np.array(frames[f["frame"]], F) / 255) / F(p.exposure)
        p.glass_w, p.glass_h, p.glass_pow, p.glass_t = u(0.155, 0.180), u(0.112, 0.142), u(2.0, 4.5), u(0.018, 0.028)
        p.glass_tint = u(0.14, 0.30) if f["glasses"] == "glasses" else u(0.86, 0.93)

    # mouth
    f["mouth"] = one({"smile": 0.36, "neutral": 0.40, "serious": 0.24})
    if f["mouth"] == "smile":
        p.smile, p.mouth_open, p.mouth_w = u(0.05, 0.085), u(0.04, 0.078), min(p.mouth_w * 1.12, 0.22)
    elif f["mouth"] == "neutral":
        p.smile, p.mouth_open = u(0.012, 0.036), 0.0
    else:
        p.smile, p.mouth_open = u(-0.035, -0.005), 0.0
    f["lips"] = "painted" if p.makeup > 0 else "plain"
    p.wrinkles = u(0.22, 0.36) if f["age"] == "old" else 0.0
    p.fold = u(0.32, 0.42) if f["age"] == "old" else p.fold * (0.4 if f["age"] == "young" else 1.0)
    f["freckles"] = "yes" if f["skin"] == "light" and f["age"] != "old" and u(0, 1) < 0.14 else "none"
    p.freckles = 0.45 if f["freckles"] == "yes" else 0.0

    # hats, earrings
    f["hat"] = "none" if style in ("afro", "bun") else one({"none": 0.84, "beanie": 0.06, "cap": 0.05, "brim": 0.05})
    f["hat_colour"] = "none"
    if f["hat"] != "none":
        f["hat_colour"] = one({c: 1 for c in CLOTH})
        col = np.array(CLOTH[f["hat_colour"]], F) / 255
        p.hat, p.hat_y = f["hat"], u(0.27, 0.32)
        p.hat_col, p.hat_band = lin(col) / F(p.exposure), lin(col * F(0.72)) / F(p.exposure)
        p.hair_top, p.hair_th = 1.0, min(p.hair_th, 0.06)
        p.scale, p.cy = 1.03, p.cy - 0.03
    f["earrings"] = "none"
    if not man and style in ("short", "bun", "none", "afro") and u(0, 1) < 0.45:
        f["earrings"] = one({"gold": 0.5, "silver": 0.25, "red": 0.25})
        p.earring = u(0.048, 0.075)
        p.earring_col = lin({"gold": (0.96, 0.76, 0.22), "silver": (0.92, 0.93, 0.96), "red": (0.86, 0.10, 0.12)}[f["earrings"]]) / F(p.exposure) * F(1.2)

    # clothes
    f["clothes"] = one({c: 1 for c in CLOTH})
    p.cloth = lin(np.array(CLOTH[f["clothes"]], F) / 255 * u(0.9, 1.08)) / F(p.exposure)
    p.cloth2 = lin(np.array(list(CLOTH.values())[int(g.integers(len(CLOTH)))], F) / 255) / F(p.exposure)
    if f["clothes"] in ("white", "yellow"):
        p.cloth = p.cloth * F(0.9)

    # background
    f["scene"] = one({"plain": 0.82, **{s: 0.03 for s in SCENE}})
    if f["scene"] == "plain":
        f["background"] = one({"grey": 1.5, "white": 1.3, "black": 1.1, "blue": 1.5, "green": 1.4, "red": 1.1, "pink": 0.9, "purple": 0.9,
                               "yellow": 1.0, "orange": 0.9, "brown": 0.7, "teal": 0.6})
        h, s, v = (u(*r) for r in PLAIN[f["background"]])
        p.bg_a = lin(persons._hsv(h % 1, s, v))
        p.bg_b = lin(persons._hsv((h + u(-0.01, 0.01)) % 1, s * u(0.9, 1.1), float(np.clip(v * u(0.86, 1.14), 0.03, 0.97))))
        p.bg_glow = (*p.bg_glow[:2], u(-0.05, 0.25))
    else:
        f["background"] = "none"
        top, low = SCENE[f["scene"]]
        p.scene, p.horizon = f["scene"], u(-0.35, 0.10)
        p.bg_a, p.bg_b = lin(np.array(top, F) / 255 * u(0.9, 1.06)), lin(np.array(low, F) / 255 * u(0.9, 1.06))
        p.hills = {"meadow": (u(0.02, 0.10), u(2, 4), u(0, 6)), "desert": (u(0.04, 0.12), u(2, 4), u(0, 6)),
                   "snow": (u(0.04, 0.16), u(2, 4), u(0, 6))}.get(f["scene"], (0.0, 3.0, 0.0))

    # what the pose and the light tell
    f["turn"] = "right" if p.yaw > 0.17 else "left" if p.yaw < -0.17 else "front" if abs(p.yaw) < 0.09 else "slight"
    side = float(p.light[0] / np.linalg.norm(p.light))
    f["light"] = "right" if side > 0.55 else "left" if side < -0.55 else "front"
    return p, f


def portrait(seed: int, index: int, size: int = 64) -> np.ndarray:
    return faces.render(person(seed, index)[0], size)


def mirrored(f: dict) -> dict:
    """The facts of the mirror image."""
    swap = {"left": "right", "right": "left"}
    return {**f, "turn": swap.get(f["turn"], f["turn"]), "light": swap.get(f["light"], f["light"])}


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out", help="file.npy, with file.facts.json beside it, or file.png (contact sheet)")
    ap.add_argument("--count", type=int, default=64)
    ap.add_argument("--seed", type=int, default=11)
    ap.add_argument("--first", type=int, default=0)
    ap.add_argument("--size", type=int, default=64)
    ap.add_argument("--zoom", type=int, default=2)
    ap.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    a = ap.parse_args()
    began = time.time()
    pics = faces.series(a.seed, a.count, a.size, a.workers, a.first, portrait)
    if a.out.endswith(".npy"):
        told = [person(a.seed, i)[1] for i in range(a.first, a.first + a.count)]
        Path(a.out).with_suffix(".facts.json").write_text("[\n" + ",\n".join(json.dumps(f) for f in told) + "\n]\n")
        np.save(a.out + ".part.npy", pics)
        os.replace(a.out + ".part.npy", a.out)
    else:
        cv2.imwrite(a.out, faces.sheet(pics, max(1, int(a.count ** 0.5)), a.zoom)[..., ::-1])
    print(f"{a.out}: {a.count} pictures of {a.size}x{a.size}, {time.time() - began:.1f} s")


if __name__ == "__main__":
    main()
