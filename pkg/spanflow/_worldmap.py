"""The picture of the demo: the share of land in each block of cells, as a map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

OCEAN = "#0d2c48"
SHALLOW = "#2f6f8f"
SHORE = "#d9cfa3"
LAND = "#7f8f52"
PAPER = "#f7f5ef"
INK = "#22303a"


def draw(share: Any, bands: list[tuple[float, float]], title: str, path: Path) -> None:
    """Writes a PNG. `share` is 2-d, land in [0, 1], north at the top; `bands` (middle, share)."""
    import matplotlib  # type: ignore[import-not-found]

    matplotlib.use("Agg")
    from matplotlib import colors, pyplot  # type: ignore[import-not-found]

    scale = colors.LinearSegmentedColormap.from_list(
        "land", [(0, OCEAN), (0.25, SHALLOW), (0.5, SHORE), (0.75, "#a9ad6c"), (1, LAND)]
    )
    style: Any = {"font.family": "DejaVu Sans", "text.color": INK, "axes.edgecolor": INK,
             "xtick.color": INK, "ytick.color": INK, "axes.labelcolor": INK}  # fmt: skip
    with pyplot.rc_context(style):
        figure = pyplot.figure(figsize=(12, 5.9), facecolor=PAPER)
        world = figure.add_axes((0.045, 0.085, 0.775, 0.79))
        shown = world.imshow(share, cmap=scale, vmin=0, vmax=1, extent=(-180, 180, -90, 90),
                             aspect="auto", interpolation="antialiased")  # fmt: skip
        rows, columns = len(share), len(share[0])
        world.contour(share, levels=[0.5], colors=SHORE, linewidths=0.35,
                      extent=(-180 + 180 / columns, 180 - 180 / columns,
                              90 - 90 / rows, -90 + 90 / rows))  # fmt: skip
        world.set_xticks(
            range(-180, 181, 60), [_degrees(x, "W", "E") for x in range(-180, 181, 60)]
        )
        world.set_yticks(range(-90, 91, 30), [_degrees(y, "S", "N") for y in range(-90, 91, 30)])
        world.tick_params(length=3, labelsize=8)
        world.grid(color="white", alpha=0.10, linewidth=0.5)
        _draw_bands(figure, bands)
        _draw_legend(figure, shown)
        headline, _, detail = title.partition("\n")
        figure.text(0.045, 0.94, headline, fontsize=16, fontweight="bold", va="center")
        figure.text(0.045, 0.898, detail, fontsize=9.5, va="center", alpha=0.8)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=120, facecolor=PAPER)
        pyplot.close(figure)


def _degrees(value: int, negative: str, positive: str) -> str:
    return f"{abs(value)}°{negative if value < 0 else positive if value > 0 else ''}"


def _draw_bands(figure: Any, bands: list[tuple[float, float]]) -> None:
    """Bars beside the map at the latitudes that they stand for."""
    axes = figure.add_axes((0.832, 0.085, 0.145, 0.79), facecolor="none")
    height = abs(bands[1][0] - bands[0][0]) * 0.82
    latitudes, shares = zip(*bands, strict=True)
    axes.barh(latitudes, shares, height=height, color=LAND)
    for latitude, share in bands:
        axes.text(share + 0.02, latitude, f"{share:.0%}", va="center", fontsize=7.5)
    axes.set_ylim(-90, 90)
    axes.set_xlim(0, 1.18)
    axes.set_title("land by latitude", fontsize=9, loc="left", pad=4)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)


def _draw_legend(figure: Any, shown: Any) -> None:
    axes = figure.add_axes((0.615, 0.905, 0.205, 0.022))
    bar = figure.colorbar(shown, cax=axes, orientation="horizontal", ticks=[0, 0.5, 1])
    bar.ax.set_xticklabels(["ocean", "coast", "land"], fontsize=8)
    bar.ax.tick_params(length=0, pad=-19)
    bar.outline.set_visible(False)
