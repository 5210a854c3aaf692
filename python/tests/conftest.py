# SPDX-License-Identifier: MIT
from pathlib import Path

import pytest

import ldmc

TINY = Path(__file__).resolve().parents[2] / "tests/data/tiny"


@pytest.fixture
def files():
    return TINY / "model.ckpt", TINY / "config.yaml"


@pytest.fixture(scope="session")
def model():
    with ldmc.Model.open(TINY / "model.ckpt", TINY / "config.yaml", threads=2) as m:
        yield m
