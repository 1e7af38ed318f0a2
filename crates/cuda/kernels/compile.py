"""Compiles kernels.cu to PTX with NVRTC, which needs no GPU, and prints the PTX.

    python3 compile.py LIBNVRTC > kernels.ptx

NVRTC comes as a Python package, `nvidia-cuda-nvrtc-cu12`. Version 12.0 writes PTX 8.0 for compute
capability 8.0, which every driver from R525 on compiles for Ampere and all later GPUs.
"""

import ctypes
import sys
from pathlib import Path

HERE = Path(__file__).parent
OPTIONS = ["--gpu-architecture=compute_80", "--std=c++17", "-default-device"]


def compile_ptx(nvrtc) -> str:
    def call(name, *arguments):
        status = getattr(nvrtc, name)(*arguments)
        if status != 0 and name != "nvrtcCompileProgram":
            sys.exit(f"{name} failed with status {status}")
        return status

    def text(size_of, get):
        size = ctypes.c_size_t()
        call(size_of, program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        call(get, program, buffer)
        return buffer.value.decode()

    headers = sorted(path for path in HERE.glob("*.h"))
    names = (ctypes.c_char_p * len(headers))(*(path.name.encode() for path in headers))
    sources = (ctypes.c_char_p * len(headers))(*(path.read_bytes() for path in headers))
    program = ctypes.c_void_p()
    main = (HERE / "kernels.cu").read_bytes()
    call("nvrtcCreateProgram", ctypes.byref(program), main, b"kernels.cu", len(headers), sources, names)
    options = (ctypes.c_char_p * len(OPTIONS))(*(option.encode() for option in OPTIONS))
    if call("nvrtcCompileProgram", program, len(OPTIONS), options) != 0:
        sys.exit(text("nvrtcGetProgramLogSize", "nvrtcGetProgramLog"))
    return text("nvrtcGetPTXSize", "nvrtcGetPTX")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(compile_ptx(ctypes.CDLL(sys.argv[1])), end="")
