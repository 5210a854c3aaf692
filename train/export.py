# SPDX-License-Identifier: MIT
"""Stage 5: writes model.ckpt and config.yaml as CompVis' latent-diffusion saves and reads them.

The averaged weights of the UNet are stored as `model.*` (so `use_ema: false`), in float16; the twelve schedule
buffers stay float32. `--check` reads the file back, compares every key with the networks and samples a few pictures.
"""
from __future__ import annotations

import argparse
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np
import torch
import yaml

import common
import diffusion
import faces
import study
from nets import FirstStage, UNet


def config(entries: int, form: dict) -> dict:
    """The model's configuration in CompVis' layout."""
    return {"model": {
        "base_learning_rate": 2.0e-06,
        "target": "ldm.models.diffusion.ddpm.LatentDiffusion",
        "params": {
            "linear_start": diffusion.START, "linear_end": diffusion.END, "num_timesteps_cond": 1, "log_every_t": 200,
            "timesteps": diffusion.STEPS, "first_stage_key": "image", "cond_stage_key": "class_label", "image_size": 16, "channels": 3,
            "cond_stage_trainable": False, "concat_mode": False, "conditioning_key": "crossattn",
            "scale_factor": diffusion.SCALE_FACTOR, "monitor": "val/loss_simple_ema", "use_ema": False, "parameterization": "v",
            "unet_config": {
                "target": "ldm.modules.diffusionmodules.openaimodel.UNetModel",
                "params": {"image_size": 16, "in_channels": 3, "out_channels": 3, "model_channels": form["width"],
                           "attention_resolutions": [8, 4, 2], "num_res_blocks": form["blocks"], "channel_mult": list(form["mult"]),
                           "num_head_channels": 32, "use_spatial_transformer": False}},
            "first_stage_config": {
                "target": "ldm.models.autoencoder.VQModelInterface",
                "params": {"embed_dim": 3, "n_embed": entries,
                           "ddconfig": {"double_z": False, "z_channels": 3, "resolution": 64, "in_channels": 3, "out_ch": 3, "ch": 32,
                                        "ch_mult": [1, 2, 4], "num_res_blocks": 1, "attn_resolutions": [], "attn_type": "none",
                                        "dropout": 0.0},
                           "lossconfig": {"target": "torch.nn.Identity"}}},
            "cond_stage_config": "__is_unconditional__"}},
        # read by ldm alone; CompVis' code looks at `model` only
        "ldm": {"description": "the shipped model demo is a small one, trained on rendered portraits, not on photographs; "
                               "its pictures are 64 x 64 (models/demo/README.md)"}}


def checkpoint(first: FirstStage, unet: UNet, step: int, epoch: int) -> dict:
    """What Lightning 1.4 writes, less the optimiser."""
    sd: "OrderedDict[str, torch.Tensor]" = OrderedDict(diffusion.buffers())
    for k, v in unet.state_dict().items():
        sd["model.diffusion_model." + k] = v.half().contiguous().clone()
    for k, v in first.state_dict().items():
        sd["first_stage_model." + k] = v.half().contiguous().clone()
    return {"epoch": epoch, "global_step": step, "pytorch-lightning_version": "1.4.2", "state_dict": sd, "callbacks": {},
            "optimizer_states": [], "lr_schedulers": []}


def all_runs(ldm: dict) -> list[dict]:
    """The runs behind a state of ldm.py, the last one its own; `restore.runs` says what they hold."""
    own = [] if ldm["step"] == 0 else [dict(steps=ldm["step"], batch=ldm["batch"], minutes=ldm["used"] / 60, budget=ldm["budget"],
                                           begin=ldm.get("begin", "random weights"), factor=ldm.get("factor", 1.0), latents=ldm.get("latents"))]
    return ldm.get("before", []) + own


def first_state(state: Path) -> dict | None:
    """The first stage as far as it has been trained: with the decoder of decoder.py where there is one."""
    return common.load(state / "decoder_final.pt") or common.load(state / "ae_final.pt")


def read(path: Path, conf: dict) -> tuple[UNet, FirstStage]:
    """Both networks in float32 from a checkpoint written here; every key must match."""
    sd = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    p = conf["model"]["params"]
    u = p["unet_config"]["params"]
    unet = UNet(u["model_channels"], tuple(u["channel_mult"]), u["num_res_blocks"], tuple(u["attention_resolutions"]), u["num_head_channels"])
    f = p["first_stage_config"]["params"]
    d = f["ddconfig"]
    first = FirstStage(d["ch"], tuple(d["ch_mult"]), d["num_res_blocks"], d["z_channels"], f["n_embed"])
    for prefix, net in (("model.diffusion_model.", unet), ("first_stage_model.", first)):
        net.load_state_dict({k[len(prefix):]: v.float() for k, v in sd.items() if k.startswith(prefix)}, strict=True)
    want = len(diffusion.buffers()) + len(unet.state_dict()) + len(first.state_dict())
    if len(sd) != want:
        raise SystemExit(f"{path} holds {len(sd)} keys, the networks have {want}")
    return unet.eval().requires_grad_(False), first.eval().requires_grad_(False)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--state", type=Path, default=common.STATE)
    ap.add_argument("--model", type=Path, default=common.MODEL, help="folder for model.ckpt and config.yaml")
    ap.add_argument("--cascade", default=study.CASCADE)
    ap.add_argument("--steps", type=int, default=50, help="DDIM steps of the check")
    a = ap.parse_args()
    torch.set_num_threads(1)                  # threads that wait for each other cost more than they bring here
    ae, ldm = first_state(a.state), common.load(a.state / "ldm.pt")
    if ae is None or ldm is None:
        raise SystemExit(f"{a.state} holds no trained autoencoder and UNet")
    first, unet = FirstStage(entries=ae["entries"]), UNet(**ldm["form"])
    first.load_state_dict(ae["net"])
    unet.load_state_dict(ldm["ema"])
    conf = config(ae["entries"], ldm["form"])
    pictures = len(np.load(a.state / "renders.npy", mmap_mode="r"))
    runs = all_runs(ldm)
    step, seen = sum(r["steps"] for r in runs), sum(r["steps"] * r["batch"] for r in runs)
    a.model.mkdir(parents=True, exist_ok=True)
    path = a.model / "model.ckpt"
    torch.save(checkpoint(first, unet, step, seen // (2 * pictures)), path)
    with open(a.model / "config.yaml", "w") as f:
        yaml.safe_dump(conf, f, sort_keys=False)
    unet, first = read(path, conf)
    shots = common.to_uint8(diffusion.sample(unet, first, 64, a.steps))
    cv2.imwrite(str(a.model / "samples.png"), faces.sheet(shots, 8, 2)[..., ::-1])
    found = study.hits(shots, study.detector(a.cascade)).sum()
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, step {step}; DDIM-{a.steps} from the file: faces in {found} of 64")


if __name__ == "__main__":
    main()
