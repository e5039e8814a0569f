"""What is wrong with an input: found by one function, worded once, for checks and for packaging.

Checks list all faults as findings. Packaging refuses the first one that stops it, and says the
others on stderr.
"""

import dataclasses
import enum
import sys
from collections.abc import Iterable

from refinevad_jax.errors import UserError


class Weight(enum.Enum):
    """What packaging does about a fault. Checks count the first two as problems."""

    REFUSED = "error"
    WARNED = "warning"
    NOTED = "note"


@dataclasses.dataclass(frozen=True)
class Fault:
    """One sort of fault and where it is.

    Attributes:
        kind: a few words, the same for the same sort.
        places: a phrase each: which list, line and video, and what is the matter there.
        message: what that means or what to do, one line.
        weight: what packaging does about it.
        noun: what the places are, for their number.
    """

    kind: str
    places: tuple[str, ...]
    message: str
    weight: Weight
    noun: str = "video"


def tell(faults: Iterable[Fault]) -> None:
    """Says on stderr what does not stop the work. Raises UserError for the first fault that does.

    Faults without a place are none.
    """
    found = [fault for fault in faults if fault.places]
    for fault in found:
        if fault.weight is Weight.REFUSED:
            raise UserError(f"{fault.places[0]}; {fault.message}")
    for fault in found:
        places = "; ".join([*fault.places[:3], *(["..."] if len(fault.places) > 3 else [])])
        number = f" ({len(fault.places)} in all)" if len(fault.places) > 3 else ""
        print(
            f"{fault.weight.value}: {fault.kind}: {places}{number}; {fault.message}",
            file=sys.stderr,
        )
