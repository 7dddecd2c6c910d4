#!/usr/bin/env bash
# Build the container and run a tiny edition in it, without network and as an unknown user: about ten minutes and 20 GB.
#   tests/container.sh       needs root, and installs buildah; where no registry is reached, Debian is built by mmdebstrap
set -euo pipefail
checkout=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
base=docker.io/library/debian:trixie-slim
id=4242 # a user that the image doesn't know
name=wframe-test-$$

for tool in buildah mmdebstrap; do
    command -v $tool >/dev/null || apt-get install -y -qq --no-install-recommends $tool
done
buildah=(buildah --root "$work/storage" --runroot "$work/run")
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

if ! "${buildah[@]}" pull -q "$base" 2>/dev/null; then
    mmdebstrap --variant=minbase --components=main trixie "$work/base.tar" http://deb.debian.org/debian
    new=$("${buildah[@]}" from scratch)
    "${buildah[@]}" add -q "$new" "$work/base.tar" /
    # a network with a certificate authority of its own
    [ ! -d /usr/local/share/ca-certificates ] || "${buildah[@]}" add -q "$new" /usr/local/share/ca-certificates{,}
    "${buildah[@]}" config --cmd /bin/bash "$new"
    "${buildah[@]}" commit -q "$new" "$base"
    "${buildah[@]}" rm "$new" >/dev/null
fi

git clone -q "$checkout" "$work/clone" # what is committed
"${buildah[@]}" bud --pull-never -t wframe -f Containerfile "$work/clone"
"${buildah[@]}" images
PYTHONPATH="$checkout/tests" "$checkout/.venv/bin/python" -c \
    'import conftest, yaml; print(yaml.safe_dump(conftest.TINY))' > "$work/clone/tiny.yaml"
mkdir -p "$work/results" "$work/data"
chown -R $id "$work/results" "$work/data" "$work/clone"

# run WHAT [mounts]: in a fresh container, without network
run() {
    "${buildah[@]}" from -q --name $name wframe >/dev/null
    unshare --net "${buildah[@]}" run --user $id:$id -v "$work/clone/tiny.yaml:/tiny.yaml:ro" "${@:2}" $name bash -euxc "$1"
    "${buildah[@]}" rm $name >/dev/null
}
mounts=(-v "$work/results:/wframe/results" -v "$work/data:/wframe/data")

echo "== from nothing"
run 'id -u | grep -x 4242; test -z "$(git status --porcelain)"; snakemake --configfile /tiny.yaml' "${mounts[@]}"
echo "== another container finds everything done, though Snakemake's own records went with the first"
run 'snakemake -n --configfile /tiny.yaml | grep "Nothing to be done"; wframe check --edition /tiny.yaml
     wframe trace results/tables/whole.csv | tail -1
     grep -A1 "\"git\"" results/manifest.json; grep "\"dirty\": false" results/manifest.json' "${mounts[@]}"
echo "== a checkout in the place of the image's code"
cp -a "$work/results/." "$work/clone/results"
run 'wframe check --edition /tiny.yaml; snakemake -n --configfile /tiny.yaml | grep "Nothing to be done"' \
    -v "$work/clone:/wframe"
echo "The container works."
