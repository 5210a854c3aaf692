# SPDX-License-Identifier: MIT
"""The C interface as cffi takes it, out of include/ldm: written into ldmc/_cffi.py when the package is built."""
import re
from pathlib import Path

from cffi import FFI

INCLUDE = Path(__file__).resolve().parent.parent / "include/ldm"


def declarations() -> str:
    text = "\n".join((INCLUDE / name).read_text() for name in ("error.h", "ldm.h"))
    statuses = re.findall(r"^ +X\((\w+), \"", text, re.M)
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    text = re.sub(r"typedef enum ldm_status \{.*?\} ldm_status;",
                  "typedef enum ldm_status { %s } ldm_status;" % ", ".join("LDM_" + s for s in statuses),
                  text, flags=re.S)
    text = re.sub(r"^#(?:[^\n]*\\\n)*[^\n]*\n", "", text, flags=re.M)  # with the lines that go on
    text = re.sub(r'extern "C" \{|^\}$', "", text, flags=re.M)
    return re.sub(r"\bLDM_API\b", "", text)


ffi = FFI()
ffi.cdef(declarations())
ffi.set_source("ldmc._cffi", None)
