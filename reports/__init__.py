"""The facts of a run, to read: one record (JSON, pictures inside) and its HTML page.

Names are loaded on first use.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.codec import from_json as from_json
    from reports.codec import load_record as load_record
    from reports.codec import to_json as to_json
    from reports.evidence import features_section as features_section
    from reports.evidence import gram_section as gram_section
    from reports.evidence import layers_section as layers_section
    from reports.evidence import saliency_section as saliency_section
    from reports.html import render_html as render_html
    from reports.record import Record as Record
    from reports.record import Section as Section
    from reports.sections import optimisation_section as optimisation_section
    from reports.sections import outcome_section as outcome_section
    from reports.sections import region_section as region_section
    from reports.sections import reproduce_section as reproduce_section
    from reports.sections import result_section as result_section
    from reports.store import ImageStore as ImageStore
    from reports.store import RecordBuilder as RecordBuilder

_HOMES = {
    "from_json": "reports.codec",
    "load_record": "reports.codec",
    "to_json": "reports.codec",
    "features_section": "reports.evidence",
    "gram_section": "reports.evidence",
    "layers_section": "reports.evidence",
    "saliency_section": "reports.evidence",
    "render_html": "reports.html",
    "Record": "reports.record",
    "Section": "reports.record",
    "optimisation_section": "reports.sections",
    "outcome_section": "reports.sections",
    "region_section": "reports.sections",
    "reproduce_section": "reports.sections",
    "result_section": "reports.sections",
    "ImageStore": "reports.store",
    "RecordBuilder": "reports.store",
}
__all__ = [
    "ImageStore",
    "Record",
    "RecordBuilder",
    "Section",
    "features_section",
    "from_json",
    "gram_section",
    "layers_section",
    "load_record",
    "optimisation_section",
    "outcome_section",
    "region_section",
    "render_html",
    "reproduce_section",
    "result_section",
    "saliency_section",
    "to_json",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
