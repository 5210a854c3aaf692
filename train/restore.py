# SPDX-License-Identifier: MIT
"""Rebuilds the states of the training from an exported model, where they are gone.

    python restore.py --model models/demo                # writes ae_final.pt and ldm.pt unless they are there
    python restore.py --model models/demo --first-only   # ae_final.pt alone: another UNet on the same latents
    python restore.py --model models/demo --pack         # the UNet of ldm.pt into resume.pt, where it is to be finished elsewhere

A UNet in `resume.pt` takes precedence over that of the exported model; its log takes the place of the exported model's.

The weights are those of the file, in float16, the averaged ones in the UNet's case, and there is no optimiser; what is known of
their making comes from `figures.json` beside it. The renders follow from their seed, and the reconstruction of held-out
renders must measure what the figures say: else renders and model do not belong together.
"""
from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import yaml

import ae
import common
import export
from nets import FirstStage, UNet


def figures(model: Path) -> dict:
    return json.loads((model / "figures.json").read_text())


def runs(model: Path) -> list[dict]:
    """The runs that made the UNet of an exported model: steps, batch, minutes used and allowed, what it began with, the
    factor on the rates and the number of latents."""
    f = figures(model)
    if "ldm_runs" in f:
        return f["ldm_runs"]
    return [dict(steps=f["ldm_steps"], batch=f["ldm_seen"] // f["ldm_steps"], minutes=f["ldm_minutes"], budget=f["ldm_budget"],
                 begin="random weights", factor=1.0, latents=f["pictures"] * (2 if f["mirrored"] else 1))]


def networks(model: Path) -> tuple[UNet, FirstStage]:
    with open(model / "config.yaml") as f:
        return export.read(model / "model.ckpt", yaml.safe_load(f))


def pack(state: Path, logs: Path, model: Path) -> Path:
    """Writes resume.pt: the averaged weights in float16, the log, and what the card tells of the run."""
    trained = common.load(state / "ldm.pt")
    if trained is None:
        raise SystemExit(f"{state}/ldm.pt is missing: train the UNet first (ldm.py)")
    rest = {k: v for k, v in trained.items() if k not in ("net", "ema", "opt")}
    common.save(model / "resume.pt", dict(net={k: v.half().contiguous() for k, v in trained["ema"].items()}, log=(logs / "ldm.csv").read_bytes(), **rest))
    return model / "resume.pt"


def resumed(model: Path) -> dict | None:
    """The state in resume.pt, for ldm.py to go on from or for export.py to finish."""
    kept = common.load(model / "resume.pt")
    if kept is None:
        return None
    (model / "ldm.csv").write_bytes(kept.pop("log"))
    params = {k: v.float() for k, v in kept.pop("net").items()}
    return dict(net=params, ema=params, opt=None, **kept)


def unet_state(model: Path) -> dict:
    """A state for ldm.py to go on from: a new run, at its first step."""
    unet, before = networks(model)[0], runs(model)
    params = unet.state_dict()
    return dict(net=params, ema=params, opt=None, step=0, used=0.0, before=before, form=dict(width=unet.width, mult=tuple(unet.mult), blocks=unet.blocks),
                batch=before[-1]["batch"], budget=0.0, begin="averaged float16 weights of the exported model, new optimiser")


def first_state(model: Path, held: np.ndarray) -> dict:
    """The trained autoencoder's state, after a check against the held-out renders."""
    said, first = figures(model), networks(model)[1]
    psnr, codes, _ = ae.measure(first, held, True)
    if abs(psnr - said["psnr"]) > 0.02:
        raise SystemExit(f"{model}: held-out renders come back at {psnr:.3f} dB, figures.json says {said['psnr']:.3f}: other renders")
    return dict(net=first.state_dict(), step=said["ae_steps"], minutes=said["ae_minutes"], psnr=psnr, codes=codes,
                entries=first.quantize.embedding.num_embeddings, batch=said["ae_seen"] // said["ae_steps"], budget=said["ae_budget"],
                decoder_runs=said.get("decoder_runs", []))


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--state", type=Path, default=common.STATE)
    ap.add_argument("--model", type=Path, default=common.MODEL)
    ap.add_argument("--logs", type=Path, default=common.MODEL, help="where the log of ldm.py lies, for --pack")
    ap.add_argument("--first-only", action="store_true", help="the autoencoder alone")
    ap.add_argument("--pack", action="store_true", help="write resume.pt, read nothing back")
    a = ap.parse_args()
    torch.set_num_threads(1)
    if a.pack:
        path = pack(a.state, a.logs, a.model)
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
        return
    path = a.state / "ae_final.pt"
    if not path.exists():
        state = first_state(a.model, np.load(a.state / "heldout.npy"))
        common.save(path, state)
        print(f"{path} from {a.model}: held-out PSNR {state['psnr']:.2f} dB, as figures.json says")
    path = a.state / "ldm.pt"
    if not path.exists() and not a.first_only:
        state = resumed(a.model) or unet_state(a.model)
        common.save(path, state)
        print(f"{path} from {a.model}: after {sum(r['steps'] for r in state['before']) + state['step']} steps")


if __name__ == "__main__":
    main()
