"""Impact evaluation of teacher home visits: from a district's files to a report.

A study is six calls in a row::

    design = read_design("study.toml")
    sources = read_sources("extracts")
    panel = build_panel(sources)
    sample = select_sample(panel, design)
    matched = match_students(sample)
    effect = estimate_effect(matched, "attendance_rate")

or one: ``evaluate(sources, design)``. Names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from homevisit_eval.balance import (
        Balance,
        Distribution,
        assess_balance,
        assess_frame_balance,
        effective_sample_sizes,
        frame_distribution,
        pool_balance,
        sample_distribution,
    )
    from homevisit_eval.censoring import (
        follow_without_visits,
    )
    from homevisit_eval.certificate import Certificate, certify, certify_iter
    from homevisit_eval.design import (
        AbadieImbens,
        CardinalityMatching,
        CoarsenedExactMatching,
        Coarsening,
        CompleteCases,
        CountMargins,
        Covariate,
        CovariateCaliper,
        DifferenceInMeans,
        DoublyRobust,
        Eligibility,
        EntropyBalancing,
        ExactMatching,
        FixedEffects,
        FullMatching,
        InverseProbability,
        LogisticMargins,
        Measurement,
        MissingIndicator,
        MultipleImputation,
        NearestNeighbor,
        NoMatching,
        OptimalPairs,
        Outcome,
        OverlapWeights,
        Question,
        RandomIntercept,
        RiskSets,
        StudyDesign,
        Subclassification,
        TimingContrast,
        Variation,
        design_checksum,
        design_text,
        read_design,
    )
    from homevisit_eval.effects import (
        Effect,
        EffectDifference,
        FrameEffect,
        StandardErrors,
        SubgroupEffects,
        compare_effects,
        compare_standard_errors,
        estimate_effect,
        estimate_frame_effect,
        estimate_subgroups,
        pool_effects,
        pool_frame_effects,
    )
    from homevisit_eval.errors import (
        DesignError,
        EstimationError,
        HomeVisitEvalError,
        MatchingError,
        OutputError,
        SourceError,
    )
    from homevisit_eval.evaluation import Answer, Evaluation, evaluate
    from homevisit_eval.matching import (
        Estimand,
        MatchedSample,
        Matches,
        cross_fitted_scores,
        match_frame,
        match_students,
    )
    from homevisit_eval.multiplicity import adjust_p_values
    from homevisit_eval.panel import Panel, build_panel
    from homevisit_eval.report import (
        Report,
        build_certificate,
        build_report,
        figures,
        tables,
    )
    from homevisit_eval.sample import (
        AnalyticSample,
        FlowStep,
        expand_risk_sets,
        impute_baseline,
        select_sample,
    )
    from homevisit_eval.sources import (
        SourceReport,
        Sources,
        check_sources,
        data_dictionary,
        read_sources,
    )
    from homevisit_eval.synthetic import (
        District,
        Simulation,
        follow_up_truth,
        landmark_truth,
        preset,
        read_district,
        simulate,
        write_simulation,
        write_state,
    )
    from homevisit_eval.table import Table
    from homevisit_eval.timing import (
        TimingDifference,
        contrast_timing,
    )
    from homevisit_eval.truth import read_truth, true_effect

__version__: str

_HOMES = {
    "balance": (
        "Balance",
        "Distribution",
        "assess_balance",
        "assess_frame_balance",
        "effective_sample_sizes",
        "frame_distribution",
        "pool_balance",
        "sample_distribution",
    ),
    "certificate": ("Certificate", "certify", "certify_iter"),
    "design": (
        "AbadieImbens",
        "CardinalityMatching",
        "CoarsenedExactMatching",
        "Coarsening",
        "CompleteCases",
        "CountMargins",
        "Covariate",
        "CovariateCaliper",
        "DifferenceInMeans",
        "DoublyRobust",
        "Eligibility",
        "EntropyBalancing",
        "ExactMatching",
        "FixedEffects",
        "FullMatching",
        "InverseProbability",
        "LogisticMargins",
        "Measurement",
        "MissingIndicator",
        "MultipleImputation",
        "NearestNeighbor",
        "NoMatching",
        "OptimalPairs",
        "Outcome",
        "OverlapWeights",
        "Question",
        "RandomIntercept",
        "RiskSets",
        "StudyDesign",
        "Subclassification",
        "TimingContrast",
        "Variation",
        "design_checksum",
        "design_text",
        "read_design",
    ),
    "effects": (
        "Effect",
        "EffectDifference",
        "FrameEffect",
        "StandardErrors",
        "SubgroupEffects",
        "compare_effects",
        "compare_standard_errors",
        "estimate_effect",
        "estimate_frame_effect",
        "estimate_subgroups",
        "pool_effects",
        "pool_frame_effects",
    ),
    "censoring": ("follow_without_visits",),
    "errors": (
        "DesignError",
        "EstimationError",
        "HomeVisitEvalError",
        "MatchingError",
        "OutputError",
        "SourceError",
    ),
    "evaluation": ("Answer", "Evaluation", "evaluate"),
    "matching": (
        "Estimand",
        "MatchedSample",
        "Matches",
        "cross_fitted_scores",
        "match_frame",
        "match_students",
    ),
    "multiplicity": ("adjust_p_values",),
    "panel": ("Panel", "build_panel"),
    "report": ("Report", "build_certificate", "build_report", "figures", "tables"),
    "sample": (
        "AnalyticSample",
        "FlowStep",
        "expand_risk_sets",
        "impute_baseline",
        "select_sample",
    ),
    "sources": ("SourceReport", "Sources", "check_sources", "data_dictionary", "read_sources"),
    "synthetic": (
        "District",
        "Simulation",
        "follow_up_truth",
        "landmark_truth",
        "preset",
        "read_district",
        "simulate",
        "write_simulation",
        "write_state",
    ),
    "table": ("Table",),
    "timing": (
        "TimingDifference",
        "contrast_timing",
    ),
    "truth": ("read_truth", "true_effect"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AbadieImbens",
    "AnalyticSample",
    "Answer",
    "Balance",
    "CardinalityMatching",
    "Certificate",
    "CoarsenedExactMatching",
    "Coarsening",
    "CompleteCases",
    "CountMargins",
    "Covariate",
    "CovariateCaliper",
    "DesignError",
    "DifferenceInMeans",
    "Distribution",
    "District",
    "DoublyRobust",
    "Effect",
    "EffectDifference",
    "Eligibility",
    "EntropyBalancing",
    "Estimand",
    "EstimationError",
    "Evaluation",
    "ExactMatching",
    "FixedEffects",
    "FlowStep",
    "FrameEffect",
    "FullMatching",
    "HomeVisitEvalError",
    "InverseProbability",
    "LogisticMargins",
    "MatchedSample",
    "Matches",
    "MatchingError",
    "Measurement",
    "MissingIndicator",
    "MultipleImputation",
    "NearestNeighbor",
    "NoMatching",
    "OptimalPairs",
    "Outcome",
    "OutputError",
    "OverlapWeights",
    "Panel",
    "Question",
    "RandomIntercept",
    "Report",
    "RiskSets",
    "Simulation",
    "SourceError",
    "SourceReport",
    "Sources",
    "StandardErrors",
    "StudyDesign",
    "Subclassification",
    "SubgroupEffects",
    "Table",
    "TimingContrast",
    "TimingDifference",
    "Variation",
    "adjust_p_values",
    "assess_balance",
    "assess_frame_balance",
    "build_certificate",
    "build_panel",
    "build_report",
    "certify",
    "certify_iter",
    "check_sources",
    "compare_effects",
    "compare_standard_errors",
    "contrast_timing",
    "cross_fitted_scores",
    "data_dictionary",
    "design_checksum",
    "design_text",
    "effective_sample_sizes",
    "estimate_effect",
    "estimate_frame_effect",
    "estimate_subgroups",
    "evaluate",
    "expand_risk_sets",
    "figures",
    "follow_up_truth",
    "follow_without_visits",
    "frame_distribution",
    "impute_baseline",
    "landmark_truth",
    "match_frame",
    "match_students",
    "pool_balance",
    "pool_effects",
    "pool_frame_effects",
    "preset",
    "read_design",
    "read_district",
    "read_sources",
    "read_truth",
    "sample_distribution",
    "select_sample",
    "simulate",
    "tables",
    "true_effect",
    "write_simulation",
    "write_state",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("homevisit-eval")
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home: ModuleType = import_module(f"{__name__}.{_HOME_OF[name]}")
    if name in ("figures", "tables"):
        return import_module(f"{home.__name__}.{name}")
    return getattr(home, name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
