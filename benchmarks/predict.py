"""How fast `src.predict` labels and writes, beside the same network without files, and whether its memory stays flat.

`python -m benchmarks.predict RUN IMAGES [--images 400] [--variant none]`: RUN is a run folder, IMAGES a folder of
photos; if it has fewer than wanted, they are linked again under other names.
"""

import argparse
import itertools
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.rows import machine


def resident():
    """Bytes of this process that are no cached files."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.predict", description=__doc__)
    parser.add_argument("run")
    parser.add_argument("images")
    parser.add_argument("--images", type=int, default=400, dest="count")
    parser.add_argument("--variant", default="none")
    options = parser.parse_args()
    from omegaconf import OmegaConf
    from rich.console import Console

    from src import load
    from src.data.files.decoding import read_rgb
    from src.data.files.photos import find_photos
    from src.evaluation.prediction import job
    from src.evaluation.prediction.question import Question

    photos = find_photos(options.images)
    model = load(options.run)
    predictor = model.predictor
    predictor.variants = {options.variant: predictor.variants[options.variant]}
    predictor.labeller = type(predictor.labeller)(predictor.variants, predictor.engine)
    predictor(read_rgb(photos[0]))
    with tempfile.TemporaryDirectory() as folder:
        links = []
        for number, path in zip(range(options.count), itertools.cycle(photos), strict=False):
            links.append(Path(folder, f"{number:06d}{path.suffix}"))
            links[-1].symlink_to(path)
        started = time.perf_counter()
        for path in links:
            predictor(read_rgb(path))
        alone = time.perf_counter() - started
        memory, ended = [], threading.Event()

        def watch():
            while not ended.wait(1):
                memory.append(resident())

        threading.Thread(target=watch, daemon=True).start()
        asked = Question(options.variant, options.run, {"white": None})
        settings = OmegaConf.create({"probabilities": False, "window": "auto", "trainer": {"devices": 1, "nodes": 1}})
        started = time.perf_counter()
        output = Path(folder, "out")
        output.mkdir()
        job.predict(links, predictor, asked, output, settings, Console(quiet=True))
        whole = time.perf_counter() - started
        ended.set()
    print(f"labels alone      {options.count / alone:.2f} images/s")
    print(f"src.predict       {options.count / whole:.2f} images/s, ratio {alone / whole:.2f}")
    if len(memory) >= 4:
        first, last = memory[len(memory) // 4 :][0], memory[-1]
        print(f"memory            {first / 1e6:.0f} MB after a quarter, {last / 1e6:.0f} MB at the end")
    print(machine())


if __name__ == "__main__":
    main()
