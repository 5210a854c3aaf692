# SPDX-License-Identifier: MIT
"""Writes tests/data/sampler_steps.txt: what diffusers' schedulers and k-diffusion's samplers make of
a network that is a formula, for many numbers of steps, spacings and settings. sampler_steps_test.c
holds every row of the table of samplers against it.

    pip install torch diffusers scipy; pip install --no-deps k-diffusion
    python tools/golden/gen_sampler_steps.py tests/data/sampler_steps.txt

The network: data are +0.8 or -0.8 in each element, so that the best prediction of x0 is
0.8 tanh(0.8 c x / d^2), with x = c x0 + d noise. Start noise and the noise of the steps are formulas,
too (noise, below); sampler_steps_test.c has the same ones.
"""
import importlib.util
import inspect
import math
import sys
import types

import numpy as np
import torch

import diffusers
from diffusers import schedulers as ds

torch.set_num_threads(1)
T, COUNT, MODE = 1000, 6, 0.8
BETAS = np.linspace(0.0015**0.5, 0.0195**0.5, T) ** 2
ALPHAS = np.cumprod(1 - BETAS).astype(np.float32)


def zero_snr(alphas):
    root = np.sqrt(alphas.astype(np.float64))
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    return (root**2).astype(np.float32)


def noise(number):
    return np.array(
        [[[[math.sqrt(2) * math.sin(17.0 * number + 3.7 * i + 1) for i in range(COUNT)]]]]
    ).astype(np.float32)


class Network:
    """eps, v or x0 at timestep t; between two timesteps log(sigma) is linear."""

    def __init__(self, alphas, predicts):
        alphas = np.maximum(alphas.astype(np.float64), 2.0**-24)
        self.log_ratio, self.predicts, self.times = np.log((1 - alphas) / alphas), predicts, []

    def __call__(self, x, t):
        t = float(t)
        low = min(max(int(math.floor(t)), 0), T - 1)
        high = min(low + 1, T - 1)
        ratio = self.log_ratio[low] + (t - low) * (self.log_ratio[high] - self.log_ratio[low])
        alpha = 1 / (1 + math.exp(ratio))
        c, d = math.sqrt(alpha), math.sqrt(1 - alpha)
        x = x.numpy().astype(np.float64)
        x0 = MODE * np.tanh(c * MODE * x / d**2)
        eps = (x - c * x0) / d
        out = {"eps": eps, "v": c * eps - d * x0, "x0": x0}[self.predicts]
        self.times.append(t)
        return torch.from_numpy(out.astype(np.float32))


class Draws:
    def __init__(self):
        self.number = 0

    def __call__(self, *args, **kwargs):
        self.number += 1
        return torch.from_numpy(noise(self.number))


def line(out, sampler, spacing, steps, predicts, settings, times, sigmas, x):
    def texts(v):
        return " ".join("%.9g" % float(f) for f in v)

    settings = ",".join("%s=%s" % s for s in sorted(settings.items())) or "-"
    out.append("%s %s %d %s %s %d %s %d %s %s" % (
        sampler, spacing, steps, predicts, settings, len(times), texts(times), len(sigmas),
        texts(sigmas), texts(x.flatten())))


# ---- diffusers -----------------------------------------------------------------------------------

PREDICTION = {"eps": "epsilon", "v": "v_prediction", "x0": "sample"}


def scheduler(cls, predicts, spacing, zsnr, **args):
    if spacing in ("karras", "exponential"):
        args["use_%s_sigmas" % spacing] = True
    elif spacing != "-":
        args["timestep_spacing"] = spacing
    if spacing == "leading" or cls in (ds.PNDMScheduler,):
        args["steps_offset"] = 1
    if zsnr:
        args["rescale_betas_zero_snr"] = True
    s = cls(num_train_timesteps=T, beta_start=0.0015, beta_end=0.0195, beta_schedule="scaled_linear",
            prediction_type=PREDICTION[predicts], **args)
    alphas = zero_snr(ALPHAS) if zsnr else ALPHAS
    s.alphas_cumprod = torch.from_numpy(alphas.copy())
    if zsnr and cls is not ds.DDIMScheduler:
        s.alphas_cumprod[-1] = 2**-24
    if hasattr(s, "final_alpha_cumprod"):
        s.final_alpha_cumprod = s.alphas_cumprod[0]
    return s, alphas


def of_diffusers(out, row, spacing, cls, steps, predicts="eps", settings=None, step_args=None,
                 **args):
    settings = dict(settings or {})
    s, alphas = scheduler(cls, predicts, spacing, settings.get("zero_snr") == "1", **args)
    module = sys.modules[cls.__module__]
    network, draws = Network(alphas, predicts), Draws()
    if hasattr(module, "randn_tensor"):
        module.randn_tensor = draws
    s.set_timesteps(steps)
    assert cls is ds.PNDMScheduler or cls in (ds.HeunDiscreteScheduler, ds.KDPM2DiscreteScheduler,
                                             ds.KDPM2AncestralDiscreteScheduler) or \
        len(s.timesteps) == steps, (row, spacing, steps, len(s.timesteps))
    x = torch.from_numpy(noise(0)) * s.init_noise_sigma
    for t in s.timesteps:
        x = s.step(network(s.scale_model_input(x, t), t), t, x, **(step_args or {})).prev_sample
    sigmas = getattr(s, "sigmas", [])
    sigmas = sigmas if len(sigmas) == steps + 1 else []
    assert torch.isfinite(x).all(), (row, spacing, steps, settings)
    line(out, row, spacing, steps, predicts, settings, network.times, sigmas, x)


def diffusers_lines(out):
    timesteps = ("linspace", "leading", "trailing")
    levels = ("karras", "exponential")
    for order, row in ((2, "dpmpp_2m_diffusers"), (3, "dpmpp_3m_diffusers")):
        for spacing in timesteps + levels:
            for steps in (1, 2, 3, 7, 15, 16):
                of_diffusers(out, row, spacing, ds.DPMSolverMultistepScheduler, steps,
                             solver_order=order)
        for steps in (2, 5, 17):
            of_diffusers(out, row, "linspace", ds.DPMSolverMultistepScheduler, steps,
                         settings={"solver": "heun"}, solver_order=order, solver_type="heun")
            of_diffusers(out, row, "leading", ds.DPMSolverMultistepScheduler, steps,
                         settings={"lower_order_final": "0"}, solver_order=order,
                         lower_order_final=False)
            of_diffusers(out, row, "trailing", ds.DPMSolverMultistepScheduler, steps,
                         settings={"lower_order_final": "0", "final_sigma": "least"},
                         solver_order=order, lower_order_final=False,
                         final_sigmas_type="sigma_min")
        of_diffusers(out, row, "trailing", ds.DPMSolverMultistepScheduler, 9, "v",
                     {"zero_snr": "1"}, solver_order=order)
        for predicts in ("v", "x0"):
            of_diffusers(out, row, "karras", ds.DPMSolverMultistepScheduler, 6, predicts,
                         solver_order=order)
    for spacing in timesteps + levels:
        for steps in (1, 2, 3, 7, 16):
            of_diffusers(out, "dpmpp_2m_sde_diffusers", spacing, ds.DPMSolverMultistepScheduler,
                         steps, algorithm_type="sde-dpmsolver++")
    for steps in (3, 17):
        of_diffusers(out, "dpmpp_2m_sde_diffusers", "linspace", ds.DPMSolverMultistepScheduler,
                     steps, settings={"solver": "heun"}, algorithm_type="sde-dpmsolver++",
                     solver_type="heun")
        of_diffusers(out, "dpmpp_2m_sde_diffusers", "linspace", ds.DPMSolverMultistepScheduler,
                     steps, "v", {"final_sigma": "least"}, algorithm_type="sde-dpmsolver++",
                     final_sigmas_type="sigma_min")
    for order, row in ((2, "unipc"), (3, "unipc3")):
        for spacing in timesteps + levels:
            for steps in (1, 2, 3, 7, 16):
                of_diffusers(out, row, spacing, ds.UniPCMultistepScheduler, steps,
                             solver_order=order)
        for steps in (1, 2, 5, 17):
            of_diffusers(out, row, "linspace", ds.UniPCMultistepScheduler, steps,
                         settings={"solver": "bh1"}, solver_order=order, solver_type="bh1",
                         final_sigmas_type="sigma_min")
            of_diffusers(out, row, "trailing", ds.UniPCMultistepScheduler, steps, "v",
                         {"final_sigma": "least"}, solver_order=order,
                         final_sigmas_type="sigma_min")
        of_diffusers(out, row, "trailing", ds.UniPCMultistepScheduler, 9, "v", {"zero_snr": "1"},
                     solver_order=order)
        of_diffusers(out, row, "leading", ds.UniPCMultistepScheduler, 9, "x0", solver_order=order)
    for spacing in timesteps + levels:
        # One step would not move: there the last level is the first again.
        for steps in (2, 3, 7, 14, 16) if spacing in levels else (1, 2, 3, 7, 14, 16):
            of_diffusers(out, "deis", spacing, ds.DEISMultistepScheduler, steps)
    of_diffusers(out, "deis", "leading", ds.DEISMultistepScheduler, 6,
                 settings={"lower_order_final": "0"}, lower_order_final=False)
    for predicts in ("v", "x0"):
        of_diffusers(out, "deis", "linspace", ds.DEISMultistepScheduler, 7, predicts)
    for spacing in timesteps:
        for steps in (1, 2, 3, 7, 31, 999):
            of_diffusers(out, "euler", spacing, ds.EulerDiscreteScheduler, steps)
        for steps in (1, 2, 3, 7, 31):
            of_diffusers(out, "euler_a", spacing, ds.EulerAncestralDiscreteScheduler, steps)
            of_diffusers(out, "heun", spacing, ds.HeunDiscreteScheduler, steps)
            of_diffusers(out, "lms", spacing, ds.LMSDiscreteScheduler, steps)
        for steps in (2, 3, 7):
            of_diffusers(out, "dpm2", spacing, ds.KDPM2DiscreteScheduler, steps)
    for spacing in ("leading", "trailing"):
        of_diffusers(out, "euler", spacing, ds.EulerDiscreteScheduler, 9, "v", {"zero_snr": "1"})
        of_diffusers(out, "euler_a", spacing, ds.EulerAncestralDiscreteScheduler, 9, "v",
                     {"zero_snr": "1"})
        of_diffusers(out, "ddim_diffusers", spacing, ds.DDIMScheduler, 9, "v", {"zero_snr": "1"},
                     set_alpha_to_one=False, clip_sample=False)
    of_diffusers(out, "euler", "leading", ds.EulerDiscreteScheduler, 9, settings={"zero_snr": "1"})
    for spacing in timesteps:
        for steps in (1, 2, 3, 7, 31, 999):
            of_diffusers(out, "ddim_diffusers", spacing, ds.DDIMScheduler, steps,
                         set_alpha_to_one=False, clip_sample=False)
        for eta in ("0.3", "1"):
            of_diffusers(out, "ddim_diffusers", spacing, ds.DDIMScheduler, 6, "v", {"eta": eta},
                         {"eta": float(eta)}, set_alpha_to_one=False, clip_sample=False)
        of_diffusers(out, "ddim_diffusers", spacing, ds.DDIMScheduler, 6, "x0",
                     set_alpha_to_one=False, clip_sample=False)
    for steps in (2, 3, 5, 8, 50):  # one ends near 0, where only rounding is left
        of_diffusers(out, "lcm", "trailing", ds.LCMScheduler, steps, original_inference_steps=50)
    of_diffusers(out, "lcm", "trailing", ds.LCMScheduler, 4, "v", original_inference_steps=50)
    for steps in (4, 5, 7, 13):
        of_diffusers(out, "pndm_prk", "leading", ds.PNDMScheduler, steps, skip_prk_steps=False,
                     set_alpha_to_one=False)
        of_diffusers(out, "pndm_prk", "leading", ds.PNDMScheduler, steps, "v",
                     skip_prk_steps=False, set_alpha_to_one=False)


# ---- k-diffusion ---------------------------------------------------------------------------------

def load_k():
    """k_diffusion.sampling and .external without the package's training code."""
    where = importlib.util.find_spec("k_diffusion").submodule_search_locations
    package = types.ModuleType("k_diffusion")
    package.__path__ = list(where)
    sys.modules["k_diffusion"] = package
    for name in ("torchsde", "torchdiffeq", "tqdm", "tqdm.auto"):
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["tqdm.auto"].trange = lambda n, **k: range(n)
    sys.modules["tqdm.auto"].tqdm = lambda v, **k: v
    sys.modules["torchdiffeq"].odeint = None
    utils = types.ModuleType("k_diffusion.utils")
    utils.append_dims = lambda x, n: x[(...,) + (None,) * (n - x.ndim)]
    sys.modules["k_diffusion.utils"] = package.utils = utils
    import k_diffusion.sampling as sampling
    package.sampling = sampling
    import k_diffusion.external as external
    return sampling, external


def k_lines(out):
    sampling, external = load_k()

    class Model:
        alphas_cumprod = torch.from_numpy(ALPHAS)

    def one(row, function, spacing, steps, predicts="eps", settings=None, **args):
        settings = dict(settings or {})
        quantize = settings.get("whole_timesteps") == "1"
        wrap = external.CompVisVDenoiser if predicts == "v" else external.CompVisDenoiser
        network, draws = Network(ALPHAS, predicts), Draws()
        model = Model()
        model.apply_model = lambda x, t, cond=None: network(x, t[0])
        denoiser = wrap(model, quantize=quantize)
        if spacing == "discrete":
            sigmas = denoiser.get_sigmas(steps)
        else:
            sigmas = getattr(sampling, "get_sigmas_" + spacing)(
                steps, denoiser.sigmas[0].item(), denoiser.sigmas[-1].item())
        if "eta" in settings:
            args["eta"] = float(settings["eta"])
        if "noise_sampler" in inspect.signature(function).parameters:
            args["noise_sampler"] = draws
        x = torch.from_numpy(noise(0)) * sigmas[0]
        with torch.no_grad():
            x = function(denoiser, x, sigmas, disable=True, extra_args={"cond": None}, **args)
        line(out, row, spacing, steps, predicts, settings, network.times, sigmas, x)

    rows = [("euler", sampling.sample_euler), ("euler_a", sampling.sample_euler_ancestral),
            ("heun", sampling.sample_heun), ("dpm2", sampling.sample_dpm_2),
            ("dpm2_a", sampling.sample_dpm_2_ancestral), ("lms", sampling.sample_lms),
            ("dpmpp_2m", sampling.sample_dpmpp_2m), ("dpmpp_2m_sde", sampling.sample_dpmpp_2m_sde),
            ("dpmpp_sde", sampling.sample_dpmpp_sde),
            ("dpmpp_2s_a", sampling.sample_dpmpp_2s_ancestral),
            ("dpmpp_3m_sde", sampling.sample_dpmpp_3m_sde)]
    for row, function in rows:
        for spacing in ("discrete", "karras", "exponential"):
            # Two steps of these two go down to a level that is a difference of two equal numbers.
            for steps in (3, 7, 16) if row in ("dpm2_a", "dpmpp_2s_a") else (2, 3, 7, 16):
                one(row, function, spacing, steps)
            one(row, function, spacing, 5, "v")
            one(row, function, spacing, 6, settings={"whole_timesteps": "1"})
        if row not in ("dpmpp_2m_sde", "dpmpp_3m_sde"):  # which fail there
            one(row, function, "discrete", 1)
        if row in ("euler_a", "dpm2_a", "dpmpp_2m_sde", "dpmpp_sde", "dpmpp_2s_a", "dpmpp_3m_sde"):
            for eta in ("0.4", "1.3"):
                one(row, function, "karras", 6, settings={"eta": eta})


def main():
    out = []
    diffusers_lines(out)
    k_lines(out)
    with open(sys.argv[1], "w", encoding="ascii") as f:
        f.write("# Written by tools/golden/gen_sampler_steps.py with diffusers %s and k-diffusion: "
                "sampler, spacing, steps,\n# prediction, settings, evaluations and their timesteps, "
                "noise levels, final x.\n" % diffusers.__version__)
        f.write("\n".join(out) + "\n")
    print(len(out), "runs")


main()
