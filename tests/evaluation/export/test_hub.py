"""A network is sent to a hub and fetched from there, against a server on this machine."""

import json

import pytest

from src.core.errors import InputError
from src.runs import hub
from tests.conftest import TINY
from tests.conftest import warm_run as run
from tests.evaluation.export.hub import serving

pytest.importorskip("huggingface_hub", reason="needs huggingface_hub: pip install huggingface_hub")
pytest.importorskip("safetensors", reason="needs safetensors: pip install safetensors")


@pytest.mark.parametrize("address", ["hf:name", "hf:a/b/c", "hf:../etc", "hf:a/b@", "hf:a/..", "hf:a b/c", "hf:"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(InputError, match=r"must be user/name"):
        hub.fetched(address)


@pytest.mark.slow
def test_a_network_is_sent_and_fetched(tmp_path):
    run("train", *TINY, "recipe.epochs=0", "variants=none", "name=net", cwd=tmp_path)
    (tmp_path / "runs/net/secret.txt").write_text("stays here")
    with serving() as (address, repos):
        own = {
            "HF_ENDPOINT": address,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_ETAG_TIMEOUT": "5",
        }
        words = ("export", "run=runs/net", "format=folder", "push=me/net")
        refused = run(*words, cwd=tmp_path, status=1, HF_TOKEN="hf_other", **own)
        assert "push=me/net: could not be sent" in refused.stderr and "HF_TOKEN" in refused.stderr and not repos
        done = run(*words, cwd=tmp_path, HF_TOKEN="hf_token", **own)
        assert f"{address}/me/net" in done.stdout
        here = {path.name: path.read_bytes() for path in (tmp_path / "runs/net/shared").iterdir()}
        assert repos["me/net"] == here and set(here) == set(hub.FILES)
        assert "run=hf:me/net" in here["README.md"].decode()
        repos["me/net"]["evil.py"] = b"print('code ran')"

        fetched = run("evaluate", "run=hf:me/net", "output=fetched", cwd=tmp_path, **own)
        assert "code ran" not in fetched.stdout and not list((tmp_path / "hf").rglob("evil.py"))
        absent = run("evaluate", "run=hf:me/other", cwd=tmp_path, status=1, **own)
        assert (
            absent.stderr.startswith("error: run=hf:me/other: could not be fetched")
            and "\n" not in absent.stderr.strip()
        )
    scores = [
        json.loads((tmp_path / name / "results.json").read_text())["variants"] for name in ("fetched", "runs/net")
    ]
    assert scores[0] == scores[1]
