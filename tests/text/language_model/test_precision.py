"""bfloat16 is used where the device has instructions for it, and nowhere else."""

import pytest

torch = pytest.importorskip("torch", reason="language models need torch")

from hf_unlearnable.text.language_model.training import computes_bf16  # noqa: E402


@pytest.mark.parametrize(
    ("device", "gpu", "gpu_bf16", "cpu_bf16", "computes"),
    [
        ("cuda", True, True, False, True),  # an A100
        ("cuda", True, False, True, False),  # a T4, which only emulates it
        ("cuda", False, True, True, False),
        ("cpu", False, False, True, True),  # AVX-512 or AMX
        ("cpu", True, True, False, False),
        ("mps", True, True, True, False),
        ("xpu", False, False, True, False),
    ],
)
def test_bf16_is_chosen_by_the_device_that_computes(device, gpu, gpu_bf16, cpu_bf16, computes, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: gpu_bf16 or including_emulation
    )
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: cpu_bf16)
    assert computes_bf16(device) is computes
