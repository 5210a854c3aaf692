# SPDX-License-Identifier: MIT
"""Text model, stage 2: trains the KL autoencoder (f8, 8 channels) on the portraits.

It begins with the outer three levels of the demo model's first stage, so that minutes are enough; the fourth level begins as a
mean of four positions. The latents are held near zero mean and unit covariance and get noise of a fixed size, which is
what the file tells as the posterior's variance. At the end they are made exactly white (folded into quant_conv and
post_quant_conv). The learning rate stays constant until `--fall` of the time is left and then falls to nothing; given more
minutes, a finished run goes on from its state, or with `--init build/text/kl_sharp.pt` from the sharpened decoder.

`--keep DIR` is for an autoencoder that a UNet depends on: DIR has the latents that it gave so far (`same_N`, `flip_N`), and the
new ones are held near them, so that the UNet only has to learn what is new.

Two things make latents that a small UNet can draw. The noise is large (`--noise`): what is finer than the UNet's own errors is not
kept in them, and the decoder learns to make whole pictures of latents that are a little off. And a latent reduced by two has to
decode to the picture reduced by two (`--coarse`), so that coarse and fine of the latent are coarse and fine of the picture, as diffusion,
which decides the coarse first, needs it. (Kouzelis et al.: EQ-VAE, 2025; Skorokhodov et al.: Improving the Diffusability of
Autoencoders, 2025.)
"""
from __future__ import annotations

import argparse
import math
import shutil
import time
from pathlib import Path

import cv2
import numpy as np
import torch
import yaml
import torch.nn.functional as nnf
from torch import Tensor

import ae
import common
import export
import faces
from nets import KlStage

FORM = dict(mult=(1, 2, 4, 4), z=8)     # of a new autoencoder


def stage(done: dict) -> KlStage:
    """The autoencoder of a state or of resume.pt's part, in its form."""
    net = KlStage(**done["form"])
    net.load_state_dict({k: v.float() for k, v in done["net"].items()})
    return net


@torch.no_grad()
def begin(model: Path, noise: float) -> KlStage:
    """A new autoencoder with the outer levels of an exported VQ model's first stage. Its fourth level begins as a mean on the way in and
    as a copy on the way out, its residual blocks as the identity."""
    with open(model / "config.yaml") as f:
        _, old = export.read(model / "model.ckpt", yaml.safe_load(f))
    net, had = KlStage(**FORM), old.state_dict()
    for name, p in net.named_parameters():
        if name in had and had[name].shape == p.shape and "quant_conv" not in name:
            p.copy_(had[name])
        elif ".block." in name and ".conv2." in name:
            p.zero_()
    for conv, taps in ((net.encoder.down[2].downsample.conv, slice(0, 2)), (net.decoder.up[3].upsample.conv, slice(1, 2))):
        conv.bias.zero_()
        conv.weight.zero_()
        own = torch.arange(conv.weight.shape[0])
        conv.weight[own, own, taps, taps] = 0.25 if conv.stride[0] == 2 else 1.0
    net.quant_conv.weight.copy_(torch.eye(2 * net.z)[:, :, None, None])
    net.quant_conv.bias.zero_()
    net.quant_conv.weight[net.z:] = 0
    net.quant_conv.bias[net.z:] = 2 * math.log(noise)
    net.post_quant_conv.weight.copy_(torch.eye(net.z)[:, :, None, None])
    net.post_quant_conv.bias.zero_()
    return net


@torch.no_grad()
def latents(net: KlStage, pics: np.ndarray, flip: bool = False) -> Tensor:
    """Means of the posterior of uint8 pictures, (N, z, s, s)."""
    out = []
    for i in range(0, len(pics), 64):
        x = common.batch(pics, np.arange(i, min(i + 64, len(pics))))
        out.append(net.encode(x.flip(3) if flip else x).float())
    return torch.cat(out)


@torch.no_grad()
def whiten(net: KlStage, pics: np.ndarray, noise: float) -> None:
    """Latents of pics become zero-mean and white; the decoder undoes it, the posterior's variance follows."""
    n = net.z
    mean, w = ae.whitening(latents(net, pics).permute(0, 2, 3, 1).reshape(-1, n))
    q, p = net.quant_conv, net.post_quant_conv
    qw, pw = q.weight[:n, :, 0, 0].double(), p.weight[:, :, 0, 0].double()
    q.bias[:n] = (w @ (q.bias[:n].double() - mean)).float()
    q.weight[:n] = (w @ qw)[:, :, None, None].float()
    q.bias[n:] = ((w * w).sum(1) * noise ** 2).log().float()
    p.bias.copy_(p.bias.double() + pw @ mean)
    p.weight.copy_((pw @ torch.linalg.inv(w))[:, :, None, None])


@torch.no_grad()
def measure(net: KlStage, pics: np.ndarray) -> tuple[float, np.ndarray]:
    """PSNR in dB (mean over pictures) and the reconstructions."""
    recs, psnr = [], []
    for i in range(0, len(pics), 32):
        x = common.batch(pics, np.arange(i, min(i + 32, len(pics))))
        r = net.decode(net.encode(x)).clamp(-1, 1)
        psnr.append(10 * torch.log10(4 / (r - x).square().mean((1, 2, 3))))
        recs.append(common.to_uint8(r))
    return float(torch.cat(psnr).mean()), np.concatenate(recs)


def renders(state: Path) -> list[Path]:
    found = sorted(state.glob("renders_*.npy"), key=lambda p: int(p.stem.split("_")[1]))
    if not found:
        raise SystemExit(f"{state} holds no renders_N.npy: make them first (portraits.py)")
    return found


def arguments() -> argparse.Namespace:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--state", type=Path, default=Path("build/text"))
    ap.add_argument("--logs", type=Path, default=Path("models/portrait"))
    ap.add_argument("--init", type=Path, default=common.MODEL, help="exported VQ model to begin with, or an autoencoder's state")
    ap.add_argument("--keep", type=Path, help="folder with the latents that the new ones are held near")
    ap.add_argument("--near", type=float, default=0.1, help="weight of the squared distance from these")
    ap.add_argument("--minutes", type=float, default=22)
    ap.add_argument("--fall", type=float, default=0.3, help="share of the time in which the learning rate falls")
    ap.add_argument("--batch", type=int, default=8, help="pictures a worker and step")
    ap.add_argument("--workers", type=int, default=2)
    ap.add_argument("--lr", type=float, default=0.006)
    ap.add_argument("--adam-lr", type=float, default=0.001)
    ap.add_argument("--compile", type=int, default=int(shutil.which("g++") is not None))
    ap.add_argument("--noise", type=float, default=0.2, help="standard deviation of the latents' noise, where a latent's is 1")
    ap.add_argument("--coarse", type=float, default=0.25, help="weight of the reduced latents' loss")
    ap.add_argument("--every", type=float, default=90, help="seconds between states")
    ap.add_argument("--seed", type=int, default=13)
    return ap.parse_args()


def train(a: argparse.Namespace) -> None:
    torch.manual_seed(a.seed)
    chief = common.rank() == 0
    held = np.load(a.state / "heldout.npy")
    pics = np.concatenate([np.load(p, mmap_mode="r") for p in renders(a.state)])
    step, used, begun, path = 0, 0.0, None, a.state / "kl.pt"
    if a.init.is_file():
        first = common.load(a.init)
        net, step, used = stage(first), first["step"], first["minutes"] * 60
        begun = {k: first[k] for k in ("step", "minutes", "sharp") if k in first}
    else:
        net = begin(a.init, a.noise)
    former = a.keep and [torch.from_numpy(np.concatenate([np.load(a.keep / f"{kind}_{k}.latents.npy") for k in range(len(renders(a.state)))]))
                         for kind in ("same", "flip")]
    opt = common.Muon(net, a.lr, a.adam_lr, skip=("decoder.conv_out", "encoder.conv_in", "quant_conv", "post_quant_conv"))
    if (old := common.load(path)) is not None:
        net.load_state_dict(old["net"])
        if old["opt"]:
            opt.load_state_dict(old["opt"])
        step, used = old["step"], old["used"]
    form = torch.channels_last if a.compile else torch.contiguous_format
    net = net.to(memory_format=form)
    enc, dec = (torch.compile(net.encoder), torch.compile(net.decoder, dynamic=False)) if a.compile else (net.encoder, net.decoder)
    log = chief and common.Log(a.logs / "autoencoder.csv", ["minutes", "step", "loss", "psnr", "rate", "speed"])
    weight, weight_half = ae.face_weight(pics.shape[1]), ae.face_weight(pics.shape[1] // 2)
    budget = common.Budget(a.minutes, used)
    gen = np.random.default_rng([a.seed, step, common.rank()])
    share, total, moved, seen, mark, saved = budget.tick(), 0.0, 0.0, 0, time.time(), time.time()
    if chief:
        print(f"{len(pics)} renders, {step} steps so far, held-out PSNR {measure(net, held[:64])[0]:.2f} dB", flush=True)
    while share < 1:
        opt.rate(min(1.0, (step + 1) / 20, max((1 - share) / a.fall, 0.01)))
        which, flip = np.sort(gen.integers(len(pics), size=a.batch)), gen.random(a.batch) < 0.5
        x = common.batch(pics, which, flip).contiguous(memory_format=form)
        with common.autocast():
            h = enc(x)
        z = net.quant_conv(h.float())[:, :net.z]
        flat = z.permute(0, 2, 3, 1).reshape(-1, net.z)
        white = flat.mean(0).square().sum() + (torch.cov(flat.t()) - torch.eye(net.z)).square().sum()
        if former:
            apart = (z - torch.stack([former[int(f)][i] for i, f in zip(which, flip)]).float()).square().mean()
            moved += float(apart.detach())
        z = z + a.noise * torch.randn(z.shape)
        y, y_half = (net.post_quant_conv(part).contiguous(memory_format=form) for part in (z, nnf.avg_pool2d(z, 2)))
        with common.autocast():
            out, out_half = dec(y), dec(y_half)
        loss = ae.loss_of(out, x, weight)
        half = ae.loss_of(out_half, nnf.avg_pool2d(x, 2), weight_half)
        (loss + a.coarse * half + 0.02 * white + (a.near * apart if former else 0)).backward()
        share = common.share_gradients(net, budget.tick())
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        net.quant_conv.weight.grad[net.z:] = 0
        net.quant_conv.bias.grad[net.z:] = 0
        opt.step()
        opt.zero_grad(set_to_none=True)
        step, seen, total = step + 1, seen + 1, total + float(loss.detach())
        if chief and (time.time() - saved > a.every or share >= 1):
            speed = seen * a.batch * common.workers() / (time.time() - mark)
            common.save(path, dict(net=net.state_dict(), form=FORM, opt=opt.state_dict(), step=step, used=budget.used))
            psnr, recs = measure(net, held[:64])
            log.row(minutes=budget.used / 60, step=step, loss=total / seen, psnr=psnr, rate=opt.param_groups[0]["lr"], speed=speed)
            pair = np.stack([held[:32], recs[:32]], 1).reshape(-1, *held.shape[1:])
            cv2.imwrite(str(a.state / "kl.png"), faces.sheet(pair, 8, 2)[..., ::-1])
            if former:
                print(f"squared distance from the former latents {moved / seen:.4f}", flush=True)
            budget.tick()
            total, moved, seen, mark, saved = 0.0, 0.0, 0, time.time(), time.time()
    if not chief:
        return
    whiten(net, pics[:2048], a.noise)
    psnr, _ = measure(net, held)
    state = {k: v.contiguous() for k, v in net.state_dict().items()}
    common.save(a.state / "kl_final.pt", dict(net=state, form=FORM, noise=a.noise, step=step, minutes=budget.used / 60, psnr=psnr, batch=a.batch * common.workers(),
                                             budget=a.minutes, pictures=len(pics), begun=begun))
    z = latents(net, held)
    print(f"autoencoder: {step} steps, held-out PSNR {psnr:.2f} dB over {len(held)}, latents' std {z.std((0, 2, 3)).tolist()}")


if __name__ == "__main__":
    options = arguments()
    common.launch(train, options, options.workers)
