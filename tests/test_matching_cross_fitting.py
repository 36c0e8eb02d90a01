"""Cross-fitted scores: out of fold, stratified, grouped, and clear about what is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from homevisit_eval.errors import MatchingError
from homevisit_eval.matching.cross_fitting import cross_fitted_scores


def rng(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([44, *key])))


def draw(n: int, *key: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = rng(n, *key)
    X = random.normal(size=(n, 3))
    score = 1 / (1 + np.exp(-0.8 * X[:, 0]))
    return X, (random.random(n) < score).astype(int), score


class Recorder:
    """Predicts .5 and writes down which rows (their first column) it saw and predicted."""

    log: list[tuple[list[float], list[float], float]]

    def __init__(self) -> None:
        self.log = []

    def __deepcopy__(self, memo: object) -> Recorder:
        copied = Recorder()
        copied.log = self.log
        return copied

    def fit(self, X: np.ndarray, y: np.ndarray) -> None:
        self.seen, self.share = X[:, 0].tolist(), float(y.mean())

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        self.log.append((self.seen, X[:, 0].tolist(), self.share))
        return np.full((len(X), 2), 0.5)


class Memory:
    """Remembers each row's treatment, and says .5 of rows that it never saw."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> Memory:
        self.known = dict(zip(map(bytes, X), y, strict=True))
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        p = np.array([0.1 + 0.8 * self.known.get(bytes(row), 0.5) for row in X])
        return np.column_stack([1 - p, p])


def folds_of(n: int, treated: np.ndarray, **options: Any) -> list[list[int]]:
    """Return the rows of each fold."""
    recorder = Recorder()
    cross_fitted_scores(recorder, np.arange(float(n))[:, None], treated, **options)
    return [[int(row) for row in predicted] for _, predicted, _ in recorder.log]


# Out of fold


def test_a_classifier_that_remembers_every_row_learns_nothing_of_them():
    X, treated, _ = draw(200, 1)
    scores = cross_fitted_scores(Memory(), X, treated, seed=1)
    np.testing.assert_array_equal(scores, 0.5)
    fitted = Memory().fit(X, treated).predict_proba(X)[:, 1]
    np.testing.assert_array_equal(fitted > 0.5, treated == 1)  # in sample it would know


def test_nor_of_other_rows_of_the_same_student():
    X, treated, _ = draw(100, 2)
    student = np.repeat(np.arange(50), 2)
    X, treated = X[::2].repeat(2, axis=0), treated[::2].repeat(2)
    alone = cross_fitted_scores(Memory(), X, treated, seed=1)
    grouped = cross_fitted_scores(Memory(), X, treated, seed=1, groups=student)
    assert (alone != 0.5).any()
    np.testing.assert_array_equal(grouped, 0.5)


def test_every_row_is_predicted_once_by_a_copy_that_saw_all_other_folds():
    recorder = Recorder()
    _, treated, _ = draw(103, 3)
    cross_fitted_scores(recorder, np.arange(103.0)[:, None], treated, folds=4, seed=1)
    assert len(recorder.log) == 4
    for seen, predicted, _ in recorder.log:
        assert sorted(seen + predicted) == list(range(103))
    assert sorted(row for _, predicted, _ in recorder.log for row in predicted) == list(range(103))


def test_the_classifier_itself_is_not_fitted():
    X, treated, _ = draw(100, 4)
    classifier = LogisticRegression()
    cross_fitted_scores(classifier, X, treated, seed=1)
    assert not hasattr(classifier, "coef_")


@pytest.mark.parametrize(
    "classifier",
    [
        LogisticRegression(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=5, random_state=1),
    ],
    ids=["logistic", "pipeline", "boosting"],
)
def test_classifiers_of_scikit_learn(classifier):
    X, treated, truth = draw(1_200, 5)
    scores = cross_fitted_scores(classifier, X, treated, seed=1)
    assert ((scores > 0) & (scores < 1)).all()
    error = np.abs(scores - truth).mean()
    assert error < 0.1 < np.abs(treated.mean() - truth).mean()


def test_a_forest_that_overfits_in_sample_does_not_out_of_fold():
    X, treated, truth = draw(600, 6)
    forest = RandomForestClassifier(50, min_samples_leaf=3, random_state=1)
    inside = forest.fit(X, treated).predict_proba(X)[:, 1]
    outside = cross_fitted_scores(forest, X, treated, seed=1)
    assert np.corrcoef(inside - truth, treated - truth)[0, 1] > 0.7
    assert abs(np.corrcoef(outside - truth, treated - truth)[0, 1]) < 0.15


def test_probabilities_are_taken_from_the_column_of_class_1():
    class Backward(LogisticRegression):
        def fit(self, X, y):
            super().fit(X, y)
            self.classes_ = self.classes_[::-1]
            return self

        def predict_proba(self, X):
            return super().predict_proba(X)[:, ::-1]

    X, treated, _ = draw(200, 7)
    np.testing.assert_array_equal(
        cross_fitted_scores(Backward(), X, treated, seed=1),
        cross_fitted_scores(LogisticRegression(), X, treated, seed=1),
    )


# Folds


@given(
    st.lists(st.integers(0, 1), min_size=12, max_size=60),
    st.integers(2, 5),
    st.integers(0, 2**40),
)
def test_folds_are_stratified_by_treatment(treated, folds, seed):
    group = np.array(treated)
    if min(group.sum(), (1 - group).sum()) < folds:
        with pytest.raises(MatchingError, match="Use fewer folds"):
            folds_of(len(group), group, folds=folds, seed=seed)
        return
    found = folds_of(len(group), group, folds=folds, seed=seed)
    for counts in ([len(rows) for rows in found], [int(group[rows].sum()) for rows in found]):
        assert max(counts) - min(counts) <= 1


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1)), min_size=10, max_size=60),
    st.randoms(use_true_random=False),
)
def test_groups_stay_together_whatever_the_order_of_rows(rows, random):
    group, treated = np.array(rows).T
    try:
        found = folds_of(len(rows), treated, folds=2, seed=3, groups=group)
    except MatchingError as error:
        assert "folds need at least 2 units" in str(error)  # noqa: PT017
        assert any(len(set(group[treated == one].tolist())) < 2 for one in (0, 1))
        return
    together = [set(group[fold].tolist()) for fold in found]
    assert not together[0] & together[1]
    for fold in found:  # so that each copy learns from both groups
        assert set(treated[fold].tolist()) == {0, 1}
    order = list(range(len(rows)))
    random.shuffle(order)
    moved = folds_of(len(rows), treated[order], folds=2, seed=3, groups=group[order])
    assert [set(group[order][fold].tolist()) for fold in moved] == together


def test_folds_depend_on_the_seed():
    treated = np.arange(60) % 2
    first, again, other = (folds_of(60, treated, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_with_a_key_scores_do_not_depend_on_the_order_of_rows():
    X, treated, _ = draw(300, 8)
    key = np.array([f"student {number:04}" for number in rng(9).permutation(300)])
    forest = RandomForestClassifier(20, min_samples_leaf=3, random_state=1)
    scores = cross_fitted_scores(forest, X, treated, seed=1, key=key)
    order = rng(10).permutation(300)
    moved = cross_fitted_scores(forest, X[order], treated[order], seed=1, key=key[order])
    np.testing.assert_array_equal(moved, scores[order])
    year = np.arange(300) % 100
    grouped = cross_fitted_scores(forest, X, treated, seed=1, key=key, groups=year)
    moved = cross_fitted_scores(
        forest, X[order], treated[order], seed=1, key=key[order], groups=year[order]
    )
    np.testing.assert_array_equal(moved, grouped[order])


def test_data_frames_and_series_are_taken():
    X, treated, _ = draw(100, 11)
    frame = pd.DataFrame(X, index=[f"r{row}" for row in range(100)])
    names = pd.Series([f"s{row % 40}" for row in range(100)])
    scores = cross_fitted_scores(
        LogisticRegression(), frame, pd.Series(treated), seed=1, groups=names
    )
    expected = cross_fitted_scores(
        LogisticRegression(), X, treated, seed=1, groups=names.to_numpy()
    )
    np.testing.assert_array_equal(scores, expected)


# What is refused


class Broken(Memory):
    """A classifier that says something else than probabilities of two classes."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def predict_proba(self, X: np.ndarray) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return np.tile(self.answer, (len(X), 1))


@pytest.mark.parametrize(
    ("classifier", "message"),
    [
        (Broken([0.5]), r"shape \(n, 2\)"),
        (Broken([0.2, 0.3, 0.5]), r"shape \(n, 2\)"),
        (Broken([np.nan, np.nan]), "40 of 40 scores are missing"),
        (Broken([-0.5, 1.5]), "not between 0 and 1"),
        (Broken([0.0, 1.0]), "40 of 40 scores are exactly 0 or 1.*less certain"),
        (Broken([1.0, 0.0]), "exactly 0 or 1"),
        (KNeighborsClassifier(1), "exactly 0 or 1"),
        (object(), "object has no method fit"),
        (StandardScaler(), "StandardScaler has no method predict_proba"),
        (LogisticRegression(warm_start=True), "warm_start"),
    ],
)
def test_classifiers_that_cannot_be_used_are_refused(classifier, message):
    X, treated, _ = draw(40, 12)
    with pytest.raises(MatchingError, match=message):
        cross_fitted_scores(classifier, X, treated, seed=1)


def test_what_a_classifier_says_in_an_error_is_not_passed_on():
    X, treated, _ = draw(40, 12)
    broken = Broken(ValueError("student 4711"))
    with pytest.raises(MatchingError, match="Broken failed with ValueError on 32 rows") as error:
        cross_fitted_scores(broken, X, treated, seed=1)
    assert "4711" not in str(error.value)
    assert error.value.__suppress_context__


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.zeros(40)}, "shape"),
        ({"X": np.zeros((40, 0))}, "at least one row and column"),
        ({"X": np.full((40, 1), np.nan)}, "40 of 40 rows"),
        ({"X": [["a"]] * 40}, "needs numbers in X"),
        ({"treated": np.zeros(39)}, "shape"),
        ({"treated": np.full(40, 2)}, "0 or 1"),
        ({"treated": np.full(40, np.nan)}, "0 or 1"),
        ({"treated": np.arange(40) < 4}, "at least 5 units .* with treated rows"),
        ({"treated": np.arange(40) >= 4}, "at least 5 units .* with comparison rows"),
        ({"folds": 1}, "2 or more folds"),
        ({"seed": -1}, "a seed of 0 or above"),
        ({"groups": np.zeros(39)}, "groups must hold one value"),
        ({"groups": np.full(40, np.nan)}, "none missing"),
        ({"groups": np.array([None, "a"] * 20, dtype=object)}, "none missing"),
        ({"groups": np.array([1, "a"] * 20, dtype=object)}, "of one type"),
        ({"groups": np.arange(40) // 10}, "at least 5 units"),
        ({"key": np.arange(40) // 2}, "20 rows repeat a value of key"),
    ],
)
def test_unusable_input_is_refused(change, message):
    data = {"X": np.arange(40.0)[:, None], "treated": np.arange(40) % 2, "seed": 1} | change
    with pytest.raises(MatchingError, match=message):
        cross_fitted_scores(Memory(), data.pop("X"), data.pop("treated"), **data)
