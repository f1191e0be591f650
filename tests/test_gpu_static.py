"""The table of what kernels take of a device: what is read from PTX and from ptxas."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import gpu_static
from benchmarks.kernels import float64_instructions, signatures

SAID = """\
ptxas info    : 144 bytes gmem
ptxas info    : Compiling entry function 'kernel_of_64_registers' for 'sm_80'
ptxas info    : Function properties for kernel_of_64_registers
    40 bytes stack frame, 44 bytes spill stores, 48 bytes spill loads
ptxas info    : Used 150 registers, used 1 barriers, 40 bytes cumulative stack size
ptxas info    : Compile time = 640.034 ms
ptxas info    : Function properties for __internal_accurate_pow
    8 bytes stack frame, 4 bytes spill stores, 0 bytes spill loads
"""
PTX = """\
.version 9.0
.target sm_80
.func  (.param .f64 func_retval0) half(.param .f64 half_param_0);
.visible .shared .align 8 .b8 _cudapy_smem_1[1032];
.visible .shared .align 4 .b8 _cudapy_smem_2[512];
.extern .shared .align 4 .b8 _cudapy_smem_3[];
.visible .entry kernel_of_64_registers(
	.param .u64 kernel_param_0,
	.param .f64 kernel_param_1
)
{
	.reg .f32 	%f<3>;
	.reg .f64 	%fd<5>;
	ld.param.f64 	%fd1, [kernel_param_1];
	mov.f64 	%fd2, 0d3FF0000000000000;
	add.rn.f32 	%f2, %f1, %f1;
	cvt.f64.f32 	%fd3, %f2;
	fma.rn.f64 	%fd4, %fd3, %fd1, %fd2;
	fma.rn.f64 	%fd4, %fd4, %fd1, %fd2;
	ret;
}
"""


def test_numbers_of_a_kernel_and_of_what_it_calls():
    assert gpu_static.figures(SAID, PTX) == {
        "registers": 150, "spill_stores": 48, "spill_loads": 48, "stack": 48,
        "shared": 1544, "shared_at_launch": True, "float64": 3,
    }  # fmt: skip
    assert float64_instructions(PTX) == ["cvt.f64.f32", "fma.rn.f64", "fma.rn.f64"]


def test_a_report_that_cannot_be_read_is_no_row_of_zeros():
    with pytest.raises(ValueError):
        gpu_static.figures("ptxas info    : 0 bytes gmem", PTX)


def test_table_names_both_capabilities_where_they_differ():
    plain = gpu_static.figures("Used 32 registers", "")
    results = {
        "8.0": {"stft._forward": plain, "synth._forward": gpu_static.figures(SAID, PTX)},
        "9.0": {"stft._forward": plain, "synth._forward": plain},
    }
    assert gpu_static.table(results).splitlines() == [
        "Compute capability 8.0 / 9.0:",
        "",
        "| kernel | registers | spills | shared | float64 |",
        "|---|---:|---:|---:|---:|",
        "| stft._forward | 32 | 0 | 0 | 0 |",
        "| synth._forward | 150 / 32 | 48 + 48 / 0 | 1544 + / 0 | 3 / 0 |",
    ]


def test_what_is_missing_is_said_in_one_line(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["gpu_static"])
    monkeypatch.setattr(gpu_static, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"install spectralot\[cuda\]$"):
        gpu_static.main()
    monkeypatch.setattr(gpu_static, "find_spec", lambda name: name)
    monkeypatch.setattr(gpu_static.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match=r"^ptxas is not on PATH: .*$"):
        gpu_static.main()


def test_page_is_filled_between_its_marks(tmp_path, monkeypatch, capsys):
    page = tmp_path / "gpu.md"
    page.write_text("before\n<!-- static -->\nold\n<!-- end of static -->\nafter\n")
    plain = gpu_static.figures("Used 32 registers", "")
    monkeypatch.setattr(gpu_static, "study", lambda capabilities: {"7.5": {"a": plain}})
    monkeypatch.setattr(gpu_static, "find_spec", lambda name: name)
    monkeypatch.setattr(gpu_static, "version", lambda name: "1.0")
    monkeypatch.setattr(gpu_static.shutil, "which", lambda name: name)
    monkeypatch.setattr(sys, "argv", ["gpu_static", "--page", str(page)])
    gpu_static.main()
    text = gpu_static.table({"7.5": {"a": plain}})
    start, end = "before\n<!-- static -->\n", "\n<!-- end of static -->\nafter\n"
    assert page.read_text() == start + text + end and capsys.readouterr().out == text + "\n"
    page.write_text("no marks")
    with pytest.raises(SystemExit, match="2"):
        gpu_static.main()
    assert "must be a page with <!-- static -->" in capsys.readouterr().err


def test_a_kernel_from_source_to_numbers():
    pytest.importorskip("numba_cuda", reason="compiles for a device: install spectralot[cuda]")
    if shutil.which("ptxas") is None:
        pytest.skip("ptxas is not on PATH")
    from numba import types

    arguments = signatures(types)["stft"]["_vertical"]
    try:
        found = gpu_static.measure("stft", "_vertical", arguments, (8, 0))
    except subprocess.CalledProcessError as error:
        if "Unsupported .version" not in error.stderr:
            raise
        pytest.skip(f"ptxas is older than NVVM: {error.stderr.splitlines()[0]}")
    # a float32 for each of 128 threads, and the frame, whose size only the launch knows
    assert found["shared"] == 4 * 128 and found["shared_at_launch"] and found["float64"] == 0
    assert 16 <= found["registers"] <= 255 and found["spill_stores"] == found["spill_loads"] == 0
