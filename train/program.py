# SPDX-License-Identifier: MIT
"""Pictures that the program makes of an exported model (`make` builds build/ldm; LDM names another)."""
from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np


def draw(model: Path, prompts: list[str], each: int = 1, seed: int = 42, **settings: object) -> np.ndarray:
    """uint8 (len(prompts) * each, H, W, 3), `each` of the first prompt before those of the second. Picture i has seed + i.

    settings: options of `ldm generate`, scale=3 for --scale 3; None leaves one to the configuration."""
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "prompts.txt"
        lines.write_text("".join(p + "\n" for p in prompts))
        words = [w for k, v in settings.items() if v is not None for w in ("--" + k.replace("_", "-"), str(v))]
        subprocess.run([os.environ.get("LDM", "build/ldm"), "generate", "--ckpt", str(model / "model.ckpt"), "--config", str(model / "config.yaml"),
                        "--prompts", str(lines), "-n", str(each), "--seed", str(seed), "-o", folder + "/out", "--npz", "--quiet", *words],
                       check=True, stdout=subprocess.DEVNULL)
        return np.load(folder + "/out/samples.npz")["arr_0"]


def settings(words: list[str]) -> dict:
    """["steps=50", "eta=1"] as numbers by name."""
    out: dict = {}
    for word in words:
        key, value = word.split("=", 1)
        out[key] = int(value) if value.lstrip("-").isdigit() else float(value)
    return out
