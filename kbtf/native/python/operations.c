/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Operations on one Index. */
#include "objects.h"

PyObject *check_fit(PyObject *module, PyObject *arg)
{
	const struct module_state *state = PyModule_GetState(module);
	const struct btf *split = btf_of(state, arg);
	struct btf_error err;
	int failed;

	if (!split)
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	failed = btf_fits(split, &err);
	Py_END_ALLOW_THREADS
	return failed ? raise_btf_error(state, &err) : Py_NewRef(Py_None);
}

PyObject *distill(PyObject *module, PyObject *arg)
{
	const struct module_state *state = PyModule_GetState(module);
	const struct btf *split = btf_of(state, arg);
	struct distilled out;
	struct btf_error err;
	PyObject *result;
	int failed;

	if (!split)
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	failed = btf_distill(split, &out, &err);
	Py_END_ALLOW_THREADS
	if (failed)
		return raise_btf_error(state, &err);
	result = Py_BuildValue("(NNNN)", bytes_of(out.base.bytes, out.base.length),
			       bytes_of(out.split.bytes, out.split.length),
			       bytes_of(out.kept, out.nr_kept * sizeof(*out.kept)),
			       bytes_of(out.moved, out.nr_moved * sizeof(*out.moved)));
	distilled_release(&out);
	return result;
}

static PyObject *findings_list(const struct verify_report *report)
{
	PyObject *list = PyList_New(report->nr);
	const struct verify_finding *finding;
	PyObject *row;
	uint32_t i;

	for (i = 0; list && i < report->nr; i++) {
		finding = &report->findings[i];
		row = Py_BuildValue("(INN)", finding->type_id, PyBool_FromLong(finding->refused),
				    string_object(finding->text));
		if (!row || PyList_SetItem(list, i, row))
			Py_CLEAR(list);
	}
	return list;
}

PyObject *verify(PyObject *module, PyObject *args)
{
	struct verify_report report;
	struct verify_rules rules;
	const struct btf *btf;
	int flag_on_tags, tags_first;
	PyObject *index;

	if (!PyArg_ParseTuple(args, "OIIIpp", &index, &rules.info_mask, &rules.max_kind,
			      &rules.name_len, &flag_on_tags, &tags_first))
		return NULL;
	btf = btf_of(PyModule_GetState(module), index);
	if (!btf)
		return NULL;
	rules.flag_on_tags = flag_on_tags;
	rules.tags_first = tags_first;
	Py_BEGIN_ALLOW_THREADS
	btf_verify(btf, &rules, &report);
	Py_END_ALLOW_THREADS
	return findings_list(&report);
}
