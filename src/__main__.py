"""List the commands: `python -m src`."""

import ast
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """List the commands, each with the first line of its own description."""
    print("SegLab: compare semantic-segmentation choices, and be able to believe the table.\n")
    doors = sorted(file for file in HERE.glob("*.py") if not file.name.startswith("_"))
    width = max(len(door.stem) for door in doors)
    for door in doors:
        text = ast.get_docstring(ast.parse(door.read_text(encoding="utf-8"))) or ""
        does = text.partition("\n")[0].rpartition(": `")[0]
        print(f"  python -m src.{door.stem:<{width}}  {does}")
    print("\nEach takes --help, group=choice and key=value. To read on: README.md and docs/.")


if __name__ == "__main__":
    main()
