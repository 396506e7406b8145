"""Show in a browser what a network, CRFs and fusion rules make of pictures: `python -m src.page run=FOLDER`."""

from contextlib import ExitStack

from omegaconf import DictConfig
from rich.console import Console

from src.core.command.entry import command, typed_overrides
from src.core.errors import InputError, printable
from src.data.config import classes_of
from src.runs.checks.commands import check_page, prepare


@command("page", check_page, prepare=prepare)
def main(config: DictConfig) -> None:
    """Serve a page on this machine until Ctrl-C."""
    console = Console(markup=False, emoji=False)
    from src.evaluation.page.answer import Answers  # torch from here on
    from src.evaluation.page.controls import Controls
    from src.evaluation.page.examples import examples_of
    from src.evaluation.page.networks import asked, loaded
    from src.evaluation.page.serve import serve
    from src.evaluation.prediction.question import white_of

    with ExitStack() as closing:
        networks = [closing.enter_context(loaded(one, typed_overrides())) for one in asked(config)]
        first = networks[0]
        for network in networks:
            console.print(printable(f"network     {network.name}; {network.machine}"), soft_wrap=True)
        try:
            examples = examples_of(first.settled, first.machine, count=config.examples, most=config.pixels)
        except InputError as error:
            examples = None
            console.print(printable(f"examples    none: {error}"), soft_wrap=True)
        backgrounds = [network.predictor.classes.background for network in networks]
        serve(
            Answers(networks, classes_of(first.settled.data)),
            Controls([network.crf for network in networks], backgrounds),
            examples,
            port=config.port,
            upload=config.upload * 2**20,
            pixels=config.pixels,
            white=white_of(config, first.settled),
            console=console,
        )


if __name__ == "__main__":
    main()
