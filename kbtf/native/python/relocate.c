/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Relocation, with its result as a Python object. */
#include "objects.h"

static const char *const relocate_reasons[] = {
	[RELOCATE_MISSING] = "missing",	  [RELOCATE_KIND] = "kind",
	[RELOCATE_ENCODING] = "encoding", [RELOCATE_SIZE] = "size",
	[RELOCATE_EMBEDDED] = "embedded", [RELOCATE_AMBIGUOUS] = "ambiguous",
	[RELOCATE_STRING] = "string",
};

static PyStructSequence_Field relocated_fields[] = {
	{"split", "the blob on the target, None if it does not fit"},
	{"ids", "the target's ids (u32, native), by distilled id"},
	{"reason", "why it does not fit, None if it does"},
	{"type_id", "the type at fault"},
	{"owner_id", "the split type that embeds it by value, or 0"},
	{"name", "the offset of the string at fault, or 0"},
	{"candidates", "the target's types of that name (u32, native)"},
	{NULL, NULL},
};

static PyStructSequence_Desc relocated_desc = {
	.name = "kbtf.native._native.Relocated",
	.doc = "What relocating made of split BTF, or why it cannot.",
	.fields = relocated_fields,
	.n_in_sequence = 7,
};

int add_relocated_type(PyObject *module)
{
	struct module_state *state = PyModule_GetState(module);

	state->relocated_type = (PyObject *)PyStructSequence_NewType(&relocated_desc);
	if (!state->relocated_type)
		return -1;
	return PyModule_AddObjectRef(module, "Relocated", state->relocated_type);
}

/* A Relocated with these values, which it takes ownership of; NULL if one is missing. */
static PyObject *relocated_of(const struct module_state *state, PyObject *values)
{
	PyObject *made = values ? PyStructSequence_New((PyTypeObject *)state->relocated_type) : NULL;
	Py_ssize_t i;

	for (i = 0; made && i < relocated_desc.n_in_sequence; i++)
		PyStructSequence_SetItem(made, i, Py_NewRef(PyTuple_GetItem(values, i)));
	Py_XDECREF(values);
	return made;
}

static PyObject *success(const struct module_state *state, const struct relocated *out)
{
	return relocated_of(state,
			    Py_BuildValue("(NNOIIIy)", bytes_of(out->split.bytes, out->split.length),
					  bytes_of(out->ids, out->nr_ids * sizeof(*out->ids)), Py_None,
					  0, 0, 0, ""));
}

static PyObject *misfit(const struct module_state *state, const struct relocate_failure *failure)
{
	return relocated_of(state,
			    Py_BuildValue("(OysIIIN)", Py_None, "", relocate_reasons[failure->reason],
					  failure->type_id, failure->owner_id, failure->name,
					  bytes_of(failure->candidates,
						   failure->nr_candidates * sizeof(*failure->candidates))));
}

PyObject *relocate(PyObject *module, PyObject *args)
{
	struct module_state *state = PyModule_GetState(module);
	PyObject *split, *target, *names = Py_None, *result;
	const struct base_index *index = NULL;
	struct relocated out;
	struct btf_error err;
	Index *from, *to;
	int failed;

	if (!PyArg_ParseTuple(args, "OO|O", &split, &target, &names) || !btf_of(state, split) ||
	    !btf_of(state, target))
		return NULL;
	from = (Index *)split;
	to = (Index *)target;
	if (names != Py_None) {
		index = base_index_for(state, names, target);
		if (!index)
			return NULL;
		if (!index->nr_named)
			index = NULL;
	}
	/* Without an index, the names of the target are hashed, in the target: not while others run. */
	if (!index && btf_name_index(&to->btf, &err))
		return raise_btf_error(state, &err);
	Py_BEGIN_ALLOW_THREADS
	failed = btf_relocate(&from->btf, from->data.buf, (size_t)from->data.len, &to->btf, index,
			      &out, &err);
	Py_END_ALLOW_THREADS
	if (failed)
		return out.failure.reason ? misfit(state, &out.failure) : raise_btf_error(state, &err);
	result = success(state, &out);
	relocated_release(&out);
	return result;
}
