"""A precision is what matrix products are computed in; a run says which it wants, or leaves it to the device."""

from typing import Literal

Precision = Literal["float32", "bfloat16"]
WantedPrecision = Literal["auto", "float32", "bfloat16"]
