"""A page of settings, held against the class that reads them; for the tests of a service.

assert misdocumented_settings(Settings, PAGE.read_text()) == []
"""

import os
import re
from collections.abc import Sized
from unittest.mock import patch

from pydantic import ValidationError

from fountain_common.settings import PREFIX, ServiceSettings

_ROW = re.compile(rf"^\| `({PREFIX}[A-Z0-9_]+)` \| (.*?) \|", re.MULTILINE)
_EMPTY = "none"


def misdocumented_settings(settings_class: type[ServiceSettings], page: str) -> list[str]:
    """Return a sentence for each of a service's own settings of which a page says something else.

    Args:
        settings_class: the service's own class; what it shares with every service is not looked at.
        page: Markdown with a section `## <service name>`, and in it a table with a row for each setting:
            the variable and its default in backticks, as it would be set, or `none` without backticks for
            an empty one; then whatever explains it.
    """
    heading = f"## {settings_class.model_fields['service_name'].default}"
    _, found, rest = f"\n{page}".partition(f"\n{heading}\n")
    if not found:
        return [f"The page has no section {heading!r}."]
    documented = dict(_ROW.findall(rest.partition("\n## ")[0]))
    own = _own(settings_class)
    missing, unknown = sorted(own.keys() - documented.keys()), sorted(documented.keys() - own.keys())
    said = {name: (row, documented[row]) for row, name in own.items() if row in documented}
    return [
        *(f"{variable} has no row in the section {heading!r}." for variable in missing),
        *(f"{variable} has a row and is no setting." for variable in unknown),
        *_other_defaults(settings_class, said),
    ]


def _own(settings_class: type[ServiceSettings]) -> dict[str, str]:
    """The fields that the class adds, by their variables."""
    return {
        str(field.validation_alias or f"{PREFIX}{name.upper()}"): name
        for name, field in settings_class.model_fields.items()
        if name not in ServiceSettings.model_fields
    }


def _other_defaults(settings_class: type[ServiceSettings], said: dict[str, tuple[str, str]]) -> list[str]:
    """What the page says of each field, by its variable, that is not the default of the class."""
    given = {variable: value.strip("`") for variable, value in said.values() if value != _EMPTY}
    around = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
    with patch.dict(os.environ, {**around, **given}, clear=True):
        try:
            settings = settings_class(_env_file=None)
        except ValidationError as error:
            return [f"The defaults of the page are refused: {_plain(error)}."]
    wrong = []
    for name, (variable, value) in said.items():
        default = settings_class.model_fields[name].default
        same = _is_empty(default) if value == _EMPTY else getattr(settings, name) == default
        if not same:
            wrong.append(f"{variable} is {value} in the page, and {default!r} in the class.")
    return wrong


def _is_empty(default: object) -> bool:
    return default is None or (isinstance(default, Sized) and not len(default))


def _plain(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
