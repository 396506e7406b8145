"""Kinds of values: what each accepts, and that a message is one short line whatever is refused."""

import math

import pytest
from omegaconf import OmegaConf

from src.core import values
from src.core.errors import InputError
from src.core.values import check_config, check_flag, check_path, check_text, choice, either, many, number, parts, whole

ODD = [
    None,
    True,
    -1,
    5,
    2.5,
    math.nan,
    math.inf,
    -math.inf,
    10**400,
    10**5000,
    "",
    " ",
    "\n",
    "\0",
    "\ud800",
    "x" * 999,
]
ODD += [[], [1], {}, {"a": 1}, {1: 2}, b"x", object()]
KINDS = {
    "whole": (whole(0, 9), [5]),
    "number": (number(0, 9), [5, 2.5]),
    "within": (number(0, 5, within=True), [2.5]),
    "flag": (check_flag, [True]),
    "choice": (choice(5, None), [None, 5]),
    "either": (either((None, "auto"), whole(6, 9)), [None]),
    "text": (check_text, ["\0", "\ud800", "x" * 999]),  # refused by `check_plain`
    "path": (check_path, ["\ud800"]),
    "many": (many(whole(0, 9), 1, 2), [[1]]),
    "parts": (parts({"a": whole(0, 9)}), [{"a": 1}]),
    "any": (lambda key, value: None, [value for value in ODD[:-2] if isinstance(value, list | dict)] + ["", " ", "\n"]),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_accepts_what_it_says_and_names_all_else_in_one_short_line(name):
    kind, right = KINDS[name]
    for value in ODD:
        if any(value is one or (type(value) is type(one) and value == one) for one in right):
            kind("some.key", value)
        elif name != "any":
            with pytest.raises(InputError, match=r"^some\.key") as refused:
                kind("some.key", value)
            assert len(str(refused.value)) < 500 and str(refused.value).isprintable()


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, 10**400, 1e39, "\0", "\ud800", "???", b"x", {1.5: 2}, {1: 2, "1": 3}]
)
def test_what_no_config_can_hold_is_refused_anywhere(value):
    with pytest.raises(InputError, match=r"^a\.b\[0\]"):
        check_config({"a": {"b": [value]}}, lambda key, value: None)


def test_loops_and_floods_end():
    loop: dict = {}
    loop["again"] = loop
    with pytest.raises(InputError, match="too deeply"):
        values.check_plain("", loop)
    flood = [1]
    for _ in range(20):
        flood = [flood, flood]  # two million values in 20 lists
    with pytest.raises(InputError, match="too large"):
        values.check_plain("", flood)


def test_keys_are_all_known_and_all_there():
    schema = parts({"a": check_flag, "b": parts({"c": check_flag}, {"d": check_flag})})
    check_config(OmegaConf.create({"a": True, "b": {"c": "${a}"}}), schema)
    for wrong, says in [({"a": True}, "b: is missing"), ({"a": True, "b": {"c": True, "e": 1}}, r"b\.e: there is no")]:
        with pytest.raises(InputError, match=says):
            check_config(wrong, schema)


def test_equal_values_of_another_type_are_other_values():
    with pytest.raises(InputError):
        choice(8, 16)("key", 8.0)
    with pytest.raises(InputError):
        either((1,), check_flag)("key", 1.0)
