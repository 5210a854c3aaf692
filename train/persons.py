# SPDX-License-Identifier: MIT
"""The parameters of one portrait, and how they are drawn."""
from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

F = np.float32

# albedo of skin from the lightest to the darkest, sRGB; one is interpolated at a uniform place
SKIN = np.array([(246, 212, 192), (239, 198, 170), (229, 182, 148), (215, 163, 124), (194, 140, 100),
                 (168, 115, 78), (141, 92, 61), (114, 72, 48), (88, 56, 40), (66, 43, 33)], F) / 255
HAIR = {"black": (26, 22, 21), "dark": (48, 34, 27), "brown": (84, 56, 38), "chestnut": (110, 66, 40),
        "auburn": (134, 62, 34), "red": (168, 84, 42), "blond": (206, 168, 110), "pale": (226, 202, 158),
        "grey": (140, 138, 136), "white": (216, 214, 210)}
DYED = {"copper": (168, 68, 32), "blue": (52, 84, 176), "pink": (222, 110, 158), "green": (58, 138, 84), "purple": (118, 66, 150)}
IRIS = [(70, 44, 26), (92, 58, 32), (112, 84, 44), (84, 110, 72), (74, 110, 140), (110, 142, 164), (50, 34, 24)]
CLOTH = [(38, 44, 60), (30, 30, 34), (220, 218, 212), (120, 36, 40), (44, 84, 70), (84, 104, 140), (150, 132, 110),
         (196, 150, 60), (92, 60, 100), (180, 190, 200), (60, 110, 150), (206, 130, 120)]


def lin(rgb) -> np.ndarray:
    """sRGB 0..1 to linear light."""
    return np.power(np.clip(np.asarray(rgb, F), 0, 1), F(2.2))


@dataclass
class Person:
    """Everything `faces.render` needs. Lengths are in head units, colours in linear light."""
    # pose and framing
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    cx: float = 0.0
    cy: float = 0.0
    scale: float = 1.0
    # shape
    width: float = 1.0
    cheek: float = 1.0
    jaw: float = 1.0
    chin_y: float = -0.72
    chin: float = 0.04
    ear: float = 0.0
    eye_x: float = 0.22
    eye_y: float = 0.03
    eye_w: float = 0.115
    eye_open: float = 0.045
    eye_tilt: float = 0.05
    iris_r: float = 0.048
    gaze: tuple = (0.0, 0.0)
    crease: float = 0.3
    lash: float = 0.015
    brow_y: float = 0.165
    brow_w: float = 0.15
    brow_arch: float = 0.02
    brow_tilt: float = 0.0
    brow_t: float = 0.03
    brow_a: float = 0.85
    brow_ridge: float = 0.025
    socket: float = 0.06
    socket_dark: float = 0.2
    cheekbone: float = 0.035
    hollow: float = 0.02
    nose_y: float = -0.19
    nose_h: float = 0.10
    nose_tip: float = 0.045
    nose_w: float = 0.08
    nose_bridge: float = 0.045
    mouth_y: float = -0.41
    mouth_w: float = 0.17
    mouth_open: float = 0.0
    smile: float = 0.03
    lip_up: float = 0.04
    lip_low: float = 0.06
    lip_full: float = 1.0
    lip_a: float = 0.8
    lip_gloss: float = 0.3
    fold: float = 0.15
    neck: float = 0.26
    shoulder_y: float = -1.32
    shoulder_w: float = 0.95
    # hair
    hair: str = "short"
    hair_th: float = 0.06
    hair_top: float = 1.2
    hair_len: float = -0.9
    hair_flare: float = 0.0
    hairline: float = 0.45
    temple: float = 0.43
    peak: float = 0.0
    part: float = 0.0
    part_tilt: float = 0.0
    fringe: float = 0.0
    cut_z: float = 0.0
    curl: float = 0.0
    curl_k: float = 22.0
    phase: float = 0.0
    strand: float = 0.2
    hair_gloss: float = 0.1
    stubble: float = 0.0
    beard: float = 0.0
    beard_low: float = 1.0
    sideburn: float = 1.0
    tache: float = 1.0
    # glasses
    glasses: float = 0.0
    glass_z: float = 0.56
    glass_w: float = 0.16
    glass_h: float = 0.11
    glass_pow: float = 3.0
    glass_t: float = 0.02
    glass_tint: float = 0.0
    # what only portraits.py draws
    hat: str = "none"                 # none, beanie, cap, brim
    hat_y: float = 0.29               # lower edge at z = 0
    hat_col: np.ndarray = field(default_factory=lambda: lin((0.3, 0.3, 0.4)))
    hat_band: np.ndarray = field(default_factory=lambda: lin((0.2, 0.2, 0.3)))
    earring: float = 0.0              # radius
    earring_col: np.ndarray = field(default_factory=lambda: lin((0.9, 0.75, 0.3)))
    freckles: float = 0.0
    wrinkles: float = 0.0
    scene: str = "plain"              # plain, or a horizon between bg_a (above) and bg_b
    horizon: float = 0.0
    hills: tuple = (0.0, 3.0, 0.0)    # height, frequency, phase
    # clothes
    collar: str = "crew"
    neckline: float = -0.95
    # colours
    skin: np.ndarray = field(default_factory=lambda: lin(SKIN[3]))
    skin_gloss: float = 0.06
    blush: float = 0.3
    blush_col: np.ndarray = field(default_factory=lambda: np.array([1.0, 0.72, 0.70], F))
    makeup: float = 0.0
    lid_col: np.ndarray = field(default_factory=lambda: np.zeros(3, F))
    sclera: np.ndarray = field(default_factory=lambda: lin((0.92, 0.91, 0.90)))
    iris_col: np.ndarray = field(default_factory=lambda: lin((0.3, 0.2, 0.1)))
    lash_col: np.ndarray = field(default_factory=lambda: lin((0.08, 0.06, 0.05)))
    brow_col: np.ndarray = field(default_factory=lambda: lin((0.1, 0.08, 0.07)))
    lip_col: np.ndarray = field(default_factory=lambda: lin((0.7, 0.4, 0.38)))
    teeth_col: np.ndarray = field(default_factory=lambda: lin((0.90, 0.88, 0.84)))
    hair_col: np.ndarray = field(default_factory=lambda: lin((0.1, 0.08, 0.07)))
    beard_col: np.ndarray = field(default_factory=lambda: lin((0.1, 0.08, 0.07)))
    cloth: np.ndarray = field(default_factory=lambda: lin((0.3, 0.3, 0.4)))
    cloth2: np.ndarray = field(default_factory=lambda: lin((0.8, 0.8, 0.8)))
    glass_col: np.ndarray = field(default_factory=lambda: lin((0.06, 0.06, 0.06)))
    bg_a: np.ndarray = field(default_factory=lambda: lin((0.5, 0.5, 0.5)))
    bg_b: np.ndarray = field(default_factory=lambda: lin((0.6, 0.6, 0.6)))
    bg_dir: tuple = (0.5, 0.5)
    bg_glow: tuple = (0.0, 0.0, 0.2)
    # light
    light: np.ndarray = field(default_factory=lambda: np.array([0.4, 0.5, 0.8]))
    fill: np.ndarray = field(default_factory=lambda: np.array([-0.6, 0.1, 0.8]))
    key_col: np.ndarray = field(default_factory=lambda: np.ones(3, F))
    fill_col: np.ndarray = field(default_factory=lambda: np.ones(3, F) * F(0.3))
    sky: np.ndarray = field(default_factory=lambda: np.ones(3, F) * F(0.2))
    ground: np.ndarray = field(default_factory=lambda: np.ones(3, F) * F(0.12))
    rim: float = 0.0
    rim_side: float = 1.0
    exposure: float = 1.0


def tint(warm: float) -> np.ndarray:
    """Light colour of unit luminance; warm in -1 (blue) .. 1 (orange)."""
    c = np.array([1 + 0.16 * warm, 1.0, 1 - 0.22 * warm], F)
    return c / (c @ np.array([0.21, 0.72, 0.07], F))


def draw(g: np.random.Generator, fem: float | None = None, age: float | None = None, tone: float | None = None,
         colour: str | None = None, style: str | None = None) -> Person:
    """One person, one pose, one light. What is given takes the place of what would be drawn; the same random numbers are used."""
    def n(mean: float, sd: float, lo: float = -1e9, hi: float = 1e9) -> float:
        return float(np.clip(g.normal(mean, sd), lo, hi))

    def u(lo: float, hi: float) -> float:
        return float(g.uniform(lo, hi))

    p = Person()
    drawn = u(0, 1), u(0, 1)
    fem = drawn[0] if fem is None else fem      # from sturdy (0) to delicate (1): a continuum, it only shifts means
    age = drawn[1] if age is None else age
    p.yaw, p.pitch, p.roll = n(0, 0.19, -0.45, 0.45), n(0.0, 0.07, -0.16, 0.16), n(0, 0.05, -0.13, 0.13)
    p.cx, p.cy, p.scale = n(0, 0.02, -0.05, 0.05) - 0.10 * np.sin(p.yaw), n(-0.005, 0.015, -0.04, 0.03), n(1.07, 0.02, 1.02, 1.12)

    p.width = n(1.0, 0.045, 0.9, 1.1)
    p.cheek = n(1.0, 0.04, 0.92, 1.1)
    p.jaw = n(1.06 - 0.16 * fem, 0.08, 0.8, 1.25)
    p.chin_y = n(-0.74 + 0.03 * fem, 0.02, -0.79, -0.67)
    p.chin = n(0.045, 0.01, 0.02, 0.07)
    p.ear = n(0.0, 0.01, -0.02, 0.03)
    p.eye_x = n(0.222, 0.010, 0.2, 0.245)
    p.eye_y = n(0.03, 0.012, 0.0, 0.055)
    p.eye_w = n(0.118, 0.007, 0.1, 0.135)
    p.eye_open = n(0.051 + 0.008 * fem, 0.007, 0.037, 0.072)
    p.eye_tilt = n(0.08, 0.09, -0.1, 0.3)
    p.iris_r = n(0.050, 0.003, 0.044, 0.057)
    p.gaze = (n(-p.yaw * 0.05, 0.010, -0.03, 0.03), n(0, 0.005, -0.01, 0.01))
    p.crease = u(0.1, 0.4)
    p.lash = u(0.014, 0.019) + 0.005 * fem
    p.brow_y = p.eye_y + n(0.140 + 0.012 * fem, 0.012, 0.115, 0.185)
    p.brow_w = n(0.150, 0.010, 0.125, 0.175)
    p.brow_arch = n(0.016 + 0.012 * fem, 0.010, 0.0, 0.05)
    p.brow_tilt = n(0.0, 0.014, -0.035, 0.035)
    p.brow_t = n(0.046 - 0.012 * fem, 0.006, 0.027, 0.06)
    p.brow_a = u(0.65, 0.95)
    p.brow_ridge = n(0.034 - 0.02 * fem, 0.007, 0.0, 0.05)
    p.socket = n(0.062, 0.010, 0.035, 0.09)
    p.socket_dark = u(0.10, 0.32)
    p.cheekbone = n(0.036, 0.010, 0.01, 0.065)
    p.hollow = n(0.016, 0.012, 0.0, 0.05)
    p.nose_y = n(-0.185, 0.015, -0.22, -0.15)
    p.nose_h = n(0.105, 0.014, 0.07, 0.14)
    p.nose_tip = n(0.045, 0.010, 0.02, 0.07)
    p.nose_w = n(0.086 - 0.010 * fem, 0.011, 0.06, 0.115)
    p.nose_bridge = n(0.046, 0.006, 0.034, 0.062)
    p.mouth_y = n(-0.405, 0.014, -0.44, -0.37)
    p.mouth_w = n(0.168, 0.014, 0.135, 0.21)
    p.smile = n(0.030, 0.026, -0.02, 0.085)
    if p.smile > 0.035 and u(0, 1) < 0.6:
        p.mouth_open = u(0.03, 0.075)
        p.mouth_w = min(p.mouth_w * 1.12, 0.22)
    p.lip_full = n(1.0, 0.2, 0.6, 1.5)
    p.lip_up, p.lip_low = 0.040 * p.lip_full, 0.056 * p.lip_full
    p.lip_gloss = u(0, 0.5) * fem
    p.fold = 0.06 + 0.18 * age + (0.12 if p.smile > 0.035 else 0)
    p.neck = n(0.235 - 0.05 * fem, 0.012, 0.17, 0.27)
    p.shoulder_w = n(1.03 - 0.12 * fem, 0.05, 0.8, 1.15)
    p.shoulder_y = n(-1.26, 0.03, -1.32, -1.19)

    # colours
    drawn_tone = u(0, len(SKIN) - 1.001)
    tone = drawn_tone if tone is None else tone
    i, f = int(tone), tone - int(tone)
    skin = SKIN[i] * (1 - f) + SKIN[i + 1] * f
    skin = skin * (1 + np.array([n(0, 0.012), n(0, 0.012), n(0, 0.02)], F))
    p.skin = lin(skin)
    p.skin_gloss = u(0.02, 0.09) + 0.05 * tone / 9
    p.blush = u(0.1, 0.6) * (1 - 0.5 * tone / 9)
    red = np.array([1.0, 0.52, 0.50], F)
    lip = skin * np.array([1.0, 0.66, 0.66], F) * (1.0 - 0.12 * (tone < 5))
    p.lip_a = u(0.6, 0.9)
    if u(0, 1) < 0.45 * fem:
        paint = [(0.70, 0.16, 0.20), (0.62, 0.22, 0.30), (0.80, 0.38, 0.38), (0.45, 0.12, 0.18)][int(g.integers(4))]
        lip = lip * 0.3 + np.array(paint, F) * 0.7 * (1.0 - 0.25 * tone / 9)
        p.lip_a = u(0.8, 0.95)
        p.makeup = u(0.1, 0.45)
    p.lip_col = lin(lip)
    p.blush_col = red * 0.4 + 0.6 * np.array([1.0, 0.75, 0.72], F)
    p.lid_col = lin(skin * np.array([[0.6, 0.45, 0.5], [0.5, 0.42, 0.36], [0.5, 0.5, 0.62]][int(g.integers(3))], F))
    p.sclera = lin(np.array([0.93, 0.91, 0.89], F) * u(0.92, 1.0))
    dark = tone / 9
    iris = IRIS[int(g.choice(len(IRIS), p=_iris_odds(dark)))]
    p.iris_col = lin(np.array(iris, F) / 255 * u(0.8, 1.15))
    names = list(HAIR)
    odds = np.array([0.20 + 0.8 * dark, 0.20 + 0.2 * dark, *(np.array([0.20, 0.12, 0.06, 0.06, 0.14, 0.08]) * max(1 - 1.5 * dark, 0.02)),
                     0.16 * age, 0.14 * age * age])
    name = names[int(g.choice(len(names), p=odds / odds.sum()))]
    name = name if colour is None else colour
    hair = np.array({**HAIR, **DYED}[name], F) / 255 * (1 + n(0, 0.06) + np.array([n(0, 0.02), 0, n(0, 0.03)], F))
    p.hair_col = lin(hair) * 1.15
    p.brow_col = lin(np.minimum(hair * 0.60, skin * 0.48))
    p.lash_col = lin(np.minimum(hair * 0.4, 0.14))
    p.hair_gloss = u(0.03, 0.16)
    p.strand = u(0.10, 0.28)
    p.phase = u(0, 6.28)

    # hair style
    drawn_style = g.choice(["short", "long", "bob", "afro", "bun", "none"], p=_style_odds(fem, dark, age))
    p.hair = str(drawn_style) if style is None else style
    p.hairline = n(0.43, 0.04, 0.34, 0.56)
    p.temple = 0.425 * p.width * p.cheek
    p.part, p.part_tilt = n(0, 0.09, -0.2, 0.2), n(0, 0.18, -0.4, 0.4)
    p.peak = u(0.0, 0.5)
    p.cut_z = -0.02
    p.hair_th = u(0.035, 0.085)
    p.hair_top = u(1.0, 2.0)
    if p.hair == "short":
        p.temple *= 1.07
        p.curl, p.curl_k = (0.018, u(16, 24)) if u(0, 1) < 0.3 else (0.0, 22)
        if u(0, 1) < 0.35 * age:
            p.hairline += 0.09
            p.peak = u(0.4, 0.8)
    elif p.hair in ("long", "bob"):
        p.hair_th = u(0.05, 0.10)
        p.hair_len = u(-1.6, -0.95) if p.hair == "long" else u(-0.72, -0.4)
        p.hair_flare = u(0.0, 0.08)
        p.temple *= u(0.88, 1.0)
        if u(0, 1) < 0.35:
            p.hairline, p.fringe, p.peak, p.part_tilt = u(0.24, 0.30), u(0, 0.012), 0.0, p.part_tilt * 0.4
        if u(0, 1) < 0.3:
            p.curl, p.curl_k = u(0.012, 0.022), u(13, 20)
    elif p.hair == "afro":
        p.hair_th, p.curl, p.curl_k = u(0.05, 0.16), u(0.014, 0.024), u(20, 30)
        p.part_tilt = 0.0
    elif p.hair == "bun":
        p.hair_th = u(0.03, 0.05)
        p.hair_top = 1.0
        p.temple *= 1.05
    else:
        p.stubble = u(0.0, 0.7) if u(0, 1) < 0.6 else 0.0

    if u(0, 1) < 0.55 * (1 - fem):
        p.beard = u(0.35, 0.95)
        kind = int(g.integers(4))
        p.beard_low, p.tache = [(1, 1), (1, 0.9), (0.0, 1), (0.8, 0.3)][kind]
        p.sideburn = 1.0 if kind < 2 and p.hair != "none" else 0.3
        p.beard_col = lin(np.minimum(hair * 0.85, skin * 0.8) if name not in ("grey", "white") else hair * 0.9)
    if u(0, 1) < 0.16:
        p.glasses = u(0.85, 1.0)
        p.glass_w, p.glass_h = u(0.145, 0.175), u(0.095, 0.135)
        p.glass_pow = u(2.0, 4.5)
        p.glass_t = u(0.012, 0.024)
        p.glass_tint = u(0.0, 0.12)
        p.glass_col = lin([(0.07, 0.07, 0.08), (0.24, 0.13, 0.08), (0.45, 0.40, 0.36), (0.12, 0.16, 0.28)][int(g.integers(4))])

    cloth = np.array(CLOTH, F) / 255
    a, b = int(g.integers(len(CLOTH))), int(g.integers(len(CLOTH)))
    p.cloth, p.cloth2 = lin(cloth[a] * u(0.85, 1.1)), lin(cloth[b])
    p.collar = str(g.choice(["crew", "v", "trim", "open"], p=[0.4, 0.25, 0.15, 0.2]))
    p.neckline = u(-0.93, -0.85)

    # light
    side = 1.0 if u(0, 1) < 0.5 else -1.0
    az, el = side * abs(n(0.0, 0.55, -1.1, 1.1)), n(0.50, 0.20, 0.1, 0.95)
    p.light = np.array([np.sin(az) * np.cos(el), np.sin(el), np.cos(az) * np.cos(el)])
    p.fill = np.array([-np.sign(az) * 0.7, 0.1, 0.7])
    p.key_col = tint(n(0.25, 0.4, -0.6, 1.0)) * u(0.85, 1.2)
    p.fill_col = tint(n(0, 0.4, -0.8, 0.8)) * u(0.12, 0.36)
    p.sky = tint(n(-0.2, 0.4, -0.9, 0.6)) * u(0.14, 0.28)
    p.ground = tint(n(0.3, 0.3, -0.5, 1.0)) * u(0.06, 0.16)
    p.rim, p.rim_side = (u(0.1, 0.6) if u(0, 1) < 0.4 else 0.0), -float(np.sign(az))
    lum = float(p.skin @ np.array([0.21, 0.72, 0.07], F))
    p.exposure = u(0.92, 1.12) * float(np.clip((0.36 / lum) ** 0.42, 0.9, 1.9))

    # whites are not lifted with the exposure of dark skin
    p.sclera, p.teeth_col = p.sclera * (1 - 0.35 * dark) / p.exposure ** 1.1, p.teeth_col / p.exposure ** 0.8
    p.cloth, p.cloth2 = p.cloth / p.exposure, p.cloth2 / p.exposure
    p.hair_col = p.hair_col / p.exposure ** 0.6

    # background: one hue, calm
    hue, sat, val = u(0, 1), u(0.03, 0.32), u(0.22, 0.88)
    a_col = _hsv(hue, sat, val)
    b_col = _hsv(hue + n(0, 0.05), sat * u(0.5, 1.1), float(np.clip(val + n(0, 0.14), 0.12, 0.95)))
    p.bg_a, p.bg_b = lin(a_col), lin(b_col)
    ang = u(0, 6.283)
    p.bg_dir = (np.cos(ang), np.sin(ang))
    p.bg_glow = (n(0, 0.4), n(0.2, 0.3), u(-0.1, 0.4))
    return p


def _iris_odds(dark: float) -> np.ndarray:
    w = np.array([0.3, 0.25, 0.15 * (1.2 - dark), 0.14 * (1 - dark) ** 2, 0.2 * (1 - dark) ** 3, 0.2 * (1 - dark) ** 3, 0.1 + 0.5 * dark])
    return w / w.sum()


def _style_odds(fem: float, dark: float, age: float) -> np.ndarray:
    w = np.array([1.1 * (1.15 - fem), 1.3 * fem + 0.08, 0.7 * fem + 0.05, 0.10 + 0.55 * dark * dark, 0.35 * fem + 0.03,
                  (0.10 + 0.22 * age) * (1.02 - fem) + 0.01])
    return w / w.sum()


def _hsv(h: float, s: float, v: float) -> np.ndarray:
    k = (np.array([5.0, 3.0, 1.0]) + h * 6) % 6
    return (v - v * s * np.clip(np.minimum(k, 4 - k), 0, 1)).astype(F)
