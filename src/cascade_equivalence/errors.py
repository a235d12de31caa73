"""The one exception a user is meant to see."""


class StudyError(Exception):
    """Something the user can put right: the message says what is wrong, where, and what to do."""
