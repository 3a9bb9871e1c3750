# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Writes the sources of drivers of some size: many files, thousands of types, and kfuncs."""

from __future__ import annotations

import random
from pathlib import Path

FILES = 32
STRUCTS = 40
"""In each file; enums, unions, typedefs and prototypes of functions come with them."""
KFUNCS = 4

HEADERS = (
    "bpf", "btf", "btf_ids", "cdev", "completion", "debugfs", "dma-mapping", "etherdevice", "fs",
    "hrtimer", "i2c", "idr", "interrupt", "kfifo", "kthread", "list", "mm", "module", "mutex",
    "netdevice", "pci", "platform_device", "poll", "rbtree", "regmap", "skbuff", "spi/spi",
    "usb", "wait", "workqueue", "xarray",
)  # fmt: skip
EMBEDDED = (
    "struct list_head", "struct mutex", "spinlock_t", "atomic64_t", "struct work_struct",
    "struct completion", "wait_queue_head_t", "struct rb_root", "struct xarray", "struct cdev",
    "struct hrtimer", "struct timer_list", "struct kref", "bool", "u8", "u16", "unsigned long",
    "long long", "short", "dma_addr_t", "char",
)  # fmt: skip
POINTED = (
    "struct net_device", "struct sk_buff", "struct pci_dev", "struct usb_device", "struct file",
    "struct task_struct", "struct i2c_client", "struct spi_device", "struct regmap",
    "struct dentry", "struct vm_area_struct", "struct platform_device", "const struct device",
    "void", "volatile u32", "const char",
)  # fmt: skip


def write_driver(folder: Path, name: str, *, files: int = FILES, structs: int = STRUCTS) -> Path:
    """The sources of the module *name* and its Makefile; the same for the same arguments."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = random.Random(name)  # noqa: S311 - it is to be the same each time
    objects = " ".join(f"{name}_{number}.o" for number in range(files))
    (folder / "Makefile").write_text(f"obj-m := {name}.o\n{name}-y := {name}_main.o {objects}\n")
    includes = "".join(f"#include <linux/{header}.h>\n" for header in HEADERS)
    (folder / f"{name}.h").write_text(
        f"{includes}struct {name}_shared {{ struct list_head link; struct device *dev; }};\n"
        + "".join(f"long {name}_{number}(struct {name}_shared *s);\n" for number in range(files))
    )
    for number in range(files):
        part = f"{name}_{number}"
        (folder / f"{part}.c").write_text(_part(name, part, structs, chosen))
    (folder / f"{name}_main.c").write_text(_main(name, files))
    return folder


def _part(name: str, part: str, structs: int, chosen: random.Random) -> str:
    lines = [f'#include "{name}.h"']
    for number in range(structs):
        own = f"{part}_t{number}"
        before = f"struct {part}_t{number - 1}" if number else f"struct {name}_shared"
        lines.append(f"enum {own}_state {{ {own.upper()}_OFF, {own.upper()}_ON = {number} }};")
        lines.append(f"typedef int (*{own}_f)({chosen.choice(POINTED)} *p, {before} *b, long n);")
        lines.append(f"struct {own} {{")
        for at in range(chosen.randint(2, 6)):
            lines.append(f"\t{chosen.choice(EMBEDDED)} e{at};")
            lines.append(f"\t{chosen.choice(POINTED)} *p{at};")
        lines.append(f"\tunion {{ u64 whole; u32 half[2]; {before} *link; }};")
        lines.append(f"\tunsigned int low:{chosen.randint(1, 9)}, high:{chosen.randint(1, 9)};")
        lines.append(f"\t{own}_f call;\n\tenum {own}_state state;\n\tu16 many[{number + 1}];\n}};")
        lines.append(f"static struct {own} *{own}_all[2] __used;")
    last = f"{part}_t{structs - 1}"
    lines.append(
        f"long {part}(struct {name}_shared *s)\n{{\n"
        f"\treturn {last}_all[0] ? {last}_all[0]->low : !list_empty(&s->link);\n}}\n"
    )
    return "\n".join(lines)


def _main(name: str, files: int) -> str:
    calls = "".join(f"\tsum += {name}_{number}(&shared);\n" for number in range(files))
    kfuncs = [f"{name}_kfunc{number}" for number in range(KFUNCS)]
    defined = "".join(
        f"__bpf_kfunc u64 {kfunc}(struct task_struct *task, u64 x) {{ return task->pid + x; }}\n"
        for kfunc in kfuncs
    )
    listed = "".join(f"BTF_ID_FLAGS(func, {kfunc}, KF_TRUSTED_ARGS)\n" for kfunc in kfuncs)
    return f"""\
#include "{name}.h"
static struct {name}_shared shared = {{ .link = LIST_HEAD_INIT(shared.link) }};
__bpf_kfunc_start_defs();
{defined}__bpf_kfunc_end_defs();
BTF_KFUNCS_START({name}_ids)
{listed}BTF_KFUNCS_END({name}_ids)
static const struct btf_kfunc_id_set {name}_set = {{ .owner = THIS_MODULE, .set = &{name}_ids }};
static int __init {name}_init(void)
{{
	long sum = 0;

{calls}	pr_debug("%ld\\n", sum);
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_TRACING, &{name}_set);
}}
static void __exit {name}_exit(void) {{ }}
module_init({name}_init);
module_exit({name}_exit);
MODULE_DESCRIPTION("generated");
MODULE_LICENSE("GPL");
"""
