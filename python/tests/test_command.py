"""The command `retrodict` of the wheel."""

import subprocess
import sys

from conftest import call

import retrodict


def test_the_command(command):
    assert call(command, "--version").stdout == f"retrodict {retrodict.__version__}\n"
    module = subprocess.run([sys.executable, "-m", "retrodict", "spec", "chain-quick"], capture_output=True, text=True)
    assert module.stdout == call(command, "spec", "chain-quick").stdout
    assert retrodict.Spec.from_toml(module.stdout) == retrodict.Spec.ready("chain-quick")
    wrong = call(command, "run", "nowhere.toml", check=False)
    assert wrong.returncode == 2 and "no file `nowhere.toml`" in wrong.stderr
    unknown = call(command, "frobnicate", check=False)
    assert unknown.returncode == 2 and "frobnicate" in unknown.stderr


def test_it_starts_no_copies_of_python(command, tmp_path):
    launched = call(
        command, "run", "reversal-quick", "--set=model.layers=1,2", "--launcher=commands",
        f"--out={tmp_path}", check=False,
    )  # fmt: skip
    assert launched.returncode == 2 and "cargo install" in launched.stderr
