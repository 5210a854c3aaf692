# SPDX-License-Identifier: MIT
"""Patchiness: is a picture of one piece, or are its parts of different portraits?

    python patchy.py train                         # patchy.pt, and how well it tells held-out renders from patched ones
    python patchy.py measure                       # threshold and kinds again, where the autoencoder is another than it was trained with
    python patchy.py pictures FILE.npy             # share of stored pictures (N, 64, 64, 3) uint8 that it calls patched

A small network learns to tell whole pictures from patched ones: parts of the face (a half, an eye, the mouth, a stripe of hair)
taken from another portrait and blended in, at full strength or half. Whole pictures are renders and what the autoencoder
makes of them and of noisy latents, so softness and the decoder's own marks count for nothing. The threshold is set so that one in
fifty of held-out whole pictures is called patched; `train` prints how many patched ones are found then, by kind of patch.
"""
from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor

import common
import judge
import kl
import text
from judge import Judge, soften

KINDS = ("half", "eye", "mouth", "hair", "half strength")


class Whole(Judge):
    """(B, 3, 64, 64) -> (B,): above 0 what looks patched."""

    def __init__(self):
        super().__init__()
        self.heads = torch.nn.ModuleDict({"patched": torch.nn.Linear(192, 1)})

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)["patched"][:, 0]


def mask(kind: str, g: np.random.Generator) -> np.ndarray:
    """Where the other portrait shows, (64, 64) in 0..1, soft at its edge."""
    y, x = np.mgrid[0:64, 0:64].astype(np.float32)
    if kind == "half":
        angle, at = g.uniform(0, 2 * np.pi), g.uniform(-8, 8)
        d = (x - 32) * np.cos(angle) + (y - 30) * np.sin(angle) - at
    else:
        cx, cy, rx, ry = {"eye": (26 if g.random() < 0.5 else 38, 31, 7, 5), "mouth": (32, 45, 10, 5), "hair": (32, 12, 22, 9)}[kind]
        cx, cy = cx + g.uniform(-2, 2), cy + g.uniform(-2, 2)
        d = (1 - np.hypot((x - cx) / rx, (y - cy) / ry)) * min(rx, ry)
    return 1 / (1 + np.exp(-d / g.uniform(0.6, 1.5)))


def patched(pics: Tensor, g: np.random.Generator, kind: str | None = None) -> Tensor:
    """Each picture with a part of another one of the batch."""
    other = pics.roll(1, 0)
    out = []
    for a, b in zip(pics, other):
        k = kind or KINDS[g.integers(len(KINDS))]
        strength = g.uniform(0.45, 0.6) if k == "half strength" else 1.0
        m = torch.from_numpy(mask("half" if k == "half strength" else k, g)).float() * strength
        out.append(a + (b - a) * m)
    return torch.stack(out)


@torch.no_grad()
def scores(net: Whole, pics: np.ndarray) -> np.ndarray:
    return torch.cat([net(common.batch(pics, np.arange(i, min(i + 128, len(pics))))) for i in range(0, len(pics), 128)]).numpy()


def softened(pics: np.ndarray, first: kl.KlStage, count: int, g: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (2 count, 64, 64, 3): pictures, every other one patched, as the autoencoder makes them; and which are patched."""
    out = []
    for n in range(0, count, 32):
        x = common.batch(pics, np.sort(g.integers(len(pics), size=32)))[torch.from_numpy(g.permutation(32))]
        with common.autocast():
            soft = soften(torch.cat([x, patched(x, g)]), first, g)
        out.append(common.to_uint8(soft.float()))
    return np.concatenate(out), np.tile(np.repeat([0, 1], 32), len(out)).astype(np.float32)


def train(a: argparse.Namespace) -> None:
    torch.manual_seed(1)
    pics = np.concatenate([np.load(p, mmap_mode="r") for p in kl.renders(a.state)[:2]])
    first = text.first_stage(a.state, sharp=True)
    net, g = Whole(), np.random.default_rng(7)
    opt = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=0.02)
    pool, is_patched = softened(pics, first, a.soft, g)                 # made once: the autoencoder costs ten times this network
    print(f"patchy: {len(pool)} softened pictures", flush=True)
    gen, began, step = torch.Generator().manual_seed(2), time.time(), 0
    while (share := (time.time() - began) / (a.minutes * 60)) < 1:
        opt.param_groups[0]["lr"] = 2e-3 * common.cosine(share, warm=0.03)
        if step % 2:
            pick = np.sort(g.integers(len(pool), size=64))
            both, true = common.batch(pool, pick), torch.from_numpy(is_patched[pick])
        else:
            x = common.batch(pics, np.sort(g.integers(len(pics), size=32)))[torch.from_numpy(g.permutation(32))]
            both, true = torch.cat([x, patched(x, g)]), torch.cat([torch.zeros(32), torch.ones(32)])
        with common.autocast():
            out = net(judge.worn(both, gen))
        loss = nnf.binary_cross_entropy_with_logits(out.float(), true)
        opt.zero_grad()
        loss.backward()
        opt.step()
        step += 1
        if step % 500 == 0:
            print(f"step {step}: {loss.item():.3f}", flush=True)
    keep(a, net, step, a.soft)


@torch.no_grad()
def keep(a: argparse.Namespace, net: Whole, steps: int, soft: int) -> None:
    """Sets the limit on held-out renders, plain and as the autoencoder makes them, measures what it finds, and writes patchy.pt."""
    net.eval()
    held, first, g = np.load(a.state / "heldout.npy"), text.first_stage(a.state, sharp=True), np.random.default_rng(8)
    whole = common.batch(held, np.arange(len(held)))
    clean = torch.cat([net(whole), net(soften(whole, first, g))]).numpy()
    limit = float(np.quantile(clean, 0.98))
    found = {k: float((net(soften(patched(whole, g, k), first, g)).numpy() > limit).mean()) for k in KINDS}
    common.save(a.state / "patchy.pt", dict(net=net.state_dict(), limit=limit, found=found, steps=steps, soft=soft))
    print(f"patchy: {steps} steps; at 2 % of whole pictures, it finds " + ", ".join(f"{k} {100 * v:.0f} %" for k, v in found.items()))


def load(state: Path) -> tuple[Whole, dict]:
    done = common.load(state / "patchy.pt")
    if done is None:
        raise SystemExit(f"{state}/patchy.pt is missing: patchy.py train")
    net = Whole()
    net.load_state_dict(done["net"])
    return net.eval(), done


def share(state: Path, pics: np.ndarray) -> float:
    """Share of the pictures that are called patched; 0.02 of whole ones are."""
    net, done = load(state)
    return float((scores(net, pics) > done["limit"]).mean())


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("what", choices=["train", "measure", "pictures"])
    ap.add_argument("file", type=Path, nargs="?")
    ap.add_argument("--state", type=Path, default=Path("build/text"))
    ap.add_argument("--minutes", type=float, default=12)
    ap.add_argument("--soft", type=int, default=8192, help="whole pictures, and as many patched ones, that go through the autoencoder")
    a = ap.parse_args()
    torch.set_num_threads(1)
    if a.what == "train":
        train(a)
    elif a.what == "measure":
        net, done = load(a.state)
        keep(a, net, done["steps"], done["soft"])
    else:
        print(f"{a.file}: {100 * share(a.state, np.load(a.file)):.1f} % patched")


if __name__ == "__main__":
    main()
