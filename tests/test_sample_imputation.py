"""Chained equations with donors: known moments, coverage, another program, ties and groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import stdtrit

from homevisit_eval.effects.rubin import pool_estimates
from homevisit_eval.sample.imputation import (
    DONORS,
    IncompleteColumn,
    complete_columns,
    draw_regression,
)

NONE = np.nan


def generator(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([*key, 20])))


def completions(columns, background, times=10, *, seed=1, iterations=5):
    """Return for each imputation the completed columns."""
    return [
        complete_columns(columns, background, seed=seed, imputation=number, iterations=iterations)
        for number in range(1, times + 1)
    ]


def missing_at_random(n: int, seed: int = 1):
    """x and the treatment are known; y = 1 + 2 x + t / 2 + e lacks values where these are high."""
    random = generator(seed)
    x = random.normal(size=n)
    treated = (random.random(n) < 1 / (1 + np.exp(-x))).astype(float)
    y = 1 + 2 * x + treated / 2 + random.normal(size=n)
    lacks = random.random(n) < 1 / (1 + np.exp(0.5 - x - treated))
    return x, treated, y, np.where(lacks, NONE, y)


class TestDrawRegression:
    """Closed forms: least squares, and the posterior of its coefficients under a flat prior."""

    N, P = 40, 3

    @pytest.fixture
    def rows(self):
        random = generator(3)
        X = np.column_stack([np.ones(self.N), random.normal(size=(self.N, self.P - 1))])
        Y = X @ np.array([[1.0, 0.2], [-1.0, 0.0], [0.5, 2.0]]) + random.normal(size=(self.N, 2))
        Y[:, 1] += 0.8 * Y[:, 0]
        return X, Y

    def test_the_estimate_is_least_squares(self, rows):
        estimate, _ = draw_regression(*rows, generator(1))
        assert np.allclose(estimate, np.linalg.lstsq(*rows)[0], rtol=1e-4, atol=1e-4)  # the ridge

    @pytest.mark.parametrize("columns", [pytest.param([0], marks=pytest.mark.slow), [0, 1]])
    def test_draws_have_the_mean_and_the_covariance_of_the_posterior(self, rows, columns):
        X, Y = rows[0], rows[1][:, columns]
        random, q = generator(4), len(columns)
        draws = np.array([draw_regression(X, Y, random)[1].T.ravel() for _ in range(6000)])
        estimate, _ = draw_regression(X, Y, random)
        residual = Y - X @ estimate
        # the inverse Wishart mean of the residual covariance: sums of squares / (n - p - q - 1)
        spread = residual.T @ residual / (self.N - self.P - q - 1)
        expected = np.kron(spread, np.linalg.inv(X.T @ X))
        sd = np.sqrt(np.diag(expected))
        assert np.abs((draws.mean(axis=0) - estimate.T.ravel()) / sd).max() < 4 / np.sqrt(6000)
        found = np.cov(draws.T) / np.outer(sd, sd)
        assert np.abs(found - expected / np.outer(sd, sd)).max() < 0.08


class TestMissingAtRandom:
    def test_mean_variance_and_correlation_are_recovered(self):
        x, treated, y, known = missing_at_random(6000)
        drawn = [
            columns[1]
            for columns in completions(
                [IncompleteColumn(x), IncompleteColumn(known, stream=1)], treated[:, None]
            )
        ]
        lacks = np.isnan(known)
        means = np.array([values[lacks].mean() for values in drawn])
        assert np.nanmean(known) < y.mean() - 0.5  # what complete cases would say
        # the mean of those missing, whose sampling error is about 2.3 / sqrt(2,700)
        assert abs(means.mean() - y[lacks].mean()) < 0.12
        assert abs(np.mean([values.std() for values in drawn]) / y.std() - 1) < 0.03
        for other in (x, treated):
            found = np.mean([np.corrcoef(values, other)[0, 1] for values in drawn])
            assert abs(found - np.corrcoef(y, other)[0, 1]) < 0.02

    def test_without_the_treatment_its_relation_is_lost(self):
        """Why the treatment predicts: left out, drawn values are alike in the two groups."""
        random = generator(9)
        treated = (random.random(4000) < 0.5).astype(float)
        y = treated + random.normal(size=4000)
        known = np.where(random.random(4000) < 0.5, NONE, y)
        lacks = np.isnan(known)
        column = [IncompleteColumn(known)]
        for background, gap in ((treated, 1.0), (random.normal(size=4000), 0.0)):
            values = completions(column, background[:, None], 1)[0][0]
            difference = (
                values[lacks & (treated == 1)].mean() - values[lacks & (treated == 0)].mean()
            )
            assert abs(difference - gap) < 0.15

    def test_categories_keep_their_shares_given_the_others(self):
        random = generator(5)
        n = 8000
        x, treated = random.normal(size=n), (random.random(n) < 0.3).astype(float)
        scores = np.column_stack([np.zeros(n), x, treated - 1])
        chance = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        codes = (random.random((n, 1)) > chance.cumsum(axis=1)).sum(axis=1).astype(float)
        known = np.where(random.random(n) < 1 / (1 + np.exp(1 - x)), NONE, codes)
        lacks = np.isnan(known)
        drawn = completions(
            [IncompleteColumn(x), IncompleteColumn(known, "category", stream=1)],
            treated[:, None],
        )
        raw = np.array([(known[~lacks] == code).mean() for code in range(3)])
        assert (
            np.abs(raw - [(codes[lacks & (x > 1)] == code).mean() for code in range(3)]).max() > 0.2
        )
        for rows in (lacks & (x > 1), lacks & (x <= 0), lacks & (treated == 1)):
            found = np.mean(
                [[(one[1][rows] == code).mean() for code in range(3)] for one in drawn], axis=0
            )
            expected = [(codes[rows] == code).mean() for code in range(3)]
            assert np.abs(found - expected).max() < 0.06  # two sampling errors of the smallest

    def test_several_incomplete_columns_keep_their_covariance(self):
        random = generator(6)
        cover = np.array([[1, 0.6, 0.3], [0.6, 1, 0.5], [0.3, 0.5, 1]])
        whole = random.multivariate_normal(np.zeros(3), cover, 5000)
        known = np.where(random.random(whole.shape) < 0.2, NONE, whole)
        columns = [IncompleteColumn(values, stream=place) for place, values in enumerate(known.T)]
        treated = (random.random(5000) < 0.5).astype(float)
        found = np.mean(
            [np.cov(np.array(one)) for one in completions(columns, treated[:, None])], axis=0
        )
        assert np.abs(found - np.cov(whole.T)).max() < 0.06


def coverage(replications: int) -> tuple[float, float]:
    """Return how often the pooled interval holds a coefficient, and standard error / spread.

    A fifth to a half of y is missing, by x. Donors of a few hundred rows lie so far apart that a
    coefficient of .5 loses about .01, as in other programs that draw by predictive mean matching.
    """
    covers, found, errors = [], [], []
    for replication in range(replications):
        random = generator(7, replication)
        n = 400
        treated = (random.random(n) < 0.5).astype(float)
        x = random.normal(size=n) + treated / 2
        y = 0.5 * treated + x + random.normal(size=n)
        known = np.where(random.random(n) < 1 / (1 + np.exp(1 - x / 2)), NONE, y)
        columns = [IncompleteColumn(x), IncompleteColumn(known, stream=1)]
        X = np.column_stack([np.ones(n), treated, x])
        inverse = np.linalg.inv(X.T @ X)
        estimates, std_errors = [], []
        for one in completions(columns, treated[:, None], 10, seed=replication, iterations=1):
            beta, rss = np.linalg.lstsq(X, one[1])[:2]
            estimates.append(beta[1])
            std_errors.append(np.sqrt(rss[0] / (n - 3) * inverse[1, 1]))
        pooled = pool_estimates(estimates, std_errors, np.full(10, n - 3))
        covers.append(abs(pooled.estimate - 0.5) < stdtrit(pooled.df, 0.975) * pooled.std_error)
        found.append(pooled.estimate)
        errors.append(pooled.std_error)
    assert abs(np.mean(found) - 0.5) < 0.02 + 4 * np.std(found) / np.sqrt(replications)
    return float(np.mean(covers)), float(np.mean(errors) / np.std(found))


@pytest.mark.simulation
def test_pooled_intervals_cover_in_a_few_replications():
    covered, ratio = coverage(100)
    assert covered > 0.88  # .95 less three Monte Carlo errors of .022
    assert 0.75 < ratio < 1.3


@pytest.mark.slow
def test_pooled_intervals_cover():
    covered, ratio = coverage(1000)
    assert 0.93 < covered < 0.97  # three Monte Carlo errors of .007
    assert 0.92 < ratio < 1.10


@pytest.mark.slow
@pytest.mark.simulation
def test_moments_agree_with_those_of_statsmodels():
    """Both draw by predictive mean matching; their moments agree within Monte Carlo error."""
    from statsmodels.imputation.mice import MICEData

    random = generator(8)
    n = 1500
    whole = random.multivariate_normal([0, 1, 2], [[1, 0.5, 0.4], [0.5, 1, 0.6], [0.4, 0.6, 1]], n)
    table = pd.DataFrame(whole, columns=["a", "b", "c"])
    table.loc[random.random(n) < 1 / (1 + np.exp(1 - table["a"])), "b"] = NONE
    table.loc[random.random(n) < 1 / (1 + np.exp(1 + table["a"])), "c"] = NONE
    columns = [IncompleteColumn(table[name].to_numpy(), stream=i) for i, name in enumerate("bc")]
    ours = [
        np.array([*one, table["a"].to_numpy()])
        for one in completions(columns, table[["a"]].to_numpy(), 60)
    ]
    np.random.seed(1)  # noqa: NPY002  its draws come from the global generator
    theirs, other = [], MICEData(table.copy(), k_pmm=DONORS)
    for _ in range(60):
        other.update_all(5)
        theirs.append(other.data[["b", "c", "a"]].to_numpy().T)
    for moment in (lambda one: one.mean(axis=1), lambda one: np.cov(one).ravel()):
        first, second = (np.array([moment(one) for one in drawn]) for drawn in (ours, theirs))
        spread = np.sqrt(first.var(axis=0) + second.var(axis=0)) + 1e-12
        assert (np.abs(first.mean(axis=0) - second.mean(axis=0)) < 1.5 * spread + 0.01).all()
        ratio = first.std(axis=0)[:2] / second.std(axis=0)[:2]
        assert ((ratio > 0.5) & (ratio < 2)).all()


class TestDonors:
    def test_all_rows_that_are_equally_near_are_donors(self):
        """One 0/1 predictor: whoever lacks y may take it from anybody of the same group."""
        treated = np.repeat([0.0, 1.0], 200)
        y = np.arange(400.0) + 1000 * treated
        known = y.copy()
        known[150:200] = known[350:400] = NONE
        drawn = np.array(
            [one[0] for one in completions([IncompleteColumn(known)], treated[:, None], 40)]
        )
        for rows, low, high in ((slice(150, 200), 0, 150), (slice(350, 400), 1200, 1350)):
            values = drawn[:, rows]
            assert values.min() >= low
            assert values.max() < high
            assert len(np.unique(values)) == 150  # 2,000 draws: all are used

    def test_with_many_predictions_only_the_nearest_are(self):
        x = np.arange(300.0)
        known = x**1.0
        known[150] = NONE
        drawn = [
            one[1][150]
            for one in completions(
                [IncompleteColumn(x), IncompleteColumn(known, stream=1)],
                np.zeros((300, 1)),
                200,
            )
        ]
        assert set(drawn) <= {146.0, 147.0, 148.0, 149.0, 151.0, 152.0, 153.0, 154.0}
        assert len(set(drawn)) >= DONORS

    def test_fewer_known_rows_than_donors(self):
        known = np.array([1.0, 2.0, NONE, NONE, 3.0])
        drawn = completions([IncompleteColumn(known)], np.arange(5.0)[:, None], 30)
        assert {one[0][2] for one in drawn} == {1.0, 2.0, 3.0}

    def test_one_known_value_is_everybodys(self):
        known = np.array([NONE, 4.0, NONE])
        for kind in ("number", "category"):
            drawn = completions([IncompleteColumn(known, kind)], np.zeros((3, 1)), 2)
            assert drawn[0][0].tolist() == [4.0, 4.0, 4.0]

    def test_a_binary_column_stays_binary(self):
        x, treated, _, known = missing_at_random(500)
        flag = np.where(np.isnan(known), NONE, known > 1)
        drawn = completions([IncompleteColumn(x), IncompleteColumn(flag)], treated[:, None], 3)
        assert {value for one in drawn for value in one[1].tolist()} == {0.0, 1.0}


class TestGroups:
    GROUPS = np.repeat(np.arange(30), 20)

    def columns(self):
        random = generator(11)
        x = random.normal(size=30)[self.GROUPS] + random.normal(size=600)
        means = np.bincount(self.GROUPS, x) / 20
        school = (means + random.normal(0, 0.1, 30))[self.GROUPS]
        return x, school, random

    def test_a_group_shares_what_is_drawn_and_it_fits_the_group(self):
        x, school, random = self.columns()
        known = np.where(np.isin(self.GROUPS, [3, 7, 20]), NONE, school)
        drawn = completions(
            [IncompleteColumn(x), IncompleteColumn(known, groups=self.GROUPS, stream=1)],
            (random.random((600, 1)) < 0.3).astype(float),
            20,
        )
        for one in drawn:
            for group in (3, 7, 20):
                assert len(np.unique(one[1][group == self.GROUPS])) == 1
            assert np.array_equal(one[1][~np.isnan(known)], known[~np.isnan(known)])
        for group in (3, 7, 20):
            mean = np.mean([one[1][group == self.GROUPS][0] for one in drawn])
            assert abs(mean - school[group == self.GROUPS][0]) < 0.6  # donors' values lie apart

    def test_what_one_row_of_the_group_has_the_others_have(self):
        x, school, _ = self.columns()
        known = school.copy()
        known[1:20] = NONE
        one = completions([IncompleteColumn(x), IncompleteColumn(known, groups=self.GROUPS)],
                          np.zeros((600, 1)), 1)[0]  # fmt: skip
        assert np.array_equal(one[1], school)


class TestPredictors:
    def test_few_rows_bear_few_predictors(self):
        """30 known rows and 40 predictors: a full regression would fit them exactly."""
        random = generator(12)
        treated = (random.random(60) < 0.5).astype(float)
        y = 3 * treated + random.normal(0, 0.1, 60)
        known = np.where(np.arange(60) % 2, NONE, y)
        noise = [IncompleteColumn(random.normal(size=60), stream=place) for place in range(40)]
        drawn = completions([*noise, IncompleteColumn(known, stream=99)], treated[:, None], 3)
        for one in drawn:
            assert np.abs(one[-1] - y).max() < 1

    def test_the_treatment_predicts_even_where_others_are_stronger(self):
        """Room for three predictors: two of the three that make up y, and the treatment."""
        random = generator(14)
        treated = (np.arange(60) // 2 % 2).astype(float)
        parts = random.normal(size=(3, 60))
        y = 2 * parts.sum(axis=0) + 1.5 * treated
        lacks = np.arange(60) % 2 == 1
        columns = [IncompleteColumn(part, stream=place) for place, part in enumerate(parts)]
        columns.append(IncompleteColumn(np.where(lacks, NONE, y), stream=9))
        drawn = np.mean([one[-1] for one in completions(columns, treated[:, None], 40)], axis=0)
        X = np.column_stack([np.ones(60), treated, parts.T])[lacks]
        assert np.linalg.lstsq(X, drawn[lacks])[0][1] > 0.5  # .01 without it, 1.5 if all were used

    def test_constant_and_doubled_predictors_do_no_harm(self):
        x, treated, _, known = missing_at_random(400)
        plain = [IncompleteColumn(x), IncompleteColumn(known, stream=1)]
        more = [*plain, IncompleteColumn(np.full(400, 7.0)), IncompleteColumn(2 * x)]
        one = completions(more, treated[:, None], 1)[0][1]
        assert abs(one.mean() - completions(plain, treated[:, None], 1)[0][1].mean()) < 0.3

    def test_a_square_predicts(self):
        random = generator(13)
        x = random.normal(size=3000)
        y = x**2 + random.normal(0, 0.1, 3000)
        known = np.where(random.random(3000) < 0.3, NONE, y)
        errors = {}
        for squared in (True, False):
            columns = [IncompleteColumn(x, squared=squared), IncompleteColumn(known, stream=1)]
            drawn = completions(columns, np.zeros((3000, 1)), 1)[0][1]
            errors[squared] = np.sqrt(np.mean((drawn - y)[np.isnan(known)] ** 2))
        assert errors[True] < 0.25
        assert errors[False] > 1


@st.composite
def tables(draw):
    n = draw(st.integers(2, 25))
    columns = []
    for place in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["number", "category"]))
        value = st.integers(0, 3) if kind == "category" else st.integers(-3, 3)
        values = draw(st.lists(st.none() | value, min_size=n, max_size=n))
        values[draw(st.integers(0, n - 1))] = 1
        numbers = np.array([NONE if one is None else one for one in values], dtype=float)
        columns.append(IncompleteColumn(numbers, kind, draw(st.booleans()), None, place))
    treated = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    return columns, np.array(treated, dtype=float)[:, None]


@given(tables(), st.integers(0, 5))
@settings(max_examples=50, deadline=None)
def test_whatever_is_missing_becomes_a_known_value_and_the_rest_stays(table, seed):
    becomes_known(table, seed)


@pytest.mark.slow
@given(tables(), st.integers(0, 5))
@settings(max_examples=150, deadline=None)
def test_whatever_is_missing_becomes_known_in_many_tables(table, seed):
    becomes_known(table, seed)


def becomes_known(table, seed):
    columns, treated = table
    one = complete_columns(columns, treated, seed=seed, imputation=1, iterations=2)
    again = complete_columns(columns, treated, seed=seed, imputation=1, iterations=2)
    for column, values, same in zip(columns, one, again, strict=True):
        known = ~np.isnan(column.values)
        assert np.array_equal(values[known], column.values[known])
        assert np.isin(values, column.values[known]).all()
        assert np.array_equal(values, same)


def test_imputations_seeds_and_streams_are_different_draws():
    x, treated, _, known = missing_at_random(200)

    def drawn(seed, imputation, stream):
        columns = [IncompleteColumn(x), IncompleteColumn(known, stream=stream)]
        return complete_columns(
            columns, treated[:, None], seed=seed, imputation=imputation, iterations=1
        )[1]

    first = drawn(1, 1, 1)
    for other in (drawn(2, 1, 1), drawn(1, 2, 1), drawn(1, 1, 2)):
        assert not np.array_equal(first, other)
