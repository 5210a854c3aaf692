# SPDX-License-Identifier: MIT
"""Noise schedule and DDIM sampling as CompVis' latent-diffusion computes them."""
from __future__ import annotations

from collections import OrderedDict
from typing import Callable

import numpy as np
import torch
from torch import Tensor

STEPS, START, END = 1000, 0.0015, 0.0195
SCALE_FACTOR = 0.18215
TEXT_START, TEXT_END = 0.00085, 0.012       # the text model's


def betas(start: float = START, end: float = END) -> np.ndarray:
    """The `linear` schedule: linear in the square root, float64 (1000,)."""
    return torch.linspace(start ** 0.5, end ** 0.5, STEPS, dtype=torch.float64).square().numpy()


def buffers(start: float = START, end: float = END) -> "OrderedDict[str, Tensor]":
    """The twelve float32 buffers a checkpoint holds, in its order."""
    b = betas(start, end)
    ac = np.cumprod(1.0 - b, axis=0)
    prev = np.append(1.0, ac[:-1])
    var = b * (1.0 - prev) / (1.0 - ac)
    rows = [
        ("betas", b), ("alphas_cumprod", ac), ("alphas_cumprod_prev", prev),
        ("sqrt_alphas_cumprod", np.sqrt(ac)), ("sqrt_one_minus_alphas_cumprod", np.sqrt(1.0 - ac)),
        ("log_one_minus_alphas_cumprod", np.log(1.0 - ac)), ("sqrt_recip_alphas_cumprod", np.sqrt(1.0 / ac)),
        ("sqrt_recipm1_alphas_cumprod", np.sqrt(1.0 / ac - 1)), ("posterior_variance", var),
        ("posterior_log_variance_clipped", np.log(np.maximum(var, 1e-20))),
        ("posterior_mean_coef1", b * np.sqrt(prev) / (1.0 - ac)),
        ("posterior_mean_coef2", (1.0 - prev) * np.sqrt(1.0 - b) / (1.0 - ac)),
    ]
    return OrderedDict((k, torch.tensor(v, dtype=torch.float32)) for k, v in rows)


def timesteps(s: int) -> np.ndarray:
    """The `uniform` choice of about s timesteps, ascending."""
    return np.arange(0, STEPS, STEPS // s) + 1


def column(values: Tensor, t: Tensor) -> Tensor:
    """The values (1000,) at timesteps t (B,), to be multiplied with pictures: (B, 1, 1, 1)."""
    return values[t][:, None, None, None]


def noised(x0: Tensor, noise: Tensor, t: Tensor, ac: Tensor) -> tuple[Tensor, Tensor]:
    """x_t of x_0 (B, C, h, w) and the v that a network has to say of it, sqrt(ac) eps - sqrt(1 - ac) x_0 (Salimans and Ho 2022, appendix D)."""
    root, rest = column(ac, t).sqrt(), (1 - column(ac, t)).sqrt()
    return root * x0 + rest * noise, root * noise - rest * x0


def eps_of(v: Tensor, x: Tensor, t: Tensor, ac: Tensor) -> Tensor:
    """eps where v is what the network says of x at t."""
    return column(ac, t).sqrt() * v + (1 - column(ac, t)).sqrt() * x


def pick_times(count: int, gen: torch.Generator) -> Tensor:
    """Timesteps (B,): three of four spread over all, the fourth over the noisier ones, where the whole is decided.

    Which are the fourth is drawn: were it always those of the same strata, the timesteps of the first one would never come."""
    u = (torch.arange(count) + torch.rand(count, generator=gen)) / count
    return torch.where(torch.randperm(count, generator=gen) % 4 == 0, 300 + u * 700, u * 1000).long().clamp(0, 999)


@torch.no_grad()
def ddim(eps: Callable[[Tensor, Tensor], Tensor], x: Tensor, s: int = 50, eta: float = 0.0,
         gen: torch.Generator | None = None, ac: Tensor | None = None, last: int | None = None) -> Tensor:
    """Samples from noise x (B, C, h, w) to scaled latents; eps takes (x, t) with t (B,) int64. last: only so many of the s steps, the
    last ones; x is then a latent with the noise of timesteps(s)[last - 1]."""
    ac = (buffers()["alphas_cumprod"] if ac is None else ac).double()
    ts = timesteps(s)
    prev = torch.cat([ac[:1], ac[torch.from_numpy(ts[:-1])]])
    for i in reversed(range(last or len(ts))):
        a, ap = float(ac[ts[i]]), float(prev[i])
        sigma = eta * ((1 - ap) / (1 - a) * (1 - a / ap)) ** 0.5
        e = eps(x, torch.full((x.shape[0],), int(ts[i]), dtype=torch.int64))
        x0 = (x - (1 - a) ** 0.5 * e) / a ** 0.5
        x = ap ** 0.5 * x0 + (1 - ap - sigma ** 2) ** 0.5 * e
        if sigma:
            x = x + sigma * torch.randn(x.shape, generator=gen)
    return x


@torch.no_grad()
def latents(unet: torch.nn.Module, noise: Tensor, s: int, eta: float = 0.0, gen: torch.Generator | None = None) -> Tensor:
    """Scaled latents from noise (B, C, h, w) by a UNet that predicts v."""
    ac = buffers()["alphas_cumprod"]
    return ddim(lambda x, t: eps_of(unet(x, t).float(), x, t, ac), noise, s, eta, gen)


def sample(unet: torch.nn.Module, first: torch.nn.Module, count: int, s: int = 50, eta: float = 0.0, seed: int = 42,
           size: int = 16, chunk: int = 64) -> Tensor:
    """Pictures (count, 3, S, S) in about [-1, 1] by a UNet that predicts v; noise i depends on the seed and i alone up to the chunk."""
    gen = torch.Generator().manual_seed(seed)
    out = []
    with torch.no_grad():
        for lo in range(0, count, chunk):
            z = latents(unet, torch.randn(min(chunk, count - lo), 3, size, size, generator=gen), s, eta, gen)
            out.append(first.decode(z / SCALE_FACTOR))
    return torch.cat(out)
