# SPDX-License-Identifier: MIT
"""One peer in one process. Orders come as JSON lines on stdin, answers go out as JSON lines on stdout.

It loads, says so with the time since the process was started, then waits: between orders it computes nothing. Times
are of the computation alone, arrays are made beforehand.

    {"do": "eps" | "decode", "batch": B, "repeat": N}   -> {"s": [seconds, ...]}
    {"do": "output", "part": "eps" | "decode", "in": x.npy, "context": c.npy, "t": T, "out": y.npy}
    {"do": "loop", "steps": N, "twice": bool}           -> {"s": seconds for N steps of CompVis' DDIM loop}
    {"do": "memory"}                                    -> {"peak": bytes}
"""
from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time


class Torch:
    """PyTorch: `eager` as CompVis' scripts do it, `channels_last`, `compile` (frozen, inductor)."""

    def __init__(self, a: argparse.Namespace):
        import torch
        import networks
        torch.set_num_threads(a.threads)
        torch.set_float32_matmul_precision("highest")
        self.torch, self.kind = torch, a.peer
        self.imported = time.monotonic()
        best = a.peer != "eager"
        self.unet, self.decode = networks.load(a.config, a.ckpt, mapped=best, fused=best)
        if a.peer == "channels_last":
            self.unet.to(memory_format=torch.channels_last)
            self.decode.to(memory_format=torch.channels_last)
        if a.peer == "compile":
            import torch._dynamo
            import torch._inductor.config as inductor
            inductor.freezing = True
            if a.isa == "avx2":
                inductor.cpp.simdlen = 256
            torch._dynamo.config.automatic_dynamic_shapes = False
            self.unet, self.decode = torch.compile(self.unet), torch.compile(self.decode)

    def array(self, x):
        x = self.torch.from_numpy(x)
        return x.to(memory_format=self.torch.channels_last) if self.kind == "channels_last" and x.ndim == 4 else x

    def eps(self, x, t, *context):
        with self.torch.inference_mode():
            return self.unet(x, t, *context)

    def picture(self, z):
        with self.torch.inference_mode():
            return self.decode(z)

    def numpy(self, y):
        return y.contiguous().numpy()

    def times(self, t: int, batch: int):
        return self.torch.full((batch,), t, dtype=self.torch.int64)


class Onnx:
    """ONNX Runtime, all graph optimisations, static shapes."""

    def __init__(self, a: argparse.Namespace):
        import onnxruntime
        self.ort, self.folder, self.threads, self.sessions = onnxruntime, a.onnx, a.threads, {}
        self.imported = time.monotonic()
        self.get("unet", a.batch)
        self.get("decode", 1)

    def get(self, name: str, batch: int):
        if (name, batch) not in self.sessions:
            o = self.ort.SessionOptions()
            o.intra_op_num_threads, o.inter_op_num_threads = self.threads, 1
            o.graph_optimization_level = self.ort.GraphOptimizationLevel.ORT_ENABLE_ALL
            o.add_free_dimension_override_by_name("batch", batch)
            self.sessions = {k: v for k, v in self.sessions.items() if k[0] != name}
            self.sessions[name, batch] = self.ort.InferenceSession(
                os.path.join(self.folder, name + ".onnx"), o, providers=["CPUExecutionProvider"])
        return self.sessions[name, batch]

    def array(self, x):
        return x

    def eps(self, *arrays):
        return self.get("unet", len(arrays[0])).run(None, dict(zip(("x", "t", "context"), arrays)))[0]

    def picture(self, z):
        return self.get("decode", len(z)).run(None, {"x": z})[0]

    def numpy(self, y):
        return y

    def times(self, t: int, batch: int):
        import numpy
        return numpy.full((batch,), t, dtype=numpy.int64)


class OpenVino(Onnx):
    """OpenVINO, latency hint, float32 throughout, static shapes."""

    def __init__(self, a: argparse.Namespace):
        import openvino
        self.ov, self.folder, self.threads, self.sessions = openvino.Core(), a.onnx, a.threads, {}
        self.imported = time.monotonic()
        self.get("unet", a.batch)
        self.get("decode", 1)

    def get(self, name: str, batch: int):
        if (name, batch) not in self.sessions:
            model = self.ov.read_model(os.path.join(self.folder, name + ".onnx"))
            model.reshape({i: [batch] + list(i.partial_shape)[1:] for i in model.inputs})
            self.sessions = {k: v for k, v in self.sessions.items() if k[0] != name}
            self.sessions[name, batch] = self.ov.compile_model(model, "CPU", {
                "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32",
                "INFERENCE_NUM_THREADS": self.threads, "NUM_STREAMS": 1}).create_infer_request()
        return self.sessions[name, batch]

    def eps(self, *arrays):
        given = dict(zip(("x", "t", "context"), arrays))
        return self.get("unet", len(arrays[0])).infer(given, share_inputs=True)[0]

    def picture(self, z):
        return self.get("decode", len(z)).infer({"x": z}, share_inputs=True)[0]

    def numpy(self, y):
        return y.copy()


class StableDiffusionCpp:
    """stable-diffusion.cpp by its Python package. It takes no arrays and gives none, so what it computes can't be compared with
    ldm's; its own log says how long its parts took. A step at guidance 7.5 is two evaluations."""

    STEPS = 2

    def __init__(self, a: argparse.Namespace):
        from stable_diffusion_cpp import StableDiffusion
        import stable_diffusion_cpp
        self.imported = time.monotonic()
        self.lines: list[str] = []

        def heard(level: int, text: bytes, data) -> None:
            self.lines.append(text.decode(errors="replace") if isinstance(text, bytes) else str(text))

        self.heard = stable_diffusion_cpp.sd_log_callback(heard)     # kept: the library calls it later
        stable_diffusion_cpp.sd_set_log_callback(self.heard, None)
        kind = a.peer.split("-")[1]
        self.model = StableDiffusion(model_path=a.ckpt, wtype=kind, n_threads=a.threads, vae_decode_only=True, verbose=True,
                                     keep_clip_on_cpu=True)
        stable_diffusion_cpp.sd_set_log_callback(self.heard, None)   # the model has set its own
        self.pixels = 8 * int(a.shape.split(",")[1])

    def seconds(self, do: str, batch: int, repeat: int) -> list[float]:
        """Of `repeat` guided steps, or of the decode that came after them."""
        if do == "eps" and batch != 2:
            raise ValueError("stable-diffusion.cpp is timed with guidance alone")
        steps = repeat if do == "eps" else 1
        if do == "eps" or not self.lines:
            self.lines.clear()
            self.model.generate_image(prompt="a cat", negative_prompt="a dog", cfg_scale=7.5, sample_method="euler",
                                      sample_steps=steps, width=self.pixels, height=self.pixels, seed=42)
        what = "sampling completed" if do == "eps" else "(?:decode_first_stage|latent 1 decoded).*"
        for line in self.lines:
            found = re.search(what + r",? (?:taking|cost) ([0-9.]+)s", line)
            if found:
                return [float(found[1]) / steps] * steps
        raise ValueError("its log has no line of " + do)


PEERS = {"eager": Torch, "channels_last": Torch, "compile": Torch, "onnxruntime": Onnx, "openvino": OpenVino,
         "sdcpp-f32": StableDiffusionCpp, "sdcpp-f16": StableDiffusionCpp}


def loop(peer, x, steps: int, twice: bool):
    """Steps of CompVis' DDIM loop at eta 0: the network, guidance 7.5 where it is evaluated twice, the update."""
    import diffusion
    torch = peer.torch

    def eps(x, t):
        if not twice:
            return peer.eps(x, t)
        without, given = peer.eps(torch.cat([x] * 2), torch.cat([t] * 2)).chunk(2)
        return without + 7.5 * (given - without)

    return diffusion.ddim(eps, x, steps)


def answer(peer, order: dict, shape: tuple, context: tuple) -> dict:
    import numpy
    if order["do"] == "memory":
        with open("/proc/self/status") as f:
            return {"peak": next(int(s.split()[1]) * 1024 for s in f if s.startswith("VmHWM"))}
    if order["do"] == "output":
        x = peer.array(numpy.load(order["in"]))
        given = [peer.array(numpy.load(order["context"]))] if context else []
        y = peer.eps(x, peer.times(order["t"], len(x)), *given) if order["part"] == "eps" else peer.picture(x)
        numpy.save(order["out"], peer.numpy(y))
        return {}
    batch = order.get("batch", 1)
    if hasattr(peer, "seconds"):
        return {"s": peer.seconds(order["do"], batch, order.get("repeat", 1))}
    draw = numpy.random.default_rng(42)
    x = peer.array(draw.standard_normal((batch, *shape), dtype=numpy.float32))
    given = [peer.array(draw.standard_normal((batch, *context), dtype=numpy.float32))] if context else []
    t, took = peer.times(500, batch), []
    for _ in range(order.get("repeat", 1)):
        begin = time.monotonic()
        if order["do"] == "eps":
            peer.eps(x, t, *given)
        elif order["do"] == "decode":
            peer.picture(x)
        else:
            loop(peer, x, order["steps"], order["twice"])
        took.append(time.monotonic() - begin)
    return {"s": took}


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("peer", choices=PEERS)
    ap.add_argument("--config", required=True)
    ap.add_argument("--ckpt", required=True)
    ap.add_argument("--onnx", required=True)
    ap.add_argument("--threads", type=int, required=True)
    ap.add_argument("--isa", required=True)
    ap.add_argument("--shape", required=True, help="latent, as 3,64,64")
    ap.add_argument("--context", default="", help="what the UNet attends to, as 77,768")
    ap.add_argument("--batch", type=int, default=1, help="of the evaluations to come, for peers that are built for one size")
    ap.add_argument("--started", type=float, required=True, help="time.monotonic() just before the start")
    a = ap.parse_args()
    out = os.fdopen(os.dup(1), "w")  # what libraries print goes to stderr instead
    os.dup2(2, 1)
    shape, context = (tuple(int(s) for s in text.split(",") if s) for text in (a.shape, a.context))

    def say(what: dict) -> None:
        out.write(json.dumps(what) + "\n")
        out.flush()

    peer = PEERS[a.peer](a)
    now = time.monotonic()
    say({"ready_s": now - a.started, "load_s": now - peer.imported})
    for line in sys.stdin:
        try:
            say(answer(peer, json.loads(line), shape, context))
        except Exception as e:
            say({"error": f"{type(e).__name__}: {e}".splitlines()[0][:200]})


if __name__ == "__main__":
    main()
