# SPDX-License-Identifier: MIT
"""Procedural portraits: ray-marched heads, seeded and parametrised. No photograph is involved.

A picture is a function of (seed, index): `portrait(seed, index)` draws the parameters of one person, one pose
and one light from a generator of its own and renders them. Every quantity is a numpy array over the pixels, so
that one picture of 64x64 takes about ten milliseconds.

Coordinates. View space: x to the right and y up in [-1, 1] over the picture, z towards the viewer, parallel
projection. Head space: the same axes turned by yaw, pitch and roll about the head's centre; the eyes lie near
y = 0.03, the mouth near y = -0.40, the chin near y = -0.72. Surfaces are signed distance fields (`fields.py`)
that are marched along the view ray; colour is painted on the surface in head coordinates.
"""
from __future__ import annotations

import argparse
import multiprocessing as mp
import os
import time

import cv2
import numpy as np

from fields import Body, Hair, Hat, Head, grad, march, rotation
from persons import Person, draw

F = np.float32
SUPER = 2  # samples per pixel and axis


def smoothstep(lo: float, hi: float, x: np.ndarray) -> np.ndarray:
    """0 below lo, 1 above hi (or the reverse if lo > hi), smooth between."""
    t = np.clip((x - lo) / F(hi - lo), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a: np.ndarray, b: np.ndarray, m: np.ndarray) -> np.ndarray:
    """Colours a and b, (N, 3) or (3,), blended by the mask m (N,)."""
    return a + (b - a) * m[:, None]


def to_linear(rgb) -> np.ndarray:
    """sRGB in 0..1 to linear light (a power of 2.2 is near enough here)."""
    return np.power(np.maximum(np.asarray(rgb, F), 0), F(2.2))


# ---------------------------------------------------------------- colour of the surfaces

def paint_eyes(col: np.ndarray, gloss: np.ndarray, X: np.ndarray, Y: np.ndarray, p: Person, light) -> tuple:
    """Lids, sclera, iris, pupil and catch light on the skin colour col (N, 3); gloss (N,)."""
    edge = 0.016
    for side in (-1.0, 1.0):
        dx = (X - F(side * p.eye_x)) * F(side)          # outwards positive
        dy = Y - F(p.eye_y)
        u = dx / F(p.eye_w)
        tilt = F(p.eye_tilt) * dx
        arch = np.maximum(1 - u * u, 0)
        up = tilt + F(p.eye_open) * np.power(arch, F(0.75))
        low = tilt - F(p.eye_open * 0.62) * arch
        inside = np.abs(u) < 1.35
        opening = smoothstep(-edge, edge, up - dy) * smoothstep(-edge, edge, dy - low) * smoothstep(1.08, 0.9, np.abs(u))
        # crease above the lid and the soft shade of the socket
        crease = np.exp(-np.square((dy - up - F(0.045)) / F(0.020))) * smoothstep(1.3, 0.6, np.abs(u))
        col = col * (1 - F(p.crease) * crease * inside)[:, None]
        lidshade = np.exp(-np.square((dy - up - F(0.02)) / F(0.03))) * smoothstep(1.25, 0.7, np.abs(u))
        col = mix(col, p.lid_col, F(p.makeup) * lidshade * inside)
        # eyeball
        gx, gy = F(p.gaze[0] * side), F(p.gaze[1])
        r = np.sqrt(np.square(dx - gx) + np.square(dy - gy - F(0.006)))
        shade = F(0.62) + F(0.38) * smoothstep(0.0, 0.05, up - dy)
        ball = np.broadcast_to(p.sclera, col.shape) * (shade * (1 - F(0.25) * u * u))[:, None]
        iris_r = p.iris_r
        iris = smoothstep(iris_r + 0.012, iris_r - 0.012, r)
        ring = F(0.55) + F(0.45) * smoothstep(iris_r, iris_r * 0.6, r)
        ball = mix(ball, p.iris_col * (shade * ring)[:, None], iris)
        ball = mix(ball, np.zeros(3, F) + F(0.004), smoothstep(iris_r * 0.55, iris_r * 0.32, r))
        hx, hy = F(light[0] * 0.028 * side), F(0.016 + light[1] * 0.022)
        hi = np.exp(-(np.square(dx - gx - hx) + np.square(dy - gy - hy)) / F(2 * 0.0125 ** 2))
        ball = mix(ball, np.ones(3, F) * F(1.1), F(0.95) * hi)
        col = mix(col, ball, opening)
        gloss = gloss * (1 - opening)
        # lashes
        width = p.lash * (0.6 + 0.4 * smoothstep(-1, 0.6, u))
        line = np.exp(-np.square((dy - up) / width)) * smoothstep(1.16, 0.92, np.abs(u)) * inside
        col = mix(col, p.lash_col, F(0.92) * line)
        line = np.exp(-np.square((dy - low + F(0.004)) / F(0.013))) * smoothstep(1.1, 0.8, np.abs(u)) * inside
        col = mix(col, col * F(0.45), F(0.6) * line)
    return col, gloss


def paint_brows(col: np.ndarray, X: np.ndarray, Y: np.ndarray, p: Person) -> np.ndarray:
    for side in (-1.0, 1.0):
        u = ((X * F(side)) - F(p.eye_x - 0.02)) / F(p.brow_w)
        curve = F(p.brow_y) + F(p.brow_arch) * (1 - np.square(u - F(0.25))) + F(p.brow_tilt) * u
        thick = F(p.brow_t) * (F(1.0) - F(0.45) * smoothstep(0.0, 1.0, u))
        m = smoothstep(1.0, 0.45, np.abs(Y - curve) / thick) * smoothstep(1.08, 0.85, np.abs(u))
        col = mix(col, p.brow_col, F(p.brow_a) * m)
    return col


def paint_mouth(col: np.ndarray, gloss: np.ndarray, X: np.ndarray, Y: np.ndarray, p: Person) -> tuple:
    u = X / F(p.mouth_w)
    au = np.minimum(np.abs(u), 1.2)
    line = F(p.mouth_y) + F(p.smile) * (au * au - F(0.35))
    dy = Y - line
    taper = np.sqrt(np.maximum(1 - np.square(au), 0))
    bow = taper * (1 - F(0.25) * np.exp(-np.square(u / F(0.16))))
    gap = F(p.mouth_open) * taper
    top, bottom = F(p.lip_up) * bow + gap * F(0.4), -F(p.lip_low) * np.power(taper, F(0.9)) - gap * F(0.6)
    e = 0.018
    within = smoothstep(1.05, 0.95, np.abs(u))
    lips = smoothstep(-e, e, top - dy) * smoothstep(-e, e, dy - bottom) * within
    shade = np.where(dy > 0, F(0.78), F(1.0))
    col = mix(col, p.lip_col * shade[:, None], F(p.lip_a) * lips)
    gloss = gloss + F(0.5 * p.lip_gloss) * lips * (dy < 0)
    if p.mouth_open > 0.012:
        hole = smoothstep(-0.012, 0.012, gap * F(0.4) - dy) * smoothstep(-0.012, 0.012, dy + gap * F(0.6)) * within
        inner = mix(np.broadcast_to(np.asarray([0.05, 0.012, 0.012], F), col.shape), p.teeth_col,
                    smoothstep(-0.6, -0.25, dy / np.maximum(gap, F(1e-3))) * smoothstep(1.0, 0.7, np.abs(u)))
        col = mix(col, inner, hole)
        gloss = gloss * (1 - hole)
        seam = np.exp(-np.square((dy - gap * F(0.4)) / F(0.016))) * F(0.5)
    else:
        seam = np.exp(-np.square(dy / F(0.016)))
    seam = seam * smoothstep(1.12, 0.95, np.abs(u))
    col = mix(col, p.lip_col * F(0.16), F(0.8) * seam)
    corner = np.exp(-(np.square((np.abs(u) - F(1.03)) / F(0.10)) + np.square(dy / F(0.03))))
    return col * (1 - F(0.35) * corner)[:, None], gloss


def paint_skin(X: np.ndarray, Y: np.ndarray, Z: np.ndarray, p: Person, light) -> tuple:
    """Albedo (N, 3) and gloss (N,) of the head's surface at head coordinates X, Y, Z (N,)."""
    front = smoothstep(0.02, 0.2, Z)
    aX = np.abs(X)
    col = np.broadcast_to(p.skin, (X.size, 3)).astype(F)
    gloss = np.full(X.size, F(p.skin_gloss))

    def spot(cx, cy, sx, sy):
        return np.exp(-(np.square((aX - F(cx)) / F(sx)) + np.square((Y - F(cy)) / F(sy)))) * front

    col = mix(col, p.skin * p.blush_col, F(p.blush) * spot(0.27, -0.20, 0.13, 0.10))
    col = mix(col, p.skin * p.blush_col, F(p.blush * 0.8) * spot(0.0, p.nose_y, 0.09, 0.06))
    socket = spot(p.eye_x - 0.03, p.eye_y + 0.04, 0.14, 0.075)
    col = col * (1 - F(p.socket_dark) * socket)[:, None]
    col = col * (1 - F(0.22) * spot(p.eye_x, p.eye_y - 0.075, 0.10, 0.022))[:, None]
    # under the nose, under the lower lip, folds from nose to mouth
    col = col * (1 - F(0.40) * spot(0.0, p.nose_y - 0.075, 0.085, 0.028))[:, None]
    col = col * (1 - F(0.28) * spot(0.0, p.mouth_y - p.lip_low - 0.055, 0.10, 0.030))[:, None]
    fold = aX - (F(0.115) + (F(p.nose_y) - Y) * F(0.55))
    fold = np.exp(-np.square(fold / F(0.028))) * smoothstep(p.mouth_y - 0.03, p.mouth_y + 0.10, Y) * \
        smoothstep(p.nose_y + 0.05, p.nose_y - 0.03, Y) * front
    col = col * (1 - F(p.fold) * fold)[:, None]
    nostril = np.exp(-(np.square((aX - F(p.nose_w * 0.62)) / F(0.030)) + np.square((Y - F(p.nose_y - 0.048)) / F(0.020))))
    col = col * (1 - F(0.86) * nostril * front)[:, None]
    if p.wrinkles > 0:
        for y, wide in ((0.27, 0.20), (0.33, 0.17), (0.385, 0.13)):
            line = np.exp(-np.square((Y - F(y) - F(0.25) * X * X) / F(0.013))) * smoothstep(wide + 0.05, wide - 0.05, aX) * front
            col = col * (1 - F(p.wrinkles) * line)[:, None]
        bags = spot(p.eye_x, p.eye_y - 0.10, 0.09, 0.016)
        col = col * (1 - F(p.wrinkles) * bags)[:, None]
    if p.freckles > 0:
        dots = np.sin(F(71) * X + F(2.1) * np.sin(F(53) * Y)) * np.sin(F(67) * Y + F(1.7) * np.sin(F(59) * X))
        where = np.maximum(spot(0.24, -0.13, 0.15, 0.10), spot(0.0, -0.10, 0.12, 0.08))
        col = col * (1 - F(p.freckles) * smoothstep(0.35, 0.7, dots) * where)[:, None]
    if p.beard > 0:
        low = smoothstep(p.mouth_y + 0.14, p.mouth_y - 0.05, Y + F(0.55) * np.maximum(F(0.40) - aX, 0) - F(0.10))
        side = smoothstep(0.24, 0.40, aX) * smoothstep(0.02, -0.12, Y)
        tache = np.exp(-(np.square(aX / F(0.17)) + np.square((Y - F(p.mouth_y + p.lip_up + 0.055)) / F(0.034)))) * front
        area = np.maximum(np.maximum(low * (Z > -0.2), side * F(p.sideburn)) * F(p.beard_low), np.minimum(tache * 1.5, 1) * F(p.tache))
        col = mix(col, p.beard_col, F(p.beard) * np.clip(area, 0, 1))
        gloss = gloss * (1 - F(0.8 * p.beard) * area)
    if p.stubble > 0:
        crop = smoothstep(p.hairline - 0.06, p.hairline + 0.05, Y + F(0.10) * np.square(X / F(0.35)) - F(0.25) * (Z < 0.1))
        col = mix(col, p.hair_col, F(p.stubble) * crop)
        gloss = gloss * (1 - F(0.5 * p.stubble) * crop)
    keep = col
    col, gloss = paint_mouth(col, gloss, X, Y, p)
    col = paint_brows(col, X, Y, p)
    col, gloss = paint_eyes(col, gloss, X, Y, p, light)
    return mix(keep, col, front), gloss


def paint_body(x: np.ndarray, y: np.ndarray, z: np.ndarray, p: Person) -> np.ndarray:
    """Neck skin and clothes (N, 3) at body coordinates."""
    shade = F(0.50) + F(0.46) * smoothstep(p.chin_y + 0.02, p.chin_y - 0.26, y + F(0.35) * x * x)   # the chin's shade
    col = np.broadcast_to(p.skin, (x.size, 3)).astype(F) * shade[:, None]
    if p.collar == "v":
        edge = F(p.neckline - 0.10) - np.abs(x) * F(-0.95)
    else:
        edge = F(p.neckline) + F(0.55) * x * x
    cloth = smoothstep(0.012, -0.012, y - edge)
    shade = np.broadcast_to(p.cloth, col.shape)
    if p.collar == "trim":
        shade = mix(shade, p.cloth2, np.exp(-np.square((y - edge + F(0.045)) / F(0.030))))
    elif p.collar == "open":
        inner = smoothstep(0.02, -0.02, np.abs(x) - F(0.16) - F(0.20) * (edge - y))
        shade = mix(shade, p.cloth2, inner)
    return mix(col, shade, cloth)


# ---------------------------------------------------------------- light

def shadow(depth: np.ndarray, light: np.ndarray, px: float) -> np.ndarray:
    """Soft shadow 0..1 (1 lit) over the depth map (n, n), marching towards the light in screen space."""
    n = depth.shape[0]
    lit = np.ones_like(depth)
    lx, ly, lz = (float(v) for v in light)
    flat = max(np.hypot(lx, ly), 1e-3)
    pad = np.pad(depth, n // 3, mode="edge")
    o = n // 3
    dist = 0.03
    while dist < 0.55:
        run = dist / flat
        sx, sy = int(round(lx * run / px)), int(round(-ly * run / px))
        if abs(sx) >= o or abs(sy) >= o:
            break
        over = pad[o + sy:o + sy + n, o + sx:o + sx + n] - (depth + F(lz * run))
        lit = np.minimum(lit, smoothstep(0.06 * (0.4 + dist * 3), -0.02, over - F(0.01)))
        dist *= 1.38
    return lit


def occlusion(depth: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Ambient light 0..1 that reaches the surface: points below their surroundings get less."""
    out = np.ones_like(depth)
    filled = np.where(alpha, depth, F(-0.6))
    for sigma, k in ((2.2, 2.6), (6.0, 1.5)):
        out = out - np.clip((cv2.GaussianBlur(filled, (0, 0), sigma) - filled) * F(k), 0, 0.42)
    return np.clip(out, 0.25, 1)


def background(p: Person, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Smooth gradient between two near colours with a soft glow behind the head. (n, n, 3)."""
    t = x * F(p.bg_dir[0]) + y * F(p.bg_dir[1])
    t = F(0.5) + F(0.5) * t
    glow = np.exp(-(np.square(x - F(p.bg_glow[0])) + np.square(y - F(p.bg_glow[1]))) / F(1.1)) * F(p.bg_glow[2])
    if p.scene == "plain":
        return (p.bg_a + (p.bg_b - p.bg_a) * t[..., None]) * (1 + glow[..., None])
    height, k, phase = p.hills
    up = y - F(p.horizon) - F(height) * np.sin(F(k) * x + F(phase))
    sky = p.bg_a * (1 + F(0.55) * np.exp(-np.abs(up) * F(2.2)))[..., None]       # paler towards the horizon
    ground = p.bg_b * (1 + F(0.35) * np.minimum(up, 0))[..., None]
    return ground + (sky - ground) * smoothstep(-0.03, 0.03, up)[..., None]


def render(p: Person, size: int = 64) -> np.ndarray:
    """One person as (size, size, 3) uint8."""
    n = size * SUPER
    px = 2.0 / n
    ax = ((np.arange(n, dtype=F) + F(0.5)) * F(px) - 1)
    x, y = np.meshgrid(ax, -ax)
    light = p.light / np.linalg.norm(p.light)
    rot = rotation(p.yaw, p.pitch, p.roll)
    inv = rot.T.astype(F)

    depth = np.full((n, n), F(-3))
    kind = np.zeros((n, n), np.uint8)                       # 0 background, 1 body, 2 head, 3 hair, 4 hat, 5 earring
    normal = np.zeros((n, n, 3), F)
    colour = np.zeros((n, n, 3), F)
    gloss = np.zeros((n, n), F)

    # each layer: the pixels where it is nearest are overwritten
    def layer(field, origin, turn, scale, box, steps, tag, cheap):
        sel = np.nonzero((x > box[0]) & (x < box[1]) & (y > box[2]) & (y < box[3]))
        vx, vy = (x[sel] - F(origin[0])) / F(scale), (y[sel] - F(origin[1])) / F(scale)
        P, D = (turn @ np.stack([vx, vy, np.full_like(vx, 1.1)])), turn @ np.asarray([0, 0, -1], F)
        t, hit = march(field, P, D, steps, cheap)
        z = (F(1.1) - t) * F(scale)
        hit &= z > depth[sel] + F(1e-4)
        idx = (sel[0][hit], sel[1][hit])
        Q = P[:, hit] + D[:, None] * t[hit]
        depth[idx], kind[idx] = z[hit], tag
        normal[idx] = (turn.T @ grad(field, Q)).T
        return idx, Q

    body = Body(p)
    idx, Q = layer(body, (p.cx * 0.6, p.cy), rotation(p.yaw * 0.35, 0, p.roll * 0.3).T.astype(F), p.scale, (-1, 1, -1, -0.05), 10, 1, True)
    colour[idx] = paint_body(Q[0], Q[1], Q[2], p)
    gloss[idx] = 0.02
    head = Head(p)
    s = p.scale
    idx, Q = layer(head, (p.cx, p.cy), inv, s, (p.cx - 0.68 * s, p.cx + 0.68 * s, p.cy - 0.90 * s, p.cy + 0.90 * s), 9, 2, False)
    hl = inv @ light.astype(F)
    colour[idx], gloss[idx] = paint_skin(Q[0], Q[1], Q[2], p, hl)
    if p.hair != "none":
        hair = Hair(p)
        idx, Q = layer(hair, (p.cx, p.cy), inv, s, (p.cx - s, p.cx + s, -1, p.cy + 1.1 * s), 13, 3, True)
        strands = hair.strands(Q)
        colour[idx] = p.hair_col * (1 + F(p.strand) * strands)[:, None]
        gloss[idx] = F(p.hair_gloss) * (1 + F(0.8) * strands)

    if p.hat != "none":
        hat = Hat(p)
        idx, Q = layer(hat, (p.cx, p.cy), inv, s, (p.cx - s, p.cx + s, p.cy, p.cy + 1.1 * s), 16, 4, True)
        colour[idx] = mix(np.broadcast_to(p.hat_col, (Q.shape[1], 3)), p.hat_band, hat.band(Q))
        gloss[idx] = 0.01
    if p.earring > 0:
        for side in (-1.0, 1.0):
            ex, ey, ez = rot @ np.asarray([side * (0.50 * p.width + p.ear + 0.02), -0.17 - p.earring, -0.06], F) * F(s)
            r = np.hypot(x - (ex + F(p.cx)), y - (ey + F(p.cy)))
            idx = np.nonzero((r < p.earring * s) & (depth < ez + F(0.10)))
            depth[idx], kind[idx], colour[idx], gloss[idx] = ez, 5, p.earring_col, 0.5
            normal[idx] = (0, 0.3, 0.95)

    alpha = kind > 0
    lit = shadow(depth, light, px)
    ao = occlusion(depth, alpha)
    is_skin = (kind == 2)[..., None]
    wrap = np.where(is_skin, np.asarray([0.30, 0.17, 0.12], F), F(0.08))
    ndl = (normal @ light.astype(F))[..., None]
    diff = np.clip((ndl + wrap) / (1 + wrap), 0, 1) * (lit * F(0.92) + F(0.08))[..., None]
    fill = p.fill / np.linalg.norm(p.fill)
    ndf = np.clip((normal @ fill.astype(F)) * F(0.6) + F(0.4), 0, 1)[..., None]
    sky = (F(0.5) + F(0.5) * normal[..., 1:2])
    amb = (p.sky * sky + p.ground * (1 - sky)) * ao[..., None]
    half = light + np.asarray([0, 0, 1.0])
    half = (half / np.linalg.norm(half)).astype(F)
    spec = np.power(np.clip(normal @ half, 0, 1), F(18)) * gloss * lit
    rim = np.power(np.clip(1 - normal[..., 2], 0, 1), F(3)) * F(p.rim) * np.clip(normal[..., 0] * F(p.rim_side) + F(0.3), 0, 1) * ao
    shaded = colour * (p.key_col * diff + p.fill_col * ndf * ao[..., None] + amb + rim[..., None]) + p.key_col * (spec + 0)[..., None]
    if p.glasses > 0:
        shaded = glasses(shaded, x, y, inv, p, kind)
    img = np.where(alpha[..., None], shaded * F(p.exposure), background(p, x, y))
    img = np.clip(img, 0, None)
    img = img / (1 + F(0.18) * img * img)                                          # soft shoulder
    img = np.power(np.clip(img, 0, 1), F(1 / 2.2))
    small = cv2.resize(cv2.GaussianBlur(img, (0, 0), 0.55 * SUPER / 2), (size, size), interpolation=cv2.INTER_AREA)
    return (np.clip(small, 0, 1) * 255 + F(0.5)).astype(np.uint8)


def glasses(img: np.ndarray, x: np.ndarray, y: np.ndarray, inv: np.ndarray, p: Person, kind: np.ndarray) -> np.ndarray:
    """Frames drawn where the view ray meets the plane z = 0.56 of head space."""
    vx, vy = (x - F(p.cx)) / F(p.scale), (y - F(p.cy)) / F(p.scale)
    d = inv @ np.asarray([0, 0, 1], F)
    o = inv[:, 0, None, None] * vx + inv[:, 1, None, None] * vy
    t = (F(p.glass_z) - o[2]) / d[2]
    X, Y = o[0] + d[0] * t, o[1] + d[1] * t - F(p.eye_y - 0.01)
    aX = np.abs(X)
    u, v = np.abs(aX - F(p.eye_x + 0.005)) / F(p.glass_w), np.abs(Y) / F(p.glass_h)
    r = np.power(np.power(u, F(p.glass_pow)) + np.power(v, F(p.glass_pow)), F(1 / p.glass_pow))
    k = F(p.glass_t)
    frame = smoothstep(1.0, 0.55, np.abs(r - 1) * F(p.glass_h) / k)
    bridge = smoothstep(1.0, 0.5, np.abs(Y - F(0.03)) / k) * (aX < p.eye_x + 0.005 - p.glass_w)
    temple = smoothstep(1.0, 0.5, np.abs(Y - F(0.035)) / k) * ((aX > p.eye_x + p.glass_w) & (aX < 0.52)) * (kind == 2)
    m = np.clip(frame + bridge + temple, 0, 1) * F(p.glasses)
    tint = (r < 1) * F(p.glass_tint)
    img = img * (1 - tint)[..., None]
    return img + (p.glass_col - img) * m[..., None]


def portrait(seed: int, index: int, size: int = 64) -> np.ndarray:
    """Picture number `index` of the series `seed`, (size, size, 3) uint8."""
    return render(draw(np.random.default_rng([seed, index])), size)


def _job(args: tuple) -> np.ndarray:
    seed, lo, hi, size, one = args
    cv2.setNumThreads(1)
    return np.stack([one(seed, i, size) for i in range(lo, hi)])


def series(seed: int, count: int, size: int = 64, workers: int = 2, first: int = 0, one=portrait) -> np.ndarray:
    """Pictures first .. first+count-1 of a series, (count, size, size, 3) uint8; `one` draws picture (seed, index, size)."""
    jobs = [(seed, i, min(i + 64, first + count), size, one) for i in range(first, first + count, 64)]
    if workers < 2:
        return np.concatenate([_job(j) for j in jobs])
    with mp.get_context("fork").Pool(workers) as pool:
        return np.concatenate(pool.map(_job, jobs, chunksize=1))


def sheet(pics: np.ndarray, columns: int, zoom: int = 1, gap: int = 2) -> np.ndarray:
    """A contact sheet of (N, H, W, 3) uint8 pictures."""
    n, h, w, _ = pics.shape
    rows = (n + columns - 1) // columns
    out = np.full((rows * (h + gap) + gap, columns * (w + gap) + gap, 3), 24, np.uint8)
    for i, pic in enumerate(pics):
        r, c = divmod(i, columns)
        out[gap + r * (h + gap):, gap + c * (w + gap):][:h, :w] = pic
    return out.repeat(zoom, 0).repeat(zoom, 1)


def main() -> None:
    ap = argparse.ArgumentParser(description="Render a series of portraits to a .npy of uint8 (N, S, S, 3), or a contact sheet.")
    ap.add_argument("out", help="file.npy or file.png (contact sheet)")
    ap.add_argument("--count", type=int, default=64)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--first", type=int, default=0)
    ap.add_argument("--size", type=int, default=64)
    ap.add_argument("--zoom", type=int, default=1)
    ap.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    a = ap.parse_args()
    began = time.time()
    pics = series(a.seed, a.count, a.size, a.workers, a.first)
    if a.out.endswith(".npy"):
        np.save(a.out + ".part.npy", pics)
        os.replace(a.out + ".part.npy", a.out)
    else:
        cv2.imwrite(a.out, sheet(pics, max(1, int(a.count ** 0.5)), a.zoom)[..., ::-1])
    print(f"{a.out}: {a.count} pictures of {a.size}x{a.size}, {time.time() - began:.1f} s")


if __name__ == "__main__":
    main()
