"""`docs/extending.md`: each block of the page is written to a file or run, in the page's order."""

import re
import shlex

from tests.conftest import ROOT, warm_run

PAGE = ROOT / "docs" / "extending.md"
BLOCK = re.compile(r"^```(\w+) (run|file=\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_every_example_of_the_page_works(tmp_path):
    done = []
    for _, what, content in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if what.startswith("file="):
            path = tmp_path / what.removeprefix("file=")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            continue
        for line in content.replace("\\\n", " ").splitlines():
            if line.strip() and not line.startswith("#"):
                python, flag, module, *words = shlex.split(line, comments=True)
                assert (python, flag) == ("python", "-m")
                done.append(warm_run(module.removeprefix("src."), *words, cwd=tmp_path))
    assert len(done) >= 5
