"""Accuracy over passes per step of a comparison, as a table in Markdown and a chart in SVG.

    python tools/frontier.py COMPARISON/summary.json chart.svg [figures.json] [--training]

`figures.json` has what both are made of: settings, and each seed's accuracy and passes. `--training`
adds the accuracy on the training images, as they are labelled, after the last epoch. Only seeds
that every contender has finished count. Differences are paired over seeds, with 95 % intervals by
Student's t; equivalence with SAM by two one-sided tests at 5 % with Holm's correction over all
contenders. Where ARSAM stands there with other reuses beside its authors', what has the same passes
is compared with the latter by paired t-tests, with Holm's correction over those at the same passes.
"""

import json
import math
import sys

# Two-sided 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom.
T = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
     2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
     2.052, 2.048, 2.045, 2.042]

# The margin of equivalence with SAM, in points.
MARGIN = 1.0

# A family's name, colour and marker: a circle, a square, a triangle or a diamond, filled or open.
FAMILIES = {
    "SGD": ("#444444", "circle", True),
    "SAM": ("#444444", "square", True),
    "ARSAM": ("#c0392b", "circle", True),
    "ARSAM, decay 0.95": ("#c0392b", "square", True),
    "ARSAM, scaled": ("#e67e22", "triangle", True),
    "controller without reuse": ("#c0392b", "circle", False),
    "periodic with reuse": ("#2471a3", "square", True),
    "periodic, scaled": ("#2471a3", "triangle", True),
    "at random": ("#2471a3", "square", False),
    "AE-SAM": ("#1e8449", "triangle", True),
    "late SAM": ("#9a7d0a", "diamond", True),
    "LookSAM": ("#6c3483", "triangle", False),
    "MSAM": ("#6c3483", "diamond", False),
    "F-SAM": ("#6c3483", "circle", False),
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
    names = {"sgd": "SGD", "base": "SGD", "sam": "SAM", "ss-sam": "at random",
             "aesam": "AE-SAM", "late": "late SAM", "looksam": "LookSAM", "msam": "MSAM",
             "fsam": "F-SAM"}
    return names[algorithm["name"]]


def mean(numbers):
    return sum(numbers) / len(numbers)


def deviation(numbers):
    if len(numbers) < 2:
        return 0.0
    centre = mean(numbers)
    return math.sqrt(sum((x - centre) ** 2 for x in numbers) / (len(numbers) - 1))


def interval(differences):
    """Mean and half the width of its 95 % interval."""
    count = len(differences)
    if count < 2:
        return mean(differences), float("nan")
    return mean(differences), T[count - 2] * deviation(differences) / math.sqrt(count)


def beyond(t, freedom):
    """The probability that Student's t is above `t`, by Simpson's rule."""
    if math.isinf(t):
        return 0.0 if t > 0 else 1.0
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2))
    scale /= math.sqrt(freedom * math.pi)
    steps = 2000
    width = abs(t) / steps
    heights = [scale * (1 + (i * width) ** 2 / freedom) ** (-(freedom + 1) / 2)
               for i in range(steps + 1)]
    area = heights[0] + heights[-1] + 4 * sum(heights[1:-1:2]) + 2 * sum(heights[2:-1:2])
    tail = max(0.5 - area * width / 3, 0.0)
    return tail if t > 0 else 1.0 - tail


def two_sided(differences):
    """The p-value of a paired t-test for no difference."""
    count = len(differences)
    if count < 2:
        return 1.0
    error, centre = deviation(differences) / math.sqrt(count), mean(differences)
    if error == 0:
        return 0.0 if centre else 1.0
    return min(1.0, 2 * beyond(abs(centre) / error, count - 1))


def equivalence(differences, margin):
    """The larger p-value of two one-sided tests for a difference within the margin."""
    count = len(differences)
    if count < 2:
        return 1.0
    error = deviation(differences) / math.sqrt(count)
    centre = mean(differences)
    distances = [margin - centre, margin + centre]
    ratios = [x / error if error > 0 else math.copysign(math.inf, x) for x in distances]
    return max(beyond(t, count - 1) for t in ratios)


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


def table(found, with_training):
    by = {contender["family"]: contender for contender in found}
    heads = ["", "passes", "test accuracy, %", "to SGD, points (95 %)", "to SAM, points (95 %)",
             f"within {MARGIN} of SAM"]
    if with_training:
        heads.insert(3, "training, %")
    lines = [f"|{'|'.join(f' {head} ' if head else ' ' for head in heads)}|",
             "|" + "---|" * len(heads)]
    sam = by["SAM"]["accuracy"]
    others = [one for one in found if one["family"] != "SAM"]
    tests = holm([equivalence([a - b for a, b in zip(one["accuracy"], sam)], MARGIN)
                  for one in others])
    verdicts = {id(one): "yes" if p < 0.05 else "not shown" for one, p in zip(others, tests)}
    for contender in sorted(found, key=lambda one: (one["passes"], -mean(one["accuracy"]))):
        accuracy = contender["accuracy"]
        cells = [contender["family"], f"{contender['passes']:.2f}",
                 f"{mean(accuracy):.1f} ± {deviation(accuracy):.1f}"]
        for other in ("SGD", "SAM"):
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
        tests = holm([two_sided(differences) for differences in pairs])
        for one, differences, p in zip(others, pairs, tests):
            verdict = "not shown" if p >= 0.05 else (
                "superior" if mean(differences) > 0 else "inferior")
            lines.append(f"| {one['family']} | {one['passes']:.2f} | {words(differences)} "
                         f"| {p:.3f} | {verdict} |")
    return "\n".join([*lines, ""])


def marker(shape, x, y, colour, filled):
    style = f'fill="{colour if filled else "white"}" stroke="{colour}" stroke-width="1.8"'
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" {style}/>'
    if shape == "square":
        return f'<rect x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9" {style}/>'
    points = {"triangle": [(0, -6), (5.5, 4.5), (-5.5, 4.5)],
              "diamond": [(0, -6.5), (6, 0), (0, 6.5), (-6, 0)]}[shape]
    path = " ".join(f"{x + a:.1f},{y + b:.1f}" for a, b in points)
    return f'<polygon points="{path}" {style}/>'


def chart(found, seeds):
    width, height, left, right, top, bottom = 760, 470, 60, 540, 30, 410
    lows = [mean(one["accuracy"]) - deviation(one["accuracy"]) for one in found]
    highs = [mean(one["accuracy"]) + deviation(one["accuracy"]) for one in found]
    low, high = math.floor(min(lows)), math.ceil(max(highs))

    def across(passes):
        return left + (passes - 0.95) / 1.1 * (right - left)

    def upward(accuracy):
        return bottom - (accuracy - low) / (high - low) * (bottom - top)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
             'font-family="sans-serif" font-size="13">',
             f'<rect width="{width}" height="{height}" fill="white"/>']
    for tick in range(low, high + 1):
        y = upward(tick)
        parts.append(f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e5e5e5"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{tick}</text>')
    for tick in (1.0, 1.2, 1.4, 1.6, 1.8, 2.0):
        parts.append(f'<text x="{across(tick):.1f}" y="{bottom + 20}" text-anchor="middle">'
                     f"{tick:.1f}</text>")
    parts.append(f'<text x="{(left + right) / 2}" y="{bottom + 42}" text-anchor="middle">'
                 "passes per step</text>")
    parts.append(f'<text x="{left}" y="{top - 12}">test accuracy, %: mean and deviation of '
                 f"{len(seeds)} seeds; the line is the frontier</text>")
    frontier, best = [], -math.inf
    for one in sorted(found, key=lambda one: (one["passes"], -mean(one["accuracy"]))):
        if mean(one["accuracy"]) > best:
            best = mean(one["accuracy"])
            frontier.append(f"{across(one['passes']):.1f},{upward(best):.1f}")
    parts.append(f'<polyline points="{" ".join(frontier)}" fill="none" stroke="#bbbbbb" '
                 'stroke-width="2" stroke-dasharray="5 4"/>')
    names = [name for name in FAMILIES if any(one["family"] == name for one in found)]
    for one in found:
        colour, shape, filled = FAMILIES[one["family"]]
        # Side by side where several have the same passes.
        middle = (len(names) - 1) / 2
        aside = 5.0 * (names.index(one["family"]) - middle) if 1.05 < one["passes"] < 1.9 else 0.0
        x, centre = across(one["passes"]) + aside, mean(one["accuracy"])
        half = deviation(one["accuracy"])
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{upward(centre - half):.1f}" '
                     f'y2="{upward(centre + half):.1f}" stroke="{colour}" stroke-opacity="0.45"/>')
        parts.append(marker(shape, x, upward(centre), colour, filled))
    for row, name in enumerate(names):
        colour, shape, filled = FAMILIES[name]
        y = top + 24 * row + 10
        parts.append(marker(shape, right + 24, y, colour, filled))
        parts.append(f'<text x="{right + 38}" y="{y + 4}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def main():
    paths = [word for word in sys.argv[1:] if word != "--training"]
    with open(paths[0], encoding="utf-8") as file:
        seeds, found = contenders(json.load(file))
    text = table(found, "--training" in sys.argv)
    print(f"Seeds {', '.join(map(str, seeds))}\n\n{text}\n{rivals(found)}")
    with open(paths[1], "w", encoding="utf-8") as file:
        file.write(chart(found, seeds))
    if len(paths) > 2:
        with open(paths[2], "w", encoding="utf-8") as file:
            json.dump({"seeds": seeds, "contenders": found}, file, indent=1)
            file.write("\n")


main()
