# SPDX-License-Identifier: MIT
"""Writes a synthetic checkpoint in CompVis' format that fits a YAML: random weights at the right shapes.

The weights keep activations near one, so that no layer meets infinities or subnormal numbers.

    python make_ckpt.py CONFIG.yaml OUT.ckpt [--seed 0]
"""
from __future__ import annotations

import argparse
import os
from collections import OrderedDict

import torch

import networks
import diffusion  # from train/, which networks puts on the path


def draw(name: str, like: torch.Tensor, gen: torch.Generator) -> torch.Tensor:
    n = torch.randn(like.shape, generator=gen)
    if like.ndim < 2:
        return 0.1 * n + (1.0 if name.endswith("weight") else 0.0)
    if name.endswith("embedding.weight"):
        return n
    return n * like[0].numel() ** -0.5


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("config")
    ap.add_argument("out")
    ap.add_argument("--seed", type=int, default=0)
    a = ap.parse_args()
    gen = torch.Generator().manual_seed(a.seed)
    sd = OrderedDict(diffusion.buffers())
    with torch.device("meta"):
        both = networks.build(networks.params(a.config))
    for prefix, net in zip((networks.UNET, networks.FIRST), both):
        for k, v in net.state_dict().items():
            sd[prefix + k] = draw(k, v, gen)
    torch.save({"state_dict": sd, "global_step": 0}, a.out + ".part")
    os.replace(a.out + ".part", a.out)
    print(f"{a.out}: {len(sd)} tensors, {sum(v.numel() for v in sd.values()) / 1e6:.1f} M values")


if __name__ == "__main__":
    main()
