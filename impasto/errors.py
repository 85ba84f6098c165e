"""Every error that impasto raises on purpose.

* ImpastoError
  + UsageError           the request itself is wrong (exit code 2)
    - MissingExtra       a part of impasto that is not installed
  + PictureError         a picture cannot be read, or is not what it must be
    - UnreadablePicture  missing, damaged, not a picture
    - UnfitPicture       too small, too large, a shape that does not fit
  + WeightsError         a weight or style file is wrong, damaged, or from another program
  + OutputError          the result cannot be written
    - OutputExists       a file is there already, and it was not said to replace it
  + PaintingError        the work went wrong: NaN, a flat or gray result

A caller writes::

    try:
        impasto.stylize("photo.jpg", "painting.jpg")
    except impasto.ImpastoError as error:
        print(error)
"""


class ImpastoError(Exception):
    """Anything that impasto could not do, said in one line: what was wrong, the value received, what to do."""


class UsageError(ImpastoError, ValueError):
    """The request itself is wrong: an option's value, a combination, a name that does not exist."""


class MissingExtra(UsageError):
    """A part of impasto that needs a package which is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs packages that are not installed: pip install 'impasto[{extra}]'")


class PictureError(ImpastoError):
    """A picture cannot be used."""


class UnreadablePicture(PictureError):
    """A picture is missing, damaged or not a picture at all."""


class UnfitPicture(PictureError, ValueError):
    """A picture was read but cannot serve: too small, too large, or a shape that does not fit."""


class WeightsError(ImpastoError):
    """A weight or style file is damaged, from another program, or from a newer version."""


class OutputError(ImpastoError, OSError):
    """The result cannot be written."""


class OutputExists(OutputError):
    """A file is there already and was not to be replaced."""


class PaintingError(ImpastoError):
    """The optimization went wrong: values that are not numbers, or a flat picture."""
