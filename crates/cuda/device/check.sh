#!/usr/bin/env bash
# What to run where there is a GPU. Two halves, since such a machine may have no Rust:
#
#     check.sh build FOLDER       builds the programs into FOLDER, anywhere
#     check.sh run FOLDER OUT     checks and times them on the machine with the GPU, in at most six
#                                 minutes; raw results go to OUT
#     check.sh paper FOLDER OUT   figures 1 to 4 at the paper's scale, ten seeds; resumes
#
# In order, so that what is cut off is what matters least: the fused weight gradient and the products
# against the bandwidth; the tests of training on the real driver; a step of 24 x 768 with 1, 4 and
# 10 seeds and of small models; PyTorch and JAX at the same size; compute-sanitizer on a small model.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../../..

build() {
    mkdir -p "$1"
    local target=${CARGO_TARGET_DIR:-$root/target}
    (cd "$root" && cargo build --release --features cuda)
    cp "$target/release/retrodict" "$1/retrodict"
    local test
    test=$(cd "$root" && cargo test -p retrodict-cuda --release --test training --no-run --message-format json |
        sed -n 's/.*"executable":"\([^"]*training[^"]*\)".*/\1/p' | tail -1)
    cp "$test" "$1/training"
    strip "$1/retrodict" "$1/training"
    cp -r "$here/../kernels" "$here/bandwidth.cu" "$1/"
    cp "$root"/bench/peers/gpu_pytorch.py "$root"/bench/peers/gpu_jax.py \
        "$root"/bench/peers/jax_step.py "$root"/bench/peers/shapes.py "$1/"
}

# Runs a command with a limit in seconds, and keeps what it prints.
step() {
    local name=$1 limit=$2
    shift 2
    echo "== $name"
    timeout "$limit" "$@" 2>&1 | tee "$out/$name.txt" | tail -40 || echo "$name ended with status $?"
}

run() {
    local folder
    folder=$(cd "$1" && pwd)
    mkdir -p "$2"
    out=$(cd "$2" && pwd)
    cd "$folder"
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | tee "$out/device.txt"
    if command -v nvcc >/dev/null && [ ! -x bandwidth ]; then
        nvcc -O3 -std=c++17 -arch=native -I kernels bandwidth.cu -o bandwidth
    fi
    [ -x bandwidth ] && step bandwidth 40 ./bandwidth
    RETRODICT_REAL_GPU=1 step training 60 ./training --nocapture --test-threads 1
    local size=(--set model.layers=24 --set model.dim=768 --set model.heads=12 --set precision=bf16)
    for seeds in 1 4 10; do
        step "24x768-$seeds" 60 ./retrodict bench reversal-paper "${size[@]}" --seeds "$seeds" --device cuda --profile --json
    done
    for small in 2,64 4,128 12,256; do
        step "${small/,/x}" 20 ./retrodict bench reversal-paper --set model.layers="${small%,*}" \
            --set model.dim="${small#*,}" --set model.heads=4 --set precision=bf16 --seeds 10 --device cuda --json
    done
    step pytorch-plain 40 python3 gpu_pytorch.py --variant eager-graph --dropout 0.1
    step pytorch 90 python3 gpu_pytorch.py --precision master --dropout 0.1
    step jax 60 python3 gpu_jax.py --scan-layers --no-triton-gemm --dropout 0.1
    if command -v compute-sanitizer >/dev/null; then
        RETRODICT_REAL_GPU=1 step memcheck 60 compute-sanitizer --tool memcheck ./training a_model_moves --test-threads 1
        RETRODICT_REAL_GPU=1 step racecheck 60 compute-sanitizer --tool racecheck ./training a_model_moves --test-threads 1
    fi
}

paper() {
    "$1/retrodict" reproduce fig1 fig2 fig3 fig4 --scale paper --seeds 10 --device cuda --out "$2"
}

case ${1:-} in
build) build "$2" ;;
run) run "$2" "$3" ;;
paper) paper "$2" "$3" ;;
*) sed -n '2,12p' "$0" && exit 2 ;;
esac
