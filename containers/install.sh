#!/bin/sh
# What both recipes do, in three steps: `install.sh system`, `install.sh packages`, `install.sh project`. Each is a layer
# of the Docker image, so that a change of the code installs no package anew.
set -eu
export DEBIAN_FRONTEND=noninteractive
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore

VENV=${VENV:-/opt/venv}
LOCKS=${LOCKS:-/opt/locks}
PROJECT=${PROJECT:-/study}

system() {
    # git tells the records which commit made a file, ffmpeg cuts the clips of MELD and MUStARD out of their videos.
    apt-get update
    apt-get install --yes --no-install-recommends ca-certificates ffmpeg git python3.11 python3.11-venv
    rm -rf /var/lib/apt/lists/*
    # The project belongs to root, or is a clone of whoever runs the container: git would refuse to look at either.
    git config --system --add safe.directory "$PROJECT"
}

locked() {
    "$VENV/bin/python" -m pip install --no-deps --require-hashes "$@"
}

packages() {
    case "${TORCH:-cuda}" in
        cpu | cuda) ;;
        *)
            echo "TORCH is cpu or cuda, not '$TORCH'" >&2
            exit 2
            ;;
    esac
    python3.11 -m venv "$VENV"
    if [ "${TORCH:-cuda}" = cpu ]; then
        locked ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} --requirement "$LOCKS/cpu.txt" || {
            echo "The build of torch for processors only was not installed, see above. Where the package index has none," \
                "name one that has with TORCH_INDEX, or take TORCH=cuda" >&2
            exit 1
        }
    fi
    locked --requirement "$LOCKS/run.txt"
    if [ "${TORCH:-cuda}" = cuda ]; then
        locked --requirement "$LOCKS/cuda.txt"
    fi
}

project() {
    cd "$PROJECT"
    "$VENV/bin/python" -m pip install --no-deps --no-build-isolation --editable .
    # Whoever runs the image is not root: what only its owner may read in the clone must be read by all, and what is not
    # compiled here would be compiled by each process.
    find . ! -perm -o=r -exec chmod a+rX {} +
    "$VENV/bin/python" -m compileall -q src
    # Where results, what Snakemake remembers of them, and logs are mounted.
    mkdir -p results .snakemake logs
    "$VENV/bin/snakemake" --version >/dev/null
    "$VENV/bin/cascade-equivalence" check --elsewhere config/*.yaml
}

"$@"
