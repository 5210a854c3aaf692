# SPDX-License-Identifier: MIT
"""The text model's training state in a file small enough to be kept: resume.pt, and back.

    python text_restore.py pack       # build/text -> models/portrait/resume.pt
    python text_restore.py unpack     # kl.pt, kl_final.pt and facts.pt from it, where they are lost
    python text_restore.py exported   # facts.pt and kl_sharp.pt from model.ckpt: training goes on from the averaged weights

The autoencoder is kept in float16, the UNet's and the text encoder's plain weights in bfloat16, where they are trained at all;
optimisers are not. On the way back held-out renders must come out with the PSNR they had, or the renders are others.
"""
from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

import common
import kl

TRAINED = ("step", "latents", "used", "shape")
KEPT = ("form", "noise", "step", "minutes", "psnr", "batch", "budget", "pictures", "begun")


def pack(state: Path, model: Path) -> Path:
    """Writes resume.pt."""
    ae, trained = common.load(state / "kl_final.pt"), common.load(state / "text.pt")
    if ae is None:
        raise SystemExit(f"{state}/kl_final.pt is missing: train the autoencoder first (kl.py)")
    out = dict(first=dict(net={k: v.half() for k, v in ae["net"].items()}, **{k: ae[k] for k in KEPT if k in ae}))
    if trained is not None:
        out.update({k: trained[k] for k in TRAINED})
        out["net"] = {k: v.bfloat16() for k, v in trained["net"].items()}
    model.mkdir(parents=True, exist_ok=True)
    common.save(model / "resume.pt", out)
    return model / "resume.pt"


def unpack(state: Path, model: Path) -> None:
    kept = common.load(model / "resume.pt")
    if kept is None:
        return
    if "net" in kept and not (state / "facts.pt").exists() and not (state / "text.pt").exists():
        bert = {k[5:]: v.float() for k, v in kept["net"].items() if k.startswith("bert.")}
        common.save(state / "facts.pt", dict(bert=bert, **{k: kept[k] for k in ("net", *TRAINED)}))
    if (state / "kl.pt").exists() or (state / "kl_final.pt").exists():
        return
    said = kept["first"]
    first = kl.stage(said)
    psnr, _ = kl.measure(first, np.load(state / "heldout.npy"))
    if abs(psnr - said["psnr"]) > 0.02:
        raise SystemExit(f"{model}/resume.pt: held-out renders come back at {psnr:.3f} dB, they did at {said['psnr']:.3f}: other renders")
    common.save(state / "kl.pt", dict(net=first.state_dict(), opt=None, step=said["step"], used=said["minutes"] * 60))
    common.save(state / "kl_final.pt", {**said, "net": first.state_dict()})
    print(f"{state}/kl_final.pt from {model}: held-out PSNR {psnr:.2f} dB, as before")


def part(checkpoint: Path, prefix: str) -> dict:
    """The float32 weights of one network of an exported checkpoint, by their names in it."""
    sd = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    return {k[len(prefix):]: v.float() for k, v in sd.items() if k.startswith(prefix)}


def exported(state: Path, model: Path) -> None:
    """What model.ckpt holds, as states: the UNet and the text encoder as the last run left them, the decoder that was sharpened."""
    path = model / "model.ckpt"
    told, ae = json.loads((model / "figures.json").read_text()), common.load(state / "kl_final.pt")
    if ae is None:
        raise SystemExit(f"{state}/kl_final.pt is missing: unpack first")
    bert = part(path, "cond_stage_model.")
    net = {f"unet.{k}": v for k, v in part(path, "model.diffusion_model.").items()} | {f"bert.{k}": v for k, v in bert.items()}
    common.save(state / "facts.pt", dict(bert=bert, net=net, step=told["steps"], latents=told["latents"], used=told["minutes"] * 60, shape=told["shape"]))
    common.save(state / "kl_sharp.pt", {**ae, "net": part(path, "first_stage_model."), "psnr": told["psnr"], "sharp": told["sharp"]})
    print(f"{state}/facts.pt and kl_sharp.pt from {model}/model.ckpt, step {told['steps']}")


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("what", choices=["pack", "unpack", "exported"])
    ap.add_argument("--state", type=Path, default=Path("build/text"))
    ap.add_argument("--model", type=Path, default=Path("models/portrait"))
    a = ap.parse_args()
    torch.set_num_threads(1)
    if a.what == "unpack":
        unpack(a.state, a.model)
    elif a.what == "exported":
        exported(a.state, a.model)
    else:
        path = pack(a.state, a.model)
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
