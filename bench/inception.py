# SPDX-License-Identifier: MIT
"""Features of pictures by the Inception network: ldm beside torch-fidelity 0.4.0, pictures a second.

    PYTHON bench/inception.py --write docs/METRICS.md

Needs torch, torchvision, scipy, Pillow and torch-fidelity 0.4.0 (PyPI), build/release/libldmc.so and the program
make_inception of the tests, whose made weights both get: the time does not depend on the numbers. Each program has a
process of its own that computes nothing until it is asked. Every round asks both for the features of the same pictures of
299 x 299, so that neither resizes, and begins with the other one; the ratio is taken within the round. With --write the
table goes between the two marks of that file.
"""
from __future__ import annotations

import argparse
import ctypes as c
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- speed: written by bench/inception.py -->", "<!-- /speed -->"
SIDE, DIM = 299, 2048
AGREE = 1e-5  # relative L2 distance of the features up to which the times count
REST = 0.4  # seconds after an answer in which threads of the other program go to sleep


def pictures(count: int) -> np.ndarray:
    """Slopes and noise, [count, 299, 299, 3] of bytes."""
    rng = np.random.default_rng(1)
    y, x, k = np.meshgrid(np.arange(SIDE), np.arange(SIDE), np.arange(3), indexing="ij")
    slopes = [(x * (1 + n % 3) + y * (1 + n % 2) + 60 * k) % 256 for n in range(count)]
    return np.clip(np.stack(slopes) + rng.integers(-40, 40, (count, SIDE, SIDE, 3)), 0, 255).astype(np.uint8)


# ---- the programs ------------------------------------------------------------------------------------


class TorchFidelity:
    def __init__(self, weights: str, threads: int):
        import torch

        sys.path.insert(0, str(HERE / "tests/data/inception"))
        import peers

        torch.set_num_threads(threads)
        self.torch = torch
        self.net = peers.torch_fidelity_network(weights, [str(DIM)])

    def prepare(self, x: np.ndarray):
        self.x = self.torch.from_numpy(x).permute(0, 3, 1, 2).contiguous()

    def features(self) -> np.ndarray:
        with self.torch.no_grad():
            return self.net(self.x)[0].numpy()


class Image(c.Structure):
    _fields_ = [("width", c.c_int), ("height", c.c_int), ("channels", c.c_int), ("pixels", c.c_void_p)]


class Settings(c.Structure):  # ldm_quality_settings
    _fields_ = [("measures", c.c_uint), ("mode", c.c_int), ("others", c.c_int * 5), ("seed", c.c_uint32)]


KID, KEEP_ALL = 2, 32  # LDM_QUALITY_KID keeps the 2048 features; LDM_QUALITY_FEATURES lets them be written


class Ldm:
    def __init__(self, weights: str, threads: int):
        self.lib = c.CDLL(str(HERE / "build/release/libldmc.so"))
        self.error = c.create_string_buffer(65536)
        options = c.c_void_p()
        self.net = c.c_void_p()
        self.check(self.lib.ldm_model_options_create(c.byref(options), self.error))
        self.check(self.lib.ldm_model_options_set_int(options, b"threads", threads, self.error))
        self.check(self.lib.ldm_inception_open(weights.encode(), options, c.byref(self.net), self.error))

    def check(self, status: int):
        if status:
            sys.exit(f"ldm: status {status}: {bytes(self.error)[:400]!r}")

    def prepare(self, x: np.ndarray):
        self.x = np.ascontiguousarray(x)

    def run(self, measures: int) -> c.c_void_p:
        how, made = Settings(), c.c_void_p()
        self.lib.ldm_quality_settings_default(c.byref(how), c.c_size_t(c.sizeof(how)))
        how.measures = measures
        self.check(self.lib.ldm_quality_set_create(self.net, c.byref(how), c.byref(made), self.error))
        for picture in self.x:
            im = Image(SIDE, SIDE, 3, picture.ctypes.data)
            self.check(self.lib.ldm_quality_set_add(made, c.byref(im), self.error))
        self.check(self.lib.ldm_quality_set_finish(made, self.error))
        return made

    def time(self):
        self.lib.ldm_quality_set_free(self.run(KID))

    def features(self) -> np.ndarray:
        made = self.run(KEEP_ALL)
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, "features.npz")
            self.check(self.lib.ldm_quality_set_write_features(made, path.encode(), self.error))
            out = np.load(path)[str(DIM)]
        self.lib.ldm_quality_set_free(made)
        return out


PROGRAMS = {"ldm": Ldm, "torch-fidelity": TorchFidelity}


def worker(a: argparse.Namespace):
    """Orders are lines on stdin: "features FILE" or "time"; answers are lines of JSON."""
    program = PROGRAMS[a.worker](a.weights, a.threads)
    program.prepare(pictures(a.pictures))
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        order = line.split()
        if order[0] == "features":
            np.save(order[1], program.features())
            print(json.dumps("done"), flush=True)
            continue
        begin = time.perf_counter()
        getattr(program, "time", program.features)()
        print(json.dumps(time.perf_counter() - begin), flush=True)


# ---- the comparison ----------------------------------------------------------------------------------


class Worker:
    def __init__(self, name: str, a: argparse.Namespace):
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", name, "--weights", a.weights, "--threads", str(a.threads), "--pictures",
             str(a.pictures)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended")
        return json.loads(line)

    def ask(self, order: str):
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()
        return self.answer()


def far(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a.astype(np.float64) - b) / np.linalg.norm(b.astype(np.float64)))


def processor() -> str:
    text = Path("/proc/cpuinfo").read_text()
    value = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in text.splitlines())}
    isa = "AVX-512" if "avx512f" in value["flags"] else "AVX2" if "avx2" in value["flags"] else "SSE"
    return f"{value['model name']} (family {value['cpu family']}, model {value['model']}), {isa}"


def compare(a: argparse.Namespace) -> list[str]:
    workers = [Worker(name, a) for name in PROGRAMS]
    with tempfile.TemporaryDirectory() as d:
        both = []
        for w in workers:
            path = os.path.join(d, w.name + ".npy")
            w.ask("features " + path)
            both.append(np.load(path))
            time.sleep(REST)
    distance = far(*both)
    if not distance <= AGREE:
        sys.exit(f"the features differ by {distance:.1e} (limit {AGREE:.0e}): no comparison")
    seconds: dict[str, list[float]] = {w.name: [] for w in workers}
    for n in range(a.rounds):
        for w in workers[n % 2:] + workers[:n % 2]:
            seconds[w.name].append(w.ask("time"))
            time.sleep(REST)
        print(n, {k: f"{v[-1]:.3f}" for k, v in seconds.items()}, file=sys.stderr, flush=True)
    for w in workers:
        w.process.stdin.close()
        w.process.wait()
    ratios = [t / l for t, l in zip(seconds["torch-fidelity"], seconds["ldm"])]
    one = {k: statistics.median(v) / a.pictures for k, v in seconds.items()}
    return [
        "| processor, threads | a picture in ldm | in torch-fidelity 0.4.0 | times as fast (lowest, highest) | features differ by |",
        "|---|---|---|---|---|",
        f"| {processor()}, {a.threads} | {1000 * one['ldm']:.0f} ms | {1000 * one['torch-fidelity']:.0f} ms "
        f"| **{statistics.median(ratios):.2f}** ({min(ratios):.2f}, {max(ratios):.2f}) | {distance:.1e} |",
        "",
        f"Medians of {a.rounds} interleaved rounds of {a.pictures} pictures of {SIDE} × {SIDE}.",
    ]


def put(path: str, lines: list[str]):
    text = Path(path).read_text()
    head, rest = text.split(BEGIN)
    Path(path).write_text(head + BEGIN + "\n" + "\n".join(lines) + "\n" + END + rest.split(END)[1])


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--pictures", type=int, default=16)
    p.add_argument("--rounds", type=int, default=9)
    p.add_argument("--write", help="a file that holds the marks")
    p.add_argument("--weights", help="safetensors; by default those of make_inception")
    p.add_argument("--worker", choices=list(PROGRAMS), help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.worker:
        return worker(a)
    with tempfile.TemporaryDirectory() as d:
        if not a.weights:
            a.weights = os.path.join(d, "made.safetensors")
            subprocess.run([str(HERE / "build/release/tests/make_inception"), a.weights], check=True)
        lines = compare(a)
    print("\n".join(lines))
    if a.write:
        put(a.write, lines)


main()
