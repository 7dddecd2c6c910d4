#!/usr/bin/env bash
# Retrains the weights that ship with the package, from the embedded images: the builtin bank
# (src/wframe/weights/builtin.safetensors) and the pocket classifier (src/wframe/weights/pocket.safetensors).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prepare() { python -m wframe prepare --source embedded --path "$1" --class "$2" --out "$work/$1/$2.npy"; }
prepare faces all
for digit in 0 1 2 3 4 5 6 7 8 9; do prepare digits "$digit"; done
for photograph in china flower astronaut chelsea coffee rocket motorcycle hubble brick grass gravel; do
    prepare scenes "$photograph"
done
python -m wframe make-bank "$work"/*/*.npy --seed 0 --steps 600 --response 1.3 --out "${1:-src/wframe/weights/builtin.safetensors}"
python -m wframe make-pocket "$work"/*/*.npy --seed 0 --steps 1200 --out "${2:-src/wframe/weights/pocket.safetensors}"
