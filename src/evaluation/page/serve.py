"""The page's server: on this machine alone, without telemetry, with a folder of its own that goes when it ends."""

from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path
from threading import Event

from rich.console import Console

from src.core.errors import InputError, printable
from src.evaluation.page.answer import Answers
from src.evaluation.page.controls import Controls
from src.evaluation.page.examples import Examples
from src.evaluation.page.upload import Picture, read_upload

_SESSIONS = 20  # of browsers whose last image is remembered
_FONTS = ("system-ui", "sans-serif")


def serve(
    answers: Answers,
    controls: Controls,
    examples: Examples | None,
    *,
    port: int | None,
    upload: int,
    pixels: int,
    white: int | None,
    console: Console,
) -> None:
    """Serve the page until Ctrl-C or a signal.

    Args:
        answers: labels images.
        controls: what can be set.
        examples: of the val list, or None.
        port: None: the first free one from 7860 on.
        upload: bytes of a file, at most.
        pixels: the most of an image that are labelled.
        white: the value of white in images of more than 8 bits.
        console: says where the page is.

    Raises:
        InputError: the port is not free.
    """
    with tempfile.TemporaryDirectory(prefix="seglab-page-", ignore_cleanup_errors=True) as folder:
        _settle_environment(folder)
        import gradio as gr  # only here: it reads the environment when it is imported
        from starlette.middleware import Middleware

        from src.evaluation.page.guard import Guard
        from src.evaluation.page.layout import CSS, layout

        def read(path: Path) -> Picture:
            try:
                if not path.resolve().is_relative_to(Path(folder).resolve()):
                    raise InputError("only an uploaded picture can be labelled.")
                return read_upload(path, limit=upload, pixels=pixels, white=white)
            finally:
                if path.resolve().is_relative_to(Path(folder).resolve()):
                    path.unlink(missing_ok=True)

        page = layout(answers, controls, examples, read)
        theme = gr.themes.Default(font=_FONTS, font_mono=("ui-monospace", "monospace"))
        try:
            _, address, _ = page.launch(
                server_name="127.0.0.1",
                server_port=port,
                share=False,
                prevent_thread_lock=True,
                quiet=True,
                show_error=True,
                footer_links=[],
                run_history=False,
                enable_monitoring=False,
                ssr_mode=False,
                pwa=False,
                mcp_server=False,
                max_file_size=upload,
                state_session_capacity=_SESSIONS,
                theme=theme,
                css=CSS,
                app_kwargs={"middleware": [Middleware(partial(Guard, upload=upload))]},
            )
        except OSError:
            if port is None:
                raise InputError("no port from 7860 to 7959 is free; give another with port=NUMBER.") from None
            raise InputError(f"port={port}: is not free; leave it out, and a free one is taken.") from None
        try:
            console.print(printable(f"page        {address}"), soft_wrap=True)
            console.print("Ctrl-C ends it")
            Event().wait()
        except KeyboardInterrupt:
            console.print("the page has ended; nothing of it is kept")
        finally:
            page.close(verbose=False)


def _settle_environment(folder: str) -> None:
    """No variable from outside opens the page to others, and neither Gradio nor its libraries tell anybody anything."""
    for name in [name for name in os.environ if name.startswith("GRADIO_")]:
        del os.environ[name]
    os.environ |= {
        "GRADIO_TEMP_DIR": folder,
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
    }
