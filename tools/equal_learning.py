"""What networks have left of what they had learned, once they have learned a new set equally well, as
tables in Markdown and a chart in SVG.

    python tools/equal_learning.py COMPARISON chart.svg

Reads COMPARISON/forgetting-EPOCHS.json as forgetting.py writes them, for all numbers of epochs there
are. The first contender after 2 epochs is what the others are compared with: for each of their
networks the accuracy is read off, by linear interpolation between epochs, that it has on the old set
where it has the accuracy on the new one that the first contender's network of its seed has. Needs
scipy and matplotlib.
"""

import json
import pathlib
import sys
from statistics import mean, stdev

import matplotlib
from matplotlib import pyplot

from frontier import FAMILIES, words

REFERENCE = 2


def left_at(course, learned):
    """The accuracy on the old set where that on the new one is first `learned`; None where it never
    is. `course` has both after each number of epochs, in order."""
    for (old, new), (old_then, new_then) in zip(course, course[1:]):
        if new <= learned <= new_then:
            return old + (old_then - old) * (learned - new) / (new_then - new)
    return None


def chart(files, epochs, names, path):
    """The means of all contenders after each number of epochs."""
    figure, axes = pyplot.subplots(figsize=(7, 4.6))
    for name in names:
        colour, marker, _ = FAMILIES[name.split(" at ")[0]]
        of = [files[e][name].values() for e in epochs]
        new, old = ([mean(one[what] for one in runs) for runs in of]
                    for what in ("mnist", "after"))
        axes.plot(new, old, color=colour, marker=marker, label=name,
                  linestyle="--" if name == names[0] else "-")
    axes.set_xlabel("test accuracy on MNIST, the new set, %")
    axes.set_ylabel("test accuracy left on Fashion-MNIST, %")
    axes.set_title(f"After {', '.join(map(str, epochs[:-1]))} and {epochs[-1]} epochs on MNIST")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="lower left")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main():
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "lowland"})
    folder = pathlib.Path(sys.argv[1])
    files = {int(path.stem.split("-")[1]): json.loads(path.read_text())
             for path in folder.glob("forgetting-*.json")}
    epochs = sorted(files)
    names = [name for name in files[epochs[0]] if all(name in files[e] for e in epochs)]
    print("| | " + " | ".join(f"{e} epochs" if e > 1 else "1 epoch" for e in epochs) + " |")
    print("|---" * (len(epochs) + 1) + "|")
    for name in names:
        cells = [name]
        for e in epochs:
            old, new = ([one[what] for one in files[e][name].values()]
                        for what in ("after", "mnist"))
            cells.append(f"{mean(old):.1f} and {mean(new):.1f}")
        print("| " + " | ".join(cells) + " |")

    chart(files, epochs, names, sys.argv[2])
    first, *others = names
    reference = files[REFERENCE][first]
    print("\n| at equal accuracy on the new set | left | to the first (95 %) | did not get there |")
    print("|---" * 4 + "|")
    figures = [one["after"] for one in reference.values()]
    print(f"| {first}, after {REFERENCE} epochs | {mean(figures):.1f} ± {stdev(figures):.1f} | | |")
    for name in others:
        left = {}
        for seed, of in reference.items():
            before = (files[REFERENCE][name][seed]["before"], 0.0)
            course = [before] + [(files[e][name][seed]["after"], files[e][name][seed]["mnist"])
                                 for e in epochs]
            left[seed] = left_at(course, of["mnist"])
        there = {seed: value for seed, value in left.items() if value is not None}
        differences = [value - reference[seed]["after"] for seed, value in there.items()]
        print(f"| {name} | {mean(there.values()):.1f} ± {stdev(there.values()):.1f} | "
              f"{words(differences)} | {len(left) - len(there)} of {len(left)} |")


if __name__ == "__main__":
    main()
