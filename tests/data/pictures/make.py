"""Makes this folder's pictures and what Pillow makes of them.

    python tests/data/pictures/make.py    # needs numpy and Pillow; run with Pillow 12, then with 13

With Pillow 12: the pictures and kinds.txt, kinds.bin, resize_12.txt, resize_12.bin; with Pillow 13, which
filters columns first in some cases, resize_13.txt and resize_13.bin only.

kinds.txt: a line a file: name, width, height, channels. kinds.bin: their samples, one after the other,
upright; 16-bit samples give the upper 8.
resize_N.txt: a line a result, made from source.png's first channels (2: its red and alpha): channels,
filter (0 NEAREST, 1 BOX, 2 BILINEAR, 3 BICUBIC, 4 LANCZOS), box (left top right bottom), width, height;
or, with "fit", "pad" in front of the filter, ImageOps.fit, ImageOps.pad. resize_N.bin: their samples.
"""
import os
import struct
import zlib

import numpy as np
import PIL
from PIL import Image, ImageOps

HERE = os.path.dirname(os.path.abspath(__file__))
MAJOR = int(PIL.__version__.split(".")[0])
FILTERS = [Image.Resampling.NEAREST, Image.Resampling.BOX, Image.Resampling.BILINEAR,
           Image.Resampling.BICUBIC, Image.Resampling.LANCZOS]
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def path(name):
    return os.path.join(HERE, name)


def scene(width, height, rng):
    """Slopes, an edge and some noise, in four channels."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [x * 255 / (width - 1), y * 255 / (height - 1), (x > y) * 200 + 20, 255 - abs(2 * x - y) * 6]
    out = np.stack(planes, -1) + rng.integers(-12, 13, (height, width, 4))
    return np.clip(out, 0, 255).astype(np.uint8)


def image(a):
    return Image.fromarray(np.ascontiguousarray(a[..., 0] if a.shape[2] == 1 else a), MODES[a.shape[2]])


def png(name, width, height, depth, colour, rows, chunks=(), interlace=0):
    """A PNG of a kind that Pillow does not write; rows: packed bytes a row."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    raw = b"".join(b"\0" + r for r in rows)
    with open(path(name), "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n")
        f.write(chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)))
        for kind, data in chunks:
            f.write(chunk(kind, data))
        f.write(chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b""))


def rotated(orientation):
    e = Image.Exif()
    e[0x0112] = orientation
    return e.tobytes()


def kinds(rng):
    """name -> samples [height, width, channels]"""
    out = {}
    rgba = scene(13, 9, rng)

    def save(name, im, **options):
        im.save(path(name), **options)
        got = Image.open(path(name))
        got.load()
        got = ImageOps.exif_transpose(got)
        if got.mode == "CMYK":
            got = got.convert("RGB")
        out[name] = np.asarray(got)

    save("grey.jpg", image(rgba[..., :1]), quality=90)
    save("baseline_444.jpg", image(rgba[..., :3]), quality=95, subsampling=0)
    save("baseline_422_restart.jpg", image(rgba[..., :3]), quality=80, subsampling=1, restart_marker_blocks=1)
    save("progressive_420.jpg", image(scene(40, 27, rng)[..., :3]), quality=85, subsampling=2, progressive=True)
    save("rgb.jpg", image(rgba[..., :3]), quality=92, keep_rgb=True)
    save("turned_6.jpg", image(rgba[..., :3]), quality=92, exif=rotated(6))
    save("turned_8.png", image(rgba), exif=rotated(8))
    save("cmyk.jpg", Image.fromarray(rgba, "CMYK"), quality=90)
    # The same samples declared as YCCK, which Pillow reads but does not write.
    with open(path("cmyk.jpg"), "rb") as f:
        data = bytearray(f.read())
    at = data.index(b"Adobe") + 11
    assert data[at] == 0
    data[at] = 2
    with open(path("ycck.jpg"), "wb") as f:
        f.write(data)
    out["ycck.jpg"] = np.asarray(Image.open(path("ycck.jpg")).convert("RGB"))

    save("grey8.png", image(rgba[..., :1]))
    save("grey_alpha8.png", image(rgba[..., [0, 3]]))
    bits = (rgba[..., 0] > 99)
    save("grey1.png", Image.fromarray(bits))
    out["grey1.png"] = bits.astype(np.uint8)[..., None] * 255
    four = rgba[..., 0] >> 4
    packed = [bytes((int(a) << 4) | int(b) for a, b in zip(r[0::2], list(r[1::2]) + [0])) for r in four]
    png("grey4_transparent.png", 13, 9, 4, 0, packed, [(b"tRNS", struct.pack(">H", 7))])
    out["grey4_transparent.png"] = np.stack([four * 17, (four != 7) * 255], -1)
    palette = rng.integers(0, 256, (16, 3), dtype=np.uint8)
    png("palette4.png", 13, 9, 4, 3, packed, [(b"PLTE", palette.tobytes())])
    out["palette4.png"] = palette[four]
    alpha = np.array([0, 90, 200, 255, 17], np.uint8)
    png("palette4_transparent.png", 13, 9, 4, 3, packed, [(b"PLTE", palette.tobytes()), (b"tRNS", alpha.tobytes())])
    full = np.concatenate([alpha, np.full(11, 255, np.uint8)])
    out["palette4_transparent.png"] = np.concatenate([palette[four], full[four][..., None]], -1)
    deep = rng.integers(0, 65536, (9, 13, 4), dtype=np.uint16)
    for name, colour, picked in (("grey16.png", 0, [0]), ("grey_alpha16.png", 4, [0, 3]),
                                 ("rgb16.png", 2, [0, 1, 2]), ("rgba16.png", 6, [0, 1, 2, 3])):
        png(name, 13, 9, 16, colour, [r[:, picked].astype(">u2").tobytes() for r in deep])
        out[name] = (deep[..., picked] >> 8)
    deep[4, 5, :3] = (1000, 2000, 3000)
    deep[5, 5, :3] = (1000, 2000, 3001)  # the same in 8 bits, but not transparent
    png("rgb16_transparent.png", 13, 9, 16, 2, [r[:, :3].astype(">u2").tobytes() for r in deep],
        [(b"tRNS", struct.pack(">HHH", 1000, 2000, 3000))])
    seen = np.where((deep[..., :3] == (1000, 2000, 3000)).all(-1), 0, 255)
    out["rgb16_transparent.png"] = np.concatenate([deep[..., :3] >> 8, seen[..., None]], -1)
    return out


def write_kinds(rng):
    with open(path("kinds.txt"), "w") as text, open(path("kinds.bin"), "wb") as samples:
        for name, a in kinds(rng).items():
            a = a.astype(np.uint8).reshape(a.shape[0], a.shape[1], -1)
            text.write("%s %d %d %d\n" % (name, a.shape[1], a.shape[0], a.shape[2]))
            samples.write(a.tobytes())


def results(source):
    """A line and a picture each; with Pillow 13 only where the height shrinks more."""
    height, width = source.shape[:2]
    sizes = [(9, 7), (40, 5), (7, 31), (width, 11), (30, height), (1, 1), (23, 9), (11, 5)]
    boxes = [(0.0, 0.0, float(width), float(height)), (2.5, 1.25, 17.75, 15.0), (3.0, 2.0, 12.0, 9.0)]
    n = 0
    for channels in range(1, 5):
        a = image(source[..., [0, 3]] if channels == 2 else source[..., :channels])
        for f in range(5):
            for w, h in [sizes[(n + i) % len(sizes)] for i in range(2 if MAJOR < 13 else 1)]:
                box = boxes[n % len(boxes)]
                n += 1
                if MAJOR < 13 or height - h > width - w:
                    line = "%d %d %g %g %g %g %d %d" % (channels, f, *box, w, h)
                    yield line, a.resize((w, h), FILTERS[f], box=box)
    for w, h in [(16, 16), (30, 9), (5, 40)] if MAJOR < 13 else []:
        a = image(source)
        yield "4 fit 3 %d %d" % (w, h), ImageOps.fit(a, (w, h), FILTERS[3])
        yield "4 pad 4 %d %d" % (w, h), ImageOps.pad(a, (w, h), FILTERS[4])


def main():
    rng = np.random.default_rng(7)
    source = scene(19, 17, rng)
    if MAJOR < 13:
        image(source).save(path("source.png"))
        write_kinds(rng)
    name = "resize_%d" % (12 if MAJOR < 13 else 13)
    with open(path(name + ".txt"), "w") as text, open(path(name + ".bin"), "wb") as samples:
        for line, im in results(source):
            text.write(line + "\n")
            samples.write(np.asarray(im).tobytes())


main()
