# SPDX-License-Identifier: MIT
"""suite.py FILE NAME...: runs these tests of Python's own, and writes into FILE
what became of each, in the order of their names."""

import sys
import unittest


class Outcomes(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.lines = []

    def addSuccess(self, test):
        super().addSuccess(test)
        self.lines.append(f"{test.id()} ok")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.lines.append(f"{test.id()} skipped")


result = Outcomes()
unittest.defaultTestLoader.loadTestsFromNames(sys.argv[2:]).run(result)
for test, trace in result.failures + result.errors:
    result.lines.append(f"{test.id()} failed: {trace}")
with open(sys.argv[1], "w", encoding="utf-8") as out:
    print(*sorted(result.lines), result.testsRun, sep="\n", file=out)
sys.exit(not result.wasSuccessful())
