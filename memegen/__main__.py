"""`python -m memegen`."""

from memegen.cli.app import main

main()
