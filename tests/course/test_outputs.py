"""What a block says that it prints, read from its comments and compared with what it printed."""

import pytest
from course.outputs import Printed, misplaced_comments, split_statements, without_comments

CODE = '''\
import math
#> is printed here
@decorator
def area(radius):
    """A docstring with
    #> no output
    """
    return math.pi * radius ** 2

x = 1; print(area(x))
#~ 3.14
print("a",
      "b")
#> a
#> b
'''


def test_a_statement_is_followed_by_what_it_prints():
    spans = [(first, last, tuple(map(str, printed))) for first, last, printed in split_statements(CODE)]
    assert spans == [
        (1, 1, ("#> is printed here",)),
        (3, 8, ()),
        (10, 10, ("#~ 3.14",)),
        (12, 13, ("#> a", "#> b")),
    ]


def test_an_output_within_a_statement_is_misplaced():
    assert misplaced_comments("def f():\n    print(1)\n    #> 1\n") == [3]
    assert misplaced_comments("x = 1\n\n#> 1\n") == [3]
    assert misplaced_comments(CODE) == [6]


def test_code_is_left_when_outputs_are_taken_away():
    assert without_comments("print(1)\n#> 1\n  #~ 1\nx = 2  #> kept") == "print(1)\nx = 2  #> kept"


@pytest.mark.parametrize(
    ("announced", "printed", "agrees"),
    [
        ("#> 0.5", "0.5", True),
        ("#> 0.5", "0.51", False),
        ("#~ loss 0.50", "loss 0.52", True),
        ("#~ loss 0.50", "loss 0.60", False),
        ("#~ loss 0.50", "cost 0.50", False),
        ("#~ 1 of 2", "1 of 2 or 3", False),
        # exact: what counts, and what is part of a name, a date or a version
        ("#~ 100", "101", False),
        ("#~ 1,000", "1,020", False),
        ("#~ epoch 3: 0.51", "epoch 4: 0.51", False),
        ("#~ 3 of 3 seeds, 90%", "2 of 3 seeds, 90%", False),
        ("#~ (32, 10) 0.51", "(32, 11) 0.51", False),
        ("#~ dense_10 0.51", "dense_11 0.51", False),
        ("#~ conv2d 0.51", "conv3d 0.51", False),
        ("#~ 2026-01-05", "2026-01-06", False),
        ("#~ Keras 3.15.1", "Keras 3.16.1", False),
        ("#~ 01_1.89.keras", "01_1.88.keras", False),
        # signs
        ("#~ +0.009 (+0.002 to +0.015)", "-0.009 (-0.015 to -0.002)", False),
        ("#~ 0.01", "-0.01", False),
        ("#~ -0.00", "0.00", True),
        ("#~ 1-0.50", "1-0.51", True),
        # the size of small and of large numbers
        ("#~ clip 0.01", "clip 0.009", False),
        ("#~ 0.004", "0.000", False),
        ("#~ 93.21", "98.21", False),
        ("#~ 1e-13", "2e-13", False),
        ("#~ 1e-13", "1.05e-13", True),
        ("#~ [ 1. -1.]", "[ 0.98 -1.]", True),
        ("#~ [ 1. -1.]", "[ 2. -1.]", False),
        ("#~ nan", "0.0", False),
        # order
        ("#~ best 0.867, last 0.878", "best 0.878, last 0.867", False),
        ("#~ 0.867 0.868", "0.868 0.867", True),
        ("#~ 0.92 0.95", "0.95 0.92", False),
        ("#~ 0.92 0.92", "0.91 0.92", True),
        # white space
        ("#~ [0.1, 0.2]", "[0.1,0.2]", True),
        ("#~ [0.5 0.6]", "[ 0.5 0.6 ]", True),
        ("#~ a  0.51", "a 0.51", True),
    ],
)
def test_approximate_means_the_same_words_and_numbers_near(announced, printed, agrees):
    assert Printed(announced[1], announced[3:]).agrees_with(printed) is agrees
