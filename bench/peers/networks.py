# SPDX-License-Identifier: MIT
"""The UNet and the first stage as PyTorch modules at any size, from a CompVis YAML and its checkpoint.

The modules are those that train/ uses; what the demo model lacks, the attention between the two middle blocks of
encoder and decoder, is added here. All keys are CompVis' own, so every load is strict.
"""
from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.nn.functional as nnf
import yaml
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "train"))
import nets  # noqa: E402

UNET, FIRST = "model.diffusion_model.", "first_stage_model."
TOKENS = 77  # of a prompt, in every published text model


class MiddleAttention(nn.Module):
    """One head over all positions, (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, ch: int):
        super().__init__()
        self.norm = nets.norm(ch)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(ch, ch, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        y = self.norm(x)
        q, k, v = (f(y).reshape(b, 1, c, h * w).transpose(2, 3) for f in (self.q, self.k, self.v))
        y = nnf.scaled_dot_product_attention(q, k, v)
        return x + self.proj_out(y.transpose(2, 3).reshape(b, c, h, w))


class Middle(nets.Middle):
    """Block, attention, block."""

    def __init__(self, ch: int):
        super().__init__(ch)
        self.attn_1 = MiddleAttention(ch)

    def forward(self, x: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x)))


class FusedAttention(nets.Attention):
    """The UNet's attention with PyTorch's own kernel, which never holds the matrix of weights."""

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        y = self.norm(x).reshape(b, c, h * w).transpose(1, 2)
        y = nnf.linear(y, self.qkv.weight[:, :, 0], self.qkv.bias).view(b, h * w, self.heads, 3, c // self.heads)
        q, k, v = y.permute(3, 0, 2, 1, 4).unbind(0)  # (B, heads, L, d)
        y = nnf.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, h * w, c)
        y = nnf.linear(y, self.proj_out.weight[:, :, 0], self.proj_out.bias)
        return x + y.transpose(1, 2).reshape(b, c, h, w)


def fused_attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """nets.attend with PyTorch's own kernel."""
    q, k, v = (t.unflatten(2, (heads, -1)).transpose(1, 2) for t in (q, k, v))
    return nnf.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class Decode(nn.Module):
    """Latent to picture without the codebook; what `ldm eval --part decode --no-quantize` computes."""

    def __init__(self, first: nn.Module, scale: float):
        super().__init__()
        self.post_quant_conv, self.decoder, self.scale = first.post_quant_conv, first.decoder, scale

    def forward(self, z: Tensor) -> Tensor:
        return self.decoder(self.post_quant_conv(z / self.scale if self.scale != 1.0 else z))


def params(config: str | Path) -> dict:
    with open(config) as f:
        return yaml.safe_load(f)["model"]["params"]


def latent(p: dict) -> tuple[int, int, int]:
    return p["unet_config"]["params"]["in_channels"], p["image_size"], p["image_size"]


def context(p: dict) -> tuple[int, int] | None:
    """Tokens and width of what the UNet attends to; None where there is no such thing."""
    u = p["unet_config"]["params"]
    return (TOKENS, u["context_dim"]) if u.get("use_spatial_transformer") else None


def build(p: dict) -> tuple[nn.Module, nn.Module]:
    """UNet and first stage with PyTorch's own initial weights."""
    u, f = p["unet_config"]["params"], p["first_stage_config"]["params"]
    d = f["ddconfig"]
    size = (u["model_channels"], tuple(u["channel_mult"]), u["num_res_blocks"], tuple(u["attention_resolutions"]))
    if context(p):
        unet = nets.TextUNet(*size, heads=u["num_heads"], channels=u["in_channels"], context=u["context_dim"],
                             shift=u.get("use_scale_shift_norm", False))
    else:
        unet = nets.UNet(*size, u["num_head_channels"], u["in_channels"])
    size = (d["ch"], tuple(d["ch_mult"]), d["num_res_blocks"], d["z_channels"])
    first = nets.FirstStage(*size, f["n_embed"]) if "n_embed" in f else nets.KlStage(*size)
    if d.get("attn_type", "vanilla") != "none":
        for half in (first.encoder, first.decoder):
            half.mid = Middle(d["ch"] * d["ch_mult"][-1])
    return unet, first


def load(config: str | Path, ckpt: str | Path, mapped: bool = False,
         fused: bool = False) -> tuple[nn.Module, Decode]:
    """Both networks in eval mode with the checkpoint's raw weights in float32; `fused` takes PyTorch's own attention.

    `mapped` maps the file and takes its tensors as they are, into networks that never had weights of their own:
    the fastest way PyTorch has. Without it: build, torch.load, copy, as CompVis' scripts do."""
    p = params(config)
    if fused:
        nets.attend = fused_attend
    if mapped:
        with torch.device("meta"):
            both = build(p)
    else:
        both = build(p)
    for m in both[0].modules():
        if fused and type(m) is nets.Attention:
            m.__class__ = FusedAttention
    sd = torch.load(ckpt, map_location="cpu", weights_only=True, mmap=mapped)
    sd = sd.get("state_dict", sd)
    for prefix, net in zip((UNET, FIRST), both):
        part = {k[len(prefix):]: v.float() for k, v in sd.items() if k.startswith(prefix)}
        net.load_state_dict(part, strict=True, assign=mapped)
        net.eval().requires_grad_(False)
    return both[0], Decode(both[1], float(p.get("scale_factor", 1.0))).eval()
