"""Instructions of a training step outside its forward and backward passes, by valgrind.

    CARGO_PROFILE_RELEASE_STRIP=none cargo build --release --workspace --target-dir target/named
    python tools/outside_passes.py target/named/release/lowland sam arsam

The names of functions must be in the program, hence the first line. Each algorithm runs in
`lowland bench`, on one thread, 100 steps of `--batch-size` 1, or of the size given as
`--batch-size=N`. What counts is the training thread: everything in the library's step, the base
optimizer included, less the forward pass and the backward pass, part of which runs on a thread of
Rayon.
"""

import os
import re
import subprocess
import sys
import tempfile

# "  1,234 (0.10%)  >  file:function (100x) [object]": `*` heads a block, `>` is what it calls.
LINE = re.compile(r"\s*([\d,]+) \([^)]*\)\s+([*>])\s+\S*?:(.*?)(?: \([\d,]+x\))? \[")
STEP = "driver::Driver::step"
FORWARD = "Local<M>::evaluate"
BACKWARD = "autodiff::backward_impl"


def profile(program, algorithm, batch):
    """Instructions of a step outside its forward and backward passes."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "callgrind")
        subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", program, "bench",
             "--batch-size", str(batch), "--steps", "10", "--rounds", "9", "--threads", "1",
             "--no-memory", "--quiet", "--algorithms", algorithm],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        text = subprocess.run(
            ["callgrind_annotate", "--inclusive=yes", "--tree=calling", "--threshold=100", out],
            check=True, capture_output=True, text=True).stdout
    own, backward, block = {}, 0, ""
    for line in text.splitlines():
        found = LINE.match(line)
        if not found:
            continue
        count, name = int(found[1].replace(",", "")), found[3]
        if found[2] == "*":
            block = name
            own[name] = max(own.get(name, 0), count)
        elif BACKWARD in name and "Local<M>" in block:
            backward += count

    def of(end):
        counts = [count for name, count in own.items() if name.endswith(end)]
        if not counts:
            sys.exit(f"{program} has no function {end}: build it with its names")
        return max(counts)

    # One block of 10 steps warms up, 9 are measured; valgrind counts all.
    return (of(STEP) - of(FORWARD) - backward) / 100


def main():
    sizes = [word.split("=")[1] for word in sys.argv[1:] if word.startswith("--batch-size=")]
    program, *algorithms = [word for word in sys.argv[1:] if not word.startswith("--")]
    batch = int(sizes[0]) if sizes else 1
    print("| algorithm | instructions outside the passes |")
    print("|---|---|")
    for algorithm in algorithms:
        outside = profile(program, algorithm, batch)
        print(f"| {algorithm} | {outside / 1e6:.2f} million |", flush=True)


if __name__ == "__main__":
    main()
