# SPDX-License-Identifier: MIT
"""The two networks under the key names of CompVis' latent-diffusion.

`FirstStage` answers to ldm.models.autoencoder.VQModelInterface, `UNet` to
ldm.modules.diffusionmodules.openaimodel.UNetModel without spatial transformers. Only what the demo model needs is
here: no dropout, no class labels, no scale-shift norm, one codebook, 2-D pictures.
"""
from __future__ import annotations

import math

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

GROUPS = 32


# ---------------------------------------------------------------- first stage

def norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(GROUPS, channels, eps=1e-6)


class VaeBlock(nn.Module):
    """Residual block: (B, i, H, W) -> (B, o, H, W)."""

    def __init__(self, i: int, o: int):
        super().__init__()
        self.norm1, self.conv1 = norm(i), nn.Conv2d(i, o, 3, padding=1)
        self.norm2, self.conv2 = norm(o), nn.Conv2d(o, o, 3, padding=1)
        if i != o:
            self.nin_shortcut = nn.Conv2d(i, o, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(nnf.silu(self.norm1(x)))
        h = self.conv2(nnf.silu(self.norm2(h)))
        return h + (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x)


class Level(nn.Module):
    """Container that gives the names `down.N.*` and `up.N.*`."""

    def __init__(self, blocks: list[nn.Module]):
        super().__init__()
        self.block = nn.ModuleList(blocks)


class Resize(nn.Module):
    """`downsample` halves with padding at the right and the bottom, `upsample` doubles (nearest); then a conv."""

    def __init__(self, channels: int, up: bool):
        super().__init__()
        self.up = up
        self.conv = nn.Conv2d(channels, channels, 3, stride=1 if up else 2, padding=1 if up else 0)

    def forward(self, x: Tensor) -> Tensor:
        if self.up:
            return self.conv(nnf.interpolate(x, scale_factor=2.0, mode="nearest"))
        return self.conv(nnf.pad(x, (0, 1, 0, 1)))


class Middle(nn.Module):
    """Two blocks; the attention between them is left out (attn_type none)."""

    def __init__(self, channels: int):
        super().__init__()
        self.block_1, self.block_2 = VaeBlock(channels, channels), VaeBlock(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.block_2(self.block_1(x))


class Encoder(nn.Module):
    """(B, 3, S, S) -> (B, z, S/f, S/f), f = 2^(levels - 1)."""

    def __init__(self, ch: int, mult: list[int], blocks: int, z: int):
        super().__init__()
        self.conv_in = nn.Conv2d(3, ch, 3, padding=1)
        self.down = nn.ModuleList()
        width = ch
        for n, m in enumerate(mult):
            made = []
            for _ in range(blocks):
                made.append(VaeBlock(width, ch * m))
                width = ch * m
            level = Level(made)
            if n + 1 < len(mult):
                level.downsample = Resize(width, up=False)
            self.down.append(level)
        self.mid = Middle(width)
        self.norm_out, self.conv_out = norm(width), nn.Conv2d(width, z, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv_in(x)
        for level in self.down:
            for block in level.block:
                h = block(h)
            if hasattr(level, "downsample"):
                h = level.downsample(h)
        return self.conv_out(nnf.silu(self.norm_out(self.mid(h))))


class Decoder(nn.Module):
    """(B, z, s, s) -> (B, 3, s f, s f)."""

    def __init__(self, ch: int, mult: list[int], blocks: int, z: int):
        super().__init__()
        width = ch * mult[-1]
        self.conv_in = nn.Conv2d(z, width, 3, padding=1)
        self.mid = Middle(width)
        levels = []
        for n in reversed(range(len(mult))):
            made = []
            for _ in range(blocks + 1):
                made.append(VaeBlock(width, ch * mult[n]))
                width = ch * mult[n]
            level = Level(made)
            if n:
                level.upsample = Resize(width, up=True)
            levels.insert(0, level)
        self.up = nn.ModuleList(levels)
        self.norm_out, self.conv_out = norm(width), nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        h = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            for block in level.block:
                h = block(h)
            if hasattr(level, "upsample"):
                h = level.upsample(h)
        return self.conv_out(nnf.silu(self.norm_out(h)))


class Codebook(nn.Module):
    """Nearest entry of `embedding` for each position."""

    def __init__(self, entries: int, dim: int):
        super().__init__()
        self.embedding = nn.Embedding(entries, dim)

    def indices(self, z: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, H, W) int64; in float32 under autocast too: in bfloat16 the distances are too coarse to tell
        neighbouring entries apart."""
        flat = z.permute(0, 2, 3, 1).reshape(-1, z.shape[1]).float()
        e = self.embedding.weight.float()
        with torch.autocast(z.device.type, enabled=False):
            dist = flat.square().sum(1, keepdim=True) + e.square().sum(1) - 2 * flat @ e.t()
        return dist.argmin(1).view(z.shape[0], z.shape[2], z.shape[3])

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Entries (B, C, H, W), with gradients to the codebook, and indices (B, H, W)."""
        with torch.no_grad():
            i = self.indices(z)
        return self.embedding(i).permute(0, 3, 1, 2), i


class FirstStage(nn.Module):
    """The autoencoder. Latents are what `encode` gives: before the codebook."""

    def __init__(self, ch: int = 32, mult: tuple = (1, 2, 4), blocks: int = 1, z: int = 3, entries: int = 512):
        super().__init__()
        self.encoder = Encoder(ch, list(mult), blocks, z)
        self.decoder = Decoder(ch, list(mult), blocks, z)
        self.quantize = Codebook(entries, z)
        self.quant_conv, self.post_quant_conv = nn.Conv2d(z, z, 1), nn.Conv2d(z, z, 1)

    def encode(self, x: Tensor) -> Tensor:
        return self.quant_conv(self.encoder(x))

    def decode(self, z: Tensor, quantise: bool = True) -> Tensor:
        """(B, 3, s, s) latents (not scaled) -> (B, 3, S, S) in about [-1, 1]."""
        return self.decoder(self.post_quant_conv(self.quantize(z)[0] if quantise else z))


class KlStage(nn.Module):
    """ldm.models.autoencoder.AutoencoderKL without attention: `encode` gives the mean (B, z, s, s) of the posterior.

    Its variance does not depend on the picture: the rows of quant_conv for its logarithm have no weights, only a bias."""

    def __init__(self, ch: int = 32, mult: tuple = (1, 2, 4, 4), blocks: int = 1, z: int = 8):
        super().__init__()
        self.z = z
        self.encoder, self.decoder = Encoder(ch, list(mult), blocks, 2 * z), Decoder(ch, list(mult), blocks, z)
        self.quant_conv, self.post_quant_conv = nn.Conv2d(2 * z, 2 * z, 1), nn.Conv2d(z, z, 1)

    def encode(self, x: Tensor) -> Tensor:
        return self.quant_conv(self.encoder(x))[:, :self.z]

    def decode(self, z: Tensor) -> Tensor:
        """(B, z, s, s) latents (not scaled) -> (B, 3, S, S) in about [-1, 1]."""
        return self.decoder(self.post_quant_conv(z))


# ---------------------------------------------------------------- UNet

def timestep_embedding(t: Tensor, dim: int) -> Tensor:
    """(B,) -> (B, dim): cosines, then sines, of frequencies from 1 down to 1/10000."""
    half = dim // 2
    freq = torch.exp(torch.arange(half, dtype=torch.float32, device=t.device) * (-math.log(10000) / half))
    a = t[:, None].float() * freq
    return torch.cat([a.cos(), a.sin()], 1)


def gn(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(GROUPS, channels, eps=1e-5)


def zeroed(m: nn.Module) -> nn.Module:
    for p in m.parameters():
        nn.init.zeros_(p)
    return m


class ResBlock(nn.Module):
    """(B, i, H, W), time (B, e) -> (B, o, H, W)."""

    def __init__(self, i: int, o: int, e: int):
        super().__init__()
        self.in_layers = nn.Sequential(gn(i), nn.SiLU(), nn.Conv2d(i, o, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(e, o))
        self.out_layers = nn.Sequential(gn(o), nn.SiLU(), nn.Dropout(0.0), zeroed(nn.Conv2d(o, o, 3, padding=1)))
        self.skip_connection = nn.Conv2d(i, o, 1) if i != o else nn.Identity()

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        h = self.in_layers(x) + self.emb_layers(emb)[:, :, None, None]
        return self.skip_connection(x) + self.out_layers(h)


class Attention(nn.Module):
    """Self-attention over the positions, heads of `head` channels; q, k and v lie together within each head."""

    def __init__(self, ch: int, head: int):
        super().__init__()
        self.heads = ch // head
        self.norm = gn(ch)
        self.qkv = nn.Conv1d(ch, 3 * ch, 1)
        self.proj_out = zeroed(nn.Conv1d(ch, ch, 1))

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        y = self.norm(x).reshape(b, c, h * w)
        y = torch.matmul(self.qkv.weight[:, :, 0], y) + self.qkv.bias[:, None]
        q, k, v = y.view(b, self.heads, 3, c // self.heads, h * w).unbind(2)          # (B, heads, d, L)
        a = torch.softmax(torch.matmul(q.transpose(2, 3), k) * (c // self.heads) ** -0.5, -1)
        y = torch.matmul(v, a.transpose(2, 3)).reshape(b, c, h * w)
        y = torch.matmul(self.proj_out.weight[:, :, 0], y) + self.proj_out.bias[:, None]
        return x + y.view(b, c, h, w)


class Down(nn.Module):
    def __init__(self, ch: int):
        super().__init__()
        self.op = nn.Conv2d(ch, ch, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class Up(nn.Module):
    def __init__(self, ch: int):
        super().__init__()
        self.conv = nn.Conv2d(ch, ch, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(nnf.interpolate(x, scale_factor=2.0, mode="nearest"))


class Stage(nn.Sequential):
    """A block of the UNet; only residual blocks see the time."""

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        for m in self:
            x = m(x, emb) if isinstance(m, ResBlock) else m(x)
        return x


class UNet(nn.Module):
    """v(x_t, t): (B, 3, s, s), (B,) -> (B, 3, s, s)."""

    def __init__(self, width: int, mult: tuple, blocks: int, attn: tuple = (8, 4, 2), head: int = 32, channels: int = 3):
        super().__init__()
        self.width, self.mult, self.blocks = width, mult, blocks
        e = 4 * width
        self.time_embed = nn.Sequential(nn.Linear(width, e), nn.SiLU(), nn.Linear(e, e))
        self.input_blocks = nn.ModuleList([Stage(nn.Conv2d(channels, width, 3, padding=1))])
        ch, ds, skips = width, 1, [width]
        for n, m in enumerate(mult):
            for _ in range(blocks):
                layers: list[nn.Module] = [ResBlock(ch, m * width, e)]
                ch = m * width
                if ds in attn:
                    layers.append(Attention(ch, head))
                self.input_blocks.append(Stage(*layers))
                skips.append(ch)
            if n + 1 < len(mult):
                self.input_blocks.append(Stage(Down(ch)))
                skips.append(ch)
                ds *= 2
        self.middle_block = Stage(ResBlock(ch, ch, e), Attention(ch, head), ResBlock(ch, ch, e))
        self.output_blocks = nn.ModuleList()
        for n, m in reversed(list(enumerate(mult))):
            for i in range(blocks + 1):
                layers = [ResBlock(ch + skips.pop(), m * width, e)]
                ch = m * width
                if ds in attn:
                    layers.append(Attention(ch, head))
                if n and i == blocks:
                    layers.append(Up(ch))
                    ds //= 2
                self.output_blocks.append(Stage(*layers))
        self.out = nn.Sequential(gn(ch), nn.SiLU(), zeroed(nn.Conv2d(ch, channels, 3, padding=1)))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        emb = self.time_embed(timestep_embedding(t, self.width))
        h, kept = x, []
        for block in self.input_blocks:
            h = block(h, emb)
            kept.append(h)
        h = self.middle_block(h, emb)
        for block in self.output_blocks:
            h = block(torch.cat([h, kept.pop()], 1), emb)
        return self.out(h)


# ---------------------------------------------------------------- text model

class Bert(nn.Module):
    """ldm.modules.encoders.modules.BERTEmbedder: token ids (B, n) -> (B, n, width). Padding is attended to like any token."""

    HEADS, HEAD = 8, 64

    class Attend(nn.Module):
        def __init__(self, width: int):
            super().__init__()
            inner = Bert.HEADS * Bert.HEAD
            self.to_q, self.to_k, self.to_v = (nn.Linear(width, inner, bias=False) for _ in range(3))
            self.to_out = nn.Linear(inner, width)

        def forward(self, x: Tensor) -> Tensor:
            return self.to_out(attend(self.to_q(x), self.to_k(x), self.to_v(x), Bert.HEADS))

    class Feed(nn.Module):
        def __init__(self, width: int):
            super().__init__()
            self.net = nn.Sequential(nn.Sequential(nn.Linear(width, 4 * width), nn.GELU()), nn.Dropout(0.0), nn.Linear(4 * width, width))

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x)

    def __init__(self, width: int = 128, layers: int = 2, words: int = 600, length: int = 77):
        super().__init__()
        t = nn.Module()
        t.token_emb, t.pos_emb = nn.Embedding(words, width), nn.Module()
        t.pos_emb.emb = nn.Embedding(length, width)
        t.attn_layers = nn.Module()
        t.attn_layers.layers = nn.ModuleList(
            nn.ModuleList([nn.LayerNorm(width), (Bert.Attend, Bert.Feed)[k % 2](width), nn.Identity()]) for k in range(2 * layers))
        t.norm, t.to_logits = nn.LayerNorm(width), nn.Linear(width, words)           # the last is in the file and unused
        nn.init.normal_(t.token_emb.weight, std=0.02)
        nn.init.normal_(t.pos_emb.emb.weight, std=0.02)
        self.transformer = t

    def forward(self, ids: Tensor) -> Tensor:
        t = self.transformer
        x = t.token_emb(ids) + t.pos_emb.emb.weight[:ids.shape[1]]
        for norm, block, _ in t.attn_layers.layers:
            x = x + block(norm(x))
        return t.norm(x)


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Attention of (B, n, heads d) to (B, m, heads d); the heads lie one after the other."""
    q, k, v = (t.unflatten(2, (heads, -1)).transpose(1, 2) for t in (q, k, v))
    a = torch.softmax(q @ k.transpose(2, 3) * q.shape[3] ** -0.5, -1)
    return (a @ v).transpose(1, 2).flatten(2)


class Cross(nn.Module):
    """ldm.modules.attention.CrossAttention with heads that fill the width."""

    def __init__(self, ch: int, context: int, heads: int):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(ch, ch, bias=False)
        self.to_k, self.to_v = nn.Linear(context, ch, bias=False), nn.Linear(context, ch, bias=False)
        self.to_out = nn.Sequential(nn.Linear(ch, ch), nn.Dropout(0.0))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        return self.to_out(attend(self.to_q(x), self.to_k(context), self.to_v(context), self.heads))


class Gated(nn.Module):
    """GEGLU: a linear map times the GELU of another one."""

    def __init__(self, ch: int):
        super().__init__()
        self.proj = nn.Linear(ch, 8 * ch)

    def forward(self, x: Tensor) -> Tensor:
        a, gate = self.proj(x).chunk(2, -1)
        return a * nnf.gelu(gate)


class TransformerBlock(nn.Module):
    class Feed(nn.Module):
        def __init__(self, ch: int):
            super().__init__()
            self.net = nn.Sequential(Gated(ch), nn.Dropout(0.0), nn.Linear(4 * ch, ch))

    def __init__(self, ch: int, context: int, heads: int):
        super().__init__()
        self.attn1, self.ff, self.attn2 = Cross(ch, ch, heads), TransformerBlock.Feed(ch), Cross(ch, context, heads)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(ch), nn.LayerNorm(ch), nn.LayerNorm(ch)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.attn1(y, y)
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff.net(self.norm3(x))


class Spatial(nn.Module):
    """SpatialTransformer of depth 1: (B, ch, h, w), context (B, n, c) -> (B, ch, h, w)."""

    def __init__(self, ch: int, context: int, heads: int):
        super().__init__()
        self.norm, self.proj_in = norm(ch), nn.Conv2d(ch, ch, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(ch, context, heads)])
        self.proj_out = zeroed(nn.Conv2d(ch, ch, 1))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        b, c, h, w = x.shape
        y = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)
        y = self.transformer_blocks[0](y, context)
        return x + self.proj_out(y.transpose(1, 2).unflatten(2, (h, w)))


class ShiftBlock(ResBlock):
    """Residual block that the time scales and shifts after the second normalisation (`use_scale_shift_norm`)."""

    def __init__(self, i: int, o: int, e: int):
        super().__init__(i, o, e)
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(e, 2 * o))

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        h = self.in_layers(x)
        scale, shift = self.emb_layers(emb)[:, :, None, None].chunk(2, 1)
        h = self.out_layers[0](h) * (1 + scale) + shift
        return self.skip_connection(x) + self.out_layers[1:](h)


class TextStage(nn.Sequential):
    """A block of the text model's UNet: residual blocks see the time, transformers the text."""

    def forward(self, x: Tensor, emb: Tensor, context: Tensor) -> Tensor:
        for m in self:
            x = m(x, emb) if isinstance(m, ResBlock) else m(x, context) if isinstance(m, Spatial) else m(x)
        return x


class TextUNet(nn.Module):
    """UNetModel with spatial transformers, `legacy: false`: (B, c, s, s), (B,), (B, n, context) -> (B, c, s, s).

    head: channels a head, or heads the number of heads. shift: use_scale_shift_norm."""

    def __init__(self, width: int = 64, mult: tuple = (1, 2, 3), blocks: int = 1, attn: tuple = (2, 4), head: int = 32, heads: int = 0,
                 channels: int = 4, context: int = 128, shift: bool = True):
        super().__init__()
        self.width = width
        e = 4 * width
        res = ShiftBlock if shift else ResBlock

        def look(ch: int) -> Spatial:
            return Spatial(ch, context, heads or ch // head)

        self.time_embed = nn.Sequential(nn.Linear(width, e), nn.SiLU(), nn.Linear(e, e))
        self.input_blocks = nn.ModuleList([TextStage(nn.Conv2d(channels, width, 3, padding=1))])
        ch, ds, skips = width, 1, [width]
        for n, m in enumerate(mult):
            for _ in range(blocks):
                layers: list[nn.Module] = [res(ch, m * width, e)]
                ch = m * width
                if ds in attn:
                    layers.append(look(ch))
                self.input_blocks.append(TextStage(*layers))
                skips.append(ch)
            if n + 1 < len(mult):
                self.input_blocks.append(TextStage(Down(ch)))
                skips.append(ch)
                ds *= 2
        self.middle_block = TextStage(res(ch, ch, e), look(ch), res(ch, ch, e))
        self.output_blocks = nn.ModuleList()
        for n, m in reversed(list(enumerate(mult))):
            for i in range(blocks + 1):
                layers = [res(ch + skips.pop(), m * width, e)]
                ch = m * width
                if ds in attn:
                    layers.append(look(ch))
                if n and i == blocks:
                    layers.append(Up(ch))
                    ds //= 2
                self.output_blocks.append(TextStage(*layers))
        self.out = nn.Sequential(gn(ch), nn.SiLU(), zeroed(nn.Conv2d(ch, channels, 3, padding=1)))

    def forward(self, x: Tensor, t: Tensor, context: Tensor) -> Tensor:
        emb = self.time_embed(timestep_embedding(t, self.width))
        h, kept = x, []
        for block in self.input_blocks:
            h = block(h, emb, context)
            kept.append(h)
        h = self.middle_block(h, emb, context)
        for block in self.output_blocks:
            h = block(torch.cat([h, kept.pop()], 1), emb, context)
        return self.out(h)
