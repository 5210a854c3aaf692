# SPDX-License-Identifier: MIT
"""Text model, between stages 3 and 4: trains the autoencoder's decoder on, for sharp pictures.

As decoder.py does it for the demo model: the reconstruction's loss, and a discriminator of patches whose gradient is scaled to a
share of the other's; part of each batch are latents that the UNet has drawn (random captions, guided), judged by the
discriminator alone. Encoder and latents stay, so the UNet stays valid. Writes kl_sharp.pt, which the export prefers. Resumes from its state.
"""
from __future__ import annotations

import argparse
import copy
import random
import time
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as nnf

import ae
import captions
import common
import faces
import kl
import text
from decoder import Back, Patches, detail


def draw(a: argparse.Namespace) -> None:
    """This worker's part of the latents that the UNet draws."""
    path = part(a, common.rank())
    if path.exists():
        return
    done = common.load(a.state / "text_final.pt") or common.load(a.state / "text.pt")
    if done is None:
        raise SystemExit(f"{a.state} holds no trained UNet")
    net = text.Joint(**done["shape"]).requires_grad_(False)
    net.load_state_dict(done["ema"])
    grammar, tokens, g = captions.Grammar(a.model / "grammar.txt"), captions.Tokenizer(a.model / "vocab.txt"), random.Random(a.seed * 64 + common.rank())
    out = []
    for n in range(max(1, a.drawn // (32 * common.workers()))):
        ids = torch.tensor([tokens(grammar.caption(grammar.draw(g), g)) for _ in range(32)])
        with common.autocast():
            out.append(text.guided_latents(net, ids, torch.tensor(tokens("")), a.guidance, a.steps, a.seed * 1000 + n * 64 + common.rank(),
                                           done["predict"]).half())
    with open(str(path) + ".part", "wb") as f:
        np.save(f, torch.cat(out).numpy())
    Path(str(path) + ".part").rename(path)


def part(a: argparse.Namespace, rank: int) -> Path:
    return a.state / f"drawn_{rank}_of_{a.workers}.npy"


def arguments() -> argparse.Namespace:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--state", type=Path, default=Path("build/text"))
    ap.add_argument("--model", type=Path, default=Path("models/portrait"))
    ap.add_argument("--minutes", type=float, default=8)
    ap.add_argument("--batch", type=int, default=8, help="pictures a worker and step, the drawn ones among them")
    ap.add_argument("--own", type=int, default=2, help="pictures of each batch that the UNet has drawn")
    ap.add_argument("--drawn", type=int, default=512, help="latents that the UNet draws for that")
    ap.add_argument("--steps", type=int, default=20, help="DDIM steps they take")
    ap.add_argument("--guidance", type=float, default=2.5, help="and their guidance scale")
    ap.add_argument("--workers", type=int, default=2)
    ap.add_argument("--lr", type=float, default=6e-4)
    ap.add_argument("--judge-lr", type=float, default=1e-3)
    ap.add_argument("--alone", type=int, default=60, help="steps that the discriminator learns before the decoder does")
    ap.add_argument("--gan", type=float, default=1.0, help="the discriminator's gradient as a share of the reconstruction's")
    ap.add_argument("--noise", type=float, default=0.15, help="noise on the latents, at most this share of their deviation")
    ap.add_argument("--ema", type=float, default=0.995)
    ap.add_argument("--every", type=float, default=150, help="seconds between states")
    ap.add_argument("--seed", type=int, default=15)
    return ap.parse_args()


def train(a: argparse.Namespace) -> None:
    torch.manual_seed(a.seed)
    chief = common.rank() == 0
    held = np.load(a.state / "heldout.npy")[:128]
    files = kl.renders(a.state)
    pics = [np.load(p, mmap_mode="r") for p in files]
    latents = [[np.load(text.latent_file(p, flip), mmap_mode="r") for p in files] for flip in (0, 1)]
    drawn = np.concatenate([np.load(part(a, r)) for r in range(a.workers)])
    first = text.first_stage(a.state)
    net, judge = Back(first).requires_grad_(True), Patches()
    opt = torch.optim.Adam(net.parameters(), a.lr, betas=(0.5, 0.95))
    judge_opt = torch.optim.Adam(judge.parameters(), a.judge_lr, betas=(0.5, 0.95))
    ema = copy.deepcopy(first).requires_grad_(False)
    step, used, path = 0, 0.0, a.state / "sharp.pt"
    things = (("net", net), ("judge", judge), ("opt", opt), ("judge_opt", judge_opt), ("ema", ema))
    if (old := common.load(path)) is not None:
        for name, thing in things:
            thing.load_state_dict(old[name])
        step, used = old["step"], old["used"]
    common.agree(judge)
    log = chief and common.Log(a.model / "decoder.csv", ["minutes", "step", "loss", "judge", "psnr", "detail", "rate", "speed"])
    weight, gen = ae.face_weight(64), np.random.default_rng([a.seed, step, common.rank()])
    count, true_detail = a.batch - a.own, detail(held)

    def real(n: int) -> tuple[torch.Tensor, np.ndarray]:
        """Pictures (n, 3, 64, 64) of the renders or their mirror images, and their latents."""
        x, z = [], []
        for _ in range(n):
            k, flip = int(gen.integers(len(files))), int(gen.integers(2))
            i = int(gen.integers(len(pics[k])))
            x.append(common.batch(pics[k], np.array([i]), np.array([bool(flip)])))
            z.append(latents[flip][k][i])
        return torch.cat(x), np.stack(z)

    budget = common.Budget(a.minutes, used)
    share, seen, sums, mark, saved = budget.tick(), 0, np.zeros(2), time.time(), time.time()
    while share < 1:
        rate = common.cosine(share, warm=0.03)
        opt.param_groups[0]["lr"], judge_opt.param_groups[0]["lr"] = a.lr * rate, a.judge_lr * max(rate, 0.2)
        x, z = real(count)
        z = torch.from_numpy(np.concatenate([z, drawn[gen.integers(len(drawn), size=a.own)]])).float()
        jitter = torch.from_numpy(np.concatenate([gen.random(count) * (gen.random(count) < 0.5), np.zeros(a.own)])).float()
        z = z + jitter[:, None, None, None] * a.noise * torch.randn(z.shape)
        with common.autocast(), torch.set_grad_enabled(step >= a.alone):
            out = net(z).float()

        # the discriminator: as many real pictures as made ones
        with common.autocast():
            said = judge(torch.cat([x, real(a.own)[0], out.detach()])).float()
        judged = nnf.relu(1 - said[:a.batch]).mean() + nnf.relu(1 + said[a.batch:]).mean()
        judged.backward()
        share = common.share_gradients(judge, budget.tick())
        judge_opt.step()
        judge_opt.zero_grad(set_to_none=True)
        step, seen, sums[1] = step + 1, seen + 1, sums[1] + float(judged.detach())
        if step <= a.alone:
            continue

        # the decoder: both gradients at the picture, the discriminator's scaled to the other's size
        leaf = out.detach().requires_grad_(True)
        loss = ae.loss_of(leaf[:count], x, weight)
        pull, = torch.autograd.grad(loss, leaf)
        judge.requires_grad_(False)
        with common.autocast():
            liked = judge(leaf).float()
        push, = torch.autograd.grad(-liked.mean(), leaf)
        judge.requires_grad_(True)
        out.backward(pull + a.gan * pull[:count].norm() / push[:count].norm().clamp(min=1e-9) * push)
        share = common.share_gradients(net, budget.tick())
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
        sums[0] += float(loss.detach())
        with torch.no_grad():
            mine = [*ema.post_quant_conv.parameters(), *ema.decoder.parameters()]
            torch._foreach_lerp_(mine, list(net.parameters()), 1 - min(a.ema, (1 + step) / (10 + step)))
        if chief and (time.time() - saved > a.every or share >= 1):
            speed = seen * a.batch * common.workers() / (time.time() - mark)
            common.save(path, dict(step=step, used=budget.used, **{name: thing.state_dict() for name, thing in things}))
            psnr, recs = kl.measure(ema, held)
            log.row(minutes=budget.used / 60, step=step, loss=sums[0] / seen, judge=sums[1] / seen, psnr=psnr, detail=detail(recs) / true_detail,
                    rate=opt.param_groups[0]["lr"], speed=speed)
            with torch.no_grad():
                shots = common.to_uint8(ema.decode(torch.from_numpy(drawn[:32]).float()))
            pair = np.stack([held[:32], recs[:32], shots], 1).reshape(-1, *held.shape[1:])
            cv2.imwrite(str(a.state / "sharp.png"), faces.sheet(pair, 12, 2)[..., ::-1])
            budget.tick()
            seen, sums, mark, saved = 0, np.zeros(2), time.time(), time.time()
    if not chief:
        return
    psnr, _ = kl.measure(ema, np.load(a.state / "heldout.npy"))
    done = common.load(a.state / "kl_final.pt")
    done.update(net=ema.state_dict(), psnr=psnr, sharp=dict(steps=step, minutes=budget.used / 60, batch=a.batch * common.workers(), gan=a.gan))
    common.save(a.state / "kl_sharp.pt", done)
    print(f"decoder: {step} steps, held-out PSNR {psnr:.2f} dB")


if __name__ == "__main__":
    options = arguments()
    if not all(part(options, r).exists() for r in range(options.workers)):
        common.launch(draw, options, options.workers)
    common.launch(train, options, options.workers)
