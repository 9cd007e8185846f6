"""A part of the kit for each engine in the ordinary run; all of it is `python -m mungos.testing.tls`."""

from __future__ import annotations

import pytest

from mungos.testing.tls import Verdict, catalogue, run_cell
from mungos.testing.tls.stand import Role
from mungos.tls.engines import all_engines

# Those that walk through hundreds of connections have their turn in the whole run.
LONG = {"T04", "T10", "T14", "T15", "T16", "T17", "T82"}
QUICK = [case for case in catalogue() if case.id not in LONG]


@pytest.fixture(params=["builtin", "openssl", "wolfssl", "mbedtls"])
def engine(request: pytest.FixtureRequest) -> str:
    found = {each.name: each for each in all_engines()}.get(request.param)
    if found is None or not found.present:
        pytest.skip(f"{request.param}: {found.reason if found is not None else 'there is no such engine'}")
    return found.name


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("section", ["A", "B", "C", "D"])
def test_no_cell_fails(engine: str, section: str, role: Role, time_factor: float) -> None:
    failed = []
    for case in QUICK:
        if case.section == section:
            for side, how in case.cells:
                if side == role:
                    outcome = run_cell(engine, case.id, role, how, time_factor=time_factor)
                    if outcome.verdict is Verdict.FAIL:
                        failed.append(f"{outcome.name}: {outcome.reason}; expected: {outcome.wanted}")
    assert not failed, "\n".join(failed)


def test_every_case_has_scenes() -> None:
    assert [case.id for case in catalogue() if not case.run] == []


def test_the_ids_are_those_of_the_catalogue() -> None:
    assert [case.id for case in catalogue()] == [f"T{number:02}" for number in range(1, 94)]
    sections = {"A": range(1, 36), "B": range(36, 56), "C": range(56, 83), "D": range(83, 94)}
    assert all(int(case.id[1:]) in sections[case.section] for case in catalogue())


def test_kernel_rows_run_on_sockets() -> None:
    assert {case.id for case in catalogue() if case.wire == "kernel"} >= {"T47", "T52", "T77", "T91"}
