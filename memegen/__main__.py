"""`python -m memegen`."""

from memegen.cli.app import run

run()
