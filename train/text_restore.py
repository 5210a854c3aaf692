"""Makes the autoencoder's state from an exported text model where it is lost (float16 weights; the UNet's is resume.pt).

Held-out renders must come back with the error that figures.json tells, or the renders are others than those it was trained on."""
from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

import common
import kl
import text_export


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--state", type=Path, default=Path("build/text"))
    ap.add_argument("--model", type=Path, default=Path("models/portrait"))
    a = ap.parse_args()
    torch.set_num_threads(1)
    if not (a.model / "model.ckpt").exists():
        print(f"{a.model} holds no model to begin with")
        return
    said = json.loads((a.model / "figures.json").read_text())
    first = text_export.read(a.model)[1]
    psnr, _ = kl.measure(first, np.load(a.state / "heldout.npy"))
    if abs(psnr - said["psnr"]) > 0.02:
        raise SystemExit(f"{a.model}: held-out renders come back at {psnr:.3f} dB, figures.json says {said['psnr']:.3f}: other renders")
    common.save(a.state / "kl_final.pt", dict(net=first.state_dict(), step=said["ae_steps"], minutes=said["ae_minutes"], psnr=psnr))
    print(f"{a.state}/kl_final.pt from {a.model}: held-out PSNR {psnr:.2f} dB, as figures.json says")


if __name__ == "__main__":
    main()
