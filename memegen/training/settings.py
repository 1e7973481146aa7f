"""Settings of trainings: dataclasses whose fields say what they are and may be.

The command line makes its options of them, so that names, defaults and help are written once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from memegen.errors import UsageError


@dataclass(frozen=True)
class Rule:
    """What a field is for people, and what values it may have."""

    about: str
    least: float | None = None  # smallest value, itself allowed
    above: float | None = None  # the value must be more than that
    most: float | None = None  # largest value, itself allowed
    choices: tuple[Any, ...] = ()
    option: str = ""  # name on the command line, if not the field's
    parse: Callable[[Any], Any] | None = None  # from what is written there (`kind`) to the value
    kind: type | None = None  # of what is written there, if not the field's


def setting(default: Any, about: str, **rule: Any) -> Any:
    """A field of a settings dataclass; `rule` as in `Rule`."""
    return field(default=default, metadata={"rule": Rule(about, **rule)})


def rules_of(kind: type) -> dict[str, Rule]:
    """The rule of every field that has one."""
    found = {f.name: f.metadata.get("rule") for f in fields(kind)}
    return {name: rule for name, rule in found.items() if rule is not None}


MOST_SEED = 2**63 - 1  # that torch takes


def checked(settings: Any) -> None:
    """Raises UsageError for the first value that its rule does not allow."""
    for name, rule in rules_of(type(settings)).items():
        refuse_outside(rule.option or name, rule, getattr(settings, name))


def refuse_outside(name: str, rule: Rule, value: Any) -> None:
    """Raises UsageError if a rule does not allow a value."""
    if value is None:
        return
    if rule.choices and value not in rule.choices:
        known = ", ".join(map(str, rule.choices))
        raise UsageError(f"`{name}` {value}: unknown (known: {known})")
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return
    if rule.above is not None and not value > rule.above:
        raise UsageError(f"`{name}` {value:g}: must be more than {rule.above:g}")
    if rule.most is not None and not value <= rule.most:
        raise UsageError(f"`{name}` {value:g}: must be at most {rule.most:g}")
    if rule.least is not None and not value >= rule.least:
        raise UsageError(f"`{name}` {value:g}: must be at least {rule.least:g}")


@dataclass(frozen=True)
class LoopSettings:
    """What every run of the training loop has."""

    steps: int | None = setting(1_000, "optimiser steps", least=1)
    batch: int = setting(32, "crops a step", least=1)
    lr: float = setting(1e-3, "peak learning rate of Adam", above=0.0)
    seed: int = setting(0, "seed of all randomness", least=0, most=MOST_SEED)
    max_minutes: float = setting(
        math.inf,
        "of the whole run, what it writes included: schedules end then, if not by `steps`",
        above=0.0,
    )
    save_minutes: float = setting(3.0, "minutes between checkpoints", least=0.0)
    log_steps: int = setting(50, "steps between lines of the log", least=1)
    sheet_steps: int = 500  # steps between sample sheets, where there are any
    # The validation loss is looked at every so many steps (0: never), the best weights are kept,
    # and so many looks in a row without a better one end the run.
    check_steps: int = 0
    patience: int = 6
