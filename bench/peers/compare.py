# SPDX-License-Identifier: MIT
"""Times `ldm` and its peers on one checkpoint in interleaved rounds and writes the table of ratios.

First every program is started afresh, in turn: time until it is ready, first evaluation, peak memory. Then the peers
stay, each in a process of its own, and are asked in turn, each round beginning one further on; `ldm bench` is run
once a round among them. A ratio is the median over the rounds of peer / ldm within the round. A peer whose output
differs from ldm's by more than 1e-4 (relative L2) is listed, but its times don't count.

Models that are too large for all peers to stay (`--apart`): each peer is started, asked in turn with ldm, and ends before
the next one begins. A ratio is still taken within a round, so each peer has rounds of its own.
"""
from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import report

HERE = Path(__file__).resolve().parent
PEERS = ["eager", "channels_last", "compile", "onnxruntime", "openvino"]
GUIDED = ["sdcpp-f32", "sdcpp-f16"]  # know Stable Diffusion alone, and are timed with guidance alone
CAPPED = ["eager", "channels_last", "compile"]  # the others don't obey a cap from outside
FROM_ONNX = ["onnxruntime", "openvino"]
PACKAGES = {"eager": "torch", "channels_last": "torch", "compile": "torch", "onnxruntime": "onnxruntime",
            "openvino": "openvino", "sdcpp-f32": "stable-diffusion-cpp-python",
            "sdcpp-f16": "stable-diffusion-cpp-python"}
SETTLE = 0.3  # seconds between two programs: idle threads stop spinning


class Failed(Exception):
    pass


class Worker:
    """A peer's process: orders to its stdin, answers from its stdout."""

    def __init__(self, name: str, a: argparse.Namespace, env: dict, log):
        shape = ",".join(str(s) for s in a.shape)
        if name in ("channels_last", "compile"):
            # memory that was freed is kept for the next activation instead of being given back to the system
            env = dict(env, MALLOC_MMAP_THRESHOLD_="4000000000", MALLOC_TRIM_THRESHOLD_="8000000000")
        begin = time.monotonic()
        self.name = name
        self.proc = subprocess.Popen(
            [sys.executable, str(HERE / "worker.py"), name, "--config", a.config, "--ckpt", a.ckpt, "--onnx",
             str(a.onnx), "--threads", str(a.threads), "--isa", a.isa, "--shape", shape, "--started", repr(begin),
             "--context", ",".join(str(s) for s in a.context or ()), "--batch", str(a.batch)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=env)
        try:
            self.start = self.read()
        except Failed:
            self.stop()
            raise

    def read(self) -> dict:
        line = self.proc.stdout.readline()
        if not line:
            raise Failed(f"{self.name} ended with status {self.proc.wait()}; see the log")
        got = json.loads(line)
        if "error" in got:
            raise Failed(got["error"])
        return got

    def ask(self, **order) -> dict:
        try:
            self.proc.stdin.write(json.dumps(order) + "\n")
            self.proc.stdin.flush()
        except BrokenPipeError:
            pass  # read() tells how it ended
        return self.read()

    def time(self, do: str, **more) -> float:
        return statistics.median(self.ask(do=do, **more)["s"])

    def stop(self) -> None:
        self.proc.stdin.close()
        try:
            self.proc.wait(30)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()


class Ldm:
    """ldm from its command line."""

    def __init__(self, a: argparse.Namespace, env: dict):
        self.model = ["--ckpt", a.ckpt, "--config", a.config, "--threads", str(a.threads)]
        self.path, self.env = a.ldm, env

    def run(self, *args: str) -> str:
        got = subprocess.run([self.path, *args, *self.model], env=self.env, text=True, capture_output=True)
        if got.returncode:
            raise SystemExit(f"ldm {args[0]} failed: {got.stderr.strip()}")
        return got.stdout

    def bench(self, rounds: int, batch: int = 1) -> dict:
        return json.loads(self.run("bench", "--json", "--rounds", str(rounds), "--batch", str(batch)))

    def output(self, part: str, x: Path, t: int, y: Path, context: Path | None, quantizes: bool) -> None:
        more = ["--t", str(t)] if part == "eps" else ["--no-quantize"] if quantizes else []
        if part == "eps" and context:
            more += ["--context", str(context)]
        self.run("eval", "--part", "unet" if part == "eps" else part, "--in", str(x), "--out", str(y), *more)


def environment(isa: str, cache: Path) -> dict:
    env = dict(os.environ, TORCHINDUCTOR_CACHE_DIR=str(cache / f"inductor-{isa}"),
               ONEDNN_DEFAULT_FPMATH_MODE="STRICT")
    for k in ("LDM_MAX_ISA", "ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "OMP_NUM_THREADS"):
        env.pop(k, None)
    if isa == "avx2":
        env.update(LDM_MAX_ISA="avx2", ONEDNN_MAX_CPU_ISA="AVX2", ATEN_CPU_CAPABILITY="avx2")
    return env


def processor() -> tuple[str, str]:
    """What the processor calls itself, and a name for files."""
    text = Path("/proc/cpuinfo").read_text() if os.path.exists("/proc/cpuinfo") else ""
    got = {k: m.group(1).strip() for k in ("model name", "cpu family", "model")
           if (m := re.search(rf"^{k}\s*:(.*)$", text, re.M))}
    name = got.get("model name", platform.processor() or platform.machine())
    if "cpu family" in got:
        name += f" (family {got['cpu family']}, model {got['model']})"
    return name, re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version as of
    try:
        return f"{package} {of(package)}"
    except PackageNotFoundError:
        return f"{package} (not installed)"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def warm(path: Path) -> None:
    """Reads a file, or all of a folder, so that it is in the page cache: some systems drop it within a minute."""
    for f in [path] if path.is_file() else path.rglob("*"):
        if f.is_file():
            with open(f, "rb", buffering=0) as source:
                while source.read(1 << 24):
                    pass


def differ(y: Path, ref: Path) -> float:
    a, b = np.load(y).astype(np.float64), np.load(ref).astype(np.float64)
    if a.shape != b.shape:
        return float("inf")
    d = float(np.linalg.norm(a - b) / np.linalg.norm(b))
    return d if np.isfinite(d) else float("inf")


class Run:
    """One comparison; everything measured is in `rows` (phase, round, peer, measure, value)."""

    def __init__(self, a: argparse.Namespace, cache: Path, log):
        self.a, self.cache, self.log = a, cache, log
        self.env = environment(a.isa, cache)
        self.ldm = Ldm(a, self.env)
        self.rows: list[tuple] = []
        self.failed: dict[str, str] = {}
        self.workers: dict[str, Worker] = {}
        self.agree: dict[tuple[str, str], float] = {}

    def note(self, phase: str, n: int, peer: str, measure: str, value: float) -> None:
        self.rows.append((phase, n, peer, measure, value))

    def names(self) -> list[str]:
        return [p for p in self.a.peers if p not in self.failed]

    def drop(self, peer: str, why: Exception) -> None:
        say(f"  {peer} is out: {why}")
        self.failed[peer] = str(why)
        worker = self.workers.pop(peer, None)
        if worker:
            worker.stop()

    def cold(self, n: int, keep: bool) -> None:
        say(f"cold start {n % self.a.cold + 1} of {self.a.cold}")
        for peer in ["ldm"] + self.names():
            time.sleep(SETTLE)  # before, not after: a system may take pages back that lie idle for a moment
            warm(self.a.onnx if peer in FROM_ONNX else Path(self.a.ckpt))
            if peer == "ldm":
                got = self.ldm.bench(self.a.evals, self.a.batch)
                self.isa = got["isa"]
                found = dict(ready=got["ready_s"], load=got["ready_s"], first=got["first_eps_s"],
                             memory=got["peak_rss_bytes"], first_over_eps=got["first_eps_s"] / got["eps_s"])
            else:
                try:
                    w = self.workers[peer] = Worker(peer, self.a, self.env, self.log)
                    found = dict(ready=w.start["ready_s"], load=w.start["load_s"], first=w.time("eps", batch=self.a.batch))
                    w.time("decode")
                    found["memory"] = w.ask(do="memory")["peak"]
                    if not keep:
                        self.workers.pop(peer).stop()
                except Failed as e:
                    self.drop(peer, e)
                    continue
            for k, v in found.items():
                self.note("cold", n, peer, k, v)
            say(f"  {peer:14} ready {found['ready']:7.2f} s, load {found['load']:7.2f} s, "
                f"first eps {found['first']:7.2f} s, peak {found['memory'] / 1e6:6.0f} MB")

    def check(self) -> None:
        say("agreement with ldm")
        with tempfile.TemporaryDirectory() as tmp:
            x = Path(tmp) / "x.npy"
            draw = np.random.default_rng(7)
            np.save(x, draw.standard_normal((1, *self.a.shape), dtype=np.float32))
            context = Path(tmp) / "context.npy" if self.a.context else None
            if context:
                np.save(context, draw.standard_normal((1, *self.a.context), dtype=np.float32))
            for part in ("eps", "decode"):
                ref = Path(tmp) / f"{part}-ldm.npy"
                self.ldm.output(part, x, 500, ref, context, self.a.quantizes)
                for peer in [p for p in self.names() if p in self.workers and p not in GUIDED]:
                    y = Path(tmp) / f"{part}-{peer}.npy"
                    try:
                        self.workers[peer].ask(do="output", part=part, t=500, out=str(y), context=str(context), **{"in": str(x)})
                    except Failed as e:
                        self.drop(peer, e)
                        continue
                    d = self.agree[peer, part] = differ(y, ref)
                    say(f"  {peer:14} {part:6} {d:.1e}{'' if d <= report.AGREE else '  DOES NOT COUNT'}")

    def round(self, n: int) -> None:
        order = ["ldm"] + [p for p in self.names() if p in self.workers]
        order = order[n % len(order):] + order[:n % len(order)]
        line = []
        for peer in order:
            time.sleep(SETTLE)
            if peer == "ldm":
                got = self.ldm.bench(self.a.evals, self.a.batch)
                found = dict(eps=got["eps_s"], decode=got["decode_s"])
            else:
                try:
                    w = self.workers[peer]
                    found = dict(eps=w.time("eps", repeat=self.a.evals, batch=self.a.batch),
                                 decode=w.time("decode", repeat=self.a.decodes))
                except Failed as e:
                    self.drop(peer, e)
                    continue
            for k, v in found.items():
                self.note("warm", n, peer, k, v)
            line.append(f"{peer} {found['eps']:.3f}/{found['decode']:.3f}")
        say(f"round {n % self.a.rounds + 1} of {self.a.rounds} (eps/decode, s): " + "  ".join(line))

    def batch(self, n: int) -> None:
        """Batch 8 beside batch 1 of the same program, one after the other."""
        line = []
        for peer in ["ldm"] + self.names():
            if peer == "compile" and not self.a.compile_batch:
                continue
            time.sleep(SETTLE)
            try:
                if peer == "ldm":
                    one, eight = self.ldm.bench(3)["eps_s"], self.ldm.bench(1, 8)["eps_s"]
                else:
                    w = self.workers[peer]
                    if n == 0:
                        w.time("eps", batch=8)  # compiles for this size, or meets fresh memory
                    eight = w.time("eps", batch=8)
                    if n == 0:
                        w.time("eps")
                    one = w.time("eps", repeat=3)
            except Failed as e:
                say(f"  {peer} has no batch 8: {e}")
                continue
            self.note("batch", n, peer, "batch", eight / (8 * one))
            line.append(f"{peer} {eight / (8 * one):.2f}")
        say(f"batch 8 / 8 x batch 1, {n + 1} of {self.a.batch_rounds}: " + "  ".join(line))

    def study(self, n: int) -> None:
        """CompVis' loop, four steps of it, evaluated once and twice a step."""
        if "eager" not in self.workers:
            return
        w = self.workers["eager"]
        try:
            for measure, twice in (("once", False), ("twice", True)):
                if n == 0:
                    w.time("eps", batch=2 if twice else 1)
                self.note("study", n, "eager", measure, w.time("loop", steps=4, twice=twice) / 4)
        except Failed as e:
            return self.drop("eager", e)
        self.note("study", n, "ldm", "once", self.ldm.bench(3)["eps_s"])

    def apart(self) -> None:
        """One peer after the other, each in rounds with ldm; the rounds are numbered on, so that each pairs with its own."""
        peers = self.names()
        for k, peer in enumerate(peers):
            self.a.peers = [peer]
            for n in range(self.a.cold):
                self.cold(k * self.a.cold + n, keep=n + 1 == self.a.cold)
            if peer in self.workers:
                self.check()
            for n in range(self.a.rounds):
                if peer in self.workers:
                    self.round(k * self.a.rounds + n)
            if peer in self.workers:
                self.workers.pop(peer).stop()
        self.a.peers = peers

    def all(self) -> None:
        a = self.a
        if a.apart:
            return self.apart()
        for n in range(a.cold):
            self.cold(n, keep=n + 1 == a.cold)
        self.check()
        for n in range(a.rounds):
            self.round(n)
        for n in range(a.batch_rounds):
            self.batch(n)
        for n in range(a.study_rounds):
            self.study(n)


def arguments() -> argparse.Namespace:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--ldm", default="build/ldm", help="the program (build/ldm)")
    ap.add_argument("--ckpt", help="checkpoint; default: a synthetic one, made once beside the environment")
    ap.add_argument("--config", default="configs/ffhq-ldm-vq-4.yaml", help="its YAML")
    ap.add_argument("--out", type=Path, default=Path("bench/results"), help="folder of the tables (bench/results)")
    ap.add_argument("--cache", type=Path, default=Path("build/peers"), help="folder of what is made once")
    ap.add_argument("--rounds", type=int, default=9, help="interleaved rounds (9)")
    ap.add_argument("--evals", type=int, default=3, help="evaluations a round, of which the median counts (3)")
    ap.add_argument("--cold", type=int, default=3, help="fresh starts of each program (3)")
    ap.add_argument("--batch-rounds", type=int, default=3, help="rounds of batch 8; 0 leaves it out (3)")
    ap.add_argument("--study-rounds", type=int, default=3, help="rounds of the sampling loop; 0 leaves it out (3)")
    ap.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of every program (all)")
    ap.add_argument("--isa", choices=["best", "avx2", "both"], default="both",
                    help="avx2 caps ldm and PyTorch alike; both: one run after the other (both)")
    ap.add_argument("--peers", default=None, help="comma-separated choice of " + ", ".join(PEERS + GUIDED))
    ap.add_argument("--batch", type=int, default=1, help="of the evaluations; 2 is a guided step of one picture (1)")
    ap.add_argument("--decodes", type=int, default=3, help="decodes a round, of which the median counts (3)")
    ap.add_argument("--apart", action="store_true", help="one peer at a time in memory; for large models")
    ap.add_argument("--compile-batch", action="store_true", help="torch.compile at batch 8 too (compiles anew)")
    a = ap.parse_args()
    a.peers = a.peers.split(",") if a.peers else list(PEERS)
    for p in a.peers:
        if p not in PEERS + GUIDED:
            ap.error(f"unknown peer {p!r}; there are {', '.join(PEERS + GUIDED)}")
    if a.isa != "best" and not set(a.peers) & set(CAPPED):
        ap.error(f"none of these peers can be capped to AVX2 from outside; of {', '.join(CAPPED)} name one")
    if a.apart:
        a.batch_rounds = a.study_rounds = 0
    for n in ("rounds", "evals", "cold", "threads", "batch", "decodes"):
        if getattr(a, n) < 1:
            ap.error(f"--{n} must be at least 1")
    if not shutil.which(a.ldm):
        ap.error(f"{a.ldm} isn't there; build it with make, or name it with --ldm")
    return a


def prepare(a: argparse.Namespace, log) -> None:
    """Checkpoint and ONNX files, made once; kept under a name that changes with their source."""
    import networks
    a.cache.mkdir(parents=True, exist_ok=True)
    p = networks.params(a.config)
    a.shape, a.context = networks.latent(p), networks.context(p)
    a.quantizes = "n_embed" in p["first_stage_config"]["params"]
    if not a.ckpt:
        half = ["--half"] if a.context else []  # as each kind is published
        a.ckpt = str(a.cache / (Path(a.config).stem + ".ckpt"))
        if not os.path.exists(a.ckpt):
            say(f"writing {a.ckpt}")
            subprocess.run([sys.executable, str(HERE / "make_ckpt.py"), a.config, a.ckpt, *half], check=True)
    st = os.stat(a.ckpt)
    a.onnx = a.cache / f"onnx-{st.st_size}-{st.st_mtime_ns}"
    if set(FROM_ONNX) & set(a.peers) and not a.onnx.exists():
        say("exporting to ONNX")
        part = a.onnx.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        subprocess.run([sys.executable, str(HERE / "export_onnx.py"), a.config, a.ckpt, str(part)], check=True,
                       stdout=log, stderr=log)
        part.rename(a.onnx)


def measure(a: argparse.Namespace, isa: str, log) -> dict:
    """One comparison with one instruction set. Capped it is about evaluations and decodes alone."""
    a = argparse.Namespace(**vars(a))
    a.isa = isa
    capped = isa == "avx2"
    if capped:
        a.peers = [p for p in a.peers if p in CAPPED]
        a.cold, a.batch_rounds, a.study_rounds = 1, 0, 0
    say(f"instruction set: {isa}")
    run = Run(a, a.cache, log)
    if "compile" in a.peers and not shutil.which(os.environ.get("CXX", "g++")):
        run.failed["compile"] = "needs a C++ compiler (g++)"
    try:
        run.all()
    finally:
        for w in run.workers.values():
            w.stop()
    return dict(isa=run.isa, capped=capped, rows=run.rows, agree=run.agree, failed=run.failed)


def main() -> None:
    a = arguments()
    a.cache.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    with open(a.cache / "log.txt", "w") as log:
        prepare(a, log)
        runs = [measure(a, isa, log) for isa in (["best", "avx2"] if a.isa == "both" else [a.isa])]
    name, slug = processor()
    facts = dict(
        cpu=name, threads=a.threads, rounds=a.rounds, date=time.strftime("%Y-%m-%d", time.gmtime()),
        config=Path(a.config).stem, batch=a.batch,
        ldm=subprocess.run([a.ldm, "--version"], text=True, capture_output=True).stdout.strip(),
        versions=", ".join(version(p) for p in dict.fromkeys(PACKAGES[q] for q in a.peers)))
    a.out.mkdir(parents=True, exist_ok=True)
    stem = a.out / (f"{slug}-{a.threads}t" + (f"-{Path(a.config).stem}" if a.context else ""))
    report.write(stem, facts, runs)
    print(stem.with_name(stem.name + ".md").read_text())
    say(f"took {(time.monotonic() - begin) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
