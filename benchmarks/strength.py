"""Does the same strength look the same at every size? Painted small and large, compared at one size.

    python benchmarks/strength.py --data DATA [--sizes 256,1024,2048] [--strengths 0.4,0.8] [--steps 15,8,6]

`--steps`: at the smallest size of each picture's pyramid, at those between, at the last. Each picture is brought to 256 px
and compared there: style and content distance (impasto.metrics), and the mean color difference (Lab) from the picture
painted at the smallest size, beside that between the smallest strength and the next.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sizes", default="256,1024,2048")
    parser.add_argument("--strengths", default="0.4,0.8")
    parser.add_argument("--steps", default="15,8,6")
    parser.add_argument("--out", type=Path, default=Path("strength"))
    options = parser.parse_args()
    import impasto
    from impasto import metrics
    from impasto.paint import schedule

    first, between, last = map(int, options.steps.split(","))
    content, style = options.data / "content/test/lake_stones.jpg", options.data / "style/vangogh_starry_night.jpg"
    options.out.mkdir(exist_ok=True)
    print(f"the photograph itself: style {metrics.style_distance(content, style):.0f}")
    before = None
    for strength in map(float, options.strengths.split(",")):
        smallest = None
        for size in map(int, options.sizes.split(",")):
            start = time.perf_counter()
            levels = schedule.sizes(size * 2 // 3, size)  # the photograph is 3:2
            counts = zip(levels, schedule.distribute((first, between, last), len(levels)), strict=True)
            steps = ",".join(f"{level}:{count}" for level, count in counts)
            result = impasto.stylize(content, style, size=size, strength=strength, steps=steps, init="content")
            seconds = time.perf_counter() - start
            result.save(options.out / f"{strength:g}-{size}.jpg", force=True)
            smallest = result if smallest is None else smallest
            far = metrics.style_distance(result.image, style)
            near = metrics.content_distance(result.image, content)
            differs = metrics.color_difference(result.image, smallest.image)
            print(f"strength {strength:g} at {size:4} px: style {far:6.0f}  content {near:6.0f}", end="  ")
            print(f"ΔE {differs:5.2f} from the smallest  {seconds:.0f} s", flush=True)
        if before is not None:
            apart = metrics.color_difference(smallest.image, before.image)
            print(f"    ΔE between the two strengths at the smallest size: {apart:.2f}")
        before = smallest


if __name__ == "__main__":
    main()
