"""Test accuracy and calibration of a comparison's networks with their weights rounded, as a table in
Markdown.

    python tools/rounding.py LOWLAND COMPARISON NAME=FOLDER...

LOWLAND is the program, COMPARISON the folder of the comparison with the weights of its runs, and each
NAME=FOLDER a contender: what the table calls it, and what its run folders begin with, such as
ARSAM=arsam-2 for COMPARISON/runs/arsam-2-seed-200. Writes every figure to rounding.json beside
the summary; networks that are in it are not evaluated again.
"""

import json
import pathlib
import re
import subprocess
import sys
from statistics import mean, stdev

BITS = (None, 8, 6, 5, 4, 3, 2)


def evaluated(program, run, bits=None, weights=None):
    """A run's test figures, with its weights rounded to so many bits or those of another run."""
    command = [program, "evaluate", str(run), "--json"]
    command += ["--round", str(bits)] if bits else []
    command += ["--weights", str(weights)] if weights else []
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {"accuracy": found["accuracy"], "loss": found["loss"],
            "calibration_error": found["calibration_error"]}


def runs_of(folder, contenders):
    """The runs with weights of each contender, by its name and then by seed."""
    found = {}
    for contender in contenders:
        name, prefix = contender.split("=")
        runs = [run for run in (folder / "runs").iterdir()
                if re.fullmatch(re.escape(prefix) + r"-seed-\d+", run.name)
                and (run / "model.bpk").is_file()]
        found[name] = {run.name.rsplit("-", 1)[1]: run for run in sorted(runs)}
    return found


def main():
    program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    kept = folder / "rounding.json"
    known = json.loads(kept.read_text()) if kept.is_file() else {}
    figures = {}
    for name, runs in runs_of(folder, sys.argv[3:]).items():
        for seed, run in runs.items():
            of = known.get(name, {}).get(seed)
            of = of or {str(bits or "full"): evaluated(program, run, bits) for bits in BITS}
            figures.setdefault(name, {})[seed] = known.setdefault(name, {})[seed] = of
            # After each network, so that what was evaluated is not evaluated again.
            kept.write_text(json.dumps(known, indent=1) + "\n")
    seeds = sorted(set.intersection(*(set(of) for of in figures.values())), key=int)
    names = [str(bits or "full") for bits in BITS]
    print(f"Seeds {', '.join(seeds)}\n")
    print("| | " + " | ".join(names) + " | expected calibration error |")
    print("|---" * (len(names) + 2) + "|")
    for name, of in figures.items():
        cells = [name]
        for bits in names:
            shares = [100.0 * of[seed][bits]["accuracy"] for seed in seeds]
            cells.append(f"{mean(shares):.1f} ± {stdev(shares):.1f}")
        errors = [100.0 * of[seed]["full"]["calibration_error"] for seed in seeds]
        cells.append(f"{mean(errors):.1f} ± {stdev(errors):.1f}")
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
