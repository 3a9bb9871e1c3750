/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The Python interface of the C core; kbtf/native/_native.pyi describes it. */
#include "objects.h"

#include "hash.h"

/* The keyword arguments of an error. */
static PyObject *error_place(uint32_t type_id)
{
	if (!type_id)
		return PyDict_New();
	return Py_BuildValue("{s:N}", "where", PyUnicode_FromFormat("type [%u]", type_id));
}

PyObject *raise_btf_error(const struct module_state *state, const struct btf_error *err)
{
	PyObject *class = err->misfit ? state->misfit_error : state->btf_error;
	PyObject *args, *kwargs, *error;

	if (err->no_memory)
		return PyErr_NoMemory();
	args = Py_BuildValue("(s)", err->text);
	kwargs = args ? error_place(err->type_id) : NULL;
	error = kwargs ? PyObject_Call(class, args, kwargs) : NULL;
	if (error)
		PyErr_SetObject(class, error);
	Py_XDECREF(args);
	Py_XDECREF(kwargs);
	Py_XDECREF(error);
	return NULL;
}

PyObject *string_object(const char *string)
{
	return PyUnicode_DecodeUTF8(string, (Py_ssize_t)strlen(string), "surrogateescape");
}

PyObject *bytes_of(const void *bytes, size_t length)
{
	return PyBytes_FromStringAndSize(bytes, (Py_ssize_t)length);
}

PyObject *append_id(PyObject *list, uint32_t id)
{
	PyObject *number = PyLong_FromUnsignedLong(id);

	if (!number || PyList_Append(list, number))
		Py_CLEAR(list);
	Py_XDECREF(number);
	return list;
}

static PyObject *checksum(PyObject *module, PyObject *arg)
{
	Py_buffer data;
	uint64_t sum;

	(void)module;
	if (PyObject_GetBuffer(arg, &data, PyBUF_SIMPLE))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	sum = hash_long(data.buf, (size_t)data.len, 0);
	Py_END_ALLOW_THREADS
	PyBuffer_Release(&data);
	return PyLong_FromUnsignedLongLong(sum);
}

/* Where a view of a buffer starts in it; None if it is of another buffer. */
static PyObject *offset_in(PyObject *module, PyObject *args)
{
	Py_buffer whole, part;
	Py_ssize_t offset;
	bool within;

	(void)module;
	if (!PyArg_ParseTuple(args, "y*y*", &whole, &part))
		return NULL;
	within = part.len <= whole.len && (uintptr_t)part.buf >= (uintptr_t)whole.buf &&
		 (uintptr_t)part.buf - (uintptr_t)whole.buf <= (size_t)(whole.len - part.len);
	offset = within ? (const char *)part.buf - (const char *)whole.buf : 0;
	PyBuffer_Release(&whole);
	PyBuffer_Release(&part);
	return within ? PyLong_FromSsize_t(offset) : Py_NewRef(Py_None);
}

static PyMethodDef methods[] = {
	{"checksum", checksum, METH_O, NULL},
	{"check_fit", check_fit, METH_O, NULL},
	{"deduplicate", deduplicate, METH_VARARGS, NULL},
	{"distill", distill, METH_O, NULL},
	{"encode", encode, METH_VARARGS, NULL},
	{"end_on_truncation", end_on_truncation, METH_NOARGS, NULL},
	{"end_with_parent", end_with_parent, METH_NOARGS, NULL},
	{"index_base", index_base, METH_VARARGS, NULL},
	{"offset_in", offset_in, METH_VARARGS, NULL},
	{"open_base_index", open_base_index, METH_VARARGS, NULL},
	{"relocate", relocate, METH_VARARGS, NULL},
	{"start_flush", start_flush, METH_O, NULL},
	{"syncfs", flush_file_system, METH_O, NULL},
	{"verify", verify, METH_VARARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static PyObject *word_or_none(uint8_t word)
{
	return word == NO_WORD ? Py_NewRef(Py_None) : PyLong_FromLong(word);
}

static PyObject *kinds_list(void)
{
	PyObject *list = PyList_New(0);
	const struct kind_info *kind;
	PyObject *row;

	for (kind = kinds; list && kind < kinds + MAX_KINDS; kind++) {
		row = Py_BuildValue("(siiNiNii)", kind->name, kind->items, kind->item_words,
				    word_or_none(kind->id_word), kind->nr_ids,
				    word_or_none(kind->name_word),
				    kind->tail_words, kind->sets);
		if (!row || PyList_Append(list, row))
			Py_CLEAR(list);
		Py_XDECREF(row);
	}
	return list;
}

static int add_kinds(PyObject *module)
{
	PyObject *list = kinds_list();
	int failed = list ? PyModule_AddObjectRef(module, "KINDS", list) : -1;

	Py_XDECREF(list);
	return failed;
}

static int draw_seed(struct module_state *state)
{
	/* Python chooses this at random for each process. */
	PyObject *word = PyUnicode_FromString("kbtf");
	Py_hash_t hash = word ? PyObject_Hash(word) : -1;

	Py_XDECREF(word);
	state->seed = (uint64_t)hash;
	return hash == -1 ? -1 : 0;
}

static int find_errors(struct module_state *state)
{
	PyObject *errors = PyImport_ImportModule("kbtf.errors");

	state->btf_error = errors ? PyObject_GetAttrString(errors, "BtfError") : NULL;
	state->misfit_error =
		state->btf_error ? PyObject_GetAttrString(errors, "MisfitError") : NULL;
	Py_XDECREF(errors);
	return state->misfit_error ? 0 : -1;
}

static int module_exec(PyObject *module)
{
	struct module_state *state = PyModule_GetState(module);

	if (find_errors(state) || draw_seed(state))
		return -1;
	return add_index_type(module) || add_base_index_type(module) ||
			       add_relocated_type(module) || add_kinds(module) ?
		       -1 :
		       0;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
	struct module_state *state = PyModule_GetState(module);

	Py_VISIT(state->btf_error);
	Py_VISIT(state->misfit_error);
	Py_VISIT(state->index_type);
	Py_VISIT(state->base_index_type);
	Py_VISIT(state->relocated_type);
	return 0;
}

static int module_clear(PyObject *module)
{
	struct module_state *state = PyModule_GetState(module);

	Py_CLEAR(state->btf_error);
	Py_CLEAR(state->misfit_error);
	Py_CLEAR(state->index_type);
	Py_CLEAR(state->base_index_type);
	Py_CLEAR(state->relocated_type);
	return 0;
}

static void module_free(void *module)
{
	module_clear(module);
}

static PyModuleDef_Slot module_slots[] = {
	{Py_mod_exec, module_exec},
	{0, NULL},
};

static struct PyModuleDef module_def = {
	PyModuleDef_HEAD_INIT,
	.m_name = "kbtf.native._native",
	.m_doc = "The C core of kbtf.",
	.m_size = sizeof(struct module_state),
	.m_methods = methods,
	.m_slots = module_slots,
	.m_traverse = module_traverse,
	.m_clear = module_clear,
	.m_free = module_free,
};

PyMODINIT_FUNC PyInit__native(void);
PyMODINIT_FUNC PyInit__native(void)
{
	return PyModuleDef_Init(&module_def);
}
