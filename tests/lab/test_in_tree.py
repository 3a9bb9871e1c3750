# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The stand-in for resolve_btfids beside the newest original, on the kernel's own modules."""

from __future__ import annotations

import lzma
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbtf import Module, open_btf, read_ids

from .kernels import modules
from .test_resolve_btfids import Kernel, side_by_side

if TYPE_CHECKING:
    from .debian import Debian

pytestmark = pytest.mark.integration

WANTED = 40
# Small ones, of those that have .BTF_ids in 7.3: sets of kfuncs, lists of tracepoints and others.
NAMES = """
9pnet applespi binder_linux cachefiles cros-ec-proto cros-ec-sensorhub dwc3 erofs firewire-core
firewire-ohci fou gpu-sched hv_balloon i40e iavf ib_umad intel-ish-ipc intel_ifs jbd2 kyber-iosched
l2tp_core libata mhi mmc_core nbd nf_nat null_blk nvme-core pwc qrtr scsi_mod scsi_transport_iscsi
snd-firewire-lib snd-firewire-motu snd-hda-codec snd-hda-intel snd-soc-core surface_aggregator
tcp_bbr tcp_dctcp udc-core ufshcd-core vmw_vsock_virtio_transport_common watchdog xfrm_interface
zonefs
"""


def unresolved(module: Module) -> bytes:
    """A module as the linker left it; flags of sets stay where resolve_btfids moved them."""
    ids = read_ids(module.image)
    assert ids is not None
    words = list(ids.words)
    for at in (*ids.id_words, *(id_set.at for id_set in ids.sets)):
        words[at] = 0
    module.set_section(".BTF_ids", ids._replace(words=tuple(words)).to_bytes())
    return module.to_bytes()


def test_modules_of_the_kernel(lab: Debian, run_dir: Path) -> None:
    release = lab.release("7.x")
    vmlinux = lab.vmlinux(release)
    kernel = Kernel(lab.resolve_btfids(release), vmlinux, open_btf(str(vmlinux), cache=False))
    compared = 0
    for path in modules(lab, release):
        if path.name.partition(".")[0] not in NAMES.split():
            continue
        data = path.read_bytes()
        module = Module(lzma.decompress(data) if path.suffix == ".xz" else data, path.name)
        btf = module.image.data(".BTF")
        if btf is None or module.btf_ids is None:
            continue
        said = side_by_side(kernel, unresolved(module), btf, "-v", "--distill_base")
        assert said.code == 0, said
        assert Path("m.ko.BTF_ids").read_bytes() != bytes(len(module.btf_ids))
        compared += 1
    assert compared >= WANTED
