# SPDX-License-Identifier: MIT
"""Stage 3: trains the denoising UNet on the latents of the renders and their mirror images.

The network predicts v, as the text model's does. With eps, what it says of the noisiest x_t is x_t itself but for a few
thousandths, and what is amiss there is enlarged up to 80 times in x_0.

The loss is the squared error of v, plus the same of its means over 4 x 4 latents: what is coarse decides whether the halves of a
face meet, and is a small part of the plain error. Resumes from its state; averages of the weights (EMA) are what is exported.

`--init MODEL` goes on from an exported model where no state is left: its averaged weights, an optimiser that knows
nothing yet, so a short warm-up to a lower rate than from nothing, and a log that is appended to.
"""
from __future__ import annotations

import argparse
import copy
import shutil
import time
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor

import ae
import common
import diffusion
import faces
import restore
import study
from nets import FirstStage, UNet

BUCKETS = [0, 50, 200, 400, 600, 800, 900, 950, 1000]


def first_stage(state: Path) -> FirstStage:
    """The trained autoencoder, frozen."""
    done = common.load(state / "ae_final.pt")
    if done is None:
        raise SystemExit(f"{state}/ae_final.pt is missing: train the autoencoder first (ae.py)")
    net = FirstStage(entries=done["entries"])
    net.load_state_dict(done["net"])
    return net.eval().requires_grad_(False)


def encode(a: argparse.Namespace) -> None:
    """This worker's part of the latents times the scale factor, (N / workers, 3, s, s) float16, to a file."""
    pics, first = np.load(a.state / "renders.npy", mmap_mode="r"), first_stage(a.state)
    for flip in range(1 + a.flips):
        path = part(a, flip, common.rank())
        if path.exists():
            continue
        lo, hi = (len(pics) * (common.rank() + k) // common.workers() for k in (0, 1))
        with common.autocast():
            z = ae.latents(first, pics[lo:hi], flip=bool(flip)).float() * diffusion.SCALE_FACTOR
        with open(str(path) + ".part", "wb") as f:
            np.save(f, z.half().numpy())
        Path(str(path) + ".part").rename(path)


def part(a: argparse.Namespace, flip: int, rank: int) -> Path:
    return a.state / f"latents_{'flip' if flip else 'same'}_{rank}_of_{a.workers}.npy"


def coarse(e: Tensor) -> Tensor:
    """Error e (B, 3, s, s) -> the mean square (B,) of its means over 4 x 4."""
    return nnf.avg_pool2d(e, 4).square().mean((1, 2, 3))


def arguments() -> argparse.Namespace:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--state", type=Path, default=common.STATE)
    ap.add_argument("--logs", type=Path, default=common.MODEL)
    ap.add_argument("--minutes", type=float, default=150, help="of this run: what --init's model has used comes on top")
    ap.add_argument("--init", type=Path, help="folder of an exported model to go on from where there is no state")
    ap.add_argument("--batch", type=int, default=64, help="latents a worker and step")
    ap.add_argument("--workers", type=int, default=2)
    ap.add_argument("--lr", type=float, default=0.02)
    ap.add_argument("--adam-lr", type=float, default=0.001)
    ap.add_argument("--again", type=float, default=0.5, help="factor on both rates with --init")
    ap.add_argument("--width", type=int, default=common.UNET["width"], help="of a new UNet, as the next two; a state's own form takes precedence")
    ap.add_argument("--mult", type=int, nargs="+", default=common.UNET["mult"])
    ap.add_argument("--blocks", type=int, default=common.UNET["blocks"], help="residual blocks a level")
    ap.add_argument("--flips", type=int, default=1, help="1: mirror images too")
    ap.add_argument("--coarse", type=float, default=2, help="weight of the loss's second part")
    ap.add_argument("--ema", type=float, default=0.998)
    ap.add_argument("--compile", type=int, default=int(shutil.which("g++") is not None),
                    help="1: torch.compile, a third faster after a minute; needs g++")
    ap.add_argument("--every", type=float, default=240, help="seconds between states")
    ap.add_argument("--cascade", default=study.CASCADE)
    ap.add_argument("--seed", type=int, default=4)
    return ap.parse_args()


def train(a: argparse.Namespace) -> None:
    torch.manual_seed(a.seed)
    chief = common.rank() == 0
    first = first_stage(a.state)
    data = torch.from_numpy(np.concatenate([np.load(part(a, f, r)) for f in range(1 + a.flips) for r in range(a.workers)])).float()
    if chief:
        print(f"{len(data)} latents, std {data.std():.3f}, by channel {data.std((0, 2, 3)).tolist()}", flush=True)
    detector = study.detector(a.cascade)
    path = a.state / "ldm.pt"
    old = common.load(path)
    if old is None and a.init:
        old = restore.unet_state(a.init, {})
    form = old["form"] if old else dict(width=a.width, mult=tuple(a.mult), blocks=a.blocks)
    net = UNet(**form)
    opt = common.Muon(net, a.lr, a.adam_lr, skip=("input_blocks.0", "out."))
    ema = copy.deepcopy(net).requires_grad_(False)
    step, used, before, begin = 0, 0.0, [], "random weights"      # of this run; `before` as restore.runs gives it
    if old is not None:
        net.load_state_dict(old["net"])
        ema.load_state_dict(old["ema"])
        if old["opt"]:
            opt.load_state_dict(old["opt"])
        step, used, before, begin = old["step"], old["used"], old.get("before", []), old.get("begin", begin)
        if chief:
            print(f"resumes at step {step}, {used / 60:.1f} minutes, after {len(before)} other runs", flush=True)
    factor = a.again if before else 1.0
    old_steps, old_minutes = sum(r["steps"] for r in before), sum(r["minutes"] for r in before)
    # compiled kernels want the channels last; the parameters stay the same ones, so states and averages do not notice
    order = torch.channels_last if a.compile else torch.contiguous_format
    run = torch.compile(net.to(memory_format=order)) if a.compile else net
    names = [f"v_{lo}_{hi}" for lo, hi in zip(BUCKETS, BUCKETS[1:])]
    log = chief and common.Log(a.logs / "ldm.csv", ["minutes", "step", "loss", *names, "faces", "rate", "speed"], old is None)
    ac = diffusion.buffers()["alphas_cumprod"]
    gen = torch.Generator().manual_seed((a.seed * 1000003 + old_steps + step) * 64 + common.rank())
    budget = common.Budget(a.minutes, used)
    share, seen, total, mark, saved = budget.tick(), 0, 0.0, time.time(), time.time()
    sums, counts = torch.zeros(len(names)), torch.zeros(len(names))
    edges = torch.tensor(BUCKETS[1:-1])
    while share < 1:
        opt.rate(factor * common.cosine(share, warm=0.02, floor=0.005))
        x0 = data[torch.randint(len(data), (a.batch,), generator=gen)]
        t = diffusion.pick_times(a.batch, gen)
        xt, v = diffusion.noised(x0, torch.randn(x0.shape, generator=gen), t, ac)
        with common.autocast():
            out = run(xt.contiguous(memory_format=order), t)
        e = out.float() - v
        each = e.square().mean((1, 2, 3))
        loss = (each + a.coarse * coarse(e)).mean()
        loss.backward()
        share = common.share_gradients(net, budget.tick())
        torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
        step, seen, total = step + 1, seen + 1, total + float(loss.detach())
        decay = min(a.ema, (1 + old_steps + step) / (10 + old_steps + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(ema.parameters()), list(net.parameters()), 1 - decay)
            where = torch.bucketize(t, edges, right=True)
            sums.index_add_(0, where, each.detach())
            counts.index_add_(0, where, torch.ones(a.batch))
        if chief and (time.time() - saved > a.every or share >= 1):
            speed = seen * a.batch * common.workers() / (time.time() - mark)
            common.save(path, dict(net=net.state_dict(), ema=ema.state_dict(), opt=opt.state_dict(), step=step, used=budget.used, before=before,
                                   form=form, flips=a.flips, batch=a.batch * common.workers(), budget=a.minutes,
                                   factor=factor, begin=begin, latents=len(data)))
            with common.autocast():
                shots = common.to_uint8(diffusion.sample(ema, first, 64, 25).float())
            found = int(study.hits(shots, detector).sum())
            cv2.imwrite(str(a.state / "ldm.png"), faces.sheet(shots, 8, 2)[..., ::-1])
            log.row(minutes=old_minutes + budget.used / 60, step=old_steps + step, loss=total / seen, faces=found, rate=opt.param_groups[0]["lr"], speed=speed,
                    **dict(zip(names, (sums / counts.clamp(min=1)).tolist())))
            budget.tick()
            seen, total, mark, saved = 0, 0.0, time.time(), time.time()
            sums.zero_()
            counts.zero_()
    if chief:
        print(f"ldm: {step} steps, {budget.used / 60:.1f} minutes")


if __name__ == "__main__":
    options = arguments()
    parts = [part(options, f, r) for f in range(1 + options.flips) for r in range(options.workers)]
    if not all(p.exists() for p in parts):
        common.launch(encode, options, options.workers)
    common.launch(train, options, options.workers)
