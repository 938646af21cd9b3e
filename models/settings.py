"""A family's settings: a preset, and what the user put in place of single values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from data.errors import UserError, nearest


class Settings(BaseModel):
    """Base of every family's ``Config``, which adds ``quick()`` and ``full()``: frozen, unknown keys refused.

    Attributes:
        FLOORS: how long a training is, by name, to the least that a preset gives it all the same. Who says how long it
            shall be is not given more than that.
        AUTO: settings that may be ``auto`` in overrides: whoever trains chooses them, and they are the preset's until
            then.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    FLOORS: ClassVar[Mapping[str, str]] = {}
    AUTO: ClassVar[tuple[str, ...]] = ()


Config = TypeVar("Config", bound=Settings)


def configure(config: type[Config], preset: str, overrides: dict[str, Any], where: str) -> Config:
    """Return ``config``'s ``preset`` with ``overrides`` in place of its values.

    Args:
        config: the family's settings class.
        preset: ``quick`` or ``full``.
        overrides: setting to value.
        where: what an error's message names before the key, such as ``params.yaml: models.digits-cnn.overrides``.

    Raises:
        UserError: an unknown setting, or a value out of its range; one line each.
    """
    values = getattr(config, preset)().model_dump()
    for name, value in overrides.items():
        if isinstance(value, bool) and not isinstance(
            values.get(name, value), bool
        ):  # which Python takes for 0 or 1
            raise UserError(
                f"{where}.{name}: is not true or false, but such as {values[name]!r} (got {value!r})"
            )
    for setting, floor in config.FLOORS.items():
        if setting in overrides:
            values[floor] = config.model_fields[floor].default
    values |= {key: value for key, value in overrides.items() if not (key in config.AUTO and value == "auto")}
    try:
        return config.model_validate(values)
    except ValidationError as error:
        problems = (_explain(config, where, problem) for problem in error.errors())
        raise UserError("\n".join(problems)) from None


def _explain(config: type[Config], where: str, problem: Any) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if not key:  # a rule over several settings
        return f"{where}: {problem['msg']}"
    if problem["type"] == "extra_forbidden":
        *outer, name = problem["loc"]
        for part in outer:
            config = _settings_in(config.model_fields[part].annotation)
        return f"{where}.{key}: unknown setting.{nearest(name, config.model_fields)}"
    return f"{where}.{key}: {problem['msg']} (got {problem['input']!r})"


def _settings_in(annotation: Any) -> type[Settings]:
    """Return the settings class that an optional setting is of."""
    kinds = (annotation, *get_args(annotation))
    return next(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Settings))
