/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* A BTF blob as a Python object. */
#include "objects.h"

/* The bytes of an object; a copy if they can be written through it, because they are checked only once. */
static int take_data(Py_buffer *data, PyObject *object)
{
	PyObject *copy;
	int failed;

	if (PyObject_GetBuffer(object, data, PyBUF_SIMPLE))
		return -1;
	if (data->readonly)
		return 0;
	copy = bytes_of(data->buf, (size_t)data->len);
	PyBuffer_Release(data);
	failed = copy ? PyObject_GetBuffer(copy, data, PyBUF_SIMPLE) : -1;
	Py_XDECREF(copy);
	return failed;
}

static PyObject *index_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static char *names[] = {"data", "base", NULL};
	const struct module_state *state = PyType_GetModuleState(type);
	PyObject *data, *base = Py_None;
	struct btf_error err;
	Index *self;
	int failed;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O", names, &data, &base))
		return NULL;
	if (base != Py_None && Py_TYPE(base) != type) {
		PyErr_SetString(PyExc_TypeError, "base must be an Index or None");
		return NULL;
	}
	self = (Index *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
	if (!self)
		return NULL;
	if (take_data(&self->data, data)) {
		Py_DECREF(self);
		return NULL;
	}
	Py_BEGIN_ALLOW_THREADS
	failed = btf_index(&self->btf, self->data.buf, (size_t)self->data.len,
			   base == Py_None ? NULL : &((Index *)base)->btf, &err);
	Py_END_ALLOW_THREADS
	if (failed) {
		Py_DECREF(self);
		return raise_btf_error(state, &err);
	}
	self->btf.seed = state->seed;
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

static PyObject *words_of(const uint8_t *type, uint32_t bytes)
{
	uint32_t nr = (bytes - TYPE_LEN) / 4;
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
	words = name ? words_of(type, btf_type_bytes(btf, (uint32_t)id)) : NULL;
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

PyObject *index_find(PyObject *object, PyObject *arg)
{
	struct btf *btf = &((Index *)object)->btf;
	struct btf_error err;
	PyObject *found;
	Py_ssize_t length;
	uint32_t at = 0;
	char *name;

	if (PyBytes_AsStringAndSize(arg, &name, &length))
		return NULL;
	if (btf_name_index(btf, &err))
		return raise_btf_error(PyType_GetModuleState(Py_TYPE(object)), &err);
	if (length && !memchr(name, 0, (size_t)length))
		at = btf_find(btf, name, (size_t)length);
	found = PyList_New(0);
	for (; found && at; at = btf_find_next(btf, at))
		found = append_id(found, at);
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
GETTER(layout_off)
GETTER(layout_len)
GETTER(unknown_id)

static PyObject *get_foreign(PyObject *self, void *closure)
{
	(void)closure;
	return PyBool_FromLong(((Index *)self)->btf.foreign);
}

static PyObject *get_data(PyObject *self, void *closure)
{
	(void)closure;
	return Py_NewRef(((Index *)self)->data.obj);
}

static PyGetSetDef index_getset[] = {
	{"data", get_data, NULL, NULL, NULL},
	{"start_id", get_start_id, NULL, NULL, NULL},
	{"end_id", get_end_id, NULL, NULL, NULL},
	{"start_str", get_start_str, NULL, NULL, NULL},
	{"str_len", get_str_len, NULL, NULL, NULL},
	{"type_len", get_type_len, NULL, NULL, NULL},
	{"header_len", get_header_len, NULL, NULL, NULL},
	{"layout_off", get_layout_off, NULL, NULL, NULL},
	{"layout_len", get_layout_len, NULL, NULL, NULL},
	{"unknown_id", get_unknown_id, NULL, NULL, NULL},
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
	.name = "kbtf.native._native.Index",
	.basicsize = sizeof(Index),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
	.slots = index_slots,
};

const struct btf *btf_of(const struct module_state *state, PyObject *object)
{
	if ((PyObject *)Py_TYPE(object) == state->index_type)
		return &((Index *)object)->btf;
	PyErr_SetString(PyExc_TypeError, "an Index is needed");
	return NULL;
}

int add_index_type(PyObject *module)
{
	struct module_state *state = PyModule_GetState(module);

	state->index_type = PyType_FromModuleAndSpec(module, &index_spec, NULL);
	return state->index_type ? PyModule_AddObjectRef(module, "Index", state->index_type) : -1;
}
