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
        ("#~ loss 0.5", "loss 0.52", True),
        ("#~ loss 0.5", "loss 0.6", False),
        ("#~ loss 0.5", "cost 0.5", False),
        ("#~ 1e-13", "2e-13", False),
        ("#~ 1e-13", "1.05e-13", True),
        ("#~ 100", "109", True),
        ("#~ 100", "111", False),
        ("#~ 1 of 2", "1 of 2 or 3", False),
    ],
)
def test_approximate_means_the_same_words_and_numbers_near(announced, printed, agrees):
    assert Printed(announced[1], announced[3:]).agrees_with(printed) is agrees
