"""Accuracy over passes per step of a comparison, as a table in Markdown and a chart in SVG.

    python tools/frontier.py COMPARISON/summary.json chart.svg [figures.json] [--training]
        [--margin POINTS]

`figures.json` has what both are made of: settings, and each seed's accuracy and passes. `--training`
adds the accuracy on the training samples, as they are labelled, after the last epoch. Only seeds
that every contender has finished count. Differences are paired over seeds, with 95 % intervals by
Student's t; equivalence with SAM within the margin, 1 point unless it is given, by two one-sided
tests at 5 % with Holm's correction over all contenders. Where ARSAM stands there with other reuses beside its authors', what has the same passes
is compared with the latter by paired t-tests, with Holm's correction over those at the same passes.
Needs scipy and matplotlib.
"""

import argparse
import json
import math
from statistics import mean, stdev

import matplotlib
from matplotlib import pyplot
from scipy import stats

# A family's name, colour, marker (of matplotlib), and whether that is filled.
FAMILIES = {
    "SGD": ("#444444", "o", True),
    "AdamW": ("#444444", "o", True),
    "SAM": ("#444444", "s", True),
    "ARSAM": ("#c0392b", "o", True),
    "ARSAM, decay 0.95": ("#c0392b", "s", True),
    "ARSAM, scaled": ("#e67e22", "^", True),
    "controller without reuse": ("#c0392b", "o", False),
    "periodic with reuse": ("#2471a3", "s", True),
    "periodic, scaled": ("#2471a3", "^", True),
    "at random": ("#2471a3", "s", False),
    "AE-SAM": ("#1e8449", "^", True),
    "late SAM": ("#9a7d0a", "D", True),
    "LookSAM": ("#6c3483", "^", False),
    "MSAM": ("#6c3483", "D", False),
    "F-SAM": ("#6c3483", "o", False),
}


def family(algorithm, decays):
    """The family; `decays` says whether ARSAM stands there with several."""
    settings = algorithm["settings"]
    scaled = any(key.endswith("scaled") and value in (True, "true")
                 for key, value in settings.items())
    if algorithm["name"] == "composed":
        if not any(key.startswith("schedule.periodic") for key in settings):
            return "controller without reuse"
        return "periodic, scaled" if scaled else "periodic with reuse"
    if algorithm["name"] == "arsam":
        if scaled:
            return "ARSAM, scaled"
        return "ARSAM, decay 0.95" if decays and "beta" in " ".join(settings) else "ARSAM"
    names = {"sgd": "SGD", "adamw": "AdamW", "sam": "SAM", "ss-sam": "at random",
             "aesam": "AE-SAM", "late": "late SAM", "looksam": "LookSAM", "msam": "MSAM",
             "fsam": "F-SAM"}
    return names[algorithm["name"]]


def deviation(numbers):
    return stdev(numbers) if len(numbers) > 1 else 0.0


def interval(differences):
    """Mean and half the width of its 95 % interval."""
    count = len(differences)
    if count < 2:
        return mean(differences), float("nan")
    half = stats.t.ppf(0.975, count - 1) * stdev(differences) / math.sqrt(count)
    return mean(differences), half


def p_value(differences, centre=0.0, alternative="two-sided"):
    """The p-value of a t-test of differences; 1 where there are too few."""
    p = stats.ttest_1samp(differences, centre, alternative=alternative).pvalue
    return 1.0 if math.isnan(p) else p


def equivalence(differences, margin):
    """The larger p-value of two one-sided tests for a difference within the margin."""
    return max(p_value(differences, margin, "less"), p_value(differences, -margin, "greater"))


def holm(values):
    """Adjusted p-values by Holm's step-down."""
    order = sorted(range(len(values)), key=lambda place: values[place])
    adjusted, largest = [0.0] * len(values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank) * values[place]))
        adjusted[place] = largest
    return adjusted


def contenders(summary):
    runs = [{run["seed"]: run for run in algorithm["runs"] if run["final_accuracy"] is not None}
            for algorithm in summary["algorithms"]]
    seeds = sorted(set.intersection(*(set(found) for found in runs)))
    arsam = [algorithm["settings"] for algorithm in summary["algorithms"]
             if algorithm["name"] == "arsam"]
    decays = len({"beta" in " ".join(settings) for settings in arsam}) > 1
    found = []
    for algorithm, by_seed in zip(summary["algorithms"], runs):
        found.append({
            "family": family(algorithm, decays),
            "settings": algorithm["settings"],
            "accuracy": [100.0 * by_seed[seed]["final_accuracy"] for seed in seeds],
            "training": [100.0 * by_seed[seed]["epochs"][-1]["train_accuracy"] for seed in seeds],
            "passes": mean([by_seed[seed]["passes_per_step"] for seed in seeds]),
        })
    return seeds, found


def words(differences):
    centre, half = interval(differences)
    return f"{centre:+.1f} ({centre - half:+.1f} to {centre + half:+.1f})".replace("-", "−")


def table(found, with_training, margin):
    by = {contender["family"]: contender for contender in found}
    base = "AdamW" if "AdamW" in by else "SGD"
    heads = ["", "passes", "test accuracy, %", f"to {base}, points (95 %)",
             "to SAM, points (95 %)", f"within {margin} of SAM"]
    if with_training:
        heads.insert(3, "training, %")
    lines = [f"|{'|'.join(f' {head} ' if head else ' ' for head in heads)}|",
             "|" + "---|" * len(heads)]
    sam = by["SAM"]["accuracy"]
    others = [one for one in found if one["family"] != "SAM"]
    tests = holm([equivalence([a - b for a, b in zip(one["accuracy"], sam)], margin)
                  for one in others])
    verdicts = {id(one): "yes" if p < 0.05 else "not shown" for one, p in zip(others, tests)}
    for contender in sorted(found, key=lambda one: (one["passes"], -mean(one["accuracy"]))):
        accuracy = contender["accuracy"]
        cells = [contender["family"], f"{contender['passes']:.2f}",
                 f"{mean(accuracy):.1f} ± {deviation(accuracy):.1f}"]
        for other in (base, "SAM"):
            same = contender["family"] == other
            pairs = zip(accuracy, by[other]["accuracy"])
            cells.append("" if same else words([a - b for a, b in pairs]))
        cells.append(verdicts.get(id(contender), ""))
        if with_training:
            training = contender["training"]
            cells.insert(3, f"{mean(training):.1f} ± {deviation(training):.1f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def rivals(found):
    """Those beside ARSAM with its authors' reuse at the same passes: empty if nothing is."""
    names = {one["family"] for one in found}
    if not names & {"ARSAM, decay 0.95", "ARSAM, scaled"}:
        return ""
    lines = ["", "| to ARSAM with its authors' reuse | passes | points (95 %) | p, Holm | |",
             "|---|---|---|---|---|"]
    for base in sorted((one for one in found if one["family"] == "ARSAM"),
                       key=lambda one: one["passes"]):
        others = [one for one in found
                  if one is not base and abs(one["passes"] - base["passes"]) < 0.03]
        pairs = [[a - b for a, b in zip(one["accuracy"], base["accuracy"])] for one in others]
        tests = holm([p_value(differences) for differences in pairs])
        for one, differences, p in zip(others, pairs, tests):
            verdict = "not shown" if p >= 0.05 else (
                "superior" if mean(differences) > 0 else "inferior")
            lines.append(f"| {one['family']} | {one['passes']:.2f} | {words(differences)} "
                         f"| {p:.3f} | {verdict} |")
    return "\n".join([*lines, ""])


def chart(found, seeds, path):
    # Text as text, and the same file for the same figures.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "lowland"})
    figure, axes = pyplot.subplots(figsize=(8.4, 5.0), layout="constrained")
    names = [name for name in FAMILIES if any(one["family"] == name for one in found)]
    frontier = []
    for one in sorted(found, key=lambda one: (one["passes"], -mean(one["accuracy"]))):
        if not frontier or mean(one["accuracy"]) > frontier[-1][1]:
            frontier.append((one["passes"], mean(one["accuracy"])))
    axes.plot(*zip(*frontier), "--", color="#bbbbbb", label="frontier")
    for name in names:
        colour, shape, filled = FAMILIES[name]
        of = [one for one in found if one["family"] == name]
        # Side by side where several have the same passes.
        aside = 0.01 * (names.index(name) - (len(names) - 1) / 2)
        axes.errorbar(
            [one["passes"] + (aside if 1.05 < one["passes"] < 1.9 else 0.0) for one in of],
            [mean(one["accuracy"]) for one in of],
            [deviation(one["accuracy"]) for one in of],
            fmt=shape, color=colour, markerfacecolor=colour if filled else "white",
            elinewidth=0.8, label=name)
    axes.set_xlabel("passes per step")
    axes.set_ylabel(f"test accuracy, %: mean and deviation of {len(seeds)} seeds")
    axes.grid(axis="y", color="#e5e5e5")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False)
    figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("summary")
    parser.add_argument("chart")
    parser.add_argument("figures", nargs="?")
    parser.add_argument("--training", action="store_true", help="training accuracy in the table")
    parser.add_argument("--margin", type=float, default=1.0, help="of equivalence, in points")
    asked = parser.parse_args()
    with open(asked.summary, encoding="utf-8") as file:
        seeds, found = contenders(json.load(file))
    text = table(found, asked.training, asked.margin)
    print(f"Seeds {', '.join(map(str, seeds))}\n\n{text}\n{rivals(found)}")
    chart(found, seeds, asked.chart)
    if asked.figures:
        with open(asked.figures, "w", encoding="utf-8") as file:
            json.dump({"seeds": seeds, "contenders": found}, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
