# SPDX-License-Identifier: MIT
"""One peer in one process. Orders come as JSON lines on stdin, answers go out as JSON lines on stdout.

It loads, says so with the time since the process was started, then waits: between orders it computes nothing. Times
are of the computation alone, arrays are made beforehand.

    {"do": "eps" | "decode", "batch": B, "repeat": N}   -> {"s": [seconds, ...]}
    {"do": "output", "part": "eps" | "decode", "in": x.npy, "t": T, "out": y.npy}
    {"do": "loop", "steps": N, "twice": bool}           -> {"s": seconds for N steps of CompVis' DDIM loop}
    {"do": "memory"}                                    -> {"peak": bytes}
"""
from __future__ import annotations

import argparse
import json
import os
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
        return x.to(memory_format=self.torch.channels_last) if self.kind == "channels_last" else x

    def eps(self, x, t):
        with self.torch.inference_mode():
            return self.unet(x, t)

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
        self.get("unet", 1)
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

    def eps(self, x, t):
        return self.get("unet", len(x)).run(None, {"x": x, "t": t})[0]

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
        self.get("unet", 1)
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

    def eps(self, x, t):
        return self.get("unet", len(x)).infer({"x": x, "t": t}, share_inputs=True)[0]

    def picture(self, z):
        return self.get("decode", len(z)).infer({"x": z}, share_inputs=True)[0]

    def numpy(self, y):
        return y.copy()


PEERS = {"eager": Torch, "channels_last": Torch, "compile": Torch, "onnxruntime": Onnx, "openvino": OpenVino}


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


def answer(peer, order: dict, shape: tuple) -> dict:
    import numpy
    if order["do"] == "memory":
        with open("/proc/self/status") as f:
            return {"peak": next(int(s.split()[1]) * 1024 for s in f if s.startswith("VmHWM"))}
    if order["do"] == "output":
        x = peer.array(numpy.load(order["in"]))
        y = peer.eps(x, peer.times(order["t"], len(x))) if order["part"] == "eps" else peer.picture(x)
        numpy.save(order["out"], peer.numpy(y))
        return {}
    batch = order.get("batch", 1)
    x = peer.array(numpy.random.default_rng(42).standard_normal((batch, *shape), dtype=numpy.float32))
    t, took = peer.times(500, batch), []
    for _ in range(order.get("repeat", 1)):
        begin = time.monotonic()
        if order["do"] == "eps":
            peer.eps(x, t)
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
    ap.add_argument("--started", type=float, required=True, help="time.monotonic() just before the start")
    a = ap.parse_args()
    out = os.fdopen(os.dup(1), "w")  # what libraries print goes to stderr instead
    os.dup2(2, 1)
    shape = tuple(int(s) for s in a.shape.split(","))

    def say(what: dict) -> None:
        out.write(json.dumps(what) + "\n")
        out.flush()

    peer = PEERS[a.peer](a)
    now = time.monotonic()
    say({"ready_s": now - a.started, "load_s": now - peer.imported})
    for line in sys.stdin:
        try:
            say(answer(peer, json.loads(line), shape))
        except Exception as e:
            say({"error": f"{type(e).__name__}: {e}".splitlines()[0][:200]})


if __name__ == "__main__":
    main()
