# SPDX-License-Identifier: MIT
"""Whole models between ldm and Hugging Face diffusers, in both directions.

    python tools/golden/check_diffusers.py build/ldm WORK [--only NAME,...]     (torch, diffusers, transformers)

There: `ldm convert --to diffusers` of the shipped models and of those in tests/data; diffusers loads each folder as a
pipeline, where it has one, and each part by itself. Back: diffusers saves small random pipelines in each of the forms
that save_pretrained has, and ldm loads the folders. What both compute is compared by relative L2 distance: eps,
context, decoded pictures. One line a check; exit code 1 where one fails."""
import glob
import json
import os
import subprocess
import shutil
import sys
import traceback
import warnings

import diffusers
import numpy as np
import torch
import transformers
from PIL import Image
from diffusers import (AutoencoderKL, DDIMScheduler, LDMPipeline, LDMSuperResolutionPipeline, LDMTextToImagePipeline,
                       StableDiffusionInpaintPipeline, StableDiffusionPipeline, UNet2DConditionModel, UNet2DModel, VQModel)
from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import LDMBertConfig, LDMBertModel

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gen_diffusers import array, autoencoder, clip, fill  # noqa: E402

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIMIT = 5e-5
STEPS = 5
failed = 0


def distance(a, b):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.linalg.norm(a - b) / np.linalg.norm(b) if a.shape == b.shape else float("inf")


def say(name, what, figure, limit=LIMIT):
    global failed
    good = figure <= limit if isinstance(figure, float) else figure == ""
    failed += not good
    print("%s  %-34s %-22s %s" % ("ok  " if good else "FAIL", name, what,
                                  "%.1e" % figure if isinstance(figure, float) else figure), flush=True)


class Ldm:
    def __init__(self, program, work):
        self.program, self.work = os.path.abspath(program), work

    def run(self, *args):
        p = subprocess.run([self.program, *map(str, args)], capture_output=True, text=True, cwd=self.work)
        if p.returncode:
            raise RuntimeError("ldm %s: %s" % (args[0], p.stderr.strip()[-300:]))
        return p.stdout + p.stderr

    def eval(self, model, part, **arrays):
        args, out = ["eval", *model, "--part", part, "--out", "out.npy"], os.path.join(self.work, "out.npy")
        for key, a in arrays.items():
            if isinstance(a, (np.ndarray, torch.Tensor)):
                np.save(os.path.join(self.work, key + ".npy"), np.asarray(a))
                a = key + ".npy"
            args += ["--" + {"x": "in"}.get(key, key), a]
        if os.path.exists(out):
            os.unlink(out)
        self.run(*args)
        return np.load(out)


# ---- what both compute ------------------------------------------------------------------------------------------


def contexts(unet):
    width = getattr(unet.config, "cross_attention_dim", None)
    return {"context": array("context", 1, 5, width)} if width and isinstance(unet, UNet2DConditionModel) else {}


def compare_unet(ldm, name, model, unet):
    x, more = array("x", 1, unet.config.in_channels, 8, 8), contexts(unet)
    inner = unet.config.out_channels
    theirs, ours = {}, dict(more, x=x[:, :inner])
    if x.shape[1] > inner:
        ours["concat"] = x[:, inner:]
    if more:
        theirs["encoder_hidden_states"] = more["context"]
    if unet.config.get("num_class_embeds"):
        theirs["class_labels"] = torch.tensor([1])
        ours["labels"] = np.array([1.0], np.float32)
    with torch.no_grad():
        want = unet(x, 500, **theirs).sample
    say(name, "eps", distance(ldm.eval(model, "unet", t=500, **ours), want))


def compare_stage(ldm, name, model, stage, scale):
    z = array("z", 1, stage.config.latent_channels, 8, 8)
    with torch.no_grad():
        want = stage.decode(z / scale).sample
    say(name, "decoded picture", distance(ldm.eval(model, "decode", x=z), want))
    picture = array("picture", 1, 3, 8 * 2 ** (len(stage.config.block_out_channels) - 1),
                    8 * 2 ** (len(stage.config.block_out_channels) - 1)) / 1.7
    with torch.no_grad():
        code = stage.encode(picture)
    want = code.latents if hasattr(code, "latents") else code.latent_dist.parameters
    say(name, "encoded picture", distance(ldm.eval(model, "encode", x=picture), want))


def compare_text(ldm, name, model, text, layers_back=False):
    ids = (array("ids", 1, text.config.max_position_embeddings).numpy() * 1e6).astype(np.int64) % text.config.vocab_size
    with torch.no_grad():
        want = text(torch.from_numpy(ids))
    want = want[0]
    say(name, "context of a text", distance(ldm.eval(model, "text", ids=ids.astype(np.float32)), want))


def compare_parts(ldm, name, model, parts, scale):
    for part, m in parts.items():
        if part == "unet":
            compare_unet(ldm, name, model, m)
        elif part in ("vae", "vqvae"):
            compare_stage(ldm, name, model, m, scale)
        elif part in ("text_encoder", "bert"):
            compare_text(ldm, name, model, m)


# ---- there: ldm writes, diffusers loads -------------------------------------------------------------------------


def class_of(folder):
    name = json.load(open(os.path.join(folder, "config.json")))
    name = name.get("_class_name") or name["architectures"][0]
    if name == "LDMBertModel":
        return LDMBertModel
    return getattr(diffusers, name, None) or getattr(transformers, name, None)


def load_parts(folder):
    parts = {}
    for part in sorted(os.listdir(folder)):
        if os.path.exists(os.path.join(folder, part, "config.json")) and class_of(os.path.join(folder, part)):
            parts[part] = class_of(os.path.join(folder, part)).from_pretrained(os.path.join(folder, part)).float().eval()
    return parts


def load_pipeline(folder):
    return diffusers.DiffusionPipeline.from_pretrained(folder)


def compare_pictures(ldm, name, model, pipe, size):
    """Pictures from the same noise by the whole pipeline, uint8."""
    steps, prompt = ["--steps", STEPS, "--seed", 42, "--eta", 0, "--scale-to", 1], "a man with a beard"
    g = torch.Generator().manual_seed(42)
    kind = type(pipe).__name__
    more = dict(num_inference_steps=STEPS, generator=g, output_type="np")
    if kind == "LDMPipeline":
        want = pipe(batch_size=1, eta=0.0, **more).images[0]
    elif kind in ("LDMTextToImagePipeline", "StableDiffusionPipeline"):
        # LDMTextToImagePipeline takes the latent's side times 8, whatever the first stage's factor is.
        side = size
        if kind == "LDMTextToImagePipeline":
            side = 8 * size // 2 ** (len(pipe.vqvae.config.block_out_channels) - 1)
        want = pipe([prompt], height=side, width=side, guidance_scale=3.0, eta=0.0, **more).images[0]
        steps += ["--prompt", prompt, "--scale", 3, "--size", "%dx%d" % (size, size)]
    else:
        return
    ldm.run("generate", *model, "--sampler", "ddim", *steps, "-o", "picture.png", "--overwrite", "--quiet")
    have = np.asarray(Image.open(os.path.join(ldm.work, "picture.png")), np.float64)
    want = np.clip(want * 255, 0, 255)
    say(name, "the pipeline's picture", float(np.abs(have - want).max()), 2.0)


def there(ldm, name, model, size=None, pipeline=True):
    folder = os.path.join(ldm.work, "to-" + name)
    shutil.rmtree(folder, ignore_errors=True)
    ldm.run("convert", *model, "--to", "diffusers", "-o", folder)
    parts = load_parts(folder)
    stage = parts.get("vae") or parts.get("vqvae")
    compare_parts(ldm, name, model, parts, stage.config.scaling_factor)
    if pipeline:
        pipe = load_pipeline(folder)
        say(name, "loads as", "" if type(pipe).__name__ == json.load(open(folder + "/model_index.json"))["_class_name"]
            else type(pipe).__name__)
        compare_pictures(ldm, name, model, pipe, size)


def test_model(ldm, name):
    """A model of tests/data, with the small vocabulary that its text encoder has beside it."""
    base, folder = os.path.join(TOP, "tests/data/models", name), os.path.join(ldm.work, "model-" + name)
    os.makedirs(folder, exist_ok=True)
    shutil.copy(base + ".ckpt", folder)
    for words in ("vocab.txt",) if name in ("bert", "layout") else ("vocab.json", "merges.txt"):
        shutil.copy(os.path.join(TOP, "tests/data/tokenize", words), folder)
    return ["--ckpt", os.path.join(folder, name + ".ckpt"), "--config", base + ".yaml"]


THERE = {
    "demo": lambda l, n: there(l, n, ["--model", "demo"]),
    "portrait": lambda l, n: there(l, n, ["--model", "portrait"], 128),
    "tiny": lambda l, n: there(l, n, ["--ckpt", TOP + "/tests/data/tiny/model.ckpt", "--config",
                                      TOP + "/tests/data/tiny/config.yaml"]),
    "bert": lambda l, n: there(l, n, test_model(l, n), 64),
    "class": lambda l, n: there(l, n, test_model(l, n), pipeline=False),  # diffusers has none
    "layout": lambda l, n: there(l, n, test_model(l, n), pipeline=False),  # of boxes: diffusers has none
    "clip": lambda l, n: there(l, n, test_model(l, n), 64),
    "openclip": lambda l, n: there(l, n, test_model(l, n), 64),
    "sd_inpaint": lambda l, n: there(l, n, test_model(l, n)),
    "superres": lambda l, n: there(l, n, test_model(l, n)),
}

# ---- back: diffusers saves, ldm loads ---------------------------------------------------------------------------


def sched(prediction="epsilon", start=0.00085, end=0.012):
    return DDIMScheduler(clip_sample=False, beta_schedule="scaled_linear", beta_start=start, beta_end=end,
                         prediction_type=prediction, steps_offset=1, set_alpha_to_one=False)


def plain_unet(latent, **more):
    return fill(UNet2DModel(sample_size=8, in_channels=latent, out_channels=more.pop("out", latent), layers_per_block=2,
                            block_out_channels=(32, 64), down_block_types=("DownBlock2D", "AttnDownBlock2D"),
                            up_block_types=("AttnUpBlock2D", "UpBlock2D"), attention_head_dim=16, **more))


def cross_unet(width, heads, linear, latent=4, **more):
    return fill(UNet2DConditionModel(sample_size=8, in_channels=latent, out_channels=4, layers_per_block=1,
                                     block_out_channels=(32, 64), cross_attention_dim=width,
                                     down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
                                     up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), attention_head_dim=heads,
                                     use_linear_projection=linear, **more))


def vq():
    return autoencoder(VQModel, (32, 32, 32), 3, num_vq_embeddings=64)


def kl(**more):
    return autoencoder(AutoencoderKL, (32, 32), 4, **more)


def bert_model():
    return fill(LDMBertModel(LDMBertConfig(vocab_size=64, max_position_embeddings=8, encoder_layers=2, encoder_ffn_dim=128,
                                           encoder_attention_heads=8, head_dim=64, d_model=32, activation_function="gelu")))


def sd(unet, text, prediction="epsilon", kind=StableDiffusionPipeline):
    return kind(vae=kl(), text_encoder=text, tokenizer=None, unet=unet, scheduler=sched(prediction), safety_checker=None,
                feature_extractor=None, requires_safety_checker=False)


PIPELINES = {
    "LDM, VQ": (lambda: LDMPipeline(vqvae=vq(), unet=plain_unet(3), scheduler=sched(start=0.0015, end=0.0195)), 1.0),
    "LDM, KL": (lambda: LDMPipeline(vqvae=kl(scaling_factor=0.22), unet=plain_unet(4), scheduler=sched()), 0.22),
    "LDM, text": (lambda: LDMTextToImagePipeline(vqvae=kl(), bert=bert_model(), tokenizer=None,
                                                 unet=cross_unet(32, 8, False), scheduler=sched()), 0.18215),
    "LDM, super-resolution": (lambda: LDMSuperResolutionPipeline(vqvae=vq(), unet=plain_unet(6, out=3), scheduler=sched()),
                              1.0),
    "SD 1": (lambda: sd(cross_unet(64, 4, False), clip(64, "quick_gelu")), 0.18215),
    "SD 2": (lambda: sd(cross_unet(64, [2, 4], True), clip(64, "gelu")), 0.18215),
    "SD 2, v": (lambda: sd(cross_unet(64, [2, 4], True), clip(64, "gelu"), "v_prediction"), 0.18215),
    "SD 1, inpainting": (lambda: sd(cross_unet(64, 4, False, 9), clip(64, "quick_gelu"),
                                    kind=StableDiffusionInpaintPipeline), 0.18215),
}
# how it is saved; what of it is an option of float16
FORMS = {
    "safetensors": dict(),
    "bin": dict(safe_serialization=False),
    "shards": dict(max_shard_size="200KB"),
    "bin in shards": dict(safe_serialization=False, max_shard_size="200KB"),
    "fp16": dict(variant="fp16"),
    "fp16 in shards": dict(variant="fp16", max_shard_size="200KB"),
    "fp16 bin": dict(variant="fp16", safe_serialization=False),
}


def back(ldm, name, make, scale, form):
    pipe = make()
    parts = {n: m for n, m in pipe.components.items() if isinstance(m, torch.nn.Module)}
    if "variant" in form:
        pipe.to(torch.float16)
    folder = os.path.join(ldm.work, "from-" + name.replace(" ", "-").replace(",", ""))
    shutil.rmtree(folder, ignore_errors=True)
    pipe.save_pretrained(folder, **form)
    for m in parts.values():
        m.float()
    files = glob.glob(folder + "/unet/*")
    if "max_shard_size" in form and len(files) < 4:
        raise RuntimeError("not sharded: %s" % files)
    compare_parts(ldm, name, ["--ckpt", folder], parts, scale)


def main():
    work = os.path.abspath(sys.argv[2])
    only = sys.argv[sys.argv.index("--only") + 1].split(",") if "--only" in sys.argv else None
    os.makedirs(work, exist_ok=True)
    ldm = Ldm(sys.argv[1], work)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for library in (diffusers, transformers):
        library.logging.set_verbosity_error()
        library.logging.disable_progress_bar()
    print("diffusers %s, transformers %s, torch %s" % (diffusers.__version__, transformers.__version__, torch.__version__))
    checks = {n: (lambda n=n, f=f: f(ldm, n)) for n, f in THERE.items()}
    for n, (make, scale) in PIPELINES.items():
        for f, form in FORMS.items():
            name = n + ", " + f
            checks[name] = lambda name=name, make=make, scale=scale, form=form: back(ldm, name, make, scale, form)
    for name, check in checks.items():
        if only and not any(o in name for o in only):
            continue
        try:
            check()
        except Exception as e:
            say(name, "failed", " ".join(str(e).split())[:600] or type(e).__name__)
            if "--trace" in sys.argv:
                traceback.print_exc()
    print("%d failed" % failed)
    return 1 if failed else 0


sys.exit(main())
