import base64

import numpy as np

from facetgrade.evaluate.factor_page import FIGURES, factor_blocks
from facetgrade.evaluate.figures import FactorPanel, FactorRow, factor_figure
from tests.evaluate.test_benchmark_results import joint, summarize


def patients(name, factors, grades, **changes):
    """One joint of true grade 0, 1, ... of each patient, graded as given."""
    return [
        joint(f"{name}{i}", truth=i % 5, grade=grade, factors=factors, **changes)
        for i, grade in enumerate(grades)
    ]


def tables(rows):
    weakest, _, numbers = factor_blocks(summarize(rows))
    return weakest.tables[0].rows, numbers.tables[0]


def below(rows, figure):
    """Return what the table of the weakest values lists below a figure."""
    names = [row[0] for row in rows]
    found = []
    for row in rows[names.index(figure) + 1 :]:
        if not row[0].startswith("\N{EM SPACE}"):
            break
        found.append((row[0].strip(), row[1].split(" ")[0]))
    return found


def test_the_weakest_values_of_factors_stand_below_each_figure():
    rows = patients("a", {"motion": "yes", "field": "3 T"}, [0, 2, 3, 3, 4])
    rows += patients("b", {"motion": "no", "field": "3 T"}, [0, 1, 2, 3, 4])
    rows += patients("c", {"motion": "no", "field": "1.5 T"}, [0, 1, 2, 3, 3])

    weakest, _ = tables(rows)

    # exact: 12 of 15 in all; yes 3 of 5; 3 T 8 of 10, no weaker than all
    listed = below(weakest, "exact grade")
    assert ("motion: yes", "0.600") in listed
    assert "field: 3 T" not in dict(listed)
    assert weakest[0][0] == "exact grade"
    assert weakest[0][1].startswith("0.800 [")


def test_a_value_of_few_patients_is_not_called_weakest():
    rows = patients("a", {"motion": "yes"}, [4, 4, 4, 4])
    rows += patients("b", {"motion": "no"}, [0, 1, 2, 3, 4])

    weakest, numbers = tables(rows)

    assert "motion: yes" not in dict(below(weakest, "exact grade"))
    # the table of numbers has it: none of four is exact
    shown = {row[0].strip(): row[1:3] for row in numbers.rows}
    assert shown["yes"] == ("4", "0.00")


def test_values_of_the_same_joints_are_listed_once():
    rows = patients("a", {"motion": "yes", "field": "3 T"}, [4, 4, 4, 4, 4])
    rows += patients("b", {"motion": "no", "field": "1.5 T"}, [0, 1, 2, 3, 4])

    weakest, _ = tables(rows)

    assert below(weakest, "exact grade")[0] == ("motion: yes", "0.200")
    assert "field: 3 T" not in dict(below(weakest, "exact grade"))


def test_a_large_center_error_is_weak():
    near, far = {"motion": "no"}, {"motion": "yes"}
    rows = patients("a", far, [0, 1, 2, 3, 4], error_mm=3.0)
    rows += patients("b", near, [0, 1, 2, 3, 4], error_mm=1.0)

    weakest, _ = tables(rows)

    assert below(weakest, "center error, median (mm)")[0] == ("motion: yes", "3.000")


def test_every_value_has_a_row_and_every_figure_a_column():
    rows = patients("a", {"snow": "below 3 mm"}, [0, 1])
    rows += patients("b", {"snow": "over 5 mm"}, [0, 1])
    rows += patients("c", {"snow": "3 to 5 mm"}, [0, 1])

    _, numbers = tables(rows)

    assert len(numbers.header) == 2 + len(FIGURES)
    assert all(len(row) == len(numbers.header) for row in numbers.rows)
    named = [row[0].strip() for row in numbers.rows]
    start = named.index("snow: below 3 mm")
    assert named[start : start + 3] == ["snow: below 3 mm", "3 to 5 mm", "over 5 mm"]


def test_plots_name_rows_once_for_all_panels():
    rows = [
        FactorRow("motion", "yes", 8, True, [(0.5, np.nan, np.nan), (1.2, 1.0, 1.5)]),
        FactorRow("motion", "no", 80, False, [(0.9, 0.8, 1.0), (np.nan,) * 3]),
    ]
    panels = [FactorPanel("exact", 0.8, (0.0, 1.0)), FactorPanel("mm", 1.1, None)]

    svg = svg_of(factor_figure(rows, panels))

    assert svg.count("<!-- motion: yes  (8) -->") == 1
    assert svg.count("<!-- no  (80) -->") == 1
    assert "<!-- exact -->" in svg
    assert "<!-- mm -->" in svg


def test_a_value_of_few_patients_is_drawn_as_an_open_circle():
    def drawn(few):
        row = FactorRow("motion", "yes", 8, few, [(0.5, 0.4, 0.6)])
        return svg_of(factor_figure([row], [FactorPanel("exact", 0.8, None)]))

    assert drawn(True).count("fill: #ffffff; stroke: #2b6cb0") > drawn(False).count(
        "fill: #ffffff; stroke: #2b6cb0"
    )


def svg_of(uri):
    return base64.b64decode(uri.partition(",")[2]).decode()
