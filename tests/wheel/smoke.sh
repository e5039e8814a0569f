#!/usr/bin/env bash
# Builds the wheel, installs it into an empty environment and works with it in an empty folder, where
# nothing of the checkout can be imported.
# usage: tests/wheel/smoke.sh [PYTHON]
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
python=${1:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset PYTHONPATH

"$python" -m venv "$work/env"
"$work/env/bin/pip" wheel --quiet --no-deps --wheel-dir "$work/dist" "$root"
"$work/env/bin/pip" install --quiet --no-compile -c "$root/constraints.txt" "$work"/dist/refinevad_jax-*.whl
export PATH="$work/env/bin:$PATH"
mkdir "$work/empty" && cd "$work/empty"

passed=0
# check CODE TEXT COMMAND...: the command must end with that exit code and print that text.
check() {
  local code=$1 text=$2 said found=0
  shift 2
  said=$("$@" 2>&1) || found=$?
  if [[ $found != "$code" || $said != *"$text"* ]]; then
    printf 'FAILED: %s\nexit code %s, expected %s and: %s\n%s\n' "$*" "$found" "$code" "$text" "$said"
    exit 1
  fi
  passed=$((passed + 1))
}

check 0 "usage: refinevad COMMAND" refinevad
check 0 "refinevad_jax 0." refinevad --version
check 0 "usage: python -m refinevad_jax COMMAND" python -m refinevad_jax
check 2 "did you mean 'train'?" refinevad trian
check 2 "no data set 'ucf'" refinevad train --config=configs/ucf.py
check 2 "did you mean --config=ucf?" refinevad train --config=configs/ufc.py
check 0 "next: " refinevad simulate --name=clips --data_dir=data
check 0 "next: " refinevad train --config=demo --config.train.num_epochs=2 --workdir=runs/demo
check 0 "report.html" refinevad evaluate --workdir=runs/demo
check 0 "thresholds for detect --stream" refinevad evaluate --workdir=runs/demo --stream
check 0 "2 clips" refinevad simulate_video --clips=test_000,test_003 --output=clips
check 0 "open in a browser: found/index.html" refinevad detect --input=clips/test

python - <<'EOF'
import pathlib

import av
import numpy as np

rng = np.random.default_rng(0)
lengths = {"videos/test_000.mp4": 10, "videos/test_003.mp4": 7}
np.savez("theirs.npz", **{name: rng.random((n, 1)) for name, n in lengths.items()})
for name in [f"{label}/{n}.mp4" for label in ("normal", "fight") for n in range(3)]:
    path = pathlib.Path("own clips", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(32):
            pixels = rng.integers(0, 256, (48, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
EOF
check 0 "next: refinevad train --config=survfight" refinevad package --builtin=survfight --data_dir=data
check 0 "report.html" refinevad evaluate --scores=theirs.npz --list=clips/test.csv --annotations=clips/annotations.txt
own=(refinevad own "--videos=own clips" --name=gate)
check 0 "next: refinevad detect --workdir=gate/run --input='own clips/fight/" "${own[@]}"
check 0 "[5/5] evaluate: done before" "${own[@]}"
check 0 "gate/found/0.html" refinevad detect --workdir=gate/run "--input=own clips/fight/0.mp4" --output=gate/found
echo "wheel: $passed passed, 0 failed"
