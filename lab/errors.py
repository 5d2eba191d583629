"""What may stop the lab, said so that a person can act on it."""


class LabError(Exception):
    """The lab cannot go on; the text says why and what to do."""
