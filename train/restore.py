# SPDX-License-Identifier: MIT
"""Rebuilds the states of the training from an exported model, where they are gone.

    python restore.py --model models/demo                # writes ae_final.pt and ldm.pt unless they are there
    python restore.py --model models/demo --first-only   # ae_final.pt alone: another UNet on the same latents
    python restore.py --model models/demo --pack         # what is trained so far into resume.pt, to be finished elsewhere

What is in `resume.pt` takes precedence over the exported model, and its logs take the place of the exported model's. An autoencoder
alone in it counts with `--first-only`: the exported UNet does not know its latents.

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


LOGS = ("autoencoder.csv", "ldm.csv")


def runs(model: Path) -> list[dict]:
    """The runs that made the UNet of an exported model: steps, batch, minutes used and allowed, what it began with, the
    factor on the rates and the number of latents."""
    return figures(model)["ldm_runs"]


def first_runs(model: Path) -> list[dict]:
    """The runs that made the autoencoder of an exported model, each begun with the weights of the one before."""
    return figures(model)["ae_runs"]


def networks(model: Path) -> tuple[UNet, FirstStage]:
    with open(model / "config.yaml") as f:
        return export.read(model / "model.ckpt", yaml.safe_load(f))


def pack(state: Path, logs: Path, model: Path) -> Path:
    """Writes resume.pt: the autoencoder, the UNet's averaged weights where it is trained, both in float16, and the logs."""
    first, unet = common.load(state / "ae_final.pt"), common.load(state / "ldm.pt")
    if first is None:
        raise SystemExit(f"{state}/ae_final.pt is missing: train the autoencoder first (ae.py)")
    half = lambda net: {k: v.half().contiguous() for k, v in net.items()}
    out = dict(first=first | dict(net=half(first["net"])), logs={n: (logs / n).read_bytes() for n in LOGS if (logs / n).exists()})
    if unet is not None:
        out["unet"] = {k: v for k, v in unet.items() if k not in ("net", "ema", "opt")} | dict(net=half(unet["ema"]))
    common.save(model / "resume.pt", out)
    return model / "resume.pt"


def whole(net: dict) -> dict:
    """The weights in float32."""
    return {k: v.float() for k, v in net.items()}


def unet_state(model: Path, kept: dict) -> dict:
    """A state for ldm.py to go on from: that of resume.pt (kept), or a new run from the exported weights, at its first step."""
    if "unet" in kept:
        params = whole(kept["unet"]["net"])
        return kept["unet"] | dict(net=params, ema=params, opt=None)
    unet, before = networks(model)[0], runs(model)
    params = unet.state_dict()
    return dict(net=params, ema=params, opt=None, step=0, used=0.0, before=before, form=dict(width=unet.width, mult=tuple(unet.mult), blocks=unet.blocks),
                batch=before[-1]["batch"], budget=0.0, begin="averaged float16 weights of the exported model, new optimiser")


def first_state(model: Path, kept: dict, held: np.ndarray) -> dict:
    """The trained autoencoder's state, of resume.pt (kept) or of the exported model, after a check against the held-out renders."""
    said = kept.get("first") or figures(model)
    first = FirstStage(entries=said["entries"]) if kept else networks(model)[1]
    if kept:
        first.load_state_dict(whole(said["net"]))
    psnr, codes, _ = ae.measure(first.eval().requires_grad_(False), held, True)
    if abs(psnr - said["psnr"]) > 0.02:
        raise SystemExit(f"{model}: held-out renders come back at {psnr:.3f} dB, they did at {said['psnr']:.3f}: other renders")
    if kept:
        return said | dict(net=first.state_dict())
    return dict(net=first.state_dict(), psnr=psnr, codes=codes, entries=first.quantize.embedding.num_embeddings, ae_runs=said["ae_runs"],
                decoder_runs=said["decoder_runs"])


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--state", type=Path, default=common.STATE)
    ap.add_argument("--model", type=Path, default=common.MODEL)
    ap.add_argument("--logs", type=Path, default=common.MODEL, help="where the logs of training lie, for --pack")
    ap.add_argument("--first-only", action="store_true", help="the autoencoder alone")
    ap.add_argument("--pack", action="store_true", help="write resume.pt, read nothing back")
    a = ap.parse_args()
    torch.set_num_threads(1)
    if a.pack:
        path = pack(a.state, a.logs, a.model)
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
        return
    kept = common.load(a.model / "resume.pt") or {}
    if not a.first_only and "unet" not in kept:
        kept = {}
    path = a.state / "ae_final.pt"
    if not path.exists():
        for name, log in kept.get("logs", {}).items():
            (a.model / name).write_bytes(log)
        state = first_state(a.model, kept, np.load(a.state / "heldout.npy"))
        common.save(path, state)
        print(f"{path} from {a.model}: held-out PSNR {state['psnr']:.2f} dB, as before")
    path = a.state / "ldm.pt"
    if not path.exists() and not a.first_only:
        state = unet_state(a.model, kept)
        common.save(path, state)
        print(f"{path} from {a.model}: after {sum(r['steps'] for r in state['before']) + state['step']} steps")


if __name__ == "__main__":
    main()
