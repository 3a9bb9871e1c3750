/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What Python sees of the C core; kbtf/btf/_native.pyi describes it. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "btf.h"

static PyObject *btf_error_class; /* kbtf.errors.BtfError */
static PyObject *misfit_class;	  /* kbtf.errors.MisfitError */

typedef struct {
	PyObject_HEAD
	struct btf btf;
	Py_buffer data;
	PyObject *base; /* an Index that keeps btf.base alive, or NULL */
} Index;

/* The keyword arguments of an error. */
static PyObject *error_place(uint32_t type_id)
{
	if (!type_id)
		return PyDict_New();
	return Py_BuildValue("{s:N}", "where", PyUnicode_FromFormat("type [%u]", type_id));
}

static PyObject *raise_btf_error(const struct btf_error *err)
{
	PyObject *class = err->misfit ? misfit_class : btf_error_class;
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

static PyObject *string_object(const char *string)
{
	return PyUnicode_DecodeUTF8(string, (Py_ssize_t)strlen(string), "surrogateescape");
}

static PyObject *index_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"data", "base", NULL};
	PyObject *data, *base = Py_None;
	struct btf_error err;
	Index *self;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O", names, &data, &base))
		return NULL;
	if (base != Py_None && Py_TYPE(base) != type) {
		PyErr_SetString(PyExc_TypeError, "base must be an Index or None");
		return NULL;
	}
	self = (Index *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
	if (!self)
		return NULL;
	if (PyObject_GetBuffer(data, &self->data, PyBUF_SIMPLE)) {
		Py_DECREF(self);
		return NULL;
	}
	if (btf_index(&self->btf, self->data.buf, (size_t)self->data.len,
		      base == Py_None ? NULL : &((Index *)base)->btf, &err)) {
		Py_DECREF(self);
		return raise_btf_error(&err);
	}
	if (base != Py_None)
		self->base = Py_NewRef(base);
	return (PyObject *)self;
}

static void index_dealloc(PyObject *object)
{
	PyTypeObject *type = Py_TYPE(object);
	Index *self = (Index *)object;

	btf_release(&self->btf);
	if (self->data.obj)
		PyBuffer_Release(&self->data);
	Py_XDECREF(self->base);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
	Py_DECREF(type);
}

static PyObject *words_of(const uint8_t *type)
{
	uint32_t nr = type_bytes(&kinds[type_kind(type)], type_info(type)) / 4 - TYPE_LEN / 4;
	PyObject *words = PyTuple_New(nr);
	PyObject *word;
	uint32_t i;

	for (i = 0; words && i < nr; i++) {
		word = PyLong_FromUnsignedLong(type_word(type + TYPE_LEN, i));
		if (!word || PyTuple_SetItem(words, i, word))
			Py_CLEAR(words);
	}
	return words;
}

static PyObject *index_record(PyObject *object, PyObject *arg)
{
	const struct btf *btf = &((Index *)object)->btf;
	unsigned long id = PyLong_AsUnsignedLong(arg);
	PyObject *name, *words;
	const uint8_t *type;

	if (id == (unsigned long)-1 && PyErr_Occurred())
		return NULL;
	if (!id || id >= btf->end_id)
		return PyErr_Format(PyExc_IndexError, "no type [%lu]", id);
	type = btf_type(btf, (uint32_t)id);
	name = string_object(btf_string(btf, type_name(type)));
	words = name ? words_of(type) : NULL;
	if (!words) {
		Py_XDECREF(name);
		return NULL;
	}
	return Py_BuildValue("(INNIIN)", type_kind(type), name,
			     PyBool_FromLong(info_flag(type_info(type))), info_vlen(type_info(type)),
			     type_size(type), words);
}

static PyObject *index_string(PyObject *object, PyObject *arg)
{
	const struct btf *btf = &((Index *)object)->btf;
	unsigned long offset = PyLong_AsUnsignedLong(arg);

	if (offset == (unsigned long)-1 && PyErr_Occurred())
		return NULL;
	if (offset >= btf_end_str(btf))
		return PyErr_Format(PyExc_IndexError, "no string at %lu", offset);
	return string_object(btf_string(btf, (uint32_t)offset));
}

static PyObject *index_strings(PyObject *object, PyObject *unused)
{
	const struct btf *btf = &((Index *)object)->btf;

	(void)unused;
	return PyBytes_FromStringAndSize(btf->strs, btf->str_len);
}

static PyObject *index_find(PyObject *object, PyObject *arg)
{
	struct btf *btf = &((Index *)object)->btf;
	struct btf_error err;
	PyObject *found, *id;
	Py_ssize_t length;
	uint32_t at = 0;
	char *name;

	if (PyBytes_AsStringAndSize(arg, &name, &length))
		return NULL;
	if (btf_name_index(btf, &err))
		return raise_btf_error(&err);
	if (length && !memchr(name, 0, (size_t)length))
		at = btf_find(btf, name, (size_t)length);
	found = PyList_New(0);
	for (; found && at; at = btf_find_next(btf, at)) {
		id = PyLong_FromUnsignedLong(at);
		if (!id || PyList_Append(found, id))
			Py_CLEAR(found);
		Py_XDECREF(id);
	}
	return found;
}

#define GETTER(field)                                                                              \
	static PyObject *get_##field(PyObject *self, void *closure)                                \
	{                                                                                          \
		(void)closure;                                                                     \
		return PyLong_FromUnsignedLong(((Index *)self)->btf.field);                        \
	}

GETTER(start_id)
GETTER(end_id)
GETTER(start_str)
GETTER(str_len)
GETTER(type_len)
GETTER(header_len)
GETTER(layout_len)

static PyObject *get_foreign(PyObject *self, void *closure)
{
	(void)closure;
	return PyBool_FromLong(((Index *)self)->btf.foreign);
}

static PyGetSetDef index_getset[] = {
	{"start_id", get_start_id, NULL, NULL, NULL},
	{"end_id", get_end_id, NULL, NULL, NULL},
	{"start_str", get_start_str, NULL, NULL, NULL},
	{"str_len", get_str_len, NULL, NULL, NULL},
	{"type_len", get_type_len, NULL, NULL, NULL},
	{"header_len", get_header_len, NULL, NULL, NULL},
	{"layout_len", get_layout_len, NULL, NULL, NULL},
	{"foreign", get_foreign, NULL, NULL, NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef index_methods[] = {
	{"record", index_record, METH_O, NULL},
	{"string", index_string, METH_O, NULL},
	{"strings", index_strings, METH_NOARGS, NULL},
	{"find", index_find, METH_O, NULL},
	{NULL, NULL, 0, NULL},
};

static PyType_Slot index_slots[] = {
	{Py_tp_new, index_new},
	{Py_tp_dealloc, index_dealloc},
	{Py_tp_methods, index_methods},
	{Py_tp_getset, index_getset},
	{Py_tp_doc, "A BTF blob that was checked and indexed once."},
	{0, NULL},
};

static PyType_Spec index_spec = {
	.name = "kbtf.btf._native.Index",
	.basicsize = sizeof(Index),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
	.slots = index_slots,
};

static PyObject *index_type;

static PyObject *bytes_of(const void *bytes, size_t length)
{
	return PyBytes_FromStringAndSize(bytes, (Py_ssize_t)length);
}

static const struct btf *btf_of(PyObject *object)
{
	if ((PyObject *)Py_TYPE(object) == index_type)
		return &((Index *)object)->btf;
	PyErr_SetString(PyExc_TypeError, "an Index is needed");
	return NULL;
}

static PyObject *check_fit(PyObject *module, PyObject *arg)
{
	const struct btf *split = btf_of(arg);
	struct btf_error err;

	(void)module;
	if (!split)
		return NULL;
	if (btf_fits(split, &err))
		return raise_btf_error(&err);
	return Py_NewRef(Py_None);
}

static PyObject *distill(PyObject *module, PyObject *arg)
{
	const struct btf *split = btf_of(arg);
	struct distilled out;
	struct btf_error err;
	PyObject *result;

	(void)module;
	if (!split)
		return NULL;
	if (btf_distill(split, &out, &err))
		return raise_btf_error(&err);
	result = Py_BuildValue("(NNNN)", bytes_of(out.base.bytes, out.base.length),
			       bytes_of(out.split.bytes, out.split.length),
			       bytes_of(out.kept, out.nr_kept * sizeof(*out.kept)),
			       bytes_of(out.moved, out.nr_moved * sizeof(*out.moved)));
	distilled_release(&out);
	return result;
}

static const char *const relocate_reasons[] = {
	[RELOCATE_MISSING] = "missing",	  [RELOCATE_KIND] = "kind",
	[RELOCATE_ENCODING] = "encoding", [RELOCATE_SIZE] = "size",
	[RELOCATE_EMBEDDED] = "embedded", [RELOCATE_AMBIGUOUS] = "ambiguous",
	[RELOCATE_STRING] = "string",
};

static PyObject *relocate_failure(const struct relocate_failure *failure)
{
	return Py_BuildValue("(sIIIN)", relocate_reasons[failure->reason], failure->type_id,
			     failure->owner_id, failure->name,
			     bytes_of(failure->candidates,
				      failure->nr_candidates * sizeof(*failure->candidates)));
}

static PyObject *relocate(PyObject *module, PyObject *args)
{
	PyObject *split, *target, *result;
	struct relocated out;
	struct btf_error err;

	(void)module;
	if (!PyArg_ParseTuple(args, "OO", &split, &target) || !btf_of(split) || !btf_of(target))
		return NULL;
	if (btf_relocate(&((Index *)split)->btf, ((Index *)split)->data.buf,
			 (size_t)((Index *)split)->data.len, &((Index *)target)->btf, &out, &err))
		return out.failure.reason ? relocate_failure(&out.failure) : raise_btf_error(&err);
	result = Py_BuildValue("(NN)", bytes_of(out.split.bytes, out.split.length),
			       bytes_of(out.ids, out.nr_ids * sizeof(*out.ids)));
	relocated_release(&out);
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

static PyObject *verify(PyObject *module, PyObject *args)
{
	struct verify_report report;
	struct verify_rules rules;
	const struct btf *btf;
	int flag_on_tags, tags_first;
	PyObject *index;

	(void)module;
	if (!PyArg_ParseTuple(args, "OIIIpp", &index, &rules.info_mask, &rules.max_kind,
			      &rules.name_len, &flag_on_tags, &tags_first))
		return NULL;
	btf = btf_of(index);
	if (!btf)
		return NULL;
	rules.flag_on_tags = flag_on_tags;
	rules.tags_first = tags_first;
	btf_verify(btf, &rules, &report);
	return Py_BuildValue("(NI)", findings_list(&report), report.nr_all);
}

static PyObject *end_process_on_truncation(PyObject *module, PyObject *unused)
{
	(void)module;
	(void)unused;
	end_on_truncation();
	return Py_NewRef(Py_None);
}

static PyMethodDef methods[] = {
	{"check_fit", check_fit, METH_O, NULL},
	{"distill", distill, METH_O, NULL},
	{"end_on_truncation", end_process_on_truncation, METH_NOARGS, NULL},
	{"relocate", relocate, METH_VARARGS, NULL},
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

	for (kind = kinds; list && kind < kinds + NR_KINDS; kind++) {
		row = Py_BuildValue("(siiNNiN)", kind->name, kind->items, kind->item_words,
				    word_or_none(kind->id_word), word_or_none(kind->name_word),
				    kind->tail_words, PyBool_FromLong(kind->is_ref));
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

static int set_hash_seed(void)
{
	/* Python draws this anew for each process. */
	PyObject *word = PyUnicode_FromString("kbtf");
	Py_hash_t hash = word ? PyObject_Hash(word) : -1;

	Py_XDECREF(word);
	hash_seed = (uint64_t)hash;
	return hash == -1 ? -1 : 0;
}

static int find_errors(void)
{
	PyObject *errors = PyImport_ImportModule("kbtf.errors");

	btf_error_class = errors ? PyObject_GetAttrString(errors, "BtfError") : NULL;
	misfit_class = btf_error_class ? PyObject_GetAttrString(errors, "MisfitError") : NULL;
	Py_XDECREF(errors);
	return misfit_class ? 0 : -1;
}

static int module_exec(PyObject *module)
{
	if (find_errors() || set_hash_seed())
		return -1;
	index_type = PyType_FromSpec(&index_spec);
	if (!index_type || PyModule_AddObjectRef(module, "Index", index_type) ||
	    add_kinds(module))
		return -1;
	return PyModule_AddStringConstant(module, "VERSION", KBTF_VERSION);
}

static PyModuleDef_Slot module_slots[] = {
	{Py_mod_exec, module_exec},
	{0, NULL},
};

static struct PyModuleDef module_def = {
	PyModuleDef_HEAD_INIT,
	.m_name = "kbtf.btf._native",
	.m_doc = "The C core of kbtf.",
	.m_methods = methods,
	.m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__native(void);
PyMODINIT_FUNC PyInit__native(void)
{
	return PyModuleDef_Init(&module_def);
}
