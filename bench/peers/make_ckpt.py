# SPDX-License-Identifier: MIT
"""Writes a synthetic checkpoint in CompVis' format that fits a YAML: random weights at the right shapes.

The weights keep activations near one, so that no layer meets infinities or subnormal numbers.

    python make_ckpt.py CONFIG.yaml OUT.ckpt [--seed 0] [--half]

A model of Stable Diffusion 1 gets CLIP's text encoder as well, and --half stores float16, as it is published.
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


def clip_text(width: int = 768, layers: int = 12, words: int = 49408) -> dict[str, tuple[int, ...]]:
    """Names and shapes of FrozenCLIPEmbedder's tensors (CLIP ViT-L/14, the text half)."""
    top = "cond_stage_model.transformer.text_model."
    shapes = {top + "embeddings.token_embedding.weight": (words, width),
              top + "embeddings.position_embedding.weight": (networks.TOKENS, width)}
    for n in range(layers):
        layer = f"{top}encoder.layers.{n}."
        for name, out, given in [("self_attn." + k, width, width) for k in ("k_proj", "v_proj", "q_proj", "out_proj")] + [
                ("mlp.fc1", 4 * width, width), ("mlp.fc2", width, 4 * width)]:
            shapes[f"{layer}{name}.weight"], shapes[f"{layer}{name}.bias"] = (out, given), (out,)
        for name in ("layer_norm1", "layer_norm2"):
            shapes[f"{layer}{name}.weight"] = shapes[f"{layer}{name}.bias"] = (width,)
    shapes[top + "final_layer_norm.weight"] = shapes[top + "final_layer_norm.bias"] = (width,)
    return shapes


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("config")
    ap.add_argument("out")
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--half", action="store_true")
    a = ap.parse_args()
    gen = torch.Generator().manual_seed(a.seed)
    p = networks.params(a.config)
    sd = OrderedDict(diffusion.buffers(p.get("linear_start", 0.0015), p.get("linear_end", 0.0195)))
    with torch.device("meta"):
        both = networks.build(p)
    for prefix, net in zip((networks.UNET, networks.FIRST), both):
        for k, v in net.state_dict().items():
            sd[prefix + k] = draw(k, v, gen)
    if networks.context(p):
        for k, shape in clip_text().items():
            sd[k] = draw(k, torch.empty(shape, device="meta"), gen)
        sd["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(networks.TOKENS)[None]
    if a.half:
        sd = OrderedDict((k, v.half() if v.is_floating_point() and "." in k else v) for k, v in sd.items())
    torch.save({"state_dict": sd, "global_step": 0}, a.out + ".part")
    os.replace(a.out + ".part", a.out)
    print(f"{a.out}: {len(sd)} tensors, {sum(v.numel() for v in sd.values()) / 1e6:.1f} M values")


if __name__ == "__main__":
    main()
