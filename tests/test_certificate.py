"""The certificate: the panel without files, and replications on any number of cores."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pandas as pd
import pytest

import homevisit_eval as hv
from homevisit_eval.certificate import (
    Replication,
    certify_iter,
    collect_certificate,
)
from homevisit_eval.certificate.designs import compared_designs
from homevisit_eval.certificate.plan import FEWEST_DISTRICTS, Plan
from homevisit_eval.certificate.prepared import (
    open_panel,
    panel_from_files,
    prepared_panel,
    tables_to_simulate,
)
from homevisit_eval.synthetic import TABLES, District, preset, simulate
from homevisit_eval.variations import vary
from same_trials import same_trials
from short_study import short_design
from synthetic_districts import strong

DESIGN = hv.read_design("study.toml")
OUTCOMES = ("attendance_rate", "any_incident")
SHORT = short_design(*OUTCOMES)
ROWS = [one for one in DESIGN.sensitivity if one.varies(DESIGN.question("summer_behavior"))]


def little() -> District:
    """Return five schools and about 1,500 students a year."""
    small = preset("small")
    return replace(
        small, name="little", schools=replace(small.schools, elementary=5, students=1500)
    )


@cache
def replications(workers: int = 1) -> tuple[Replication, ...]:
    """Return three replications of a short study in two schools."""
    return tuple(certify_iter(SHORT, strong(), replications=3, variations=False, workers=workers))


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 11))]
)
def test_the_panel_without_files_gives_the_sample_matches_and_estimates_of_files(
    seed: int,
) -> None:
    simulation = simulate(little(), seed, outcomes=())
    with panel_from_files(simulation, DESIGN.measurement) as panel:
        through_files = hv.select_sample(panel, DESIGN)
    with prepared_panel(simulation, DESIGN.measurement) as panel:
        at_once = hv.select_sample(panel, DESIGN)
    pd.testing.assert_frame_equal(at_once.baseline, through_files.baseline, check_exact=True)
    pd.testing.assert_frame_equal(at_once.outcomes, through_files.outcomes, check_exact=True)
    for name in ("flow", "notes", "covariates", "district", "synthetic"):
        assert getattr(at_once, name) == getattr(through_files, name), name
    first, second = hv.match_students(at_once), hv.match_students(through_files)
    pd.testing.assert_frame_equal(first.matches.pairs, second.matches.pairs)
    for outcome in OUTCOMES:
        one, other = hv.estimate_effect(first, outcome), hv.estimate_effect(second, outcome)
        assert (one.estimate, one.std_error) == (other.estimate, other.std_error)


@pytest.mark.slow
def test_every_variation_finds_the_same_without_files() -> None:
    simulation = simulate(little(), 3, tables=TABLES, outcomes=OUTCOMES)

    def found(panel: hv.Panel) -> dict[str, list[float] | str]:
        sample = hv.select_sample(panel, DESIGN)
        matched = (hv.match_students(sample),)
        estimates: dict[str, list[float] | str] = {}
        for variation in ROWS:
            try:
                effects = vary(panel, sample, matched, variation)
            except hv.EstimationError as error:  # a logit may have no fit in so few students
                estimates[variation.name] = str(error)
            else:
                estimates[variation.name] = [effect.estimate for effect in effects]
        assert sum(isinstance(one, str) for one in estimates.values()) <= 1
        return estimates

    with prepared_panel(simulation, DESIGN.measurement) as panel:
        at_once = found(panel)
    with panel_from_files(simulation, DESIGN.measurement) as panel:
        assert found(panel) == at_once


def test_other_rules_of_measurement_go_through_the_files() -> None:
    victims = replace(DESIGN.measurement, incident_roles=("perpetrator", "victim"))
    assert set(tables_to_simulate(strong(), victims)) == set(TABLES)
    assert len(tables_to_simulate(strong(), DESIGN.measurement)) < len(TABLES)
    simulation = simulate(strong(), 1, outcomes=OUTCOMES)
    with pytest.raises(hv.DesignError, match="default rules"), prepared_panel(simulation, victims):
        pass
    with open_panel(simulation, victims) as panel:
        counted = panel.to_pandas()["any_incident"].sum()
    assert counted > simulation.student_years["any_incident"].sum()


def test_a_prepared_panel_needs_its_tables() -> None:
    simulation = simulate(little(), 1, tables=("schools",), outcomes=())
    with (
        pytest.raises(hv.DesignError, match="no table calendar"),
        prepared_panel(simulation, DESIGN.measurement),
    ):
        pass


def test_results_do_not_depend_on_the_number_of_workers() -> None:
    alone, together = replications(), replications(workers=2)
    assert [one.number for one in together] == [0, 1, 2]
    for one, other in zip(alone, together, strict=True):
        assert same_trials(one.trials, other.trials)
        assert other.seconds.total > 0


def test_a_resumed_run_is_the_uninterrupted_one() -> None:
    whole = replications()
    done = whole[1:2]
    rest = list(certify_iter(SHORT, strong(), replications=3, variations=False, done=done))
    assert [one.number for one in rest] == [0, 2]
    together = collect_certificate(SHORT, strong(), 1, [*rest, *done])
    assert same_trials(together.trials, collect_certificate(SHORT, strong(), 1, whole).trials)


def test_an_interrupted_run_keeps_what_it_yielded() -> None:
    running: Iterator[Replication] = certify_iter(
        SHORT, strong(), replications=3, variations=False, workers=2
    )
    first = next(running)
    running.close()  # type: ignore[attr-defined]
    assert same_trials(first.trials, replications()[0].trials)


def test_replications_of_another_certificate_are_refused() -> None:
    with pytest.raises(hv.DesignError, match="another certificate"):
        certify_iter(SHORT, strong(), replications=3, seed=2, done=replications())


def test_redrawn_districts_differ_and_fixed_ones_come_again() -> None:
    redrawn = [Plan("redrawn", 7, 20).place(number) for number in range(60)]
    assert len({district for district, _ in redrawn}) == 60
    assert {drawing for _, drawing in redrawn} == {0}
    fixed = [Plan("fixed", 7, 20).place(number) for number in range(60)]
    assert len({district for district, _ in fixed}) == 20
    assert len(set(fixed)) == 60
    assert fixed[0][0] == fixed[20][0]
    assert not {district for district, _ in redrawn} & {district for district, _ in fixed}


def test_fixed_districts_keep_their_students_and_draw_visits_and_outcomes_anew() -> None:
    number = FEWEST_DISTRICTS + 1
    done = list(
        certify_iter(
            SHORT, strong(), replications=number, mode="fixed", variations=False,
            done=[
                Replication("fixed", k, *Plan("fixed", 1, FEWEST_DISTRICTS).place(k), ())
                for k in range(1, FEWEST_DISTRICTS)
            ],
        )
    )  # fmt: skip
    first, second = done
    assert first.district == second.district
    assert (first.replication, second.replication) == (1, 2)
    assert first.trials[0].estimate != second.trials[0].estimate
    (performance, *_) = collect_certificate(SHORT, strong(), 1, done).performance
    assert performance.districts == 1
    assert performance.coverage_spread is not None


def test_few_districts_are_refused() -> None:
    with pytest.raises(hv.DesignError, match="at least 20"):
        certify_iter(DESIGN, "small", replications=4, mode="fixed", districts=19)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"school_years": (2014, 2015)}, "know no effects in 2014"),
        ({"grades": (1, 7)}, "know no effects in 7"),
        ({"questions": tuple(replace(q, role="secondary") for q in DESIGN.questions)}, "primary"),
    ],
)
def test_what_no_district_knows_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(hv.DesignError, match=message):
        certify_iter(replace(DESIGN, **{"sensitivity": (), **changes}), "small", replications=1)


def test_a_method_that_cannot_be_carried_out_is_a_problem_and_counted() -> None:
    impossible = hv.NearestNeighbor(caliper=1e-9)
    design = replace(DESIGN, sensitivity=(), school_years=(2015,), matching=impossible)
    certificate = hv.certify(design, strong(), replications=2, variations=False)
    assert {trial.problem.split(":")[0] for trial in certificate.trials} == {"MatchingError"}
    assert all(math.isnan(trial.estimate) for trial in certificate.trials)
    assert all(math.isfinite(trial.truth_all) for trial in certificate.trials)
    assert {one.failed for one in certificate.performance} == {2}
    assert "No replication gave an estimate" in repr(certificate)


def test_the_grid_holds_no_design_twice() -> None:
    question = DESIGN.question("summer_behavior")
    compared = compared_designs(DESIGN, question)
    names = [variation.name for variation in compared]
    assert len(set(names)) == len(names)
    assert names[: len(ROWS)] == [one.name for one in ROWS]
    own = (DESIGN.matching, DESIGN.model)
    methods = [
        (one.matching or own[0], one.model or own[1])
        for one in compared
        if not (one.pool or one.comparison_schools or one.min_days_enrolled)
    ]
    assert len(set(methods)) == len(methods)
    assert own not in methods
    assert (hv.NoMatching(), hv.DifferenceInMeans()) in methods
