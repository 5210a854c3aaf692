"""Rebuilds the autoencoder's state from an exported model, where the states of its training are gone.

    python restore.py --model models/demo        # writes ae_final.pt unless it is there

The weights are those of the file, in float16; what is known of their making comes from `figures.json` beside it. The
renders follow from their seed, and the reconstruction of held-out renders must measure what the figures say: else
renders and model do not belong together. `ldm.py --init` takes the UNet from the same file.
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


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--state", type=Path, default=common.STATE)
    ap.add_argument("--model", type=Path, default=common.MODEL)
    a = ap.parse_args()
    torch.set_num_threads(1)
    path = a.state / "ae_final.pt"
    if path.exists():
        print(f"{path} is there already")
        return
    with open(a.model / "config.yaml") as f:
        _, first = export.read(a.model / "model.ckpt", yaml.safe_load(f))
    said, held = figures(a.model), np.load(a.state / "heldout.npy")
    psnr, codes, _ = ae.measure(first, held, True)
    if abs(psnr - said["psnr"]) > 0.02:
        raise SystemExit(f"{a.model}: held-out renders come back at {psnr:.3f} dB, figures.json says {said['psnr']:.3f}: other renders")
    kept = {k: said[k] for k in ("decoder_steps", "decoder_batch", "decoder_minutes", "decoder_budget", "gan") if k in said}
    common.save(path, dict(net=first.state_dict(), step=said["ae_steps"], minutes=said["ae_minutes"], psnr=psnr, codes=codes,
                           entries=first.quantize.embedding.num_embeddings, batch=said["ae_seen"] // said["ae_steps"],
                           budget=said["ae_budget"], restored=True, **kept))
    print(f"{path} from {a.model}/model.ckpt: held-out PSNR {psnr:.2f} dB over {len(held)}, as figures.json says")


if __name__ == "__main__":
    main()
