# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The kfuncs of Debian's modules and of its kernel.

Flags are those of the BTF_ID_FLAGS() lines in the kernel's source.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bpf.test_kfuncs_command import run
from conftest import missing, or_missing
from kbtf import Kind, Module, open_btf
from kbtf.bpf.audit.args import audit_args, audit_result
from kbtf.bpf.audit.flags import audit_flags, audit_iterator
from kbtf.bpf.audit.rules import audit
from kbtf.bpf.audit.verifier import verifier_of
from kbtf.bpf.kfuncs import read_kfuncs
from kbtf.ids import kfunc_flags as kf
from oracles import build as oracles

DEBIAN = {
    "net/netfilter/nf_conntrack": {
        "bpf_xdp_ct_alloc": "KF_ACQUIRE | KF_RET_NULL",
        "bpf_xdp_ct_lookup": "KF_ACQUIRE | KF_RET_NULL",
        "bpf_skb_ct_alloc": "KF_ACQUIRE | KF_RET_NULL",
        "bpf_skb_ct_lookup": "KF_ACQUIRE | KF_RET_NULL",
        "bpf_ct_insert_entry": "KF_ACQUIRE | KF_RELEASE | KF_RET_NULL",
        "bpf_ct_release": "KF_RELEASE",
        "bpf_ct_set_timeout": "KF_TRUSTED_ARGS",
        "bpf_ct_change_timeout": "KF_TRUSTED_ARGS",
        "bpf_ct_set_status": "KF_TRUSTED_ARGS",
        "bpf_ct_change_status": "KF_TRUSTED_ARGS",
    },
    "net/netfilter/nf_nat": {"bpf_ct_set_nat_info": "KF_TRUSTED_ARGS"},
    "net/netfilter/nf_flow_table": {"bpf_xdp_flow_lookup": "KF_RET_NULL | KF_TRUSTED_ARGS"},
    "net/xfrm/xfrm_interface": {"bpf_skb_get_xfrm_info": "", "bpf_skb_set_xfrm_info": ""},
    "net/ipv4/tcp_bbr": dict.fromkeys(
        [
            "bbr_init",
            "bbr_main",
            "bbr_sndbuf_expand",
            "bbr_undo_cwnd",
            "bbr_cwnd_event",
            "bbr_ssthresh",
            "bbr_min_tso_segs",
            "bbr_set_state",
        ],
        "",
    ),
    "net/ipv4/tcp_dctcp": dict.fromkeys(
        [
            "dctcp_init",
            "dctcp_update_alpha",
            "dctcp_cwnd_event",
            "dctcp_ssthresh",
            "dctcp_cwnd_undo",
            "dctcp_state",
        ],
        "",
    ),
    "net/ipv4/fou": {"bpf_skb_set_fou_encap": "", "bpf_skb_get_fou_encap": ""},
}
"""The modules of Debian's 6.12 that have .BTF_ids, and the flags of the kfuncs in their source."""


def flags_of(row: dict[str, Any]) -> dict[str, str]:
    """The kfuncs of a module in the JSON, with their flags."""
    return {
        entry["name"]: " | ".join(entry["flags"])
        for id_set in row["sets"]
        if id_set["kind"] == "kfunc set"
        for entry in id_set["entries"]
    }


@pytest.mark.integration
def test_the_kfuncs_of_debian_s_modules_have_their_flags_and_no_errors(headers: Path) -> None:
    release = headers.name.removeprefix("linux-headers-")
    folder = Path("/lib/modules") / release / "kernel"
    if not folder.is_dir():
        missing(f"no modules of {release}")
    paths = [str(folder / f"{name}.ko.xz") for name in DEBIAN]

    done = run("--json", "--base", headers / "vmlinux", *paths)

    assert done.returncode == 0, done.stderr
    rows = {row["module"]: row for row in json.loads(done.stdout)["modules"]}
    for path, expected in zip(paths, DEBIAN.values(), strict=True):
        assert flags_of(rows[path]) == expected
        worse = [f for f in rows[path]["findings"] if f["severity"] != "note"]
        assert worse == []
    (lookup,) = rows[paths[2]]["sets"][0]["entries"]
    assert lookup["prototype"] == (
        "struct flow_offload_tuple_rhash *bpf_xdp_flow_lookup(struct xdp_md *ctx, "
        "struct bpf_fib_lookup *fib_tuple, struct bpf_flowtable_opts *opts, u32 opts_len)"
    )
    lists = [s for s in rows[paths[0]]["sets"] if s["kind"] == "list"]
    assert [entry["name"] for entry in lists[0]["entries"]] == ["nf_conn", "nf_conn___init"]


@pytest.mark.parametrize("name", ["fou", "tcp_dctcp", "xfrm_interface"])
def test_the_corpus_is_read_unresolved_plain_and_distilled(name: str, corpus: Path) -> None:
    (expected,) = [flags for path, flags in DEBIAN.items() if path.endswith(f"/{name}")]
    kfuncs = read_kfuncs(Module.open(str(corpus / "btf_ids" / f"{name}.distilled.ko")))
    (group,) = kfuncs.groups

    assert {e.name: kf.spell_flags(e.flags) for e in group.entries} == expected
    assert all(e.prototype for e in group.entries)
    assert [f.code for f in audit(kfuncs) if f.severity.value != "note"] == ["ids-unresolved"]

    module = Module.open(str(corpus / "btf_ids" / f"{name}.distilled.ko"))
    module.btf_ids = (corpus / "btf_ids" / f"{name}.distilled.ids").read_bytes()
    kfuncs = read_kfuncs(Module(module.to_bytes(), f"{name}.ko"))
    assert {e.name: kf.spell_flags(e.flags) for e in kfuncs.groups[0].entries} == expected
    assert [f.code for f in audit(kfuncs)] == ["no-tag"]


SPECIAL = {
    "bpf_obj_new_impl",
    "bpf_percpu_obj_new_impl",
    "bpf_obj_drop_impl",
    "bpf_percpu_obj_drop_impl",
    "bpf_refcount_acquire_impl",
    "bpf_cast_to_kern_ctx",
}
"""Kfuncs of vmlinux that the verifier knows by name, and for which it makes exceptions."""


@pytest.mark.integration
def test_the_kernel_s_own_kfuncs_break_no_rule(headers: Path) -> None:
    with or_missing():
        source = oracles.kernel_source()
    btf = open_btf(str(headers / "vmlinux"))
    verifier = verifier_of(btf, headers.name)
    bits = {flag.name: 1 << flag.bit for flag in kf.FLAGS}
    broken, seen = set(), 0
    for path in (source / "kernel" / "bpf").glob("*.c"):
        text = path.read_text()
        for name, words in re.findall(r"^BTF_ID_FLAGS\(func, (\w+)(?:, ([\w| ]+))?\)", text, re.M):
            func = btf.find(name, Kind.FUNC)
            if func is None:
                continue
            flags = sum(bits[word.strip()] for word in words.split("|") if word.strip())
            proto = btf[func.size_or_type]
            findings = [*audit_args(func, proto, flags, verifier), *audit_result(func, proto)]
            findings += audit_flags(func, proto, flags, verifier)
            findings += audit_iterator(func, proto, flags)
            broken |= {name for finding in findings if finding.severity.value == "error"}
            seen += 1
    assert seen > 80
    assert broken == SPECIAL
