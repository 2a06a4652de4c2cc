"""Prompt `things`: the subject, whatever it is, by a network made for that (`segment.segmenters.things`)."""

from segment.prompts.person import PersonPrompt


class ThingsPrompt(PersonPrompt):
    """As `SegmenterPrompt`; `auto` follows it where the network is sure."""

    needs = "things"
