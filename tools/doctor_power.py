#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The power of ldm doctor: plants faults in the shipped model and its configuration, one at a time and in pairs,
and sees whether the doctor finds and cures each. Needs numpy.

    tools/doctor_power.py build/ldm WORK [--write docs/DOCTOR.md] [--only NAME,...] [--jobs N] [--resume]
    tools/doctor_power.py --log WORK/rows.txt --write docs/DOCTOR.md

Rows are added to WORK/rows.txt as they are measured. With --resume those that are there already are not measured
again: a run that was broken off goes on.

A fault counts as cured where every planted setting is in the cures (or flags) with its true value; a cure of
anything else is a wrong cure."""
import json
import os
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np

UNET = "model.params.unet_config.params."
TYPES = {"F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32}


def read(path):
    data = open(path, "rb").read()
    n = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + n])
    out = {}
    for name, t in header.items():
        if name != "__metadata__":
            a, b = t["data_offsets"]
            out[name] = np.frombuffer(data[8 + n + a:8 + n + b], TYPES[t["dtype"]]).reshape(t["shape"]).copy()
    return out


def write(path, tensors):
    names = {v: k for k, v in TYPES.items()}
    header, at = {}, 0
    for name, t in tensors.items():
        header[name] = {"dtype": names[t.dtype.type], "shape": list(t.shape), "data_offsets": [at, at + t.nbytes]}
        at += t.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for t in tensors.values():
            f.write(t.tobytes())


def png(path, a):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + r.tobytes() for r in a)
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", a.shape[1], a.shape[0], 8, 2, 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def read_png(path):
    data, at, idat = open(path, "rb").read(), 8, b""
    while at < len(data):
        n, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IHDR":
            w, h = struct.unpack(">II", data[at + 8:at + 16])
        if kind == b"IDAT":
            idat += data[at + 8:at + 8 + n]
        at += n + 12
    raw = np.frombuffer(zlib.decompress(idat), np.uint8).reshape(h, 1 + 3 * w)
    out = np.zeros((h, w, 3), np.uint8)
    for y in range(h):
        kind, line = raw[y, 0], raw[y, 1:].reshape(w, 3).astype(np.int32)
        up = out[y - 1].astype(np.int32) if y else np.zeros((w, 3), np.int32)
        if kind == 0:
            out[y] = line
        elif kind == 2:
            out[y] = line + up & 255
        else:
            left = np.zeros(3, np.int32)
            corner = np.zeros(3, np.int32)
            for x in range(w):
                if kind == 1:
                    p = left
                elif kind == 3:
                    p = left + up[x] >> 1
                else:
                    q = left + up[x] - corner
                    da, db, dc = abs(q - left), abs(q - up[x]), abs(q - corner)
                    p = np.where((da <= db) & (da <= dc), left, np.where(db <= dc, up[x], corner))
                left = line[x] + p & 255
                corner = up[x]
                out[y, x] = left
    return out


def shadows(t, change=None):
    """The same weights as EMA shadows, and raw weights that are a little off, as during training."""
    rng = np.random.default_rng(1)
    out = dict(t)
    for name, a in t.items():
        if name.startswith("model.diffusion_model."):
            x = a.astype(np.float32)
            noise = rng.standard_normal(a.shape).astype(np.float32) * 0.05 * (x.std() if x.size > 1 else 0)
            out["model_ema." + name[len("model."):].replace(".", "")] = change(x, rng) if change else x
            out[name] = (x + noise).astype(a.dtype)
    out["model_ema.decay"] = np.float32(0.9999).reshape(())
    out["model_ema.num_updates"] = np.int32(1000).reshape(())
    return out


def half_shadows(t):
    t = shadows(t)
    names = sorted(n for n in t if n.startswith("model_ema.diffusion"))
    return {n: a for n, a in t.items() if n not in names[::2]}


def without_schedule(t):
    return {n: a for n, a in t.items() if n.startswith(("model", "first_stage"))}


def edit(name, change):
    def run(t):
        t = dict(t)
        t[name] = change(t[name].astype(np.float32), np.random.default_rng(2)).astype(t[name].dtype)
        return t
    return run


def fresh(x, rng):
    b = 1 / np.sqrt(np.prod(x.shape[1:]))
    return rng.uniform(-b, b, x.shape)


def untrained(t):
    rng = np.random.default_rng(3)
    return {n: fresh(a, rng).astype(a.dtype) if n.startswith("model.") and a.ndim > 1 else a for n, a in t.items()}


FIRST = "first_stage_model."


def weights(t, **changes):
    """Tensors of the first stage with new values, as float32: name with dots as __ -> function of the old."""
    t = dict(t)
    for name, change in changes.items():
        name = FIRST + name.replace("__", ".")
        t[name] = np.ascontiguousarray(change(t[name].astype(np.float32)), np.float32)
    return t


def exchanged(t):
    """The model as it would be, had it been trained on BGR pictures; exact."""
    return weights(t, encoder__conv_in__weight=lambda w: w[:, ::-1], decoder__conv_out__weight=lambda w: w[::-1],
                   decoder__conv_out__bias=lambda b: b[::-1])


def unit_range(t):
    """Trained on pictures from 0 to 1; exact but for the first row of pixels at the border, where padding is 0 in both."""
    w = t[FIRST + "encoder.conv_in.weight"].astype(np.float32)
    return weights(t, encoder__conv_in__weight=lambda w: 2 * w, encoder__conv_in__bias=lambda b: b - w.sum((1, 2, 3)),
                   decoder__conv_out__weight=lambda w: w / 2, decoder__conv_out__bias=lambda b: (b + 1) / 2)


def rescaled(scale):
    """The same model with latents of another size: its scale_factor is `scale`. Exact."""
    k = 0.18215 / scale
    return lambda t: weights(t, quant_conv__weight=lambda w: w * k, quant_conv__bias=lambda b: b * k,
                             quantize__embedding__weight=lambda e: e * k, post_quant_conv__weight=lambda w: w / k)


def other_codebook(t):
    return weights(t, quantize__embedding__weight=lambda e: np.random.default_rng(4).uniform(-1 / 8192, 1 / 8192, e.shape))


def other_decoder(t):
    rng = np.random.default_rng(5)
    return {n: fresh(a, rng).astype(a.dtype) if n.startswith(FIRST + "decoder") and a.ndim > 1 else a for n, a in t.items()}


def half_zero(x, rng):
    return np.where((np.arange(len(x)) % 2)[(...,) + (None,) * (x.ndim - 1)] == 0, x, 0)


def one_bit(x, rng):
    return np.where(np.arange(x.size).reshape(x.shape) == 77, 30000, x)


MID = "model.diffusion_model.middle_block.1.qkv.weight"
RES = "model.diffusion_model.input_blocks.5.0.in_layers.2.weight"


def sets(**kw):
    short = {"heads": UNET + "num_heads", "width": UNET + "num_head_channels", "order": UNET + "use_new_attention_order"}
    return [short.get(k, "model.params." + k) + "=" + str(v) for k, v in kw.items()]


TANH = "model.params.first_stage_config.params.ddconfig.tanh_out="
W32 = [UNET + "num_head_channels=32"]
SCALE = ["model.params.scale_factor=0.18215"]
V = ["model.params.parameterization=v"]
ORDER = [UNET + "use_new_attention_order=false"]
END = ["model.params.linear_end=0.0195"]
# name, assignments, change of the file, what the cures must hold (None: no cure is possible), verdict
FAULTS = [
    ("healthy", [], None, [], "healthy"),
    ("healthy, EMA and raw", ["model.params.use_ema=true"], shadows, [], "healthy"),
    ("healthy, no schedule in the file", [], without_schedule, [], "healthy"),
    ("num_head_channels 16", sets(width=16), None, W32, "change"),
    ("num_heads 8", sets(width=-1, heads=8), None, W32, "change"),
    ("num_heads 1", sets(width=-1, heads=1), None, W32, "change"),
    ("new attention order", sets(order="true"), None, ORDER, "change"),
    ("scale_factor 1", sets(scale_factor="1.0"), None, SCALE, "change"),
    ("scale_factor 0.3", sets(scale_factor="0.3"), None, SCALE, "change"),
    ("scale_factor 5.5", sets(scale_factor="5.5"), None, SCALE, "change"),
    ("parameterization eps", sets(parameterization="eps"), None, V, "change"),
    ("parameterization x0", sets(parameterization="x0"), None, V, "change"),
    ("linear_end 0.012", sets(linear_end="0.012"), None, END, "change"),
    ("timesteps 500", sets(timesteps=500), None, ["model.params.timesteps=1000"], "change"),
    ("schedule lost, YAML of Stable Diffusion", sets(linear_start="0.00085", linear_end="0.012"), without_schedule,
     ["model.params.linear_start=0.0015"] + END, "change"),
    ("schedule lost, cosine", sets(beta_schedule="cosine"), without_schedule, ["model.params.beta_schedule=linear"],
     "change"),
    ("use_ema false", ["model.params.use_ema=false"], shadows, ["model.params.use_ema=true"], "change"),
    ("EMA never updated", ["model.params.use_ema=true"], lambda t: shadows(t, fresh_or_same), ["--no-ema"], "change"),
    ("EMA damaged", ["model.params.use_ema=true"], lambda t: shadows(t, lambda x, r: x * 0.7), ["--no-ema"], "change"),
    ("EMA is NaN", ["model.params.use_ema=true"], lambda t: shadows(t, lambda x, r: x * np.nan), ["--no-ema"], "change"),
    ("half of the EMA is missing", ["model.params.use_ema=true"], half_shadows, ["--no-ema"], "change"),
    ("a NaN in the UNet", [], edit(RES, lambda x, r: np.where(np.arange(x.size).reshape(x.shape) == 7, np.nan, x)), None,
     "change"),
    ("infinity of float16", [], edit(MID, lambda x, r: x * 1e7), None, "change"),
    ("a tensor of zeros", [], edit(RES, lambda x, r: x * 0), None, "change"),
    ("a tensor at its initial values", [], edit(RES, fresh), None, "change"),
    ("a tensor twice", [], lambda t: dict(t, **{RES: t[RES.replace("in_layers.2", "out_layers.3")]}), None, "change"),
    ("approach 1, all at once", sets(scale_factor="1.0", width=-1, heads=8, conditioning_key="null"), None, W32 + SCALE,
     "change"),
    ("approach 2, all at once", sets(scale_factor="0.18215", conditioning_key="crossattn"), None, [], "healthy"),
    ("heads and scale", sets(width=16, scale_factor="1.0"), None, W32 + SCALE, "change"),
    ("heads and parameterization", sets(width=16, parameterization="eps"), None, W32 + V, "change"),
    ("scale and parameterization", sets(scale_factor="1.0", parameterization="eps"), None, SCALE + V, "change"),
    ("heads and order", sets(width=16, order="true"), None, W32 + ORDER, "change"),
    ("heads and use_ema false", sets(width=16, use_ema="false"), shadows, W32 + ["model.params.use_ema=true"], "change"),
    ("scale 0.5, given 0.18215", sets(scale_factor="0.18215"), rescaled(0.5), ["model.params.scale_factor=0.5"], "change"),
    ("scale 0.04, given 1", sets(scale_factor="1.0"), rescaled(0.04), ["model.params.scale_factor=0.04"], "change"),
    ("healthy, scale 0.25", sets(scale_factor="0.25"), rescaled(0.25), [], "healthy"),
    ("tanh_out", [TANH + "true"], None, [TANH + "false"], "change"),
    ("trained on BGR", [], exchanged, None, "change"),
    ("trained on 0 to 1", [], unit_range, None, "change"),
    ("codebook of another model", [], other_codebook, ["--no-quantize"], "change"),
    ("decoder of another model", [], other_decoder, None, "change"),
    ("half of a tensor's outputs are zero", [], edit(RES, half_zero), None, "change"),
    ("a bit of one value turned over", [], edit(RES, one_bit), None, "change"),
    ("values cut off at 65504", [], edit(MID, lambda x, r: np.clip(x * 1e6, -65504, 65504)), None, "change"),
    ("heads and tanh_out", sets(width=16) + [TANH + "true"], None, W32 + [TANH + "false"], "change"),
    ("parameterization and use_ema false", sets(parameterization="eps", use_ema="false"), shadows,
     V + ["model.params.use_ema=true"], "change"),
    ("scale 0.5 and heads", sets(scale_factor="0.18215", width=16), rescaled(0.5), ["model.params.scale_factor=0.5"] + W32,
     "change"),
    ("scale and tanh_out", sets(scale_factor="1.0") + [TANH + "true"], None, SCALE + [TANH + "false"], "change"),
    ("BGR and heads", sets(width=16), exchanged, W32, "change"),
    ("random weights", [], untrained, [], "untrained"),
]


def fresh_or_same(x, rng):
    return fresh(x, rng).astype(np.float32) if x.ndim > 1 else x


def run(ldm, ckpt, config, assignments, pictures):
    args = [ldm, "doctor", "--ckpt", ckpt, "--config", config, "--json"]
    for s in assignments:
        args += ["--set", s]
    if pictures:
        args += ["--images", pictures]
    p = subprocess.run(args, capture_output=True, text=True)
    return json.loads(p.stdout) if p.stdout.startswith("{") else {"verdict": "failed: " + p.stderr.strip()[:200]}


def judge(report, want, verdict):
    have = report.get("cures", []) + report.get("flags", [])
    if report["verdict"] != verdict:
        return report["verdict"]
    if want is None:
        return "found" if not report.get("cures") else "wrong cure"
    keys = {w.split("=")[0] for w in want}
    wrong = [h for h in have if h not in want and "=" in h and not (h.split("=")[0] in keys | {UNET + "num_heads"})]
    if "--no-ema" in want:
        wrong = [h for h in wrong if h != "model.params.use_ema=false"]
    if wrong or any(h.split("=")[0] in keys and h not in want for h in have):
        return "wrong cure"
    missing = [w for w in want if w not in have]
    return "partly" if missing else "cured" if want else "right"


def main():
    ldm, work = sys.argv[1], sys.argv[2]
    only = sys.argv[sys.argv.index("--only") + 1].split(",") if "--only" in sys.argv else None
    top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    os.makedirs(os.path.join(work, "pictures"), exist_ok=True)
    base = os.path.join(work, "base.safetensors")
    demo = os.path.join(top, "models/demo")
    subprocess.run([ldm, "convert", "--ckpt", demo + "/model.ckpt", "--config", demo + "/config.yaml", "-o", base, "--overwrite"],
                   check=True, capture_output=True)
    sheet = read_png(demo + "/renders.png")
    for i in range(4):
        x, y = 4 + (4 + i) * 132, 4 + 5 * 132
        png(os.path.join(work, "pictures", "%d.png" % i), sheet[y:y + 128, x:x + 128])
    tensors = read(base)
    config = base.replace(".safetensors", ".yaml")
    jobs = int(sys.argv[sys.argv.index("--jobs") + 1]) if "--jobs" in sys.argv else 1
    log = os.path.join(work, "rows.txt")
    measured = {r[0]: r for r in logged(log)} if "--resume" in sys.argv and os.path.exists(log) else {}
    if not measured:
        open(log, "w").close()

    def one(number):
        name, assignments, change, want, verdict = FAULTS[number]
        if name in measured:
            return measured[name]
        ckpt = base
        if change:
            ckpt = os.path.join(work, "fault%d.safetensors" % number)
            write(ckpt, change(tensors))
        row = [name]
        for pictures in (os.path.join(work, "pictures"), None):
            report = run(ldm, ckpt, config, assignments, pictures)
            row.append("%s, %.0f s" % (judge(report, want, verdict), report.get("seconds", 0)))
            if row[-1].split(",")[0] not in ("cured", "right", "found"):
                print(name, json.dumps(report)[:1500], file=sys.stderr, flush=True)
        if change:
            os.unlink(ckpt)
        print(" | ".join(row), flush=True)
        with open(log, "a") as f:
            f.write(" | ".join(row) + "\n")
        return row

    chosen = [i for i, f in enumerate(FAULTS) if not only or any(o in f[0] for o in only)]
    with ThreadPoolExecutor(jobs) as pool:
        rows = list(pool.map(one, chosen))
    if "--write" in sys.argv:
        write_table(rows)


def logged(path):
    """What an earlier run measured; a line that was broken off does not count."""
    lines = [r.rstrip("\n").split(" | ") for r in open(path) if r.endswith("\n")]
    return [r for r in lines if len(r) == 3]


def write_table(rows):
    """Rows of the page that were not measured now stay. Seconds are printed only: they are the machine's."""
    page = sys.argv[sys.argv.index("--write") + 1]
    text = open(page).read()
    a, b = text.index("<!-- power -->") + len("<!-- power -->\n"), text.index("<!-- /power -->")
    kept = {r.split(" | ")[0][2:]: r for r in text[a:b].splitlines()[2:]}
    for r in rows:
        kept[r[0]] = "| %s |" % " | ".join(c.split(", ")[0] if i else c for i, c in enumerate(r))
    table = "| planted | with four pictures | without |\n|---|---|---|\n"
    table += "".join(kept.pop(f[0]) + "\n" for f in FAULTS if f[0] in kept)
    open(page, "w").write(text[:a] + table + text[b:])


if "--log" in sys.argv:  # what an earlier run printed
    write_table(logged(sys.argv[sys.argv.index("--log") + 1]))
else:
    main()
