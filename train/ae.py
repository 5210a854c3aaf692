# SPDX-License-Identifier: MIT
"""Stage 2: trains the autoencoder on the renders.

Noise on the latents and reduced latents that decode to the reduced picture make them such as a UNet can draw (kl.py says why).
The first part of the time runs without a codebook, and begins with latents that are
drawn to the mean colours of their cells: left alone, the three channels take up texture and one hue, and green against
purple is never found again. Then the latents are
whitened (folded into quant_conv and post_quant_conv), k-means sets the codebook, and the rest of the time runs
through it with straight-through gradients. Resumes from its state; the logged figures are of held-out renders.
"""
from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor

import common
import faces
import restore
from nets import FirstStage

LATENT_STD = 1 / 0.18215


def face_weight(size: int) -> Tensor:
    """(1, 1, S, S): more where eyes and mouth are."""
    a = torch.linspace(-1, 1, size)
    y, x = a[:, None], a[None, :]
    w = 1 + 1.5 * torch.exp(-((x / 0.40) ** 2 + ((y - 0.12) / 0.42) ** 2))
    return (w / w.mean())[None, None]


def loss_of(out: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """L1 over a pyramid of means of the error, more of their colour part (else a hue is given up for detail: three
    channels hold two colour axes and texture, and green against purple was lost), and L1 of its differences."""
    e = (out - x).float()
    w = e * weight
    loss = w.abs().mean() + 0.6 * ((w[..., 1:] - w[..., :-1]).abs().mean() + (w[..., 1:, :] - w[..., :-1, :]).abs().mean())
    for share, colour in ((0.5, 0.0), (0.5, 3.0), (0.5, 3.0)):
        e = nnf.avg_pool2d(e, 2)
        loss = loss + share * e.abs().mean() + colour * (e - e.mean(1, keepdim=True)).abs().mean()
    return loss + 2.0 * w.square().mean()


@torch.no_grad()
def latents(net: FirstStage, pics: np.ndarray, flip: bool = False) -> Tensor:
    """Latents before the codebook of uint8 pictures, (N, 3, s, s)."""
    out = []
    for i in range(0, len(pics), 64):
        x = common.batch(pics, np.arange(i, min(i + 64, len(pics))))
        out.append(net.encode(x.flip(3) if flip else x))
    return torch.cat(out)


@torch.no_grad()
def whitening(points: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (3,) and matrix (3, 3) in float64 that make points (N, 3) zero-mean and white."""
    p = points.double()
    val, vec = torch.linalg.eigh(torch.cov(p.t()))
    return p.mean(0), vec @ torch.diag(val.rsqrt()) @ vec.t()


@torch.no_grad()
def whiten(net: FirstStage, pics: np.ndarray) -> None:
    """Makes the latents of pics zero-mean and white at LATENT_STD without changing the reconstruction."""
    mean, w = whitening(latents(net, pics).permute(0, 2, 3, 1).reshape(-1, 3))
    remap(net, w * LATENT_STD, mean)


@torch.no_grad()
def remap(net: FirstStage, w: Tensor, mean: Tensor) -> None:
    """Latents become w (z - mean); the codebook follows, the decoder undoes it."""
    inv = torch.linalg.inv(w)
    q, p, e = net.quant_conv, net.post_quant_conv, net.quantize.embedding
    qw, pw = q.weight[:, :, 0, 0].double(), p.weight[:, :, 0, 0].double()
    q.bias.copy_(w @ (q.bias.double() - mean))
    q.weight.copy_((w @ qw)[:, :, None, None])
    p.bias.copy_(p.bias.double() + pw @ mean)
    p.weight.copy_((pw @ inv)[:, :, None, None])
    e.weight.copy_((e.weight.double() - mean) @ w.t())


@torch.no_grad()
def kmeans(points: Tensor, k: int, rounds: int = 8) -> Tensor:
    """Centres (k, 3) of points (N, 3); an empty one moves to a random point."""
    gen = torch.Generator().manual_seed(0)
    c = points[torch.randperm(len(points), generator=gen)[:k]].clone()
    for _ in range(rounds):
        near = torch.cat([torch.cdist(part, c).argmin(1) for part in points.split(8192)])
        count = torch.bincount(near, minlength=k).float()
        c = torch.zeros_like(c).index_add_(0, near, points) / count.clamp(min=1)[:, None]
        empty = count == 0
        c[empty] = points[torch.randint(len(points), (int(empty.sum()),), generator=gen)]
    return c


@torch.no_grad()
def measure(net: FirstStage, pics: np.ndarray, quantise: bool) -> tuple[float, float, np.ndarray]:
    """PSNR in dB (mean over pictures), share of the codebook used, reconstructions uint8."""
    recs, used, psnr = [], set(), []
    for i in range(0, len(pics), 32):
        x = common.batch(pics, np.arange(i, min(i + 32, len(pics))))
        z = net.encode(x)
        if quantise:
            used.update(net.quantize.indices(z).unique().tolist())
        r = net.decode(z, quantise).clamp(-1, 1)
        psnr.append(10 * torch.log10(4 / (r - x).square().mean((1, 2, 3))))
        recs.append(common.to_uint8(r))
    return float(torch.cat(psnr).mean()), len(used) / net.quantize.embedding.num_embeddings, np.concatenate(recs)


def arguments() -> argparse.Namespace:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--state", type=Path, default=common.STATE)
    ap.add_argument("--logs", type=Path, default=common.MODEL)
    ap.add_argument("--minutes", type=float, default=150)
    ap.add_argument("--batch", type=int, default=8, help="pictures a worker and step")
    ap.add_argument("--workers", type=int, default=2)
    ap.add_argument("--lr", type=float, default=0.02)
    ap.add_argument("--adam-lr", type=float, default=0.002)
    ap.add_argument("--entries", type=int, default=8192)
    ap.add_argument("--free", type=float, default=0.55, help="share of the time without a codebook")
    ap.add_argument("--hint", type=float, default=0.15, help="share of the time in which latents are drawn to mean colours")
    ap.add_argument("--noise", type=float, default=0.2, help="standard deviation of the latents' noise, as a share of the latents' own")
    ap.add_argument("--coarse", type=float, default=0.25, help="weight of the reduced latents' loss")
    ap.add_argument("--init", type=Path, help="folder of an exported model whose autoencoder to begin with")
    ap.add_argument("--optim", choices=["muon", "adam"], default="muon")
    ap.add_argument("--every", type=float, default=120, help="seconds between states")
    ap.add_argument("--seed", type=int, default=3)
    return ap.parse_args()


def train(a: argparse.Namespace) -> None:
    torch.manual_seed(a.seed)
    chief = common.rank() == 0
    pics, held = np.load(a.state / "renders.npy", mmap_mode="r"), np.load(a.state / "heldout.npy")
    net = FirstStage(entries=a.entries)
    if a.init:
        net.load_state_dict(restore.networks(a.init)[1].state_dict())
        net.requires_grad_(True)
    opt = common.Muon(net, a.lr, a.adam_lr, skip=("quantize", "decoder.conv_out", "encoder.conv_in") if a.optim == "muon" else ("",))
    step, used, quantised = 0, 0.0, False
    path = a.state / "ae.pt"
    if (old := common.load(path)) is not None:
        net.load_state_dict(old["net"])
        opt.load_state_dict(old["opt"])
        step, used, quantised = old["step"], old["used"], old["quantised"]
        if chief:
            print(f"resumes at step {step}, {used / 60:.1f} minutes", flush=True)
    log = chief and common.Log(a.logs / "autoencoder.csv", ["minutes", "step", "loss", "psnr", "codes", "rate", "speed"], old is None)
    weight, weight_half = face_weight(pics.shape[1]), face_weight(pics.shape[1] // 2)
    grey, white = (v.float() for v in whitening(nnf.avg_pool2d(common.batch(pics, np.arange(512)), 4).permute(0, 2, 3, 1).reshape(-1, 3)))
    budget = common.Budget(a.minutes, used)
    gen = np.random.default_rng([a.seed, step, common.rank()])

    def forward(x: Tensor, noise: Tensor, quant: bool, hint: float) -> tuple[Tensor, Tensor]:
        """Loss of the reconstruction; of the reduced one, of the codebook and of the latents' distance from the cells' mean colours."""
        with common.autocast():
            h = net.encoder(x)
        z = net.quant_conv(h.float())
        extra = z.new_zeros(())
        y = z + noise * z.detach().std((0, 2, 3), keepdim=True)
        if quant:
            zq, _ = net.quantize(y)
            scale = LATENT_STD ** -2
            extra = ((zq - y.detach()).square().mean() + 0.25 * (zq.detach() - y).square().mean()) * scale
            y = y + (zq - y).detach()
        y, half = net.post_quant_conv(y), net.post_quant_conv(nnf.avg_pool2d(y, 2))
        with common.autocast():
            out, out_half = net.decoder(y), net.decoder(half)
        extra = extra + a.coarse * loss_of(out_half, nnf.avg_pool2d(x, 2), weight_half)
        if hint > 0:
            means = torch.einsum("ij,bjhw->bihw", white, nnf.avg_pool2d(x, 4) - grey[:, None, None])
            extra = extra + hint * (z - means).square().mean()
        return loss_of(out, x, weight), extra

    share, mean_loss, seen, mark, saved = budget.tick(), 0.0, 0, time.time(), time.time()
    while share < 1:
        if not quantised and share >= a.free:
            whiten(net, pics[:1024])
            z = latents(net, pics[1024:2048]).permute(0, 2, 3, 1).reshape(-1, 3)
            net.quantize.embedding.weight.data.copy_(kmeans(z[torch.randperm(len(z))[:65536]], a.entries))
            common.agree(net)
            quantised = True
        opt.rate(common.cosine(share))
        idx = np.sort(gen.integers(len(pics), size=a.batch))
        x = common.batch(pics, idx, gen.random(a.batch) < 0.5)
        noise = torch.randn(a.batch, 3, x.shape[2] // 4, x.shape[3] // 4) * a.noise
        loss, extra = forward(x, noise, quantised, max(0.0, 1 - share / a.hint))
        (loss + extra).backward()
        share = common.share_gradients(net, budget.tick())
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
        step, seen, mean_loss = step + 1, seen + 1, mean_loss + float(loss.detach())
        if chief and (time.time() - saved > a.every or share >= 1):
            speed = seen * a.batch * common.workers() / (time.time() - mark)
            psnr, codes, recs = measure(net, held[:64], quantised)
            log.row(minutes=budget.used / 60, step=step, loss=mean_loss / seen, psnr=psnr, codes=codes,
                    rate=opt.param_groups[0]["lr"], speed=speed)
            pair = np.stack([held[:32], recs[:32]], 1).reshape(-1, *held.shape[1:])
            cv2.imwrite(str(a.state / "ae.png"), faces.sheet(pair, 8, 2)[..., ::-1])
            budget.tick()
            common.save(path, dict(net=net.state_dict(), opt=opt.state_dict(), step=step, used=budget.used, quantised=quantised))
            mean_loss, seen, mark, saved = 0.0, 0, time.time(), time.time()

    if not chief:
        return
    z = latents(net, pics[:1024])
    remap(net, torch.eye(3).double() * (LATENT_STD / float(z.std())), z.mean((0, 2, 3)).double())
    psnr, codes, _ = measure(net, held, True)
    own = dict(steps=step, batch=a.batch * common.workers(), minutes=budget.used / 60, budget=a.minutes, noise=a.noise, coarse=a.coarse)
    before = restore.first_runs(a.init) if a.init else []
    common.save(a.state / "ae_final.pt", dict(net=net.state_dict(), psnr=psnr, codes=codes, entries=a.entries, ae_runs=before + [own]))
    print(f"autoencoder: {step} steps, held-out PSNR {psnr:.2f} dB over {len(held)}, codebook use {100 * codes:.1f} %, "
          f"latent std x 0.18215 = {float(latents(net, held).std()) * 0.18215:.3f}")


if __name__ == "__main__":
    options = arguments()
    common.launch(train, options, options.workers)
