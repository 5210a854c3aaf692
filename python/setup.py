# SPDX-License-Identifier: MIT
"""Builds the package: the declarations out of include/ldm, and the library with its shipped model.

The library is the file that LDMC_LIBRARY names, else build/release/libldmc.so of the source tree, which is
built by CMake where it is missing. LDMC_LIBRARY=system: none goes along, and the system's is loaded.
"""
import os
import re
import shutil
import subprocess
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

TOP = Path(__file__).resolve().parent.parent


def version() -> str:
    text = (TOP / "include/ldm/ldm.h").read_text()
    return ".".join(re.search(rf"LDM_VERSION_{part} (\d+)", text)[1] for part in ("MAJOR", "MINOR", "PATCH"))


def library() -> "Path | None":
    named = os.environ.get("LDMC_LIBRARY")
    if named == "system":
        return None
    if named:
        return Path(named)
    built = TOP / "build/release/libldmc.so"
    if not built.exists():
        subprocess.run(["cmake", "--preset", "release"], cwd=TOP, check=True)
    subprocess.run(["cmake", "--build", "--preset", "release", "--target", "ldmc"], cwd=TOP, check=True)
    return built


class Build(build_py):
    def run(self) -> None:
        super().run()
        package = Path(self.build_lib) / "ldmc"
        lib = library()
        if lib is None:
            return
        (package / "lib").mkdir(parents=True, exist_ok=True)
        shutil.copy(lib.resolve(), package / "lib/libldmc.so.0")
        share = package / "share/ldmc"
        shutil.copytree(TOP / "configs", share / "configs", dirs_exist_ok=True)
        shutil.copytree(TOP / "models", share / "models", dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("resume.pt", "*.csv", "*.png", "figures.json"))
        shutil.copy(TOP / "LICENSE", package / "LICENSE")


class Binary(Distribution):
    """A wheel with a library inside is for one kind of machine."""

    def has_ext_modules(self) -> bool:
        return os.environ.get("LDMC_LIBRARY") != "system"


try:
    from wheel.bdist_wheel import bdist_wheel
except ImportError:  # setuptools has its own from version 70.1
    from setuptools.command.bdist_wheel import bdist_wheel


class Wheel(bdist_wheel):
    def get_tag(self):
        return "py3", "none", super().get_tag()[2]  # no extension module: any Python will do


setup(
    version=version(),
    cffi_modules=["ldmc_declarations.py:ffi"],
    distclass=Binary,
    cmdclass={"build_py": Build, "bdist_wheel": Wheel},
)
