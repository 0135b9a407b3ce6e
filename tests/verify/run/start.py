"""What TensorFlow writes to standard error when it starts. No setting silences all of it, so the course announces it.

The lines are known to the word, but for times, processes and instruction sets; docs/*/overview.md tells readers.
"""

import re

STAMP = r"I0000 [\d:.]+ +\d+ "
START = re.compile(
    r"WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR"
    rf"|{STAMP}port\.cc:\d+\] oneDNN custom operations are on\. You may see slightly different numerical results due to"
    r" floating-point round-off errors from different computation orders\. To turn them off, set the environment"
    r" variable `TF_ENABLE_ONEDNN_OPTS=0`\."
    rf"|{STAMP}cpu_feature_guard\.cc:\d+\] This TensorFlow binary is optimized to use available CPU instructions in"
    r" performance-critical operations\."
    r"|To enable the following instructions: [A-Z0-9_ ]+, in other operations, rebuild TensorFlow with the appropriate"
    r" compiler flags\."
)


def without_start(lines: list[str]) -> list[str]:
    """Return what was written beside that."""
    return [line for line in lines if not START.fullmatch(line)]
