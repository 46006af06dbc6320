import os
import signal

import pytest

from facetgrade.batch.interrupts import remember_interrupts


def test_an_interrupt_that_is_swallowed_is_remembered():
    with remember_interrupts() as interrupts:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            swallowed = True

    assert swallowed
    assert interrupts == [signal.SIGINT]


def test_the_handler_of_before_is_back():
    before = signal.getsignal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), remember_interrupts():
        os.kill(os.getpid(), signal.SIGINT)

    assert signal.getsignal(signal.SIGINT) is before
