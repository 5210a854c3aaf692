#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes a tiny checkpoint of the FFHQ LDM-VQ-4 topology in PyTorch's zip format, and its config.

    python3 tools/make_tiny_ckpt.py FOLDER        # FOLDER/model.ckpt, FOLDER/config.yaml

Random weights that depend on each tensor's name alone, float16, with EMA shadows; nothing was
trained, the pictures are noise. Needs neither PyTorch nor numpy. The tests use the copy in
tests/data/tiny; no other implementation's output belongs to it.
"""
import collections
import io
import math
import pickle
import random
import struct
import sys
import types
import zipfile
import zlib

CHANNELS = 32            # of the UNet's first level; GroupNorm has 32 groups, so this is the least
MULT = (1, 1)            # levels of the UNet
VQ_CHANNELS = 32
VQ_MULT = (1, 1, 1)      # three levels: f4
CODEBOOK = 256
LATENT = 3
SIZE = 16                # latent height and width; pictures are 64 x 64
STEPS, BETA_START, BETA_END = 1000, 0.0015, 0.0195

CONFIG = f"""\
# A tiny model of the FFHQ LDM-VQ-4 topology; random weights by tools/make_tiny_ckpt.py.
model:
  base_learning_rate: 2.0e-06
  target: ldm.models.diffusion.ddpm.LatentDiffusion
  params:
    linear_start: {BETA_START}
    linear_end: {BETA_END}
    num_timesteps_cond: 1
    log_every_t: 200
    timesteps: {STEPS}
    first_stage_key: image
    image_size: {SIZE}
    channels: {LATENT}
    monitor: val/loss_simple_ema
    unet_config:
      target: ldm.modules.diffusionmodules.openaimodel.UNetModel
      params:
        image_size: {SIZE}
        in_channels: {LATENT}
        out_channels: {LATENT}
        model_channels: {CHANNELS}
        attention_resolutions: [2]
        num_res_blocks: 1
        channel_mult: {list(MULT)}
        num_head_channels: 16
    first_stage_config:
      target: ldm.models.autoencoder.VQModelInterface
      params:
        embed_dim: {LATENT}
        n_embed: {CODEBOOK}
        ddconfig:
          double_z: false
          z_channels: {LATENT}
          resolution: {SIZE * 4}
          in_channels: 3
          out_ch: 3
          ch: {VQ_CHANNELS}
          ch_mult: {list(VQ_MULT)}
          num_res_blocks: 1
          attn_resolutions: []
          dropout: 0.0
        lossconfig:
          target: torch.nn.Identity
    cond_stage_config: __is_unconditional__
"""


# ---- which tensors there are: (name, shape) in the order in which PyTorch registers them ----------

def affine(name, *shape):
    yield name + ".weight", shape
    yield name + ".bias", shape[:1]


def unet_block(name, inp, out):
    yield from affine(name + ".in_layers.0", inp)
    yield from affine(name + ".in_layers.2", out, inp, 3, 3)
    yield from affine(name + ".emb_layers.1", out, 4 * CHANNELS)
    yield from affine(name + ".out_layers.0", out)
    yield from affine(name + ".out_layers.3", out, out, 3, 3)
    if inp != out:
        yield from affine(name + ".skip_connection", out, inp, 1, 1)


def unet_attention(name, ch):
    yield from affine(name + ".norm", ch)
    yield from affine(name + ".qkv", 3 * ch, ch, 1)
    yield from affine(name + ".proj_out", ch, ch, 1)


def unet():
    """One residual block per level, attention where the level's factor is 2."""
    ch = CHANNELS
    yield from affine("time_embed.0", 4 * ch, ch)
    yield from affine("time_embed.2", 4 * ch, 4 * ch)
    yield from affine("input_blocks.0.0", ch, LATENT, 3, 3)
    skips, block = [ch], 1
    for level, mult in enumerate(MULT):
        yield from unet_block(f"input_blocks.{block}.0", ch, mult * CHANNELS)
        ch = mult * CHANNELS
        if level == 1:
            yield from unet_attention(f"input_blocks.{block}.1", ch)
        skips.append(ch)
        block += 1
        if level + 1 < len(MULT):
            yield from affine(f"input_blocks.{block}.0.op", ch, ch, 3, 3)
            skips.append(ch)
            block += 1
    yield from unet_block("middle_block.0", ch, ch)
    yield from unet_attention("middle_block.1", ch)
    yield from unet_block("middle_block.2", ch, ch)
    block = 0
    for level in reversed(range(len(MULT))):
        for i in range(2):
            out = MULT[level] * CHANNELS
            yield from unet_block(f"output_blocks.{block}.0", ch + skips.pop(), out)
            ch, inner = out, 1
            if level == 1:
                yield from unet_attention(f"output_blocks.{block}.1", ch)
                inner = 2
            if level and i == 1:
                yield from affine(f"output_blocks.{block}.{inner}.conv", ch, ch, 3, 3)
            block += 1
    yield from affine("out.0", ch)
    yield from affine("out.2", LATENT, ch, 3, 3)


def vq_block(name, inp, out):
    yield from affine(name + ".norm1", inp)
    yield from affine(name + ".conv1", out, inp, 3, 3)
    yield from affine(name + ".norm2", out)
    yield from affine(name + ".conv2", out, out, 3, 3)
    if inp != out:
        yield from affine(name + ".nin_shortcut", out, inp, 1, 1)


def vq_middle(name, ch):
    yield from vq_block(name + ".block_1", ch, ch)
    yield from affine(name + ".attn_1.norm", ch)
    for part in ("q", "k", "v", "proj_out"):
        yield from affine(f"{name}.attn_1.{part}", ch, ch, 1, 1)
    yield from vq_block(name + ".block_2", ch, ch)


def first_stage():
    levels = len(VQ_MULT)
    ch = VQ_CHANNELS
    yield from affine("encoder.conv_in", ch, 3, 3, 3)
    for level, mult in enumerate(VQ_MULT):
        out = VQ_CHANNELS * mult
        yield from vq_block(f"encoder.down.{level}.block.0", ch, out)
        ch = out
        if level + 1 < levels:
            yield from affine(f"encoder.down.{level}.downsample.conv", ch, ch, 3, 3)
    yield from vq_middle("encoder.mid", ch)
    yield from affine("encoder.norm_out", ch)
    yield from affine("encoder.conv_out", LATENT, ch, 3, 3)
    yield from affine("decoder.conv_in", ch, LATENT, 3, 3)
    yield from vq_middle("decoder.mid", ch)
    up = {}  # built from the coarsest level on, registered from the finest
    for level in reversed(range(levels)):
        out = VQ_CHANNELS * VQ_MULT[level]
        up[level] = list(vq_block(f"decoder.up.{level}.block.0", ch, out))
        up[level] += vq_block(f"decoder.up.{level}.block.1", out, out)
        ch = out
        if level:
            up[level] += affine(f"decoder.up.{level}.upsample.conv", ch, ch, 3, 3)
    for level in range(levels):
        yield from up[level]
    yield from affine("decoder.norm_out", ch)
    yield from affine("decoder.conv_out", 3, ch, 3, 3)
    yield "quantize.embedding.weight", (CODEBOOK, LATENT)
    yield from affine("quant_conv", LATENT, LATENT, 1, 1)
    yield from affine("post_quant_conv", LATENT, LATENT, 1, 1)


def schedule():
    """CompVis' twelve buffers of the "linear" schedule."""
    a, b = math.sqrt(BETA_START), math.sqrt(BETA_END)
    betas = [(a + (b - a) * i / (STEPS - 1)) ** 2 for i in range(STEPS)]
    cum, product = [], 1.0
    for beta in betas:
        product *= 1 - beta
        cum.append(product)
    prev = [1.0] + cum[:-1]
    variance = [beta * (1 - p) / (1 - c) for beta, p, c in zip(betas, prev, cum)]
    yield "betas", betas
    yield "alphas_cumprod", cum
    yield "alphas_cumprod_prev", prev
    yield "sqrt_alphas_cumprod", [math.sqrt(c) for c in cum]
    yield "sqrt_one_minus_alphas_cumprod", [math.sqrt(1 - c) for c in cum]
    yield "log_one_minus_alphas_cumprod", [math.log(1 - c) for c in cum]
    yield "sqrt_recip_alphas_cumprod", [math.sqrt(1 / c) for c in cum]
    yield "sqrt_recipm1_alphas_cumprod", [math.sqrt(1 / c - 1) for c in cum]
    yield "posterior_variance", variance
    yield "posterior_log_variance_clipped", [math.log(max(v, 1e-20)) for v in variance]
    yield "posterior_mean_coef1", [x * math.sqrt(p) / (1 - c) for x, p, c in zip(betas, prev, cum)]
    yield "posterior_mean_coef2", [(1 - p) * math.sqrt(1 - x) / (1 - c)
                                   for x, p, c in zip(betas, prev, cum)]


# ---- their values ----------------------------------------------------------------------------------

def values(name, shape):
    """Activations stay of order one. A few channels carry +x and -x of the input to the output, so
    that eps follows the noisy latent and sampling ends at moderate values."""
    rng = random.Random(zlib.crc32(name.encode()))
    numel = math.prod(shape)
    if len(shape) == 1:
        centre = 1.0 if name.endswith(".weight") else 0.0
        return [centre + rng.gauss(0, 0.1) for _ in range(numel)]
    fan_in = numel // shape[0]
    std = 1 / math.sqrt(fan_in)
    if "quantize.embedding" in name:
        std = 1.0
    elif name.endswith("diffusion_model.out.2.weight"):
        std *= 0.3
    w = [rng.gauss(0, std) for _ in range(numel)]
    for c in range(LATENT):
        for sign in (0, 1):
            k = 2 * c + sign
            s = -1 if sign else 1
            if name.endswith("diffusion_model.input_blocks.0.0.weight"):
                w[(k * LATENT + c) * 9 + 4] += 3 * s
            elif name.endswith("diffusion_model.out.2.weight"):
                w[(c * CHANNELS + k) * 9 + 4] += 0.9 * s
            elif name.endswith("output_blocks.3.0.skip_connection.weight"):
                row = range(k * fan_in, (k + 1) * fan_in)
                for j in row:
                    w[j] *= 0.2
                w[k * fan_in + fan_in - CHANNELS + k] += 1
    return w


# ---- PyTorch's zip format --------------------------------------------------------------------------

torch = types.ModuleType("torch")
torch_utils = types.ModuleType("torch._utils")
sys.modules["torch"], sys.modules["torch._utils"] = torch, torch_utils


def fake_global(module, name, obj):
    """The pickle names PyTorch's classes; it needs something of that name to name."""
    obj.__module__, obj.__qualname__, obj.__name__ = module.__name__, name, name
    setattr(module, name, obj)
    return obj


KINDS = {kind: fake_global(torch, name, type(name, (), {}))
         for kind, name in (("f", "FloatStorage"), ("e", "HalfStorage"), ("i", "IntStorage"))}
rebuild = fake_global(torch_utils, "_rebuild_tensor_v2", lambda *args: None)


class Storage:
    def __init__(self, key, kind, data):
        self.key, self.kind, self.numel = str(key), kind, len(data)
        self.bytes = struct.pack(f"<{len(data)}{kind}", *data)


class Tensor:
    def __init__(self, storage, shape):
        self.storage, self.shape = storage, tuple(shape)

    def __reduce__(self):
        stride, step = [], 1
        for n in reversed(self.shape):
            stride.insert(0, step)
            step *= n
        return rebuild, (self.storage, 0, self.shape, tuple(stride), False,
                         collections.OrderedDict())


class Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, Storage):
            return ("storage", KINDS[obj.kind], obj.key, "cpu", obj.numel)
        return None


def state_dict():
    tensors, storages = collections.OrderedDict(), []

    def add(name, kind, shape, data):
        storages.append(Storage(len(storages), kind, data))
        tensors[name] = Tensor(storages[-1], shape)

    for name, data in schedule():
        add(name, "f", (STEPS,), data)
    for name, shape in unet():
        full = "model.diffusion_model." + name
        add(full, "e", shape, values(full, shape))
    add("model_ema.decay", "f", (), [0.9999])
    add("model_ema.num_updates", "i", (), [1000])
    for name, shape in unet():
        full = "model.diffusion_model." + name
        shadow = "model_ema." + full[len("model."):].replace(".", "")
        if len(shape) == 4 and shape[0] > LATENT and shape[1] > LATENT:
            # Saves a third of the file: these shadows are the raw tensors' own storages.
            tensors[shadow] = Tensor(tensors[full].storage, shape)
        else:
            drift = random.Random(zlib.crc32(shadow.encode()))
            add(shadow, "e", shape, [v * (1 + drift.gauss(0, 0.1)) for v in values(full, shape)])
    for name, shape in first_stage():
        full = "first_stage_model." + name
        add(full, "e", shape, values(full, shape))
    return tensors, storages


def write(folder):
    tensors, storages = state_dict()
    data = io.BytesIO()
    Pickler(data, 2).dump({"epoch": 0, "global_step": 0, "state_dict": tensors})
    path = folder + "/model.ckpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as z:
        def put(name, content):
            info = zipfile.ZipInfo("model/" + name, (1980, 1, 1, 0, 0, 0))
            pad = -(z.fp.tell() + 30 + len(info.filename) + 4) % 64  # data on 64 bytes, as PyTorch
            info.extra = b"FB" + struct.pack("<H", pad) + b"Z" * pad
            z.writestr(info, content)

        put("data.pkl", data.getvalue())
        put("byteorder", b"little")
        for s in storages:
            put("data/" + s.key, s.bytes)
        put("version", b"3\n")
    with open(folder + "/config.yaml", "w") as f:
        f.write(CONFIG)
    print(f"{path}: {len(tensors)} tensors")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(sys.argv[1])
