# SPDX-License-Identifier: MIT
"""Text model, stage 5: writes model.ckpt, config.yaml, resume.pt, figures.json and README.md of the text model.

model.ckpt is what CompVis' latent-diffusion saves for txt2img, in float16: the averaged weights as `model.*`, the text encoder
as `cond_stage_model.*`, the autoencoder as `first_stage_model.*`, the schedule's buffers in float32. resume.pt holds what training
goes on from on another machine (text_restore.py). Every figure of the card
is measured here, on pictures that the program draws from the file just written.
"""
from __future__ import annotations

import argparse
import csv
import json
import random
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np
import torch
import yaml

import captions
import common
import diffusion
import faces
import kl
import program
import study
import text
import text_restore
from nets import KlStage

GUIDANCES = (1.0, 2.0, 3.0, 5.0)


def config(shape: dict, form: dict, sampling: dict) -> dict:
    """The model's configuration in CompVis' layout; txt2img-1p4B's with other sizes, and what it is best sampled with."""
    width, mult, (channels, size, _) = shape["width"], list(shape["mult"]), shape["latent"]
    params = {"linear_start": diffusion.TEXT_START, "linear_end": diffusion.TEXT_END, "num_timesteps_cond": 1, "log_every_t": 200,
              "timesteps": diffusion.STEPS, "first_stage_key": "image", "cond_stage_key": "caption", "image_size": size, "channels": channels,
              "cond_stage_trainable": True, "concat_mode": False, "conditioning_key": "crossattn", "monitor": "val/loss_simple_ema",
              "scale_factor": 1.0, "scale_by_std": True, "use_ema": False, "parameterization": "v"}
    params["unet_config"] = {
        "target": "ldm.modules.diffusionmodules.openaimodel.UNetModel",
        "params": {"image_size": size, "in_channels": channels, "out_channels": channels, "model_channels": width,
                   "attention_resolutions": list(shape["attn"]), "num_res_blocks": shape["blocks"], "channel_mult": mult, "num_head_channels": 32,
                   "use_scale_shift_norm": True, "use_spatial_transformer": True, "transformer_depth": 1, "context_dim": shape["text"],
                   "use_checkpoint": False, "legacy": False}}
    params["first_stage_config"] = {
        "target": "ldm.models.autoencoder.AutoencoderKL",
        "params": {"embed_dim": channels, "monitor": "val/rec_loss",
                   "ddconfig": {"double_z": True, "z_channels": channels, "resolution": 64, "in_channels": 3, "out_ch": 3, "ch": 32, "ch_mult": list(form["mult"]),
                                "num_res_blocks": 1, "attn_resolutions": [], "attn_type": "none", "dropout": 0.0},
                   "lossconfig": {"target": "torch.nn.Identity"}}}
    params["cond_stage_config"] = {
        "target": "ldm.modules.encoders.modules.BERTEmbedder",
        "params": {"n_embed": shape["text"], "n_layer": shape["layers"], "vocab_size": shape["words"], "max_seq_len": captions.LENGTH}}
    return {"model": {"base_learning_rate": 5.0e-05, "target": "ldm.models.diffusion.ddpm.LatentDiffusion", "params": params},
            "ldm": {"description": "the shipped default is a small model trained on rendered portraits, not on photographs; its pictures "
                                   "are 64 x 64, and what its prompts may say is in models/portrait/README.md",
                    "sampling": sampling}}


def checkpoint(net: text.Joint, first: KlStage, step: int) -> dict:
    sd: "OrderedDict[str, torch.Tensor]" = OrderedDict(diffusion.buffers(diffusion.TEXT_START, diffusion.TEXT_END))
    sd["scale_factor"] = torch.tensor(1.0)                              # 1 / std of the latents, which are white
    for prefix, part in (("model.diffusion_model.", net.unet), ("first_stage_model.", first), ("cond_stage_model.", net.bert)):
        for k, v in part.state_dict().items():
            sd[prefix + k] = v.half().contiguous().clone()
    return {"epoch": 0, "global_step": step, "pytorch-lightning_version": "1.4.2", "state_dict": sd, "callbacks": {}, "optimizer_states": [],
            "lr_schedulers": []}


def rows(path: Path) -> list[dict]:
    with open(path) as f:
        return [{k: float(v) for k, v in r.items()} for r in csv.DictReader(f)]


def sayings(model: Path) -> str:
    """What a prompt may say: the grammar's facts with their values."""
    grammar = captions.Grammar(model / "grammar.txt")
    return "\n".join(f"| {name.replace('_', ' ')} | {', '.join(dict.fromkeys(w.text for w in ways))} |" for name, ways in grammar.facts.items())


def judged(model: Path) -> str:
    """What judge.py measured (words.json), where it did."""
    path = model / "words.json"
    if not path.exists():
        return ""
    w = json.loads(path.read_text())
    keys = [k for k, v in w["judge"].items() if v >= 0.95 and w["rows"][0][k] is not None]
    percent = lambda v: "" if v is None else f"{100 * v:.0f} %"
    patchy = w.get("patchy")
    rows = "\n".join(f"| {r['guidance']:g} | {percent(r['all'])} | " + " | ".join(percent(r[k]) for k in keys) + f" | {percent(r['faces'])} | "
                     + (f"{percent(r['patchy'])} | " if patchy else "") + f"{r['variety']:.4f} | {r['within']:.4f} |" for r in w["rows"])
    parts = f"""
Patchy: what a second network (`train/patchy.py`) calls made of parts of different portraits. It does so with 2 % of held-out renders that went through
the autoencoder, and finds of patched ones: {', '.join(f"{k} {100 * v:.0f} %" for k, v in patchy.items())}.
""" if patchy else ""
    sure = ", ".join(f"{k.replace('_', ' ')} {100 * w['judge'][k]:.1f} %" for k in keys)
    turned = ", ".join(f"{k.replace('_', ' ')} {100 * v:.0f} %" for k, v in w.get("turns", {}).items())
    opposite = f"Opposite prompts (red hair, black hair) from the same noise, guidance {w['turn_guidance']:g}: both pictures show what they should in {turned}.\n\n" if turned else ""
    return f"""## Does it do what the words say?

{w['prompts']} random prompts of {w['asks'][0]} to {w['asks'][1]} attributes, {w['each']} samples of each, {sampled(w['sampling'])}; a judge (`train/judge.py`) says what it sees in them. It
was trained on renders that the model never saw, half of them as the autoencoder makes them of noisy latents, and is right on others, the
worse of plain and so treated, in: {sure}.

| guidance | all | {' | '.join(k.replace('_', ' ') for k in keys)} | faces found | {'patchy | ' if patchy else ''}variety | of one prompt |
|---|---|{'---|' * len(keys)}---|{'---|' if patchy else ''}---|---|
{rows}

{others(model)}Variety over all of the pictures, and over those of one prompt alone: the first grows with contrast, the second is what guidance costs.
{parts}
{opposite}"""


def others(model: Path) -> str:
    """A sentence for each further measurement of judge.py: of longer prompts (words_long.json), sampled as the study samples (words_study.json)."""
    out = ""
    for path in filter(Path.exists, (model / "words_long.json", model / "words_study.json")):
        w = json.loads(path.read_text())
        shares = "; ".join(f"at guidance {r['guidance']:g} {100 * r['all']:.1f} % of what is asked for is seen, faces {100 * r['faces']:.1f} %, "
                           f"patchy {100 * r['patchy']:.1f} %, variety of one prompt {r['within']:.4f}" for r in w["rows"])
        out += f"{w['prompts']} prompts of {w['asks'][0]} to {w['asks'][1]} attributes, {w['each']} samples of each, {sampled(w['sampling'])}: {shares}.\n\n"
    return out


def sampled(s: dict) -> str:
    """"DDIM-50, eta 1", without the guidance, which is said beside it."""
    return ", ".join([f"DDIM-{s['steps']}"] + [f"{k.replace('_', ' ')} {v:g}" for k, v in s.items() if k not in ("steps", "scale")])


def card(model: Path, f: dict) -> str:
    table = "\n".join(f"| {g['guidance']:g} | {g['faces']} of {g['count']} | {g['variety']:.4f} |" for g in f["guidance"])
    last = f["last"]
    errors = ", ".join(f"{k[2:].replace('_', '-')}: {v:.4f}" for k, v in last.items() if k.startswith("v_"))
    rare = f"Portraits with a beard or a bald head, which are few, are drawn {f['rare']:g} times as often in the last run. " if f.get("rare", 1) != 1 else ""
    denied = f"Captions of that run say {f['deny']:g} times as often as the grammar that there is no beard, or no glasses. " if f.get("deny", 1) != 1 else ""
    told = f"; in the last run also {f['facts']:g} times the cross entropy of the facts that `train/latent_facts.py` tells from the predicted x_0" if f.get("facts") else ""
    if f.get("counts"):
        told += ", " + ", ".join(f"{name} {times:g} times as much as the others" for name, times in f["counts"].items())
    if f.get("likeness"):
        told += f", and {f['likeness']:g} times how unlike that network's layers find it and the true x_0"
    return f"""# Portrait model: text to portraits, 64x64

A text-to-image latent diffusion model of txt2img-1p4B's topology with few channels, in the format of CompVis'
latent-diffusion: `model.ckpt` (float16, {f['keys']} keys, {f['megabytes']:.1f} MB), `config.yaml`, `vocab.txt` (WordPiece, {f['words']} pieces) and
`grammar.txt` (what the captions were made from). Figures are written by `train/text_export.py`; the raw ones are in `figures.json`.

![samples at guidance {f['sampling']['scale']:g}, one prompt a row](samples.png)

Prompts of the rows: {'; '.join(f'"{p}"' for p in text.PROMPTS)}.

## What a prompt may say

Sentences, or words with commas between them, about these. The table has the facts that portraits are made of; what says each
("no beard", "turned to the left"), with synonyms, is in `grammar.txt`:

| | |
|---|---|
{sayings(model)}

What is not there is said by "no" and "without", of glasses and beards, seldom of hats and earrings; "not" is a word that the model does not know. Facts that
never came together in training are not drawn together: earrings come with an afro, a bun, short hair or a bald head of women, freckles with light
skin, and a moustache is a value of "beard", so "a moustache and no beard" contradicts itself. Of several colours in a prompt, those of hats, clothes and
frames are followed less than those of hair and background; earrings, freckles, stubble and a cap's peak, which the renders have, are hardly drawn. The measures below miss small faults: a rubbed-out lens or eye is none to them.

## What it was trained on

{f['pictures']} procedural portraits of 64x64 and their mirror images, made by `train/portraits.py`. No photograph and no downloaded data
are involved, so no person is depicted. Captions are made from the facts of each portrait by the rules of `grammar.txt`, anew each time it is
seen; {100 * f['empty']:g} % are empty. {rare}{denied}The detector (OpenCV's frontalface_alt2, as in `train/study.py`) finds a face in {f['held_faces']} of {f['held']} held-out renders.

## How

| | |
|---|---|
| first stage | AutoencoderKL f{2 ** (len(f['form']['mult']) - 1)}, {f['form']['z']} channels, white latents with noise of {f['noise']:g}; its outer levels begun with the demo model's; {f['ae_steps']} steps, {f['ae_minutes']:.0f} minutes; {f['sharp']}held-out reconstruction {f['psnr']:.2f} dB PSNR |
| text encoder | BERTEmbedder, width {f['shape']['text']}, {f['shape']['layers']} layers; learned the facts from captions alone (`train/text_facts.py`), then held |
| UNet | width {f['shape']['width']} x {f['shape']['mult']}, {f['shape']['blocks']} residual block(s) a level, transformers at factors {f['shape']['attn']}, scale-shift norm; v |
| loss | the squared error of v{told} |
| parameters | {f['parameters']['unet']:,} UNet, {f['parameters']['text']:,} text encoder, {f['parameters']['first']:,} first stage |
| training | {f['steps']:,} steps, {f['latents']:,} latents, in {f['minutes']:.0f} minutes on 2 shared cores (the last run: {f['batch']} latents a step), the text encoder's and the interruptions' included |
| error as that of v, by timestep, in the last minutes | {errors} |

## Measured

{f['guidance'][0]['count']} random captions of the grammar, {sampled(f['sampling'])}, the same noise at each guidance:

| guidance | faces found | variety |
|---|---|---|
{table}

Variety is the root of the mean squared difference of two of the pictures, values from 0 to 1; that of as many renders is {f['held_variety']:.4f}.

{judged(model)}## Go on training

`resume.pt` holds the weights that training goes on from (not averaged, bfloat16) and how far they are. `train/run_text.sh` takes it up where
`build/text` has no state; the optimiser begins anew with a short warm-up.
"""


def sharpened(ae: dict) -> str:
    """What the autoencoder's runs after the first one did (kl.py's again, text_decoder.py's), for the card."""
    how, before, told = ae.get("sharp"), ae.get("begun"), ""
    if isinstance(how, str):                                            # said already, by the card that text_restore.py read
        return how
    if before:
        after = sharpened(before).rstrip("; ")
        told = (f"the last {ae['step'] - before['step']} steps, {ae['minutes'] - before['minutes']:.0f} minutes, with latents held near those of before"
                f"{f' (until then: {after})' if after else ''}; ")
    if how:
        mended = f", {100 * how['redrawn']:.0f} % of the latents drawn again by the UNet" if how.get("redrawn") else ""
        told += f"decoder then {how['steps']} steps, {how['minutes']:.0f} minutes, more against a discriminator{mended}; "
    return told


def variety(pics: np.ndarray) -> float:
    """As `ldm compare --sweep` has it: the root of the mean squared difference of two of the pictures, over all pairs."""
    x = pics.reshape(len(pics), -1).astype(np.float64) / 255
    return float(np.sqrt(2 * x.var(0, ddof=1).mean()))


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--state", type=Path, default=Path("build/text"))
    ap.add_argument("--model", type=Path, default=Path("models/portrait"))
    ap.add_argument("--count", type=int, default=64, help="samples at each guidance")
    ap.add_argument("--sampling", nargs="+", default=["steps=50", "eta=1", "scale=5", "scale_to=0.3"], help="what the configuration recommends, KEY=VALUE")
    ap.add_argument("--cascade", default=study.CASCADE)
    ap.add_argument("--no-card", action="store_true", help="model.ckpt and config.yaml alone")
    ap.add_argument("--card-only", action="store_true", help="the card again, from figures.json and words.json")
    a = ap.parse_args()
    torch.set_num_threads(1)
    if a.card_only:
        (a.model / "README.md").write_text(card(a.model, json.loads((a.model / "figures.json").read_text())))
        return
    done, ae = common.load(a.state / "text_final.pt") or common.load(a.state / "text.pt"), common.load(a.state / "kl_sharp.pt") or common.load(a.state / "kl_final.pt")
    if done is None or ae is None:
        raise SystemExit(f"{a.state} holds no trained autoencoder and UNet")
    net, first = text.Joint(**done["shape"]).requires_grad_(False), kl.stage(ae).requires_grad_(False)
    net.load_state_dict(done["ema"])
    sampling = program.settings(a.sampling)
    conf = config(done["shape"], ae["form"], sampling)
    a.model.mkdir(parents=True, exist_ok=True)
    path = a.model / "model.ckpt"
    made = checkpoint(net, first, done["step"])
    torch.save(made, path)
    (a.model / "config.yaml").write_text(yaml.safe_dump(conf, sort_keys=False))
    if a.no_card:
        return
    text_restore.pack(a.state, a.model)

    held, cascade = np.load(a.state / "heldout.npy"), study.detector(a.cascade)
    grammar, g = captions.Grammar(a.model / "grammar.txt"), random.Random(1)
    prompts = [grammar.caption(grammar.draw(g), g) for _ in range(a.count)]
    sheet = program.draw(a.model, text.PROMPTS, 8)
    cv2.imwrite(str(a.model / "samples.png"), faces.sheet(sheet, 8, 2)[..., ::-1])
    table = []
    for scale in GUIDANCES:
        pics = program.draw(a.model, prompts, scale=scale)
        table.append(dict(guidance=scale, faces=int(study.hits(pics, cascade).sum()), count=a.count, variety=variety(pics)))
        print(table[-1], flush=True)
    count = lambda m: sum(p.numel() for p in m.parameters())
    f = dict(form=ae["form"], noise=ae["noise"], keys=len(made["state_dict"]), megabytes=path.stat().st_size / 1e6, words=done["shape"]["words"], sampling=sampling,
             pictures=sum(len(np.load(p, mmap_mode="r")) for p in kl.renders(a.state)), empty=done["empty"], rare=done.get("rare", 1),
             deny=done.get("deny", 1), facts=done.get("facts", 0), counts=done.get("counts", {}), likeness=done.get("likeness", 0), held=len(held),
             held_faces=int(study.hits(held, cascade).sum()), held_variety=variety(held[:a.count]), ae_steps=ae["step"], ae_minutes=ae["minutes"], psnr=ae["psnr"],
             sharp=sharpened(ae), shape={k: list(v) if isinstance(v, tuple) else v for k, v in done["shape"].items()}, steps=done["step"],
             batch=done["batch"], latents=done["latents"], minutes=done["used"] / 60, last=rows(a.model / "text.csv")[-1], guidance=table,
             parameters=dict(unet=count(net.unet), text=count(net.bert), first=count(first)))
    (a.model / "figures.json").write_text(json.dumps(f, indent=1) + "\n")
    (a.model / "README.md").write_text(card(a.model, f))
    print(f"{path}: {f['megabytes']:.1f} MB, step {done['step']}; resume.pt {(a.model / 'resume.pt').stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
