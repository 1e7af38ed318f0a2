"""Fixtures: a small spec that trains in a fraction of a second, its runs, the command."""

import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

import retrodict

SMALL = {
    "data__vocab_size": 24,
    "model__layers": 1,
    "model__dim": 16,
    "train__epochs": 6,
    "probe__every": 3,
}


@pytest.fixture(scope="session")
def spec() -> retrodict.Spec:
    return retrodict.Spec.ready("reversal-quick").set(**SMALL)


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="session")
def runs(spec: retrodict.Spec, out: Path) -> retrodict.Runs:
    return retrodict.run(spec, seeds=3, out=out, progress=False)


@pytest.fixture(scope="session")
def command() -> str:
    """The command that the wheel installed."""
    found = shutil.which("retrodict", path=sysconfig.get_path("scripts"))
    assert found, "the wheel installs the command `retrodict`"
    return found


@pytest.fixture
def resident() -> "Callable[[], int]":
    """The memory of this process in pages."""
    file = Path("/proc/self/statm")
    if not file.exists():
        pytest.skip("needs /proc")
    return lambda: int(file.read_text().split()[1])


def options(spec: retrodict.Spec) -> "list[str]":
    """The options of the command line for the small spec."""
    sections = {key: value for key, value in SMALL.items()}
    return [f"--set={key.replace('__', '.')}={value}" for key, value in sections.items()]


def call(command: str, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([command, *arguments], capture_output=True, text=True, check=check)
