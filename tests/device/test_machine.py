"""The peak is that of products that were really made, and measuring it disturbs nobody's random numbers."""

import pytest
import torch

from pipeline.device.peak import best_seconds, gpus, matmul_peak, products_library


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_peak_is_measured_once_a_process(dtype: torch.dtype) -> None:
    found = matmul_peak("cpu", dtype)
    assert 1e8 < found < 1e15
    assert matmul_peak(torch.device("cpu"), dtype) == found


def test_random_numbers_stay_as_they_were() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    matmul_peak("cpu", torch.float64)
    assert torch.equal(torch.rand(3), expected)


def test_the_first_run_warms_up_and_does_not_count() -> None:
    runs: list[float] = []
    left = torch.ones(900, 900)

    def product() -> None:
        for _ in range(1 if runs else 8):
            left @ left
        runs.append(0)

    assert best_seconds(product, left) > 0
    assert len(runs) >= 4


def test_what_is_there_is_named() -> None:
    assert len(gpus()) == torch.cuda.device_count()
    assert products_library()
