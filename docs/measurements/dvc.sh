#!/usr/bin/env bash
# Times DVC on 50,000 samples of 32×32 as one artifact: add, push, status and pull, through a folder and an S3 server.
#   docs/measurements/dvc.sh SAMPLES.npy
set -euo pipefail
samples=$(realpath "$1")
here=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
server=
trap 'kill $server; rm -rf "$work"' EXIT
export AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing AWS_DEFAULT_REGION=us-east-1
export GIT_{AUTHOR,COMMITTER}_{NAME,EMAIL}=measurement
timed() { /usr/bin/env time -f "$1: %e s, %M KB" "${@:2}" >"$work/output" 2>&1 || { cat "$work/output"; exit 1; }; tail -1 "$work/output"; }

moto_server -H 127.0.0.1 -p 5999 >"$work/moto.log" 2>&1 &
server=$!
until curl -sf -X PUT http://127.0.0.1:5999/wframe; do sleep 0.2; done

git init -q "$work/a" && cd "$work/a"
cp -r "$here/.dvc" . && rm -rf .dvc/cache .dvc/tmp .dvc/config.local
dvc remote add bucket s3://wframe/store -q && dvc remote modify bucket endpointurl http://127.0.0.1:5999
mkdir runs && cp "$samples" runs/samples.npy
stat -c "samples.npy: %s bytes" runs/samples.npy
timed "add" dvc add runs
git add --all && git commit -qm samples
for remote in local bucket; do
    timed "push to $remote" dvc push -r $remote
    timed "push to $remote again" dvc push -r $remote
    git clone -q . "$work/$remote"
    (cd "$work/$remote"; timed "pull from $remote" dvc pull -r $remote; timed "pull from $remote again" dvc pull -r $remote
     cmp runs/samples.npy ../a/runs/samples.npy)
    timed "status" dvc status
    timed "status --cloud of $remote" dvc status --cloud -r $remote
done
