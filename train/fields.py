# SPDX-License-Identifier: MIT
"""Signed distance fields of head, hair and body, and the ray marcher.

A field is an object with `__call__(P)` for points P (3, N) -> distance (N,), negative inside. Distances are those
of ellipsoids joined by smooth minima, so they are near enough to Euclidean for sphere tracing with a safe factor.
"""
from __future__ import annotations

import numpy as np

from persons import Person

F = np.float32


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Head to view rotation (3, 3); angles in radians, yaw to the viewer's right, pitch up."""
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    ry = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    rx = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    rz = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return (rz @ rx @ ry).astype(F)


def ellipsoid(X, Y, Z, c, r) -> np.ndarray:
    """Approximate distance to the ellipsoid with centre c and radii r."""
    a, b, d = (X - F(c[0])) / F(r[0]), (Y - F(c[1])) / F(r[1]), (Z - F(c[2])) / F(r[2])
    k0 = np.sqrt(a * a + b * b + d * d)
    a, b, d = a / F(r[0]), b / F(r[1]), d / F(r[2])
    k1 = np.sqrt(a * a + b * b + d * d) + F(1e-6)
    return k0 * (k0 - 1) / k1


def smin(a: np.ndarray, b: np.ndarray, k: float) -> np.ndarray:
    """Smooth union over the width k."""
    h = np.maximum(F(k) - np.abs(a - b), 0)
    return np.minimum(a, b) - h * h * F(0.25 / k)


def gauss(X, Y, cx, cy, sx, sy) -> np.ndarray:
    a, b = (X - F(cx)) * F(1 / sx), (Y - F(cy)) * F(1 / sy)
    return np.exp(-(a * a + b * b))


def march(field, P: np.ndarray, D: np.ndarray, steps: int, cheap: bool) -> tuple:
    """First hit of rays P (3, N) + t D (3,): returns t (N,) and whether it hit (N,).

    Unless `cheap`, the field's `base` is marched first and the full field only where that came near."""
    t = np.zeros(P.shape[1], F)
    coarse = field if cheap else field.base
    live = np.arange(t.size)
    for _ in range(steps):
        d = coarse(P[:, live] + D[:, None] * t[live])
        t[live] += d * F(0.93)
        keep = (t[live] < F(2.4)) & (np.abs(d) > F(0.002))
        live = live[keep]
        if live.size == 0:
            break
    if cheap:
        hit = t < F(2.4)
        hit[hit] = np.abs(field(P[:, hit] + D[:, None] * t[hit])) < F(0.02)
        return t, hit
    near = np.nonzero(t < F(2.4))[0]
    t[near] -= F(0.13)
    d = None
    for _ in range(5):
        d = field(P[:, near] + D[:, None] * t[near])
        t[near] += d * F(0.9)
    hit = np.zeros(t.size, bool)
    hit[near] = np.abs(d) < F(0.03)
    return t, hit


def grad(field, Q: np.ndarray, eps: float = 0.012) -> np.ndarray:
    """Unit normals (3, N) of the field at Q (3, N) by forward differences."""
    f0 = field(Q)
    g = np.empty_like(Q)
    for i in range(3):
        R = Q.copy()
        R[i] += F(eps)
        g[i] = field(R) - f0
    return g / (np.sqrt((g * g).sum(0)) + F(1e-9))


class Head:
    """Cranium, face, jaw and ears, and the relief of the face as a displacement of its front."""

    def __init__(self, p: Person):
        self.p = p

    def base(self, P: np.ndarray) -> np.ndarray:
        p = self.p
        X, Y, Z = P
        w = p.width
        aX = np.abs(X)
        rX = np.sqrt(X * X + F(0.004))                       # no cleft where the halves of the jaw meet
        d = ellipsoid(X, Y, Z, (0, 0.20, -0.12), (0.50 * w, 0.52, 0.60))
        d = smin(d, ellipsoid(X, Y, Z, (0, -0.10, 0.05), (0.44 * w * p.cheek, 0.54, 0.48)), 0.12)
        d = smin(d, ellipsoid(rX, Y, Z, (0.085 * p.jaw, p.chin_y + 0.19, 0.15), (0.20 * p.jaw, 0.19, 0.29)), 0.13)
        ear = ellipsoid(aX, Y, Z, (0.49 * w + p.ear, -0.02, -0.10), (0.055, 0.135, 0.085))
        return smin(d, ear, 0.04)

    def __call__(self, P: np.ndarray) -> np.ndarray:
        p = self.p
        X, Y, Z = P
        aX = np.abs(X)
        front = np.clip((Z - F(0.05)) * F(5), 0, 1)
        ramp = np.clip((F(p.eye_y + 0.09) - Y) * F(1 / (p.eye_y + 0.09 - p.nose_y)), 0, 1.15)
        fall = 1 / (1 + np.exp(np.minimum((F(p.nose_y - 0.055) - Y) * F(55), 60)))
        wide = F(p.nose_bridge) + F(0.030) * ramp
        d = F(p.nose_h) * np.exp(-np.square(X / wide)) * (F(0.12) + F(0.88) * ramp) * fall * (Y < F(p.eye_y + 0.14))
        d = d + F(p.nose_tip) * gauss(X, Y, 0, p.nose_y, 0.075, 0.060)
        d = d + F(0.040) * gauss(aX, Y, p.nose_w, p.nose_y - 0.018, 0.042, 0.040)
        d = d + F(p.brow_ridge) * gauss(aX, Y, 0.19, p.brow_y - 0.01, 0.17, 0.050)
        d = d - F(p.socket) * gauss(aX, Y, p.eye_x - 0.02, p.eye_y + 0.01, 0.125, 0.085)
        d = d + F(0.030) * gauss(aX, Y, p.eye_x, p.eye_y, 0.085, 0.050)
        d = d + F(p.cheekbone) * gauss(aX, Y, 0.27, -0.15, 0.12, 0.10)
        d = d - F(p.hollow) * gauss(aX, Y, 0.30, -0.36, 0.08, 0.13)
        m = p.mouth_y
        d = d + F(0.055) * gauss(X, Y, 0, m, 0.17, 0.12)
        d = d + F(0.030 * p.lip_full) * gauss(X, Y, 0, m + 0.034, p.mouth_w * 0.65, 0.026)
        d = d + F(0.042 * p.lip_full) * gauss(X, Y, 0, m - 0.046, p.mouth_w * 0.58, 0.032)
        d = d - F(0.030) * gauss(X, Y, 0, m - 0.125, 0.11, 0.032)
        d = d + F(p.chin) * gauss(X, Y, 0, p.chin_y + 0.08, 0.13, 0.075)
        return self.base(P) - d * front


class Body:
    """Neck and shoulders."""

    def __init__(self, p: Person):
        self.p = p

    def __call__(self, P: np.ndarray) -> np.ndarray:
        p = self.p
        X, Y, Z = P
        d = ellipsoid(X, Y, Z, (0, -0.80, -0.22), (p.neck, 0.75, p.neck * 0.95))
        return smin(d, ellipsoid(X, Y, Z, (0, p.shoulder_y, -0.22), (p.shoulder_w, 0.44, 0.40)), 0.13)


class Hair:
    """A shell round the cranium, with an opening for the face, and what hangs down."""

    def __init__(self, p: Person):
        self.p = p

    def __call__(self, P: np.ndarray) -> np.ndarray:
        p = self.p
        X, Y, Z = P
        th = p.hair_th
        w = p.width
        if p.hair == "afro":
            d = ellipsoid(X, Y, Z, (0, 0.26, -0.14), (0.50 * w + th * 2.0, 0.56 + th * 1.6, 0.60 + th))
        else:
            d = ellipsoid(X, Y, Z, (0, 0.215, -0.12), (0.50 * w + th, 0.53 + th * p.hair_top, 0.60 + th))
        if p.hair in ("long", "bob"):
            low = p.hair_len
            mid = (0.30 + low) * 0.5
            d = smin(d, ellipsoid(X, Y, Z, (0, mid, -0.20), (0.50 * w + th * 1.25 + p.hair_flare, (0.62 - low) * 0.62, 0.50)), 0.14)
            d = np.maximum(d, F(low) - Y + F(0.10) * np.square(X))
        elif p.hair in ("short", "afro"):
            side = F(-0.06 if p.hair == "short" else -0.22) - F(0.35) * np.minimum(Z + F(0.1), 0)
            d = np.maximum(d, (side - F(0.12) - Y) * F(0.8))
        elif p.hair == "bun":
            d = np.maximum(d, (F(-0.10) - Y) * F(0.8))
            d = smin(d, ellipsoid(X, Y, Z, (p.part * 0.3, 0.80, -0.10), (0.20, 0.19, 0.20)), 0.05)
        # the opening: an oval cylinder along z, its upper edge is the hairline
        xc = X - F(p.part)
        b = F(p.hairline + 0.40)
        top = (Y + F(0.40) + F(p.part_tilt) * xc + F(p.fringe) * np.cos(xc * F(14))) / b
        a = F(p.temple) * (1 - F(0.25 * p.peak) * np.clip(top, 0, 1))
        q = np.power(np.power(np.abs(X / a), F(3.2)) + np.power(np.abs(top), F(3.2)), F(1 / 3.2))
        q = np.where(Y < F(-0.40), np.abs(X) / F(p.temple), q)
        cut = np.maximum((q - 1) * F(0.38), F(p.cut_z) - Z)
        d = -smin(-d, cut, 0.05)
        if p.curl > 0:
            k = F(p.curl_k)
            d = d + F(p.curl) * (np.sin(k * X + F(p.phase)) * np.sin(k * Y + 1) * np.sin(k * Z + 2))
        return d

    def strands(self, Q: np.ndarray) -> np.ndarray:
        """Light and dark along the strands, about -1..1, (N,)."""
        p = self.p
        X, Y, Z = Q
        if p.hair == "afro" or p.curl > 0.012:
            k = F(p.curl_k)
            return np.sin(k * X + F(p.phase)) * np.sin(k * Y + F(1.3)) * np.sin(k * Z)
        a = np.arctan2(X - F(p.part), np.maximum(Y + F(0.2), F(-0.3)) * F(0.4) + F(0.45)) + F(0.12) * np.sin(F(6) * Y + F(p.phase))
        return F(0.6) * np.sin(F(17) * a + F(p.phase)) + F(0.4) * np.sin(F(31) * a + F(2 * p.phase))


class Hat:
    """Crown over the hair; a cap has a visor, a brim goes round."""

    def __init__(self, p: Person):
        self.p = p

    def above(self, Y, Z) -> np.ndarray:
        """Height over the lower edge, which rises to the front."""
        return Y - F(self.p.hat_y) - F(0.16) * Z

    def __call__(self, P: np.ndarray) -> np.ndarray:
        p = self.p
        X, Y, Z = P
        th = p.hair_th + 0.035
        up = self.above(Y, Z)
        d = ellipsoid(X, Y, Z, (0, 0.24, -0.12), (0.50 * p.width + th, 0.54 + th, 0.60 + th))
        d = np.maximum(d, -up)
        if p.hat == "cap":
            flat = np.sqrt(np.square(X / F(0.38)) + np.square((Z - F(0.30)) / F(0.50)) + F(1e-6))
            visor = np.maximum((flat - 1) * F(0.36), np.abs(up + F(0.10) * (Z - F(0.4)) + F(0.25) * X * X) - F(0.022))
            d = np.minimum(d, visor)
        elif p.hat == "brim":
            flat = np.sqrt(X * X + np.square(Z + F(0.1)) * F(0.85) + F(1e-6))
            d = np.minimum(d, np.maximum(flat - F(0.80), np.abs(up + F(0.26) * (Z + F(0.1)) - F(0.02)) - F(0.022)))
        return d

    def band(self, Q: np.ndarray) -> np.ndarray:
        """Where the turned-up edge or the ribbon is, 0..1."""
        up = self.above(Q[1], Q[2])
        if self.p.hat == "beanie":
            return (up < F(0.15)).astype(F)
        if self.p.hat == "brim":
            return ((up > F(0.05)) & (up < F(0.16)) & (Q[0] * Q[0] + np.square(Q[2] + F(0.1)) < F(0.5))).astype(F)
        return np.zeros(Q.shape[1], F)
