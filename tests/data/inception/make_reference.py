# SPDX-License-Identifier: MIT
"""Numbers that other people's programs give for the measures of docs/METRICS.md.

Needs torch, torchvision, scipy, Pillow, torch-fidelity 0.4.0 and pytorch-fid 0.3.0 (for measures.txt) from PyPI.
No weights are fetched: weights and pictures follow from a formula, which tests/support/inception_made.c computes as
well. Writes into its own folder:

    features.npy   [2, 7111] of two pictures: 64, 192, 768, 2048, logits_unbiased, logits, spatial; torch-fidelity
    resize.npy     [3, 2, n]: a picture of 23 x 17 to 31 x 29 and to 11 x 9 as tf1, pytorch, clean; 0 where n is shorter
    measures.txt   FID, KID, Inception score, precision, recall of made features; torch-fidelity, and FID by pytorch-fid
"""

import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch_fidelity import metric_fid, metric_isc, metric_kid, metric_prc
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

HERE = os.path.dirname(os.path.abspath(__file__))
UNITS = ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")


def noise(stream, count):
    """Numbers from -1 to 1 by a hash of their place; float32."""
    x = np.arange(count, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(stream * 0x9E3779B9 % 2**32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x45D9F3B)
    x ^= x >> np.uint32(16)
    return (x.astype(np.float64) / 2**31 - 1).astype(np.float32)


def made_tensor(number, name, shape):
    u = noise(number, int(np.prod(shape))).astype(np.float64).reshape(shape)
    if name.endswith("conv.weight"):
        u = u * np.sqrt(6 / np.prod(shape[1:]))
    elif name.endswith("bn.weight"):
        u = 1 + 0.2 * u
    elif name.endswith("bn.bias"):
        u = 0.1 + 0.1 * u
    elif name.endswith("running_var"):
        u = 1 + 0.3 * u
    elif name == "fc.weight":
        u = 0.05 * u
    else:  # bn.running_mean, fc.bias
        u = 0.1 * u
    return torch.from_numpy(u.astype(np.float32))


def made_network(features):
    """Without the constructor's download: it loads an empty state, and then gets the made one."""
    real_load, real_set = torch.load, torch.nn.Module.load_state_dict
    torch.load = lambda *a, **k: {}
    torch.nn.Module.load_state_dict = lambda *a, **k: None
    net = FeatureExtractorInceptionV3("made", features, feature_extractor_weights_path="none")
    torch.load, torch.nn.Module.load_state_dict = real_load, real_set
    state, number = {}, 0
    for name, value in net.state_dict().items():
        if name.endswith("num_batches_tracked"):
            state[name] = value
            continue
        state[name] = made_tensor(number, name, tuple(value.shape))
        number += 1
    net.load_state_dict(state)
    return net


def made_picture(number, width, height):
    """Slopes and noise; [h, w, 3] of bytes."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    slope = (x * (3 + number) + y * (2 + 5 * number) + c * 60) % 256
    grain = (noise(1000 + number, width * height * 3).reshape(height, width, 3) * 40).astype(np.int64)
    return np.clip(slope + grain, 0, 255).astype(np.uint8)


def made_features(number, count, dim, scale):
    return np.abs(noise(2000 + number, count * dim).reshape(count, dim)) * np.float32(scale)


def write_features():
    names = ["64", "192", "768", "2048", "logits_unbiased", "logits"]
    net = made_network(names)
    rows = []
    for number, size in enumerate([(40, 56), (320, 290)]):
        spatial = []
        hook = net.Mixed_6d.branch1x1.register_forward_hook(lambda m, i, o: spatial.append(o))
        x = torch.from_numpy(made_picture(number, *size)).permute(2, 0, 1)[None]
        with torch.no_grad():
            out = net(x)
        hook.remove()
        out = [o.numpy().ravel() for o in out] + [spatial[0][0, :7].permute(1, 2, 0).numpy().ravel()]
        print(size, [(n, float(o.mean()), float(o.std())) for n, o in zip(names + ["spatial"], out)])
        rows.append(np.concatenate(out))
    np.save(os.path.join(HERE, "features.npy"), np.stack(rows).astype(np.float32))


def pil_float(picture, width, height):
    planes = [Image.fromarray(picture[:, :, c].astype(np.float32), mode="F").resize((width, height), Image.BICUBIC)
              for c in range(3)]
    return np.stack([np.asarray(p) for p in planes], axis=2).clip(0, 255)


def write_resizes():
    picture = made_picture(5, 23, 17)
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    out = np.zeros((3, 2, 31 * 29 * 3), np.float32)
    for k, (w, h) in enumerate([(31, 29), (11, 9)]):
        both = [
            interpolate_bilinear_2d_like_tensorflow1x(x, size=(h, w), align_corners=False)[0].permute(1, 2, 0).numpy(),
            F.interpolate(x, size=(h, w), mode="bilinear", align_corners=False)[0].permute(1, 2, 0).numpy(),
            pil_float(picture, w, h),
        ]
        for m, r in enumerate(both):
            out[m, k, : r.size] = r.ravel()
    np.save(os.path.join(HERE, "resize.npy"), out)


def write_measures():
    a, b = made_features(0, 40, 2048, 1.0), made_features(1, 48, 2048, 1.1)
    logits = noise(3000, 40 * 1008).reshape(40, 1008) * np.float32(8)
    # near neighbours, so that recall is neither 0 nor 1
    b[:20] = a[:20] + 0.25 * b[:20]
    ta, tb = torch.from_numpy(a), torch.from_numpy(b)
    kw = dict(verbose=False, rng_seed=2020, kid_subsets=7, kid_subset_size=30, kid_kernel="poly",
              kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1, prc_neighborhood=3,
              prc_batch_size=10000, save_cpu_ram=False)
    r = dict(metric_kid.kid_features_to_metric(ta, tb, **kw))
    r.update(metric_isc.isc_features_to_metric(torch.from_numpy(logits), splits=4, shuffle=True, rng_seed=2020))
    r.update(metric_prc.prc_features_to_metric(ta, tb, **kw))
    sa, sb = metric_fid.fid_features_to_statistics(ta), metric_fid.fid_features_to_statistics(tb)
    r.update(metric_fid.fid_statistics_to_metric(sa, sb, False))
    if "--pytorch-fid" in sys.argv:
        from pytorch_fid.fid_score import calculate_frechet_distance

        r["pytorch_fid"] = calculate_frechet_distance(sa["mu"], sa["sigma"], sb["mu"], sb["sigma"])
    with open(os.path.join(HERE, "measures.txt"), "w") as f:
        for k, v in r.items():
            f.write("%s %.9g\n" % (k, v))


write_measures()
write_resizes()
write_features()
