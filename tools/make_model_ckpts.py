#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes a tiny checkpoint of each family of models beside its configuration.

    python3 tools/make_model_ckpts.py tests/data/models     # reads NAME.yaml, writes NAME.ckpt

PyTorch's zip format, float16, random weights that follow from each tensor's name; nothing was
trained. The files are small because tensors are views of a few storages, one for each standard
deviation. Names and shapes are listed here as the original's modules register them, and not by ldm.
Needs neither PyTorch nor numpy.
"""
import collections
import io
import math
import os
import random
import struct
import sys
import zipfile
import zlib

import make_tiny_ckpt as tiny

CH = 32                  # of every level: GroupNorm has 32 groups
OFFSETS = 509            # where in its storage a tensor may begin
CLIP = dict(width=64, layers=2, entries=538, tokens=77)  # 538: the vocabulary of tests/data/tokenize


def matrix(name, out, inp):
    yield name + ".weight", (out, inp)


def affine(name, *shape):
    yield name + ".weight", shape
    yield name + ".bias", shape[:1]


# ---- the UNet ------------------------------------------------------------------------------------

def transformer(name, ch, context, linear, no_self):
    yield from affine(name + ".norm", ch)
    one = () if linear else (1, 1)
    yield from affine(name + ".proj_in", ch, ch, *one)
    block = name + ".transformer_blocks.0"
    for attention, width in (("attn1", context if no_self else ch), ("attn2", context)):
        if attention == "attn2":
            yield from affine(block + ".ff.net.0.proj", 8 * ch, ch)
            yield from affine(block + ".ff.net.2", ch, 4 * ch)
        for part, inp in (("to_q", ch), ("to_k", width), ("to_v", width)):
            yield from matrix(f"{block}.{attention}.{part}", ch, inp)
        yield from affine(f"{block}.{attention}.to_out.0", ch, ch)
    for norm in ("norm1", "norm2", "norm3"):
        yield from affine(f"{block}.{norm}", ch)
    yield from affine(name + ".proj_out", ch, ch, *one)


def unet(latent, context=0, linear=False, classes=0, concat=0, no_self=False):
    """no_self: disable_self_attentions, which the middle block does not obey."""
    def attention(name):
        if context:
            yield from transformer(name, CH, context, linear,
                                   no_self and not name.startswith("middle"))
        else:
            yield from tiny.unet_attention(name, CH)

    yield from affine("time_embed.0", 4 * CH, CH)
    yield from affine("time_embed.2", 4 * CH, 4 * CH)
    if classes:
        yield "label_emb.weight", (classes, 4 * CH)
    yield from affine("input_blocks.0.0", CH, latent + concat, 3, 3)
    yield from tiny.unet_block("input_blocks.1.0", CH, CH)
    yield from attention("input_blocks.1.1")
    yield from tiny.unet_block("middle_block.0", CH, CH)
    yield from attention("middle_block.1")
    yield from tiny.unet_block("middle_block.2", CH, CH)
    for block in (0, 1):
        yield from tiny.unet_block(f"output_blocks.{block}.0", 2 * CH, CH)
        yield from attention(f"output_blocks.{block}.1")
    yield from affine("out.0", CH)
    yield from affine("out.2", latent, CH, 3, 3)


# ---- first stages --------------------------------------------------------------------------------

def first_stage(latent, moments, codebook):
    ch = CH
    yield from affine("encoder.conv_in", ch, 3, 3, 3)
    for level in (0, 1):
        yield from tiny.vq_block(f"encoder.down.{level}.block.0", ch, ch)
        if level == 0:
            yield from affine("encoder.down.0.downsample.conv", ch, ch, 3, 3)
    yield from tiny.vq_middle("encoder.mid", ch)
    yield from affine("encoder.norm_out", ch)
    yield from affine("encoder.conv_out", latent * (2 if moments else 1), ch, 3, 3)
    yield from affine("decoder.conv_in", ch, latent, 3, 3)
    yield from tiny.vq_middle("decoder.mid", ch)
    for level in (0, 1):
        for block in (0, 1):
            yield from tiny.vq_block(f"decoder.up.{level}.block.{block}", ch, ch)
        if level == 1:
            yield from affine("decoder.up.1.upsample.conv", ch, ch, 3, 3)
    yield from affine("decoder.norm_out", ch)
    yield from affine("decoder.conv_out", 3, ch, 3, 3)
    if codebook:
        yield "quantize.embedding.weight", (codebook, latent)
    two = 2 if moments else 1
    yield from affine("quant_conv", two * latent, two * latent, 1, 1)
    yield from affine("post_quant_conv", latent, latent, 1, 1)


def kl():
    return first_stage(4, True, 0)


def vq():
    return first_stage(3, False, 64)


# ---- conditioners --------------------------------------------------------------------------------

def classes(count, width):
    yield "embedding.weight", (count, width)


def bert(words=40, width=32, tokens=77):
    root = "transformer."
    yield root + "token_emb.weight", (words, width)
    yield root + "pos_emb.emb.weight", (tokens, width)
    for i in (0, 1):
        layer = f"{root}attn_layers.layers.{i}"
        yield from affine(layer + ".0", width)
        if i == 0:
            for part in ("to_q", "to_k", "to_v"):
                yield from matrix(f"{layer}.1.{part}", 8 * 64, width)
            yield from affine(layer + ".1.to_out", width, 8 * 64)
        else:
            yield from affine(layer + ".1.net.0.0", 4 * width, width)
            yield from affine(layer + ".1.net.2", width, 4 * width)
    yield from affine(root + "norm", width)
    yield from affine(root + "to_logits", words, width)


def clip(width, layers, entries, tokens):
    root = "transformer.text_model."
    yield root + "embeddings.position_ids", (1, tokens)
    yield root + "embeddings.token_embedding.weight", (entries, width)
    yield root + "embeddings.position_embedding.weight", (tokens, width)
    for i in range(layers):
        layer = f"{root}encoder.layers.{i}"
        for part in ("k_proj", "v_proj", "q_proj", "out_proj"):
            yield from affine(f"{layer}.self_attn.{part}", width, width)
        yield from affine(layer + ".layer_norm1", width)
        yield from affine(layer + ".mlp.fc1", 4 * width, width)
        yield from affine(layer + ".mlp.fc2", width, 4 * width)
        yield from affine(layer + ".layer_norm2", width)
    yield from affine(root + "final_layer_norm", width)


def openclip(width, layers, entries, tokens):
    yield "model.positional_embedding", (tokens, width)
    yield "model.text_projection", (width, width)
    yield "model.logit_scale", ()
    for i in range(layers):
        layer = f"model.transformer.resblocks.{i}"
        yield from affine(layer + ".ln_1", width)
        yield layer + ".attn.in_proj_weight", (3 * width, width)
        yield layer + ".attn.in_proj_bias", (3 * width,)
        yield from affine(layer + ".attn.out_proj", width, width)
        yield from affine(layer + ".ln_2", width)
        yield from affine(layer + ".mlp.c_fc", 4 * width, width)
        yield from affine(layer + ".mlp.c_proj", width, 4 * width)
    yield "model.token_embedding.weight", (entries, width)
    yield from affine("model.ln_final", width)


# ---- the files -----------------------------------------------------------------------------------

def prefixed(prefix, tensors):
    return [(prefix + name, shape) for name, shape in tensors]


def model(net, stage=(), cond=(), low_scale=()):
    return (prefixed("model.diffusion_model.", net) + prefixed("first_stage_model.", stage) +
            prefixed("cond_stage_model.", cond) + prefixed("low_scale_model.", low_scale))


def low_scale():
    """AbstractLowScaleModel.register_schedule: the first eight buffers of a noise schedule."""
    for name, data in list(tiny.schedule())[:8]:
        yield name, (len(data),)


def rescaler(labels, channels):
    yield "channel_mapper.weight", (channels, labels, 1, 1)


FAMILIES = {
    "class": lambda: model(unet(3, context=32), vq(), classes(6, 32)),
    "labels": lambda: model(unet(3, classes=5)),
    "bert": lambda: model(unet(4, context=32), kl(), bert()),
    "clip": lambda: model(unet(4, context=64), kl(), clip(**CLIP)),
    "openclip": lambda: model(unet(4, context=64, linear=True), kl(),
                              openclip(**dict(CLIP, layers=3))),
    "inpaint": lambda: model(unet(3, concat=4), vq(), vq()),
    "superres": lambda: model(unet(3, concat=3), vq()),
    "semantic": lambda: model(unet(3, concat=3), vq(), rescaler(7, 3)),
    "layout": lambda: model(unet(3, context=32), vq(), bert(words=128, tokens=14)),
    "sd_inpaint": lambda: model(unet(4, context=64, concat=5), kl(), clip(**CLIP)),
    "upscale": lambda: model(unet(4, context=64, linear=True, classes=1000, concat=3, no_self=True),
                             kl(), openclip(**dict(CLIP, layers=3)), low_scale()),
    "kl": lambda: list(kl()) + [("loss.logvar", ())],
    "vq": lambda: list(vq()) + [("loss.discriminator.main.0.weight", (8, 3, 4, 4))],
}


def deviation(name, shape):
    """Of a tensor's values, rounded to one of a few, so that tensors can share storages."""
    if "embedding" in name or "token_emb" in name or "pos_emb" in name or "label_emb" in name:
        return 0.5
    fan_in = math.prod(shape[1:]) if len(shape) > 1 else 100
    return 2.0 ** round(math.log2(1 / math.sqrt(fan_in)))


def is_gain(name, shape):
    """The weight of a norm: near 1."""
    return len(shape) == 1 and name.endswith("weight")


class View(tiny.Tensor):
    def __init__(self, storage, shape, offset):
        super().__init__(storage, shape)
        self.offset = offset

    def __reduce__(self):
        function, args = super().__reduce__()
        return function, (args[0], self.offset) + args[2:]


def state_dict(tensors, with_schedule):
    out, storages, sizes = collections.OrderedDict(), [], {}

    def storage(kind, data):
        storages.append(tiny.Storage(len(storages), kind, data))
        return storages[-1]

    def key(name, shape):
        return "gain" if is_gain(name, shape) else deviation(name, shape)

    for name, shape in tensors:
        if name.startswith("low_scale_model.") or name.endswith("position_ids"):
            continue
        k = key(name, shape)
        sizes[k] = max(sizes.get(k, 0), math.prod(shape) + OFFSETS)
    shared = {}
    for k in sorted(sizes, key=str):
        rng = random.Random(zlib.crc32(str(k).encode()))
        mean, std = (1.0, 0.1) if k == "gain" else (0.0, k)
        shared[k] = storage("e", [mean + rng.gauss(0, std) for _ in range(sizes[k])])
    if with_schedule:
        for name, data in tiny.schedule():
            out[name] = tiny.Tensor(storage("e", data), (tiny.STEPS,))
    buffers = dict(tiny.schedule())
    for name, shape in tensors:
        if name.startswith("low_scale_model."):
            out[name] = tiny.Tensor(storage("e", buffers[name.split(".")[1]]), shape)
        elif name.endswith("position_ids"):
            out[name] = tiny.Tensor(storage("q", range(shape[1])), shape)
        else:
            # With __is_first_stage__ the conditioner's tensors are the first stage's.
            same = name.replace("cond_stage_model.", "first_stage_model.")
            own = same if any(same == other for other, _ in tensors) else name
            offset = zlib.crc32(own.encode()) % OFFSETS
            out[name] = View(shared[key(name, shape)], shape, offset)
    return out, storages


def write(path, tensors, storages):
    data = io.BytesIO()
    tiny.Pickler(data, 2).dump({"state_dict": tensors})
    with zipfile.ZipFile(path, "w") as z:
        def put(name, content, method):
            info = zipfile.ZipInfo("model/" + name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = method
            z.writestr(info, content)

        put("data.pkl", data.getvalue(), zipfile.ZIP_DEFLATED)
        for s in storages:
            put("data/" + s.key, s.bytes, zipfile.ZIP_STORED)
        put("version", b"3\n", zipfile.ZIP_STORED)
    print(f"{path}: {len(tensors)} tensors, {os.path.getsize(path)} bytes")


def main(folder):
    tiny.BETA_START, tiny.BETA_END = 0.00085, 0.012
    tiny.KINDS["q"] = tiny.fake_global(tiny.torch, "LongStorage", type("LongStorage", (), {}))
    tiny.LATENT = 3
    for name, tensors in FAMILIES.items():
        write(f"{folder}/{name}.ckpt", *state_dict(tensors(), name not in ("kl", "vq")))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
