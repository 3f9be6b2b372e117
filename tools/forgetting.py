"""How much of its test accuracy a network of a comparison loses when plain SGD trains it further on
MNIST, as a table in Markdown.

    python tools/forgetting.py LOWLAND COMPARISON MNIST RATE EPOCHS NAME=FOLDER...

LOWLAND, COMPARISON and NAME=FOLDER as for rounding.py; MNIST the folder of its files, RATE the
learning rate. Trains into COMPARISON/further-EPOCHS and writes every figure to
forgetting-EPOCHS.json beside the summary. The first contender is what the others are compared with.
Needs scipy.
"""

import json
import pathlib
import subprocess
import sys
from statistics import mean, stdev

from frontier import holm, p_value, words
from rounding import evaluated, runs_of


def further(program, run, mnist, rate, epochs, seed):
    """The folder of the run trained further; trained where that is not done yet."""
    out = run.parent.parent / f"further-{epochs}" / run.name
    if not (out / "model.bpk").is_file():
        subprocess.run(
            [program, "train", "--algorithm", "sgd", "--from", str(run), "--data", "mnist",
             "--data-dir", mnist, "--train-limit", "2500", "--test-limit", "2000", "--epochs", epochs,
             "--lr", rate, "--seed", seed, "--quiet", "--out", str(out)],
            check=True, stdout=subprocess.DEVNULL)
    return out


def main():
    program, folder, mnist, rate, epochs = sys.argv[1:6]
    folder = pathlib.Path(folder)
    figures = {}
    for name, runs in runs_of(folder, sys.argv[6:]).items():
        figures[name] = {}
        for seed, run in runs.items():
            trained = further(program, run, mnist, rate, epochs, seed)
            figures[name][seed] = {
                "before": 100.0 * evaluated(program, run)["accuracy"],
                "after": 100.0 * evaluated(program, run, weights=trained)["accuracy"],
                "mnist": 100.0 * evaluated(program, trained)["accuracy"],
            }
    (folder / f"forgetting-{epochs}.json").write_text(json.dumps(figures, indent=1) + "\n")
    lost = {name: [of[seed]["before"] - of[seed]["after"] for seed in sorted(of)]
            for name, of in figures.items()}
    first, *others = figures
    differences = {name: [a - b for a, b in zip(lost[name], lost[first])] for name in others}
    tests = dict(zip(others, holm([p_value(differences[name]) for name in others])))
    print(f"Seeds {', '.join(sorted(figures[first]))}\n")
    print(f"| | before | after | MNIST | points lost | to {first} (95 %) | p, Holm |")
    print("|---" * 7 + "|")
    for name, of in figures.items():
        cells = [name]
        for column in ([one[what] for one in of.values()] for what in ("before", "after", "mnist")):
            cells.append(f"{mean(column):.1f} ± {stdev(column):.1f}")
        cells.append(f"{mean(lost[name]):.1f} ± {stdev(lost[name]):.1f}".replace("-", "−"))
        compared = name in differences
        cells.append(words(differences[name]) if compared else "")
        cells.append(f"{tests[name]:.3f}" if compared else "")
        print("| " + " | ".join(cells) + " |")


main()
