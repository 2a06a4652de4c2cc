"""The facts of a run, to read: one record (JSON, pictures inside) and its HTML page.

Names are loaded on first use.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.codec import from_json as from_json
    from reports.codec import load_record as load_record
    from reports.codec import to_json as to_json
    from reports.features import features_section as features_section
    from reports.gram import gram_section as gram_section
    from reports.gram import gram_sections as gram_sections
    from reports.html import render_html as render_html
    from reports.layers import layers_section as layers_section
    from reports.maximise import maximise_section as maximise_section
    from reports.record import Record as Record
    from reports.record import Section as Section
    from reports.region import region_section as region_section
    from reports.reproduce import reproduce_section as reproduce_section
    from reports.restyling import optimisation_section as optimisation_section
    from reports.restyling import result_section as result_section
    from reports.rulers import outcome_section as outcome_section
    from reports.saliency import methods_section as methods_section
    from reports.saliency import saliency_section as saliency_section
    from reports.sanity import sanity_section as sanity_section
    from reports.store import ImageStore as ImageStore
    from reports.store import RecordBuilder as RecordBuilder

_HOMES = {
    "from_json": "reports.codec",
    "load_record": "reports.codec",
    "to_json": "reports.codec",
    "features_section": "reports.features",
    "gram_section": "reports.gram",
    "layers_section": "reports.layers",
    "saliency_section": "reports.saliency",
    "gram_sections": "reports.gram",
    "render_html": "reports.html",
    "maximise_section": "reports.maximise",
    "Record": "reports.record",
    "Section": "reports.record",
    "methods_section": "reports.saliency",
    "sanity_section": "reports.sanity",
    "optimisation_section": "reports.restyling",
    "outcome_section": "reports.rulers",
    "region_section": "reports.region",
    "reproduce_section": "reports.reproduce",
    "result_section": "reports.restyling",
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
    "gram_sections",
    "layers_section",
    "load_record",
    "maximise_section",
    "methods_section",
    "optimisation_section",
    "outcome_section",
    "region_section",
    "render_html",
    "reproduce_section",
    "result_section",
    "saliency_section",
    "sanity_section",
    "to_json",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
