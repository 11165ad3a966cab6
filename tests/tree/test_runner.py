# SPDX-License-Identifier: LGPL-2.1-or-later
"""The runner counts what ran, and takes what did not run for a failure."""

import glob
import importlib.machinery
import importlib.util
import os

import pytest
from tree import TREE


@pytest.fixture(scope="module")
def runner():
    loader = importlib.machinery.SourceFileLoader("run_tests", os.path.join(TREE, "tests/harness/run-tests"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("run_tests", loader))
    loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("status", "output", "passed", "failed"),
    [
        (0, "1..2\nok 1 - a\nok 2 - b\n", 2, 0),
        (1, "1..2\nok 1 - a\nnot ok 2 - b\n# 1 != 2\n", 1, 1),
        (0, "1..2\nok 1 - a\nok 2 # SKIP b\n", 1, 1),
        (-6, "1..3\nok 1 - a\n", 1, 2),  # crashed: the rest did not run
        (None, "1..3\nok 1 - a\n", 1, 2),  # timed out
        (99, "1..1\nok 1 - a\n", 1, 1),  # a leak found at the end
        (0, "1..1\nok 1 - a\n1..2\nok 1 - b\nok 2 - c\n", 3, 0),  # two groups
        (0, "no TAP at all\n", 1, 0),
        (1, "no TAP at all\n", 0, 1),
        (77, "skipped\n", 0, 1),
        (0, "", 1, 0),
    ],
)
def test_unit_programs(runner, capsys, status, output, passed, failed):
    tally = runner.Tally()
    runner.judge_unit("test-x", status, output, 0.1, tally)
    capsys.readouterr()
    assert (tally.passed, len(tally.failures)) == (passed, failed)


@pytest.mark.parametrize(
    ("xml", "status", "passed", "failed"),
    [
        ("<testsuites><testsuite><testcase name='a'/></testsuite></testsuites>", 0, 1, 0),
        ("<testsuite><testcase name='a'><failure/></testcase><testcase name='b'/></testsuite>", 1, 1, 1),
        ("<testsuite><testcase name='a'><skipped/></testcase></testsuite>", 0, 0, 1),
        ("<testsuite><testcase name='a'><error/></testcase></testsuite>", 1, 0, 1),
        ("<testsuite><testcase name='a'/></testsuite>", 2, 1, 1),  # interrupted, or ended badly
        ("<testsuite></testsuite>", 5, 0, 1),  # nothing was collected
        ("not xml", 0, 0, 1),
    ],
)
def test_pytest_reports(runner, capsys, tmp_path, xml, status, passed, failed):
    report = tmp_path / "junit.xml"
    report.write_text(xml)
    tally = runner.Tally()
    runner.count_junit(str(report), status, tally)
    capsys.readouterr()
    assert (tally.passed, len(tally.failures)) == (passed, failed)


def test_every_file_runs_and_the_longest_first(runner):
    files = {path for pattern in runner.INTEGRATION for path in glob.glob(os.path.join(TREE, pattern))}
    files = {os.path.relpath(path, TREE) for path in files}
    ordered = runner.longest_first(files)
    assert len(ordered) == len(files) and set(ordered) == files
    assert ordered[: len(runner.LONGEST)] == [f"tests/integration/test_{name}.py" for name in runner.LONGEST]
