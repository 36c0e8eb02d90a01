"""How alike two groups were before treatment: the result type."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from homevisit_eval.balance.characteristics import SCORES
from homevisit_eval.balance.published import SHOWN, GroupWords, published_balance, safe_balance
from homevisit_eval.balance.statistics import Denominator
from homevisit_eval.design import Outcome
from homevisit_eval.disclosure import SMALLEST_COUNT_SHOWN, shown_count, shown_of
from homevisit_eval.matching.matched_sample import Estimand
from homevisit_eval.table import TABLE_STYLE, Table

__all__ = ["Balance"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Balance:
    """Baseline means, spreads and differences of the two groups.

    Attributes
    ----------
    table : DataFrame, one row a covariate, or a level of a factor
        ``by``, ``group``: the grouping column and its value, both empty for everybody.
        ``covariate``, ``label``, ``level`` (empty unless a factor), ``unit`` (of the means);
        ``in_model``: whether it is a covariate of the outcome model; ``absorbed``: whether it
        does not vary within the cells that the model absorbs, which then adjust for it. For
        ``_before`` (all candidates, sampling weights) and ``_after`` (the analytic sample,
        matching weights): ``mean_treated``, ``mean_comparison``, ``sd_treated``,
        ``sd_comparison``, ``smd`` (in standard deviations of `denominator` before matching,
        both times), ``variance_ratio`` (missing for 0/1 covariates), ``ecdf_mean``,
        ``ecdf_max`` (the Kolmogorov-Smirnov statistic). ``pair_distance_after``: the mean
        absolute difference within pairs or sets, in the same standard deviations.
        ``wwc_effect_size`` and its kind, ``wwc_category``; ``n_treated_before``,
        ``n_comparison_before``, ``n_treated``, ``n_comparison``: rows where the covariate is
        measured; ``ess_treated``, ``ess_comparison``: their effective sample sizes after
        matching; ``lost_treated``, ``lost_comparison``: matched ones among these without the
        outcome. The first row is the score, if there is one; it belongs to no category.
    outcome
        The rows are those where this outcome is observed; None for all matched rows.
    question
        The name of the question; empty for any data frame.
    role
        In which that question was answered; empty for any data frame.
    estimand
        Whose balance it is.
    synthetic
        Whether the data are.
    denominator
        Whose standard deviation before matching divides differences of means.
    overlap_before, overlap_after
        The area that the two densities of the linear propensity score share, from 0 to 1.
    imputations
        Of how many imputed data sets this is the mean; then ``smd_before`` and ``smd_after``
        also have columns that end in ``_low`` and ``_high``: their range over them.
    """

    table: pd.DataFrame
    outcome: Outcome | None
    question: str
    estimand: Estimand
    synthetic: bool
    denominator: Denominator = "treated"
    overlap_before: float = math.nan
    overlap_after: float = math.nan
    imputations: int = 1
    role: str = ""

    @property
    def everybody(self) -> pd.DataFrame:
        """The rows of the table that are not those of a group."""
        if "by" not in self.table:
            return self.table
        return self.table[self.table["by"] == ""]

    @property
    def covariates(self) -> pd.DataFrame:
        """The rows of everybody without that of the score."""
        table = self.everybody
        return table[~table["covariate"].isin(SCORES)]

    @property
    def words(self) -> GroupWords:
        """What the two groups and their units are called."""
        if self.question:
            return GroupWords("visited", "comparison", "student-years")
        return GroupWords("treated", "comparison", "units")

    @property
    def worst(self) -> float:
        """The largest finite absolute standardized mean difference after matching."""
        sizes = self.everybody["smd_after"].abs()
        return float(sizes[np.isfinite(sizes)].max())

    @property
    def infinite(self) -> tuple[str, ...]:
        """Labels of characteristics that differ although the denominator is 0."""
        table = self.everybody
        return tuple(table.loc[np.isinf(table["smd_after"]), "label"].astype(str))

    def summary(self) -> Table:
        """Return the table of everybody's statistics as it is shown: small counts hidden."""
        return published_balance(
            self.everybody,
            SHOWN,
            self.words,
            name="Balance",
            title="of the baseline, after matching",
            synthetic=self.synthetic,
            notes=(self._sentence(), *self._group_sentences()),
        )

    @property
    def not_equivalent(self) -> tuple[str, ...]:
        """The characteristics in which the groups were not alike, by the WWC's categories.

        Those whose category is "not satisfied" in a published table; a level of a factor stands
        by itself. What rests on too few students to be published is not judged here.
        """
        published = safe_balance(self.everybody).frame
        unlike = published.loc[published["wwc_category"] == "not satisfied", "characteristic"]
        return tuple(unlike.astype(str))

    def __repr__(self) -> str:
        """Show counts, the largest difference in words, and the rounded table; no rows of data."""
        return f"{self._head()}\n{self.summary().text()}"

    def _repr_html_(self) -> str:
        return f"<style>{TABLE_STYLE}</style><p>{escape(self._head())}</p>{self.summary().html()}"

    def _head(self) -> str:
        table = self.everybody
        label = "synthetic data, " if self.synthetic else ""
        of = f"question {self.question!r}, " if self.question else ""
        of += f"outcome {self.outcome.name!r}, " if self.outcome else ""
        counts = table["wwc_category"].value_counts()
        categories = ", ".join(f"{count} {name}" for name, count in counts.items())
        infinite = f"; infinite for {', '.join(self.infinite)}" if self.infinite else ""
        pooled = f", mean of {self.imputations} imputations" if self.imputations > 1 else ""
        return (
            f"Balance({label}{of}{self.estimand}{pooled}:\n"
            f"  {self._population()};\n"
            f"  {len(table)} characteristics{infinite}; {categories})"
        )

    def _population(self) -> str:
        words = self.words
        treated, comparison = (self._size(group) for group in ("treated", "comparison"))
        return (
            f"{treated[0]} {words.treated}{treated[1]} and {comparison[0]} {words.comparison} "
            f"{words.units}{comparison[1]}"
        )

    def _size(self, group: str) -> tuple[str, str]:
        """Return a count as it may be shown, and the effective size if weights make it less."""
        table = self.everybody
        counts = table[f"n_{group}"].to_numpy()
        at = int(counts.argmax())
        count = int(counts[at])
        shown = shown_count(shown_of(count, count + int(table[f"lost_{group}"].to_numpy()[at])))
        worth = float(table[f"ess_{group}"].to_numpy()[at]) if f"ess_{group}" in table else count
        if count < SMALLEST_COUNT_SHOWN or count - worth < 1:
            return shown, ""
        return shown, f" (worth {worth:,.0f} with equal weights)"

    def _sentence(self) -> str:
        """Say in words what is largest, among the numbers that are shown."""
        safe = safe_balance(self.everybody).frame
        sizes = safe["smd_after"].abs().where(np.isfinite(safe["smd_after"].astype(float)))
        if sizes.isna().all():
            return "No difference after matching can be shown."
        at = int(sizes.to_numpy(dtype=float, na_value=-1.0).argmax())
        before = safe["smd_before"].abs()
        before = before.where(np.isfinite(before.astype(float)))
        largest = f"; before it was {before.max():.3f}" if before.notna().any() else ""
        whose = {"treated": self.words.treated, "comparison": f"{self.words.comparison} group"}
        return (
            f"The largest standardized mean difference (SMD) after matching is {sizes[at]:.3f} "
            f"({safe['characteristic'][at]}){largest}. It is in standard deviations of "
            f"{'the ' + whose[self.denominator] if self.denominator in whose else 'both groups'} "
            "before matching. KS: the largest difference of the distributions."
        )

    def _group_sentences(self) -> list[str]:
        if "by" not in self.table:
            return []
        sentences = []
        rest = self.table[self.table["by"] != ""]
        for name, rows in rest.groupby("by", sort=False):
            few = (rows[["n_treated", "n_comparison"]] < SMALLEST_COUNT_SHOWN).any(axis=1)
            shown = rows[~few]
            sizes = shown["smd_after"].abs().to_numpy()
            sizes = np.where(np.isfinite(sizes), sizes, -1.0)
            if len(sizes) and sizes.max() >= 0:
                worst = shown.iloc[int(sizes.argmax())]
                sentences.append(
                    f"By {name} ({rows['group'].nunique()} groups) the largest difference after "
                    f"matching is {sizes.max():.3f} ({_full_label(worst)}, {name} "
                    f"{worst['group']}), among groups of at least {SMALLEST_COUNT_SHOWN}."
                )
        return sentences


def _full_label(row: pd.Series) -> str:
    return f"{row['label']}: {row['level']}" if row["level"] else str(row["label"])
