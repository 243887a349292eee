"""The precision is the number format of matrix products; "auto" chooses it by the device."""

from typing import Literal

Precision = Literal["float32", "bfloat16"]
WantedPrecision = Literal["auto", "float32", "bfloat16"]
