"""Threads as the command line has them. Imported before NumPy and torch, which read them once."""

from __future__ import annotations

import importlib
import os
import sys

BEFORE = dict(os.environ)  # for processes that are not memegen's

if "--plain" not in sys.argv:  # the published network has them as whoever runs it has them
    importlib.import_module("memegen.cli")
