#!/usr/bin/env bash
# All measurements that need a GPU, in one command: the engine's speed against the naive PyTorch loop and the machine's
# ceiling, then all of CIFAR-10 with the paper's constants, both methods, with labels and without.
#
#   docs/measurements/gpu.sh IMAGES VGG16-WEIGHTS OUT
#
# IMAGES is a folder or archive with one folder of images per class (source `folder`), for example
# CIFAR-10-images.tar.xz!train. Set LEARN="--set T=2 --set L=2 --groups 1" and DEVICE=cpu to try the script itself.
set -euo pipefail
images=$1 weights=$2 out=$3
device=${DEVICE:-cuda} learn=${LEARN:-} classes=${CLASSES:-airplane automobile bird cat deer dog frog horse ship truck}
wframe="${PYTHON:-python} -m wframe"
mkdir -p "$out"

[ -n "${SKIP_BENCH:-}" ] || $wframe bench --device "$device" --out "$out/bench.json"

$wframe bank --vgg16 "$weights" --out "$out/bank.safetensors"
for class in all $classes; do
    path=$images
    $wframe prepare --source folder --path "$path" --class "$class" --size 32 --out "$out/data/$class.npy"
    for method in frame wframe; do
        # the same folders as in the workflow
        $wframe train --observed "$out/data/$class.npy" --bank "$out/bank.safetensors" --method $method \
            --out "$out/runs/whole/cifar10/$class/base/$method-0/0" --dataset cifar10 --class "$class" \
            --device "$device" --set delta=0.15 --set lambda=2e-3 $learn
    done
done
find "$out/runs" -name 0.parquet -print0 | sort -z | xargs -0 $wframe summarise \
    --out "$out/curves.parquet" --table "$out/R.csv" --metrics "$out/metrics.json" --means "$out/curves.csv"
