import pkgutil
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent / "docs" / "api.md"
NAMES = re.findall(r"^::: (\S+)$", PAGE.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_what_the_page_is_made_of_is_there(name: str) -> None:
    assert pkgutil.resolve_name(name) is not None
