# SPDX-License-Identifier: MIT
"""Small models of Hugging Face diffusers for tests/golden/diffusers_test.c: which tensors they have, their
JSON files, an input and what diffusers computes. The weights are not stored: both sides compute them from
the tensors' names.

    python tools/golden/gen_diffusers.py tests/data/diffusers       (torch, diffusers, transformers)
"""
import json
import os
import sys
import tempfile

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel, UNet2DModel, VQModel
from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import LDMBertConfig, LDMBertModel
from transformers import CLIPTextConfig, CLIPTextModel


def numbers(name, count):
    """splitmix64 of the name's FNV-1a hash plus the element's number, as -1 .. 1 in steps of 2^-23."""
    h = 0xCBF29CE484222325
    for c in name.encode():
        h = (h ^ c) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    with np.errstate(over="ignore"):
        z = np.uint64(h) + np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(40)).astype(np.float64) / 2**23 - 1).astype(np.float32)


def values(name, shape):
    x = numbers(name, int(np.prod(shape)))
    if len(shape) > 1:
        x *= np.float32(np.sqrt(3.0 / np.prod(shape[1:])))
    else:
        x = x * np.float32(0.125) + np.float32(1 if "norm" in name and name.endswith("weight") else 0)
    return x.reshape(shape)


def fill(model):
    state = model.state_dict()
    for name, t in state.items():
        if t.is_floating_point():
            t.copy_(torch.from_numpy(values(name, tuple(t.shape))))
    return model.eval()


def shapes(model):
    return {n: list(t.shape) for n, t in model.state_dict().items() if t.is_floating_point()}


def config(model):
    with tempfile.TemporaryDirectory() as d:
        model.save_pretrained(d)
        with open(os.path.join(d, "config.json")) as f:
            return json.load(f)


def scheduler(**more):
    keep = ("_class_name", "beta_start", "beta_end", "beta_schedule", "num_train_timesteps", "prediction_type")
    s = DDIMScheduler(clip_sample=False, beta_schedule="scaled_linear", **more)
    return {k: v for k, v in dict(s.config, _class_name="DDIMScheduler").items() if k in keep}


def rounded(t):
    return [float("%.7g" % v) for v in t.detach().flatten().tolist()]


def write(out, name, parts, sched, inputs, eps):
    case = {
        "parts": {folder: {"config": config(m), "tensors": shapes(m)} for folder, m in parts.items()},
        "scheduler": sched,
        "t": 500,
        "eps": {"shape": list(eps.shape), "values": rounded(eps)},
    }
    for key, a in inputs.items():
        case[key] = list(a.shape)
    with open(os.path.join(out, name + ".json"), "w") as f:
        json.dump(case, f, separators=(",", ":"), sort_keys=True)
        f.write("\n")


def array(name, *shape):
    return torch.from_numpy(numbers(name, int(np.prod(shape))).reshape(shape) * np.float32(1.7))


def autoencoder(kind, widths, latent, **more):
    n = len(widths)
    return fill(kind(block_out_channels=widths, down_block_types=("DownEncoderBlock2D",) * n,
                     up_block_types=("UpDecoderBlock2D",) * n, layers_per_block=1, latent_channels=latent, **more))


def unconditional(out):
    unet = fill(UNet2DModel(sample_size=8, in_channels=3, out_channels=3, layers_per_block=2,
                            block_out_channels=(32, 64), down_block_types=("DownBlock2D", "AttnDownBlock2D"),
                            up_block_types=("AttnUpBlock2D", "UpBlock2D"), attention_head_dim=16))
    x = array("x", 1, 3, 8, 8)
    write(out, "vq", {"unet": unet, "vqvae": autoencoder(VQModel, (32, 32, 32), 3, num_vq_embeddings=64)},
          scheduler(beta_start=0.0015, beta_end=0.0195), {"x": x}, unet(x, 500).sample)
    unet = fill(UNet2DModel(sample_size=8, in_channels=4, out_channels=4, layers_per_block=1,
                            block_out_channels=(32, 64), down_block_types=("AttnDownBlock2D",) * 2,
                            up_block_types=("AttnUpBlock2D",) * 2, attention_head_dim=8, downsample_type="resnet",
                            upsample_type="resnet"))
    x = array("x", 1, 4, 8, 8)
    write(out, "kl", {"unet": unet, "vae": autoencoder(AutoencoderKL, (32, 32), 4, scaling_factor=0.22)},
          scheduler(beta_start=0.0015, beta_end=0.0155), {"x": x}, unet(x, 500).sample)


def text(out, name, width, encoder, folder, heads, linear, prediction):
    unet = fill(UNet2DConditionModel(sample_size=8, in_channels=4, out_channels=4, layers_per_block=1,
                                     block_out_channels=(32, 64), cross_attention_dim=width,
                                     down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
                                     up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), attention_head_dim=heads,
                                     use_linear_projection=linear))
    x, context = array("x", 1, 4, 8, 8), array("context", 1, 5, width)
    write(out, name, {"unet": unet, "vae": autoencoder(AutoencoderKL, (32, 32), 4), folder: encoder},
          scheduler(beta_start=0.00085, beta_end=0.012, prediction_type=prediction), {"x": x, "context": context},
          unet(x, 500, encoder_hidden_states=context).sample)


def clip(width, act):
    return fill(CLIPTextModel(CLIPTextConfig(vocab_size=64, hidden_size=width, intermediate_size=4 * width,
                                             num_hidden_layers=2, num_attention_heads=1, hidden_act=act)))


def main():
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    torch.manual_seed(0)
    unconditional(out)
    text(out, "sd1", 64, clip(64, "quick_gelu"), "text_encoder", 4, False, "epsilon")
    text(out, "sd2", 64, clip(64, "gelu"), "text_encoder", [2, 4], True, "v_prediction")
    bert = LDMBertModel(LDMBertConfig(vocab_size=64, max_position_embeddings=8, encoder_layers=2, encoder_ffn_dim=128,
                                      encoder_attention_heads=8, head_dim=64, d_model=32, activation_function="gelu"))
    text(out, "text2im", 32, fill(bert), "bert", 8, False, "epsilon")


if __name__ == "__main__":
    main()
