import pkgutil
import re

import pytest
from support.paths import ROOT

NAMES = re.findall(r"^::: (\S+)$", (ROOT / "docs" / "api.md").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_what_the_page_is_made_of_is_there(name: str) -> None:
    assert pkgutil.resolve_name(name) is not None
