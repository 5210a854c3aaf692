# SPDX-License-Identifier: MIT
"""Stage 4: trains the decoder on, for sharp pictures.

What the first stage's loss rewards is a mean over all pictures that fit the latents: soft, and nearer to other renders
than a render is. So the decoder and post_quant_conv go on with VQGAN's recipe: the same loss, and a small discriminator of
patches (hinge) whose gradient is scaled to a share of the other's. Encoder, quant_conv and codebook stay, so latents and UNet
stay valid. What the discriminator's layers see has to be what they see in the render (`--match`): that helps when it has long
learned to tell the two apart. The latents get some noise before the codebook, and a part of each batch are the UNet's own samples,
which have no original and only the discriminator as judge: what is drawn later must look sharp, not only what was encoded.
Resumes from its state; the average of the weights (EMA) is what is exported.
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
from torch import Tensor, nn

import ae
import card
import common
import diffusion
import faces
import ldm
from nets import FirstStage, UNet


class Patches(nn.Module):
    """(B, 3, S, S) -> (B, 1, S/4, S/4): above 0 what looks like a render; each output sees 20x20 pixels.

    It gets the picture's difference from its local mean beside it, enlarged: in a hundred steps it then tells reconstructions
    of 32 dB from renders, which it does not from the pictures alone, nor when its own layers normalise what they see. The
    first layer works at full resolution, so that speckles and checkerboards are seen too."""

    def __init__(self, width: int = 32):
        super().__init__()
        w = width
        self.layers = nn.Sequential(
            nn.Conv2d(6, w, 3, padding=1), nn.LeakyReLU(0.2),
            nn.Conv2d(w, 2 * w, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
            nn.Conv2d(2 * w, 4 * w, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
            nn.Conv2d(4 * w, 1, 3, padding=1))
        for m in self.layers:
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, 0.2)
                nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.seen(x)[-1]

    def seen(self, x: Tensor) -> list[Tensor]:
        """What each of the convolutions but the last makes of x, rectified, and the answer."""
        h, found = torch.cat([x, 4 * (x - nnf.avg_pool2d(x, 3, 1, 1, count_include_pad=False))], 1), []
        for layer in self.layers:
            h = layer(h)
            if isinstance(layer, nn.LeakyReLU):
                found.append(h)
        return found + [h]


class Back(nn.Module):
    """What is trained of the first stage: codes (B, 3, s, s) -> pictures."""

    def __init__(self, first: FirstStage):
        super().__init__()
        self.post_quant_conv, self.decoder = first.post_quant_conv, first.decoder

    def forward(self, z: Tensor) -> Tensor:
        return self.decoder(self.post_quant_conv(z))


def answer(judge: Patches, made: Tensor, loss: Tensor, real: Tensor, gan: float, match: float) -> Tensor:
    """The gradient at pictures made (B, 3, S, S): that of the loss, which the first ones have with the renders real (n, 3, S, S), and, as shares
    gan and match of its size, that of what the discriminator says and of what its layers see otherwise than in the renders."""
    count = len(real)
    pull, = torch.autograd.grad(loss, made)
    judge.requires_grad_(False)
    with common.autocast():
        layers = judge.seen(made)
        with torch.no_grad():
            true = judge.seen(real)
    apart = sum((s[:count].float() - t.float()).abs().mean() / t.float().abs().mean() for s, t in zip(layers[:-1], true))
    push, = torch.autograd.grad(-layers[-1].float().mean(), made, retain_graph=True)
    alike, = torch.autograd.grad(apart, made)
    judge.requires_grad_(True)
    size = pull[:count].norm()
    return pull + gan * size / push[:count].norm().clamp(min=1e-9) * push + match * size / alike.norm().clamp(min=1e-9) * alike


@torch.no_grad()
def codes(first: FirstStage, z: Tensor) -> Tensor:
    """Nearest entries (B, 3, s, s) of latents; a few pictures at a time, so that the distances stay in the cache."""
    return torch.cat([first.quantize(part)[0] for part in z.split(2)])


def detail(pics: np.ndarray) -> float:
    """Mean square of the Laplacian: what a soft picture lacks. The log has it as a share of the renders' own."""
    f = pics.astype(np.float32).mean(3) / 255
    lap = 4 * f[:, 1:-1, 1:-1] - f[:, :-2, 1:-1] - f[:, 2:, 1:-1] - f[:, 1:-1, :-2] - f[:, 1:-1, 2:]
    return float(np.square(lap).mean())


def draw(a: argparse.Namespace) -> None:
    """Latents that the UNet draws (this worker's part), for the discriminator to judge their pictures."""
    path = part(a, common.rank())
    if path.exists():
        return
    state = common.load(a.state / "ldm.pt")
    net = UNet(**state["form"])
    net.load_state_dict(state["ema"])
    gen = torch.Generator().manual_seed(a.seed * 64 + common.rank())
    out = []
    with common.autocast():
        for _ in range(a.drawn // (64 * common.workers())):
            noise = torch.randn(64, 3, 16, 16, generator=gen)
            out.append(diffusion.latents(net, noise, a.steps).half())
    with open(str(path) + ".part", "wb") as f:
        np.save(f, torch.cat(out).numpy())
    Path(str(path) + ".part").rename(path)


def part(a: argparse.Namespace, rank: int) -> Path:
    return a.state / f"drawn_{rank}_of_{a.workers}.npy"


def arguments() -> argparse.Namespace:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--state", type=Path, default=common.STATE)
    ap.add_argument("--logs", type=Path, default=common.MODEL)
    ap.add_argument("--minutes", type=float, default=12)
    ap.add_argument("--batch", type=int, default=8, help="pictures a worker and step, the drawn ones among them")
    ap.add_argument("--own", type=int, default=2, help="pictures of each batch that the UNet has drawn")
    ap.add_argument("--drawn", type=int, default=1024, help="latents that the UNet draws for that")
    ap.add_argument("--steps", type=int, default=25, help="DDIM steps they take")
    ap.add_argument("--workers", type=int, default=2)
    ap.add_argument("--lr", type=float, default=4e-4)
    ap.add_argument("--judge-lr", type=float, default=1e-3)
    ap.add_argument("--alone", type=int, default=60, help="steps that the discriminator learns before the decoder does")
    ap.add_argument("--gan", type=float, default=2.0, help="the discriminator's gradient as a share of the reconstruction's")
    ap.add_argument("--match", type=float, default=1.5, help="the gradient of what its layers see otherwise than in the render, as a share of the reconstruction's")
    ap.add_argument("--noise", type=float, default=0.15, help="noise on the latents, at most this share of their deviation")
    ap.add_argument("--ema", type=float, default=0.995)
    ap.add_argument("--compile", type=int, default=int(shutil.which("g++") is not None))
    ap.add_argument("--every", type=float, default=150, help="seconds between states")
    ap.add_argument("--seed", type=int, default=5)
    return ap.parse_args()


def train(a: argparse.Namespace) -> None:
    torch.manual_seed(a.seed)
    chief = common.rank() == 0
    pics, held = np.load(a.state / "renders.npy", mmap_mode="r"), np.load(a.state / "heldout.npy")
    first = ldm.first_stage(a.state)
    net, judge = Back(first).requires_grad_(True), Patches()
    opt = torch.optim.Adam(net.parameters(), a.lr, betas=(0.5, 0.95))
    judge_opt = torch.optim.Adam(judge.parameters(), a.judge_lr, betas=(0.5, 0.95))
    ema = copy.deepcopy(first).requires_grad_(False)
    step, used = 0, 0.0
    path = a.state / "decoder.pt"
    if (old := common.load(path)) is not None:
        for name, thing in (("net", net), ("judge", judge), ("opt", opt), ("judge_opt", judge_opt), ("ema", ema)):
            thing.load_state_dict(old[name])
        step, used = old["step"], old["used"]
        if chief:
            print(f"resumes at step {step}, {used / 60:.1f} minutes", flush=True)
    common.agree(judge)
    latents = [np.concatenate([np.load(ldm.part(a, flip, r), mmap_mode="r") for r in range(a.workers)]) for flip in (0, 1)]
    drawn = np.concatenate([np.load(part(a, r)) for r in range(a.workers)])
    form = torch.channels_last if a.compile else torch.contiguous_format
    run = torch.compile(net.to(memory_format=form)) if a.compile else net
    log = chief and common.Log(a.logs / "decoder.csv", ["minutes", "step", "loss", "judge", "psnr", "detail", "nearest", "rate", "speed"], old is None)
    weight = ae.face_weight(pics.shape[1])
    gen = np.random.default_rng([a.seed, step, common.rank()])
    count = a.batch - a.own                                            # pictures with an original
    if chief:
        pool, test = np.asarray(pics[:20000]), held[:128]
        true_detail, true_near = detail(test), np.median(card.nearest(test, pool))
    budget = common.Budget(a.minutes, used)
    share, seen, sums, mark, saved = budget.tick(), 0, np.zeros(2), time.time(), time.time()
    while share < 1:
        rate = common.cosine(share, warm=0.03)
        opt.param_groups[0]["lr"], judge_opt.param_groups[0]["lr"] = a.lr * rate, a.judge_lr * max(rate, 0.2)
        idx, flip = np.sort(gen.integers(len(pics), size=count)), gen.random(count) < 0.5
        x = common.batch(pics, idx, flip)
        z = np.stack([latents[int(f)][i] for f, i in zip(flip, idx)] + [drawn[i] for i in gen.integers(len(drawn), size=a.own)])
        z = torch.from_numpy(z).float() / diffusion.SCALE_FACTOR
        jitter = torch.from_numpy(np.concatenate([gen.random(count) * (gen.random(count) < 0.5), np.zeros(a.own)])).float()
        z = z + jitter[:, None, None, None] * (a.noise * ae.LATENT_STD) * torch.randn(z.shape)
        z = codes(first, z).contiguous(memory_format=form)
        with common.autocast(), torch.set_grad_enabled(step >= a.alone):
            out = run(z).float()

        # the discriminator: as many real pictures as made ones
        real = common.batch(pics, np.sort(gen.integers(len(pics), size=a.own)), gen.random(a.own) < 0.5)
        with common.autocast():
            said = judge(torch.cat([x, real, out.detach()])).float()
        judged = nnf.relu(1 - said[:a.batch]).mean() + nnf.relu(1 + said[a.batch:]).mean()
        judged.backward()
        share = common.share_gradients(judge, budget.tick())
        judge_opt.step()
        judge_opt.zero_grad(set_to_none=True)
        step, seen, sums[1] = step + 1, seen + 1, sums[1] + float(judged.detach())
        if step <= a.alone:
            continue

        leaf = out.detach().requires_grad_(True)
        loss = ae.loss_of(leaf[:count], x, weight)
        out.backward(answer(judge, leaf, loss, x, a.gan, a.match))
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
            common.save(path, dict(net=net.state_dict(), judge=judge.state_dict(), opt=opt.state_dict(), judge_opt=judge_opt.state_dict(),
                                   ema=ema.state_dict(), step=step, used=budget.used))
            psnr, _, recs = ae.measure(ema, test, True)
            shots = common.to_uint8(ema.decode(torch.from_numpy(drawn[:32]).float() / diffusion.SCALE_FACTOR))
            log.row(minutes=budget.used / 60, step=step, loss=sums[0] / seen, judge=sums[1] / seen, psnr=psnr,
                    detail=detail(recs) / true_detail, nearest=float(np.median(card.nearest(recs, pool)) / true_near),
                    rate=opt.param_groups[0]["lr"], speed=speed)
            pair = np.stack([held[:32], recs[:32], shots], 1).reshape(-1, *held.shape[1:])
            cv2.imwrite(str(a.state / "decoder.png"), faces.sheet(pair, 12, 2)[..., ::-1])
            budget.tick()
            seen, sums, mark, saved = 0, np.zeros(2), time.time(), time.time()
    if not chief:
        return
    psnr, used_codes, _ = ae.measure(ema, held, True)
    done = common.load(a.state / "ae_final.pt")
    own = dict(steps=step, batch=a.batch * common.workers(), minutes=budget.used / 60, budget=a.minutes, gan=a.gan, match=a.match, pictures=len(pics))
    done.update(net=ema.state_dict(), psnr=psnr, codes=used_codes, decoder_runs=done.get("decoder_runs", []) + [own])
    common.save(a.state / "decoder_final.pt", done)
    print(f"decoder: {step} steps, held-out PSNR {psnr:.2f} dB over {len(held)}")


if __name__ == "__main__":
    options = arguments()
    if not all(part(options, r).exists() for r in range(options.workers)):
        common.launch(draw, options, options.workers)
    common.launch(train, options, options.workers)
