"""Make the named styles that are embedded: python scripts/make_styles.py DATA [--learn SECONDS] [--only NAME ...]

DATA is the folder with style/ and content/train. Each style file holds the network's code for the painting, the painting's
statistics, and a passport. With --learn the code, and the network for it, are trained on for so many seconds (impasto
learn); without, the code is what the any-style network itself says.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from impasto.fast import learn, style
from impasto.features import encoders
from impasto.pixels import io

PAINTINGS = {
    "almond-blossom": ("vangogh_almond_blossom", "Almond Blossom", "Vincent van Gogh", "1890"),
    "cafe-terrace": ("vangogh_cafe_terrace_at_night", "Café Terrace at Night", "Vincent van Gogh", "1888"),
    "clouds-over-bor": ("klee_clouds_over_bor", "Clouds over Bor", "Paul Klee", "before 1940"),
    "composition-vii": ("kandinsky_composition_vii", "Composition VII", "Wassily Kandinsky", "1913"),
    "divan-japonais": ("toulouse_lautrec_divan_japonais", "Divan Japonais", "Henri de Toulouse-Lautrec", "1893"),
    "expressionist-figure": ("kirchner_figure", "a seated figure", "Ernst Ludwig Kirchner", "before 1938"),
    "grande-jatte": ("seurat_grande_jatte", "A Sunday on La Grande Jatte", "Georges Seurat", "1884-1886"),
    "great-wave": ("hokusai_great_wave", "Under the Wave off Kanagawa", "Katsushika Hokusai", "about 1831"),
    "mosaic": ("klee_mosaic", "a mosaic of squares", "Paul Klee", "before 1940"),
    "pastel-portrait": ("hoare_pastel_portrait", "a portrait in pastel", "William Hoare", "before 1792"),
    "picasso-portrait": ("gris_portrait_of_picasso", "Portrait of Pablo Picasso", "Juan Gris", "1912"),
    "rain-steam-speed": ("turner_rain_steam_and_speed", "Rain, Steam and Speed", "J. M. W. Turner", "1844"),
    "reaper": ("vangogh_wheatfield_with_reaper", "Wheatfield with a Reaper", "Vincent van Gogh", "1889"),
    "scream": ("munch_the_scream", "The Scream", "Edvard Munch", "1893"),
    "skeleton": ("kuniyoshi_skeleton", "Takiyasha the Witch and the Skeleton Spectre", "Utagawa Kuniyoshi", "about 1844"),
    "starry-night": ("vangogh_starry_night", "The Starry Night", "Vincent van Gogh", "1889"),
    "trees-in-ink": ("ruskin_trees_drawing", "trees, a drawing", "John Ruskin", "before 1900"),
    "udnie": ("picabia_udnie", "Udnie", "Francis Picabia", "1913"),
    "water-lilies": ("monet_water_lilies", "Water Lilies", "Claude Monet", "before 1926"),
}
"""Name: file, title (in small letters where ours describes it), artist, year."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--learn", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--only", action="append")
    options = parser.parse_args()
    style.EMBEDDED.mkdir(exist_ok=True)
    photos = None
    for name in options.only or PAINTINGS:
        file, title, artist, year = PAINTINGS[name]
        passport = {"title": title, "artist": artist, "year": year, "rights": "public domain"}
        image = io.load(options.data / "style" / f"{file}.jpg").image
        out = style.EMBEDDED / f"{name}.safetensors"
        if options.learn:
            training = (
                "the any-style network, learned on for this painting with photographs of content/train (see THIRD_PARTY.md)"
            )
            learner = learn.Learner(
                image, [options.data / "content" / "train"], name=name, passport={**passport, "training": training}
            )
            photos = learner.course.photos = photos or learner.course.photos  # the same crops: each is encoded once
            state = out.with_suffix(".state")
            for _ in learner.steps(out, state, seconds=options.learn):
                pass
            state.unlink(missing_ok=True)
            print(name, f"{learner.unlearned:.3f} -> {learner.state.best:.3f} in {learner.state.step} steps", flush=True)
        else:
            training = "none of its own: the code is predicted by the any-style network, which met the painting in training"
            made = style.of(style.network(), encoders.load("vgg16"), image, name, {**passport, "training": training})
            style.save(out, made)
        print(out.name, f"{out.stat().st_size / 1e3:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
