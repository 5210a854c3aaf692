#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the hostile checkpoints under tests/crashers, each named after its flaw. Standard library only.

    python3 tools/make_crashers.py [tests/crashers]
"""
import io
import json
import os
import struct
import sys
import zipfile


def s(text):
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def i(v):
    return b"\x8a\x08" + struct.pack("<q", v)


def tensor(key="0", numel=4, offset=0, shape=(4,), stride=(1,)):
    def tup(values):
        return b"(" + b"".join(i(v) for v in values) + b"t"
    return (b"ctorch._utils\n_rebuild_tensor_v2\n((" + s("storage") + b"ctorch\nFloatStorage\n" + s(key)
            + s("cpu") + i(numel) + b"tQ" + i(offset) + tup(shape) + tup(stride)
            + b"\x89ccollections\nOrderedDict\n)RtR")


def state(value):
    return b"\x80\x02}" + s("state_dict") + b"}" + s("w") + value + b"ss."


def archive(pickle, storage=b"\0" * 16, extra=()):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for name, data in [("x/data.pkl", pickle), ("x/data/0", storage), *extra]:
            z.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return out.getvalue()


def safetensors(header, data=b""):
    return struct.pack("<Q", len(header)) + header.encode() + data


def row(shape, begin, end):
    return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}


def overlapping_entries():
    inner = archive(b"N.", b"")
    good = bytearray(archive(state(tensor()), b"\0" * 16, [("x/outer", inner)]))
    at = good.rindex(b"x/data/0") - 46 + 42     # the directory's offset of x/data/0 ...
    where = good.index(inner) + inner.index(b"PK\3\4", 4)    # ... now points into x/outer
    good[at:at + 4] = struct.pack("<I", where)
    for field in (20, 24):
        good[at - 42 + field:at - 42 + field + 4] = struct.pack("<I", 0)
    return bytes(good)


def lying_zip64():
    b = archive(state(tensor()))
    end = len(b) - 22
    count, size, offset = struct.unpack("<HII", b[end + 10:end + 20])
    z64 = struct.pack("<IQHHIIQQQQ", 0x06064b50, 44, 45, 45, 0, 0, count, count, 2 ** 63, offset)
    loc = struct.pack("<IIQI", 0x07064b50, 0, end, 1)
    eocd = struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, 0xffff, 0xffff, 0xffffffff, 0xffffffff, 0)
    return b[:end] + z64 + loc + eocd


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else "tests/crashers"
    os.makedirs(out, exist_ok=True)
    magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
    legacy = magic + b"\x80\x02M\xe9\x03.\x80\x02}" + s("little_endian") + b"\x88s."
    two = json.dumps({"a": row([2], 0, 8), "b": row([2], 4, 12)})
    same = '{"a":%s,"a":%s}' % (json.dumps(row([1], 0, 4)), json.dumps(row([1], 4, 8)))
    files = {
        "huge_header.safetensors": struct.pack("<Q", 2 ** 63) + b"{}",
        "overlapping_ranges.safetensors": safetensors(two, b"\0" * 12),
        "duplicate_name.safetensors": safetensors(same, b"\0" * 8),
        "os_system.ckpt": archive(state(b"cposix\nsystem\n" + s("exit 1") + b"\x85R")),
        "eval_legacy.ckpt": legacy + state(b"cbuiltins\neval\n" + s("1/0") + b"\x85R") + b"].",
        "overlapping_entries.ckpt": overlapping_entries(),
        "two_data_pkl.ckpt": archive(state(tensor()), extra=[("y/data.pkl", state(tensor()))]),
        "two_data_pkl_one_below.ckpt": archive(state(tensor()), extra=[("x/y/data.pkl", state(tensor()))]),
        "two_data_pkl_one_in_capitals.ckpt": archive(state(tensor()), extra=[("x/DATA.PKL", b"N.")]),
        "parent_folder_beside_model.ckpt": archive(state(tensor()), extra=[("x/../../evil", b"evil")]),
        "root_folder_beside_model.ckpt": archive(state(tensor()), extra=[("/etc/evil", b"evil")]),
        "parent_folder_by_backslash.ckpt": archive(state(tensor()), extra=[("x\\..\\evil", b"evil")]),
        "lying_zip64.ckpt": lying_zip64(),
        "deep_nesting.ckpt": archive(b"(" * 100000 + b"t" * 100000 + b".", b""),
        "memo_bomb.ckpt": archive(b"\x80\x02Nr\xff\xff\xff\xff."),
        "shape_overflow.ckpt": archive(state(tensor(shape=(2 ** 62, 8), stride=(0, 0)))),
        "missing_storage.ckpt": archive(state(tensor(key="17"))),
        "short_storage.ckpt": archive(state(tensor()), b"\0" * 12),
        "negative_stride.ckpt": archive(state(tensor(offset=3, stride=(-1,)))),
        "unknown_opcode.ckpt": archive(b"\x80\x02}\xfe."),
    }
    for name, data in files.items():
        if name == "deep_nesting.ckpt":     # 200 kB of two letters: deflated
            buf = io.BytesIO()
            with zipfile.ZipFile(io.BytesIO(data)) as a, zipfile.ZipFile(buf, "w") as b:
                for e in a.infolist():
                    b.writestr(zipfile.ZipInfo(e.filename, (1980, 1, 1, 0, 0, 0)), a.read(e),
                               zipfile.ZIP_DEFLATED)
            data = buf.getvalue()
        with open(os.path.join(out, name), "wb") as f:
            f.write(data)


if __name__ == "__main__":
    main()
