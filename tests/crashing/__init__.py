"""Every registered action killed between its plan and its outcome, on every engine it is for.

`python -m tests.crashing --help` runs all points and writes docs/crash-points.md.
"""
