# SPDX-License-Identifier: MIT
"""What both training stages share: the optimiser, the budget of time, states on disk, logs."""
from __future__ import annotations

import csv
import functools
import math
import os
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

STATE = Path(os.environ.get("LDM_TRAIN_DIR", "build/train"))
MODEL = Path("models/demo")
UNET = dict(width=64, mult=(1, 2, 2, 3), blocks=1)         # form of a new unconditional UNet; blocks: residual ones a level


class Muon(torch.optim.Optimizer):
    """Momentum whose step is made orthogonal (Newton-Schulz) for weight matrices, Adam for everything else.

    A convolution (o, i, k, k) counts as the matrix (o, i k k). `lr` is for matrices, `adam_lr` for the rest."""

    def __init__(self, model: nn.Module, lr: float, adam_lr: float, momentum: float = 0.95, skip: tuple = ()):
        mat, rest = [], []
        for name, p in model.named_parameters():
            small = p.ndim < 2 or min(p.shape[0], p[0].numel()) < 16 or any(name.startswith(s) for s in skip)
            (rest if small else mat).append(p)
        groups = [dict(params=mat, kind="muon", base=lr, lr=lr), dict(params=rest, kind="adam", base=adam_lr, lr=adam_lr)]
        super().__init__(groups, dict(momentum=momentum))

    def rate(self, factor: float) -> None:
        for g in self.param_groups:
            g["lr"] = g["base"] * factor

    @torch.no_grad()
    def step(self, closure=None) -> None:
        for g in self.param_groups:
            mine = []
            for n, p in enumerate(g["params"]):
                s = self.state[p]
                if g["kind"] == "adam":
                    if not s:
                        s["m"], s["v"], s["n"] = torch.zeros_like(p), torch.zeros_like(p), 0
                    s["n"] += 1
                    s["m"].lerp_(p.grad, 0.1)
                    s["v"].lerp_(p.grad.square(), 0.01)
                    step = (s["m"] / (1 - 0.9 ** s["n"])) / ((s["v"] / (1 - 0.99 ** s["n"])).sqrt() + 1e-8)
                    p.sub_(step, alpha=g["lr"])
                    continue
                if not s:
                    s["m"] = torch.zeros_like(p)
                s["m"].lerp_(p.grad, 1 - g["momentum"])
                d = p.grad.lerp(s["m"], g["momentum"]).reshape(p.shape[0], -1)
                if n % workers() == rank():                       # each worker makes its share of the matrices orthogonal
                    d = orthogonal(d) * (max(1.0, d.shape[0] / d.shape[1]) ** 0.5)
                else:
                    d = torch.zeros_like(d)
                mine.append(d.flatten())
            if mine:
                flat = torch.cat(mine)
                if workers() > 1:
                    dist.all_reduce(flat)
                for p, d in zip(g["params"], flat.split([p.numel() for p in g["params"]])):
                    p.sub_(d.view(p.shape), alpha=g["lr"])


@functools.cache
def quick() -> torch.dtype:
    """bfloat16 or float32, whichever multiplies matrices faster here: there are processors whose bfloat16 takes twice as long."""
    took = {}
    for kind in (torch.float32, torch.bfloat16):
        a = torch.ones(384, 384, dtype=kind)
        a @ a
        took[kind] = min(_seconds(a) for _ in range(5))
    return min(took, key=took.get)


def autocast(wanted: bool = True) -> torch.autocast:
    """bfloat16 where it is wanted and faster."""
    return torch.autocast("cpu", torch.bfloat16, enabled=wanted and quick() is torch.bfloat16)


def _seconds(a: Tensor) -> float:
    began = time.process_time_ns()
    for _ in range(4):
        a @ a
    return time.process_time_ns() - began


def orthogonal(g: Tensor) -> Tensor:
    """The nearest semi-orthogonal matrix of g (m, n), roughly: singular values go to about 1."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g if g.shape[0] <= g.shape[1] else g.t()
    x = (x / (x.norm() + 1e-7)).to(quick() if x.numel() > 4096 else x.dtype)
    for _ in range(5):
        s = x @ x.t()
        x = a * x + (b * s + c * (s @ s)) @ x
    return (x if g.shape[0] <= g.shape[1] else x.t()).to(g.dtype)


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def workers() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def keep_rank() -> None:
    """Gives the autogroup of this process (all processes since the last setsid, sched(7)) the niceness of the process: Linux shares
    time by autogroup, so a nice process in an autogroup of its own would count as much as all others together."""
    try:
        with open("/proc/self/autogroup", "w") as f:
            f.write(str(os.nice(0)))
    except OSError:
        pass                            # no such scheduler


def _worker(index: int, count: int, meeting: str, main, args) -> None:
    if count > 1:
        os.setsid()                     # an autogroup for each worker, see keep_rank
        keep_rank()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if count > 1:
        dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=index, world_size=count)
    main(args)
    if count > 1:
        dist.destroy_process_group()


def launch(main, args, count: int) -> None:
    """Runs main(args) in `count` processes of one thread each; they share every step's gradient.

    One thread a process keeps its pace when other work takes a core for a while: threads that meet after every
    layer do not."""
    if count < 2:
        return _worker(0, 1, "", main, args)
    meeting = Path(tempfile.mkdtemp()) / "meeting"
    torch.multiprocessing.start_processes(_worker, (count, str(meeting), main, args), nprocs=count, daemon=True, start_method="spawn")


def agree(net: nn.Module) -> None:
    """All workers take the first one's weights."""
    if workers() > 1:
        for p in net.parameters():
            dist.broadcast(p.data, 0)


def share_gradients(net: nn.Module, share: float) -> float:
    """Averages the gradients over the workers; returns the first worker's share of the time to all."""
    if workers() == 1:
        return share
    ps = [p for p in net.parameters()]
    for p in ps:
        if p.grad is None:
            p.grad = torch.zeros_like(p)
    flat = torch.cat([p.grad.flatten() for p in ps] + [torch.tensor([share * workers() if rank() == 0 else 0.0])])
    dist.all_reduce(flat)
    flat /= workers()
    for p, g in zip(ps, flat[:-1].split([p.numel() for p in ps])):
        p.grad.copy_(g.view(p.shape))
    return float(flat[-1])


class Budget:
    """Share of the stage's time that is used, 0..1, over interruptions."""

    def __init__(self, minutes: float, used: float = 0.0):
        self.total, self.used, self.mark = minutes * 60, used, time.time()

    def tick(self) -> float:
        now = time.time()
        self.used += now - self.mark
        self.mark = now
        return min(self.used / self.total, 1.0) if self.total else 1.0


def cosine(f: float, warm: float = 0.01, floor: float = 0.01) -> float:
    """Learning rate factor at the share f of the time."""
    if f < warm:
        return 0.05 + 0.95 * f / warm
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * (f - warm) / (1 - warm)))


def save(path: Path, state: dict) -> None:
    """Writes beside the file, then renames, so that a kill leaves the old state whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, str(path) + ".part")
    os.replace(str(path) + ".part", path)


def load(path: Path) -> dict | None:
    return torch.load(path, map_location="cpu", weights_only=False) if path.exists() else None


class Log:
    """A CSV that is appended to, or begun anew; the header is written once."""

    def __init__(self, path: Path, columns: list[str], anew: bool = False):
        path.parent.mkdir(parents=True, exist_ok=True)
        new = anew or not path.exists()
        self.file, self.columns = open(path, "w" if new else "a", newline=""), columns
        self.out = csv.writer(self.file)
        if new:
            self.out.writerow(columns)

    def row(self, **values: float) -> None:
        self.out.writerow([f"{values[c]:.6g}" for c in self.columns])
        self.file.flush()
        print(" ".join(f"{c}={values[c]:.4g}" for c in self.columns), flush=True)


def batch(pics: np.ndarray, idx: np.ndarray, flip: np.ndarray | None = None) -> Tensor:
    """uint8 (N, H, W, 3) -> float (B, 3, H, W) in [-1, 1]."""
    x = torch.from_numpy(np.ascontiguousarray(pics[idx])).permute(0, 3, 1, 2).float() / 127.5 - 1
    if flip is not None:
        m = torch.from_numpy(flip)
        x[m] = x[m].flip(3)
    return x


def to_uint8(x: Tensor) -> np.ndarray:
    """(B, 3, H, W) in [-1, 1] -> (B, H, W, 3) uint8, truncated as CompVis' custom_to_pil does."""
    return ((x.clamp(-1, 1) + 1) / 2 * 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
