import pytest

from facetgrade.exchange.write import write_dicom
from facetgrade.simulate.vendors import Habit
from tests.exchange.builders import load, report_on, settings, write_phantom
from tests.report import builders as phantom


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Write and report a phantom of a habit; each one only once in a session."""
    made = {}

    def make(habit=Habit.SIEMENS, flip=()):
        if (habit, flip) not in made:
            folder = tmp_path_factory.mktemp(habit.value)
            write_phantom(folder / "in", habit, flip=flip)
            files, study = load(folder / "in")
            report = report_on(study)
            result = write_dicom(
                report,
                study,
                files,
                folder / "out",
                context=phantom.context(),
                settings=settings(),
            )
            made[habit, flip] = (folder, study, report, result)
        return made[habit, flip]

    return make
